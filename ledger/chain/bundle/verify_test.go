package bundle_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"tallystick/ledger/chain"
	"tallystick/ledger/chain/bundle"
)

var update = flag.Bool("update", false, "write golden files anew")

// verify verifies a bundle.
func verify(tb testing.TB, file []byte, o bundle.Options) *bundle.Report {
	tb.Helper()
	r, err := bundle.Verify(tb.Context(), bytes.NewReader(file), int64(len(file)), o)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

// trusting is what an auditor gives who has the signer's key.
func trusting(tb testing.TB, b *book) bundle.Options {
	return bundle.Options{Keys: []chain.VerifierKey{b.verifierKey(tb)}}
}

var elapsed = regexp.MustCompile(`in [0-9.]+[µm]?s \([0-9]+ entries/s\)`)

// golden compares a text with its file.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	got = elapsed.ReplaceAllString(got, "in TIME (RATE entries/s)")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs (go test -update writes it anew):\n%s", path, got)
	}
}

// What people read: success, each kind of finding, and what is incomplete.
func TestReportsSayWhatHappened(t *testing.T) {
	t.Parallel()
	b := small(t)
	for name, c := range map[string]struct {
		file []byte
		o    bundle.Options
		want bundle.Status
		exit int
	}{
		"verified": {b.bundle(t), trusting(t, b), bundle.Verified, 0},
		"own_keys": {b.bundle(t), bundle.Options{}, bundle.Verified, 0},
		"no_texts": {b.bundle(t, func(c *bundle.Contents) { c.Texts, c.Sign = false, nil }), trusting(t, b), bundle.Verified, 0},
		"no_keys": {newBook().bundle(t, func(c *bundle.Contents) {
			c.Keys, c.Sign, c.Checkpoints, c.Proofs = nil, nil, c.Checkpoints[1:], nil
		}), bundle.Options{}, bundle.Incomplete, 2},
		"unknown":    {unknownKind(t), bundle.Options{}, bundle.Incomplete, 2},
		"version":    {edited(false, replace("manifest", "bundle/v1", "bundle/v9"))(t, small(t)), bundle.Options{}, bundle.Incomplete, 2},
		"rewritten":  {rewritten(func(b *book) { b.entries[9].Actor = id(3); b.reseal(10) })(t, small(t)), trusting(t, b), bundle.Tampered, 1},
		"wrong_file": {edited(false, replace("schema", "schema", "SCHEMA"))(t, small(t)), trusting(t, b), bundle.Tampered, 1},
		"misbooked": {booked(func(b *book) {
			p := &b.entries[31].Postings[0]
			p.Posted, _ = p.Posted.Add(units(1))
		})(t, small(t)), trusting(t, b), bundle.Tampered, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := verify(t, c.file, c.o)
			var text bytes.Buffer
			if err := r.WriteText(&text); err != nil {
				t.Fatal(err)
			}
			if r.Status != c.want {
				t.Errorf("%s, want %s", r.Status, c.want)
			}
			golden(t, name, text.String())
			signer := b
			if len(c.o.Keys) == 0 {
				signer = nil
			}
			if code, out := python(t, c.file, signer); code != c.exit {
				t.Errorf("python: exit code %d, want %d\n%s", code, c.exit, out)
			}
		})
	}
}

// unknownKind is a bundle by newer software: an entry of a kind that is not in
// the registry.
func unknownKind(t *testing.T) []byte {
	b := small(t)
	b.entries[29].Kind = 99
	b.entries[29].RefSeq, b.entries[29].Details = nil, nil
	b.entries[28].Description = nil // what was erased is not on record any more
	b.reseal(29)
	return b.bundle(t)
}

// Every code that can be reported says what to do.
func TestEveryCheckSaysWhatToDo(t *testing.T) {
	t.Parallel()
	seen := make(map[string]bool)
	for _, c := range bundle.Checks {
		if seen[c.Code] || c.Meaning == "" || c.NextStep == "" || !regexp.MustCompile(`^I[0-9]+$`).MatchString(c.Invariant) {
			t.Errorf("%+v", c)
		}
		seen[c.Code] = true
	}
	for _, a := range attacks {
		if !seen[a.code] {
			t.Errorf("%s: no check has the code %s", a.name, a.code)
		}
	}
}

func TestTheSameContentsGiveTheSameBytes(t *testing.T) {
	t.Parallel()
	if a, b := small(t).bundle(t), small(t).bundle(t); !bytes.Equal(a, b) {
		t.Error("two bundles of the same ledger differ")
	}
}

