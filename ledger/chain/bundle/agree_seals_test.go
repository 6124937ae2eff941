package bundle_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"tallystick/ledger/chain"
	"tallystick/ledger/chain/bundle"
)

// signature makes a signature line by somebody.
func signature(name string, id uint32, n int) string {
	raw := binary.BigEndian.AppendUint32(nil, id)
	return "— " + name + " " + base64.StdEncoding.EncodeToString(append(raw, bytes.Repeat([]byte{5}, n)...)) + "\n"
}

// ofLine returns the last line of a note.
func ofLine(note []byte) string {
	lines := strings.SplitAfter(string(note), "\n")
	return lines[len(lines)-2]
}

// A note has one form; a key signs it once.
func TestBothVerifiersReadTheSameNotes(t *testing.T) {
	t.Parallel()
	b := small(t)
	const newest = "checkpoints/32"
	good := members(t, b.bundle(t))
	own := ofLine(good[newest])
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(strings.Split(own, " ")[2]))
	if err != nil {
		t.Fatal(err)
	}
	raw[20] ^= 1
	wrong := "— " + b.origin + " " + base64.StdEncoding.EncodeToString(raw) + "\n"
	var trials []trial
	for _, c := range []struct {
		name  string
		lines string
		good  bool
	}{
		{"as signed", own, true},
		{"beside an unknown key", own + signature("somebody", 7, 64), true},
		{"behind an unknown key", signature("somebody", 7, 64) + own, true},
		{"unknown keys of one name", own + signature("somebody", 7, 64) + signature("somebody", 8, 64), true},
		{"a name with a space of no width", own + signature("some\u200bbody", 7, 64), true},
		{"100 signatures", own + many(99), true},
		{"101 signatures", own + many(100), false},
		{"twice by one key", own + own, false},
		{"twice by one key, the second wrong", own + wrong, false},
		{"twice by one key, the first wrong", wrong + own, false},
		{"wrong", wrong, false},
		{"twice by an unknown key", own + signature("somebody", 7, 64) + signature("somebody", 7, 64), false},
		{"twice by an unknown key, and differently", own + signature("somebody", 7, 64) + signature("somebody", 7, 65), false},
		{"a name with a no-break space", own + signature("some\u00a0body", 7, 64), false},
		{"a name with a next line", own + signature("some\u0085body", 7, 64), false},
		{"a name with an em space", own + signature("some\u2003body", 7, 64), false},
		{"a name with a line separator", own + signature("some\u2028body", 7, 64), false},
		{"a name with an ideographic space", own + signature("some\u3000body", 7, 64), false},
		{"a name with a tab", own + signature("some\tbody", 7, 64), false},
		{"a name with a file separator", own + signature("some\x1cbody", 7, 64), false},
		{"a name with a delete", own + signature("some\x7fbody", 7, 64), false},
		{"a name with a C1 control", own + signature("some\u009bbody", 7, 64), false},
		{"a name with a plus", own + signature("some+body", 7, 64), false},
		{"a name that is no UTF-8", own + signature("some\xffbody", 7, 64), false},
		{"no name", own + signature("", 7, 64), false},
		{"two spaces", own + strings.Replace(signature("somebody", 7, 64), "y ", "y  ", 1), false},
		{"a no-break space behind the dash", own + strings.Replace(signature("somebody", 7, 64), "— ", "—\u00a0", 1), false},
		{"a hyphen", own + strings.Replace(signature("somebody", 7, 64), "—", "-", 1), false},
		{"a carriage return", strings.TrimSuffix(own, "\n") + "\r\n", false},
		{"no line feed", strings.TrimSuffix(own, "\n"), false},
		{"something behind it", strings.TrimSuffix(own, "\n") + " x\n", false},
		{"a key id and nothing signed", own + signature("somebody", 7, 0), false},
		{"base64 without padding", own + "— somebody AAAABwUFBQ\n", false},
		{"base64 with too much padding", own + "— somebody AAAABwUFBQU====\n", false},
		{"base64 with loose bits", own + "— somebody AAAABwUFBR==\n", false},
		{"base64 of URLs", own + "— somebody AAAABwUFB_-_\n", false},
		{"base64 in two parts", own + "— somebody AAAABw==AAAABw==\n", false},
	} {
		signed := func(path, code string) {
			all := members(t, b.bundle(t))
			old := ofLine(all[path])
			all[path] = []byte(strings.TrimSuffix(string(all[path]), old) + c.lines)
			if path != "manifest" {
				relist(t, all)
			}
			exit := 0
			if !c.good {
				exit = 1
			} else {
				code = ""
			}
			trials = append(trials, trial{c.name + " on " + path, pack(t, all), b, exit, code})
		}
		signed(newest, bundle.CheckpointBadSignature)
		if c.lines != own && c.name != "as signed" && !strings.Contains(c.lines, wrong) && c.name != "twice by one key" {
			c.lines = strings.Replace(c.lines, own, ofLine(good["manifest"]), 1)
			signed("manifest", bundle.ManifestMismatch)
		}
	}
	agree(t, trials)
}

