package figures

import (
	"fmt"
	"math/big"
	"strconv"

	"github.com/google/uuid"

	"tallystick/ledger/chain"
	"tallystick/ledger/money"
	"tallystick/reconcile/calendar"
	"tallystick/reconcile/report"
)

// OpenItem is a posting of which a balance still consists, in full or in part.
type OpenItem struct {
	Account        int // in Books.Accounts
	Seq            int64
	Request        uuid.UUID
	Booked, Valued chain.Date
	Direction      chain.Direction
	Amount, Open   money.Int128
}

// The buckets of ages, in business days: those of the table of unsettled trades (Basel CRE70).
var buckets = []struct {
	name string
	upto int
}{{"0–4", 4}, {"5–15", 15}, {"16–30", 30}, {"31–45", 45}, {"46+", calendar.MaxSpan}}

func bucketOf(age int) int {
	for i, b := range buckets {
		if age <= b.upto {
			return i
		}
	}
	return len(buckets) - 1
}

// Ageing lists what is open on suspense and clearing accounts, and for how many business days. The items come by account,
// the oldest first.
func Ageing(b *Books, items []OpenItem, days calendar.Calendar) (report.Document, error) {
	d := b.document(NameAgeing, "Suspense and clearing accounts: ageing")
	d.Notes = append(d.Notes, "What came first is taken as settled first: a balance consists of the newest postings on its side. Age is counted in business days from the booking date to "+b.AsOf.String()+".")
	switch {
	case b.Policy == "":
		d.Blocks = append(d.Blocks, report.Block{Figures: []report.Figure{{ID: NameAgeing + ".accounts", Title: "Suspense and clearing accounts",
			Value: report.Cell{Absent: "not computed: no policy"}, Meaning: "A policy says which accounts are to be zero, sooner or later (accounts: suspense, clearing)."}}})
	case len(b.Accounts) == 0:
		d.Blocks = append(d.Blocks, report.Block{Text: []string{"No account of the ledger is a suspense or a clearing account by the policy."}})
	}
	ages := make([]int, len(items))
	for i := range items {
		ages[i] = max(0, days.Between(items[i].Booked, b.AsOf))
	}
	for _, c := range b.Currencies() {
		d.Blocks = append(d.Blocks, b.agedAccounts(c, items, ages), b.agedItems(c, items, ages))
	}
	b.breaks(&d)
	return finish(d)
}

// BreakAges counts the breaks of an account with its bank by age.
type BreakAges struct {
	Account, Currency string
	Counts            [5]int64 // by bucket
	Overdue           int64    // those that are older than the policy lets them be
	More              int64    // those whose age is not known here
}

// Add counts a break of an age in business days.
func (a *BreakAges) Add(age int, overdue bool) {
	a.Counts[bucketOf(age)]++
	if overdue {
		a.Overdue++
	}
}

// breaks lists how old the breaks with banks are.
func (b *Books) breaks(d *report.Document) {
	if b.Breaks == nil {
		d.Notes = append(d.Notes, "Breaks with banks are not in this report: they are those of a run, which puts them out as report breaks.")
		return
	}
	columns := []report.Column{column("account", "Account", report.Code), column("currency", "Currency", report.Text)}
	for i, bucket := range buckets {
		columns = append(columns, column("age_"+strconv.Itoa(i+1), bucket.name+" days", report.Count))
	}
	t := &report.Table{Name: "breaks", Columns: append(columns, column("more", "Not listed", report.Count), column("open", "Open", report.Count), column("overdue", "Too old", report.Count))}
	var sums [8]int64
	for i := range b.Breaks {
		a := &b.Breaks[i]
		numbers := append(a.Counts[:len(a.Counts):len(a.Counts)], a.More, a.More, a.Overdue)
		for _, n := range a.Counts {
			numbers[6] += n
		}
		cells := []report.Cell{accountCell(a.Account), text(a.Currency)}
		for k, n := range numbers {
			sums[k] += n
			cells = append(cells, count(n))
		}
		t.Rows = append(t.Rows, report.Row{Cells: cells})
	}
	total := []report.Cell{text("Total"), {}}
	for _, n := range sums {
		total = append(total, count(n))
	}
	t.Rows = append(t.Rows, report.Row{Kind: report.Total, Cells: total})
	d.Blocks = append(d.Blocks, report.Block{Heading: "Breaks with banks, by age in business days", Text: []string{"What each of them is stands in the report breaks."}, Table: t})
}

