package bankfile

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"tallystick/ledger/money"
)

// Code says why a file is quarantined. Codes are append-only.
type Code string

// The reasons.
const (
	// Unreadable: something in the file cannot be read; Position says where.
	Unreadable Code = "unreadable"
	// Unfooted: opening + credits − debits is not the closing balance; Difference is what is missing.
	Unfooted Code = "unfooted"
	// ControlTotal: a sum or count that the file states of itself is not that of what it holds.
	ControlTotal Code = "control_total"
	// Discontinuous: the opening balance is not the closing balance of the statement before.
	Discontinuous Code = "discontinuous"
	// OutOfOrder: the statement ends before the one that was accepted last.
	OutOfOrder Code = "out_of_order"
	// Overflow: sums beyond 2^127 − 1 units.
	Overflow Code = "overflow"
)

// Bounds of a verdict.
const (
	// MaxReasons is the most reasons that are kept; Verdict.More counts the rest.
	MaxReasons = 100
	// MaxCurrencies is the most currencies of a statement.
	MaxCurrencies = 50
)

// Reason is one reason for quarantine. Difference is Stated less Counted.
type Reason struct {
	Code       Code
	Statement  int // its index, −1 for the file itself
	Account    Account
	Position   Position
	Stated     Amount
	Counted    Amount
	Difference Amount
	Text       string // all of it, in a sentence
}

// Total is what a statement adds up to in one currency. Only booked lines count.
type Total struct {
	Currency        money.Currency
	Opening         *Balance // nil when none is stated
	Closing         *Balance
	Credits, Debits Amount
	CreditLines     int
	DebitLines      int
	Others          int  // lines that are not booked
	Proved          bool // both balances are stated, and opening + credits − debits = closing
}

// Footed is a statement with its totals, in order of currency. Repeats is the index of an earlier statement
// of the file with the same content, −1 when there is none.
type Footed struct {
	Statement Statement
	Totals    []Total
	Repeats   int
	Notes     []string // what was not proved, besides the statement's own notes
}

// Verdict says whether a file may be taken.
type Verdict struct {
	File       File
	Statements []Footed
	Reasons    []Reason
	More       int // reasons beyond MaxReasons
}

// Accepted reports whether nothing speaks against the file. Balances that are not stated prove nothing and
// speak against nothing: see Total.Proved and Notes.
func (v *Verdict) Accepted() bool { return len(v.Reasons) == 0 }

// Quarantined returns why the file is not accepted, one reason a line; empty when it is.
func (v *Verdict) Quarantined() string {
	var lines []string
	for _, r := range v.Reasons {
		lines = append(lines, r.Text)
	}
	if v.More > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", v.More))
	}
	return strings.Join(lines, "\n")
}

// Last is the end of the statement before.
type Last struct {
	Closing  Amount
	To       Date
	Sequence Sequence
}

// Previous returns the end of the statement of the same account and currency that was accepted before this
// one, and false when there is none.
type Previous func(s *Statement, currency string) (Last, bool, error)

// Foot reads a file, proves what can be proved of it, and decides. Its lines go to the receiver on the way,
// so one pass suffices for a receiver that can undo; with an empty Receiver, Foot is the first of two passes,
// and File.Digest tells that the second read the same bytes. previous may be nil. A file that cannot be read
// is a verdict; an error is one of the source, the receiver or previous.
func Foot(src io.Reader, o Options, previous Previous, to Receiver) (Verdict, error) {
	f := &footing{previous: previous}
	file, err := Read(src, o, Receiver{
		Open: to.Open,
		Line: func(s *Statement, l *Line) error {
			if err := f.line(s, l); err != nil || to.Line == nil {
				return err
			}
			return to.Line(s, l)
		},
		Close: func(s *Statement) error {
			f.close(s)
			if to.Close == nil {
				return nil
			}
			return to.Close(s)
		},
	})
	f.verdict.File = file
	var fault *Fault
	switch {
	case errors.As(err, &fault):
		f.because(Reason{Code: Unreadable, Statement: -1, Position: fault.Position, Text: fault.Error()})
		return f.verdict, nil
	case err != nil:
		return f.verdict, err
	}
	f.controls(-1, Account{}, file.Controls)
	return f.verdict, f.continuity()
}

// footing is the state of Foot.
type footing struct {
	verdict  Verdict
	previous Previous
	totals   map[string]*currencySum
	unequal  int // lines that are not the sum of their details
	seen     map[Digest]int
}

// currencySum sums one currency of the open statement.
type currencySum struct {
	currency        money.Currency
	credits, debits sum
	others          int
}

func (f *footing) because(r Reason) {
	if len(f.verdict.Reasons) < MaxReasons {
		f.verdict.Reasons = append(f.verdict.Reasons, r)
	} else {
		f.verdict.More++
	}
}

func (f *footing) total(c money.Currency) *currencySum {
	t := f.totals[c.Code]
	if t == nil {
		if f.totals == nil {
			f.totals = map[string]*currencySum{}
		}
		t = &currencySum{currency: c}
		f.totals[c.Code] = t
	}
	return t
}

