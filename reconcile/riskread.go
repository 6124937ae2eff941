package reconcile

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"tallystick/ledger/chain"
	"tallystick/ledger/money"
	"tallystick/ledger/store"
	"tallystick/reconcile/policy"
	"tallystick/reconcile/risk"
)

// What the risk figures rest on is read in one pass in order of seq:
//
//	BalancesAt the as-of size ──▶ risk.Book
//	movements up to there, a page of entries at a time ──▶ risk.History
//
// The balances that the postings state are held against those that their amounts add up to, account by account: a figure
// that does not rest on the amounts is not printed.

// riskPage is how many entries are read at once.
const riskPage = 8192

// maxRiskRows is how many postings are held at once; a page with more is read in smaller pieces.
const maxRiskRows = 1 << 17

// errNotFollowing: amounts and stated balances of an account disagree.
var errNotFollowing = errors.New("the balances do not follow from the amounts")

// riskReader reads a page of entries with their postings.
type riskReader struct {
	from     *store.Snapshot
	at       map[uuid.UUID]int32
	accounts []risk.Account
	book     *risk.Book
	entries  []riskEntry
	rows     []risk.Movement
	sums     []money.Int128 // by account, of the amounts so far
}

// riskEntry is what is known of an entry.
type riskEntry struct {
	day  chain.Date
	kind chain.Kind
}

// riskScope is what is read.
type riskScope struct {
	size     int64 // of the ledger, up to the end of asOf
	asOf     chain.Date
	ledger   string
	base     string // currency
	policy   *policy.Policy
	state    *RiskState // to go on from; may be nil
	keep     bool       // a state for next time
	progress func(done, total int64)
}

// RiskState is what a calculation leaves for the next: the history of the first Size entries.
type RiskState struct {
	Size int64
	Data []byte
}

// readRisk reads what the figures rest on, and returns the state to go on from next time.
func readRisk(ctx context.Context, from *store.Snapshot, scope riskScope) (*risk.Book, *risk.History, RiskState, error) {
	r, err := openRisk(ctx, from, scope.size)
	if err != nil {
		return nil, nil, RiskState{}, err
	}
	if r.book, err = risk.NewBook(scope.ledger, scope.asOf, scope.base, r.accounts, scope.policy); err != nil {
		return nil, nil, RiskState{}, err
	}
	h, first, err := r.begin(ctx, scope)
	if err != nil {
		return nil, nil, RiskState{}, err
	}
	if err := r.read(ctx, h, first, scope); err != nil {
		return nil, nil, RiskState{}, err
	}
	if err := h.Agree(); err != nil && first > 0 { // the state is not that of this ledger: read it all
		scope.state = nil
		return readRisk(ctx, from, scope)
	} else if err != nil {
		return nil, nil, RiskState{}, err
	}
	state := RiskState{Size: scope.size}
	if scope.keep {
		if state.Data, err = h.Save(); err != nil {
			return nil, nil, RiskState{}, err
		}
	}
	h.Close()
	return r.book, h, state, nil
}

// openRisk reads the accounts with their balances.
func openRisk(ctx context.Context, from *store.Snapshot, size int64) (*riskReader, error) {
	balances, err := BalancesAt(ctx, from, size)
	if err != nil {
		return nil, err
	}
	r := &riskReader{from: from, at: make(map[uuid.UUID]int32, len(balances)), sums: make([]money.Int128, len(balances)), accounts: make([]risk.Account, len(balances))}
	accounts := r.accounts
	for i := range balances {
		b := &balances[i]
		r.at[b.ID] = int32(i)
		accounts[i] = risk.Account{Code: b.Code, Type: b.Type.String(), Currency: b.Currency, Scale: b.Scale, Posted: b.Posted}
		if len(b.Tags) > 0 {
			accounts[i].Tags = make(map[string]string, len(b.Tags))
			for _, t := range b.Tags {
				accounts[i].Tags[t.Key] = t.Value
			}
		}
	}
	return r, nil
}

