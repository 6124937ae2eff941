package figures

import (
	"strconv"
	"strings"

	"tallystick/ledger/chain"
	"tallystick/reconcile/report"
)

// Integrity is what a run looked at before its reports, and what it found.
type Integrity struct {
	Known bool `json:"-"` // the chain phase said what it read

	Whole    bool   `json:"whole"`
	Why      string `json:"why"`
	Read     []Span `json:"read"`
	NotRead  []Span `json:"not_read"`
	Entries  int64  `json:"entries"`
	Postings int64  `json:"postings"`
	Accounts int64  `json:"accounts"`

	Phases []PhaseOutcome `json:"-"`
}

// Span are the entries From ≤ seq < To.
type Span struct {
	From int64 `json:"from"`
	To   int64 `json:"to"`
}

// PhaseOutcome is what one phase of a run found.
type PhaseOutcome struct {
	Name                     string
	Critical, Warnings, Info int64
	Findings                 []Found // as many as the run keeps
	NotChecked               []string
}

// Found is a finding and what its code means.
type Found struct {
	chain.Finding
	Meaning string
}

// MaxFound is how many findings of a phase the integrity report lists; the run keeps more.
const MaxFound = 1000

// IntegrityReport says what was read again and derived, what was found, and what was not looked at.
func IntegrityReport(b *Books, in *Integrity) (report.Document, error) {
	d := b.document(NameIntegrity, "Integrity")
	d.Blocks = append(d.Blocks, report.Block{Figures: in.figures()}, in.reading(), in.outcomes())
	for i := range in.Phases {
		if p := &in.Phases[i]; len(p.Findings) > 0 || len(p.NotChecked) > 0 {
			d.Blocks = append(d.Blocks, p.block())
		}
	}
	d.Notes = append(d.Notes, "Critical findings say that the books are not what was sealed, or break a rule; warnings that somebody should look. What was not checked may hold anything.",
		"Findings of the phases before this report; the control sheet has those of all.")
	return finish(d)
}

// figures are the outcome in three numbers.
func (in *Integrity) figures() []report.Figure {
	var critical, warnings, unchecked int64
	for i := range in.Phases {
		p := &in.Phases[i]
		critical, warnings, unchecked = critical+p.Critical, warnings+p.Warnings, unchecked+int64(len(p.NotChecked))
	}
	level := func(n int64, otherwise report.Level) report.Level {
		if n == 0 {
			return report.Green
		}
		return otherwise
	}
	number := func(id, title, meaning string, n int64, l report.Level) report.Figure {
		return report.Figure{ID: NameIntegrity + "." + id, Title: title, Value: count(n), Meaning: meaning, Level: l}
	}
	return []report.Figure{
		number("critical", "Critical findings", "What stands in the database is not what was sealed, or breaks a rule of the books.", critical, level(critical, report.Red)),
		number("warnings", "Warnings", "Somebody should look.", warnings, level(warnings, report.Amber)),
		number("not-checked", "Not checked", "What could not be looked at; the run is incomplete.", unchecked, level(unchecked, report.Amber)),
	}
}

// reading says which entries were derived again.
func (in *Integrity) reading() report.Block {
	block := report.Block{Heading: "What was read again"}
	if !in.Known {
		block.Text = []string{"The chain phase did not say what it read."}
		return block
	}
	t := &report.Table{Name: "reading", Columns: []report.Column{column("what", "What", report.Text), column("value", "Value", report.Text)}}
	for _, row := range [][2]string{
		{"Why", in.Why},
		{"Entries read and hashed again", strconv.FormatInt(in.Entries, 10)}, {"Their postings", strconv.FormatInt(in.Postings, 10)},
		{"Accounts", strconv.FormatInt(in.Accounts, 10)}, {"Read", spans(in.Read)}, {"Not read again", spans(in.NotRead)},
	} {
		t.Rows = append(t.Rows, report.Row{Cells: []report.Cell{text(row[0]), text(row[1])}})
	}
	block.Table = t
	return block
}

// spans writes intervals of entries.
func spans(list []Span) string {
	if len(list) == 0 {
		return "none"
	}
	parts := make([]string, 0, len(list))
	for _, s := range list {
		if s.To > s.From {
			parts = append(parts, strconv.FormatInt(s.From, 10)+" to "+strconv.FormatInt(s.To-1, 10))
		}
	}
	return strings.Join(parts, ", ")
}

// outcomes counts what each phase found.
func (in *Integrity) outcomes() report.Block {
	t := &report.Table{Name: "phases", Columns: []report.Column{column("phase", "Phase", report.Text), column("critical", "Critical", report.Count),
		column("warnings", "Warnings", report.Count), column("info", "For information", report.Count), column("not_checked", "Not checked", report.Count)}}
	var critical, warnings, info, unchecked int64
	for i := range in.Phases {
		p := &in.Phases[i]
		critical, warnings, info, unchecked = critical+p.Critical, warnings+p.Warnings, info+p.Info, unchecked+int64(len(p.NotChecked))
		t.Rows = append(t.Rows, report.Row{Cells: []report.Cell{text(p.Name), count(p.Critical), count(p.Warnings), count(p.Info), count(int64(len(p.NotChecked)))}})
	}
	t.Rows = append(t.Rows, report.Row{Kind: report.Total, Cells: []report.Cell{text("Total"), count(critical), count(warnings), count(info), count(unchecked)}})
	return report.Block{Heading: "Findings by phase", Table: t}
}

// block lists what a phase found.
func (p *PhaseOutcome) block() report.Block {
	block := report.Block{Heading: "Phase " + p.Name}
	for _, what := range p.NotChecked {
		block.Text = append(block.Text, "Not checked: "+what)
	}
	if len(p.Findings) == 0 {
		return block
	}
	t := &report.Table{Name: "findings-" + p.Name, Columns: []report.Column{column("code", "Code", report.Code), column("severity", "Severity", report.Text),
		column("seq", "Entry", report.Code), column("account", "Account", report.Code), column("meaning", "Meaning", report.Text),
		column("stored", "Found", report.Text), column("recomputed", "Expected", report.Text), column("next_step", "Next step", report.Text)}}
	for i := range p.Findings[:min(len(p.Findings), MaxFound)] {
		f := &p.Findings[i]
		seq, account := report.Cell{}, report.Cell{}
		if f.Seq != nil {
			seq = seqCell(*f.Seq)
		}
		if f.Account != nil {
			account = accountCell(*f.Account)
		}
		t.Rows = append(t.Rows, report.Row{Cells: []report.Cell{text(f.Code), text(string(f.Severity)), seq, account, text(f.Meaning), optional(f.Stored), optional(f.Recomputed), text(f.NextStep)}})
	}
	if more := p.Critical + p.Warnings + p.Info - int64(len(t.Rows)); more > 0 {
		block.Text = append(block.Text, strconv.FormatInt(more, 10)+" more findings are not listed here.")
	}
	block.Table = t
	return block
}

func optional(s *string) report.Cell {
	if s == nil {
		return report.Cell{}
	}
	return text(*s)
}
