package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"

	"tallystick/api"
	"tallystick/api/client"
	"tallystick/cmd/tallystick/internal/demo"
	"tallystick/ledger"
	"tallystick/ledger/chain"
	"tallystick/ledger/money"
	"tallystick/ledger/store"
	"tallystick/ledger/store/storetest"
	"tallystick/reconcile"
)

// demoCustomers is how many clients the demonstrations of tests have.
const demoCustomers = 24

// demoEnd is where their histories end: with a year's end inside that is closed.
var demoEnd = time.Date(2026, 3, 18, 14, 30, 0, 0, time.UTC)

// makeDemo makes a demonstration.
func makeDemo(t *testing.T, database string) (*store.DB, ledger.LedgerID) {
	t.Helper()
	db, err := store.Open(t.Context(), database, store.RoleApp, 4)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	key, err := loadAdminKey(t.Context(), db, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	stderr, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	defer stderr.Close()
	c := demoCommand{Ledger: "demo", Host: "tallystick.test", Seed: 3, Customers: demoCustomers}
	if _, err := c.make(t.Context(), db, key, demoEnd, stderr); err != nil {
		t.Fatal(err)
	}
	id, err := db.LedgerID(t.Context(), "demo")
	if err != nil {
		t.Fatal(err)
	}
	return db, id
}

// line is what the test keeps of a posting.
type line struct {
	day     chain.Date
	balance money.Int128 // debit-positive
}

// demoBook is what the demonstration booked, read account by account.
type demoBook struct {
	accounts []ledger.Account
	lines    map[string][]line
	from, to chain.Date
}

// readDemo reads every account and holds each posting against the one before.
func readDemo(t *testing.T, db *store.DB, id ledger.LedgerID) *demoBook {
	t.Helper()
	b := &demoBook{lines: make(map[string][]line), from: 1 << 30}
	for after := ""; ; {
		page, err := db.Accounts(t.Context(), id, store.AccountFilter{AfterCode: after, Limit: 100})
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		b.accounts, after = append(b.accounts, page...), page[len(page)-1].Code
	}
	for i := range b.accounts {
		b.readAccount(t, db, id, &b.accounts[i])
	}
	return b
}

func (b *demoBook) readAccount(t *testing.T, db *store.DB, id ledger.LedgerID, a *ledger.Account) {
	t.Helper()
	client := strings.HasPrefix(a.Code, "customers:") || strings.HasPrefix(a.Code, "merchants:")
	var balance money.Int128
	seq := int64(0)
	for {
		page, err := db.AccountPostings(t.Context(), id, *a, seq, 500)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range page {
			if p.Posting.AccountSeq != seq+1 {
				t.Fatalf("%s: posting %d follows %d", a.Code, p.Posting.AccountSeq, seq)
			}
			seq = p.Posting.AccountSeq
			book := balance.Add
			if p.Posting.Direction == chain.Credit {
				book = balance.Sub
			}
			after, ok := book(p.Posting.Amount)
			if !ok || after != p.Posting.Posted {
				t.Fatalf("%s: posting %d makes %s of %s", a.Code, seq, p.Posting.Posted, balance)
			}
			balance = after
			free, _ := ledger.Balance(a.Type, after).Sub(p.Posting.PendingDebit)
			if client && free.Sign() < 0 {
				t.Fatalf("%s: posting %d leaves %s with holds of %s", a.Code, seq, after, p.Posting.PendingDebit)
			}
			b.lines[a.Code] = append(b.lines[a.Code], line{p.BookingDate, after})
			b.from, b.to = min(b.from, p.BookingDate), max(b.to, p.BookingDate)
		}
		if len(page) == 0 {
			break
		}
	}
	if seq != a.AccountSeq || balance != a.Posted {
		t.Errorf("%s: %d postings make %s, the account says %d and %s", a.Code, seq, balance, a.AccountSeq, a.Posted)
	}
}

// closing returns the balance of an account at the end of a day.
func (b *demoBook) closing(code string, day chain.Date) money.Int128 {
	lines := b.lines[code]
	i, _ := slices.BinarySearchFunc(lines, day+1, func(l line, d chain.Date) int { return int(l.day - d) })
	if i == 0 {
		return money.Int128{}
	}
	return lines[i-1].balance
}

// sums returns what all accounts, and those with a prefix, come to at the end of
// a day.
func (b *demoBook) sum(t *testing.T, day chain.Date, currency string, prefixes ...string) money.Int128 {
	t.Helper()
	var sum money.Int128
	for i := range b.accounts {
		a := &b.accounts[i]
		if a.Currency == currency && slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(a.Code, p) }) {
			var ok bool
			if sum, ok = sum.Add(b.closing(a.Code, day)); !ok {
				t.Fatal("a sum needs more than 128 bits")
			}
		}
	}
	return sum
}

