package reconcile

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"

	"tallystick/ledger/chain"
	"tallystick/ledger/store"
)

// BankPins is what a run is pinned to of what banks have sent. What is stored of it never changes, so that the numbers
// say it all.
type BankPins struct {
	// Statements are the numbers of those that end up to the as-of date, ascending.
	Statements []int64 `json:"statements"`
	// Quarantined are the numbers of the files that were refused and not accepted since, ascending.
	Quarantined []int64 `json:"quarantined"`
	// SHA256 is over what both hold; zero where there is nothing.
	SHA256 chain.Hash `json:"-"`
}

// MaxPinnedStatements bounds the statements of a run.
const MaxPinnedStatements = 1_000_000

// Index: the primary key.
const pinnedStatementsSQL = `
select statement, account_code, sha256 from ops.bank_statements
where ledger_id = $1::uuid and to_date <= $2::date order by statement limit $3::int8`

// Index: the primary key, and bank_files_content.
const refusedFilesSQL = `
select f.file, f.sha256 from ops.bank_files as f
where f.ledger_id = $1::uuid and f.verdict = 'quarantined'
    and not exists (select 1 from ops.bank_files as a where a.ledger_id = $1::uuid and a.sha256 = f.sha256 and a.verdict = 'accepted')
order by f.file limit $2::int8`

// PinBank returns what a run for a day is pinned to.
func PinBank(ctx context.Context, from *store.Snapshot, asOf chain.Date) (BankPins, error) {
	var pins BankPins
	h := sha256.New()
	err := retry(ctx, func() error {
		pins = BankPins{Statements: []int64{}, Quarantined: []int64{}}
		h.Reset()
		err := from.Scan(ctx, pinnedStatementsSQL, []any{from.LedgerID, asOf.Time(), int64(MaxPinnedStatements) + 1}, func(r *store.Row) error {
			pins.Statements = append(pins.Statements, r.Int64(0))
			pin(h, 's', r.Int64(0), string(r.Text(1)), r.Hash(2))
			return bankRow(r)
		})
		if err != nil {
			return err
		}
		return from.Scan(ctx, refusedFilesSQL, []any{from.LedgerID, int64(MaxPinnedStatements) + 1}, func(r *store.Row) error {
			pins.Quarantined = append(pins.Quarantined, r.Int64(0))
			pin(h, 'q', r.Int64(0), "", r.Hash(1))
			return bankRow(r)
		})
	})
	switch {
	case err != nil:
		return BankPins{}, fmt.Errorf("reading what banks have sent: %w", err)
	case len(pins.Statements) > MaxPinnedStatements || len(pins.Quarantined) > MaxPinnedStatements:
		return BankPins{}, fmt.Errorf("reading what banks have sent: there are more than %d statements, or files in quarantine", MaxPinnedStatements)
	}
	if len(pins.Statements)+len(pins.Quarantined) > 0 {
		h.Sum(pins.SHA256[:0])
	}
	return pins, nil
}

func pin(h hash.Hash, kind byte, number int64, account string, digest chain.Hash) {
	b := binary.BigEndian.AppendUint64([]byte{kind}, uint64(number))
	b = append(binary.AppendUvarint(b, uint64(len(account))), account...)
	h.Write(append(b, digest[:]...))
}

// bankRow refuses a row that holds what it cannot.
func bankRow(r *store.Row) error {
	if column, value, bad := r.Rejected(); bad {
		return fmt.Errorf("reading what banks have sent: column %s holds %s, which cannot be there", column, value)
	}
	return nil
}
