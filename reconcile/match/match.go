package match

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"tallystick/ledger/chain"
	"tallystick/ledger/money"
)

// Match groups the lines of both sides and proves that the groups explain the difference of the balances. The same
// input in any order gives the same result. An error says that the input contradicts itself; what merely does not agree is in the result.
func Match(in Input) (*Result, error) {
	b, err := prepare(&in)
	if err != nil {
		return nil, err
	}
	for _, step := range []func() error{b.decide, b.run, b.diagnose} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	b.leave()
	r := &Result{Account: in.Account, Troubles: b.troubles, Notes: b.notes, found: b}
	if err := b.finish(r); err != nil {
		return nil, err
	}
	r.Placement = b.place(r.Groups)
	if err := b.prove(r); err != nil {
		return nil, err
	}
	return r, nil
}

// leave makes each line that is still open a group of its own, and says of the groups that stay open whether they are carried.
func (b *book) leave() {
	transit := b.in.Rules.TransitDays()
	for i := range int32(len(b.lines)) {
		if !b.open(i) {
			continue
		}
		status := UnmatchedBank
		if b.sideOf(i) == Ledger {
			status = UnmatchedLedger
		}
		if b.age(b.lines[i].Booked) <= transit {
			status = Timing
		}
		b.form(draft{status: status, lines: []int32{i}, repeats: none})
	}
	if len(b.marks) == 0 {
		return
	}
	for g := range b.drafts {
		d := &b.drafts[g]
		first := b.marks[d.lines[0]]
		if d.status.Settled() || first == nil || first.carried == nil {
			continue
		}
		together := !slices.ContainsFunc(d.lines, func(line int32) bool {
			m := b.marks[line]
			return m == nil || m.carried == nil || *m.carried != *first.carried
		})
		if together && (first.until == nil || *first.until >= b.in.AsOf) {
			d.status = Carried
		}
	}
}

// age counts the business days after a line's booking date up to the as-of date.
func (b *book) age(booked chain.Date) int { return int(b.days[b.in.AsOf] - b.days[booked]) }

// finish writes the groups, by their first lines.
func (b *book) finish(r *Result) error {
	order := make([]int32, len(b.drafts))
	for g := range order {
		order[g] = int32(g)
	}
	slices.SortFunc(order, func(x, y int32) int { return cmp.Compare(b.drafts[x].lines[0], b.drafts[y].lines[0]) })
	r.Groups = make([]Group, len(order))
	b.placed = make([]int32, len(b.lines))
	totals := map[Status]map[string]*Total{}
	for n, g := range order {
		d := &b.drafts[g]
		for _, line := range d.lines {
			b.placed[line] = int32(n)
		}
		if err := b.write(&r.Groups[n], d); err != nil {
			return err
		}
		if err := b.total(totals, &r.Groups[n]); err != nil {
			return err
		}
	}
	for _, status := range Statuses {
		currencies := make([]string, 0, len(totals[status]))
		for currency := range totals[status] {
			currencies = append(currencies, currency)
		}
		slices.Sort(currencies)
		for _, currency := range currencies {
			r.Totals = append(r.Totals, *totals[status][currency])
		}
	}
	return nil
}

func (b *book) write(g *Group, d *draft) error {
	*g = Group{Status: d.status, How: d.how, Rule: d.rule, Choices: d.choices, Booking: d.booking, Entry: d.entry}
	if d.repeats != none {
		g.Repeats = b.lines[d.repeats].ID
	}
	for _, line := range d.lines {
		if l := &b.lines[line]; l.Side == Bank {
			g.Bank = append(g.Bank, l.ID)
		} else {
			g.Ledger = append(g.Ledger, l.ID)
		}
		if err := b.add(g, &b.lines[line]); err != nil {
			return err
		}
	}
	slices.SortFunc(g.Amounts, func(x, y Amount) int { return cmp.Compare(x.Currency, y.Currency) })
	g.ID = GroupID(b.ids(d.lines))
	b.decided(g, d)
	byRule := d.seq == nil && (d.status == Matched || d.status == ReversedPair)
	if !byRule {
		g.Break = b.standing(g, d)
	}
	return nil
}

// add counts a line in the amounts of a group.
func (b *book) add(g *Group, l *Line) error {
	i := slices.IndexFunc(g.Amounts, func(a Amount) bool { return a.Currency == l.Currency })
	if i < 0 {
		i = len(g.Amounts)
		g.Amounts = append(g.Amounts, Amount{Currency: l.Currency, Scale: l.Scale})
	}
	a := &g.Amounts[i]
	var inRange, also bool
	if l.Side == Bank {
		a.Bank, inRange = a.Bank.Add(l.Units)
	} else {
		a.Ledger, inRange = a.Ledger.Add(l.Units)
	}
	a.Difference, also = a.Bank.Sub(a.Ledger)
	if !inRange || !also {
		return fmt.Errorf("matching account %s: adding line %q: the sum is out of range", b.in.Account, l.ID)
	}
	return nil
}

