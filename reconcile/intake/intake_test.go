package intake_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"tallystick/ledger"
	"tallystick/ledger/chain"
	"tallystick/ledger/money"
	"tallystick/ledger/store"
	"tallystick/ledger/store/storetest"
	"tallystick/reconcile/bankfile"
	"tallystick/reconcile/intake"
	"tallystick/scripts/samples"
)

func TestMain(m *testing.M) { storetest.Main(m) }

// desk is a ledger with accounts at banks.
type desk struct {
	t   testing.TB
	db  *store.DB
	url string
	id  ledger.LedgerID
	// accounts are those of the ledger, by bank account.
	accounts intake.Accounts
}

// legacy are the currencies of the samples that ISO 4217 does not list any more.
var legacy = map[string]money.Currency{"DEM": {Code: "DEM", Scale: 2}}

// newDesk opens a ledger, and an account for each bank account, written "BE68793230773034 EUR".
func newDesk(t testing.TB, url string, bankAccounts ...string) *desk {
	t.Helper()
	ctx := t.Context()
	db, err := store.Open(ctx, url, store.RoleApp, 6)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	d := &desk{t: t, db: db, url: url, accounts: intake.Accounts{Policy: map[string]string{}, Currency: func(code string) (money.Currency, bool) {
		c, ok := legacy[code]
		return c, ok
	}}}
	info, _, refused, err := db.OpenLedger(ctx, ledger.OpenLedger{ID: ledger.LedgerID{UUID: uuid.New()}, Host: "bank.test", Name: "main", TimeZone: "UTC", BaseCurrency: "EUR"})
	if err != nil || refused != nil {
		t.Fatal(err, refused)
	}
	d.id = info.ID
	sequencers := ledger.NewSequencers(context.WithoutCancel(ctx), db.Journal(), db.ClockOffset)
	defer sequencers.Stop()
	submit := func(r ledger.Request) {
		t.Helper()
		if outcome, err := sequencers.Submit(ctx, d.id, r); err != nil || outcome.Refusal != nil {
			t.Fatal(err, outcome.Refusal)
		}
	}
	submit(&ledger.DefineCurrency{Common: common(), Code: "DEM", Name: "Deutsche Mark", Scale: 2})
	for i, account := range bankAccounts {
		number, currency, _ := strings.Cut(account, " ")
		code := fmt.Sprintf("bank:%d:%s", i, strings.ToLower(currency))
		submit(&ledger.OpenAccount{Common: common(), AccountID: ledger.AccountID{UUID: uuid.New()}, Code: code, Type: chain.Asset, Currency: currency})
		d.accounts.Policy[number] = code
	}
	return d
}

func common() ledger.Common {
	return ledger.Common{ID: ledger.RequestID{UUID: uuid.New()}, Actor: ledger.KeyID{UUID: uuid.New()}}
}

func (d *desk) take(name, content string) (intake.Receipt, error) {
	return intake.Take(d.t.Context(), d.db, d.id, intake.File{Name: name, Content: strings.NewReader(content), By: "test"}, d.accounts)
}

// must takes a file of which an outcome is known.
func (d *desk) must(name, content string, want intake.Outcome) intake.Receipt {
	d.t.Helper()
	r, err := d.take(name, content)
	if err != nil {
		d.t.Fatalf("%s: %v", name, err)
	}
	if r.Outcome != want {
		d.t.Fatalf("%s: %s, want %s: %+v", name, r.Outcome, want, r.File.Reasons)
	}
	return r
}

// stored is everything in the tables of bank statements, in words.
func (d *desk) stored() string {
	d.t.Helper()
	var b strings.Builder
	files, err := d.db.BankFiles(d.t.Context(), d.id, 0, 1000)
	if err != nil {
		d.t.Fatal(err)
	}
	for _, f := range files {
		fmt.Fprintf(&b, "file %d %s accepted=%v reasons=%d\n", f.Number, f.Name, f.Accepted, len(f.Reasons))
	}
	statements, err := d.db.BankStatements(d.t.Context(), d.id, store.BankStatementFilter{Limit: 1000})
	if err != nil {
		d.t.Fatal(err)
	}
	for _, s := range statements {
		fmt.Fprintf(&b, "%s\n", d.total(&s))
	}
	return b.String()
}

