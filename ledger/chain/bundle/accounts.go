package bundle

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/google/uuid"

	"tallystick/ledger/chain"
	"tallystick/ledger/money"
)

// MaxAccounts is how many accounts are followed: about 4 GB at the most for each
// worker. Beyond it a report is INCOMPLETE.
const MaxAccounts = 1 << 24

// account is what is known of an account in a stripe, or in all joined so far.
type account struct {
	id       uuid.UUID
	code     string // empty until it was opened
	currency string // as it was opened; empty until that is known
	last     string // that of the newest posting
	scale    uint8
	lastAt   uint8 // the scale of the newest posting
	opened   bool
	openedAt int64
	begins   int32 // its first posting, in accounts.firsts; −1: none, or it was followed

	accountSeq    int64 // of the newest posting, 0 without one
	posted        money.Int128
	pendingDebit  money.Int128
	pendingCredit money.Int128
}

// first is an account's first posting in a stripe, to be held against what the
// stripes before left.
type first struct {
	seq     int64
	request uuid.UUID
	posting chain.Posting
}

// accounts are those of a stripe, by id. Where the stripe is the first of the
// ledger they begin with nothing; in others, what the first posting of each
// follows is not known yet.
type accounts struct {
	leading bool // the stripe is the first
	limit   int
	places  map[uuid.UUID]int32
	recent  [recentAccounts]int32 // by the last bits of their ids: place + 1 of who was met there last
	list    []account
	firsts  []first
	changes []first // postings in another currency than the one before, on accounts opened elsewhere
}

// maxChanges is how many changes are kept until the account's currency is known.
const maxChanges = 1 << 16

func newAccounts(leading bool, limit int) *accounts {
	return &accounts{leading: leading, limit: limit, places: make(map[uuid.UUID]int32)}
}

// recentAccounts is how many places are found without a look into the map, which
// takes longer than everything else that is done with a posting. It is a power
// of two.
const recentAccounts = 1 << 16

// find returns the account, new when it was not met before; nil at the limit.
func (a *accounts) find(id *uuid.UUID) *account {
	recent := &a.recent[binary.BigEndian.Uint32(id[12:])%recentAccounts]
	if *recent > 0 {
		if x := &a.list[*recent-1]; x.id == *id {
			return x
		}
	}
	i, ok := a.places[*id]
	if !ok {
		if len(a.list) == a.limit {
			return nil
		}
		i = int32(len(a.list))
		a.places[*id] = i
		a.list = append(a.list, account{id: *id, begins: -1})
	}
	*recent = i + 1
	return &a.list[i]
}

// open takes an account_opened entry.
func (a *accounts) open(e *chain.Entry, f *findings) {
	x := a.find(&e.Account.AccountID)
	switch {
	case x == nil:
		f.notChecked(e.Seq, tooManyAccounts(a.limit))
	case x.opened:
		f.add(finding{code: AccountStateMismatch, seq: e.Seq, request: e.RequestID, account: x.id, stored: "opened a second time as " + e.Account.Code})
	default:
		if x.accountSeq > 0 && (x.last != e.Account.Currency || x.lastAt != e.Account.Scale) {
			f.add(finding{code: CurrencyMismatch, seq: e.Seq, request: e.RequestID, account: x.id,
				stored: inCurrency(x.last, x.lastAt), recomputed: inCurrency(e.Account.Currency, e.Account.Scale)})
		}
		x.opened, x.openedAt, x.code = true, e.Seq, e.Account.Code
		x.currency, x.scale = e.Account.Currency, e.Account.Scale
	}
}

func tooManyAccounts(limit int) string {
	return fmt.Sprintf("there are more than the %d accounts that are followed", limit)
}

func inCurrency(code string, scale uint8) string {
	return fmt.Sprintf("%s with %d decimals", code, scale)
}

