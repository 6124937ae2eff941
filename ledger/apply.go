package ledger

import (
	"time"

	"github.com/google/uuid"

	"tallystick/ledger/chain"
)

// Answer is what Apply decided about one request.
type Answer struct {
	Entry     int      // index into Applied.Entries, or −1
	Replayed  bool     // Entry stands for an earlier request of this batch with the same id
	Unchanged bool     // the request asks for what already is
	Refusal   *Refusal // set when the request was refused
}

// Applied is a decided batch: answers in the order of the requests, the
// entries to append, and the state after them.
type Applied struct {
	Answers []Answer
	Entries []Entry

	head     Head
	accounts map[uuid.UUID]*Account
}

// Apply decides requests in order, each on the state that the accepted ones
// before it leave behind. It is pure and deterministic: the book is not
// changed (see Advance), now is the only clock, and every account that a
// request names and that exists must be cached in the book.
func Apply(b *Book, now time.Time, requests []Request) *Applied {
	o := &overlay{
		book:     b,
		head:     b.head,
		accounts: make(map[uuid.UUID]*Account, 2*len(requests)),
		now:      max(now.UnixMicro(), b.head.RecordedAt),
		seen:     make(map[RequestID]int, len(requests)),
		entries:  make([]Entry, 0, len(requests)),
	}
	o.bookingDate = b.bookingDate(time.UnixMicro(o.now))
	answers := make([]Answer, len(requests))
	for i, r := range requests {
		answers[i] = o.decide(r)
	}
	return &Applied{Answers: answers, Entries: o.entries, head: o.head, accounts: o.accounts}
}

// Advance moves the book over its own committed batch.
func (b *Book) Advance(a *Applied) {
	b.head = a.head
	for _, acc := range a.accounts {
		b.accounts.put(acc)
	}
}

// overlay is the state while a batch is decided: the book below, changed
// copies above, so that a batch that fails leaves the book untouched.
type overlay struct {
	book        *Book
	head        Head
	now         int64
	bookingDate chain.Date
	accounts    map[uuid.UUID]*Account // changed copies
	opened      map[string]*Account    // those of them that are new
	seen        map[RequestID]int      // accepted ids of this batch
	entries     []Entry
	buf         []byte
}

// draft is an accepted request before it has a place in the chain.
type draft struct {
	kind      chain.Kind
	effective chain.Date
	postings  []chain.Posting
	accounts  []PostingAccount
	account   *chain.Account
	name      *string // of account: stands as the entry's description
}

func (o *overlay) decide(r Request) Answer {
	c := r.common()
	if i, ok := o.seen[c.ID]; ok {
		if refusal := Conflict(r, &o.entries[i]); refusal != nil {
			return o.refuse(refusal)
		}
		return Answer{Entry: i, Replayed: true}
	}
	if c.NotAfter != nil && o.now > c.NotAfter.UnixMicro() {
		return o.refuse(refusal(CodeTooLate, "not_after has passed; send the request again with a later one if it should still happen"))
	}
	d, refused := r.apply(o)
	switch {
	case refused != nil:
		return o.refuse(refused)
	case d == nil:
		return Answer{Entry: -1, Unchanged: true}
	}
	o.entries = append(o.entries, o.seal(r, d))
	o.seen[c.ID] = len(o.entries) - 1
	return Answer{Entry: len(o.entries) - 1}
}

func (o *overlay) refuse(r *Refusal) Answer {
	r.EvaluatedAtSeq = o.head.Seq
	return Answer{Entry: -1, Refusal: r}
}

// Conflict compares a request with the entry that stands under its id (I8). It
// returns nil when the request is the same, and the refusal otherwise. After an
// erasure only the money fields, which the entry itself binds, can be compared.
func Conflict(r Request, e *Entry) *Refusal {
	var same bool
	if len(e.text.Salt) > 0 {
		fingerprint := Fingerprint(r, e.text.Salt)
		same = string(fingerprint[:]) == string(e.text.Fingerprint)
	} else {
		same = sameMoney(r, e)
	}
	if same {
		return nil
	}
	return refusal(CodeIdempotencyConflict,
		"this id or idempotency key stands for another request already; use a new one for a new request")
}

