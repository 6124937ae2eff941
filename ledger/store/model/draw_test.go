package model_test

import (
	"fmt"
	"maps"
	"slices"

	"github.com/shopspring/decimal"
	"pgregory.net/rapid"

	"tallystick/ledger"
	"tallystick/ledger/chain"
)

// This file draws requests: mostly such as a front-end sends, on what the book
// then is, and now and then one with a mistake.

// draw makes up requests.
type draw struct {
	rt   *rapid.T
	book *plainBook
	sent map[string]*op // by name, accepted or not
	next int
}

// modelAccounts are opened at the beginning of every run, but the last two.
var modelAccounts = []op{
	{Account: "cash", Type: chain.Asset, Currency: "EUR"},
	{Account: "alice", Type: chain.Liability, Currency: "EUR", Min: text("0")},
	{Account: "bob", Type: chain.Liability, Currency: "EUR"},
	{Account: "capped", Type: chain.Liability, Currency: "EUR", Min: text("-20"), Max: text("100")},
	{Account: "fees", Type: chain.Revenue, Currency: "EUR"},
	{Account: "rent", Type: chain.Expense, Currency: "EUR"},
	{Account: "equity", Type: chain.Equity, Currency: "EUR"},
	{Account: "usd:cash", Type: chain.Asset, Currency: "USD", Max: text("5000")},
	{Account: "usd:bob", Type: chain.Liability, Currency: "USD"},
	{Account: "usd:fees", Type: chain.Revenue, Currency: "USD"},
	{Account: "usd:equity", Type: chain.Equity, Currency: "USD"},
	{Account: "points:bonus", Type: chain.Expense, Currency: "POINTS"},
	{Account: "points:bob", Type: chain.Liability, Currency: "POINTS", Min: text("0")},
}

func text(s string) *string { return &s }

// bits makes numbers of which none is more likely than another, as those of
// rapid.IntRange are.
var bits = rapid.Custom(func(t *rapid.T) int {
	n := 0
	for range 12 {
		n *= 2
		if rapid.Bool().Draw(t, "bit") {
			n++
		}
	}
	return n
})

// chance is true in about percent of all cases.
func (d *draw) chance(percent int) bool { return d.between(1, 100) > 100-percent }

func (d *draw) between(low, high int) int { return low + bits.Draw(d.rt, "n")%(high-low+1) }

func anyOf[T any](d *draw, from ...T) T { return from[d.between(0, len(from)-1)] }

// name is a new one, or now and then one that was used.
func (d *draw) name() string {
	if len(d.sent) > 0 && d.chance(4) {
		return d.used()
	}
	d.next++
	return fmt.Sprintf("n%d", d.next)
}

func (d *draw) used() string { return anyOf(d, slices.Sorted(maps.Keys(d.book.entries))...) }

// code is an account's.
func (d *draw) code() string {
	if d.chance(1) {
		return anyOf(d, "nobody", "late:1", "late:2")
	}
	return anyOf(d, slices.Sorted(maps.Keys(d.book.accounts))...)
}

// like is an account of the same currency.
func (d *draw) like(code string) string {
	a := d.book.accounts[code]
	if a == nil || d.chance(2) {
		return d.code()
	}
	var same []string
	for other, b := range d.book.accounts {
		if b.currency == a.currency && (other != code || d.chance(1)) {
			same = append(same, other)
		}
	}
	if len(same) == 0 {
		return d.code()
	}
	slices.Sort(same)
	return anyOf(d, same...)
}

func (d *draw) amount(code string) string {
	if d.chance(2) {
		return anyOf(d, "0", "-1", "0.001", "1e40", "1701411834604692317316873037158841057.27", "1701411834604692317316873037158841057.2",
			"1701411834604692317316873037158841057.28")
	}
	if a := d.book.accounts[code]; a != nil && d.book.currencies[a.currency] == 0 {
		return fmt.Sprint(d.between(1, 40))
	}
	units := d.between(1, 4000)
	return fmt.Sprintf("%d.%02d", units/100, units%100)
}

