package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"tallystick/ledger/chain"
	"tallystick/ledger/money"
)

// findingSource names the sequencer in stored findings.
const findingSource = "sequencer"

// readable returns ErrPoison when an entry is none that a verifier could decode.
// No request should come to that; but once appended it stands for ever, and
// nothing after it is signed. The constraints of the tables hold what moves money
// to its bounds; of the other kinds they do not know the details.
func readable(entries []Entry) error {
	for i := range entries {
		if r := &entries[i].record; len(r.Postings) == 0 {
			if err := r.Check(); err != nil {
				return fmt.Errorf("%w: entry %d, a %s: %w", ErrPoison, r.Seq, r.Kind, err)
			}
		}
	}
	return nil
}

// maxAlike is how often in a row, and minAlike for how long at least, the database
// answers to a batch with an error that says nothing about the outcome (ErrAnswered)
// until that is taken for a refusal, if the batch does not stand there.
const (
	maxAlike = 3
	minAlike = 2 * time.Second
)

// append commits a decided batch. An unknown outcome is resolved before
// anything else happens, by submitting the identical batch again: it is stored
// then, or a fence tells that the first one was, or that it never can be.
func (s *Sequencer) append(ctx context.Context, batch []*pending, a *Applied) error {
	if err := readable(a.Entries); err != nil {
		return err
	}
	prev := s.book.head
	err := s.journal.Commit(ctx, s.id, prev, a.Entries)
	if !errors.Is(err, ErrUnknownOutcome) {
		return err
	}
	s.stats.unknown.Add(1)
	giveUp, told := time.Now().Add(ResolvePatience), false
	alike, since := 0, time.Now()
	for {
		if alike++; !errors.Is(err, ErrAnswered) {
			alike, since = 0, time.Now()
		}
		if alike >= maxAlike && time.Since(since) >= minAlike {
			if stored, looked := s.stored(ctx, a); stored {
				return nil
			} else if looked {
				return fmt.Errorf("%w: it was refused %d times: %v", ErrPoison, alike, err)
			}
		}
		pause(ctx, retryPause)
		err = s.journal.Commit(ctx, s.id, prev, a.Entries)
		switch {
		case errors.Is(err, ErrFence):
			return s.whoseEntry(ctx, a, err)
		case !errors.Is(err, ErrUnknownOutcome) && !errors.Is(err, ErrNothingHappened):
			return err // stored, or refused for good
		}
		if time.Now().Before(giveUp) {
			continue
		}
		if !told {
			told = true
			s.answerAll(batch, ErrUnknownOutcome)
		}
		if s.life.Err() != nil {
			return ErrUnknownOutcome // nothing more is posted from here
		}
	}
}

// stored reports whether a batch stands where it was to stand, if that could be
// looked at. The attempts before were answered, so that none is on its way.
func (s *Sequencer) stored(ctx context.Context, a *Applied) (stored, looked bool) {
	tail, err := s.journal.Tail(ctx, s.id, s.book.head.Seq, 1)
	if err != nil {
		return false, false
	}
	return len(tail) == 1 && tail[0].Hash() == a.Entries[0].Hash(), true
}

// whoseEntry looks at the place of a batch that a fence refused: our own hash
// there means that it was stored by the attempt whose outcome was unknown.
func (s *Sequencer) whoseEntry(ctx context.Context, a *Applied, fence error) error {
	for {
		tail, err := s.journal.Tail(ctx, s.id, s.book.head.Seq, 1)
		switch {
		case err != nil && s.life.Err() != nil:
			return ErrUnknownOutcome // nothing more is posted from here
		case err != nil:
			pause(ctx, retryPause) // the ledger must not go on before this is known
			continue
		}
		if len(tail) == 1 && tail[0].Hash() == a.Entries[0].Hash() {
			return nil // the whole batch stands or none of it
		}
		return fence
	}
}

// halve finds the request that the database refuses: the halves are decided
// apart until the culprit is alone.
func (s *Sequencer) halve(ctx context.Context, batch []*pending, err error) ([]*pending, error) {
	if len(batch) == 1 {
		s.stats.poison.Add(1)
		return batch, err
	}
	half := len(batch) / 2
	s.decide(ctx, batch[:half])
	s.decide(ctx, batch[half:])
	return nil, nil
}

// halt stops posting to the ledger and records why. It returns the error for
// the requests at hand.
func (s *Sequencer) halt(ctx context.Context, f chain.Finding) error {
	s.book.accounts.clear()
	s.halted = fmt.Errorf("%w: %s", ErrHalted, f.Code)
	s.stats.halted.Store(true)
	s.unstored = &f
	return s.stillHalted(ctx)
}

// stillHalted stores the finding, unless that is done, and returns the error
// for the requests at hand.
func (s *Sequencer) stillHalted(ctx context.Context) error {
	if s.unstored == nil {
		return s.halted
	}
	if err := s.journal.Report(ctx, s.id, findingSource, *s.unstored); err != nil {
		return fmt.Errorf("%w (and recording the finding: %w)", s.halted, err)
	}
	s.unstored = nil
	return s.halted
}

// afterHeadMissing tells a ledger that was rewound from a null that some other
// constraint refuses.
func (s *Sequencer) afterHeadMissing(ctx context.Context, batch []*pending, err error) ([]*pending, error) {
	stands, failed := s.headStands(ctx)
	switch {
	case failed != nil:
		return batch, fmt.Errorf("%w: %w", ErrNothingHappened, failed)
	case stands:
		return s.halve(ctx, batch, fmt.Errorf("%w: %w", ErrPoison, err))
	}
	return batch, s.halt(ctx, rolledBack(s.book.head))
}

