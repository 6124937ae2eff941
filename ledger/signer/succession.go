package signer

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/google/uuid"

	"tallystick/ledger/chain"
)

// A super-log that has lost leaves, such as after a restore, cannot go on under its
// name: what was signed of it contradicts what it would become. Its successor begins
// with the leaves that are left and one that names the newest checkpoint that was
// signed, and has an origin of its own.

// The errors of Succeed.
var (
	// ErrNothingLost: everything that was signed of the super-log is there.
	ErrNothingLost = errors.New("the super-log holds every leaf that was signed")
	// ErrNoSuperLog: the state has none that was signed.
	ErrNoSuperLog = errors.New("the state of this key has no super-log that was signed")
	// ErrStandby: another replica has the lease of the key.
	ErrStandby = errors.New("another replica signs with this key")
)

// hintSucceed is what to do about a super-log that has lost leaves.
const hintSucceed = "If the database was restored from a backup and they are lost for good, stop the signer and declare that: tallystick super-log reincarnate opens a successor that binds the last signed checkpoint. If nobody restored anything, they were removed."

// Succession is how a super-log was succeeded.
type Succession struct {
	Leaf      chain.SuperLeaf // names the newest checkpoint that was signed
	Successor string          // origin
	Left      int64           // leaves of the predecessor that are left: the position of Leaf
	Found     bool            // it stood there already: this state only follows it
}

// Succeed declares that the super-log has lost leaves that were signed, and has the
// state go on with the successor: the next signer checks its leaves from the first
// one on. What is left must hold by itself. When Succeed ends in between, or another
// replica has declared the same loss, it goes on from there. The error is
// ErrNothingLost, ErrNoSuperLog, ErrStandby, ErrRefused when what is left does not
// hold, or one of the database.
func Succeed(ctx context.Context, c Config) (Succession, error) {
	p := c.State.SuperLog
	if p == nil || p.Size == 0 && p.Succeeds == nil {
		return Succession{}, ErrNoSuperLog
	}
	s, err := New(c)
	if err != nil {
		return Succession{}, err
	}
	lost := p.checkpoint()
	if before := p.Succeeds; before != nil { // nothing of the successor was signed: its declaration was lost, too
		lost = chain.Checkpoint{Origin: before.Origin, Size: before.Size, Root: chain.Hash(before.Root)}
	}
	leaf, successor, err := chain.NewSuccession(lost, s.Now().UnixMicro())
	if err != nil {
		return Succession{}, err
	}
	defer s.release(context.WithoutCancel(ctx))
	switch err := s.hold(ctx); {
	case err != nil:
		return Succession{}, err
	case !s.holder:
		return Succession{}, ErrStandby
	}
	done, err := s.leftOfSuperLog(ctx, p)
	var no *refused
	switch {
	case errors.As(err, &no):
		return Succession{}, fmt.Errorf("%w: what is left of the super-log does not hold: %s", ErrRefused, no.why)
	case err != nil:
		return Succession{}, err
	}
	if !done.Found {
		done.Leaf, done.Successor = leaf, successor
		if err := s.Database.AppendSuper(ctx, done.Left, []chain.SuperLeaf{leaf}); err != nil {
			return Succession{}, err
		}
	}
	return done, s.Save(s.state.following(&done))
}

