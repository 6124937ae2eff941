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
// signed, and has an origin of its own, which no other tree gives.

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
	Found     bool            // a replica has declared it, and signed that: this state follows
	// More is the size that this state had signed where that is more than was declared,
	// 0 otherwise.
	More int64
}

// Succeed declares that the super-log has lost leaves that were signed, and has the
// state go on with the successor. What is left must hold by itself, and some of it must
// be known as this super-log's, by the state or by a checkpoint that the key signed,
// unless allLost says otherwise. Where a replica with the same key has declared a loss
// and signed that, the state follows. The state is saved before the leaf is appended:
// when Succeed ends in between, it appends the same leaf the next time.
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
		done, err = s.succeed(ctx, p, left, allLost)
	}
	var no *refused
	if errors.As(err, &no) {
		f := &no.findings[0]
		return Succession{}, fmt.Errorf("%w: nothing is declared, because what is left of the super-log does not hold: %s", ErrRefused, strings.TrimSpace(strings.Replace(no.why, f.NextStep, "", 1)))
	}
	if err != nil {
		return Succession{}, err
	}
	state, err := s.following(&done, left)
	if err != nil {
		return Succession{}, err
	}
	if err := s.Save(state); err != nil || done.Found {
		return done, err
	}
	return done, s.Database.AppendSuper(ctx, done.Left, []chain.SuperLeaf{done.Leaf})
}

// remains is what is left of a super-log.
type remains struct {
	tree     chain.Frontier
	head     chain.Hash
	declared []declaration
	about    map[uuid.UUID]chain.SuperLeaf // the newest leaf of each ledger, but for those in tail
	tail     []SuperRow                    // about ledgers, that neither the state nor this key vouches for
	signed   point                         // at the newest checkpoint by this key
	origin   string                        // of it
	known    int64                         // leaves that the state has as well, as far as it can tell
	differs  int64                         // the first size at which it has others; 0: none
	begun    int64                         // leaves up to the newest declaration that the state has gone on from
}

// point is the tree at some size.
type point struct {
	tree chain.Frontier
	head chain.Hash
}

// declaration is a leaf about the super-log itself.
type declaration struct {
	leaf      chain.SuperLeaf
	successor string
	position  int64
}

// vouch takes the leaves so far for granted.
func (r *remains) vouch() {
	for i := range r.tail {
		if l := &r.tail[i].Leaf; l.Size > r.about[l.LedgerID].Size {
			r.about[l.LedgerID] = *l
		}
	}
	r.tail = r.tail[:0]
}

