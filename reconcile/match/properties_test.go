package match_test

import (
	"fmt"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"tallystick/ledger/chain"
	"tallystick/ledger/money"
	"tallystick/reconcile/match"
)

// drawn is an input with so few amounts, dates and references that everything meets everything.
func drawn(tb testing.TB, t *rapid.T) match.Input {
	first := day(tb, "2024-11-01")
	in := match.Input{Account: "bank:eur", AsOf: first + 45, Calendar: weekdays(tb), Rules: fees(tb)}
	var ids []string
	draw := func(side match.Side, letter string, names []string) (lines []match.Line) {
		for i := range rapid.IntRange(0, 12).Draw(t, letter) {
			l := match.Line{ID: fmt.Sprintf("%s%d", letter, i), Side: side, Booked: first + chain.Date(rapid.IntRange(0, 40).Draw(t, "booked")), Scale: 2,
				Units: money.FromInt64(rapid.Int64Range(-3, 3).Draw(t, "units") * 100), Currency: rapid.SampledFrom([]string{"EUR", "EUR", "EUR", "USD"}).Draw(t, "currency"),
				Reversal: rapid.IntRange(0, 5).Draw(t, "reversal") == 0, Entry: int64(i), Brought: rapid.IntRange(0, 5).Draw(t, "brought") == 0}
			if rapid.IntRange(0, 4).Draw(t, "less") == 0 {
				l.Units, _ = l.Units.Sub(money.FromInt64(30))
			}
			l.References = map[string][]string{}
			for _, name := range names {
				if values := rapid.SliceOfN(rapid.SampledFrom([]string{"A", "B", "C", "NOTPROVIDED", ""}), 0, 2).Draw(t, name); len(values) > 0 {
					l.References[name] = values
				}
			}
			if len(lines) > 0 && rapid.IntRange(0, 8).Draw(t, "reverses") == 0 {
				l.Reverses = rapid.SampledFrom(lines).Draw(t, "reversed").ID
			}
			lines = append(lines, l)
			ids = append(ids, l.ID)
		}
		return lines
	}
	in.Bank = draw(match.Bank, "b", []string{"end_to_end", "servicer", "batch"})
	in.Ledger = draw(match.Ledger, "l", []string{"reference", "metadata.batch"})
	ids = append(ids, "absent")
	for i := range rapid.IntRange(0, 6).Draw(t, "decisions") {
		d := match.Decision{Seq: int64(i + 1), Lines: rapid.SliceOfNDistinct(rapid.SampledFrom(ids), 0, min(3, len(ids)), rapid.ID).Draw(t, "subjects"), Owner: "o", Note: "n",
			Action: rapid.SampledFrom([]match.Action{match.DoMatch, match.DoAccept, match.DoUnmatch, match.DoWriteOff, match.DoCarry, match.DoAssign, match.DoNote, "pray"}).Draw(t, "action")}
		if rapid.Bool().Draw(t, "settled") {
			entry := rapid.Int64Range(0, 12).Draw(t, "entry")
			d.Entry = &entry
		}
		in.Decisions = append(in.Decisions, d)
	}
	balance(tb, &in)
	return in
}

func TestEveryLineOnceAndEveryBreakInTheSum(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		in := drawn(t, rt)
		r, err := match.Match(in)
		if err != nil {
			rt.Fatal(err)
		}
		if !r.Holds() {
			rt.Fatalf("the proofs do not hold: %+v %+v", r.Placement, r.Proofs)
		}
		times := map[string]int{}
		for i := range r.Groups {
			for _, id := range slices.Concat(r.Groups[i].Bank, r.Groups[i].Ledger) {
				times[id]++
			}
			checkGroup(rt, r, &r.Groups[i])
		}
		for _, l := range slices.Concat(in.Bank, in.Ledger) {
			if times[l.ID] != 1 {
				rt.Fatalf("%s is in %d groups", l.ID, times[l.ID])
			}
			if e, ok := r.Explain(l.ID); !ok || e.Words == "" {
				rt.Fatalf("%s is explained as %+v", l.ID, e)
			}
		}
	})
}

