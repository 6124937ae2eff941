package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sort"
	"time"

	"github.com/google/uuid"

	"tallystick/api/client"
)

const (
	collisionsCounter = "tallystick_collisions_total"
	turnsCounter      = "tallystick_turns_total"
)

// checkAnswers looks at what clients were told.
func (p *pair) checkAnswers() error {
	var failed []error
	refusals := 0
	for _, s := range p.sides {
		for status := range s.measured.Statuses {
			if !slices.Contains([]int{http.StatusCreated, http.StatusUnprocessableEntity, http.StatusServiceUnavailable}, status) {
				failed = append(failed, broken("the %s process answered with status %d", s.name, status))
			}
		}
		for i := range s.lanes {
			refusals += len(s.lanes[i].refusals)
			if len(s.lanes[i].strange) > 0 {
				failed = append(failed, broken("the %s process answered: %s", s.name, s.lanes[i].strange[0]))
			}
		}
	}
	if refusals == 0 {
		failed = append(failed, broken("no transfer was refused: the limit was not tried"))
	}
	if p.watched.polls == 0 || p.watched.lowest < 0 {
		failed = append(failed, broken("of %d polled balances the lowest was %d cents", p.watched.polls, p.watched.lowest))
	}
	return errors.Join(failed...)
}

// checkCounters wants to see that the two did meet.
func (p *pair) checkCounters() error {
	var collisions, turns int64
	for _, c := range p.watched.counters {
		collisions += c[collisionsCounter]
		turns += c[turnsCounter]
	}
	fmt.Fprintf(p.out, "%-9s %d collisions, %d turns taken, %d balances polled, lowest %d cents\n", "watched",
		collisions, turns, p.watched.polls, p.watched.lowest)
	if collisions == 0 {
		return broken("no collision was counted: the processes did not share the ledger")
	}
	return nil
}

// checkFigures compares two processes with one.
func (p *pair) checkFigures(alone *side) error {
	var failed []error
	a, b := p.sides[0].measured, p.sides[1].measured
	sum, one := a.PerSecond()+b.PerSecond(), alone.measured.PerSecond()
	share := 100 * min(a.PerSecond(), b.PerSecond()) / max(1, sum)
	p99 := max(a.Latencies.Percentile(99), b.Latencies.Percentile(99))
	p99One := alone.measured.Latencies.Percentile(99)
	fmt.Fprintf(p.out, "%-9s %d/s is %d %% of one process, the slower one has %d %%, p99 is %s ms against %s ms\n", "together",
		sum, 100*sum/max(1, one), share, client.Millis(p99), client.Millis(p99One))
	if sum*2 < one {
		failed = append(failed, broken("two processes acknowledge %d/s, one alone %d/s", sum, one))
	}
	if share < 30 {
		failed = append(failed, broken("the slower process has %d %% of the sum", share))
	}
	if p99 > 5*p99One {
		failed = append(failed, broken("p99 is %s, that of one process %s", p99, p99One))
	}
	return errors.Join(failed...)
}

// checkDisturbance wants the other process to have gone on, and the victim to
// have come back.
func (p *pair) checkDisturbance() error {
	var failed []error
	other := p.sides[1-p.event.victim]
	from := p.event.happened.Sub(other.begun)
	gap := other.measured.LongestGap(from, from+observed)
	fmt.Fprintf(p.out, "%-9s the %s process went at most %s without an acknowledgement\n", "disturb", other.name, gap)
	if gap > resumeBound {
		failed = append(failed, broken("the %s process acknowledged nothing for %s", other.name, gap))
	}
	returned := p.sides[len(p.sides)-1]
	if p.o.Disturb == "stop" {
		returned = p.sides[p.event.victim]
	}
	back := min(int(max(0, p.event.ended.Sub(returned.begun))/client.TimelineStep), len(returned.measured.Timeline))
	since := returned.measured.Timeline[back:]
	first := slices.IndexFunc(since, func(n int64) bool { return n > 0 })
	var acks int64
	for _, n := range since {
		acks += n
	}
	fmt.Fprintf(p.out, "%-9s the returned process acknowledged again after %s, %d transfers in all\n", "disturb", time.Duration(first)*client.TimelineStep, acks)
	if acks == 0 {
		failed = append(failed, broken("the returned process acknowledged nothing"))
	}
	return errors.Join(failed...)
}

// history is the hot account's postings, in order.
type history struct {
	seqs     []int64
	balances []int64 // cents, after the posting of the same index
	at       map[uuid.UUID]int64
}

