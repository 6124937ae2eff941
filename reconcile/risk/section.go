package risk

import (
	"fmt"
	"slices"
	"strings"

	"github.com/shopspring/decimal"

	"tallystick/ledger/money"
	"tallystick/reconcile/policy"
	"tallystick/reconcile/report"
)

// Section is what one calculation gives: a part of a page, and what passed its limits.
type Section struct {
	ID       string // stable, the name of the policy's section
	Title    string
	Blocks   []report.Block
	Notes    []string
	Breaches []Breach
}

// Breach is a figure beyond its limit.
type Breach struct {
	Figure string
	Level  report.Level // report.Amber or report.Red
	Text   string
}

// side says on which side of its limits a figure is worse.
type side int

const (
	aboveIsWorse side = iota
	belowIsWorse
	fromIsAmber // above is worse, and what reaches amber is amber: what has to be reported from a share on
)

// level holds a value against limits.
func (s side) level(v decimal.Decimal, l policy.Limit) report.Level {
	beyond := func(limit *policy.Decimal) bool {
		if limit == nil {
			return false
		}
		if s == belowIsWorse {
			return v.Cmp(limit.Decimal) < 0
		}
		return v.Cmp(limit.Decimal) > 0
	}
	switch {
	case l.Amber == nil && l.Red == nil:
		return report.NoLimit
	case beyond(l.Red):
		return report.Red
	case beyond(l.Amber), s == fromIsAmber && l.Amber != nil && v.Equal(l.Amber.Decimal):
		return report.Amber
	}
	return report.Green
}

// words says where the limit is: "below 0" for a reader of the page.
func (s side) words(limit *policy.Decimal) string {
	if limit == nil {
		return ""
	}
	if s == belowIsWorse {
		return "below " + limit.String()
	}
	return "above " + limit.String()
}

// page is what a calculation writes its section to.
type page struct {
	Section
	in *Inputs
}

func newPage(in *Inputs, id, title string) *page {
	return &page{in: in, Section: Section{ID: id, Title: title}}
}

// last returns the block that figures, charts and texts go to.
func (p *page) last() *report.Block {
	if len(p.Blocks) == 0 {
		p.Blocks = append(p.Blocks, report.Block{Heading: p.Title})
	}
	return &p.Blocks[len(p.Blocks)-1]
}

// block begins a block.
func (p *page) block(heading string) { p.Blocks = append(p.Blocks, report.Block{Heading: heading}) }

// figure adds a figure with a value and holds it against its limits.
func (p *page) figure(f report.Figure, v decimal.Decimal, worse side, limits policy.Limit) {
	f.Level = worse.level(v, limits)
	f.Amber, f.Red = worse.words(limits.Amber), worse.words(limits.Red)
	if worse == fromIsAmber && limits.Amber != nil {
		f.Amber = "from " + limits.Amber.String() + " on"
	}
	if f.Level == report.Amber || f.Level == report.Red {
		limit := map[report.Level]string{report.Amber: f.Amber, report.Red: f.Red}[f.Level]
		unit := f.Value.Currency + f.Unit
		p.Breaches = append(p.Breaches, Breach{f.ID, f.Level, fmt.Sprintf("%s is %s %s; %s is %s", f.Title, f.Value.Value, unit, limit, f.Level)})
	}
	p.plain(f)
}

// plain adds a figure as it is.
func (p *page) plain(f report.Figure) {
	if before, ok := p.in.Previous[f.ID]; ok {
		f.Previous = &before
	}
	f.Sources = slices.Clip(f.Sources)
	if len(f.Sources) > maxSources {
		f.Sources = f.Sources[:maxSources]
	}
	b := p.last()
	b.Figures = append(b.Figures, f)
}

// maxSources is how many accounts and entries a figure names; its table has all.
const maxSources = 8

// notComputed begins what stands in place of a value, before the reason.
const notComputed = "not computed: "

// absent adds a figure that could not be computed.
func (p *page) absent(f report.Figure, format string, args ...any) {
	f.Value = report.Cell{Absent: notComputed + fmt.Sprintf(format, args...)}
	p.plain(f)
}

// amount writes an exact amount of a currency.
func (p *page) amount(v decimal.Decimal, currency string) report.Cell {
	return report.Cell{Value: v.StringFixed(int32(p.in.Book.scale(currency))), Currency: currency}
}

// rounded writes an amount that was converted or multiplied, rounded half away from zero to the currency's decimals.
func (p *page) rounded(v decimal.Decimal, currency string) report.Cell {
	return p.amount(v.Round(int32(p.in.Book.scale(currency))), currency)
}

// scale returns the decimals of a currency: those that its accounts have, or of ISO 4217.
func (b *Book) scale(currency string) uint8 {
	if b.scales == nil {
		b.scales = map[string]uint8{}
		for i := range b.Accounts {
			b.scales[b.Accounts[i].Currency] = b.Accounts[i].Scale
		}
	}
	if s, ok := b.scales[currency]; ok {
		return s
	}
	if c, ok := money.ISO(currency); ok {
		return c.Scale
	}
	return 2
}

func textCell(s string) report.Cell { return report.Cell{Value: s} }

func accountCell(code string) report.Cell {
	return report.Cell{Value: code, Link: &report.Link{Account: code}}
}

func links(accounts []*Account) []report.Link {
	list := make([]report.Link, 0, min(len(accounts), maxSources))
	for _, a := range accounts[:min(len(accounts), maxSources)] {
		list = append(list, report.Link{Account: a.Code})
	}
	return list
}

// convert turns an amount into the base currency at the rate of the as-of date.
func (in *Inputs) convert(v decimal.Decimal, currency string) (decimal.Decimal, error) {
	if currency == in.Book.Base || v.IsZero() {
		return v, nil
	}
	rate, _, ok := in.Rates.At(currency, in.Book.AsOf)
	if !ok {
		return decimal.Decimal{}, fmt.Errorf("there is no rate of %s for %s, nor one at most %d days older", currency, in.Book.AsOf, MaxRateAge)
	}
	return v.Mul(rate), nil
}

// unclassified says why a figure over all classes cannot be computed, or nothing.
func (in *Inputs) unclassified() string {
	if list := in.Book.Unclassified; len(list) > 0 {
		return fmt.Sprintf("no class of the policy matches %s, which have balances; add rules under classes", named(list))
	}
	return ""
}

// inPercent turns limits that are shares into percentages, as their figure is written.
func inPercent(l policy.Limit) policy.Limit {
	shift := func(d *policy.Decimal) *policy.Decimal {
		if d == nil {
			return nil
		}
		return &policy.Decimal{Decimal: d.Shift(2)}
	}
	return policy.Limit{Amber: shift(l.Amber), Red: shift(l.Red)}
}

// percent writes a share as a percentage with two decimals, rounded half away from zero.
func percent(share decimal.Decimal) string { return share.Shift(2).StringFixed(2) }

// lower writes a currency as names of tables have it.
func lower(currency string) string { return strings.ToLower(currency) }
