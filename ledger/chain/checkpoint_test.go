package chain_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	cosignature "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"

	"tallystick/ledger/chain"
	published "tallystick/scripts/samples"
)

var testOrigin = sampleTerms().Origin

// keyOf returns the signing key that a word stands for.
func keyOf(t testing.TB, word string) chain.SigningKey {
	t.Helper()
	seed := digest(word)
	k, err := chain.NewSigningKey(seed[:])
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// logKey returns the key as verifiers have it.
func logKey(t testing.TB, k chain.SigningKey, origin string) chain.VerifierKey {
	t.Helper()
	text, err := k.VerifierKey(origin)
	if err != nil {
		t.Fatal(err)
	}
	v, err := chain.ParseLogKey(text)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func signed(t testing.TB, k chain.SigningKey, c chain.Checkpoint) []byte {
	t.Helper()
	b, err := k.Sign(c)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// witness cosigns as C2SP tlog-cosignature says, written from that page.
type witness struct {
	name    string
	private ed25519.PrivateKey
}

func witnessOf(name, word string) witness {
	seed := digest(word)
	return witness{name, ed25519.NewKeyFromSeed(seed[:])}
}

func (w witness) id() []byte {
	h := digest(w.name + "\n\x04" + string(w.private.Public().(ed25519.PublicKey)))
	return h[:4]
}

func (w witness) text() string {
	public := append([]byte{4}, w.private.Public().(ed25519.PublicKey)...)
	return fmt.Sprintf("%s+%x+%s", w.name, w.id(), base64.StdEncoding.EncodeToString(public))
}

func (w witness) key(t testing.TB) chain.VerifierKey {
	t.Helper()
	k, err := chain.ParseWitnessKey(w.text())
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func (w witness) cosign(text string, at int64) string {
	b := binary.BigEndian.AppendUint64(w.id(), uint64(at))
	b = append(b, ed25519.Sign(w.private, fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s", at, text))...)
	return "— " + w.name + " " + base64.StdEncoding.EncodeToString(b)
}

func sampleCheckpoint(size int64) chain.Checkpoint {
	return chain.Checkpoint{Origin: testOrigin, Size: size, Root: digest("root")}
}

// The example of https://c2sp.org/tlog-cosignature. Its keys are not published.
const sofaCheckpoint = `example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==
`

// The example of https://c2sp.org/signed-note: a note with an empty line in it.
const poemNote = `Ognuno sta solo sul cuor della terra
trafitto da un raggio di sole:

ed è subito sera.

— quasimodo.example/salvatore NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc=
`

func TestExamplesOfTheSpecifications(t *testing.T) {
	t.Parallel()
	key := logKey(t, keyOf(t, "a"), "example.com/behind-the-sofa") // same name, another id
	s, err := chain.OpenCheckpoint([]byte(sofaCheckpoint), key)
	want := []string{"example.com/behind-the-sofa+033de0ae", "witness.example.com/w1+8d66cf3f"}
	if !errors.Is(err, chain.ErrUnknownKey) || !slices.Equal(s.Unknown, want) || s.Size != 20852163 || s.Origin != key.Name() {
		t.Errorf("got %+v (%v), want the signatures of %q", s, err, want)
	}
	again, err := chain.AddSignatures([]byte(sofaCheckpoint), strings.Split(sofaCheckpoint, "\n")[5])
	if err != nil || string(again) != sofaCheckpoint {
		t.Errorf("adding what is there makes\n%s (%v)", again, err)
	}

	if _, err := chain.OpenCheckpoint([]byte(poemNote)); !errors.Is(err, chain.ErrCheckpoint) {
		t.Errorf("a poem: %v", err)
	}
	both, err := chain.AddSignatures([]byte(poemNote), strings.Split(sofaCheckpoint, "\n")[4])
	if err != nil || !strings.HasPrefix(string(both), poemNote) || strings.Count(string(both), "— ") != 2 {
		t.Errorf("a poem with two signatures is\n%s (%v)", both, err)
	}
}

// The note and key in the documentation of golang.org/x/mod/sumdb/note.
func TestKeyOfTheReferenceImplementation(t *testing.T) {
	t.Parallel()
	const text = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
	const signature = "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="
	k, err := chain.ParseLogKey("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")
	if err != nil {
		t.Fatal(err)
	}
	n, err := note.Open([]byte(text+"\n— PeterNeumann "+signature+"\n"), note.VerifierList(k.Verifier()))
	if err != nil || n.Text != text || k.ID() != "PeterNeumann+c74f20a3" {
		t.Errorf("%s: %+v (%v)", k.ID(), n, err)
	}
}

// TestPublishedEd25519Vectors sends them through what verifies our notes: a
// verifier key read from its text.
func TestPublishedEd25519Vectors(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile(filepath.Join(published.Vectors(t, "ed25519"), "ed25519_test.json"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		NumberOfTests int
		TestGroups    []struct {
			PublicKey struct{ Pk string }
			Tests     []struct {
				TcID             int
				Msg, Sig, Result string
			}
		}
	}
	if err := json.Unmarshal(b, &file); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, g := range file.TestGroups {
		text, err := note.NewEd25519VerifierKey("a", unhex(t, g.PublicKey.Pk))
		if err != nil {
			t.Fatal(err)
		}
		key, err := chain.ParseLogKey(text)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range g.Tests {
			n++
			if got := key.Verifier().Verify(unhex(t, v.Msg), unhex(t, v.Sig)); got != (v.Result == "valid") {
				t.Errorf("case %d: verifies: %t, want %s", v.TcID, got, v.Result)
			}
		}
	}
	if n != 151 || n != file.NumberOfTests {
		t.Errorf("%d cases, want 151", n)
	}
}

func TestCheckpointsAreSignedAndOpened(t *testing.T) {
	t.Parallel()
	k, c := keyOf(t, "signer"), sampleCheckpoint(7)
	key, w := logKey(t, k, testOrigin), witnessOf("witness.example/w1", "w1")
	b, err := chain.AddSignatures(signed(t, k, c), w.cosign(c.Text(), 1_767_225_600))
	if err != nil {
		t.Fatal(err)
	}
	s, err := chain.OpenCheckpoint(b, key, w.key(t), key) // a key that is given twice counts once
	if err != nil {
		t.Fatal(err)
	}
	if s.Checkpoint != c || !bytes.Equal(s.Note, b) || len(s.Signatures) != 2 || len(s.Unknown) != 0 {
		t.Errorf("opened as %+v", s)
	}
	if !s.SignedByLog() || !s.SignedBy(key) || !s.SignedBy(w.key(t)) || s.SignedBy(logKey(t, keyOf(t, "other"), testOrigin)) {
		t.Error("not signed by whom it is signed by")
	}
	if got := s.Signatures[1].Time; !s.Signatures[0].Time.IsZero() || !got.Equal(time.Unix(1_767_225_600, 0)) {
		t.Errorf("cosigned at %s", got)
	}

	s, err = chain.OpenCheckpoint(b, w.key(t))
	if err != nil || s.SignedByLog() || !slices.Equal(s.Unknown, []string{key.ID()}) {
		t.Errorf("by the witness alone: %+v (%v)", s, err)
	}
	s, err = chain.OpenCheckpoint(b, logKey(t, k, "elsewhere.example/"+id(1).String()))
	if !errors.Is(err, chain.ErrUnknownKey) || s.Checkpoint != c {
		t.Errorf("by the same key under another name: %+v (%v)", s, err)
	}
	theirKey, err := cosignature.NewVerifierForCosignatureV1(w.text())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := note.Open(b, note.VerifierList(key.Verifier(), theirKey)); err != nil {
		t.Errorf("the public library: %v", err)
	}
}

// A signer signs for other logs under the same key, by another name and so with
// another id; a witness's key has one name.
func TestAKeyForAnotherOrigin(t *testing.T) {
	t.Parallel()
	k := keyOf(t, "signer")
	key, want := logKey(t, k, testOrigin), logKey(t, k, "host/super-log")
	if other, err := key.For("host/super-log"); err != nil || other.String() != want.String() || other.ID() == key.ID() {
		t.Errorf("%s, %v, want %s", other, err, want)
	}
	for _, origin := range []string{"", "a b", "a+b"} {
		if other, err := key.For(origin); !errors.Is(err, chain.ErrKey) {
			t.Errorf("for %q: %s, %v", origin, other, err)
		}
	}
	seed := make([]byte, 32)
	w, err := chain.NewCosigningKey("w", seed)
	if err != nil {
		t.Fatal(err)
	}
	witness, err := chain.ParseWitnessKey(w.VerifierKey())
	if err != nil {
		t.Fatal(err)
	}
	if other, err := witness.For(testOrigin); !errors.Is(err, chain.ErrKey) {
		t.Errorf("a witness's: %s, %v", other, err)
	}
}

func TestSignaturesThatDoNotVerifySpoilTheNote(t *testing.T) {
	t.Parallel()
	k, c := keyOf(t, "signer"), sampleCheckpoint(7)
	key, w := logKey(t, k, testOrigin), witnessOf("witness.example/w1", "w1")
	good, other := string(signed(t, k, c)), sampleCheckpoint(8)
	pasted := string(signed(t, k, c)) + w.cosign(other.Text(), 1) + "\n"
	for name, b := range map[string]string{
		"size edited":                     strings.Replace(good, "\n7\n", "\n8\n", 1),
		"cosignature of another root":     pasted,
		"cosignature without the time":    good + "— " + w.name + " " + base64.StdEncoding.EncodeToString(append(w.id(), ed25519.Sign(w.private, []byte(c.Text()))...)) + "\n",
		"cosignature at another time":     good + strings.Replace(w.cosign(c.Text(), 1), base64Time(w, 1), base64Time(w, 2), 1) + "\n",
		"signature of another checkpoint": c.Text() + "\n" + strings.SplitAfter(string(signed(t, k, other)), "\n\n")[1],
	} {
		if s, err := chain.OpenCheckpoint([]byte(b), key, w.key(t)); !errors.Is(err, chain.ErrSignature) || s.Origin != testOrigin {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := chain.OpenCheckpoint([]byte(pasted), key); err != nil {
		t.Errorf("a bad signature of somebody unknown: %v", err)
	}
}

// base64Time is how a cosignature begins: id and time.
func base64Time(w witness, at uint64) string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint64(w.id(), at))
}

func TestEveryChangedByteOfASignedCheckpointIsFound(t *testing.T) {
	t.Parallel()
	k := keyOf(t, "signer")
	key, good := logKey(t, k, testOrigin), signed(t, k, sampleCheckpoint(1234))
	for i := range good {
		for _, bit := range []byte{1, 4, 0x20, 0x80} {
			b := bytes.Clone(good)
			b[i] ^= bit
			if _, err := chain.OpenCheckpoint(b, key); err == nil {
				t.Errorf("byte %d: %q verifies", i, b)
			}
		}
	}
}

func TestParseCheckpointIsStrict(t *testing.T) {
	t.Parallel()
	good := sampleCheckpoint(12).Text()
	lines := strings.SplitAfter(good, "\n")
	if c, err := chain.ParseCheckpoint(good); err != nil || c != sampleCheckpoint(12) {
		t.Fatalf("%+v, %v", c, err)
	}
	for name, text := range map[string]string{
		"empty":                    "",
		"two lines":                lines[0] + lines[1],
		"no end of line":           strings.TrimSuffix(good, "\n"),
		"extension line":           good + "extension\n",
		"empty line behind":        good + "\n",
		"no origin":                "\n" + lines[1] + lines[2],
		"carriage return":          strings.Replace(good, "\n12\n", "\r\n12\n", 1),
		"carriage return, root":    strings.Replace(good, "=\n", "=\r\n", 1),
		"control character":        "a\tb\n" + lines[1] + lines[2],
		"origin not UTF-8":         "a\xffb\n" + lines[1] + lines[2],
		"long origin":              strings.Repeat("o", chain.MaxOrigin+1) + "\n" + lines[1] + lines[2],
		"size with a zero":         lines[0] + "012\n" + lines[2],
		"size with a plus":         lines[0] + "+12\n" + lines[2],
		"size with a space":        lines[0] + " 12\n" + lines[2],
		"negative size":            lines[0] + "-1\n" + lines[2],
		"size beyond 63 bits":      lines[0] + "9223372036854775808\n" + lines[2],
		"size of MaxInt64":         lines[0] + fmt.Sprint(int64(math.MaxInt64)) + "\n" + lines[2],
		"empty tree, some root":    lines[0] + "0\n" + lines[2],
		"short root":               lines[0] + lines[1] + "AAAA\n",
		"root without its end":     lines[0] + lines[1] + strings.Replace(lines[2], "=", "", 1),
		"root with loose bits":     lines[0] + lines[1] + strings.Repeat("A", 42) + "B=\n",
		"root in hexadecimal":      lines[0] + lines[1] + digest("root").String() + "\n",
		"root in the URL spelling": lines[0] + lines[1] + base64.URLEncoding.EncodeToString(bytes.Repeat([]byte{0xff}, 32)) + "\n",
	} {
		if c, err := chain.ParseCheckpoint(text); !errors.Is(err, chain.ErrCheckpoint) || c != (chain.Checkpoint{}) {
			t.Errorf("%s: %+v, %v", name, c, err)
		}
	}
	empty := chain.Checkpoint{Origin: "o", Root: chain.EmptyRoot}
	if c, err := chain.ParseCheckpoint(empty.Text()); err != nil || c != empty {
		t.Errorf("the empty tree: %v", err)
	}
}

// TestNotesThatOnlyBeginLikeACheckpoint: a signature over a longer text must not
// pass for one over the checkpoint that the text begins with.
func TestNotesThatOnlyBeginLikeACheckpoint(t *testing.T) {
	t.Parallel()
	k := keyOf(t, "signer")
	key, c := logKey(t, k, testOrigin), sampleCheckpoint(5)
	for name, text := range map[string]string{
		"more behind an empty line": c.Text() + "\nmore\n",
		"another checkpoint behind": c.Text() + "\n" + sampleCheckpoint(6).Text(),
		"extension line":            c.Text() + "extension\n",
	} {
		secret := "PRIVATE+KEY+" + testOrigin + "+" + strings.Split(key.ID(), "+")[1] + "+" + base64.StdEncoding.EncodeToString(append([]byte{1}, seedOf("signer")...))
		signer, err := note.NewSigner(secret)
		if err != nil {
			t.Fatal(err)
		}
		b, err := note.Sign(&note.Note{Text: text}, signer)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := chain.OpenCheckpoint(b, key); !errors.Is(err, chain.ErrCheckpoint) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func seedOf(word string) []byte {
	seed := digest(word)
	return seed[:]
}

func TestMalformedNotesAreNoCheckpoints(t *testing.T) {
	t.Parallel()
	k := keyOf(t, "signer")
	key, good := logKey(t, k, testOrigin), string(signed(t, k, sampleCheckpoint(5)))
	line := strings.Split(good, "\n")[4]
	for name, b := range map[string]string{
		"no signature":          sampleCheckpoint(5).Text(),
		"no signature line":     sampleCheckpoint(5).Text() + "\n",
		"no end of line":        strings.TrimSuffix(good, "\n"),
		"carriage returns":      strings.ReplaceAll(good, "\n", "\r\n"),
		"hyphen for the dash":   strings.Replace(good, "—", "-", 1),
		"no signature bytes":    sampleCheckpoint(5).Text() + "\n— a AAAA\n",
		"too many signatures":   good + strings.Repeat(line+"\n", chain.MaxSignatures),
		"larger than the bound": good + "— a " + strings.Repeat("A", chain.MaxCheckpoint) + "\n",
	} {
		if _, err := chain.OpenCheckpoint([]byte(b), key); !errors.Is(err, chain.ErrCheckpoint) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What OpenCheckpoint passes over is no note in its one form.
func TestNotesAsEvidenceHaveOneForm(t *testing.T) {
	t.Parallel()
	k := keyOf(t, "signer")
	key, good := logKey(t, k, testOrigin), string(signed(t, k, sampleCheckpoint(5)))
	line := strings.Split(good, "\n")[4] + "\n"
	if err := chain.CheckNote([]byte(good + "— a AAAAAAA=\n— a AAAAAQA=\n")); err != nil {
		t.Error(err)
	}
	for name, b := range map[string]string{
		"a second line by a key":          good + line,
		"a second line by an unknown key": good + "— a AAAAAAA=\n— a AAAAAAE=\n",
		"loose bits":                      good + "— a AAAAAAB=\n",
		"a delete in a name":              good + "— a\x7f AAAAAAA=\n",
		"a C1 control in a name":          good + "— a\u009b AAAAAAA=\n",
	} {
		if _, err := chain.OpenCheckpoint([]byte(b), key); err != nil {
			t.Errorf("%s: OpenCheckpoint: %v", name, err)
		}
		if err := chain.CheckNote([]byte(b)); !errors.Is(err, chain.ErrNote) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, b := range []string{"", "text\n", "text\n\n", "text\n\nline", good + "\n", good + strings.Repeat("— a AAAAAAA=\n", chain.MaxSignatures)} {
		if err := chain.CheckNote([]byte(b)); !errors.Is(err, chain.ErrNote) {
			t.Errorf("%q: %v", b, err)
		}
	}
}

func TestSignRefusesWhatIsNoCheckpoint(t *testing.T) {
	t.Parallel()
	k := keyOf(t, "signer")
	for name, c := range map[string]chain.Checkpoint{
		"no origin":           {Size: 1},
		"origin of two lines": {Origin: "a\nb", Size: 1},
		"negative size":       {Origin: "a", Size: -1},
		"empty tree":          {Origin: "a", Size: 0},
	} {
		if b, err := k.Sign(c); !errors.Is(err, chain.ErrCheckpoint) {
			t.Errorf("%s: signed %q (%v)", name, b, err)
		}
	}
	for _, origin := range []string{"a b", "a+b", "a\u00a0b"} {
		if b, err := k.Sign(chain.Checkpoint{Origin: origin, Size: 1}); !errors.Is(err, chain.ErrKey) {
			t.Errorf("origin %q: signed %q (%v)", origin, b, err)
		}
	}
	if _, err := chain.NewSigningKey(make([]byte, 31)); err == nil {
		t.Error("a seed of 31 bytes is taken")
	}
}

func TestNewerCosignaturesTakeThePlaceOfOlderOnes(t *testing.T) {
	t.Parallel()
	k, c := keyOf(t, "signer"), sampleCheckpoint(7)
	w1, w2 := witnessOf("witness.example/w1", "w1"), witnessOf("witness.example/w2", "w2")
	key, b := logKey(t, k, testOrigin), signed(t, k, c)
	forged := "— " + testOrigin + " " + base64.StdEncoding.EncodeToString(append(keyIDBytes(t, key), make([]byte, 64)...))
	var err error
	for _, lines := range [][]string{
		{w1.cosign(c.Text(), 100), w2.cosign(c.Text(), 101)},
		{w1.cosign(c.Text(), 160)},
		{forged}, // nobody but the signer writes the signer's line
		{w1.cosign(c.Text(), 160)},
	} {
		if b, err = chain.AddSignatures(b, lines...); err != nil {
			t.Fatal(err)
		}
	}
	s, err := chain.OpenCheckpoint(b, key, w1.key(t), w2.key(t))
	if err != nil {
		t.Fatal(err)
	}
	var times []int64
	for _, x := range s.Signatures[1:] {
		times = append(times, x.Time.Unix())
	}
	if !slices.Equal(times, []int64{160, 101}) || strings.Count(string(b), "— ") != 3 {
		t.Errorf("cosigned at %d:\n%s", times, b)
	}
	for _, line := range []string{"", "— a", "— a AAAA", "- a AAAAAAAA", "— a b AAAAAAAA", "— a AAAAAAAA\n", "— a AAAAAAAA\r", "— a+b AAAAAAAA", w1.cosign(c.Text(), 1) + "\n" + w2.cosign(c.Text(), 1)} {
		if _, err := chain.AddSignatures(b, line); !errors.Is(err, chain.ErrCheckpoint) {
			t.Errorf("%q: %v", line, err)
		}
	}
	many := make([]string, chain.MaxSignatures)
	for i := range many {
		many[i] = witnessOf(fmt.Sprintf("w%d", i), "w").cosign(c.Text(), 1)
	}
	if _, err := chain.AddSignatures(b, many...); !errors.Is(err, chain.ErrCheckpoint) {
		t.Errorf("%d signatures: %v", len(many)+3, err)
	}
}

func keyIDBytes(t *testing.T, k chain.VerifierKey) []byte {
	t.Helper()
	return unhex(t, k.ID()[len(k.ID())-8:])
}

func TestKeysHaveOneSpelling(t *testing.T) {
	t.Parallel()
	logText, err := keyOf(t, "signer").VerifierKey(testOrigin)
	if err != nil {
		t.Fatal(err)
	}
	witnessText := witnessOf("witness.example/w1", "w1").text()
	parsers := map[string]func(string) (chain.VerifierKey, error){logText: chain.ParseLogKey, witnessText: chain.ParseWitnessKey}
	for good, parse := range parsers {
		k, err := parse(good)
		if err != nil || k.String() != good || !strings.HasPrefix(good, k.ID()+"+") {
			t.Errorf("%s read as %s (%v)", good, k, err)
		}
		parts := strings.Split(good, "+")
		name, id, public := parts[0], parts[1], strings.Join(parts[2:], "+")
		flipped, _ := hex.DecodeString(id)
		flipped[0] ^= 1
		for what, text := range map[string]string{
			"empty":               "",
			"no id":               name,
			"id in capitals":      name + "+" + strings.ToUpper(id[:7]) + "F+" + public,
			"another id":          fmt.Sprintf("%s+%x+%s", name, flipped, public),
			"short id":            name + "+" + id[:6] + "+" + public,
			"id with a sign":      name + "++" + id[1:] + "+" + public,
			"no name":             "+" + id + "+" + public,
			"another name":        name + "x+" + id + "+" + public,
			"space in the name":   "a " + name + "+" + id + "+" + public,
			"line in the key":     name + "+" + id + "+" + public[:8] + "\n" + public[8:],
			"cut key":             name + "+" + id + "+" + public[:40],
			"longer key":          name + "+" + id + "+" + public + "AAAA",
			"something behind it": good + " x",
			"newline behind it":   good + "\n",
		} {
			if _, err := parse(text); !errors.Is(err, chain.ErrKey) {
				t.Errorf("%s: %q: %v", what, text, err)
			}
		}
	}
	if _, err := chain.ParseLogKey(witnessText); !errors.Is(err, chain.ErrKey) {
		t.Errorf("a witness's key as a log's: %v", err)
	}
	if _, err := chain.ParseWitnessKey(logText); !errors.Is(err, chain.ErrKey) || !strings.Contains(err.Error(), "hint: the same key as a witness's is "+testOrigin+"+") {
		t.Errorf("a log's key as a witness's: %v", err)
	}
}

// A point of Ed25519 has one spelling too, which crypto/ed25519 does not ask for.
func TestPointsHaveOneSpelling(t *testing.T) {
	t.Parallel()
	point := func(first, middle, last byte) []byte {
		p := bytes.Repeat([]byte{middle}, ed25519.PublicKeySize)
		p[0], p[31] = first, last
		return p
	}
	for _, c := range []struct {
		name  string
		point []byte
		good  bool
	}{
		{"y = 0", point(0, 0, 0), true},
		{"y = 0, signed", point(0, 0, 0x80), true},
		{"y = 1", point(1, 0, 0), true},
		{"y = 1, signed", point(1, 0, 0x80), false},
		{"y = p − 1", point(0xec, 0xff, 0x7f), true},
		{"y = p − 1, signed", point(0xec, 0xff, 0xff), false},
		{"y = p − 2, signed", point(0xeb, 0xff, 0xff), true},
		{"y = p", point(0xed, 0xff, 0x7f), false},
		{"y = p + 1", point(0xee, 0xff, 0x7f), false},
		{"y = p + 1, signed", point(0xee, 0xff, 0xff), false},
		{"all bits", point(0xff, 0xff, 0xff), false},
	} {
		text, err := note.NewEd25519VerifierKey(testOrigin, c.point)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := chain.ParseLogKey(text); (err == nil) != c.good || err != nil && !errors.Is(err, chain.ErrKey) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestKeysThatShareAnIDAreNotGuessedAt(t *testing.T) {
	t.Parallel()
	one, other := collidingKeys(t)
	c := chain.Checkpoint{Origin: one.Name(), Size: 1, Root: digest("root")}
	b := signed(t, keyOf(t, "signer"), c)
	b = append(b, ("— " + one.Name() + " " + base64.StdEncoding.EncodeToString(append(keyIDBytes(t, one), make([]byte, 64)...)) + "\n")...)
	if _, err := chain.OpenCheckpoint(b, one, other); !errors.Is(err, chain.ErrKey) {
		t.Errorf("%v, want it to say that the keys share an id", err)
	}
}

const (
	collidingA = "000000000000000000000000000000000000000000000000000000000000dacd"
	collidingB = "000000000000000000000000000000000000000000000000000000000001ded6"
)

// collidingKeys returns two keys of one name and id. Their
// bytes were found by counting.
func collidingKeys(t *testing.T) (one, other chain.VerifierKey) {
	t.Helper()
	for _, public := range []string{collidingA, collidingB} {
		text, err := note.NewEd25519VerifierKey("collision", unhex(t, public))
		if err != nil {
			t.Fatal(err)
		}
		k, err := chain.ParseLogKey(text)
		if err != nil {
			t.Fatal(err)
		}
		one, other = other, k
	}
	if one.ID() != other.ID() || one.String() == other.String() || one.SamePublic(other) || !one.SamePublic(one) {
		t.Fatalf("%s and %s", one, other)
	}
	return one, other
}

// FuzzParseCheckpoint holds that a checkpoint has one text.
func FuzzParseCheckpoint(f *testing.F) {
	f.Add(sampleCheckpoint(12).Text())
	f.Add(chain.Checkpoint{Origin: "o", Root: chain.EmptyRoot}.Text())
	f.Add(strings.Split(sofaCheckpoint, "\n\n")[0] + "\n")
	f.Add("o\n01\n\n")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := chain.ParseCheckpoint(text)
		if err != nil {
			if !errors.Is(err, chain.ErrCheckpoint) {
				t.Fatalf("an error of no known kind: %v", err)
			}
			return
		}
		if c.Text() != text || c.Size < 0 || c.Size > chain.MaxTreeSize {
			t.Fatalf("%q is read as %+v, which is %q", text, c, c.Text())
		}
	})
}

// FuzzOpenCheckpoint holds that nothing verifies but what the signer has signed.
func FuzzOpenCheckpoint(f *testing.F) {
	k, c := keyOf(f, "signer"), sampleCheckpoint(7)
	key, w := logKey(f, k, testOrigin), witnessOf("witness.example/w1", "w1")
	f.Add(signed(f, k, c))
	f.Add(append(signed(f, k, c), w.cosign(c.Text(), 5)+"\n"...))
	f.Add([]byte(sofaCheckpoint))
	f.Add([]byte(poemNote))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := chain.OpenCheckpoint(b, key, w.key(t))
		if err == nil && s.Checkpoint != c {
			t.Fatalf("%q verifies", b)
		}
		for _, known := range []error{nil, chain.ErrCheckpoint, chain.ErrUnknownKey, chain.ErrSignature} {
			if errors.Is(err, known) {
				return
			}
		}
		t.Fatalf("an error of no known kind: %v", err)
	})
}