// total shows a statement with the sums of its lines as they are stored.
func (d *desk) total(s *store.BankStatement) string {
	d.t.Helper()
	lines, err := d.db.BankLines(d.t.Context(), d.id, s, 0, 1_000_000)
	if err != nil {
		d.t.Fatal(err)
	}
	var in, out money.Int128
	booked := 0
	for i, l := range lines {
		if l.Number != int64(i)+1 {
			d.t.Errorf("line %d of statement %d has the number %d", i+1, s.Number, l.Number)
		}
		if l.Status != store.BookedLine {
			continue
		}
		booked++
		if l.Units.Sign() > 0 {
			in, _ = in.Add(l.Units)
		} else {
			out, _ = out.Sub(l.Units)
		}
	}
	if in != s.Credits || out != s.Debits || int64(len(lines)) != s.Lines {
		d.t.Errorf("statement %d: its %d lines add up to +%s -%s, and its row says %d, +%s -%s", s.Number, len(lines),
			in.Format(s.Scale), out.Format(s.Scale), s.Lines, s.Credits.Format(s.Scale), s.Debits.Format(s.Scale))
	}
	balance := func(units *money.Int128) string {
		if units == nil {
			return "none"
		}
		return units.Format(s.Scale)
	}
	return fmt.Sprintf("%s %s %s: %s +%s -%s = %s (%d)", s.Account, s.BankAccount, s.Currency, balance(s.Opening), in.Format(s.Scale), out.Format(s.Scale), balance(s.Closing), booked)
}

func sample(tb testing.TB, name string) string {
	tb.Helper()
	b, err := os.ReadFile(samples.Path(tb, "statements/"+name))
	if err != nil {
		tb.Fatal(err)
	}
	return string(b)
}

// The files of the samples, with what README.md there says of them.
var sampleTotals = []struct {
	file   string
	totals []string // without the code of the ledger's account
}{
	{"account_statement-3.xml", []string{"BE68793230773034 EUR: 33443.03 +210000.00 -184072.66 = 59370.37 (314)"}},
	{"BE68793230773034-202411.xml", []string{"BE68793230773034 EUR: 59370.37 +180000.00 -151831.25 = 87539.12 (268)"}},
	{"BE68793230773034-202412.xml", []string{"BE68793230773034 EUR: 87539.12 +100400.00 -145974.01 = 41965.11 (264)"}},
	{"account_statement.xml", []string{"BE86463768548050 EUR: 0.00 +789904.40 -789904.40 = 0.00 (3)"}},
	{"iso-mdr-camt.053.001.02.xml", []string{"50000000054910000003 SEK: 500000.00 +135678.50 -200000.00 = 435678.50 (3)"}},
	{"camt053_no_namespace.xml", []string{"GB29NWBK60161331926819 GBP: 100.00 +250.00 -0.00 = 350.00 (1)"}},
	{"camt053_duplicate_same_day.xml", []string{"DE89370400440532013000 EUR: none +0.00 -9.00 = none (2)"}},
	{"mt940.txt", []string{"45050050/76198810 DEM: 84349.74 +49396.74 -49309.44 = 84437.04 (11)", "10020030/1234567 EUR: 2187.95 +3000.00 -800.00 = 4387.95 (2)",
		"BPHKPLPK/320000546101 PLN: 40000.00 +20040.00 -10000.00 = 50040.00 (3)"}},
	{"bai2-sample1.txt", []string{"10200123456 CAD: none +2085.00 -2085.00 = none (11)", "10200123456 CAD: none +1115.00 -1115.00 = none (6)"}},
}