// leftOfSuperLog reads what is left of the super-log, whose place in the state is p, and
// holds it against itself and the checkpoints that are left.
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
				return nil, s.shorter("leaves", r.tree.Size(), ahead)
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
				if err := s.holdLeft(r, &published[0], p); err != nil {
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
	if row.Leaf.AboutSuperLog() {
		successor, ok := row.Leaf.Successor(r.tree.Root())
		if !ok {
			return s.finding(codeRollback, row.Position, "a leaf about "+row.Leaf.Origin, "one about a ledger, or by which a super-log is succeeded")
		}
		r.declared = append(r.declared, declaration{row.Leaf, successor, row.Position})
		// The name is that of one tree, which the state had when it went on under it.
		if successor == p.Origin || slices.Contains(p.Begun, successor) {
			r.begun = r.tree.Size()
			r.vouch()
		}
	} else {
		r.tail = append(r.tail, *row)
	}
	n := knownAt(p.Size, r.tree.Size())
	if n == 0 || r.differs > 0 {
		return nil
	}
	for i, node := range r.tree.Nodes() {
		if node != chain.Hash(p.Frontier[i]) {
			r.differs = r.tree.Size()
			return nil
		}
	}
	r.known = r.tree.Size()
	r.vouch()
	return nil
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

// holdLeft holds a checkpoint that is left against the tree. One by this key, of this
// super-log or of another one of its host, vouches for the leaves that it covers.
func (s *Signer) holdLeft(r *remains, c *Checkpoint, p *Position) error {
	root := r.tree.Root()
	if c.Root != root {
		return s.finding(codeRoot, c.Size-1, root.String(), c.Root.String())
	}
	origin := claimedOrigin(c.Note)
	host, _, ok := chain.ParseSuperOrigin(origin)
	if own, _, _ := chain.ParseSuperOrigin(p.Origin); !ok || host != own || !s.ownNote(c.Note, origin, c.Size, root) {
		return nil
	}
	r.signed, r.origin = point{r.tree.Clone(), r.head}, origin
	r.vouch()
	return nil
}

// claimedOrigin is the origin that a note bears, whoever signed it.
func claimedOrigin(note []byte) string {
	claimed, _ := chain.OpenCheckpoint(note) // without keys: for the origin
	return claimed.Origin
}

// ownNote reports whether a note is a checkpoint of that origin, size and root, signed
// with the key of this signer.
func (s *Signer) ownNote(note []byte, origin string, size int64, root chain.Hash) bool {
	key, err := s.Key.LogKey(origin)
	if err != nil {
		return false
	}
	signed, err := chain.OpenCheckpoint(note, key)
	return err == nil && signed.SignedBy(key) && signed.Checkpoint == chain.Checkpoint{Origin: origin, Size: size, Root: root}
}

// succeed says how the super-log goes on, and makes left what the state goes on from.
func (s *Signer) succeed(ctx context.Context, p *Position, left *remains, allLost bool) (Succession, error) {
	signed := left.signed.tree.Size()
	for _, d := range left.declared {
		if d.position >= max(signed, left.known, left.begun) {
			return Succession{}, s.finding(codeRollback, d.position, "a leaf by which "+d.leaf.Origin+" is succeeded", "none: this key has not signed it, and either somebody put it there, or a replica declared it and has yet to sign")
		}
	}
	switch {
	case chain.SuperPrecedes(p.Origin, left.origin):
		return s.followReplica(p, left)
	case left.differs > max(signed, left.begun) && !allLost:
		return Succession{}, s.finding(codeRollback, left.differs-1, "other leaves", "those of the state")
	case left.known == p.Size:
		return Succession{}, ErrNothingLost
	case left.known == 0 && signed == 0 && left.begun == 0 && !allLost:
		return Succession{}, ErrUnproven
	}
	for i := range left.tail {
		if err := s.checkTail(ctx, &left.tail[i]); err != nil {
			return Succession{}, err
		}
	}
	left.vouch()
	return s.declare(p, left)
}

// followReplica has the state go on from what a replica has declared, and signed with this key.
func (s *Signer) followReplica(p *Position, left *remains) (Succession, error) {
	i := slices.IndexFunc(left.declared, func(d declaration) bool { return d.successor == left.origin })
	if i < 0 {
		return Succession{}, s.finding(codeRollback, left.signed.tree.Size()-1, "no leaf by which "+left.origin+" begins", "one that this key has signed")
	}
	d := &left.declared[i]
	left.tree, left.head = left.signed.tree, left.signed.head
	done := Succession{Leaf: d.leaf, Successor: d.successor, Left: d.position, Found: true}
	if d.leaf.Origin != p.Origin || p.Size > d.leaf.Size {
		done.More = p.Size
	}
	if left.known == p.Size {
		done.More = 0 // all of it is there
	}
	return done, nil
}

// checkTail holds a row that nobody vouches for against the ledger that it is about.
func (s *Signer) checkTail(ctx context.Context, row *SuperRow) error {
	l := &row.Leaf
	holds, err := s.holdLeaf(ctx, l)
	if err != nil || holds {
		return err
	}
	return s.finding(codeRollback, row.Position, fmt.Sprintf("size %d of %s with root %s", l.Size, l.Origin, l.Root), "what that ledger was, or a checkpoint that this key has signed")
}

// declare makes the leaf that declares the loss, and adds it to what is left. Where the
// state has begun with one that is gone, and nothing more was signed, it is that one
// again, if it gives the same tree.
func (s *Signer) declare(p *Position, left *remains) (Succession, error) {
	done := Succession{Left: left.tree.Size()}
	if before := p.Succeeds; before != nil && p.Size == done.Left+1 {
		leaf, err := chain.NewSuccession(chain.Checkpoint{Origin: before.Origin, Size: before.Size, Root: chain.Hash(before.Root)}, before.At)
		if err != nil {
			return done, err
		}
		tree := left.tree.Clone()
		if tree.Append(leaf.Hash()); tree.Root() == chain.Hash(p.Root) {
			left.tree, left.head = tree, leaf.Hash()
			done.Leaf, done.Successor = leaf, p.Origin
			return done, nil
		}
	}
	leaf, err := chain.NewSuccession(p.checkpoint(), s.Now().UnixMicro())
	if err != nil {
		return done, err
	}
	left.head = leaf.Hash()
	left.tree.Append(left.head)
	done.Leaf = leaf
	done.Successor, _ = leaf.Successor(left.tree.Root())
	return done, nil
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
	p := &Position{Origin: begun.Successor, Head: hexHash(left.head), Begun: s.begunBefore(begun, left),
		Succeeds: &Lost{leaf.Origin, leaf.Size, hexHash(leaf.Root), leaf.RecordedAt}}
	p.setTree(&left.tree)
	note, err := s.Key.Sign(p.checkpoint())
	p.Note, state.SuperLog = string(note), p
	return state, err
}

// begunBefore returns the origins of the super-logs that were begun before one.
func (s *Signer) begunBefore(begun *Succession, left *remains) []string {
	origins := append(slices.Clone(s.state.SuperLog.Begun), s.state.SuperLog.Origin, begun.Leaf.Origin)
	for _, d := range left.declared {
		if d.position < left.tree.Size() { // what is kept was signed by this key
			origins = append(origins, d.leaf.Origin, d.successor)
		}
	}
	slices.Sort(origins)
	return slices.DeleteFunc(slices.Compact(origins), func(origin string) bool { return origin == begun.Successor })
}

// checkSuccession holds a leaf about the super-log itself, which gives the tree a root,
// against the one that this process signs. Who has no state of it takes the name that
// the leaf gives once a checkpoint under that name covers it, by this key where
// somebody vouches for what the key signed: known is false before. For all others, it
// takes Succeed.
func (s *Signer) checkSuccession(ctx context.Context, row *SuperRow, root chain.Hash) (known bool, err error) {
	l := s.super
	successor, ok := row.Leaf.Successor(root)
	host, _, _ := chain.ParseSuperOrigin(row.Leaf.Origin)
	own, _, _ := chain.ParseSuperOrigin(l.origin)
	switch {
	case !ok || host != own || l.saved != nil:
		return false, s.finding(codeRollback, row.Position, fmt.Sprintf("a leaf by which %q is succeeded", row.Leaf.Origin), "none").orSucceed()
	case successor == l.origin || chain.SuperPrecedes(successor, l.origin):
		return true, nil // what this one began with, or one before it
	}
	found, err := s.Database.Checkpoints(ctx, l.id, row.Position, 1)
	if err != nil || len(found) == 0 || claimedOrigin(found[0].Note) != successor ||
		len(l.pins) > 0 && !s.ownNote(found[0].Note, successor, found[0].Size, found[0].Root) {
		return false, err
	}
	key, err := s.Key.LogKey(successor)
	if err == nil {
		l.origin, l.key = successor, key
	}
	return err == nil, err
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
