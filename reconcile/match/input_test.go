package match_test

import (
	"strings"
	"testing"

	"github.com/shopspring/decimal"

	"tallystick/ledger/money"
	"tallystick/reconcile/match"
	"tallystick/reconcile/policy"
)

func TestInputThatContradictsItselfIsRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil func(in *match.Input)
		want  string
	}{
		"the same line twice":       {func(in *match.Input) { in.Bank = append(in.Bank, in.Bank[0]) }, `line "b1" is there twice`},
		"a line without id":         {func(in *match.Input) { in.Bank[0].ID = "" }, "it has no id"},
		"a line of the other side":  {func(in *match.Input) { in.Bank[0].Side = match.Ledger }, `it is of side "ledger" and stands among those of the bank`},
		"no currency":               {func(in *match.Input) { in.Bank[0].Currency = "euro" }, `"euro" with 2 decimals is no currency`},
		"two scales":                {func(in *match.Input) { in.Ledger[0].Scale = 3 }, "its amount has 3 decimals, and others in EUR have 2"},
		"tomorrow":                  {func(in *match.Input) { in.AsOf-- }, "it is booked on 2024-11-29, after the as-of date 2024-11-28"},
		"no balances":               {func(in *match.Input) { in.Balances = nil }, "there are lines in EUR and no balances in it"},
		"balances twice":            {func(in *match.Input) { in.Balances = append(in.Balances, in.Balances[0]) }, "the balances in EUR are there twice"},
		"balances of another scale": {func(in *match.Input) { in.Balances[0].Scale = 0 }, "the balances in EUR have 0 decimals and its lines 2"},
		"decisions of one number": {func(in *match.Input) {
			in.Decisions = []match.Decision{{Seq: 4, Action: match.DoNote, Lines: []string{"b1"}}, {Seq: 4, Action: match.DoNote, Lines: []string{"b1"}}}
		}, "two decisions have the number 4"},
		"references without end": {func(in *match.Input) { in.Bank[0].References["batch"] = make([]string, match.MaxReferences+1) }, "references, at most 1000 are read"},
		"a tolerance that is no amount": {func(in *match.Input) {
			in.Rules.Fees = []policy.Fee{{Currency: "EUR", Tolerance: policy.Decimal{Decimal: decimal.RequireFromString("0.005")}, Account: "expenses:bank"}}
		}, "the fee tolerance of 0.005 EUR"},
		"a sum out of range": {func(in *match.Input) {
			in.Bank[0].Units, in.Ledger[0].Units = money.Max(), money.Max()
			in.Bank = append(in.Bank, in.Bank[0])
			in.Bank[1].ID = "b2"
		}, "out of range"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := input(t, "2024-12-31", "b1 2024-11-29 7 EUR end_to_end=E", "l1 2024-11-29 7 EUR reference=E")
			in.AsOf = day(t, "2024-11-29")
			c.spoil(&in)
			if _, err := match.Match(in); err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "matching account bank:eur: ") {
				t.Errorf("the error is %v, and should say %q", err, c.want)
			}
		})
	}
}

// A proof that does not hold says where: what is missing on a side, or at the opening.
func TestAProofThatFailsSaysWhere(t *testing.T) {
	t.Parallel()
	lines := []string{"b0 2024-10-30 3 EUR +", "b1 2024-11-29 7 EUR end_to_end=E", "l1 2024-11-29 7 EUR reference=E", "l2 2024-11-20 5 EUR"}
	one := money.FromInt64(1)
	for name, c := range map[string]struct {
		spoil func(b *match.Balance)
		says  func(p *match.Proof) money.Int128
	}{
		"the bank does not foot":      {func(b *match.Balance) { b.BankClosing, _ = b.BankClosing.Sub(one) }, func(p *match.Proof) money.Int128 { return p.BankFooting }},
		"the ledger does not foot":    {func(b *match.Balance) { b.LedgerClosing, _ = b.LedgerClosing.Sub(one) }, func(p *match.Proof) money.Int128 { return p.LedgerFooting }},
		"the sides began differently": {func(b *match.Balance) { b.BankOpening, b.BankClosing = plus(b.BankOpening), plus(b.BankClosing) }, func(p *match.Proof) money.Int128 { return p.OpeningGap }},
	} {
		in := input(t, "2024-12-31", lines...)
		run(t, in)
		c.spoil(&in.Balances[0])
		r, err := match.Match(in)
		if err != nil {
			t.Fatal(err)
		}
		if p := &r.Proofs[0]; r.Holds() || p.Holds() || p.Unexplained.IsZero() || c.says(p) != one {
			t.Errorf("%s: %+v", name, *p)
		}
	}
	in := input(t, "2024-12-31", lines...)
	p := run(t, in).Proofs[0]
	if p.Brought != money.FromInt64(300) || p.BankMovement != money.FromInt64(700) || p.LedgerMovement != money.FromInt64(1200) || p.OpenBreaks != money.FromInt64(-200) || p.Difference != p.OpenBreaks {
		t.Errorf("the proof is %+v", p)
	}
}