func TestDemoIsABookThatHolds(t *testing.T) {
	storetest.Each(t, func(t *testing.T, url string) {
		db, id := makeDemo(t, url)
		verifyDemo(t, url, id)
		b := readDemo(t, db, id)
		if b.to-b.from < demo.Days-1 {
			t.Errorf("the history is from %s to %s", b.from, b.to)
		}
		for day := b.from; day <= b.to; day++ {
			for _, currency := range []string{"EUR", "GBP", "USD", demo.Points} {
				if sum := b.sum(t, day, currency, ""); !sum.IsZero() {
					t.Errorf("at the end of %s all accounts in %s come to %s", day, currency, sum)
				}
				if currency == demo.Points {
					continue
				}
				if gap := b.sum(t, day, currency, "customers:", "merchants:", "bank:safeguarding:"); !gap.IsZero() {
					t.Errorf("at the end of %s client money in %s and what is safeguarded differ by %s", day, currency, gap)
				}
				if b.sum(t, day, currency, "bank:operating:").Sign() < 0 {
					t.Errorf("at the end of %s there is no money of its own in %s", day, currency)
				}
			}
		}
		checkStatements(t, db, id, b)
		checkServedStatements(t, db, b)
		checkCases(t, db, id, b)
		checkKinds(t, db, id)
	})
}

// dailyStatements: one account in so many has a statement for each day; the
// others have one for each four weeks, and all have one for the whole history.
const dailyStatements = 55

// checkStatements holds the statements of every account against each other and
// against the postings: opening + movements = closing, and what closes one
// interval opens the next.
func checkStatements(t *testing.T, db *store.DB, id ledger.LedgerID, b *demoBook) {
	t.Helper()
	for i := range b.accounts {
		code, days := b.accounts[i].Code, chain.Date(28)
		if i%dailyStatements == 0 {
			days = 1
		}
		whole := readStatement(t, db, id, code, b.from, b.to)
		if whole.Closing.Posted != b.accounts[i].Posted || whole.Closing.AccountSeq != b.accounts[i].AccountSeq || whole.Opening.AccountSeq != 0 {
			t.Errorf("%s: the statement of all days closes with %+v", code, whole.Closing)
		}
		for j, l := range whole.Lines {
			if r := l.Entry.Record(); r.BookingDate != b.lines[code][j].day || l.Posting.Posted != b.lines[code][j].balance {
				t.Fatalf("%s: line %d is of %s with %s, the posting of %+v", code, j+1, r.BookingDate, l.Posting.Posted, b.lines[code][j])
			}
		}
		before := whole.Opening
		for day := b.from; day <= b.to; day += days {
			s := readStatement(t, db, id, code, day, min(day+days-1, b.to))
			if s.Opening != before || s.Closing.Posted != b.closing(code, min(day+days-1, b.to)) {
				t.Fatalf("%s: %s opens with %+v and closes with %+v; before, it was %+v", code, day, s.Opening, s.Closing, before)
			}
			before = s.Closing
		}
		if before != whole.Closing {
			t.Errorf("%s: day by day it closes with %+v, as a whole with %+v", code, before, whole.Closing)
		}
	}
}