var sampleAccounts = []string{"BE68793230773034 EUR", "BE86463768548050 EUR", "50000000054910000003 SEK", "GB29NWBK60161331926819 GBP", "DE89370400440532013000 EUR",
	"US-ACCT-0099 USD", "45050050/76198810 DEM", "10020030/1234567 EUR", "BPHKPLPK/320000546101 PLN", "10200123456 CAD"}

func TestSamplesAreStoredWithTheirTotals(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		d := newDesk(t, url, sampleAccounts...)
		for _, s := range sampleTotals {
			r := d.must(s.file, sample(t, s.file), intake.Accepted)
			if len(r.Statements) != len(s.totals) {
				t.Fatalf("%s: %d statements, want %d", s.file, len(r.Statements), len(s.totals))
			}
			for i := range r.Statements {
				if got := d.total(&r.Statements[i].BankStatement); !strings.HasSuffix(got, " "+s.totals[i]) {
					t.Errorf("%s: got %s, want %s", s.file, got, s.totals[i])
				}
			}
		}
		before := d.stored()
		for _, s := range sampleTotals {
			r := d.must(s.file, sample(t, s.file), intake.Already)
			if r.File.Number == 0 {
				t.Errorf("%s: the answer does not say which file it is", s.file)
			}
		}
		// The same statement in other bytes, and the one of a file that holds others too.
		d.must("again", sample(t, "BE68793230773034-202411.xml")+"\n", intake.Already)
		if after := d.stored(); after != before {
			t.Errorf("importing again changed\n%s\ninto\n%s", before, after)
		}
		// Files with the statements of other accounts, or of one that is known under another name.
		d = newDesk(t, storetest.Database(t), "DE89370400440532013000 EUR", "US-ACCT-0099 USD", "10020030/1234567 EUR")
		d.must("windows", sample(t, "mt940-windows-line-breaks.txt"), intake.Accepted)
		var got []string
		for _, s := range d.must("multi", sample(t, "camt053_multicurrency.xml"), intake.Accepted).Statements {
			got = append(got, d.total(&s.BankStatement))
		}
		if all := strings.Join(got, "\n"); all != "bank:0:eur DE89370400440532013000 EUR: 10000.00 +1250.50 -500.25 = 10750.25 (2)\nbank:1:usd US-ACCT-0099 USD: 2500.00 +0.00 -99.99 = 2400.01 (1)" {
			t.Errorf("got\n%s", all)
		}
	})
}

func TestSamplesInQuarantineLeaveOneRow(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		d := newDesk(t, url)
		abn := d.must("mt940-abnamro.txt", sample(t, "mt940-abnamro.txt"), intake.Quarantined)
		var differences []string
		for _, r := range abn.File.Reasons {
			differences = append(differences, r.Code+" "+r.Difference)
		}
		if got := strings.Join(differences, ", "); got != "unfooted -2038.00, unfooted -1002.60, discontinuous 2000.00" {
			t.Errorf("the differences are %s", got)
		}
		garbled := d.must("garbled.xml", sample(t, "camt053_garbled_amount.xml"), intake.Quarantined)
		if r := garbled.File.Reasons; len(r) != 1 || r[0].Code != "unreadable" || r[0].Line != 17 || r[0].Byte != 436 {
			t.Errorf("the reasons are %+v", r)
		}
		d.must("mt940-abnamro.txt", sample(t, "mt940-abnamro.txt"), intake.Quarantined)
		d.must("garbled.xml", sample(t, "camt053_garbled_amount.xml"), intake.Quarantined)
		if got := d.stored(); got != "file 1 mt940-abnamro.txt accepted=false reasons=3\nfile 2 garbled.xml accepted=false reasons=1\n" {
			t.Errorf("stored is\n%s", got)
		}
	})
}

