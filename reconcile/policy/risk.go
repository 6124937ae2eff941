package policy

import (
	"slices"

	"github.com/shopspring/decimal"

	"tallystick/ledger/money"
)

// Risk says what the calculations of risk rest on. A section that is missing makes its figures "not computed"; classes are
// those of Policy.Classes.
type Risk struct {
	Safeguarding *Safeguarding   `yaml:"safeguarding"`
	Exposure     *Exposure       `yaml:"exposure"`
	FX           *FX             `yaml:"fx"`
	Large        *LargeExposures `yaml:"large_exposures"`
	Liquidity    *Liquidity      `yaml:"liquidity"`
	Ageing       *Ageing         `yaml:"ageing"`
	Credit       *CreditLoss     `yaml:"credit_loss"`
	OwnFunds     *OwnFunds       `yaml:"own_funds"`
	Signals      *Signals        `yaml:"signals"`
	VaR          *VaR            `yaml:"var"`
}

// Limit is what a figure is held against: at amber somebody looks, at red it is a breach. Which side is the wrong one
// belongs to the figure.
type Limit struct {
	Amber *Decimal `yaml:"amber"`
	Red   *Decimal `yaml:"red"`
}

// Safeguarding names client money and what covers it (FCA CASS 15). Pools are those of the classes.
type Safeguarding struct {
	Clients  []string `yaml:"clients"`  // classes whose credit balances are owed to clients
	Resource []string `yaml:"resource"` // classes of the accounts in which the money is kept
	// Excess holds the resource less the requirement of a pool against limits: below is worse.
	Excess Limit `yaml:"excess"`
}

// Exposure bounds how far accounts may be on the wrong side.
type Exposure struct {
	Limits []AccountLimit `yaml:"limits"` // the first whose class matches counts
	Days   Limit          `yaml:"days"`   // calendar days in excess: above is worse
	Top    int            `yaml:"top"`    // rows of the list, DefaultTop when 0
}

// AccountLimit is how far below zero, on its normal side, an account of a class may be.
type AccountLimit struct {
	Class string  `yaml:"class"`
	Below Decimal `yaml:"below"` // natural units, not negative
}

// FX names the accounts of the foreign exchange position (Basel MAR40).
type FX struct {
	// Position are classes of the accounts through which currencies are exchanged; they mirror the position and are left out.
	Position []string `yaml:"position"`
	Gold     string   `yaml:"gold"`   // code of the currency that gold is booked in
	Charge   Decimal  `yaml:"charge"` // of the net open position, such as "0.08"
	Net      Limit    `yaml:"net"`    // net open position in base currency: above is worse
}

// LargeExposures names what others owe, and the share of Tier 1 that one of them may (Basel LEX).
type LargeExposures struct {
	Classes []string `yaml:"classes"`
	Report  Decimal  `yaml:"report"` // share of Tier 1 from which one is reported, such as "0.10"
	Limit   Decimal  `yaml:"limit"`  // such as "0.25"
	HHI     Limit    `yaml:"hhi"`    // points up to 10,000: above is worse
	Top     int      `yaml:"top"`
}

// Liquidity are the factors of liquidity coverage (Basel LCR).
type Liquidity struct {
	Assets   []LiquidAsset `yaml:"assets"`
	Outflows []Flow        `yaml:"outflows"`
	Inflows  []Flow        `yaml:"inflows"`
	Horizon  int           `yaml:"horizon"` // calendar days, DefaultHorizon when 0: what matures later does not flow
	Ratio    Limit         `yaml:"ratio"`   // such as "1.00": below is worse
}

// LiquidAsset gives a class its level and haircut.
type LiquidAsset struct {
	Class   string  `yaml:"class"`
	Level   string  `yaml:"level"`   // 1, 2a or 2b
	Haircut Decimal `yaml:"haircut"` // such as "0.15"
}

// Flow gives a class the share of its balance that flows within the horizon.
type Flow struct {
	Class  string  `yaml:"class"`
	Factor Decimal `yaml:"factor"`
}

// Ageing gives the charge on what is open, by age in business days (Basel CRE70).
type Ageing struct {
	Buckets []Bucket `yaml:"buckets"` // in order; empty: those of CRE70
	Charge  Limit    `yaml:"charge"`  // in the currency: above is worse
}

// Bucket is an age from a number of days on, and what is charged from there.
type Bucket struct {
	From int     `yaml:"from"`
	Rate Decimal `yaml:"rate"`
}

// CreditLoss is the provision matrix (IFRS 9, B5.5.35): rates by calendar days past due.
type CreditLoss struct {
	Classes []string `yaml:"classes"` // of the receivables
	Buckets []Bucket `yaml:"buckets"`
	Loss    Limit    `yaml:"loss"`
}