// checkBook settles what is open and compares the hot account's history, in
// which every transfer stands, with what clients were told.
func (p *pair) checkBook(ctx context.Context) error {
	server := p.servers[1-p.event.victim].Client
	settled := map[uuid.UUID]bool{} // id: stored
	for _, s := range p.sides {
		for i := range s.lanes {
			for _, m := range s.lanes[i].open {
				stored, err := settle(ctx, server, m)
				if err != nil {
					return err
				}
				settled[m.id] = stored
			}
		}
	}
	h, err := readHistory(ctx, server)
	if err != nil {
		return err
	}
	known := 0
	for _, s := range p.sides {
		for i := range s.lanes {
			if err := h.checkLane(&s.lanes[i]); err != nil {
				return err
			}
			known += len(s.lanes[i].acks)
		}
	}
	for id, stored := range settled {
		if _, there := h.at[id]; there != stored {
			return broken("transfer %s was retried and answered as stored: %t, and stands in the book: %t", id, stored, there)
		}
		if stored {
			known++
		}
	}
	fmt.Fprintf(p.out, "%-9s %d transfers, each stored once; %d were retried\n", "book", len(h.at), len(settled))
	if known != len(h.at) {
		return broken("%d transfers are stored, and %d were acknowledged", len(h.at), known)
	}
	return nil
}

// readHistory reads the hot account's postings and checks that they are a chain
// that never falls below zero.
func readHistory(ctx context.Context, server *client.Client) (*history, error) {
	var postings []client.AccountPosting
	err := server.AccountPostings(ctx, pairLedger, hotAccount, func(p client.AccountPosting) error {
		postings = append(postings, p)
		return nil
	})
	if err != nil {
		return nil, err
	}
	sort.Slice(postings, func(i, j int) bool { return postings[i].AccountSeq < postings[j].AccountSeq })
	h := &history{at: map[uuid.UUID]int64{}}
	var balance int64
	for i, p := range postings {
		amount, err1 := parseCents(p.Amount)
		after, err2 := parseCents(p.Balance)
		id, err3 := uuid.Parse(p.TransferID)
		if err := errors.Join(err1, err2, err3); err != nil {
			return nil, err
		}
		if p.Direction == "debit" {
			amount = -amount
		}
		_, twice := h.at[id]
		switch balance += amount; {
		case p.AccountSeq != int64(i)+1 || twice || i > 0 && p.Seq <= h.seqs[i-1]:
			return nil, broken("posting %d of %s is out of place: %+v", i+1, hotAccount, p)
		case after != balance || balance < 0:
			return nil, broken("balance of %s after seq %d is %d cents, computed %d", hotAccount, p.Seq, after, balance)
		}
		h.at[id] = p.Seq
		h.seqs = append(h.seqs, p.Seq)
		h.balances = append(h.balances, balance)
	}
	return h, nil
}

// balanceAt returns the hot account's balance as of a seq.
func (h *history) balanceAt(seq int64) int64 {
	i := sort.Search(len(h.seqs), func(i int) bool { return h.seqs[i] > seq })
	if i == 0 {
		return 0
	}
	return h.balances[i-1]
}

// checkLane compares one connection's answers with the book.
func (h *history) checkLane(l *lane) error {
	for _, a := range l.acks {
		if seq, there := h.at[a.id]; !there || seq != a.seq {
			return broken("transfer %s was acknowledged at seq %d; stored: %t, at %d", a.id, a.seq, there, seq)
		}
	}
	for _, r := range l.refusals {
		if seq, there := h.at[r.id]; there {
			return broken("transfer %s was refused, and is stored at %d", r.id, seq)
		}
		if !r.complete {
			return broken("the refusal of %s gives no available balance or no seq", r.id)
		}
		balance := h.balanceAt(r.seq)
		if balance != r.available || balance >= -r.cents {
			return broken("transfer %s of %d cents was refused at seq %d for an available balance of %d; it was %d", r.id, r.cents, r.seq, r.available, balance)
		}
	}
	return nil
}

// settleBound is how long retrying one request may take.
const settleBound = 60 * time.Second

// settle posts a move again until it is known whether it is stored.
func settle(ctx context.Context, server *client.Client, m move) (stored bool, err error) {
	conn := server.Conn(requestTimeout)
	defer conn.Close()
	deadline := time.Now().Add(settleBound)
	for {
		answer, err := conn.Post(ctx, client.LedgerPath(pairLedger, "transfers"), "", m.body(nil))
		if err == nil {
			var p client.Problem
			_ = json.Unmarshal(answer.Body, &p) // a body that is no problem has no code
			switch {
			case answer.Status == http.StatusCreated:
				return true, nil
			case answer.Status == http.StatusUnprocessableEntity && p.Code == "limit_exceeded" && m.cents < 0:
				return false, nil
			case answer.Status != http.StatusServiceUnavailable:
				return false, broken("retrying transfer %s: status %d: %.300s", m.id, answer.Status, answer.Body)
			}
			err = &p
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			return false, fmt.Errorf("retrying transfer %s for %s: %w", m.id, settleBound, err)
		}
		if err := await(ctx, pollStep); err != nil {
			return false, err
		}
	}
}
