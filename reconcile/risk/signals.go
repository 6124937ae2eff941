package risk

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/shopspring/decimal"

	"tallystick/ledger/chain"
	"tallystick/reconcile/policy"
	"tallystick/reconcile/report"
)

// Transfers to look at. Each pattern is a reason for a person to look, and none is an accusation: most of what they find has
// an innocent reason.
//
//	structuring   several payments just below the threshold of reporting that reach it together (31 USC 5324; FinCEN 2005-6)
//	pass-through  nearly all that came in goes out again within days (FFIEC BSA/AML Manual, Appendix F)
//	velocity      many payments within days
//	fan-in, -out  many counterparties within days
//	round trip    money that comes back through others (cycles.go)
//	dormant       the first movement after a long silence
//	round amounts an account whose payments are mostly multiples of a hundred
//	outliers      an amount that the account does not usually send (outliers.go)
//	Benford       leading digits of all amounts (benford.go)
//
// Reversals count for none of them. Accounts of classes that the policy does not name are not watched.
const signalStandard = "FinCEN 2005-6, FFIEC BSA/AML Manual App. F"

// pattern says what a pattern means.
type pattern struct {
	name, title, meaning, convention string
	set                              func(*policy.Signals) bool
}

var patterns = []pattern{
	{Structuring, "Structuring", "Accounts with several payments just below the reporting threshold within the window, which together reach it.", "near-threshold-count-and-sum", func(s *policy.Signals) bool { return s.Structuring > 0 && len(s.Threshold) > 0 }},
	{PassThrough, "Pass-through", "Accounts through which at least the threshold came in and nearly all went out again within the window.", "share-of-inflow-within-window", func(s *policy.Signals) bool { return s.PassThrough.Sign() > 0 && len(s.Threshold) > 0 }},
	{Velocity, "Velocity", "Accounts with many payments, in and out, within the window.", "count-within-window", func(s *policy.Signals) bool { return s.Velocity > 0 }},
	{FanIn, "Fan-in", "Accounts that many others pay to within the window.", "distinct-counterparties-within-window", func(s *policy.Signals) bool { return s.Fan > 0 }},
	{FanOut, "Fan-out", "Accounts that pay many others within the window.", "distinct-counterparties-within-window", func(s *policy.Signals) bool { return s.Fan > 0 }},
	{RoundTrip, "Round trips", "Money that came back to where it began through other accounts within the window.", "time-ordered-decreasing-amounts", func(s *policy.Signals) bool { return s.CycleLength > 0 }},
	{Dormant, "Dormant accounts", "Accounts that move again after a long silence.", "calendar-days-without-movement", func(s *policy.Signals) bool { return s.Dormant > 0 }},
}

func signals(p *page) {
	h := p.in.History.signals
	if why := p.in.unclassified(); why != "" {
		p.absent(report.Figure{ID: "signals", Title: p.Title, Meaning: "Patterns that somebody should look at.", Standard: signalStandard}, "%s", why)
		return
	}
	from := chain.Date(never)
	if h.rules.Lookback > 0 {
		from = p.in.Book.AsOf - chain.Date(h.rules.Lookback) + 1
		p.Notes = append(p.Notes, fmt.Sprintf("Signals from %s on are listed; those before were in earlier reports.", from))
	}
	for _, pattern := range patterns {
		p.block(pattern.title)
		f := report.Figure{ID: "signals." + pattern.name, Title: pattern.title, Standard: signalStandard, Convention: pattern.convention, Meaning: pattern.meaning, Unit: "signals"}
		if !pattern.set(h.rules) {
			p.absent(f, "the policy sets no threshold for it (risk.signals)")
			continue
		}
		f.Meaning += " " + h.rule(pattern.name)
		p.signalList(h, pattern, f, from)
	}
	p.roundAmounts(h)
	p.outlierList(h, from)
	p.benford(h)
	if h.cut > 0 {
		p.Notes = append(p.Notes, fmt.Sprintf("For %d payments the search for round trips ended after %d payments looked at, or %d of one account in a day: accounts with so many payments may have more.", h.cut, maxHops, maxLooked))
	}
	if h.full > 0 {
		p.Notes = append(p.Notes, fmt.Sprintf("%d payments came when %d of their account were in the window already, and count for no pattern of the window: counts and amounts of such accounts are at least what is printed.", h.full, maxRecent))
	}
	if h.count > 0 {
		p.Notes = append(p.Notes, fmt.Sprintf("%d entries are valued after %s and are not looked at yet.", h.count, p.in.Book.AsOf))
	}
}