// OwnFunds says what an institution must hold (PSD2 art. 9, EMD2 art. 5).
type OwnFunds struct {
	Payments []string `yaml:"payments"` // classes whose debits are payment transactions (method B); none: not computed
	Scaling  Decimal  `yaml:"scaling"`  // k of method B: "0.5", "0.8" or "1"
	EMoney   []string `yaml:"e_money"`  // classes of outstanding e-money (method D); none: not computed
	Held     []string `yaml:"held"`     // classes of what is held as own funds
	Excess   Limit    `yaml:"excess"`   // held less required: below is worse
}

// Signals are thresholds for transfers that somebody should look at. They accuse nobody.
type Signals struct {
	Classes []string `yaml:"classes"` // of the accounts that are watched
	// Threshold is the amount, in each currency named, from which payments are reported to the authorities; structuring stays
	// below it.
	Threshold map[string]Decimal `yaml:"threshold"`
	// Margin is how close below the threshold counts, as a share of it: "0.10" is from 90 % on.
	Margin Decimal `yaml:"margin"`
	// Structuring is how many such payments within Window are a signal, and together reach the threshold.
	Structuring int `yaml:"structuring"`
	Window      int `yaml:"window"` // calendar days of every pattern, DefaultSignalWindow when 0
	// PassThrough is the share of what came in that goes out again within the window, such as "0.90".
	PassThrough Decimal `yaml:"pass_through"`
	Velocity    int     `yaml:"velocity"`   // payments of one account within the window
	Fan         int     `yaml:"fan"`        // different counterparties within the window
	CycleLength int     `yaml:"cycle"`      // the longest round trip, in transfers; at most MaxCycle
	Dormant     int     `yaml:"dormant"`    // calendar days without a movement
	Round       Decimal `yaml:"round"`      // share of round amounts of an account from which it is a signal
	Outlier     Decimal `yaml:"outlier"`    // modified z-score, such as "3.5"
	MinAmounts  int     `yaml:"min_sample"` // amounts below which statistics say nothing
	Lookback    int     `yaml:"lookback"`   // calendar days up to the as-of date whose signals are reported; 0: all
	Top         int     `yaml:"top"`        // rows of each list
}

// VaR says how value at risk is computed.
type VaR struct {
	Confidence Decimal `yaml:"confidence"` // such as "0.99"
	Horizon    int     `yaml:"horizon"`    // days, by the square root of time
	Window     int     `yaml:"window"`     // daily returns, at least MinReturns
	Lambda     Decimal `yaml:"lambda"`     // of EWMA, such as "0.94"
	Backtest   int     `yaml:"backtest"`   // days held against the figure of the day before
	Limit      Limit   `yaml:"limit"`      // historical value at risk in base currency: above is worse
}

// Bounds and defaults of risk sections.
const (
	DefaultTop          = 20
	MaxTop              = 1000
	DefaultHorizon      = 30
	DefaultSignalWindow = 5
	MaxSignalWindow     = 92
	MaxCycle            = 8
	MinReturns          = 30
	MaxReturns          = 2600
)

func (r *Risk) check(c *checking, p *Policy) {
	at := []any{"risk"}
	known := map[string]bool{}
	for _, class := range p.Classes {
		known[class.Class] = true
	}
	classes := func(path []any, names []string) {
		for i, name := range names {
			if !known[name] {
				c.add(append(slices.Clone(path), i), "no rule of classes gives the class %q", name)
			}
		}
	}
	if s := r.Safeguarding; s != nil {
		classes(append(at, "safeguarding", "clients"), s.Clients)
		classes(append(at, "safeguarding", "resource"), s.Resource)
		if len(s.Clients) == 0 || len(s.Resource) == 0 {
			c.add(append(at, "safeguarding"), "it names the classes of clients and of the resource")
		}
		if i := slices.IndexFunc(s.Resource, func(class string) bool { return slices.Contains(s.Clients, class) }); i >= 0 {
			c.add(append(at, "safeguarding", "resource", i), "%s cannot be owed to clients and cover it at once", s.Resource[i])
		}
		if red := s.Excess.Red; red != nil && red.Sign() < 0 {
			c.add(append(at, "safeguarding", "excess", "red"), "a shortfall is a breach: red is not below zero")
		}
		s.Excess.check(c, append(at, "safeguarding", "excess"), false)
	}
	if e := r.Exposure; e != nil {
		for i, l := range e.Limits {
			c.need(append(at, "exposure", "limits", i), "below")
			classes(append(at, "exposure", "limits", i, "class"), []string{l.Class})
			if l.Below.Sign() < 0 {
				c.add(append(at, "exposure", "limits", i, "below"), "how far below zero an account may be is not negative")
			}
		}
		top(c, append(at, "exposure", "top"), e.Top)
		e.Days.check(c, append(at, "exposure", "days"), true)
	}
	if f := r.FX; f != nil {
		c.need(append(at, "fx"), "charge")
		classes(append(at, "fx", "position"), f.Position)
		share(c, append(at, "fx", "charge"), f.Charge)
		if f.Gold != "" && !money.ValidCurrencyCode(f.Gold) {
			c.add(append(at, "fx", "gold"), "%q is no code of a currency", f.Gold)
		}
		f.Net.check(c, append(at, "fx", "net"), true)
	}
	if l := r.Large; l != nil {
		c.need(append(at, "large_exposures"), "report", "limit")
		if l.Report.Cmp(l.Limit.Decimal) > 0 {
			c.add(append(at, "large_exposures", "report"), "what is reported from %s on is above the limit of %s", l.Report, l.Limit)
		}
		classes(append(at, "large_exposures", "classes"), l.Classes)
		share(c, append(at, "large_exposures", "report"), l.Report)
		share(c, append(at, "large_exposures", "limit"), l.Limit)
		top(c, append(at, "large_exposures", "top"), l.Top)
		l.HHI.check(c, append(at, "large_exposures", "hhi"), true)
	}
	r.checkMore(c, classes)
}

