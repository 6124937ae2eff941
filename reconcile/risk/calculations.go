package risk

import (
	"fmt"

	"tallystick/reconcile/policy"
	"tallystick/reconcile/report"
)

// Inputs is everything that the figures rest on.
type Inputs struct {
	Book    *Book
	History *History // closed
	Policy  *policy.Policy
	Rates   *Rates // nil: none were given
	Dated   *Dated // nil: none were given
	// Breaks are the open breaks of the bank reconciliation; nil with BanksUnknown when it was not done.
	Breaks       []Item
	BanksUnknown string
	// Previous are the figures of the run before, by their id.
	Previous map[string]report.Cell
}

// calculation is one of the ten.
type calculation struct {
	id, title string
	set       func(*policy.Risk) bool
	compute   func(*page)
}

// calculations are all that Compute does, in their order on the page.
var calculations = []calculation{
	{"safeguarding", "Safeguarding", func(r *policy.Risk) bool { return r.Safeguarding != nil }, safeguarding},
	{"exposure", "Limits and negative balances", func(r *policy.Risk) bool { return r.Exposure != nil }, exposure},
	{"fx", "Foreign exchange position", func(r *policy.Risk) bool { return r.FX != nil }, fxPosition},
	{"large_exposures", "Large exposures and concentration", func(r *policy.Risk) bool { return r.Large != nil }, largeExposures},
	{"liquidity", "Liquidity coverage", func(r *policy.Risk) bool { return r.Liquidity != nil }, liquidity},
	{"ageing", "Ageing of open items", func(r *policy.Risk) bool { return r.Ageing != nil }, ageing},
	{"credit_loss", "Expected credit loss", func(r *policy.Risk) bool { return r.Credit != nil }, creditLoss},
	{"own_funds", "Own funds", func(r *policy.Risk) bool { return r.OwnFunds != nil }, ownFunds},
	{"signals", "Transfers to look at", func(r *policy.Risk) bool { return r.Signals != nil }, signals},
	{"var", "Value at risk of currencies", func(r *policy.Risk) bool { return r.VaR != nil }, valueAtRisk},
}

// Compute does all calculations. A section that the policy does not have says so.
func Compute(in *Inputs) ([]Section, error) {
	if in.History.err != nil {
		return nil, fmt.Errorf("computing risk of %s: %w", in.Book.Ledger, in.History.err)
	}
	sections := make([]Section, 0, len(calculations))
	for _, c := range calculations {
		p := newPage(in, c.id, c.title)
		if !c.set(&in.Policy.Risk) {
			p.absent(report.Figure{ID: c.id, Title: c.title, Meaning: "This calculation was not asked for."}, "the policy has no section risk.%s", c.id)
		} else {
			c.compute(p)
		}
		sections = append(sections, p.Section)
	}
	return sections, nil
}

// Figures returns all figures of sections by id, for the next run to compare with.
func Figures(sections []Section) map[string]report.Cell {
	all := map[string]report.Cell{}
	for _, s := range sections {
		for _, b := range s.Blocks {
			for _, f := range b.Figures {
				all[f.ID] = f.Value
			}
		}
	}
	return all
}