// checkGroup checks what must be so of a group whatever the lines are.
func checkGroup(t *rapid.T, r *match.Result, g *match.Group) {
	bySign, currencies := map[int]int{}, map[string]bool{}
	for _, id := range slices.Concat(g.Bank, g.Ledger) {
		l, ok := r.Line(id)
		if !ok {
			t.Fatalf("%s is no line", id)
		}
		bySign[l.Units.Sign()]++
		currencies[l.Currency] = true
	}
	hand := g.Rule == match.ByHand
	both := len(g.Bank) > 0 && len(g.Ledger) > 0
	switch {
	case len(g.Amounts) != len(currencies), g.ID != match.GroupID(slices.Concat(g.Bank, g.Ledger)):
		t.Fatalf("%+v does not say what its lines say", g)
	case !g.Open() && !g.Amounts[0].Difference.IsZero():
		t.Fatalf("%+v is settled and leaves a difference", g)
	case len(currencies) > 1 && g.Status != match.CurrencyMismatch && g.Status != match.Carried:
		t.Fatalf("%+v crosses currencies", g)
	case g.Status == match.Matched && (!both || !hand && len(bySign) != 1):
		t.Fatalf("%+v crosses directions", g)
	case g.Status == match.Suggested && (!both || len(bySign) != 1):
		t.Fatalf("%+v suggests what crosses directions", g)
	case g.Status == match.ReversedPair && both, g.Open() && g.Break == nil, len(g.Bank)+len(g.Ledger) == 0:
		t.Fatalf("%+v is no group of its status", g)
	case g.How == match.Exact && (len(g.Bank) != 1 || len(g.Ledger) != 1):
		t.Fatalf("%+v is not one to one", g)
	}
}

func TestTheOrderOfTheInputChangesNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		in := drawn(t, rt)
		r, err := match.Match(in)
		if err != nil {
			rt.Fatal(err)
		}
		other := in
		other.Bank, other.Ledger = rapid.Permutation(in.Bank).Draw(rt, "bank"), rapid.Permutation(in.Ledger).Draw(rt, "ledger")
		other.Decisions, other.Balances = rapid.Permutation(in.Decisions).Draw(rt, "decisions"), rapid.Permutation(in.Balances).Draw(rt, "balances")
		again, err := match.Match(other)
		if err != nil {
			rt.Fatal(err)
		}
		for _, l := range in.Bank {
			x, _ := r.Explain(l.ID)
			if y, _ := again.Explain(l.ID); !reflect.DeepEqual(x, y) {
				rt.Fatalf("%s is explained as %+v, and in another order as %+v", l.ID, x, y)
			}
		}
		if !reflect.DeepEqual(r.Groups, again.Groups) || !reflect.DeepEqual(r.Proofs, again.Proofs) || !reflect.DeepEqual(r.Totals, again.Totals) ||
			!reflect.DeepEqual(r.Troubles, again.Troubles) || !reflect.DeepEqual(r.Notes, again.Notes) {
			rt.Fatalf("got\n%s\nand in another order\n%s", groups(r), groups(again))
		}
	})
}

// What goes by its amount alone has, on neither side, another line that it could have been.
func TestAnAmountMatchesOnlyWhatIsAlone(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		in := drawn(t, rt)
		in.Decisions = nil
		r, err := match.Match(in)
		if err != nil {
			rt.Fatal(err)
		}
		days := in.Calendar
		for i := range r.Groups {
			g := &r.Groups[i]
			if g.Status != match.Matched || g.Rule != "amount-and-date" {
				continue
			}
			b, _ := r.Line(g.Bank[0])
			l, _ := r.Line(g.Ledger[0])
			if days.Between(b.Booked, l.Booked) > 3 || days.Between(l.Booked, b.Booked) > 3 {
				rt.Fatalf("%s and %s are too far apart", b.ID, l.ID)
			}
			for _, x := range slices.Concat(in.Bank, in.Ledger) {
				facing := l
				if x.Side == match.Ledger {
					facing = b
				}
				near := max(days.Between(x.Booked, facing.Booked), days.Between(facing.Booked, x.Booked)) <= 3
				if x.ID == b.ID || x.ID == l.ID || x.Currency != b.Currency || x.Units != b.Units || !near || len(x.References) > 0 {
					continue
				}
				if o, _ := r.GroupOf(x.ID); o.Open() || o.Rule == g.Rule {
					rt.Fatalf("%s could be %s too, and was matched with %s", facing.ID, x.ID, groups(r))
				}
			}
		}
	})
}
