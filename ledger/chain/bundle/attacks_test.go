package bundle_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"tallystick/ledger/chain"
	"tallystick/ledger/chain/bundle"
	"tallystick/ledger/money"
)

const (
	firstMember = "entries/00000000"
	firstTexts  = "texts/00000000"
)

// attack damages a bundle. code and seq are of the first finding, which must be
// there; seq is −1 for the file as a whole.
type attack struct {
	name string
	make func(t *testing.T, b *book) []byte
	code string
	seq  int64
}

// edited changes the members of a good bundle; relisted writes the manifest anew.
func edited(relisted bool, change func(t *testing.T, all map[string][]byte)) func(*testing.T, *book) []byte {
	return func(t *testing.T, b *book) []byte {
		all := members(t, b.bundle(t))
		change(t, all)
		if relisted {
			relist(t, all)
		}
		return pack(t, all)
	}
}

// rewritten changes the ledger itself, hashes it again, and puts it under the
// checkpoint that was signed before, with a new manifest.
func rewritten(change func(b *book)) func(*testing.T, *book) []byte {
	return func(t *testing.T, b *book) []byte {
		good := members(t, b.bundle(t))
		change(b)
		all := members(t, b.bundle(t))
		for path, note := range good {
			if strings.HasPrefix(path, "checkpoints/") {
				all[path] = note
			}
		}
		relist(t, all)
		return pack(t, all)
	}
}

// booked is what the application itself wrote wrongly: it is signed.
func booked(change func(b *book)) func(*testing.T, *book) []byte {
	return func(t *testing.T, b *book) []byte {
		change(b)
		return b.bundle(t)
	}
}

func replace(path, old, new string) func(*testing.T, map[string][]byte) {
	return func(t *testing.T, all map[string][]byte) {
		if !bytes.Contains(all[path], []byte(old)) {
			t.Fatalf("%s has no %q", path, old)
		}
		all[path] = bytes.Replace(all[path], []byte(old), []byte(new), 1)
	}
}

