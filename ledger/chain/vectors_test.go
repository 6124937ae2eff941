package chain_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strconv"
	"testing"

	"github.com/google/uuid"

	"tallystick/ledger/chain"
	"tallystick/ledger/money"
)

// update rewrites testdata/vectors.json and the worked example of FORMAT.md. A
// difference in them is a change of the format: hashes that exist break.
var update = flag.Bool("update", false, "rewrite the test vectors and the worked example")

var vectorsFile = filepath.Join("testdata", "vectors.json")

// vectorSet is the content of testdata/vectors.json.
type vectorSet struct {
	entries     []entryVector
	refused     []refusedVector
	commitments []commitmentVector
	balances    []balanceVector
	trees       []treeVector
	super       []superVector
}

type entryVector struct {
	Name      string        `json:"name"`
	Entry     readableEntry `json:"entry"`
	Canonical string        `json:"canonical"`
	Hash      string        `json:"hash"`
}

type refusedVector struct {
	Name      string `json:"name"`
	Reason    string `json:"reason"`
	Canonical string `json:"canonical"`
}

type commitmentVector struct {
	Name       string `json:"name"`
	Salt       string `json:"salt"`
	Tag        int    `json:"tag"`
	Text       string `json:"text"`
	Commitment string `json:"commitment"`
}

// readVectors reads the file as it stands in the repository.
func readVectors(t testing.TB) vectorSet {
	t.Helper()
	b, err := os.ReadFile(vectorsFile)
	if err != nil {
		t.Fatal(err)
	}
	var lists struct {
		Entries     []entryVector      `json:"entries"`
		Refused     []refusedVector    `json:"refused"`
		Commitments []commitmentVector `json:"commitments"`
		Balances    []balanceVector    `json:"balances"`
		Trees       []treeVector       `json:"trees"`
		Super       []superVector      `json:"super_log"`
	}
	decoder := json.NewDecoder(bytes.NewReader(b))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&lists); err != nil {
		t.Fatal(err)
	}
	return vectorSet{lists.Entries, lists.Refused, lists.Commitments, lists.Balances, lists.Trees, lists.Super}
}

// currentVectors makes the vectors with the production code.
func currentVectors(t *testing.T) vectorSet {
	t.Helper()
	var v vectorSet
	for _, s := range samples() {
		v.entries = append(v.entries, entryVector{
			Name:      s.name,
			Entry:     readable(&s.entry),
			Canonical: hex.EncodeToString(s.entry.AppendCanonical(nil)),
			Hash:      s.entry.Hash().String(),
		})
	}
	for _, r := range refusals() {
		v.refused = append(v.refused, refusedVector{Name: r.name, Reason: reasonOf(t, r.err), Canonical: hex.EncodeToString(r.bytes)})
	}
	for _, c := range []commitmentVector{
		{Name: "description of the worked example", Salt: exampleSalt, Tag: 1, Text: exampleText},
		{Name: "same text as reference", Salt: exampleSalt, Tag: 2, Text: exampleText},
		{Name: "metadata", Salt: exampleSalt, Tag: 3, Text: `{"city":"Zürich","order":"4711"}`},
		{Name: "empty text", Salt: exampleSalt, Tag: 1, Text: ""},
		{Name: "fingerprint", Salt: exampleSalt, Tag: 4, Text: "a request"},
	} {
		c.Commitment = chain.Commitment(unhex(t, c.Salt), chain.Field(c.Tag), c.Text).String()
		v.commitments = append(v.commitments, c)
	}
	v.balances, v.trees, v.super = balanceVectors(t), treeVectors(), superVectors()
	return v
}

func reasonOf(t *testing.T, err error) string {
	t.Helper()
	switch {
	case errors.Is(err, chain.ErrMalformed):
		return "malformed"
	case errors.Is(err, chain.ErrUnknown):
		return "unknown"
	}
	t.Fatalf("no reason for %v", err)
	return ""
}

// text returns the file: an object per line, so that a difference is readable.
func (v vectorSet) text(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	lists := []struct {
		name string
		list reflect.Value
	}{
		{"entries", reflect.ValueOf(v.entries)},
		{"refused", reflect.ValueOf(v.refused)},
		{"commitments", reflect.ValueOf(v.commitments)},
		{"balances", reflect.ValueOf(v.balances)},
		{"trees", reflect.ValueOf(v.trees)},
		{"super_log", reflect.ValueOf(v.super)},
	}
	b.WriteString("{")
	for i, l := range lists {
		b.WriteString(separator(i) + strconv.Quote(l.name) + ": [")
		for j := range l.list.Len() {
			line, err := json.Marshal(l.list.Index(j).Interface())
			if err != nil {
				t.Fatal(err)
			}
			b.WriteString(separator(j))
			b.Write(line)
		}
		b.WriteString("\n]")
	}
	b.WriteString("\n}\n")
	return b.Bytes()
}

func separator(i int) string {
	if i == 0 {
		return "\n"
	}
	return ",\n"
}

