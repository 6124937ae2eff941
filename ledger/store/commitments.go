package store

import (
	"context"
	"fmt"
	"math"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"tallystick/ledger"
	"tallystick/ledger/chain"
)

// leavesPage is how many accounts BalanceTree looks at together.
const leavesPage = 2_000

// Index: accounts_in_order, whatever the statistics say: the primary key has not
// this order, and would lead through the accounts of all ledgers.
const accountsInOrderSQL = `select ` + accountRowColumns + ` from book.accounts
where (ledger_id, account_id) > ($1::uuid, $2::uuid) and ledger_id <= $1::uuid order by ledger_id, account_id limit $3::int8`

// BalanceTree returns the tree over the balances of all accounts after the first
// size entries, which must be there. With watch, it has the proof of that
// account. It reads every account once, in pages, and holds no transaction.
func (db *DB) BalanceTree(ctx context.Context, id ledger.LedgerID, size int64, watch *ledger.AccountID) (*chain.BalanceTree, error) {
	tree := chain.NewBalanceTree(id.UUID, size)
	if watch != nil {
		tree.Watch(watch.UUID)
	}
	for last := uuid.Nil; ; {
		page, err := db.accountRows(ctx, accountsInOrderSQL, uuidOf(&id.UUID), uuidOf(&last), int64(leavesPage))
		if err != nil {
			return nil, err
		}
		if len(page) == 0 {
			return tree, nil
		}
		last = page[len(page)-1].AccountID
		leaves, err := db.balanceLeaves(ctx, id, page, size)
		if err != nil {
			return nil, err
		}
		for i := range leaves {
			if err := tree.Append(&leaves[i]); err != nil {
				return nil, fmt.Errorf("reading the balances of ledger %s at size %d: %w: %w", id, size, ErrDamaged, err)
			}
		}
	}
}

// balanceLeaves returns the states of the accounts of a page that were opened
// before entry size, as its postings left them, however long ago. It searches as
// balancesAt does.
func (db *DB) balanceLeaves(ctx context.Context, id ledger.LedgerID, page []*ledger.Account, size int64) ([]chain.BalanceLeaf, error) {
	leaves, byID := make([]chain.BalanceLeaf, 0, len(page)), make(map[uuid.UUID]int, len(page))
	var places []place
	for _, a := range page {
		if a.OpenedSeq >= size {
			continue
		}
		byID[a.AccountID] = len(leaves)
		leaves = append(leaves, chain.BalanceLeaf{LedgerID: id.UUID, Size: size, AccountID: a.AccountID, Currency: a.Currency, Scale: a.Scale})
		places = append(places, place{a.AccountID, math.MaxInt64})
	}
	search := make(map[uuid.UUID]halving)
	var short []place
	read := func(row pgx.Row) error {
		at, p, err := scanPosting(row)
		switch {
		case err != nil:
			return err
		case at < size:
			l := &leaves[byID[p.AccountID]]
			l.AccountSeq, l.Posted, l.PendingDebit, l.PendingCredit = p.AccountSeq, p.Posted, p.PendingDebit, p.PendingCredit
		case p.AccountSeq <= walkedBack:
			short = append(short, place{p.AccountID, size - 1})
		default:
			search[p.AccountID] = halving{high: p.AccountSeq}
		}
		return nil
	}
	err := db.latest(ctx, numberedPosting, places, read)
	if err == nil {
		err = db.latest(ctx, latestPosting, short, read)
	}
	if err == nil {
		err = db.halve(ctx, search, size-1)
	}
	if err == nil {
		places = places[:0]
		for account, h := range search {
			if h.low > 0 {
				places = append(places, place{account, h.low})
			}
		}
		err = db.latest(ctx, numberedPosting, places, read)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the balances of ledger %s at size %d: %w", id, size, err)
	}
	return leaves, nil
}

// Index: entries_commitments.
const commitmentsSQL = `select seq from book.entries
where ledger_id = $1::uuid and kind = 'balance_commitment' and seq <= $2::int8 order by seq desc limit $3::int8`

// Commitments returns up to limit balance commitments up to entry from, the
// newest first.
func (db *DB) Commitments(ctx context.Context, id ledger.LedgerID, from int64, limit int) ([]ledger.Entry, error) {
	seqs, err := db.seqs(ctx, commitmentsSQL, uuidOf(&id.UUID), from, int64(limit))
	if err != nil {
		return nil, err
	}
	entries, err := db.entriesAt(ctx, id, seqs, false)
	if err != nil {
		return nil, err
	}
	for i, j := 0, len(entries)-1; i < j; i, j = i+1, j-1 {
		entries[i], entries[j] = entries[j], entries[i]
	}
	for i := range entries {
		if r := entries[i].Record(); !entries[i].Intact() || r.Check() != nil {
			return nil, fmt.Errorf("reading entry %d: %w", r.Seq, ErrDamaged)
		}
	}
	return entries, nil
}
