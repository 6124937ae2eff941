package fsck

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"tallystick/api/client"
	"tallystick/ledger/chain"
	"tallystick/ledger/store"
	"tallystick/ledger/store/engine"
	"tallystick/scripts/internal/harness"
)

const (
	// tool is the client, at the version that was looked at.
	tool = "github.com/transparency-dev/tessera/cmd/fsck@v1.0.4"
	// offlineVariable says that there is no network.
	offlineVariable = "TALLYSTICK_OFFLINE"
	// wholeVariable asks for the large ledger.
	wholeVariable = "FSCK"

	shortSize = 300    // partial tiles at the levels 0 and 1
	wholeSize = 70_007 // and at level 2
	batchSize = 1000

	toolBound = 5 * time.Minute // of building it, and of one run
	sealBound = 2 * time.Minute // of signing it all
	sealStep  = 100 * time.Millisecond
)

func TestMain(m *testing.M) { os.Exit(harness.RunTests(context.Background(), m)) }

// build builds the tool.
func build(t *testing.T) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), toolBound)
	defer cancel()
	dir := t.TempDir()
	cmd := exec.CommandContext(ctx, "go", "install", tool)
	cmd.Dir = dir // outside of this module
	cmd.Env = append(os.Environ(), "GOBIN="+dir, "GOFLAGS=-mod=mod", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		if os.Getenv(offlineVariable) == "1" {
			t.Skipf("%s=1, and %s cannot be built", offlineVariable, tool)
		}
		t.Fatalf("building %s (without a network, set %s=1): %v\n%s", tool, offlineVariable, err, out)
	}
	return filepath.Join(dir, "fsck")
}

// checked is a ledger on a running server, and what it takes to check it.
type checked struct {
	tool    string
	url     string                        // of the log
	key     string                        // of the API
	keyFile string                        // holds the verifier key
	super   struct{ url, keyFile string } // of the super-log
	size    int64
	db      *pgx.Conn
	ledger  string // its id
}

func open(t *testing.T, size int) *checked {
	t.Helper()
	c := &checked{tool: build(t), size: int64(size)}
	rig, err := harness.NewRig(t.Context(), "", false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := rig.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	server, err := rig.Serve(t.Context(), "fsck")
	if err != nil {
		t.Fatal(err)
	}
	c.key = rig.Key
	l, err := server.Client.EnsureLedger(t.Context(), client.LedgerTerms{Name: "main", BaseCurrency: "EUR"})
	if err != nil {
		t.Fatal(err)
	}
	c.ledger, c.url = l.ID, server.Client.URL()+"/v1/ledgers/main"
	err = server.Client.OpenAccounts(t.Context(), "main", []client.NewAccount{
		{Code: "cash", Type: "asset", Currency: "EUR"}, {Code: "customers:1", Type: "liability", Currency: "EUR"},
	})
	if err != nil {
		t.Fatal(err)
	}
	l, err = server.Client.Ledger(t.Context(), "main")
	if err != nil {
		t.Fatal(err)
	}
	for at := int(l.Size); at < size; at += batchSize {
		c.post(t, min(batchSize, size-at))
	}
	c.attach(t, rig.DataDir, server.Client)
	return c
}

// post posts a batch of transfers.
func (c *checked) post(t *testing.T, n int) {
	t.Helper()
	body := `{"transfers":[` + strings.TrimSuffix(strings.Repeat(`{"debit":"cash","credit":"customers:1","amount":"1.00"},`, n), ",") + `]}`
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.url+"/transfers/batch", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+c.key)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", uuid.NewString())
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || bytes.Count(text, []byte(`{"status":201`)) != n {
		t.Fatalf("posting %d transfers: %d %.300s, %v", n, resp.StatusCode, text, err)
	}
}

// attach connects to the database as its owner, and waits until the server has
// signed all there is.
func (c *checked) attach(t *testing.T, folder string, server *client.Client) {
	t.Helper()
	e, err := engine.Start(t.Context(), engine.Options{DataDir: folder})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	if c.db, err = pgx.Connect(t.Context(), e.URL()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.db.Close(context.WithoutCancel(t.Context())) })
	origin := c.awaitSeal(t, server)
	key, err := signingKey(filepath.Join(folder, "signer", "signer.key"))
	if err != nil {
		t.Fatal(err)
	}
	c.keyFile = keyFile(t, key, origin)
	var note string
	if err := c.db.QueryRow(t.Context(), `select note from ops.heads where ledger_id = $1::uuid`, store.SuperLog.String()).Scan(&note); err != nil {
		t.Fatal(err)
	}
	superOrigin, _, _ := strings.Cut(note, "\n")
	c.super.url, c.super.keyFile = server.URL()+"/v1/super-log", keyFile(t, key, superOrigin)
}

// keyFile writes the key that verifies what is signed for an origin to a file.
func keyFile(t *testing.T, key chain.SigningKey, origin string) string {
	t.Helper()
	text, err := key.VerifierKey(origin)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "signer.pub")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// awaitSeal waits for a checkpoint over all entries, the one that names the
