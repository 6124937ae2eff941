package figures

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"time"

	"tallystick/ledger/chain"
	"tallystick/ledger/money"
	"tallystick/reconcile/report"
)

// sheet writes the tables of one currency.
type sheet struct {
	currency money.Currency
	table    report.Table
}

func newSheet(name string, c money.Currency, columns ...report.Column) *sheet {
	for i := range columns {
		if columns[i].Kind == report.Amount {
			columns[i].Currency = c.Code
		}
	}
	return &sheet{currency: c, table: report.Table{Name: name + "-" + strings.ToLower(c.Code), Columns: columns}}
}

func column(name, title string, kind report.ColumnKind) report.Column {
	return report.Column{Name: name, Title: title, Kind: kind}
}

// row appends a row; cells that are left out are empty.
func (s *sheet) row(kind report.RowKind, level int, cells ...report.Cell) {
	for len(cells) < len(s.table.Columns) {
		cells = append(cells, report.Cell{})
	}
	s.table.Rows = append(s.table.Rows, report.Row{Kind: kind, Level: level, Cells: cells})
}

// amount returns a cell with an amount, signed.
func (s *sheet) amount(v *big.Int) report.Cell { return amount(v, s.currency) }

// sides returns the cells of a pair of columns with a balance on its side; zero stands on the side given.
func (s *sheet) sides(v *big.Int, zeroIn chain.Direction) [2]report.Cell {
	var pair [2]report.Cell
	switch sign := v.Sign(); {
	case sign > 0 || sign == 0 && zeroIn == chain.Debit:
		pair[0] = s.amount(v)
	case sign < 0 || zeroIn == chain.Credit:
		pair[1] = s.amount(new(big.Int).Neg(v))
	}
	return pair
}

// both returns the cells of a pair of columns with an amount each.
func (s *sheet) both(debit, credit *big.Int) [2]report.Cell {
	return [2]report.Cell{s.amount(debit), s.amount(credit)}
}

// apart returns the cells of a difference line: by how much one side of a pair of sums is more than the other.
func (s *sheet) apart(debit, credit *big.Int) [2]report.Cell {
	d := new(big.Int).Sub(debit, credit)
	zero := new(big.Int)
	if d.Sign() < 0 {
		return s.both(zero, d.Neg(d))
	}
	return s.both(d, zero)
}

func amount(v *big.Int, c money.Currency) report.Cell {
	return report.Cell{Value: money.FormatBig(v, c.Scale), Currency: c.Code}
}

func text(s string) report.Cell { return report.Cell{Value: s} }

func day(d chain.Date) report.Cell { return report.Cell{Value: d.String()} }

func count(n int64) report.Cell { return report.Cell{Value: strconv.FormatInt(n, 10)} }

func accountCell(code string) report.Cell {
	return report.Cell{Value: code, Link: &report.Link{Account: code}}
}

func seqCell(seq int64) report.Cell {
	return report.Cell{Value: strconv.FormatInt(seq, 10), Link: &report.Link{Seq: &seq}}
}

// normal is the side on which accounts of a type stand.
func normal(t chain.AccountType) chain.Direction {
	if t == chain.Asset || t == chain.Expense {
		return chain.Debit
	}
	return chain.Credit
}

// onNormal turns a debit-positive balance to the side of its type.
func onNormal(t chain.AccountType, v *big.Int) *big.Int {
	if normal(t) == chain.Credit {
		return new(big.Int).Neg(v)
	}
	return v
}

// document begins a report of a period.
func (b *Books) document(name, title string) report.Document {
	return report.Document{Name: name, Title: title, Ledger: b.Ledger, Facts: b.facts()}
}

// facts say what a report rests on.
func (b *Books) facts() []report.Fact {
	facts := []report.Fact{
		{Name: "Ledger id", Value: b.LedgerID.String()},
		{Name: "Origin", Value: b.Origin},
		{Name: "As of", Value: b.AsOf.String()},
		{Name: "Period", Value: b.From.String() + " to " + b.AsOf.String() + ", by booking date"},
		{Name: "Booking day", Value: b.TimeZone + ", until " + clock(b.Cutoff)},
		{Name: "Entries of the period", Value: b.interval()},
		{Name: "Ledger size", Value: strconv.FormatInt(b.Size, 10)},
		{Name: "Head", Value: b.Head.String()},
	}
	if b.Policy != "" {
		facts = append(facts, report.Fact{Name: "Policy", Value: b.Policy})
	}
	return facts
}

// interval names the entries of the period.
func (b *Books) interval() string {
	if b.First >= b.End {
		return "none"
	}
	return fmt.Sprintf("%d to %d", b.First, b.End-1)
}

// clock writes a time of day.
func clock(seconds int32) string {
	if seconds == 0 {
		return "midnight"
	}
	return time.Unix(int64(seconds), 0).UTC().Format(time.TimeOnly)
}

// finish completes a report.
func finish(d report.Document) (report.Document, error) {
	err := report.Finish(&d)
	return d, err
}

// nothing is said of a report without a single account.
func (b *Books) nothing(d *report.Document) {
	if len(d.Blocks) == 0 {
		d.Blocks = append(d.Blocks, report.Block{Text: []string{"The ledger had no accounts at the end of the period."}})
	}
}

const conventions = "Debit stands left and credit right, without signs. Each currency stands by itself; nothing is summed across currencies."

// late appends the postings of the period whose value date lies in a period closed before.
func (b *Books) late(d *report.Document, keep func(*Account) bool) {
	var listed bool
	for _, c := range b.Currencies() {
		s := newSheet("prior-period", c, column("seq", "Entry", report.Code), column("booked", "Booked on", report.Date), column("valued", "Value date", report.Date),
			column("account", "Account", report.Code), column("debit", "Debit", report.Amount), column("credit", "Credit", report.Amount))
		var debits, credits big.Int
		for i := range b.Late {
			l := &b.Late[i]
			a := &b.Accounts[l.Account]
			if a.Currency != c.Code || keep != nil && !keep(a) {
				continue
			}
			cells := []report.Cell{seqCell(l.Seq), day(l.Booked), day(l.Valued), accountCell(a.Code)}
			if v := l.Amount.Big(); l.Direction == chain.Debit {
				debits.Add(&debits, v)
				cells = append(cells, s.amount(v), report.Cell{})
			} else {
				credits.Add(&credits, v)
				cells = append(cells, report.Cell{}, s.amount(v))
			}
			s.row(report.Record, 0, cells...)
		}
		if len(s.table.Rows) == 0 {
			continue
		}
		sums := s.both(&debits, &credits)
		s.row(report.Total, 0, text("Total"), report.Cell{}, report.Cell{}, report.Cell{}, sums[0], sums[1])
		block := report.Block{Heading: "Prior-period adjustments, " + c.Code, Table: &s.table}
		if !listed {
			block.Text = []string{"Booked in this period, with approval, for a period that was closed before. The report of that period stays as it was; these postings are in the figures above."}
		}
		listed = true
		d.Blocks = append(d.Blocks, block)
	}
	if b.MoreLate > 0 {
		d.Notes = append(d.Notes, fmt.Sprintf("%d more postings are prior-period adjustments than the %d that are listed; they are in the figures.", b.MoreLate, MaxLate))
	}
}
