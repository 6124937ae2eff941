package reconcile_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"

	"tallystick/ledger"
	"tallystick/ledger/chain"
	"tallystick/ledger/store"
	"tallystick/ledger/store/storetest"
	"tallystick/reconcile"
	"tallystick/reconcile/bankfile"
	"tallystick/reconcile/intake"
	"tallystick/reconcile/policy"
	"tallystick/scripts/samples"
)

const (
	bankAccount = "bank:operating:eur"
	bankPolicy  = `schema: tallystick/policy/1
name: bank
version: "1"
effective_from: 2024-01-01
calendar: {named: target}
bank_accounts: {BE68793230773034: "bank:operating:eur"}
`
)

// bankScene is a ledger with an account at a bank, whose clock the test sets.
type bankScene struct {
	t      testing.TB
	url    string
	app    *store.DB
	poster *ledger.Sequencers
	deps   reconcile.NightDeps
	id     ledger.LedgerID
	now    time.Time
	policy *policy.Policy
}

func newBankScene(t testing.TB, url string) *bankScene {
	t.Helper()
	ctx := t.Context()
	app, err := store.Open(ctx, url, store.RoleApp, 4)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(app.Close)
	s := &bankScene{t: t, url: url, app: app, now: time.Date(2024, 9, 30, 8, 0, 0, 0, time.UTC)}
	s.poster = ledger.NewSimulation(context.WithoutCancel(ctx), app.Journal(), func() time.Time { return s.now })
	t.Cleanup(s.poster.Stop)
	info, _, refused, err := app.OpenSimulation(ctx, ledger.OpenLedger{ID: ledger.LedgerID{UUID: uuid.New()}, Actor: ledger.KeyID{UUID: uuid.New()}, Host: "bank.test",
		Name: "main", TimeZone: "UTC", BaseCurrency: "EUR"}, s.now)
	if err != nil || refused != nil {
		t.Fatal(err, refused)
	}
	s.id = info.ID
	for code, kind := range map[string]chain.AccountType{bankAccount: chain.Asset, "customers": chain.Liability, "expenses:bank": chain.Expense} {
		s.submit(&ledger.OpenAccount{Common: s.common(""), AccountID: ledger.AccountID{UUID: uuid.New()}, Code: code, Type: kind, Currency: "EUR"})
	}
	if s.policy, err = policy.Decode([]byte(bankPolicy)); err != nil {
		t.Fatal(err)
	}
	s.deps = nightDeps(t, url)
	s.deps.Now = func() time.Time { return s.now }
	s.deps.Keeper.Sign = func(ctx context.Context, e reconcile.RunEntry) (int64, error) { return signRun(ctx, app, s.poster, e) }
	return s
}

func (s *bankScene) common(reference string) ledger.Common {
	c := ledger.Common{ID: ledger.RequestID{UUID: uuid.New()}, Actor: ledger.KeyID{UUID: uuid.New()}, Salt: [ledger.SaltSize]byte{1}}
	if reference != "" {
		c.Reference = &reference
	}
	return c
}

func (s *bankScene) submit(r ledger.Request) *ledger.Entry {
	s.t.Helper()
	o, err := s.poster.Submit(s.t.Context(), s.id, r)
	if err != nil || o.Refusal != nil {
		s.t.Fatal(err, o.Refusal)
	}
	return o.Entry
}

// book moves an amount on the bank account, against another: positive raises the balance at the bank.
func (s *bankScene) book(amount, against, reference string) *ledger.Entry {
	s.t.Helper()
	a := decimal.RequireFromString(amount)
	here, there := chain.Debit, chain.Credit
	if a.IsNegative() {
		here, there = there, here
	}
	return s.submit(&ledger.TransferRequest{Common: s.common(reference), Legs: []ledger.Leg{
		{Account: bankAccount, Direction: here, Amount: a.Abs()}, {Account: against, Direction: there, Amount: a.Abs()}}})
}

func (s *bankScene) on(day string) {
	at, err := time.Parse(time.DateOnly, day)
	if err != nil {
		s.t.Fatal(err)
	}
	if at = at.Add(12 * time.Hour); at.After(s.now) {
		s.now = at
	}
}

func (s *bankScene) importFile(name, content string) {
	s.t.Helper()
	r, err := intake.Take(s.t.Context(), s.app, s.id, intake.File{Name: name, Content: strings.NewReader(content), By: "test"}, intake.Accounts{Policy: s.policy.BankAccounts})
	if err != nil || r.Outcome != intake.Accepted {
		s.t.Fatalf("%s: %s %v %+v", name, r.Outcome, err, r.File.Reasons)
	}
}

