package carryover

import (
	"context"
	"errors"
	"math/big"
	"time"

	"tallystick/ledger"
	"tallystick/ledger/chain"
	"tallystick/ledger/store"
)

// OpeningAccounts is the beginning of the codes of the accounts that balances are carried over against: clients of the API open
// none with a '_' in front. The name of the old ledger follows, and the currency in lower case.
const OpeningAccounts = "_carried-over:"

// pageSize is how many accounts, or holds, are read and posted together.
const pageSize = 500

// MaxDifferences is how many differences a Result lists.
const MaxDifferences = 20

// Poster posts to ledgers, as ledger.Sequencers does.
type Poster interface {
	SubmitAll(ctx context.Context, id ledger.LedgerID, requests []ledger.Request) []ledger.Result
}

// Options say what to carry over, and with what.
type Options struct {
	DB         *store.DB
	Poster     Poster // not used by Survey
	From, Into store.LedgerInfo
	// Seq is the entry as of which balances are carried over. Nil is the last one that the checkpoint covers that the
	// successor's first entry binds, or the last one that the ledger had when the successor was opened, if that is less.
	Seq *int64
	// Root returns the root of the old ledger over its first entries. Where all that the checkpoint covers is carried over, it has
	// to be the one that the successor binds; nil: it is not asked.
	Root  func(ctx context.Context, size int64) (chain.Hash, error)
	Actor ledger.KeyID
	Salt  func() [ledger.SaltSize]byte
	// Now is when Survey takes place: holds that expire before count as expired.
	Now time.Time
	// Progress is told how many accounts or holds of a phase are done, and of how many; 0 when that is not known. Nil tells
	// nobody.
	Progress func(phase string, done, total int64)
}

// Sum is what was carried over of a currency. The balances sum to zero: there is as much on the debit side as on the other.
type Sum struct {
	Currency string
	Scale    uint8
	Balances int64    // accounts whose balance is not zero
	Debits   *big.Int // units: the sum of those on the debit side
	net      *big.Int
}

// Difference is an account that is not the same in both ledgers.
type Difference struct {
	Account string
	What    string // balance, held debits, held credits, type, limits, freeze, closing, name or tags
	Old     string // as it should be
	New     string
}

// Result says what was carried over, or would be.
type Result struct {
	Seq      int64      // the entry of the old ledger as of which it was read
	Hash     chain.Hash // of that entry
	Covered  int64      // the last entry that the checkpoint covers that the successor binds
	Since    int64      // entries of the old ledger after Seq, which are not carried over
	Accounts int64
	Closed   int64 // of them
	Sums     []Sum // in order of currency
	// Holds are those that nothing had settled: carried over, or about to be. Settled says of how many of them the successor
	// has a capture or release since.
	Holds, Settled int64
	Expired        int64    // holds that nothing had settled and whose time is over: they are left out, or were released
	Openings       []string // the codes of the opening accounts, that of the base currency first
	// Before says that all of it was carried over by an earlier run, and that this one posted and compared nothing.
	Before bool
	// Differences are what is not the same afterwards, the first MaxDifferences of Differ.
	Differences []Difference
	Differ      int64
}

// carrier is one run.
type carrier struct {
	Options
	seq    int64
	result Result
	sums   map[string]*Sum
	own    []*ledger.DefineCurrency // the currencies of the old ledger's own
}

// Reasons for which nothing is carried over.
var (
	// ErrNotSuccessor: the first entry of the one ledger does not name the other.
	ErrNotSuccessor = errors.New("it does not succeed that ledger")
	// ErrOtherRoot: what the old ledger has is not what the successor binds.
	ErrOtherRoot = errors.New("it is not what the checkpoint covered")
)

// Survey says what Carry would carry over, and posts nothing.
func Survey(ctx context.Context, o Options) (*Result, error) {
	c, err := begin(ctx, o)
	if err != nil {
		return nil, err
	}
	return &c.result, c.survey(ctx)
}

// Carry carries over what there is. An error leaves it half done, and running it again goes on; differences are not an error.
func Carry(ctx context.Context, o Options) (*Result, error) {
	c, err := begin(ctx, o)
	if err != nil {
		return nil, err
	}
	if err := c.survey(ctx); err != nil {
		return nil, err
	}
	if c.result.Before {
		return &c.result, nil
	}
	for _, step := range []func(context.Context) error{c.defineCurrencies, c.openOpenings, c.carryAccounts, c.carryHolds, c.finishAccounts, c.compare, c.closeOpenings} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return &c.result, nil
}

// tell tells how far a phase is.
func (c *carrier) tell(phase string, done, total int64) {
	if c.Progress != nil {
		c.Progress(phase, done, max(done, total))
	}
}
