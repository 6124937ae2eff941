package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"tallystick/api"
	"tallystick/ledger"
	"tallystick/ledger/store"
	"tallystick/reconcile/policy"
)

const (
	// shutdownBound bounds the wait for requests at work when the server stops.
	shutdownBound = 30 * time.Second
	// gcPercent lets the heap grow more between collections than Go's default:
	// the live heap is small beside what requests allocate.
	gcPercent = 400
	// mainLedger is opened on first start.
	mainLedger = "main"
)

// serveCommand runs the server.
type serveCommand struct {
	Database     `embed:""`
	Listen       string   `env:"TALLYSTICK_LISTEN" default:"127.0.0.1:8080" help:"Address to serve on."`
	Host         string   `env:"TALLYSTICK_HOST" placeholder:"NAME" help:"Host name in the origin of ledgers opened here; this machine's by default."`
	Currency     string   `env:"TALLYSTICK_BASE_CURRENCY" default:"EUR" help:"Base currency of the ledger main, opened on first start."`
	TimeZone     string   `env:"TALLYSTICK_TIME_ZONE" default:"UTC" help:"Time zone of the ledger main, opened on first start (IANA name)."`
	Signer       string   `env:"TALLYSTICK_SIGNER" default:"on" enum:"on,off" help:"Sign checkpoints in this process: ${enum}. Its key and state are in signer/ of the data folder."`
	SignerEnded  []string `env:"TALLYSTICK_SIGNER_ENDED" placeholder:"ORIGIN" help:"Ledger that has lost entries and has a successor: the signer refuses it no longer, and never signs it. May be repeated."`
	SignerPolicy string   `env:"TALLYSTICK_SIGNER_POLICY" type:"path" placeholder:"FILE" help:"Policy (C2SP tlog-policy) with the witnesses that the signer asks; no checkpoint is published without its quorum."`
	Nightly      string   `env:"TALLYSTICK_NIGHTLY" placeholder:"CRON" help:"When to run the night of every ledger: minute, hour, day of month, month and day of week, such as '30 2 * * *'. Not at all by default."`
	NightlyZone  string   `env:"TALLYSTICK_NIGHTLY_ZONE" placeholder:"ZONE" help:"Time zone of --nightly (IANA name); that of each ledger by default."`

	Night    nightFiles `embed:"" prefix:"night-" envprefix:"TALLYSTICK_NIGHT_"`
	LogLevel string     `env:"TALLYSTICK_LOG_LEVEL" default:"info" enum:"debug,info,warn,error" help:"Least level logged: ${enum}."`
}

// Run serves until ctx ends, and then stops server and engine cleanly.
func (c *serveCommand) Run(ctx context.Context) error {
	setUpLog(c.LogLevel)
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	listener, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return fmt.Errorf("listening on %s: %w\nhint: choose another address with --listen or TALLYSTICK_LISTEN", c.Listen, err)
	}
	defer listener.Close()
	database, db, key, stop, err := c.prepare(ctx)
	if err != nil {
		return err
	}
	defer stop()
	if err := openMain(ctx, db, c.openLedger(key.id)); err != nil {
		return err
	}
	return c.serve(ctx, listener, database, db, key)
}

func setUpLog(level string) {
	var l slog.Level
	_ = l.UnmarshalText([]byte(level)) // one of the flag's enumeration
	slog.SetDefault(slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: l})))
}

func (c *serveCommand) openLedger(actor ledger.KeyID) ledger.OpenLedger {
	return ledger.OpenLedger{
		Actor: actor, Host: originHost(c.Host), Name: mainLedger, TimeZone: c.TimeZone, BaseCurrency: c.Currency,
		ValueDaysBack: ledger.DefaultValueDaysBack, ValueDaysAhead: ledger.DefaultValueDaysAhead,
	}
}

// originHost returns host, or this machine's name when it is empty.
func originHost(host string) string {
	if host == "" {
		host, _ = os.Hostname() // the fallback below will do
	}
	if host == "" {
		host = "localhost"
	}
	return strings.ToLower(host)
}

// openMain opens the ledger main unless there is one, whatever its terms.
func openMain(ctx context.Context, db *store.DB, r ledger.OpenLedger) error {
	_, err := db.Ledger(ctx, r.Name)
	if err == nil || !errors.Is(err, store.ErrNotFound) {
		return err
	}
	_, err = openLedger(ctx, db, r)
	return err
}

// openLedger opens a ledger and turns a refusal into an error.
func openLedger(ctx context.Context, db *store.DB, r ledger.OpenLedger) (store.LedgerInfo, error) {
	id, err := ledger.NewLedgerID()
	if err != nil {
		return store.LedgerInfo{}, err
	}
	r.ID = id
	info, _, refused, err := db.OpenLedger(ctx, r)
	if refused != nil {
		return info, fmt.Errorf("opening ledger %s: %s (%s)", r.Name, refused.Detail, refused.Code)
	}
	return info, err
}

// serve answers requests until ctx ends.
func (c *serveCommand) serve(ctx context.Context, listener net.Listener, database *running, db *store.DB, key adminKey) error {
	journal := db.Journal()
	sequencers := ledger.NewSequencers(ctx, journal, journal.ClockOffset)
	defer sequencers.Stop()
	signs := &signing{files: signerFiles{Policy: c.SignerPolicy}.within(c.DataDir), url: database.url, host: originHost(c.Host), ended: c.SignerEnded, actor: key.id, poster: sequencers, db: db}
	finishing := &finisher{db: db, erase: eraseTexts(database.url), log: slog.Default()}
	work := &nightWork{url: database.url, db: db, poster: sequencers, files: c.Night, state: signs.files.State}
	nights, err := newNightly(c.Nightly, c.NightlyZone, work, slog.Default())
	if err != nil {
		return err
	}
	watched, stopWatching := context.WithCancel(ctx)
	asked := newNightServer(watched, work, func(format string, args ...any) { slog.Error(fmt.Sprintf(format, args...)) })
	server := api.Server(api.New(api.Config{
		DB: db, Poster: sequencers, Host: originHost(c.Host), Version: version, Log: slog.Default(),
		Erase: finishing.erase, Signer: signs.stats, Night: asked.api(nights), Reports: (&reporting{db: db}).forAPI(), Ending: ctx.Done(),
		Bank: (&bankDesk{db: db, policy: func() (*policy.Policy, error) { return policyFromFile(c.Night.Policy) }}).forAPI(),
	}), slog.Default())
	var watching sync.WaitGroup
	if nights != nil {
		watching.Go(func() { nights.keep(watched) })
	}
	watching.Go(func() { database.keepRunning(watched) })
	watching.Go(func() { (&sweeper{db: db, poster: sequencers, log: slog.Default()}).keepSweeping(watched) })
	watching.Go(func() { finishing.keepFinishing(watched) })
	if c.Signer == "on" {
		watching.Go(func() { signs.keepSigning(watched) })
	}
	defer func() {
		stopWatching()
		watching.Wait()
		asked.wait() // nobody asks any more
	}()
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	greet(os.Stdout, db.EngineName(), listener.Addr().String(), key)
	select {
	case err := <-served:
		return fmt.Errorf("serving on %s: %w", c.Listen, err)
	case <-ctx.Done():
	}
	slog.Info("stopping: requests at work are finished first")
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownBound)
	defer cancel()
	if err := server.Shutdown(bounded); err != nil && !errors.Is(err, http.ErrServerClosed) {
		slog.Warn("closing connections that are still at work", "error", err)
		server.Close()
	}
	return nil
}