func (d *draw) legs() []opLeg {
	debit := d.code()
	credit, amount := d.like(debit), d.amount(debit)
	legs := []opLeg{{Account: debit, Amount: amount}, {Account: credit, Credit: true, Amount: amount}}
	if d.chance(15) { // a fee on top, in whole units
		legs = append(legs, opLeg{Account: d.like(debit), Amount: "2"}, opLeg{Account: d.like(debit), Credit: true, Amount: "2"})
	}
	if d.chance(5) { // another currency
		debit := d.code()
		amount := d.amount(debit)
		legs = append(legs, opLeg{Account: debit, Amount: amount}, opLeg{Account: d.like(debit), Credit: true, Amount: amount})
	}
	if d.chance(2) {
		legs = legs[:len(legs)-1]
	}
	if d.chance(5) {
		legs[0].Currency = anyOf(d, "EUR", "USD", "JPY", "POINTS", "QQQ")
	}
	return legs
}

// date is a value date, often near a bound.
func (d *draw) date(o *op) {
	if d.chance(70) {
		return
	}
	b := d.book
	on := b.day + chain.Date(d.between(-4, 4))
	switch n := len(b.periods); {
	case n > 0 && d.chance(60):
		on = b.entries[b.periods[n-1]].end + chain.Date(d.between(-1, 1))
	case d.chance(10):
		on = anyOf(d, b.day-b.back-1, b.day-b.back, b.day+b.ahead, b.day+b.ahead+1)
	}
	o.On = &on
	closed := len(b.periods) > 0 && on <= b.entries[b.periods[len(b.periods)-1]].end
	o.Prior = d.chance(3) || closed && d.chance(60)
	o.approve = d.chance(80)
}

func (d *draw) before(o *op) {
	if d.chance(3) {
		at := d.book.now + int64(d.between(-1, 1))
		o.Before = &at
	}
}

func (d *draw) transfer() *op {
	o := &op{Kind: "transfer", Name: d.name(), Legs: d.legs()}
	d.date(o)
	d.before(o)
	if d.chance(45) {
		o.Kind = "hold"
		if d.chance(75) {
			at := d.book.now + anyOf[int64](d, 0, 1, 2, 1_000_000, 5_000_000, 60_000_000, 3_600_000_000, 50_000_000_000, 200_000_000_000)
			o.Expiry = &at
		}
	}
	return o
}

// target is the name of an entry, preferably of a kind.
func (d *draw) target(fit func(e *modelEntry) bool) string {
	var names []string
	for name, e := range d.book.entries {
		if fit(e) {
			names = append(names, name)
		}
	}
	switch {
	case d.chance(1):
		return "nowhere"
	case len(names) == 0 || d.chance(6):
		return d.used()
	}
	slices.Sort(names)
	return anyOf(d, names...)
}

func isOpenHold(e *modelEntry) bool { return e.kind == "hold" && e.capture == "" && e.released == "" }

func (d *draw) open() string { return d.target(isOpenHold) }

func (d *draw) capture() *op {
	o := &op{Kind: "capture", Name: d.name(), Target: d.open()}
	hold := d.book.entries[o.Target]
	if held := d.sent[o.Target]; held != nil {
		d.date(o)
	}
	d.before(o)
	if hold == nil || len(hold.lines) == 0 || d.chance(30) {
		return o
	}
	if len(hold.lines) == 2 && d.chance(60) || d.chance(5) {
		o.Amount = d.part(&hold.lines[0])
		return o
	}
	for _, l := range hold.lines {
		leg := opLeg{Account: l.account, Credit: l.credit, Amount: l.held.String()}
		if len(o.Legs) > 0 && len(hold.lines) == 2 {
			leg.Amount = o.Legs[0].Amount
		} else if d.chance(30) {
			leg.Amount = d.part(&l)
		}
		if d.chance(2) {
			leg.Credit = !leg.Credit
		}
		if len(hold.lines) > 2 && d.chance(20) {
			continue
		}
		o.Legs = append(o.Legs, leg)
	}
	return o
}

// part is some of what a line sets aside, or more.
func (d *draw) part(l *line) string {
	switch d.between(1, 12) {
	case 1:
		return l.held.Add(d.unit(l)).String()
	case 2:
		return "0"
	case 3:
		return d.unit(l).String()
	case 4:
		return d.unit(l).Shift(-1).String()
	case 5:
		return l.held.String()
	}
	units := d.unit(l)
	return l.held.Div(units.Mul(fromInt(d.between(2, 9)))).Truncate(0).Mul(units).String()
}

