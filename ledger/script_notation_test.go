package ledger_test

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"

	"tallystick/ledger"
	"tallystick/ledger/chain"
)

// A script is a text of one step per line; testdata/README.md is its grammar.

// step is one line: a request with the answer that is expected, something to
// check, or something that happens.
type step struct {
	line     int
	text     string
	request  ledger.Request
	want     string
	check    func(s *scene) error // on the state at this place
	event    func(r *run)         // ends a batch
	boundary bool                 // ends a batch
}

// scriptLedger is the ledger of all scripts.
var scriptLedger = ledger.LedgerID{UUID: [16]byte{15: 1}}

// defaultOpened is when the ledger of a script was opened, unless it says
// otherwise.
var defaultOpened = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// notation reads a script.
type notation struct {
	t     *testing.T
	file  string
	line  int
	words []string
	copy  int // of a line that stands several times

	steps []step
	sizes []int // of the batches it is run in
	terms chain.LedgerTerms
	clock time.Time
}

// defaultTerms are those of a script that says nothing else.
func defaultTerms() chain.LedgerTerms {
	return chain.LedgerTerms{Name: "script", Origin: "test/script", TimeZone: "UTC", BaseCurrency: "EUR", BaseScale: 2,
		ValueDaysBack: 10, ValueDaysAhead: 5}
}

func readScript(t *testing.T, file string) *notation {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	n := &notation{t: t, file: file, terms: defaultTerms(), sizes: batchSizes, clock: defaultOpened}
	lines := strings.Split(string(text), "\n")
	for i := 0; i < len(lines); i++ {
		first := i
		line := strip(lines[i])
		for strings.Count(line, "{") > strings.Count(line, "}") && i+1 < len(lines) {
			i++
			line += " " + strip(lines[i])
		}
		n.line = first + 1
		n.read(line)
	}
	if len(n.steps) == 0 {
		t.Fatalf("%s: no steps", file)
	}
	return n
}

// strip cuts a comment off.
func strip(line string) string {
	if i := strings.Index(line, "#"); i >= 0 && (i == 0 || line[i-1] == ' ') {
		line = line[:i]
	}
	return strings.TrimSpace(line)
}

func (n *notation) fatal(format string, args ...any) {
	n.t.Helper()
	n.t.Fatalf("%s:%d: %s", n.file, n.line, fmt.Sprintf(format, args...))
}

// read reads a line, as often as it says: # in it is the number of the copy.
func (n *notation) read(line string) {
	if line == "" {
		return
	}
	rest, repeated := strings.CutPrefix(line, "times ")
	if !repeated {
		n.copy = 0
		n.readOne(line)
		return
	}
	count, line, _ := strings.Cut(rest, " ")
	for i := range n.number(count) {
		n.copy = i + 1
		n.readOne(strings.ReplaceAll(line, "#", strconv.Itoa(i+1)))
	}
}

func (n *notation) readOne(line string) {
	said, want, answered := strings.Cut(line, " -> ")
	n.words = wordsOf(said)
	s := step{line: n.line, text: said, want: strings.TrimSpace(want)}
	verb := n.next()
	switch verb {
	case "at":
		at := n.time(n.next())
		s.event = func(r *run) { r.clock = at }
	case "---":
		s.boundary = true
	case "ledger":
		n.readTerms()
		return
	case "damage":
		s.event = n.damage()
	case "repair":
		if !n.take("account") {
			n.fatal("what can be repaired is an account")
		}
		code := n.next()
		s.event = func(r *run) { delete(r.damagedAccounts, code) }
	case "erase":
		id := n.id(n.next())
		s.event = func(r *run) { r.erase(id) }
	case "balance":
		s.check = n.balance()
	case "entry":
		s.check = n.entry()
	case "batch":
		s.request = n.batch()
	default:
		s.request = n.request(verb)
	}
	if len(n.words) > 0 {
		n.fatal("nothing is known of %q in %q", n.words, said)
	}
	if (s.request != nil) != answered {
		n.fatal("a request, and nothing else, has an answer behind ->: %q", line)
	}
	n.steps = append(n.steps, s)
}

// wordsOf splits a line; braces and commas are words, and a text in quotes is one.
func wordsOf(line string) []string {
	for _, mark := range []string{"{", "}", ","} {
		line = strings.ReplaceAll(line, mark, " "+mark+" ")
	}
	var words []string
	for _, field := range strings.Fields(line) {
		if len(words) > 0 && strings.Count(words[len(words)-1], `"`)%2 == 1 {
			words[len(words)-1] += " " + field
			continue
		}
		words = append(words, field)
	}
	return words
}

