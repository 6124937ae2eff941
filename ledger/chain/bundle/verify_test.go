package bundle_test

import (
	"bytes"
	"testing"

	"tallystick/ledger/chain"
	"tallystick/ledger/chain/bundle"
)

// verify verifies a bundle with the key of the book.
func verify(tb testing.TB, file []byte, o bundle.Options) *bundle.Report {
	tb.Helper()
	r, err := bundle.Verify(tb.Context(), bytes.NewReader(file), int64(len(file)), o)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

func trusting(tb testing.TB, b *book) bundle.Options {
	return bundle.Options{Keys: []chain.VerifierKey{b.verifierKey(tb)}}
}

func TestAGoodBundleIsVerified(t *testing.T) {
	t.Parallel()
	b := small(t)
	r := verify(t, b.bundle(t), trusting(t, b))
	if r.Status != bundle.Verified || r.EntriesChecked != int64(len(b.entries)) || r.Ledger != "main" {
		t.Fatalf("%+v", r)
	}
	var text bytes.Buffer
	if err := r.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	t.Log(text.String())
}