// post holds a posting against the one before it on its account.
func (a *accounts) post(p *chain.Posting, seq int64, request *uuid.UUID, f *findings) {
	x := a.find(&p.AccountID)
	switch {
	case x == nil:
		f.notChecked(seq, tooManyAccounts(a.limit))
		return
	case x.accountSeq == 0 && !a.leading: // what it follows stands in another stripe
		x.begins = int32(len(a.firsts))
		a.firsts = append(a.firsts, first{seq, *request, *p})
		if x.opened {
			checkCurrency(x, p, seq, request, f)
		}
	case p.Currency == x.last && p.Scale == x.lastAt:
		follow(x, p, seq, request, f)
	case x.currency == "" && !a.leading:
		follow(x, p, seq, request, f)
		if len(a.changes) == maxChanges {
			f.notChecked(seq, fmt.Sprintf("the currency changes on more than %d postings", maxChanges))
		} else {
			a.changes = append(a.changes, first{seq, *request, *p})
		}
	default:
		follow(x, p, seq, request, f)
		checkCurrency(x, p, seq, request, f)
	}
	x.last, x.lastAt = p.Currency, p.Scale
	x.accountSeq = p.AccountSeq
	x.posted, x.pendingDebit, x.pendingCredit = p.Posted, p.PendingDebit, p.PendingCredit
}

// checkCurrency holds a posting in another currency than the one before against
// its account. What goes on in the wrong currency is reported where it begins.
func checkCurrency(x *account, p *chain.Posting, seq int64, request *uuid.UUID, f *findings) {
	switch {
	case x.currency == "":
		f.add(finding{code: AccountMissing, seq: seq, request: *request, account: x.id, stored: "not opened before this entry"})
		x.currency, x.scale = p.Currency, p.Scale // said once
	case p.Currency != x.currency || p.Scale != x.scale:
		f.add(finding{code: CurrencyMismatch, seq: seq, request: *request, account: x.id,
			stored: inCurrency(p.Currency, p.Scale), recomputed: inCurrency(x.currency, x.scale)})
	}
}

// follow holds I9 at one posting, given the state before it.
func follow(x *account, p *chain.Posting, seq int64, request *uuid.UUID, f *findings) {
	if p.AccountSeq != x.accountSeq+1 {
		f.add(finding{code: AccountSeqGap, seq: seq, request: *request, account: x.id, column: "account_seq",
			stored: fmt.Sprint(p.AccountSeq), recomputed: fmt.Sprint(x.accountSeq + 1)})
		return
	}
	posted, ok := x.posted.Add(p.Amount)
	debit, credit, fits := x.pendingDebit, x.pendingCredit, true
	if p.Direction == chain.Credit {
		posted, ok = x.posted.Sub(p.Amount)
		credit, fits = credit.Add(p.PendingChange)
	} else {
		debit, fits = debit.Add(p.PendingChange)
	}
	if ok && fits && p.Posted == posted && p.PendingDebit == debit && p.PendingCredit == credit {
		return
	}
	broken := finding{code: BalanceChainBreak, seq: seq, request: *request, account: x.id}
	if !ok || !fits {
		broken.recomputed = "beyond 128 bits"
		f.add(broken)
		return
	}
	for _, b := range []struct {
		column             string
		stored, recomputed money.Int128
	}{
		{"posted", p.Posted, posted},
		{"pending_debit", p.PendingDebit, debit},
		{"pending_credit", p.PendingCredit, credit},
	} {
		if b.stored != b.recomputed {
			broken.column, broken.stored, broken.recomputed = b.column, b.stored.Format(p.Scale), b.recomputed.Format(p.Scale)
			f.add(broken)
		}
	}
}

// checkCodes looks for codes that several accounts have. Of those that have one,
// each but the first is reported, where it was opened.
func (a *accounts) checkCodes(f *findings) {
	order := sorted(a.list)
	slices.SortFunc(order, func(i, j int32) int {
		return cmp.Or(strings.Compare(a.list[i].code, a.list[j].code), cmp.Compare(a.list[i].openedAt, a.list[j].openedAt))
	})
	for n := 1; n < len(order); n++ {
		before, x := &a.list[order[n-1]], &a.list[order[n]]
		if x.code == before.code {
			f.add(finding{code: AccountStateMismatch, seq: x.openedAt, account: x.id, column: "code",
				stored: x.code + ", as account " + before.id.String() + " has it too", recomputed: "another account for each code"})
		}
	}
}

// clone returns a copy that goes its own way.
func (a *accounts) clone() *accounts {
	return &accounts{leading: a.leading, limit: a.limit, places: maps.Clone(a.places), list: slices.Clone(a.list), firsts: a.firsts, changes: a.changes}
}

