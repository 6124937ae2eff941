package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/schollz/progressbar/v3"

	"tallystick/api/client"
	"tallystick/cmd/tallystick/internal/entryfile"
)

const (
	// exportBuffer is how much is written at once.
	exportBuffer = 1 << 20
	// pagesAhead is how many pages are fetched ahead of the one being written.
	pagesAhead = 2
	// latestSize asks for all that the ledger has.
	latestSize = "latest"
)

// exportCommand writes the entries of a ledger to a file: tallystick export. The
// file is that of the ledger at one size, taken at the beginning; what is posted
// meanwhile is not in it.
type exportCommand struct {
	Remote   `embed:""`
	Ledger   string        `required:"" placeholder:"NAME" help:"Ledger to export."`
	Format   string        `required:"" enum:"csv,jsonl,hledger" placeholder:"FORMAT" help:"csv (a line for each posting), jsonl (entries as the API gives them), or hledger (a journal)."`
	Size     string        `default:"latest" placeholder:"N" help:"How many entries, from the first on; latest for all there are."`
	Output   string        `type:"path" placeholder:"FILE" help:"Where to write; standard output by default."`
	RetryFor time.Duration `default:"1m" help:"How long a request is repeated while the server is away or overloaded."`
	Resume   bool          `help:"Go on where an interrupted export to the same file was."`
}

// Run exports.
func (c *exportCommand) Run(ctx context.Context) error {
	key, err := c.key()
	if err != nil {
		return err
	}
	return c.run(ctx, key, os.Stdout, os.Stderr)
}

func (c *exportCommand) run(ctx context.Context, key string, stdout io.Writer, stderr *os.File) error {
	if c.RetryFor < 0 || c.RetryFor > maxRetryFor {
		return fmt.Errorf("checking --retry-for %s: want 0s to %s", c.RetryFor, maxRetryFor)
	}
	if c.Resume && c.Output == "" {
		return errors.New("checking --resume: it needs --output, the file to go on with")
	}
	server, err := client.New(c.URL, key)
	if err != nil {
		return err
	}
	l, err := server.Ledger(ctx, c.Ledger)
	if err != nil {
		return fmt.Errorf("finding ledger %s: %w", c.Ledger, err)
	}
	x := &exporting{command: c, server: server, ledger: l, stderr: stderr}
	if x.size, err = c.size(l.Size); err != nil {
		return err
	}
	out := stdout
	if c.Output != "" {
		f, err := x.openOutput(ctx)
		if err != nil {
			return fmt.Errorf("opening %s: %w", c.Output, err)
		}
		defer f.Close() // a second time when all went well
		out = f
	}
	start := time.Now()
	if err := x.write(ctx, out); err != nil {
		if c.Output != "" && !errors.Is(err, entryfile.ErrRetyped) {
			err = fmt.Errorf("%w\nhint: the same command with --resume goes on from there", err)
		}
		return fmt.Errorf("exporting ledger %s: %w", c.Ledger, err)
	}
	if f, ok := out.(*os.File); ok && c.Output != "" {
		if err := errors.Join(f.Sync(), f.Close()); err != nil {
			return fmt.Errorf("writing %s: %w", c.Output, err)
		}
	}
	took := time.Since(start)
	fmt.Fprintf(stderr, "exported ledger %s at size %d: %d entries in %s ms\n", c.Ledger, x.size, x.size-x.at.Next, client.Millis(took))
	return nil
}

// size returns how many entries to export of a ledger that has so many.
func (c *exportCommand) size(has int64) (int64, error) {
	if c.Size == latestSize {
		return has, nil
	}
	n, err := strconv.ParseInt(c.Size, 10, 64)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("checking --size %q: want a number of entries, or %s", c.Size, latestSize)
	}
	if n > has {
		return 0, fmt.Errorf("checking --size %d: ledger %s has %d entries", n, c.Ledger, has)
	}
	return n, nil
}

// exporting is one export under way.
type exporting struct {
	command *exportCommand
	server  *client.Client
	ledger  client.Ledger
	size    int64
	at      entryfile.Position // where it begins
	stderr  *os.File
}

func (x *exporting) format() entryfile.Format { return entryfile.Format(x.command.Format) }

func (x *exporting) about() entryfile.Ledger {
	return entryfile.Ledger{Name: x.ledger.Name, ID: x.ledger.ID, Origin: x.ledger.Origin}
}

// openOutput creates the file, or cuts an interrupted one behind its last
// complete entry.
func (x *exporting) openOutput(ctx context.Context) (_ *os.File, err error) {
	f, err := os.OpenFile(x.command.Output, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close())
		}
	}()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		if x.command.Resume {
			return nil, errors.New("it is no regular file, and --resume needs one")
		}
		return f, nil
	}
	if info.Size() == 0 {
		return f, nil
	}
	if !x.command.Resume {
		return nil, errors.New("it is there already, and not empty\nhint: --resume goes on with an interrupted export; otherwise remove it first")
	}
	if x.at, err = entryfile.Resume(f, x.format(), x.about()); err != nil {
		return nil, err
	}
	if err := x.compare(ctx); err != nil {
		return nil, err
	}
	if err := f.Truncate(x.at.Offset); err != nil {
		return nil, err
	}
	_, err = f.Seek(x.at.Offset, io.SeekStart)
	return f, err
}

