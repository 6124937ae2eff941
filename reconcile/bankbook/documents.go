package bankbook

import (
	"fmt"
	"strconv"
	"strings"

	"tallystick/ledger/money"
	"tallystick/reconcile/match"
	"tallystick/reconcile/report"
)

// Names of the documents.
const (
	NameReconciliation = "bank-reconciliation"
	NameBreaks         = "breaks"
)

// words are how reports call the statuses.
var words = map[match.Status]string{
	match.Matched: "Matched", match.ReversedPair: "Reversed pairs", match.WrittenOff: "Written off", match.Suggested: "Suggested matches",
	match.Timing: "On the way", match.Carried: "Carried forward", match.UnmatchedBank: "At the bank, not in the ledger",
	match.UnmatchedLedger: "In the ledger, not at the bank", match.AmountMismatch: "Amounts differ", match.SideMismatch: "Opposite directions",
	match.CurrencyMismatch: "Currencies differ", match.DateDrift: "Dates too far apart", match.DuplicateBank: "Twice at the bank", match.DuplicateLedger: "Twice in the ledger",
}

var states = map[State]string{
	Reconciled: "reconciled: the proofs hold", NotReconciled: "not reconciled: a proof does not hold", NoStatement: "not reconciled: there is no statement",
}

// Reconciliation is the statement of reconciliation of each account: from the balance at the bank over what is open to the
// balance in the ledger.
func Reconciliation(ledger string, facts []report.Fact, results []*Result) (*report.Document, error) {
	d := &report.Document{Name: NameReconciliation, Title: "Bank reconciliation", Ledger: ledger, Facts: facts, Notes: []string{
		"Amounts are as the bank sees them: positive is money on the account, a debit in the ledger.",
		"Balance at the bank less what is open is the balance in the ledger. The difference line is zero where every line is accounted for, and printed even then."}}
	if len(results) == 0 {
		d.Blocks = append(d.Blocks, report.Block{Text: []string{"No account is reconciled with a bank: the policy names none (bank_accounts), and there are no statements."}})
	}
	for i, r := range results {
		d.Blocks = append(d.Blocks, r.statement(i), r.proofs(i))
		for _, note := range r.Notes {
			d.Notes = append(d.Notes, r.Account+": "+note)
		}
		for _, t := range r.Troubles {
			d.Notes = append(d.Notes, fmt.Sprintf("%s: decision %d (%s) could not be carried out as it stands: %s", r.Account, t.Seq, t.Action, t.Why))
		}
	}
	return d, report.Finish(d)
}

// statement is the block of one account.
func (r *Result) statement(i int) report.Block {
	b := report.Block{Heading: r.Account + ", " + r.Currency, Text: []string{"The account is " + states[r.State] + "."}}
	for _, bank := range r.Banks {
		b.Text = append(b.Text, fmt.Sprintf("Bank account %s: %d statements with %d lines, from %s to %s.", bank.BankAccount, bank.Statements, bank.Lines, bank.From, bank.To))
	}
	if len(r.Missing) > 0 {
		b.Text = append(b.Text, "No statement reaches the as-of date for "+strings.Join(r.Missing, ", ")+".")
	}
	if r.Proof == nil {
		return b
	}
	if !r.Stated {
		b.Text = append(b.Text, "No statement states a balance: the openings are taken as equal, and only the movements are compared.")
	}
	t := &report.Table{Name: table("statement", i), Columns: []report.Column{{Name: "item", Title: "Item", Kind: report.Text}, {Name: "groups", Title: "Items", Kind: report.Count},
		{Name: "amount", Title: "Amount", Kind: report.Amount, Currency: r.Currency}}}
	row := func(kind report.RowKind, item, groups string, units money.Int128) {
		t.Rows = append(t.Rows, report.Row{Kind: kind, Cells: []report.Cell{{Value: item}, {Value: groups}, {Value: units.Format(r.Scale)}}})
	}
	row(report.Subtotal, "Balance at the bank on "+r.AsOf, "", r.Proof.BankClosing)
	for _, total := range r.Totals {
		if total.Status.Settled() {
			continue
		}
		less, _ := total.Amount.Difference.Neg()
		row(report.Record, "less: "+words[total.Status], strconv.Itoa(total.Groups), less)
	}
	expected, _ := r.Proof.BankClosing.Sub(r.Proof.OpenBreaks)
	row(report.Subtotal, "Balance that the ledger should have", "", expected)
	row(report.Total, "Balance in the ledger on "+r.AsOf, "", r.Proof.LedgerClosing)
	row(report.Difference, "Difference", "", r.Proof.Unexplained)
	b.Table = t
	return b
}

