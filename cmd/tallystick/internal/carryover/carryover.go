package carryover

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"tallystick/ledger"
	"tallystick/ledger/chain"
	"tallystick/ledger/money"
	"tallystick/ledger/store"
)

// OpeningAccounts is the beginning of the codes of the accounts that balances are carried over against. The name of the old
// ledger follows, and the currency in lower case.
const OpeningAccounts = "_carried-over:"

// The tags of an opening account.
const (
	tagOrigin = "carried_over_from" // the origin of the old ledger
	tagHash   = "carried_over_hash" // the hash of the entry, in hex
	tagSeq    = "carried_over_seq"  // the entry as of which balances are carried over
)

// pageSize is how many accounts, or holds, are read and posted together.
const pageSize = 500

// MaxDifferences is how many differences a Result lists.
const MaxDifferences = 20

// operation names the requests where their ids are derived.
const operation = "carry_over"

// Poster posts to ledgers, as ledger.Sequencers does.
type Poster interface {
	SubmitAll(ctx context.Context, id ledger.LedgerID, requests []ledger.Request) []ledger.Result
}

// Options say what to carry over, and with what.
type Options struct {
	DB         *store.DB
	Poster     Poster // not used by Survey
	From, Into store.LedgerInfo
	// Seq is the entry as of which balances are carried over; nil for the last one that both the ledger and the checkpoint
	// have that the successor's first entry binds.
	Seq   *int64
	Actor ledger.KeyID
	Salt  func() [ledger.SaltSize]byte
	Now   time.Time
	// Progress is told how many accounts or holds of a phase are done, and of how many; 0 when that is not known. Nil tells
	// nobody.
	Progress func(phase string, done, total int64)
}

// Sum is what was carried over of a currency. The balances sum to zero: there is as much on the debit side as on the other.
type Sum struct {
	Currency string
	Scale    uint8
	Balances int64        // accounts whose balance is not zero
	Debits   money.Int128 // the sum of those on the debit side
	net      money.Int128
}

// Difference is an account that is not the same in both ledgers.
type Difference struct {
	Account string
	What    string // balance, held debits, held credits, type, limits, freeze, closing or tags
	Old     string
	New     string
}

// Result says what was carried over, or would be.
type Result struct {
	Seq      int64      // the entry of the old ledger as of which it was read
	Hash     chain.Hash // of that entry
	Since    int64      // entries of the old ledger after it, which are not carried over
	Accounts int64
	Closed   int64 // of them
	Sums     []Sum // in order of currency
	Holds    int64
	Expired  int64    // holds that nothing had settled and whose time is over: they are not carried over
	Openings []string // the codes of the opening accounts
	// Before says that all of it was carried over by an earlier run, and that nothing was posted or compared by this one.
	Before bool
	// Differences are what is not the same afterwards, the first MaxDifferences of Differ.
	Differences []Difference
	Differ      int64
}

// carrier is one run.
type carrier struct {
	Options
	seq     int64
	result  Result
	sums    map[string]*Sum
	expired map[string]pending // by account: what holds set aside that are not carried over
}

// pending is what holds set aside on one account.
type pending struct{ debit, credit money.Int128 }

// ErrNotSuccessor means that the successor's first entry does not name the old ledger.
var ErrNotSuccessor = errors.New("not its successor")

// Survey says what Carry would carry over, and posts nothing.
func Survey(ctx context.Context, o Options) (*Result, error) {
	c, _, err := begin(ctx, o)
	if err != nil {
		return nil, err
	}
	return &c.result, c.survey(ctx)
}

// Carry carries over what there is. An error leaves it half done, and running it again goes on; differences are not an error.
func Carry(ctx context.Context, o Options) (*Result, error) {
	c, done, err := begin(ctx, o)
	if err != nil {
		return nil, err
	}
	if err := c.survey(ctx); err != nil {
		return nil, err
	}
	if done {
		c.result.Before = true
		return &c.result, nil
	}
	for _, step := range []func(context.Context) error{c.defineCurrencies, c.openOpenings, c.carryAccounts, c.carryHolds, c.finishAccounts, c.compare, c.closeOpenings} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return &c.result, nil
}

// begin finds out as of which entry; done says that an earlier run has carried over everything.
func begin(ctx context.Context, o Options) (c *carrier, done bool, err error) {
	c = &carrier{Options: o, sums: make(map[string]*Sum), expired: make(map[string]pending)}
	if c.seq, err = c.lastGood(ctx); err != nil {
		return nil, false, err
	}
	if o.Seq != nil {
		c.seq = *o.Seq
	}
	if c.seq < 0 || c.seq >= o.From.Size {
		return nil, false, fmt.Errorf("carrying over as of entry %d: ledger %s has the entries 0 to %d", c.seq, o.From.Terms.Name, o.From.Size-1)
	}
	mark, marked, err := c.mark(ctx)
	if err != nil {
		return nil, false, err
	}
	if marked {
		switch seq, err := strconv.ParseInt(tagOf(mark.Tags, tagSeq), 10, 64); {
		case err != nil || tagOf(mark.Tags, tagOrigin) != o.From.Terms.Origin:
			return nil, false, fmt.Errorf("carrying over: account %s of ledger %s was not opened by this command; balances cannot be carried over against it", mark.Code, o.Into.Terms.Name)
		case o.Seq != nil && *o.Seq != seq:
			return nil, false, fmt.Errorf("carrying over as of entry %d: those as of entry %d were carried over before, wholly or in part, and these would be posted on top of them\nhint: leave --seq out to go on with that",
				*o.Seq, seq)
		default:
			c.seq = seq
		}
	} else if err := c.mustBeEmpty(ctx); err != nil {
		return nil, false, err
	}
	at, err := o.DB.Entry(ctx, o.From.ID, c.seq)
	if err != nil {
		return nil, false, err
	}
	c.result.Seq, c.result.Hash, c.result.Since = c.seq, at.Hash(), o.From.Size-1-c.seq
	if marked && tagOf(mark.Tags, tagHash) != at.Hash().String() {
		return nil, false, fmt.Errorf("carrying over: entry %d of ledger %s is not the one any more as of which balances were carried over before", c.seq, o.From.Terms.Name)
	}
	return c, marked && mark.Closed, nil
}

