package main

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"

	"tallystick/ledger"
	"tallystick/ledger/chain"
	"tallystick/ledger/signer"
	"tallystick/ledger/store"
	"tallystick/ledger/store/storetest"
	"tallystick/reconcile"
)

// controlVariable is how many operations the control does instead of
// shortControl: make control does 100,000.
const (
	controlVariable = "CONTROL"
	shortControl    = 2000
)

// control is a ledger in honest use: everything happens to it that a verifier
// must not take for an attack.
type control struct {
	t      *testing.T
	url    string
	db     *store.DB
	random *rand.Rand

	info     store.LedgerInfo
	posting  *ledger.Sequencers
	signer   *signer.Signer
	state    signer.State
	key      chain.SigningKey
	ids      int64
	sent     []ledger.Request // accepted ones, to be sent again
	holds    []ledger.RequestID
	booked   []ledger.RequestID // that can be reversed
	texts    []ledger.RequestID // of entries with text
	answers  map[string]int
	accounts int
}

func newControl(t *testing.T, url string) *control {
	t.Helper()
	c := &control{t: t, url: url, random: rand.New(rand.NewPCG(1, 2)), answers: map[string]int{}}
	c.db = c.open(store.RoleApp)
	var err error
	if c.info, err = openLedger(t.Context(), c.db, ledger.OpenLedger{Host: "control.test", Name: "main", TimeZone: "Europe/Zurich",
		BaseCurrency: "EUR", ValueDaysBack: 10, ValueDaysAhead: 10}); err != nil {
		t.Fatal(err)
	}
	c.reconnect()
	t.Cleanup(func() { c.posting.Stop() })
	c.state = signer.State{Version: 1, Holder: c.info.ID.UUID}
	c.rotate("first")
	return c
}

func (c *control) open(role store.Role) *store.DB {
	c.t.Helper()
	db, err := store.Open(c.t.Context(), c.url, role, 4)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(db.Close)
	return db
}

// reconnect goes on with another process, which knows nothing.
func (c *control) reconnect() {
	if c.posting != nil {
		c.posting.Stop()
	}
	journal := c.db.Journal()
	c.posting = ledger.NewSequencers(c.t.Context(), journal, journal.ClockOffset)
}

// disconnect ends all connections of the database but one, in the middle of
// whatever they do.
func (c *control) disconnect() {
	conn, err := pgx.Connect(c.t.Context(), c.url)
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = conn.Close(c.t.Context()) }()
	if conn.PgConn().ParameterStatus("crdb_version") != "" {
		c.reconnect()
		return
	}
	if _, err := conn.Exec(c.t.Context(), `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()`); err != nil {
		c.t.Fatal(err)
	}
}

// rotate goes on signing with another key. The old one is retired once the new
// one has signed.
func (c *control) rotate(name string) {
	c.t.Helper()
	seed := sha256.Sum256([]byte(name))
	next, err := chain.NewSigningKey(seed[:])
	if err != nil {
		c.t.Fatal(err)
	}
	old, rotated := c.key, c.signer != nil
	c.key = next
	announcing := &signing{poster: c.posting, actor: ledger.KeyID{UUID: c.info.ID.UUID}, db: c.db}
	c.signer, err = signer.New(signer.Config{
		Database: signerDatabase(c.open(store.RoleSigner), store.SignedApart), Key: next, State: c.state, Host: "control.test",
		Save:     func(s signer.State) error { c.state = s; return nil },
		Announce: announcing.announce, Logf: c.t.Logf, Alarmf: c.t.Logf,
	})
	if err != nil {
		c.t.Fatal(err)
	}
	c.sign()
	if !rotated {
		return
	}
	text, err := old.VerifierKey(c.info.Terms.Origin)
	if err != nil {
		c.t.Fatal(err)
	}
	parsed, err := chain.ParseLogKey(text)
	if err != nil {
		c.t.Fatal(err)
	}
	c.submit([]ledger.Request{&ledger.ChangeKey{Common: c.common(), Action: chain.KeyRetire, Role: chain.RoleSigner, Key: parsed.ID()}})
}

// sign lets the signer catch up, over lost connections.
func (c *control) sign() {
	c.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		r, err := c.signer.Round(c.t.Context())
		if r.Refused > 0 || r.Unchecked > 0 || r.Standby || time.Now().After(deadline) {
			c.t.Fatalf("signing: %+v, %v", r, err)
		}
		if err == nil && !r.Backlog && r.Failed == 0 {
			return
		}
	}
}

