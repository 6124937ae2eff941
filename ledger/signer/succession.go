package signer

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/bits"
	"slices"
	"strings"

	"github.com/google/uuid"

	"tallystick/ledger/chain"
)

// A super-log that has lost leaves, such as after a restore, cannot go on under its
// name: what was signed of it contradicts what it would become. Its successor begins
// with the leaves that are left and one that names the newest checkpoint that was
// signed, and has an origin of its own, which no other declaration gives.

// The errors of Succeed, beside ErrRefused.
var (
	// ErrNothingLost: everything that was signed of the super-log is there.
	ErrNothingLost = errors.New("the super-log holds every leaf that was signed")
	// ErrNoSuperLog: the state has none that was signed.
	ErrNoSuperLog = errors.New("the state of this key has no super-log that was signed")
	// ErrStandby: another replica has the lease of the key.
	ErrStandby = errors.New("another replica signs with this key")
	// ErrOtherKey: the state is of another key.
	ErrOtherKey = errors.New("the super-log of this state was signed with another key")
	// ErrUnproven: nothing of what is left is known to be of this super-log.
	ErrUnproven = errors.New("nothing of what is left is known to be of this super-log")
)

// hintSucceed is what to do about a super-log that has lost leaves.
const hintSucceed = "If the database was restored from a backup and they are lost for good, stop the signer and declare that: tallystick super-log reincarnate opens a successor that binds the last signed checkpoint. If nobody restored anything, they were removed."

// orSucceed says what to do about a super-log in place of a ledger.
func (r *refused) orSucceed() *refused {
	f := r.findings[0]
	why := strings.Replace(r.why, f.NextStep, hintSucceed, 1)
	f.NextStep = hintSucceed
	return &refused{why: why, findings: []chain.Finding{f}}
}

// Succession is how a super-log was succeeded.
type Succession struct {
	Leaf      chain.SuperLeaf // names the newest checkpoint that was signed
	Successor string          // origin
	Left      int64           // leaves of the predecessor that are left: the position of Leaf
	Found     bool            // it stood there already: this state only follows it
}

// Succeed declares that the super-log has lost leaves that were signed, and has the
// state go on with the successor. What is left must hold by itself, and some of it must
// be known as this super-log's, by the state or by a checkpoint that the key signed,
// unless everything is lost (allLost). When Succeed ends in between, or a replica with
// the same key has declared the same loss, it goes on from there.
func Succeed(ctx context.Context, c Config, allLost bool) (Succession, error) {
	p := c.State.SuperLog
	if p == nil || p.Size == 0 {
		return Succession{}, ErrNoSuperLog
	}
	s, err := New(c)
	if err != nil {
		return Succession{}, err
	}
	if p.Note != "" && !s.ownNote([]byte(p.Note), p.Origin, p.Size, chain.Hash(p.Root)) {
		return Succession{}, ErrOtherKey
	}
	defer s.release(context.WithoutCancel(ctx))
	switch err := s.hold(ctx); {
	case err != nil:
		return Succession{}, err
	case !s.holder:
		return Succession{}, ErrStandby
	}
	left, err := s.leftOfSuperLog(ctx, p)
	var done Succession
	if err == nil {
		done, err = s.declare(ctx, p, left, allLost)
	}
	var no *refused
	if errors.As(err, &no) {
		return Succession{}, fmt.Errorf("%w: what is left of the super-log does not hold: %s", ErrRefused, no.why)
	}
	if err != nil {
		return Succession{}, err
	}
	state, err := s.following(&done, left)
	if err != nil {
		return Succession{}, err
	}
	return done, s.Save(state)
}

// remains is what is left of a super-log.
type remains struct {
	tree     chain.Frontier
	head     chain.Hash
	about    map[uuid.UUID]chain.SuperLeaf // the newest leaf of each ledger
	declared []declaration
	tail     []SuperRow // about ledgers, beyond the newest checkpoint by this key
	signed   point      // at that checkpoint
	origin   string     // of it
	known    bool       // some of it is what the state has
	whole    bool       // all of it
}

