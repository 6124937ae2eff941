package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"tallystick/cmd/tallystick/internal/mapping"
	"tallystick/cmd/tallystick/internal/tabular"
	"tallystick/ledger"
)

const (
	// maxChunkBytes bounds the body of a request, below the API's 1 MiB.
	maxChunkBytes = 900 << 10
	// chunksAhead is how many chunks are read ahead of the one in flight.
	chunksAhead = 2
	// importOperation is the operation in the ids of imported transfers.
	importOperation = "import"
)

// importItem is one account or transfer on its way.
type importItem struct {
	row  *tabular.Row // a copy, shared by the items of a row
	body []byte
	part string
	id   ledger.RequestID // of transfers
}

// importChunk is what goes out together: first the accounts, then the transfers.
type importChunk struct {
	accounts, transfers []importItem
	accountBytes, bytes int
	first               int64 // ordinal of its first transfer in the file
	rows, skipped       int64 // read for it
	lastRow             int64
}

// chunkReader cuts a file into chunks.
type chunkReader struct {
	in     *importInput
	rows   *tabular.Reader
	ledger ledger.LedgerID
	batch  int
	next   int64           // ordinal of the next transfer
	held   *importChunk    // what was begun
	opened map[string]bool // bodies of accounts sent before
}

// maxRemembered bounds how many accounts are remembered as opened; beyond it
// they are sent again, which changes nothing.
const maxRemembered = 1 << 16

func openInput(in *importInput) (*os.File, *tabular.Reader, error) {
	f, err := os.Open(in.path)
	if err != nil {
		return nil, nil, err
	}
	rows, err := tabular.NewReader(f, in.spec.Options())
	if err == nil {
		err = rows.Columns(in.spec.Columns())
	}
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return f, rows, nil
}

// read returns the next chunk. With an error, io.EOF included, it returns what
// was complete before.
func (r *chunkReader) read() (*importChunk, error) {
	if r.held == nil {
		r.held = &importChunk{first: r.next}
	}
	for {
		row, err := r.rows.Read()
		if err != nil {
			return r.flush(), err
		}
		made, err := r.in.spec.Make(row)
		if err != nil {
			return r.flush(), &tabular.LineError{Line: row.Line, Err: err}
		}
		accounts, transfers, err := r.encode(row, made)
		if err != nil {
			return r.flush(), &tabular.LineError{Line: row.Line, Err: err}
		}
		full := r.held
		if !r.fits(accounts, transfers) {
			r.flush()
			r.held = &importChunk{first: r.next}
		}
		r.held.add(row, made, accounts, transfers)
		r.next += int64(len(transfers))
		if r.held != full {
			return full, nil
		}
	}
}

// chunkRead is what read returned.
type chunkRead struct {
	chunk *importChunk
	err   error
}

