package ledger

import (
	"container/list"
	"fmt"
	"time"

	"github.com/google/uuid"

	"tallystick/ledger/chain"
)

// Head is the newest entry of a ledger that a process knows of.
type Head struct {
	Seq         int64
	Hash        chain.Hash
	RecordedAt  int64 // microseconds since the Unix epoch
	BookingDate chain.Date
}

// HeadOf returns the head that e makes when it is the newest entry.
func HeadOf(e *Entry) Head {
	return Head{Seq: e.record.Seq, Hash: e.hash, RecordedAt: e.record.RecordedAt, BookingDate: e.record.BookingDate}
}

// Book is the state of one ledger in memory: its terms, its head, and a cache
// of account states as of that head. It is not safe for concurrent use; the
// sequencer owns it.
type Book struct {
	id       LedgerID
	terms    chain.LedgerTerms
	zone     *time.Location
	head     Head
	rules    *ruleset
	accounts accountCache

	// What the batch at hand refers to, as of the head; see Sequencer.load.
	targets map[RequestID]*Target
	incomes []Income
}

// NewBook returns the book of a ledger at head with nothing cached. It fails
// when the time zone of the terms is unknown on this machine.
func NewBook(id LedgerID, terms chain.LedgerTerms, head Head, cacheBytes int) (*Book, error) {
	zone, err := time.LoadLocation(terms.TimeZone)
	if err != nil {
		return nil, fmt.Errorf("loading the time zone of ledger %s: %w", terms.Name, err)
	}
	b := &Book{id: id, terms: terms, zone: zone, head: head, rules: new(ruleset)}
	b.accounts.init(cacheBytes)
	return b, nil
}

// Head returns the newest entry that the book knows of.
func (b *Book) Head() Head { return b.head }

// Account returns the cached state of an account, or nil.
func (b *Book) Account(code string) *Account { return b.accounts.get(code) }

// RememberRules sets the closed periods, currencies and keys to what rules, all
// entries that SetsRules selects in order, say.
func (b *Book) RememberRules(rules []Entry) {
	b.rules = new(ruleset)
	for i := range rules {
		b.rules = b.rules.after(&rules[i].record)
	}
}

// RememberTargets sets what the requests to come refer to, as of the head.
func (b *Book) RememberTargets(targets map[RequestID]*Target) { b.targets = targets }

// RememberIncomes sets what a period to be closed has earned, as of the head.
func (b *Book) RememberIncomes(incomes []Income) { b.incomes = incomes }

// Remember caches the states of accounts, which must be as of the head.
func (b *Book) Remember(accounts ...*Account) {
	for _, a := range accounts {
		b.accounts.put(a)
	}
}

// Follow moves the book over an entry that another process appended. It fails
// when e does not extend the head or when its hash is not its own.
func (b *Book) Follow(e *Entry) error {
	r := &e.record
	if r.Seq != b.head.Seq+1 || r.PrevHash != b.head.Hash {
		return fmt.Errorf("following entry %d: it does not extend entry %d (%s)", r.Seq, b.head.Seq, b.head.Hash)
	}
	if !e.Intact() {
		return fmt.Errorf("following entry %d: its stored hash %s is not the hash of its columns", r.Seq, e.hash)
	}
	b.head, b.rules = HeadOf(e), b.rules.after(r)
	for i := range r.Postings {
		if a := b.accounts.byID(r.Postings[i].AccountID); a != nil {
			bookPosting(a, &r.Postings[i], r.Seq)
		}
	}
	if r.Account != nil {
		if a := b.accounts.byID(r.Account.AccountID); a != nil {
			a.Account, a.VersionSeq = *r.Account, r.Seq
			a.setName(e)
		}
	}
	if r.Kind == chain.Erasure && r.RefSeq != nil {
		for _, a := range b.accounts.setBy(*r.RefSeq) {
			a.eraseName()
		}
	}
	return nil
}

// bookPosting sets the state of a to what p says it is after entry seq.
func bookPosting(a *Account, p *chain.Posting, seq int64) {
	a.AccountSeq, a.Posted = p.AccountSeq, p.Posted
	a.PendingDebit, a.PendingCredit = p.PendingDebit, p.PendingCredit
	a.PostingSeq = seq
}

// bookingDate returns the business day of t. It never goes back behind the
// head's.
func (b *Book) bookingDate(t time.Time) chain.Date {
	return max(BookingDate(&b.terms, b.zone, t), b.head.BookingDate)
}

// BookingDate returns the business day of t under the terms of a ledger, whose
// time zone is zone: the local date, or the next one from the cut-off on.
func BookingDate(terms *chain.LedgerTerms, zone *time.Location, t time.Time) chain.Date {
	local := t.In(zone)
	d := chain.DateOf(local)
	sinceMidnight := int32(local.Hour()*3600 + local.Minute()*60 + local.Second())
	if terms.DayCutoff > 0 && sinceMidnight >= terms.DayCutoff {
		d++
	}
	return d
}

// accountCache keeps the states of the accounts used last, bounded in bytes.
type accountCache struct {
	limit, used int
	codes       map[string]*list.Element
	ids         map[uuid.UUID]*list.Element
	recent      *list.List // of *Account, the one used last in front
}

// accountOverhead is the rough size in bytes of a cached account beside its texts.
const accountOverhead = 640

func (c *accountCache) init(limit int) {
	*c = accountCache{
		limit:  limit,
		codes:  make(map[string]*list.Element),
		ids:    make(map[uuid.UUID]*list.Element),
		recent: list.New(),
	}
}

// clear forgets every account and keeps the limit.
func (c *accountCache) clear() { c.init(c.limit) }

func (c *accountCache) get(code string) *Account {
	e := c.codes[code]
	if e == nil {
		return nil
	}
	c.recent.MoveToFront(e)
	return e.Value.(*Account)
}

func (c *accountCache) byID(id uuid.UUID) *Account {
	if e := c.ids[id]; e != nil {
		return e.Value.(*Account)
	}
	return nil
}

func (c *accountCache) put(a *Account) {
	if e := c.ids[a.AccountID]; e != nil {
		old := e.Value.(*Account)
		c.used += accountSize(a) - accountSize(old)
		e.Value = a
		c.recent.MoveToFront(e)
		return
	}
	e := c.recent.PushFront(a)
	c.codes[a.Code], c.ids[a.AccountID] = e, e
	c.used += accountSize(a)
}

// trim forgets the accounts used longest ago until the cache is within its
// limit. The sequencer calls it between batches, so that the accounts of a
// batch stay while it runs.
func (c *accountCache) trim() {
	for c.used > c.limit {
		e := c.recent.Back()
		if e == nil {
			return
		}
		a := c.recent.Remove(e).(*Account)
		delete(c.codes, a.Code)
		delete(c.ids, a.AccountID)
		c.used -= accountSize(a)
	}
}

func accountSize(a *Account) int {
	n := accountOverhead + 2*len(a.Code)
	if a.Name != nil {
		n += len(*a.Name)
	}
	for _, t := range a.Tags {
		n += 32 + len(t.Key) + len(t.Value)
	}
	return n
}
