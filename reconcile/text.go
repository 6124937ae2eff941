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
		r.writeFinding(p, &r.Findings[i])
	}
	if listed := int64(len(r.Findings)); r.FindingsTotal > listed {
		p.printf("Only the first %d findings are listed; there are %d.\n\n", listed, r.FindingsTotal)
	}
	if !r.comparison() {
		r.writeScope(p)
	}
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
		_, p.err = io.WriteString(p.w, visible(fmt.Sprintf(format, args...)))
	}
}

func (r *Report) writeOutcome(p *printer) {
	switch s := &r.Scope; {
	case r.comparison():
		r.writeCompared(p)
	case s.Gone:
		r.writeGone(p)
	case r.Status == Verified && s.Level >= LevelColumns:
		p.printf("VERIFIED: ledger %s holds, from its first entry to the head.\n\n", inLine(r.Ledger))
	case r.Status == Verified:
		p.printf("VERIFIED as far as level %d goes: %s\n\n", s.Level.Number(), r.partly())
	case r.Status == Incomplete:
		p.printf("INCOMPLETE: part of ledger %s could not be checked, see the end of this report.\n\n", inLine(r.Ledger))
	default:
		p.printf("TAMPERED: %d %s in ledger %s.\n\n", r.FindingsTotal, plural(int(r.FindingsTotal), "finding", "findings"), inLine(r.Ledger))
		if s.Unchecked > 0 {
			p.printf("Besides, part of it could not be checked, see the end of this report.\n\n")
		}
	}
}

// writeGone is the outcome where there is no ledger to verify, but what is left.
func (r *Report) writeGone(p *printer) {
	what, open, left := "the database has no ledger", ", and whether there was one could not be settled", "it"
	switch s := &r.Scope; {
	case s.Unlisted && r.Ledger == "":
		what, open, left = "the ledgers of the database cannot be listed", "", "the database"
	case s.Unlisted:
		what, open, left = "ledger "+inLine(r.Ledger)+" cannot be looked for", "", "the database"
	case r.Ledger != "":
		what += " " + inLine(r.Ledger)
	}
	if r.Status != Tampered {
		p.printf("INCOMPLETE: %s%s, see the end of this report.\n\n", what, open)
		return
	}
	p.printf("TAMPERED: %s, and what %s has is not whole: %d %s.\n\n", what, left, r.FindingsTotal, plural(int(r.FindingsTotal), "finding", "findings"))
	if r.Scope.Unchecked > 0 {
		p.printf("Besides, part of it could not be checked, see the end of this report.\n\n")
	}
}

// comparison reports whether two checkpoints were compared, and no ledger.
func (r *Report) comparison() bool { return r.Scope.Compared != [2]string{} }

// partly says what a verification below LevelColumns has shown.
func (r *Report) partly() string {
	s := &r.Scope
	switch {
	case s.Level == LevelChain && s.From > 0:
		return fmt.Sprintf("ledger %s continues unbroken from the pinned checkpoint of size %d to the head.", inLine(r.Ledger), s.From)
	case s.Level == LevelChain:
		return fmt.Sprintf("the chain of ledger %s is unbroken, from its first entry to the head.", inLine(r.Ledger))
	case s.Signing == nil:
		return fmt.Sprintf("ledger %s has no checkpoint, so nothing was shown.", inLine(r.Ledger))
	case s.Pin != nil:
		return fmt.Sprintf("ledger %s extends the pinned checkpoint of size %d, and its newest one is signed.", inLine(r.Ledger), s.Pin.Size)
	}
	return fmt.Sprintf("the newest checkpoint of ledger %s is signed, and is that of its tree.", inLine(r.Ledger))
}

func (r *Report) writeFinding(p *printer, f *chain.Finding) {
	check := &Checks[precedence[f.Code]]
	p.printf("%s  %s  (%s, %s)\n", where(f), f.Code, f.Severity, check.Invariant)
	p.printf("  %s\n", check.Meaning)
	for _, line := range r.fields(f) {
		p.printf("  %-11s %s\n", line.Name, strings.ReplaceAll(strings.TrimRight(line.Text, "\n"), "\n", "\n              "))
	}
	if fork := r.fork(f); fork != nil {
		fork.write(p)
	}
	p.printf("\n")
}