// many returns n signature lines by unknown keys.
func many(n int) string {
	var lines strings.Builder
	for i := range n {
		lines.WriteString(signature("somebody", uint32(i), 64))
	}
	return lines.String()
}

// What stands under a checkpoint's signature, which is the signer's own.
func TestBothVerifiersReadTheSameCheckpoints(t *testing.T) {
	t.Parallel()
	b := small(t)
	sign := func(text string) []byte {
		// SignText signs everything but what is a checkpoint.
		signed, err := b.key.SignText(b.origin, text)
		if err != nil {
			t.Fatal(err)
		}
		return signed
	}
	root := strings.Split(string(members(t, b.bundle(t))["checkpoints/32"]), "\n")[2]
	loose := root[:42] + string(root[42]+1) + "="
	var trials []trial
	for _, c := range []struct{ name, text, code string }{
		{"loose bits in the root", b.origin + "\n32\n" + loose + "\n", bundle.CheckpointBadSignature},
		{"a leading zero", b.origin + "\n032\n" + root + "\n", bundle.CheckpointBadSignature},
		{"a sign", b.origin + "\n+32\n" + root + "\n", bundle.CheckpointBadSignature},
		{"a fourth line", b.origin + "\n32\n" + root + "\nmore\n", bundle.CheckpointBadSignature},
		{"an empty line", b.origin + "\n32\n" + root + "\n\n", bundle.CheckpointBadSignature},
		{"a size that nothing has", b.origin + "\n9999999999999999999\n" + root + "\n", bundle.CheckpointBadSignature},
		{"a size beyond a tree", b.origin + "\n1152921504606846977\n" + root + "\n", bundle.CheckpointBadSignature},
		{"a delete in the origin", b.origin + "\x7f\n32\n" + root + "\n", bundle.CheckpointBadSignature},
		{"a long origin", strings.Repeat("x", 256) + "\n32\n" + root + "\n", bundle.CheckpointBadSignature},
	} {
		all := members(t, b.bundle(t))
		all["checkpoints/32"] = sign(c.text)
		relist(t, all)
		trials = append(trials, trial{c.name, pack(t, all), b, 1, c.code})
	}
	all := members(t, b.bundle(t))
	all["checkpoints/32"] = append(all["checkpoints/32"], signature("somebody", 7, chain.MaxCheckpoint)...)
	relist(t, all)
	trials = append(trials, trial{"a checkpoint that is too long", pack(t, all), b, 1, bundle.ManifestMismatch})
	all = members(t, b.bundle(t))
	delete(all, "checkpoints/17")
	delete(all, "consistency/17-32")
	for size := range int64(bundle.MaxCheckpoints) {
		all[fmt.Sprintf("checkpoints/%d", 100+size)] = nil
	}
	relist(t, all)
	trials = append(trials, trial{"more checkpoints than are read", pack(t, all), b, 1, bundle.ManifestMismatch})
	agree(t, trials)
}

