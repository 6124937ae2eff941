package risk

import (
	"encoding/hex"
	"slices"
	"strconv"
	"strings"

	"tallystick/ledger/chain"
	"tallystick/reconcile/report"
)

// Pin is what the figures are of, for the head of a page.
type Pin struct {
	Size int64
	Head chain.Hash
}

// pageOf is a report made of sections.
type pageOf struct {
	name, title string
	sections    []string // nil: all
}

// pages are the reports of risk.
var pages = []pageOf{
	{"risk", "Risk", nil},
	{"safeguarding", "Safeguarding of client money", []string{"safeguarding"}},
	{"exposures", "Exposures", []string{"exposure", "large_exposures", "fx"}},
}

// Documents writes the sections as reports.
func Documents(in *Inputs, pin Pin, sections []Section) []report.Document {
	list := make([]report.Document, 0, len(pages))
	for _, p := range pages {
		d := report.Document{Name: p.name, Title: p.title, Ledger: in.Book.Ledger, Facts: in.facts(pin)}
		var chosen []Section
		for _, s := range sections {
			if p.sections == nil || slices.Contains(p.sections, s.ID) {
				chosen = append(chosen, s)
			}
		}
		d.Blocks = append(d.Blocks, summary(chosen))
		for _, s := range chosen {
			d.Blocks = append(d.Blocks, s.Blocks...)
			for _, note := range s.Notes {
				d.Notes = append(d.Notes, s.Title+": "+note)
			}
		}
		list = append(list, d)
	}
	return list
}

// facts are what the figures rest on.
func (in *Inputs) facts(pin Pin) []report.Fact {
	short := func(h chain.Hash) string { return hex.EncodeToString(h[:]) }
	facts := []report.Fact{
		{Name: "as of", Value: in.Book.AsOf.String()},
		{Name: "base currency", Value: in.Book.Base},
		{Name: "ledger size", Value: strconv.FormatInt(pin.Size, 10)},
		{Name: "head hash", Value: short(pin.Head)},
		{Name: "policy", Value: in.Policy.Name + " " + in.Policy.Version + ", in force from " + in.Policy.EffectiveFrom.String()},
		{Name: "policy SHA-256", Value: short(in.Policy.SHA256)},
	}
	rates, inputs := "none given", "none given"
	if in.Rates != nil {
		rates = short(in.Rates.SHA256)
	}
	if in.Dated != nil {
		inputs = short(in.Dated.SHA256)
	}
	return append(facts, report.Fact{Name: "rates SHA-256", Value: rates}, report.Fact{Name: "inputs SHA-256", Value: inputs})
}

// summary lists every figure with its level, the breaches first to see.
func summary(sections []Section) report.Block {
	t := &report.Table{Name: "summary", Columns: []report.Column{
		{Name: "calculation", Title: "Calculation", Kind: report.Text}, {Name: "figure", Title: "Figure", Kind: report.Text},
		{Name: "value", Title: "Value", Kind: report.Text}, {Name: "level", Title: "Level", Kind: report.Code},
		{Name: "amber", Title: "Amber", Kind: report.Code}, {Name: "red", Title: "Red", Kind: report.Code},
	}}
	compared := slices.ContainsFunc(sections, func(s Section) bool {
		return slices.ContainsFunc(s.Blocks, func(b report.Block) bool {
			return slices.ContainsFunc(b.Figures, func(f report.Figure) bool { return f.Previous != nil })
		})
	})
	if compared {
		t.Columns = append(t.Columns, report.Column{Name: "before", Title: "Run before", Kind: report.Text})
	}
	b := report.Block{Heading: "Summary", Table: t}
	for _, level := range []report.Level{report.Red, report.Amber} {
		for _, s := range sections {
			for _, breach := range s.Breaches {
				if breach.Level == level {
					b.Text = append(b.Text, breach.Text+".")
				}
			}
		}
	}
	for _, s := range sections {
		for _, block := range s.Blocks {
			for _, f := range block.Figures {
				before := ""
				if f.Previous != nil {
					before = shown(*f.Previous, f.Unit)
				}
				cells := []report.Cell{textCell(s.Title), textCell(f.Title), textCell(shown(f.Value, f.Unit)), textCell(string(f.Level)), textCell(f.Amber), textCell(f.Red)}
				if compared {
					cells = append(cells, textCell(before))
				}
				t.Rows = append(t.Rows, report.Row{Cells: cells})
			}
		}
	}
	if len(b.Text) == 0 {
		b.Text = []string{"No figure that was computed is beyond its limit."}
	}
	if absent := slices.ContainsFunc(t.Rows, func(r report.Row) bool { return strings.HasPrefix(r.Cells[2].Value, notComputed) }); absent {
		b.Text = append(b.Text, "Some figures are not computed: the table says why. They are not zero.")
	}
	return b
}

// shown writes a value with its currency or unit.
func shown(c report.Cell, unit string) string {
	switch {
	case c.Absent != "":
		return c.Absent
	case c.Currency != "":
		return c.Value + " " + c.Currency
	case unit != "":
		return c.Value + " " + unit
	}
	return c.Value
}
