package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"

	"tallystick/ledger/chain"
	"tallystick/ledger/money"
	"tallystick/ledger/store"
)

// rulebook is what some entries set for the whole ledger: up to which day its
// periods are closed, which currencies it has beside those of ISO 4217, and which
// keys sign it (that one only while it is read). It is
// read before the first pass and does not change after.
type rulebook struct {
	known      bool     // false when they could not be read
	closed     []closed // by seq, one for each closing and reopening
	currencies map[string]definition
}

// closed is up to which day periods are closed for the entries after seq.
type closed struct {
	seq     int64
	any     bool
	through chain.Date
}

// definition is a currency that the entry at seq defined.
type definition struct {
	seq   int64
	scale uint8
}

// closedAt returns up to which day periods are closed for the entry at seq.
func (b *rulebook) closedAt(seq int64) (through chain.Date, any bool) {
	if len(b.closed) == 0 {
		return 0, false
	}
	i := sort.Search(len(b.closed), func(i int) bool { return b.closed[i].seq >= seq })
	if i == 0 {
		return 0, false
	}
	return b.closed[i-1].through, b.closed[i-1].any
}

// has reports whether the entry at seq may use a currency with that scale.
func (b *rulebook) has(code string, scale uint8, seq int64) bool {
	if c, ok := money.ISO(code); ok && c.Scale == scale {
		return true
	}
	d, ok := b.currencies[code]
	return ok && d.scale == scale && d.seq < seq
}

// Indexes: entries_rules and entries_keys; without them, the entries are read
// twice.
const rulesSQL = `
(select seq, format, kind, booking_date, ref_seq
from book.entries
where ledger_id = $1::uuid and kind in ('period_closed', 'period_reopened', 'currency_defined')
    and seq > $2::int8 and seq < $3::int8
order by seq
limit $4::int8)
union all
(select seq, format, kind, booking_date, ref_seq
from book.entries
where ledger_id = $1::uuid and kind = 'key_changed'
    and seq > $2::int8 and seq < $3::int8
order by seq
limit $4::int8)
order by seq
limit $4::int8`

// Index: the primary key.
const ruleDetailsSQL = `
select seq, name, value
from book.details
where ledger_id = $1::uuid and seq = any($2::int8[])
order by seq, ordinal`

// ruleEntry is an entry that sets a rule.
type ruleEntry struct {
	seq        int64
	kind       chain.Kind
	booking    chain.Date
	refSeq     int64 // −1 when there is none
	unreadable bool  // reported, or doubted, at the entry itself
	details    []chain.Detail
}

// detail returns the value of a detail; "" when there is none.
func (e *ruleEntry) detail(name string) string {
	for i := range e.details {
		if e.details[i].Name == name {
			return e.details[i].Value
		}
	}
	return ""
}

// readRules fills in the rulebook, and holds the entries that set it against
// the rules for them (I10).
func (v *verification) readRules(ctx context.Context) error {
	return newRuleReader(v).read(ctx, -1)
}

func newRuleReader(v *verification) *ruleReader {
	v.rules = rulebook{currencies: make(map[string]definition)}
	return &ruleReader{v: v, keys: make(map[string]keyStanding)}
}

// read goes on after the entry with that seq, up to the cut. When it fails, the
// rulebook is known up to somewhere only, and must be read anew.
func (b *ruleReader) read(ctx context.Context, after int64) error {
	v, size := b.v, b.v.bounds.page
	for {
		var page []ruleEntry
		err := retry(ctx, func() (err error) {
			page, err = v.rulePage(ctx, after, size)
			return err
		})
		switch {
		case errors.Is(err, errSegmentTooLarge) && size > 1:
			size /= 2
			continue
		case errors.Is(err, errSegmentTooLarge):
			v.findings.notChecked(page[0].seq, "the period, currency or key that it is about: it has too many details")
		case err != nil:
			return err
		case len(page) == 0:
			v.rules.known = true
			return nil
		default:
			if err := b.applyPage(ctx, page); err != nil {
				return err
			}
		}
		after = page[len(page)-1].seq
		if b.count += len(page); b.count > maxRules {
			return fmt.Errorf("reading periods, currencies and keys: more than %d entries set them", maxRules)
		}
	}
}

