package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"tallystick/api/client"
	"tallystick/ledger/chain"
	"tallystick/ledger/store/engine"
	"tallystick/scripts/internal/harness"
)

const (
	ledgerName = "signed"
	currency   = "EUR"
	accounts   = 200
	host       = "signer.example"
	// loadFor bounds the load; it is ended by its context.
	loadFor        = time.Hour
	requestTimeout = 60 * time.Second
	// caughtUpBound is how long a signer may take until all is signed.
	caughtUpBound = 2 * time.Minute
	pollStep      = 5 * time.Millisecond
)

// scene is a server that posts, a signer, and an owner's connection to the
// database.
type scene struct {
	o      options
	out    io.Writer
	rig    *harness.Rig
	server *harness.Server
	signer *harness.Server
	engine *engine.Engine
	conn   *pgx.Conn // for what is asked one at a time
	url    string
	ledger uuid.UUID
	acks   acks
	notes  notes
}

// set prepares the scene.
func set(ctx context.Context, o options, out io.Writer) (_ *scene, err error) {
	rig, err := harness.NewRig(ctx, o.Binary, o.Keep)
	if err != nil {
		return nil, err
	}
	rig.ServeArgs = []string{"--signer", "off", "--host", host}
	s := &scene{o: o, out: out, rig: rig, notes: notes{seen: make(map[string]chain.Checkpoint)}}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close(ctx))
		}
	}()
	if s.server, err = rig.Serve(ctx, "server"); err != nil {
		return nil, err
	}
	if s.engine, err = engine.Start(ctx, engine.Options{DataDir: rig.DataDir, CockroachBinary: os.Getenv("COCKROACH_BINARY")}); err != nil {
		return nil, err
	}
	s.url = s.engine.URL()
	if s.conn, err = pgx.Connect(ctx, s.url); err != nil {
		return nil, fmt.Errorf("connecting to the engine: %w", err)
	}
	terms, err := s.server.Client.OpenLedger(ctx, client.LedgerTerms{Name: ledgerName, BaseCurrency: currency})
	if err != nil {
		return nil, err
	}
	if s.ledger, err = uuid.Parse(terms.ID); err != nil {
		return nil, fmt.Errorf("reading the ledger's id: %w", err)
	}
	var open []client.NewAccount
	for i := range accounts {
		open = append(open, client.NewAccount{Code: account(i), Type: "asset", Currency: currency})
	}
	if err := s.server.Client.OpenAccounts(ctx, ledgerName, open); err != nil {
		return nil, err
	}
	return s, s.nameKey(ctx)
}

// nameKey puts the signer's key on record in the ledger, as an operator does.
func (s *scene) nameKey(ctx context.Context) error {
	key, err := s.verifierKey(ctx, s.origin())
	if err != nil {
		return err
	}
	_, err = s.server.Client.ChangeKey(ctx, ledgerName, client.KeyChange{Action: chain.KeyAdd, Role: chain.RoleSigner, PublicKey: key})
	return err
}

// origin is that of the ledger.
func (s *scene) origin() string { return host + "/" + s.ledger.String() }

// verifierKey is the signer's key for an origin.
func (s *scene) verifierKey(ctx context.Context, origin string) (string, error) {
	out, code, err := s.rig.Run(ctx, "signer", "--data-dir", s.rig.DataDir, "--print-key", origin)
	if err == nil && code != 0 {
		err = fmt.Errorf("printing the signer's key: exit code %d: %s", code, out)
	}
	return strings.TrimSpace(string(out)), err
}

func account(i int) string { return fmt.Sprintf("accounts:%d", i) }

func (s *scene) close(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx)
	var failed []error
	if s.conn != nil {
		failed = append(failed, s.conn.Close(ctx))
	}
	if s.engine != nil {
		failed = append(failed, s.engine.Stop(ctx))
	}
	return errors.Join(append(failed, s.rig.Close(ctx))...)
}

func (s *scene) statePath() string { return filepath.Join(s.rig.DataDir, "signer", "state.json") }

