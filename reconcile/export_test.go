package reconcile

import (
	"context"

	"github.com/google/uuid"

	"tallystick/ledger/store"
)

// VerifyNarrowly is Verify with bounds so small that the sample ledger is cut
// into many segments, that accounts are dropped and met again, that workers
// take work from each other, and that entries are read in pieces. Accounts are
// followed along the chain or in account order.
func VerifyNarrowly(ctx context.Context, db *store.DB, ledgerID uuid.UUID, opts Options, byAccounts bool) (Report, error) {
	follow := alongChain
	if byAccounts {
		follow = byAccount
	}
	return verifyWithin(ctx, db, ledgerID, opts, &bounds{
		follow:         follow,
		segmentEntries: 3, segmentPostings: 4, segmentText: 1600, cachedAccounts: 4, cachedHolds: 5, stolenEntries: 1,
		findings: 1000, erasures: 10, page: 2,
	})
}

// NewNarrowFollower is NewFollower with bounds so small that the sample ledger
// is cut into many segments.
func NewNarrowFollower(db *store.DB) *Follower {
	return newFollower(db, &bounds{
		follow:         alongChain,
		segmentEntries: 3, segmentPostings: 4, segmentText: 1200, cachedAccounts: 4, cachedHolds: 5, stolenEntries: 1,
		findings: 1000, erasures: 10, page: 2,
	})
}
