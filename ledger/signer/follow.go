package signer

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"

	"tallystick/ledger/chain"
)

// refused ends following a ledger: with findings, or for a reason that is none.
type refused struct {
	why      string
	findings []chain.Finding
}

// Error is for people.
func (r *refused) Error() string { return r.why }

// The codes of the findings that a signer makes itself.
const (
	codeRollback = "LOG_ROLLBACK"
	codeRoot     = "CHECKPOINT_ROOT_MISMATCH"
	codeFork     = "FORK_PROVEN"
	// codeOtherLedger: the origin names another ledger. Signed, the two would
	// contradict each other under one name.
	codeOtherLedger = "LEDGER_ID_MISMATCH"
)

// finding refuses with a finding of our own.
func (s *Signer) finding(code string, seq int64, stored, recomputed string) *refused {
	f := s.Database.Finding(code, seq, stored, recomputed)
	return &refused{why: fmt.Sprintf("%s: it says %s, and was signed as %s. %s", code, stored, recomputed, f.NextStep), findings: []chain.Finding{f}}
}

// follow checks what is new in a ledger. What it finds wrong is no error: the
// ledger is refused then, until it is found well again.
func (s *Signer) follow(ctx context.Context, l *log, r *Result) error {
	if s.mustAnnounce(l) && !l.isRefused() {
		switch err := s.Announce(ctx, l.id, l.origin, l.key.String()); {
		case errors.Is(err, ErrNotYet):
			return nil
		case err != nil:
			return fmt.Errorf("naming the signing key in the chain: %w", err)
		}
		l.next = l.position().clone()
		l.next.Announced = l.key.String()
		defer func() { s.left -= announcement }()
	}
	err := s.advance(ctx, l, r)
	var no *refused
	if errors.As(err, &no) {
		l.drop()
		s.refuse(ctx, l, no)
		return nil
	}
	if err == nil && l.isRefused() {
		s.Logf("%s: what was refused is well again", l.name())
		l.refusal = ""
	}
	return err
}

// refuse reports why a ledger is not signed, each finding once.
func (s *Signer) refuse(ctx context.Context, l *log, no *refused) {
	if no.why != l.refusal {
		s.Alarmf("%s is refused: %s", l.name(), no.why)
		l.refusals++
	}
	l.refusal, l.refusedAt = no.why, s.Now()
	for i := range no.findings[:min(len(no.findings), maxReported)] {
		f := no.findings[i]
		name := f.Code
		if f.Seq != nil {
			name = fmt.Sprintf("%s@%d", f.Code, *f.Seq)
		}
		if l.reported[name] {
			continue
		}
		l.findings[f.Code]++
		l.reported[name] = true
		if err := s.Database.Report(ctx, l.id, f); err != nil {
			s.Alarmf("%s: storing the finding %s: %v", l.name(), name, err)
			delete(l.reported, name)
		}
	}
}

// advance checks entries of a ledger, as many as the round has left. Published
// checkpoints, whoever signed them, must be of the same tree.
func (s *Signer) advance(ctx context.Context, l *log, r *Result) error {
	p := l.position().clone()
	if l.head.Origin != p.Origin {
		return s.finding(codeRollback, 0, l.head.Origin, p.Origin)
	}
	if own := "/" + l.id.String(); !strings.HasSuffix(p.Origin, own) {
		return s.finding(codeOtherLedger, 0, p.Origin, "<host>"+own)
	}
	if chain.IsSuperID(l.id) {
		return s.finding(codeOtherLedger, 0, l.id.String(), "an id that is no super-log's")
	}
	tree, err := p.tree()
	if err != nil {
		return err
	}
	if p.Size == 0 {
		l.nodes, l.nodesFrom = nil, 0
	}
	for {
		published, err := s.Database.Checkpoints(ctx, l.id, p.Size, checkpointsAtOnce)
		if err != nil {
			return err
		}
		l.ahead = aheadOf(p.Size, published)
		most, full := min(s.left, stepEntries), len(published) == checkpointsAtOnce
		if full {
			most = min(most, published[len(published)-1].Size-p.Size)
		}
		step, err := s.Database.Follow(ctx, l.id, p.point(), most)
		if err != nil {
			return err
		}
		if no := critical(step.Findings); no != nil {
			return no
		}
		nodes, err := s.grow(l, &tree, step.Hashes, published)
		if err != nil {
			return err
		}
		l.keepNodes(nodes)
		s.left -= int64(len(step.Hashes))
		p.setTree(&tree)
		p.Head, p.Recorded, p.Booked = hexHash(step.Next.Head), step.Next.RecordedAt, step.Next.BookingDate
		if len(step.Hashes) > 0 {
			l.next = p
		}
		switch {
		case len(step.Unchecked) > 0:
			s.stop(l, p.Size, published, step.Unchecked)
			return nil
		case p.Size >= step.Size && (!full || len(step.Hashes) == 0):
			l.unchecked = ""
			return s.reachedEnd(l, p, published)
		case len(step.Hashes) == 0:
			return fmt.Errorf("following ledger %s from entry %d on: nothing came", l.id, p.Size)
		case s.left <= 0:
			r.Backlog = true
			l.ahead = aheadOf(p.Size, published)
			return nil
		}
		p = p.clone()
	}
}

