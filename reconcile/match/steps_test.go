package match

import (
	"fmt"
	"testing"

	"tallystick/ledger/chain"
	"tallystick/ledger/money"
	"tallystick/reconcile/calendar"
)

// worst are inputs that are made to be slow: line i of a side, of n.
var worst = map[string]func(side Side, i, n int) Line{
	"one amount, one day": func(Side, int, int) Line { return Line{Units: money.FromInt64(100)} },
	"one amount, each day": func(_ Side, i, n int) Line {
		return Line{Units: money.FromInt64(100), Booked: chain.Date(i % 365)}
	},
	"one amount, more at the bank": func(side Side, i, n int) Line {
		if side == Ledger && i%2 == 0 {
			return Line{Units: money.FromInt64(-7)}
		}
		return Line{Units: money.FromInt64(100), Booked: chain.Date(i % 7)}
	},
	"one reference, one amount": func(Side, int, int) Line { return referring("E", 100) },
	"one reference, one amount, too far apart": func(side Side, i, n int) Line {
		l := referring("E", 100)
		if side == Bank {
			l.Booked = 200
		}
		return l
	},
	"one reference, all amounts": func(side Side, i, n int) Line {
		return referring("E", int64(2*i+1+place(side)))
	},
	"one reference, at the bank only": func(side Side, i, n int) Line {
		if side == Ledger {
			return Line{Units: money.FromInt64(-1)}
		}
		return referring("E", 100)
	},
	"one reference, all taken back": func(_ Side, i, n int) Line {
		l := referring("E", 100-200*int64(i%2))
		l.Reversal = i%2 == 1
		return l
	},
	"reversals of nothing": func(_ Side, i, n int) Line {
		l := referring("E", -100)
		if l.Reversal = true; i == 0 {
			l.Units = money.FromInt64(100)
		}
		return l
	},
	"one batch": func(side Side, i, n int) Line {
		return Line{Units: money.FromInt64(int64(i + 1)), References: map[string][]string{"batch": {"B"}, "metadata.batch": {"B"}}}
	},
	"a chain of batches": func(side Side, i, n int) Line {
		values := []string{fmt.Sprint("V", i), fmt.Sprint("V", i+1)}
		return Line{Units: money.FromInt64(1), References: map[string][]string{"batch": values, "metadata.batch": values}}
	},
	"sums everywhere": func(side Side, i, n int) Line {
		units := int64(1000 + i%13)
		if side == Bank {
			units = 1_000_000 + int64(i)
		}
		return Line{Units: money.FromInt64(units), Booked: chain.Date(4 * (i / 6 % 5000))}
	},
	"all smaller on one day": func(side Side, i, n int) Line { return Line{Units: money.FromInt64(int64(i + 1 + place(side)*n))} },
	"all equal but one": func(side Side, i, n int) Line {
		if i == 0 {
			return Line{Units: money.FromInt64(1)}
		}
		return Line{Units: money.FromInt64(100 + int64(place(side)))}
	},
}

func referring(value string, units int64) Line {
	return Line{Units: money.FromInt64(units), References: map[string][]string{"end_to_end": {value}, "reference": {value}}}
}

// steps matches n lines of each side and counts what was looked at.
func steps(t testing.TB, n int, make func(side Side, i, n int) Line) int {
	t.Helper()
	days, err := calendar.Named("weekdays")
	if err != nil {
		t.Fatal(err)
	}
	in := Input{Account: "bank:eur", Calendar: days, AsOf: 30_000}
	balance := Balance{Currency: "EUR", Scale: 2}
	for i := range n {
		for _, side := range []Side{Bank, Ledger} {
			l := make(side, i, n)
			l.ID, l.Side, l.Currency, l.Scale, l.Entry = fmt.Sprintf("%s:%06d", side, i), side, "EUR", 2, int64(i)
			if side == Bank {
				in.Bank = append(in.Bank, l)
				balance.BankClosing, _ = balance.BankClosing.Add(l.Units)
			} else {
				in.Ledger = append(in.Ledger, l)
				balance.LedgerClosing, _ = balance.LedgerClosing.Add(l.Units)
			}
		}
	}
	in.Balances = []Balance{balance}
	r, err := Match(in)
	if err != nil {
		t.Fatal(err)
	}
	if !r.Holds() {
		t.Errorf("the proofs do not hold: %+v %+v", r.Placement, r.Proofs)
	}
	return r.found.steps
}

// The target is the same for the worst as for a month: 100,000 lines of each side in 30 s.
func BenchmarkWorst(b *testing.B) {
	for name, line := range worst {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				steps(b, 100_000, line)
			}
		})
	}
}

// Four times the lines are four times the work, or nearly, however the lines are made.
func TestWorkGrowsAsTheLinesDo(t *testing.T) {
	t.Parallel()
	for name, line := range worst {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const n = 2500
			few, many := steps(t, n, line), steps(t, 4*n, line)
			t.Logf("%d and %d lines looked at", few, many)
			if many > 6*few {
				t.Errorf("%d lines of each side take %d steps, and %d take %d", n, few, 4*n, many)
			}
		})
	}
}
