package ledger_test

import (
	"fmt"
	"strings"

	"tallystick/ledger"
	"tallystick/ledger/chain"
)

// This file reads those lines of a script that move money, and the checks.

func (n *notation) transfer(hold bool) ledger.Request {
	r := &ledger.TransferRequest{Common: n.common(n.next()), Hold: hold}
	r.Legs = n.legs()
	n.options(&r.Common, &r.ValueDate, &r.Rate, func(word string) bool {
		switch word {
		case "expires":
			at := n.time(n.next())
			r.ExpiresAt = &at
		case "related":
			id := n.id(n.next())
			r.RelatedTo = &id
		default:
			return false
		}
		return true
	})
	return r
}

func (n *notation) capture() ledger.Request {
	r := &ledger.CaptureHold{Common: n.common(n.next()), Hold: n.id(n.next())}
	if len(n.words) > 0 && n.words[0] == "{" {
		r.Legs = n.legs()
	}
	n.options(&r.Common, &r.ValueDate, &r.Rate, func(word string) bool {
		if word != "amount" {
			return false
		}
		v := n.amount(n.next())
		r.Amount = &v
		return true
	})
	return r
}

// options reads what may stand behind any request that moves money, up to the
// end of the line or of the item of a batch.
func (n *notation) options(c *ledger.Common, d *ledger.ValueDate, rate **string, more func(word string) bool) {
	for len(n.words) > 0 && n.words[0] != "," && n.words[0] != "}" {
		switch word := n.next(); word {
		case "on":
			date := n.date(n.next())
			d.EffectiveDate = &date
		case "prior":
			d.PriorPeriod = true
		case "approve":
			d.MayApprove = true
		case "rate":
			text := n.unquoted()
			*rate = &text
		case "before":
			at := n.time(n.next())
			c.NotAfter = &at
		case "about":
			text := n.unquoted()
			c.Description = &text
		case "metadata":
			text := strings.Repeat("x", n.number(n.next()))
			c.Metadata = &text
		default:
			if !more(word) {
				n.fatal("%q is nothing that it may say", word)
			}
		}
	}
}

// legs reads "DEBIT CREDIT AMOUNT", or postings in braces.
func (n *notation) legs() []ledger.Leg {
	if !n.take("{") {
		debit, credit, amount := n.next(), n.next(), n.amount(n.next())
		return []ledger.Leg{{Account: debit, Direction: chain.Debit, Amount: amount}, {Account: credit, Direction: chain.Credit, Amount: amount}}
	}
	var legs []ledger.Leg
	for !n.take("}") {
		leg := ledger.Leg{Direction: chain.Debit}
		switch side := n.next(); side {
		case "dr":
		case "cr":
			leg.Direction = chain.Credit
		default:
			n.fatal("a posting begins with dr or cr, not with %q", side)
		}
		code := n.next()
		leg.Amount = n.amount(n.next())
		if len(n.words) > 0 && n.words[0] != "," && n.words[0] != "}" {
			leg.Currency = n.next()
		}
		for _, leg.Account = range n.several(code) {
			legs = append(legs, leg)
		}
		n.take(",")
	}
	return legs
}

// several turns shop:[1-3] into shop:1, shop:2 and shop:3.
func (n *notation) several(code string) []string {
	before, rest, ok := strings.Cut(code, "[")
	if !ok {
		return []string{code}
	}
	first, last, _ := strings.Cut(strings.TrimSuffix(rest, "]"), "-")
	var codes []string
	for i := n.number(first); i <= n.number(last); i++ {
		codes = append(codes, fmt.Sprintf("%s%d", before, i))
	}
	return codes
}

// damage makes stored data differ from its hash.
func (n *notation) damage() func(r *run) {
	switch what := n.next(); what {
	case "account":
		code := n.next()
		return func(r *run) { r.damagedAccounts[code] = true }
	case "transfer":
		id := n.id(n.next())
		return func(r *run) { r.damagedEntries[id] = true }
	default:
		n.fatal("what can be damaged is an account or a transfer, not %q", what)
		return nil
	}
}

// balance checks "CODE BALANCE [held H] [coming C] [available A] [postings N]".
func (n *notation) balance() func(s *scene) error {
	code := n.next()
	want := []string{"balance " + n.next()}
	for len(n.words) > 0 {
		want = append(want, n.next()+" "+n.next())
	}
	return func(s *scene) error {
		a := s.accounts[code]
		if a == nil {
			return fmt.Errorf("there is no account %s", code)
		}
		for _, w := range want {
			what, _, _ := strings.Cut(w, " ")
			if got := what + " " + describe(a, what); got != w {
				return fmt.Errorf("account %s has %s, want %s", code, got, w)
			}
		}
		return nil
	}
}

// describe says one figure of an account, added up from the columns of its type.
func describe(a *ledger.Account, what string) string {
	balance, held, coming := a.Posted.Decimal(a.Scale), a.PendingCredit.Decimal(a.Scale), a.PendingDebit.Decimal(a.Scale)
	if a.Type != chain.Asset && a.Type != chain.Expense {
		balance, held, coming = balance.Neg(), coming, held
	}
	switch what {
	case "balance":
		return balance.StringFixed(int32(a.Scale))
	case "held":
		return held.StringFixed(int32(a.Scale))
	case "coming":
		return coming.StringFixed(int32(a.Scale))
	case "postings":
		return fmt.Sprint(a.AccountSeq)
	case "frozen":
		return a.Frozen.String()
	case "available":
		if a.MinBalance == nil {
			return "none"
		}
		return balance.Sub(held).Sub(a.MinBalance.Decimal(a.Scale)).StringFixed(int32(a.Scale))
	}
	return "nothing of that name"
}

// entry checks "ID KIND [on DATE] [booked DATE] [acts ID] [prior] [DETAIL=VALUE]".
func (n *notation) entry() func(s *scene) error {
	name := n.next()
	id, want := n.id(name), []func(*scene, *chain.Entry) (got, want string){}
	is := func(f func(s *scene, e *chain.Entry) (string, string)) { want = append(want, f) }
	kind := n.next()
	is(func(_ *scene, e *chain.Entry) (string, string) { return e.Kind.String(), kind })
	for len(n.words) > 0 {
		switch word := n.next(); {
		case word == "on":
			date := n.date(n.next())
			is(func(_ *scene, e *chain.Entry) (string, string) { return e.EffectiveDate.String(), date.String() })
		case word == "booked":
			date := n.date(n.next())
			is(func(_ *scene, e *chain.Entry) (string, string) { return e.BookingDate.String(), date.String() })
		case word == "prior":
			is(func(_ *scene, e *chain.Entry) (string, string) { return fmt.Sprint(e.PriorPeriod), "true" })
		case word == "acts":
			target := n.next()
			on := n.id(target)
			is(func(s *scene, e *chain.Entry) (string, string) {
				return fmt.Sprint(s.seqs[on]), fmt.Sprint(*e.RefSeq)
			})
		case strings.Contains(word, "="):
			detail, value, _ := strings.Cut(word, "=")
			is(func(_ *scene, e *chain.Entry) (string, string) {
				got, _ := e.Detail(detail)
				return got, strings.Trim(value, `"`)
			})
		default:
			n.fatal("an entry has no %q", word)
		}
	}
	return func(s *scene) error {
		seq, ok := s.seqs[id]
		if !ok {
			return fmt.Errorf("no entry stands under %s", name)
		}
		for _, f := range want {
			if got, want := f(s, &s.records[seq]); got != want {
				return fmt.Errorf("entry %s has %q, want %q", name, got, want)
			}
		}
		return nil
	}
}
