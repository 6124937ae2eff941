package chain_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tallystick/ledger/chain"
)

func TestDecodeRefusesWhatNoEncoderWrites(t *testing.T) {
	t.Parallel()
	for _, r := range refusals() {
		e, err := chain.Decode(r.bytes)
		if !errors.Is(err, r.err) {
			t.Errorf("%s: %v, want %v", r.name, err, r.err)
		}
		if !reflect.DeepEqual(e, chain.Entry{}) {
			t.Errorf("%s: refused, and yet an entry came back", r.name)
		}
	}
}

func TestCheckRefusesEachBrokenRule(t *testing.T) {
	t.Parallel()
	for _, b := range badEntries() {
		if err := b.entry.Check(); !errors.Is(err, b.err) {
			t.Errorf("%s: %v, want %v", b.name, err, b.err)
		}
	}
}

// A detail that is not known hides nothing that is malformed; an entry in which
// nothing else is wrong is whole after the error.
func TestWhatIsMalformedIsNotUnknown(t *testing.T) {
	t.Parallel()
	with := func(kind chain.Kind, details ...chain.Detail) chain.Entry {
		e := withPostings(chain.Transfer, 1, 0)
		e.Kind, e.Details = kind, details
		return e
	}
	odd, worse := chain.Detail{Name: "odd", Value: "x"}, chain.Detail{Name: "rate.eur", Value: "x"}
	for _, c := range []struct {
		name  string
		entry chain.Entry
		want  error
	}{
		{"a detail that is not known", with(chain.Transfer, odd), chain.ErrUnknown},
		{"and one that is malformed behind it", with(chain.Transfer, odd, worse), chain.ErrMalformed},
		{"and one out of order", with(chain.Transfer, odd, chain.Detail{Name: "a", Value: "x"}), chain.ErrMalformed},
		{"a kind that is not known", with(99, odd, worse), chain.ErrUnknown},
		{"and a detail out of order", with(99, odd, chain.Detail{Name: "a", Value: "x"}), chain.ErrMalformed},
	} {
		var e chain.Entry
		err := e.Decode(c.entry.AppendCanonical(nil))
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
		if c.want == chain.ErrUnknown && e.Kind.Known() && !reflect.DeepEqual(e, c.entry) {
			t.Errorf("%s: read %+v", c.name, e)
		}
	}
}

func TestCheckNamesEntryAndField(t *testing.T) {
	t.Parallel()
	e := withPostings(chain.Transfer, 1, 0)
	e.Postings[1].Currency = "eur"
	want := `checking entry 3: posting 1: currency "eur": malformed entry`
	if err := e.Check(); err == nil || err.Error() != want {
		t.Errorf("Check says %q, want %q", err, want)
	}
}

func TestSamplesPassCheck(t *testing.T) {
	t.Parallel()
	for _, s := range samples() {
		if err := s.entry.Check(); err != nil {
			t.Errorf("%s: %v", s.name, err)
		}
	}
}

// TestDecodingIntoAnEntryLeavesNothingOfIt reads every sample into one entry
// after every other, refused ones in between.
func TestDecodingIntoAnEntryLeavesNothingOfIt(t *testing.T) {
	t.Parallel()
	var e chain.Entry
	for i, s := range samples() {
		for _, before := range samples() {
			if err := e.Decode(before.entry.AppendCanonical(nil)); err != nil {
				t.Fatalf("%s: %v", before.name, err)
			}
			if bad := refusals()[i%len(refusals())]; e.Decode(bad.bytes) == nil {
				t.Fatalf("%s: not refused", bad.name)
			}
			canonical := s.entry.AppendCanonical(nil)
			if err := e.Decode(canonical); err != nil || !bytes.Equal(e.AppendCanonical(nil), canonical) {
				t.Fatalf("%s after %s: decoded as another entry (%v)", s.name, before.name, err)
			}
		}
	}
}

