package fsck

import (
	"bytes"
	"context"
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
	"tallystick/ledger/store/engine"
	"tallystick/ledger/store/storetest"
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
	url     string // of the log
	key     string // of the API
	keyFile string // holds the verifier key
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
	c.attach(t, rig.DataDir, l.Origin)
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

// attach connects to the database as its owner, and has the ledger sealed.
func (c *checked) attach(t *testing.T, folder, origin string) {
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
	notary := storetest.NewNotary(t, e.URL())
	notary.Seal(t, uuid.MustParse(c.ledger), origin, c.size)
	c.keyFile = filepath.Join(t.TempDir(), "signer.pub")
	if err := os.WriteFile(c.keyFile, []byte(notary.VerifierKey(t, origin)), 0o600); err != nil {
		t.Fatal(err)
	}
}

// run runs the tool, whose exit code says nothing, and returns what it said.
func (c *checked) run(t *testing.T) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), toolBound)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.tool, "--ui=false", "--N=4", "--storage_url="+c.url, "--bearer_token="+c.key, "--public_key="+c.keyFile)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("running fsck: %v\n%s", err, out)
	}
	return string(out)
}

func (c *checked) passes(t *testing.T) {
	t.Helper()
	if out := c.run(t); !strings.Contains(out, fmt.Sprintf("Successfully fsck'd log with size %d ", c.size)) || strings.Contains(out, "failed") {
		t.Errorf("fsck says\n%s", out)
	}
}

func (c *checked) fails(t *testing.T, what string) {
	t.Helper()
	if out := c.run(t); strings.Contains(out, "Successfully") || !strings.Contains(out, "fsck failed: ") {
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
	c.passes(t)
	for _, f := range flips {
		back := c.flip(t, f.read, f.write, f.at(c.size))
		c.fails(t, f.what)
		back()
	}
	c.passes(t)
}
