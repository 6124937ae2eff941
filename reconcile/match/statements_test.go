package match_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/shopspring/decimal"

	"tallystick/ledger/chain"
	"tallystick/ledger/money"
	"tallystick/reconcile/bankfile"
	"tallystick/reconcile/match"
	"tallystick/scripts/samples"
)

// quarter is three consecutive statements of one account and the ledger that is generated from them.
type quarter struct {
	tb        testing.TB
	asOf      [3]chain.Date
	opening   money.Int128
	closing   [3]money.Int128 // as the bank states it
	bank      []match.Line
	statement map[string]int // of a line of the bank
	ledger    []match.Line
	decisions [3][]match.Decision // made after the statement before
	used      map[string]bool
	entries   int64
	seen      map[string]chain.Date
	key       [3]map[string]string // what each group is, by its id, for all but plain matches
}

// taken is in the statement of November: a payment that the bank takes back, which leaves its closing balance as it is.
const taken = `<Ntry><Amt Ccy="EUR">4321.09</Amt><CdtDbtInd>CRDT</CdtDbtInd><Sts>BOOK</Sts><BookgDt><Dt>2024-11-14</Dt></BookgDt><NtryDtls><TxDtls><Refs><EndToEndId>ASTRAY1</EndToEndId></Refs></TxDtls></NtryDtls></Ntry>
<Ntry><Amt Ccy="EUR">4321.09</Amt><CdtDbtInd>DBIT</CdtDbtInd><RvslInd>true</RvslInd><Sts>BOOK</Sts><BookgDt><Dt>2024-11-15</Dt></BookgDt><NtryDtls><TxDtls><Refs><EndToEndId>ASTRAY1</EndToEndId></Refs></TxDtls></NtryDtls></Ntry></Stmt>`

func readQuarter(tb testing.TB) *quarter {
	tb.Helper()
	q := &quarter{tb: tb, statement: map[string]int{}, used: map[string]bool{}, seen: map[string]chain.Date{}, key: [3]map[string]string{{}, {}, {}}}
	for n, name := range []string{"account_statement-3.xml", "BE68793230773034-202411.xml", "BE68793230773034-202412.xml"} {
		content, err := os.ReadFile(samples.Path(tb, "statements/"+name))
		if err != nil {
			tb.Fatal(err)
		}
		file := string(content)
		if n == 1 {
			file = strings.Replace(file, "</Stmt>", taken, 1)
		}
		v, err := bankfile.Foot(strings.NewReader(file), bankfile.Options{}, nil, bankfile.Receiver{Line: func(_ *bankfile.Statement, l *bankfile.Line) error {
			q.take(n, l)
			return nil
		}})
		if err != nil || !v.Accepted() {
			tb.Fatalf("%s is not accepted: %v %s", name, err, v.Quarantined())
		}
		s := v.Statements[0].Statement
		if n == 0 {
			q.opening = s.Opening.Amount.Units
		}
		q.closing[n], q.asOf[n] = s.Closing.Amount.Units, day(tb, string(s.To))
	}
	return q
}

// take keeps a line of the bank, and posts it in the ledger on the same day, or on the first of the statement's month.
func (q *quarter) take(n int, l *bankfile.Line) {
	b := match.Line{ID: fmt.Sprintf("bank:%d/%d", n, l.Index), Side: match.Bank, Booked: day(q.tb, string(l.BookingDate)), Units: l.Signed(), Currency: l.Amount.Currency.Code,
		Scale: l.Amount.Currency.Scale, Reversal: l.Reversal, References: map[string][]string{"end_to_end": {l.References.EndToEnd}, "transaction": {l.References.Transaction}}}
	q.bank = append(q.bank, b)
	q.statement[b.ID] = n
	if l.References.EndToEnd != "ASTRAY1" {
		q.post(max(b.Booked, day(q.tb, []string{"2024-10-01", "2024-11-01", "2024-12-01"}[n])), b.Units, l.References.EndToEnd)
	}
}

func (q *quarter) post(booked chain.Date, units money.Int128, reference string) *match.Line {
	q.entries++
	q.ledger = append(q.ledger, match.Line{ID: fmt.Sprintf("ledger:%d/0", q.entries), Side: match.Ledger, Booked: booked, Units: units, Currency: "EUR", Scale: 2,
		Entry: q.entries, References: map[string][]string{"reference": {reference}, "request_id": {fmt.Sprintf("0192f3a4-b5c6-7d8e-9fa0-%012d", q.entries)}}})
	return &q.ledger[len(q.ledger)-1]
}

func (q *quarter) units(amount string) money.Int128 {
	units, err := money.FromDecimal(decimal.RequireFromString(amount), 2)
	if err != nil {
		q.tb.Fatal(err)
	}
	return units
}

