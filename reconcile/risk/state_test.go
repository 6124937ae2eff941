package risk_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tallystick/ledger/chain"
	"tallystick/ledger/money"
	"tallystick/reconcile/policy"
	"tallystick/reconcile/risk"
)

const everything = `schema: tallystick/policy/1
name: risk
version: test
effective_from: 2020-01-01
accounts:
  suspense: [{match: "suspense:*", max_age: 1}]
  clearing: [{match: "clearing:*", max_age: 1}]
classes:
  - {match: "customers:**", class: client, group: client}
  - {match: "**", class: other}
risk:
  safeguarding: {clients: [client], resource: [other]}
  exposure: {limits: [{class: client, below: "10"}]}
  ageing: {}
  own_funds: {payments: [client], scaling: "1", e_money: [client], held: [other]}
  signals:
    classes: [client]
    threshold: {EUR: "100"}
    margin: "0.20"
    structuring: 2
    window: 4
    pass_through: "0.50"
    velocity: 4
    fan: 2
    cycle: 4
    dormant: 20
    round: "0.1"
    outlier: "2"
    min_sample: 3
    lookback: 30
`

// drawn is a made-up ledger: movements that balance, and the accounts that there are in the end.
func drawn(r *rapid.T) (accounts []risk.Account, moves []risk.Movement) {
	for _, code := range []string{"bank:a", "bank:b", "clearing:a", "customers:1", "customers:2", "customers:3", "customers:4", "suspense:a"} {
		kind := "asset"
		if strings.HasPrefix(code, "customers") {
			kind = "liability"
		}
		accounts = append(accounts, risk.Account{Code: code, Type: kind, Currency: "EUR", Scale: 2})
	}
	posted := make([]money.Int128, len(accounts))
	day := chain.Date(20_000)
	for seq := range rapid.IntRange(1, 60).Draw(r, "entries") {
		day += chain.Date(rapid.SampledFrom([]int{0, 0, 0, 1, 1, 2, 25}).Draw(r, "days"))
		from := rapid.IntRange(0, len(accounts)-1).Draw(r, "from")
		to := rapid.IntRange(0, len(accounts)-2).Draw(r, "to")
		if to >= from {
			to++
		}
		units := rapid.SampledFrom([]int64{1, 100, 8_500, 9_000, 9_900, 10_000, 25_000}).Draw(r, "units")
		valued := day - chain.Date(rapid.SampledFrom([]int{0, 0, 1, 12}).Draw(r, "valued"))
		undo := rapid.IntRange(0, 9).Draw(r, "undo") == 0
		for i, a := range []int{from, to} {
			change := money.FromInt64(units * int64(1-2*i))
			posted[a], _ = posted[a].Add(change)
			moves = append(moves, risk.Movement{Seq: int64(seq), Day: day, Valued: valued, Account: int32(a), Units: change, Posted: posted[a], Undo: undo})
		}
	}
	for i := range accounts {
		accounts[i].Posted = posted[i]
	}
	return accounts, moves
}

// upTo is the book as it was after some movements, without the accounts from one on: they are opened later.
func upTo(t *testing.T, p *policy.Policy, accounts []risk.Account, asOf chain.Date, without string) (*risk.Book, []int32) {
	t.Helper()
	var list []risk.Account
	place := make([]int32, len(accounts))
	for i, a := range accounts {
		if a.Code == without {
			place[i] = -1
			continue
		}
		place[i] = int32(len(list))
		list = append(list, a)
	}
	b, err := risk.NewBook("main", asOf, "EUR", list, p)
	if err != nil {
		t.Fatal(err)
	}
	return b, place
}

func TestAHistoryThatResumedIsAsOneFromTheBeginning(t *testing.T) {
	t.Parallel()
	p := decoded(t, everything)
	rapid.Check(t, func(r *rapid.T) {
		accounts, moves := drawn(r)
		asOf := moves[len(moves)-1].Day
		whole, _ := upTo(t, p, accounts, asOf, "")
		one := risk.NewHistory(whole, p)
		for i := range moves {
			one.Add(&moves[i])
		}
		cut := 2 * rapid.IntRange(0, len(moves)/2).Draw(r, "cut")
		// An account that nothing had happened on was not open yet.
		late := ""
		for i, a := range accounts {
			if !slices.ContainsFunc(moves[:cut], func(m risk.Movement) bool { return m.Account == int32(i) }) {
				late = a.Code
			}
		}
		before, place := upTo(t, p, accounts, asOf, late)
		first := risk.NewHistory(before, p)
		for _, m := range moves[:cut] {
			m.Account = place[m.Account]
			first.Add(&m)
		}
		state, err := first.Save()
		if err != nil {
			r.Fatal(err)
		}
		two, err := risk.Resume(whole, p, state)
		if err != nil {
			r.Fatal(err)
		}
		for i := range moves[cut:] {
			two.Add(&moves[cut+i])
		}
		a, err1 := one.Save()
		b, err2 := two.Save()
		if err1 != nil || err2 != nil || !bytes.Equal(a, b) {
			r.Fatalf("the states differ after a cut at %d of %d: %v, %v", cut, len(moves), err1, err2)
		}
		if err := two.Agree(); err != nil {
			r.Fatal(err)
		}
		if x, y := figures(t, whole, one, p), figures(t, whole, two, p); x != y {
			r.Fatalf("the figures differ:\n%s\n%s", x, y)
		}
	})
}