// leftOfSuperLog reads what is left of the super-log, whose place in the state is p,
// and holds it against the checkpoints of it that are left. Found is set when it was
// succeeded already.
func (s *Signer) leftOfSuperLog(ctx context.Context, p *Position) (done Succession, err error) {
	var tree chain.Frontier
	held, whole := *s.super, false
	held.pins, held.unvouched = nil, false
	for {
		rows, err := s.Database.SuperRows(ctx, tree.Size(), superPage)
		if err != nil {
			return done, err
		}
		if len(rows) == 0 {
			break
		}
		published, err := s.Database.Checkpoints(ctx, uuid.Nil, tree.Size(), superPage)
		if err != nil {
			return done, err
		}
		for i := range rows {
			if err := s.checkSuperHash(&rows[i], tree.Size()); err != nil {
				return done, err
			}
			if after, ok := s.succeeds(&rows[i].Leaf); ok {
				done = Succession{Leaf: rows[i].Leaf, Successor: after, Left: tree.Size(), Found: true}
			}
			if _, err := s.grow(&held, &tree, []chain.Hash{rows[i].Stored}, published); err != nil {
				return done, err
			}
			published = slices.DeleteFunc(published, func(c Checkpoint) bool { return c.Size <= tree.Size() })
			whole = whole || p.Succeeds == nil && tree.Size() == p.Size && tree.Root() == chain.Hash(p.Root) || p.begunBy(&rows[i].Leaf)
		}
	}
	switch {
	case done.Found:
	case whole:
		return done, ErrNothingLost
	default:
		done.Left = tree.Size()
	}
	return done, nil
}

// succeeds reports whether a leaf declares the loss of the super-log of this state,
// or of one of its successors, and returns what is signed after it.
func (s *Signer) succeeds(leaf *chain.SuperLeaf) (successor string, ok bool) {
	successor, ok = leaf.Successor()
	return successor, ok && (leaf.Origin == s.super.origin || chain.SuperPrecedes(s.super.origin, leaf.Origin))
}

// checkSuccession holds a leaf that declares a loss against the super-log that this
// process signs: it must be about one that came before.
func (s *Signer) checkSuccession(row *SuperRow) error {
	if _, ok := row.Leaf.Successor(); ok && chain.SuperPrecedes(row.Leaf.Origin, s.super.origin) {
		s.super.begins = s.super.begins && !s.super.position().begunBy(&row.Leaf)
		return nil
	}
	return s.finding(codeRollback, row.Position, fmt.Sprintf("a leaf that declares that %s has lost leaves", row.Leaf.Origin), "none")
}

// begunBy reports whether a leaf is the one that the super-log begins with.
func (p *Position) begunBy(leaf *chain.SuperLeaf) bool {
	lost := p.Succeeds
	return lost != nil && leaf.AboutSuperLog() && leaf.Origin == lost.Origin && leaf.Size == lost.Size && leaf.Root == chain.Hash(lost.Root)
}

// following returns the state in which a super-log begins: its rows then tell which
// ledgers it has.
func (s State) following(begun *Succession) State {
	s.Ledgers = maps.Clone(s.Ledgers)
	for id, p := range s.Ledgers {
		again := p.clone()
		again.SuperSize, again.SuperAt = 0, 0
		s.Ledgers[id] = again
	}
	leaf := &begun.Leaf
	s.SuperLog = &Position{Origin: begun.Successor, Root: hexHash(chain.EmptyRoot), Succeeds: &Lost{leaf.Origin, leaf.Size, hexHash(leaf.Root)}}
	return s
}

// superOrigin returns the name of the super-log: that of the state, or of the newest
// one of this host that somebody vouches for, or else that of a first one.
func (s *Signer) superOrigin() string {
	origin := chain.SuperOrigin(s.Host, 1)
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

// orSucceed says what to do about a super-log in place of a ledger.
func (r *refused) orSucceed() *refused {
	if len(r.findings) != 1 || r.findings[0].Code != codeRollback {
		return r
	}
	f := r.findings[0]
	why := strings.Replace(r.why, f.NextStep, hintSucceed, 1)
	f.NextStep = hintSucceed
	return &refused{why: why, findings: []chain.Finding{f}}
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
			there = there || l.origin == origin
		}
		if there {
			s.Logf("%s has ended: it is neither checked nor signed", origin)
		} else {
			s.Alarmf("no ledger has the origin %s, which is said to have ended: is it written as in tallystick ledger reincarnate?", origin)
		}
	}
}
