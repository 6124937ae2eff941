package reconcile_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"tallystick/ledger/chain"
	"tallystick/ledger/store/storetest"
	"tallystick/reconcile"
)

// misuses are ledgers whose chain is sound, made by whoever has the
// application's secrets and dropped the unique keys of the book. They begin with
// the seven entries of small.
var misuses = []forgery{
	{"a hold captured whole", func(b *book) {
		h := b.hold("customers:1", "cash", 10, time.Hour)
		b.settle(chain.Capture, h, b.move("customers:1", "cash", 10, -10))
	}, []string{}},
	{"a capture of a transfer", func(b *book) {
		h := b.hold("customers:1", "cash", 10, 0)
		t := b.transfer("customers:1", "cash", 10)
		b.settle(chain.Capture, t, b.move("customers:1", "cash", 10, -10)) // 9
		_ = h
	}, []string{"HOLD_INVALID@9"}},
	{"a release of an opening", func(b *book) {
		b.hold("customers:1", "cash", 10, 0)
		b.append(chain.Entry{Kind: chain.Release, RefSeq: new(int64(2)), Postings: b.move("customers:1", "cash", 0, -10)}, words{}) // 8
	}, []string{"HOLD_INVALID@8"}},
	{"a hold captured twice", func(b *book) {
		h := b.hold("customers:1", "cash", 10, 0)
		b.hold("customers:1", "cash", 10, 0)                               // what the second takes away
		b.settle(chain.Capture, h, b.move("customers:1", "cash", 10, -10)) // 9
		b.settle(chain.Capture, h, b.move("customers:1", "cash", 10, -10)) // 10
	}, []string{"HOLD_INVALID@10"}},
	{"a hold captured and released, and released again", func(b *book) {
		h := b.hold("customers:1", "cash", 10, 0)
		b.hold("customers:1", "cash", 20, 0)
		b.settle(chain.Capture, h, b.move("customers:1", "cash", 4, -10)) // 9
		b.release(h)                                                      // 10
		b.release(h)                                                      // 11
	}, []string{"HOLD_INVALID@10", "HOLD_INVALID@11"}},
	{"a hold captured twice, with nothing left to take away", func(b *book) {
		h := b.hold("customers:1", "cash", 10, 0)
		b.settle(chain.Capture, h, b.move("customers:1", "cash", 10, -10))
		b.settle(chain.Capture, h, b.move("customers:1", "cash", 10, -10)) // 9
	}, []string{"HOLD_INVALID@9", "ENTRY_MALFORMED@9"}},
	{"a capture on another account", func(b *book) {
		h := b.hold("customers:1", "cash", 10, 0)
		b.hold("customers:2", "cash", 10, 0)
		b.settle(chain.Capture, h, b.move("customers:2", "cash", 10, -10)) // 9
	}, []string{"HOLD_INVALID@9"}},
	{"a capture on the other side", func(b *book) {
		h := b.hold("customers:1", "cash", 10, 0)
		b.hold("cash", "customers:1", 10, 0)
		b.settle(chain.Capture, h, []chain.Posting{b.post("customers:1", chain.Credit, 10, -10), b.post("cash", chain.Debit, 10, -10)}) // 9
	}, []string{"HOLD_INVALID@9"}},
	{"a capture with its postings in another order", func(b *book) {
		h := b.hold("customers:1", "cash", 10, 0)
		b.settle(chain.Capture, h, []chain.Posting{b.post("cash", chain.Credit, 10, -10), b.post("customers:1", chain.Debit, 10, -10)})
	}, []string{}},
	{"a capture without one of the hold's postings", func(b *book) {
		h := b.append(chain.Entry{Kind: chain.Hold, Postings: []chain.Posting{
			b.post("customers:1", chain.Debit, 0, 10), b.post("cash", chain.Credit, 0, 6), b.post("customers:2", chain.Credit, 0, 4)}}, words{})
		b.settle(chain.Capture, h, []chain.Posting{b.post("customers:1", chain.Debit, 6, -6), b.post("cash", chain.Credit, 6, -6)}) // 8
	}, []string{"HOLD_INVALID@8"}},
	{"a capture that leaves part of the hold standing", func(b *book) {
		h := b.hold("customers:1", "cash", 10, 0)
		b.settle(chain.Capture, h, b.move("customers:1", "cash", 4, -4)) // 8
	}, []string{"HOLD_INVALID@8"}},
	{"a capture of more than was held", func(b *book) {
		h := b.hold("customers:1", "cash", 10, 0)
		b.settle(chain.Capture, h, b.move("customers:1", "cash", 11, -10)) // 8
	}, []string{"HOLD_INVALID@8"}},
	{"a capture of a part that does not balance", func(b *book) {
		h := b.hold("customers:1", "cash", 10, 0)
		b.settle(chain.Capture, h, []chain.Posting{b.post("customers:1", chain.Debit, 5, -10), b.post("cash", chain.Credit, 4, -10)}) // 8
	}, []string{"UNBALANCED_ENTRY@8", "CURRENCY_NOT_ZERO"}},
	{"a release of less than was held", func(b *book) {
		h := b.hold("customers:1", "cash", 10, 0)
		b.settle(chain.Release, h, b.move("customers:1", "cash", 0, -9)) // 8
	}, []string{"HOLD_INVALID@8"}},
	{"a release that books", func(b *book) {
		h := b.hold("customers:1", "cash", 10, 0)
		b.settle(chain.Release, h, b.move("customers:1", "cash", 5, -10)) // 8
	}, []string{"ENTRY_MALFORMED@8", "ENTRY_MALFORMED@8"}},
	{"a capture that adds to a hold", func(b *book) {
		h := b.hold("customers:1", "cash", 10, 0)
		b.settle(chain.Capture, h, b.move("customers:1", "cash", 5, 10)) // 8
	}, []string{"HOLD_INVALID@8", "ENTRY_MALFORMED@8", "ENTRY_MALFORMED@8"}},
	{"captures just in time and too late", func(b *book) {
		early, late := b.hold("customers:1", "cash", 10, 5*time.Second), b.hold("customers:1", "cash", 10, time.Second+time.Minute)
		b.now = time.UnixMicro(*early.ExpiresAt - 1_000_001)
		b.settle(chain.Capture, early, b.move("customers:1", "cash", 10, -10)) // 9: a microsecond before
		b.now = time.UnixMicro(*late.ExpiresAt - 1_000_000)
		b.settle(chain.Capture, late, b.move("customers:1", "cash", 10, -10)) // 10: at that time
	}, []string{"HOLD_INVALID@10"}},
	{"releases by the ledger itself", func(b *book) {
		due, early, never := b.hold("customers:1", "cash", 10, time.Minute), b.hold("customers:1", "cash", 10, time.Hour), b.hold("customers:1", "cash", 10, 0)
		asked := b.hold("customers:1", "cash", 10, time.Hour)
		b.now = time.UnixMicro(*due.ExpiresAt - 1_000_000)
		b.byItself = true
		b.release(due) // 11
		b.byItself = true
		b.release(early) // 12
		b.byItself = true
		b.release(never) // 13
		b.release(asked) // 14: somebody asked for it
	}, []string{"HOLD_INVALID@12", "HOLD_INVALID@13"}},
	{"a hold that has expired when it is made", func(b *book) {
		b.hold("customers:1", "cash", 10, time.Second+time.Microsecond)
		b.hold("customers:1", "cash", 10, time.Second) // 8
	}, []string{"HOLD_INVALID@8"}},
	{"a settlement of what comes later", func(b *book) {
		b.hold("customers:1", "cash", 10, 0)
		b.append(chain.Entry{Kind: chain.Release, RefSeq: new(int64(9)), Postings: b.move("customers:1", "cash", 0, -10)}, words{}) // 8
		b.hold("customers:1", "cash", 10, 0)
	}, []string{"HOLD_INVALID@8", "ENTRY_MALFORMED@8"}},

	{"a reversal", func(b *book) { b.reverse(b.transfer("customers:1", "cash", 10)) }, []string{}},
	{"a reversal of a capture, whose hold had a leg left out", func(b *book) {
		h := b.append(chain.Entry{Kind: chain.Hold, Postings: []chain.Posting{
			b.post("customers:2", chain.Credit, 0, 4), b.post("customers:1", chain.Debit, 0, 10), b.post("cash", chain.Credit, 0, 6)}}, words{})
		c := b.settle(chain.Capture, h, []chain.Posting{
			b.post("customers:2", chain.Credit, 0, -4), b.post("customers:1", chain.Debit, 6, -10), b.post("cash", chain.Credit, 6, -6)})
		b.reverse(c)
	}, []string{}},
	{"a reversal of a hold, a reversal and an opening", func(b *book) {
		h := b.hold("customers:1", "cash", 10, 0)
		b.settle(chain.Reversal, h, b.move("cash", "customers:1", 10, 0))                                                           // 8
		r := b.reverse(b.transfer("customers:1", "cash", 10))                                                                       // 10
		b.reverse(r)                                                                                                                // 11
		b.append(chain.Entry{Kind: chain.Reversal, RefSeq: new(int64(2)), Postings: b.move("customers:1", "cash", 10, 0)}, words{}) // 12
	}, []string{"REVERSAL_INVALID@8", "REVERSAL_INVALID@11", "REVERSAL_INVALID@12"}},
	{"a transfer reversed three times", func(b *book) {
		t := b.transfer("customers:1", "cash", 10) // 7
		b.reverse(t)
		b.reverse(t) // 9
		b.reverse(t)
	}, []string{"REVERSAL_INVALID@9", "REVERSAL_INVALID@10"}},
	{"a reversal of less", func(b *book) {
		b.settle(chain.Reversal, b.transfer("customers:1", "cash", 10), b.move("cash", "customers:1", 9, 0))
	}, []string{"REVERSAL_INVALID@8"}},
	{"a reversal in the same direction", func(b *book) {
		b.settle(chain.Reversal, b.transfer("customers:1", "cash", 10), b.move("customers:1", "cash", 10, 0))
	}, []string{"REVERSAL_INVALID@8"}},
	{"a reversal onto another account", func(b *book) {
		b.settle(chain.Reversal, b.transfer("customers:1", "cash", 10), b.move("cash", "customers:2", 10, 0))
	}, []string{"REVERSAL_INVALID@8"}},
	{"a reversal of a part", func(b *book) {
		t := b.append(chain.Entry{Kind: chain.Transfer, Postings: append(b.move("customers:1", "cash", 10, 0), b.move("customers:2", "till", 5, 0)...)}, words{})
		b.settle(chain.Reversal, t, b.move("cash", "customers:1", 10, 0))
	}, []string{"REVERSAL_INVALID@8"}},

	{"a capture on a frozen side", func(b *book) {
		h, other := b.hold("customers:1", "cash", 10, 0), b.hold("customers:1", "cash", 10, 0)
		b.change("customers:1", func(a *chain.Account) { a.Frozen = chain.FrozenDebits })                                                                   // 9
		b.settle(chain.Capture, h, b.move("customers:1", "cash", 10, -10))                                                                                  // 10
		b.release(other)                                                                                                                                    // 11: takes nothing
		b.change("customers:1", func(a *chain.Account) { a.Frozen = chain.FrozenNone })                                                                     // 12
		h = b.append(chain.Entry{Kind: chain.Hold, Postings: append(b.move("customers:1", "cash", 0, 5), b.move("customers:2", "till", 0, 5)...)}, words{}) // 13
		b.change("customers:1", func(a *chain.Account) { a.Frozen = chain.FrozenAll })                                                                      // 14
		b.settle(chain.Capture, h, append(b.move("customers:1", "cash", 0, -5), b.move("customers:2", "till", 5, -5)...))                                   // 15: a leg of nothing
	}, []string{"ACCOUNT_FROZEN_POSTING@10"}},
	{"a reversal on a closed account", func(b *book) {
		t := b.transfer("customers:2", "cash", 10)
		b.reverse(t)
		t = b.transfer("cash", "customers:2", 10)
		b.transfer("customers:2", "cash", 10)
		b.change("customers:2", func(a *chain.Account) { a.Closed = true })
		b.reverse(t) // 12
	}, []string{"ACCOUNT_CLOSED_POSTING@12"}},
}