// compare makes sure that what the file has is what the ledger has.
func (x *exporting) compare(ctx context.Context) error {
	if x.at.Next > x.size {
		return fmt.Errorf("it goes to entry %d, beyond the size of %d that was asked for", x.at.Next-1, x.size)
	}
	for _, known := range []struct {
		seq  int64
		hash string
	}{{0, x.at.First}, {x.at.Next - 1, x.at.Hash}} {
		if x.at.Next == 0 {
			return nil
		}
		page, err := x.page(ctx, known.seq, 1)
		if err != nil {
			return fmt.Errorf("reading entry %d: %w", known.seq, err)
		}
		var e struct {
			Seq  int64  `json:"seq"`
			Hash string `json:"hash"`
		}
		if len(page) == 0 {
			return fmt.Errorf("reading entry %d: the server has none", known.seq)
		}
		if err := json.Unmarshal(page[0], &e); err != nil {
			return fmt.Errorf("reading entry %d: %w", known.seq, err)
		}
		if e.Seq != known.seq || e.Hash != known.hash {
			return fmt.Errorf("entry %d of the file has hash %s, and that of the ledger %s: %w", known.seq, known.hash, e.Hash, entryfile.ErrForeign)
		}
	}
	return nil
}

// write writes the entries that are due.
func (x *exporting) write(ctx context.Context, out io.Writer) error {
	accounts, err := x.accounts(ctx)
	if err != nil {
		return fmt.Errorf("reading the accounts: %w", err)
	}
	buffered := bufio.NewWriterSize(out, exportBuffer)
	w, err := entryfile.NewWriter(buffered, x.format(), x.about(), x.at, accounts)
	if err != nil {
		return err
	}
	progress, finish := x.progress()
	defer finish()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	next := x.at.Next
	for page := range x.pages(ctx) {
		if page.err == nil {
			for _, raw := range page.entries {
				if page.err = w.Write(raw); page.err != nil {
					break
				}
			}
		}
		if page.err != nil {
			// What is complete is worth keeping for --resume.
			return errors.Join(page.err, buffered.Flush())
		}
		next += int64(len(page.entries))
		progress(len(page.entries))
	}
	if err := errors.Join(ctx.Err(), buffered.Flush()); err != nil {
		return err
	}
	if next != x.size {
		return fmt.Errorf("writing %d entries: the server sent %d", x.size, next)
	}
	return nil
}

// accounts reads the types of all accounts, if the format has them and something is
// left to write.
func (x *exporting) accounts(ctx context.Context) (types entryfile.Types, err error) {
	if x.format() != entryfile.Hledger || x.at.Next >= x.size {
		return types, nil
	}
	for cursor := ""; ; {
		var page []client.Account
		var next string
		err := patiently(ctx, x.command.RetryFor, x.stderr, func() (retry bool, err error) {
			page, next, err = x.server.AccountsPage(ctx, x.command.Ledger, cursor)
			return err != nil && !isDefinite(err), err
		})
		if err != nil {
			return types, err
		}
		for i := range page {
			types.Add(page[i].Code, page[i].Type)
		}
		if next == "" {
			return types, nil
		}
		cursor = next
	}
}

type exportPage struct {
	entries []json.RawMessage
	err     error
}

// page fetches entries, for as long as the server may be away.
func (x *exporting) page(ctx context.Context, from int64, limit int) (entries []json.RawMessage, err error) {
	err = patiently(ctx, x.command.RetryFor, x.stderr, func() (retry bool, err error) {
		entries, err = x.server.RawEntries(ctx, x.command.Ledger, from, limit)
		return err != nil && !isDefinite(err), err
	})
	return entries, err
}

// pages fetches the entries that are due, ahead of their reader.
func (x *exporting) pages(ctx context.Context) <-chan exportPage {
	pages := make(chan exportPage, pagesAhead)
	go func() {
		defer close(pages)
		for next := x.at.Next; next < x.size; {
			entries, err := x.page(ctx, next, client.MaxPage)
			if err == nil && len(entries) == 0 {
				err = fmt.Errorf("reading entries from %d: the server has no more, and said that it has %d", next, x.ledger.Size)
			}
			entries = entries[:min(int64(len(entries)), x.size-next)]
			select {
			case pages <- exportPage{entries, err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
			next += int64(len(entries))
		}
	}()
	return pages
}

// progress draws a bar, if somebody is watching.
func (x *exporting) progress() (step func(int), finish func()) {
	if !isTerminal(x.stderr) {
		return func(int) {}, func() {}
	}
	bar := progressbar.NewOptions64(x.size, progressbar.OptionSetWriter(x.stderr), progressbar.OptionThrottle(progressEvery),
		progressbar.OptionSetDescription("exporting"), progressbar.OptionShowCount(), progressbar.OptionShowIts(),
		progressbar.OptionSetItsString("entries"), progressbar.OptionClearOnFinish())
	_ = bar.Set64(x.at.Next)
	return func(n int) { _ = bar.Add(n) }, func() { _ = bar.Finish() }
}
