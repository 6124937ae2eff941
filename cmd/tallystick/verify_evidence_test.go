package main

import (
	"crypto/sha256"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"tallystick/ledger/chain"
	"tallystick/ledger/store"
	"tallystick/ledger/store/storetest"
	"tallystick/reconcile"
)

// sealed is a ledger with a signed checkpoint, and files about it.
type sealed struct {
	t      *testing.T
	url    string
	id     uuid.UUID
	origin string
	root   chain.Hash
	key    chain.SigningKey
	dir    string
}

// openSealed opens a ledger as the server does, and signs its first entry as a
// signer that a policy knows would.
func openSealed(t *testing.T) *sealed {
	t.Helper()
	s := &sealed{t: t, url: storetest.Database(t), dir: t.TempDir()}
	s.id = openBook(t, s.url, "main")
	conn, err := pgx.Connect(t.Context(), s.url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	var hash []byte
	err = conn.QueryRow(t.Context(), "select origin, entry_hash from book.ledgers join book.entries using (ledger_id) where ledger_id = $1", s.id).Scan(&s.origin, &hash)
	if err != nil {
		t.Fatal(err)
	}
	s.root = chain.RootOf([]chain.Hash{chain.Hash(hash)})
	seed := sha256.Sum256([]byte("signer"))
	if s.key, err = chain.NewSigningKey(seed[:]); err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(t.Context(), s.url, store.RoleSigner, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	c := store.StoredCheckpoint{Size: 1, Root: s.root, Note: s.sign(1, s.root), SignedAt: time.Now()}
	if err := db.PublishCheckpoint(t.Context(), s.id, nil, c, store.SignedApart); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *sealed) sign(size int64, root chain.Hash) []byte {
	s.t.Helper()
	signed, err := s.key.Sign(chain.Checkpoint{Origin: s.origin, Size: size, Root: root})
	if err != nil {
		s.t.Fatal(err)
	}
	return signed
}

func (s *sealed) verifier() string {
	s.t.Helper()
	text, err := s.key.VerifierKey(s.origin)
	if err != nil {
		s.t.Fatal(err)
	}
	return text
}

// file writes a file and returns its path.
func (s *sealed) file(name string, data []byte) string {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		s.t.Fatal(err)
	}
	return path
}

func TestVerifyHoldsAgainstTheLedgerWhatLiesOutside(t *testing.T) {
	s := openSealed(t)
	policy := s.file("audit.policy", []byte("log "+s.verifier()+"\nquorum none\n"))
	pin := s.file("pin.cp", s.sign(1, s.root))
	other := s.file("other.cp", s.sign(1, chain.EmptyRoot))
	later := s.file("later.cp", s.sign(9, chain.EmptyRoot))
	empty := s.file("empty.cp", s.sign(0, chain.EmptyRoot))
	state := s.file("state.json", []byte(`{"ledgers":{"`+s.id.String()+`":{"size":4,"root":"`+s.root.String()+`","head":"`+s.root.String()+`"}}}`))
	for name, c := range map[string]struct {
		args []string
		code int
		want string
	}{
		"a policy":                  {[]string{"--policy", policy}, exitFine, "keys     as the policy names them"},
		"no policy":                 {nil, exitTampered, "CHECKPOINT_UNKNOWN_KEY"},
		"the newest alone":          {[]string{"--policy", policy, "--level", "0"}, exitFine, "VERIFIED as far as level 0 goes: the newest checkpoint of ledger main is signed"},
		"a pin":                     {[]string{"--policy", policy, "--since", pin, "--level", "1"}, exitFine, "append-only  since your pin of size 1"},
		"what follows a pin":        {[]string{"--policy", policy, "--since", pin, "--level", "2"}, exitFine, "continues unbroken from the pinned checkpoint of size 1"},
		"a pin of another":          {[]string{"--policy", policy, "--since", other}, exitTampered, "PIN_INCONSISTENT"},
		"a pin beyond":              {[]string{"--policy", policy, "--since", later}, exitTampered, "LOG_ROLLBACK"},
		"an empty pin":              {[]string{"--policy", policy, "--since", empty}, exitTampered, "REJECT_EMPTY_BASELINE"},
		"an archived one":           {[]string{"--policy", policy, "--checkpoint", pin}, exitFine, "checkpoint pin.cp of size 1: extended"},
		"a fork":                    {[]string{"--policy", policy, "--checkpoint", pin, "--checkpoint", other}, exitTampered, "FORK_PROVEN"},
		"the signer's state":        {[]string{"--policy", policy, "--signer-state", state}, exitTampered, "LOG_ROLLBACK"},
		"an age that nobody signed": {[]string{"--policy", policy, "--fresh", "1h"}, exitFine, "only the cosignature of a witness bears a signed time"},
		"a stale checkpoint":        {[]string{"--policy", policy, "--fresh", "1ns"}, exitFine, "CHECKPOINT_STALE"},
		"a receipt that is not":     {[]string{"--policy", policy, "--receipt", pin}, exitIncomplete, "receipt pin.cp, which is no evidence"},
	} {
		code, out, errors := command(t, append([]string{"verify", "--database-url", s.url}, c.args...)...)
		if code != c.code || !strings.Contains(out, c.want) || errors != "" {
			t.Errorf("%s: exit code %d, want %d and %q:\n%s%s", name, code, c.code, c.want, out, errors)
		}
	}
}

func TestVerifyRefusesFlagsThatContradictEachOther(t *testing.T) {
	s := openSealed(t)
	pin, none := s.file("pin.cp", s.sign(1, s.root)), s.file("none", []byte("x"))
	foreign := s.file("foreign.cp", func() []byte {
		signed, err := s.key.Sign(chain.Checkpoint{Origin: "elsewhere.test/x", Size: 1})
		if err != nil {
			t.Fatal(err)
		}
		return signed
	}())
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"a level beyond":          {[]string{"--level", "6"}, "there are levels 0 to 5"},
		"a receipt too early":     {[]string{"--level", "3", "--receipt", pin}, "--receipt, --checkpoint and --signer-state are of level 5"},
		"a pin too early":         {[]string{"--level", "0", "--since", pin}, "from level 1 on"},
		"a pin for all":           {[]string{"--all", "--since", pin}, "name it with --ledger"},
		"a pin that is none":      {[]string{"--since", none}, "reading the pinned checkpoint none"},
		"a pin of another ledger": {[]string{"--since", foreign}, "it is of elsewhere.test/x"},
		"a policy that is none":   {[]string{"--policy", none}, "not a policy"},
		"a negative age":          {[]string{"--fresh=-1s"}, "--fresh"},
		"a key for a ledger":      {[]string{"--key", s.verifier()}, "it is for --compare"},
		"comparing with more":     {[]string{"--compare", pin, pin, "--key", s.verifier(), "--level", "1"}, "and nothing else"},
		"comparing two ledgers":   {[]string{"--compare", pin, foreign, "--key", s.verifier()}, "they are of two ledgers"},
		"comparing what is none":  {[]string{"--compare", pin, none, "--key", s.verifier()}, "reading none"},
	} {
		args := append([]string{"verify"}, c.args...)
		if !strings.HasPrefix(name, "comparing") {
			args = append(args, "--database-url", s.url)
		}
		code, out, errors := command(t, args...)
		if code != exitUsage || out != "" || !strings.Contains(errors, c.want) {
			t.Errorf("%s: exit code %d, want %q: %s%s", name, code, c.want, out, errors)
		}
	}
}