// dropOnce takes away the keys by which the book sees to it that things happen once.
func dropOnce(tb testing.TB, conn *pgx.Conn) {
	tb.Helper()
	for _, index := range []string{"book.i12_entries_settled", "book.i12_entries_reversed", "book.i12_entries_erased", "book.entries_rules", "book.entries_keys"} {
		mustExec(tb, conn, "drop index "+index)
	}
}

func TestWhatRefersToAnEntryIsHeldAgainstIt(t *testing.T) {
	t.Parallel()
	allFound(t, misuses)
}

// allFound verifies ledgers, all in one database without the keys that would
// keep some from being made.
func allFound(t *testing.T, made []forgery) {
	t.Helper()
	storetest.Each(t, func(t *testing.T, url string) {
		conn := connect(t, url)
		dropOnce(t, conn)
		loosen(t, conn, "postings") // what is taken away twice may leave less than nothing
		for _, f := range made {
			b := smallNamed(f.name)
			f.make(b)
			b.write(t, conn)
			report := verify(t, url, b.ledger)
			if got := codes(report.Findings); !slices.Equal(got, f.want) {
				t.Errorf("%s: found %v, want %v\n%s", f.name, got, f.want, details(report.Findings))
			}
			sameNarrowly(t, url, b.ledger, &report)
		}
	})
}

