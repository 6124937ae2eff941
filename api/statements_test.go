package api

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"tallystick/ledger"
	"tallystick/ledger/chain"
	"tallystick/ledger/store"
)

func TestAStatementGoesFromBalanceToBalance(t *testing.T) {
	t.Parallel()
	withClock(t, func(t *testing.T, b *bank, c *clock) {
		b.openAccounts()
		first := c.on(0)
		paid := b.transfer(`{"debit":"cash","credit":"customers:1","amount":"100","description":"Salary","reference":"s-1"}`).is(201, "")
		c.pass(day)
		second := c.on(0)
		hold := b.hold("30", "")
		b.act(hold+"/capture", `{"amount":"12.50"}`).is(201, "")
		b.transfer(`{"debit":"customers:1","credit":"cash","amount":"2","related_to":"`+hold+`","effective_date":"`+first+`"}`).is(201, "")
		c.pass(2 * day)
		last := c.on(0)
		b.pay("cash", "customers:1", "1").is(201, "")
		const path = "/v1/ledgers/main/accounts/customers:1/statement"
		a := b.get(path+"?from="+first+"&to="+last).is(200, "")
		a.want("account", "customers:1", "type", "liability", "currency", "EUR", "from", first, "to", last, "as_of_seq", fmt.Sprint(mustAtoi(t, b.size())-1),
			"opening.date", first, "opening.balance", "0.00", "opening.account_seq", "0",
			"lines.0.kind", "transfer", "lines.0.id", paid.text("id"), "lines.0.direction", "credit", "lines.0.amount", "100.00", "lines.0.balance", "100.00",
			"lines.0.description", "Salary", "lines.0.reference", "s-1", "lines.0.booking_date", first, "lines.0.recorded_at", paid.text("recorded_at"),
			"lines.1.kind", "hold", "lines.1.amount", "0.00", "lines.1.pending_change", "30.00", "lines.1.balance", "100.00", "lines.1.id", hold,
			"lines.2.kind", "capture", "lines.2.amount", "12.50", "lines.2.pending_change", "-30.00", "lines.2.balance", "87.50",
			"lines.2.ref_seq", fmt.Sprint(a.at("lines", 1, "seq")), "lines.3.related_to", hold, "lines.3.ref_seq", "",
			"lines.3.effective_date", first, "lines.3.booking_date", second, "lines.3.balance", "85.50",
			"lines.4.balance", "86.50", "lines.4.account_seq", "5",
			"closing.date", last, "closing.balance", "86.50", "closing.account_seq", "5",
			"totals.debits", "14.50", "totals.credits", "101.00", "totals.lines", "5", "next", "")
		b.get(path+"?from="+second+"&to="+second).want("opening.balance", "100.00", "opening.account_seq", "1", "lines.0.account_seq", "2", "closing.balance", "85.50", "totals.lines", "3")
		b.get(path+"?from=2001-01-01&to=2001-01-31").want("opening.balance", "0.00", "closing.balance", "0.00", "totals.lines", "0", "next", "")
		b.get(path+"?from=2999-01-01&to=2999-01-31").want("opening.balance", "86.50", "closing.balance", "86.50", "closing.account_seq", "5", "totals.lines", "0")
		b.get("/v1/ledgers/main/accounts/yen/statement?from="+first+"&to="+last).want("opening.balance", "0", "closing.balance", "0", "totals.debits", "0", "currency", "JPY")
		b.statementsTile(t, c, path, 4)
	})
}

// statementsTile holds that day by day, closing is the next opening, and lines
// add up to the difference.
func (b *bank) statementsTile(t *testing.T, c *clock, path string, days int) {
	closing, accountSeq := "0.00", "0"
	for i := -days; i <= 0; i++ {
		date := c.on(i)
		a := b.get(path+"?from="+date+"&to="+date).is(200, "").want("opening.balance", closing, "opening.account_seq", accountSeq)
		movement := decimal.RequireFromString(a.text("totals", "credits")).Sub(decimal.RequireFromString(a.text("totals", "debits")))
		opening := decimal.RequireFromString(closing)
		closing, accountSeq = a.text("closing", "balance"), a.text("closing", "account_seq")
		if !opening.Add(movement).Equal(decimal.RequireFromString(closing)) {
			t.Errorf("%s: %s + %s is not %s", date, opening, movement, closing)
		}
	}
}

