package model_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/shopspring/decimal"

	"tallystick/ledger"
	"tallystick/ledger/chain"
)

// This file is a bookkeeper's view of a ledger: balances in a map, decimal
// arithmetic, and the rules once more in other words. It shares nothing with
// package ledger but the names of the codes.

// op is a request, by name.
type op struct {
	Kind   string // transfer, hold, capture, release, reverse, open, change, currency, close, reopen, atomic
	Name   string // its id
	Legs   []opLeg
	On     *chain.Date
	Prior  bool
	Before *int64
	Expiry *int64 // of a hold
	Target string
	Amount string // of a capture; empty: none
	Sweep  bool   // a release by the sweep

	Account  string
	Type     chain.AccountType
	Currency string
	Min, Max *string // of a change: "" removes it
	Frozen   *chain.Frozen
	Close    bool
	Keyed    bool
	Scale    int
	End      chain.Date
	Retain   []string
	Items    []*op

	approve bool // not part of the request
}

type opLeg struct {
	Account  string
	Credit   bool
	Amount   string
	Currency string
}

// body is everything that makes it another request.
func (o *op) body() string {
	plain := *o
	plain.Name, plain.Keyed, plain.Legs = "", false, slices.Clone(o.Legs)
	for i := range plain.Legs {
		plain.Legs[i].Amount = decimal.RequireFromString(plain.Legs[i].Amount).String()
	}
	if o.Amount != "" {
		plain.Amount = decimal.RequireFromString(o.Amount).String()
	}
	text, err := json.Marshal(plain)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// verdict is what the bookkeeper expects: a code, or "ok", "replayed",
// "unchanged".
type verdict struct {
	code string
	item int
}

func say(code ledger.Code) verdict { return verdict{code: string(code), item: -1} }

var (
	good      = verdict{"ok", -1}
	unchanged = verdict{"unchanged", -1}
	replayed  = verdict{"replayed", -1}
)

type modelAccount struct {
	kind            chain.AccountType
	currency        string
	min, max        *decimal.Decimal
	frozen          chain.Frozen
	closed          bool
	posted          decimal.Decimal // debits − credits
	debits, credits decimal.Decimal // set aside
	postings        int
	dated           map[chain.Date]decimal.Decimal
}

func (a *modelAccount) normal() decimal.Decimal {
	if a.kind == chain.Asset || a.kind == chain.Expense {
		return decimal.NewFromInt(1)
	}
	return decimal.NewFromInt(-1)
}

// entry is what became of a request.
type modelEntry struct {
	body     string
	kind     string
	lines    []line // what it booked or set aside
	expiry   *int64
	capture  string // the entry that captured a hold
	released string // the entry that released it
	reversed bool
	end      chain.Date // of a closed period
}

// line is the sum of the legs of one account.
type line struct {
	account      string
	credit       bool
	booked, held decimal.Decimal
}

type plainBook struct {
	now        int64 // microseconds: the clock, but not before the newest entry
	recorded   int64 // the newest entry's
	day        chain.Date
	cutoff     int64 // seconds after midnight; 0: midnight
	back       chain.Date
	ahead      chain.Date
	size       int
	accounts   map[string]*modelAccount
	entries    map[string]*modelEntry
	currencies map[string]int
	periods    []string // names of the closings that hold
}

func newPlainBook(now int64, cutoff int64, back, ahead chain.Date) *plainBook {
	b := &plainBook{cutoff: cutoff, back: back, ahead: ahead, accounts: map[string]*modelAccount{}, entries: map[string]*modelEntry{},
		currencies: map[string]int{"EUR": 2, "USD": 2, "JPY": 0}}
	b.recorded, b.size = now, 1
	b.tick(now)
	return b
}

// tick sets the clock, which never goes back behind an entry.
func (b *plainBook) tick(clock int64) {
	b.now = max(b.recorded, clock)
	const day = 86_400_000_000
	b.day = chain.Date(b.now / day)
	if b.cutoff > 0 && b.now%day/1_000_000 >= b.cutoff {
		b.day++
	}
}

func (b *plainBook) clone() *plainBook {
	c := *b
	c.periods, c.currencies = slices.Clone(b.periods), maps.Clone(b.currencies)
	c.accounts, c.entries = map[string]*modelAccount{}, map[string]*modelEntry{}
	for code, a := range b.accounts {
		copied := *a
		copied.dated = maps.Clone(a.dated)
		c.accounts[code] = &copied
	}
	for name, e := range b.entries {
		copied := *e
		c.entries[name] = &copied
	}
	return &c
}

// submit decides o and books it.
func (b *plainBook) submit(o *op) verdict {
	if o.Kind == "atomic" {
		return b.submitAll(o)
	}
	if e := b.entries[o.Name]; e != nil {
		if e.body == o.body() {
			return replayed
		}
		if o.Kind == "open" && b.clone().open(o) == say(ledger.CodeAccountExists) {
			return say(ledger.CodeAccountExists)
		}
		return say(ledger.CodeIdempotencyConflict)
	}
	if o.Before != nil && *o.Before < b.now {
		return say(ledger.CodeTooLate)
	}
	decide := map[string]func(*op) verdict{
		"transfer": b.transfer, "hold": b.transfer, "capture": b.capture, "release": b.release, "reverse": b.reverse,
		"open": b.open, "change": b.change, "currency": b.currency, "close": b.closePeriod, "reopen": b.reopen,
	}[o.Kind]
	return decide(o)
}

// submitAll decides a batch of which all stand or none.
func (b *plainBook) submitAll(o *op) verdict {
	known := 0
	for i, item := range o.Items {
		if b.entries[item.Name] == nil {
			continue
		}
		if v := b.submit(item); v != replayed {
			return verdict{v.code, i}
		}
		known++
	}
	switch known {
	case 0:
	case len(o.Items):
		return replayed
	default:
		return say(ledger.CodeBatchPartlyPosted)
	}
	trial := b.clone()
	for i, item := range o.Items {
		if v := trial.submit(item); v != good && v != replayed {
			return verdict{v.code, i}
		}
	}
	*b = *trial
	return good
}

// record makes an entry of o.
func (b *plainBook) record(o *op, e modelEntry) verdict {
	e.body, e.kind = o.body(), o.Kind
	b.entries[o.Name], b.recorded = &e, b.now
	b.size++
	return good
}

// post books lines on their accounts.
func (b *plainBook) post(lines []line, on chain.Date) {
	for _, l := range lines {
		a := b.accounts[l.account]
		a.postings++
		if l.credit {
			a.posted, a.credits = a.posted.Sub(l.booked), a.credits.Add(l.held)
			a.dated[on] = a.dated[on].Sub(l.booked)
		} else {
			a.posted, a.debits = a.posted.Add(l.booked), a.debits.Add(l.held)
			a.dated[on] = a.dated[on].Add(l.booked)
		}
	}
}

var (
	most = decimal.RequireFromString("170141183460469231731687303715884105727")
	zero = decimal.Zero
)

// fits reports whether d is a whole number of units within 128 bits.
func fits(d decimal.Decimal, scale int) verdict {
	units := d.Shift(int32(scale))
	switch {
	case !units.Equal(units.Truncate(0)):
		return say(ledger.CodeAmountPrecision)
	case units.Abs().GreaterThan(most):
		return say(ledger.CodeAmountRange)
	}
	return good
}

func (b *plainBook) wide(d decimal.Decimal, currency string) bool {
	return fits(d, b.currencies[currency]) != good
}

func (b *plainBook) transfer(o *op) verdict {
	if len(o.Legs) < 2 || len(o.Legs) > 500 {
		return say(ledger.CodePostingCount)
	}
	side := map[string]bool{}
	for _, l := range o.Legs {
		if !decimal.RequireFromString(l.Amount).IsPositive() {
			return say(ledger.CodeAmountNotPositive)
		}
	}
	for _, l := range o.Legs {
		if was, ok := side[l.Account]; ok && was != l.Credit {
			return say(ledger.CodeAccountTwice)
		}
		side[l.Account] = l.Credit
	}
	lines, v := b.lines(o)
	if v != good {
		return v
	}
	on, v := b.valueDate(o)
	if v != good {
		return v
	}
	if o.Expiry != nil && *o.Expiry <= b.now {
		return say(ledger.CodeExpiryPassed)
	}
	if v := b.takes(lines, true); v != good {
		return v
	}
	b.post(lines, on)
	return b.record(o, modelEntry{lines: lines, expiry: o.Expiry})
}

// lines adds the legs up by account and looks at their accounts and amounts.
func (b *plainBook) lines(o *op) ([]line, verdict) {
	for _, l := range o.Legs {
		if b.accounts[l.Account] == nil {
			return nil, say(ledger.CodeUnknownAccount)
		}
	}
	for _, l := range o.Legs {
		switch _, known := b.currencies[l.Currency]; {
		case l.Currency == "" || l.Currency == b.accounts[l.Account].currency:
		case !known:
			return nil, say(ledger.CodeUnknownCurrency)
		default:
			return nil, say(ledger.CodeCurrencyMismatch)
		}
	}
	var lines []line
	for _, l := range o.Legs {
		amount, currency := decimal.RequireFromString(l.Amount), b.accounts[l.Account].currency
		if v := fits(amount, b.currencies[currency]); v != good {
			return nil, v
		}
		at := slices.IndexFunc(lines, func(x line) bool { return x.account == l.Account })
		if at < 0 {
			at = len(lines)
			lines = append(lines, line{account: l.Account, credit: l.Credit})
		}
		part := &lines[at].booked
		if o.Kind == "hold" {
			part = &lines[at].held
		}
		if *part = part.Add(amount); b.wide(*part, currency) {
			return nil, say(ledger.CodeAmountRange)
		}
	}
	return lines, b.balances(lines)
}

// balances compares debits and credits by currency.
func (b *plainBook) balances(lines []line) verdict {
	debits, credits := map[string]decimal.Decimal{}, map[string]decimal.Decimal{}
	for _, l := range lines {
		currency, sums := b.accounts[l.account].currency, debits
		if l.credit {
			sums = credits
		}
		sums[currency] = sums[currency].Add(l.booked)
		if l.held.IsPositive() {
			sums[currency] = sums[currency].Add(l.held)
		}
		if b.wide(sums[currency], currency) {
			return say(ledger.CodeAmountRange)
		}
	}
	for _, l := range lines {
		if currency := b.accounts[l.account].currency; !debits[currency].Equal(credits[currency]) {
			return say(ledger.CodeUnbalanced)
		}
	}
	return good
}

// valueDate returns the date that o is booked on.
func (b *plainBook) valueDate(o *op) (chain.Date, verdict) {
	on := b.day
	if o.On != nil {
		on = *o.On
	}
	closed := len(b.periods) > 0 && on <= b.entries[b.periods[len(b.periods)-1]].end
	switch {
	case o.On != nil && (on < b.day-b.back || on > b.day+b.ahead):
		return on, say(ledger.CodeDateOutOfBounds)
	case o.Prior && !o.approve:
		return on, say(ledger.CodeApprovalRequired)
	case o.Prior && !closed:
		return on, say(ledger.CodePriorPeriodUnneeded)
	case closed && !o.Prior:
		return on, say(ledger.CodePeriodClosed)
	}
	return on, good
}

// takes reports whether the accounts take lines, with the limits or without.
func (b *plainBook) takes(lines []line, limits bool) verdict {
	for _, l := range lines {
		if b.accounts[l.account].closed {
			return say(ledger.CodeAccountClosed)
		}
	}
	for _, l := range lines {
		frozen := b.accounts[l.account].frozen
		stops := frozen == chain.FrozenAll || frozen == chain.FrozenCredits && l.credit || frozen == chain.FrozenDebits && !l.credit
		if stops && (l.booked.IsPositive() || l.held.IsPositive()) {
			return say(ledger.CodeAccountFrozen)
		}
	}
	for _, l := range lines {
		a := *b.accounts[l.account]
		a.add(l)
		if b.wide(a.posted, a.currency) || b.wide(a.debits, a.currency) || b.wide(a.credits, a.currency) {
			return say(ledger.CodeAmountRange)
		}
	}
	for _, l := range lines {
		a := *b.accounts[l.account]
		a.add(l)
		raises := l.credit != a.normal().IsPositive()
		balance, held, coming := a.posted.Mul(a.normal()), a.credits, a.debits
		if a.normal().IsNegative() {
			held, coming = coming, held
		}
		if limits && !raises && a.min != nil && balance.Sub(held).LessThan(*a.min) ||
			limits && raises && a.max != nil && balance.Add(coming).GreaterThan(*a.max) {
			return say(ledger.CodeLimitExceeded)
		}
	}
	return good
}

func (a *modelAccount) add(l line) {
	if l.credit {
		a.posted, a.credits = a.posted.Sub(l.booked), a.credits.Add(l.held)
	} else {
		a.posted, a.debits = a.posted.Add(l.booked), a.debits.Add(l.held)
	}
}

// openHold returns a hold that nothing has settled.
func (b *plainBook) openHold(name string) (*modelEntry, verdict) {
	e := b.entries[name]
	switch {
	case e == nil:
		return nil, say(ledger.CodeTransferNotFound)
	case e.kind != "hold":
		return nil, say(ledger.CodeNotAHold)
	case e.capture != "":
		return nil, say(ledger.CodeHoldCaptured)
	case e.released == "expiry:"+name:
		return nil, say(ledger.CodeHoldExpired)
	case e.released != "":
		return nil, say(ledger.CodeHoldReleased)
	}
	return e, good
}

func (b *plainBook) capture(o *op) verdict {
	hold, v := b.openHold(o.Target)
	if v != good {
		return v
	}
	if hold.expiry != nil && *hold.expiry <= b.now {
		return say(ledger.CodeHoldExpired)
	}
	lines := make([]line, len(hold.lines))
	for i, l := range hold.lines {
		lines[i] = line{account: l.account, credit: l.credit, held: l.held.Neg()}
		if o.Amount == "" && len(o.Legs) == 0 {
			lines[i].booked = l.held
		}
	}
	parts := o.Legs
	if o.Amount != "" {
		if len(lines) != 2 {
			return say(ledger.CodeCaptureMismatch)
		}
		parts = nil
		for _, l := range lines {
			parts = append(parts, opLeg{Account: l.account, Credit: l.credit, Amount: o.Amount})
		}
	}
	if v := b.capturedParts(lines, parts); v != good {
		return v
	}
	if v := b.balances(lines); v != good {
		return v
	}
	on, v := b.valueDate(o)
	if v != good {
		return v
	}
	if v := b.takes(lines, false); v != good {
		return v
	}
	b.post(lines, on)
	hold.capture = o.Name
	return b.record(o, modelEntry{lines: lines})
}

// capturedParts puts the amounts of parts onto lines.
func (b *plainBook) capturedParts(lines []line, parts []opLeg) verdict {
	for i, part := range parts {
		at := slices.IndexFunc(lines, func(l line) bool { return l.account == part.Account && l.credit == part.Credit })
		twice := slices.ContainsFunc(parts[:i], func(p opLeg) bool { return p.Account == part.Account })
		if at < 0 || twice {
			return say(ledger.CodeCaptureMismatch)
		}
		currency := b.accounts[part.Account].currency
		if part.Currency != "" && part.Currency != currency {
			return say(ledger.CodeCurrencyMismatch)
		}
		amount := decimal.RequireFromString(part.Amount)
		if !amount.IsPositive() {
			return say(ledger.CodeAmountNotPositive)
		}
		if v := fits(amount, b.currencies[currency]); v != good {
			return v
		}
		if amount.GreaterThan(lines[at].held.Neg()) {
			return say(ledger.CodeCaptureExceedsHold)
		}
		lines[at].booked = amount
	}
	return good
}

func (b *plainBook) release(o *op) verdict {
	hold, v := b.openHold(o.Target)
	if v != good {
		return v
	}
	if o.Sweep && (hold.expiry == nil || *hold.expiry > b.now) {
		return say(ledger.CodeHoldNotExpired)
	}
	lines := make([]line, len(hold.lines))
	for i, l := range hold.lines {
		lines[i] = line{account: l.account, credit: l.credit, held: l.held.Neg()}
	}
	b.post(lines, b.day)
	hold.released = o.Name
	return b.record(o, modelEntry{})
}

func (b *plainBook) reverse(o *op) verdict {
	e := b.entries[o.Target]
	if e == nil {
		return say(ledger.CodeTransferNotFound)
	}
	if e.kind == "hold" {
		if e.capture == "" {
			return say(ledger.CodeNotReversible)
		}
		e = b.entries[e.capture]
	}
	switch {
	case e.kind != "transfer" && e.kind != "capture":
		return say(ledger.CodeNotReversible)
	case e.reversed:
		return say(ledger.CodeAlreadyReversed)
	}
	var lines []line
	for _, l := range e.lines {
		if l.booked.IsPositive() {
			lines = append(lines, line{account: l.account, credit: !l.credit, booked: l.booked})
		}
	}
	if v := b.takes(lines, true); v != good {
		return v
	}
	b.post(lines, b.day)
	e.reversed = true
	return b.record(o, modelEntry{})
}

// limit reads a limit; nil where there is none.
func (b *plainBook) limit(text *string, currency string, was *decimal.Decimal) (*decimal.Decimal, verdict) {
	switch {
	case text == nil:
		return was, good
	case *text == "":
		return nil, good
	}
	d := decimal.RequireFromString(*text)
	return &d, fits(d, b.currencies[currency])
}

func sameLimit(a, b *decimal.Decimal) bool {
	return (a == nil) == (b == nil) && (a == nil || a.Equal(*b))
}

func (b *plainBook) open(o *op) verdict {
	if _, known := b.currencies[o.Currency]; !known {
		return say(ledger.CodeUnknownCurrency)
	}
	low, v := b.limit(o.Min, o.Currency, nil)
	if v != good {
		return v
	}
	high, v := b.limit(o.Max, o.Currency, nil)
	if v != good {
		return v
	}
	if low != nil && high != nil && low.GreaterThan(*high) {
		return say(ledger.CodeLimitsCrossed)
	}
	if a := b.accounts[o.Account]; a != nil {
		if a.kind == o.Type && a.currency == o.Currency && sameLimit(a.min, low) && sameLimit(a.max, high) && a.frozen == chain.FrozenNone && !a.closed {
			return unchanged
		}
		return say(ledger.CodeAccountExists)
	}
	b.accounts[o.Account] = &modelAccount{kind: o.Type, currency: o.Currency, min: low, max: high, dated: map[chain.Date]decimal.Decimal{}}
	return b.record(o, modelEntry{})
}

func (b *plainBook) change(o *op) verdict {
	a := b.accounts[o.Account]
	if a == nil {
		return say(ledger.CodeUnknownAccount)
	}
	after := *a
	var v verdict
	if after.min, v = b.limit(o.Min, a.currency, a.min); v != good {
		return v
	}
	if after.max, v = b.limit(o.Max, a.currency, a.max); v != good {
		return v
	}
	if o.Frozen != nil {
		after.frozen = *o.Frozen
	}
	after.closed = a.closed || o.Close
	nothing := sameLimit(after.min, a.min) && sameLimit(after.max, a.max) && after.frozen == a.frozen && after.closed == a.closed
	empty := a.posted.IsZero() && a.debits.IsZero() && a.credits.IsZero()
	switch {
	case nothing && (a.closed || !o.Keyed):
		return unchanged
	case a.closed:
		return say(ledger.CodeAccountClosed)
	case after.min != nil && after.max != nil && after.min.GreaterThan(*after.max):
		return say(ledger.CodeLimitsCrossed)
	case after.closed && !empty:
		return say(ledger.CodeAccountNotEmpty)
	}
	*a = after
	return b.record(o, modelEntry{})
}

func (b *plainBook) currency(o *op) verdict {
	switch scale, known := b.currencies[o.Currency]; {
	case o.Currency == "EUR" || o.Currency == "USD" || o.Currency == "JPY":
		return say(ledger.CodeCurrencyReserved)
	case known && scale == o.Scale:
		return unchanged
	case known:
		return say(ledger.CodeCurrencyExists)
	}
	b.currencies[o.Currency] = o.Scale
	return b.record(o, modelEntry{})
}

func (b *plainBook) reopen(o *op) verdict {
	if n := len(b.periods); n == 0 || b.entries[b.periods[n-1]].end != o.End {
		return say(ledger.CodePeriodNotClosed)
	}
	b.periods = b.periods[:len(b.periods)-1]
	return b.record(o, modelEntry{})
}

func (b *plainBook) closePeriod(o *op) verdict {
	switch {
	case o.End >= b.day:
		return say(ledger.CodePeriodNotOver)
	case len(b.periods) > 0 && o.End <= b.entries[b.periods[len(b.periods)-1]].end:
		return say(ledger.CodePeriodAlreadyClosed)
	}
	if len(o.Retain) > 0 {
		trial := b.clone()
		if v := trial.moveResult(o); v != good {
			return v
		}
		*b = *trial
	}
	b.periods = append(b.periods, o.Name)
	return b.record(o, modelEntry{end: o.End})
}

// moveResult books what income accounts show at the end of the period to equity.
func (b *plainBook) moveResult(o *op) verdict {
	retain := map[string]string{}
	for _, code := range o.Retain {
		a := b.accounts[code]
		switch {
		case a == nil:
			return say(ledger.CodeUnknownAccount)
		case a.kind != chain.Equity || retain[a.currency] != "":
			return say(ledger.CodeRetainAccountInvalid)
		}
		retain[a.currency] = code
	}
	number := 0
	for _, currency := range slices.Sorted(maps.Keys(b.currencies)) {
		var lines []line
		net := zero
		for _, code := range slices.Sorted(maps.Keys(b.accounts)) {
			a := b.accounts[code]
			balance := a.on(o.End)
			if a.currency == currency && (a.kind == chain.Revenue || a.kind == chain.Expense) && !balance.IsZero() {
				lines = append(lines, line{account: code, credit: balance.IsPositive(), booked: balance.Abs()})
				net = net.Add(balance)
			}
		}
		if len(lines) == 0 {
			continue
		}
		if retain[currency] == "" {
			return say(ledger.CodeRetainAccountNeeded)
		}
		if beyond := func(l line) bool { return b.wide(l.booked, currency) }; b.wide(net, currency) || slices.ContainsFunc(lines, beyond) {
			return say(ledger.CodeAmountRange)
		}
		if !net.IsZero() {
			lines = append(lines, line{account: retain[currency], credit: net.IsNegative(), booked: net.Abs()})
		}
		if o.End < b.day-b.back {
			return say(ledger.CodeDateOutOfBounds)
		}
		if v := b.takes(lines, true); v != good {
			return v
		}
		b.post(lines, o.End)
		b.record(&op{Kind: "transfer", Name: fmt.Sprintf("closing:%s:%d", o.Name, number)}, modelEntry{lines: lines})
		number++
	}
	return good
}

// on returns debits − credits by value date.
func (a *modelAccount) on(day chain.Date) decimal.Decimal {
	sum := zero
	for date, amount := range a.dated {
		if date <= day {
			sum = sum.Add(amount)
		}
	}
	return sum
}

// due returns the open holds that have expired.
func (b *plainBook) due(now int64) []string {
	var names []string
	for name, e := range b.entries {
		if e.kind == "hold" && e.capture == "" && e.released == "" && e.expiry != nil && *e.expiry <= now {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(x, y string) int { return cmp.Compare(x, y) })
	return names
}
