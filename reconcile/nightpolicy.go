package reconcile

import (
	"context"
	"fmt"

	"tallystick/ledger/chain"
	"tallystick/ledger/store"
)

// Indexes: entries_night, and the primary key of details.
const adoptedPoliciesSQL = `
select d.seq, d.name, d.value
from book.entries as e
join book.details as d on d.ledger_id = e.ledger_id and d.seq = e.seq
where e.ledger_id = $1::uuid and e.kind in ('policy_adopted', 'run', 'decision') and e.kind = 'policy_adopted' and e.seq < $2::int8
order by d.seq, d.name`

// adoption is a policy that an entry put on record.
type adoption struct {
	seq    int64
	name   string
	from   string // dates compare as text
	sha256 string
}

// adoptedPolicy returns the adoption in force at the end of the day for policies of a name; false when there is none.
func (n *Night) adoptedPolicy(ctx context.Context, name string) (adoption, bool, error) {
	var all []adoption
	err := retry(ctx, func() error {
		all = all[:0]
		return n.Snapshot.Scan(ctx, adoptedPoliciesSQL, []any{n.LedgerID, n.Snapshot.Size}, func(r *store.Row) error {
			seq := r.Int64(0)
			if len(all) == 0 || all[len(all)-1].seq != seq {
				all = append(all, adoption{seq: seq})
			}
			a := &all[len(all)-1]
			switch value := string(r.Text(2)); string(r.Text(1)) {
			case "name":
				a.name = value
			case "effective_from":
				a.from = value
			case "policy_sha256":
				a.sha256 = value
			}
			return nil
		})
	})
	if err != nil {
		return adoption{}, false, fmt.Errorf("reading the adopted policies of ledger %s: %w", n.LedgerID, err)
	}
	var in adoption
	found := false
	for _, a := range all { // of one day, the later entry counts
		if a.name == name && a.from <= n.AsOf.String() && (!found || a.from >= in.from) {
			in, found = a, true
		}
	}
	return in, found, nil
}

// checkPolicy holds the policy of the run against the one that is on record.
func (n *Night) checkPolicy(ctx context.Context) error {
	a, found, err := n.adoptedPolicy(ctx, n.Policy.Name)
	if err != nil || !found || a.sha256 == n.Policy.SHA256.String() {
		return err
	}
	n.Find(chain.Finding{Code: PolicyNotAdopted, Severity: nightCheck(PolicyNotAdopted).Severity, NextStep: nightCheck(PolicyNotAdopted).NextStep,
		Seq: &a.seq, Stored: optional("adopted: " + a.sha256), Recomputed: optional("given: " + n.Policy.SHA256.String())})
	return nil
}
