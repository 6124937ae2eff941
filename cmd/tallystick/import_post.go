package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"tallystick/api/client"
	"tallystick/cmd/tallystick/internal/mapping"
	"tallystick/cmd/tallystick/internal/tabular"
	"tallystick/ledger"
)

const (
	// importTimeout bounds one request. It is longer than the server's own
	// bounds.
	importTimeout = 60 * time.Second
	// The pause before a request is repeated doubles from the first to the last.
	firstPause = 100 * time.Millisecond
	lastPause  = 5 * time.Second
)

// importPoster posts to one ledger over one connection.
type importPoster struct {
	command *importCommand
	server  *client.Client
	conn    *client.Conn
	report  *importReport
	ledger  ledger.LedgerID
	fresh   bool // the ledger was opened by this run

	file    *importedFile
	decided int64 // transfers of the file that an earlier run decided
}

// importResult is how one item ended.
type importResult struct {
	Status   int             `json:"status"`
	Replayed bool            `json:"replayed"`
	Problem  *client.Problem `json:"problem"`
}

// openLedger finds the ledger, or opens it when the mapping says on which terms.
func (p *importPoster) openLedger(ctx context.Context, terms *mapping.Terms) error {
	var l client.Ledger
	err := p.patiently(ctx, func() (retry bool, err error) {
		l, err = p.server.Ledger(ctx, p.command.Ledger)
		if client.HasCode(err, "ledger_not_found") && terms != nil {
			p.fresh = true
			l, err = p.server.OpenLedger(ctx, client.LedgerTerms{
				Name: p.command.Ledger, BaseCurrency: terms.BaseCurrency, TimeZone: terms.TimeZone, DayCutoff: terms.DayCutoff,
				ValueDaysBack: terms.ValueDaysBack, ValueDaysAhead: terms.ValueDaysAhead,
			})
		}
		return err != nil && !isDefinite(err), err
	})
	switch {
	case client.HasCode(err, "ledger_not_found"):
		return fmt.Errorf("finding ledger %s: %w\nhint: tallystick ledger open opens one, and so does import when the mapping has ledger: {base_currency: …}", p.command.Ledger, err)
	case err != nil:
		return fmt.Errorf("finding ledger %s: %w", p.command.Ledger, err)
	}
	id, err := uuid.Parse(l.ID)
	if err != nil {
		return fmt.Errorf("reading the id of ledger %s: %w", p.command.Ledger, err)
	}
	p.ledger = ledger.LedgerID{UUID: id}
	p.report.LedgerID, p.report.Size, p.report.Head = l.ID, l.Size, l.Head
	return nil
}

// openConstants opens the accounts of the mapping, without which nothing that
// follows would work.
func (p *importPoster) openConstants(ctx context.Context, accounts []mapping.Account) error {
	for part := range slices.Chunk(accounts, maxImportBatch) {
		items := make([]importItem, len(part))
		for i := range part {
			body, err := json.Marshal(&part[i])
			if err != nil {
				return err
			}
			items[i] = importItem{body: body}
		}
		results, err := p.send(ctx, "accounts", false, items)
		if err != nil {
			return fmt.Errorf("opening the accounts of the mapping: %w", err)
		}
		for i, r := range results {
			if r.Status >= 400 {
				return fmt.Errorf("opening account %s of the mapping: %w", part[i].Code, r.Problem)
			}
			p.report.countAccount(r.Status)
		}
	}
	return nil
}

// postChunk opens the accounts of a chunk and posts its transfers.
func (p *importPoster) postChunk(ctx context.Context, chunk *importChunk) error {
	if len(chunk.accounts) > 0 {
		results, err := p.send(ctx, "accounts", false, chunk.accounts)
		if err != nil {
			return err
		}
		if err := p.report.countAccounts(p.file, chunk.accounts, results); err != nil {
			return err
		}
	}
	if err := p.postTransfers(ctx, chunk); err != nil {
		return err
	}
	p.file.decidedTo(chunk)
	return nil
}

