package reconcile

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strings"

	"tallystick/ledger/chain"
)

//go:embed report.html.tmpl
var pageText string

// page is the report to print: one file, which loads nothing from anywhere.
var page = template.Must(template.New("report").Parse(pageText))

// pageReport is a report as the page shows it.
type pageReport struct {
	*Report
	Outcome  string
	Lines    []Line
	Problems []pageFinding
	Unread   []string // what should have been checked
	Beyond   []string // what is never checked
	More     int64    // findings that are not listed
}

// pageFinding is a finding as the page shows it.
type pageFinding struct {
	chain.Finding
	Where, Meaning, Invariant string
	Fields                    []Line
	Notes                     []Line // signed notes and what they prove, as they are
}

// WriteHTML writes reports as one page for people, with the words of WriteText.
func WriteHTML(w io.Writer, reports []Report) error {
	var pages []pageReport
	for i := range reports {
		pages = append(pages, reports[i].page())
	}
	if err := page.Execute(w, pages); err != nil {
		return fmt.Errorf("writing the report as a page: %w", err)
	}
	return nil
}

func (r *Report) page() pageReport {
	outcome := &strings.Builder{}
	r.writeOutcome(&printer{w: outcome})
	p := pageReport{
		Report: r, Outcome: strings.TrimSpace(outcome.String()), Lines: r.scopeLines(),
		Unread: r.NotChecked[:r.Scope.Unchecked], Beyond: r.NotChecked[r.Scope.Unchecked:],
		More: r.FindingsTotal - int64(len(r.Findings)),
	}
	for i := range r.Findings {
		p.Problems = append(p.Problems, r.pageFinding(&r.Findings[i]))
	}
	return p
}

func (r *Report) pageFinding(f *chain.Finding) pageFinding {
	check := &Checks[precedence[f.Code]]
	p := pageFinding{Finding: *f, Where: where(f), Meaning: check.Meaning, Invariant: check.Invariant}
	for _, field := range r.fields(f) {
		if strings.Contains(field.Text, "\n") {
			p.Notes = append(p.Notes, field)
		} else {
			p.Fields = append(p.Fields, field)
		}
	}
	if fork := r.fork(f); fork != nil {
		proof := &strings.Builder{}
		fork.write(&printer{w: proof})
		p.Notes = append(p.Notes, Line{"proof", strings.TrimPrefix(strings.ReplaceAll(strings.TrimSpace(proof.String()), "\n              ", "\n"), "proof       ")})
	}
	return p
}
