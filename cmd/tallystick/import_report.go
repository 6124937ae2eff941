package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"text/tabwriter"
	"time"

	"github.com/schollz/progressbar/v3"

	"tallystick/api/client"
	"tallystick/cmd/tallystick/internal/tabular"
)

// maxListed is how many refused rows are printed; the file of rejects has all.
const maxListed = 20

// importReport is what import prints: one object with --json.
type importReport struct {
	Ledger   string          `json:"ledger"`
	LedgerID string          `json:"ledger_id,omitempty"`
	DryRun   bool            `json:"dry_run"`
	Files    []*importedFile `json:"files"`

	AccountsOpened  int64 `json:"accounts_opened"`
	AccountsThere   int64 `json:"accounts_there"` // open already, on the same terms
	Accepted        int64 `json:"accepted"`       // transfers
	Replayed        int64 `json:"replayed"`       // in the ledger already
	Refused         int64 `json:"refused"`        // transfers and accounts
	toPost          int64
	Took            client.Millis `json:"took_ms"`
	TransfersPerSec int64         `json:"transfers_per_second"` // accepted, replayed and refused ones
	Size            int64         `json:"size"`
	Head            string        `json:"head,omitempty"`
	Failure         string        `json:"failure,omitempty"`

	limit    int // of rows listed
	stderr   *os.File
	progress func(n int)
}

// importedFile is one file's part of the report.
type importedFile struct {
	File     string `json:"file"`
	Source   string `json:"source"`
	Rows     int64  `json:"rows"` // decided; with --dry-run, read
	Skipped  int64  `json:"skipped"`
	Accepted int64  `json:"accepted"`
	Replayed int64  `json:"replayed"`
	Refused  int64  `json:"refused"`
	Rejects  string `json:"rejects,omitempty"`

	toPost    int64
	lastRow   int64
	conflicts int64
	rejects   *tabular.Rejects
}

func (r *importReport) begin(in *importInput) *importedFile {
	f := &importedFile{File: in.path, Source: in.source}
	r.Files = append(r.Files, f)
	return f
}

// openRejects creates the file of rejects anew: a run lists all rows that are
// refused, those of an earlier run included.
func (f *importedFile) openRejects(path string, rows *tabular.Reader) (done func() error, err error) {
	if path == "" {
		return func() error { return nil }, nil
	}
	out, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("creating the file of rejects: %w", err)
	}
	if f.rejects, err = tabular.NewRejects(out, rows); err != nil {
		return nil, errors.Join(err, out.Close())
	}
	f.Rejects = path
	return func() error {
		if err := errors.Join(out.Sync(), out.Close()); err != nil {
			return fmt.Errorf("writing the file of rejects: %w", err)
		}
		return nil
	}, nil
}

// warn prints what a person should look at.
func (r *importReport) warn(format string, args ...any) {
	fmt.Fprintf(r.stderr, "warning: "+format+"\n", args...)
}

// decidedTo notes that all of a chunk has been decided.
func (f *importedFile) decidedTo(c *importChunk) {
	f.Rows += c.rows
	f.Skipped += c.skipped
	f.lastRow = c.lastRow
}

// before says what was decided before the file's import ended early.
func (f *importedFile) before() string {
	if f == nil || f.lastRow == 0 {
		return "before that, no row of this file was decided"
	}
	return fmt.Sprintf("before that, rows 1 to %d were decided: %d transfers accepted, %d in the ledger already, %d rows refused, %d skipped",
		f.lastRow, f.Accepted, f.Replayed, f.Refused, f.Skipped)
}

// count counts how transfers ended and lists those refused.
func (r *importReport) count(f *importedFile, items []importItem, results []importResult) error {
	for i := range items {
		one := &results[i]
		switch {
		case one.Replayed:
			f.Replayed++
		case one.Status == http.StatusCreated:
			f.Accepted++
		default:
			if err := r.refuse(f, &items[i], one); err != nil {
				return err
			}
		}
	}
	if r.progress != nil {
		r.progress(len(items))
	}
	return nil
}