// Proofs are lines of base64, of one form.
func TestBothVerifiersReadTheSameProofs(t *testing.T) {
	t.Parallel()
	b := small(t)
	var trials []trial
	for name, edit := range map[string]func(string) string{
		"line ends of another system": func(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") },
		"an empty line":               func(s string) string { return "\n" + s },
		"an empty line at the end":    func(s string) string { return s + "\n" },
		"no line end":                 func(s string) string { return strings.TrimSuffix(s, "\n") },
		"spaces":                      func(s string) string { return strings.ReplaceAll(s, "\n", " ") },
		"loose bits":                  func(s string) string { return s[:42] + string(s[42]+1) + s[43:] },
		"a short hash":                func(s string) string { return s + "AAAA\n" },
		"nothing":                     func(string) string { return "" },
		"too long":                    func(s string) string { return strings.Repeat(s, 64) },
	} {
		all := members(t, b.bundle(t))
		all["consistency/17-32"] = []byte(edit(string(all["consistency/17-32"])))
		relist(t, all)
		trials = append(trials, trial{name, pack(t, all), b, 1, bundle.ProofInvalid})
	}
	agree(t, trials)
}

// Keys and policies that a bundle brings are of one form, or do not count.
func TestBothVerifiersReadTheSameKeys(t *testing.T) {
	t.Parallel()
	b := small(t)
	key := b.verifierKey(t).String()
	name, rest, _ := strings.Cut(key, "+")
	other := func(name string, public []byte) string { return verifierText(name, append([]byte{1}, public...)) }
	point := func(first, last byte) []byte {
		p := bytes.Repeat([]byte{0xff}, 32)
		p[0], p[31] = first, last
		return p
	}
	var trials []trial
	for _, c := range []struct {
		name, keys string
		exit       int
	}{
		{"the signer's", key + "\n", 0},
		{"without a line end", key, 0},
		{"another one too", other("somebody", point(0xec, 0x7f)) + "\n" + key + "\n", 0},
		{"twice", key + "\n" + key + "\n", 2},
		{"line ends of another system", key + "\r\n", 2},
		{"an empty line", key + "\n\n", 2},
		{"nothing", "", 2},
		{"no key", "key\n", 2},
		{"a space behind it", key + " \n", 2},
		{"id in capitals", name + "+" + strings.ToUpper(rest[:8]) + rest[8:] + "\n", 2},
		{"loose bits", key[:len(key)-1] + "B\n", 2},
		{"of a witness", verifierText("somebody", append([]byte{4}, point(1, 0)...)) + "\n", 2},
		{"a name with a no-break space", other("some\u00a0body", point(0xec, 0x7f)) + "\n", 2},
		{"a name with an em space", other("some\u2003body", point(0xec, 0x7f)) + "\n", 2},
		{"a name that is no UTF-8", other("some\xffbody", point(0xec, 0x7f)) + "\n", 2},
		{"no name", other("", point(0xec, 0x7f)) + "\n", 2},
		{"a point in another spelling", other("somebody", point(0xee, 0x7f)) + "\n", 2},
		{"the least of other spellings", other("somebody", point(0xed, 0x7f)) + "\n", 2},
		{"minus zero", other("somebody", point(0xec, 0xff)) + "\n", 2},
		{"too many", crowdOfKeys(bundle.MaxKeys) + key + "\n", 2},
	} {
		all := members(t, b.bundle(t))
		all["keys"] = []byte(c.keys)
		relist(t, all)
		trials = append(trials, trial{c.name, pack(t, all), nil, c.exit, ""})
		trials = append(trials, trial{c.name + ", and the auditor's", pack(t, all), b, c.exit, ""})
	}
	agree(t, trials)
}

// besideTheGroup makes a key with a part of order 8, and a signature by it that
// holds: R = s·B − k·A, where k is a multiple of 8 and (L − k)·A is another point.
const besideTheGroup = `
import base64, hashlib, sys
sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv[1])
from verify_bundle import BASE, L, P, add, point, times
name, text = sys.argv[2], sys.stdin.buffer.read()
def encode(p):
    inverse = pow(p[2], P - 2, P)
    x, y = p[0] * inverse % P, p[1] * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")
y, small = 2, None
while small is None or encode(times(4, small)) == encode((0, 1, 1, 0)):
    p, y = point(y.to_bytes(32, "little")), y + 1
    small = p and times(L, p)
a, r, k = 12345, 0, 1
public = encode(add(times(a, BASE), small))
while k % 8:
    r += 1
    R = encode(times(r, BASE))
    k = int.from_bytes(hashlib.sha512(R + public + text).digest(), "little") % L
raw = b"\x01" + public
ident = hashlib.sha256(name.encode() + b"\n" + raw).digest()[:4]
signature = ident + R + ((r + k * a) % L).to_bytes(32, "little")
print("%s+%s+%s" % (name, ident.hex(), base64.b64encode(raw).decode()))
print(base64.b64encode(signature).decode())
`

// Signatures are verified without the cofactor, by keys of any order.
func TestBothVerifiersTakeTheSameSignatures(t *testing.T) {
	t.Parallel()
	interpreter, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3 here")
	}
	b := small(t)
	all := members(t, b.bundle(t))
	text, _, _ := strings.Cut(string(all["checkpoints/32"]), "\n\n")
	cmd := exec.CommandContext(t.Context(), interpreter, "-c", besideTheGroup, "../../../scripts", b.origin)
	cmd.Stdin = strings.NewReader(text + "\n")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	key, line, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	delete(all, "checkpoints/17")
	delete(all, "consistency/17-32")
	all["keys"] = []byte(key + "\n")
	all["checkpoints/32"] = []byte(text + "\n\n— " + b.origin + " " + line + "\n")
	relist(t, all)
	agree(t, []trial{{"a key with a part of small order", pack(t, all), nil, 0, ""}})
}