func (d *draw) account() *op {
	o := &op{Name: d.name(), Account: d.code()}
	switch d.between(1, 10) {
	case 1, 2:
		*o = op{Kind: "open", Name: o.Name, Account: anyOf(d, "late:1", "late:2", "alice", "cash"), Type: anyOf(d, chain.Liability, chain.Revenue, chain.Equity),
			Currency: anyOf(d, "EUR", "EUR", "USD", "POINTS", "QQQ"), Min: anyOf(d, nil, nil, text("0"), text("5.5"), text("0.0001"))}
		return o
	case 3, 4:
		o.Frozen = anyOf(d, freeze(chain.FrozenAll), freeze(chain.FrozenDebits), freeze(chain.FrozenCredits), freeze(chain.FrozenNone))
	case 5, 6:
		o.Frozen = freeze(chain.FrozenNone)
	case 7, 8:
		o.Min = anyOf(d, nil, text(""), text("0"), text("-50"), text("10"), text("-1e40"), text("0.005"))
		o.Max = anyOf(d, nil, text(""), text(""), text("0"), text("1000"), text("9"), text("170141183460469231731687303715884105727"))
	case 9:
		o.Close = d.chance(30)
	}
	o.Kind, o.Keyed = "change", d.chance(30)
	if o.Account == "cash" || o.Account == "bob" { // or soon nothing moves any more
		o.Frozen, o.Close = nil, false
	}
	return o
}

func freeze(f chain.Frozen) *chain.Frozen { return &f }

func (d *draw) period() *op {
	b, o := d.book, &op{Kind: "close", Name: d.name()}
	last := b.day - 30
	if n := len(b.periods); n > 0 {
		last = b.entries[b.periods[n-1]].end
	}
	if d.chance(25) {
		o.Kind, o.End = "reopen", last+chain.Date(anyOf(d, 0, 0, 0, 0, -1, 1))
		return o
	}
	o.End = b.day - chain.Date(anyOf(d, 0, 1, 1, 1, 2, 3, 7))
	if d.chance(60) {
		o.Retain = anyOf(d, []string{"equity", "usd:equity"}, []string{"equity", "usd:equity"}, []string{"equity", "usd:equity"}, []string{"equity"},
			[]string{"usd:equity"}, []string{"equity", "equity"}, []string{"bob"}, []string{"nobody"}, []string{"usd:equity", "equity", "late:1"})
	}
	return o
}

// one draws a request of any kind.
func (d *draw) one() *op {
	holds := false
	for _, e := range d.book.entries {
		holds = holds || isOpenHold(e)
	}
	switch n := d.between(1, 100); {
	case n <= 46, n <= 67 && !holds && d.chance(95):
		return d.transfer()
	case n <= 62:
		return d.capture()
	case n <= 67:
		return &op{Kind: "release", Name: d.name(), Target: d.open(), Sweep: d.chance(5)}
	case n <= 79:
		return &op{Kind: "reverse", Name: d.name(), Target: d.target(func(e *modelEntry) bool {
			return !e.reversed && (e.kind == "transfer" || e.kind == "capture" || e.capture != "")
		})}
	case n <= 89:
		return d.account()
	case n <= 91:
		return &op{Kind: "currency", Name: d.name(), Currency: anyOf(d, "POINTS", "POINTS", "SHARES", "EUR"), Scale: anyOf(d, 0, 0, 0, 3)}
	case n <= 94:
		return d.period()
	}
	return d.again()
}

// again is a request that was sent before, in the same words or others.
func (d *draw) again() *op {
	names := slices.Sorted(maps.Keys(d.sent))
	if len(names) == 0 {
		return d.transfer()
	}
	same := *d.sent[anyOf(d, names...)]
	same.approve = d.chance(50)
	same.Legs = slices.Clone(same.Legs)
	for i := range same.Legs {
		if a := &same.Legs[i].Amount; len(*a) < 9 && slices.Contains([]byte(*a), '.') {
			*a += "0"
		}
	}
	return &same
}