// join adds the accounts of the stripe that follows.
func (a *accounts) join(next *accounts, f *findings) {
	for i := range next.list {
		n := &next.list[i]
		x := a.find(&n.id)
		if x == nil {
			f.notChecked(noSeq, tooManyAccounts(a.limit))
			return
		}
		if n.begins >= 0 {
			b := &next.firsts[n.begins]
			follow(x, &b.posting, b.seq, &b.request, f)
			opened := n.opened && n.openedAt < b.seq // then its currency was looked at there
			if !opened && (b.posting.Currency != x.last || b.posting.Scale != x.lastAt) {
				checkCurrency(x, &b.posting, b.seq, &b.request, f)
			}
		}
		if n.opened && x.opened {
			f.add(finding{code: AccountStateMismatch, seq: n.openedAt, account: x.id, stored: "opened a second time as " + n.code})
		}
		x.take(n)
	}
	for i := range next.changes {
		c := &next.changes[i]
		checkCurrency(a.find(&c.posting.AccountID), &c.posting, c.seq, &c.request, f)
	}
}

// take moves the state on to what the next stripe left.
func (x *account) take(n *account) {
	if n.opened && !x.opened {
		x.opened, x.openedAt, x.code, x.currency, x.scale = true, n.openedAt, n.code, n.currency, n.scale
	}
	if n.accountSeq == 0 {
		return
	}
	x.last, x.lastAt = n.last, n.lastAt
	x.accountSeq = n.accountSeq
	x.posted, x.pendingDebit, x.pendingCredit = n.posted, n.pendingDebit, n.pendingCredit
}

// sorted returns the places of the accounts that were opened, in ascending
// order of their ids.
func sorted(list []account) []int32 {
	order := make([]int32, 0, len(list))
	for i := range list {
		if list[i].opened {
			order = append(order, int32(i))
		}
	}
	slices.SortFunc(order, func(i, j int32) int { return bytes.Compare(list[i].id[:], list[j].id[:]) })
	return order
}

// leaf returns the account's leaf in the balance tree.
func (x *account) leaf(ledger uuid.UUID, size int64) chain.BalanceLeaf {
	return chain.BalanceLeaf{
		LedgerID: ledger, Size: size, AccountID: x.id, Currency: x.currency, Scale: x.scale, AccountSeq: x.accountSeq,
		Posted: x.posted, PendingDebit: x.pendingDebit, PendingCredit: x.pendingCredit,
	}
}

// appendState appends the bytes of the leaf.
func (x *account) appendState(dst []byte, ledger uuid.UUID, size int64) []byte {
	l := x.leaf(ledger, size)
	return l.AppendCanonical(dst)
}

// balanceRoot returns the root of the balance tree, and how many leaves it has.
func balanceRoot(list []account, ledger uuid.UUID, size int64) (chain.Hash, int) {
	var tree chain.Frontier
	leaf := make([]byte, 0, leafBuffer)
	order := sorted(list)
	for _, i := range order {
		leaf = list[i].appendState(append(leaf[:0], 0x00), ledger, size)
		tree.Append(chain.LeafHash(leaf))
	}
	return tree.Root(), len(order)
}

// leafBuffer is more than a leaf of the balance tree takes.
const leafBuffer = 256

// Total is what the balances of a currency add up to, in natural units: those on
// the debit side, which are equal to those on the credit side unless a finding
// says otherwise, and what is held.
type Total struct{ Currency, Debits, Credits, Pending string }

type currency struct {
	code  string
	scale uint8
}

type sums struct {
	debits, credits, pendingDebit, pendingCredit money.Int128
	overflow                                     bool
}

// totals adds up all balances. It holds no more currencies than accounts.
func totals(list []account) map[currency]*sums {
	all := make(map[currency]*sums)
	for i := range list {
		x := &list[i]
		if x.currency == "" {
			continue // neither opened nor posted to
		}
		key := currency{x.currency, x.scale}
		s := all[key]
		if s == nil {
			s = new(sums)
			all[key] = s
		}
		side, amount := &s.debits, x.posted
		if x.posted.Sign() < 0 {
			side = &s.credits
			amount, _ = amount.Neg()
		}
		var fits [3]bool
		*side, fits[0] = side.Add(amount)
		s.pendingDebit, fits[1] = s.pendingDebit.Add(x.pendingDebit)
		s.pendingCredit, fits[2] = s.pendingCredit.Add(x.pendingCredit)
		s.overflow = s.overflow || !fits[0] || !fits[1] || !fits[2]
	}
	return all
}