func where(f *chain.Finding) string {
	if f.Seq == nil {
		return "the whole ledger"
	}
	return fmt.Sprintf("entry %d", *f.Seq)
}

// fields are what a finding says beside its meaning.
func (r *Report) fields(f *chain.Finding) []Line {
	var lines []Line
	for _, line := range []struct {
		name  string
		value *string
	}{
		{"transfer", f.TransferID}, {"account", f.Account}, {"column", f.Column},
		{"stored", f.Stored}, {"recomputed", f.Recomputed}, {"covered by", r.cover(f)}, {"next step", &f.NextStep},
	} {
		if line.value != nil {
			lines = append(lines, Line{line.name, *line.value})
		}
	}
	return lines
}

// cover names the checkpoint over the entry of a finding: who has that one can
// tell whether a copy of the entry is the true one.
func (r *Report) cover(f *chain.Finding) *string {
	if f.Seq == nil {
		return nil
	}
	size, ok := r.Scope.CoveredBy[*f.Seq]
	if !ok {
		if r.Scope.Signing == nil {
			return nil
		}
		none := "no checkpoint yet"
		return &none
	}
	text := fmt.Sprintf("the checkpoint of size %d", size)
	return &text
}

// fork returns the two notes of a finding FORK_PROVEN.
func (r *Report) fork(f *chain.Finding) *Fork {
	for i := range r.Scope.Forks {
		if x := &r.Scope.Forks[i]; f.Code == ForkProven && *f.Seq == x.Seq && *f.Recomputed == string(x.Theirs) {
			return x
		}
	}
	return nil
}

// write says how the two notes contradict each other. Both were printed.
func (x *Fork) write(p *printer) {
	if x.TheirSize == x.OurSize {
		p.printf("  proof       both are signed with a key of this ledger's signer, for the same size, and their roots differ\n")
		return
	}
	p.printf("  proof       at size %d, %s has the root %s;\n", x.TheirSize, x.Name, x.TheirRoot)
	p.printf("              the tree of size %d that the other one signs has there %s, by the consistency proof (RFC 6962)\n", x.OurSize, x.RootHere)
	for _, node := range x.Nodes {
		p.printf("              %s\n", node)
	}
}

// writeScope says what holds. A report with critical findings says only what
// they leave standing.
func (r *Report) writeScope(p *printer) {
	t := tabwriter.NewWriter(p.w, 0, 0, 2, ' ', 0)
	lines := &printer{w: t, err: p.err}
	for _, line := range r.scopeLines() {
		lines.printf("%s", line.Name)
		if lines.err == nil {
			_, lines.err = fmt.Fprintf(t, "\t%s\n", inLine(line.Text))
		}
	}
	if p.err = lines.err; p.err == nil {
		p.err = t.Flush()
	}
}

// Line is one of the scope table; Name is empty where it goes on.
type Line struct{ Name, Text string }

// scopeLines are the scope table, for every way to show it.
func (r *Report) scopeLines() []Line {
	var lines []Line
	add := func(name, format string, args ...any) {
		lines = append(lines, Line{name, fmt.Sprintf(format, args...)})
	}
	s := &r.Scope
	if s.Gone {
		return nil
	}
	add("ledger", "%s", s.LedgerID)
	if s.Origin != "" {
		add("origin", "%s", s.Origin)
	}
	if s.Unreadable {
		return lines
	}
	add("size", "%d", r.Size)
	if r.Head != "" {
		add("head", "%s", r.Head)
	}
	if p := s.Succeeds; p != nil {
		add("succeeds", "%s at size %d, root %s; declared lost: %s (%s)", p.Origin, p.Size, p.Root, p.lost(), p.Reason)
	}
	for _, p := range s.SucceededBy {
		add("succeeded", "at size %d, root %s, by ledger %s; declared lost: %s (%s)", p.Size, p.Root, p.Ledger, p.lost(), p.Reason)
	}
	lines = append(lines, s.signingLines()...)
	if s.Level >= LevelChain {
		add("read", "%d entries, %d postings, %d accounts, %d texts, in %s (%d entries/s)",
			r.EntriesChecked, s.Postings, s.Accounts, s.Texts, s.Elapsed.Round(time.Millisecond), r.EntriesPerSecond)
	}
	name, proven := "proven", r.proven()
	if r.Status != Verified {
		name, proven = "still proven", r.stillProven()
	}
	for _, line := range proven {
		add(name, "%s", line)
		name = ""
	}
	return append(lines, r.totalLines()...)
}

