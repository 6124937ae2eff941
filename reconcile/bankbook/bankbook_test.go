package bankbook_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/shopspring/decimal"

	"tallystick/ledger/chain"
	"tallystick/ledger/money"
	"tallystick/reconcile/bankbook"
	"tallystick/reconcile/calendar"
	"tallystick/reconcile/match"
	"tallystick/reconcile/report"
)

func day(tb testing.TB, text string) chain.Date {
	tb.Helper()
	d, err := chain.ParseDate(text)
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

func cents(tb testing.TB, amount string) money.Int128 {
	tb.Helper()
	u, err := money.FromDecimal(decimal.RequireFromString(amount), 2)
	if err != nil {
		tb.Fatal(err)
	}
	return u
}

// statement writes a statement of lines such as "02 10.00 REF", on days of March 2026. Balances are empty where none is
// stated.
func statement(tb testing.TB, number int64, bank, from, to, opening, closing string, lines ...string) bankbook.Statement {
	tb.Helper()
	s := bankbook.Statement{Number: number, BankAccount: bank, To: day(tb, to)}
	if from != "" {
		d := day(tb, from)
		s.From = &d
	}
	for text, balance := range map[string]**money.Int128{"o" + opening: &s.Opening, "c" + closing: &s.Closing} {
		if len(text) > 1 {
			u := cents(tb, text[1:])
			*balance = &u
		}
	}
	for i, text := range lines {
		s.Lines = append(s.Lines, line(tb, bankbook.BankLine(number, int64(i)+1), match.Bank, text))
	}
	return s
}

func line(tb testing.TB, id string, side match.Side, text string) match.Line {
	tb.Helper()
	words := strings.Fields(text)
	name := "end_to_end"
	if side == match.Ledger {
		name = "reference"
	}
	booked := day(tb, "2026-03-"+words[0])
	return match.Line{ID: id, Side: side, Booked: booked, Valued: booked, Units: cents(tb, words[1]), Currency: "EUR", Scale: 2, References: map[string][]string{name: {words[2]}}}
}

// input is an account with postings such as "02 10.00 REF", as of 31 March 2026.
func input(tb testing.TB, statements []bankbook.Statement, postings ...string) bankbook.Input {
	tb.Helper()
	days, err := calendar.Named("weekdays")
	if err != nil {
		tb.Fatal(err)
	}
	in := bankbook.Input{Account: "bank:eur", Currency: "EUR", Scale: 2, AsOf: day(tb, "2026-03-31"), Days: days, Statements: statements}
	for i, text := range postings {
		l := line(tb, bankbook.LedgerLine(int64(i)+1, 0), match.Ledger, text)
		l.Entry = int64(i) + 1
		in.Postings = append(in.Postings, l)
		in.Posted, _ = in.Posted.Add(l.Units)
	}
	return in
}

// run reconciles, once as the input stands and once the other way round.
func run(tb testing.TB, in bankbook.Input) *bankbook.Result {
	tb.Helper()
	r, err := bankbook.Reconcile(in)
	if err != nil {
		tb.Fatal(err)
	}
	slices.Reverse(in.Statements)
	slices.Reverse(in.Postings)
	again, err := bankbook.Reconcile(in)
	if err != nil {
		tb.Fatal(err)
	}
	if a, b := encoded(tb, r), encoded(tb, again); a != b {
		tb.Errorf("the order of the input matters:\n%s\n%s", a, b)
	}
	return r
}

func encoded(tb testing.TB, v any) string {
	tb.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		tb.Fatal(err)
	}
	return string(text)
}

func shown(r *bankbook.Result) []string {
	list := []string{}
	for _, b := range r.Breaks {
		text := string(b.Status)
		for _, l := range b.Lines {
			text += " " + l.ID + "=" + l.Amount
		}
		list = append(list, text)
	}
	slices.Sort(list)
	return list
}

