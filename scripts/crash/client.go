package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"tallystick/api/client"
)

const (
	ledgerName = "crash"
	currency   = "EUR"
	// accounts is how many the transfers move between; emptyAccount has
	// min_balance 0 and never gets money, so that paying from it is refused.
	accounts     = 64
	emptyAccount = "empty"
	refusedShare = 20 // one attempt in this many pays from emptyAccount

	requestTimeout = 60 * time.Second
	failurePause   = 50 * time.Millisecond
)

func account(i int) string { return fmt.Sprintf("wallets:%d", i) }

// clientOptions are the flags of the hidden client process. Its key comes from
// TALLYSTICK_API_KEY.
type clientOptions struct {
	URL         string `required:""`
	Journal     string `required:""`
	Connections int    `required:""`

	Timeout time.Duration `required:"" help:"How long a request is waited for."`
}

// postUntilToldToStop posts until stdin ends, and then until every request in
// flight has an answer or has failed.
func postUntilToldToStop(ctx context.Context, o clientOptions, stdin io.Reader) error {
	server, err := client.New(o.URL, os.Getenv("TALLYSTICK_API_KEY"))
	if err != nil {
		return err
	}
	f, err := os.OpenFile(o.Journal, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("opening the journal: %w", err)
	}
	var told atomic.Bool
	go func() {
		// Only the end of stdin counts; it also comes when the parent dies.
		_, _ = io.Copy(io.Discard, stdin)
		told.Store(true)
	}()
	failed := make([]error, o.Connections)
	var wait sync.WaitGroup
	for n := range o.Connections {
		wait.Go(func() {
			conn := server.Conn(o.Timeout)
			defer conn.Close()
			ids, err := client.NewIDs(7)
			for err == nil && !told.Load() && ctx.Err() == nil {
				err = attemptOne(ctx, conn, f, newAttempt(ids))
			}
			failed[n] = err
		})
	}
	wait.Wait()
	return errors.Join(append(failed, f.Close())...)
}

func newAttempt(ids *client.IDs) *attempt {
	from := rand.IntN(accounts)
	to := (from + 1 + rand.IntN(accounts-1)) % accounts
	a := &attempt{id: string(ids.Append(nil)), debit: account(from), credit: account(to)}
	if rand.IntN(refusedShare) == 0 {
		a.debit = emptyAccount
	}
	a.amount = fmt.Sprintf("%d.%02d", rand.IntN(1000), 1+rand.IntN(99))
	return a
}

// attemptOne writes down the attempt, sends it and writes down the answer.
func attemptOne(ctx context.Context, conn *client.Conn, f *os.File, a *attempt) error {
	if err := writeLine(f, "try %s %s %s %s", a.id, a.debit, a.credit, a.amount); err != nil {
		return err
	}
	answer, err := conn.Post(ctx, client.LedgerPath(ledgerName, "transfers"), "", a.body(nil))
	if err != nil {
		time.Sleep(failurePause)
		return writeLine(f, "open %s %s", a.id, strings.ReplaceAll(err.Error(), "\n", " "))
	}
	switch {
	case answer.Status == http.StatusCreated:
		var e client.Entry
		if err := json.Unmarshal(answer.Body, &e); err != nil {
			return fmt.Errorf("reading the answer to %s: %w", a.id, err)
		}
		return writeLine(f, "ack %s %d %s", a.id, e.Seq, e.Hash)
	case answer.Status == http.StatusUnprocessableEntity && a.debit == emptyAccount:
		p := client.ParseProblem(answer.Status, answer.Body)
		return writeLine(f, "no %s %d %s", a.id, p.Status, p.Code)
	case answer.Status == http.StatusServiceUnavailable:
		time.Sleep(failurePause)
		return writeLine(f, "open %s %d", a.id, answer.Status)
	default:
		p := client.ParseProblem(answer.Status, answer.Body)
		return writeLine(f, "bad %s %d %s %s", a.id, p.Status, p.Code, strings.ReplaceAll(p.Detail, "\n", " "))
	}
}