// verifierText makes a verifier key of anything.
func verifierText(name string, key []byte) string {
	id := sha256.Sum256([]byte(name + "\n" + string(key)))
	return fmt.Sprintf("%s+%x+%s", name, id[:4], base64.StdEncoding.EncodeToString(key))
}

func crowdOfKeys(n int) string {
	var list strings.Builder
	for i := range n {
		list.WriteString(verifierText(fmt.Sprint("somebody", i), append([]byte{1, 0xec}, bytes.Repeat([]byte{0x7f}, 31)...)) + "\n")
	}
	return list.String()
}

// A policy that a bundle brings is read whole, and its quorum is asked for where
// the auditor gave nothing.
func TestBothVerifiersReadTheSamePolicies(t *testing.T) {
	t.Parallel()
	b := small(t)
	log := "log " + b.verifierKey(t).String()
	witness := func(n byte) (chain.CosigningKey, string) {
		k, err := chain.NewCosigningKey(fmt.Sprintf("witness.test/%d", n), bytes.Repeat([]byte{n}, 32))
		if err != nil {
			t.Fatal(err)
		}
		return k, fmt.Sprintf("witness w%d %s", n, k.VerifierKey())
	}
	k1, w1 := witness(1)
	k2, w2 := witness(2)
	_, w3 := witness(3)
	quantum := "witness q " + verifierText("witness.test/q", append([]byte{6}, make([]byte, 1312)...))
	at := chain.Checkpoint{Origin: b.origin, Size: 32, Root: chain.RootOf(b.hashes())}
	elsewhere := at
	elsewhere.Root[0] ^= 1
	cosign := func(k chain.CosigningKey, c chain.Checkpoint) string {
		line, err := k.Cosign(c, time.Unix(1_767_300_000, 0))
		if err != nil {
			t.Fatal(err)
		}
		return line
	}
	one, two, bad := cosign(k1, at), cosign(k2, at), cosign(k1, elsewhere)
	late, err := k1.Cosign(at, time.Unix(253402300800, 0))
	if err != nil {
		t.Fatal(err)
	}
	var trials []trial
	for _, c := range []struct {
		name       string
		lines      []string
		cosigned   []string
		alone      int // the exit code with the bundle's own keys
		given      int // and with the auditor's key
		code, gave string
	}{
		{name: "no quorum wanted", lines: []string{log, "quorum none"}},
		{name: "comments, tabs and empty lines", lines: []string{"# a\u00a0policy", "", "\t" + log + "\thttps://x ", " # x", "quorum\tnone"}},
		{name: "a witness that has cosigned", lines: []string{log, w1, "quorum w1"}, cosigned: []string{one}},
		{name: "a witness that has not", lines: []string{log, w1, "quorum w1"}, alone: 1, code: bundle.WitnessQuorumNotMet},
		{name: "a cosignature that is not asked for", lines: []string{log, "quorum none"}, cosigned: []string{one}},
		{name: "two of three", lines: []string{log, w1, w2, w3, "group g 2 w1 w2 w3", "quorum g"}, cosigned: []string{one, two}},
		{name: "one of three", lines: []string{log, w1, w2, w3, "group g 2 w1 w2 w3", "quorum g"}, cosigned: []string{one}, alone: 1, code: bundle.WitnessQuorumNotMet},
		{name: "any", lines: []string{log, w1, w2, "group g any w1 w2", "quorum g"}, cosigned: []string{two}},
		{name: "all", lines: []string{log, w1, w2, "group g all w1 w2", "quorum g"}, cosigned: []string{two}, alone: 1, code: bundle.WitnessQuorumNotMet},
		{name: "groups of groups", lines: []string{log, w1, w2, "group g any w1", "group h all g w2", "quorum h"}, cosigned: []string{one, two}},
		{name: "a cosignature of another root", lines: []string{log, w1, "quorum none"}, cosigned: []string{bad}, alone: 1, code: bundle.CosignatureInvalid},
		{name: "a cosignature of the year 10000", lines: []string{log, w1, "quorum none"}, cosigned: []string{late}, alone: 1, code: bundle.CosignatureInvalid},
		{name: "a cosignature of another root, and a quorum", lines: []string{log, w1, w2, "quorum w2"}, cosigned: []string{bad, two}, alone: 1, code: bundle.CosignatureInvalid},
		{name: "a witness alone", lines: []string{w1, "quorum none"}, cosigned: []string{one}},
		{name: "line ends of another system", lines: []string{log + "\r", "quorum none\r"}, alone: 2, given: 2},
		{name: "a carriage return in a comment", lines: []string{log, "# x\r", "quorum none"}, alone: 2, given: 2},
		{name: "a delete", lines: []string{log, "# \x7f", "quorum none"}, alone: 2, given: 2},
		{name: "no quorum", lines: []string{log}, alone: 2, given: 2},
		{name: "two quorums", lines: []string{log, "quorum none", "quorum none"}, alone: 2, given: 2},
		{name: "an unknown quorum", lines: []string{log, "quorum w1", w1}, alone: 2, given: 2},
		{name: "an unknown statement", lines: []string{log, "Quorum none", "quorum none"}, alone: 2, given: 2},
		{name: "a no-break space", lines: []string{log, "quorum\u00a0none"}, alone: 2, given: 2},
		{name: "a comment behind a statement", lines: []string{log + " https://x # why", "quorum none"}, alone: 2, given: 2},
		{name: "a log without a key", lines: []string{"log", log, "quorum none"}, alone: 2, given: 2},
		{name: "a log with a witness's key", lines: []string{"log " + k1.VerifierKey(), "quorum none"}, alone: 2, given: 2},
		{name: "a log twice", lines: []string{log, log, "quorum none"}, alone: 2, given: 2},
		{name: "a witness twice", lines: []string{log, w1, strings.Replace(w1, " w1 ", " w2 ", 1), "quorum none"}, alone: 2, given: 2},
		{name: "a name twice", lines: []string{log, w1, strings.Replace(w2, " w2 ", " w1 ", 1), "quorum none"}, alone: 2, given: 2},
		{name: "a witness named none", lines: []string{log, strings.Replace(w1, " w1 ", " none ", 1), "quorum none"}, alone: 2, given: 2},
		{name: "a witness with a log's key", lines: []string{log, strings.Replace(log, "log", "witness w", 1), "quorum none"}, alone: 2, given: 2},
		{name: "a witness with no key", lines: []string{log, "witness w", "quorum none"}, alone: 2, given: 2},
		{name: "a group of nobody", lines: []string{log, "group g any", "quorum none"}, alone: 2, given: 2},
		{name: "a group of somebody unknown", lines: []string{log, w1, "group g any w1 w2", "quorum none"}, alone: 2, given: 2},
		{name: "a group with a member twice", lines: []string{log, w1, "group g any w1 w1", "quorum none"}, alone: 2, given: 2},
		{name: "a member of two groups", lines: []string{log, w1, "group g any w1", "group h any w1", "quorum none"}, alone: 2, given: 2},
		{name: "more than all", lines: []string{log, w1, "group g 2 w1", "quorum none"}, alone: 2, given: 2},
		{name: "none of them", lines: []string{log, w1, "group g 0 w1", "quorum none"}, alone: 2, given: 2},
		{name: "a number with a zero", lines: []string{log, w1, "group g 01 w1", "quorum none"}, alone: 2, given: 2},
		{name: "too many witnesses", lines: append(append([]string{log}, crowdOfWitnesses(65)...), "quorum none"), alone: 2, given: 2},
		{name: "as many as there may be", lines: append(append([]string{log}, crowdOfWitnesses(64)...), "quorum none")},
		{name: "a witness with a key of another type", lines: []string{log, quantum, "quorum none"}, alone: 2},
		{name: "a quorum of a key of another type", lines: []string{log, quantum, "quorum q"}, alone: 2},
		{name: "a key of another type and another length", lines: []string{log, strings.Replace(quantum, "AAAA", "", 1), "quorum none"}, alone: 2, given: 2},
	} {
		file := b.bundle(t, func(contents *bundle.Contents) {
			contents.Policy = []byte(strings.Join(c.lines, "\n") + "\n")
			if len(c.cosigned) > 0 {
				last := len(contents.Checkpoints) - 1
				if contents.Checkpoints[last], err = chain.AddSignatures(contents.Checkpoints[last], c.cosigned...); err != nil {
					t.Fatal(err)
				}
			}
		})
		trials = append(trials, trial{c.name, file, nil, c.alone, c.code}, trial{c.name + ", and a key", file, b, c.given, c.gave})
	}
	agree(t, trials)
}