// figures writes all figures, tables and notes.
func figures(t *testing.T, b *risk.Book, h *risk.History, p *policy.Policy) string {
	t.Helper()
	h.Close()
	sections, err := risk.Compute(&risk.Inputs{Book: b, History: h, Policy: p})
	if err != nil {
		t.Fatal(err)
	}
	all := risk.Figures(sections)
	var s strings.Builder
	for _, id := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintf(&s, "%s %+v\n", id, all[id])
	}
	for _, section := range sections {
		for _, block := range section.Blocks {
			if block.Table != nil {
				for _, row := range block.Table.Rows {
					for _, c := range row.Cells {
						fmt.Fprint(&s, c.Value, c.Absent, "|")
					}
				}
			}
		}
	}
	return s.String()
}

func TestAStateOfSomethingElseIsRefused(t *testing.T) {
	t.Parallel()
	p := decoded(t, everything)
	accounts := []risk.Account{client("1", "1", 5), safe(5)}
	b, err := risk.NewBook("main", 20_000, "EUR", accounts, p)
	if err != nil {
		t.Fatal(err)
	}
	h := risk.NewHistory(b, p)
	h.Add(&risk.Movement{Day: 20_000, Valued: 20_000, Units: money.FromInt64(-5), Posted: money.FromInt64(-5)})
	state, err := h.Save()
	if err != nil {
		t.Fatal(err)
	}
	other := decoded(t, strings.Replace(everything, "velocity: 4", "velocity: 5", 1))
	tagged, err := risk.NewBook("main", 20_000, "EUR", []risk.Account{client("1", "2", 5), safe(5)}, p)
	if err != nil {
		t.Fatal(err)
	}
	fewer, err := risk.NewBook("main", 20_000, "EUR", accounts[1:], p)
	if err != nil {
		t.Fatal(err)
	}
	for what, try := range map[string]func() error{
		"another policy":  func() error { _, err := risk.Resume(b, other, state); return err },
		"another client":  func() error { _, err := risk.Resume(tagged, p, state); return err },
		"a missing one":   func() error { _, err := risk.Resume(fewer, p, state); return err },
		"a longer state":  func() error { _, err := risk.Resume(b, p, append(slices.Clone(state), 0)); return err },
		"no state at all": func() error { _, err := risk.Resume(b, p, nil); return err },
	} {
		if err := try(); !errors.Is(err, risk.ErrState) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for n := range state {
		if _, err := risk.Resume(b, p, state[:n]); !errors.Is(err, risk.ErrState) {
			t.Fatalf("cut at %d of %d bytes: %v", n, len(state), err)
		}
	}
	if _, err := risk.Resume(b, p, state); err != nil {
		t.Error(err)
	}
}

// A state that says something else than the ledger is found out by where it leads.
func TestAStateThatWasChangedDoesNotAgree(t *testing.T) {
	t.Parallel()
	p := decoded(t, everything)
	saved := func(units int64) (*risk.Book, []byte) {
		b, err := risk.NewBook("main", 20_000, "EUR", []risk.Account{client("1", "1", units)}, p)
		if err != nil {
			t.Fatal(err)
		}
		h := risk.NewHistory(b, p)
		h.Add(&risk.Movement{Day: 20_000, Valued: 20_000, Units: money.FromInt64(-units), Posted: money.FromInt64(-units)})
		state, err := h.Save()
		if err != nil {
			t.Fatal(err)
		}
		return b, state
	}
	book, state := saved(5)
	_, changed := saved(6)
	for want, state := range map[bool][]byte{true: state, false: changed} {
		h, err := risk.Resume(book, p, state)
		if err != nil {
			t.Fatal(err)
		}
		if err := h.Agree(); (err == nil) != want || err != nil && !errors.Is(err, risk.ErrAgree) {
			t.Errorf("agree is %v, want %v", err, want)
		}
	}
}

func FuzzResume(f *testing.F) {
	f.Add([]byte{2})
	f.Fuzz(func(t *testing.T, state []byte) {
		p := decoded(t, everything)
		b, err := risk.NewBook("main", 20_000, "EUR", []risk.Account{client("1", "1", 5), safe(5)}, p)
		if err != nil {
			t.Fatal(err)
		}
		h := risk.NewHistory(b, p)
		good, err := h.Save()
		if err != nil {
			t.Fatal(err)
		}
		for i := range min(len(state), 40) { // damage of a good one reaches further
			good[len(good)-1-i] ^= state[i]
		}
		_, _ = risk.Resume(b, p, good)
	})
}