// Witnesses, a quorum, and cosignatures that are not what they say.
func TestWitnessesCount(t *testing.T) {
	t.Parallel()
	b := small(t)
	size := int64(len(b.entries))
	secret, err := chain.NewCosigningKey("witness.test/w", bytes.Repeat([]byte{9}, 32))
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("log %s\nwitness w %s\nquorum w\n", b.verifierKey(t), secret.VerifierKey())
	policy, err := chain.ParsePolicy([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	cosigned := func(c chain.Checkpoint) string {
		line, err := secret.Cosign(c, time.Unix(1_767_300_000, 0))
		if err != nil {
			t.Fatal(err)
		}
		return line
	}
	at := chain.Checkpoint{Origin: b.origin, Size: size, Root: chain.RootOf(b.hashes())}
	with := func(line string) func(*bundle.Contents) {
		return func(c *bundle.Contents) {
			last := len(c.Checkpoints) - 1
			if c.Checkpoints[last], err = chain.AddSignatures(c.Checkpoints[last], line); err != nil {
				t.Fatal(err)
			}
			c.Policy = []byte(text)
		}
	}
	o := bundle.Options{Policy: policy}
	if r := verify(t, b.bundle(t, with(cosigned(at))), o); r.Status != bundle.Verified || len(r.Scope.Checkpoints[1].Signatures) != 2 {
		t.Errorf("cosigned: %s, %s, %+v", r.Status, codes(r), r.Scope.Checkpoints)
	}
	if r := verify(t, b.bundle(t, with(cosigned(at))), bundle.Options{}); r.Status != bundle.Verified || r.Scope.Vouched {
		t.Errorf("by its own policy: %s, %s", r.Status, codes(r))
	}
	if r := verify(t, b.bundle(t), o); r.Status != bundle.Tampered || !strings.Contains(codes(r), bundle.WitnessQuorumNotMet+"@31") {
		t.Errorf("not cosigned: %s, %s", r.Status, codes(r))
	}
	other := at
	other.Root[0] ^= 1
	if r := verify(t, b.bundle(t, with(cosigned(other))), o); r.Status != bundle.Tampered || !strings.Contains(codes(r), bundle.CosignatureInvalid+"@31") {
		t.Errorf("pasted from another root: %s, %s", r.Status, codes(r))
	}
}

// The bound on accounts is no crash and no silence.
func TestMoreAccountsThanAreFollowedAreIncomplete(t *testing.T) {
	t.Parallel()
	b := small(t)
	r := verify(t, b.bundle(t), trusting(t, b).WithMaxAccounts(3))
	if len(r.NotChecked) == 0 || !strings.Contains(r.NotChecked[0], "more than the 3 accounts") || r.Scope.Unchecked == 0 || r.Status == bundle.Verified {
		t.Errorf("%s: %v", r.Status, r.NotChecked)
	}
}

func TestVerifyingEndsWithItsContext(t *testing.T) {
	t.Parallel()
	b := small(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	file := b.bundle(t)
	if r, err := bundle.Verify(ctx, bytes.NewReader(file), int64(len(file)), bundle.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("%+v, %v", r, err)
	}
}

// failing fails to read beyond a place.
type failing struct {
	*bytes.Reader
	from, to int64
}

var errDisk = errors.New("the disk is broken")

func (f failing) ReadAt(b []byte, at int64) (int, error) {
	if at < f.to && at+int64(len(b)) > f.from {
		return 0, errDisk
	}
	return f.Reader.ReadAt(b, at)
}

func TestWhatCannotBeReadIsIncomplete(t *testing.T) {
	t.Parallel()
	b := small(t)
	file := b.bundle(t)
	r, err := bundle.Verify(t.Context(), failing{bytes.NewReader(file), 1000, 1001}, int64(len(file)), trusting(t, b))
	if err != nil || r.Scope.Unchecked == 0 || !strings.Contains(r.NotChecked[0], errDisk.Error()) || r.Status == bundle.Verified {
		t.Errorf("%+v, %v", r, err)
	}
}

// A writer refuses what was not signed.
func TestTheWriterRefusesWhatWasNotSigned(t *testing.T) {
	t.Parallel()
	b := small(t)
	c := b.contents(t)
	b.entries[20].Actor = id(3)
	if err := b.write(t, new(bytes.Buffer), c); !errors.Is(err, bundle.ErrSource) {
		t.Errorf("another entry: %v", err)
	}
	c.Checkpoints = nil
	if err := b.write(t, new(bytes.Buffer), c); !errors.Is(err, bundle.ErrSource) {
		t.Errorf("no checkpoint: %v", err)
	}
	c = b.contents(t)
	c.Origin = "somebody.else/x"
	if err := b.write(t, new(bytes.Buffer), c); !errors.Is(err, bundle.ErrSource) {
		t.Errorf("another origin: %v", err)
	}
	b = small(t)
	c = b.contents(t)
	c.Files["../x"] = nil
	if err := b.write(t, new(bytes.Buffer), c); err == nil {
		t.Error("a file outside of the bundle was taken")
	}
}

// The auditor's own checkpoint decides whether anything before it was changed.
func TestThePinOfTheAuditorDecides(t *testing.T) {
	t.Parallel()
	b := small(t)
	file := b.bundle(t)
	at := func(size int64) chain.Checkpoint {
		return chain.Checkpoint{Origin: b.origin, Size: size, Root: chain.RootOf(b.hashes()[:size])}
	}
	other := at(20)
	other.Root[0] ^= 1
	foreign := at(20)
	foreign.Origin = "somebody.else/x"
	for _, c := range []struct {
		pin    chain.Checkpoint
		status bundle.Status
		code   string
	}{
		{at(20), bundle.Verified, ""},
		{at(32), bundle.Verified, ""},
		{other, bundle.Tampered, bundle.PinInconsistent + "@19"},
		{foreign, bundle.Tampered, bundle.OriginMismatch},
		{chain.Checkpoint{Origin: b.origin, Size: 33}, bundle.Incomplete, ""},
		{chain.Checkpoint{Origin: b.origin, Root: chain.EmptyRoot}, bundle.Incomplete, ""},
	} {
		o := trusting(t, b)
		o.Pins = []chain.Checkpoint{c.pin}
		r := verify(t, file, o)
		if r.Status != c.status || !strings.Contains(codes(r), c.code) || (len(r.Scope.Pinned) == 1) != (c.status == bundle.Verified) {
			t.Errorf("%+v: %s, %s, %v", c.pin, r.Status, codes(r), r.NotChecked)
		}
	}
}

// Keys that a bundle brings vouch for nothing where the auditor gave some: not
// for the manifest, whose files no tree proves, and on an older checkpoint they
// are told apart.
func TestKeysOfTheBundleDoNotVouchBesideThoseOfTheAuditor(t *testing.T) {
	t.Parallel()
	b := small(t)
	forger, err := chain.NewSigningKey(bytes.Repeat([]byte{9}, 32))
	if err != nil {
		t.Fatal(err)
	}
	text, err := forger.VerifierKey(b.origin)
	if err != nil {
		t.Fatal(err)
	}
	key, err := chain.ParseLogKey(text)
	if err != nil {
		t.Fatal(err)
	}
	file := b.bundle(t, func(c *bundle.Contents) {
		honest := b.key
		b.key = forger
		c.Checkpoints[0] = b.checkpoint(t, int64(len(b.entries)/2+1))
		b.key = honest
		c.Keys = append(c.Keys, key)
		c.Files[bundle.SchemaPath] = []byte("another schema")
		c.Sign = func(text string) ([]byte, error) { return forger.SignText(b.origin, text) }
	})
	r := verify(t, file, trusting(t, b))
	if r.Status != bundle.Verified || len(r.Scope.SignedBy) != 0 || !slices.ContainsFunc(r.NotChecked, func(s string) bool { return strings.Contains(s, "the signature on the manifest") }) {
		t.Errorf("%s, manifest signed by %v, not checked %v", r.Status, r.Scope.SignedBy, r.NotChecked)
	}
	if got, want := r.Scope.Checkpoints[0].Signatures, []string{key.ID() + " (a key that the bundle alone names)"}; !slices.Equal(got, want) {
		t.Errorf("the older checkpoint is signed by %v, want %v", got, want)
	}
	if r := verify(t, file, bundle.Options{}); !slices.Equal(r.Scope.SignedBy, []string{key.ID()}) {
		t.Errorf("by its own keys, the manifest is signed by %v", r.Scope.SignedBy)
	}
	if code, out := python(t, file, b); code != 0 || !strings.Contains(out, "manifest   signed by nobody that is known") ||
		!strings.Contains(out, key.ID()+" (a key that the bundle alone names)") {
		t.Errorf("python: exit code %d:\n%s", code, out)
	}
}