// begin goes on from the state, if there is one that belongs to this policy and book; otherwise from the first entry.
func (r *riskReader) begin(ctx context.Context, scope riskScope) (*risk.History, int64, error) {
	if scope.state == nil || scope.state.Size > scope.size {
		return risk.NewHistory(r.book, scope.policy), 0, nil
	}
	h, err := risk.Resume(r.book, scope.policy, scope.state.Data)
	if errors.Is(err, risk.ErrState) {
		return risk.NewHistory(r.book, scope.policy), 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	before, err := BalancesAt(ctx, r.from, scope.state.Size)
	if err != nil {
		return nil, 0, err
	}
	for i := range before {
		r.sums[r.at[before[i].ID]] = before[i].Posted
	}
	return h, scope.state.Size, nil
}

// read adds the movements of all entries from first on.
func (r *riskReader) read(ctx context.Context, h *risk.History, first int64, scope riskScope) error {
	for low, page := first, int64(riskPage); low < scope.size; {
		high := min(scope.size, low+page)
		err := retry(ctx, func() error { return r.load(ctx, low, high) })
		if errors.Is(err, errSegmentTooLarge) && page > 1 {
			page /= 2
			continue
		}
		if err != nil {
			return err
		}
		for i := range r.rows {
			if err := r.follow(&r.rows[i]); err != nil {
				return err
			}
			h.Add(&r.rows[i])
		}
		low = high
		if scope.progress != nil {
			scope.progress(low-first, scope.size-first)
		}
	}
	return nil
}

// follow holds the balance that a posting states against the amounts up to there.
func (r *riskReader) follow(m *risk.Movement) error {
	sum, ok := r.sums[m.Account].Add(m.Units)
	if !ok || sum != m.Posted {
		return fmt.Errorf("following account %s at entry %d: %w\nhint: run tallystick verify", r.book.Accounts[m.Account].Code, m.Seq, errNotFollowing)
	}
	r.sums[m.Account] = sum
	return nil
}

// Index: the primary key of entries.
const riskEntriesSQL = `
select seq, booking_date, kind
from book.entries
where ledger_id = $1::uuid and seq >= $2::int8 and seq < $3::int8
order by seq`

// Index: the primary key of postings. Holds and releases move no balance.
const riskPostingsSQL = `
select seq, account_id, direction, amount, posted, effective_date
from book.postings
where ledger_id = $1::uuid and seq >= $2::int8 and seq < $3::int8 and amount <> 0
order by seq, ordinal`

// load reads the entries and postings of a range of seq.
func (r *riskReader) load(ctx context.Context, low, high int64) error {
	r.entries, r.rows = r.entries[:0], r.rows[:0]
	args := []any{r.from.LedgerID, low, high}
	err := r.from.Scan(ctx, riskEntriesSQL, args, func(row *store.Row) error {
		seq := row.Int64(0)
		e := riskEntry{day: row.Date(1)}
		var known bool
		if e.kind, known = chain.KindNamed(string(row.Text(2))); !known {
			row.Reject(2)
		}
		if seq != low+int64(len(r.entries)) {
			return fmt.Errorf("reading entry %d: entry %d stands in its place\nhint: run tallystick verify", low+int64(len(r.entries)), seq)
		}
		r.entries = append(r.entries, e)
		return readable(row, "book.entries", seq)
	})
	if err != nil {
		return fmt.Errorf("reading book.entries: %w", err)
	}
	if int64(len(r.entries)) != high-low {
		return fmt.Errorf("reading entries %d to %d: there are %d\nhint: run tallystick verify", low, high-1, len(r.entries))
	}
	if err := r.from.Scan(ctx, riskPostingsSQL, args, func(row *store.Row) error { return r.add(row, low) }); err != nil {
		return fmt.Errorf("reading book.postings: %w", err)
	}
	return nil
}

func (r *riskReader) add(row *store.Row, low int64) error {
	if len(r.rows) == maxRiskRows {
		return errSegmentTooLarge
	}
	seq := row.Int64(0)
	account, ok := r.at[row.UUID(1)]
	if !ok {
		return fmt.Errorf("reading a posting at entry %d: its account is missing\nhint: run tallystick verify", seq)
	}
	scale := r.book.Accounts[account].Scale
	units := row.Units(3, scale)
	switch string(row.Text(2)) {
	case "credit":
		units, _ = units.Neg()
	case "debit":
	default:
		row.Reject(2)
	}
	e := &r.entries[seq-low]
	r.rows = append(r.rows, risk.Movement{Seq: seq, Day: e.day, Valued: row.Date(5), Account: account, Units: units, Posted: row.Units(4, scale), Undo: e.kind == chain.Reversal})
	return readable(row, "book.postings", seq)
}
