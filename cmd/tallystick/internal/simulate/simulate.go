// Package simulate makes up the payments of many clients, with patterns planted among them, as CSV files for tallystick
// import, and an answer key: what a search for such patterns has to find. It only computes: the same options give the same
// bytes.
//
//	clients ──▶ everyday payments, spread over the days ─┐
//	patterns, each on clients of its own ────────────────┼──▶ by day ──▶ transfers.csv
//	                                                     └──▶ answers.csv: pattern, account, days, rows
//
// The clients of a pattern take no part in everyday payments, and these stay below what a pattern begins with, so that the
// key is complete. It says nothing about how good a search is on real payments: planted patterns are as clean as no real
// one is.
package simulate

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"

	"tallystick/ledger/chain"
)

// Bounds of Options.
const (
	MinAccounts  = 1000
	MaxAccounts  = 10_000_000
	MaxTransfers = 100_000_000
	MinDays      = 180 // a dormant account sleeps for Sleep of them
	MaxDays      = 366
	MaxPlanted   = 10_000
)

// What patterns are made of, in units of a hundredth where they are amounts.
const (
	Threshold = 1_000_000 // of reporting
	nearLow   = 910_000   // payments of structuring lie from here
	nearHigh  = 990_000   // to here
	nearCount = 4         // and are so many
	FanOf     = 20        // payers of a fan
	Sleep     = 120       // days a dormant account sleeps
	tripFirst = 2_000_000 // a round trip begins with at least this
	everyday  = 400_000   // the largest everyday payment
)

// Options say what to make.
type Options struct {
	Seed      uint64
	Accounts  int        // of clients, MinAccounts to MaxAccounts
	Transfers int        // everyday payments, up to MaxTransfers
	Start     chain.Date // of the first day
	Days      int        // MinDays to MaxDays
	Planted   int        // of each pattern, up to MaxPlanted and a hundredth of the accounts
}

// Check says what is wrong with the options.
func (o Options) Check() error {
	for _, c := range []struct {
		name           string
		value, low, up int
	}{{"accounts", o.Accounts, MinAccounts, MaxAccounts}, {"transfers", o.Transfers, 0, MaxTransfers}, {"days", o.Days, MinDays, MaxDays}, {"planted", o.Planted, 0, min(MaxPlanted, o.Accounts/100)}} {
		if c.value < c.low || c.value > c.up {
			return fmt.Errorf("reading the number of %s: %d to %d, not %d", c.name, c.low, c.up, c.value)
		}
	}
	return nil
}

// The patterns of the answer key, as the risk report names them; Duplicate is found by the checks of the books.
const (
	Structuring = "structuring"
	FanIn       = "fan-in"
	RoundTrip   = "round-trip"
	Dormant     = "dormant"
	Duplicate   = "duplicate"
)

// Patterns lists them.
var Patterns = []string{Structuring, FanIn, RoundTrip, Dormant, Duplicate}

// Answer is a planted pattern.
type Answer struct {
	Pattern  string
	Account  string
	From, To chain.Date
	Payments int
}

// payment is a row of transfers.csv.
type payment struct {
	day      int32
	from, to int32
	units    int64
}

// simulation is what is being made.
type simulation struct {
	Options
	random   *rand.Rand
	next     int32 // the next client that no pattern has
	payments []payment
	answers  []Answer
}

// Code returns the code of a client's account.
func Code(n int32) string { return fmt.Sprintf("customers:%07d", n) }

// Write writes the files.
func Write(o Options, accounts, transfers, answers io.Writer) error {
	if err := o.Check(); err != nil {
		return err
	}
	s := &simulation{Options: o, random: rand.New(rand.NewPCG(o.Seed, 1))}
	for range o.Planted {
		s.structuring()
		s.fanIn()
		s.roundTrip()
		s.dormant()
		s.duplicate()
	}
	for range o.Transfers {
		s.everyday()
	}
	slices.SortStableFunc(s.payments, func(a, b payment) int { return cmp.Compare(a.day, b.day) })
	for _, f := range []struct {
		to    io.Writer
		write func(*bufio.Writer)
	}{{accounts, s.writeAccounts}, {transfers, s.writeTransfers}, {answers, s.writeAnswers}} {
		w := bufio.NewWriter(f.to)
		f.write(w)
		if err := w.Flush(); err != nil {
			return fmt.Errorf("writing the simulation: %w", err)
		}
	}
	return nil
}

// client takes a client for a pattern.
func (s *simulation) client() int32 {
	s.next++
	return s.next - 1
}

// other draws a client of everyday payments.
func (s *simulation) other() int32 {
	return int32(s.reserved() + s.random.IntN(s.Accounts-s.reserved()))
}

// reserved is how many clients all patterns take.
func (s *simulation) reserved() int { return s.Planted * 8 }

func (s *simulation) between(low, high int64) int64 { return low + s.random.Int64N(high-low+1) }

func (s *simulation) pay(day int, from, to int32, units int64) {
	s.payments = append(s.payments, payment{int32(day), from, to, units})
}

