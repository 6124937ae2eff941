package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"

	"tallystick/ledger"
	"tallystick/ledger/chain"
	"tallystick/ledger/store"
	"tallystick/reconcile"
)

// told posts a transfer with text and returns it.
func (b *holdBook) told(t *testing.T, about string) *ledger.TransferRequest {
	t.Helper()
	one, reference, metadata := decimal.NewFromInt(1), about+" reference", `{"who":"`+about+`"}`
	r := &ledger.TransferRequest{Common: b.common(t), Legs: []ledger.Leg{
		{Account: "bank", Direction: chain.Debit, Amount: one}, {Account: "retained", Direction: chain.Credit, Amount: one},
	}}
	r.Description, r.Reference, r.Metadata = &about, &reference, &metadata
	b.ask(t, r)
	return r
}

func TestTextIsErased(t *testing.T) {
	b := servePeriods(t, store.ScopeAdmin)
	id, err := ledger.NewAccountID()
	if err != nil {
		t.Fatal(err)
	}
	name := "Nadja Unlikely"
	b.ask(t, &ledger.OpenAccount{Common: b.common(t), AccountID: id, Code: "nadja", Type: chain.Liability, Currency: "EUR", Name: &name})
	frozen := chain.FrozenDebits
	b.ask(t, &ledger.ChangeAccount{Common: b.common(t), Code: "nadja", Frozen: &frozen})
	gone, stays := b.told(t, "Ottokar Improbable"), b.told(t, "Piotr Whoever")
	if texts := dump(t, b); texts != nil && !bytes.Contains(texts, []byte("Ottokar")) {
		t.Fatal("the dump does not even have what is not erased")
	}
	erase := func(args ...string) string {
		t.Helper()
		code, out, told := command(t, append([]string{"erase", "--ledger", "book", "--basis", "gdpr_17"}, args...)...)
		if code != exitFine {
			t.Fatalf("%q: exit code %d, %s%s", args, code, out, told)
		}
		return out
	}
	if out := erase("--transfer", gone.ID.String(), "--dry-run"); !strings.Contains(out, "would be erased; nothing was changed") {
		t.Errorf("dry run: %s", out)
	}
	if out := erase("--transfer", gone.ID.String(), "--case", "DPO 9"); !strings.Contains(out, "of ledger book is erased") {
		t.Errorf("erasing: %s", out)
	}
	erase("--transfer", gone.ID.String()) // again
	var answer struct{ Seqs []int64 }
	if err := json.Unmarshal([]byte(erase("--account", "nadja", "--json")), &answer); err != nil || len(answer.Seqs) != 2 {
		t.Errorf("erasing a name: %+v, %v", answer, err)
	}
	if texts := dump(t, b); texts != nil {
		for what, text := range map[string]string{
			"the text": "Ottokar", "the name": "Unlikely", "its salt": hex.EncodeToString(gone.Salt[:]),
		} {
			if bytes.Contains(texts, []byte(text)) {
				t.Errorf("%s is still in a dump of the database", what)
			}
		}
		if !bytes.Contains(texts, []byte("Piotr Whoever")) || !bytes.Contains(texts, []byte(hex.EncodeToString(stays.Salt[:]))) {
			t.Error("what was not to be erased is not in a dump")
		}
	}
	b.holds(t)
}

// holds verifies the book and requires that its texts were erased on record.
func (b *holdBook) holds(t *testing.T) {
	t.Helper()
	auditor, err := store.Open(t.Context(), b.url, store.RoleAuditor, 2)
	if err != nil {
		t.Fatal(err)
	}
	defer auditor.Close()
	report, err := reconcile.Verify(t.Context(), auditor, b.id.UUID, reconcile.Options{Workers: 1})
	if err != nil || report.Status != reconcile.Verified || len(report.Findings) == 0 {
		t.Fatalf("the book is %s: %v, %v", report.Status, report.Findings, err)
	}
	for _, f := range report.Findings {
		if f.Code != reconcile.PayloadErased || f.Severity != chain.Info {
			t.Errorf("found %+v", f)
		}
	}
}

// dump returns what pg_dump writes of the data, nil where there is none: it
// stands beside the binaries of PostgreSQL.
func dump(t *testing.T, b *holdBook) []byte {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), b.url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	if conn.PgConn().ParameterStatus("crdb_version") != "" {
		return nil
	}
	var version string
	if err := conn.QueryRow(t.Context(), `select current_setting('server_version_num')`).Scan(&version); err != nil {
		t.Fatal(err)
	}
	major := version[:2]
	binary := filepath.Join("/usr/lib/postgresql", major, "bin", "pg_dump")
	if _, err := os.Stat(binary); err != nil {
		if binary, err = exec.LookPath("pg_dump"); err != nil {
			t.Log("there is no pg_dump here")
			return nil
		}
	}
	out, err := exec.CommandContext(t.Context(), binary, "--data-only", "--dbname", b.url).Output()
	if err != nil {
		t.Fatalf("running %s: %v", binary, err)
	}
	return out
}

