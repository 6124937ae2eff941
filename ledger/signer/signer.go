package signer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"tallystick/ledger/chain"
)

// Times and bounds of a signer.
const (
	// Interval is how often there is a round, unless one takes longer.
	Interval = time.Second
	// Heartbeat is how often a checkpoint is shown again while nothing is new.
	Heartbeat = time.Minute
	// Lease is for how long a replica that has gone keeps the others from signing.
	Lease = 15 * time.Second
	// renewal is how often the lease is renewed.
	renewal = Lease / 3
	// superEvery is the least time between two leaves of a ledger in the super-log.
	superEvery = time.Minute
	// refusalPause is how often a ledger that was refused is looked at again.
	refusalPause = time.Minute
	// quorumPause is how often witnesses are asked again for what is not new.
	quorumPause = 5 * time.Second
	// cosignTimeout bounds the wait for witnesses.
	cosignTimeout = 10 * time.Second
	// stepEntries is how many entries are followed at once.
	stepEntries = 16_384
	// roundEntries is how many entries are followed in a round, of all ledgers:
	// those that are behind must not keep the others waiting, nor the lease.
	roundEntries = 131_072
	// announcement is how many entries naming the key in a chain counts for: it is
	// a commit of its own, of which a first start has one for each ledger.
	announcement = roundEntries / 64
	// checkpointsAtOnce is how many published checkpoints are read at once.
	checkpointsAtOnce = 1024
	// maxNodes is how many nodes are kept for publishing; beyond, they are read
	// and computed again.
	maxNodes = 65_536
	// publishers is how many ledgers are published at once.
	publishers = 4
	// maxReported is how many findings of a refusal are stored.
	maxReported = 20
)

// ErrRefused: something is not as it was signed, or must not be signed. What it
// is has been reported.
var ErrRefused = errors.New("the signer refuses to sign")

// Head is where a ledger stands in the database.
type Head struct {
	ID     uuid.UUID
	Origin string
	Size   int64
	Hash   chain.Hash // of entry Size − 1, as stored
}

// Point is where a ledger was followed to.
type Point struct {
	Size        int64
	Head        chain.Hash
	RecordedAt  int64
	BookingDate chain.Date
}

// Step is what following a ledger from a point on has given.
type Step struct {
	Hashes    []chain.Hash // recomputed, of the entries from the point to Next
	Next      Point
	Size      int64           // of the ledger
	Findings  []chain.Finding // a critical one: no hashes
	Unchecked []string        // why Next is not the end
}

// Checkpoint is one that was published.
type Checkpoint struct {
	Size int64
	Root chain.Hash
	Note []byte // signed
	At   time.Time
}

// SuperRow is a row of the super-log.
type SuperRow struct {
	Position int64
	Leaf     chain.SuperLeaf
	Stored   chain.Hash // the leaf hash in the row
}

// Database is what a signer needs of the database. Each function is one
// transaction; the id of the super-log is the nil UUID.
type Database struct {
	// Ledgers returns all ledgers that have terms.
	Ledgers func(ctx context.Context) ([]Head, error)
	// Follow re-derives at most that many entries from a point on.
	Follow func(ctx context.Context, id uuid.UUID, from Point, most int64) (Step, error)
	// Checkpoints returns those beyond a size, smallest first.
	Checkpoints func(ctx context.Context, id uuid.UUID, beyond, most int64) ([]Checkpoint, error)
	// Largest returns the size of the largest checkpoint, 0 without any.
	Largest func(ctx context.Context, id uuid.UUID) (int64, error)
	// Nodes reads the tree as it is stored.
	Nodes func(ctx context.Context, id uuid.UUID) chain.ReadNodes
	// Publish stores a checkpoint and nodes, and shows it; again, it changes nothing.
	Publish func(ctx context.Context, id uuid.UUID, nodes []chain.Node, c Checkpoint) error
	// Show shows a published checkpoint anew.
	Show func(ctx context.Context, id uuid.UUID, c Checkpoint) error
	// SuperRows returns rows of the super-log from a position on.
	SuperRows func(ctx context.Context, from, most int64) ([]SuperRow, error)
	// AppendSuper appends to the super-log from a position on, all or nothing.
	AppendSuper func(ctx context.Context, position int64, leaves []chain.SuperLeaf) error
	// Missing says why the chain of a ledger does not name the key as one that signs a
	// checkpoint of that size, and what to do, "" when it does; nil: that is not looked
	// at.
	Missing func(ctx context.Context, id uuid.UUID, key chain.VerifierKey, size int64) (why string, err error)
	// Hold takes the lease of a key, or renews it; false while another has it.
	Hold func(ctx context.Context, key string, holder uuid.UUID, lease time.Duration) (bool, error)
	// Report stores a finding.
	Report func(ctx context.Context, id uuid.UUID, f chain.Finding) error
	// Finding makes one of LOG_ROLLBACK, FORK_PROVEN, CHECKPOINT_ROOT_MISMATCH or
	// LEDGER_ID_MISMATCH.
	Finding func(code string, seq int64, stored, recomputed string) chain.Finding
}