// night runs the night of a day, twice, and returns what the bank phase says.
func (s *bankScene) night(day string) (reconcile.BankOutcome, []string) {
	s.t.Helper()
	asOf, err := chain.ParseDate(day)
	if err != nil {
		s.t.Fatal(err)
	}
	options := reconcile.NightOptions{Ledger: s.id.UUID, AsOf: &asOf, Policy: s.policy}
	result, err := reconcile.RunNight(s.t.Context(), s.deps, options)
	if err != nil {
		s.t.Fatal(err)
	}
	options.Again = true
	again, err := reconcile.RunNight(s.t.Context(), s.deps, options)
	if err != nil || len(again.Disputed) > 0 {
		s.t.Errorf("as of %s, once more: %v %+v", day, err, again.Disputed)
	}
	text, err := reconcile.ReadOutput(s.t.Context(), s.deps.DB, result.Run.ID, reconcile.ResultOutput, reconcile.BankResult)
	if err != nil {
		s.t.Fatal(err)
	}
	var out reconcile.BankOutcome
	if err := json.Unmarshal(text, &out); err != nil {
		s.t.Fatal(err)
	}
	for _, name := range []string{"bank-reconciliation", "breaks"} {
		if _, err := reconcile.ReadOutput(s.t.Context(), s.deps.DB, result.Run.ID, reconcile.ReportOutput, name); err != nil {
			s.t.Error(err)
		}
	}
	var codes []string
	for _, f := range out.Findings() {
		codes = append(codes, f.Code)
	}
	return out, codes
}

// open shows the open breaks of the one account, and fails unless the proofs hold.
func (s *bankScene) open(out *reconcile.BankOutcome) []string {
	s.t.Helper()
	if len(out.Accounts) != 1 {
		s.t.Fatalf("%d accounts", len(out.Accounts))
	}
	a := out.Accounts[0]
	if a.State != "reconciled" || !a.Placement.Holds() || !a.Proof.Holds() {
		s.t.Errorf("as of %s the account is %s: %+v", a.AsOf, a.State, a.Proof)
	}
	var shown []string
	for _, b := range a.Breaks {
		var refs []string
		for _, l := range b.Lines {
			refs = append(refs, l.Amount)
		}
		shown = append(shown, fmt.Sprintf("%s %s", b.Status, strings.Join(refs, " ")))
	}
	slices.Sort(shown)
	return shown
}

// find returns the break of a status and amount.
func find(t *testing.T, out *reconcile.BankOutcome, status, amount string) (id string, lines []string, firstSeen string) {
	t.Helper()
	for _, b := range out.Accounts[0].Breaks {
		if string(b.Status) == status && b.Lines[0].Amount == amount {
			for _, l := range b.Lines {
				lines = append(lines, l.ID)
			}
			return b.ID, lines, b.FirstSeen
		}
	}
	t.Fatalf("there is no break %s %s", status, amount)
	return "", nil, ""
}

func (s *bankScene) decide(action string, lines []string, metadata string, entry *ledger.Entry) {
	s.t.Helper()
	slices.Sort(lines)
	d := &ledger.Decide{Common: s.common(""), Action: action, Subject: strings.Join(lines, ",")}
	reason := "as the test has it"
	d.Description = &reason
	if metadata != "" {
		d.Metadata = &metadata
	}
	if entry != nil {
		id := entry.RequestID()
		d.Entry = &id
	}
	s.submit(d)
}

// postMonth posts what a statement says, on its days, but for the lines that pass takes.
func (s *bankScene) postMonth(content string, pass func(n int, amount, reference string) bool) {
	s.t.Helper()
	type line struct{ day, amount, reference string }
	var lines []line
	_, err := bankfile.Read(strings.NewReader(content), bankfile.Options{}, bankfile.Receiver{Line: func(st *bankfile.Statement, l *bankfile.Line) error {
		lines = append(lines, line{max(string(l.BookingDate), string(st.From)), l.Signed().Format(l.Amount.Currency.Scale), l.References.EndToEnd})
		return nil
	}})
	if err != nil {
		s.t.Fatal(err)
	}
	slices.SortStableFunc(lines, func(a, b line) int { return strings.Compare(a.day, b.day) })
	for n, l := range lines {
		s.on(l.day)
		if !pass(n, l.amount, l.reference) {
			s.book(l.amount, "customers", l.reference)
		}
	}
}