// lastGood returns the last entry that the old ledger has and that the successor binds.
func (c *carrier) lastGood(ctx context.Context) (int64, error) {
	first, err := c.DB.Entry(ctx, c.Into.ID, 0)
	if err != nil {
		return 0, err
	}
	r := first.Record()
	if origin, _ := r.Detail("predecessor_origin"); origin != c.From.Terms.Origin {
		return 0, fmt.Errorf("carrying over into ledger %s: %w, of %s\nhint: tallystick ledger reincarnate opens a successor", c.Into.Terms.Name, ErrNotSuccessor, c.From.Terms.Name)
	}
	text, _ := r.Detail("predecessor_size")
	size, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("reading the first entry of ledger %s: %w", c.Into.Terms.Name, err)
	}
	return min(size, c.From.Size) - 1, nil
}

// opening returns the code of the opening account of a currency.
func (c *carrier) opening(currency string) string {
	return OpeningAccounts + c.From.Terms.Name + ":" + strings.ToLower(currency)
}

// mark returns the opening account that is opened first and closed last.
func (c *carrier) mark(ctx context.Context) (a ledger.Account, found bool, err error) {
	code := c.opening(c.Into.Terms.BaseCurrency)
	accounts, err := c.DB.AccountsByCode(ctx, c.Into.ID, []string{code})
	a, found = accounts[code]
	return a, found, err
}

func tagOf(tags []chain.Tag, key string) string {
	for _, t := range tags {
		if t.Key == key {
			return t.Value
		}
	}
	return ""
}

// mustBeEmpty refuses a successor to which something was posted: it would be counted twice.
func (c *carrier) mustBeEmpty(ctx context.Context) error {
	return c.walk(ctx, c.Into.ID, func(page []ledger.Account) error {
		for i := range page {
			if page[i].AccountSeq > 0 {
				return fmt.Errorf("carrying over into ledger %s: account %s has postings already, and balances would be added to them\nhint: carry over first, and post then; or open another successor", c.Into.Terms.Name, page[i].Code)
			}
		}
		return nil
	})
}

// walk hands the accounts of a ledger to visit by pages, in order of code, as they are now.
func (c *carrier) walk(ctx context.Context, id ledger.LedgerID, visit func([]ledger.Account) error) error {
	for next := (store.AccountFilter{Limit: pageSize}); ; {
		page, err := c.DB.Accounts(ctx, id, next)
		if err != nil {
			return err
		}
		if err := visit(page); err != nil || len(page) < pageSize {
			return err
		}
		next.AfterCode = page[len(page)-1].Code
	}
}

// walkOld hands the accounts of the old ledger to visit by pages, as of the entry.
func (c *carrier) walkOld(ctx context.Context, phase string, visit func([]ledger.Account) error) error {
	done := int64(0)
	return c.walk(ctx, c.From.ID, func(page []ledger.Account) error {
		then := page[:0]
		for _, a := range page {
			switch {
			case a.OpenedSeq > c.seq:
				continue
			case a.VersionSeq > c.seq || a.AccountSeq > 0 && a.PostingSeq > c.seq:
				var err error
				if a, err = c.DB.AccountAt(ctx, c.From.ID, a.Code, c.seq); err != nil {
					return err
				}
			}
			then = append(then, a)
		}
		done += int64(len(then))
		c.tell(phase, done, c.result.Accounts)
		return visit(then)
	})
}

func (c *carrier) tell(phase string, done, total int64) {
	if c.Progress != nil {
		c.Progress(phase, done, max(done, total))
	}
}

// walkHolds hands the holds to visit, by pages, that nothing had settled as of the entry.
func (c *carrier) walkHolds(ctx context.Context, visit func([]*ledger.Entry) error) error {
	next := store.EntryFilter{Kinds: []chain.Kind{chain.Hold}, ToSeq: &c.seq, Limit: pageSize}
	done := int64(0)
	for {
		page, err := c.DB.Entries(ctx, c.From.ID, next)
		if err != nil {
			return err
		}
		ids := make([]ledger.RequestID, len(page.Entries))
		for i := range page.Entries {
			ids[i] = page.Entries[i].RequestID()
		}
		targets, err := c.DB.Targets(ctx, c.From.ID, ids)
		if err != nil {
			return err
		}
		var open []*ledger.Entry
		for i := range page.Entries {
			if t := targets[ids[i]]; t == nil || t.Settled == nil || t.Settled.Seq() > c.seq {
				open = append(open, &page.Entries[i])
			}
		}
		done += int64(len(open))
		c.tell("holds", done, c.result.Holds+c.result.Expired)
		if err := visit(open); err != nil || page.Next == nil {
			return err
		}
		next.From = *page.Next
	}
}

// over reports whether the time of a hold is over.
func (c *carrier) over(hold *ledger.Entry) bool {
	expires := hold.Record().ExpiresAt
	return expires != nil && *expires <= c.Now.UnixMicro()
}