func (n *notation) next() string {
	if len(n.words) == 0 {
		n.fatal("the line ends too early")
	}
	word := n.words[0]
	n.words = n.words[1:]
	return word
}

// take reads a word if it is the next one.
func (n *notation) take(word string) bool {
	if len(n.words) == 0 || n.words[0] != word {
		return false
	}
	n.words = n.words[1:]
	return true
}

func (n *notation) number(word string) int {
	v, err := strconv.Atoi(word)
	if err != nil {
		n.fatal("%q is not a number", word)
	}
	return v
}

func (n *notation) amount(word string) decimal.Decimal {
	d, err := decimal.NewFromString(word)
	if err != nil {
		n.fatal("%q is not an amount", word)
	}
	return d
}

func (n *notation) time(word string) time.Time {
	at, err := time.Parse(time.RFC3339Nano, word)
	if err != nil {
		n.fatal("%q is not a time: %v", word, err)
	}
	return at
}

func (n *notation) date(word string) chain.Date {
	d, err := chain.ParseDate(word)
	if err != nil {
		n.fatal("%q is not a date: %v", word, err)
	}
	return d
}

func (n *notation) unquoted() string { return strings.Trim(n.next(), `"`) }

// id is the request id behind a name. Names of the form open:CODE, expiry:HOLD
// and closing:NAME:N are those that the ledger derives.
func (n *notation) id(name string) ledger.RequestID {
	if hold, ok := strings.CutPrefix(name, "expiry:"); ok {
		return ledger.ExpiryRequestID(scriptLedger, n.id(hold))
	}
	if of, ok := strings.CutPrefix(name, "closing:"); ok {
		of, number, _ := strings.Cut(of, ":")
		return ledger.DeriveRequestID(scriptLedger, "closing", n.id(of).String()+"\x00"+number)
	}
	return ledger.DeriveRequestID(scriptLedger, "script", name)
}

// common is what a request under name carries.
func (n *notation) common(name string) ledger.Common {
	c := ledger.Common{ID: n.id(name), Actor: ledger.KeyID{UUID: uuid.UUID{15: 1}}}
	salt := sha256.Sum256(c.ID.UUID[:])
	copy(c.Salt[:], salt[:])
	return c
}

// here is a name that no other line has.
func (n *notation) here() string { return fmt.Sprintf("line %d.%d", n.line, n.copy) }

func (n *notation) readTerms() {
	for len(n.words) > 0 {
		switch word := n.next(); word {
		case "zone":
			n.terms.TimeZone = n.next()
		case "cutoff":
			n.terms.DayCutoff = int32(n.number(n.next()) * 3600)
		case "back":
			n.terms.ValueDaysBack = int32(n.number(n.next()))
		case "ahead":
			n.terms.ValueDaysAhead = int32(n.number(n.next()))
		case "batches":
			n.sizes = []int{n.number(n.next()), ledger.MaxBatchRequests}
		case "opened":
			n.clock = n.time(n.next())
		default:
			n.fatal("a ledger has no %q", word)
		}
	}
}

func (n *notation) batch() ledger.Request {
	if !n.take("{") {
		n.fatal("a batch stands in braces")
	}
	r := &ledger.AtomicBatch{Common: n.common(n.here())}
	for !n.take("}") {
		verb := n.next()
		times, each := 1, n.words
		if verb == "times" {
			times, verb = n.number(n.next()), n.next()
			each = n.words
		}
		for i := range times {
			n.words = append([]string{strings.ReplaceAll(each[0], "#", strconv.Itoa(i+1))}, each[1:]...)
			item, ok := n.request(verb).(*ledger.TransferRequest)
			if !ok {
				n.fatal("a batch has transfers and holds only, not a %s", verb)
			}
			r.Items = append(r.Items, item)
		}
		n.take(",")
	}
	return r
}