func crowdOfWitnesses(n int) (lines []string) {
	for i := range n {
		k, err := chain.NewCosigningKey("witness.test/w", bytes.Repeat([]byte{byte(i)}, 32))
		if err == nil {
			lines = append(lines, fmt.Sprintf("witness x%d %s", i, k.VerifierKey()))
		}
	}
	return lines
}

// A bundle of another version is not judged, whatever stands behind its first line.
func TestBothVerifiersLeaveOtherVersionsAlone(t *testing.T) {
	t.Parallel()
	b := small(t)
	var trials []trial
	for _, c := range []struct {
		name, manifest string
		exit           int
		code           string
	}{
		{"a line", "tallystick/bundle/v2\n", 2, ""},
		{"no UTF-8", "tallystick/bundle/v2\n\xff\n", 2, ""},
		{"no end of line", "tallystick/bundle/v2\nmore", 2, ""},
		{"signed otherwise", "tallystick/bundle/v2\n\nsigned\n", 2, ""},
		{"no UTF-8 in its name", "tallystick/bundle/\xff\n", 2, ""},
		{"not even a line", "tallystick/bundle/v2", 1, bundle.ManifestMismatch},
		{"nothing", "", 1, bundle.ManifestMismatch},
		{"a line feed", "\n", 1, bundle.ManifestMismatch},
		{"another line end", "tallystick/bundle/v1\r\n", 2, ""},
		{"something else", "tallystick/bundles/v1\n", 1, bundle.ManifestMismatch},
	} {
		trials = append(trials, trial{c.name, pack(t, map[string][]byte{"manifest": []byte(c.manifest)}), b, c.exit, c.code})
	}
	agree(t, trials)
}