func TestAStatementFollowsTheOneBefore(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		d := newDesk(t, url, "BE68793230773034 EUR")
		october, november, december := sample(t, "account_statement-3.xml"), sample(t, "BE68793230773034-202411.xml"), sample(t, "BE68793230773034-202412.xml")
		d.must("october", october, intake.Accepted)
		gap := d.must("december", december, intake.Quarantined)
		if r := gap.File.Reasons; len(r) != 1 || r[0].Code != "discontinuous" || r[0].Difference != "28168.75" || r[0].Currency != "EUR" {
			t.Fatalf("a month is missing: %+v", r)
		}
		d.must("november", november, intake.Accepted)
		d.must("december", december, intake.Accepted)
		d.must("october", october, intake.Already)
	})
}

// A bank that sends a statement again with a line changed is not believed twice, even where the balances allow it.
func TestAStatementUnderAKnownIDWithOtherContentIsInConflict(t *testing.T) {
	t.Parallel()
	d := newDesk(t, storetest.Database(t), "10020030/1234567 EUR")
	zero := func(id, day, text string) string {
		return ":20:" + id + "\n:25:10020030/1234567\n:28C:7/1\n:60F:C240101EUR5,00\n:61:240102C1,00NTRFA\n:86:" + text + "\n:61:240102D1,00NTRFB\n:86:back\n:62F:C" + day + "EUR5,00\n-\n"
	}
	d.must("first", zero("X1", "240131", "as it was"), intake.Accepted)
	if r := d.must("changed", zero("X1", "240131", "as it is now"), intake.Quarantined); len(r.File.Reasons) != 1 || r.File.Reasons[0].Code != intake.ConflictCode {
		t.Errorf("the reasons are %+v", r.File.Reasons)
	}
	d.must("another", zero("X2", "240131", "as it is now"), intake.Accepted)
	if r := d.must("earlier", zero("X0", "240130", "before"), intake.Quarantined); len(r.File.Reasons) != 1 || r.File.Reasons[0].Code != "out_of_order" {
		t.Errorf("the reasons are %+v", r.File.Reasons)
	}
}

func TestAnUnknownAccountIsRefusedWithWhatToDo(t *testing.T) {
	t.Parallel()
	d := newDesk(t, storetest.Database(t), "BE86463768548050 EUR", "GB29NWBK60161331926819 GBP")
	november := sample(t, "BE68793230773034-202411.xml")
	for _, c := range []struct {
		byHand map[string]string
		want   string
	}{
		{nil, "add it to the policy's bank_accounts (BE68793230773034: CODE), or name it by hand"},
		{map[string]string{"": "bank:none"}, "account bank:none does not exist; open it first"},
		{map[string]string{"BE68793230773034": "bank:1:gbp"}, "account bank:1:gbp is in GBP; name an account in EUR"},
	} {
		d.accounts.ByHand = c.byHand
		_, err := d.take("november", november)
		var unknown *intake.AccountError
		if !errors.As(err, &unknown) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("the error is %v, and should say %q", err, c.want)
		}
	}
	if got := d.stored(); got != "" {
		t.Errorf("stored is\n%s", got)
	}
	d.accounts.ByHand = map[string]string{"BE68793230773034/EUR": "bank:0:eur"}
	d.must("november", november, intake.Accepted)
	d.accounts.ByHand = map[string]string{"": "bank:1:gbp"}
	if _, err := d.take("december", sample(t, "BE68793230773034-202412.xml")); err == nil || !strings.Contains(err.Error(), "a bank account keeps its account") {
		t.Errorf("another account for the same bank account: %v", err)
	}
	d.accounts.ByHand = nil // what was named once is remembered
	d.must("december", sample(t, "BE68793230773034-202412.xml"), intake.Accepted)
}

