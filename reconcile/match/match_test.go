package match_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/shopspring/decimal"

	"tallystick/ledger/chain"
	"tallystick/ledger/money"
	"tallystick/reconcile/calendar"
	"tallystick/reconcile/match"
	"tallystick/reconcile/policy"
)

func day(tb testing.TB, s string) chain.Date {
	tb.Helper()
	d, err := chain.ParseDate(s)
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

func weekdays(tb testing.TB) calendar.Calendar {
	tb.Helper()
	c, err := calendar.Named("weekdays")
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// line reads a line such as "b1 2024-11-29 12.34 EUR end_to_end=A,B reversal": b is the bank, l the ledger, whose number
// is that of its entry. A + is a line brought forward, ~ID the line that it takes back.
func line(tb testing.TB, text string) match.Line {
	tb.Helper()
	fields := strings.Fields(text)
	units, err := money.FromDecimal(decimal.RequireFromString(fields[2]), 2)
	if err != nil {
		tb.Fatal(err)
	}
	l := match.Line{ID: fields[0], Side: match.Bank, Booked: day(tb, fields[1]), Units: units, Currency: fields[3], Scale: 2, References: map[string][]string{}}
	if l.ID[0] == 'l' {
		l.Side = match.Ledger
		if _, err := fmt.Sscanf(l.ID, "l%d", &l.Entry); err != nil {
			tb.Fatal(err)
		}
	}
	for _, field := range fields[4:] {
		name, value, named := strings.Cut(field, "=")
		switch {
		case named:
			l.References[name] = append(l.References[name], strings.Split(value, ",")...)
		case field == "reversal":
			l.Reversal = true
		case field == "+":
			l.Brought = true
		case field[0] == '~':
			l.Reverses = field[1:]
		default:
			tb.Fatalf("%q says nothing", field)
		}
	}
	return l
}

// input has the lines, and the balances that follow from them when the sides began alike.
func input(tb testing.TB, asOf string, lines ...string) match.Input {
	tb.Helper()
	in := match.Input{Account: "bank:eur", AsOf: day(tb, asOf), Calendar: weekdays(tb)}
	for _, text := range lines {
		if l := line(tb, text); l.Side == match.Bank {
			in.Bank = append(in.Bank, l)
		} else {
			in.Ledger = append(in.Ledger, l)
		}
	}
	balance(tb, &in)
	return in
}

func balance(tb testing.TB, in *match.Input) {
	tb.Helper()
	all := map[string]*match.Balance{}
	for _, l := range slices.Concat(in.Bank, in.Ledger) {
		b := all[l.Currency]
		if b == nil {
			b = &match.Balance{Currency: l.Currency, Scale: l.Scale}
			all[l.Currency] = b
		}
		opening, closing := &b.BankOpening, &b.BankClosing
		if l.Side == match.Ledger {
			opening, closing = &b.LedgerOpening, &b.LedgerClosing
		}
		add := func(to *money.Int128) {
			var ok bool
			if *to, ok = to.Add(l.Units); !ok {
				tb.Fatal("out of range")
			}
		}
		add(closing)
		if l.Brought {
			add(opening)
		}
	}
	in.Balances = nil
	for _, b := range all {
		in.Balances = append(in.Balances, *b)
	}
	slices.SortFunc(in.Balances, func(x, y match.Balance) int { return cmp.Compare(x.Currency, y.Currency) })
}

func run(tb testing.TB, in match.Input) *match.Result {
	tb.Helper()
	r, err := match.Match(in)
	if err != nil {
		tb.Fatal(err)
	}
	if !r.Holds() {
		tb.Errorf("the proofs do not hold: %+v %+v", r.Placement, r.Proofs)
	}
	return r
}

// groups shows the groups, such as "matched exact end-to-end: b1 l1".
func groups(r *match.Result) []string {
	var shown []string
	for _, g := range r.Groups {
		how := strings.Join(strings.Fields(fmt.Sprintf("%s %s %s", g.Status, g.How, g.Rule)), " ")
		shown = append(shown, how+": "+strings.Join(slices.Concat(g.Bank, g.Ledger), " "))
	}
	return shown
}

func same(tb testing.TB, got, want []string) {
	tb.Helper()
	if !slices.Equal(got, want) {
		tb.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func fees(tb testing.TB) policy.Matching {
	tb.Helper()
	return policy.Matching{Fees: []policy.Fee{{Currency: "EUR", Tolerance: policy.Decimal{Decimal: decimal.RequireFromString("0.50")}, Account: "expenses:bank"}}}
}

func TestEveryStatus(t *testing.T) {
	t.Parallel()
	const asOf = "2024-12-31"
	for _, c := range []struct {
		name  string
		lines []string
		want  []string
	}{
		{"by the end-to-end id", []string{"b1 2024-11-29 12.34 EUR end_to_end=E1", "l1 2024-12-02 12.34 EUR reference=e1"},
			[]string{"matched exact end-to-end: b1 l1"}},
		{"by another reference", []string{"b1 2024-11-29 12.34 EUR servicer=S1", "l1 2024-12-02 12.34 EUR metadata.bank_reference=S1"},
			[]string{"matched exact reference: b1 l1"}},
		{"a UUID without its hyphens", []string{"b1 2024-11-29 1 EUR end_to_end=0192f3a4b5c67d8e9fa0b1c2d3e4f506", "l1 2024-11-29 1 EUR request_id=0192f3a4-b5c6-7d8e-9fa0-b1c2d3e4f506"},
			[]string{"matched exact end-to-end: b1 l1"}},
		{"by amount and date", []string{"b1 2024-11-29 12.34 EUR end_to_end=E1", "l1 2024-12-02 12.34 EUR reference=R1"},
			[]string{"matched exact amount-and-date: b1 l1"}},
		{"what says nothing is no reference", []string{"b1 2024-11-01 12.34 EUR end_to_end=NOTPROVIDED", "l1 2024-11-08 12.34 EUR reference=NOTPROVIDED"},
			[]string{"unmatched_bank: b1", "unmatched_ledger: l1"}},
		{"amounts that two could mean", []string{"b1 2024-11-29 5 EUR", "b2 2024-11-29 5 EUR", "l1 2024-11-29 5 EUR"},
			[]string{"suggested exact amount-and-date: b1 l1", "unmatched_bank: b2"}},
		{"the same with a reference is the same twice", []string{"b1 2024-11-28 5 EUR end_to_end=E1", "b2 2024-11-29 5 EUR end_to_end=E1", "l1 2024-11-29 5 EUR reference=E1"},
			[]string{"duplicate_bank: b1", "matched exact end-to-end: b2 l1"}},
		{"twice in the ledger", []string{"b1 2024-11-28 5 EUR end_to_end=E1", "l1 2024-11-28 5 EUR reference=E1", "l2 2024-11-28 5 EUR reference=E1"},
			[]string{"matched exact end-to-end: b1 l1", "duplicate_ledger: l2"}},
		{"twice on both sides", []string{"b1 2024-11-28 5 EUR end_to_end=E1", "b2 2024-11-28 5 EUR end_to_end=E1", "l1 2024-11-28 5 EUR reference=E1", "l2 2024-11-28 5 EUR reference=E1"},
			[]string{"matched exact end-to-end: b1 l1", "matched exact end-to-end: b2 l2"}},
		{"a standing order is not the same twice", []string{"b1 2024-11-01 5 EUR end_to_end=E1", "b2 2024-12-02 5 EUR end_to_end=E1", "l1 2024-11-01 5 EUR reference=E1"},
			[]string{"matched exact end-to-end: b1 l1", "unmatched_bank: b2"}},
		{"one of the bank for many", []string{"b1 2024-11-29 60 EUR batch=B", "l1 2024-11-28 10 EUR metadata.batch=B", "l2 2024-11-28 20 EUR metadata.batch=B", "l3 2024-11-28 30 EUR metadata.batch=B"},
			[]string{"matched grouped batch: b1 l1 l2 l3"}},
		{"many of the bank for one", []string{"b1 2024-11-29 -10 EUR batch=B", "b2 2024-11-29 -20 EUR batch=B", "l1 2024-11-28 -30 EUR reference=B"},
			[]string{"matched grouped batch: b1 b2 l1"}},
		{"many for many", []string{"b1 2024-11-29 10 EUR batch=B", "b2 2024-11-29 20 EUR batch=B", "l1 2024-11-28 15 EUR metadata.batch=B", "l2 2024-11-28 15 EUR metadata.batch=B"},
			[]string{"suggested grouped batch: b1 b2 l1 l2"}},
		{"the payments of a line", []string{"b1 2024-11-29 60 EUR end_to_end=X,Y", "l1 2024-11-28 20 EUR reference=X", "l2 2024-11-28 40 EUR reference=Y"},
			[]string{"matched grouped batch-details: b1 l1 l2"}},
		{"a batch that does not add up", []string{"b1 2024-11-29 60 EUR batch=B", "l1 2024-11-28 10 EUR metadata.batch=B", "l2 2024-11-28 20 EUR metadata.batch=B"},
			[]string{"amount_mismatch grouped batch: b1 l1 l2"}},
		{"less a fee", []string{"b1 2024-11-29 99.50 EUR end_to_end=E1", "l1 2024-11-29 100 EUR reference=E1"},
			[]string{"suggested tolerance fee: b1 l1"}},
		{"less than a fee allows", []string{"b1 2024-11-29 99.49 EUR end_to_end=E1", "l1 2024-11-29 100 EUR reference=E1"},
			[]string{"amount_mismatch end-to-end: b1 l1"}},
		{"a reference outweighs the amount", []string{"b1 2024-11-29 90 EUR end_to_end=E1", "l1 2024-11-29 100 EUR reference=E1", "l2 2024-11-29 90 EUR"},
			[]string{"amount_mismatch end-to-end: b1 l1", "unmatched_ledger: l2"}},
		{"a sum that fits", []string{"b1 2024-11-29 60 EUR", "l1 2024-11-29 11 EUR", "l2 2024-11-29 22 EUR", "l3 2024-11-29 38 EUR"},
			[]string{"suggested grouped subset: b1 l2 l3", "unmatched_ledger: l1"}},
		{"the other side", []string{"b1 2024-11-29 -7 EUR end_to_end=E1", "l1 2024-11-29 7 EUR reference=E1"},
			[]string{"side_mismatch end-to-end: b1 l1"}},
		{"another currency", []string{"b1 2024-11-29 7 USD end_to_end=E1", "l1 2024-11-29 7 EUR reference=E1"},
			[]string{"currency_mismatch end-to-end: b1 l1"}},
		{"too far apart", []string{"b1 2024-11-01 7 EUR end_to_end=E1", "l1 2024-11-29 7 EUR reference=E1"},
			[]string{"date_drift end-to-end: b1 l1"}},
		{"on its way", []string{"b1 2024-12-30 7 EUR", "l1 2024-12-27 9 EUR", "l2 2024-12-26 8 EUR"},
			[]string{"timing: b1", "unmatched_ledger: l2", "timing: l1"}},
		{"taken back by the bank", []string{"b1 2024-11-28 7 EUR servicer=S", "b2 2024-11-29 -7 EUR servicer=S reversal", "l1 2024-11-28 7 EUR"},
			[]string{"reversed_pair: b1 b2", "unmatched_ledger: l1"}},
		{"taken back by the ledger", []string{"l1 2024-11-28 7 EUR", "l2 2024-11-29 -7 EUR reversal ~l1"},
			[]string{"reversed_pair: l1 l2"}},
		{"taken back on both sides", []string{"b1 2024-11-28 7 EUR end_to_end=E", "b2 2024-11-29 -7 EUR end_to_end=E reversal", "l1 2024-11-28 7 EUR reference=E", "l2 2024-11-29 -7 EUR reference=E ~l1"},
			[]string{"matched exact end-to-end: b1 l1", "matched exact end-to-end: b2 l2"}},
		{"the repeated one taken back", []string{"b1 2024-11-28 7 EUR end_to_end=E", "b2 2024-11-28 7 EUR end_to_end=E", "b3 2024-11-29 -7 EUR end_to_end=E reversal", "l1 2024-11-28 7 EUR reference=E"},
			[]string{"matched exact end-to-end: b1 l1", "reversed_pair: b2 b3"}},
		{"a batch that lies too far apart", []string{"b1 2024-11-29 30 EUR batch=B", "l1 2024-11-22 10 EUR metadata.batch=B", "l2 2024-11-15 20 EUR metadata.batch=B"},
			[]string{"unmatched_bank: b1", "unmatched_ledger: l2", "unmatched_ledger: l1"}},
		{"a batch of both directions", []string{"b1 2024-11-29 60 EUR batch=B", "l1 2024-11-29 100 EUR metadata.batch=B", "l2 2024-11-29 -40 EUR metadata.batch=B"},
			[]string{"amount_mismatch batch: b1 l1", "unmatched_ledger: l2"}},
		{"two payments in a line, one of them posted with the sum", []string{"b1 2024-11-29 60 EUR end_to_end=X,Y", "l1 2024-11-29 60 EUR reference=X"},
			[]string{"matched exact batch-details: b1 l1"}},
		{"a standing order whose first was not posted", []string{"b1 2024-11-01 5 EUR end_to_end=E1", "b2 2024-12-02 5 EUR end_to_end=E1", "l1 2024-12-02 5 EUR reference=E1"},
			[]string{"unmatched_bank: b1", "matched exact end-to-end: b2 l1"}},
		{"booked again after it was taken back", []string{"b1 2024-11-27 7 EUR end_to_end=E", "b2 2024-11-28 -7 EUR end_to_end=E reversal", "b3 2024-11-29 7 EUR end_to_end=E"},
			[]string{"reversed_pair: b1 b2", "unmatched_bank: b3"}},
		{"a reversal is no duplicate", []string{"b1 2024-11-28 -7 EUR end_to_end=E", "b2 2024-11-28 -7 EUR end_to_end=E reversal"},
			[]string{"unmatched_bank: b1", "unmatched_bank: b2"}},
		{"a reversal does not take a reversal back", []string{"b1 2024-11-28 7 EUR end_to_end=E reversal", "b2 2024-11-28 -7 EUR end_to_end=E reversal"},
			[]string{"unmatched_bank: b1", "unmatched_bank: b2"}},
		{"nothing is taken back beforehand", []string{"b1 2024-11-28 -7 EUR end_to_end=E reversal", "b2 2024-11-29 7 EUR end_to_end=E"},
			[]string{"unmatched_bank: b1", "unmatched_bank: b2"}},
		{"a reversal is not the other side", []string{"b1 2024-11-28 -7 EUR end_to_end=E reversal", "l1 2024-11-28 7 EUR reference=E"},
			[]string{"unmatched_bank: b1", "unmatched_ledger: l1"}},
		{"years apart", []string{"b1 2022-11-01 7 EUR end_to_end=E", "l1 2024-11-29 7 EUR reference=E"},
			[]string{"unmatched_bank: b1", "unmatched_ledger: l1"}},
		{"a reference far away outweighs an amount", []string{"b1 2024-11-01 7 EUR end_to_end=E", "l1 2024-12-20 7 EUR reference=E", "l2 2024-11-01 7 EUR"},
			[]string{"date_drift end-to-end: b1 l1", "unmatched_ledger: l2"}},
		{"what repeats is not matched by its amount", []string{"b1 2024-11-28 7 EUR end_to_end=E", "b2 2024-11-29 7 EUR end_to_end=E", "l1 2024-11-28 7 EUR reference=E", "l2 2024-11-29 7 EUR"},
			[]string{"matched exact end-to-end: b1 l1", "duplicate_bank: b2", "unmatched_ledger: l2"}},
		{"a currency that two could have meant", []string{"b1 2024-11-29 5 EUR end_to_end=E", "b2 2024-11-29 6 EUR end_to_end=E", "l1 2024-11-29 7 USD reference=E"},
			[]string{"unmatched_bank: b1", "unmatched_bank: b2", "unmatched_ledger: l1"}},
		{"a fee that two could have cost", []string{"b1 2024-11-29 9.70 EUR end_to_end=E", "b2 2024-11-29 9.80 EUR end_to_end=E", "l1 2024-11-29 10 EUR reference=E"},
			[]string{"amount_mismatch grouped batch-details: b1 b2 l1"}},
		{"a fee too late", []string{"b1 2024-11-29 9.70 EUR end_to_end=E", "l1 2024-11-01 10 EUR reference=E"},
			[]string{"unmatched_bank: b1", "unmatched_ledger: l1"}},
		{"two sums that fit", []string{"b1 2024-11-29 60 EUR", "l1 2024-11-29 10 EUR", "l2 2024-11-29 20 EUR", "l3 2024-11-29 40 EUR", "l4 2024-11-29 50 EUR"},
			[]string{"unmatched_bank: b1", "unmatched_ledger: l1", "unmatched_ledger: l2", "unmatched_ledger: l3", "unmatched_ledger: l4"}},
		{"the smaller sum goes first", []string{"b0 2024-11-29 60 EUR", "b1 2024-11-29 30 EUR", "l1 2024-11-29 10 EUR", "l2 2024-11-29 20 EUR", "l3 2024-11-29 25 EUR", "l4 2024-11-29 15 EUR"},
			[]string{"unmatched_bank: b0", "suggested grouped subset: b1 l1 l2", "unmatched_ledger: l3", "unmatched_ledger: l4"}},
		{"never the other direction", []string{"b1 2024-11-28 7 EUR", "l1 2024-11-28 -7 EUR"},
			[]string{"unmatched_bank: b1", "unmatched_ledger: l1"}},
		{"nothing moved", []string{"b1 2024-11-28 0 EUR", "l1 2024-11-28 0 EUR"},
			[]string{"unmatched_bank: b1", "unmatched_ledger: l1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			in := input(t, asOf, c.lines...)
			in.Rules = fees(t)
			r := run(t, in)
			same(t, groups(r), c.want)
			slices.Reverse(in.Bank)
			slices.Reverse(in.Ledger)
			if again := run(t, in); !reflect.DeepEqual(again.Groups, r.Groups) {
				t.Errorf("in another order: %s", groups(again))
			}
			var read match.Result
			if _, ok := read.GroupOf("b1"); ok {
				t.Error("nothing has a group")
			}
			written, err := json.Marshal(r)
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(written, &read); err != nil || !reflect.DeepEqual(read.Groups, r.Groups) || !reflect.DeepEqual(read.Proofs, r.Proofs) {
				t.Errorf("JSON does not keep the result: %v\n%s", err, written)
			}
			for _, l := range slices.Concat(in.Bank, in.Ledger) {
				e, ok := r.Explain(l.ID)
				g, _ := r.GroupOf(l.ID)
				if !ok || e.Words == "" || g.ID != e.Group || (e.Candidate != "") != (len(e.Tests) > 0) {
					t.Errorf("%s is explained as %+v", l.ID, e)
				}
				t.Logf("%s: %s: %s", l.ID, e.Status, e.Words)
			}
		})
	}
}

// Among many lines some sum fits by chance, so that none is searched for.
func TestSumsOfManyLinesAreNotSearchedFor(t *testing.T) {
	t.Parallel()
	lines := []string{"b1 2024-11-29 1000 EUR"}
	for i := range match.MaxSubsetLines - 2 {
		lines = append(lines, fmt.Sprintf("l%02d 2024-11-29 0.%02d EUR", 10+i, 1+i))
	}
	lines = append(lines, "l50 2024-11-29 600 EUR", "l51 2024-11-29 400 EUR")
	if g, _ := run(t, input(t, "2024-12-31", lines...)).GroupOf("b1"); g.Status != match.Suggested || len(g.Ledger) != 2 {
		t.Errorf("of %d lines the sum is not found: %+v", match.MaxSubsetLines, g)
	}
	lines = append(lines, "l52 2024-11-29 0.99 EUR")
	if g, _ := run(t, input(t, "2024-12-31", lines...)).GroupOf("b1"); g.Status != match.UnmatchedBank {
		t.Errorf("of %d lines a sum is suggested: %+v", match.MaxSubsetLines+1, g)
	}
}

func TestRulesAreThoseOfThePolicy(t *testing.T) {
	t.Parallel()
	lines := []string{"b1 2024-11-27 7 EUR servicer=S", "b2 2024-11-28 -7 EUR servicer=S reversal", "b3 2024-11-28 5 EUR end_to_end=E", "b4 2024-11-28 3 EUR", "l1 2024-11-28 5 EUR reference=E", "l2 2024-11-28 3 EUR"}
	for _, c := range []struct {
		rules []policy.Rule
		want  []string
	}{
		{[]policy.Rule{{ID: "r", Kind: policy.ByReference, Bank: []string{"end_to_end"}, Ledger: []string{"reference"}}},
			[]string{"reversed_pair: b1 b2", "matched exact r: b3 l1", "unmatched_bank: b4", "unmatched_ledger: l2"}},
		{[]policy.Rule{{ID: "r", Kind: policy.ByReference, Bank: []string{"end_to_end"}, Ledger: []string{"reference"}, Suggest: true}, {ID: "a", Kind: policy.ByAmount, Suggest: true}},
			[]string{"reversed_pair: b1 b2", "suggested exact r: b3 l1", "suggested exact a: b4 l2"}},
		{[]policy.Rule{{ID: "b", Kind: policy.ByBatch, Bank: []string{"end_to_end"}, Ledger: []string{"reference"}, Suggest: true}},
			[]string{"reversed_pair: b1 b2", "suggested exact b: b3 l1", "unmatched_bank: b4", "unmatched_ledger: l2"}},
		{[]policy.Rule{{ID: "a", Kind: policy.ByAmount}}, // which, without a rule about references, ties nothing
			[]string{"reversed_pair: b1 b2", "matched exact a: b3 l1", "matched exact a: b4 l2"}},
	} {
		in := input(t, "2024-12-31", lines...)
		in.Rules.Rules = c.rules
		same(t, groups(run(t, in)), c.want)
	}
}