// send posts items as one batch and returns how each of them ended, for good:
// what the server asks to repeat is repeated, and an item that it cannot even
// read is refused while the others are posted.
func (p *importPoster) send(ctx context.Context, list string, dryRun bool, items []importItem) ([]importResult, error) {
	results := make([]importResult, len(items))
	open := make([]int, len(items))
	for i := range open {
		open[i] = i
	}
	path := client.LedgerPath(p.command.Ledger, list, "batch")
	if dryRun {
		path += "?dry_run=true"
	}
	err := p.patiently(ctx, func() (retry bool, err error) {
		for len(open) > 0 {
			part := make([]importItem, len(open))
			for i, at := range open {
				part[i] = items[at]
			}
			answers, culprit, err := p.request(ctx, path, list, part)
			switch {
			case culprit >= 0:
				results[open[culprit]] = refusedBy(err)
				open = slices.Delete(open, culprit, culprit+1)
				continue
			case err != nil:
				return !isDefinite(err), err
			}
			var again []int
			for i, at := range open {
				if results[at] = answers[i]; passing(answers[i].Status) || answers[i].Status == http.StatusInternalServerError {
					again, err = append(again, at), problemOf(answers[i])
				}
			}
			open = again
			if len(open) > 0 {
				return true, err
			}
		}
		return false, nil
	})
	if err != nil && len(open) > 0 && len(open) < len(items) {
		err = fmt.Errorf("%w\nrows after one that is open were decided: use --retry-refused in the next run", err)
	}
	return results, err
}

func problemOf(r importResult) error {
	if r.Problem != nil {
		r.Problem.Status = r.Status
		return r.Problem
	}
	return &client.Problem{Status: r.Status, Title: http.StatusText(r.Status)}
}

func refusedBy(err error) importResult {
	var problem *client.Problem
	errors.As(err, &problem)
	return importResult{Status: problem.Status, Problem: problem}
}

// request posts one batch once. When the server refuses the whole body because
// of one item, culprit is its index, otherwise −1.
func (p *importPoster) request(ctx context.Context, path, list string, items []importItem) (results []importResult, culprit int, err error) {
	answer, err := p.conn.Post(ctx, path, "", batchBody(list, items))
	if err != nil {
		return nil, -1, err
	}
	if answer.Status != http.StatusOK {
		problem := client.ParseProblem(answer.Status, answer.Body)
		if passing(answer.Status) && answer.RetryAfter > 0 {
			pauseFor(ctx, min(answer.RetryAfter, lastPause))
		}
		return nil, culpritOf(problem, list, len(items)), fmt.Errorf("posting to %s: %w", path, problem)
	}
	var body struct {
		Results []importResult `json:"results"`
	}
	if err := json.Unmarshal(answer.Body, &body); err != nil {
		return nil, -1, fmt.Errorf("reading the answer to %s: %w", path, err)
	}
	if len(body.Results) != len(items) {
		return nil, -1, fmt.Errorf("reading the answer to %s: %d results for %d items", path, len(body.Results), len(items))
	}
	return body.Results, -1, nil
}

// culpritOf returns the item that a problem with the whole body points to, such
// as 17 in /transfers/17/amount, or −1.
func culpritOf(problem *client.Problem, list string, items int) int {
	rest, ok := strings.CutPrefix(problem.Field, "/"+list+"/")
	number, _, _ := strings.Cut(rest, "/")
	n, err := strconv.Atoi(number)
	if !ok || err != nil || n < 0 || n >= items || problem.Status != http.StatusBadRequest && problem.Status != http.StatusUnprocessableEntity {
		return -1
	}
	return n
}

// patiently calls try until it says that repeating would change nothing, for a
// bounded time.
func (p *importPoster) patiently(ctx context.Context, try func() (retry bool, err error)) error {
	return patiently(ctx, p.command.RetryFor, p.report.stderr, try)
}

// patiently calls try until it says that repeating would change nothing, or until
// the bound has passed, and says on stderr that it does.
func patiently(ctx context.Context, bound time.Duration, stderr io.Writer, try func() (retry bool, err error)) error {
	end := time.Now().Add(bound)
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		retry, err := try()
		if err == nil || !retry {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if time.Now().Add(pause).After(end) {
			return fmt.Errorf("giving up after %s: %w", bound, err)
		}
		if pause == firstPause {
			fmt.Fprintf(stderr, "warning: %v; trying again for %s\n", err, bound)
		}
		pauseFor(ctx, pause)
	}
}

func pauseFor(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// explain says what is wrong with a file or the server, what had been decided
// before, and how to go on.
func (p *importPoster) explain(ctx context.Context, in *importInput, err error) error {
	before := p.file.before()
	if l, sizeErr := p.server.Ledger(context.WithoutCancel(ctx), p.command.Ledger); sizeErr == nil {
		p.report.Size, p.report.Head = l.Size, l.Head
		before += fmt.Sprintf("; ledger %s has %d entries", p.command.Ledger, l.Size)
	}
	hint := "run the same command again: it goes on from there"
	if _, broken := errors.AsType[*tabular.LineError](err); broken {
		hint = "correct that line where it stands and run the same command again: it goes on from there"
	}
	return fmt.Errorf("importing %s: %w\n%s\nhint: %s", in.path, err, before, hint)
}
