package match

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"tallystick/ledger/chain"
	"tallystick/ledger/money"
)

// entry says that a line has a value under a name. Those of a name are sorted by value, then as the lines are.
type entry struct {
	value int32
	line  int32
}

// index holds the entries of one name on one side: single those of lines that have one value under it, all of all.
type index struct {
	single, all []entry
}

// book is the state of one Match. Lines are in canonical order and known by their place in it.
type book struct {
	in     *Input
	lines  []Line
	middle int32   // the first line of the ledger
	day    []int32 // business days from the first date, so that differences are those of Calendar.Between
	days   map[chain.Date]int32
	byID   map[string]int32
	scales map[string]uint8

	values map[string]int32
	named  [2]map[string]*index // by side: of each name of a reference
	own    [][]int32            // values of a line under any name, sorted
	any    [2]*index            // values under any name, by side
	ties   [2]*ties             // values under the names of rules that go by reference
	reach  int                  // the widest window of those rules

	group  []int32 // of a line, an index of drafts; open while none
	drafts []draft
	bans   map[int32][]int32 // of a line, the indexes in parts of the decisions that part it from others
	parts  []int64
	marks  map[int32]*mark // what decisions say about a line
	placed []int32         // of a line, an index of the result's groups

	troubles []Trouble
	notes    []string
	steps    int // lines looked at, counted so that a test can tell whether a bound is missing

	once    sync.Once  // of amounts, which only explanations need
	amounts [2][]int32 // lines by currency, amount and date, by side
}

const none = -1

// draft is a group in the making.
type draft struct {
	status  Status
	how     How
	rule    string
	lines   []int32 // sorted
	choices int
	repeats int32
	booking *Booking
	entry   *int64
	seq     *int64 // the decision that made it
}

func place(s Side) int {
	if s == Bank {
		return 0
	}
	return 1
}

// prepare checks the lines, brings them into canonical order (side, currency, booking date, id) and indexes them.
func prepare(in *Input) (*book, error) {
	if n := len(in.Bank) + len(in.Ledger); n > MaxLines {
		return nil, fmt.Errorf("matching account %s: %d lines, at most %d are matched at once; match a shorter period, with the open lines brought forward", in.Account, n, MaxLines)
	}
	b := &book{in: in, scales: map[string]uint8{}, values: map[string]int32{}, bans: map[int32][]int32{}, marks: map[int32]*mark{}}
	b.lines = append(append(make([]Line, 0, len(in.Bank)+len(in.Ledger)), in.Bank...), in.Ledger...)
	for i := range b.lines {
		side := Bank
		if i >= len(in.Bank) {
			side = Ledger
		}
		if err := b.check(&b.lines[i], side); err != nil {
			return nil, fmt.Errorf("matching account %s: line %q: %w", in.Account, b.lines[i].ID, err)
		}
	}
	slices.SortFunc(b.lines, func(x, y Line) int {
		return cmp.Or(cmp.Compare(place(x.Side), place(y.Side)), cmp.Compare(x.Currency, y.Currency), cmp.Compare(x.Booked, y.Booked), cmp.Compare(x.ID, y.ID))
	})
	b.middle = int32(len(in.Bank))
	b.byID = make(map[string]int32, len(b.lines))
	for i := range b.lines {
		if _, there := b.byID[b.lines[i].ID]; there {
			return nil, fmt.Errorf("matching account %s: line %q is there twice", in.Account, b.lines[i].ID)
		}
		b.byID[b.lines[i].ID] = int32(i)
	}
	b.countDays()
	b.readReferences()
	b.group = slices.Repeat([]int32{none}, len(b.lines))
	return b, nil
}

func (b *book) check(l *Line, side Side) error {
	scale, known := b.scales[l.Currency]
	switch {
	case l.ID == "":
		return errors.New("it has no id")
	case l.Side != side:
		return fmt.Errorf("it is of side %q and stands among those of the %s", l.Side, side)
	case !money.ValidCurrencyCode(l.Currency) || l.Scale > money.MaxScale:
		return fmt.Errorf("%q with %d decimals is no currency", l.Currency, l.Scale)
	case known && scale != l.Scale:
		return fmt.Errorf("its amount has %d decimals, and others in %s have %d", l.Scale, l.Currency, scale)
	case !l.Units.InRange():
		return errors.New("its amount is out of range")
	case l.Booked > b.in.AsOf:
		return fmt.Errorf("it is booked on %s, after the as-of date %s", l.Booked, b.in.AsOf)
	}
	n := 0
	for _, values := range l.References {
		n += len(values)
	}
	if n > MaxReferences {
		return fmt.Errorf("it has %d references, at most %d are read", n, MaxReferences)
	}
	b.scales[l.Currency] = l.Scale
	return nil
}

