package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"github.com/google/uuid"

	"tallystick/api/client"
)

const (
	hotAccount = "hot"
	currency   = "EUR"
	spread     = 256 // other accounts, without limits
	// creditShare of ten transfers credit the hot account; the rest debit it
	// and use up what is there, so that refusals occur all the time.
	creditShare = 4
	maxCents    = 1000
	// requestTimeout is longer than a stopped process stays stopped: its
	// requests must get their answers when it goes on.
	requestTimeout = 90 * time.Second
)

// move is one transfer between the hot account and another, in cents; negative
// when it debits the hot account.
type move struct {
	id    uuid.UUID
	other int
	cents int64
}

// body is the request, the same bytes each time.
func (m move) body(dst []byte) []byte {
	debit, credit, cents := spreadAccount(m.other), hotAccount, m.cents
	if cents < 0 {
		debit, credit, cents = credit, debit, -cents
	}
	return fmt.Appendf(dst, `{"id":"%s","debit":"%s","credit":"%s","amount":"%d.%02d"}`, m.id, debit, credit, cents/100, cents%100)
}

func spreadAccount(i int) string { return "spread:" + strconv.Itoa(i) }

// acknowledgement is where a move was stored.
type acknowledgement struct {
	move
	seq int64
}

// refusal is why a move was not stored: what was available, in cents, at seq.
type refusal struct {
	move
	seq, available int64
	complete       bool // both were given
}

// lane is one connection's moves and what became of them.
type lane struct {
	ids      *client.IDs
	current  move
	pending  bool // current has no answer yet
	acks     []acknowledgement
	refusals []refusal
	open     []move   // without an answer that says what happened
	strange  []string // answers that no client may get
}

// side is a load on one process.
type side struct {
	name     string
	lanes    []lane
	measured *client.Measured
	cancel   context.CancelFunc
	done     chan struct{}
	failed   error
	begun    time.Time
}

// startSide begins a load on a process; it ends by itself or by cancel, and
// closes done.
func startSide(ctx context.Context, name string, server *client.Client, ledger string, connections int, warmUp, duration time.Duration) (*side, error) {
	s := &side{name: name, lanes: make([]lane, connections), done: make(chan struct{}), begun: time.Now()}
	for i := range s.lanes {
		ids, err := client.NewIDs(7)
		if err != nil {
			return nil, err
		}
		s.lanes[i].ids = ids
	}
	load := client.Load{
		Client: server, Path: client.LedgerPath(ledger, "transfers"), Connections: connections,
		WarmUp: warmUp, Duration: duration, Timeout: requestTimeout,
		Request: func(n int, body []byte) []byte { return s.lanes[n].next(body) },
		Judge:   func(n int, a client.Answer) client.Tally { return s.lanes[n].judge(a) },
	}
	ctx, s.cancel = context.WithCancel(ctx)
	go func() {
		defer close(s.done)
		s.measured, s.failed = load.Run(ctx)
		for i := range s.lanes {
			s.lanes[i].setAside()
		}
	}()
	return s, nil
}

// wait returns when the load is over.
func (s *side) wait() error {
	<-s.done
	s.cancel()
	return s.failed
}

func (l *lane) next(body []byte) []byte {
	l.setAside()
	l.current = move{id: l.ids.Next(), other: rand.IntN(spread), cents: 1 + rand.Int64N(maxCents)}
	if rand.IntN(10) >= creditShare {
		l.current.cents = -l.current.cents
	}
	l.pending = true
	return l.current.body(body)
}

// setAside keeps a move that was not answered.
func (l *lane) setAside() {
	if l.pending {
		l.open = append(l.open, l.current)
		l.pending = false
	}
}

func (l *lane) judge(a client.Answer) client.Tally {
	if a.Status == http.StatusServiceUnavailable {
		// Overloaded, or the outcome is unknown: settled at the end.
		l.setAside()
		return client.Tally{Errors: 1}
	}
	l.pending = false
	switch seq, ok := entrySeq(a.Body); {
	case a.Status == http.StatusCreated && ok && !a.Replayed:
		l.acks = append(l.acks, acknowledgement{l.current, seq})
	case a.Status == http.StatusUnprocessableEntity:
		l.refuse(a)
	default:
		l.strange = append(l.strange, fmt.Sprintf("status %d, replayed %t: %.300s", a.Status, a.Replayed, a.Body))
	}
	return client.JudgeStatus(a.Status, a.Replayed)
}

func (l *lane) refuse(a client.Answer) {
	var p client.Problem
	if err := json.Unmarshal(a.Body, &p); err != nil || p.Code != "limit_exceeded" || l.current.cents > 0 {
		l.strange = append(l.strange, fmt.Sprintf("status %d for %+d cents: %.300s", a.Status, l.current.cents, a.Body))
		return
	}
	r := refusal{move: l.current}
	if p.EvaluatedAtSeq != nil && p.Available != nil {
		cents, err := parseCents(*p.Available)
		if err != nil {
			l.strange = append(l.strange, err.Error())
			return
		}
		r.seq, r.available, r.complete = *p.EvaluatedAtSeq, cents, true
	}
	l.refusals = append(l.refusals, r)
}

// entrySeq finds the seq of an entry. A full decoding of every answer would
// take a tenth of the machine that is measured; no other member of an entry is
// named "seq", quotes included, and a full decoding of the book follows anyway.
func entrySeq(body []byte) (int64, bool) {
	_, rest, found := bytes.Cut(body, []byte(`"seq":`))
	end := bytes.IndexAny(rest, ",}")
	if !found || end < 0 {
		return 0, false
	}
	seq, err := strconv.ParseInt(string(bytes.TrimSpace(rest[:end])), 10, 64)
	return seq, err == nil
}

// parseCents reads an amount with two decimals.
func parseCents(text string) (int64, error) {
	n := len(text)
	if n < 4 || text[n-3] != '.' {
		return 0, fmt.Errorf("reading amount %q: want two decimals", text)
	}
	cents, err := strconv.ParseInt(text[:n-3]+text[n-2:], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("reading amount %q: %w", text, err)
	}
	return cents, nil
}