// GroupID returns the id of a group of lines: what they are called decides, not what they are found to be.
func GroupID(lines []string) string {
	sorted := slices.Clone(lines)
	slices.Sort(sorted)
	var text strings.Builder
	for _, id := range sorted {
		fmt.Fprintf(&text, "%d:%s,", len(id), id)
	}
	sum := sha256.Sum256([]byte(text.String()))
	return hex.EncodeToString(sum[:16])
}

func (b *book) decided(g *Group, d *draft) {
	if d.seq != nil {
		g.Decided = append(g.Decided, *d.seq)
	}
	for _, line := range d.lines {
		if m := b.marks[line]; m != nil {
			g.Decided = append(g.Decided, m.decided...)
		}
		for _, n := range b.bans[line] {
			g.Decided = append(g.Decided, b.parts[n])
		}
	}
	slices.Sort(g.Decided)
	g.Decided = slices.Compact(g.Decided)
}

// standing says what is known of a break. It was first seen when any of its lines was first reported alone, or the group.
func (b *book) standing(g *Group, d *draft) *Standing {
	s := &Standing{FirstSeen: b.in.AsOf, New: true, Since: b.lines[d.lines[0]].Booked, Cause: b.cause(d)}
	seen := func(id string) {
		if b.in.FirstSeen == nil {
			return
		}
		if day, ok := b.in.FirstSeen(id); ok && day <= s.FirstSeen {
			s.FirstSeen, s.New = day, false
		}
	}
	seen(g.ID)
	var owner, cause, note said
	for _, line := range d.lines {
		s.Since = min(s.Since, b.lines[line].Booked)
		if len(d.lines) > 1 {
			seen(GroupID([]string{b.lines[line].ID}))
		}
		if m := b.marks[line]; m != nil {
			owner, cause, note = later(owner, m.owner), later(cause, m.cause), later(note, m.note)
		}
	}
	s.Owner, s.Cause, s.Note = owner.text, cmp.Or(cause.text, s.Cause), note.text
	s.Age = b.age(s.Since)
	s.Bucket = BucketOf(s.Age)
	return s
}

// cause says in words what a status means for these lines.
func (b *book) cause(d *draft) string {
	first, last := &b.lines[d.lines[0]], &b.lines[d.lines[len(d.lines)-1]]
	days := b.apart(d.lines[0], d.lines[len(d.lines)-1])
	switch d.status {
	case Suggested:
		switch {
		case d.booking != nil:
			return fmt.Sprintf("same reference; %s %s apart, within the tolerance", d.booking.Units.Format(d.booking.Scale), d.booking.Currency)
		case d.choices > 1:
			return fmt.Sprintf("the amount fits, and so do others: %d could be meant", d.choices)
		case d.how == Grouped:
			return "the amounts add up"
		}
		return "rule " + d.rule + " only suggests"
	case AmountMismatch:
		if d.rule == ByHand {
			return "matched by hand, and the lines do not add up"
		}
		return "same reference, different amounts"
	case CurrencyMismatch:
		return fmt.Sprintf("same reference, %s at the bank and %s in the ledger", first.Currency, last.Currency)
	case SideMismatch:
		return "same amount, opposite direction"
	case DateDrift:
		return fmt.Sprintf("same reference and amount, %d business days apart", days)
	case DuplicateBank, DuplicateLedger:
		return "says again what " + b.lines[d.repeats].ID + " says"
	case UnmatchedBank:
		return "at the bank, not in the ledger"
	case UnmatchedLedger:
		return "in the ledger, not at the bank"
	case Timing:
		return "on its way: booked on one side within the transit days"
	case WrittenOff:
		return "written off"
	case Carried:
		return "carried forward by decision"
	}
	return "matched by hand"
}

func (b *book) total(totals map[Status]map[string]*Total, g *Group) error {
	for _, a := range g.Amounts {
		if totals[g.Status] == nil {
			totals[g.Status] = map[string]*Total{}
		}
		t := totals[g.Status][a.Currency]
		if t == nil {
			t = &Total{Status: g.Status, Amount: Amount{Currency: a.Currency, Scale: a.Scale}}
			totals[g.Status][a.Currency] = t
		}
		t.Groups++
		sum := func(to *money.Int128, units money.Int128) bool {
			var ok bool
			*to, ok = to.Add(units)
			return ok
		}
		if !sum(&t.Amount.Bank, a.Bank) || !sum(&t.Amount.Ledger, a.Ledger) || !sum(&t.Amount.Difference, a.Difference) {
			return fmt.Errorf("matching account %s: adding group %s: the sum is out of range", b.in.Account, g.ID)
		}
	}
	for _, id := range slices.Concat(g.Bank, g.Ledger) {
		totals[g.Status][b.lines[b.byID[id]].Currency].Lines++
	}
	return nil
}