// ErrNotYet says that a key cannot be put on record at the moment, and that
// nothing is wrong with that.
var ErrNotYet = errors.New("the key cannot be put on record yet")

// Config is what a signer is made of.
type Config struct {
	Database Database
	Key      chain.SigningKey
	State    State
	// Save puts a state on disk before it returns.
	Save func(State) error
	// Pins are checkpoints of ledgers without a state that somebody vouches for.
	Pins []chain.Checkpoint
	// Host names the super-log, <host>/super-log, when the first one is begun; empty:
	// there is none.
	Host string
	// Ended are the origins of ledgers that have lost entries and have successors:
	// they are neither looked at nor signed any more.
	Ended []string
	// Policy says which witnesses must have cosigned; nil: none need to.
	Policy *chain.Policy
	// Cosign asks witnesses, and returns the note with what signatures came; nil:
	// there are none to ask.
	Cosign func(ctx context.Context, origin string, signed []byte, prove func(from int64) ([]chain.Hash, error)) ([]byte, error)
	// Announce puts the verifier key into a ledger's chain, once for each ledger
	// and before its first checkpoint; nil: that is somebody else's to do. After
	// ErrNotYet the ledger is left alone until the next round.
	Announce func(ctx context.Context, id uuid.UUID, origin, verifierKey string) error
	// Logf says what happened, for people; Alarmf what somebody must look at.
	Logf, Alarmf func(format string, args ...any)
	// Now is the time; time.Now unless it is set.
	Now func() time.Time
}

// Signer signs the ledgers of a database. It is not for use by several
// goroutines at once, but for Stats.
type Signer struct {
	Config
	name       string // of the key, in leases
	state      State  // as it is on disk
	logs       map[uuid.UUID]*log
	super      *log            // nil without a host
	ended      map[string]bool // by origin
	namedEnded bool
	// nameless are the ledgers whose origin can be no key's name.
	nameless map[uuid.UUID]string

	left int64 // how many more entries this round follows

	holder    bool
	heldUntil time.Time
	renewAt   time.Time

	mu    sync.Mutex
	stats map[uuid.UUID]Stats
}

// New returns a signer that has yet to do its first round.
func New(c Config) (*Signer, error) {
	if c.Now == nil {
		c.Now = time.Now
	}
	name, err := identity(c.Key)
	if err != nil {
		return nil, err
	}
	s := &Signer{Config: c, name: name, state: c.State, logs: make(map[uuid.UUID]*log), ended: make(map[string]bool), nameless: make(map[uuid.UUID]string), stats: make(map[uuid.UUID]Stats)}
	for _, origin := range c.Ended {
		s.ended[origin] = true
	}
	for id, p := range c.State.Ledgers {
		if _, err := s.add(id, p.Origin, p); err != nil {
			return nil, err
		}
	}
	if s.keyChanged() {
		s.Alarmf("the state was signed with another key than this one, which signs from now on: is the key file the right one?")
	}
	if c.Host != "" {
		s.super, err = s.newLog(uuid.Nil, s.superOrigin(), c.State.SuperLog)
	}
	return s, err
}

