package match

import (
	"cmp"
	"fmt"
	"slices"

	"tallystick/ledger/chain"
	"tallystick/ledger/money"
)

// mark is what decisions say about a line, besides what it is matched with.
type mark struct {
	owner, cause, note said
	carried            *int64 // the decision
	until              *chain.Date
	decided            []int64
}

// said is a text and the decision that says it.
type said struct {
	text string
	seq  int64
}

// later returns the one that was said last.
func later(x, y said) said {
	if y.seq > x.seq {
		return y
	}
	return x
}

// byHand is a group that a decision made; gone when a later one took a line of it.
type byHand struct {
	decision *Decision
	lines    []int32
	gone     bool
}

// decide applies the decisions in their order.
func (b *book) decide() error {
	if len(b.in.Decisions) > MaxDecisions {
		return fmt.Errorf("matching account %s: %d decisions, at most %d are applied", b.in.Account, len(b.in.Decisions), MaxDecisions)
	}
	decisions := slices.Clone(b.in.Decisions)
	slices.SortFunc(decisions, func(x, y Decision) int { return cmp.Compare(x.Seq, y.Seq) })
	entries := map[int64][]int32{}
	for i := b.middle; i < int32(len(b.lines)); i++ {
		entries[b.lines[i].Entry] = append(entries[b.lines[i].Entry], i)
	}
	var made []*byHand
	holds := map[int32]*byHand{}
	for i := range decisions {
		d := &decisions[i]
		if i > 0 && decisions[i-1].Seq == d.Seq {
			return fmt.Errorf("matching account %s: two decisions have the number %d", b.in.Account, d.Seq)
		}
		lines, ok := b.subjects(d, entries)
		if !ok {
			continue
		}
		switch d.Action {
		case DoMatch, DoAccept, DoWriteOff:
			if !b.single(d, lines) {
				continue
			}
			release(holds, lines)
			h := &byHand{decision: d, lines: lines}
			made = append(made, h)
			for _, line := range lines {
				holds[line] = h
			}
		case DoUnmatch:
			b.part(d, lines, release(holds, lines))
		default:
			b.mark(d, lines)
		}
	}
	for _, h := range made {
		if !h.gone {
			if err := b.formByHand(h); err != nil {
				return err
			}
		}
	}
	return nil
}

// subjects returns the lines of a decision, with those of its entry where it forms a group.
func (b *book) subjects(d *Decision, entries map[int64][]int32) ([]int32, bool) {
	var lines []int32
	var absent []string
	for _, id := range d.Lines {
		if i, there := b.byID[id]; there {
			lines = append(lines, i)
		} else {
			absent = append(absent, id)
		}
	}
	switch {
	case d.Seq < 1:
		b.trouble(d, "its number is not positive", nil)
		return nil, false
	case !slices.Contains([]Action{DoMatch, DoAccept, DoUnmatch, DoWriteOff, DoCarry, DoAssign, DoNote}, d.Action):
		b.trouble(d, "it is no action that is known here", nil)
		return nil, false
	case len(d.Lines) == 0:
		b.trouble(d, "it names no line", nil)
		return nil, false
	case len(absent) > 0:
		b.trouble(d, fmt.Sprintf("%d of its lines are not among those matched", len(absent)), absent)
		return nil, false
	case len(lines) > MaxGroup:
		b.trouble(d, fmt.Sprintf("it names %d lines, at most %d are one group", len(lines), MaxGroup), nil)
		return nil, false
	}
	if d.Action == DoWriteOff && d.Entry == nil {
		b.trouble(d, "it names no entry that settles it", nil)
		return nil, false
	}
	if d.Entry != nil && (d.Action == DoMatch || d.Action == DoAccept || d.Action == DoWriteOff) {
		if len(entries[*d.Entry]) == 0 {
			b.trouble(d, fmt.Sprintf("entry %d, which settles it, has no posting on the account up to the as-of date", *d.Entry), nil)
			return nil, false
		}
		lines = append(lines, entries[*d.Entry]...)
	}
	slices.Sort(lines)
	return slices.Compact(lines), true
}

