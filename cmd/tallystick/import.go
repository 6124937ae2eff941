package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"tallystick/api/client"
	"tallystick/cmd/tallystick/internal/mapping"
)

// Bounds of the flags of import.
const (
	maxImportBatch = 1000 // the API's
	maxRetryFor    = 24 * time.Hour
	maxSourceName  = 255
)

// Remote is a server that a command speaks to.
type Remote struct {
	URL        string `default:"http://127.0.0.1:8080" env:"TALLYSTICK_URL" help:"Server to speak to."`
	APIKeyFile string `name:"api-key-file" type:"path" placeholder:"FILE" help:"File that holds the API key; without it, TALLYSTICK_API_KEY does."`
}

// key returns the API key. There is no flag for the key itself: an argument
// would show in the list of processes.
func (r *Remote) key() (string, error) {
	if r.APIKeyFile == "" {
		if key := os.Getenv("TALLYSTICK_API_KEY"); key != "" {
			return key, nil
		}
		return "", errors.New("looking for the API key: TALLYSTICK_API_KEY is not set\nhint: export TALLYSTICK_API_KEY=$(cat data/admin.key), or --api-key-file data/admin.key")
	}
	text, err := os.ReadFile(r.APIKeyFile)
	if err != nil {
		return "", fmt.Errorf("reading the API key: %w", err)
	}
	key := strings.TrimSpace(string(text))
	if key == "" {
		return "", fmt.Errorf("reading the API key: %s is empty", r.APIKeyFile)
	}
	return key, nil
}

// importCommand posts the rows of files through the API: tallystick import.
//
// A row's transfers have ids derived from ledger, source name, row number and
// part, and never from what the row says. One batch is in flight at a time, so
// rows are decided in the order of their file, while the next ones are read and
// encoded; two or four at once posted no faster on two busy cores, and would give
// that order up. Run again after whatever happened, import finds how far it was
// and goes on from there (see import_resume.go). There is no state on this side
// that could be wrong.
type importCommand struct {
	Remote       `embed:""`
	Ledger       string        `required:"" placeholder:"NAME" help:"Ledger to post to."`
	Mapping      string        `required:"" type:"path" placeholder:"FILE" help:"YAML file that says what rows become; see the README."`
	Rejects      string        `type:"path" placeholder:"FILE" help:"Where rows go that the ledger refuses, with line, code and detail; with several input files, each gets its own, FILE with the input's name in it."`
	Source       string        `placeholder:"NAME" help:"Source name, part of every row's identity; the file's name by default. With several input files, NAME/file."`
	Batch        int           `default:"500" placeholder:"N" help:"Transfers a request."`
	RetryFor     time.Duration `default:"1m" help:"How long a request is repeated while the server is away or overloaded."`
	RetryRefused bool          `help:"Post again what an earlier run was refused. Without it, rows before the last one that is in the ledger are not posted."`
	DryRun       bool          `help:"Read mapping and files whole, say what is wrong with them, and post nothing."`
	JSON         bool          `name:"json" help:"Print one JSON object."`
	Files        []string      `arg:"" type:"path" help:"CSV or JSONL files, imported in this order."`
}

// Run imports. It exits with 0 when every row has been decided, refused ones
// included, and 3 when a file is broken or the server cannot be reached.
func (c *importCommand) Run(ctx context.Context) error {
	var key string
	if !c.DryRun {
		var err error
		if key, err = c.key(); err != nil {
			return err
		}
	}
	return c.run(ctx, key, os.Stdout, os.Stderr)
}

func (c *importCommand) run(ctx context.Context, key string, stdout io.Writer, stderr *os.File) error {
	m, inputs, err := c.plan()
	if err != nil {
		return err
	}
	report := &importReport{Ledger: c.Ledger, DryRun: c.DryRun, limit: maxListed, stderr: stderr}
	start := time.Now()
	if c.DryRun {
		err = c.rehearse(inputs, report)
	} else {
		err = c.post(ctx, key, m, inputs, report)
	}
	report.finish(time.Since(start), err)
	if printed := report.print(stdout, c.JSON); printed != nil {
		err = errors.Join(err, fmt.Errorf("printing the report: %w", printed))
	}
	return err
}

// importInput is one file to import.
type importInput struct {
	path, base string
	source     string
	rejects    string // path, or empty
	spec       *mapping.File
}

