package signer

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"tallystick/ledger/chain"
)

// superPage is how many leaves of the super-log are read, or appended, in a round.
const superPage = 1024

// superRound appends the newest checkpoints to the super-log, and publishes that.
// Its rows are its entries: they stand before they are signed, and those that
// this process did not append are checked like everything else. A replica that does
// not sign follows them: its state must know what is signed when it takes over.
func (s *Signer) superRound(ctx context.Context, r *Result) error {
	l := s.super
	if l.isRefused() && (l.unvouched || s.Now().Before(l.refusedAt.Add(refusalPause))) {
		return nil
	}
	if !s.holder || !l.caughtUp || l.isRefused() || len(s.superLeaves()) > 0 {
		err := s.superAdvance(ctx, l, r)
		var no *refused
		switch {
		case errors.As(err, &no):
			l.drop()
			s.refuse(ctx, l, no)
			return nil
		case err != nil:
			l.drop()
			return err
		}
		l.refusal = ""
		if err := s.seal(); err != nil {
			return err
		}
	}
	if s.holder && s.isDue(l) {
		s.publishAll(ctx, []*log{l}, r)
	}
	if r.Backlog || !s.holder {
		return nil // what it waits for is on its way
	}
	return l.behind
}

// superLeaves returns a leaf for each ledger that has its first checkpoint, or a
// newer one after some time.
func (s *Signer) superLeaves() []chain.SuperLeaf {
	now := s.Now()
	var leaves []chain.SuperLeaf
	for _, l := range s.logs {
		p, newest := l.saved, l.position() // which may know of a leaf that is not saved
		if p == nil || s.hasEnded(l.id, l.origin) || l.published != p.Size || p.Size <= newest.SuperSize || len(leaves) == superPage {
			continue
		}
		// A leaf from the future, by another clock or by this one before it was set
		// right, must not put off the next one until then.
		if age := now.Sub(time.UnixMicro(newest.SuperAt)); newest.SuperSize > 0 && age >= 0 && age < superEvery {
			continue
		}
		leaves = append(leaves, chain.SuperLeaf{LedgerID: l.id, Origin: p.Origin, Size: p.Size, Root: chain.Hash(p.Root), RecordedAt: now.UnixMicro()})
	}
	return leaves
}

// superAdvance checks the rows that follow, and appends leaves once there are no
// more.
func (s *Signer) superAdvance(ctx context.Context, l *log, r *Result) error {
	p := l.position().clone()
	tree, err := p.tree()
	if err != nil {
		return err
	}
	if p.Size == 0 {
		l.nodes, l.nodesFrom = nil, 0
	}
	// Before the rows: another replica may append and publish meanwhile.
	published, err := s.Database.Checkpoints(ctx, l.id, p.Size, superPage+1)
	if err != nil {
		return err
	}
	rows, err := s.superRows(ctx, p)
	if err != nil {
		return err
	}
	hashes, err := s.checkSuperRows(ctx, l, rows, tree.Clone())
	if err != nil {
		return err
	}
	p.Origin = l.origin // a first walk takes the name that leaves give
	more := len(rows) == superPage
	r.Backlog = r.Backlog || more && l.behind == nil
	if l.caughtUp = !more && l.behind == nil; l.caughtUp {
		if ahead := aheadOf(p.Size+int64(len(hashes)), published); ahead > 0 {
			return s.shorter("leaves", p.Size+int64(len(hashes)), ahead).orSucceed()
		}
		if leaves := s.superLeaves(); s.holder && len(leaves) > 0 {
			if err := s.Database.AppendSuper(ctx, p.Size+int64(len(hashes)), leaves); err != nil {
				return err
			}
			for i := range leaves {
				hashes = append(hashes, leaves[i].Hash())
				s.noteSuper(&leaves[i])
			}
		}
	}
	nodes, err := s.grow(l, &tree, hashes, published)
	if err != nil {
		return err
	}
	l.keepNodes(nodes)
	if len(hashes) > 0 {
		p.setTree(&tree)
		p.Head = hexHash(hashes[len(hashes)-1])
		l.next = p
	}
	l.head.Size = p.Size
	if l.caughtUp {
		return s.reachedEnd(l, p, published)
	}
	return nil
}

// checkSuperRows returns the leaves of the rows up to one that cannot be looked
// at yet, which l.behind says then.
func (s *Signer) checkSuperRows(ctx context.Context, l *log, rows []SuperRow, tree chain.Frontier) ([]chain.Hash, error) {
	var hashes []chain.Hash
	l.behind = nil
	for i := range rows {
		known, err := s.checkSuperRow(ctx, &rows[i], &tree)
		if err != nil {
			return nil, err
		}
		if !known {
			leaf := &rows[i].Leaf
			l.behind = fmt.Errorf("leaf %d is about size %d of %s, which is not checked so far", rows[i].Position, leaf.Size, leaf.Origin)
			break
		}
		hashes = append(hashes, rows[i].Stored)
		if !rows[i].Leaf.AboutSuperLog() {
			s.noteSuper(&rows[i].Leaf)
		}
	}
	return hashes, nil
}

