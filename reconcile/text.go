package reconcile

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"tallystick/ledger/chain"
)

// WriteText writes the report for people: the outcome, each finding with what
// to do about it, what the report rests on, and what it says nothing about.
func (r *Report) WriteText(w io.Writer) error {
	p := &printer{w: w}
	r.writeOutcome(p)
	for i := range r.Findings {
		writeFinding(p, &r.Findings[i])
	}
	if listed := int64(len(r.Findings)); r.FindingsTotal > listed {
		p.printf("Only the first %d findings are listed; there are %d.\n\n", listed, r.FindingsTotal)
	}
	r.writeScope(p)
	r.writeNotChecked(p)
	return p.err
}

// printer remembers the first error.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) printf(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format, args...)
	}
}

func (r *Report) writeOutcome(p *printer) {
	switch {
	case r.Status == Verified:
		p.printf("VERIFIED: ledger %s holds, from its first entry to the head.\n\n", r.Ledger)
	case r.Status == Incomplete:
		p.printf("INCOMPLETE: part of ledger %s could not be checked, see the end of this report.\n\n", r.Ledger)
	default:
		p.printf("TAMPERED: %d %s in ledger %s.\n\n", r.FindingsTotal, plural(int(r.FindingsTotal), "finding", "findings"), r.Ledger)
		if r.Scope.Unchecked > 0 {
			p.printf("Besides, part of it could not be checked, see the end of this report.\n\n")
		}
	}
}

func writeFinding(p *printer, f *chain.Finding) {
	check := &Checks[precedence[f.Code]]
	where := "the whole ledger"
	if f.Seq != nil {
		where = fmt.Sprintf("entry %d", *f.Seq)
	}
	p.printf("%s  %s  (%s, %s)\n", where, f.Code, f.Severity, check.Invariant)
	p.printf("  %s\n", check.Meaning)
	for _, line := range []struct {
		name  string
		value *string
	}{
		{"transfer", f.TransferID}, {"account", f.Account}, {"column", f.Column},
		{"stored", f.Stored}, {"recomputed", f.Recomputed}, {"next step", &f.NextStep},
	} {
		if line.value != nil {
			p.printf("  %-11s %s\n", line.name, *line.value)
		}
	}
	p.printf("\n")
}

// writeScope says what holds. A report with critical findings says only what
// they leave standing.
func (r *Report) writeScope(p *printer) {
	t := tabwriter.NewWriter(p.w, 0, 0, 2, ' ', 0)
	lines := &printer{w: t, err: p.err}
	s := &r.Scope
	lines.printf("ledger\t%s\n", s.LedgerID)
	if s.Origin != "" {
		lines.printf("origin\t%s\n", s.Origin)
	}
	lines.printf("size\t%d\n", r.Size)
	if r.Head != "" {
		lines.printf("head\t%s\n", r.Head)
	}
	lines.printf("read\t%d entries, %d postings, %d accounts, %d texts, in %s (%d entries/s)\n",
		r.EntriesChecked, s.Postings, s.Accounts, s.Texts, s.Elapsed.Round(time.Millisecond), r.EntriesPerSecond)
	if r.Status == Verified {
		lines.printf("proven\tevery entry re-hashes from its columns and follows the one before it\n")
		lines.printf("\tevery posting follows the one before it on its account, within limits\n")
		lines.printf("\tevery hold is settled at most once and within what it set aside, and every reversal undoes one entry\n")
		lines.printf("\tno value date lies in a period that was closed, unless that was approved\n")
		lines.printf("\tevery text is the one that its entry commits to, or was erased on record\n")
	} else {
		name := "still proven"
		for _, line := range r.stillProven() {
			lines.printf("%s\t%s\n", name, line)
			name = ""
		}
	}
	r.writeTotals(lines)
	if p.err = lines.err; p.err == nil {
		p.err = t.Flush()
	}
}

// stillProven says what the findings leave standing. A hash proves what leads
// up to it: the entries after the last break are those that the head seals,
// those before the first are merely consistent.
func (r *Report) stillProven() []string {
	const rehash = "re-hash from their columns and follow one another"
	if r.Scope.Unchecked > 0 {
		return []string{"of what was read, all that no finding names; nothing is claimed about the rest"}
	}
	first, last := r.Scope.FirstBreak, r.Scope.LastBreak
	switch {
	case r.Size == 0:
		return []string{"nothing: there are no entries"}
	case last < 0:
		return []string{"every entry re-hashes from its columns and follows the one before it"}
	}
	var proven []string
	if first > 0 {
		proven = append(proven, fmt.Sprintf("%s %s; that they are what was sealed, a copy of the hash of entry %d would show",
			span(0, first-1), rehash, first-1))
	}
	if last < r.Size-1 && r.FindingsTotal == int64(len(r.Findings)) {
		proven = append(proven, fmt.Sprintf("%s %s, and lead to the head", span(last+1, r.Size-1), rehash))
	}
	if len(proven) == 0 {
		return []string{"nothing as a whole"}
	}
	return proven
}

func span(first, last int64) string {
	if first == last {
		return fmt.Sprintf("entry %d:", first)
	}
	return fmt.Sprintf("entries %d to %d", first, last)
}

// writeTotals says what balances to what, unless that was found wrong.
func (r *Report) writeTotals(p *printer) {
	for i := range r.Findings {
		if r.Findings[i].Code == CurrencyNotZero {
			return
		}
	}
	name := "balances"
	for _, total := range r.Scope.Totals {
		if total.Debits == total.Credits {
			p.printf("%s\t%s: debits %s = credits %s\n", name, total.Currency, total.Debits, total.Credits)
			name = ""
		}
	}
}

func (r *Report) writeNotChecked(p *printer) {
	p.printf("\nNOT CHECKED\n")
	for i, reason := range r.NotChecked {
		if i < r.Scope.Unchecked {
			reason = "COULD NOT BE READ OR UNDERSTOOD: " + reason
		}
		p.printf("- %s\n", strings.TrimSpace(reason))
	}
}