// plan reads the mapping and finds what describes each file.
func (c *importCommand) plan() (*mapping.Mapping, []importInput, error) {
	if c.Batch < 1 || c.Batch > maxImportBatch {
		return nil, nil, fmt.Errorf("checking --batch %d: want 1 to %d", c.Batch, maxImportBatch)
	}
	if c.RetryFor < 0 || c.RetryFor > maxRetryFor {
		return nil, nil, fmt.Errorf("checking --retry-for %s: want 0s to %s", c.RetryFor, maxRetryFor)
	}
	m, err := readMapping(c.Mapping)
	if err != nil {
		return nil, nil, err
	}
	var inputs []importInput
	for _, path := range c.Files {
		in := importInput{path: path, base: filepath.Base(path)}
		if in.spec, err = m.For(in.base); err != nil {
			return nil, nil, fmt.Errorf("planning the import of %s: %w", path, err)
		}
		in.source = in.base
		switch {
		case c.Source != "" && len(c.Files) > 1:
			in.source = c.Source + "/" + in.base
		case c.Source != "":
			in.source = c.Source
		}
		if len(in.source) > maxSourceName || strings.ContainsRune(in.source, 0) {
			return nil, nil, fmt.Errorf("planning the import of %s: a source name has at most %d bytes", path, maxSourceName)
		}
		in.rejects = c.rejectsOf(in.base)
		for _, other := range inputs {
			if other.source == in.source {
				return nil, nil, fmt.Errorf("planning the import of %s: %s has the same source name %q, so their rows would be the same\nhint: import them one by one, with a --source each",
					path, other.path, in.source)
			}
		}
		if err := in.check(c.Mapping); err != nil {
			return nil, nil, err
		}
		inputs = append(inputs, in)
	}
	return m, inputs, nil
}

// rejectsOf returns where the rejects of a file go.
func (c *importCommand) rejectsOf(base string) string {
	if c.Rejects == "" || len(c.Files) == 1 {
		return c.Rejects
	}
	ext := filepath.Ext(c.Rejects)
	return strings.TrimSuffix(c.Rejects, ext) + "." + strings.TrimSuffix(base, filepath.Ext(base)) + ext
}

// check makes sure that the input is a file that can be read twice, and that
// rejects do not overwrite what is read.
func (in *importInput) check(mappingPath string) error {
	info, err := os.Stat(in.path)
	if err != nil {
		return fmt.Errorf("planning the import: %w", err)
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("planning the import of %s: it is no regular file, and a file is read twice: for how far it was imported, and for its rows", in.path)
	}
	if in.rejects == "" {
		return nil
	}
	rejects, err := os.Stat(in.rejects)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("planning the rejects: %w", err)
	}
	used, err := os.Stat(mappingPath)
	if err != nil {
		return fmt.Errorf("planning the import: %w", err)
	}
	if os.SameFile(info, rejects) || os.SameFile(used, rejects) {
		return fmt.Errorf("planning the rejects: %s is what is to be read", in.rejects)
	}
	return nil
}

func readMapping(path string) (*mapping.Mapping, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("reading the mapping: %w", err)
	}
	if info.Size() > mapping.MaxSize {
		return nil, fmt.Errorf("reading the mapping %s: it has %d bytes, %d are allowed", path, info.Size(), mapping.MaxSize)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the mapping: %w", err)
	}
	m, err := mapping.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("reading the mapping %s: %w", path, err)
	}
	return m, nil
}

// rehearse reads everything and posts nothing.
func (c *importCommand) rehearse(inputs []importInput, report *importReport) error {
	for i := range inputs {
		s, err := survey(&inputs[i])
		f := report.begin(&inputs[i])
		f.Rows, f.Skipped, f.toPost = s.rows, s.skipped, s.transfers
		if err != nil {
			return fmt.Errorf("reading %s: %w", inputs[i].path, err)
		}
	}
	return nil
}

// post imports all files.
func (c *importCommand) post(ctx context.Context, key string, m *mapping.Mapping, inputs []importInput, report *importReport) error {
	server, err := client.New(c.URL, key)
	if err != nil {
		return err
	}
	p := &importPoster{command: c, server: server, conn: server.Conn(importTimeout), report: report}
	defer p.conn.Close()
	if err := p.openLedger(ctx, m.Ledger); err != nil {
		return err
	}
	constants, err := m.Constants()
	if err != nil {
		return fmt.Errorf("reading the mapping %s: %w", c.Mapping, err)
	}
	if err := p.openConstants(ctx, constants); err != nil {
		return err
	}
	for i := range inputs {
		if err := p.importFile(ctx, &inputs[i]); err != nil {
			return p.explain(ctx, &inputs[i], err)
		}
	}
	l, err := server.Ledger(ctx, c.Ledger)
	if err != nil {
		return fmt.Errorf("reading the size of ledger %s: %w", c.Ledger, err)
	}
	report.Size, report.Head = l.Size, l.Head
	return nil
}