// sameMoney compares what an erasure leaves: the legs of a transfer.
func sameMoney(r Request, e *Entry) bool {
	t, ok := r.(*TransferRequest)
	if !ok || e.record.Kind != chain.Transfer || len(e.accounts) != len(e.record.Postings) {
		return false
	}
	booked := make(map[string]chain.Posting, len(e.accounts))
	for i := range e.record.Postings {
		booked[e.accounts[i].Code] = e.record.Postings[i]
	}
	asked, refused := summedUnits(t, func(code string) (uint8, bool) {
		p, ok := booked[code]
		return p.Scale, ok
	})
	if refused != nil || len(asked) != len(booked) {
		return false
	}
	for _, l := range asked {
		if p := booked[l.code]; p.Direction != l.direction || p.Amount != l.units {
			return false
		}
	}
	return true
}

// seal gives a draft its place in the chain (I5, I6) and books it on the overlay.
func (o *overlay) seal(r Request, d *draft) Entry {
	c := r.common()
	e := Entry{accounts: d.accounts, text: textOf(r, d)}
	e.record = chain.Entry{
		LedgerID:      o.book.id.UUID,
		Seq:           o.head.Seq + 1,
		PrevHash:      o.head.Hash,
		Kind:          d.kind,
		RequestID:     c.ID.UUID,
		RecordedAt:    o.now,
		BookingDate:   o.bookingDate,
		EffectiveDate: d.effective,
		Actor:         c.Actor.UUID,
		Description:   commit(c, chain.FieldDescription, e.text.Description),
		Reference:     commit(c, chain.FieldReference, e.text.Reference),
		Metadata:      commit(c, chain.FieldMetadata, e.text.Metadata),
		Postings:      d.postings,
		Account:       d.account,
	}
	o.buf = e.record.AppendCanonical(o.buf[:0])
	e.hash = chain.HashCanonical(o.buf)
	o.head = HeadOf(&e)
	o.bookEntry(&e)
	return e
}

// bookEntry sets the accounts of e to their state after it.
func (o *overlay) bookEntry(e *Entry) {
	r := &e.record
	for i := range r.Postings {
		bookPosting(o.changed(r.Postings[i].AccountID, e.accounts[i].Code), &r.Postings[i], r.Seq)
	}
	if r.Account == nil {
		return
	}
	a := o.changed(r.Account.AccountID, r.Account.Code)
	if r.Kind == chain.AccountOpened {
		a.OpenedSeq = r.Seq
	}
	a.Account, a.Name, a.VersionSeq = *r.Account, e.text.Description, r.Seq
}

// changed returns the overlay's own copy of an account, a blank one when the
// account is new.
func (o *overlay) changed(id uuid.UUID, code string) *Account {
	if a := o.accounts[id]; a != nil {
		return a
	}
	a := new(Account)
	if below := o.book.Account(code); below != nil {
		*a = *below
	} else {
		if o.opened == nil {
			o.opened = make(map[string]*Account)
		}
		o.opened[code] = a
	}
	o.accounts[id] = a
	return a
}

// account returns the state of an account at this point of the batch, or nil
// when there is none of that code. It must not be changed.
func (o *overlay) account(code string) *Account {
	below := o.book.Account(code)
	if below == nil {
		return o.opened[code]
	}
	if a := o.accounts[below.AccountID]; a != nil {
		return a
	}
	return below
}

func textOf(r Request, d *draft) Text {
	c := r.common()
	fingerprint := Fingerprint(r, c.Salt[:])
	t := Text{
		Salt:        c.Salt[:],
		Fingerprint: fingerprint[:],
		Description: c.Description,
		Reference:   c.Reference,
		Metadata:    c.Metadata,
	}
	if d.account != nil {
		t.Description = d.name
	}
	return t
}

func commit(c *Common, field chain.Field, text *string) *chain.Hash {
	if text == nil {
		return nil
	}
	h := chain.Commitment(c.Salt[:], field, *text)
	return &h
}
