package chain_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"

	tlogproof "github.com/transparency-dev/formats/proof"

	"tallystick/ledger/chain"
)

// sealed is a ledger of a few entries under a checkpoint.
type sealed struct {
	key     chain.SigningKey
	entries [][]byte // canonical
	stored  storedNodes
	note    []byte
}

// seal makes a ledger of n entries, the last of which may be given.
func seal(t testing.TB, n int, last *chain.Entry) sealed {
	t.Helper()
	s := sealed{key: keyOf(t, "signer")}
	var leaves []chain.Hash
	prev := chain.Genesis
	for seq := range n {
		e := entryOf(chain.Transfer, int64(seq))
		switch {
		case seq == 0:
			e = entryOf(chain.LedgerOpened, 0)
			e.Ledger = sampleTerms()
		case seq == n-1 && last != nil:
			e = *last
			e.Seq = int64(seq)
		default:
			e.Postings = twoPostings(int64(seq), 0)
		}
		e.PrevHash = prev
		prev = e.Hash()
		leaves = append(leaves, prev)
		s.entries = append(s.entries, e.AppendCanonical(nil))
	}
	s.stored = storeTree(leaves)
	s.note = signed(t, s.key, chain.Checkpoint{Origin: testOrigin, Size: int64(n), Root: chain.RootOf(leaves)})
	return s
}

func (s *sealed) receipt(t testing.TB, seq int) *chain.Receipt {
	t.Helper()
	path, err := chain.ProveInclusion(int64(seq), int64(len(s.entries)), s.stored.read)
	if err != nil {
		t.Fatal(err)
	}
	return &chain.Receipt{Canonical: s.entries[seq], Index: int64(seq), Proof: path, Checkpoint: s.note}
}

func TestReceiptsProveEntries(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 2, 3, 7, 300} {
		s := seal(t, n, nil)
		for seq := 0; seq < n; seq += 1 + n/10 {
			file := s.receipt(t, seq).Marshal()
			r, err := chain.ParseReceipt(file)
			if err != nil {
				t.Fatal(err)
			}
			e, checkpoint, err := r.Verify(logKey(t, s.key, testOrigin))
			if err != nil || e.Seq != int64(seq) || checkpoint.Size != int64(n) || !bytes.Equal(e.AppendCanonical(nil), s.entries[seq]) {
				t.Errorf("entry %d of %d: %+v under %+v (%v)", seq, n, e, checkpoint, err)
			}
			if !bytes.Equal(r.Marshal(), file) {
				t.Errorf("entry %d of %d: read and written again it differs", seq, n)
			}
		}
	}
}

// TestReceiptsAreWhatThePublicLibraryReads holds the form against transparency-dev/formats.
func TestReceiptsAreWhatThePublicLibraryReads(t *testing.T) {
	t.Parallel()
	s := seal(t, 20, nil)
	r := s.receipt(t, 11)
	var p tlogproof.TLogProof
	if err := p.Unmarshal(r.Marshal()); err != nil {
		t.Fatal(err)
	}
	if p.Index != 11 || !bytes.Equal(p.ExtraData, r.Canonical) || !bytes.Equal(p.Checkpoint, s.note) || !slices.Equal(ours(p.Hashes), r.Proof) {
		t.Errorf("it reads %+v", p)
	}
	if got := p.Marshal(); !bytes.Equal(got, r.Marshal()) {
		t.Errorf("it writes\n%s\nwe write\n%s", got, r.Marshal())
	}
}

// TestReceiptOfTheLargestEntry: its line is longer than what a bufio.Scanner takes.
func TestReceiptOfTheLargestEntry(t *testing.T) {
	t.Parallel()
	e := sampleOf("500 postings")
	s := seal(t, 4, &e)
	r, err := chain.ParseReceipt(s.receipt(t, 3).Marshal())
	if err != nil {
		t.Fatal(err)
	}
	if got, _, err := r.Verify(logKey(t, s.key, testOrigin)); err != nil || len(got.Postings) != chain.MaxPostings {
		t.Error(err)
	}
}

func TestReceiptsThatProveNothing(t *testing.T) {
	t.Parallel()
	s := seal(t, 9, nil)
	key := logKey(t, s.key, testOrigin)
	w := witnessOf("witness.example/w1", "w1")
	root := chain.RootOf(s.stored[0])
	elsewhere := chain.Checkpoint{Origin: "ledger.example/" + id(99).String(), Size: 9, Root: root}
	cosigned, err := chain.AddSignatures(s.note, w.cosign(chain.Checkpoint{Origin: testOrigin, Size: 9, Root: root}.Text(), 5))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		change func(r *chain.Receipt)
		keys   []chain.VerifierKey
		err    error
	}{
		{"another entry", func(r *chain.Receipt) { r.Canonical = s.entries[5] }, nil, chain.ErrProof},
		{"another index", func(r *chain.Receipt) { r.Index = 5 }, nil, chain.ErrProof},
		{"entry and index of another", func(r *chain.Receipt) { r.Canonical, r.Index = s.entries[5], 5 }, nil, chain.ErrProof},
		{"a hash more", func(r *chain.Receipt) { r.Proof = append(r.Proof, digest("h")) }, nil, chain.ErrProof},
		{"a hash less", func(r *chain.Receipt) { r.Proof = r.Proof[1:] }, nil, chain.ErrProof},
		{"no entry", func(r *chain.Receipt) { r.Canonical = nil }, nil, chain.ErrMalformed},
		{"no checkpoint", func(r *chain.Receipt) { r.Checkpoint = nil }, nil, chain.ErrCheckpoint},
		{"another ledger's checkpoint", func(r *chain.Receipt) { r.Checkpoint = signed(t, s.key, elsewhere) }, []chain.VerifierKey{logKey(t, s.key, elsewhere.Origin)}, chain.ErrProof},
		{"another key", func(*chain.Receipt) {}, []chain.VerifierKey{logKey(t, keyOf(t, "other"), testOrigin)}, chain.ErrUnknownKey},
		{"a witness, and no signer", func(r *chain.Receipt) { r.Checkpoint = cosigned }, []chain.VerifierKey{w.key(t)}, chain.ErrUnknownKey},
		{"no key", func(*chain.Receipt) {}, []chain.VerifierKey{}, chain.ErrUnknownKey},
	} {
		r := s.receipt(t, 4)
		r.Proof = slices.Clone(r.Proof)
		tt.change(r)
		keys := tt.keys
		if keys == nil {
			keys = []chain.VerifierKey{key}
		}
		if _, _, err := r.Verify(keys...); !errors.Is(err, tt.err) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.err)
		}
	}
}