// point is the tree at some size.
type point struct {
	size int64
	tree chain.Frontier
	head chain.Hash
}

// declaration is a leaf about the super-log itself, and the tree with it.
type declaration struct {
	leaf      chain.SuperLeaf
	successor string
	after     point
}

func (r *remains) point() (point, error) {
	tree, err := chain.NewFrontier(r.tree.Size(), r.tree.Nodes())
	return point{r.tree.Size(), tree, r.head}, err
}

// leftOfSuperLog reads what is left of the super-log, whose place in the state is p, and
// holds it against itself, the state and the checkpoints that are left.
func (s *Signer) leftOfSuperLog(ctx context.Context, p *Position) (*remains, error) {
	r := &remains{about: make(map[uuid.UUID]chain.SuperLeaf)}
	for {
		rows, err := s.Database.SuperRows(ctx, r.tree.Size(), superPage)
		if err != nil {
			return nil, err
		}
		published, err := s.Database.Checkpoints(ctx, uuid.Nil, r.tree.Size(), superPage)
		if err != nil {
			return nil, err
		}
		if len(rows) == 0 {
			if ahead := aheadOf(r.tree.Size(), published); ahead > 0 {
				return nil, s.shorter(r.tree.Size(), ahead)
			}
			return r, nil
		}
		for i := range rows {
			if err := s.checkSuperHash(&rows[i], r.tree.Size()); err != nil {
				return nil, err
			}
			if err := s.remain(r, &rows[i], p); err != nil {
				return nil, err
			}
			if len(published) > 0 && published[0].Size == r.tree.Size() {
				if err := s.holdLeft(r, &published[0]); err != nil {
					return nil, err
				}
				published = published[1:]
			}
		}
	}
}

// remain adds a row, and holds the tree against the frontier of the state: its first
// nodes are the frontier of every prefix of that many leaves.
func (s *Signer) remain(r *remains, row *SuperRow, p *Position) error {
	r.tree.Append(row.Stored)
	r.head = row.Stored
	if n := knownAt(p.Size, r.tree.Size()); n > 0 {
		for i, node := range r.tree.Nodes() {
			if node != chain.Hash(p.Frontier[i]) {
				return s.finding(codeRollback, r.tree.Size()-1, node.String(), chain.Hash(p.Frontier[i]).String())
			}
		}
		r.known, r.whole = true, r.whole || n == len(p.Frontier)
	}
	if !row.Leaf.AboutSuperLog() {
		if row.Leaf.Size > r.about[row.Leaf.LedgerID].Size {
			r.about[row.Leaf.LedgerID] = row.Leaf
		}
		r.tail = append(r.tail, *row)
		return nil
	}
	successor, ok := row.Leaf.Successor()
	if !ok {
		return s.finding(codeRollback, row.Position, "a leaf about "+row.Leaf.Origin, "one about a ledger, or by which a super-log is succeeded")
	}
	after, err := r.point()
	r.declared = append(r.declared, declaration{row.Leaf, successor, after})
	return err
}

// knownAt returns how many nodes of a frontier of size leaves are the whole frontier of
// the first n of them, 0 when none are.
func knownAt(size, n int64) int {
	nodes := 0
	for size > 0 && n > 0 {
		top := int64(1) << (bits.Len64(uint64(size)) - 1)
		if n < top {
			return 0
		}
		size, n, nodes = size-top, n-top, nodes+1
	}
	if n > 0 {
		return 0
	}
	return nodes
}

// holdLeft holds a checkpoint that is left against the tree.
func (s *Signer) holdLeft(r *remains, c *Checkpoint) error {
	root := r.tree.Root()
	if c.Root != root {
		return s.finding(codeRoot, c.Size-1, root.String(), c.Root.String())
	}
	claimed, _ := chain.OpenCheckpoint(c.Note) // without keys: for the origin
	if !s.ownNote(c.Note, claimed.Origin, c.Size, root) {
		return nil
	}
	at, err := r.point()
	r.signed, r.origin, r.tail = at, claimed.Origin, r.tail[:0]
	return err
}