// signed says whose signature is under the super-log.
func (l *SuperLog) signed() string {
	switch {
	case l.Size == 0:
		return "not signed so far"
	case len(l.Keys) == 0:
		return fmt.Sprintf("at size %d signed by nobody who is known here", l.Size)
	}
	return fmt.Sprintf("at size %d signed by %s", l.Size, strings.Join(l.Keys, ", "))
}

// signingLines say who vouches for the ledger.
func (s *Scope) signingLines() []Line {
	var lines []Line
	add := func(name, format string, args ...any) {
		lines = append(lines, Line{name, fmt.Sprintf(format, args...)})
	}
	if g := s.Signing; g != nil {
		add("signed", "size %d, root %s", g.Size, g.Root)
		add("", "by %s, at %s", strings.Join(g.Keys, ", "), g.SignedAt.UTC().Format(time.RFC3339))
		if g.Shown {
			place := "same process, not independent"
			if g.Apart {
				place = "a process of its own, as the database has it"
			}
			add("signer", "%s; shown last at %s", place, g.ShownAt.UTC().Format(time.RFC3339))
		}
		if g.ByPolicy {
			add("keys", "as the policy names them")
		} else {
			add("keys", "as the chain names them; pin them with --policy")
		}
		if len(g.Witnesses) > 0 {
			add("witnesses", "%s", listWitnesses(g.Witnesses))
		}
		if g.Checkpoints > 0 {
			add("checked", "%d %s, and %d %s of the tree", g.Checkpoints,
				plural(int(min(g.Checkpoints, 2)), "checkpoint", "checkpoints, each an extension of the one before"), g.Nodes, plural(int(min(g.Nodes, 2)), "node", "nodes"))
		}
	}
	switch p := s.Pin; {
	case p != nil && p.Holds:
		add("append-only", "since your pin of size %d, root %s", p.Size, p.Root)
	case p != nil:
		add("append-only", "NOT since your pin of size %d", p.Size)
	}
	if l := s.SuperLog; l != nil && l.Leaves+int64(len(l.Successions)) > 0 {
		add("super-log", "%d %s about %d %s; %s", l.Leaves, plural(int(min(l.Leaves, 2)), "checkpoint", "checkpoints"), l.Ledgers, plural(int(min(l.Ledgers, 2)), "ledger", "ledgers"), l.signed())
		for _, c := range l.Successions {
			by := ""
			if !c.Signed {
				by = "; nobody who is known here has signed that"
			}
			add("", "leaf %d declares a loss: %s had been signed at size %d, root %s%s", c.Position, c.Origin, c.Size, c.Root, by)
		}
	}
	name := "outside"
	for _, line := range s.Outside {
		add(name, "%s", line)
		name = ""
	}
	return lines
}

// proven says what a verification without findings has shown.
func (r *Report) proven() []string {
	var list []string
	if r.Scope.Level >= LevelChain {
		list = append(list, "every entry re-hashes from its columns and follows the one before it")
	}
	if r.Scope.Level >= LevelColumns {
		list = append(list,
			"every posting follows the one before it on its account, within limits",
			"every hold is settled at most once and within what it set aside, and every reversal undoes one entry",
			"no value date lies in a period that was closed, unless that was approved",
			"every text is the one that its entry commits to, or was erased on record")
	}
	list = append(list, r.Scope.Derived.proven()...)
	if r.Scope.Level >= LevelSchema {
		list = append(list, "the tables are those of this version, and nothing stands between them and a reader")
	}
	return list
}