// mixed is a ledger of many entries of all kinds, none of which is wrong.
func mixed(name string, rounds int) *book {
	b := newBook(name)
	b.define("POINTS", 0)
	for i := range 6 {
		b.open(fmt.Sprintf("customers:%d", i), chain.Liability, nil)
	}
	b.open("cash", chain.Asset, nil)
	b.open("fees", chain.Revenue, nil)
	b.open("equity:retained", chain.Equity, nil)
	for _, code := range []string{"points:given", "points:due"} {
		b.open(code, chain.Asset, func(a *chain.Account) { a.Currency, a.Scale = "POINTS", 0 })
	}
	m := &mixer{book: b, state: 1}
	for range rounds {
		m.step()
	}
	return b
}

// mixer remembers what entries may act on.
type mixer struct {
	*book
	state        uint64
	held, booked []chain.Entry
	closings     []chain.Entry
	closed       chain.Date
	fees         int64
	frozen       bool
	changes      int
}

func (m *mixer) below(n int) int {
	m.state = m.state*6364136223846793005 + 1442695040888963407
	return int(m.state >> 33 % uint64(n))
}

// customer returns an account that is never frozen.
func (m *mixer) customer() string { return fmt.Sprintf("customers:%d", 1+m.below(5)) }

// take removes a random element of list.
func (m *mixer) take(list *[]chain.Entry) (e chain.Entry, ok bool) {
	if len(*list) == 0 {
		return e, false
	}
	i := m.below(len(*list))
	e = (*list)[i]
	*list = slices.Delete(*list, i, i+1)
	return e, true
}

