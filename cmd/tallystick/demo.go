package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/schollz/progressbar/v3"

	"tallystick/cmd/tallystick/internal/demo"
	"tallystick/ledger"
	"tallystick/ledger/chain"
	"tallystick/ledger/store"
)

const (
	// demoTimeZone is where the made-up institution has its business days.
	demoTimeZone = "Europe/Berlin"
	// demoSubmit bounds how many requests are asked for at once.
	demoSubmit = 1000
)

// demoCommand fills a ledger with a made-up history: tallystick demo.
type demoCommand struct {
	Database  `embed:""`
	Ledger    string `default:"demo" help:"Ledger to make; there must be none of this name, or one with nothing in it that was opened a year ago."`
	Host      string `env:"TALLYSTICK_HOST" placeholder:"NAME" help:"Host name in the ledger's origin; this machine's by default."`
	Seed      uint64 `default:"1" help:"The same seed on the same day makes the same history, but for ids of accounts and salts."`
	Customers int    `default:"300" help:"Clients, 20 to 5000; entries grow with them."`
	Files     string `type:"path" placeholder:"DIR" help:"Write policy.yaml, rates.csv and inputs.csv there, for tallystick reconcile and risk."`
	JSON      bool   `name:"json" help:"Print one JSON object."`
}

// demoResult is what came of it.
type demoResult struct {
	Ledger  string `json:"ledger"`
	ID      string `json:"id"`
	Size    int64  `json:"size"`
	Head    string `json:"head"`
	From    string `json:"from"`
	To      string `json:"to"`
	Seconds string `json:"seconds"`

	key   adminKey
	files string
}

// Run makes the ledger and says what to look at.
func (c *demoCommand) Run(ctx context.Context) error {
	if c.Customers < demo.MinCustomers || c.Customers > demo.MaxCustomers {
		return fmt.Errorf("reading --customers %d: want %d to %d", c.Customers, demo.MinCustomers, demo.MaxCustomers)
	}
	_, db, key, stop, err := c.prepare(ctx)
	if err != nil {
		return err
	}
	defer stop()
	result, err := c.make(ctx, db, key, time.Now(), os.Stderr)
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(os.Stdout).Encode(result)
	}
	return result.print(os.Stdout)
}

// make opens the ledger as of a year before now and posts the history.
func (c *demoCommand) make(ctx context.Context, db *store.DB, key adminKey, now time.Time, stderr *os.File) (*demoResult, error) {
	zone, err := time.LoadLocation(demoTimeZone)
	if err != nil {
		return nil, fmt.Errorf("loading the time zone of the demonstration: %w", err)
	}
	resume, err := db.PauseSweeps(ctx) // by the clock of running servers every hold of the past has expired
	if err != nil {
		return nil, err
	}
	defer resume()
	began, start := time.Now(), demo.Start(now, zone)
	info, err := c.open(ctx, db, key.id, start)
	if err != nil {
		return nil, err
	}
	h := &history{db: db, ledger: info.ID}
	options := demo.Options{
		Seed: c.Seed, Customers: c.Customers, Now: now, Zone: zone, Ledger: info.ID, Actor: key.id,
		Salt: randomSalt, AccountID: h.accountID,
	}
	files := demoFiles{dir: c.Files}
	if c.Files != "" {
		options.Rate = files.quote
	}
	if err := h.post(ctx, options, stderr); err != nil {
		return nil, fmt.Errorf("making ledger %s: %w\nhint: it is unfinished, and what is in a ledger stays; make another one with --ledger %s-2", c.Ledger, err, c.Ledger)
	}
	if info, err = db.Ledger(ctx, c.Ledger); err != nil {
		return nil, err
	}
	if c.Files != "" {
		if err := files.write(chain.DateOf(now.In(zone))); err != nil {
			return nil, err
		}
	}
	return &demoResult{
		Ledger: c.Ledger, ID: info.ID.String(), Size: info.Size, Head: info.Head.String(),
		From: start.Format(time.DateOnly), To: now.In(zone).Format(time.DateOnly),
		Seconds: fmt.Sprintf("%.1f", time.Since(began).Seconds()), key: key, files: c.Files,
	}, nil
}

// open opens the ledger at the beginning of the history, or takes one that has
// nothing but an opening entry that is old enough.
func (c *demoCommand) open(ctx context.Context, db *store.DB, actor ledger.KeyID, start time.Time) (store.LedgerInfo, error) {
	info, err := db.Ledger(ctx, c.Ledger)
	if errors.Is(err, store.ErrNotFound) {
		return c.openNew(ctx, db, actor, start)
	}
	if err != nil {
		return info, err
	}
	if info.Size > 1 {
		return info, fmt.Errorf("making ledger %s: it has %d entries already, and what is in a ledger stays\nhint: look at that one, or make another with --ledger %s-2",
			c.Ledger, info.Size, c.Ledger)
	}
	first, err := db.Entry(ctx, info.ID, 0)
	if err != nil {
		return info, err
	}
	if first.RecordedAt().After(start) || info.Terms.TimeZone != demoTimeZone || info.Terms.BaseCurrency != "EUR" {
		return info, fmt.Errorf("making ledger %s: it was opened on %s in %s for other ends, and a history of a year does not fit behind that\nhint: make another with --ledger %s-2",
			c.Ledger, first.Record().BookingDate, info.Terms.TimeZone, c.Ledger)
	}
	return info, nil
}