func plus(units money.Int128) money.Int128 {
	sum, _ := units.Add(money.FromInt64(1))
	return sum
}

func TestAnAccountWithoutLines(t *testing.T) {
	t.Parallel()
	r := run(t, match.Input{Account: "bank:eur", AsOf: 20_000, Balances: []match.Balance{{Currency: "EUR", Scale: 2, BankOpening: money.FromInt64(5), BankClosing: money.FromInt64(5), LedgerOpening: money.FromInt64(5), LedgerClosing: money.FromInt64(5)}}})
	if len(r.Groups) != 0 || len(r.Proofs) != 1 {
		t.Errorf("nothing gives %+v", r)
	}
	if _, ok := r.Explain("b1"); ok {
		t.Error("a line that is not there is explained")
	}
	if _, ok := r.GroupOf("b1"); ok {
		t.Error("a line that is not there has a group")
	}
}

func TestAnExplanationNamesTheNearestAndTheFailingTest(t *testing.T) {
	t.Parallel()
	pair := []string{"b1 2024-11-29 7 EUR end_to_end=E", "l1 2024-11-29 7 EUR reference=E"}
	for _, c := range []struct {
		name, line string
		lines      []string
		decisions  []match.Decision
		candidate  string
		failed     match.TestName
		words      string
	}{
		{"matched", "b1", pair, nil, "", "", "matched by rule end-to-end with l1"},
		{"matched by hand", "b1", pair, []match.Decision{decided(1, match.DoMatch, "b1 l1")}, "", "", "matched by hand with l1"},
		{"written off", "b1", []string{"b1 2024-11-29 7 EUR", "l9 2024-12-24 7 EUR"}, []match.Decision{decided(1, match.DoWriteOff, "b1", 9)}, "", "", "written off by entry 9, with l9"},
		{"taken back", "b2", []string{"b1 2024-11-29 7 EUR servicer=S", "b2 2024-11-29 -7 EUR servicer=S reversal"}, nil, "", "", "it and b1 take each other back"},
		{"alone", "b1", []string{"b1 2024-11-29 7 EUR"}, nil, "", "", "no line on the other side comes near"},
		{"a reference outweighs an amount", "b1", []string{"b1 2024-11-29 7 EUR end_to_end=E", "l1 2024-11-29 9 EUR reference=E", "l2 2024-11-29 7 EUR"}, nil,
			"l1", match.SameAmount, "nearest is l1 (2024-11-29, 9.00 EUR): the amounts differ by 2.00 EUR"},
		{"the date", "l1", []string{"b1 2024-11-20 7 EUR", "l1 2024-11-29 7 EUR", "b2 2024-11-29 7.01 EUR"}, nil,
			"b1", match.NearDate, "nearest is b1 (2024-11-20, 7.00 EUR): the dates are 7 business days apart, and the window is 3"},
		{"the amount", "b1", []string{"b1 2024-11-29 7 EUR", "l1 2024-11-29 7.10 EUR", "l2 2024-11-29 7.20 EUR", "l3 2024-11-29 -7 EUR"}, nil,
			"l1", match.SameAmount, "nearest is l1 (2024-11-29, 7.10 EUR): the amounts differ by 0.10 EUR"},
		{"the direction", "b1", []string{"b1 2024-11-29 7 EUR", "l1 2024-11-29 -7 EUR"}, nil, "l1", match.SameDirection, "nearest is l1 (2024-11-29, -7.00 EUR): the directions differ"},
		{"the currency", "b1", []string{"b1 2024-11-29 7 EUR end_to_end=E", "l1 2024-11-29 7 USD reference=E"}, nil, "l1", match.SameCurrency, "nearest is l1 (2024-11-29, 7.00 USD): the currencies differ"},
		{"a decision", "b1", pair, []match.Decision{decided(1, match.DoUnmatch, "b1 l1")}, "l1", match.NotParted, "nearest is l1 (2024-11-29, 7.00 EUR): a decision says that they do not belong together"},
		{"one too many", "b2", []string{"b1 2024-11-29 7 EUR", "b2 2024-11-29 7 EUR", "l1 2024-11-29 7 EUR"}, nil, "l1", match.StillFree, "nearest is l1 (2024-11-29, 7.00 EUR): l1 goes with b1 (suggested)"},
		{"several could be meant", "b1", []string{"b1 2024-11-29 7 EUR", "b2 2024-11-29 7 EUR", "l1 2024-11-29 7 EUR"}, nil, "l1", match.OnlyOne, "nearest is l1 (2024-11-29, 7.00 EUR): 2 lines could be meant"},
		{"a duplicate", "b2", append([]string{"b2 2024-11-29 7 EUR end_to_end=E"}, pair...), nil, "l1", match.StillFree,
			"it says again what b1 says; nearest is l1 (2024-11-29, 7.00 EUR): l1 goes with b1 (matched)"},
		{"a fee", "b1", []string{"b1 2024-11-29 6.70 EUR end_to_end=E", "l1 2024-11-29 7 EUR reference=E"}, nil, "l1", match.SameAmount,
			"nearest is l1 (2024-11-29, 7.00 EUR): the amounts differ by 0.30 EUR; booking -0.30 EUR against expenses:bank would settle it"},
		{"a reference that leads elsewhere", "l2", []string{"b1 2024-11-29 7 EUR end_to_end=E", "l1 2024-11-29 9 EUR reference=E", "l2 2024-11-29 7 EUR"}, nil,
			"b1", match.StillFree, "nearest is b1 (2024-11-29, 7.00 EUR): b1 goes with l1 (amount_mismatch)"},
		{"a free line before a taken one", "b1", []string{"b1 2024-11-20 7 EUR", "l1 2024-11-29 7 EUR", "b2 2024-11-21 7 EUR end_to_end=E", "l2 2024-11-21 7 EUR reference=E"}, nil,
			"l1", match.NearDate, "nearest is l1"},
		{"a batch", "b1", []string{"b1 2024-11-29 60 EUR batch=B", "l1 2024-11-28 10 EUR metadata.batch=B", "l2 2024-11-28 20 EUR metadata.batch=B"}, nil,
			"l1", match.SameAmount, "1 line of the bank and 2 of the ledger belong together: the sums differ by 30.00 EUR"},
		{"nothing moved", "b1", []string{"b1 2024-11-29 0 EUR", "l1 2024-11-29 0 EUR"}, nil, "l1", match.SameAmount, "nearest is l1 (2024-11-29, 0.00 EUR): nothing moved, so that the amount is no evidence"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			in := input(t, "2024-12-31", c.lines...)
			in.Rules, in.Decisions = fees(t), c.decisions
			r := run(t, in)
			e, ok := r.Explain(c.line)
			g, _ := r.GroupOf(c.line)
			if !ok || e.Line != c.line || e.Group != g.ID || e.Status != g.Status || e.Candidate != c.candidate || e.Failed != c.failed || !strings.HasPrefix(e.Words, c.words) {
				t.Errorf("got %+v", e)
			}
			for _, test := range e.Tests {
				if test.Passed == (test.Name == c.failed) && test.Name == c.failed || test.Words == "" {
					t.Errorf("the test %+v", test)
				}
			}
		})
	}
}
