package reconcile_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"tallystick/ledger/chain"
	"tallystick/ledger/store/storetest"
	"tallystick/reconcile"
)

// day is a day of 2026.
func day(month time.Month, d int) chain.Date {
	return chain.DateOf(time.Date(2026, month, d, 0, 0, 0, 0, time.UTC))
}

// valued moves a cent with a value date.
func (b *book) valued(date chain.Date, prior bool) chain.Entry {
	return b.append(chain.Entry{Kind: chain.Transfer, EffectiveDate: date, PriorPeriod: prior, Postings: b.move("cash", "customers:1", 1, 0)}, words{})
}

// misrules break what holds for the whole ledger; see misuses.
var misrules = []forgery{
	{"a value date in a closed period", func(b *book) {
		b.valued(day(2, 28), false) // 7: nothing is closed yet
		b.close(day(2, 28))         // 8
		b.valued(day(2, 28), false) // 9
		b.valued(day(3, 1), false)  // 10
		b.valued(day(2, 28), true)  // 11: approved
		b.valued(day(1, 1), false)  // 12
	}, []string{"PERIOD_CLOSED_POSTING@9", "PERIOD_CLOSED_POSTING@12"}},
	{"a posting's value date in a closed period", func(b *book) {
		b.close(day(2, 28))
		p := b.move("cash", "customers:1", 1, 0)
		p[1].EffectiveDate = day(2, 1)
		b.append(chain.Entry{Kind: chain.Transfer, Postings: p}, words{}) // 8
	}, []string{"PERIOD_CLOSED_POSTING@8"}},
	{"approvals that nothing asked for", func(b *book) {
		b.valued(day(3, 1), true) // 7: nothing is closed
		b.close(day(2, 28))       // 8
		b.valued(day(3, 1), true) // 9
	}, []string{"PRIOR_PERIOD_INVALID@7", "PRIOR_PERIOD_INVALID@9"}},
	{"holds, captures, releases and reversals in a closed period", func(b *book) {
		h, g := b.hold("cash", "customers:1", 5, 0), b.hold("cash", "customers:1", 5, 0) // 7, 8
		t := b.transfer("cash", "customers:1", 5)
		b.close(day(2, 28)) // 10
		back := func(kind chain.Kind, ref *int64, p []chain.Posting) {
			b.append(chain.Entry{Kind: kind, RefSeq: ref, EffectiveDate: day(2, 28), Postings: p}, words{})
		}
		back(chain.Capture, &h.Seq, b.move("cash", "customers:1", 5, -5)) // 11
		back(chain.Release, &g.Seq, b.move("cash", "customers:1", 0, -5)) // 12
		back(chain.Reversal, &t.Seq, b.move("customers:1", "cash", 5, 0)) // 13
		back(chain.Hold, nil, b.move("cash", "customers:1", 0, 5))        // 14
	}, []string{"PERIOD_CLOSED_POSTING@11", "PERIOD_CLOSED_POSTING@12", "PERIOD_CLOSED_POSTING@13", "PERIOD_CLOSED_POSTING@14"}},
	{"a reopened period", func(b *book) {
		b.close(day(1, 31))           // 7
		b.reopen(b.close(day(2, 28))) // 9
		b.valued(day(2, 28), false)   // 10
		b.valued(day(2, 28), true)    // 11
		b.valued(day(1, 31), false)   // 12: still closed
		b.reopen(b.close(day(2, 27))) // 14
		b.close(day(2, 28))           // 15
		b.valued(day(2, 28), false)   // 16
		b.valued(day(2, 28), true)    // 17
	}, []string{"PRIOR_PERIOD_INVALID@11", "PERIOD_CLOSED_POSTING@12", "PERIOD_CLOSED_POSTING@16"}},

	{"periods that are not over", func(b *book) {
		b.close(day(3, 29)) // 7: yesterday
		b.close(day(3, 30)) // 8: today
		b.close(day(4, 30)) // 9
	}, []string{"PERIOD_INVALID@8", "PERIOD_INVALID@9"}},
	{"periods closed already", func(b *book) {
		b.close(day(2, 28)) // 7
		b.close(day(2, 28)) // 8
		b.close(day(2, 1))  // 9
		b.close(day(3, 1))  // 10
		b.valued(day(2, 15), false)
	}, []string{"PERIOD_INVALID@8", "PERIOD_INVALID@9", "PERIOD_CLOSED_POSTING@11"}},
	{"an earlier closing opens nothing", func(b *book) {
		b.close(day(2, 28)) // 7
		b.close(day(1, 31)) // 8
		b.valued(day(2, 15), false)
	}, []string{"PERIOD_INVALID@8", "PERIOD_CLOSED_POSTING@9"}},
	{"a closing that includes other entries than it says", func(b *book) {
		b.append(chain.Entry{Kind: chain.PeriodClosed, Details: facts("period_end", "2026-02-28", "through_seq", "5")}, words{})
		b.append(chain.Entry{Kind: chain.PeriodClosed, Details: facts("period_end", "2026-03-28", "through_seq", "8")}, words{})
	}, []string{"PERIOD_INVALID@7", "PERIOD_INVALID@8"}},
	{"a result that was moved", func(b *book) {
		b.open("fees", chain.Revenue, nil)                                                                                        // 7
		b.open("equity", chain.Equity, nil)                                                                                       // 8
		b.transfer("customers:1", "fees", 9)                                                                                      // 9
		b.append(chain.Entry{Kind: chain.Transfer, EffectiveDate: day(3, 29), Postings: b.move("fees", "equity", 9, 0)}, words{}) // 10
		b.close(day(3, 29), "closing_seq", "10", "retain_account.EUR", "equity")
	}, []string{}},
	{"results that were not moved as it says", func(b *book) {
		b.close(day(1, 28), "closing_seq", "7")  // 7: itself
		b.close(day(1, 29), "closing_seq", "5")  // 8: an opening
		b.close(day(1, 30), "closing_seq", "6")  // 9: valued otherwise
		b.close(day(1, 31), "closing_seq", "99") // 10
	}, []string{"PERIOD_INVALID@7", "PERIOD_INVALID@8", "PERIOD_INVALID@9", "PERIOD_INVALID@10"}},
	{"accounts that do not retain", func(b *book) {
		b.close(day(1, 28), "retain_account.EUR", "cash")   // 7: an asset
		b.close(day(1, 29), "retain_account.EUR", "nobody") // 8
		b.close(day(1, 30), "retain_account.EUR", "equity") // 9: not yet open
		b.open("equity", chain.Equity, nil)                 // 10
		b.close(day(1, 31), "retain_account.USD", "equity") // 11: another currency
		b.close(day(2, 1), "retain_account.EUR", "equity")  // 12
	}, []string{"PERIOD_INVALID@7", "PERIOD_INVALID@8", "PERIOD_INVALID@9", "PERIOD_INVALID@11"}},
	{"reopenings of what is not the newest closing", func(b *book) {
		first := b.close(day(1, 31)) // 7
		b.close(day(2, 28))          // 8
		b.reopen(first)              // 9: the older one
		b.valued(day(1, 31), false)  // 10: closed by the newer one
		b.reopen(first)              // 11: again
	}, []string{"PERIOD_INVALID@9", "PERIOD_CLOSED_POSTING@10", "PERIOD_INVALID@11"}},
	{"reopenings of nothing", func(b *book) {
		b.append(chain.Entry{Kind: chain.PeriodReopened, RefSeq: new(int64(6)), Details: facts("period_end", "2026-01-31")}, words{}) // 7
		c := b.close(day(1, 31))
		b.append(chain.Entry{Kind: chain.PeriodReopened, RefSeq: &c.Seq, Details: facts("period_end", "2026-01-30")}, words{}) // 9
	}, []string{"PERIOD_INVALID@7", "PERIOD_INVALID@9"}},
	{"a closing without an end closes nothing", func(b *book) {
		b.append(chain.Entry{Kind: chain.PeriodClosed, Details: facts("through_seq", "6")}, words{})
		b.valued(day(1, 1), false)
	}, []string{"ENTRY_MALFORMED@7"}},

	{"value dates at the edge of the terms", func(b *book) {
		b.valued(day(3, 30)-3650, false)
		b.valued(day(3, 30)+366, false)
		b.valued(day(3, 30)-3651, false) // 9
		b.valued(day(3, 30)+367, false)  // 10
	}, []string{"VALUE_DATE_OUT_OF_BOUNDS@9", "VALUE_DATE_OUT_OF_BOUNDS@10"}},
	{"a posting's value date beyond the terms", func(b *book) {
		p := b.move("cash", "customers:1", 1, 0)
		p[0].EffectiveDate = day(3, 30) + 367
		b.append(chain.Entry{Kind: chain.Transfer, Postings: p}, words{}) // 7
	}, []string{"VALUE_DATE_OUT_OF_BOUNDS@7"}},

	{"accounts in currencies that are not there", func(b *book) {
		in := func(code string, scale uint8) func(*chain.Account) {
			return func(a *chain.Account) { a.Currency, a.Scale = code, scale }
		}
		b.open("a", chain.Asset, in("GOLD", 3)) // 7: not yet defined
		b.define("GOLD", 3)                     // 8
		b.open("b", chain.Asset, in("GOLD", 3)) // 9
		b.open("c", chain.Asset, in("GOLD", 2)) // 10
		b.open("d", chain.Asset, in("EUR", 3))  // 11
		b.open("e", chain.Asset, in("JPY", 0))  // 12
		b.open("f", chain.Asset, in("XXX", 2))  // 13
	}, []string{"CURRENCY_UNKNOWN@7", "CURRENCY_UNKNOWN@10", "CURRENCY_UNKNOWN@11", "CURRENCY_UNKNOWN@13"}},
	{"currencies that are there already", func(b *book) {
		b.define("GOLD", 3) // 7
		b.define("GOLD", 4) // 8
		b.define("EUR", 5)  // 9
		b.define("GOLD", 3) // 10
		b.open("a", chain.Asset, func(a *chain.Account) { a.Currency, a.Scale = "GOLD", 4 })
	}, []string{"CURRENCY_INVALID@8", "CURRENCY_INVALID@9", "CURRENCY_INVALID@10", "CURRENCY_UNKNOWN@11"}},
}

