package chain

import (
	"encoding/binary"
	"fmt"

	"github.com/google/uuid"

	"tallystick/ledger/money"
)

// The sizes in bytes of what Decode counts before it allocates.
const (
	minPostingSize = 16 + 1 + 2 + 1 + 16 + 16 + 4 + 8 + 3*16
	minPairSize    = 2 + 2 // a tag or a detail
)

// Decode reads canonical bytes. It accepts exactly what AppendCanonical writes
// for an entry that passes Check, so that encoding the result gives b again.
// The error wraps ErrMalformed or ErrUnknown. Memory is bounded by a small
// multiple of len(b), whatever the lengths inside b claim.
func Decode(b []byte) (Entry, error) {
	if len(b) > MaxCanonical {
		return Entry{}, fmt.Errorf("decoding an entry of %d bytes: %w", len(b), ErrMalformed)
	}
	r := reader{rest: b, size: len(b)}
	if string(r.bytes(len(domainTag))) != domainTag {
		r.fail("wrong domain tag")
	}
	if version := r.uint16(); r.err == nil && version != formatVersion {
		return Entry{}, fmt.Errorf("decoding an entry of format version %d: %w", version, ErrUnknown)
	}
	e := r.entry()
	if len(r.rest) > 0 {
		r.fail("bytes after the end of the entry")
	}
	if r.err != nil {
		return Entry{}, r.err
	}
	if err := e.Check(); err != nil {
		return Entry{}, fmt.Errorf("decoding an entry: %w", err)
	}
	return e, nil
}

// reader takes fields off the front of rest. After the first failure every
// method returns zero values.
type reader struct {
	rest []byte
	size int
	err  error
}

func (r *reader) fail(what string) {
	if r.err == nil {
		r.err = fmt.Errorf("decoding an entry: at byte %d: %s: %w", r.size-len(r.rest), what, ErrMalformed)
	}
	r.rest = nil
}

func (r *reader) entry() Entry {
	var e Entry
	e.Kind = Kind(r.uint16())
	e.LedgerID = r.uuid()
	e.Seq = r.int64()
	e.PrevHash = r.hash()
	e.RequestID = r.uuid()
	e.RecordedAt = r.int64()
	e.BookingDate = r.date()
	e.EffectiveDate = r.date()
	e.Actor = r.uuid()
	e.PriorPeriod = r.bool()
	e.RefSeq = optional(r, r.int64)
	e.RelatedTo = optional(r, r.uuid)
	e.ExpiresAt = optional(r, r.int64)
	e.Description = optional(r, r.hash)
	e.Reference = optional(r, r.hash)
	e.Metadata = optional(r, r.hash)
	e.Postings = r.postings()
	e.Ledger = optional(r, r.ledgerTerms)
	e.Account = optional(r, r.account)
	if n := r.count(MaxDetails, minPairSize); n > 0 {
		e.Details = make([]Detail, n)
		for i := range e.Details {
			e.Details[i] = Detail{Name: r.text(), Value: r.text()}
		}
	}
	return e
}

func (r *reader) postings() []Posting {
	n := r.count(MaxPostings, minPostingSize)
	if n == 0 {
		return nil
	}
	postings := make([]Posting, n)
	previous := ""
	for i := range postings {
		p := &postings[i]
		p.AccountID = r.uuid()
		p.Direction = Direction(r.uint8())
		p.Currency = r.textLike(previous)
		p.Scale = r.uint8()
		p.Amount = r.int128()
		p.PendingChange = r.int128()
		p.EffectiveDate = r.date()
		p.AccountSeq = r.int64()
		p.Posted = r.int128()
		p.PendingDebit = r.int128()
		p.PendingCredit = r.int128()
		previous = p.Currency
	}
	return postings
}

func (r *reader) ledgerTerms() LedgerTerms {
	return LedgerTerms{
		Name:           r.text(),
		Origin:         r.text(),
		TimeZone:       r.text(),
		DayCutoff:      int32(r.uint32()),
		BaseCurrency:   r.text(),
		BaseScale:      r.uint8(),
		ValueDaysBack:  int32(r.uint32()),
		ValueDaysAhead: int32(r.uint32()),
	}
}

func (r *reader) account() Account {
	a := Account{
		AccountID:  r.uuid(),
		Code:       r.text(),
		Type:       AccountType(r.uint8()),
		Currency:   r.text(),
		Scale:      r.uint8(),
		MinBalance: optional(r, r.int128),
		MaxBalance: optional(r, r.int128),
		Frozen:     Frozen(r.uint8()),
		Closed:     r.bool(),
	}
	if n := r.count(MaxTags, minPairSize); n > 0 {
		a.Tags = make([]Tag, n)
		for i := range a.Tags {
			a.Tags[i] = Tag{Key: r.text(), Value: r.text()}
		}
	}
	return a
}

// optional reads a presence byte, and with 1 the field behind it.
func optional[T any](r *reader, field func() T) *T {
	if !r.bool() {
		return nil
	}
	v := field()
	return &v
}

// bytes returns the next n bytes, which alias the input.
func (r *reader) bytes(n int) []byte {
	if len(r.rest) < n {
		r.fail("cut short")
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

func (r *reader) uint8() uint8 {
	if b := r.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) uint16() uint16 {
	if b := r.bytes(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (r *reader) uint32() uint32 {
	if b := r.bytes(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (r *reader) int64() int64 {
	if b := r.bytes(8); b != nil {
		return int64(binary.BigEndian.Uint64(b))
	}
	return 0
}

func (r *reader) date() Date { return Date(r.uint32()) }

func (r *reader) bool() bool {
	b := r.uint8()
	if b > 1 {
		r.fail("presence or truth byte is neither 0 nor 1")
	}
	return b == 1
}

func (r *reader) uuid() (u uuid.UUID) {
	copy(u[:], r.bytes(len(u)))
	return u
}

func (r *reader) hash() (h Hash) {
	copy(h[:], r.bytes(len(h)))
	return h
}

func (r *reader) int128() money.Int128 {
	var b [16]byte
	copy(b[:], r.bytes(len(b)))
	return money.FromBytes(b)
}

// count reads how many elements follow, each of at least size bytes.
func (r *reader) count(most, size int) int {
	n := int(r.uint16())
	if n > most || n*size > len(r.rest) {
		r.fail("count beyond its bound or the input")
		return 0
	}
	return n
}

// text reads a text of any length that the input holds; Check knows the bounds.
func (r *reader) text() string { return string(r.textBytes()) }

// textLike reads a text that is often equal to the previous one, and then shares it.
func (r *reader) textLike(previous string) string {
	b := r.textBytes()
	if string(b) == previous {
		return previous
	}
	return string(b)
}

func (r *reader) textBytes() []byte { return r.bytes(int(r.uint16())) }