// proofs shows what was proved of an account.
func (r *Result) proofs(i int) report.Block {
	b := report.Block{}
	if r.Proof == nil {
		return b
	}
	p := r.Proof
	b.Heading = r.Account + ": proofs"
	placed := fmt.Sprintf("%d of %d lines are in exactly one group", r.Placement.Placed, r.Placement.Lines)
	b.Text = []string{"Every line is in one group: " + yes(r.Placement.Holds()) + " (" + placed + ")."}
	t := &report.Table{Name: table("proof", i), Columns: []report.Column{{Name: "proof", Title: "Proof", Kind: report.Text}, {Name: "holds", Title: "Holds", Kind: report.Text},
		{Name: "difference", Title: "Difference", Kind: report.Amount, Currency: r.Currency}}}
	for _, line := range []struct {
		what string
		off  money.Int128
	}{
		{fmt.Sprintf("Bank: %s + %s = %s", p.BankOpening.Format(r.Scale), p.BankMovement.Format(r.Scale), p.BankClosing.Format(r.Scale)), p.BankFooting},
		{fmt.Sprintf("Ledger: %s + %s = %s", p.LedgerOpening.Format(r.Scale), p.LedgerMovement.Format(r.Scale), p.LedgerClosing.Format(r.Scale)), p.LedgerFooting},
		{fmt.Sprintf("Both begin alike: %s − %s = %s, brought forward as a line", p.BankOpening.Format(r.Scale), p.LedgerOpening.Format(r.Scale), p.Brought.Format(r.Scale)), p.OpeningGap},
		{fmt.Sprintf("Bank − ledger = what is open: %s = %s", p.Difference.Format(r.Scale), p.OpenBreaks.Format(r.Scale)), p.Unexplained},
	} {
		t.Rows = append(t.Rows, report.Row{Kind: report.Difference, Cells: []report.Cell{{Value: line.what}, {Value: yes(line.off.IsZero())}, {Value: line.off.Format(r.Scale)}}})
	}
	b.Table = t
	return b
}

func yes(holds bool) string {
	if holds {
		return "yes"
	}
	return "no"
}

// table names a table of the account at a place in the list.
func table(what string, i int) string { return what + "-" + strconv.Itoa(i+1) }

// Breaks lists what is open, item by item, and what people have settled.
func Breaks(ledger string, facts []report.Fact, results []*Result) (*report.Document, error) {
	d := &report.Document{Name: NameBreaks, Title: "Breaks between the bank and the ledger", Ledger: ledger, Facts: facts, Notes: []string{
		"Age is counted in business days from the booking date of the oldest line. The difference is bank less ledger.",
		"Notes are not copied into reports: the number is that of the decision that has it."}}
	d.Blocks = append(d.Blocks, ageing(results))
	listed := 0
	for i, r := range results {
		if len(r.Breaks) > 0 {
			d.Blocks = append(d.Blocks, report.Block{Heading: r.Account + ", " + r.Currency, Table: r.items(table("breaks", i), r.Breaks)})
			listed += len(r.Breaks)
		}
		if r.MoreBreaks > 0 {
			d.Notes = append(d.Notes, fmt.Sprintf("%s: %d more breaks are not listed; they are in the totals", r.Account, r.MoreBreaks))
		}
		if len(r.Settled) > 0 {
			d.Blocks = append(d.Blocks, report.Block{Heading: r.Account + ", " + r.Currency + ": settled by decision", Table: r.items(table("settled", i), r.Settled)})
		}
	}
	if listed == 0 {
		d.Blocks = append(d.Blocks, report.Block{Text: []string{"Nothing is open."}})
	}
	return d, report.Finish(d)
}