func TestErasingSaysWhatIsWrong(t *testing.T) {
	b := servePeriods(t, store.ScopeAdmin)
	told := b.told(t, "Ottokar Improbable")
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"nothing to erase":     {[]string{"--seq", "0", "--basis", "x"}, "nothing_to_erase"},
		"no such entry":        {[]string{"--seq", "99", "--basis", "x"}, "entry_not_found"},
		"no such transfer":     {[]string{"--transfer", uuid.NewString(), "--basis", "x"}, "transfer_not_found"},
		"no such account":      {[]string{"--account", "nobody", "--basis", "x"}, "account_not_found"},
		"a basis of two words": {[]string{"--transfer", told.ID.String(), "--basis", "GDPR 17"}, "value_invalid"},
		"a dry run of a name":  {[]string{"--account", "bank", "--basis", "x", "--dry-run"}, "reading --dry-run"},
		"an account unnamed":   {[]string{"--account", "bank", "--basis", "x"}, "nothing_to_erase"},
	} {
		code, out, said := command(t, append([]string{"erase", "--ledger", "book"}, c.args...)...)
		if code != exitUsage || out != "" || !strings.Contains(said, c.want) {
			t.Errorf("%s: exit code %d, %s%s", name, code, out, said)
		}
	}
	b.broken.Store(true)
	if code, _, said := command(t, "erase", "--ledger", "book", "--basis", "x", "--transfer", told.ID.String()); code != exitUsage || !strings.Contains(said, "hint: the server's log says why") {
		t.Errorf("an eraser that is broken: exit code %d, %s", code, said)
	}
	b.broken.Store(false)
	if code, _, said := command(t, "erase", "--ledger", "book", "--basis", "x", "--transfer", told.ID.String()); code != exitFine {
		t.Errorf("finishing: exit code %d, %s", code, said)
	}
	b.holds(t)
}

// What is on record is deleted by a server that starts, however the one that put it
// there ended, and what cannot be deleted keeps no other from it.
func TestErasuresAreFinished(t *testing.T) {
	b := servePeriods(t, store.ScopeAdmin)
	gone, stays, also := b.told(t, "Ottokar Improbable"), b.told(t, "Piotr Whoever"), b.told(t, "Quentin Nobody")
	b.broken.Store(true) // the server dies before the second step
	for _, r := range []*ledger.TransferRequest{gone, also} {
		if code, out, said := command(t, "erase", "--ledger", "book", "--basis", "x", "--transfer", r.ID.String()); code != exitUsage {
			t.Fatalf("exit code %d, %s%s", code, out, said)
		}
	}
	var logged strings.Builder
	f := &finisher{db: b.db, log: slog.New(slog.NewTextHandler(&logged, nil))}
	f.erase = func(context.Context, ledger.LedgerID, []int64) error { return errors.New("the eraser is broken") }
	if again := f.finish(t.Context()); again != erasuresRetry || !strings.Contains(logged.String(), "entries=2") || !strings.Contains(logged.String(), "the eraser is broken") {
		t.Errorf("an eraser that is broken: again in %s, %s", again, logged.String())
	}
	if left := b.texts(t); left != 3 {
		t.Errorf("%d texts are left, want 3", left)
	}
	ctx, stop := context.WithCancel(t.Context())
	f.erase = func(ctx context.Context, id ledger.LedgerID, seqs []int64) error {
		defer stop()
		return eraseTexts(b.url)(ctx, id, seqs)
	}
	f.keepFinishing(ctx) // the first look is at once
	if left := b.texts(t); left != 1 {
		t.Errorf("%d texts are left, want that of %s", left, stays.ID)
	}
	f.erase = func(_ context.Context, _ ledger.LedgerID, seqs []int64) error {
		return fmt.Errorf("erasing %d again", seqs)
	}
	if again := f.finish(t.Context()); again != erasuresInterval {
		t.Errorf("with nothing to do: again in %s, %s", again, logged.String())
	}
	b.holds(t)
}

// texts counts the transfers whose text is stored.
func (b *holdBook) texts(t *testing.T) (n int) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), b.url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	if err := conn.QueryRow(t.Context(), `select count(*) from ops.payloads where reference is not null`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}
