package match_test

import (
	"slices"
	"strings"
	"testing"

	"tallystick/ledger/chain"
	"tallystick/reconcile/match"
)

func decided(seq int64, action match.Action, lines string, entry ...int64) match.Decision {
	d := match.Decision{Seq: seq, Action: action, Lines: strings.Fields(lines)}
	if len(entry) > 0 {
		d.Entry = &entry[0]
	}
	return d
}

func TestDecisionsGoBeforeRules(t *testing.T) {
	t.Parallel()
	pair := []string{"b1 2024-11-29 7 EUR end_to_end=E", "l1 2024-11-29 7 EUR reference=E"}
	lone := []string{"b1 2024-11-29 7 EUR", "l1 2024-11-19 5 EUR", "l2 2024-11-20 2 EUR"}
	fee := []string{"b1 2024-11-29 9.70 EUR end_to_end=E", "l1 2024-11-29 10 EUR reference=E", "l2 2024-12-02 -0.30 EUR"}
	for _, c := range []struct {
		name      string
		lines     []string
		decisions []match.Decision
		want      []string
		troubles  []string
	}{
		{"a match", lone, []match.Decision{decided(1, match.DoMatch, "b1 l1 l2")}, []string{"matched grouped by hand: b1 l1 l2"}, nil},
		{"a match that does not add up", lone, []match.Decision{decided(1, match.DoMatch, "b1 l1")},
			[]string{"amount_mismatch by hand: b1 l1", "unmatched_ledger: l2"}, []string{"match: its lines do not add up: 2.00 EUR stays open"}},
		{"a match of opposite sides", []string{"b1 2024-11-29 7 EUR", "l1 2024-11-29 -7 EUR"}, []match.Decision{decided(1, match.DoMatch, "b1 l1")},
			[]string{"side_mismatch by hand: b1 l1"}, []string{"match: its lines do not add up: 14.00 EUR stays open"}},
		{"no match crosses currencies", []string{"b1 2024-11-29 7 EUR", "l1 2024-11-29 7 USD"}, []match.Decision{decided(1, match.DoMatch, "b1 l1")},
			[]string{"unmatched_bank: b1", "unmatched_ledger: l1"}, []string{"match: its lines are in EUR and in USD, and no match crosses currencies"}},
		{"two of one side", []string{"b1 2024-11-29 7 EUR", "b2 2024-11-29 -7 EUR"}, []match.Decision{decided(1, match.DoMatch, "b1 b2")},
			[]string{"reversed_pair by hand: b1 b2"}, nil},
		{"a later match takes the line", []string{"b1 2024-11-01 7 EUR", "b2 2024-11-12 7 EUR", "l1 2024-11-29 7 EUR"},
			[]match.Decision{decided(2, match.DoMatch, "b2 l1"), decided(1, match.DoMatch, "b1 l1")},
			[]string{"unmatched_bank: b1", "matched exact by hand: b2 l1"}, nil},
		{"what is parted stays parted", pair, []match.Decision{decided(1, match.DoUnmatch, "b1 l1")},
			[]string{"unmatched_bank: b1", "unmatched_ledger: l1"}, nil},
		{"what is parted goes elsewhere", append([]string{"l2 2024-11-29 7 EUR reference=E"}, pair...), []match.Decision{decided(1, match.DoUnmatch, "b1 l1")},
			[]string{"matched exact end-to-end: b1 l2", "duplicate_ledger: l1"}, nil},
		{"parted, then matched", pair, []match.Decision{decided(1, match.DoUnmatch, "b1 l1"), decided(2, match.DoMatch, "b1 l1")},
			[]string{"matched exact by hand: b1 l1"}, nil},
		{"matched, then parted by one of its lines", pair, []match.Decision{decided(1, match.DoMatch, "b1 l1"), decided(2, match.DoUnmatch, "b1")},
			[]string{"unmatched_bank: b1", "unmatched_ledger: l1"}, nil},
		{"one line is not parted from itself", pair, []match.Decision{decided(1, match.DoUnmatch, "b1")},
			[]string{"matched exact end-to-end: b1 l1"}, []string{"unmatch: it names one line, which no decision had matched: name the lines that do not belong together"}},
		{"a line that a later match let go", []string{"b1 2024-11-01 7 EUR", "l1 2024-11-29 7 EUR", "l2 2024-11-29 7 EUR"},
			[]match.Decision{decided(1, match.DoMatch, "b1 l1"), decided(2, match.DoMatch, "b1 l2"), decided(3, match.DoUnmatch, "l1")},
			[]string{"matched exact by hand: b1 l2", "unmatched_ledger: l1"}, []string{"unmatch: it names one line, which no decision had matched: name the lines that do not belong together"}},
		{"a fee that is none", fee[:2], []match.Decision{decided(1, match.DoUnmatch, "b1 l1")}, []string{"unmatched_bank: b1", "unmatched_ledger: l1"}, nil},
		{"a suggestion, accepted with the fee booked", fee, []match.Decision{decided(1, match.DoAccept, "b1 l1", 2)},
			[]string{"matched tolerance by hand: b1 l1 l2"}, nil},
		{"a suggestion, accepted before the fee is booked", fee[:2], []match.Decision{decided(1, match.DoAccept, "b1 l1", 2)},
			[]string{"suggested tolerance fee: b1 l1"}, []string{"accept: entry 2, which settles it, has no posting on the account up to the as-of date"}},
		{"written off", []string{"b1 2024-11-29 7 EUR", "l9 2024-12-24 7 EUR"}, []match.Decision{decided(1, match.DoWriteOff, "b1", 9)},
			[]string{"written_off by hand: b1 l9"}, nil},
		{"a posting written off", []string{"l1 2024-11-29 7 EUR", "l9 2024-12-24 -7 EUR"}, []match.Decision{decided(1, match.DoWriteOff, "l1", 9)},
			[]string{"written_off by hand: l1 l9"}, nil},
		{"written off in part", []string{"b1 2024-11-29 7 EUR", "l9 2024-12-24 4 EUR"}, []match.Decision{decided(1, match.DoWriteOff, "b1", 9)},
			[]string{"amount_mismatch by hand: b1 l9"}, []string{"write_off: its lines do not add up: 3.00 EUR stays open"}},
		{"written off without an entry", []string{"b1 2024-11-29 7 EUR"}, []match.Decision{decided(1, match.DoWriteOff, "b1")},
			[]string{"unmatched_bank: b1"}, []string{"write_off: it names no entry that settles it"}},
		{"lines that are not there", pair, []match.Decision{decided(1, match.DoNote, "b1 b7"), decided(2, match.DoMatch, "b8 b9"), decided(3, match.DoMatch, ""), decided(4, "pray", "b1")},
			[]string{"matched exact end-to-end: b1 l1"}, []string{"note: 1 of its lines are not among those matched: b7", "match: 2 of its lines are not among those matched: b8 b9",
				"match: it names no line", "pray: it is no action that is known here"}},
		{"carried", []string{"b1 2024-11-29 7 EUR", "b2 2024-11-29 8 EUR", "l1 2024-12-31 8.25 EUR"}, []match.Decision{decided(1, match.DoCarry, "b1"), decided(2, match.DoCarry, "l1")},
			[]string{"carried: b1", "unmatched_bank: b2", "carried: l1"}, nil},
		{"what is carried still matches", pair, []match.Decision{decided(1, match.DoCarry, "b1 l1")}, []string{"matched exact end-to-end: b1 l1"}, nil},
		{"carried apart is not carried together", fee[:2], []match.Decision{decided(1, match.DoCarry, "b1"), decided(2, match.DoCarry, "l1")}, []string{"suggested tolerance fee: b1 l1"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			in := input(t, "2024-12-31", c.lines...)
			in.Rules, in.Decisions = fees(t), c.decisions
			r := run(t, in)
			same(t, groups(r), c.want)
			var troubles []string
			for _, x := range r.Troubles {
				text := string(x.Action) + ": " + x.Why
				if strings.Contains(x.Why, "not among") {
					text += ": " + strings.Join(x.Lines, " ")
				}
				troubles = append(troubles, text)
			}
			same(t, troubles, c.troubles)
		})
	}
}