// rule says what the policy asks of a pattern, so that a reader knows what a signal is without it.
func (h *signalHistory) rule(pattern string) string {
	r := h.rules
	within := fmt.Sprintf("within %d days", h.window)
	var thresholds []string
	for _, currency := range slices.Sorted(maps.Keys(r.Threshold)) {
		thresholds = append(thresholds, r.Threshold[currency].String()+" "+currency)
	}
	threshold := strings.Join(thresholds, ", ")
	switch pattern {
	case Structuring:
		return fmt.Sprintf("The policy asks for %d %s, each at most %s %% below %s.", r.Structuring, within, percent(r.Margin.Decimal), threshold)
	case PassThrough:
		return fmt.Sprintf("The policy asks for %s %% out again %s, of at least %s.", percent(r.PassThrough.Decimal), within, threshold)
	case Velocity:
		return fmt.Sprintf("The policy asks for %d payments %s.", r.Velocity, within)
	case FanIn, FanOut:
		return fmt.Sprintf("The policy asks for %d others %s.", r.Fan, within)
	case RoundTrip:
		return fmt.Sprintf("The policy asks for at most %d payments %s.", r.CycleLength, within)
	}
	return fmt.Sprintf("The policy asks for %d days without a movement.", r.Dormant)
}

// signalList writes the signals of a pattern, the largest amounts first.
func (p *page) signalList(h *signalHistory, pattern pattern, f report.Figure, from chain.Date) {
	list := slices.DeleteFunc(slices.Clone(h.signals[pattern.name]), func(s *Signal) bool { return s.To < from })
	accounts := p.in.Book.Accounts
	value := func(s *Signal) decimal.Decimal { return s.Amount.Decimal(accounts[s.Account].Scale) }
	slices.SortStableFunc(list, func(a, b *Signal) int {
		return cmp.Or(value(b).Cmp(value(a)), cmp.Compare(a.Account, b.Account), cmp.Compare(a.Seqs[0], b.Seqs[0]))
	})
	f.Value = textCell(strconv.Itoa(len(list)))
	if more := h.more[pattern.name]; more > 0 {
		p.Notes = append(p.Notes, fmt.Sprintf("%s: the first %d signals are kept, and %d more were not looked at.", pattern.title, MaxSignals, more))
	}
	for _, s := range list[:min(len(list), maxSources)] {
		f.Sources = append(f.Sources, report.Link{Account: accounts[s.Account].Code, Seq: &s.Seqs[len(s.Seqs)-1]})
	}
	p.plain(f)
	t := &report.Table{Name: pattern.name, Columns: []report.Column{
		{Name: "account", Title: "Account", Kind: report.Code}, {Name: "from", Title: "From", Kind: report.Date}, {Name: "to", Title: "To", Kind: report.Date},
		{Name: "count", Title: "Count", Kind: report.Count}, {Name: "currency", Title: "Currency", Kind: report.Text}, {Name: "amount", Title: "Amount", Kind: report.Amount},
		{Name: "first", Title: "First entry", Kind: report.Count}, {Name: "last", Title: "Last entry", Kind: report.Count},
	}}
	for _, s := range list[:min(len(list), h.top())] {
		a := &accounts[s.Account]
		t.Rows = append(t.Rows, report.Row{Cells: []report.Cell{accountCell(a.Code), textCell(s.From.String()), textCell(s.To.String()), textCell(strconv.FormatInt(s.Count, 10)),
			textCell(a.Currency), p.amount(value(s), a.Currency), entryCell(s.Seqs[0]), entryCell(s.Seqs[len(s.Seqs)-1])}})
	}
	p.last().Table = t
}

func (h *signalHistory) top() int {
	if h.rules.Top > 0 {
		return h.rules.Top
	}
	return policy.DefaultTop
}

func entryCell(seq int64) report.Cell {
	return report.Cell{Value: strconv.FormatInt(seq, 10), Link: &report.Link{Seq: &seq}}
}

// roundAmounts lists accounts whose payments are mostly round.
func (p *page) roundAmounts(h *signalHistory) {
	p.block("Round amounts")
	f := report.Figure{ID: "signals.round", Title: "Round amounts", Standard: signalStandard, Convention: "multiples-of-100-natural-units", Unit: "accounts", Meaning: "Accounts most of whose payments are multiples of a hundred."}
	if h.rules.Round.Sign() <= 0 {
		p.absent(f, "the policy sets no share for it (risk.signals.round)")
		return
	}
	f.Meaning += fmt.Sprintf(" The policy asks for %s %%.", percent(h.rules.Round.Decimal))
	type rounder struct {
		account int
		share   decimal.Decimal
		n       int64
	}
	var list []rounder
	for i, w := range h.accounts {
		if w == nil || w.sent < int64(max(1, h.rules.MinAmounts)) {
			continue
		}
		if share := decimal.NewFromInt(w.round).DivRound(decimal.NewFromInt(w.sent), ratDecimals); share.Cmp(h.rules.Round.Decimal) >= 0 {
			list = append(list, rounder{i, share, w.sent})
		}
	}
	slices.SortStableFunc(list, func(a, b rounder) int { return cmp.Or(b.share.Cmp(a.share), cmp.Compare(b.n, a.n)) })
	f.Value = textCell(strconv.Itoa(len(list)))
	p.plain(f)
	t := &report.Table{Name: "round", Columns: []report.Column{{Name: "account", Title: "Account", Kind: report.Code}, {Name: "payments", Title: "Payments", Kind: report.Count}, {Name: "share", Title: "Round %", Kind: report.Ratio}}}
	for _, r := range list[:min(len(list), h.top())] {
		t.Rows = append(t.Rows, report.Row{Cells: []report.Cell{accountCell(p.in.Book.Accounts[r.account].Code), textCell(strconv.FormatInt(r.n, 10)), textCell(percent(r.share))}})
	}
	p.last().Table = t
}

