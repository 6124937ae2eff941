package signer

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"

	"tallystick/ledger/chain"
)

// due returns the ledgers that have something to publish, or to show again.
func (s *Signer) due() []*log {
	var due []*log
	for _, l := range s.logs {
		if s.isDue(l) {
			due = append(due, l)
		}
	}
	return due
}

func (s *Signer) isDue(l *log) bool {
	p := l.saved
	if p == nil || p.Size == 0 || l.isRefused() || s.hasEnded(l.id, l.origin) || l.ahead > p.Size || s.mustAnnounce(l) {
		return false
	}
	if l.published == p.Size && s.Now().Before(l.shownAt.Add(Heartbeat)) {
		return false
	}
	return l.published != p.Size && !l.waiting() || !s.Now().Before(l.askedAt.Add(quorumPause))
}

// publishAll publishes several ledgers at once: witnesses may be slow.
func (s *Signer) publishAll(ctx context.Context, due []*log, r *Result) {
	var wg sync.WaitGroup
	failed := make([]error, len(due))
	slots := make(chan struct{}, publishers)
	for i, l := range due {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			failed[i] = s.publish(ctx, l)
		})
	}
	wg.Wait()
	for i, l := range due {
		var no *refused
		if errors.As(failed[i], &no) {
			s.refuse(ctx, l, no)
			failed[i] = nil
		}
		if failed[i] != nil {
			l.forgetPublished() // it may have been stored
			r.Failed++
		} else if l.waiting() {
			r.Waiting++
		}
		if ctx.Err() == nil {
			s.noteFailure(l, &l.publishFails, failed[i])
		}
	}
}

// publish shows the newest checkpoint of a log, once it has its quorum.
func (s *Signer) publish(ctx context.Context, l *log) error {
	p := l.saved
	if l.published == unknown {
		size, err := s.Database.Largest(ctx, l.id)
		if err != nil {
			return err
		}
		l.published = size
	}
	if l.published > p.Size {
		return nil // by another replica; this one has yet to check so far
	}
	if l.published < p.Size && l.nodesFrom != l.published {
		if err := s.rebuild(ctx, l); err != nil {
			return err
		}
	}
	if s.Database.Missing != nil && l.id != uuid.Nil {
		why, err := s.Database.Missing(ctx, l.id, l.key, p.Size)
		if err != nil {
			return err
		}
		if why != "" {
			s.wait(l, forKey, why)
			return nil
		}
	}
	c := Checkpoint{Size: p.Size, Root: chain.Hash(p.Root), At: s.Now()}
	var err error
	if c.Note, err = s.Key.Sign(p.checkpoint()); err != nil {
		return err
	}
	quorum := true
	if c.Note, quorum, err = s.cosign(ctx, l, c.Note); err != nil {
		return err
	}
	if !quorum {
		s.wait(l, forQuorum, "the policy wants more witnesses to have cosigned")
		return nil
	}
	l.waitsFor = forNothing
	if l.published == p.Size {
		err = s.Database.Show(ctx, l.id, c)
	} else if err = s.Database.Publish(ctx, l.id, l.nodes, c); err == nil {
		l.signedAt = c.At
	}
	if err != nil {
		return err
	}
	l.published, l.shownAt = p.Size, c.At
	l.nodes, l.nodesFrom = nil, p.Size
	return nil
}

// waitingFor is what a checkpoint is not published without.
type waitingFor int

const (
	forNothing waitingFor = iota
	forQuorum             // of witnesses
	forKey                // one that the ledger's chain names
)

func (l *log) waiting() bool { return l.waitsFor != forNothing }

// wait keeps a checkpoint until what it waits for is there, its quorum or its key on
// record, or that of a larger one.
func (s *Signer) wait(l *log, what waitingFor, why string) {
	if l.waitsFor != what {
		s.Alarmf("%s: not published at size %d: %s", l.origin, l.saved.Size, why)
	}
	l.waitsFor, l.askedAt = what, s.Now()
}