// ownNote reports whether a note is a checkpoint of that origin, size and root, signed
// with the key of this signer.
func (s *Signer) ownNote(note []byte, origin string, size int64, root chain.Hash) bool {
	text, err := s.Key.VerifierKey(origin)
	if err != nil {
		return false
	}
	key, err := chain.ParseLogKey(text)
	if err != nil {
		return false
	}
	signed, err := chain.OpenCheckpoint(note, key)
	return err == nil && signed.SignedBy(key) && signed.Checkpoint == chain.Checkpoint{Origin: origin, Size: size, Root: root}
}

// declare finds the declaration of the loss that the state shows, or appends it, and
// makes left what the state goes on from.
func (s *Signer) declare(ctx context.Context, p *Position, left *remains, allLost bool) (Succession, error) {
	lost, covered := p.checkpoint(), left.signed.size
	if left.whole {
		covered = max(covered, p.Size)
	}
	for _, d := range left.declared {
		if d.after.size <= covered {
			continue
		}
		// Nobody has signed it: it is followed only if it is what is to be declared.
		if (chain.Checkpoint{Origin: d.leaf.Origin, Size: d.leaf.Size, Root: d.leaf.Root}) != lost {
			return Succession{}, s.finding(codeRollback, d.after.size-1, "a leaf by which "+d.leaf.Origin+" is succeeded", "none that this key has signed")
		}
		left.tree, left.head = d.after.tree, d.after.head
		return Succession{d.leaf, d.successor, d.after.size - 1, true}, nil
	}
	switch {
	case chain.SuperPrecedes(p.Origin, left.origin): // a replica has declared it, and signed that
		i := slices.IndexFunc(left.declared, func(d declaration) bool { return d.successor == left.origin && d.after.size <= left.signed.size })
		if i < 0 {
			return Succession{}, s.finding(codeRollback, left.signed.size-1, "no leaf by which "+left.origin+" begins", "one that this key has signed")
		}
		left.tree, left.head = left.signed.tree, left.signed.head
		return Succession{left.declared[i].leaf, left.origin, left.declared[i].after.size - 1, true}, nil
	case left.whole:
		return Succession{}, ErrNothingLost
	case !left.known && left.signed.size == 0 && !allLost:
		return Succession{}, ErrUnproven
	}
	for i := range left.tail { // that nobody has signed
		if err := s.checkTail(ctx, &left.tail[i]); err != nil {
			return Succession{}, err
		}
	}
	return s.append(ctx, p, left)
}

// checkTail holds a row that is under no signature against the checkpoint that it is
// about, which this key signed.
func (s *Signer) checkTail(ctx context.Context, row *SuperRow) error {
	l := &row.Leaf
	found, err := s.Database.Checkpoints(ctx, l.LedgerID, l.Size-1, 1)
	if err != nil {
		return err
	}
	if len(found) == 0 || found[0].Size != l.Size || found[0].Root != l.Root || !s.ownNote(found[0].Note, l.Origin, l.Size, l.Root) {
		return s.finding(codeRollback, row.Position, fmt.Sprintf("size %d of %s with root %s", l.Size, l.Origin, l.Root), "a checkpoint that this key has signed")
	}
	return nil
}