func (c *control) common() ledger.Common {
	c.ids++
	id := ledger.DeriveRequestID(c.info.ID, "control", strconv.FormatInt(c.ids, 10))
	common := ledger.Common{ID: id, Actor: ledger.KeyID{UUID: c.info.ID.UUID}}
	copy(common.Salt[:], id.UUID[:])
	return common
}

// submit sends requests until each has an answer, and remembers what can be
// acted on.
func (c *control) submit(requests []ledger.Request) {
	c.t.Helper()
	deadline := time.Now().Add(time.Minute)
	for len(requests) > 0 {
		var unanswered []ledger.Request
		for i, r := range c.posting.SubmitAll(c.t.Context(), c.info.ID, requests) {
			switch {
			case r.Err != nil:
				unanswered = append(unanswered, requests[i])
				c.answers["no answer"]++
				if time.Now().After(deadline) {
					c.t.Fatalf("no answer: %v", r.Err)
				}
			case r.Refusal != nil:
				c.answers[string(r.Refusal.Code)]++
			case r.Replayed:
				c.answers["replayed"]++
			case r.Unchanged:
				c.answers["unchanged"]++
			default:
				c.accepted(requests[i])
			}
		}
		requests = unanswered
	}
}

func (c *control) accepted(r ledger.Request) {
	c.answers[fmt.Sprintf("%T", r)]++
	c.sent = append(c.sent, r)
	switch r := r.(type) {
	case *ledger.TransferRequest:
		if r.Hold {
			c.holds = append(c.holds, r.ID)
		} else {
			c.booked = append(c.booked, r.ID)
		}
		if r.Description != nil {
			c.texts = append(c.texts, r.ID)
		}
	case *ledger.CaptureHold:
		c.booked = append(c.booked, r.ID)
	case *ledger.OpenAccount:
		c.accounts++
	}
}

// draw makes up a request. Many are refused: limits, freezes, holds that are
// settled and transfers that are reversed already.
func (c *control) draw() ledger.Request {
	common := c.common()
	account := func() string { return fmt.Sprintf("customers:%d", c.random.IntN(max(c.accounts-1, 1))) }
	some := func(ids []ledger.RequestID) ledger.RequestID {
		if len(ids) == 0 {
			return common.ID
		}
		return ids[len(ids)-1-c.random.IntN(min(len(ids), 200))]
	}
	amount := decimal.New(int64(1+c.random.IntN(500)), -2)
	switch n := c.random.IntN(100); {
	case n < 2 || c.accounts < 3:
		zero := decimal.Zero
		code := fmt.Sprintf("customers:%d", c.accounts)
		return &ledger.OpenAccount{Common: common, AccountID: ledger.AccountID{UUID: common.ID.UUID}, Code: code, Type: chain.Liability, Currency: "EUR", MinBalance: &zero, Name: &code}
	case n < 55:
		debit, credit := "bank", account()
		if n >= 30 {
			debit = account()
		}
		t := &ledger.TransferRequest{Common: common, Hold: n%5 == 0, Legs: []ledger.Leg{
			{Account: debit, Direction: chain.Debit, Amount: amount}, {Account: credit, Direction: chain.Credit, Amount: amount}}}
		if n%3 == 0 {
			text, metadata := fmt.Sprintf("for %s", credit), fmt.Sprintf(`{"order":"%d"}`, c.random.IntN(50))
			t.Description, t.Metadata = &text, &metadata
		}
		return t
	case n < 63:
		return &ledger.CaptureHold{Common: common, Hold: some(c.holds)}
	case n < 69:
		return &ledger.ReleaseHold{Common: common, Hold: some(c.holds)}
	case n < 75:
		return &ledger.ReverseTransfer{Common: common, Target: some(c.booked)}
	case n < 78:
		frozen := chain.Frozen(c.random.IntN(4) % 3)
		return &ledger.ChangeAccount{Common: common, Code: account(), Keyed: true, Frozen: &frozen}
	case n < 80:
		return &ledger.EraseText{Common: common, Target: some(c.texts), Basis: "gdpr_17"}
	case len(c.sent) > 0:
		return c.sent[c.random.IntN(len(c.sent))] // sent again
	}
	return &ledger.ChangeAccount{Common: common, Code: "bank", Keyed: true}
}