// keyChanged reports whether the state has notes, and none by this key.
func (s *Signer) keyChanged() bool {
	notes := false
	for _, l := range s.logs {
		if l.saved.Note == "" {
			continue
		}
		if _, err := chain.OpenCheckpoint([]byte(l.saved.Note), l.key); err == nil {
			return false
		}
		notes = true
	}
	return notes
}

// add begins to look after a ledger.
func (s *Signer) add(id uuid.UUID, origin string, p *Position) (*log, error) {
	l, err := s.newLog(id, origin, p)
	if err == nil {
		s.logs[id] = l
	}
	return l, err
}

// Result is what a round came to, in ledgers.
type Result struct {
	Refused   int  // that are not signed any more
	Unchecked int  // with entries that could not be checked, and are not signed
	Failed    int  // that could not be read, written or announced
	Waiting   int  // without the quorum of witnesses, or a key that the chain names
	Backlog   bool // there is more to do at once
	Standby   bool // another replica signs
}

// Round looks at every ledger once: what is new is checked, signed and
// published. The error says that nothing could be done at all.
func (s *Signer) Round(ctx context.Context) (r Result, err error) {
	defer s.publishStats()
	if err := s.hold(ctx); err != nil {
		return r, err
	}
	r.Standby = !s.holder
	heads, err := s.Database.Ledgers(ctx)
	if err != nil {
		return r, err
	}
	if err := s.check(ctx, heads, &r); err != nil {
		return r, err
	}
	if err := s.seal(); err != nil {
		return r, err
	}
	if s.holder {
		s.publishAll(ctx, s.due(), &r)
	}
	if s.super != nil {
		err := s.superRound(ctx, &r)
		if err != nil {
			r.Failed++
		}
		s.noteFailure(s.super, &s.super.followFails, err)
	}
	for _, l := range s.all() {
		if l.isRefused() {
			r.Refused++
		}
		if l.unchecked != "" {
			r.Unchecked++
		}
	}
	return r, ctx.Err()
}

// all returns the ledgers, and the super-log.
func (s *Signer) all() []*log {
	all := make([]*log, 0, len(s.logs)+1)
	for _, l := range s.logs {
		all = append(all, l)
	}
	if s.super != nil {
		all = append(all, s.super)
	}
	return all
}

// hold makes this replica the one that signs, unless another is. Who loses the
// lease forgets what was published: the others go on.
func (s *Signer) hold(ctx context.Context) error {
	now := s.Now()
	if s.holder && now.Before(s.renewAt) {
		return nil
	}
	held, err := s.Database.Hold(ctx, s.name, s.state.Holder, Lease)
	if err != nil && s.holder && now.Before(s.heldUntil) {
		held, err = true, nil // until it ends
	} else if err == nil && held {
		s.renewAt, s.heldUntil = now.Add(renewal), now.Add(Lease)
	}
	if err != nil {
		held = false
	}
	if held != s.holder {
		s.holder = held
		for _, l := range s.all() {
			l.forgetPublished()
		}
		if held {
			s.Logf("this replica signs")
		} else {
			s.Logf("another replica signs: this one only checks")
		}
	}
	return err
}

// check follows every ledger that has changed.
func (s *Signer) check(ctx context.Context, heads []Head, r *Result) error {
	seen := make(map[uuid.UUID]bool, len(heads))
	for _, h := range heads {
		seen[h.ID] = true
		l := s.logs[h.ID]
		if l == nil {
			var err error
			if l, err = s.add(h.ID, h.Origin, nil); err != nil {
				if s.nameless[h.ID] == "" {
					s.Alarmf("ledger %s is not signed: %v", h.ID, err)
				}
				s.nameless[h.ID] = h.Origin
				r.Failed++
				continue
			}
		}
		l.head = h
	}
	var wanted []*log
	for _, l := range s.logs {
		if !seen[l.id] {
			l.head = Head{ID: l.id, Origin: l.origin} // its terms are gone
		}
		if s.wants(l) {
			wanted = append(wanted, l)
		}
	}
	s.nameEnded()
	return s.followAll(ctx, wanted, r)
}