func (m *mixer) step() {
	switch n := m.below(100); {
	case n < 25:
		m.booked = append(m.booked, m.transfer("cash", m.customer(), int64(1+m.below(1000))))
	case n < 30:
		m.transfer(m.customer(), "fees", 7)
		m.fees += 7
	case n < 33:
		m.booked = append(m.booked, m.append(chain.Entry{Kind: chain.Transfer, Postings: append(m.move("points:given", "points:due", 5, 0), m.move("cash", m.customer(), 5, 0)...)}, words{}))
	case n < 55:
		m.held = append(m.held, m.makeHold())
	case n < 70:
		m.capture()
	case n < 78:
		m.giveBack()
	case n < 86:
		if e, ok := m.take(&m.booked); ok {
			m.reverse(e)
		}
	case n < 90:
		m.backValued()
	case n < 92:
		m.closePeriod()
	case n < 93 && len(m.closings) > 0:
		last := len(m.closings) - 1
		m.reopen(m.closings[last])
		m.closings = m.closings[:last]
		if m.closed = 0; last > 0 {
			end, _ := m.closings[last-1].Detail("period_end")
			m.closed, _ = chain.ParseDate(end)
		}
	case n < 95 && m.changes < 4: // as many versions of an account as narrow bounds hold
		m.frozen = !m.frozen
		m.changes++
		m.change("customers:0", func(a *chain.Account) {
			if a.Frozen = chain.FrozenNone; m.frozen {
				a.Frozen = chain.FrozenAll
			}
		})
	default:
		m.now = m.now.Add(11 * time.Hour)
	}
}