// readStatement reads all pages of a statement and adds it up.
func readStatement(t *testing.T, db *store.DB, id ledger.LedgerID, code string, from, to chain.Date) store.Statement {
	t.Helper()
	f := store.StatementFilter{Code: code, From: from, To: to, AsOf: store.Newest, Limit: 500}
	s, err := db.Statement(t.Context(), id, f)
	for next := s.Next; err == nil && next != 0; {
		var page store.Statement
		f.After, f.AsOf = next, s.AsOf
		page, err = db.Statement(t.Context(), id, f)
		s.Lines, next = append(s.Lines, page.Lines...), page.Next
	}
	if err != nil {
		t.Fatal(err)
	}
	seq, debits, credits := s.Opening.AccountSeq, money.Int128{}, money.Int128{}
	for _, l := range s.Lines {
		if seq++; l.Posting.AccountSeq != seq {
			t.Fatalf("%s from %s to %s: posting %d where %d was due", code, from, to, l.Posting.AccountSeq, seq)
		}
		if l.Posting.Direction == chain.Debit {
			debits, _ = debits.Add(l.Posting.Amount)
		} else {
			credits, _ = credits.Add(l.Posting.Amount)
		}
	}
	closing, _ := s.Opening.Posted.Add(debits)
	closing, _ = closing.Sub(credits)
	if seq != s.Closing.AccountSeq || closing != s.Closing.Posted || debits != s.Debits || credits != s.Credits {
		t.Fatalf("%s from %s to %s: %+v and %d lines with %s and %s make no %+v", code, from, to, s.Opening, len(s.Lines), debits, credits, s.Closing)
	}
	return s
}

// servedStatement is a page of a statement as clients get it.
type servedStatement struct {
	Opening, Closing struct {
		Balance    decimal.Decimal
		AccountSeq int64 `json:"account_seq"`
	}
	Lines []struct {
		AccountSeq      int64 `json:"account_seq"`
		Direction       string
		Amount, Balance decimal.Decimal
	}
	Totals struct {
		Debits, Credits decimal.Decimal
		Lines           int64
	}
	Next *string
}

// checkServedStatements reads the statement of every account over HTTP and adds
// it up with no more than what it says.
func checkServedStatements(t *testing.T, db *store.DB, b *demoBook) {
	t.Helper()
	const key = "tallystick_the-key-of-a-test-of-statements"
	if _, err := db.CreateKey(t.Context(), sha256.Sum256([]byte(key)), "reader", store.ScopeRead); err != nil {
		t.Fatal(err)
	}
	poster := ledger.NewSimulation(t.Context(), db.Journal(), func() time.Time { return demoEnd })
	defer poster.Stop()
	server := httptest.NewServer(api.New(api.Config{
		DB: db, Poster: poster, Host: "tallystick.test", Version: "test", Log: slog.New(slog.DiscardHandler),
	}))
	defer server.Close()
	for i := range b.accounts {
		a, cursor, seq := &b.accounts[i], "", int64(0)
		var balance decimal.Decimal
		for {
			s := fetchStatement(t, server.URL, key, a.Code, "?limit=1000&from="+b.from.String()+"&to="+b.to.String()+cursor)
			for _, l := range s.Lines {
				if (l.Direction == "debit") == a.Type.DebitNormal() {
					balance = balance.Add(l.Amount)
				} else {
					balance = balance.Sub(l.Amount)
				}
				if seq++; l.AccountSeq != seq || !l.Balance.Equal(balance) {
					t.Fatalf("%s: line %d has %s, %d with %s was due", a.Code, l.AccountSeq, l.Balance, seq, balance)
				}
			}
			if s.Next != nil {
				cursor = "&cursor=" + url.QueryEscape(*s.Next)
				continue
			}
			net := s.Totals.Debits.Sub(s.Totals.Credits)
			if !a.Type.DebitNormal() {
				net = net.Neg()
			}
			if !s.Opening.Balance.Add(net).Equal(s.Closing.Balance) || !s.Closing.Balance.Equal(balance) ||
				s.Closing.AccountSeq != seq || s.Totals.Lines != seq || balance.StringFixed(int32(a.Scale)) != a.Balance().Format(a.Scale) {
				t.Errorf("%s: %+v and %s in %d lines make no %+v", a.Code, s.Opening, net, seq, s.Closing)
			}
			break
		}
	}
}