// signer's key included, and returns its origin.
func (c *checked) awaitSeal(t *testing.T, server *client.Client) (origin string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), sealBound)
	defer cancel()
	ticks := time.NewTicker(sealStep)
	defer ticks.Stop()
	for {
		note, err := server.Checkpoint(ctx, "main")
		if err == nil {
			signed, openErr := chain.OpenCheckpoint(note)
			l, err := server.Ledger(ctx, "main")
			switch {
			case err != nil:
				t.Fatal(err)
			case !errors.Is(openErr, chain.ErrUnknownKey):
				t.Fatalf("reading %s: %v", note, openErr)
			case signed.Size == l.Size && signed.Size >= c.size:
				c.size = signed.Size
				return signed.Origin
			}
		} else if !client.HasCode(err, "no_checkpoint") {
			t.Fatal(err)
		}
		select {
		case <-ctx.Done():
			t.Fatalf("no checkpoint over %d entries within %s: %v", c.size, sealBound, err)
		case <-ticks.C:
		}
	}
}

// signingKey reads the key that the server signs with: the auditor of this test
// is its owner.
func signingKey(path string) (chain.SigningKey, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return chain.SigningKey{}, err
	}
	fields := strings.SplitN(strings.TrimSpace(string(text)), "+", 5) // PRIVATE+KEY+<name>+<id>+<base64>
	if len(fields) != 5 {
		return chain.SigningKey{}, fmt.Errorf("reading %s: it is no key", path)
	}
	raw, err := base64.StdEncoding.DecodeString(fields[4])
	if err != nil || len(raw) == 0 {
		return chain.SigningKey{}, fmt.Errorf("reading %s: %w", path, err)
	}
	return chain.NewSigningKey(raw[1:]) // behind the algorithm
}

// run runs the tool, whose exit code says nothing, and returns what it said.
func (c *checked) run(t *testing.T, url, keyFile string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), toolBound)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.tool, "--ui=false", "--N=4", "--storage_url="+url, "--bearer_token="+c.key, "--public_key="+keyFile)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("running fsck: %v\n%s", err, out)
	}
	return string(out)
}

func (c *checked) passes(t *testing.T, url, keyFile string, least int64) {
	t.Helper()
	out := c.run(t, url, keyFile)
	var size int64
	if _, told, ok := strings.Cut(out, "Successfully fsck'd log with size "); ok {
		_, _ = fmt.Sscan(told, &size)
	}
	if size < least || strings.Contains(out, "failed") {
		t.Errorf("fsck says\n%s", out)
	}
}

func (c *checked) fails(t *testing.T, what string) {
	t.Helper()
	if out := c.run(t, c.url, c.keyFile); strings.Contains(out, "Successfully") || !strings.Contains(out, "fsck failed: ") {
		t.Errorf("%s: fsck says\n%s", what, out)
	}
}

// flip flips the lowest bit of what is read, and returns how to flip it back.
func (c *checked) flip(t *testing.T, read, write string, at int64) (back func()) {
	t.Helper()
	flip := func() {
		var value []byte
		if err := c.db.QueryRow(t.Context(), read, c.ledger, at).Scan(&value); err != nil {
			t.Fatal(err)
		}
		value[len(value)-1] ^= 1
		if tag, err := c.db.Exec(t.Context(), write, c.ledger, at, value); err != nil || tag.RowsAffected() != 1 {
			t.Fatalf("flipping a bit: %v, %v", tag, err)
		}
	}
	flip()
	return flip
}

// The flipped bits: of a column of an entry, of the hash of an entry, and of a
// node of the tree.
var flips = []struct {
	what, read, write string
	at                func(size int64) int64
}{
	{"whether an entry is of a prior period",
		`select case when prior_period then '\x01'::bytea else '\x00'::bytea end from book.entries where ledger_id = $1::uuid and seq = $2::int8`,
		`update book.entries set prior_period = $3::bytea = '\x01'::bytea where ledger_id = $1::uuid and seq = $2::int8`,
		func(size int64) int64 { return size / 2 }},
	{"the hash of an entry",
		`select entry_hash from book.entries where ledger_id = $1::uuid and seq = $2::int8`,
		`update book.entries set entry_hash = $3::bytea where ledger_id = $1::uuid and seq = $2::int8`,
		func(size int64) int64 { return size - 1 }},
	{"a node of the tree",
		`select hash from book.tiles where ledger_id = $1::uuid and level = 1 and position = $2::int8`,
		`update book.tiles set hash = $3::bytea where ledger_id = $1::uuid and level = 1 and position = $2::int8`,
		func(size int64) int64 { return size / 600 }},
}

func TestTesseraFindsNothingAndThenOneFlippedBit(t *testing.T) {
	t.Parallel()
	size := shortSize
	if os.Getenv(wholeVariable) == "whole" {
		size = wholeSize
	}
	c := open(t, size)
	c.passes(t, c.url, c.keyFile, c.size)
	c.passes(t, c.super.url, c.super.keyFile, 1)
	for _, f := range flips {
		back := c.flip(t, f.read, f.write, f.at(c.size))
		c.fails(t, f.what)
		back()
	}
	c.passes(t, c.url, c.keyFile, c.size)
}
