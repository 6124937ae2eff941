package api

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"tallystick/ledger"
	"tallystick/ledger/chain"
	"tallystick/ledger/money"
	"tallystick/ledger/store"
)

// moment is when a balance is asked for; at most one of its parts is given.
type moment struct {
	at        *time.Time  // the last seq recorded up to it
	seq       int64       // or −1
	effective *chain.Date // the end of this day by value date
}

// moment reads at, seq or effective.
func (q *query) moment() moment {
	m := moment{at: q.time("at"), seq: q.seq("seq"), effective: q.date("effective")}
	given := ""
	for _, name := range []string{"at", "seq", "effective"} {
		switch {
		case !q.has(name):
		case given != "":
			q.fail(codeInvalidParameter, name, "%s and %s exclude each other", given, name)
		default:
			given = name
		}
	}
	return m
}

// balance answers GET /v1/ledgers/{ledger}/accounts/{account}/balance: now, as
// of a seq, as of a time, which means the last seq recorded up to it, or by value
// date.
func (h *handlers) balance(x *exchange) error {
	q := x.query("at", "seq", "effective")
	m := q.moment()
	if q.err != nil {
		return q.err
	}
	if err := h.findLedger(x); err != nil {
		return err
	}
	code, err := x.accountCode()
	if err != nil {
		return err
	}
	if m.effective != nil {
		return h.effectiveBalance(x, code, *m.effective)
	}
	seq, err := h.asOf(x, m)
	if err != nil {
		return err
	}
	a, err := h.DB.AccountAt(x.req.Context(), x.ledger, code, seq)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return newProblem(codeAccountNotFound, "this ledger has no account of that code, or did not have it at the time or seq asked for")
	case err != nil:
		return fmt.Errorf("reading account %s at seq %d: %w", code, seq, err)
	}
	x.out = appendString(append(x.out, `{"account":`...), a.Code)
	x.out = appendString(append(x.out, `,"currency":`...), a.Currency)
	x.out = appendBalance(append(x.out, ','), &a)
	x.out = strconv.AppendInt(append(x.out, `,"seq":`...), seq, 10)
	x.out = append(x.out, '}')
	return x.send(200)
}

// effectiveBalance answers with the balance at the end of a day by value date.
func (h *handlers) effectiveBalance(x *exchange, code string, day chain.Date) error {
	e, err := h.DB.BalanceEffective(x.req.Context(), x.ledger, code, day, store.Newest)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return accountNotFound()
	case err != nil:
		return fmt.Errorf("reading the balance of account %s by value date: %w", code, err)
	}
	x.out = appendString(append(x.out, `{"account":`...), e.Account.Code)
	x.out = appendString(append(x.out, `,"currency":`...), e.Account.Currency)
	x.out = appendUnits(append(x.out, `,"balance":`...), ledger.Balance(e.Account.Type, e.Posted), e.Account.Scale)
	x.out = appendDate(append(x.out, `,"effective_date":`...), day)
	x.out = strconv.AppendInt(append(x.out, `,"seq":`...), e.AsOf, 10)
	x.out = append(x.out, '}')
	return x.send(200)
}

// asOf returns the seq that a question is about: that of a time, a given one, or
// the newest. A seq that the ledger does not have yet is refused, because the
// answer would change.
func (h *handlers) asOf(x *exchange, m moment) (int64, error) {
	if m.at != nil {
		n, err := h.DB.SeqAt(x.req.Context(), x.ledger, *m.at)
		if err != nil {
			return 0, fmt.Errorf("finding the seq at %s: %w", m.at, err)
		}
		return n, nil
	}
	info, err := h.DB.Ledger(x.req.Context(), x.ledger.String())
	switch {
	case err != nil:
		return 0, fmt.Errorf("reading the size of ledger %s: %w", x.ledger, err)
	case m.seq < 0:
		return info.Size - 1, nil
	case m.seq >= info.Size:
		return 0, fieldProblem(codeSeqNotReached, "seq", "the newest entry of this ledger is %d", info.Size-1)
	}
	return m.seq, nil
}

// maxDepth is the largest number of segments that balances are grouped by: no
// account code has more.
const maxDepth = (chain.MaxAccountCode + 1) / 2

