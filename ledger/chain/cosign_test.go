package chain_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	cosignature "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"

	"tallystick/ledger/chain"
)

func seed(b byte) []byte { return bytes.Repeat([]byte{b}, 32) }

// What other programs make of our keys and cosignatures, and we of theirs.
func TestCosignaturesAreThoseOfC2SP(t *testing.T) {
	t.Parallel()
	ours, err := chain.NewCosigningKey("witness.example/w1", seed(1))
	if err != nil {
		t.Fatal(err)
	}
	log, err := chain.NewSigningKey(seed(2))
	if err != nil {
		t.Fatal(err)
	}
	c := chain.Checkpoint{Origin: "ledger.example/1", Size: 3, Root: chain.Hash{1, 2, 3}}
	signed, err := log.Sign(c)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Unix(1_700_000_000, 999)
	line, err := ours.Cosign(c, at)
	if err != nil {
		t.Fatal(err)
	}
	cosigned, err := chain.AddSignatures(signed, line)
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := cosignature.NewVerifierForCosignatureV1(ours.VerifierKey())
	if err != nil {
		t.Fatal(err)
	}
	n, err := note.Open(cosigned, note.VerifierList(verifier))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := cosignature.CoSigV1Timestamp(n.Sigs[0]); err != nil || got.Unix() != at.Unix() {
		t.Errorf("others read the time %v, %v", got, err)
	}

	theirs, err := cosignature.NewSignerForCosignatureV1(ours.Secret())
	if err != nil {
		t.Fatal(err)
	}
	key, err := chain.ParseWitnessKey(ours.VerifierKey())
	if err != nil {
		t.Fatal(err)
	}
	if theirs.Name() != ours.Name() || theirs.KeyHash() != key.Verifier().KeyHash() {
		t.Errorf("others name our key %s+%08x, we %s", theirs.Name(), theirs.KeyHash(), key.ID())
	}
	byThem, err := note.Sign(&note.Note{Text: c.Text()}, theirs)
	if err != nil {
		t.Fatal(err)
	}
	if s, err := chain.OpenCheckpoint(byThem, key); err != nil || !s.SignedBy(key) {
		t.Errorf("a cosignature made by others under our key: %v", err)
	}
}

func TestSecretKeysOfWitnessesAreReadStrictly(t *testing.T) {
	t.Parallel()
	key, err := chain.NewCosigningKey("witness.example/w1", seed(1))
	if err != nil {
		t.Fatal(err)
	}
	again, err := chain.ParseCosigningKey(key.Secret())
	if err != nil || again.Secret() != key.Secret() || again.VerifierKey() != key.VerifierKey() {
		t.Fatalf("read again: %v", err)
	}
	fields := strings.Split(key.Secret(), "+")
	base64 := strings.Join(fields[4:], "+")
	for name, text := range map[string]string{
		"empty":          "",
		"public":         key.VerifierKey(),
		"other name":     strings.Replace(key.Secret(), "w1", "w2", 1),
		"other id":       strings.Replace(key.Secret(), fields[3], "00000000", 1),
		"a signer's":     strings.Replace(key.Secret(), base64, "AQ"+base64[2:], 1),
		"too short":      strings.TrimSuffix(key.Secret(), base64[len(base64)-4:]),
		"no name":        strings.Replace(key.Secret(), key.Name(), "", 1),
		"a line too far": key.Secret() + "\n",
	} {
		_, err := chain.ParseCosigningKey(text)
		if !errors.Is(err, chain.ErrWitnessKey) {
			t.Errorf("%s: %v", name, err)
		} else if strings.Contains(err.Error(), base64[4:20]) {
			t.Errorf("%s: the error shows the secret: %v", name, err)
		}
	}
	for _, name := range []string{"", "a b", "a+b", "a\nb", "a\x00", "\xff"} {
		if _, err := chain.NewCosigningKey(name, seed(1)); !errors.Is(err, chain.ErrWitnessKey) {
			t.Errorf("the name %q: %v", name, err)
		}
	}
	if _, err := chain.NewCosigningKey("w", seed(1)[1:]); !errors.Is(err, chain.ErrWitnessKey) {
		t.Errorf("a short seed: %v", err)
	}
	if _, err := key.Cosign(chain.Checkpoint{}, time.Unix(-1, 0)); err == nil {
		t.Error("cosigned before 1970")
	}
}
