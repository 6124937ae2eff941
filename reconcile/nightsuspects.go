package reconcile

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"sort"
	"time"

	"tallystick/ledger/chain"
	"tallystick/ledger/store"
)

const (
	// suspectWindow is how far apart two entries with the same body are suspected of
	// being one.
	suspectWindow = time.Hour
	// maxSuspects is how many suspected duplicates are listed.
	maxSuspects = 1000
	// maxBodies is how many bodies are remembered at once, some 100 bytes each.
	maxBodies = 4_000_000
)

// body stands for kind, value dates and postings of an entry.
type body [16]byte

// suspects finds entries whose body another one had before, within the window.
type suspects struct {
	before map[body]suspect // the last that had it
	queue  []aged           // all that are remembered, oldest first
	lost   int64            // bodies forgotten before their time
}

type suspect struct{ seq, at int64 }

type aged struct {
	body body
	suspect
}

// checkSuspects looks for transfers and holds of the same postings, amounts and
// value dates under two request ids within an hour: perhaps a client that sent
// once more what it believed lost, under another id. They are suspects and no more:
// who buys two coffees pays twice.
func (b *nightBooks) checkSuspects(ctx context.Context) (string, error) {
	from := int64(0)
	if b.Previous != nil {
		from = b.Previous.Size
	}
	start, err := b.anHourBefore(ctx, from)
	if err != nil {
		return "", err
	}
	s := suspects{before: make(map[body]suspect)}
	found := int64(0)
	err = b.eachBooked(ctx, start, b.Snapshot.Size, func(e *bookedRow) error {
		if e.kind != chain.Transfer.String() && e.kind != chain.Hold.String() {
			return nil
		}
		first, ok := s.meet(e)
		if !ok || e.seq < from {
			return nil
		}
		if found++; found <= maxSuspects {
			f := nightFinding(SuspectedDuplicate, e.seq, "request "+e.request.String(),
				fmt.Sprintf("the postings, amounts and value dates of entry %d, %s before", first.seq, time.Duration(e.recordedAt-first.at)*time.Microsecond))
			f.TransferID = optional(e.request.String())
			b.Find(f)
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	if found > maxSuspects {
		b.Find(nightFinding(SuspectedDuplicate, noSeq, fmt.Sprintf("%d further entries", found-maxSuspects), ""))
	}
	if s.lost > 0 {
		b.NotChecked(fmt.Sprintf("suspected duplicates of %d entries: more than %d came within an hour", s.lost, maxBodies))
	}
	return entriesFrom(from, b.Snapshot.Size), nil
}

// meet returns the last entry within the window that had the body of e.
func (s *suspects) meet(e *bookedRow) (first suspect, ok bool) {
	oldest := e.recordedAt - suspectWindow.Microseconds()
	forgotten := 0
	for forgotten < len(s.queue) && (s.queue[forgotten].at < oldest || len(s.queue)-forgotten >= maxBodies) {
		old := s.queue[forgotten]
		if old.at >= oldest {
			s.lost++
		}
		if s.before[old.body] == old.suspect {
			delete(s.before, old.body)
		}
		forgotten++
	}
	s.queue = s.queue[forgotten:]
	now := aged{e.bodyOf(), suspect{e.seq, e.recordedAt}}
	first, ok = s.before[now.body]
	s.before[now.body] = now.suspect
	s.queue = append(s.queue, now)
	return first, ok
}

// bodyOf hashes what makes two entries the same to whoever pays.
func (e *bookedRow) bodyOf() body {
	e.byAccount()
	b := make([]byte, 0, 512)
	b = append(append(b, e.kind...), 0)
	b = binary.BigEndian.AppendUint32(b, uint32(e.effective))
	for i := range e.postings {
		p := &e.postings[i]
		b = append(b, p.account[:]...)
		b = append(b, byte(p.direction), p.scale)
		b = append(append(b, p.currency...), 0)
		b = p.amount.AppendBytes(b)
		b = p.pendingChange.AppendBytes(b)
		b = binary.BigEndian.AppendUint32(b, uint32(p.effective))
	}
	sum := sha256.Sum256(b)
	return body(sum[:16])
}

// Index: the primary key.
const recordedSQL = `
select recorded_at
from book.entries
where ledger_id = $1::uuid and seq = $2::int8`

// anHourBefore returns the first entry recorded within the window before an entry.
// Times never go back (I5), so that it halves.
func (n *Night) anHourBefore(ctx context.Context, seq int64) (int64, error) {
	if seq == 0 || seq >= n.Snapshot.Size {
		return seq, nil
	}
	recorded := func(seq int64) (at int64, err error) {
		err = retry(ctx, func() error {
			return n.Snapshot.Scan(ctx, recordedSQL, []any{n.LedgerID, seq}, func(r *store.Row) error {
				at = r.Micros(0)
				return nil
			})
		})
		return at, err
	}
	until, err := recorded(seq)
	if err != nil {
		return 0, fmt.Errorf("reading when entry %d was recorded: %w", seq, err)
	}
	first := sort.Search(int(seq), func(i int) bool {
		if err != nil {
			return true
		}
		var at int64
		at, err = recorded(int64(i))
		return at >= until-suspectWindow.Microseconds()
	})
	return int64(first), wrap("looking for the entries of the hour before", err)
}
