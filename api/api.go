package api

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
	"golang.org/x/sync/semaphore"
	"golang.org/x/sync/singleflight"

	"tallystick/api/console"
	"tallystick/ledger"
	"tallystick/ledger/store"
)

// Poster takes requests that change a book; *ledger.Sequencers is the one.
type Poster interface {
	// Submit asks for one thing and waits for the answer; the end of ctx ends
	// only the wait.
	Submit(ctx context.Context, id ledger.LedgerID, r ledger.Request) (ledger.Outcome, error)
	// SubmitAll asks for several independent things at once; the results come in
	// the order of the requests.
	SubmitAll(ctx context.Context, id ledger.LedgerID, requests []ledger.Request) []ledger.Result
	// Rehearse decides requests as Submit would, in order, and stores nothing.
	Rehearse(ctx context.Context, id ledger.LedgerID, requests []ledger.Request) ([]ledger.Outcome, error)
	// Ready returns nil when this process may post.
	Ready() error
	// Stats returns the counts of every ledger posted to.
	Stats() map[ledger.LedgerID]ledger.Stats
}

// Config is what the API works with. Every field is needed.
type Config struct {
	DB      *store.DB    // reads, and opens ledgers
	Poster  Poster       // everything else that writes
	Host    string       // first part of the origin of ledgers opened here
	Version string       // of Tallystick, for /v1/engine
	Log     *slog.Logger // one event per request; see log.go for the levels
	// Erase deletes the texts of entries whose erasure is on record. It acts in a
	// role of its own: the one of DB cannot delete.
	Erase func(ctx context.Context, id ledger.LedgerID, seqs []int64) error
	// Signer returns what the signer in this process says of each ledger, and
	// whether there is one; nil: there never is.
	Signer func() (ledgers map[ledger.LedgerID]SignerStats, signs bool)
	// Night is the nightly job.
	Night Night
	Bank  BankDesk // files of banks, and breaks
	// Reports makes reports; nil: there are none.
	Reports *Reporter
	// Ending is closed when the server stops, so that what follows a ledger ends; nil:
	// never.
	Ending <-chan struct{}
}

// handlers serves the routes.
type handlers struct {
	Config
	keys    *keyring
	gates   *gates
	seals   *watches[store.ShownCheckpoint]
	trees   *semaphore.Weighted // turns to have a balance tree added up
	uploads *semaphore.Weighted // turns to have a bank file taken
	// writeOffs is the turn to wait for the turn of a ledger to write lines off.
	writeOffs *semaphore.Weighted
	reports   *semaphore.Weighted // turns to have a report computed
	heads     *watches[int64]     // the sizes of ledgers that are followed
	streams   *semaphore.Weighted // room for streams of events
	// eventReads are the turns of streams to read; eventPages has those that read the
	// same read together.
	eventReads *semaphore.Weighted
	eventPages singleflight.Group
	metrics    *metrics
	unrouted   observer
	// calendars holds a *calendar for each ledger.LedgerID that was asked for.
	calendars sync.Map
}

// New returns the handler of the whole surface; see routes.go.
func New(c Config) *echo.Echo {
	h := &handlers{Config: c, keys: newKeyring(c.DB.KeyByHash), gates: newGates(RoomPatience), seals: newSeals(c.DB.ShownCheckpoint),
		trees: semaphore.NewWeighted(MaxBalanceTrees), reports: semaphore.NewWeighted(MaxReports), uploads: semaphore.NewWeighted(MaxBankFiles), writeOffs: semaphore.NewWeighted(1),
		heads: newHeads(c.DB.Size), streams: semaphore.NewWeighted(MaxEventStreams), eventReads: semaphore.NewWeighted(maxEventReads),
		metrics: newMetrics(c.Poster.Stats, c.Signer)}
	if c.Night.Stats != nil {
		h.metrics.registry.MustRegister(nightStats{c.Night.Stats})
	}
	h.unrouted = h.metrics.observer("any", "none")
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.HTTPErrorHandler = h.notRouted
	h.register(e)
	pages := echo.WrapHandler(console.New(console.Config{API: e, Version: c.Version, Log: c.Log}))
	e.Any(console.Path, pages)
	e.Any(console.Path+"/*", pages)
	return e
}

// Bounds of a connection. ReadTimeout is for a whole request, head and body, so
// that one deadline does for both. WriteTimeout counts from the head of a
// request: the slowest body, the longest wait for an answer
// (ledger.AnswerPatience), that for a checkpoint (SealPatience) and a slow reader
// of a long page fit in.
const (
	ReadTimeout    = 10 * time.Second
	WriteTimeout   = 90 * time.Second
	IdleTimeout    = 2 * time.Minute
	MaxHeaderBytes = 16 << 10
)

// Server returns a server with every bound set; the caller sets the address or
// the listener. What net/http has to say (a client that breaks off, a TLS
// handshake that fails) goes to log as warnings.
func Server(handler http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: ReadTimeout,
		ReadTimeout:       ReadTimeout,
		WriteTimeout:      WriteTimeout,
		IdleTimeout:       IdleTimeout,
		MaxHeaderBytes:    MaxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
}