func (q *quarter) plus(a, b money.Int128) money.Int128 {
	sum, ok := a.Add(b)
	if !ok {
		q.tb.Fatal("out of range")
	}
	return sum
}

// pick returns a line of the bank of that day, whose reference and amount stand nowhere else, and its posting.
func (q *quarter) pick(on string) (bank, ledger *match.Line) {
	for i := range q.bank {
		b := &q.bank[i]
		alone := !slices.ContainsFunc(q.bank, func(o match.Line) bool {
			return o.ID != b.ID && (o.Units == b.Units || o.References["end_to_end"][0] == b.References["end_to_end"][0])
		})
		if b.Booked == day(q.tb, on) && alone && !q.used[b.ID] {
			q.used[b.ID] = true
			return b, q.posting(b.References["end_to_end"][0])
		}
	}
	q.tb.Fatalf("there is no line of %s left", on)
	return nil, nil
}

func (q *quarter) posting(reference string) *match.Line {
	i := slices.IndexFunc(q.ledger, func(l match.Line) bool { return slices.Contains(l.References["reference"], reference) })
	if i < 0 {
		q.tb.Fatalf("there is no posting of %s", reference)
	}
	return &q.ledger[i]
}

func (q *quarter) remove(id string) {
	q.ledger = slices.DeleteFunc(q.ledger, func(l match.Line) bool { return l.ID == id })
}

// expect writes into the key what the lines are from one statement on, up to another: status, how, rule.
func (q *quarter) expect(from, to int, what string, lines ...string) {
	for n := from; n <= to; n++ {
		q.key[n][match.GroupID(lines)] = what
	}
}

func what(g *match.Group) string {
	return strings.Join(strings.Fields(fmt.Sprint(g.Status, " ", g.How, " ", g.Rule)), " ")
}

// input is what there is to match at a statement.
func (q *quarter) input(n int) match.Input {
	in := match.Input{Account: "bank:eur", AsOf: q.asOf[n], Calendar: weekdays(q.tb), Rules: fees(q.tb), FirstSeen: func(id string) (chain.Date, bool) {
		d, ok := q.seen[id]
		return d, ok
	}}
	euro := match.Balance{Currency: "EUR", Scale: 2, BankOpening: q.opening, BankClosing: q.closing[n], LedgerOpening: q.opening, LedgerClosing: q.opening}
	dollar := match.Balance{Currency: "USD", Scale: 2}
	for _, b := range q.bank {
		if q.statement[b.ID] <= n {
			in.Bank = append(in.Bank, b)
		}
	}
	for _, l := range q.ledger {
		if l.Booked > q.asOf[n] {
			continue
		}
		in.Ledger = append(in.Ledger, l)
		if l.Currency == "USD" {
			dollar.LedgerClosing = q.plus(dollar.LedgerClosing, l.Units)
		} else {
			euro.LedgerClosing = q.plus(euro.LedgerClosing, l.Units)
		}
	}
	in.Balances = []match.Balance{euro, dollar}
	for s := range n + 1 {
		in.Decisions = append(in.Decisions, q.decisions[s]...)
	}
	return in
}