// TestCheckAndDecodeAgree holds Decode to accept exactly the encodings of
// entries that pass Check, on arbitrary and mostly invalid entries.
func TestCheckAndDecodeAgree(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		e := rapid.SampledFrom(samples()).Draw(t, "sample").entry
		bad := rapid.SampledFrom(badEntries()).Draw(t, "bad").entry
		switch rapid.IntRange(0, 3).Draw(t, "mix") {
		case 0:
			e.Kind = bad.Kind
		case 1:
			e.Postings = bad.Postings
		case 2:
			e.Account, e.Ledger = bad.Account, bad.Ledger
		case 3:
			e.Details = bad.Details
		}
		checked := e.Check()
		decoded, err := chain.Decode(e.AppendCanonical(nil))
		if (checked == nil) != (err == nil) {
			t.Fatalf("Check says %v, Decode says %v", checked, err)
		}
		if err == nil && decoded.Hash() != e.Hash() {
			t.Fatal("decoded as another entry")
		}
	})
}

// TestEncodingsOfOversizedEntriesNeverDecode has lengths that 16 bits cannot
// hold, as a damaged database may serve them: they must neither panic nor look
// like a well-formed entry.
func TestEncodingsOfOversizedEntriesNeverDecode(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("A", 1<<16+3)
	opened := with(entryOf(chain.AccountOpened, 1), func(e *chain.Entry) { e.Account = sampleAccount() })
	for _, tt := range []struct {
		name  string
		entry chain.Entry
	}{
		{"currency", with(withPostings(chain.Transfer, 1, 0), func(e *chain.Entry) { e.Postings[0].Currency = long })},
		{"account code", with(opened, func(e *chain.Entry) { e.Account = ptr(*e.Account); e.Account.Code = long })},
		{"tags", with(opened, func(e *chain.Entry) { e.Account = ptr(*e.Account); e.Account.Tags = make([]chain.Tag, 1<<16+1) })},
		{"postings", with(withPostings(chain.Transfer, 1, 0), func(e *chain.Entry) { e.Postings = make([]chain.Posting, 1<<16+1) })},
		{"details", with(entryOf(chain.Run, 4), func(e *chain.Entry) { e.Details = make([]chain.Detail, 1<<16+1) })},
		{"detail value", with(entryOf(chain.Run, 4), func(e *chain.Entry) { e.Details = []chain.Detail{{Name: "as_of", Value: long}} })},
	} {
		if err := tt.entry.Check(); !errors.Is(err, chain.ErrMalformed) {
			t.Errorf("%s: Check says %v", tt.name, err)
		}
		if _, err := chain.Decode(tt.entry.AppendCanonical(nil)); !errors.Is(err, chain.ErrMalformed) {
			t.Errorf("%s: Decode says %v", tt.name, err)
		}
	}
}

// TestBoundsAddUpBelowTheLargestEncoding makes the largest entry there can be of
// each kind: it must fit into a bundle of entries, or a ledger that has it could
// not be served.
func TestBoundsAddUpBelowTheLargestEncoding(t *testing.T) {
	t.Parallel()
	text := func(n int) string { return strings.Repeat("x", n) }
	for _, k := range chain.Kinds() {
		h := chain.Hash{}
		e := chain.Entry{Kind: k, RefSeq: ptr[int64](0), RelatedTo: ptr(id(0)), ExpiresAt: ptr[int64](0), Description: &h, Reference: &h, Metadata: &h}
		if whatKindHas(t, k, withOrWithoutPostings) == "must" {
			for range chain.MaxPostings {
				e.Postings = append(e.Postings, chain.Posting{Currency: text(16)})
			}
		}
		if k == chain.LedgerOpened {
			e.Ledger = &chain.LedgerTerms{Name: text(chain.MaxLedgerName), Origin: text(chain.MaxOrigin), TimeZone: text(chain.MaxTimeZone), BaseCurrency: text(16)}
		}
		if k == chain.AccountOpened || k == chain.AccountChanged {
			e.Account = &chain.Account{Code: text(chain.MaxAccountCode), Currency: text(16), MinBalance: ptr(units(0)), MaxBalance: ptr(units(0))}
			for range chain.MaxTags {
				e.Account.Tags = append(e.Account.Tags, chain.Tag{Key: text(chain.MaxTagKey), Value: text(chain.MaxTagValue)})
			}
		}
		n := len(e.AppendCanonical(nil)) + largestDetails(k)
		if _, err := chain.AppendBundleEntry(nil, make([]byte, n)); err != nil || n > chain.MaxCanonical {
			t.Errorf("the largest %s has %d bytes, MaxCanonical is %d: %v", k, n, chain.MaxCanonical, err)
		}
	}
}