func (r *Risk) checkMore(c *checking, classes func([]any, []string)) {
	at := []any{"risk"}
	if l := r.Liquidity; l != nil {
		l.check(c, append(at, "liquidity"), classes)
	}
	if a := r.Ageing; a != nil {
		buckets(c, append(at, "ageing", "buckets"), a.Buckets, true)
		a.Charge.check(c, append(at, "ageing", "charge"), true)
	}
	if l := r.Credit; l != nil {
		classes(append(at, "credit_loss", "classes"), l.Classes)
		buckets(c, append(at, "credit_loss", "buckets"), l.Buckets, false)
		l.Loss.check(c, append(at, "credit_loss", "loss"), true)
	}
	if o := r.OwnFunds; o != nil {
		for name, list := range map[string][]string{"payments": o.Payments, "e_money": o.EMoney, "held": o.Held} {
			classes(append(at, "own_funds", name), list)
		}
		if len(o.Payments) > 0 && !slices.Contains([]string{"0.5", "0.8", "1"}, o.Scaling.String()) {
			c.add(append(at, "own_funds", "scaling"), `k is "0.5", "0.8" or "1" (PSD2 art. 9(3)), not %q`, o.Scaling)
		}
		o.Excess.check(c, append(at, "own_funds", "excess"), false)
	}
	if s := r.Signals; s != nil {
		s.check(c, append(at, "signals"), classes)
	}
	if v := r.VaR; v != nil {
		v.check(c, append(at, "var"))
	}
}

func (l *Liquidity) check(c *checking, at []any, classes func([]any, []string)) {
	counted := map[string]string{}
	once := func(path []any, class, what string) {
		if before := counted[class]; before != "" {
			c.add(path, "%s is among the %s already, and counts once", class, before)
		}
		counted[class] = what
	}
	for i, a := range l.Assets {
		c.need(append(slices.Clone(at), "assets", i), "haircut")
		once(append(slices.Clone(at), "assets", i, "class"), a.Class, "assets")
		classes(append(at, "assets", i, "class"), []string{a.Class})
		share(c, append(at, "assets", i, "haircut"), a.Haircut)
		if !slices.Contains([]string{"1", "2a", "2b"}, a.Level) {
			c.add(append(at, "assets", i, "level"), `the level is "1", "2a" or "2b", not %q`, a.Level)
		}
	}
	for name, list := range map[string][]Flow{"outflows": l.Outflows, "inflows": l.Inflows} {
		for i, f := range list {
			c.need(append(slices.Clone(at), name, i), "factor")
			if name == "inflows" { // what is owed and what is held may be of one class, on either side
				once(append(slices.Clone(at), name, i, "class"), f.Class, name)
			} else if slices.ContainsFunc(list[:i], func(other Flow) bool { return other.Class == f.Class }) {
				c.add(append(slices.Clone(at), name, i, "class"), "%s is among the %s already, and counts once", f.Class, name)
			}
			classes(append(at, name, i, "class"), []string{f.Class})
			share(c, append(at, name, i, "factor"), f.Factor)
		}
	}
	if l.Horizon < 0 || l.Horizon > MaxWindow {
		c.add(append(at, "horizon"), "calendar days are 1 to %d, not %d", MaxWindow, l.Horizon)
	}
	l.Ratio.check(c, append(at, "ratio"), false)
}

