package ledger

import (
	"context"
	"fmt"
	"time"
)

// Bounds of taking turns, which several processes on one ledger do so that
// none starves. Safety never depends on a turn: the keys are the fence.
const (
	// TurnLength is how long a process keeps the turn while others may wait.
	TurnLength = 20 * time.Millisecond
	// AloneAfter is how long no foreign entry must have been seen before a
	// process posts without turns again.
	AloneAfter = 5 * time.Second
)

// turn is the right to post, while several processes do.
type turn struct {
	release func()
	until   time.Time
}

// takeTurn makes sure of the turn when another process posts to the ledger
// too, and catches up on what that one did. Alone it does nothing. A turn that
// cannot be had in time is done without.
func (s *Sequencer) takeTurn(ctx context.Context) error {
	if s.foreignAt.IsZero() || time.Since(s.foreignAt) > AloneAfter {
		s.giveBackTurn()
		return nil
	}
	if s.turn.release != nil {
		if time.Now().Before(s.turn.until) {
			return nil
		}
		s.giveBackTurn()
	}
	release, err := s.journal.Turn(ctx, s.id)
	if err == nil {
		s.stats.turns.Add(1)
		s.turn = turn{release: release, until: time.Now().Add(TurnLength)}
	} else {
		s.stats.turnsMissed.Add(1)
	}
	_, err = s.catchUp(ctx)
	return err
}

func (s *Sequencer) giveBackTurn() {
	if s.turn.release != nil {
		s.turn.release()
		s.turn = turn{}
	}
}

// catchUp follows the entries that other processes have appended and returns
// how many there were.
func (s *Sequencer) catchUp(ctx context.Context) (int, error) {
	followed := 0
	for page := 1; ; page++ {
		if s.life.Err() != nil {
			return followed, ErrStopped
		}
		if page > maxTailPages {
			return followed + 1, s.skipAhead(ctx)
		}
		tail, err := s.journal.Tail(ctx, s.id, s.book.head.Seq, tailPage)
		if err != nil {
			return followed, fmt.Errorf("%w: %w", ErrNothingHappened, err)
		}
		for i := range tail {
			if err := s.book.Follow(&tail[i]); err != nil {
				return followed, s.halt(ctx, brokenTail(tail[i].Seq(), err))
			}
			followed++
		}
		if len(tail) < tailPage {
			break
		}
	}
	if followed > 0 {
		s.foreignAt = time.Now()
		s.stats.followed.Add(int64(followed))
		return followed, s.noteHead(ctx)
	}
	return followed, nil
}

// skipAhead starts again at the newest entry, with nothing cached, when the
// process is too far behind to follow. What it skips is for tallystick verify;
// that its own head still stands is checked.
func (s *Sequencer) skipAhead(ctx context.Context) error {
	stands, err := s.headStands(ctx)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNothingHappened, err)
	}
	if !stands {
		return s.halt(ctx, rolledBack(s.book.head))
	}
	s.foreignAt = time.Now()
	return s.open(ctx)
}