func TestWhereAnAccountBegins(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name       string
		statements []bankbook.Statement
		postings   []string
		begins     string
		open       []string
	}{
		{"the openings agree", []bankbook.Statement{statement(t, 1, "A", "2026-03-02", "2026-03-31", "100", "110", "03 10.00 X")},
			[]string{"01 100.00 OLD", "03 10.00 X"}, "2026-03-02", []string{}},
		{"they agree on the day of the first line", []bankbook.Statement{statement(t, 1, "A", "2026-03-02", "2026-03-31", "100", "110", "03 10.00 X")},
			[]string{"01 60.00 OLD", "02 40.00 OLD2", "03 10.00 X"}, "2026-03-03", []string{}},
		{"the ledger brought the balance in later", []bankbook.Statement{statement(t, 1, "A", "2026-03-02", "2026-03-31", "100", "110", "03 10.00 X")},
			[]string{"03 100.00 OPENING", "03 10.00 X"}, "2026-03-02", []string{}},
		{"they never agreed", []bankbook.Statement{statement(t, 1, "A", "2026-03-02", "2026-03-31", "100", "110", "03 10.00 X")},
			[]string{"01 93.00 OLD", "03 10.00 X"}, "2026-03-02", []string{"unmatched_bank bank:1/0=7.00"}},
		{"nothing is stated", []bankbook.Statement{statement(t, 1, "A", "2026-03-02", "2026-03-31", "", "", "03 10.00 X")},
			[]string{"01 93.00 OLD", "03 10.00 X"}, "2026-03-02", []string{}},
		{"only the end is stated", []bankbook.Statement{statement(t, 1, "A", "2026-03-02", "2026-03-31", "", "110", "03 10.00 X")},
			[]string{"01 100.00 OLD", "03 10.00 X"}, "2026-03-02", []string{}},
		{"the second states what the first did not", []bankbook.Statement{statement(t, 1, "A", "2026-03-02", "2026-03-15", "", "", "03 10.00 X"), statement(t, 2, "A", "2026-03-16", "2026-03-31", "110", "130", "17 20.00 Y")},
			[]string{"01 100.00 OLD", "03 10.00 X", "17 20.00 Y"}, "2026-03-02", []string{}},
		{"a second bank account joins", []bankbook.Statement{statement(t, 1, "A", "2026-03-02", "2026-03-31", "100", "110", "03 10.00 X"), statement(t, 2, "B", "2026-03-16", "2026-03-31", "5", "6", "17 1.00 Y")},
			[]string{"01 100.00 OLD", "03 10.00 X", "17 1.00 Y"}, "2026-03-02", []string{"unmatched_bank bank:2/0=5.00"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := run(t, input(t, c.statements, c.postings...))
			if r.State != bankbook.Reconciled || !r.Proof.Holds() || r.Begins != c.begins || !slices.Equal(shown(r), c.open) {
				t.Errorf("%s from %s, open %q, proof %s; want %s, %q", r.State, r.Begins, shown(r), encoded(t, r.Proof), c.begins, c.open)
			}
			if stated := c.name != "nothing is stated"; r.Stated != stated {
				t.Errorf("the balance is stated: %v", r.Stated)
			}
		})
	}
}

func TestAProofThatDoesNotHoldIsSaid(t *testing.T) {
	t.Parallel()
	for name, s := range map[string][]bankbook.Statement{
		"a line is missing":    {statement(t, 1, "A", "2026-03-02", "2026-03-31", "100", "120", "03 10.00 X")},
		"a gap between two":    {statement(t, 1, "A", "2026-03-02", "2026-03-15", "100", "110", "03 10.00 X"), statement(t, 2, "A", "2026-03-16", "2026-03-31", "111", "111")},
		"a line was changed":   {statement(t, 1, "A", "2026-03-02", "2026-03-31", "100", "110", "03 10.01 X")},
		"a line in the middle": {statement(t, 1, "A", "2026-03-02", "2026-03-15", "100", "111", "03 10.00 X"), statement(t, 2, "A", "2026-03-16", "2026-03-31", "111", "111")},
	} {
		if r := run(t, input(t, s, "01 100.00 OLD", "03 10.00 X")); r.State != bankbook.NotReconciled {
			t.Errorf("%s: %s, %s", name, r.State, encoded(t, r.Proof))
		}
	}
}

func TestStatementsThatDoNotReachTheDay(t *testing.T) {
	t.Parallel()
	in := input(t, []bankbook.Statement{statement(t, 1, "A 1", "2026-03-02", "2026-03-30", "0", "0")})
	in.Expected = []string{"A1", "B"}
	if r := run(t, in); r.State != bankbook.Reconciled || !slices.Equal(r.Missing, []string{"A1", "B"}) {
		t.Errorf("%s, missing %q", r.State, r.Missing)
	}
	in.AsOf = day(t, "2026-03-29") // a Sunday: Friday is the last business day
	in.Statements = []bankbook.Statement{statement(t, 1, "A", "2026-03-02", "2026-03-27", "0", "0")}
	in.Expected = nil
	if r := run(t, in); len(r.Missing) > 0 {
		t.Errorf("on a Sunday the statement of Friday is enough: missing %q", r.Missing)
	}
	in.Statements = nil
	if r := run(t, in); r.State != bankbook.NoStatement || r.Proof != nil {
		t.Errorf("without a statement: %s", r.State)
	}
}

func TestDecisionsOfAnotherDayAndOfOtherAccountsDoNotCount(t *testing.T) {
	t.Parallel()
	in := input(t, []bankbook.Statement{statement(t, 1, "A", "2026-03-02", "2026-03-31", "0", "-5", "03 -5.00 FEE")})
	until := day(t, "2026-04-30")
	entry := int64(99)
	in.Decisions = []bankbook.Decision{
		{Decision: match.Decision{Seq: 7, Action: match.DoWriteOff, Lines: []string{"bank:1/1"}, Entry: &entry}, Later: true},
		{Decision: match.Decision{Seq: 8, Action: match.DoNote, Lines: []string{"bank:9/1"}, Note: "decision 8"}},
	}
	r := run(t, in)
	if len(r.Troubles) > 0 || !slices.Equal(r.Notes, []string{"decision 7 takes effect after 2026-03-31"}) || r.Overdue != 1 {
		t.Errorf("troubles %+v, notes %q, overdue %d", r.Troubles, r.Notes, r.Overdue)
	}
	in.Decisions = append(in.Decisions, bankbook.Decision{Decision: match.Decision{Seq: 9, Action: match.DoCarry, Lines: []string{"bank:1/1"}, Until: &until}})
	if r := run(t, in); r.Breaks[0].Status != match.Carried || r.Overdue != 0 || r.Breaks[0].Overdue {
		t.Errorf("carried: %s", encoded(t, r.Breaks))
	}
}