// superRows returns the rows beyond p, if the one before them is still there.
func (s *Signer) superRows(ctx context.Context, p *Position) ([]SuperRow, error) {
	if p.Size == 0 {
		return s.Database.SuperRows(ctx, 0, superPage)
	}
	rows, err := s.Database.SuperRows(ctx, p.Size-1, superPage+1)
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 || rows[0].Position != p.Size-1 {
		return nil, s.finding(codeRollback, p.Size-1, "no leaf of the super-log", chain.Hash(p.Head).String()).orSucceed()
	}
	if leaf := rows[0].Leaf.Hash(); leaf != chain.Hash(p.Head) {
		return nil, s.finding(codeRollback, p.Size-1, leaf.String(), chain.Hash(p.Head).String()).orSucceed()
	}
	return rows[1:], nil
}

// checkSuperRow holds a row against the checkpoint that it is about, and adds it to the
// tree; known is false while this process has not checked the ledger so far.
func (s *Signer) checkSuperRow(ctx context.Context, row *SuperRow, tree *chain.Frontier) (known bool, err error) {
	position := tree.Size()
	if err := s.checkSuperHash(row, position); err != nil {
		return false, err
	}
	tree.Append(row.Stored)
	if row.Leaf.AboutSuperLog() {
		return s.checkSuccession(ctx, row, tree.Root())
	}
	leaf := &row.Leaf
	if !s.isChecked(leaf) && !s.hasEnded(leaf.LedgerID, leaf.Origin) {
		return false, nil
	}
	holds, err := s.holdLeaf(ctx, leaf)
	if err != nil {
		return false, err
	}
	if !holds {
		return false, s.finding(codeRollback, position, fmt.Sprintf("size %d of %s with root %s", leaf.Size, leaf.Origin, leaf.Root), "a checkpoint that was published")
	}
	return true, nil
}

// isChecked reports whether this process has checked a ledger up to what a leaf is about.
func (s *Signer) isChecked(leaf *chain.SuperLeaf) bool {
	l := s.logs[leaf.LedgerID]
	return l != nil && l.saved != nil && l.saved.Size >= leaf.Size
}

// holdLeaf reports whether a leaf is about a checkpoint that its ledger has: one that
// this key has signed, or of the root that the ledger had at its size. A checkpoint that
// merely stands there says nothing, but to a process that has no super-log so far and
// takes its leaves as they are.
func (s *Signer) holdLeaf(ctx context.Context, leaf *chain.SuperLeaf) (bool, error) {
	l := s.logs[leaf.LedgerID]
	found, err := s.Database.Checkpoints(ctx, leaf.LedgerID, leaf.Size-1, 1)
	switch {
	case err != nil:
		return false, err
	case len(found) == 0 || found[0].Size != leaf.Size || found[0].Root != leaf.Root:
		return false, nil
	case !strings.HasSuffix(leaf.Origin, "/"+leaf.LedgerID.String()) || l != nil && leaf.Origin != l.origin:
		return false, nil
	case s.super.saved == nil || s.ownNote(found[0].Note, leaf.Origin, leaf.Size, leaf.Root):
		return true, nil
	case !s.isChecked(leaf):
		return false, nil
	}
	tree, err := chain.FrontierAt(leaf.Size, s.Database.Nodes(ctx, l.id))
	if err != nil {
		return false, fmt.Errorf("holding a leaf of the super-log against ledger %s: %w", l.id, err)
	}
	return tree.Root() == leaf.Root, nil
}

// checkSuperHash holds a row against its place and its own columns.
func (s *Signer) checkSuperHash(row *SuperRow, position int64) error {
	if row.Position != position {
		return s.finding(codeRollback, position, fmt.Sprintf("leaf %d of the super-log", row.Position), fmt.Sprintf("leaf %d", position))
	}
	if leaf := row.Leaf.Hash(); leaf != row.Stored {
		return s.finding(codeRollback, position, leaf.String(), row.Stored.String())
	}
	return nil
}

// noteSuper notes that a ledger has a leaf in the super-log.
func (s *Signer) noteSuper(leaf *chain.SuperLeaf) {
	l := s.logs[leaf.LedgerID]
	if l == nil {
		return // ended, and never looked at
	}
	if p := l.position(); leaf.Size > p.SuperSize {
		l.next = p.clone()
		l.next.SuperSize, l.next.SuperAt = leaf.Size, leaf.RecordedAt
	}
}

// drop forgets what was checked and is not saved.
func (l *log) drop() {
	l.next, l.caughtUp = nil, false
	l.forgetNodes()
}