func (s *simulation) answer(pattern string, account int32, from, to, payments int) {
	s.answers = append(s.answers, Answer{pattern, Code(account), s.Start + chain.Date(from), s.Start + chain.Date(to), payments})
}

// everyday is a payment between two clients: amounts are log-normal, as those of people are, and so follow Benford's law.
func (s *simulation) everyday() {
	from, to := s.other(), s.other()
	if from == to {
		to = int32(s.reserved()) + (to-int32(s.reserved())+1)%int32(s.Accounts-s.reserved())
	}
	units := int64(math.Exp(8 + 1.6*s.random.NormFloat64()))
	s.pay(s.random.IntN(s.Days), from, to, max(1, units%everyday))
}

// structuring: payments just below the threshold within three days, which reach it together.
func (s *simulation) structuring() {
	account, day := s.client(), s.random.IntN(s.Days-3)
	for i := range nearCount {
		s.pay(day+min(2, i), s.other(), account, s.between(nearLow, nearHigh))
	}
	s.answer(Structuring, account, day, day+2, nearCount)
}

// fanIn: many payers within three days.
func (s *simulation) fanIn() {
	account, day := s.client(), s.random.IntN(s.Days-3)
	payers := map[int32]bool{}
	for len(payers) < FanOf {
		if p := s.other(); !payers[p] {
			payers[p] = true
			s.pay(day+len(payers)%3, p, account, s.between(1000, 90_000))
		}
	}
	s.answer(FanIn, account, day, day+2, FanOf)
}

// roundTrip: three to five payments on days in a row, each a little less than the one before, back to where it began.
func (s *simulation) roundTrip() {
	length := int(s.between(3, 4))
	day := s.random.IntN(s.Days - length)
	units := s.between(tripFirst, 2*tripFirst)
	var nodes []int32
	for range 4 { // as many for each, so that the reserved clients are known beforehand
		nodes = append(nodes, s.client())
	}
	nodes = nodes[:length]
	for i := range length {
		s.pay(day+i, nodes[i], nodes[(i+1)%length], units)
		units -= units * s.between(1, 5) / 100
	}
	s.answer(RoundTrip, nodes[0], day, day+length-1, length)
}

// dormant: an early payment, silence, and another one.
func (s *simulation) dormant() {
	account, first := s.client(), s.random.IntN(20)
	last := first + Sleep + s.random.IntN(s.Days-20-Sleep)
	s.pay(first, s.other(), account, s.between(10_000, 50_000))
	s.pay(last, account, s.other(), s.between(1000, 10_000))
	s.answer(Dormant, account, first, last, 2)
}

// duplicate: the same payment twice in a row, as a client does that lost its key.
func (s *simulation) duplicate() {
	account, day := s.client(), s.random.IntN(s.Days)
	to, units := s.other(), s.between(5000, 90_000)
	s.pay(day, account, to, units)
	s.pay(day, account, to, units)
	s.answer(Duplicate, account, day, day, 2)
}

func (s *simulation) writeAccounts(w *bufio.Writer) {
	fmt.Fprintln(w, "client,code")
	for n := range int32(s.Accounts) {
		fmt.Fprintf(w, "%d,%s\n", n, Code(n))
	}
}

func (s *simulation) writeTransfers(w *bufio.Writer) {
	fmt.Fprintln(w, "date,from,to,amount")
	for _, p := range s.payments {
		fmt.Fprintf(w, "%s,%s,%s,%d.%02d\n", s.Start+chain.Date(p.day), Code(p.from), Code(p.to), p.units/100, p.units%100)
	}
}

func (s *simulation) writeAnswers(w *bufio.Writer) {
	fmt.Fprintln(w, "pattern,account,from,to,payments")
	slices.SortStableFunc(s.answers, func(a, b Answer) int {
		return cmp.Or(cmp.Compare(a.Pattern, b.Pattern), cmp.Compare(a.Account, b.Account))
	})
	for _, a := range s.answers {
		fmt.Fprintf(w, "%s,%s,%s,%s,%d\n", a.Pattern, a.Account, a.From, a.To, a.Payments)
	}
}

// Mapping is the mapping file for tallystick import.
const Mapping = `ledger: {base_currency: EUR}
files:
  - match: accounts.csv
    accounts:
      - {code: "{code}", type: liability, currency: EUR, tags: {client: "{client}"}}
  - match: transfers.csv
    transfers:
      - debit: "{from}"
        credit: "{to}"
        amount: "{amount}"
        effective_date: {value: "{date}"}
`

// Policy watches the payments with thresholds that the planted patterns reach.
const Policy = `schema: tallystick/policy/1
name: risk
version: simulation
effective_from: 2020-01-01
classes:
  - {match: "customers:**", class: client_money, group: client}
risk:
  signals:
    classes: [client_money]
    threshold: {EUR: "10000"}
    margin: "0.10"
    structuring: 3
    window: 5
    fan: 15
    pass_through: "0.90"
    cycle: 5
    dormant: 110
    round: "0.80"
    outlier: "3.5"
    min_sample: 12
`