func TestCarryingEndsWithItsDate(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ until, want string }{{"2024-12-31", "carried: b1"}, {"2024-12-30", "unmatched_bank: b1"}} {
		in := input(t, "2024-12-31", "b1 2024-11-29 7 EUR")
		until := day(t, c.until)
		in.Decisions = []match.Decision{{Seq: 1, Action: match.DoCarry, Lines: []string{"b1"}, Until: &until}}
		same(t, groups(run(t, in)), []string{c.want})
	}
}

func TestABreakStandsWithWhatIsKnownOfIt(t *testing.T) {
	t.Parallel()
	in := input(t, "2024-12-31", "b1 2024-11-29 7 EUR end_to_end=E", "l1 2024-11-28 6 EUR reference=E", "b2 2024-12-02 3 EUR", "l2 2024-12-24 1 EUR")
	in.Decisions = []match.Decision{
		{Seq: 3, Action: match.DoAssign, Lines: []string{"b1"}, Owner: "treasury", Cause: "typing"},
		{Seq: 2, Action: match.DoAssign, Lines: []string{"b1", "l1"}, Owner: "payments", Cause: "unknown"},
		{Seq: 4, Action: match.DoNote, Lines: []string{"l1"}, Note: "asked the bank"},
	}
	alone := match.GroupID([]string{"b1"})
	later := match.GroupID([]string{"b2"})
	in.FirstSeen = func(id string) (chain.Date, bool) {
		if id == later { // as a run of a later day has it
			return in.AsOf + 1, true
		}
		return day(t, "2024-12-02"), id == alone
	}
	r := run(t, in)
	g, _ := r.GroupOf("l1")
	want := match.Standing{FirstSeen: day(t, "2024-12-02"), Since: day(t, "2024-11-28"), Age: 23, Bucket: "16-30", Owner: "treasury", Cause: "typing", Note: "asked the bank"}
	if g.Status != match.AmountMismatch || *g.Break != want || g.ID != match.GroupID([]string{"l1", "b1"}) {
		t.Errorf("the break stands as %+v %+v, want %+v", g, g.Break, want)
	}
	if !slices.Equal(g.Decided, []int64{2, 3, 4}) {
		t.Errorf("the decisions %v bear on it", g.Decided)
	}
	g, _ = r.GroupOf("b2")
	if want := (match.Standing{FirstSeen: in.AsOf, New: true, Since: day(t, "2024-12-02"), Age: 21, Bucket: "16-30", Cause: "at the bank, not in the ledger"}); *g.Break != want {
		t.Errorf("a new break stands as %+v, want %+v", g.Break, want)
	}
	for age, bucket := range map[int]match.Bucket{0: "0-4", 4: "0-4", 5: "5-15", 15: "5-15", 16: "16-30", 30: "16-30", 31: "31-45", 45: "31-45", 46: "46+", 999: "46+"} {
		if got := match.BucketOf(age); got != bucket {
			t.Errorf("%d business days are in %s, want %s", age, got, bucket)
		}
	}
}
