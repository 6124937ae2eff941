package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"tallystick/ledger/chain"
	"tallystick/reconcile"
)

// maxPrintedFindings is how many findings of a phase a terminal is shown.
const maxPrintedFindings = 20

// printNight prints a run.
func printNight(w io.Writer, r *reconcile.NightResult, ledger string, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(w).Encode(reconcile.ShowNight(r))
	}
	run := &r.Run
	var b strings.Builder
	fmt.Fprintf(&b, "run %s of ledger %s as of %s (%s)\n", run.ID, ledger, run.AsOf, r.Came)
	fmt.Fprintf(&b, "  pinned to    %d entries, head %s\n", run.Size, run.Head)
	read := "all entries"
	if run.ReadFrom > 0 {
		read = fmt.Sprintf("entries from %d on, and a part of those before; %d entries were not read again", run.ReadFrom, run.NotReRead)
	}
	fmt.Fprintf(&b, "  read         %s\n\n", read)
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "  PHASE\tCRITICAL\tWARNINGS\tINFO\tNOT CHECKED")
	for i := range r.Phases {
		p := &r.Phases[i]
		fmt.Fprintf(t, "  %s\t%d\t%d\t%d\t%d\n", p.Phase, p.Critical, p.Warnings, p.Info, len(p.NotChecked))
	}
	_ = t.Flush() // into memory
	for i := range r.Phases {
		printFindings(&b, "phase "+r.Phases[i].Phase, r.Phases[i].Findings, r.Phases[i].NotChecked)
	}
	printFindings(&b, "the run itself", r.Disputed, nil)
	fmt.Fprintf(&b, "\n%s", strings.ToUpper(standing(run)))
	if run.EntrySeq != nil {
		fmt.Fprintf(&b, ", on record as entry %d", *run.EntrySeq)
	}
	if run.Reports != nil {
		fmt.Fprintf(&b, "\n%d outputs, sha256 %s", len(r.Outputs), run.Reports)
	}
	b.WriteString("\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// printFindings prints what was found in one place.
func printFindings(b *strings.Builder, where string, findings []chain.Finding, unchecked []string) {
	if len(findings)+len(unchecked) == 0 {
		return
	}
	fmt.Fprintf(b, "\n%s\n", where)
	for i := range findings {
		if i == maxPrintedFindings {
			fmt.Fprintf(b, "  … and %d more; --json shows them\n", len(findings)-i)
			break
		}
		f := &findings[i]
		fmt.Fprintf(b, "  %s  %s", f.Severity, f.Code)
		if f.Seq != nil {
			fmt.Fprintf(b, "  entry %d", *f.Seq)
		}
		if f.Account != nil {
			fmt.Fprintf(b, "  account %s", *f.Account)
		}
		for _, said := range []struct {
			name  string
			value *string
		}{{"stored", f.Stored}, {"recomputed", f.Recomputed}} {
			if said.value != nil {
				fmt.Fprintf(b, "\n    %s: %s", said.name, *said.value)
			}
		}
		fmt.Fprintf(b, "\n    next step: %s\n", f.NextStep)
	}
	for _, what := range unchecked {
		fmt.Fprintf(b, "  NOT CHECKED: %s\n", what)
	}
}