// cosign asks the witnesses, and reports whether the policy is met. The note may
// have reached a witness, whatever comes back; its state is on disk.
func (s *Signer) cosign(ctx context.Context, l *log, note []byte) (cosigned []byte, quorum bool, err error) {
	cosigned = note
	if s.Cosign != nil {
		bounded, cancel := context.WithTimeout(ctx, cosignTimeout)
		defer cancel()
		read, size := l.readNodes(s.Database.Nodes(ctx, l.id)), l.saved.Size
		answer, err := s.Cosign(bounded, l.origin, note, func(from int64) ([]chain.Hash, error) {
			return chain.ProveConsistency(from, size, read)
		})
		if err != nil {
			s.Alarmf("%s: asking witnesses: %v", l.origin, err)
		}
		if answer != nil {
			cosigned = answer
		}
	}
	if s.Policy == nil || !s.Policy.WantsWitnesses() {
		return cosigned, true, nil
	}
	keys := []chain.VerifierKey{l.key}
	for _, w := range s.Policy.Witnesses {
		keys = append(keys, w.Key)
	}
	opened, err := chain.OpenCheckpoint(cosigned, keys...)
	if err != nil {
		return nil, false, fmt.Errorf("reading what the witnesses cosigned: %w", err)
	}
	if opened.Checkpoint != l.saved.checkpoint() || !opened.SignedBy(l.key) {
		return nil, false, fmt.Errorf("reading what the witnesses cosigned: it is another checkpoint")
	}
	return cosigned, s.Policy.Quorum(&opened, time.Time{}), nil
}

// readNodes reads the tree with what is not stored yet.
func (l *log) readNodes(stored chain.ReadNodes) chain.ReadNodes {
	type place struct {
		level    int
		position int64
	}
	fresh := make(map[place]chain.Hash, len(l.nodes))
	for _, n := range l.nodes {
		fresh[place{n.Level, n.Position}] = n.Hash
	}
	return func(level int, first, count int64) ([]chain.Hash, error) {
		var found []chain.Hash
		for at := first; at < first+count; {
			if h, ok := fresh[place{level, at}]; ok {
				found = append(found, h)
				at++
				continue
			}
			end := at + 1
			for ; end < first+count; end++ {
				if _, ok := fresh[place{level, end}]; ok {
					break
				}
			}
			run, err := stored(level, at, end-at)
			if err != nil {
				return nil, err
			}
			found, at = append(found, run...), end
		}
		return found, nil
	}
}

// rebuild computes the nodes between what is published and what is signed, from
// the stored hashes: after a crash between the two, or while others published.
// That it comes to the root that was signed shows that the hashes are those
// that were checked. Where the nodes that are stored already do not lead there,
// it does without them: they were changed, which is Verify's to say.
func (s *Signer) rebuild(ctx context.Context, l *log) error {
	read := s.Database.Nodes(ctx, l.id)
	for _, from := range []int64{l.published, 0} {
		tree, err := chain.FrontierAt(from, read)
		if errors.Is(err, chain.ErrNodes) && from > 0 {
			continue
		}
		if err != nil {
			return fmt.Errorf("reading the tree of %s at size %d: %w", l.origin, from, err)
		}
		var nodes []chain.Node
		for tree.Size() < l.saved.Size {
			leaves, err := read(0, tree.Size(), min(stepEntries, l.saved.Size-tree.Size()))
			if err != nil {
				return fmt.Errorf("reading the leaves of %s from %d on: %w", l.origin, tree.Size(), err)
			}
			for _, leaf := range leaves {
				nodes = tree.Grow(leaf, nodes)
			}
		}
		if tree.Root() == chain.Hash(l.saved.Root) {
			l.nodes, l.nodesFrom = nodes, l.published
			return nil
		}
	}
	return s.finding(codeRollback, l.saved.Size-1, "other hashes of the entries", "root "+chain.Hash(l.saved.Root).String())
}
