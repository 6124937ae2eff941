package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"

	"tallystick/api/client"
)

const (
	// benchTimeout bounds one request. It is longer than the server's own
	// bounds, so that a slow answer is counted as slow and not as an error.
	benchTimeout = 60 * time.Second
	// benchCurrency is the currency of every account bench opens.
	benchCurrency = "EUR"
	// Bounds of the flags.
	maxBenchConnections = 10_000
	maxBenchAccounts    = 10_000_000
	maxBenchBatch       = 1000
)

// errNotGrown says that the server acknowledged more than its ledger holds.
var errNotGrown = errors.New("checking the ledger's growth")

// benchCommand measures a running server: tallystick bench.
type benchCommand struct {
	URL         string        `default:"http://127.0.0.1:8080" env:"TALLYSTICK_URL" help:"Server to measure."`
	Ledger      string        `default:"bench" help:"Ledger to post to; opened when there is none of this name."`
	Connections int           `default:"64" help:"Connections, each with one request at a time."`
	Duration    time.Duration `default:"30s" help:"Measured time."`
	WarmUp      time.Duration `default:"3s" help:"Time before it that is not measured."`
	Accounts    int           `default:"10000" help:"Accounts that the transfers spread over; opened when absent, without limits."`
	Hot         share         `default:"0" placeholder:"SHARE" help:"Share of the transfers, 0 to 1, that have one hot account on a side."`
	Batch       int           `default:"1" placeholder:"N" help:"Transfers a request; above 1 the batch endpoint is used."`
	IDs         string        `name:"ids" enum:"v7,v4,both" default:"v7" help:"Request ids: v7 (ordered by time), v4 (random, which cost the database more), or both, one run each."`
	JSON        bool          `name:"json" help:"Print one JSON object."`
}

// Run measures and prints. The key comes from TALLYSTICK_API_KEY and from
// nowhere else: an argument would show in the list of processes.
func (c *benchCommand) Run(ctx context.Context) error {
	err := c.run(ctx, os.Getenv("TALLYSTICK_API_KEY"), os.Stdout, os.Stderr)
	if errors.Is(err, errNotGrown) {
		fmt.Fprintln(os.Stderr, "tallystick:", err)
		return exitError{exitTampered}
	}
	return err
}

func (c *benchCommand) run(ctx context.Context, key string, stdout, stderr io.Writer) error {
	if err := c.check(key); err != nil {
		return err
	}
	server, err := client.New(c.URL, key)
	if err != nil {
		return err
	}
	fmt.Fprintf(stderr, "opening ledger %s and its %d accounts where absent\n", c.Ledger, c.Accounts)
	report, err := c.prepare(ctx, server)
	if err != nil {
		return fmt.Errorf("preparing the benchmark: %w", err)
	}
	runs := []*benchRun{&report.benchRun}
	report.IDs = "v7"
	switch c.IDs {
	case "v4":
		report.IDs = "v4"
	case "both":
		report.RandomIDs = &benchRun{IDs: "v4"}
		runs = append(runs, report.RandomIDs)
	}
	for _, r := range runs {
		fmt.Fprintf(stderr, "posting over %d connections with %s ids: %s of warm-up, not measured, then %s\n",
			c.Connections, r.IDs, c.WarmUp, c.Duration)
		finish := showTime(stderr, c.WarmUp+c.Duration)
		err := c.measure(ctx, server, r)
		finish()
		if err != nil {
			return fmt.Errorf("measuring with %s ids: %w", r.IDs, err)
		}
	}
	if err := report.print(stdout, c.JSON); err != nil {
		return err
	}
	return report.verdict()
}

// showTime draws a bar that fills in the given time, if somebody is watching,
// until finish is called.
func showTime(stderr io.Writer, d time.Duration) (finish func()) {
	f, ok := stderr.(*os.File)
	if !ok || !isTerminal(f) {
		return func() {}
	}
	bar := progressbar.NewOptions64(int64(d/progressEvery), progressbar.OptionSetWriter(stderr),
		progressbar.OptionSetDescription("measuring"), progressbar.OptionClearOnFinish())
	ticks, done, gone := time.NewTicker(progressEvery), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		for {
			select {
			case <-ticks.C:
				_ = bar.Add(1) // beyond its end it says so and draws nothing
			case <-done:
				return
			}
		}
	}()
	return func() {
		ticks.Stop()
		close(done)
		<-gone
		_ = bar.Finish()
	}
}

func (c *benchCommand) check(key string) error {
	switch {
	case key == "":
		return errors.New("reading TALLYSTICK_API_KEY: it is not set\nhint: export TALLYSTICK_API_KEY=$(cat data/admin.key)")
	case c.Connections < 1 || c.Connections > maxBenchConnections:
		return fmt.Errorf("checking --connections %d: want 1 to %d", c.Connections, maxBenchConnections)
	case c.Accounts < 2 || c.Accounts > maxBenchAccounts:
		return fmt.Errorf("checking --accounts %d: want 2 to %d", c.Accounts, maxBenchAccounts)
	case c.Batch < 1 || c.Batch > maxBenchBatch:
		return fmt.Errorf("checking --batch %d: want 1 to %d", c.Batch, maxBenchBatch)
	case c.Duration <= 0 || c.WarmUp < 0:
		return fmt.Errorf("checking --duration %s and --warm-up %s: want positive times", c.Duration, c.WarmUp)
	}
	return nil
}

