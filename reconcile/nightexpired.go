package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"tallystick/ledger/store"
)

// expiryGrace is how long before the end of the day a hold must have expired to be
// looked at: the release is an entry of its own, which a server appends soon after.
const expiryGrace = time.Hour

const (
	// maxExpired is how many holds that are open are carried to the next run.
	maxExpired = 100_000
	// expiredPage is how many holds are read at once.
	expiredPage = 1024
	// expiredOutput is the name of the list among the outputs of a run.
	expiredOutput = "expired-holds"
)

// ExpiredHolds is what a run leaves for the next one: the holds that were open
// although they had expired, and up to when it looked.
type ExpiredHolds struct {
	Until int64   `json:"until"` // microseconds since 1970
	Open  []int64 `json:"open"`
}

// expiredHold is a hold that has expired.
type expiredHold struct {
	seq       int64
	request   uuid.UUID
	expiresAt int64
}

// Index: entries_expiring.
const expiredSQL = `
select expires_at, seq, request_id
from book.entries
where kind = 'hold' and expires_at is not null and ledger_id = $1::uuid and seq < $2::int8
    and (expires_at > $3::timestamptz or expires_at = $3::timestamptz and seq > $4::int8) and expires_at <= $5::timestamptz
order by expires_at, seq
limit $6::int8`

// Index: the primary key.
const holdsAmongSQL = `
select expires_at, seq, request_id
from book.entries
where ledger_id = $1::uuid and seq = any($2::int8[]) and kind = 'hold' and expires_at is not null
order by expires_at, seq`

// Index: i12_entries_settled.
const settledAmongSQL = `
select ref_seq
from book.entries
where ledger_id = $1::uuid and ref_seq = any($2::int8[]) and kind in ('capture', 'release') and seq < $3::int8`

// checkExpired looks for holds that expired before the end of the day and still
// take away from what their accounts may use. Those that expired before the run
// before were looked at then: of them it looks at those that were open.
func (b *nightBooks) checkExpired(ctx context.Context) (string, error) {
	end, err := b.endOfDay()
	if err != nil {
		return "", err
	}
	until := end.Add(-expiryGrace)
	carried := ExpiredHolds{Open: []int64{}}
	scope := "those that expired before " + until.UTC().Format(time.RFC3339)
	if b.Previous != nil && !b.Plan.Whole {
		err := b.readPrevious(ctx, StateOutput, expiredOutput, &carried)
		switch {
		case errors.Is(err, ErrNoOutput) || errors.Is(err, errOutput): // from the beginning
			carried = ExpiredHolds{}
		case err != nil:
			return "", err
		default:
			scope += ", and those that were open before"
		}
	}
	left := ExpiredHolds{Until: until.UnixMicro(), Open: []int64{}}
	take := func(page []expiredHold) error {
		open, err := b.unsettled(ctx, page)
		for _, h := range open {
			f := nightFinding(HoldExpiredOpen, h.seq, "open at the end of the day", "released after "+showMicros(h.expiresAt))
			f.TransferID = optional(h.request.String())
			b.Find(f)
			left.Open = append(left.Open, h.seq)
		}
		return err
	}
	for page := range slices.Chunk(carried.Open, expiredPage) {
		holds, err := b.readExpired(ctx, holdsAmongSQL, b.LedgerID, page)
		if err == nil {
			err = take(holds)
		}
		if err != nil {
			return "", err
		}
	}
	after := expiredHold{seq: noSeq, expiresAt: carried.Until}
	for {
		page, err := b.readExpired(ctx, expiredSQL, b.LedgerID, b.Snapshot.Size, time.UnixMicro(after.expiresAt), after.seq, until, int64(expiredPage))
		if err == nil && len(page) > 0 {
			err = take(page)
		}
		switch {
		case err != nil:
			return "", err
		case len(left.Open) > maxExpired:
			return "", fmt.Errorf("more than %d holds have expired and are open", maxExpired)
		case len(page) == 0:
			slices.Sort(left.Open)
			return scope, b.Put(StateOutput, expiredOutput, left)
		}
		after = page[len(page)-1]
	}
}

func (b *nightBooks) readExpired(ctx context.Context, sql string, args ...any) ([]expiredHold, error) {
	var page []expiredHold
	err := retry(ctx, func() error {
		page = page[:0]
		return b.Snapshot.Scan(ctx, sql, args, func(r *store.Row) error {
			page = append(page, expiredHold{expiresAt: r.Micros(0), seq: r.Int64(1), request: r.UUID(2)})
			return nil
		})
	})
	return page, wrap("reading holds that have expired", err)
}

// unsettled returns which of some holds nothing below the cut has settled.
func (b *nightBooks) unsettled(ctx context.Context, page []expiredHold) ([]expiredHold, error) {
	seqs := make([]int64, len(page))
	for i := range page {
		seqs[i] = page[i].seq
	}
	settled := make(map[int64]bool)
	err := retry(ctx, func() error {
		return b.Snapshot.Scan(ctx, settledAmongSQL, []any{b.LedgerID, seqs, b.Snapshot.Size}, func(r *store.Row) error {
			settled[r.Int64(0)] = true
			return nil
		})
	})
	var open []expiredHold
	for _, h := range page {
		if !settled[h.seq] {
			open = append(open, h)
		}
	}
	return open, wrap("reading which holds are settled", err)
}

// endOfDay is when the business day of the run ended, by the ledger's clock.
func (n *Night) endOfDay() (time.Time, error) {
	zone, err := time.LoadLocation(n.Terms.TimeZone)
	if err != nil {
		return time.Time{}, fmt.Errorf("reading the time zone of ledger %s: %w", n.Terms.Name, err)
	}
	day := n.AsOf.Time()
	if n.Terms.DayCutoff > 0 {
		return time.Date(day.Year(), day.Month(), day.Day(), 0, 0, int(n.Terms.DayCutoff), 0, zone), nil
	}
	return time.Date(day.Year(), day.Month(), day.Day()+1, 0, 0, 0, 0, zone), nil
}