// followAll follows ledgers, those with the least to do first, until the round
// has followed enough. What was checked before an error is signed all the same.
func (s *Signer) followAll(ctx context.Context, wanted []*log, r *Result) error {
	slices.SortFunc(wanted, func(a, b *log) int { return cmp.Compare(a.backlog(), b.backlog()) })
	s.left = roundEntries
	for _, l := range wanted {
		if s.left <= 0 {
			r.Backlog = true
			break
		}
		err := s.follow(ctx, l, r)
		if err != nil {
			r.Failed++
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		s.noteFailure(l, &l.followFails, err)
	}
	return nil
}

// wants reports whether a ledger must be looked at.
func (s *Signer) wants(l *log) bool {
	now := s.Now()
	switch {
	case s.hasEnded(l.id, l.origin):
		return false
	case l.isRefused():
		return !l.unvouched && !now.Before(l.refusedAt.Add(refusalPause))
	case l.unchecked != "":
		return l.head != l.stuckAt || !now.Before(l.stuckTill)
	}
	p := l.position()
	return l.followFails || s.mustAnnounce(l) || l.published > p.Size || l.head.Size != p.Size || l.head.Hash != chain.Hash(p.Head) || l.head.Origin != l.origin
}

// mustAnnounce reports whether the ledger's chain has yet to be told the key.
func (s *Signer) mustAnnounce(l *log) bool {
	return s.Announce != nil && s.holder && l.id != uuid.Nil && l.position().Announced != l.key.String()
}

// seal signs what was checked in this round, and puts it on disk. Before that,
// no signature has left this function; after that, none may be taken back.
func (s *Signer) seal() error {
	var sealed []*log
	for _, l := range s.all() {
		if l.next != nil && !l.proving() {
			sealed = append(sealed, l)
		}
	}
	if len(sealed) == 0 {
		return nil
	}
	changed := State{Version: stateVersion, Holder: s.state.Holder, Ledgers: maps.Clone(s.state.Ledgers), SuperLog: s.state.SuperLog}
	if changed.Ledgers == nil {
		changed.Ledgers = make(map[uuid.UUID]*Position)
	}
	for _, l := range sealed {
		if l.next.Size > 0 {
			note, err := s.Key.Sign(l.next.checkpoint())
			if err != nil {
				return err
			}
			l.next.Note = string(note)
		}
		if l == s.super {
			changed.SuperLog = l.next
		} else {
			changed.Ledgers[l.id] = l.next
		}
	}
	if err := s.Save(changed); err != nil {
		for _, l := range sealed {
			l.drop()
		}
		return err
	}
	for _, l := range sealed {
		l.saved, l.next = l.next, nil
	}
	s.state = changed
	return nil
}

// Run does round after round until ctx ends, and then lets another replica
// sign. It ends with ErrRefused after a round in which a ledger was refused,
// unless it is to go on with the others.
func (s *Signer) Run(ctx context.Context, goOn bool) error {
	defer s.release(context.WithoutCancel(ctx))
	failing := false
	for {
		begun := time.Now()
		r, err := s.Round(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if failed := err != nil; failed != failing {
			failing = failed
			if failed {
				s.Alarmf("signing: %v; trying again", err)
			} else {
				s.Logf("signing again")
			}
		}
		if r.Refused > 0 && !goOn {
			return fmt.Errorf("signing %d of %d ledgers: %w", len(s.logs)-r.Refused, len(s.logs), ErrRefused)
		}
		if r.Backlog && err == nil {
			continue
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(Interval - time.Since(begun)):
		}
	}
}

// releaseTimeout bounds giving the lease back.
const releaseTimeout = 2 * time.Second

// release gives the lease back, so that another replica need not wait for its end.
func (s *Signer) release(ctx context.Context) {
	if !s.holder {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, releaseTimeout)
	defer cancel()
	_, _ = s.Database.Hold(ctx, s.name, s.state.Holder, 0) // else it ends by itself
}
