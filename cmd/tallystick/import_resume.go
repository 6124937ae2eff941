package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"tallystick/api/client"
	"tallystick/cmd/tallystick/internal/tabular"
)

// How import goes on where it was. Rows are decided in the order of their file:
// a batch is sent when the one before has been answered in full. So every row up
// to the last one of the file that is in the ledger has been decided, and a row
// before it that is not in the ledger was refused. What was refused once may be
// acceptable later, when a later row has brought the money; posted again, it
// would make another ledger than the one that an undisturbed run makes. Rows up
// to that last one are therefore rehearsed and not posted: ?dry_run=true answers
// a row that is there with its entry, and says of another one what is wrong
// with it.
//
//	row   1 ─────────────── mark ── mark ──────── last in the ledger ──── end
//	      └─ rehearsed: replayed, or refused then ─────────────────┘ └ posted ┘
//
// The last one is found by asking for the id of every surveyStride-th transfer,
// from the end of the file; from the first of them that is there, the transfers
// that follow are rehearsed, surveyStride at a time, until none of them is there.
// Refused rows behind it leave no trace in the ledger and are decided again: of
// two mistakes, posting late what was refused, and taking for refused what was
// never posted, only the first one loses nothing.

// surveyStride is how many transfers lie between two marks.
const surveyStride = 500

// surveyed is what reading a file once has shown.
type surveyed struct {
	rows, skipped, transfers int64
	marks                    []mark
	absent                   []string // members that no row has
}

// mark names a transfer of a file.
type mark struct {
	ordinal int64
	row     int64
	part    string
}

// survey reads a file whole, or up to where it is broken.
func survey(in *importInput) (s surveyed, err error) {
	f, rows, err := openInput(in)
	if err != nil {
		return s, err
	}
	defer f.Close() // only read
	columns := in.spec.Columns()
	seen := map[string]bool{}
	var last mark
	for {
		row, err := rows.Read()
		if err == io.EOF {
			break
		}
		if err != nil {
			return s.end(last), err
		}
		made, err := in.spec.Make(row)
		if err != nil {
			return s.end(last), &tabular.LineError{Line: row.Line, Err: err}
		}
		s.rows++
		if len(made.Accounts)+len(made.Transfers) == 0 {
			s.skipped++
		}
		for _, t := range made.Transfers {
			last = mark{s.transfers, row.Number, t.Part}
			if s.transfers++; s.transfers%surveyStride == 0 {
				s.marks = append(s.marks, last)
			}
		}
		if len(seen) < len(columns) {
			for _, c := range columns {
				if _, ok := row.Value(c); ok {
					seen[c] = true
				}
			}
		}
	}
	for _, c := range columns {
		if !seen[c] && s.rows > 0 {
			s.absent = append(s.absent, c)
		}
	}
	return s.end(last), nil
}

// end marks the last transfer.
func (s surveyed) end(last mark) surveyed {
	if s.transfers%surveyStride != 0 {
		s.marks = append(s.marks, last)
	}
	return s
}

// frontier returns how many of the file's transfers have been decided: all up to
// the last one that is in the ledger.
func (p *importPoster) frontier(ctx context.Context, in *importInput, marks []mark) (int64, error) {
	if p.fresh || p.command.RetryRefused {
		return 0, nil
	}
	decided, err := p.lastMark(ctx, in, marks)
	if err != nil {
		return 0, err
	}
	f, rows, err := openInput(in)
	if err != nil {
		return 0, err
	}
	defer f.Close() // only read
	reader := &chunkReader{in: in, rows: rows, ledger: p.ledger, batch: surveyStride, opened: map[string]bool{}}
	var window []importItem
	for {
		chunk, readErr := reader.read()
		if chunk != nil {
			beyond := min(max(decided-chunk.first, 0), int64(len(chunk.transfers)))
			window = append(window, chunk.transfers[beyond:]...)
		}
		for len(window) >= surveyStride || readErr != nil && len(window) > 0 {
			part := window[:min(len(window), surveyStride)]
			there, err := p.lastReplayed(ctx, part)
			if err != nil || there == 0 {
				return decided, err
			}
			decided += int64(there)
			window = window[there:]
		}
		if readErr != nil {
			return decided, nil // what is wrong with the file is met again in its place
		}
	}
}

// lastReplayed returns how many of the items come up to the last one that is in
// the ledger.
func (p *importPoster) lastReplayed(ctx context.Context, items []importItem) (int, error) {
	results, err := p.send(ctx, "transfers", true, items)
	if err != nil {
		return 0, err
	}
	for i := len(results); i > 0; i-- {
		if results[i-1].Replayed {
			return i, nil
		}
	}
	return 0, nil
}

// lastMark returns the ordinal behind the last mark that is in the ledger.
func (p *importPoster) lastMark(ctx context.Context, in *importInput, marks []mark) (int64, error) {
	for i := len(marks) - 1; i >= 0; i-- {
		m := &marks[i]
		id := importID(p.ledger, in.source, m.row, m.part)
		var there bool
		err := p.patiently(ctx, func() (retry bool, err error) {
			_, err = p.server.TransferEntries(ctx, p.command.Ledger, id.String())
			there = err == nil
			if client.HasCode(err, "transfer_not_found") {
				return false, nil
			}
			return err != nil && !isDefinite(err), err
		})
		if err != nil {
			return 0, fmt.Errorf("looking for row %d in the ledger: %w", m.row, err)
		}
		if there {
			return m.ordinal + 1, nil
		}
	}
	return 0, nil
}

// isDefinite reports whether an error is an answer that repeating the request
// would not change.
func isDefinite(err error) bool {
	var p *client.Problem
	return errors.As(err, &p) && !passing(p.Status)
}

// passing reports whether a status says to try again later.
func passing(status int) bool {
	switch status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// postTransfers decides the transfers of a chunk: rehearses those that an
// earlier run has decided, and posts the others.
func (p *importPoster) postTransfers(ctx context.Context, chunk *importChunk) error {
	items := chunk.transfers
	decided := min(max(p.decided-chunk.first, 0), int64(len(items)))
	for _, part := range []struct {
		items     []importItem
		rehearsal bool
	}{{items[:decided], true}, {items[decided:], false}} {
		if len(part.items) == 0 {
			continue
		}
		results, err := p.send(ctx, "transfers", part.rehearsal, part.items)
		if err != nil {
			return err
		}
		if part.rehearsal {
			sayNotPosted(results)
		}
		if err := p.report.count(p.file, part.items, results); err != nil {
			return err
		}
	}
	return nil
}

// sayNotPosted makes refusals of what a rehearsal would accept.
func sayNotPosted(results []importResult) {
	for i := range results {
		if r := &results[i]; !r.Replayed && r.Status < 300 {
			r.Status = http.StatusUnprocessableEntity
			r.Problem = &client.Problem{Status: r.Status, Code: "not_posted", Detail: "later rows of the file are in the ledger and this one is not: " +
				"it was refused then, and would be accepted now; --retry-refused posts it"}
		}
	}
}