// rulePage reads the next entries that set rules, with their details.
func (v *verification) rulePage(ctx context.Context, after int64, size int) ([]ruleEntry, error) {
	var page []ruleEntry
	var seqs []int64
	args := []any{v.snapshot.LedgerID, after, v.snapshot.Size, int64(size)}
	err := v.snapshot.Scan(ctx, rulesSQL, args, func(r *store.Row) error {
		e := ruleEntry{seq: r.Int64(0), booking: r.Date(3), refSeq: -1}
		var known bool
		e.kind, known = chain.KindNamed(string(r.Text(2)))
		e.unreadable = !known || r.Int64(1) != formatVersion
		if !r.IsNull(4) {
			e.refSeq = r.Int64(4)
		}
		e.unreadable = e.unreadable || rejected(r) != nil
		page, seqs = append(page, e), append(seqs, e.seq)
		return nil
	})
	if err != nil || len(page) == 0 {
		return nil, wrap("reading periods, currencies and keys", err)
	}
	err = v.detailsOf(ctx, seqs, func(at int, d chain.Detail) { page[at].details = append(page[at].details, d) })
	if errors.Is(err, errSegmentTooLarge) {
		return page, err
	}
	return page, wrap("reading the details of periods, currencies and keys", err)
}

// detailsOf hands out the details of entries, by their places in seqs. Those that take more memory than a segment may are
// errSegmentTooLarge.
func (v *verification) detailsOf(ctx context.Context, seqs []int64, take func(at int, d chain.Detail)) error {
	at, held := 0, 0
	return v.snapshot.Scan(ctx, ruleDetailsSQL, []any{v.snapshot.LedgerID, seqs}, func(r *store.Row) error {
		for seqs[at] < r.Int64(0) {
			at++
		}
		d := chain.Detail{Name: string(r.Text(1)), Value: string(r.Text(2))}
		if held += len(d.Name) + len(d.Value) + rowOverhead; held > v.bounds.segmentText {
			return errSegmentTooLarge
		}
		take(at, d)
		return nil
	})
}

// ruleReader follows the entries that set rules, in order of seq.
type ruleReader struct {
	v         *verification
	count     int       // of entries read
	closings  []closing // of the periods closed at this point, oldest first
	transfers map[int64]chain.Date
	accounts  map[string]retaining
	keys      map[string]keyStanding // by role and id
}

// closing is a period_closed entry that has not been reopened.
type closing struct {
	seq     int64
	end     chain.Date
	through chain.Date // the latest end of it and of those before it
}

// retaining is an account that takes the result of a period.
type retaining struct {
	kind      string
	currency  string
	openedSeq int64
}

// applyPage holds the entries of a page against what stands before them.
func (b *ruleReader) applyPage(ctx context.Context, page []ruleEntry) error {
	if err := retry(ctx, func() error { return b.lookUp(ctx, page) }); err != nil {
		return err
	}
	for i := range page {
		switch e := &page[i]; {
		case e.unreadable:
		case e.kind == chain.PeriodClosed:
			b.close(e)
		case e.kind == chain.PeriodReopened:
			b.reopen(e)
		case e.kind == chain.CurrencyDefined:
			b.define(e)
		case e.kind == chain.KeyChanged:
			b.changeKey(e)
		}
	}
	return nil
}

// Index: the primary key.
const closingTransfersSQL = `
select seq, effective_date
from book.entries
where ledger_id = $1::uuid and seq = any($2::int8[]) and kind = 'transfer'`

// Index: i10_accounts_code.
const retainingSQL = `
select code, type, currency, opened_seq
from book.accounts
where ledger_id = $1::uuid and code = any($2::text[])`

