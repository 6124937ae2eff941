package signer

import (
	"slices"
	"time"

	"github.com/google/uuid"

	"tallystick/ledger/chain"
)

// log is a ledger, or the super-log, as this process knows it.
type log struct {
	id     uuid.UUID
	origin string
	key    chain.VerifierKey // ours, for its origin
	head   Head

	saved     *Position          // as it is on disk; nil before the first time
	next      *Position          // checked in this round, and not yet on disk
	unvouched bool               // there was no state for it, and nobody vouched
	pins      []chain.Checkpoint // not yet reached, whose roots must come on the way

	nodes     []chain.Node // completed since nodesFrom
	nodesFrom int64        // unknown: nothing is kept

	published int64 // size of the largest published checkpoint, or unknown
	ahead     int64 // the largest published size seen beyond what was checked
	shownAt   time.Time
	askedAt   time.Time  // witnesses, in vain
	waitsFor  waitingFor // that the newest checkpoint is not published without

	refusal   string // why it is not signed; empty: it is
	refusedAt time.Time
	reported  map[string]bool // findings that were stored
	findings  map[string]int64
	unchecked string // why it is not signed to its end; empty: it is
	stuckAt   Head   // where the ledger was then
	stuckTill time.Time
	caughtUp  bool  // the super-log: all of its rows were looked at
	behind    error // the super-log: a row that cannot be looked at yet

	followFails, publishFails bool
	refusals                  int64
	signedAt                  time.Time
}

// unknown stands for a size that must be read.
const unknown = -1

func (s *Signer) newLog(id uuid.UUID, origin string, p *Position) (*log, error) {
	key, err := s.Key.LogKey(origin)
	if err != nil {
		return nil, err
	}
	l := &log{id: id, origin: origin, key: key, saved: p, unvouched: p == nil, nodesFrom: unknown, published: unknown,
		reported: make(map[string]bool), findings: make(map[string]int64)}
	for i := range s.Pins {
		if s.Pins[i].Origin == origin && s.Pins[i].Size > l.position().Size {
			l.pins, l.unvouched = append(l.pins, s.Pins[i]), false
		}
	}
	return l, nil
}

// position is how far the ledger was checked, saved or not.
func (l *log) position() *Position {
	switch {
	case l.next != nil:
		return l.next
	case l.saved != nil:
		return l.saved
	}
	return &Position{Origin: l.origin, Root: hexHash(chain.EmptyRoot)}
}

// backlog is how many entries there are beyond what was checked, as far as known.
func (l *log) backlog() int64 { return max(0, l.head.Size-l.position().Size) }

// name is for people.
func (l *log) name() string {
	if l.id == uuid.Nil {
		return "the super-log " + l.origin
	}
	return "ledger " + l.id.String()
}

func (l *log) isRefused() bool { return l.refusal != "" }

// forgetPublished makes the log look again at what is published.
func (l *log) forgetPublished() {
	l.published, l.shownAt = unknown, time.Time{}
	l.forgetNodes()
}

func (l *log) forgetNodes() { l.nodes, l.nodesFrom = nil, unknown }

// keepNodes keeps what a step has completed, as long as it can be kept.
func (l *log) keepNodes(nodes []chain.Node) {
	if l.nodesFrom == unknown {
		return
	}
	if l.nodes = append(l.nodes, nodes...); len(l.nodes) > maxNodes {
		l.forgetNodes()
	}
}

// proving reports whether the ledger was never checked to its end, and nothing
// vouches for less: it is not signed before.
func (l *log) proving() bool { return l.unvouched || len(l.pins) > 0 }

// dropPins forgets the pins up to a size.
func (l *log) dropPins(size int64) {
	l.pins = slices.DeleteFunc(l.pins, func(pin chain.Checkpoint) bool { return pin.Size <= size })
}

// noteFailure says once that something fails, and once that it does not.
func (s *Signer) noteFailure(l *log, failing *bool, err error) {
	switch {
	case err != nil && !*failing:
		s.Alarmf("%s: %v; trying again", l.origin, err)
	case err == nil && *failing:
		s.Logf("%s: well again", l.origin)
	}
	*failing = err != nil
}

func (p *Position) point() Point {
	return Point{Size: p.Size, Head: chain.Hash(p.Head), RecordedAt: p.Recorded, BookingDate: p.Booked}
}

func (p *Position) checkpoint() chain.Checkpoint {
	return chain.Checkpoint{Origin: p.Origin, Size: p.Size, Root: chain.Hash(p.Root)}
}

// Stats is what a signer says of a ledger.
type Stats struct {
	Size      int64 // of the ledger, when it was looked at last
	Checked   int64 // how far it was checked
	Published int64 // size of the newest published checkpoint, −1 while it is not known
	// ShownAt is when the newest checkpoint was published, or shown again;
	// SignedAt is when something new was. Zero: not by this process.
	ShownAt, SignedAt time.Time
	Refusals          int64 // how often it was refused, by this process
	Refused           bool
	Waiting           bool // for the quorum of witnesses
	Unchecked         bool // there are entries that cannot be checked
	Ended             bool // it has a successor, and is left alone
	Findings          map[string]int64
}

// Stats returns the figures of all ledgers, and those of the super-log under the
// nil UUID, as of the last round.
func (s *Signer) Stats() map[uuid.UUID]Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stats
}

// publishStats makes a new map: readers may hold the old one.
func (s *Signer) publishStats() {
	stats := make(map[uuid.UUID]Stats, len(s.logs)+1)
	for _, l := range s.all() {
		found := make(map[string]int64, len(l.findings))
		for code, n := range l.findings {
			found[code] = n
		}
		p := l.position()
		stats[l.id] = Stats{
			Size: max(l.head.Size, p.Size), Checked: p.Size, Published: l.published, ShownAt: l.shownAt, SignedAt: l.signedAt,
			Refusals: l.refusals, Refused: l.isRefused(), Waiting: l.waiting(), Unchecked: l.unchecked != "", Ended: s.hasEnded(l.id, l.origin), Findings: found,
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats = stats
}