// plant puts forty breaks into the ledger, and what is to be found into the key: for each statement the status of every group
// that is no plain match.
func (q *quarter) plant() (planted int) {
	month := func(on string) int { return int(on[6] - '0') } // of 2024-1x: 0, 1 or 2
	each := func(days []string, do func(n int, on string, b, l *match.Line)) {
		for _, on := range days {
			b, l := q.pick(on)
			do(month(on), on, b, l)
			planted++
		}
	}
	each([]string{"2024-10-03", "2024-10-17", "2024-11-07", "2024-12-05"}, func(n int, _ string, b, l *match.Line) { // not posted
		q.remove(l.ID)
		q.expect(n, 2, "unmatched_bank", b.ID)
	})
	each([]string{"2024-10-04", "2024-10-18", "2024-11-08", "2024-12-06"}, func(n int, on string, _, _ *match.Line) { // posted only
		x := q.post(day(q.tb, on), q.units("77777."+on[8:]), "ONLY"+on)
		q.expect(n, 2, "unmatched_ledger", x.ID)
	})
	each([]string{"2024-10-05", "2024-10-19", "2024-11-09", "2024-12-07"}, func(n int, _ string, b, l *match.Line) { // another amount
		l.Units = q.plus(l.Units, q.units("1.23"))
		q.expect(n, 2, "amount_mismatch end-to-end", b.ID, l.ID)
	})
	each([]string{"2024-10-06", "2024-11-10", "2024-12-09"}, func(n int, _ string, b, l *match.Line) { // another currency
		l.Currency = "USD"
		q.expect(n, 2, "currency_mismatch end-to-end", b.ID, l.ID)
	})
	each([]string{"2024-10-07", "2024-11-11", "2024-12-12"}, func(n int, _ string, b, l *match.Line) { // the other side
		l.Units, _ = l.Units.Neg()
		q.expect(n, 2, "side_mismatch end-to-end", b.ID, l.ID)
	})
	each([]string{"2024-10-24", "2024-11-14", "2024-12-10"}, func(n int, on string, b, l *match.Line) { // posted three weeks before
		l.Booked -= 21
		if on != "2024-10-24" && l.Booked <= q.asOf[n-1] {
			q.expect(n-1, n-1, "unmatched_ledger", l.ID)
		}
		q.expect(n, 2, "date_drift end-to-end", b.ID, l.ID)
	})
	each([]string{"2024-10-08", "2024-11-15", "2024-12-13"}, func(n int, _ string, b, l *match.Line) { // posted twice
		x := q.post(l.Booked+1, l.Units, l.References["reference"][0])
		q.expect(n, 2, "duplicate_ledger", x.ID)
	})
	each([]string{"2024-10-10", "2024-11-16", "2024-12-14"}, func(n int, _ string, b, l *match.Line) { // less a fee
		l.Units = q.plus(l.Units, q.units("0.30"))
		q.expect(n, 2, "suggested tolerance fee", b.ID, l.ID)
	})
	each([]string{"2024-11-01"}, func(n int, _ string, _, l *match.Line) { // posted the day before, in the month before
		l.Booked = q.asOf[n-1]
		q.expect(n-1, n-1, "timing", l.ID)
	})
	each([]string{"2024-10-31"}, func(n int, _ string, b, l *match.Line) { // posted the day after, in the month after
		l.Booked = q.asOf[n] + 1
		q.expect(n, n, "timing", b.ID)
	})
	each([]string{"2024-12-29"}, func(n int, _ string, b, l *match.Line) { // not yet posted
		q.remove(l.ID)
		q.expect(n, 2, "timing", b.ID)
	})
	each([]string{"2024-10-11"}, func(n int, _ string, b, l *match.Line) { // two could be meant
		l.References = nil
		x := q.post(l.Booked+3, l.Units, "")
		q.expect(n, 2, "suggested exact amount-and-date", b.ID, l.ID)
		q.expect(n, 2, "unmatched_ledger", x.ID)
	})
	each([]string{"2024-11-17"}, func(n int, _ string, b, l *match.Line) { // posted in two parts that say nothing
		l.References, l.Units = nil, q.plus(l.Units, q.units("3.77"))
		id := l.ID
		x := q.post(l.Booked, q.units("-3.77"), "")
		q.expect(n, 2, "suggested grouped subset", b.ID, id, x.ID)
	})
	each([]string{"2024-10-12"}, func(n int, _ string, _, l *match.Line) { // posted and taken back
		x := q.post(l.Booked, q.units("555.55"), "WRONG")
		id := x.ID
		y := q.post(l.Booked+2, q.units("-555.55"), "RIGHT")
		y.Reverses = id
		q.expect(n, 2, "reversed_pair", id, y.ID)
	})
	each([]string{"2024-10-13", "2024-12-17"}, func(n int, _ string, b, l *match.Line) { // written off: a month later, at once
		q.remove(l.ID)
		booked, step := b.Booked+4, n
		if n == 0 {
			q.expect(0, 0, "unmatched_bank", b.ID)
			booked, step = q.asOf[0]+10, 1
		}
		x := q.post(booked, b.Units, "")
		entry := x.Entry
		q.decisions[step] = append(q.decisions[step], match.Decision{Seq: int64(10 + n), Action: match.DoWriteOff, Lines: []string{b.ID}, Entry: &entry})
		q.expect(step, 2, "written_off by hand", b.ID, x.ID)
	})
	each([]string{"2024-10-14"}, func(n int, _ string, b, l *match.Line) { // carried since November
		q.remove(l.ID)
		q.expect(0, 0, "unmatched_bank", b.ID)
		q.decisions[1] = append(q.decisions[1], match.Decision{Seq: 15, Action: match.DoCarry, Lines: []string{b.ID}})
		q.expect(1, 2, "carried", b.ID)
	})
	find := func(reference string) (found []string) {
		for _, b := range q.bank {
			if b.References["end_to_end"][0] == reference {
				found = append(found, b.ID)
			}
		}
		slices.Sort(found)
		return found
	}
	// The statement of December has payments twice under one reference, and some were posted once only.
	for _, reference := range []string{"E2ETRFLPDAH10907224", "E2EWEFPEIXU53612854", "E2ESEPXTHGM69628682"} {
		q.remove(q.posting(reference).ID)
		q.expect(2, 2, "duplicate_bank", find(reference)[1])
		planted++
	}
	q.expect(1, 2, "reversed_pair", find("ASTRAY1")...) // the bank took it back
	planted++
	return planted
}