func TestEveryChangedByteOfAReceiptIsFound(t *testing.T) {
	t.Parallel()
	s := seal(t, 9, nil)
	key := logKey(t, s.key, testOrigin)
	file := s.receipt(t, 4).Marshal()
	for i := range file {
		b := bytes.Clone(file)
		b[i] ^= 1 << (i % 7)
		if r, err := chain.ParseReceipt(b); err == nil {
			if _, _, err = r.Verify(key); err == nil {
				t.Errorf("byte %d: %q verifies", i, b[max(0, i-10):min(len(b), i+10)])
			}
		}
	}
}

func TestParseReceiptIsStrict(t *testing.T) {
	t.Parallel()
	s := seal(t, 9, nil)
	good := string(s.receipt(t, 4).Marshal())
	lines := strings.SplitAfter(good, "\n")
	extra, rest := lines[1], strings.Join(lines[2:], "")
	hash := lines[3]
	for name, file := range map[string]string{
		"empty":                      "",
		"header alone":               lines[0],
		"another version":            strings.Replace(good, "@v1", "@v2", 1),
		"no extra data":              lines[0] + rest,
		"extra data twice":           lines[0] + extra + extra + rest,
		"extra data no base64":       lines[0] + "extra !\n" + rest,
		"extra data in parts":        lines[0] + extra[:20] + "\r" + extra[20:] + rest,
		"extra data with loose bits": lines[0] + "extra QR==\n" + rest,
		"extra data too large":       lines[0] + "extra " + base64.StdEncoding.EncodeToString(make([]byte, chain.MaxCanonical+1)) + "\n" + rest,
		"no index":                   lines[0] + extra + strings.Join(lines[3:], ""),
		"index with a zero":          strings.Replace(good, "index 4", "index 04", 1),
		"index with a plus":          strings.Replace(good, "index 4", "index +4", 1),
		"negative index":             strings.Replace(good, "index 4", "index -4", 1),
		"index beyond 63 bits":       strings.Replace(good, "index 4", "index 9223372036854775808", 1),
		"hash no base64":             strings.Replace(good, hash, "!\n", 1),
		"short hash":                 strings.Replace(good, hash, "AAAA\n", 1),
		"hash with loose bits":       strings.Replace(good, hash, strings.Repeat("A", 42)+"B=\n", 1),
		"61 hashes":                  strings.Replace(good, hash, strings.Repeat(hash, 61), 1),
		"carriage returns":           strings.ReplaceAll(good, "\n", "\r\n"),
		"no empty line":              strings.Replace(good, "\n\n", "\n", 1),
		"larger than the bound":      good + strings.Repeat("x", chain.MaxReceipt),
	} {
		if _, err := chain.ParseReceipt([]byte(file)); !errors.Is(err, chain.ErrReceipt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// fuzzedReceipts are where the fuzzers of receipts begin.
func fuzzedReceipts(f *testing.F) {
	s := seal(f, 300, nil)
	for _, seq := range []int{0, 1, 255, 299} {
		f.Add(s.receipt(f, seq).Marshal())
	}
	f.Add((&chain.Receipt{}).Marshal())
	f.Add([]byte("c2sp.org/tlog-proof@v1\nindex " + strconv.Itoa(3) + "\n\n"))
}

// FuzzParseReceipt holds that what is read is written again as the same bytes.
func FuzzParseReceipt(f *testing.F) {
	fuzzedReceipts(f)
	f.Fuzz(func(t *testing.T, file []byte) {
		r, err := chain.ParseReceipt(file)
		if err != nil {
			if !errors.Is(err, chain.ErrReceipt) {
				t.Fatalf("an error of no known kind: %v", err)
			}
			return
		}
		if again := r.Marshal(); !bytes.Equal(again, file) {
			t.Fatalf("read %q, which is written as %q", file, again)
		}
	})
}

// FuzzVerifyReceipt holds that nothing but the receipts of a ledger verifies.
func FuzzVerifyReceipt(f *testing.F) {
	fuzzedReceipts(f)
	s := seal(f, 300, nil)
	key := logKey(f, s.key, testOrigin)
	f.Fuzz(func(t *testing.T, file []byte) {
		r, err := chain.ParseReceipt(file)
		if err != nil {
			return
		}
		e, checkpoint, err := r.Verify(key)
		if err != nil {
			return
		}
		if e.Seq >= int64(len(s.entries)) || !bytes.Equal(s.entries[e.Seq], r.Canonical) || checkpoint.Size != 300 {
			t.Fatalf("%q verifies", file)
		}
	})
}
