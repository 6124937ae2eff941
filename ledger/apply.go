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
	Items     []Answer // of an accepted AtomicBatch, whose Entry is the last of them
}

// Applied is a decided batch: answers in the order of the requests, the
// entries to append, and the state after them.
type Applied struct {
	Answers []Answer
	Entries []Entry

	head     Head
	rules    *ruleset
	accounts map[uuid.UUID]*Account
}

// Apply decides requests in order, each on the state that the accepted ones
// before it leave behind. It is pure and deterministic: the book is not
// changed (see Advance), now is the only clock, and every account and target
// that a request names and that exists must be known to the book.
func Apply(b *Book, now time.Time, requests []Request) *Applied {
	o := &overlay{
		book:     b,
		head:     b.head,
		rules:    b.rules,
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
	return &Applied{Answers: answers, Entries: o.entries, head: o.head, rules: o.rules, accounts: o.accounts}
}

// Advance moves the book over its own committed batch.
func (b *Book) Advance(a *Applied) {
	b.head, b.rules = a.head, a.rules
	for _, acc := range a.accounts {
		b.accounts.put(acc)
	}
}

// overlay is the state while a batch is decided: the book below, changed
// copies above, so that a batch that fails leaves the book untouched.
type overlay struct {
	book        *Book
	head        Head
	rules       *ruleset
	now         int64
	bookingDate chain.Date
	accounts    map[uuid.UUID]*Account // changed copies
	opened      map[string]*Account    // those of them that are new
	seen        map[RequestID]int      // accepted ids of this batch
	entries     []Entry
	acted       map[int64]int // entries acted on by entries of this batch, by seq
	erased      map[int64]bool
	undo        *undo // while a group is decided that stands or falls together
	buf         []byte
}

// undo is what the overlay was when a group began.
type undo struct {
	head     Head
	rules    *ruleset
	entries  int
	accounts map[uuid.UUID]*Account // nil where the overlay had no copy
}

// begin starts a group; it ends with rollBack, or with undo set to nil.
func (o *overlay) begin() {
	o.undo = &undo{head: o.head, rules: o.rules, entries: len(o.entries), accounts: make(map[uuid.UUID]*Account)}
}

// rollBack leaves the overlay as it was when the group began. A group opens no
// accounts.
func (o *overlay) rollBack() {
	for i := o.undo.entries; i < len(o.entries); i++ {
		r := &o.entries[i].record
		delete(o.seen, RequestID{r.RequestID})
		if r.RefSeq != nil {
			delete(o.acted, *r.RefSeq)
		}
	}
	for id, a := range o.undo.accounts {
		if a == nil {
			delete(o.accounts, id)
		} else {
			*o.accounts[id] = *a // in place: an account opened in this batch is in o.opened too
		}
	}
	o.head, o.rules, o.entries = o.undo.head, o.undo.rules, o.entries[:o.undo.entries]
	o.undo = nil
}

// draft is an accepted request before it has a place in the chain.
type draft struct {
	kind      chain.Kind
	effective chain.Date
	postings  []chain.Posting
	accounts  []PostingAccount
	account   *chain.Account
	name      *string // of account: stands as the entry's description
	prior     bool
	refSeq    *int64
	relatedTo *uuid.UUID
	expiresAt *int64
	details   []chain.Detail
}

func (o *overlay) decide(r Request) Answer {
	if batch, ok := r.(*AtomicBatch); ok {
		return o.decideAtomic(batch)
	}
	c := r.common()
	if i, ok := o.seen[c.ID]; ok {
		if refused := Conflict(r, &o.entries[i]); refused != nil {
			return o.refuse(o.betterThan(refused, r))
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
	o.accept(r, d)
	return Answer{Entry: len(o.entries) - 1}
}

// betterThan returns that an account exists otherwise where that is so: it says
// more than a conflict of ids that are derived from its code. So does replayOne.
func (o *overlay) betterThan(conflict *Refusal, r Request) *Refusal {
	if open, ok := r.(*OpenAccount); ok {
		if _, refused := open.apply(o); refused != nil && refused.Code == CodeAccountExists {
			return refused
		}
	}
	return conflict
}

// accept appends what a request became.
func (o *overlay) accept(r Request, d *draft) {
	o.entries = append(o.entries, o.seal(r, d))
	o.seen[r.common().ID] = len(o.entries) - 1
	switch {
	case d.refSeq == nil:
	case d.kind == chain.Erasure:
		if o.erased == nil {
			o.erased = make(map[int64]bool)
		}
		o.erased[*d.refSeq] = true
	default:
		if o.acted == nil {
			o.acted = make(map[int64]int)
		}
		o.acted[*d.refSeq] = len(o.entries) - 1
	}
}

// target returns what stands under an id at this point of the batch, nil when
// nothing does.
func (o *overlay) target(id RequestID) *Target {
	var t Target
	if i, ok := o.seen[id]; ok {
		t.Entry = &o.entries[i]
	} else if below := o.book.targets[id]; below != nil {
		t = *below
	} else {
		return nil
	}
	t.Erased = t.Erased || o.erased[t.Entry.Seq()]
	if i, ok := o.acted[t.Entry.Seq()]; ok {
		if e := &o.entries[i]; e.record.Kind == chain.Reversal {
			t.Reversed = e
		} else {
			t.Settled = e
		}
	}
	if t.Settled != nil {
		if i, ok := o.acted[t.Settled.Seq()]; ok {
			t.Reversed = &o.entries[i]
		}
	}
	return &t
}

func (o *overlay) refuse(r *Refusal) Answer {
	r.EvaluatedAtSeq = o.head.Seq
	return Answer{Entry: -1, Refusal: r}
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
		PriorPeriod:   d.prior,
		RefSeq:        d.refSeq,
		RelatedTo:     d.relatedTo,
		ExpiresAt:     d.expiresAt,
		Description:   commit(c, chain.FieldDescription, e.text.Description),
		Reference:     commit(c, chain.FieldReference, e.text.Reference),
		Metadata:      commit(c, chain.FieldMetadata, e.text.Metadata),
		Postings:      d.postings,
		Account:       d.account,
		Details:       d.details,
	}
	e.hash = o.hashEntry(&e.record)
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
	o.rules = o.rules.after(r)
	if r.Kind == chain.Erasure {
		o.eraseName(*r.RefSeq)
	}
	if r.Account == nil {
		return
	}
	a := o.changed(r.Account.AccountID, r.Account.Code)
	if r.Kind == chain.AccountOpened {
		a.OpenedSeq = r.Seq
	}
	a.Account, a.VersionSeq = *r.Account, r.Seq
	a.setName(e)
}

// changed returns the overlay's own copy of an account, a blank one when the
// account is new.
func (o *overlay) changed(id uuid.UUID, code string) *Account {
	o.noteForUndo(id)
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

// noteForUndo keeps what the overlay has of an account before a group changes it.
func (o *overlay) noteForUndo(id uuid.UUID) {
	if o.undo == nil {
		return
	}
	if _, noted := o.undo.accounts[id]; noted {
		return
	}
	var before *Account
	if a := o.accounts[id]; a != nil {
		copied := *a
		before = &copied
	}
	o.undo.accounts[id] = before
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