func TestThreeStatementsReconcileToTheKey(t *testing.T) {
	t.Parallel()
	q := readQuarter(t)
	if n := q.plant(); n != 40 {
		t.Fatalf("%d breaks are planted", n)
	}
	met := map[match.Status]bool{}
	for n := range q.closing {
		in := q.input(n)
		r := run(t, in)
		q.prove(r, n)
		found := map[string]bool{}
		for i := range r.Groups {
			g := &r.Groups[i]
			met[g.Status] = true
			is := what(g)
			if is == "matched exact end-to-end" && q.key[n][g.ID] == "" {
				continue
			}
			found[g.ID] = true
			if want := q.key[n][g.ID]; is != want {
				t.Errorf("as of %s: %s and %s are %q, want %q", q.asOf[n], g.Bank, g.Ledger, is, want)
			}
		}
		for id, want := range q.key[n] {
			if !found[id] {
				t.Errorf("as of %s: %q is not found", q.asOf[n], want)
			}
		}
		if len(r.Troubles)+len(r.Notes) > 0 {
			t.Errorf("as of %s: %v %v", q.asOf[n], r.Troubles, r.Notes)
		}
		q.age(r, n)
		for range 5 {
			rand.Shuffle(len(in.Bank), func(i, j int) { in.Bank[i], in.Bank[j] = in.Bank[j], in.Bank[i] })
			rand.Shuffle(len(in.Ledger), func(i, j int) { in.Ledger[i], in.Ledger[j] = in.Ledger[j], in.Ledger[i] })
			rand.Shuffle(len(in.Decisions), func(i, j int) { in.Decisions[i], in.Decisions[j] = in.Decisions[j], in.Decisions[i] })
			again := run(t, in)
			if !reflect.DeepEqual(again.Groups, r.Groups) || !reflect.DeepEqual(again.Proofs, r.Proofs) || !reflect.DeepEqual(again.Totals, r.Totals) {
				t.Errorf("as of %s: another order of the input gives another result", q.asOf[n])
			}
		}
		for i := range r.Groups {
			if g := &r.Groups[i]; g.Open() {
				q.seen[g.ID] = g.Break.FirstSeen
			}
		}
	}
	for _, status := range match.Statuses {
		if !met[status] {
			t.Errorf("no group is %s", status)
		}
	}
}

// prove adds up the open breaks by itself, from the lines, against the closing balance that the bank states.
func (q *quarter) prove(r *match.Result, n int) {
	euro := q.closing[n]
	minus := func(units money.Int128) {
		back, _ := units.Neg()
		euro = q.plus(euro, back)
	}
	minus(q.opening)
	for _, l := range q.ledger {
		if l.Booked <= q.asOf[n] && l.Currency == "EUR" {
			minus(l.Units)
		}
	}
	difference := euro
	for i := range r.Groups {
		if !r.Groups[i].Open() {
			continue
		}
		for _, id := range slices.Concat(r.Groups[i].Bank, r.Groups[i].Ledger) {
			switch l, _ := r.Line(id); {
			case l.Currency != "EUR":
			case l.Side == match.Bank:
				minus(l.Units)
			default:
				euro = q.plus(euro, l.Units)
			}
		}
	}
	if !euro.IsZero() || difference.IsZero() || r.Proofs[0].Difference != difference {
		q.tb.Errorf("as of %s: bank less ledger is %s, of which the open breaks leave %s", q.asOf[n], difference.Format(2), euro.Format(2))
	}
}

// age checks what is known of the breaks over time.
func (q *quarter) age(r *match.Result, n int) {
	for i := range r.Groups {
		g := &r.Groups[i]
		if g.Break == nil {
			if g.Open() {
				q.tb.Errorf("as of %s: %s is open and no break", q.asOf[n], g.ID)
			}
			continue
		}
		if seen, before := q.seen[g.ID]; before && (g.Break.New || g.Break.FirstSeen != seen) || g.Break.FirstSeen > q.asOf[n] {
			q.tb.Errorf("as of %s: %s was first seen %s, and is said to be first seen %s", q.asOf[n], g.ID, seen, g.Break.FirstSeen)
		}
		if g.Break.Age < 0 || g.Break.Bucket == "" || g.Break.Cause == "" {
			q.tb.Errorf("as of %s: %s stands as %+v", q.asOf[n], g.ID, g.Break)
		}
	}
}