func TestPeriodsDatesAndCurrenciesHold(t *testing.T) {
	t.Parallel()
	allFound(t, misrules)
}

// The terms of a ledger name a currency of ISO 4217.
func TestALedgerKeptInNoCurrencyIsFound(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		b := newBookIn("main", "SHELLS")
		b.write(t, connect(t, url))
		report := verify(t, url, b.ledger)
		if got := codes(report.Findings); !slices.Equal(got, []string{"CURRENCY_UNKNOWN@0"}) {
			t.Errorf("found %v", got)
		}
	})
}

// Where the entries that set rules cannot be read, nothing is claimed about what
// depends on them.
func TestRulesThatCannotBeReadAreNotChecked(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		b := small()
		b.define("GOLD", 3)
		b.open("a", chain.Asset, func(a *chain.Account) { a.Currency, a.Scale = "GOLD", 3 })
		b.close(day(2, 28))
		b.valued(day(2, 28), true)
		conn := connect(t, url)
		b.write(t, conn)
		mustExec(t, conn, "revoke select on book.details from tallystick_auditor")
		report := verify(t, url, b.ledger)
		if report.Status != reconcile.Incomplete || len(report.Findings) != 0 {
			t.Errorf("%s, %v", report.Status, codes(report.Findings))
		}
	})
}

// A closing with more details than can be held is not understood, and closes
// nothing.
func TestAClosingTooLargeToHoldIsNotChecked(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		b := small()
		var more []string
		for i := range 16 {
			more = append(more, fmt.Sprintf("retain_account.C%d", i), "nobody")
		}
		b.close(day(2, 28), more...)
		b.close(day(3, 28)) // 8
		b.valued(day(3, 28), false)
		b.write(t, connect(t, url))
		report, err := reconcile.VerifyNarrowly(t.Context(), auditor(t, url, 2), b.ledger, reconcile.Options{Workers: 1}, false)
		want := "entry 7: the period, currency or key that it is about: it has too many details"
		if err != nil || !slices.Contains(report.NotChecked, want) || !slices.Contains(codes(report.Findings), "PERIOD_CLOSED_POSTING@9") {
			t.Errorf("%v, %v, %v", codes(report.Findings), report.NotChecked, err)
		}
	})
}