func (s *Signals) check(c *checking, at []any, classes func([]any, []string)) {
	classes(append(slices.Clone(at), "classes"), s.Classes)
	if s.Structuring > 0 && s.Margin.Sign() == 0 {
		c.add(append(slices.Clone(at), "margin"), "without a margin nothing is just below the threshold, and no structuring is found")
	}
	if s.Outlier.Sign() < 0 {
		c.add(append(slices.Clone(at), "outlier"), "it is not negative")
	}
	for currency, d := range s.Threshold {
		if !money.ValidCurrencyCode(currency) || d.Sign() <= 0 {
			c.add(append(at, "threshold", currency), "a threshold is an amount above zero in a currency")
		}
	}
	share(c, append(at, "margin"), s.Margin)
	share(c, append(at, "pass_through"), s.PassThrough)
	share(c, append(at, "round"), s.Round)
	for name, n := range map[string]int{"structuring": s.Structuring, "fan": s.Fan, "min_sample": s.MinAmounts, "dormant": s.Dormant, "velocity": s.Velocity, "lookback": s.Lookback} {
		if n < 0 {
			c.add(append(at, name), "it is not negative")
		}
	}
	if s.Window < 0 || s.Window > MaxSignalWindow {
		c.add(append(at, "window"), "calendar days are 1 to %d, not %d", MaxSignalWindow, s.Window)
	}
	top(c, append(at, "top"), s.Top)
	if s.CycleLength != 0 && (s.CycleLength < 2 || s.CycleLength > MaxCycle) {
		c.add(append(at, "cycle"), "a round trip is 2 to %d transfers long, not %d", MaxCycle, s.CycleLength)
	}
}

func (v *VaR) check(c *checking, at []any) {
	half := decimal.New(5, -1)
	switch {
	case v.Confidence.Cmp(half) <= 0 || v.Confidence.Cmp(decimal.New(1, 0)) >= 0:
		c.add(append(at, "confidence"), `the confidence is more than "0.5" and less than "1"`)
	case v.Lambda.Sign() <= 0 || v.Lambda.Cmp(decimal.New(1, 0)) >= 0:
		c.add(append(at, "lambda"), `lambda is more than "0" and less than "1"`)
	case v.Horizon < 1 || v.Horizon > MaxWindow:
		c.add(append(at, "horizon"), "days are 1 to %d, not %d", MaxWindow, v.Horizon)
	case v.Window < MinReturns || v.Window > MaxReturns:
		c.add(append(at, "window"), "daily returns are %d to %d, not %d", MinReturns, MaxReturns, v.Window)
	case v.Backtest < 0 || v.Backtest > MaxReturns:
		c.add(append(at, "backtest"), "days are 0 to %d, not %d", MaxReturns, v.Backtest)
	}
	v.Limit.check(c, append(at, "limit"), true)
}

// check holds the two against each other; above says that more is worse.
func (l *Limit) check(c *checking, at []any, above bool) {
	if l.Amber == nil || l.Red == nil {
		return
	}
	if d := l.Amber.Cmp(l.Red.Decimal); above && d > 0 || !above && d < 0 {
		side := map[bool]string{true: "above", false: "below"}[above]
		c.add(at, "amber (%s) comes after red (%s): here %s is worse", l.Amber, l.Red, side)
	}
}

func share(c *checking, at []any, d Decimal) {
	if d.Sign() < 0 || d.Cmp(decimal.New(1, 0)) > 0 {
		c.add(at, `a share is "0" to "1", not %q`, d)
	}
}

func top(c *checking, at []any, n int) {
	if n < 0 || n > MaxTop {
		c.add(at, "a list has 1 to %d rows, not %d", MaxTop, n)
	}
}

func buckets(c *checking, at []any, list []Bucket, mayBeEmpty bool) {
	if len(list) == 0 && !mayBeEmpty {
		c.add(at, "the buckets are missing")
	}
	for i, b := range list {
		c.need(append(slices.Clone(at), i), "from", "rate")
		share(c, append(slices.Clone(at), i, "rate"), b.Rate)
		if i == 0 && b.From != 0 || i > 0 && b.From <= list[i-1].From {
			c.add(append(slices.Clone(at), i, "from"), "the first bucket begins at 0, and each where the one before ends")
		}
	}
}

// Names returns the sections that the policy has, in their order.
func (r *Risk) Names() []string {
	var names []string
	for _, s := range []struct {
		name string
		set  bool
	}{
		{"safeguarding", r.Safeguarding != nil}, {"exposure", r.Exposure != nil}, {"fx", r.FX != nil},
		{"large_exposures", r.Large != nil}, {"liquidity", r.Liquidity != nil}, {"ageing", r.Ageing != nil},
		{"credit_loss", r.Credit != nil}, {"own_funds", r.OwnFunds != nil}, {"signals", r.Signals != nil}, {"var", r.VaR != nil},
	} {
		if s.set {
			names = append(names, s.name)
		}
	}
	return names
}