func (r *importReport) countAccount(status int) {
	if status == http.StatusCreated {
		r.AccountsOpened++
	} else {
		r.AccountsThere++
	}
}

func (r *importReport) countAccounts(f *importedFile, items []importItem, results []importResult) error {
	for i := range items {
		if results[i].Status < 300 {
			r.countAccount(results[i].Status)
			continue
		}
		if err := r.refuse(f, &items[i], &results[i]); err != nil {
			return err
		}
	}
	return nil
}

// refuse lists a row that was refused.
func (r *importReport) refuse(f *importedFile, item *importItem, one *importResult) error {
	f.Refused++
	problem := one.Problem
	if problem == nil {
		problem = &client.Problem{Status: one.Status, Detail: http.StatusText(one.Status)}
	}
	if problem.Code == "idempotency_conflict" {
		f.conflicts++
	}
	listed := int64(0)
	for _, each := range r.Files {
		listed += each.Refused
	}
	switch {
	case listed <= int64(r.limit):
		fmt.Fprintf(r.stderr, "refused: %s line %d: %s: %s\n", f.File, item.row.Line, problem.Code, problem.Detail)
	case listed == int64(r.limit)+1:
		fmt.Fprintln(r.stderr, "refused: and more; --rejects FILE has them all")
	}
	if f.rejects == nil {
		return nil
	}
	return f.rejects.Add(item.row, problem.Code, problem.Detail)
}

// showProgress draws a bar over a number of transfers, if somebody is watching.
func (r *importReport) showProgress(name string, total int64) (finish func()) {
	if !isTerminal(r.stderr) {
		return func() {}
	}
	bar := progressbar.NewOptions64(total, progressbar.OptionSetWriter(r.stderr), progressbar.OptionThrottle(progressEvery),
		progressbar.OptionSetDescription("importing "+name), progressbar.OptionShowCount(), progressbar.OptionShowIts(),
		progressbar.OptionSetItsString("transfers"), progressbar.OptionClearOnFinish())
	r.progress = func(n int) { _ = bar.Add(n) }
	return func() {
		r.progress = nil
		_ = bar.Finish()
	}
}

// finish sums up.
func (r *importReport) finish(took time.Duration, err error) {
	for _, f := range r.Files {
		r.Accepted += f.Accepted
		r.Replayed += f.Replayed
		r.Refused += f.Refused
		r.toPost += f.toPost
		if f.conflicts > 0 {
			fmt.Fprintf(r.stderr, "hint: the ledger holds %d other rows under the source name %q: if this is another file of the same name, import it under another --source\n",
				f.conflicts, f.Source)
		}
	}
	r.Took = client.Millis(took)
	if took > 0 {
		r.TransfersPerSec = (r.Accepted + r.Replayed + r.Refused) * int64(time.Second) / int64(took)
	}
	if err != nil {
		r.Failure = err.Error()
	}
}

// print prints the report: one JSON object, or lines for people.
func (r *importReport) print(w io.Writer, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(w).Encode(r)
	}
	if r.Failure != "" {
		return nil // it says all there is
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, f := range r.Files {
		if r.DryRun {
			fmt.Fprintf(t, "%s\t%d rows, %d skipped, %d transfers: nothing wrong, nothing posted\n", f.File, f.Rows, f.Skipped, f.toPost)
			continue
		}
		fmt.Fprintf(t, "%s\t%d rows, %d skipped: %d transfers accepted, %d in the ledger already, %d rows refused\n",
			f.File, f.Rows, f.Skipped, f.Accepted, f.Replayed, f.Refused)
		if f.Refused > 0 && f.Rejects != "" {
			fmt.Fprintf(t, "\trefused rows are in %s\n", f.Rejects)
		}
	}
	if !r.DryRun {
		fmt.Fprintf(t, "accounts\t%d opened, %d there already\n", r.AccountsOpened, r.AccountsThere)
		fmt.Fprintf(t, "ledger %s\t%d entries, head %s\n", r.Ledger, r.Size, r.Head)
		fmt.Fprintf(t, "time\t%s ms, %d transfers/s\n", r.Took, r.TransfersPerSec)
	}
	return t.Flush()
}
