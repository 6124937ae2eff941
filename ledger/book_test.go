package ledger

import (
	"strconv"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"

	"tallystick/ledger/chain"
)

// noon is the clock of the tests: 2026-03-02 12:00 UTC.
var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// tester drives a book as the sequencer does, without a database.
type tester struct {
	t    *testing.T
	book *Book
	all  []Entry
	ids  int
}

func newTester(t *testing.T, change func(*chain.LedgerTerms)) *tester {
	t.Helper()
	terms := chain.LedgerTerms{
		Name: "main", Origin: "test/main", TimeZone: "UTC", BaseCurrency: "EUR", BaseScale: 2,
		ValueDaysBack: 10, ValueDaysAhead: 5,
	}
	if change != nil {
		change(&terms)
	}
	id := LedgerID{uuid.UUID{15: 1}}
	first, err := (&OpenLedger{ID: id}).FirstEntry(terms, noon)
	if err != nil {
		t.Fatal(err)
	}
	b, err := NewBook(id, terms, HeadOf(&first), CacheBytes)
	if err != nil {
		t.Fatal(err)
	}
	return &tester{t: t, book: b, all: []Entry{first}}
}

// common returns a fresh id and a salt that follows from it.
func (x *tester) common() Common {
	x.ids++
	return Common{ID: DeriveRequestID(x.book.id, "test", strconv.Itoa(x.ids)), Salt: [SaltSize]byte{byte(x.ids), byte(x.ids >> 8)}}
}

// post applies and commits one batch.
func (x *tester) post(now time.Time, requests ...Request) []Answer {
	x.t.Helper()
	a := Apply(x.book, now, requests)
	x.book.Advance(a)
	x.all = append(x.all, a.Entries...)
	return a.Answers
}

func (x *tester) open(code string, kind chain.AccountType, currency string, change func(*OpenAccount)) {
	x.t.Helper()
	r := &OpenAccount{Common: x.common(), Code: code, Type: kind, Currency: currency}
	r.AccountID = AccountID{r.ID.UUID}
	if change != nil {
		change(r)
	}
	if a := x.post(noon, r); a[0].Refusal != nil {
		x.t.Fatalf("opening %s: %s", code, a[0].Refusal.Detail)
	}
}

func (x *tester) transfer(legs ...Leg) *TransferRequest {
	return &TransferRequest{Common: x.common(), Legs: legs}
}

func dr(account, amount string) Leg {
	return Leg{Account: account, Direction: chain.Debit, Amount: decimal.RequireFromString(amount)}
}

func cr(account, amount string) Leg {
	return Leg{Account: account, Direction: chain.Credit, Amount: decimal.RequireFromString(amount)}
}

func limit(s string) *decimal.Decimal {
	d := decimal.RequireFromString(s)
	return &d
}

// checkChain asserts what every chain of entries must satisfy.
func (x *tester) checkChain() {
	x.t.Helper()
	prev := chain.Genesis
	for i := range x.all {
		e := &x.all[i]
		if e.Seq() != int64(i) || e.record.PrevHash != prev || !e.Intact() {
			x.t.Fatalf("entry %d does not continue the chain", i)
		}
		if i > 0 && (e.record.RecordedAt < x.all[i-1].record.RecordedAt || e.record.BookingDate < x.all[i-1].record.BookingDate) {
			x.t.Fatalf("entry %d goes back in time", i)
		}
		prev = e.hash
	}
	if x.book.head != HeadOf(&x.all[len(x.all)-1]) {
		x.t.Fatal("the book's head is not the last entry")
	}
}