// prepare opens what the load needs and starts the report with what was found.
func (c *benchCommand) prepare(ctx context.Context, server *client.Client) (*benchReport, error) {
	if _, err := server.EnsureLedger(ctx, client.LedgerTerms{Name: c.Ledger, BaseCurrency: benchCurrency}); err != nil {
		return nil, err
	}
	accounts := make([]client.NewAccount, 0, c.Accounts+1)
	for i := range c.Accounts {
		accounts = append(accounts, client.NewAccount{Code: benchAccount(i), Type: "liability", Currency: benchCurrency})
	}
	accounts = append(accounts, client.NewAccount{Code: benchHotAccount, Type: "liability", Currency: benchCurrency})
	if err := server.OpenAccounts(ctx, c.Ledger, accounts); err != nil {
		return nil, err
	}
	engine, err := server.Engine(ctx)
	if err != nil {
		return nil, err
	}
	setting := func(name string) *string {
		if v, ok := engine.Settings[name]; ok {
			return &v
		}
		return nil
	}
	return &benchReport{
		Ledger: c.Ledger, Engine: engine.Name,
		Connections: c.Connections, Accounts: c.Accounts, Hot: c.Hot, Batch: c.Batch,
		WarmUp: client.Millis(c.WarmUp), Fsync: setting("fsync"),
		SynchronousCommit: setting("synchronous_commit"), FullPageWrites: setting("full_page_writes"),
	}, nil
}

// measure drives one load and fills r.
func (c *benchCommand) measure(ctx context.Context, server *client.Client, r *benchRun) error {
	before, err := server.Ledger(ctx, c.Ledger)
	if err != nil {
		return err
	}
	version, err := strconv.Atoi(strings.TrimPrefix(r.IDs, "v"))
	if err != nil {
		return err
	}
	mix, err := newBenchMix(c, version)
	if err != nil {
		return err
	}
	if err := c.tryOne(ctx, server, mix); err != nil {
		return err
	}
	load := client.Load{
		Client: server, Path: c.path(), Connections: c.Connections,
		WarmUp: c.WarmUp, Duration: c.Duration, Timeout: benchTimeout,
		Request: mix.request, Judge: c.judge,
	}
	m, err := load.Run(ctx)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("driving the load: %w", err)
	}
	after, err := server.Ledger(ctx, c.Ledger)
	if err != nil {
		return err
	}
	r.fill(m, after.Size-before.Size, int64(c.Batch))
	return nil
}

// tryOne posts one request, so that a refusal that would meet all of them is
// shown once and in full.
func (c *benchCommand) tryOne(ctx context.Context, server *client.Client, mix *benchMix) error {
	conn := server.Conn(benchTimeout)
	defer conn.Close()
	answer, err := conn.Post(ctx, c.path(), "", mix.request(0, nil))
	if err != nil {
		return err
	}
	if c.Batch > 1 && (answer.Status == http.StatusNotFound || answer.Status == http.StatusMethodNotAllowed) {
		return fmt.Errorf("posting a batch of %d: the server has no batch endpoint (status %d for POST %s)\nhint: use --batch 1", c.Batch, answer.Status, c.path())
	}
	if answer.Status >= 400 {
		return fmt.Errorf("posting a first transfer: %w", client.ParseProblem(answer.Status, answer.Body))
	}
	if t := c.judge(0, answer); t.Acknowledged != int64(c.Batch) {
		return fmt.Errorf("posting a first transfer: %d of %d acknowledged, status %d: %.200s", t.Acknowledged, c.Batch, answer.Status, answer.Body)
	}
	return nil
}

func (c *benchCommand) path() string {
	if c.Batch > 1 {
		return client.LedgerPath(c.Ledger, "transfers", "batch")
	}
	return client.LedgerPath(c.Ledger, "transfers")
}

// judge counts the transfers of one answer.
func (c *benchCommand) judge(_ int, a client.Answer) client.Tally {
	if c.Batch == 1 {
		return client.JudgeStatus(a.Status, a.Replayed)
	}
	if a.Status != http.StatusOK {
		t := client.JudgeStatus(a.Status, false)
		return client.Tally{Rejected: t.Rejected * int64(c.Batch), Errors: (t.Errors + t.Acknowledged) * int64(c.Batch)}
	}
	var answer struct {
		Results []struct {
			Status   int  `json:"status"`
			Replayed bool `json:"replayed"`
		} `json:"results"`
	}
	var sum client.Tally
	if err := json.Unmarshal(a.Body, &answer); err != nil {
		return client.Tally{Errors: int64(c.Batch)}
	}
	for _, r := range answer.Results {
		sum.Add(client.JudgeStatus(r.Status, r.Replayed))
	}
	return sum
}