// In a small book entry 5 is the first transfer, 25 a hold, 26 its capture, 27
// the commitment, and 31 the last of 32 entries.
var attacks = []attack{
	{"entry removed", edited(false, func(_ *testing.T, all map[string][]byte) {
		all[firstMember] = joinLeaves(slices.Delete(leavesOf(all[firstMember]), 9, 10))
	}), bundle.ManifestMismatch, 0},
	{"entry removed and the manifest written anew", edited(true, func(_ *testing.T, all map[string][]byte) {
		all[firstMember] = joinLeaves(slices.Delete(leavesOf(all[firstMember]), 9, 10))
	}), bundle.ManifestMismatch, 0},
	{"entry removed, and its texts", func(t *testing.T, b *book) []byte {
		all := members(t, b.bundle(t))
		all[firstMember] = joinLeaves(slices.Delete(leavesOf(all[firstMember]), 9, 10))
		relist(t, all)
		return pack(t, all)
	}, bundle.SeqGap, 9},
	{"last entry removed and the manifest written anew", edited(true, func(_ *testing.T, all map[string][]byte) {
		all[firstMember] = joinLeaves(leavesOf(all[firstMember])[:31])
	}), bundle.ManifestMismatch, -1},
	{"amount edited", edited(false, func(_ *testing.T, all map[string][]byte) {
		leavesOf(all[firstMember])[7][250] ^= 1
	}), bundle.ManifestMismatch, 0},
	{"entry edited and the rest hashed again", rewritten(func(b *book) {
		b.entries[9].Actor = id(3)
		b.reseal(10)
	}), bundle.CheckpointRootMismatch, 16},
	{"entry edited behind the older checkpoint and the rest hashed again", rewritten(func(b *book) {
		b.entries[20].Actor = id(3)
		b.reseal(21)
	}), bundle.CheckpointRootMismatch, 31},
	{"manifest edited", edited(false, replace("manifest", "from a test", "from a tent")), bundle.ManifestMismatch, -1},
	{"manifest of another size", edited(false, replace("manifest", "\nsize 32\n", "\nsize 31\n")), bundle.ManifestMismatch, -1},
	{"the balance commitment left out of the manifest", edited(true, func(t *testing.T, all map[string][]byte) {
		all["manifest"] = regexp.MustCompile(`commitment \d+ \d+\n`).ReplaceAll(all["manifest"], nil)
	}), bundle.ManifestMismatch, 27},
	{"manifest without an end", edited(false, func(_ *testing.T, all map[string][]byte) { all["manifest"] = all["manifest"][:100] }), bundle.ManifestMismatch, -1},
	{"file added", edited(false, func(_ *testing.T, all map[string][]byte) { all["extra"] = []byte("x") }), bundle.ManifestMismatch, -1},
	{"file removed", edited(false, func(_ *testing.T, all map[string][]byte) { delete(all, "schema") }), bundle.ManifestMismatch, -1},
	{"file edited", edited(false, replace("FORMAT.md", "format", "FORMAT")), bundle.ManifestMismatch, -1},
	{"member cut short", edited(false, func(_ *testing.T, all map[string][]byte) { all[firstMember] = all[firstMember][:1000] }), bundle.ManifestMismatch, -1},
	{"member cut short and the manifest written anew", edited(true, func(_ *testing.T, all map[string][]byte) { all[firstMember] = all[firstMember][:1000] }), bundle.ManifestMismatch, -1},
	{"entries removed whole", edited(true, func(_ *testing.T, all map[string][]byte) { delete(all, firstMember) }), bundle.ManifestMismatch, -1},
	{"checkpoint edited", edited(true, func(t *testing.T, all map[string][]byte) {
		all["checkpoints/32"] = bytes.Replace(all["checkpoints/32"], []byte("\n32\n"), []byte("\n31\n"), 1)
	}), bundle.ManifestMismatch, 31},
	{"root of the checkpoint edited", edited(true, func(t *testing.T, all map[string][]byte) {
		line := strings.Split(string(all["checkpoints/32"]), "\n")[2]
		all["checkpoints/32"] = bytes.Replace(all["checkpoints/32"], []byte(line), []byte("A"+line[1:]), 1)
	}), bundle.CheckpointBadSignature, 31},
	{"checkpoint that is none", edited(true, func(t *testing.T, all map[string][]byte) { all["checkpoints/32"] = []byte("signed, honestly\n") }), bundle.CheckpointBadSignature, 31},
	{"signed by another key", func(t *testing.T, b *book) []byte {
		other := bytes.Repeat([]byte{7}, 32)
		trusted := b.key
		b.key, _ = chain.NewSigningKey(other)
		all := members(t, b.bundle(t))
		b.key = trusted
		relist(t, all)
		return pack(t, all)
	}, bundle.CheckpointUnknownKey, 31},
	{"no checkpoint", edited(true, func(_ *testing.T, all map[string][]byte) { delete(all, "checkpoints/32") }), bundle.ManifestMismatch, -1},
	{"consistency proof edited", edited(true, func(_ *testing.T, all map[string][]byte) {
		lines := strings.SplitAfter(string(all["consistency/17-32"]), "\n")
		all["consistency/17-32"] = []byte(strings.Join(lines[1:], ""))
	}), bundle.ProofInvalid, 31},
	{"text edited", edited(true, replace(firstTexts, "Coffee beans, 3 kg", "Coffee beans, 9 kg")), bundle.CommitmentMismatch, 8},
	{"text edited and not listed", edited(false, replace(firstTexts, "Coffee beans, 3 kg", "Coffee beans, 9 kg")), bundle.ManifestMismatch, -1},
	{"texts removed", edited(true, func(_ *testing.T, all map[string][]byte) { delete(all, firstTexts) }), bundle.PayloadMissing, 1},
	{"texts cut short", edited(true, func(_ *testing.T, all map[string][]byte) { all[firstTexts] = all[firstTexts][:300] }), bundle.ManifestMismatch, 4},
	{"balance edited", edited(true, func(_ *testing.T, all map[string][]byte) {
		leaf := leavesOf(all["balances"])[1]
		leaf[len(leaf)-33]++
	}), bundle.ProjectionMismatch, -1},
	{"balance edited and not listed", edited(false, func(_ *testing.T, all map[string][]byte) { all["balances"][50]++ }), bundle.ManifestMismatch, -1},
	{"account left out of the balances", edited(true, func(_ *testing.T, all map[string][]byte) {
		all["balances"] = joinLeaves(leavesOf(all["balances"])[1:])
	}), bundle.ProjectionMismatch, -1},
	{"entry of another ledger", booked(func(b *book) {
		b.entries[9].LedgerID = id(99)
		b.reseal(10)
	}), bundle.LedgerIDMismatch, 9},
	{"prev_hash of another entry", booked(func(b *book) {
		b.entries[9].PrevHash[0] ^= 1
		b.reseal(10)
	}), bundle.ChainBreak, 9},
	{"seq repeated", booked(func(b *book) {
		b.entries[9].Seq = 8
		b.reseal(10)
	}), bundle.SeqGap, 9},
	{"dated before its predecessor", booked(func(b *book) {
		b.entries[9].RecordedAt -= 2000
		b.reseal(10)
	}), bundle.TimeRegression, 9},
	{"booked before its predecessor", booked(func(b *book) {
		b.entries[9].BookingDate--
		b.reseal(10)
	}), bundle.TimeRegression, 9},
	{"debits without credits", booked(func(b *book) {
		p := b.entries[31].Postings
		p[0].Amount, _ = p[0].Amount.Add(units(1))
		p[0].Posted, _ = p[0].Posted.Add(units(1))
	}), bundle.UnbalancedEntry, 31},
	{"wrong resulting balance", booked(func(b *book) {
		p := &b.entries[31].Postings[0]
		p.Posted, _ = p.Posted.Add(units(1))
	}), bundle.BalanceChainBreak, 31},
	{"account_seq skipped", booked(func(b *book) { b.entries[31].Postings[0].AccountSeq++ }), bundle.AccountSeqGap, 31},
	{"account_seq repeated", booked(func(b *book) { b.entries[31].Postings[1].AccountSeq-- }), bundle.AccountSeqGap, 31},
	{"amount of nothing", booked(func(b *book) {
		for i := range b.entries[31].Postings {
			p := &b.entries[31].Postings[i]
			before := p.Posted.Sub
			if p.Direction == chain.Credit {
				before = p.Posted.Add
			}
			p.Posted, _ = before(p.Amount)
			p.Amount = units(0)
		}
	}), bundle.EntryMalformed, 31},
	{"account twice in an entry", booked(func(b *book) {
		p := b.entries[31].Postings
		p[1].AccountID, p[1].AccountSeq, p[1].Posted = p[0].AccountID, p[0].AccountSeq+1, mustSub(p[0].Posted, p[1].Amount)
	}), bundle.EntryMalformed, 31},
	{"account that was never opened", booked(func(b *book) { b.transfer(77, 10, 5) }), bundle.AccountMissing, 32},
	{"account opened twice", booked(func(b *book) { b.open(10) }), bundle.AccountStateMismatch, 32},
	{"posting in another currency", booked(func(b *book) {
		e := b.transfer(10, 11, 5)
		for i := range e.Postings {
			e.Postings[i].Currency = "USD"
		}
	}), bundle.CurrencyMismatch, 32},
	{"entry that nothing writes", booked(func(b *book) {
		b.entries[9].Postings = b.entries[9].Postings[:1]
		b.reseal(10)
	}), bundle.EntryMalformed, 9},
	{"wrong root in a balance commitment", booked(func(b *book) {
		b.entries[27].Details[3].Value = strings.Repeat("0", 64)
		b.reseal(28)
	}), bundle.BalanceCommitmentMismatch, 27},
	{"wrong totals in a balance commitment", booked(func(b *book) {
		b.entries[27].Details[2].Value = "1.00"
		b.reseal(28)
	}), bundle.BalanceCommitmentMismatch, 27},
	{"another origin", edited(false, func(t *testing.T, all map[string][]byte) {
		all["manifest"] = bytes.Replace(all["manifest"], []byte("\norigin tallystick.test"), []byte("\norigin tallystick.best"), 1)
		relist(t, all)
	}), bundle.OriginMismatch, 0},
}

