package demo

import (
	"encoding/binary"
	"iter"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"

	"tallystick/ledger"
	"tallystick/ledger/chain"
)

// Bounds and defaults of Options.
const (
	DefaultSeed      = 1
	DefaultCustomers = 300
	// MinCustomers leaves room for the clients that stand for a case.
	MinCustomers = 20
	// MaxCustomers keeps numbers at four digits.
	MaxCustomers = 5000
	// Days is how long the history is.
	Days = 365
	// Points is the institution's own currency.
	Points = "PTS"
)

// Options say what history to make. All are needed.
type Options struct {
	Seed      uint64
	Customers int            // MinCustomers to MaxCustomers
	Now       time.Time      // where the history ends
	Zone      *time.Location // of the ledger's business days
	Ledger    ledger.LedgerID
	Actor     ledger.KeyID // on whose behalf everything happens

	// Rate, unless nil, is told what a currency costs on each day: millionths of it for one EUR.
	Rate func(day chain.Date, currency string, millionths int64)

	Salt      func() [ledger.SaltSize]byte // random, for commitments to free text
	AccountID func() ledger.AccountID      // fresh, unique among all ledgers
}

// Step is what reaches the ledger at one moment, in order.
type Step struct {
	Day      int // 0 to Days
	At       time.Time
	Requests []ledger.Request
}

// Case is a client whose account shows something particular.
type Case struct {
	Account string
	What    string
}

// Cases are the clients that stand for something.
var Cases = []Case{
	{wallet(firstCase, "EUR"), "a client with wallets in three currencies, a card and loyalty points"},
	{wallet(dormantCase, "EUR"), "dormant: nothing for most of the year, tagged so"},
	{wallet(frozenCase, "EUR"), "frozen: takes money, gives none"},
	{wallet(closedCase, "EUR"), "closed after the last cent was paid out"},
	{wallet(blockedCase, "EUR"), "was frozen on both sides for three weeks"},
}

// The numbers of those clients; all join in the first days.
const (
	firstCase   = 1
	dormantCase = 4
	frozenCase  = 5
	closedCase  = 6
	blockedCase = 7
)

// Start is when the ledger is to be opened: before anything else.
func Start(now time.Time, zone *time.Location) time.Time {
	y, m, d := now.In(zone).Date()
	return time.Date(y, m, d-Days, 6, 0, 0, 0, zone)
}

// The times of a day: midnight, evening, and between them one in each of nine
// stretches of 100 minutes from seven o'clock on.
const (
	midnight  = 0
	morning   = 1
	noon      = 4
	afternoon = 6
	latest    = 9
	evening   = 10
	daySlots  = 11

	firstMinute = 7 * 60
	stretch     = 100 // minutes
)

// generator keeps what the next requests depend on.
type generator struct {
	Options
	random *rand.Rand // what happens
	ids    *rand.Rand // what its id is
	start  chain.Date
	agenda map[int][]func()

	day, slot int
	at        time.Time
	requests  []ledger.Request

	accounts   map[string]*account
	money      map[string]int64 // client money by currency
	references map[string]int   // newest number by kind

	clients   []*client
	merchants []*merchant
	rates     rates
	cardsDue  map[string]int64 // what the scheme is paid next, by currency
	closings  closings
}

// Steps returns the history, oldest first.
func Steps(o Options) iter.Seq[Step] {
	return func(yield func(Step) bool) {
		g := newGenerator(o)
		for g.day = 0; g.day <= Days; g.day++ {
			for g.slot = 0; g.slot < daySlots; g.slot++ {
				g.at = g.timeOf(g.day, g.slot)
				if !g.at.Before(o.Now) {
					g.finish(yield)
					return
				}
				if g.day == 0 && g.slot == midnight {
					continue // the ledger is opened later that day
				}
				g.runAgenda()
				if !g.flush(yield) {
					return
				}
			}
		}
	}
}