// Two auditors who were given different checkpoints need nothing but these.
func TestTwoCheckpointsAreComparedWithoutADatabase(t *testing.T) {
	s := openSealed(t)
	a, b, later := s.file("a.cp", s.sign(1, s.root)), s.file("b.cp", s.sign(1, chain.EmptyRoot)), s.file("later.cp", s.sign(2, s.root))
	edited := s.file("edited.cp", []byte(strings.Replace(string(s.sign(1, s.root)), "\n1\n", "\n2\n", 1)))
	for name, c := range map[string]struct {
		a, b string
		code int
		want string
	}{
		"the same":      {a, a, exitFine, "VERIFIED: a.cp and a.cp say the same, 1 entries"},
		"a fork":        {a, b, exitTampered, "FORK_PROVEN"},
		"another size":  {a, later, exitIncomplete, "two sizes take the ledger itself"},
		"an edited one": {a, edited, exitTampered, "CHECKPOINT_BAD_SIGNATURE"},
	} {
		code, out, errors := command(t, "verify", "--compare", c.a, c.b, "--key", s.verifier())
		if code != c.code || !strings.Contains(out, c.want) || errors != "" {
			t.Errorf("%s: exit code %d, want %d and %q:\n%s%s", name, code, c.code, c.want, out, errors)
		}
	}
	_, out, _ := command(t, "verify", "--compare", a, b, "--key", s.verifier())
	for _, path := range []string{a, b} {
		note, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(strings.TrimSpace(string(note))) {
			if !strings.Contains(out, strings.TrimSpace(line)) {
				t.Errorf("the report does not have %q of %s:\n%s", line, path, out)
			}
		}
	}
	code, out, _ := command(t, "verify", "--compare", a, b, "--key", s.verifier(), "--json")
	var report reconcile.Report
	if err := json.Unmarshal([]byte(out), &report); err != nil || code != exitTampered || report.Findings[0].Code != reconcile.ForkProven {
		t.Errorf("exit code %d, %s, %v", code, out, err)
	}
}