func (m *mixer) makeHold() chain.Entry {
	expires := time.Duration(m.below(3)) * 20 * time.Hour
	e := chain.Entry{Kind: chain.Hold}
	if expires > 0 {
		e.ExpiresAt = new(m.now.Add(expires).UnixMicro())
	}
	if m.below(2) == 0 || m.frozen {
		e.Postings = m.move(m.customer(), "cash", 0, int64(1+m.below(500)))
		return m.append(e, words{})
	}
	e.Postings = []chain.Posting{m.post("customers:0", chain.Debit, 0, 30), m.post("cash", chain.Debit, 0, 70), m.post(m.customer(), chain.Credit, 0, 100)}
	return m.append(e, words{metadata: `{"lines":[1],"order":"A-7","paid":true}`, terms: [][]byte{term("order", "A-7"), term("paid", "true")}})
}

// capture books a hold in full or in part, unless it has expired.
func (m *mixer) capture() {
	h, ok := m.take(&m.held)
	if !ok {
		return
	}
	if h.ExpiresAt != nil && m.now.Add(time.Second).UnixMicro() >= *h.ExpiresAt {
		m.release(h)
		return
	}
	var postings []chain.Posting
	part := int64(m.below(2)) // of cents
	for i, p := range h.Postings {
		held := p.PendingChange.Big().Int64()
		amount := held - part*(held-1)
		if len(h.Postings) == 3 { // the first leg, which may be frozen by now, is left out
			amount = []int64{0, 70, 70}[i]
		}
		postings = append(postings, m.post(m.codeOf(p.AccountID), p.Direction, amount, -held))
	}
	c := m.settle(chain.Capture, h, postings)
	m.booked = append(m.booked, c)
}

// giveBack releases a hold, by itself if it has expired.
func (m *mixer) giveBack() {
	if h, ok := m.take(&m.held); ok {
		m.byItself = h.ExpiresAt != nil && m.now.Add(time.Second).UnixMicro() >= *h.ExpiresAt
		m.release(h)
	}
}

// backValued posts with an earlier value date, approved if it must be.
func (m *mixer) backValued() {
	today := chain.DateOf(m.now.Add(time.Second))
	day := today - chain.Date(m.below(60))
	m.append(chain.Entry{Kind: chain.Transfer, EffectiveDate: day, PriorPeriod: m.closed != 0 && day <= m.closed,
		Postings: m.move("cash", m.customer(), 3, 0)}, words{})
}

// closePeriod closes the books up to yesterday, and moves what fees there are.
func (m *mixer) closePeriod() {
	end := chain.DateOf(m.now) - 1
	if end <= m.closed {
		return
	}
	var more []string
	if m.fees > 0 {
		m.append(chain.Entry{Kind: chain.Transfer, EffectiveDate: end, Postings: m.move("fees", "equity:retained", m.fees, 0)}, words{})
		more, m.fees = []string{"closing_seq", fmt.Sprint(m.next - 1), "retain_account.EUR", "equity:retained"}, 0
	}
	m.closings, m.closed = append(m.closings, m.close(end, more...)), end
}

// Whatever the mix, a ledger that is right gives no findings.
func TestAMixOfAllKindsIsVerified(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		b := mixed("main", 1200)
		b.write(t, connect(t, url))
		kinds := make(map[chain.Kind]int)
		for _, row := range b.kinds {
			kinds[row]++
		}
		for k := chain.LedgerOpened; k <= chain.CurrencyDefined; k++ {
			if kinds[k] == 0 {
				t.Errorf("no %s among %v", k, kinds)
			}
		}
		report := verify(t, url, b.ledger)
		if report.Status != reconcile.Verified || len(report.Findings) != 0 || report.EntriesChecked != b.next {
			t.Fatalf("%s: %s %v", report.Status, details(report.Findings), report.NotChecked)
		}
		sameNarrowly(t, url, b.ledger, &report)
	})
}

// An account that was changed more often than can be held is not accused.
func TestAnAccountChangedTooOftenIsNotAccused(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		b := small()
		for range 16 {
			b.change("customers:1", func(a *chain.Account) { a.MinBalance = units(0) })
		}
		b.transfer("cash", "customers:1", 1)
		b.write(t, connect(t, url))
		report, err := reconcile.VerifyNarrowly(t.Context(), auditor(t, url, 2), b.ledger, reconcile.Options{Workers: 1}, true)
		if err != nil || report.Status != reconcile.Incomplete || len(report.Findings) != 0 || report.Scope.Unchecked != 1 {
			t.Errorf("%s, %v, %v, %v", report.Status, codes(report.Findings), report.NotChecked, err)
		}
	})
}
