package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"tallystick/api/client"
)

// settleBound is how long retrying one request may take.
const settleBound = 60 * time.Second

// settle posts every attempt of the round that has no definite answer again.
func (h *crasher) settle(ctx context.Context, j *journal, r *roundReport) error {
	conn := h.server.Client.Conn(requestTimeout)
	defer conn.Close()
	r.acks = j.acks
	for _, a := range j.order {
		if a.answer == unanswered {
			replayed, err := settleOne(ctx, conn, a)
			if err != nil {
				return err
			}
			r.open++
			if replayed {
				r.replayed++
			}
		}
		if a.answer == refused {
			r.refused++
		}
	}
	return nil
}

// settleOne retries until there is an answer that leaves nothing open.
func settleOne(ctx context.Context, conn *client.Conn, a *attempt) (replayed bool, err error) {
	deadline := time.Now().Add(settleBound)
	for {
		answer, err := conn.Post(ctx, client.LedgerPath(ledgerName, "transfers"), "", a.body(nil))
		switch {
		case err == nil && answer.Status == http.StatusServiceUnavailable:
			err = client.ParseProblem(answer.Status, answer.Body)
			fallthrough
		case err != nil:
			if ctx.Err() != nil || time.Now().After(deadline) {
				return false, fmt.Errorf("retrying %s for %s: %w", a.id, settleBound, err)
			}
			time.Sleep(failurePause)
			continue
		case answer.Status == http.StatusUnprocessableEntity && a.debit == emptyAccount:
			a.answer = refused
			return false, nil
		case answer.Status != http.StatusCreated:
			return false, fmt.Errorf("%w: retrying %s: %w", errBroken, a.id, client.ParseProblem(answer.Status, answer.Body))
		}
		var e client.Entry
		if err := json.Unmarshal(answer.Body, &e); err != nil {
			return false, fmt.Errorf("reading the answer to %s: %w", a.id, err)
		}
		a.answer, a.seq, a.hash = settled, e.Seq, e.Hash
		return answer.Replayed, nil
	}
}

// check reads the whole ledger and compares it with everything the clients of
// all rounds were told.
func (h *crasher) check(ctx context.Context, r *roundReport) error {
	stored := map[string]client.Entry{}
	head, size := "", int64(0)
	err := h.server.Client.Entries(ctx, ledgerName, 0, func(e client.Entry) error {
		if e.Seq != size || size > 0 && e.PrevHash != head {
			return fmt.Errorf("%w: entry %d (%s) after %s stands where %d on %s was due", errBroken, e.Seq, e.Hash, e.PrevHash, size, head)
		}
		head, size = e.Hash, size+1
		if e.Kind != "transfer" {
			return nil
		}
		if first, twice := stored[e.ID]; twice {
			return fmt.Errorf("%w: transfer %s is stored at %d and at %d", errBroken, e.ID, first.Seq, e.Seq)
		}
		stored[e.ID] = e
		return nil
	})
	if err != nil {
		return err
	}
	r.entries = size
	return compare(h.past, stored)
}

// compare takes each attempt off what is stored; nothing else may remain.
func compare(attempts []*attempt, stored map[string]client.Entry) error {
	known := map[string]bool{}
	for _, a := range attempts {
		known[a.id] = true
		e, there := stored[a.id]
		switch {
		case a.answer == unanswered:
			return fmt.Errorf("comparing: %s was not settled", a.id)
		case a.answer == refused && there:
			return fmt.Errorf("%w: transfer %s was refused, and is stored at %d", errBroken, a.id, e.Seq)
		case a.answer == refused:
		case !there:
			return fmt.Errorf("%w: transfer %s was acknowledged at %d with hash %s, and is not stored", errBroken, a.id, a.seq, a.hash)
		case e.Seq != a.seq || e.Hash != a.hash:
			return fmt.Errorf("%w: transfer %s was acknowledged at %d with hash %s, and is stored at %d with %s", errBroken, a.id, a.seq, a.hash, e.Seq, e.Hash)
		case !moves(e, a):
			return fmt.Errorf("%w: transfer %s asked for %s from %s to %s, and is stored as %+v", errBroken, a.id, a.amount, a.debit, a.credit, e.Postings)
		}
	}
	for id, e := range stored {
		if !known[id] {
			return fmt.Errorf("%w: transfer %s stands at %d, and nobody sent it", errBroken, id, e.Seq)
		}
	}
	return nil
}

// moves reports whether the entry does what the attempt asked for.
func moves(e client.Entry, a *attempt) bool {
	if len(e.Postings) != 2 {
		return false
	}
	for _, p := range e.Postings {
		want := map[string]string{"debit": a.debit, "credit": a.credit}[p.Direction]
		if p.Account != want || p.Amount != a.amount {
			return false
		}
	}
	return e.Postings[0].Direction != e.Postings[1].Direction
}