func mustSub(a, b money.Int128) money.Int128 {
	c, _ := a.Sub(b)
	return c
}

// Every attack is found, under its name and at its place, by the verifier in Go
// on one worker and on several; and by the one in Python, which knows only
// FORMAT.md.
func TestAttacksAreFound(t *testing.T) {
	t.Parallel()
	for _, a := range attacks {
		t.Run(a.name, func(t *testing.T) {
			t.Parallel()
			b := small(t)
			o := trusting(t, b)
			file := a.make(t, b)
			r := verify(t, file, o)
			if r.Status != bundle.Tampered || len(r.Findings) == 0 {
				t.Fatalf("%s: %v", r.Status, r.NotChecked)
			}
			seq, found := int64(-1), false
			for _, f := range r.Findings {
				if f.Severity != chain.Critical {
					continue
				}
				if seq = -1; f.Seq != nil {
					seq = *f.Seq
				}
				if found = f.Code == a.code && seq == a.seq; found {
					break
				}
			}
			if !found {
				t.Errorf("no %s at %d among %s", a.code, a.seq, codes(r))
			}
			if code, out := python(t, file, b); code != 1 || !strings.Contains(out, a.code) {
				t.Errorf("python: exit code %d, want %s\n%s", code, a.code, out)
			}
		})
	}
}

func codes(r *bundle.Report) string {
	var list []string
	for _, f := range r.Findings {
		at := "the whole"
		if f.Seq != nil {
			at = fmt.Sprint(*f.Seq)
		}
		list = append(list, f.Code+"@"+at)
	}
	return strings.Join(list, ", ")
}

// python runs the verifier that was written from FORMAT.md alone.
func python(t *testing.T, file []byte, b *book, args ...string) (code int, out string) {
	t.Helper()
	interpreter, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3 here")
	}
	path := filepath.Join(t.TempDir(), "bundle.zip")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	if b != nil {
		args = append(args, "--key", b.verifierKey(t).String())
	}
	cmd := exec.CommandContext(t.Context(), interpreter, append([]string{"-B", "../../../scripts/verify_bundle.py", path}, args...)...)
	text, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "Traceback") {
		t.Errorf("python:\n%s", text)
	}
	return cmd.ProcessState.ExitCode(), string(text)
}