// depth returns by how many segments to group, 0 when it is not given.
func (q *query) depth() int {
	s, ok := q.values["depth"]
	if !ok {
		return 0
	}
	n, ok := parseSeq(s)
	if !ok || n < 1 || n > maxDepth {
		q.fail(codeInvalidParameter, "depth", "depth is a whole number from 1 to %d", maxDepth)
		return 0
	}
	return int(n)
}

// listBalances answers GET /v1/ledgers/{ledger}/balances: the balances of many
// accounts, added up by the first segments of their codes. All pages are read as
// of the same entry.
func (h *handlers) listBalances(x *exchange) error {
	if err := h.findLedger(x); err != nil {
		return err
	}
	q := x.query("prefix", "depth", "at", "seq", "effective", "limit", "cursor")
	m := q.moment()
	f := store.BalanceFilter{Prefix: q.code("prefix"), Depth: q.depth(), AsOf: store.Newest, Effective: m.effective, Limit: q.limit()}
	list := listID("balances", x.ledger.String(), f.Prefix, q.values["depth"], q.values["at"], q.values["seq"], q.values["effective"])
	if text, ok := q.values["cursor"]; ok && q.err == nil {
		position, err := position(list, text)
		if err == nil && !continueBalances(&f, position) {
			err = cursorInvalid()
		}
		q.err = err
	} else if q.err == nil && m.effective == nil {
		f.AsOf, q.err = h.asOf(x, m)
	}
	if q.err != nil {
		return q.err
	}
	page, err := h.DB.Balances(x.req.Context(), x.ledger, f)
	switch {
	case errors.Is(err, store.ErrNotFound) && m.at != nil:
		return fieldProblem(codeSeqNotReached, "at", "the ledger was opened later")
	case errors.Is(err, store.ErrNotFound):
		return cursorInvalid()
	case err != nil:
		return fmt.Errorf("reading balances under %q: %w", f.Prefix, err)
	}
	next := ""
	if page.More {
		last := &page.Groups[len(page.Groups)-1]
		next = newCursor(list, balancesPosition(page.AsOf, last.Code, last.Currency))
	}
	x.out = appendBalances(x.out, &page, m.effective, next)
	return x.send(200)
}

// balancesPosition is where a list of balances goes on: the entry as of which,
// and the code and currency after which.
func balancesPosition(asOf int64, code, currency string) string {
	return string(binary.BigEndian.AppendUint64(nil, uint64(asOf))) + code + "\x00" + currency
}

// continueBalances sets where f goes on, and reports whether position is one that
// balancesPosition gives.
func continueBalances(f *store.BalanceFilter, position string) bool {
	if len(position) < 8 {
		return false
	}
	f.AsOf = int64(binary.BigEndian.Uint64([]byte(position)))
	code, currency, ok := strings.Cut(position[8:], "\x00")
	f.AfterCode, f.AfterCurrency = code, currency
	return ok && f.AsOf >= 0 && f.AsOf < store.Newest && chain.ValidAccountCode(code) && money.ValidCurrencyCode(currency)
}

// appendBalances appends a page of balances, debit-positive: groups and totals
// mix accounts of all types.
func appendBalances(b []byte, page *store.BalancePage, effective *chain.Date, next string) []byte {
	b = strconv.AppendInt(append(b, `{"seq":`...), page.AsOf, 10)
	if effective != nil {
		b = appendDate(append(b, `,"effective_date":`...), *effective)
	}
	b = append(b, `,"data":[`...)
	for i := range page.Groups {
		g := &page.Groups[i]
		b = appendString(append(appendComma(b, i), `{"code":`...), g.Code)
		b = appendString(append(b, `,"currency":`...), g.Currency)
		b = strconv.AppendInt(append(b, `,"accounts":`...), g.Accounts, 10)
		b = append(appendSums(append(b, ','), g), '}')
	}
	b = append(b, `],"totals":[`...)
	for i := range page.Totals {
		t := &page.Totals[i]
		b = appendString(append(appendComma(b, i), `{"currency":`...), t.Currency)
		b = append(appendSums(append(b, ','), t), '}')
	}
	return append(appendNext(append(b, "],"...), next), '}')
}

// appendSums appends what balances add up to, without braces.
func appendSums(b []byte, g *store.BalanceGroup) []byte {
	b = appendUnits(append(b, `"balance":`...), g.Balance, g.Scale)
	b = appendUnits(append(b, `,"debits":`...), g.Debits, g.Scale)
	return appendUnits(append(b, `,"credits":`...), g.Credits, g.Scale)
}