// single says whether the lines can be one group at all: more than one of them, in one currency.
func (b *book) single(d *Decision, lines []int32) bool {
	if len(lines) < 2 {
		b.trouble(d, "a group by hand has more than one line", nil)
		return false
	}
	for _, line := range lines[1:] {
		if b.lines[line].Currency != b.lines[lines[0]].Currency {
			b.trouble(d, fmt.Sprintf("its lines are in %s and in %s, and no match crosses currencies", b.lines[lines[0]].Currency, b.lines[line].Currency), nil)
			return false
		}
	}
	return true
}

// release dissolves the groups that hold any of the lines and returns all their lines.
func release(holds map[int32]*byHand, lines []int32) []int32 {
	var freed []int32
	for _, line := range lines {
		if h := holds[line]; h != nil {
			h.gone = true
			for _, other := range h.lines {
				delete(holds, other)
			}
			freed = append(freed, h.lines...)
		}
	}
	return freed
}

func (b *book) part(d *Decision, lines, freed []int32) {
	lines = append(slices.Clone(lines), freed...)
	slices.Sort(lines)
	lines = slices.Compact(lines)
	if len(lines) < 2 {
		b.trouble(d, "it names one line, which no decision had matched: name the lines that do not belong together", nil)
		return
	}
	b.parts = append(b.parts, d.Seq)
	for _, line := range lines {
		b.bans[line] = append(b.bans[line], int32(len(b.parts)-1))
	}
}

func (b *book) mark(d *Decision, lines []int32) {
	for _, line := range lines {
		m := b.marks[line]
		if m == nil {
			m = &mark{}
			b.marks[line] = m
		}
		m.decided = append(m.decided, d.Seq)
		switch d.Action {
		case DoAssign:
			m.owner, m.cause = said{d.Owner, d.Seq}, said{d.Cause, d.Seq}
		case DoNote:
			m.note = said{d.Note, d.Seq}
		case DoCarry:
			m.carried, m.until = &d.Seq, d.Until
		}
	}
}

// formByHand makes a group of a decision. Where its lines do not add up, it stays an open break.
func (b *book) formByHand(h *byHand) error {
	bank, ledger, err := b.sums(h.lines)
	if err != nil {
		return err
	}
	banks := 0
	for _, line := range h.lines {
		if line < b.middle {
			banks++
		}
	}
	oneSided := banks == 0 || banks == len(h.lines)
	d := draft{lines: h.lines, rule: ByHand, entry: h.decision.Entry, seq: &h.decision.Seq, repeats: none, how: Grouped}
	switch {
	case bank != ledger:
		d.status = AmountMismatch
		if !oneSided && bank.Sign()*ledger.Sign() < 0 {
			d.status = SideMismatch
		}
		left, _ := bank.Sub(ledger)
		l := &b.lines[h.lines[0]]
		b.trouble(h.decision, fmt.Sprintf("its lines do not add up: %s %s stays open", left.Format(l.Scale), l.Currency), b.ids(h.lines))
	case h.decision.Action == DoWriteOff:
		d.status = WrittenOff
	case oneSided:
		d.status = ReversedPair
	default:
		d.status = Matched
	}
	switch {
	case h.decision.Entry != nil && d.status == Matched:
		d.how = Tolerance
	case banks == 1 && len(h.lines) == 2:
		d.how = Exact
	}
	if !d.status.Settled() || d.status == ReversedPair || d.status == WrittenOff {
		d.how = ""
	}
	b.form(d)
	return nil
}

// sums adds up the lines of each side, which are in one currency.
func (b *book) sums(lines []int32) (bank, ledger money.Int128, err error) {
	for _, line := range lines {
		sum := &ledger
		if line < b.middle {
			sum = &bank
		}
		var ok bool
		if *sum, ok = sum.Add(b.lines[line].Units); !ok {
			return bank, ledger, fmt.Errorf("matching account %s: adding line %q: the sum is out of range", b.in.Account, b.lines[line].ID)
		}
	}
	if _, ok := bank.Sub(ledger); !ok {
		return bank, ledger, fmt.Errorf("matching account %s: the difference of line %q is out of range", b.in.Account, b.lines[lines[0]].ID)
	}
	return bank, ledger, nil
}

func (b *book) ids(lines []int32) []string {
	ids := make([]string, len(lines))
	for i, line := range lines {
		ids[i] = b.lines[line].ID
	}
	return ids
}

func (b *book) trouble(d *Decision, why string, lines []string) {
	slices.Sort(lines)
	b.troubles = append(b.troubles, Trouble{Seq: d.Seq, Action: d.Action, Why: why, Lines: lines})
}