// TestPagesOfAStatementAreOfOneMoment walks a statement while others post.
func TestPagesOfAStatementAreOfOneMoment(t *testing.T) {
	t.Parallel()
	withBank(t, func(t *testing.T, b *bank) {
		b.openAccounts()
		for range 7 {
			b.pay("cash", "customers:1", "1").is(201, "")
		}
		for _, query := range []string{"", "from=2001-01-01&", "to=2999-12-31&", "from=2001-01-01&to=2999-12-31&"} {
			path := "/v1/ledgers/main/accounts/customers:1/statement?" + query + "limit=3"
			first := b.get(path).is(200, "")
			next, seen := "", 0
			for {
				a := b.get(path+next).is(200, "")
				for _, member := range []string{"opening", "closing", "totals", "as_of_seq", "from", "to"} {
					if a.text(member) != first.text(member) {
						t.Errorf("%s: %s is %s, then %s", path, member, first.text(member), a.text(member))
					}
				}
				for i := range a.length("lines") {
					if seen++; a.text("lines", i, "account_seq") != fmt.Sprint(seen) {
						t.Errorf("line %d is %s", seen, a.text("lines", i, "account_seq"))
					}
				}
				if a.text("next") == "" {
					break
				}
				next = "&cursor=" + a.text("next")
				b.pay("cash", "customers:1", "1").is(201, "")
			}
			if fmt.Sprint(seen) != first.text("totals", "lines") {
				t.Errorf("%s: saw %d of %s lines", path, seen, first.text("totals", "lines"))
			}
		}
	})
}

func TestCursorsOfStatementsAndBalances(t *testing.T) {
	t.Parallel()
	f := store.StatementFilter{After: 7, AsOf: 9, From: 20000, To: 20001}
	var got store.StatementFilter
	good := statementPosition(&f)
	if !continueStatement(&got, good) || got != f {
		t.Errorf("%+v came back as %+v", f, got)
	}
	for name, bad := range map[string]string{
		"short": good[1:], "long": good + "x", "empty": "", "nothing": strings.Repeat("\x00", 24), "negative": "\xff" + good[1:],
		"endless": good[:8] + "\x7f\xff\xff\xff\xff\xff\xff\xff" + good[16:], "no date": good[:16] + "\x7f\xff\xff\xff" + good[20:], "crossed": good[:20] + "\x00\x00\x00\x01",
	} {
		if continueStatement(&got, bad) {
			t.Errorf("%s: %q is taken", name, bad)
		}
	}
	var g store.BalanceFilter
	place := balancesPosition(9, "a:b", "EUR")
	if !continueBalances(&g, place) || g.AsOf != 9 || g.AfterCode != "a:b" || g.AfterCurrency != "EUR" {
		t.Errorf("%q came back as %+v", place, g)
	}
	for name, bad := range map[string]string{
		"short": "1234567", "no currency": place[:8] + "a", "no code": place[:8] + "\x00EUR", "another code": place[:8] + "A\x00EUR",
		"negative": string(binary.BigEndian.AppendUint64(nil, 1<<63)) + "a\x00EUR", "small letters": place[:8] + "a\x00eur",
	} {
		if continueBalances(&g, bad) {
			t.Errorf("%s: %q is taken", name, bad)
		}
	}
}

func TestTheUsualIntervalOfAStatement(t *testing.T) {
	t.Parallel()
	for day, want := range map[string]string{"2026-01-01": "2026-01-01", "2024-02-29": "2024-02-01", "2026-12-31": "2026-12-01"} {
		d, _ := parseDate(day)
		if got := firstOfMonth(d).String(); got != want {
			t.Errorf("the month of %s began on %s, want %s", day, got, want)
		}
	}
	zone, err := time.LoadLocation("Europe/Brussels")
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 7, 31, 20, 45, 0, 0, time.UTC) // 22:45 there
	for cutoff, want := range map[int32]string{0: "2026-07-31", 22*3600 + 30*60: "2026-08-01", 23 * 3600: "2026-07-31"} {
		if got := ledger.BookingDate(&chain.LedgerTerms{DayCutoff: cutoff}, zone, at).String(); got != want {
			t.Errorf("with the cut-off %d the ledger books on %s, want %s", cutoff, got, want)
		}
	}
}
