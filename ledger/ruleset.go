package ledger

import (
	"maps"
	"slices"

	"tallystick/ledger/chain"
	"tallystick/ledger/money"
)

// ruleset is what entries other than account entries have set for the whole
// ledger: closed periods, custom currencies and keys. It is never changed; see
// after.
type ruleset struct {
	closings   []closing // of the periods closed now, oldest first
	currencies map[string]money.Currency
	keys       map[keyName]keyState
}

// closing is a period_closed entry that has not been reopened.
type closing struct {
	seq int64
	end chain.Date
}

// newest returns the newest closing, and false when no period is closed.
func (r *ruleset) newest() (closing, bool) {
	if len(r.closings) == 0 {
		return closing{}, false
	}
	return r.closings[len(r.closings)-1], true
}

// closed reports whether d lies in a closed period: up to the newest period end
// everything is.
func (r *ruleset) closed(d chain.Date) bool {
	c, ok := r.newest()
	return ok && d <= c.end
}

// currency returns a currency by its code: one of ISO 4217, or one that the
// ledger defines.
func (r *ruleset) currency(code string) (money.Currency, bool) {
	if c, ok := money.ISO(code); ok {
		return c, true
	}
	c, ok := r.currencies[code]
	return c, ok
}

// after returns the rules after e, which is an entry that sets some, or r.
func (r *ruleset) after(e *chain.Entry) *ruleset {
	if !SetsRules(e.Kind) {
		return r
	}
	next := *r
	switch e.Kind {
	case chain.PeriodClosed:
		text, _ := e.Detail("period_end")
		if end, err := chain.ParseDate(text); err == nil {
			next.closings = append(slices.Clone(r.closings), closing{seq: e.Seq, end: end})
		}
	case chain.PeriodReopened:
		next.closings = slices.DeleteFunc(slices.Clone(r.closings), func(c closing) bool { return e.RefSeq != nil && c.seq == *e.RefSeq })
	case chain.CurrencyDefined:
		code, _ := e.Detail("code")
		scale, _ := e.Detail("scale")
		next.currencies = maps.Clone(r.currencies)
		if next.currencies == nil {
			next.currencies = make(map[string]money.Currency)
		}
		next.currencies[code] = money.Currency{Code: code, Scale: parseScale(scale)}
	case chain.KeyChanged:
		next.keys = r.afterKeyChange(e)
	}
	return &next
}

// parseScale reads the one or two digits that chain has checked.
func parseScale(s string) uint8 {
	var n uint8
	for i := range len(s) {
		n = 10*n + s[i] - '0'
	}
	return n
}