// countDays numbers the business days once, so that comparing dates is a subtraction.
func (b *book) countDays() {
	dates := make([]chain.Date, 0, len(b.lines)+1)
	dates = append(dates, b.in.AsOf)
	for i := range b.lines {
		dates = append(dates, b.lines[i].Booked)
	}
	slices.Sort(dates)
	dates = slices.Compact(dates)
	b.days = make(map[chain.Date]int32, len(dates))
	for i, d := range dates {
		if i > 0 {
			b.days[d] = b.days[dates[i-1]] + int32(b.in.Calendar.Between(dates[i-1], d))
		}
	}
	b.day = make([]int32, len(b.lines))
	for i := range b.lines {
		b.day[i] = b.days[b.lines[i].Booked]
	}
}

// meaningless are what banks and payers write where there is no reference.
var meaningless = []string{"NOTPROVIDED", "NOTAVAILABLE", "NONREF", "NOREF", "NONE", "UNKNOWN", "N/A", "NA", "-", "0"}

// significant returns a reference as it is compared: without regard to case, white space around it, and to the hyphens of a
// UUID, which does not fit into the 35 characters of an end-to-end id with them. It is empty where the reference says nothing.
func significant(value string) string {
	v := strings.ToUpper(strings.TrimSpace(value))
	if len(v) == 36 && v[8] == '-' && v[13] == '-' && v[18] == '-' && v[23] == '-' {
		v = strings.ReplaceAll(v, "-", "")
	}
	if slices.Contains(meaningless, v) || strings.Trim(v, "0") == "" {
		return ""
	}
	return v
}

func (b *book) readReferences() {
	b.named = [2]map[string]*index{{}, {}}
	b.own = make([][]int32, len(b.lines))
	for i := range b.lines {
		l := &b.lines[i]
		names := make([]string, 0, len(l.References))
		for name := range l.References {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			b.readValues(int32(i), name, l.References[name])
		}
		slices.Sort(b.own[i])
		b.own[i] = slices.Compact(b.own[i])
	}
	for side := range b.named {
		for _, x := range b.named[side] {
			b.sort(x)
		}
		b.any[side] = b.union(side, func(string) bool { return true })
	}
	b.tie()
}

func (b *book) readValues(line int32, name string, texts []string) {
	side := place(b.lines[line].Side)
	var values []int32
	for _, text := range texts {
		v := significant(text)
		if v == "" {
			continue
		}
		number, known := b.values[v]
		if !known {
			number = int32(len(b.values))
			b.values[v] = number
		}
		values = append(values, number)
	}
	slices.Sort(values)
	values = slices.Compact(values)
	if len(values) == 0 {
		return
	}
	x := b.named[side][name]
	if x == nil {
		x = &index{}
		b.named[side][name] = x
	}
	for _, v := range values {
		x.all = append(x.all, entry{v, line})
	}
	if len(values) == 1 {
		x.single = append(x.single, entry{values[0], line})
	}
	b.own[line] = append(b.own[line], values...)
}

// sort orders entries by value, currency, amount, then as the lines are: what could be one is side by side.
func (b *book) sort(x *index) {
	order := func(p, q entry) int {
		return cmp.Or(cmp.Compare(p.value, q.value), b.compare(p.line, q.line))
	}
	slices.SortFunc(x.single, order)
	slices.SortFunc(x.all, order)
}

// compare orders lines by currency and amount, then as they are.
func (b *book) compare(i, j int32) int {
	x, y := &b.lines[i], &b.lines[j]
	return cmp.Or(cmp.Compare(x.Currency, y.Currency), x.Units.Cmp(y.Units), cmp.Compare(i, j))
}

// union joins the indexes of names.
func (b *book) union(side int, wanted func(name string) bool) *index {
	u := &index{}
	for name, x := range b.named[side] {
		if wanted(name) {
			u.all = append(u.all, x.all...)
		}
	}
	b.sort(u)
	u.all = slices.Compact(u.all)
	return u
}

func (b *book) sideOf(line int32) Side {
	if line < b.middle {
		return Bank
	}
	return Ledger
}

func (b *book) open(line int32) bool { return b.group[line] == none }

// near says whether two lines lie at most window business days apart.
func (b *book) near(i, j int32, window int) bool { return b.apart(i, j) <= window }

func (b *book) apart(i, j int32) int {
	d := int(b.day[i]) - int(b.day[j])
	return max(d, -d)
}

// form makes a group of open lines.
func (b *book) form(d draft) {
	slices.Sort(d.lines)
	for _, line := range d.lines {
		b.group[line] = int32(len(b.drafts))
	}
	b.drafts = append(b.drafts, d)
}

// parted says whether a decision says of two lines that they are not one group.
func (b *book) parted(i, j int32) bool {
	if len(b.bans) == 0 {
		return false
	}
	return slices.ContainsFunc(b.bans[i], func(n int32) bool { return slices.Contains(b.bans[j], n) })
}

// note keeps what a bound left unsearched.
func (b *book) note(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); len(b.notes) < MaxNotes && !slices.Contains(b.notes, text) {
		b.notes = append(b.notes, text)
	}
}