func statementSample(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(samples.Path(t, "statements/"+name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// Three months of a real account, with the ledger posted from them and a few breaks of each kind.
func TestThreeMonthsAreReconciledWithTheBank(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		s := newBankScene(t, url)
		s.book("33443.03", "customers", "opening")
		none := func(int, string, string) bool { return false }
		october, november, december := statementSample(t, "account_statement-3.xml"), statementSample(t, "BE68793230773034-202411.xml"), statementSample(t, "BE68793230773034-202412.xml")

		s.postMonth(october, none)
		s.on("2024-11-01")
		out, codes := s.night("2024-10-31")
		if !slices.Equal(codes, []string{reconcile.BankStatementMissing}) || out.Accounts[0].State != "no_statement" {
			t.Errorf("without a statement: %v %s", codes, out.Accounts[0].State)
		}
		s.importFile("october", october)
		out, codes = s.night("2024-10-31")
		if got := s.open(&out); len(got) > 0 || len(codes) > 0 {
			t.Fatalf("in October %v is open: %v", got, codes)
		}

		var missing, differing string
		s.postMonth(november, func(n int, amount, reference string) bool {
			switch n {
			case 40: // the bank has it, the ledger not
				missing = amount
				return true
			case 80: // the amounts differ
				d := decimal.RequireFromString(amount)
				differing = amount
				s.book(d.Add(decimal.NewFromInt(int64(d.Sign()))).String(), "customers", reference)
				return true
			case 120: // posted twice
				s.book(amount, "customers", reference)
			}
			return false
		})
		s.book("777.77", "customers", "NEVERATTHEBANK")
		s.importFile("november", november)
		s.on("2024-12-02")
		out, codes = s.night("2024-11-30")
		open := s.open(&out)
		if len(open) != 4 || !slices.Equal(codes, []string{reconcile.BankBreaksOverdue}) {
			t.Fatalf("in November %q is open: %v", open, codes)
		}
		for _, status := range []string{"amount_mismatch " + differing, "duplicate_ledger ", "timing 777.77", "unmatched_bank " + missing} {
			if !slices.ContainsFunc(open, func(o string) bool { return strings.HasPrefix(o, status) }) {
				t.Errorf("no %s among %q", status, open)
			}
		}

		// What people decide changes the result, and is still there the night after.
		missingID, missingLines, _ := find(t, &out, "unmatched_bank", missing)
		_, stray, _ := find(t, &out, "timing", "777.77")
		s.decide("assign", slices.Clone(missingLines), `{"cause":"bank_fee","owner":"treasury"}`, nil)
		s.decide("write_off", stray, "", s.book("-777.77", "expenses:bank", "write-off"))
		out, _ = s.night("2024-11-30")
		if again := s.open(&out); !slices.Equal(again, open) {
			t.Errorf("decided in December, %q is open at the end of November, and was %q", again, open)
		}
		if notes := strings.Join(out.Accounts[0].Notes, "\n"); !strings.Contains(notes, "takes effect after 2024-11-30") {
			t.Errorf("the notes are %q", notes)
		}

		s.postMonth(december, none)
		s.importFile("december", december)
		s.on("2025-01-02")
		out, codes = s.night("2024-12-31")
		if got := s.open(&out); len(got) != 3 || !slices.Equal(codes, []string{reconcile.BankBreaksOverdue}) {
			t.Errorf("in December %q is open: %v", got, codes)
		}
		if settled := out.Accounts[0].Settled; len(settled) != 1 || settled[0].Status != "written_off" || settled[0].Resolved == nil {
			t.Errorf("settled is %+v", settled)
		}
		for _, b := range out.Accounts[0].Breaks {
			if b.ID == missingID && (b.Owner != "treasury" || b.Cause != "bank_fee" || b.FirstSeen != "2024-11-30" || b.New || !b.Overdue) {
				t.Errorf("the break that was assigned is %+v", b)
			}
		}
	})
}

// A line that was changed behind the program's back, in a table that may change, is found.
func TestAChangedBankLineBreaksTheProof(t *testing.T) {
	t.Parallel()
	url := storetest.Database(t)
	s := newBankScene(t, url)
	s.book("33443.03", "customers", "opening")
	october := statementSample(t, "account_statement-3.xml")
	s.postMonth(october, func(int, string, string) bool { return false })
	s.importFile("october", october)
	s.on("2024-11-01")
	if _, err := connect(t, url).Exec(t.Context(), `update ops.bank_lines set amount = amount + 1 where statement = 1 and line = 7`); err != nil {
		t.Fatal(err)
	}
	out, codes := s.night("2024-10-31")
	if !slices.Contains(codes, reconcile.BankNotReconciled) || out.Accounts[0].State != "not_reconciled" {
		t.Errorf("%v %s", codes, out.Accounts[0].State)
	}
}
