package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"tallystick/ledger"
	"tallystick/ledger/chain"
)

// releaser settles the holds that a sweep finds, as a server does.
type releaser struct {
	s     *scribe
	holds map[ledger.RequestID]*ledger.Entry
	fails map[ledger.LedgerID]error
	met   []ledger.RequestID
}

func (r *releaser) release(_ context.Context, due []ledger.DueHold) error {
	for _, h := range due {
		r.met = append(r.met, h.ID)
		if err := r.fails[h.Ledger]; err != nil {
			return err
		}
		r.s.settle(r.holds[h.ID], chain.Release, 0)
	}
	r.s.commit()
	return nil
}

func (r *releaser) hold(expires time.Time) *ledger.Entry {
	h := r.s.hold("cash", "bob", 1, expires)
	r.holds[h.RequestID()] = h
	return h
}

func newReleaser(d *desk) *releaser {
	return &releaser{s: d.scribe("cash", "bob"), holds: map[ledger.RequestID]*ledger.Entry{}, fails: map[ledger.LedgerID]error{}}
}

func (d *desk) watermark() time.Time {
	d.t.Helper()
	var at time.Time
	if err := d.db.Pool().QueryRow(d.t.Context(), `select watermark from ops.sweeps where name = 'expired_holds'`).Scan(&at); err != nil {
		d.t.Fatal(err)
	}
	return at
}

func TestSweepReleasesWhatHasExpiredOnce(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d *desk) {
		r := newReleaser(d)
		now := time.Now()
		var want []ledger.RequestID
		for i := range 1203 { // some pages
			h := r.hold(now.Add(time.Duration(i-1200) * time.Second))
			switch {
			case i == 700:
				r.s.settle(h, chain.Capture, 1)
			case i == 800:
				r.s.settle(h, chain.Release, 0)
			case i <= 1200:
				want = append(want, h.RequestID())
			}
		}
		r.s.commit()
		due, err := d.db.SweepHolds(t.Context(), now, r.release)
		if err != nil || due != len(want) || !slices.Equal(r.met, want) {
			t.Fatalf("%d due, %d met, want %d: %v", due, len(r.met), len(want), err)
		}
		if at := d.watermark(); at.After(now) || now.Sub(at) > time.Minute {
			t.Errorf("the watermark is at %s, the clock at %s", at, now)
		}
		if due, err = d.db.SweepHolds(t.Context(), now, r.release); due != 0 || err != nil {
			t.Errorf("again: %d due, %v", due, err)
		}
		r.met = nil
		if due, err = d.db.SweepHolds(t.Context(), now.Add(2*time.Hour), r.release); due != 2 || err != nil {
			t.Errorf("later: %d due, %v, want the 2 that had not expired", due, err)
		}
		d.checkLedger()
	})
}

// A hold that cannot be released is tried again once in a minute and holds up
// nobody.
func TestSweepGoesOnAfterALedgerThatFails(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d *desk) {
		other := *d
		open := d.mainLedger()
		open.Name = "other"
		info, _, _, err := d.db.OpenLedger(t.Context(), open)
		if err != nil {
			t.Fatal(err)
		}
		other.id = info.ID
		d.accept(d.sequencers(d.db), d.transfer("cash", "bob", "1"))
		s := other.sequencers(d.db)
		other.accept(s, other.open("cash", chain.Asset, nil), other.open("bob", chain.Liability, nil))
		bad, good := newReleaser(d), newReleaser(&other)
		now := time.Now()
		stuck := bad.hold(now.Add(-2 * time.Hour))
		later := good.hold(now.Add(-time.Hour))
		bad.s.commit()
		good.s.commit()
		broken := errors.New("posting has stopped")
		release := func(ctx context.Context, due []ledger.DueHold) error {
			if due[0].Ledger == d.id {
				bad.met = append(bad.met, due[0].ID)
				return broken
			}
			return good.release(ctx, due)
		}
		recent := good.hold(now.Add(10 * time.Second))
		good.s.commit()
		for _, c := range []struct {
			after time.Duration
			want  error
			due   int
		}{{0, broken, 2}, {20 * time.Second, nil, 1}, {30 * time.Second, nil, 0}, {2 * time.Minute, broken, 1}} {
			due, err := d.db.SweepHolds(t.Context(), now.Add(c.after), release)
			if !errors.Is(err, c.want) || due != c.due {
				t.Errorf("after %s: %d due, %v; want %d and %v", c.after, due, err, c.due, c.want)
			}
			if at := d.watermark(); !at.Equal(now.Add(-2 * time.Hour).Truncate(time.Microsecond)) {
				t.Errorf("the watermark passed the hold that is open: it is at %s", at)
			}
		}
		if want := []ledger.RequestID{later.RequestID(), recent.RequestID()}; !slices.Equal(good.met, want) {
			t.Errorf("of the other ledger's holds %v were met, want each once: %v", good.met, want)
		}
		now = now.Add(4 * time.Minute)
		if due, err := d.db.SweepHolds(t.Context(), now, bad.release); due != 1 || err != nil {
			t.Errorf("after the repair: %d due, %v", due, err)
		}
		if !slices.Contains(bad.met, stuck.RequestID()) || d.watermark().Before(now.Add(-time.Minute)) {
			t.Errorf("after the repair the watermark is at %s", d.watermark())
		}
	})
}

func TestOneProcessSweepsAtATime(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d *desk) {
		r := newReleaser(d)
		now := time.Now()
		r.hold(now.Add(-time.Hour))
		r.s.commit()
		inside := 0
		due, err := d.db.SweepHolds(t.Context(), now, func(ctx context.Context, due []ledger.DueHold) error {
			other, err := d.db.SweepHolds(ctx, now, func(context.Context, []ledger.DueHold) error {
				return fmt.Errorf("two sweep at once")
			})
			inside += other
			return errors.Join(err, r.release(ctx, due))
		})
		if due != 1 || inside != 0 || err != nil {
			t.Errorf("%d due, %d to a second sweep: %v", due, inside, err)
		}
	})
}

// A commit whose outcome was unknown for long may store a hold that expired
// before the watermark.
func TestSweepLooksBackOnceInAWhile(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d *desk) {
		r := newReleaser(d)
		now := time.Now()
		sweep := func(at time.Time) int {
			t.Helper()
			due, err := d.db.SweepHolds(t.Context(), at, r.release)
			if err != nil {
				t.Fatal(err)
			}
			return due
		}
		sweep(now)
		r.hold(now.Add(-30 * time.Minute)) // decided before, stored only now
		r.s.commit()
		if due := sweep(now.Add(time.Minute)); due != 0 {
			t.Errorf("a minute later: %d due; a sweep begins at the watermark", due)
		}
		if due := sweep(now.Add(2 * time.Hour)); due != 1 {
			t.Errorf("two hours later: %d due, want the late one", due)
		}
	})
}
