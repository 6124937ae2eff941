package bundle

import (
	"encoding/binary"
	"errors"

	"github.com/google/uuid"

	"tallystick/ledger/chain"
	"tallystick/ledger/money"
)

// record is what the verifier needs of an entry. Its memory is used again for
// the next one.
type record struct {
	kind        chain.Kind
	ledger      uuid.UUID
	seq         int64
	prev        chain.Hash
	recordedAt  int64
	booking     chain.Date
	refSeq      int64 // −1 when there is none
	commitments [3]*chain.Hash
	hashes      [3]chain.Hash // where commitments point to
	postings    []chain.Posting

	entry chain.Entry // everything, of kinds without postings and what is unusual
	words words
}

// words keeps one string for each currency code, so that reading one does not
// allocate and comparing two looks at no bytes.
type words map[string]string

// maxWords is how many codes are kept.
const maxWords = 1024

func (w *words) of(code []byte) string {
	s, ok := (*w)[string(code)]
	if !ok {
		s = string(code)
		if *w == nil {
			*w = make(words)
		}
		if len(*w) < maxWords {
			(*w)[s] = s
		}
	}
	return s
}

// Where the fields of an entry stand that every entry has, see FORMAT.md.
const (
	atVersion   = 16
	atKind      = 18
	atLedger    = 20
	atSeq       = 36
	atPrev      = 44
	atRequest   = 76
	atRecorded  = 92
	atBooking   = 100
	atEffective = 104
	atOptional  = 124
)

const (
	domainTag     = "tallystick/entry"
	formatVersion = 1
	latestMicro   = 253402300799999999
	earliestDate  = -719162
	latestDate    = 2932896
	minPostings   = 2
)

// errMalformed and errUnknown say what read found; the text is that of
// chain.Decode, and the fields up to booking are set if they could be read. All
// are where whole says so.
var (
	errMalformed = chain.ErrMalformed
	errUnknown   = chain.ErrUnknown
)

// read decodes the canonical bytes of an entry.
//
// An entry with postings and nothing unusual is read where it lies, which takes
// a third of the time of chain.Decode and allocates nothing; everything else is
// left to chain.Decode. A fuzz test holds the two against each other: what is
// read here is accepted there, and reads the same.
func (r *record) read(canonical []byte) error {
	if !r.readHeader(canonical) {
		_, err := chain.Decode(canonical)
		if err == nil {
			err = errMalformed // not reached: Decode wants all that readHeader does
		}
		return err
	}
	if r.readMoney(canonical) {
		return nil
	}
	var e chain.Entry
	err := e.Decode(canonical)
	if !r.whole(err) {
		r.postings = r.postings[:0]
		r.commitments = [3]*chain.Hash{}
		return err
	}
	r.entry = e
	if a := e.Account; a != nil {
		a.Currency = r.words.of([]byte(a.Currency))
	}
	r.refSeq = -1
	if e.RefSeq != nil {
		r.refSeq = *e.RefSeq
	}
	r.commitments = [3]*chain.Hash{e.Description, e.Reference, e.Metadata}
	r.postings = append(r.postings[:0], e.Postings...)
	return err
}

// whole reports whether r holds the whole entry after err: there is none, or it
// is about nothing but a detail that is not in the registry.
func (r *record) whole(err error) bool {
	return err == nil || unknown(err) && r.seq >= 0 && r.kind.Known()
}

// readHeader reads what stands at the same place in every entry.
func (r *record) readHeader(b []byte) bool {
	if len(b) < atOptional || string(b[:atVersion]) != domainTag || binary.BigEndian.Uint16(b[atVersion:]) != formatVersion {
		r.seq = -1
		return false
	}
	r.kind = chain.Kind(binary.BigEndian.Uint16(b[atKind:]))
	r.ledger = uuid.UUID(b[atLedger:])
	r.seq = int64(binary.BigEndian.Uint64(b[atSeq:]))
	r.prev = chain.Hash(b[atPrev:])
	r.recordedAt = int64(binary.BigEndian.Uint64(b[atRecorded:]))
	r.booking = chain.Date(binary.BigEndian.Uint32(b[atBooking:]))
	return true
}

