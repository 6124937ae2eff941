package reconcile

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"tallystick/ledger/chain"
	"tallystick/ledger/store"
	"tallystick/reconcile/bankbook"
	"tallystick/reconcile/match"
)

// Index: entries_night.
const bankDecisionsSQL = `
select seq from book.entries
where ledger_id = $1::uuid and kind = 'decision' and seq < $2::int8
order by seq`

// Index: the primary key; an entry has a handful of details.
const decisionDetailSQL = `
select seq, value from book.details
where ledger_id = $1::uuid and seq = u.n and name = $2::text`

// Index: the primary key.
const decisionTextSQL = `
select seq, metadata from ops.payloads
where ledger_id = $1::uuid and seq = u.n and metadata is not null`

// DecisionExtras is what the metadata of a decision about lines says, beside what its entry binds in the open. It names no
// person: it stands in reports, which do not forget.
type DecisionExtras struct {
	Owner string `json:"owner,omitempty"` // a team, or a name of a key
	Cause string `json:"cause,omitempty"` // a word, such as bank_fee
	Until string `json:"until,omitempty"` // of a carry: the last day
}

// readDecisions reads the decisions about lines, in order.
func (r *bankReader) readDecisions(ctx context.Context) error {
	var keys []store.Key
	err := r.Snapshot.Scan(ctx, bankDecisionsSQL, []any{r.Snapshot.LedgerID, r.Present}, func(row *store.Row) error {
		keys = append(keys, store.Key{N: row.Int64(0)})
		return bankRow(row)
	})
	if err != nil {
		return fmt.Errorf("reading decisions: %w", err)
	}
	details := map[string]map[int64]string{}
	for _, name := range []string{"action", "subject", "entry_seq"} {
		details[name] = map[int64]string{}
		err := r.Snapshot.ScanEach(ctx, decisionDetailSQL, []any{r.Snapshot.LedgerID, name}, keys, func(row *store.Row) error {
			details[name][row.Int64(0)] = string(row.Text(1))
			return bankRow(row)
		})
		if err != nil {
			return fmt.Errorf("reading the details of decisions: %w", err)
		}
	}
	extras := map[int64]DecisionExtras{}
	err = r.Snapshot.ScanEach(ctx, decisionTextSQL, []any{r.Snapshot.LedgerID}, keys, func(row *store.Row) error {
		var x DecisionExtras
		if json.Unmarshal(row.Text(1), &x) == nil { // other decisions may have metadata of their own
			extras[row.Int64(0)] = x
		}
		return bankRow(row)
	})
	if err != nil {
		return fmt.Errorf("reading the texts of decisions: %w", err)
	}
	r.decisions, r.handled = nil, map[string]bool{}
	for _, key := range keys {
		r.addDecision(key.N, details["action"][key.N], details["subject"][key.N], details["entry_seq"][key.N], extras[key.N])
	}
	return nil
}

// addDecision sorts a decision by what it is about.
func (r *bankReader) addDecision(seq int64, action, subject, entry string, x DecisionExtras) {
	d := bankbook.Decision{Decision: match.Decision{Seq: seq, Action: match.Action(action), Owner: x.Owner, Cause: x.Cause}}
	for id := range strings.SplitSeq(subject, ",") {
		side, container, _, err := bankbook.ParseLine(id)
		if err != nil {
			r.handled[id] = true
			continue
		}
		d.Lines = append(d.Lines, id)
		// What the day does not know yet will be decided on another.
		d.Later = d.Later || side == match.Ledger && container >= r.Snapshot.Size || side == match.Bank && !r.numbers[container]
	}
	if len(d.Lines) == 0 {
		return
	}
	if n, err := strconv.ParseInt(entry, 10, 64); err == nil {
		d.Entry = &n
		d.Later = d.Later || n >= r.Snapshot.Size
	}
	if d.Action == match.DoNote {
		d.Note = fmt.Sprintf("decision %d", seq)
	}
	if until, err := chain.ParseDate(x.Until); err == nil {
		d.Until = &until
	}
	r.decisions = append(r.decisions, d)
}
