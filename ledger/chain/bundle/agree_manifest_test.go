package bundle_test

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// sameVerdict runs both verifiers over all files, and asks for nothing but that
// their exit codes are the same.
func sameVerdict(t *testing.T, trials []trial) {
	t.Helper()
	theirs := pythonAll(t, trials)
	for i, c := range trials {
		if ours := inGo(t, c.file, c.signer); ours.exit != theirs[i].exit {
			t.Errorf("%s: %d %s, python %d %s", c.name, ours.exit, ours.codes, theirs[i].exit, theirs[i].codes)
		}
	}
}

// Members that are not where a bundle has them, and lines of a manifest that are
// not as they are written.
func TestBothVerifiersReadTheSameManifests(t *testing.T) {
	t.Parallel()
	b := small(t)
	var trials []trial
	// listed changes the members, and writes the manifest anew for them.
	listed := func(name string, edit func(all map[string][]byte)) {
		all := members(t, b.bundle(t))
		edit(all)
		relist(t, all)
		trials = append(trials, trial{name: name, file: pack(t, all), signer: b}, trial{name: name + ", by its own keys", file: pack(t, all)})
	}
	// said changes what an unsigned manifest says, and perhaps the members.
	said := func(name string, edit func(all map[string][]byte, text string) string) {
		all := members(t, b.bundle(t))
		relist(t, all)
		all["manifest"] = []byte(edit(all, string(all["manifest"])))
		trials = append(trials, trial{name: name, file: pack(t, all), signer: b})
	}
	for _, path := range []string{
		"entries/00000001", "entries/00000000x", "entries/1", "entriesx", "texts/00000001", "texts/x", "checkpoints/032", "checkpoints/33", "checkpoints/0",
		"checkpoints/x", "checkpoints/5", "consistency/17-32x", "consistency/5-32", "consistency/32-17", "consistency/17", "consistency/017-32",
		"keys/x", "policy/x", "balances/x", "manifest/x", "zzz",
	} {
		listed("with "+path, func(all map[string][]byte) { all[path] = []byte("x\n") })
		listed("with nothing in "+path, func(all map[string][]byte) { all[path] = nil })
	}
	for _, path := range []string{"keys", "balances", firstTexts, firstMember, "checkpoints/32", "checkpoints/17", "consistency/17-32", "schema"} {
		listed("without "+path, func(all map[string][]byte) { delete(all, path) })
		listed("with an empty "+path, func(all map[string][]byte) { all[path] = nil })
		said("without "+path+", which is listed", func(all map[string][]byte, text string) string {
			delete(all, path)
			return text
		})
		line := func(edit func(line string, data []byte) string) func(map[string][]byte, string) string {
			return func(all map[string][]byte, text string) string {
				var lines []string
				for l := range strings.Lines(text) {
					if strings.HasSuffix(l, " "+path+"\n") {
						l = edit(l, all[path])
					}
					lines = append(lines, l)
				}
				return strings.Join(lines, "")
			}
		}
		said("with "+path+", which is not listed", line(func(string, []byte) string { return "" }))
		said("with "+path+" twice", line(func(l string, _ []byte) string { return l + l }))
		said(path+" of another length", line(func(l string, data []byte) string {
			return strings.Replace(l, fmt.Sprintf(" %d ", len(data)), fmt.Sprintf(" %d ", len(data)+1), 1)
		}))
		said(path+" as another sort", line(func(l string, data []byte) string {
			if strings.HasPrefix(l, "tree ") {
				return fmt.Sprintf("file %d %x %s\n", len(data), sha256.Sum256(data), path)
			}
			return fmt.Sprintf("tree 0 %d %x %s\n", len(data), sha256.Sum256(nil), path)
		}))
	}
	for _, c := range [][2]string{
		{"texts all", "texts none"}, {"texts all", "texts some"}, {"commitment 27 27", "commitment 27 26"}, {"commitment 27 27", "commitment 26 26"},
		{"commitment 27 27", "commitment 27 0"}, {"commitment 27 27", "commitment 30 27"}, {"commitment 27 27", "commitment 0 0"},
		{"commitment 27 27", "commitment 27 28"}, {"commitment 27 27", "commitment 27 027"}, {"commitment 27 27", "commitment 27"},
		{"commitment 27 27", "commitment 27 27 27"}, {"size 32", "size 31"}, {"size 32", "size 33"}, {"size 32", "size 0"}, {"size 32", "size 4294967297"},
		{"size 32", "size +32"}, {"size 32", "size  32"}, {"size 32", "size 65537"}, {"from a test", "from "}, {"from a test", "from\u00a0x"},
		{"a test", strings.Repeat("ä", 127) + "b"}, {"a test", strings.Repeat("ä", 128)}, {"a test", "\u0085"}, {"a test", "\u2028"}, {"a test", "\x7f"},
		{"a test", "\xff"}, {"a test", "a\r"}, {"a test", " a "}, {"ledger 0", "ledger urn:uuid:0"}, {"ledger 0", "ledger {0"}, {"890a5d-ac96", "890A5D-ac96"},
		{"tree 32", "tree 032"}, {"tree 32", "tree -32"}, {"tree 32", "tree 99999999999999999999"}, {"tree 32", "tree 9223372036854775808"},
		{"file ", "tree "}, {"head ", "head  "}, {"root ", "root\t"}, {"\nfrom", "\n\nfrom"}, {"\n", "\r\n"},
	} {
		said(fmt.Sprintf("%q for %q", c[1], c[0]), func(_ map[string][]byte, text string) string {
			if !strings.Contains(text, c[0]) {
				t.Fatalf("the manifest has no %q", c[0])
			}
			return strings.Replace(text, c[0], c[1], 1)
		})
	}
	said("a manifest that lists itself", func(_ map[string][]byte, text string) string {
		lines := strings.SplitAfter(text, "\n")
		return strings.Join(slices.Insert(lines, len(lines)-2, fmt.Sprintf("file 1 %x manifest\n", sha256.Sum256(nil))), "")
	})
	said("a manifest without its last line feed", func(_ map[string][]byte, text string) string { return strings.TrimSuffix(text, "\n") })
	sameVerdict(t, trials)
}

// A manifest that names another ledger than its entries is what differs.
func TestBothVerifiersSayThatTheManifestNamesAnotherLedger(t *testing.T) {
	t.Parallel()
	b := small(t)
	all := members(t, b.bundle(t))
	relist(t, all)
	text := strings.Replace(string(all["manifest"]), "ledger 0", "ledger 1", 1)
	if text == string(all["manifest"]) {
		t.Fatal("the manifest names its ledger otherwise")
	}
	all["manifest"] = []byte(text)
	c := trial{name: "another ledger", file: pack(t, all), signer: b}
	for who, v := range map[string]verdict{"go": inGo(t, c.file, c.signer), "python": pythonAll(t, []trial{c})[0]} {
		if v.exit != 1 || !strings.Contains(v.codes, "BUNDLE_MANIFEST_MISMATCH") || !strings.Contains(v.codes, "LEDGER_ID_MISMATCH") {
			t.Errorf("%s: %d %s", who, v.exit, v.codes)
		}
	}
}