// headStands reports whether the head that the book knows is in the ledger.
func (s *Sequencer) headStands(ctx context.Context) (bool, error) {
	head := s.book.head
	tail, err := s.journal.Tail(ctx, s.id, head.Seq-1, 1)
	if err != nil {
		return false, err
	}
	return len(tail) == 1 && tail[0].Seq() == head.Seq && tail[0].Hash() == head.Hash, nil
}

// noteHead keeps the statistics about the head, and a finding when it is ahead
// of the clock: a process with a wrong clock has posted.
func (s *Sequencer) noteHead(ctx context.Context) error {
	head := s.book.head
	ahead := time.UnixMicro(head.RecordedAt).Sub(s.now())
	s.stats.headSeq.Store(head.Seq)
	s.stats.headAhead.Store(int64(max(ahead, 0)))
	if ahead <= MaxClockOffset || s.ahead {
		return nil
	}
	stored, recomputed := time.UnixMicro(head.RecordedAt).UTC().Format(time.RFC3339Nano), s.now().UTC().Format(time.RFC3339Nano)
	err := s.journal.Report(ctx, s.id, findingSource, chain.Finding{
		Code: "HEAD_AHEAD_OF_CLOCK", Severity: chain.Warning, Seq: &head.Seq, Stored: &stored, Recomputed: &recomputed,
		NextStep: "The newest entry is dated after this machine's time; new ones take its time until the clock has caught up. " +
			"Find the server whose clock was wrong.",
	})
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNothingHappened, err)
	}
	s.ahead = true
	return nil
}

func rolledBack(head Head) chain.Finding {
	stored := "no such entry"
	recomputed := head.Hash.String()
	return chain.Finding{
		Code: "LOG_ROLLBACK", Severity: chain.Critical, Seq: &head.Seq, Stored: &stored, Recomputed: &recomputed,
		NextStep: "The newest entry that this server committed or read is gone from the database. Find out who rewound it " +
			"(a restore, a failover, a deletion), run tallystick verify, and restart the server only when the loss is understood.",
	}
}

func unexplainedFence(head Head, fence error) chain.Finding {
	stored := fence.Error()
	return chain.Finding{
		Code: "BALANCE_CHAIN_BREAK", Severity: chain.Critical, Seq: &head.Seq, Stored: &stored,
		NextStep: "The database refuses the next entry although nothing stands in its place: a posting exists that no entry " +
			"accounts for. Run tallystick verify and restart the server when the cause is removed.",
	}
}

func brokenTail(seq int64, err error) chain.Finding {
	stored := err.Error()
	return chain.Finding{
		Code: "CHAIN_BREAK", Severity: chain.Critical, Seq: &seq, Stored: &stored,
		NextStep: "An entry that another process appended does not continue the chain. Run tallystick verify before posting again.",
	}
}

// damage re-hashes the entries that the state of an account rests on and
// returns a finding when one is not intact or missing.
func damage(a *Account, entries map[int64]*Entry) *chain.Finding {
	seqs := []int64{a.VersionSeq}
	if a.AccountSeq > 0 {
		seqs = append(seqs, a.PostingSeq)
	}
	for _, seq := range seqs {
		e := entries[seq]
		if e != nil && e.Intact() {
			continue
		}
		f := hashMismatch(seq, e)
		return &f
	}
	switch {
	case !sealsVersion(&entries[a.VersionSeq].record, a):
		return &chain.Finding{Code: "ACCOUNT_STATE_MISMATCH", Severity: chain.Critical, Seq: &a.VersionSeq, NextStep: strayRow}
	case a.AccountSeq > 0 && !sealsPosting(&entries[a.PostingSeq].record, a):
		return &chain.Finding{Code: "BALANCE_CHAIN_BREAK", Severity: chain.Critical, Seq: &a.PostingSeq, NextStep: strayRow}
	}
	return nil
}

const strayRow = "A row about the account stands beside the entry that it names, perhaps under the id of another ledger; the account is blocked. Run tallystick verify to see all that was changed."

// sealsVersion reports whether an entry gave the account the attributes that rules
// depend on.
func sealsVersion(e *chain.Entry, a *Account) bool {
	v := e.Account
	return v != nil && v.AccountID == a.AccountID && v.Frozen == a.Frozen && v.Closed == a.Closed &&
		sameLimit(v.MinBalance, a.MinBalance) && sameLimit(v.MaxBalance, a.MaxBalance)
}

func sameLimit(a, b *money.Int128) bool {
	return a == b || a != nil && b != nil && *a == *b
}

// sealsPosting reports whether an entry has the posting that the account's balance is of.
func sealsPosting(e *chain.Entry, a *Account) bool {
	return slices.ContainsFunc(e.Postings, func(p chain.Posting) bool {
		return p.AccountID == a.AccountID && p.AccountSeq == a.AccountSeq &&
			p.Posted == a.Posted && p.PendingDebit == a.PendingDebit && p.PendingCredit == a.PendingCredit
	})
}

// hashMismatch reports that entry seq is not what was hashed, or is missing (nil).
func hashMismatch(seq int64, e *Entry) chain.Finding {
	f := chain.Finding{
		Code: "ENTRY_HASH_MISMATCH", Severity: chain.Critical, Seq: &seq,
		NextStep: "A stored entry is not what was hashed; what rests on it is blocked. Run tallystick verify to see all that was changed.",
	}
	if e != nil {
		stored, recomputed := e.hash.String(), e.record.Hash().String()
		f.Stored, f.Recomputed = &stored, &recomputed
	}
	return f
}