func newGenerator(o Options) *generator {
	g := &generator{
		Options: o, random: rand.New(rand.NewPCG(o.Seed, 1)), ids: rand.New(rand.NewPCG(o.Seed, 2)),
		start: chain.DateOf(Start(o.Now, o.Zone)), agenda: make(map[int][]func()),
		accounts: make(map[string]*account), money: make(map[string]int64),
		references: make(map[string]int), cardsDue: make(map[string]int64),
	}
	g.rates.begin()
	g.drawClients()
	g.in(0, morning, g.found)
	return g
}

// runAgenda does what is due, and on a new day plans that day.
func (g *generator) runAgenda() {
	key := g.day*daySlots + g.slot
	if g.slot == midnight || g.day == 0 && g.slot == morning {
		defer g.planDay()
	}
	for _, do := range g.agenda[key] {
		do()
	}
	delete(g.agenda, key)
	if g.slot == evening {
		g.closeDay()
	}
}

// flush hands over what has come together.
func (g *generator) flush(yield func(Step) bool) bool {
	if len(g.requests) == 0 {
		return true
	}
	s := Step{Day: g.day, At: g.at, Requests: g.requests}
	g.requests = nil
	return yield(s)
}

// finish leaves the books as an evening does: client money is safeguarded.
func (g *generator) finish(yield func(Step) bool) {
	g.at = g.Now
	g.settlePayments()
	g.safeguard()
	g.flush(yield)
}

// in puts something on the agenda: so many days from now, at a time of day.
func (g *generator) in(days, slot int, do func()) {
	key := (g.day+days)*daySlots + slot
	if key <= g.day*daySlots+g.slot {
		key = g.day*daySlots + g.slot + 1
	}
	g.agenda[key] = append(g.agenda[key], do)
}

// timeOf returns when a time of day is: within its stretch, at a moment of its own.
func (g *generator) timeOf(day, slot int) time.Time {
	y, m, d := chain.Date(g.start + chain.Date(day)).Time().Date()
	switch slot {
	case midnight:
		return time.Date(y, m, d, 0, 0, 1, 0, g.Zone)
	case evening:
		return time.Date(y, m, d, 23, 30, 0, 0, g.Zone)
	}
	r := rand.New(rand.NewPCG(g.Seed, uint64(day*daySlots+slot)))
	minute := firstMinute + (slot-morning)*stretch + r.IntN(stretch)
	return time.Date(y, m, d, 0, minute, r.IntN(60), 1000*r.IntN(1_000_000), g.Zone)
}

// date returns the business day.
func (g *generator) date() chain.Date { return g.start + chain.Date(g.day) }

// calendar returns the month and the day of the month.
func (g *generator) calendar() (time.Month, int) {
	t := g.date().Time()
	return t.Month(), t.Day()
}

// weekday returns the day of the week so many days from now.
func (g *generator) weekday(days int) time.Weekday {
	return (g.date() + chain.Date(days)).Time().Weekday()
}

func (g *generator) businessDay() bool {
	return g.weekday(0) != time.Saturday && g.weekday(0) != time.Sunday
}

// chance is true so many times in a thousand.
func (g *generator) chance(permille int) bool { return g.random.IntN(1000) < permille }

// between returns a number from low to high.
func (g *generator) between(low, high int64) int64 { return low + g.random.Int64N(high-low+1) }

// pick returns one of many.
func pick[T any](g *generator, of []T) T { return of[g.random.IntN(len(of))] }

// newID makes a UUIDv7 of the moment, whose random part comes from the seed.
func (g *generator) newID() ledger.RequestID {
	var u uuid.UUID
	binary.BigEndian.PutUint64(u[:8], uint64(g.at.UnixMilli())<<16|uint64(g.ids.Uint32()&0xffff))
	binary.BigEndian.PutUint64(u[8:], g.ids.Uint64())
	u[6] = u[6]&0x0f | 0x70
	u[8] = u[8]&0x3f | 0x80
	return ledger.RequestID{UUID: u}
}