// startSigner starts a signer process.
func (s *scene) startSigner(more ...string) (err error) {
	s.signer, err = s.rig.Spawn("signer", append([]string{"signer", "--data-dir", s.rig.DataDir, "--host", host}, more...)...)
	return err
}

// signOnce runs a signer for one round and returns its exit code and what it
// said.
func (s *scene) signOnce(ctx context.Context, args ...string) (code int, said string, err error) {
	args = append([]string{"signer", "--once", "--data-dir", s.rig.DataDir, "--host", host}, args...)
	stderr, code, err := s.rig.Run(ctx, args...)
	return code, string(stderr), err
}

// load posts until stop is called, which returns what came of it.
func (s *scene) load(ctx context.Context) (stop func() (*client.Measured, error), err error) {
	ids := make([]*client.IDs, s.o.Connections)
	for i := range ids {
		if ids[i], err = client.NewIDs(7); err != nil {
			return nil, err
		}
	}
	loaded := &client.Load{
		Client: s.server.Client, Path: client.LedgerPath(ledgerName, "transfers"), Connections: s.o.Connections,
		Duration: loadFor, Timeout: requestTimeout,
		Request: func(n int, body []byte) []byte {
			from := rand.IntN(accounts)
			to := (from + 1 + rand.IntN(accounts-1)) % accounts
			body = append(body, `{"id":"`...)
			body = ids[n].Append(body)
			return fmt.Appendf(body, `","debit":"%s","credit":"%s","amount":"%d.%02d"}`, account(from), account(to), rand.IntN(100), 1+rand.IntN(99))
		},
		Judge: func(_ int, a client.Answer) client.Tally {
			if a.Status == 201 {
				s.acks.add(seqOf(a.Body), time.Now())
			}
			return client.JudgeStatus(a.Status, false)
		},
	}
	ctx, cancel := context.WithCancel(ctx)
	var measured *client.Measured
	var failed error
	var wait sync.WaitGroup
	wait.Go(func() { measured, failed = loaded.Run(ctx) })
	return func() (*client.Measured, error) {
		cancel()
		wait.Wait()
		return measured, failed
	}, nil
}

// seqOf finds the seq in an answer: decoding all of them would take from the
// server's time.
func seqOf(body []byte) int64 {
	_, rest, ok := bytes.Cut(body, []byte(`"seq":`))
	if !ok {
		return -1
	}
	seq := int64(0)
	for _, c := range bytes.TrimLeft(rest, " ") {
		if c < '0' || c > '9' {
			break
		}
		seq = 10*seq + int64(c-'0')
	}
	return seq
}

// acks remembers when each entry was acknowledged.
type acks struct {
	mu  sync.Mutex
	at  []time.Time // by seq; zero: not, or not by us
	top int64       // one more than the highest
}

func (a *acks) add(seq int64, now time.Time) {
	if seq < 0 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for int64(len(a.at)) <= seq {
		a.at = append(a.at, time.Time{})
	}
	a.at[seq], a.top = now, max(a.top, seq+1)
}

// oldest returns when the first entry from seq on was acknowledged.
func (a *acks) oldest(from int64) (first time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for seq := from; seq < a.top; seq++ {
		if t := a.at[seq]; !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	return first
}

// awaitSigned returns when everything in the database is signed and shown.
func (s *scene) awaitSigned(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, caughtUpBound)
	defer cancel()
	for {
		var behind int64
		err := s.conn.QueryRow(ctx, `select count(*) from book.ledgers l left join ops.heads h on h.ledger_id = l.ledger_id
			where h.size is null or h.size <> (select max(seq) + 1 from book.entries e where e.ledger_id = l.ledger_id)`).Scan(&behind)
		if err != nil {
			return fmt.Errorf("looking what is signed: %w", err)
		}
		if behind == 0 {
			return nil
		}
		if s.signer.Exited() {
			log, _ := s.signer.Log()
			return broken("the signer has ended: %s", log)
		}
		time.Sleep(pollStep)
	}
}