// lookUp reads what the closings of a page refer to.
func (b *ruleReader) lookUp(ctx context.Context, page []ruleEntry) error {
	var seqs []int64
	var codes []string
	for i := range page {
		for _, d := range page[i].details {
			if n, err := strconv.ParseInt(d.Value, 10, 64); d.Name == "closing_seq" && err == nil {
				seqs = append(seqs, n)
			}
			if strings.HasPrefix(d.Name, retainPrefix) && chain.ValidAccountCode(d.Value) {
				codes = append(codes, d.Value)
			}
		}
	}
	b.transfers, b.accounts = make(map[int64]chain.Date), make(map[string]retaining)
	if len(seqs) > 0 {
		err := b.v.snapshot.Scan(ctx, closingTransfersSQL, []any{b.v.snapshot.LedgerID, seqs}, func(r *store.Row) error {
			b.transfers[r.Int64(0)] = r.Date(1)
			return nil
		})
		if err != nil {
			return fmt.Errorf("reading the transfers of closings: %w", err)
		}
	}
	if len(codes) == 0 {
		return nil
	}
	err := b.v.snapshot.Scan(ctx, retainingSQL, []any{b.v.snapshot.LedgerID, codes}, func(r *store.Row) error {
		b.accounts[string(r.Text(0))] = retaining{kind: string(r.Text(1)), currency: string(r.Text(2)), openedSeq: r.Int64(3)}
		return nil
	})
	return wrap("reading the accounts that retain results", err)
}

// retainPrefix begins the names of the details that say who takes the result.
const retainPrefix = "retain_account."

// newest returns the newest closing that was not reopened.
func (b *ruleReader) newest() (closing, bool) {
	if len(b.closings) == 0 {
		return closing{}, false
	}
	return b.closings[len(b.closings)-1], true
}

// close holds a closing against the date that it is made on, the closings
// before it, and the entries and accounts that it names.
func (b *ruleReader) close(e *ruleEntry) {
	end, err := chain.ParseDate(e.detail("period_end"))
	if err != nil {
		return // reported at the entry: it is malformed, or was changed
	}
	newest, any := b.newest()
	if end >= e.booking {
		b.report(e, "period_end "+end.String(), fmt.Sprintf("before %s, on which it was booked", e.booking))
	}
	if any && end <= newest.through {
		b.report(e, "period_end "+end.String(), fmt.Sprintf("after %s, up to which entry %d closed", newest.through, newest.seq))
	}
	if through := fmt.Sprint(e.seq - 1); e.detail("through_seq") != through {
		b.report(e, "through_seq "+e.detail("through_seq"), through)
	}
	for _, d := range e.details {
		if d.Name == "closing_seq" {
			b.checkClosingTransfer(e, d.Value, end)
		} else if currency, ok := strings.CutPrefix(d.Name, retainPrefix); ok {
			b.checkRetaining(e, d.Value, currency)
		}
	}
	b.closings = append(b.closings, closing{seq: e.seq, end: end, through: max(end, newest.through)})
	if !any {
		b.closings[0].through = end
	}
	b.turn(e)
}

// checkClosingTransfer holds the last of the transfers that moved a result
// against what it must be: a transfer before the closing, valued at its end.
func (b *ruleReader) checkClosingTransfer(e *ruleEntry, seq string, end chain.Date) {
	n, err := strconv.ParseInt(seq, 10, 64)
	if err != nil {
		return // malformed
	}
	valued, ok := b.transfers[n]
	switch {
	case !ok || n >= e.seq:
		b.report(e, "closing_seq "+seq, "a transfer before the closing")
	case valued != end:
		b.report(e, fmt.Sprintf("closing_seq %s, valued at %s", seq, valued), "a transfer valued at "+end.String())
	}
}

// checkRetaining holds an account that takes a result against what it must be.
func (b *ruleReader) checkRetaining(e *ruleEntry, code, currency string) {
	a, ok := b.accounts[code]
	want := "an equity account in " + currency
	switch {
	case !ok || a.openedSeq >= e.seq:
		b.report(e, "account "+code+", which is not open", want)
	case a.kind != chain.Equity.String() || a.currency != currency:
		b.report(e, fmt.Sprintf("%s account %s in %s", a.kind, code, a.currency), want)
	}
}

// reopen holds a reopening against the newest closing.
func (b *ruleReader) reopen(e *ruleEntry) {
	if e.refSeq < 0 {
		return // malformed
	}
	switch newest, any := b.newest(); {
	case !any:
		b.report(e, fmt.Sprintf("ref_seq %d", e.refSeq), "no period is closed")
	case newest.seq != e.refSeq:
		b.report(e, fmt.Sprintf("ref_seq %d", e.refSeq), fmt.Sprintf("%d, the newest closing", newest.seq))
	case e.detail("period_end") != newest.end.String():
		b.report(e, "period_end "+e.detail("period_end"), newest.end.String())
	}
	at := slices.IndexFunc(b.closings, func(c closing) bool { return c.seq == e.refSeq })
	if at < 0 {
		return
	}
	b.closings = slices.Delete(b.closings, at, at+1)
	for i := at; i < len(b.closings); i++ {
		b.closings[i].through = b.closings[i].end
		if i > 0 {
			b.closings[i].through = max(b.closings[i].end, b.closings[i-1].through)
		}
	}
	b.turn(e)
}