// append appends the declaration. If that is gone by which the state itself began, and
// all that was signed since is that, it is appended once more: the tree is the same.
func (s *Signer) append(ctx context.Context, p *Position, left *remains) (Succession, error) {
	done := Succession{Left: left.tree.Size()}
	if before := p.Succeeds; before != nil && p.Size == done.Left+1 {
		leaf, successor, err := chain.NewSuccession(chain.Checkpoint{Origin: before.Origin, Size: before.Size, Root: chain.Hash(before.Root)}, before.At)
		if err != nil {
			return done, err
		}
		if successor == p.Origin && leaf.Hash() == chain.Hash(p.Head) {
			done.Leaf, done.Successor = leaf, successor
		}
	}
	if done.Successor == "" {
		var err error
		if done.Leaf, done.Successor, err = chain.NewSuccession(p.checkpoint(), s.Now().UnixMicro()); err != nil {
			return done, err
		}
	}
	left.head = done.Leaf.Hash()
	left.tree.Append(left.head)
	return done, s.Database.AppendSuper(ctx, done.Left, []chain.SuperLeaf{done.Leaf})
}

// following returns the state in which a super-log goes on.
func (s *Signer) following(begun *Succession, left *remains) (State, error) {
	state := s.state
	state.Ledgers = maps.Clone(state.Ledgers)
	for id, p := range state.Ledgers {
		again := p.clone()
		again.SuperSize, again.SuperAt = left.about[id].Size, left.about[id].RecordedAt
		state.Ledgers[id] = again
	}
	leaf := &begun.Leaf
	p := &Position{Origin: begun.Successor, Head: hexHash(left.head), Succeeds: &Lost{leaf.Origin, leaf.Size, hexHash(leaf.Root), leaf.RecordedAt}}
	p.setTree(&left.tree)
	note, err := s.Key.Sign(p.checkpoint())
	p.Note, state.SuperLog = string(note), p
	return state, err
}

// checkSuccession holds a leaf about the super-log itself against the one that this
// process signs. Who has no state of it takes the name that the leaf gives: nothing was
// signed under it that could contradict it. For all others, it takes Succeed.
func (s *Signer) checkSuccession(row *SuperRow) error {
	l := s.super
	successor, ok := row.Leaf.Successor()
	switch {
	case !ok || l.saved != nil:
		return s.finding(codeRollback, row.Position, fmt.Sprintf("a leaf by which %q is succeeded", row.Leaf.Origin), "none").orSucceed()
	case chain.SuperPrecedes(row.Leaf.Origin, l.origin):
		return nil // what this one began with, or one before it
	}
	renamed, err := s.newLog(l.id, successor, nil)
	if err == nil {
		l.origin, l.key = renamed.origin, renamed.key
	}
	return err
}

// superOrigin returns the name of the super-log: that of the state, or of the newest
// one of this host that somebody vouches for, or else that of a first one.
func (s *Signer) superOrigin() string {
	origin := s.Host + chain.SuperSuffix
	if p := s.State.SuperLog; p != nil {
		if p.Origin != origin && !chain.SuperPrecedes(origin, p.Origin) {
			s.Logf("the super-log goes on as %s: it was begun under that name", p.Origin)
		}
		return p.Origin
	}
	for i := range s.Pins {
		if chain.SuperPrecedes(origin, s.Pins[i].Origin) {
			origin = s.Pins[i].Origin
		}
	}
	return origin
}

// hasEnded reports whether a ledger is not to be signed because it has a successor. Its
// origin ends with its own id: another ledger with that origin is not meant.
func (s *Signer) hasEnded(id uuid.UUID, origin string) bool {
	return s.ended[origin] && strings.HasSuffix(origin, "/"+id.String())
}

// nameEnded says once, of each ledger that is not signed because it has ended, that
// this is so, or that there is none.
func (s *Signer) nameEnded() {
	if s.namedEnded {
		return
	}
	s.namedEnded = true
	for _, origin := range s.Ended {
		there := false
		for _, l := range s.logs {
			there = there || l.origin == origin && s.hasEnded(l.id, origin)
		}
		if there {
			s.Alarmf("%s is said to have ended: it is neither checked nor signed", origin)
		} else {
			s.Alarmf("no ledger has the origin %s, which is said to have ended: is it written as in tallystick ledger reincarnate?", origin)
		}
	}
}