// agedAccounts lists the accounts of a currency, what is open by age, and whether it is open for too long.
func (b *Books) agedAccounts(c money.Currency, items []OpenItem, ages []int) report.Block {
	columns := []report.Column{column("account", "Account", report.Code), column("role", "Role", report.Text),
		column("debit", "Debit", report.Amount), column("credit", "Credit", report.Amount)}
	for i, bucket := range buckets {
		columns = append(columns, column("age_"+strconv.Itoa(i+1), bucket.name+" days", report.Amount))
	}
	columns = append(columns, column("oldest", "Oldest", report.Count), column("allowed", "Allowed", report.Count), column("standing", "Standing", report.Text))
	s := newSheet(NameAgeing, c, columns...)
	chart := &report.Chart{Kind: report.StackedBars, Title: "Open by age in business days", Unit: c.Code}
	sums, ofAge := newPairs(1), newAges()
	for _, bucket := range buckets {
		chart.Series = append(chart.Series, report.Series{Name: bucket.name})
	}
	for i := range b.Accounts {
		a := &b.Accounts[i]
		if a.Currency != c.Code {
			continue
		}
		open, oldest := newAges(), -1
		for n := range items {
			if items[n].Account == i {
				open[bucketOf(ages[n])].Add(open[bucketOf(ages[n])], items[n].Open.Big())
				oldest = max(oldest, ages[n])
			}
		}
		sides := s.sides(a.Opening.Big(), normal(a.Type))
		sums.balance(0, a.Opening.Big())
		cells := []report.Cell{accountCell(a.Code), text(a.Role), sides[0], sides[1]}
		for k := range buckets {
			ofAge[k].Add(ofAge[k], open[k])
			cells = append(cells, s.amount(open[k]))
		}
		age, standing := report.Cell{}, "zero"
		if oldest >= 0 {
			age, standing = count(int64(oldest)), "within "+strconv.Itoa(a.MaxAge)+" days"
			addBar(chart, a.Code, open, c.Scale)
		}
		if oldest > a.MaxAge {
			standing = "too old"
		}
		s.row(report.Record, 0, append(cells, age, count(int64(a.MaxAge)), text(standing))...)
	}
	total := s.both(sums[0][0], sums[0][1])
	cells := []report.Cell{text("Total " + c.Code), {}, total[0], total[1]}
	off := new(big.Int).Add(sums[0][0], sums[0][1])
	for k := range buckets {
		cells = append(cells, s.amount(ofAge[k]))
		off.Sub(off, ofAge[k])
	}
	s.row(report.Total, 0, cells...)
	s.row(report.Difference, 0, text("Difference"), report.Cell{}, s.amount(off))
	if len(chart.Categories) == 0 {
		chart = nil
	}
	return report.Block{Heading: c.Code, Chart: chart, Table: &s.table}
}

// maxBars is how many accounts the chart of ages shows; the table has all.
const maxBars = 20

func addBar(chart *report.Chart, code string, open []*big.Int, scale uint8) {
	if len(chart.Categories) == maxBars {
		return
	}
	chart.Categories = append(chart.Categories, code)
	for k := range buckets {
		chart.Series[k].Values = append(chart.Series[k].Values, money.FormatBig(open[k], scale))
	}
}

func newAges() []*big.Int {
	ages := make([]*big.Int, len(buckets))
	for i := range ages {
		ages[i] = new(big.Int)
	}
	return ages
}

// agedItems lists the open items of a currency.
func (b *Books) agedItems(c money.Currency, items []OpenItem, ages []int) report.Block {
	s := newSheet("open-items", c, column("account", "Account", report.Code), column("booked", "Booked on", report.Date), column("valued", "Value date", report.Date),
		column("seq", "Entry", report.Code), column("side", "Side", report.Text), column("amount", "Amount", report.Amount), column("open", "Open", report.Amount),
		column("age", "Age", report.Count), column("bucket", "Bucket", report.Text))
	sum := new(big.Int)
	for n := range items {
		o := &items[n]
		a := &b.Accounts[o.Account]
		if a.Currency != c.Code {
			continue
		}
		seq := seqCell(o.Seq)
		seq.Link.Transfer = o.Request.String()
		sum.Add(sum, o.Open.Big())
		s.row(report.Record, 0, accountCell(a.Code), day(o.Booked), day(o.Valued), seq, text(o.Direction.String()), s.amount(o.Amount.Big()), s.amount(o.Open.Big()),
			count(int64(ages[n])), text(buckets[bucketOf(ages[n])].name))
	}
	s.row(report.Total, 0, text(fmt.Sprintf("Total %s, both sides", c.Code)), report.Cell{}, report.Cell{}, report.Cell{}, report.Cell{}, report.Cell{}, s.amount(sum))
	return report.Block{Heading: "Open items, " + c.Code, Table: &s.table}
}