func (n *notation) request(verb string) ledger.Request {
	switch verb {
	case "open":
		return n.open()
	case "change", "limit":
		return n.change(n.next())
	case "freeze":
		code := n.next()
		n.words = append([]string{"frozen"}, n.words...)
		return n.change(code)
	case "close":
		if n.take("period") {
			return n.closePeriod()
		}
		if !n.take("account") {
			n.fatal("what closes is an account or a period")
		}
		code := n.next()
		n.words = append(n.words, "close")
		return n.change(code)
	case "reopen":
		r := &ledger.ReopenPeriod{PeriodEnd: n.date(n.next())}
		r.Common = n.named()
		return r
	case "currency":
		r := &ledger.DefineCurrency{Code: n.next(), Scale: uint8(n.number(n.next())), Name: n.unquoted()}
		r.Common = n.named()
		return r
	case "commitment":
		return n.commitment()
	case "erasure":
		r := &ledger.EraseText{Target: n.id(n.next()), Basis: n.next()}
		if n.take("case") {
			text := n.unquoted()
			r.Case = &text
		}
		r.Common = n.named()
		return r
	case "key":
		return n.key()
	case "run":
		return n.recordRun()
	case "signoff":
		return n.signOff()
	case "decide":
		return n.decide()
	case "adopt":
		return n.adopt()
	case "transfer", "hold":
		return n.transfer(verb == "hold")
	case "capture":
		return n.capture()
	case "release":
		return &ledger.ReleaseHold{Common: n.common(n.next()), Hold: n.id(n.next())}
	case "expire":
		hold := n.next()
		common := n.common("expiry:" + hold)
		common.Actor = ledger.KeyID{} // the ledger acts by itself
		return &ledger.ReleaseHold{Common: common, Hold: n.id(hold), OnExpiry: true}
	case "reverse":
		return &ledger.ReverseTransfer{Common: n.common(n.next()), Target: n.id(n.next())}
	}
	n.fatal("nothing is called %q", verb)
	return nil
}

// named is the common part of a request that has an id of its own unless it
// says "as ID".
func (n *notation) named() ledger.Common {
	if n.take("as") {
		return n.common(n.next())
	}
	return n.common(n.here())
}

func (n *notation) open() ledger.Request {
	code := n.next()
	kind, ok := chain.ParseAccountType(n.next())
	if !ok {
		n.fatal("no such type of account")
	}
	r := &ledger.OpenAccount{Common: n.common("open:" + code), Code: code, Type: kind, Currency: n.next()}
	r.AccountID = ledger.AccountID{UUID: n.id("account:" + code).UUID}
	for len(n.words) > 0 {
		switch word := n.next(); word {
		case "min":
			v := n.amount(n.next())
			r.MinBalance = &v
		case "max":
			v := n.amount(n.next())
			r.MaxBalance = &v
		case "frozen":
			r.Frozen = n.frozen()
		case "named":
			name := n.unquoted()
			r.Name = &name
		case "tag":
			r.Tags = append(r.Tags, n.tag())
		case "as":
			r.Common = n.common(n.next())
		default:
			n.fatal("an account has no %q", word)
		}
	}
	return r
}

func (n *notation) change(code string) ledger.Request {
	r := &ledger.ChangeAccount{Common: n.common(n.here()), Code: code}
	for len(n.words) > 0 {
		switch word := n.next(); word {
		case "min":
			r.MinBalance = n.limit()
		case "max":
			r.MaxBalance = n.limit()
		case "frozen":
			f := n.frozen()
			r.Frozen = &f
		case "named":
			name := n.unquoted()
			r.Name = &name
		case "tag":
			if r.Tags == nil {
				r.Tags = new([]chain.Tag)
			}
			*r.Tags = append(*r.Tags, n.tag())
		case "close":
			r.Close = true
		case "as":
			r.Common, r.Keyed = n.common(n.next()), true
		default:
			n.fatal("an account has no %q", word)
		}
	}
	return r
}

func (n *notation) limit() ledger.Limit {
	if n.take("none") {
		return ledger.Limit{Set: true}
	}
	v := n.amount(n.next())
	return ledger.Limit{Set: true, Value: &v}
}

func (n *notation) frozen() chain.Frozen {
	f, ok := chain.ParseFrozen(n.next())
	if !ok {
		n.fatal("an account is frozen none, debits, credits or all")
	}
	return f
}

func (n *notation) tag() chain.Tag {
	key, value, ok := strings.Cut(n.next(), "=")
	if !ok {
		n.fatal("a tag is key=value")
	}
	return chain.Tag{Key: key, Value: value}
}

func (n *notation) closePeriod() ledger.Request {
	r := &ledger.ClosePeriod{PeriodEnd: n.date(n.next())}
	if n.take("retain") {
		r.Retain = append(r.Retain, n.next())
		for n.take(",") {
			r.Retain = append(r.Retain, n.next())
		}
	}
	r.Common = n.named()
	return r
}
