package main

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"tallystick/cmd/tallystick/internal/simulate"
	"tallystick/ledger/chain"
	"tallystick/ledger/money"
	"tallystick/reconcile/policy"
	"tallystick/reconcile/risk"
)

// simulated is a book made of simulated files, as an import on one day would make it.
func simulated(t *testing.T, o simulate.Options) (*risk.Book, *risk.History, [][]string) {
	t.Helper()
	var accounts, transfers, answers bytes.Buffer
	if err := simulate.Write(o, &accounts, &transfers, &answers); err != nil {
		t.Fatal(err)
	}
	p, err := policy.Decode([]byte(simulate.Policy))
	if err != nil {
		t.Fatal(err)
	}
	rows := func(b *bytes.Buffer) [][]string {
		all, err := csv.NewReader(b).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		return all[1:]
	}
	var list []risk.Account
	at := map[string]int32{}
	for i, row := range rows(&accounts) {
		list = append(list, risk.Account{Code: row[1], Type: "liability", Currency: "EUR", Scale: 2, Tags: map[string]string{"client": row[0]}})
		at[row[1]] = int32(i)
	}
	today := o.Start + chain.Date(o.Days)
	b, err := risk.NewBook("simulated", today, "EUR", list, p)
	if err != nil {
		t.Fatal(err)
	}
	h := risk.NewHistory(b, p)
	balances := make([]int64, len(list))
	for i, row := range rows(&transfers) {
		day, err := chain.ParseDate(row[0])
		if err != nil {
			t.Fatal(err)
		}
		units, err := strconv.ParseInt(strings.Replace(row[3], ".", "", 1), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		for j, code := range row[1:3] {
			change := units * int64(1-2*j)
			balances[at[code]] += change
			h.Add(&risk.Movement{Seq: int64(i), Day: today, Valued: day, Account: at[code], Units: money.FromInt64(change), Posted: money.FromInt64(balances[at[code]])})
		}
	}
	h.Close()
	return b, h, rows(&answers)
}

func TestPlantedPatternsAreFoundByTheAnswerKey(t *testing.T) {
	t.Parallel()
	o := simulate.Options{Seed: 7, Accounts: 4000, Transfers: 40_000, Days: 300, Planted: 30, Start: 20_000}
	b, h, answers := simulated(t, o)
	planted := map[string]int{}
	for _, a := range answers {
		planted[a[0]]++
		if a[0] == simulate.Duplicate {
			continue // found by the checks of the books: the risk figures take no part in it
		}
		found, _ := h.Signals(a[0])
		if !slices.ContainsFunc(found, func(s *risk.Signal) bool {
			code := b.Accounts[s.Account].Code
			for _, other := range s.Others {
				code += " " + b.Accounts[other].Code
			}
			return strings.Contains(code, a[1]) && s.To.String() <= a[3] && s.To.String() >= a[2]
		}) {
			t.Errorf("not found: %v", a)
		}
	}
	for _, pattern := range simulate.Patterns {
		if planted[pattern] != o.Planted {
			t.Errorf("%d of %s in the key, want %d", planted[pattern], pattern, o.Planted)
		}
	}
	for _, exact := range []string{simulate.Structuring, simulate.FanIn} {
		if found, _ := h.Signals(exact); len(found) != o.Planted {
			t.Errorf("%d signals of %s, planted were %d: everyday payments make some", len(found), exact, o.Planted)
		}
	}
}

func TestASimulationIsTheSameForTheSameSeed(t *testing.T) {
	t.Parallel()
	write := func(seed uint64) string {
		var all bytes.Buffer
		if err := simulate.Write(simulate.Options{Seed: seed, Accounts: 1000, Transfers: 500, Days: 200, Planted: 2, Start: 20_000}, &all, &all, &all); err != nil {
			t.Fatal(err)
		}
		return all.String()
	}
	first, again := write(1), write(1)
	if first != again || first == write(2) {
		t.Error("the files do not follow from the seed")
	}
}

func TestASimulationSaysWhichOptionIsWrong(t *testing.T) {
	t.Parallel()
	good := simulate.Options{Accounts: 1000, Transfers: 1, Days: 200, Planted: 10}
	for what, change := range map[string]func(*simulate.Options){
		"accounts":  func(o *simulate.Options) { o.Accounts = 999 },
		"transfers": func(o *simulate.Options) { o.Transfers = -1 },
		"days":      func(o *simulate.Options) { o.Days = 367 },
		"planted":   func(o *simulate.Options) { o.Planted = 11 },
	} {
		o := good
		change(&o)
		if err := o.Check(); err == nil || !strings.Contains(fmt.Sprint(err), what) {
			t.Errorf("wrong %s: %v", what, err)
		}
	}
}