// turn notes up to which day periods are closed after e.
func (b *ruleReader) turn(e *ruleEntry) {
	newest, any := b.newest()
	b.v.rules.closed = append(b.v.rules.closed, closed{seq: e.seq, any: any, through: newest.through})
}

// define holds a definition against ISO 4217 and those before it.
func (b *ruleReader) define(e *ruleEntry) {
	code := e.detail("code")
	scale, err := strconv.ParseUint(e.detail("scale"), 10, 8)
	if err != nil || code == "" {
		return // malformed
	}
	f := finding{code: CurrencyInvalid, seq: e.seq, stored: code}
	before, defined := b.v.rules.currencies[code]
	if _, iso := money.ISO(code); iso {
		f.recomputed = "a currency of ISO 4217"
		b.v.findings.add(f)
	} else if defined {
		f.recomputed = fmt.Sprintf("defined by entry %d", before.seq)
		b.v.findings.add(f)
	} else {
		b.v.rules.currencies[code] = definition{seq: e.seq, scale: uint8(scale)}
	}
}

func (b *ruleReader) report(e *ruleEntry, stored, recomputed string) {
	b.v.findings.add(finding{code: PeriodInvalid, seq: e.seq, stored: stored, recomputed: recomputed})
}

// wrap says what failed, if something did.
func wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}

// checkDates holds the value dates of an entry with postings against the terms
// of the ledger and the periods closed when it was made.
func (w *worker) checkDates(e *chain.Entry) {
	w.checkValueDate(e, e.EffectiveDate)
	earliest, before := e.EffectiveDate, e.EffectiveDate
	for i := range e.Postings {
		if day := e.Postings[i].EffectiveDate; day != before {
			w.checkValueDate(e, day)
			earliest, before = min(earliest, day), day
		}
	}
	through, closed := w.v.rules.closedAt(e.Seq)
	if !closed && !e.PriorPeriod || !w.v.rules.known {
		return
	}
	inClosed := closed && earliest <= through
	if inClosed == e.PriorPeriod {
		return
	}
	f := finding{code: PeriodClosedPosting, seq: e.Seq, stored: "value date " + earliest.String(), recomputed: "no period was closed"}
	if e.PriorPeriod {
		f.code = PriorPeriodInvalid
	}
	if closed {
		f.recomputed = "periods were closed up to " + through.String()
	}
	w.report(f)
}

// checkValueDate holds a value date against the terms of the ledger.
func (w *worker) checkValueDate(e *chain.Entry, day chain.Date) {
	terms := w.v.terms
	if terms == nil || w.v.termsDoubtful {
		return
	}
	days := int64(day) - int64(e.BookingDate)
	if -int64(terms.ValueDaysBack) <= days && days <= int64(terms.ValueDaysAhead) {
		return
	}
	w.report(finding{code: ValueDateOutOfBounds, seq: e.Seq, stored: day.String(),
		recomputed: fmt.Sprintf("%d days before to %d days after %s", terms.ValueDaysBack, terms.ValueDaysAhead, e.BookingDate)})
}

// checkCurrency holds the currency of a new account, or of the ledger itself,
// against those there are.
func (w *worker) checkCurrency(e *chain.Entry) {
	var f finding
	var code string
	var scale uint8
	switch {
	case e.Kind == chain.AccountOpened && e.Account != nil:
		f.account, f.named = e.Account.AccountID, true
		code, scale = e.Account.Currency, e.Account.Scale
	case e.Kind == chain.LedgerOpened && e.Ledger != nil && !w.v.termsDoubtful:
		code, scale = e.Ledger.BaseCurrency, e.Ledger.BaseScale
	default:
		return
	}
	if w.v.rules.known && !w.v.rules.has(code, scale, e.Seq) {
		f.code, f.seq, f.stored = CurrencyUnknown, e.Seq, fmt.Sprintf("%s with %d decimals", code, scale)
		w.report(f)
	}
}