// largestDetails returns how many bytes the details of an entry can take: each
// name once but for those of a currency.
func largestDetails(k chain.Kind) int {
	n := 0
	for _, row := range chain.DetailRows(k) {
		name, _, _ := strings.Cut(row, " ")
		if n += 2 + len(name) + 2 + chain.MaxDetailValue; strings.HasSuffix(name, ".") {
			n = chain.MaxDetailBytes
		}
	}
	return min(n, chain.MaxDetailBytes)
}

func TestCheckBoundsDetailsTogether(t *testing.T) {
	t.Parallel()
	e := withDetails(chain.PeriodClosed, chain.Detail{Name: "period_end", Value: "2026-01-31"}, chain.Detail{Name: "through_seq", Value: "8"})
	for i := range 250 {
		e.Details = append(e.Details, chain.Detail{Name: fmt.Sprintf("retain_account.C%03d", i), Value: strings.Repeat("a", 120-i%2)})
	}
	chain.SortDetails(e.Details)
	want := "checking entry 9: details of more than 32768 bytes: malformed entry"
	if err := e.Check(); err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	e.Details = slices.DeleteFunc(e.Details, func(d chain.Detail) bool { return strings.HasPrefix(d.Name, "retain_account.C2") })
	if err := e.Check(); err != nil {
		t.Error(err)
	}
}

// TestDecodeDoesNotBelieveLengths counts the bytes allocated for inputs that
// claim far more than they hold.
func TestDecodeDoesNotBelieveLengths(t *testing.T) {
	base := withPostings(chain.Transfer, 1, 0)
	good := base.AppendCanonical(nil)
	const postingsAt = 131 // no optional field is present
	claims := map[string][]byte{
		"500 postings":   append(append([]byte(nil), good[:postingsAt]...), 0x01, 0xf4),
		"65535 postings": append(append([]byte(nil), good[:postingsAt]...), 0xff, 0xff),
		"512 details":    append(append([]byte(nil), good[:len(good)-2]...), 0x02, 0x00),
		"text of 65535":  append(append([]byte(nil), good[:postingsAt+2+17]...), 0xff, 0xff),
		"20 MiB":         make([]byte, 20<<20),
	}
	for name, b := range claims {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := chain.Decode(b)
		runtime.ReadMemStats(&after)
		if !errors.Is(err, chain.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
		if n := after.TotalAlloc - before.TotalAlloc; n > 8<<10 {
			t.Errorf("%s: %d bytes allocated", name, n)
		}
	}
}

func TestDecodeRefusesInputThatNoEntryIsAsLongAsUnread(t *testing.T) {
	t.Parallel()
	_, err := chain.Decode(make([]byte, chain.MaxCanonical+1))
	if want := "decoding an entry of 65536 bytes: malformed entry"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

// FuzzDecode feeds Decode arbitrary bytes: what it accepts must encode to the
// same bytes again, so that there is one encoding per entry.
func FuzzDecode(f *testing.F) {
	for _, s := range samples() {
		f.Add(s.entry.AppendCanonical(nil))
	}
	for _, r := range refusals() {
		f.Add(r.bytes)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := chain.Decode(b)
		if err != nil {
			if !errors.Is(err, chain.ErrMalformed) && !errors.Is(err, chain.ErrUnknown) {
				t.Fatalf("an error of no known kind: %v", err)
			}
			return
		}
		if again := e.AppendCanonical(nil); !bytes.Equal(again, b) {
			t.Fatalf("accepted %x, which encodes as %x", b, again)
		}
		if err := e.Check(); err != nil {
			t.Fatalf("accepted an entry that fails Check: %v", err)
		}
		if e.Hash() != chain.HashCanonical(b) {
			t.Fatal("Hash and HashCanonical differ")
		}
	})
}

// FuzzEncodeDecode draws valid entries from the fuzzer's bytes.
func FuzzEncodeDecode(f *testing.F) {
	source := rand.NewChaCha8([32]byte{})
	for range 20 {
		b := make([]byte, 16<<10)
		_, _ = source.Read(b) // never fails
		f.Add(b)
	}
	f.Fuzz(rapid.MakeFuzz(roundTrip))
}