// critical returns the refusal that findings ask for, if any.
func critical(findings []chain.Finding) error {
	for i := range findings {
		f := &findings[i]
		if f.Severity != chain.Critical {
			continue
		}
		where := ""
		if f.Seq != nil {
			where = fmt.Sprintf(" at entry %d", *f.Seq)
		}
		more := ""
		if n := len(findings) - 1; n > 0 {
			more = fmt.Sprintf(" (%d findings in all)", n+1)
		}
		return &refused{why: f.Code + where + more + ". " + f.NextStep, findings: findings}
	}
	return nil
}

// stop notes what cannot be checked, and is not signed.
func (s *Signer) stop(l *log, size int64, published []Checkpoint, unchecked []string) {
	why := strings.Join(unchecked, "; ")
	if why != l.unchecked {
		s.Alarmf("%s: signed up to size %d and no further, because what follows cannot be checked: %s", l.origin, size, why)
	}
	l.unchecked, l.stuckAt, l.stuckTill, l.ahead = why, l.head, s.Now().Add(refusalPause), 0
	if aheadOf(size, published) == 0 {
		l.unvouched = false // no checkpoint by this key stands before the end, and none beyond
	}
	l.dropPins(size) // they were held against the tree on the way
}

// reachedEnd holds the whole ledger against what was signed beyond it.
func (s *Signer) reachedEnd(l *log, p *Position, published []Checkpoint) error {
	l.ahead = 0
	if ahead := aheadOf(p.Size, published); ahead > 0 {
		return s.shorter("entries", p.Size, ahead)
	}
	if l.dropPins(p.Size); len(l.pins) > 0 {
		return s.shorter("entries", p.Size, l.pins[0].Size)
	}
	l.unvouched = false
	return nil
}

// shorter refuses a log of so many entries, or leaves, of which more were signed.
func (s *Signer) shorter(what string, size, signed int64) *refused {
	return s.finding(codeRollback, size, fmt.Sprintf("%d %s", size, what), fmt.Sprintf("%d %s", signed, what))
}

// aheadOf returns the largest published size beyond size, 0 when there is none.
func aheadOf(size int64, published []Checkpoint) int64 {
	if n := len(published); n > 0 && published[n-1].Size > size {
		return published[n-1].Size
	}
	return 0
}

// grow adds leaves to the tree, holds it against every checkpoint on the way,
// and returns the nodes that were completed.
func (s *Signer) grow(l *log, tree *chain.Frontier, leaves []chain.Hash, published []Checkpoint) ([]chain.Node, error) {
	var nodes []chain.Node
	for _, leaf := range leaves {
		nodes = tree.Grow(leaf, nodes)
		for len(published) > 0 && published[0].Size <= tree.Size() {
			if published[0].Size == tree.Size() {
				if err := s.holdCheckpoint(l, &published[0], tree.Root()); err != nil {
					return nil, err
				}
			}
			published = published[1:]
		}
		for _, pin := range l.pins {
			if pin.Size == tree.Size() && pin.Root != tree.Root() {
				return nil, s.finding(codeRollback, tree.Size()-1, tree.Root().String(), pin.Root.String())
			}
		}
	}
	return nodes, nil
}

// holdCheckpoint holds a published checkpoint against the root at its size.
func (s *Signer) holdCheckpoint(l *log, c *Checkpoint, root chain.Hash) error {
	signed, err := chain.OpenCheckpoint(c.Note, l.key)
	mine := err == nil && signed.Origin == l.origin && signed.Size == c.Size
	ours := mine || l.id == uuid.Nil && s.ownNote(c.Note, claimedOrigin(c.Note), c.Size, c.Root) // of an earlier generation
	switch {
	case ours && l.unvouched:
		return &refused{why: fmt.Sprintf("there are checkpoints by this key, the first at size %d, and no state of it: %s", c.Size, HintLost)}
	case mine && signed.Root != root:
		return s.finding(codeFork, c.Size-1, root.String(), signed.Root.String())
	case c.Root != root:
		return s.finding(codeRoot, c.Size-1, root.String(), c.Root.String())
	}
	return nil
}