// proven says what was held against the entries, where there is any.
func (d *Derived) proven() []string {
	var list []string
	for _, c := range []struct {
		n               int64
		one, many, what string
	}{
		{d.Commitments, "balance commitment binds", "balance commitments bind", "what the postings before it give"},
		{d.Snapshots, "stored snapshot of balances is", "stored snapshots of balances are", "what the postings before it give"},
		{d.Runs, "stored run says", "stored runs say", fmt.Sprintf("what the run entry says, and put out the documents that it binds, %d in all", d.Documents)},
	} {
		if c.n > 0 {
			list = append(list, fmt.Sprintf("%d %s %s", c.n, plural(int(min(c.n, 2)), c.one, c.many), c.what))
		}
	}
	return list
}

// stillProven says what the findings leave standing. A hash proves what leads
// up to it: the entries after the last break are those that the head seals,
// those before the first are merely consistent, unless a checkpoint covers them.
func (r *Report) stillProven() []string {
	const rehash = "re-hash from their columns and follow one another"
	if r.Scope.Unchecked > 0 {
		return []string{"of what was read, all that no finding names; nothing is claimed about the rest"}
	}
	first, last := r.Scope.FirstBreak, r.Scope.LastBreak
	switch {
	case r.Scope.Level < LevelChain:
		return []string{"nothing about the entries: they were not read"}
	case r.Size == 0:
		return []string{"nothing: there are no entries"}
	case last < 0:
		return append([]string{"every entry re-hashes from its columns and follows the one before it"}, r.sealed()...)
	}
	var proven []string
	if first > r.Scope.From {
		line := span(r.Scope.From, first-1) + " " + rehash
		if len(r.sealed()) == 0 {
			line += fmt.Sprintf("; that they are what was sealed, a copy of the hash of entry %d would show", first-1)
		}
		proven = append(proven, line)
	}
	if last < r.Size-1 && r.FindingsTotal == int64(len(r.Findings)) {
		proven = append(proven, fmt.Sprintf("%s %s, and lead to the head", span(last+1, r.Size-1), rehash))
	}
	if len(proven) == 0 {
		return append([]string{"nothing as a whole"}, r.sealed()...)
	}
	return append(proven, r.sealed()...)
}

// sealed says what the checkpoints vouch for in spite of the findings.
func (r *Report) sealed() []string {
	g := r.Scope.Signing
	if g == nil {
		return nil
	}
	return []string{fmt.Sprintf("%s, but for what findings name, are those that the checkpoint of size %d was signed over", span(0, g.Size-1), g.Size)}
}

func span(first, last int64) string {
	if first == last {
		return fmt.Sprintf("entry %d", first)
	}
	return fmt.Sprintf("entries %d to %d", first, last)
}

// totalLines say what balances to what, unless that was found wrong.
func (r *Report) totalLines() []Line {
	for i := range r.Findings {
		if r.Findings[i].Code == CurrencyNotZero {
			return nil
		}
	}
	var lines []Line
	name := "balances"
	for _, total := range r.Scope.Totals {
		if total.Debits == total.Credits {
			lines = append(lines, Line{name, fmt.Sprintf("%s: debits %s = credits %s", total.Currency, total.Debits, total.Credits)})
			name = ""
		}
	}
	return lines
}

func (r *Report) writeNotChecked(p *printer) {
	if !r.comparison() && !r.Scope.Gone { // else there is no table before it
		p.printf("\n")
	}
	p.printf("NOT CHECKED\n")
	for i, reason := range r.NotChecked {
		if i < r.Scope.Unchecked {
			reason = "COULD NOT BE READ OR UNDERSTOOD: " + reason
		}
		p.printf("- %s\n", inLine(strings.ReplaceAll(strings.TrimSpace(reason), "\nhint: ", "; ")))
	}
}
