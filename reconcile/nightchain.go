package reconcile

import (
	"context"
	"fmt"
	"math/bits"

	"tallystick/ledger/chain"
	"tallystick/ledger/store"
)

// The chain phase is Verify at the size that the run is pinned to. Where not all
// is read, it reads what is new since the run that the increment begins at, and a
// seventh of what lies below:
//
//	0                                          ReadFrom        Size
//	├──┬──┬──┬──┬──┬──┬──┬──┬──┬──┬──┬──┬──┬──┬──┤┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┤
//	 ▓▓                   ▓▓                   ▓▓ ▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓   tonight
//	    ▓▓                   ▓▓                         …           tomorrow
//
// The history is cut into blocks, and a night reads every seventh of them. Which,
// the number of runs on record decides: whoever owns the database cannot choose it
// without changing what was sealed.

const (
	// historyParts is in how many nights the history is read again.
	historyParts = 7
	// blocksANight is about how many blocks a night reads.
	blocksANight = 8
	// leastBlock is how many entries a block has at least.
	leastBlock = 4096
)

// ChainResult is what the chain phase looked at.
type ChainResult struct {
	Size int64  `json:"size"`
	Head string `json:"head"`
	// Whole: all entries were read. Why says in words why so, or why not.
	Whole bool   `json:"whole"`
	Why   string `json:"why"`
	// Read are the entries that were derived again, NotRead those that were taken
	// as they stand.
	Read     []Span  `json:"read"`
	NotRead  []Span  `json:"not_read"`
	Entries  int64   `json:"entries"`
	Postings int64   `json:"postings"`
	Accounts int64   `json:"accounts"`
	Totals   []Total `json:"totals"`
}

func (n *Night) chainPhase(ctx context.Context) error {
	runs, err := n.runsBelow(ctx)
	if err != nil {
		return err
	}
	opts := Options{
		Level: LevelSchema, Workers: n.Workers, Progress: n.tell,
		At: &Cut{Size: n.Snapshot.Size, Head: n.Snapshot.Head}, Spans: n.Plan.spans(n.Snapshot.Size, runs),
	}
	if n.Plan.SignerState != nil {
		opts.Level, opts.SignerState = LevelEvidence, n.Plan.SignerState
	}
	report, err := Verify(ctx, n.DB, n.LedgerID, opts)
	if err != nil {
		return err
	}
	n.Find(report.Findings...)
	if more := report.FindingsTotal - int64(len(report.Findings)); more > 0 {
		n.NotChecked(fmt.Sprintf("%d findings beyond those listed", more))
	}
	for _, what := range report.NotChecked[:report.Scope.Unchecked] {
		n.NotChecked(what)
	}
	result := ChainResult{
		Size: report.Size, Head: report.Head, Whole: n.Plan.Whole, Why: n.Plan.Why, Read: opts.Spans, NotRead: []Span{},
		Entries: report.EntriesChecked, Postings: report.Scope.Postings, Accounts: report.Scope.Accounts, Totals: report.Scope.Totals,
	}
	next := int64(0)
	for _, s := range result.Read {
		if s.From > next {
			result.NotRead = append(result.NotRead, Span{next, s.From})
			n.LeaveOut(s.From - next)
		}
		next = s.To
	}
	return n.Put(ResultOutput, "chain", result)
}

// Index: entries_night.
const runsBelowSQL = `
select count(*) from book.entries
where ledger_id = $1::uuid and kind = 'run' and seq < $2::int8`

// runsBelow counts the runs on record below the cut.
func (n *Night) runsBelow(ctx context.Context) (runs int64, err error) {
	err = retry(ctx, func() error {
		return n.Snapshot.Scan(ctx, runsBelowSQL, []any{n.LedgerID, n.Snapshot.Size}, func(r *store.Row) error {
			runs = r.Int64(0)
			return nil
		})
	})
	return runs, wrap("counting the runs on record", err)
}

// spans returns the entries to read, of a ledger with that size and number of
// runs.
func (p *Plan) spans(size, runs int64) []Span {
	if p.Whole {
		return []Span{{0, size}}
	}
	var all []Span
	add := func(s Span) {
		if last := len(all) - 1; last >= 0 && all[last].To == s.From {
			all[last].To = s.To
		} else if s.Entries() > 0 {
			all = append(all, s)
		}
	}
	block := blockOf(p.ReadFrom)
	for low := runs % historyParts * block; low < p.ReadFrom; low += historyParts * block {
		add(Span{low, min(low+block, p.ReadFrom)})
	}
	add(Span{p.ReadFrom, size})
	return all
}

// blockOf returns how many entries a block of a history has: a power of two, so
// that the blocks stay where they are while it grows, and whole nodes of the tree.
func blockOf(history int64) int64 {
	block := int64(leastBlock)
	if n := history / (historyParts * blocksANight); n > block {
		block = 1 << (bits.Len64(uint64(n)) - 1)
	}
	return max(block, chain.TileWidth)
}
