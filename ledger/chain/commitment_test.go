package chain_test

import (
	"testing"

	"tallystick/ledger/chain"
)

// TestCommitmentIsHMACSHA256 uses an answer computed outside of Go:
//
//	printf '\001Coffee beans, 2 kg' | openssl dgst -sha256 -mac HMAC -macopt hexkey:000102…1f
func TestCommitmentIsHMACSHA256(t *testing.T) {
	t.Parallel()
	const want = "0cda50d095e4c371b186011152665ecccf2704cad19647414a249800842f182f"
	if got := chain.Commitment(unhex(t, exampleSalt), chain.FieldDescription, exampleText).String(); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestCommitmentsDifferBySaltFieldAndText(t *testing.T) {
	t.Parallel()
	seen := map[chain.Hash]string{}
	for _, salt := range []string{exampleSalt, "ff" + exampleSalt[2:]} {
		for _, field := range []chain.Field{chain.FieldDescription, chain.FieldReference, chain.FieldMetadata, chain.FieldRequest} {
			for _, text := range []string{"", "a", "b", "\x01a", "a\x00"} {
				h := chain.Commitment(unhex(t, salt), field, text)
				what := salt[:2] + string(rune('0'+field)) + text
				if other, ok := seen[h]; ok {
					t.Errorf("%q and %q have the same commitment", what, other)
				}
				seen[h] = what
			}
		}
	}
}

func BenchmarkCommitment(b *testing.B) {
	salt := make([]byte, chain.SaltSize)
	b.ReportAllocs()
	for b.Loop() {
		chain.Commitment(salt, chain.FieldDescription, exampleText)
	}
}