// atomic is a batch of new transfers, or with one that stood before this group.
func (d *draw) atomic(before []string) *op {
	d.next++
	o := &op{Kind: "atomic", Name: fmt.Sprintf("n%d", d.next)}
	trial := *d
	trial.book = d.book.clone()
	for range d.between(1, 4) {
		item := trial.transfer()
		d.next = max(d.next, trial.next) + 1
		trial.next, item.Name = d.next, fmt.Sprintf("n%d", d.next)
		if d.chance(50) { // the next one is drawn on what this one leaves
			trial.book.submit(item)
		}
		o.Items = append(o.Items, item)
	}
	if len(before) > 0 && d.chance(15) {
		o.Items = append(o.Items, d.sent[anyOf(d, before...)])
	}
	if d.chance(5) {
		o.Items = append(o.Items, o.Items[0])
	}
	return o
}

// request is o as a front-end sends it.
func (r *modelRun) request(o *op) ledger.Request {
	c := r.common(o.Name)
	c.NotAfter = instant(o.Before)
	dated := ledger.ValueDate{EffectiveDate: o.On, PriorPeriod: o.Prior, MayApprove: o.approve}
	switch o.Kind {
	case "transfer", "hold":
		return &ledger.TransferRequest{Common: c, ValueDate: dated, Legs: legsOf(o.Legs), Hold: o.Kind == "hold", ExpiresAt: instant(o.Expiry)}
	case "capture":
		q := &ledger.CaptureHold{Common: c, ValueDate: dated, Hold: r.id(o.Target), Legs: legsOf(o.Legs)}
		if o.Amount != "" {
			q.Amount = decimalOf(o.Amount)
		}
		return q
	case "release":
		return &ledger.ReleaseHold{Common: c, Hold: r.id(o.Target), OnExpiry: o.Sweep}
	case "reverse":
		return &ledger.ReverseTransfer{Common: c, Target: r.id(o.Target)}
	case "open":
		q := &ledger.OpenAccount{Common: c, AccountID: ledger.AccountID{UUID: r.id("account:" + o.Account).UUID}, Code: o.Account, Type: o.Type, Currency: o.Currency}
		q.MinBalance, q.MaxBalance = limitOf(o.Min).Value, limitOf(o.Max).Value
		return q
	case "change":
		return &ledger.ChangeAccount{Common: c, Code: o.Account, Keyed: o.Keyed, MinBalance: limitOf(o.Min), MaxBalance: limitOf(o.Max), Frozen: o.Frozen, Close: o.Close}
	case "currency":
		return &ledger.DefineCurrency{Common: c, Code: o.Currency, Name: "made up", Scale: uint8(o.Scale)}
	case "close":
		return &ledger.ClosePeriod{Common: c, PeriodEnd: o.End, Retain: o.Retain}
	case "reopen":
		return &ledger.ReopenPeriod{Common: c, PeriodEnd: o.End}
	case "atomic":
		q := &ledger.AtomicBatch{Common: c}
		for _, item := range o.Items {
			q.Items = append(q.Items, r.request(item).(*ledger.TransferRequest))
		}
		return q
	}
	panic("no request is a " + o.Kind)
}

func limitOf(s *string) ledger.Limit {
	switch {
	case s == nil:
		return ledger.Limit{}
	case *s == "":
		return ledger.Limit{Set: true}
	}
	return ledger.Limit{Set: true, Value: decimalOf(*s)}
}

func legsOf(legs []opLeg) []ledger.Leg {
	var all []ledger.Leg
	for _, l := range legs {
		leg := ledger.Leg{Account: l.Account, Direction: chain.Debit, Amount: *decimalOf(l.Amount), Currency: l.Currency}
		if l.Credit {
			leg.Direction = chain.Credit
		}
		all = append(all, leg)
	}
	return all
}

// unit is the smallest amount of the currency of a line.
func (d *draw) unit(l *line) decimal.Decimal {
	return decimal.New(1, -int32(d.book.currencies[d.book.accounts[l.account].currency]))
}

func fromInt(n int) decimal.Decimal { return decimal.NewFromInt(int64(n)) }
