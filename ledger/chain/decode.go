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
	var e Entry
	if err := e.Decode(b); err != nil {
		return Entry{}, err
	}
	return e, nil
}

// Decode makes e what canonical bytes say, as the function Decode does. It
// writes over the lists that e has, so that reading many entries into one
// allocates next to nothing; who keeps a list of e clones it. After an error e
// is of no use but to decode into; after ErrUnknown about a kind that is known it
// is whole, and only some detail's name is not.
func (e *Entry) Decode(b []byte) error {
	if len(b) > MaxCanonical {
		return fmt.Errorf("decoding an entry of %d bytes: %w", len(b), ErrMalformed)
	}
	r, err := readerOf("an entry", domainTag, b)
	if err != nil {
		return err
	}
	r.entry(e)
	if err := r.end(); err != nil {
		return err
	}
	if err := e.Check(); err != nil {
		return fmt.Errorf("decoding an entry: %w", err)
	}
	return nil
}

// reader takes fields off the front of rest. After the first failure every
// method returns zero values.
type reader struct {
	rest []byte
	size int
	what string // that is being read
	err  error
}

// readerOf returns a reader behind the domain tag and the format version.
func readerOf(what, tag string, b []byte) (reader, error) {
	r := reader{rest: b, size: len(b), what: what}
	if string(r.bytes(len(tag))) != tag {
		r.fail("wrong domain tag")
	}
	if version := r.uint16(); r.err == nil && version != formatVersion {
		return r, fmt.Errorf("decoding %s of format version %d: %w", what, version, ErrUnknown)
	}
	return r, r.err
}

func (r *reader) fail(what string) {
	if r.err == nil {
		r.err = fmt.Errorf("decoding %s: at byte %d: %s: %w", r.what, r.size-len(r.rest), what, ErrMalformed)
	}
	r.rest = nil
}

// end returns the first failure; bytes that are left are one.
func (r *reader) end() error {
	if len(r.rest) > 0 {
		r.fail("bytes after its end")
	}
	return r.err
}

// headerSize is the size of the fields from kind to actor, none of which varies.
const headerSize = 2 + 16 + 8 + 32 + 16 + 8 + 4 + 4 + 16

func (r *reader) entry(e *Entry) {
	postings, details := e.Postings, e.Details
	*e = Entry{}
	if b := r.bytes(headerSize); b != nil {
		e.Kind = Kind(binary.BigEndian.Uint16(b))
		e.LedgerID = uuid.UUID(b[2:18])
		e.Seq = int64(binary.BigEndian.Uint64(b[18:26]))
		e.PrevHash = Hash(b[26:58])
		e.RequestID = uuid.UUID(b[58:74])
		e.RecordedAt = int64(binary.BigEndian.Uint64(b[74:82]))
		e.BookingDate = Date(binary.BigEndian.Uint32(b[82:86]))
		e.EffectiveDate = Date(binary.BigEndian.Uint32(b[86:90]))
		e.Actor = uuid.UUID(b[90:106])
	}
	e.PriorPeriod = r.bool()
	e.RefSeq = r.optionalInt64()
	e.RelatedTo = r.optionalUUID()
	e.ExpiresAt = r.optionalInt64()
	e.Description = r.optionalHash()
	e.Reference = r.optionalHash()
	e.Metadata = r.optionalHash()
	e.Postings = r.postings(postings)
	if r.bool() {
		e.Ledger = r.ledgerTerms()
	}
	if r.bool() {
		e.Account = r.account()
	}
	e.Details = details[:0]
	for range r.count(MaxDetails, minPairSize) {
		e.Details = append(e.Details, Detail{Name: r.text(), Value: r.text()})
	}
}

// postings reads into the capacity of list, and shares its currency codes.
func (r *reader) postings(list []Posting) []Posting {
	n := r.count(MaxPostings, minPostingSize)
	previous := ""
	if cap(list) > 0 {
		previous = list[:1][0].Currency
	}
	if list = list[:0]; n > cap(list) {
		list = make([]Posting, 0, n)
	}
	for range n {
		list = append(list, Posting{})
		p := &list[len(list)-1]
		if b := r.bytes(16 + 1); b != nil {
			p.AccountID = uuid.UUID(b)
			p.Direction = Direction(b[16])
		}
		p.Currency = r.textLike(previous)
		previous = p.Currency
		if b := r.bytes(1 + 16 + 16 + 4 + 8 + 3*16); b != nil {
			p.Scale = b[0]
			p.Amount = money.FromBytes([16]byte(b[1:]))
			p.PendingChange = money.FromBytes([16]byte(b[17:]))
			p.EffectiveDate = Date(binary.BigEndian.Uint32(b[33:]))
			p.AccountSeq = int64(binary.BigEndian.Uint64(b[37:]))
			p.Posted = money.FromBytes([16]byte(b[45:]))
			p.PendingDebit = money.FromBytes([16]byte(b[61:]))
			p.PendingCredit = money.FromBytes([16]byte(b[77:]))
		}
	}
	return list
}

func (r *reader) ledgerTerms() *LedgerTerms {
	return &LedgerTerms{
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

func (r *reader) account() *Account {
	a := &Account{
		AccountID:  r.uuid(),
		Code:       r.text(),
		Type:       AccountType(r.uint8()),
		Currency:   r.text(),
		Scale:      r.uint8(),
		MinBalance: r.optionalInt128(),
		MaxBalance: r.optionalInt128(),
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

// The optional fields: a presence byte, and with 1 the field behind it.

func (r *reader) optionalInt64() *int64 {
	if !r.bool() {
		return nil
	}
	v := r.int64()
	return &v
}

func (r *reader) optionalUUID() *uuid.UUID {
	if !r.bool() {
		return nil
	}
	v := r.uuid()
	return &v
}

func (r *reader) optionalHash() *Hash {
	if !r.bool() {
		return nil
	}
	v := r.hash()
	return &v
}

func (r *reader) optionalInt128() *money.Int128 {
	if !r.bool() {
		return nil
	}
	v := r.int128()
	return &v
}

// bytes returns the next n bytes, which alias the input.
func (r *reader) bytes(n int) []byte {
	b := r.rest
	if len(b) < n {
		r.fail("cut short")
		return nil
	}
	r.rest = b[n:]
	return b[:n]
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

func (r *reader) bool() bool {
	if len(r.rest) > 0 && r.rest[0] <= 1 {
		b := r.rest[0]
		r.rest = r.rest[1:]
		return b == 1
	}
	if r.bytes(1) != nil {
		r.fail("presence or truth byte is neither 0 nor 1")
	}
	return false
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
