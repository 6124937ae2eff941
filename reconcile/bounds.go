package reconcile

import "tallystick/ledger/chain"

// bounds limit what a verification holds at once. Together they bound its
// memory, whatever the size of the ledger: about 20 MB for each worker, and about
// 1 KB for each account that it holds.
type bounds struct {
	// segmentEntries is how many entries a worker reads at once.
	segmentEntries int64
	// segmentPostings is how many postings a worker holds at once; a segment
	// that has more is read in smaller pieces.
	segmentPostings int
	// segmentText is how many bytes of tags, details and limits a worker holds
	// at once; likewise.
	segmentText int
	// cachedAccounts is how many account states a worker holds at once, some
	// 140 bytes each, and more where regions meet. It is not less than
	// segmentPostings, so that those of a segment fit.
	cachedAccounts int
	// cachedHolds is how many holds a worker remembers, some 100 bytes each.
	cachedHolds int
	// marks is how many balances at the cuts of claims the first pass keeps, some 90
	// bytes each.
	marks int
	// textPlaces is how many entries that have a text are known by their places. For
	// tests, textsFirst has them looked for before the first pass and not beside it.
	textPlaces int
	textsFirst bool
	// stolenEntries is the least that a worker without work takes from another.
	stolenEntries int64
	// findings is how many findings are kept in detail: the first by seq. All
	// are counted.
	findings int
	// erasures is how many erasure entries are looked up when text is missing.
	erasures int
	// follow is how accounts are followed.
	follow way
	// page is how many accounts, requests or findings one statement is about.
	page int
}

// wholeBlocks rounds up to whole blocks of the Merkle tree, of which stripes
// then consist, unless segments are smaller than a block.
func (b *bounds) wholeBlocks(entries int64) int64 {
	if b.segmentEntries < chain.TileWidth {
		return entries
	}
	return (entries + chain.TileWidth - 1) / chain.TileWidth * chain.TileWidth
}

// way is a way to hold postings against the ones before them on their account.
// Both find the same.
type way int

const (
	cheapest way = iota
	// alongChain follows the accounts in the first pass, and looks up those it
	// has not met.
	alongChain
	// byAccount reads the postings again in account order.
	byAccount
)

// standard bounds were found by measuring: twice as large they are no faster,
// and take half as much memory again. A quarter of cachedAccounts takes half as
// long again on a ledger of 100,000 accounts.
var standard = bounds{
	segmentEntries:  4096,
	segmentPostings: 16_384,
	segmentText:     8 << 20,
	cachedAccounts:  131_072,
	cachedHolds:     32_768,
	marks:           1 << 19,
	textPlaces:      65_536,
	stolenEntries:   131_072,
	findings:        10_000,
	erasures:        1 << 20,
	page:            1024,
}

// Bounds that do not depend on what is verified.
const (
	// maxUnchecked is how many reasons for INCOMPLETE are kept.
	maxUnchecked = 100
	// maxCurrencies is how many currencies are added up.
	maxCurrencies = 10_000
	// maxLedgers is how many other ledgers an entry is tried as one of.
	maxLedgers = 1000
	// maxRules is how many entries may set closed periods and currencies.
	maxRules = 100_000
	// maxWords is how many currency codes a worker keeps strings of.
	maxWords = 1024
)
