package reconcile_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"tallystick/ledger/chain"
	"tallystick/ledger/store/storetest"
	"tallystick/reconcile"
)

// write returns the report for people, as if it had taken always as long.
func write(t *testing.T, report reconcile.Report) []byte {
	t.Helper()
	report.Scope.Elapsed, report.EntriesPerSecond = 1234567*time.Microsecond, 16
	var text bytes.Buffer
	if err := report.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	return text.Bytes()
}

// What a report says of signatures: each golden file is what verify prints.
func TestReportsOnSignaturesReadAsAgreed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		file   string
		commit func(c *crime)
	}{
		{"sealed", func(*crime) {}},
		{"sealed-policy", func(c *crime) {
			c.witness(2, "", 298)
			c.opts.Since = document("pin.cp", c.b.sign(c.t, c.key, 256))
			c.opts.SignerState, c.opts.Level = c.state(c.b, 298), reconcile.LevelEvidence
			c.opts.Receipts = []reconcile.Document{*document("r.tlog-proof", c.b.receipt(c.t, c.key, c.held, 298))}
		}},
		{"level-0", func(c *crime) { c.opts.Level = reconcile.LevelHead }},
		{"level-1", func(c *crime) {
			c.opts.Level, c.opts.Since = reconcile.LevelPin, document("pin.cp", c.b.sign(c.t, c.key, 256))
		}},
		{"level-2", func(c *crime) {
			c.opts.Level, c.opts.Since = reconcile.LevelChain, document("pin.cp", c.b.sign(c.t, c.key, 270))
		}},
		{"level-3", func(c *crime) { c.opts.Level = reconcile.LevelColumns }},
		{"unsigned", func(c *crime) {
			c.opts.Level = reconcile.LevelHead
			c.do("delete from ops.heads", "delete from book.checkpoints")
		}},
		{"removed", func(c *crime) {
			c.do("delete from ops.heads", "delete from book.checkpoints", "delete from book.tiles")
		}},
		{"forged", (*crime).forge},
		{"edited", func(c *crime) { c.do("update book.entries set actor = request_id where seq in (120, 299)") }},
		{"truncated", func(c *crime) { c.truncate(250) }},
		{"fork", func(c *crime) {
			c.opts.Archived, c.opts.Level = []reconcile.Document{*document("old.cp", c.b.sign(c.t, c.key, 270))}, reconcile.LevelEvidence
			c.forge()
			c.resign()
		}},
		{"weakened", func(c *crime) { c.do("grant update, delete on book.entries to tallystick_app") }},
		{"unreadable", func(c *crime) { c.do("revoke select on book.entries from tallystick_auditor") }},
	} {
		t.Run(c.file, func(t *testing.T) {
			t.Parallel()
			url := storetest.Database(t)
			scene := &crime{t: t, conn: connect(t, url), key: signingKey(t, "signer")}
			scene.b, scene.held = sealedBook(t, scene.key, 1)
			scene.b.write(t, scene.conn)
			scene.b.seal(t, scene.conn, scene.key, sealedSizes...)
			c.commit(scene)
			report := verifyWith(t, url, scene.b.ledger, scene.opts)
			golden(t, "signed-"+c.file+".golden", write(t, report))
			if c.file != "fork" {
				return
			}
			report.Scope.Elapsed, report.EntriesPerSecond = 1234567*time.Microsecond, 16
			var page bytes.Buffer
			if err := reconcile.WriteHTML(&page, []reconcile.Report{report}); err != nil {
				t.Fatal(err)
			}
			golden(t, "signed-fork.html.golden", page.Bytes())
		})
	}
}

// What a report says where there is no ledger.
func TestReportsOnWhatIsLeftReadAsAgreed(t *testing.T) {
	t.Parallel()
	const forbidden = "revoke select on book.ledgers from tallystick_auditor"
	for _, c := range []struct {
		file, name string
		commit     func(c *superCrime)
	}{
		{"tampered", "main", (*superCrime).vanish},
		{"tampered-any", "", (*superCrime).vanish},
		{"incomplete", "main", func(c *superCrime) {
			c.opts.Archived, c.opts.Level = []reconcile.Document{*document("a.cp", c.b.sign(c.t, c.key, 256))}, reconcile.LevelEvidence
			c.vanish()
			c.eraseSuperLog()
		}},
		{"unlisted", "main", func(c *superCrime) { c.do(forbidden) }},
		{"unlisted-any", "", func(c *superCrime) { c.do(forbidden) }},
		{"unlisted-tampered", "main", func(c *superCrime) { c.do(forbidden, "delete from book.super_log where position = 40") }},
	} {
		t.Run(c.file, func(t *testing.T) {
			t.Parallel()
			url := storetest.Database(t)
			scene := newSuperCrime(t, url)
			c.commit(scene)
			db := auditor(t, url, 2)
			var why error
			if strings.HasPrefix(c.file, "unlisted") {
				_, why = reconcile.Ledgers(t.Context(), db)
			}
			report, err := reconcile.VerifyRemains(t.Context(), db, c.name, scene.opts, why)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, "gone-"+c.file+".golden", write(t, report))
			if c.file == "tampered-any" {
				var page bytes.Buffer
				if err := reconcile.WriteHTML(&page, []reconcile.Report{report}); err != nil {
					t.Fatal(err)
				}
				golden(t, "gone-tampered-any.html.golden", page.Bytes())
			}
		})
	}
}

// Every finding, in its order of precedence, with the words it is reported in.
func TestFindingsReadAsAgreed(t *testing.T) {
	t.Parallel()
	report := reconcile.Report{Status: reconcile.Tampered, Ledger: "main", FindingsTotal: int64(len(reconcile.Checks))}
	report.Scope.LastBreak = -1
	for i, c := range reconcile.Checks {
		seq, stored, recomputed := int64(i), "what stands", "what should"
		report.Findings = append(report.Findings, chain.Finding{Code: c.Code, Severity: c.Severity, Seq: &seq, Stored: &stored, Recomputed: &recomputed, NextStep: c.NextStep})
	}
	golden(t, "findings.golden", write(t, report))
}

// What is compared is written in words of its own.
func TestComparisonsReadAsAgreed(t *testing.T) {
	t.Parallel()
	key := signingKey(t, "signer")
	honest, _ := sealedBook(t, key, 1)
	forged, _ := sealedBook(t, key, 2)
	for file, notes := range map[string][2][]byte{
		"same":  {honest.sign(t, key, 280), honest.sign(t, key, 280)},
		"fork":  {honest.sign(t, key, 280), forged.sign(t, key, 280)},
		"sizes": {honest.sign(t, key, 256), honest.sign(t, key, 280)},
		"empty": {honest.sign(t, key, 0), honest.sign(t, key, 280)},

		"unsigned-fork": {honest.sign(t, key, 280), forged.sign(t, key, 280)},
		"unsigned-same": {honest.sign(t, key, 280), honest.sign(t, key, 280)},
	} {
		keys := []chain.VerifierKey{verifierKey(t, key, honest.terms.Origin)}
		if strings.HasPrefix(file, "unsigned-") {
			keys = nil
		}
		report, err := reconcile.Compare(*document("a.cp", notes[0]), *document("b.cp", notes[1]), keys)
		if err != nil {
			t.Fatal(err)
		}
		golden(t, fmt.Sprintf("compare-%s.golden", file), write(t, report))
	}
}