func (c *demoCommand) openNew(ctx context.Context, db *store.DB, actor ledger.KeyID, start time.Time) (store.LedgerInfo, error) {
	id, err := ledger.NewLedgerID()
	if err != nil {
		return store.LedgerInfo{}, err
	}
	info, _, refused, err := db.OpenSimulation(ctx, ledger.OpenLedger{
		ID: id, Actor: actor, Host: originHost(c.Host), Name: c.Ledger, TimeZone: demoTimeZone, BaseCurrency: "EUR",
		ValueDaysBack: ledger.DefaultValueDaysBack, ValueDaysAhead: ledger.DefaultValueDaysAhead,
	}, start)
	if refused != nil {
		return info, fmt.Errorf("opening ledger %s: %s (%s)", c.Ledger, refused.Detail, refused.Code)
	}
	return info, err
}

// history posts the steps of a demonstration on a clock that follows them.
type history struct {
	db     *store.DB
	ledger ledger.LedgerID
	clock  atomic.Int64 // microseconds since the Unix epoch
	failed error        // of making an account id
}

// post posts everything, with a progress bar if somebody is watching. What is
// refused is a fault of the demonstration.
func (h *history) post(ctx context.Context, o demo.Options, stderr *os.File) error {
	sequencers := ledger.NewSimulation(ctx, h.db.Journal(), func() time.Time { return time.UnixMicro(h.clock.Load()) })
	defer sequencers.Stop()
	show := func(int) {}
	if isTerminal(stderr) {
		bar := progressbar.NewOptions64(demo.Days, progressbar.OptionSetWriter(stderr), progressbar.OptionThrottle(progressEvery),
			progressbar.OptionSetDescription("a year passes"), progressbar.OptionShowCount(), progressbar.OptionSetItsString("days"),
			progressbar.OptionClearOnFinish())
		show = func(day int) { _ = bar.Set(day) }
		defer func() { _ = bar.Finish() }()
	}
	for step := range demo.Steps(o) {
		if err := errors.Join(ctx.Err(), h.failed); err != nil {
			return err
		}
		h.clock.Store(step.At.UnixMicro())
		if err := h.submit(ctx, sequencers, &step); err != nil {
			return fmt.Errorf("posting what happens on %s: %w", step.At.Format(time.DateTime), err)
		}
		show(step.Day)
	}
	return h.failed
}

func (h *history) submit(ctx context.Context, sequencers *ledger.Sequencers, step *demo.Step) error {
	for rest := step.Requests; len(rest) > 0; {
		n := min(demoSubmit, len(rest))
		for i, r := range sequencers.SubmitAll(ctx, h.ledger, rest[:n]) {
			switch {
			case r.Err != nil:
				return r.Err
			case r.Refusal != nil:
				return fmt.Errorf("%T is refused: %s (%s)", rest[i], r.Refusal.Detail, r.Refusal.Code)
			}
		}
		rest = rest[n:]
	}
	return nil
}

func (h *history) accountID() ledger.AccountID {
	id, err := ledger.NewAccountID()
	if err != nil {
		h.failed = err
	}
	return id
}

// randomSalt makes the salt of a request.
func randomSalt() (salt [ledger.SaltSize]byte) {
	_, _ = rand.Read(salt[:]) // never fails: it ends the process instead
	return salt
}

// print says what is there and what to look at.
func (r *demoResult) print(w io.Writer) error {
	authorization := "-H \"Authorization: Bearer $(cat '" + r.key.file + "')\""
	if r.key.file == "" {
		authorization = `-H "Authorization: Bearer $TALLYSTICK_ADMIN_KEY"`
	}
	_, err := fmt.Fprintf(w, "ledger %s: %d entries from %s to %s, made in %s s\n\nAccounts to look at:\n", r.Ledger, r.Size, r.From, r.To, r.Seconds)
	for _, c := range demo.Cases {
		if err == nil {
			_, err = fmt.Fprintf(w, "  %-20s %s\n", c.Account, c.What)
		}
	}
	if err == nil {
		_, err = fmt.Fprintf(w, demoHints, r.Ledger, authorization, demo.Cases[0].Account)
	}
	if err == nil && r.files != "" {
		_, err = fmt.Fprintf(w, demoRisk, r.Ledger, r.files)
	}
	return err
}

// demoHints are lines to paste: ledger, authorization, an account.
const demoHints = `
With the server running (make run), paste for example:
  curl -sS %[2]s 'http://127.0.0.1:8080/v1/ledgers/%[1]s/balances?depth=2'
  curl -sS %[2]s 'http://127.0.0.1:8080/v1/ledgers/%[1]s/accounts/%[3]s/statement'
  curl -sS %[2]s 'http://127.0.0.1:8080/v1/ledgers/%[1]s/periods'
The API is explained at http://127.0.0.1:8080/docs. Without a server:
  bin/tallystick verify --ledger %[1]s
  bin/tallystick export --help
`

// demoRisk is a line to paste: ledger, folder.
const demoRisk = `The risk of it, as a page:
  bin/tallystick risk --ledger %[1]s --policy '%[2]s/policy.yaml' --rates '%[2]s/rates.csv' --inputs '%[2]s/inputs.csv' --format html --output risk.html
`
