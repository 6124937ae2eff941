package reconcile

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/google/uuid"

	"tallystick/ledger/chain"
	"tallystick/ledger/store"
)

// Succession is a ledger that goes on where another one lost entries, as the first
// entry of the one that goes on declares it.
type Succession struct {
	Origin string `json:"origin"`       // of the ledger that lost entries
	Size   int64  `json:"size"`         // of its last good checkpoint
	Root   string `json:"root"`         // likewise, hexadecimal digits
	Lost   string `json:"lost_entries"` // how many: a number, or unknown
	Reason string `json:"lost_reason"`  // restore, failover or damage
}

// Index: the primary key.
const (
	openingSQL = `
select name, left(value, 256)
from book.details
where ledger_id = $1::uuid and seq = 0
order by ordinal`
	predecessorSQL = `
select u.id, left(value, 256)
from book.details
where ledger_id = u.id and seq = u.n and name = 'predecessor_origin'
order by ordinal`
)

// maxSuccessors is how many ledgers that succeed one are told.
const maxSuccessors = 10

// readSuccessions reads what the ledger succeeds, and which of the other ledgers say
// that they succeed it. That is told, and decides nothing: whoever can post may
// declare a loss.
func (v *verification) readSuccessions(ctx context.Context) (err error) {
	if v.terms == nil {
		return nil
	}
	if v.succeeds, err = v.successionOf(ctx, v.snapshot.LedgerID); err != nil {
		return err
	}
	keys := make([]store.Key, len(v.otherLedgers))
	for i, id := range v.otherLedgers {
		keys[i] = store.Key{ID: id}
	}
	var after []uuid.UUID
	err = v.snapshot.ScanEach(ctx, predecessorSQL, nil, keys, func(r *store.Row) error {
		if string(r.Text(1)) == v.terms.Origin && len(after) < maxSuccessors {
			after = append(after, r.UUID(0))
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("reading which ledgers succeed this one: %w", err)
	}
	slices.SortFunc(after, compareIDs)
	for _, id := range after {
		s, err := v.successionOf(ctx, id)
		if err != nil {
			return err
		}
		if s != nil {
			v.succeededBy = append(v.succeededBy, SucceededBy{id, *s})
		}
	}
	return nil
}

// successionOf reads a succession off the first entry of a ledger, nil when it
// declares none.
func (v *verification) successionOf(ctx context.Context, ledger uuid.UUID) (*Succession, error) {
	details := make(map[string]string)
	err := v.snapshot.Scan(ctx, openingSQL, []any{ledger}, func(r *store.Row) error {
		if len(details) < chain.MaxDetails {
			details[string(r.Text(0))] = string(r.Text(1))
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading how ledger %s was opened: %w", ledger, err)
	}
	size, err := strconv.ParseInt(details["predecessor_size"], 10, 64)
	root, ok := chain.ParseHash(details["predecessor_root"])
	if err != nil || !ok || details["predecessor_origin"] == "" {
		return nil, nil
	}
	return &Succession{details["predecessor_origin"], size, root.String(), details["lost_entries"], details["lost_reason"]}, nil
}

// SucceededBy is a ledger that says that it succeeds the one that was verified.
type SucceededBy struct {
	Ledger uuid.UUID `json:"ledger"`
	Succession
}

// lost says how much.
func (s *Succession) lost() string {
	switch n, err := strconv.ParseInt(s.Lost, 10, 64); {
	case err != nil || n < 0:
		return "an unknown number of entries"
	default:
		return entriesText(n)
	}
}