// readMoney reads an entry of a kind with postings that has no ledger terms, no
// account and no details. It reports false for all others, and for everything
// that chain.Decode might refuse.
func (r *record) readMoney(b []byte) bool {
	k := r.kind
	acts := k == chain.Capture || k == chain.Release || k == chain.Reversal
	moves := k == chain.Transfer || k == chain.Hold
	if !acts && !moves || r.seq < 1 || r.recordedAt < 0 || r.recordedAt > latestMicro || !validDate(r.booking) ||
		!validDate(chain.Date(binary.BigEndian.Uint32(b[atEffective:]))) {
		return false
	}
	c := cursor{b: b, at: atOptional}
	c.flag() // prior_period
	r.refSeq = -1
	if c.flag() {
		r.refSeq = int64(binary.BigEndian.Uint64(c.take(8)))
		c.bad = c.bad || r.refSeq < 0 || r.refSeq >= r.seq
	}
	c.bad = c.bad || acts != (r.refSeq >= 0)
	if c.flag() { // related_to
		c.take(16)
		c.bad = c.bad || acts
	}
	if c.flag() { // expires_at
		expires := int64(binary.BigEndian.Uint64(c.take(8)))
		c.bad = c.bad || k != chain.Hold || expires < 0 || expires > latestMicro
	}
	for i := range r.commitments {
		r.commitments[i] = nil
		if c.flag() {
			r.hashes[i] = chain.Hash(c.take(32))
			r.commitments[i] = &r.hashes[i]
		}
	}
	n := int(binary.BigEndian.Uint16(c.take(2)))
	if c.bad || n < minPostings || n > chain.MaxPostings {
		return false
	}
	r.readPostings(&c, n)
	// No ledger terms, no account, no details, and nothing behind.
	return !c.bad && len(b)-c.at == 4 && b[c.at] == 0 && b[c.at+1] == 0 && b[c.at+2] == 0 && b[c.at+3] == 0
}

func validDate(d chain.Date) bool { return earliestDate <= d && d <= latestDate }

// What a posting has before its currency code and behind it, see FORMAT.md.
const (
	postingHead = 16 + 1 + 2
	postingTail = 1 + 2*16 + 4 + 8 + 3*16
)

func (r *record) readPostings(c *cursor, n int) {
	if cap(r.postings) < n {
		r.postings = make([]chain.Posting, n)
	}
	r.postings = r.postings[:n]
	currency := ""
	for i := range r.postings {
		p := &r.postings[i]
		head := c.take(postingHead)
		p.AccountID = uuid.UUID(head)
		p.Direction = chain.Direction(head[16])
		code := c.take(int(binary.BigEndian.Uint16(head[17:])))
		switch {
		case string(code) == currency:
		case string(code) == p.Currency: // that of an entry before, which is usual
			currency = p.Currency
		default:
			currency = r.words.of(code)
		}
		if i == 0 || p.Currency != currency {
			if c.bad = c.bad || !money.ValidCurrencyCode(currency); c.bad {
				return // nothing that is not valid stays in p
			}
			p.Currency = currency
		}
		fields := (*[postingTail]byte)(c.take(postingTail))
		p.Scale = fields[0]
		p.Amount = money.FromBytes([16]byte(fields[1:17]))
		p.PendingChange = money.FromBytes([16]byte(fields[17:33]))
		p.EffectiveDate = chain.Date(binary.BigEndian.Uint32(fields[33:37]))
		p.AccountSeq = int64(binary.BigEndian.Uint64(fields[37:45]))
		p.Posted = money.FromBytes([16]byte(fields[45:61]))
		p.PendingDebit = money.FromBytes([16]byte(fields[61:77]))
		p.PendingCredit = money.FromBytes([16]byte(fields[77:93]))
		if p.Direction != chain.Debit && p.Direction != chain.Credit || p.Scale > money.MaxScale ||
			p.Amount.Sign() < 0 || !p.PendingChange.InRange() || !validDate(p.EffectiveDate) || p.AccountSeq < 1 ||
			!p.Posted.InRange() || p.PendingDebit.Sign() < 0 || p.PendingCredit.Sign() < 0 {
			c.bad = true
		}
		if c.bad {
			return
		}
	}
}

// cursor walks through an entry. After the first thing that is not as usual it
// returns zeros.
type cursor struct {
	b   []byte
	at  int
	bad bool
}

// zeros is what a cursor returns beyond the end.
var zeros [1 << 16]byte

func (c *cursor) take(n int) []byte {
	if len(c.b)-c.at < n || c.bad {
		c.bad = true
		return zeros[:n]
	}
	b := c.b[c.at : c.at+n]
	c.at += n
	return b
}

// flag reads a truth or presence byte.
func (c *cursor) flag() bool {
	b := c.take(1)[0]
	c.bad = c.bad || b > 1
	return b == 1
}

// unknown reports whether newer software may have written what err is about.
func unknown(err error) bool { return errors.Is(err, errUnknown) }
