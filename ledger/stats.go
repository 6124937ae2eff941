package ledger

import (
	"sync/atomic"
	"time"
)

// Stats counts what one sequencer has done since the process started.
type Stats struct {
	Batches     int64         // commits
	Entries     int64         // entries appended
	Refusals    int64         // requests refused by a rule
	Replays     int64         // requests answered with an earlier entry
	Collisions  int64         // batches that came second to another process
	Followed    int64         // entries of other processes read
	Turns       int64         // turns taken
	TurnsMissed int64         // turns that did not come in time
	Unknown     int64         // commits whose outcome had to be resolved
	Poison      int64         // requests that the database refused
	Overloaded  int64         // requests turned away because the queue was full
	Waiting     int           // requests in the queue now
	HeadSeq     int64         // newest entry known
	HeadAhead   time.Duration // how far that entry is dated ahead of the clock
	Halted      bool          // posting has stopped after a finding
}

type counters struct {
	batches, entries, refusals, replays, collisions, followed           atomic.Int64
	turns, turnsMissed, unknown, poison, overloaded, headSeq, headAhead atomic.Int64
	halted                                                              atomic.Bool
}

func (c *counters) committed(a *Applied) {
	c.batches.Add(1)
	c.entries.Add(int64(len(a.Entries)))
	c.headSeq.Store(a.head.Seq)
}

// Stats returns the present counts.
func (s *Sequencer) Stats() Stats {
	c := &s.stats
	return Stats{
		Batches: c.batches.Load(), Entries: c.entries.Load(), Refusals: c.refusals.Load(),
		Replays: c.replays.Load(), Collisions: c.collisions.Load(), Followed: c.followed.Load(),
		Turns: c.turns.Load(), TurnsMissed: c.turnsMissed.Load(), Unknown: c.unknown.Load(),
		Poison: c.poison.Load(), Overloaded: c.overloaded.Load(), Waiting: int(s.waiting.Load()),
		HeadSeq: c.headSeq.Load(), HeadAhead: time.Duration(c.headAhead.Load()), Halted: c.halted.Load(),
	}
}