func (f *footing) line(s *Statement, l *Line) error {
	t := f.total(l.Amount.Currency)
	if len(f.totals) > MaxCurrencies {
		return &Fault{Format: s.Format, Position: l.Position, Where: fmt.Sprintf("statement %d", s.Index+1), Problem: fmt.Sprintf("more than %d currencies", MaxCurrencies)}
	}
	switch {
	case l.Status != Booked:
		t.others++
	case l.Direction == Credit:
		t.credits.add(l.Amount.Units)
	default:
		t.debits.add(l.Amount.Units)
	}
	if sum, ok := l.DetailSum(); ok && sum != l.Signed() {
		f.unequal++
	}
	return nil
}

// close foots a statement in each of its currencies.
func (f *footing) close(s *Statement) {
	done := Footed{Statement: *s, Repeats: -1}
	for _, b := range s.Balances {
		f.total(b.Amount.Currency)
	}
	if f.seen == nil {
		f.seen = map[Digest]int{}
	}
	if first, repeated := f.seen[s.Digest]; repeated {
		done.Repeats = first
		done.Notes = append(done.Notes, fmt.Sprintf("repeats statement %d of the file", first+1))
	} else {
		f.seen[s.Digest] = s.Index
	}
	for _, code := range slices.Sorted(maps.Keys(f.totals)) {
		done.Totals = append(done.Totals, f.foot(s, f.totals[code]))
	}
	for _, t := range done.Totals {
		if !t.Proved && s.Format != Camt054 && (t.Opening == nil || t.Closing == nil) {
			done.Notes = append(done.Notes, t.Currency.Code+" is not footed: the statement does not state both its opening and its closing balance")
		}
	}
	if f.unequal > 0 {
		done.Notes = append(done.Notes, fmt.Sprintf("%d lines are not the sum of their details", f.unequal))
	}
	f.controls(s.Index, s.Account, s.Controls)
	f.verdict.Statements = append(f.verdict.Statements, done)
	f.totals, f.unequal = nil, 0
}

// foot proves opening + credits − debits = closing.
func (f *footing) foot(s *Statement, t *currencySum) Total {
	done := Total{Currency: t.currency, Credits: Amount{t.credits.units, t.currency}, Debits: Amount{t.debits.units, t.currency},
		CreditLines: int(t.credits.count), DebitLines: int(t.debits.count), Others: t.others}
	done.Opening, done.Closing = s.pair(t.currency.Code)
	if t.credits.over || t.debits.over {
		f.because(Reason{Code: Overflow, Statement: s.Index, Account: s.Account, Position: s.Position,
			Text: fmt.Sprintf("statement %d of %s: its lines in %s add up beyond what can be counted", s.Index+1, s.Account, t.currency.Code)})
		return done
	}
	f.afterPrevious(s, done.Opening)
	if done.Opening == nil || done.Closing == nil {
		return done
	}
	sum, ok1 := done.Opening.Amount.Units.Add(t.credits.units)
	sum, ok2 := sum.Sub(t.debits.units)
	if done.Proved = ok1 && ok2 && sum == done.Closing.Amount.Units; done.Proved {
		return done
	}
	r := f.differ(Unfooted, s.Index, s.Account, done.Closing.Position, done.Closing.Amount, Amount{sum, t.currency})
	r.Text = fmt.Sprintf("statement %d of %s does not foot at %s: %s + %s − %s = %s, but the closing balance is %s: %s off", s.Index+1, s.Account, r.Position,
		done.Opening.Amount, done.Credits, done.Debits, r.Counted, r.Stated, r.Difference)
	f.because(r)
	return done
}

// afterPrevious compares the opening balance with that of the period before, when the statement repeats it.
func (f *footing) afterPrevious(s *Statement, opening *Balance) {
	if opening == nil || opening.Kind == PreviouslyClosed {
		return
	}
	before := s.previous(opening.Amount.Currency.Code)
	if before == nil || before.Amount == opening.Amount {
		return
	}
	r := f.differ(Discontinuous, s.Index, s.Account, opening.Position, opening.Amount, before.Amount)
	r.Text = fmt.Sprintf("statement %d of %s opens with %s at %s, but says that the period before closed with %s: %s off", s.Index+1, s.Account, r.Stated, r.Position, r.Counted, r.Difference)
	f.because(r)
}

func (f *footing) differ(code Code, index int, account Account, at Position, stated, counted Amount) Reason {
	difference, _ := stated.Units.Sub(counted.Units) // of two values in range that are far from its ends, or shown as 0
	return Reason{Code: code, Statement: index, Account: account, Position: at, Stated: stated, Counted: counted, Difference: Amount{difference, stated.Currency}}
}

// controls compares what the file states of itself with what it holds.
func (f *footing) controls(index int, account Account, controls []Control) {
	for _, c := range controls {
		if c.Stated.Units == c.Counted.Units {
			continue
		}
		r := f.differ(ControlTotal, index, account, c.Position, c.Stated, c.Counted)
		of := "the file"
		if index >= 0 {
			of = fmt.Sprintf("statement %d of %s", index+1, account)
		}
		shown := Amount.String
		if c.Count {
			shown = func(a Amount) string { return a.Units.String() }
		}
		r.Text = fmt.Sprintf("%s of %s at %s: %s is stated, %s was read: %s off", c.What, of, c.Position, shown(c.Stated), shown(c.Counted), shown(r.Difference))
		f.because(r)
	}
}