// outlierList lists amounts that stand out.
func (p *page) outlierList(h *signalHistory, from chain.Date) {
	p.block("Unusual amounts")
	f := report.Figure{ID: "signals.outliers", Title: "Unusual amounts", Standard: "Iglewicz and Hoaglin 1993", Convention: "modified-z-log-amounts", Unit: "payments", Meaning: "Payments far from what the account usually sends."}
	if h.rules.Outlier.Sign() <= 0 {
		p.absent(f, "the policy sets no score for it (risk.signals.outlier)")
		return
	}
	f.Meaning += fmt.Sprintf(" The policy asks for a score beyond %s.", h.rules.Outlier)
	list := h.outliers(int32(from), h.rules.Outlier.InexactFloat64())
	f.Value = textCell(strconv.Itoa(len(list)))
	p.plain(f)
	t := &report.Table{Name: "outliers", Columns: []report.Column{{Name: "account", Title: "Account", Kind: report.Code}, {Name: "date", Title: "Date", Kind: report.Date}, {Name: "currency", Title: "Currency", Kind: report.Text},
		{Name: "amount", Title: "Amount", Kind: report.Amount}, {Name: "score", Title: "Score", Kind: report.Ratio}, {Name: "sample", Title: "Of payments", Kind: report.Count}, {Name: "entry", Title: "Entry", Kind: report.Count}}}
	for _, o := range list[:min(len(list), h.top())] {
		a := &p.in.Book.Accounts[o.account]
		t.Rows = append(t.Rows, report.Row{Cells: []report.Cell{accountCell(a.Code), textCell(o.sample.day.String()), textCell(a.Currency), p.amount(o.sample.units.Decimal(a.Scale), a.Currency),
			textCell(decimal.NewFromFloat(o.score).StringFixed(2)), textCell(strconv.Itoa(o.others)), entryCell(o.sample.seq)}})
	}
	p.last().Table = t
}

// benford holds the leading digits of each currency against the law.
func (p *page) benford(h *signalHistory) {
	var list []string
	for currency := range h.benford {
		list = append(list, currency)
	}
	slices.Sort(list)
	for _, currency := range list {
		d := h.benford[currency]
		p.block("Leading digits: " + currency)
		f := report.Figure{ID: "signals.benford." + currency, Title: "Deviation of first digits in " + currency, Standard: "Nigrini 2012", Convention: "benford-first-digit-mad", Meaning: "How far the first digits of all payments are from Benford's law: up to 0.006 close, 0.012 acceptable, 0.015 marginal, above not conforming."}
		two := report.Figure{ID: "signals.benford2." + currency, Title: "Deviation of first two digits in " + currency, Standard: "Nigrini 2012", Convention: "benford-first-two-digits-mad", Meaning: "The same for two digits: up to 0.0012 close, 0.0018 acceptable, 0.0022 marginal."}
		if d.n < MinBenford {
			p.absent(f, "%d payments are too few; at least %d are needed", d.n, MinBenford)
			p.absent(two, "%d payments are too few; at least %d are needed", d.two, MinBenford)
			continue
		}
		mad := deviation(d.of1[:], 1, d.n)
		f.Value, f.Unit = textCell(decimal.NewFromFloat(mad).StringFixed(4)), "("+conformity(mad, bandsOfOne)+")"
		p.plain(f)
		if d.two < MinBenford {
			p.absent(two, "%d payments of two digits are too few; at least %d are needed", d.two, MinBenford)
		} else {
			mad = deviation(d.of2[:], 10, d.two)
			two.Value, two.Unit = textCell(decimal.NewFromFloat(mad).StringFixed(4)), "("+conformity(mad, bandsOfTwo)+")"
			p.plain(two)
		}
		chart := &report.Chart{Kind: report.Bars, Title: "First digits of payments in " + currency, Unit: "%", Series: []report.Series{{Name: "payments"}, {Name: "Benford's law"}}}
		for digit := 1; digit <= 9; digit++ {
			chart.Categories = append(chart.Categories, strconv.Itoa(digit))
			chart.Series[0].Values = append(chart.Series[0].Values, percent(decimal.NewFromInt(d.of1[digit]).DivRound(decimal.NewFromInt(d.n), ratDecimals)))
			chart.Series[1].Values = append(chart.Series[1].Values, percent(decimal.NewFromFloat(benfordShare(digit))))
		}
		p.last().Chart = chart
	}
}

// Signals returns what was found of a pattern, in order of seq, and how many more were not kept.
func (h *History) Signals(pattern string) ([]*Signal, int64) {
	if h.signals == nil {
		return nil, 0
	}
	return h.signals.signals[pattern], h.signals.more[pattern]
}