// ahead reads chunks while others are on their way, until an error, io.EOF
// included, or until ctx ends.
func (r *chunkReader) ahead(ctx context.Context) <-chan chunkRead {
	chunks := make(chan chunkRead, chunksAhead)
	go func() {
		defer close(chunks)
		for {
			chunk, err := r.read()
			select {
			case chunks <- chunkRead{chunk, err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	return chunks
}

func (r *chunkReader) flush() *importChunk {
	c := r.held
	r.held = nil
	return c
}

func (c *importChunk) add(row *tabular.Row, made mapping.Made, accounts, transfers []importItem) {
	c.rows++
	if len(made.Accounts)+len(made.Transfers) == 0 {
		c.skipped++
	}
	c.accounts = append(c.accounts, accounts...)
	c.transfers = append(c.transfers, transfers...)
	c.accountBytes += size(accounts)
	c.bytes += size(transfers)
	c.lastRow = row.Number
}

func size(items []importItem) int {
	n := 0
	for i := range items {
		n += len(items[i].body) + 1
	}
	return n
}

// fits reports whether a row's items go into the chunk that was begun.
func (r *chunkReader) fits(accounts, transfers []importItem) bool {
	c := r.held
	return c.rows == 0 || c.rows < maxChunkRows &&
		len(c.transfers)+len(transfers) <= r.batch && c.bytes+size(transfers) <= maxChunkBytes &&
		len(c.accounts)+len(accounts) <= maxImportBatch && c.accountBytes+size(accounts) <= maxChunkBytes
}

// maxChunkRows bounds a chunk of rows that are skipped or name accounts already
// opened, for the progress to be seen.
const maxChunkRows = 100_000

// encode makes the items of a row.
func (r *chunkReader) encode(row *tabular.Row, made mapping.Made) (accounts, transfers []importItem, err error) {
	if len(made.Accounts)+len(made.Transfers) == 0 {
		return nil, nil, nil
	}
	if len(made.Accounts) > maxImportBatch || len(made.Transfers) > maxImportBatch {
		return nil, nil, fmt.Errorf("a row becomes at most %d accounts and as many transfers", maxImportBatch)
	}
	kept := row.Clone()
	for i := range made.Accounts {
		body, err := json.Marshal(&made.Accounts[i])
		if err != nil {
			return nil, nil, err
		}
		if r.opened[string(body)] {
			continue
		}
		if len(r.opened) >= maxRemembered {
			clear(r.opened)
		}
		r.opened[string(body)] = true
		accounts = append(accounts, importItem{row: &kept, body: body, part: "account." + strconv.Itoa(i)})
	}
	for i := range made.Transfers {
		t := &made.Transfers[i]
		id := importID(r.ledger, r.in.source, row.Number, t.Part)
		t.ID = id.String()
		body, err := json.Marshal(t)
		if err != nil {
			return nil, nil, err
		}
		transfers = append(transfers, importItem{row: &kept, body: body, part: t.Part, id: id})
	}
	if size(accounts) > maxChunkBytes || size(transfers) > maxChunkBytes {
		return nil, nil, fmt.Errorf("the row becomes more than the %d bytes that a request may have", maxChunkBytes)
	}
	return accounts, transfers, nil
}

// importID is the identity of one transfer of one row.
func importID(id ledger.LedgerID, source string, row int64, part string) ledger.RequestID {
	return ledger.DeriveRequestID(id, importOperation, source+"\x00"+strconv.FormatInt(row, 10)+"\x00"+part)
}

// batchBody joins items into the body of a batch.
func batchBody(list string, items []importItem) []byte {
	var b bytes.Buffer
	b.Grow(size(items) + len(list) + 8)
	b.WriteString(`{"` + list + `":[`)
	for i := range items {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(items[i].body)
	}
	b.WriteString("]}")
	return b.Bytes()
}

// importFile imports one file.
func (p *importPoster) importFile(ctx context.Context, in *importInput) (err error) {
	p.file = p.report.begin(in)
	f, rows, err := openInput(in)
	if err != nil {
		return err
	}
	defer f.Close() // only read
	done, err := p.file.openRejects(in.rejects, rows)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	s, _ := survey(in) // what is wrong with the file is met again in its place
	for _, name := range s.absent {
		p.report.warn("no row of %s has a member %q, which the mapping reads", in.path, name)
	}
	if p.decided, err = p.frontier(ctx, in, s.marks); err != nil {
		return err
	}
	finish := p.report.showProgress(in.base, s.transfers)
	defer finish()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	reader := &chunkReader{in: in, rows: rows, ledger: p.ledger, batch: p.command.Batch, opened: map[string]bool{}}
	for r := range reader.ahead(ctx) {
		if r.chunk != nil && r.chunk.rows > 0 {
			if err := p.postChunk(ctx, r.chunk); err != nil {
				return err
			}
		}
		if r.err != nil && r.err != io.EOF {
			return r.err
		}
	}
	return ctx.Err()
}