func TestThePageStandsOnItsOwn(t *testing.T) {
	s := openSealed(t)
	openBook(t, s.url, "second")
	tamper(t, s.url, "update book.ledgers set name = '<script>' where name = 'second'")
	policy := s.file("audit.policy", []byte("log "+s.verifier()+"\nquorum none\n"))
	path := filepath.Join(s.dir, "report.html")
	code, _, errors := command(t, "verify", "--database-url", s.url, "--policy", policy, "--all", "--html", path)
	if code != exitTampered || errors != "" {
		t.Fatalf("exit code %d: %s", code, errors)
	}
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"VERIFIED: ledger main holds", "as the policy names them", "TAMPERED: 1 finding in ledger &lt;script&gt;"} {
		if !strings.Contains(string(page), want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	if found := regexp.MustCompile(`(?i)<script|<link|<img|url\(|@import|https?:`).FindString(string(page)); found != "" {
		t.Errorf("the page has %q", found)
	}
	if code, _, errors := command(t, "verify", "--database-url", s.url, "--policy", policy, "--html", filepath.Join(s.dir, "no", "x.html")); code != exitUsage || !strings.Contains(errors, "writing the page") {
		t.Errorf("a folder that is not there: exit code %d, %s", code, errors)
	}
}

// A ledger that was renamed by hand is found by the name that its first entry bears.
func TestARenamedLedgerIsVerified(t *testing.T) {
	s := openSealed(t)
	tamper(t, s.url, "update book.ledgers set name = E'm\x1b[2Jine' where name = 'main'")
	for _, more := range [][]string{nil, {"--since", s.file("pin.cp", s.sign(1, s.root))}, {"--all"}} {
		code, out, errors := command(t, append([]string{"verify", "--database-url", s.url}, more...)...)
		if code != exitTampered || !strings.Contains(out, "entry 0  ENTRY_HASH_MISMATCH") || len(more) < 1 && !strings.Contains(errors, "verified instead") {
			t.Errorf("%v: exit code %d, %s%s", more, code, out, errors)
		}
		if strings.Contains(out+errors, "\x1b") || !strings.Contains(out, `ledger m\x1b[2Jine`) {
			t.Errorf("%v: what is shown moves the cursor: %q %q", more, out, errors)
		}
	}
}

func TestALedgerThatVanishedIsMissed(t *testing.T) {
	s := openSealed(t)
	openBook(t, s.url, "second")
	tamper(t, s.url, "insert into book.super_log select 0, ledger_id, 'tallystick.test/' || ledger_id::text, 1, entry_hash, now(), entry_hash from book.entries where ledger_id = '"+s.id.String()+"'")
	policy := s.file("audit.policy", []byte("log "+s.verifier()+"\nquorum none\n"))
	for _, table := range []string{"ops.heads", "book.checkpoints", "book.entries", "ops.payloads", "book.ledgers"} {
		tamper(t, s.url, "delete from "+table+" where ledger_id = '"+s.id.String()+"'")
	}
	code, out, errors := command(t, "verify", "--database-url", s.url, "--policy", policy)
	if note := `looking for ledger "main": unknown ledger; verified instead: the ledgers that had this name or lost theirs`; code != exitTampered || !strings.Contains(errors, note) || strings.Count(out, "  LEDGER_MISSING  ") != 1 {
		t.Errorf("by its name: exit code %d, %s%s", code, out, errors)
	}
	for _, args := range [][]string{{"--ledger", s.id.String()}, {"--ledger", "second"}, {"--all"}} {
		code, out, errors = command(t, append([]string{"verify", "--database-url", s.url}, args...)...)
		if code != exitTampered || strings.Count(out, "  LEDGER_MISSING  ") != 1 || errors != "" {
			t.Errorf("%v: exit code %d, %s%s", args, code, out, errors)
		}
	}
	pin := s.file("pin.cp", s.sign(1, s.root))
	tamper(t, s.url, "delete from book.super_log")
	code, out, errors = command(t, "verify", "--database-url", s.url)
	if code != exitUsage || out != "" || !strings.Contains(errors, "hint: the ledgers of this database are second") {
		t.Errorf("without a trace: exit code %d, %s%s", code, out, errors)
	}
	for _, ledger := range []string{"main", s.id.String()} {
		code, out, errors = command(t, "verify", "--database-url", s.url, "--ledger", ledger, "--since", pin)
		if code != exitTampered || strings.Count(out, "  LEDGER_MISSING  ") != 1 || !strings.Contains(errors, "unknown ledger") {
			t.Errorf("%s, with a pin: exit code %d, %s%s", ledger, code, out, errors)
		}
	}
}
