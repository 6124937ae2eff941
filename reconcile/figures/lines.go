package figures

import (
	"fmt"
	"math/big"
	"strconv"

	"tallystick/ledger/chain"
	"tallystick/reconcile/report"
)

// GeneralLedger lists every posting of the period, account by account, with the balance after it.
func GeneralLedger(b *Books) (report.Document, error) {
	d := b.document(NameGeneralLedger, "General ledger")
	if b.Skipped > 0 {
		d.Blocks = append(d.Blocks, report.Block{Text: []string{fmt.Sprintf(
			"The period has %d postings, more than the %d that one report lists, so that only the sums of each account stand here. "+
				"For the lines, ask for a shorter period or for the accounts under a prefix; for all of them, export the ledger.", b.Skipped, b.MaxLines)}})
	}
	for _, c := range b.Currencies() {
		s := newSheet(NameGeneralLedger, c, lineColumns(column("account", "Account", report.Code))...)
		for i := range b.Accounts {
			a := &b.Accounts[i]
			if a.Currency == c.Code && !a.blank() {
				b.ledgerOf(s, i)
			}
		}
		if len(s.table.Rows) > 0 {
			d.Blocks = append(d.Blocks, report.Block{Heading: c.Code, Table: &s.table})
		}
	}
	if len(b.Accounts) > 0 && len(d.Blocks) == 0 {
		d.Blocks = append(d.Blocks, report.Block{Text: []string{"No account had a balance or a movement."}})
	}
	b.nothing(&d)
	d.Notes = append(d.Notes, conventions, lineNote, lateNote)
	return finish(d)
}

const (
	lineNote = "The balance after each line is on the side named beside it. Holds book nothing and are not listed."
	lateNote = "A line marked prior was booked, with approval, for a period that was closed before: it stands where it was booked, with its value date beside it."
)

// lineColumns are the columns of postings.
func lineColumns(first ...report.Column) []report.Column {
	return append(first, column("booked", "Booked on", report.Date), column("valued", "Value date", report.Date), column("seq", "Entry", report.Code),
		column("kind", "Kind", report.Text), column("debit", "Debit", report.Amount), column("credit", "Credit", report.Amount),
		column("balance", "Balance", report.Amount), column("side", "Side", report.Text))
}

// ledgerOf lists one account: opening, lines, closing.
func (b *Books) ledgerOf(s *sheet, i int) {
	a := &b.Accounts[i]
	opening, closing := s.balance(a, a.Opening.Big()), s.balance(a, a.Closing())
	s.row(report.Subtotal, 0, append([]report.Cell{accountCell(a.Code), day(b.From), {}, {}, text("opening"), {}, {}}, opening[:]...)...)
	for _, l := range b.linesOf(i) {
		s.row(report.Record, 0, append([]report.Cell{accountCell(a.Code)}, s.line(a, l)...)...)
	}
	sums := s.both(a.Debits.Big(), a.Credits.Big())
	s.row(report.Subtotal, 0, append([]report.Cell{accountCell(a.Code), day(b.AsOf), {}, {}, text("closing"), sums[0], sums[1]}, closing[:]...)...)
}

// linesOf returns the lines of an account; they stand together.
func (b *Books) linesOf(account int) []*Line {
	var list []*Line
	low, high := 0, len(b.Lines)
	for low < high {
		if mid := (low + high) / 2; b.Lines[mid].Account < account {
			low = mid + 1
		} else {
			high = mid
		}
	}
	for ; low < len(b.Lines) && b.Lines[low].Account == account; low++ {
		list = append(list, &b.Lines[low])
	}
	return list
}

// balance returns the cells of a balance: its size, and its side.
func (s *sheet) balance(a *Account, v *big.Int) [2]report.Cell {
	side := normal(a.Type)
	if v.Sign() > 0 {
		side = chain.Debit
	} else if v.Sign() < 0 {
		side = chain.Credit
	}
	return [2]report.Cell{s.amount(new(big.Int).Abs(v)), text(side.String())}
}

// line returns the cells of a posting.
func (s *sheet) line(a *Account, l *Line) []report.Cell {
	kind := l.Kind.String()
	if l.PriorPeriod {
		kind += ", prior"
	}
	seq := seqCell(l.Seq)
	seq.Link.Transfer = l.Request.String()
	cells := []report.Cell{day(l.Booked), day(l.Valued), seq, text(kind), {}, {}}
	if l.Direction == chain.Debit {
		cells[4] = s.amount(l.Amount.Big())
	} else {
		cells[5] = s.amount(l.Amount.Big())
	}
	after := s.balance(a, l.Posted.Big())
	return append(cells, after[:]...)
}

// Statement lists the postings of one account, with the texts of their entries. Books holds nothing but that account.
func Statement(b *Books) (report.Document, error) {
	a := &b.Accounts[0]
	d := b.document(NameStatement, "Account statement "+a.Code)
	d.Facts = append([]report.Fact{{Name: "Account", Value: a.Code}, {Name: "Type", Value: a.Type.String()}, {Name: "Currency", Value: a.Currency}}, d.Facts...)
	s := newSheet(NameStatement, b.Currencies()[0], append(lineColumns(), column("reference", "Reference", report.Text), column("description", "Description", report.Text))...)
	b.statement(s, true)
	d.Blocks = append(d.Blocks, report.Block{Table: &s.table})
	d.Notes = append(d.Notes, statementNotes...)
	return finish(d)
}

var statementNotes = []string{"Debit stands left and credit right, without signs. " + lineNote, lateNote,
	"Difference is opening balance + debits − credits − the closing balance that the account's last posting states."}

// Statements lists the postings of several accounts, each of which has books of its own, without texts.
func Statements(b *Books, accounts []*Books) (report.Document, error) {
	d := b.document(NameStatement, "Statements of the accounts at banks")
	for i, of := range accounts {
		s := newSheet(NameStatement, of.Currencies()[0], lineColumns()...)
		s.table.Name += "-" + strconv.Itoa(i+1)
		of.statement(s, false)
		d.Blocks = append(d.Blocks, report.Block{Heading: of.Accounts[0].Code, Table: &s.table})
	}
	if len(accounts) == 0 {
		d.Blocks = append(d.Blocks, report.Block{Text: []string{"The policy names no account of the ledger as one at a bank. The statement of any account is made on demand."}})
	}
	d.Notes = append(d.Notes, statementNotes...)
	d.Notes = append(d.Notes, "References and descriptions can be erased, and so are not kept here; statements made on demand have them.")
	return finish(d)
}

// statement lists the postings of the only account.
func (b *Books) statement(s *sheet, texts bool) {
	a := &b.Accounts[0]
	opening, closing := s.balance(a, a.Opening.Big()), s.balance(a, a.Closing())
	s.row(report.Subtotal, 0, append([]report.Cell{day(b.From), {}, {}, text("opening"), {}, {}}, opening[:]...)...)
	for i := range b.Lines {
		l := &b.Lines[i]
		cells := s.line(a, l)
		switch {
		case texts && l.Erased:
			cells = append(cells, text(l.Reference), report.Cell{Absent: "erased"})
		case texts:
			cells = append(cells, text(l.Reference), text(l.Description))
		}
		s.row(report.Record, 0, cells...)
	}
	sums := s.both(a.Debits.Big(), a.Credits.Big())
	s.row(report.Total, 0, append([]report.Cell{day(b.AsOf), {}, {}, text("closing"), sums[0], sums[1]}, closing[:]...)...)
	s.row(report.Difference, 0, report.Cell{}, report.Cell{}, report.Cell{}, text("difference"), report.Cell{}, report.Cell{}, s.amount(a.proof()))
}