func TestVectorsInTheRepositoryAreWhatTheCodeMakes(t *testing.T) {
	want := currentVectors(t).text(t)
	if *update {
		if err := os.WriteFile(vectorsFile, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(vectorsFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs from what the code makes: the format has changed, and every hash that exists breaks", vectorsFile)
	}
}

func TestVectorsCoverEveryKind(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, v := range readVectors(t).entries {
		seen[v.Entry.Kind] = true
	}
	for _, k := range chain.Kinds() {
		if !seen[k.String()] {
			t.Errorf("no vector of kind %s", k)
		}
	}
}

func TestEncoderWrittenFromFormatMdReproducesEveryVector(t *testing.T) {
	t.Parallel()
	v := readVectors(t)
	if len(v.entries) == 0 || len(v.commitments) == 0 {
		t.Fatal("no vectors")
	}
	for _, entry := range v.entries {
		canonical := oracleBytes(oracleSpans(t, &entry.Entry))
		if got := hex.EncodeToString(canonical); got != entry.Canonical {
			t.Errorf("%s: canonical bytes differ\n got %.200s\nwant %.200s", entry.Name, got, entry.Canonical)
		}
		if got := oracleHash(canonical); got != entry.Hash {
			t.Errorf("%s: hash %s, want %s", entry.Name, got, entry.Hash)
		}
	}
	for _, c := range v.commitments {
		if got := oracleCommitment(unhex(t, c.Salt), byte(c.Tag), c.Text); got != c.Commitment {
			t.Errorf("%s: commitment %s, want %s", c.Name, got, c.Commitment)
		}
	}
}

func TestEveryVectorDecodesAndEncodesBack(t *testing.T) {
	t.Parallel()
	for _, v := range readVectors(t).entries {
		canonical := unhex(t, v.Canonical)
		e, err := chain.Decode(canonical)
		if err != nil {
			t.Errorf("%s: %v", v.Name, err)
			continue
		}
		if got := e.AppendCanonical(nil); !bytes.Equal(got, canonical) {
			t.Errorf("%s: decoded and encoded again it differs", v.Name)
		}
		if got := readable(&e); !reflect.DeepEqual(got, v.Entry) {
			t.Errorf("%s: decoded as %+v, want %+v", v.Name, got, v.Entry)
		}
		if e.Hash().String() != v.Hash || chain.HashCanonical(canonical).String() != v.Hash {
			t.Errorf("%s: hashes %s and %s, want %s", v.Name, e.Hash(), chain.HashCanonical(canonical), v.Hash)
		}
	}
}

func TestRefusedVectorsAreRefused(t *testing.T) {
	t.Parallel()
	for _, v := range readVectors(t).refused {
		_, err := chain.Decode(unhex(t, v.Canonical))
		if err == nil || reasonOf(t, err) != v.Reason {
			t.Errorf("%s: %v, want %s", v.Name, err, v.Reason)
		}
	}
}

// TestPythonReproducesEveryVector runs a second encoder in another language,
// where there is one to run it with. The Go one above always runs.
func TestPythonReproducesEveryVector(t *testing.T) {
	t.Parallel()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3 here; the encoder in oracle_test.go has the same task")
	}
	out, err := exec.CommandContext(t.Context(), python, filepath.Join("testdata", "encode.py"), vectorsFile).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	want := strconv.Itoa(len(samples())) + " entries"
	if !bytes.Contains(out, []byte(want)) {
		t.Errorf("it printed %q, want %q in it", out, want)
	}
}

// readable turns e into the form of the vectors.
func readable(e *chain.Entry) readableEntry {
	r := readableEntry{
		Kind:          e.Kind.String(),
		LedgerID:      e.LedgerID.String(),
		Seq:           strconv.FormatInt(e.Seq, 10),
		PrevHash:      e.PrevHash.String(),
		RequestID:     e.RequestID.String(),
		RecordedAt:    strconv.FormatInt(e.RecordedAt, 10),
		BookingDate:   e.BookingDate.String(),
		EffectiveDate: e.EffectiveDate.String(),
		Actor:         e.Actor.String(),
		PriorPeriod:   e.PriorPeriod,
		RefSeq:        optionalText(e.RefSeq, func(v int64) string { return strconv.FormatInt(v, 10) }),
		RelatedTo:     optionalText(e.RelatedTo, uuid.UUID.String),
		ExpiresAt:     optionalText(e.ExpiresAt, func(v int64) string { return strconv.FormatInt(v, 10) }),
		Description:   optionalText(e.Description, chain.Hash.String),
		Reference:     optionalText(e.Reference, chain.Hash.String),
		Metadata:      optionalText(e.Metadata, chain.Hash.String),
	}
	for _, p := range e.Postings {
		r.Postings = append(r.Postings, readablePosting{
			AccountID: p.AccountID.String(), Direction: p.Direction.String(), Currency: p.Currency, Scale: int(p.Scale),
			Amount: p.Amount.String(), PendingChange: p.PendingChange.String(), EffectiveDate: p.EffectiveDate.String(),
			AccountSeq: strconv.FormatInt(p.AccountSeq, 10), Posted: p.Posted.String(),
			PendingDebit: p.PendingDebit.String(), PendingCredit: p.PendingCredit.String(),
		})
	}
	if l := e.Ledger; l != nil {
		r.Ledger = &readableTerms{
			Name: l.Name, Origin: l.Origin, TimeZone: l.TimeZone, DayCutoff: int(l.DayCutoff), BaseCurrency: l.BaseCurrency,
			BaseScale: int(l.BaseScale), ValueDaysBack: int(l.ValueDaysBack), ValueDaysAhead: int(l.ValueDaysAhead),
		}
	}
	if a := e.Account; a != nil {
		r.Account = &readableAccount{
			AccountID: a.AccountID.String(), Code: a.Code, Type: a.Type.String(), Currency: a.Currency, Scale: int(a.Scale),
			MinBalance: optionalText(a.MinBalance, money.Int128.String), MaxBalance: optionalText(a.MaxBalance, money.Int128.String),
			Frozen: a.Frozen.String(), Closed: a.Closed,
		}
		for _, tag := range a.Tags {
			r.Account.Tags = append(r.Account.Tags, [2]string{tag.Key, tag.Value})
		}
	}
	for _, d := range e.Details {
		r.Details = append(r.Details, [2]string{d.Name, d.Value})
	}
	return r
}

func optionalText[T any](v *T, text func(T) string) *string {
	if v == nil {
		return nil
	}
	s := text(*v)
	return &s
}