func fetchStatement(t *testing.T, server, key, code, query string) *servedStatement {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server+client.LedgerPath("demo", "accounts", code, "statement")+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+key)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	s := new(servedStatement)
	if err := json.NewDecoder(answer.Body).Decode(s); err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("statement of %s: status %d, %v", code, answer.StatusCode, err)
	}
	return s
}

// verifyDemo lets the nightly check look at the ledger.
func verifyDemo(t *testing.T, url string, id ledger.LedgerID) {
	t.Helper()
	auditor, err := store.Open(t.Context(), url, store.RoleAuditor, 3)
	if err != nil {
		t.Fatal(err)
	}
	defer auditor.Close()
	report, err := reconcile.Verify(t.Context(), auditor, id.UUID, reconcile.Options{Workers: 2})
	if err != nil || report.Status != reconcile.Verified || len(report.Findings) > 0 {
		t.Errorf("verify says %s: %+v, %v", report.Status, report.Findings, err)
	}
}

// checkCases looks at the clients that stand for something.
func checkCases(t *testing.T, db *store.DB, id ledger.LedgerID, b *demoBook) {
	t.Helper()
	holds := map[string]func(a *ledger.Account, lines []line) bool{
		"a client with": func(a *ledger.Account, lines []line) bool { return len(lines) > 100 },
		"dormant": func(a *ledger.Account, lines []line) bool {
			return slices.Contains(a.Tags, chain.Tag{Key: "status", Value: "dormant"}) && lines[len(lines)-1].day < b.from+60
		},
		"frozen": func(a *ledger.Account, _ []line) bool { return a.Frozen == chain.FrozenDebits },
		"closed": func(a *ledger.Account, _ []line) bool { return a.Closed && a.Posted.IsZero() },
		"was frozen": func(a *ledger.Account, lines []line) bool {
			return a.Frozen == chain.FrozenNone && a.VersionSeq > a.OpenedSeq && lines[len(lines)-1].day > b.from+150
		},
	}
	for _, c := range demo.Cases {
		a, err := db.Account(t.Context(), id, c.Account)
		if err != nil {
			t.Fatal(err)
		}
		known := false
		for what, is := range holds {
			if strings.HasPrefix(c.What, what) {
				known = true
				if !is(&a, b.lines[c.Account]) {
					t.Errorf("%s is not: %s", c.Account, c.What)
				}
			}
		}
		if !known {
			t.Errorf("nothing checks %q", c.What)
		}
	}
}

// checkKinds looks for every kind of entry that a ledger can have by now, and
// for what sets some apart.
func checkKinds(t *testing.T, db *store.DB, id ledger.LedgerID) {
	t.Helper()
	found := make(map[string]int)
	for from := int64(0); ; {
		page, err := db.Entries(t.Context(), id, store.EntryFilter{From: from, Limit: 1000})
		if err != nil {
			t.Fatal(err)
		}
		for i := range page.Entries {
			count(found, &page.Entries[i])
		}
		if page.Next == nil {
			break
		}
		from = *page.Next
	}
	for _, what := range []string{
		"ledger_opened", "account_opened", "account_changed", "currency_defined", "transfer", "hold", "capture", "release", "reversal",
		"period_closed", "period_reopened", "prior period", "related", "rate", "capture in part", "expired", "ahead of its booking date",
		"behind its booking date", "many postings", "result of the year",
	} {
		if found[what] == 0 {
			t.Errorf("the demonstration has no %s: %v", what, found)
		}
	}
}

func count(found map[string]int, e *ledger.Entry) {
	r := e.Record()
	found[r.Kind.String()]++
	for what, is := range map[string]bool{
		"prior period":              r.PriorPeriod,
		"related":                   r.RelatedTo != nil,
		"expired":                   r.Kind == chain.Release && r.Actor == (ledger.KeyID{}).UUID,
		"ahead of its booking date": r.EffectiveDate > r.BookingDate,
		"behind its booking date":   r.EffectiveDate < r.BookingDate,
		"many postings":             len(r.Postings) > 4,
		"capture in part": r.Kind == chain.Capture && slices.ContainsFunc(r.Postings, func(p chain.Posting) bool {
			left, _ := p.Amount.Add(p.PendingChange)
			return !left.IsZero()
		}),
	} {
		if is {
			found[what]++
		}
	}
	if _, ok := r.Detail("rate"); ok {
		found["rate"]++
	}
	if _, ok := r.Detail("retain_account.EUR"); ok {
		found["result of the year"]++
	}
}