// erase deletes the texts whose erasure is on record, as a server does after
// each.
func (c *control) erase() {
	c.t.Helper()
	conn, err := pgx.Connect(c.t.Context(), c.url)
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = conn.Close(c.t.Context()) }()
	rows, err := conn.Query(c.t.Context(), "select ref_seq from book.entries where ledger_id = $1 and kind = 'erasure'", c.info.ID.UUID)
	if err != nil {
		c.t.Fatal(err)
	}
	seqs, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		c.t.Fatal(err)
	}
	if err := c.open(store.RoleEraser).EraseTexts(c.t.Context(), c.info.ID, seqs); err != nil {
		c.t.Fatal(err)
	}
	c.answers["erased"] = len(seqs)
}

// TestHonestUseGivesNoFindings is the negative control of the attack table:
// thousands of mixed operations, with retries, replays, lost connections,
// erasures, keys that change and a tree whose last nodes are incomplete.
func TestHonestUseGivesNoFindings(t *testing.T) {
	t.Parallel()
	operations := shortControl
	if s := os.Getenv(controlVariable); s != "" {
		var err error
		if operations, err = strconv.Atoi(s); err != nil {
			t.Fatalf("%s=%s: %v", controlVariable, s, err)
		}
	}
	storetest.Each(t, func(t *testing.T, url string) {
		c := newControl(t, url)
		c.submit([]ledger.Request{&ledger.OpenAccount{Common: c.common(), AccountID: ledger.AccountID{UUID: c.info.ID.UUID}, Code: "bank", Type: chain.Asset, Currency: "EUR"}})
		var pin []byte
		for done := 0; done < operations; {
			requests := make([]ledger.Request, min(1+c.random.IntN(150), operations-done))
			for i := range requests {
				requests[i] = c.draw()
			}
			switch c.random.IntN(8) {
			case 0:
				c.reconnect()
			case 1:
				c.disconnect()
			}
			c.submit(requests)
			if c.random.IntN(2) == 0 {
				c.sign()
			}
			if before := done; before < operations/2 && done+len(requests) >= operations/2 {
				c.rotate("second")
				pin = []byte(c.state.Ledgers[c.info.ID.UUID].Note)
			}
			done += len(requests)
		}
		c.sign()
		c.submit([]ledger.Request{&ledger.ChangeAccount{Common: c.common(), Code: "bank", Keyed: true}}) // under no checkpoint yet
		c.erase()
		c.verify(pin)
		t.Logf("%d operations: %v", operations, c.answers)
		for _, want := range []string{"*ledger.TransferRequest", "*ledger.CaptureHold", "*ledger.ReleaseHold", "*ledger.ReverseTransfer", "*ledger.EraseText",
			"*ledger.ChangeAccount", "*ledger.ChangeKey", "replayed", "erased", string(ledger.CodeLimitExceeded), string(ledger.CodeAlreadyReversed)} {
			if c.answers[want] == 0 {
				t.Errorf("no operation was answered %s", want)
			}
		}
	})
}

// verify goes to the highest level with everything that an auditor can have.
func (c *control) verify(pin []byte) {
	c.t.Helper()
	files := c.t.TempDir()
	path := filepath.Join(files, "state.json")
	held, err := signer.OpenFiles(path)
	if err != nil {
		c.t.Fatal(err)
	}
	defer held.Close()
	if err := held.Save(c.state); err != nil {
		c.t.Fatal(err)
	}
	state, err := os.ReadFile(path)
	if err != nil {
		c.t.Fatal(err)
	}
	report, err := reconcile.Verify(c.t.Context(), c.open(store.RoleAuditor), c.info.ID.UUID, reconcile.Options{
		Level: reconcile.LevelEvidence, Workers: 2, Since: &reconcile.Document{Name: "pin.cp", Data: pin},
		SignerState: &reconcile.Document{Name: "state.json", Data: state}, Others: true, SuperLog: true, Stored: true,
	})
	if err != nil {
		c.t.Fatal(err)
	}
	var other []chain.Finding
	for _, f := range report.Findings {
		if f.Code != reconcile.PayloadErased {
			other = append(other, f)
		}
	}
	s := report.Scope
	if report.Status != reconcile.Verified || len(other) > 0 || s.Signing == nil || s.Signing.Unsealed != 1 || s.Pin == nil || !s.Pin.Holds || len(s.Outside) != 1 {
		c.t.Fatalf("%s: %+v, %v, %+v, %+v, %v", report.Status, other, report.NotChecked, s.Signing, s.Pin, s.Outside)
	}
	c.t.Logf("%d entries, %d checkpoints, %d nodes, %d texts erased", report.Size, s.Signing.Checkpoints, s.Signing.Nodes, len(report.Findings))
}
