package bundle_test

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/google/uuid"

	"tallystick/ledger/chain"
	"tallystick/ledger/chain/bundle"
)

// What is read the fast way is what chain.Decode reads, and nothing that it
// refuses.
func FuzzFastReading(f *testing.F) {
	b := small(f)
	for i := range b.entries {
		f.Add(b.entries[i].AppendCanonical(nil))
	}
	f.Fuzz(func(t *testing.T, canonical []byte) {
		fast, ok := bundle.ReadFast(canonical)
		if !ok {
			return
		}
		want, err := chain.Decode(canonical)
		if err != nil {
			t.Fatalf("read what Decode refuses: %v", err)
		}
		want.RequestID, want.Actor, want.PriorPeriod, want.RelatedTo, want.ExpiresAt, want.EffectiveDate = uuid.Nil, uuid.Nil, false, nil, nil, 0
		want.Details = nil
		if !reflect.DeepEqual(fast, want) {
			t.Fatalf("read %+v, want %+v", fast, want)
		}
	})
}

// Every byte of an entry of money, changed in any way, is read alike.
func TestFastReadingAgreesWithDecodeAtEveryByte(t *testing.T) {
	t.Parallel()
	b := small(t)
	read := 0
	for i := range b.entries {
		if len(b.entries[i].Postings) == 0 || i > 5 && i < 24 {
			continue
		}
		canonical := b.entries[i].AppendCanonical(nil)
		for at := range canonical {
			for _, v := range []byte{0, 1, 2, 3, 0x7f, 0x80, 0xff, canonical[at] ^ 1, canonical[at]} {
				changed := bytes.Clone(canonical)
				changed[at] = v
				fast, ok := bundle.ReadFast(changed)
				want, err := chain.Decode(changed)
				if ok && (err != nil || !reflect.DeepEqual(fast.Postings, want.Postings) || fast.Seq != want.Seq || !reflect.DeepEqual(fast.RefSeq, want.RefSeq) ||
					!reflect.DeepEqual(fast.Description, want.Description) || !reflect.DeepEqual(fast.Metadata, want.Metadata)) {
					t.Fatalf("entry %d, byte %d as %#x: %v", i, at, v, err)
				}
				if ok {
					read++
				}
			}
		}
	}
	if read < 1000 {
		t.Errorf("only %d were read the fast way", read)
	}
}

// A manifest has one form: what is read is written the same.
func FuzzManifest(f *testing.F) {
	b := small(f)
	text, _, _ := strings.Cut(string(members(f, b.bundle(f))["manifest"]), "\n\n")
	f.Add(text + "\n")
	f.Add("tallystick/bundle/v2\n")
	f.Add("tallystick/bundle/v1\nledger x\n")
	f.Fuzz(func(t *testing.T, text string) {
		m, err := bundle.ParseManifest(text)
		if err != nil {
			if !errors.Is(err, bundle.ErrManifest) && !errors.Is(err, bundle.ErrVersion) {
				t.Fatalf("another error: %v", err)
			}
			return
		}
		if m.Text() != text {
			t.Fatalf("read %q, wrote %q", text, m.Text())
		}
	})
}

// Whatever a file holds, verifying it ends, and never with "verified" when it
// is not the file that was written.
func FuzzVerify(f *testing.F) {
	b := small(f)
	good := b.bundle(f)
	f.Add(0, byte(0))
	f.Add(len(good)-1, byte(1))
	f.Add(40, byte(0xff))
	f.Fuzz(func(t *testing.T, at int, x byte) {
		file := bytes.Clone(good)
		file[((at%len(file))+len(file))%len(file)] ^= x
		r, err := bundle.Verify(t.Context(), bytes.NewReader(file), int64(len(file)), trusting(t, b))
		if err == nil && r.Status == bundle.Verified && !bytes.Equal(file, good) && !onlyContainer(t, file, good) {
			t.Fatal("verified another file")
		}
	})
}

// onlyContainer reports whether two bundles hold the same members: times, CRCs
// and versions in the ZIP's own records say nothing, and a signature on the
// manifest by a key that nobody knows says as little as none.
func onlyContainer(t *testing.T, a, b []byte) bool {
	t.Helper()
	x, y := contentsOf(t, a), contentsOf(t, b)
	for _, all := range []map[string][]byte{x, y} {
		all["manifest"], _, _ = bytes.Cut(all["manifest"], []byte("\n\n"))
	}
	return reflect.DeepEqual(x, y)
}
