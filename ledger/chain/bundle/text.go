package bundle

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
	p.printf("\nNOT CHECKED\n")
	for i, reason := range r.NotChecked {
		if i < r.Scope.Unchecked {
			reason = "COULD NOT BE READ OR UNDERSTOOD: " + reason
		}
		p.printf("- %s\n", reason)
	}
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
	case r.Status == Verified && r.Scope.Vouched:
		p.printf("VERIFIED: ledger %s is what was signed at size %d, and holds.\n\n", r.Ledger, r.Size)
	case r.Status == Verified:
		p.printf("VERIFIED, BY ITS OWN KEYS: ledger %s holds up to size %d. Who signed it is up to you to find out.\n\n", r.Ledger, r.Size)
	case r.Status == Incomplete:
		p.printf("INCOMPLETE: part of the bundle could not be checked, see the end of this report.\n\n")
	default:
		noun := "findings"
		if r.FindingsTotal == 1 {
			noun = "finding"
		}
		p.printf("TAMPERED: %d %s in the bundle of ledger %s.\n\n", r.FindingsTotal, noun, r.Ledger)
		if r.Scope.Unchecked > 0 {
			p.printf("Besides, part of it could not be checked, see the end of this report.\n\n")
		}
	}
}

func writeFinding(p *printer, f *chain.Finding) {
	check := &Checks[precedence[f.Code]]
	where := "the whole bundle"
	if f.Seq != nil {
		where = fmt.Sprintf("entry %d", *f.Seq)
	}
	p.printf("%s  %s  (%s, %s)\n", where, f.Code, f.Severity, check.Invariant)
	p.printf("  %s\n", check.Meaning)
	for _, line := range []struct {
		name  string
		value *string
	}{
		{"transfer", f.TransferID}, {"account", f.Account}, {"where", f.Column},
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
	if s.Origin != "" {
		lines.printf("ledger\t%s\n", s.LedgerID)
		lines.printf("origin\t%s\n", s.Origin)
		lines.printf("size\t%d\n", r.Size)
		lines.printf("root\t%s\n", s.Root)
		lines.printf("head\t%s\n", r.Head)
		lines.printf("made by\t%s\n", s.From)
	}
	lines.printf("read\t%d entries, %d postings, %d accounts, %d texts, in %s (%d entries/s)\n",
		r.EntriesChecked, s.Postings, s.Accounts, s.Texts, s.Elapsed.Round(time.Millisecond), r.EntriesPerSecond)
	r.writeSigned(lines)
	name := "proven"
	for _, line := range r.proven() {
		lines.printf("%s\t%s\n", name, line)
		name = ""
	}
	name = "balances"
	for _, total := range s.Totals {
		lines.printf("%s\t%s: debits %s = credits %s, held %s\n", name, total.Currency, total.Debits, total.Credits, total.Pending)
		name = ""
	}
	if p.err = lines.err; p.err == nil {
		p.err = t.Flush()
	}
}

// writeSigned says who signed what.
func (r *Report) writeSigned(p *printer) {
	name := "signed"
	for _, c := range r.Scope.Checkpoints {
		by := "by nobody that is known"
		if len(c.Signatures) > 0 {
			by = "by " + strings.Join(c.Signatures, ", ")
		}
		p.printf("%s\tsize %d %s\n", name, c.Size, by)
		name = ""
	}
	switch {
	case len(r.Scope.SignedBy) > 0:
		p.printf("manifest\tsigned by %s\n", strings.Join(r.Scope.SignedBy, ", "))
	case r.Scope.Origin != "":
		p.printf("manifest\tnot signed by a key that is known; what it lists is held against the checkpoint\n")
	}
	name = "keys"
	for _, k := range r.Scope.KeyChanges {
		p.printf("%s\t%s\n", name, k)
		name = ""
	}
}

// proven says what the findings leave standing.
func (r *Report) proven() []string {
	var lines []string
	for _, c := range r.Scope.Checkpoints {
		lines = append(lines, fmt.Sprintf("entries 0 to %d are those under the root of the checkpoint of size %d", c.Size-1, c.Size))
	}
	for _, size := range r.Scope.Pinned {
		lines = append(lines, fmt.Sprintf("entries 0 to %d are those of the checkpoint that you kept", size-1))
	}
	if r.Status != Verified {
		if len(lines) == 0 {
			lines = append(lines, "nothing as a whole: no checkpoint in the bundle is about these entries")
		}
		return lines
	}
	lines = append(lines,
		"every entry follows the one before it, and is dated after it",
		"every posting follows the one before it on its account; debits equal credits in every entry")
	if r.Scope.Proofs > 0 {
		lines = append(lines, fmt.Sprintf("%d consistency proofs show that each checkpoint extends the one before it", r.Scope.Proofs))
	}
	if r.Scope.HasTexts {
		lines = append(lines, "every text is the one that its entry commits to, or was erased on record")
	}
	lines = append(lines, fmt.Sprintf("the %d balances shown are those that the entries give", r.Scope.Balances))
	if c := r.Scope.Commitment; c != nil {
		lines = append(lines, fmt.Sprintf("entry %d commits to the balances at size %d, and they are the ones", c.Seq, c.Size))
	}
	return lines
}