// A break shows so many lines and says how many it leaves out: who decides about
// what is shown would decide about a part of it.
func TestABreakSaysHowManyOfItsLinesItLeavesOut(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ lines, shown, more int }{{100, 100, 0}, {150, 100, 50}} {
		var lines, ids []string
		for i := range c.lines {
			lines, ids = append(lines, "03 -1.00 FEE"), append(ids, bankbook.BankLine(1, int64(i)+1))
		}
		in := input(t, []bankbook.Statement{statement(t, 1, "A", "2026-03-02", "2026-03-31", "0", fmt.Sprint(-c.lines), lines...)})
		in.Decisions = []bankbook.Decision{{Decision: match.Decision{Seq: 7, Action: match.DoMatch, Lines: ids}}}
		r := run(t, in)
		if len(r.Breaks) != 1 || len(r.Breaks[0].Lines) != c.shown || r.Breaks[0].MoreLines != c.more {
			t.Errorf("of %d lines: %d breaks, the first shows %d and leaves %d out", c.lines, len(r.Breaks), len(r.Breaks[0].Lines), r.Breaks[0].MoreLines)
		}
	}
}

func TestAResultIsReadAsItWasWritten(t *testing.T) {
	t.Parallel()
	in := input(t, []bankbook.Statement{statement(t, 1, "A", "2026-03-02", "2026-03-31", "0", "15", "03 10.00 SECRET", "04 5.00 OTHER")}, "03 11.00 SECRET", "05 7.00 LATE")
	r := run(t, in)
	text := encoded(t, r)
	var back bankbook.Result
	if err := json.Unmarshal([]byte(text), &back); err != nil {
		t.Fatal(err)
	}
	if again := encoded(t, &back); again != text || !reflect.DeepEqual(back.Breaks, r.Breaks) {
		t.Errorf("written\n%s\nand read\n%s", text, again)
	}
	if strings.Contains(text, "SECRET") {
		t.Errorf("a reference of a payment was copied: %s", text)
	}
	for _, b := range r.Breaks {
		if len(b.Explanation) == 0 || b.Explanation[0].Words == "" {
			t.Errorf("break %s is not explained", b.ID)
		}
	}
}

func TestTheReportsFoot(t *testing.T) {
	t.Parallel()
	in := input(t, []bankbook.Statement{statement(t, 1, "A", "2026-03-02", "2026-03-31", "0", "15", "03 10.00 X", "04 5.00 Y")}, "03 11.00 X", "05 7.00 LATE")
	results := []*bankbook.Result{run(t, in), run(t, input(t, nil))}
	for _, write := range []func(string, []report.Fact, []*bankbook.Result) (*report.Document, error){bankbook.Reconciliation, bankbook.Breaks} {
		doc, err := write("main", []report.Fact{{Name: "As of", Value: "2026-03-31"}}, results)
		if err != nil {
			t.Fatal(err)
		}
		for _, none := range [][]*bankbook.Result{nil, results[1:]} {
			if _, err := write("main", nil, none); err != nil {
				t.Error(err)
			}
		}
		for _, b := range doc.Blocks {
			if b.Table == nil || !strings.HasPrefix(b.Table.Name, "statement") {
				continue
			}
			sum := decimal.Zero
			for _, row := range b.Table.Rows {
				v := decimal.RequireFromString(row.Cells[2].Value)
				switch {
				case row.Kind == report.Difference && !v.IsZero():
					t.Errorf("the difference is %s", v)
				case row.Kind == report.Total && !v.Equal(sum):
					t.Errorf("bank less what is open is %s, and the ledger has %s", sum, v)
				case row.Kind == report.Record, strings.HasPrefix(row.Cells[0].Value, "Balance at the bank"):
					sum = sum.Add(v)
				}
			}
		}
	}
}

func TestLinesAreNamedInOneWay(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"bank:12/3", "bank:1/0", "ledger:4711/0"} {
		side, container, number, err := bankbook.ParseLine(id)
		if err != nil || fmt.Sprintf("%s:%d/%d", side, container, number) != id {
			t.Errorf("%s is read as %s:%d/%d: %v", id, side, container, number, err)
		}
	}
	for _, wrong := range []string{"", "bank:1", "bank:01/2", "bank:-1/2", "book:1/2", "bank:1/2/3", "bank: 1/2", "ledger:1/+2", "bankfile:3"} {
		if _, _, _, err := bankbook.ParseLine(wrong); err == nil {
			t.Errorf("%q is a line", wrong)
		}
	}
}
