package reconcile

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"tallystick/ledger/chain"
	"tallystick/ledger/store"
)

// Words of pins.Scope.
const (
	wholeScope     = "whole"
	incrementScope = "increment"
)

// plan decides which entries are read, and gives the run its key. A run that is
// there already under either key is the one that is meant, unless the caller says
// which.
func (n *Night) plan(ctx context.Context, o *NightOptions, p *pins) error {
	whole, increment := *p, *p
	whole.Scope, increment.Scope = wholeScope, incrementScope
	why, err := n.increment(ctx, o, &increment)
	if err != nil {
		return err
	}
	use := func(c *pins) {
		*p = *c
		n.Plan = Plan{Whole: c.Scope == wholeScope, ReadFrom: c.ReadFrom, Why: c.Why, SignerState: o.SignerState}
		n.Key = n.key(c)
	}
	switch {
	case o.Reading == ReadWhole:
		whole.Why = "it was asked for"
		use(&whole)
		return nil
	case why != "":
		whole.Why = why
		use(&whole)
		return nil
	case o.Reading == ReadIncrement:
		increment.Why = "it was asked for"
		use(&increment)
		return nil
	}
	chosen := []*pins{&whole, &increment}
	whole.Why = fmt.Sprintf("up to %d entries are read whole", MostReadWhole)
	increment.Why = fmt.Sprintf("more than %d entries are not read whole every night", MostReadWhole)
	if n.Snapshot.Size > MostReadWhole {
		chosen = []*pins{&increment, &whole}
	}
	for _, c := range chosen {
		_, err := n.DB.RunByKey(ctx, n.LedgerID, n.key(c))
		switch {
		case err == nil:
			use(c)
			return nil
		case !errors.Is(err, store.ErrNotFound):
			return err
		}
	}
	use(chosen[0])
	return nil
}

// increment says from where on an increment reads, or why there cannot be one:
// where it begins must come from outside the database, or be bound by what does.
// That is the signer's state; it covers the run entry that the increment goes on
// from.
func (n *Night) increment(ctx context.Context, o *NightOptions, p *pins) (why string, err error) {
	if o.SignerState == nil {
		return "there is no signer's state to begin an increment from", nil
	}
	state, err := readSignerState(o.SignerState, n.LedgerID.String())
	switch {
	case err != nil:
		return err.Error(), nil
	case state == nil:
		return "the signer's state does not have this ledger", nil
	}
	size, err := n.lastPassed(ctx, state.Size)
	switch {
	case err != nil:
		return "", err
	case size == 0:
		return "no run that passed is on record before this day and below the signer's state", nil
	}
	p.ReadFrom = size
	return "", nil
}

// Index: entries_night, read backwards.
const runEntriesSQL = `
select seq from book.entries
where ledger_id = $1::uuid and kind = 'run' and seq < $2::int8
order by seq desc
limit $3::int8`

// lastPassed returns the size of the newest run that passed, was pinned below
// the cut, and whose entry the signer's state covers; 0 when there is none.
func (n *Night) lastPassed(ctx context.Context, covered int64) (int64, error) {
	for before := min(covered, n.Present); ; {
		var seqs []int64
		err := n.Snapshot.Scan(ctx, runEntriesSQL, []any{n.LedgerID, before, int64(tailPage)}, func(r *store.Row) error {
			seqs = append(seqs, r.Int64(0))
			return nil
		})
		if err != nil || len(seqs) == 0 {
			return 0, wrap("looking for the last run that passed", err)
		}
		said := make(map[int64]map[string]string, len(seqs))
		err = n.Snapshot.Scan(ctx, ruleDetailsSQL, []any{n.LedgerID, seqs}, func(r *store.Row) error {
			seq := r.Int64(0)
			if said[seq] == nil {
				said[seq] = make(map[string]string)
			}
			said[seq][string(r.Text(1))] = string(r.Text(2))
			return nil
		})
		if err != nil {
			return 0, fmt.Errorf("reading the last runs: %w", err)
		}
		for _, seq := range seqs { // newest first
			size, err := strconv.ParseInt(said[seq]["size"], 10, 64)
			if err == nil && said[seq]["result"] == chain.RunPassed && 0 < size && size < n.Snapshot.Size {
				return size, nil
			}
		}
		before = seqs[len(seqs)-1]
	}
}