func TestDemoGoesIntoAnEmptyLedgerOnly(t *testing.T) {
	url, dataDir := storetest.Database(t), t.TempDir()
	args := []string{"demo", "--database-url", url, "--data-dir", dataDir, "--customers", "20"}

	// One that was opened by today's date has no room for a year.
	openBook(t, url, "today")
	code, out, told := command(t, append(args, "--ledger", "today")...)
	if code != exitUsage || out != "" || !strings.Contains(told, "does not fit") || !strings.Contains(told, "--ledger today-2") {
		t.Errorf("a ledger opened today: exit code %d, %s%s", code, out, told)
	}

	stop := sweepMeanwhile(t, url)
	code, out, told = command(t, append(args, "--json")...)
	stop()
	var made struct {
		Ledger, ID, Head string
		Size             int64
	}
	if err := json.Unmarshal([]byte(out), &made); code != exitFine || err != nil || made.Ledger != "demo" || made.Size < 1000 {
		t.Fatalf("exit code %d, %s%s: %v", code, out, told, err)
	}
	code, out, told = command(t, args...)
	if code != exitUsage || out != "" || !strings.Contains(told, "has "+strconv.FormatInt(made.Size, 10)+" entries already") || !strings.Contains(told, "--ledger demo-2") {
		t.Errorf("again: exit code %d, %s%s", code, out, told)
	}
	if code, out, _ = command(t, "verify", "--database-url", url, "--ledger", "demo"); code != exitFine {
		t.Errorf("verify: exit code %d, %s", code, out)
	}
	for _, bad := range []string{"0", "19", "5001"} {
		if code, _, told = command(t, append(args, "--customers", bad, "--ledger", "other")...); code != exitUsage || !strings.Contains(told, "want 20 to 5000") {
			t.Errorf("--customers %s: exit code %d, %s", bad, code, told)
		}
	}
}

// sweepMeanwhile sweeps expired holds as a running server does, by today's clock
// and all of them each time, until stop is called.
func sweepMeanwhile(t *testing.T, url string) (stop func()) {
	t.Helper()
	db, err := store.Open(t.Context(), url, store.RoleApp, 4)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	poster := ledger.NewSequencers(t.Context(), db.Journal(), db.ClockOffset)
	s := &sweeper{db: db, poster: poster, log: slog.New(slog.NewTextHandler(t.Output(), nil))}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			// During a pause this waits for its end.
			if _, err := conn.Exec(ctx, "update ops.sweeps set watermark = '1970-01-01 00:00:00+00'"); err != nil && ctx.Err() == nil {
				t.Error(err)
			}
			s.sweep(ctx, time.Now())
		}
	}()
	return func() {
		cancel()
		<-ended
		_ = conn.Close(ctx)
		poster.Stop()
		db.Close()
	}
}

// What was begun by a process that ended before the first step is taken up.
func TestDemoTakesALedgerOpenedForIt(t *testing.T) {
	url := storetest.Database(t)
	db, err := store.Open(t.Context(), url, store.RoleApp, 4)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	zone, err := time.LoadLocation(demoTimeZone)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	c := demoCommand{Ledger: "demo", Host: "tallystick.test"}
	opened, err := c.open(t.Context(), db, ledger.KeyID{}, demo.Start(now, zone))
	if err != nil || opened.Size != 1 {
		t.Fatalf("size %d, %v", opened.Size, err)
	}
	again, err := c.open(t.Context(), db, ledger.KeyID{}, demo.Start(now, zone))
	if err != nil || again != opened {
		t.Errorf("taken as %+v, %v", again, err)
	}
}