// Several processes that take the same files at once store each once.
func TestFilesTakenAtOnceAreStoredOnce(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		d := newDesk(t, url, "BE68793230773034 EUR")
		d.must("october", sample(t, "account_statement-3.xml"), intake.Accepted)
		november := sample(t, "BE68793230773034-202411.xml")
		const processes = 4
		outcomes := make(chan intake.Outcome, processes)
		var group sync.WaitGroup
		for i := range processes {
			group.Go(func() {
				db, err := store.Open(t.Context(), url, store.RoleApp, 2)
				if err != nil {
					t.Error(err)
					return
				}
				defer db.Close()
				content := november
				if i%2 == 1 {
					content += "\n" // other bytes, the same statement
				}
				r, err := intake.Take(t.Context(), db, d.id, intake.File{Name: "november", Content: strings.NewReader(content), By: "test"}, d.accounts)
				if err != nil {
					t.Error(err)
				}
				outcomes <- r.Outcome
			})
		}
		group.Wait()
		close(outcomes)
		counts := map[intake.Outcome]int{}
		for o := range outcomes {
			counts[o]++
		}
		if counts[intake.Accepted] != 1 || counts[intake.Already] != processes-1 {
			t.Errorf("the outcomes are %v", counts)
		}
		statements, err := d.db.BankStatements(t.Context(), d.id, store.BankStatementFilter{Limit: 10})
		if err != nil || len(statements) != 2 {
			t.Fatalf("%d statements are stored: %v", len(statements), err)
		}
		d.total(&statements[1])
	})
}

// largeStatement writes a statement of n lines that foots.
func largeStatement(n int) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, ":20:BIG\n:25:10020030/1234567\n:28C:1/1\n:60F:C240101EUR0,00\n")
	for i := range n {
		fmt.Fprintf(&b, ":61:2401020102C1,00NTRFREF%d//B%d\n:86:payment %d\n", i, i, i)
	}
	fmt.Fprintf(&b, ":62F:C240131EUR%d,00\n-\n", n)
	return b.Bytes()
}

func TestALargeFileIsStoredWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	const lines = 12_345 // more than a dozen statements of SQL
	d := newDesk(t, storetest.Database(t), "10020030/1234567 EUR")
	content := string(largeStatement(lines))
	ctx, cancel := context.WithCancel(t.Context())
	stopped := &stopping{Reader: *strings.NewReader(content), after: 2*len(content) + len(content)/2, stop: cancel} // in the third reading: hash, verdict, lines
	if _, err := intake.Take(ctx, d.db, d.id, intake.File{Name: "big", Content: stopped, By: "test"}, d.accounts); err == nil {
		t.Fatal("it was stored although it was stopped")
	}
	if got := d.stored(); got != "" {
		t.Fatalf("stopped on the way, it left\n%s", got)
	}
	r := d.must("big", content, intake.Accepted)
	if r.Statements[0].Lines != lines {
		t.Errorf("%d lines, want %d", r.Statements[0].Lines, lines)
	}
	d.total(&r.Statements[0].BankStatement)
}

// stopping is a file during whose reading something happens.
type stopping struct {
	strings.Reader
	after int
	stop  func()
}

func (s *stopping) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	if s.after -= n; s.after < 0 {
		s.stop()
	}
	return n, err
}

func TestHostileXMLIsRefused(t *testing.T) {
	t.Parallel()
	d := newDesk(t, storetest.Database(t))
	for name, content := range map[string]string{
		"entities": `<!DOCTYPE a [<!ENTITY b "bbbb">]><Document>&b;</Document>`,
		"nesting":  "<Document><BkToCstmrStmt><Stmt>" + strings.Repeat("<a>", 10*bankfile.MaxDepth),
		"spaces":   "<Document><BkToCstmrStmt><Stmt>" + strings.Repeat(" ", 2*bankfile.MaxPiece),
		"nothing":  "",
	} {
		if r := d.must(name, content, intake.Quarantined); r.File.Reasons[0].Code != "unreadable" {
			t.Errorf("%s: %+v", name, r.File.Reasons)
		}
	}
}
