package demo

import (
	"time"

	"tallystick/ledger"
	"tallystick/ledger/chain"
)

// Days of the month on which books are closed.
const (
	monthClosed  = 5  // the month before
	correctedOn  = 12 // an invoice for a closed month comes
	yearClosedOn = 12 // December, with the result of the year
)

// Which closing is reopened, and after which one a late invoice comes.
const (
	reopenedClosing  = 3
	correctedClosing = 5
)

// closings counts what has been closed.
type closings struct {
	months              int
	reopened, corrected bool
}

// planClosings plans the closing of the month before; of December on a later
// day, with the result of the year moved to equity. One closing is reopened the
// next day and made again; of one, a late invoice comes with approval.
func (g *generator) planClosings(month time.Month, day int) {
	end := g.date() - chain.Date(day) // the last day of the month before
	if end < g.start {
		return
	}
	afterDecember := month == time.January
	switch {
	case day == monthClosed && !afterDecember:
		g.in(0, morning+3, func() {
			g.closings.months++
			g.closePeriod(end, nil)
		})
	case day == monthClosed+1 && !afterDecember && !g.closings.reopened && g.closings.months >= reopenedClosing:
		g.closings.reopened = true
		g.reopen(end)
	case day == correctedOn && !afterDecember && !g.closings.corrected && g.closings.months >= correctedClosing:
		g.closings.corrected = true
		g.in(0, afternoon, func() { g.correct(end) })
	case day == yearClosedOn && afterDecember:
		g.in(0, morning+3, func() {
			g.closePeriod(end, []string{retained("EUR"), retained("GBP"), retained("USD")})
		})
	}
}

func (g *generator) closePeriod(end chain.Date, retain []string) {
	text := "Books of " + end.Time().Format("January 2006") + " closed"
	if retain != nil {
		text = "Books of " + end.Time().Format("2006") + " closed, result retained"
	}
	g.ask(&ledger.ClosePeriod{Common: g.common(text, "", ""), PeriodEnd: end, Retain: retain})
}

// reopen opens a closed month again for an invoice, and closes it again.
func (g *generator) reopen(end chain.Date) {
	g.in(0, noon-1, func() {
		g.ask(&ledger.ReopenPeriod{Common: g.common("An invoice of the month was found", "", ""), PeriodEnd: end})
	})
	g.in(0, noon, func() { g.lateInvoice(end, false) })
	g.in(0, afternoon, func() { g.closePeriod(end, nil) })
}

// correct books into a month that stays closed: with approval.
func (g *generator) correct(end chain.Date) { g.lateInvoice(end-10, true) }

func (g *generator) lateInvoice(valued chain.Date, prior bool) {
	text := "Invoice found before the books were closed again"
	if prior {
		text = "Correction: invoice for a closed month, approved"
	}
	units := g.scaled(31_000)
	g.book(move{text: text, reference: g.reference("COST"), valued: &valued, prior: prior,
		legs: []leg{debit(expense("systems", "EUR"), units), credit(operating("EUR"), units)}})
}