// ageing counts the open breaks by age.
func ageing(results []*Result) report.Block {
	columns := []report.Column{{Name: "account", Title: "Account", Kind: report.Code}}
	chart := &report.Chart{Kind: report.StackedBars, Title: "Open breaks by age in business days"}
	for _, bucket := range match.Buckets {
		columns = append(columns, report.Column{Name: "days-" + strings.ReplaceAll(string(bucket), "+", "-up"), Title: string(bucket) + " d", Kind: report.Count})
		chart.Categories = append(chart.Categories, string(bucket))
	}
	columns = append(columns, report.Column{Name: "overdue", Title: "Overdue", Kind: report.Count})
	t := &report.Table{Name: "ageing", Columns: columns}
	for _, r := range results {
		if r.Proof == nil {
			continue
		}
		counts := make([]int, len(match.Buckets))
		for i := range r.Breaks {
			for k, bucket := range match.Buckets {
				if bucket == r.Breaks[i].Bucket {
					counts[k]++
				}
			}
		}
		cells := []report.Cell{{Value: r.Account, Link: &report.Link{Account: r.Account}}}
		series := report.Series{Name: r.Account}
		for _, n := range counts {
			cells = append(cells, report.Cell{Value: strconv.Itoa(n)})
			series.Values = append(series.Values, strconv.Itoa(n))
		}
		t.Rows = append(t.Rows, report.Row{Cells: append(cells, report.Cell{Value: strconv.Itoa(r.Overdue)})})
		if len(chart.Series) < report.MaxSeries {
			chart.Series = append(chart.Series, series)
		}
	}
	b := report.Block{Heading: "Open breaks by age"}
	if len(t.Rows) == 0 {
		b.Text = []string{"No account is reconciled with a bank."}
		return b
	}
	b.Table, b.Chart = t, chart
	return b
}

// items is the table of breaks.
func (r *Result) items(name string, breaks []Break) *report.Table {
	t := &report.Table{Name: name, Columns: []report.Column{
		{Name: "break", Title: "Break", Kind: report.Code}, {Name: "status", Title: "Status", Kind: report.Text}, {Name: "lines", Title: "Lines", Kind: report.Code},
		{Name: "since", Title: "Since", Kind: report.Date}, {Name: "first_seen", Title: "First seen", Kind: report.Date}, {Name: "age", Title: "Age", Kind: report.Count},
		{Name: "bucket", Title: "Bucket", Kind: report.Text},
		{Name: "bank", Title: "Bank", Kind: report.Amount}, {Name: "ledger", Title: "Ledger", Kind: report.Amount}, {Name: "difference", Title: "Difference", Kind: report.Amount},
		{Name: "owner", Title: "Owner", Kind: report.Text}, {Name: "cause", Title: "Cause", Kind: report.Text}, {Name: "note", Title: "Note", Kind: report.Text},
		{Name: "resolved", Title: "Resolved by", Kind: report.Code}}}
	for i := range breaks {
		b := &breaks[i]
		var ids []string
		for _, l := range b.Lines {
			ids = append(ids, l.ID)
		}
		resolved := report.Cell{}
		if b.Resolved != nil {
			resolved = report.Cell{Value: strconv.FormatInt(*b.Resolved, 10), Link: &report.Link{Seq: b.Resolved}}
		}
		for k, a := range b.Amounts {
			amount := func(units money.Int128) report.Cell {
				return report.Cell{Value: units.Format(a.Scale), Currency: a.Currency}
			}
			cells := []report.Cell{{Value: b.ID}, {Value: words[b.Status]}, {Value: strings.Join(ids[:min(len(ids), shownIDs)], " ")}, {Value: b.Since}, {Value: b.FirstSeen}, {Value: strconv.Itoa(b.Age)},
				{Value: string(b.Bucket)}, amount(a.Bank), amount(a.Ledger), amount(a.Difference), {Value: b.Owner}, {Value: b.Cause}, {Value: b.Note}, resolved}
			if k > 0 { // another currency of the same break
				cells[0], cells[2] = report.Cell{}, report.Cell{}
			}
			t.Rows = append(t.Rows, report.Row{Cells: cells})
		}
	}
	return t
}

// shownIDs is how many lines of a break a report names.
const shownIDs = 4
