package chain_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	formats "github.com/transparency-dev/formats/witness"

	"tallystick/ledger/chain"
)

// policyFile writes lines in which w1 to w9, log and log2 stand for keys.
func policyFile(t testing.TB, lines string) []byte {
	t.Helper()
	for n := 1; n <= 9; n++ {
		lines = strings.ReplaceAll(lines, fmt.Sprintf("<w%d>", n), witnessOf(fmt.Sprintf("witness.example/w%d", n), fmt.Sprintf("w%d", n)).text())
	}
	lines = strings.ReplaceAll(lines, "<w1 renamed>", witnessOf("renamed.example", "w1").text())
	lines = strings.ReplaceAll(lines, "<log>", logKey(t, keyOf(t, "signer"), testOrigin).String())
	lines = strings.ReplaceAll(lines, "<log2>", logKey(t, keyOf(t, "signer"), "ledger.example/"+id(2).String()).String())
	return []byte(lines)
}

const twoLevels = `# what the auditors of the example want to see
log <log> https://ledger.example/v1/ledgers/main
log <log2>

witness a1 <w1> https://witness.example/w1
witness a2 <w2>
	witness  a3	<w3>
group a 2 a1 a2 a3
witness b1 <w4>
witness b2 <w5>
group b any b1 b2

  # both kinds
group both all a b
quorum both`

func TestPolicyIsRead(t *testing.T) {
	t.Parallel()
	p, err := chain.ParsePolicy(policyFile(t, twoLevels))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, w := range p.Witnesses {
		names = append(names, w.Name+"="+w.Key.Name()+" "+w.URL)
	}
	want := []string{"a1=witness.example/w1 https://witness.example/w1", "a2=witness.example/w2 ", "a3=witness.example/w3 ", "b1=witness.example/w4 ", "b2=witness.example/w5 "}
	if !slices.Equal(names, want) {
		t.Errorf("witnesses %q, want %q", names, want)
	}
	if len(p.Logs) != 2 || p.Logs[0].URL != "https://ledger.example/v1/ledgers/main" || len(p.Keys()) != 7 || !p.WantsWitnesses() {
		t.Errorf("logs %+v, %d keys", p.Logs, len(p.Keys()))
	}
	if keys := p.LogKeys(testOrigin); len(keys) != 1 || keys[0].Name() != testOrigin {
		t.Errorf("keys of %s: %v", testOrigin, keys)
	}
	if keys := p.LogKeys("elsewhere.example"); keys != nil {
		t.Errorf("keys of an origin that is not named: %v", keys)
	}
}

// TestQuorumCountsWitnesses tries every set of five witnesses.
func TestQuorumCountsWitnesses(t *testing.T) {
	t.Parallel()
	p, err := chain.ParsePolicy(policyFile(t, twoLevels))
	if err != nil {
		t.Fatal(err)
	}
	c := sampleCheckpoint(7)
	for set := range 1 << 5 {
		var lines []string
		in := func(n int) int { return set >> (n - 1) & 1 }
		for n := 1; n <= 5; n++ {
			if in(n) == 1 {
				lines = append(lines, witnessOf(fmt.Sprintf("witness.example/w%d", n), fmt.Sprintf("w%d", n)).cosign(c.Text(), int64(100*n)))
			}
		}
		b, err := chain.AddSignatures(signed(t, keyOf(t, "signer"), c), lines...)
		if err != nil {
			t.Fatal(err)
		}
		s, err := chain.OpenCheckpoint(b, p.Keys()...)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := p.Quorum(&s, time.Time{}), in(1)+in(2)+in(3) >= 2 && in(4)+in(5) >= 1; got != want {
			t.Errorf("witnesses %05b: quorum: %t", set, got)
		}
		// Since 200 s, w1 has not been seen; since 500, nobody but w5.
		if got, want := p.Quorum(&s, time.Unix(200, 0)), in(2)+in(3) >= 2 && in(4)+in(5) >= 1; got != want {
			t.Errorf("witnesses %05b: recent quorum: %t", set, got)
		}
		if p.Quorum(&s, time.Unix(500, 0)) {
			t.Errorf("witnesses %05b: quorum of one", set)
		}
	}
}

func TestPoliciesWithoutGroups(t *testing.T) {
	t.Parallel()
	c := sampleCheckpoint(7)
	bare, err := chain.OpenCheckpoint(signed(t, keyOf(t, "signer"), c), logKey(t, keyOf(t, "signer"), testOrigin))
	if err != nil {
		t.Fatal(err)
	}
	for lines, want := range map[string]bool{
		"quorum none\n":                       true,
		"log <log>\nquorum none":              true,
		"witness w <w1>\nquorum w":            false,
		"witness all <w1>\nquorum all":        false, // only none is no name
		"quorum none\nwitness later <w1>\n\n": true,
	} {
		p, err := chain.ParsePolicy(policyFile(t, lines))
		if err != nil {
			t.Errorf("%q: %v", lines, err)
			continue
		}
		if p.Quorum(&bare, time.Time{}) != want || p.WantsWitnesses() == want {
			t.Errorf("%q: quorum of nobody: %t", lines, !want)
		}
	}
}

// badPolicies are refused; the text says what is said of them.
var badPolicies = []struct{ name, lines, says string }{
	{"empty", "", `no quorum (write "quorum none" if none is wanted)`},
	{"no quorum", "witness w <w1>\n", "no quorum"},
	{"two quorums", "quorum none\nquorum none", "line 2 of the policy: a second quorum"},
	{"quorum of two", "witness a <w1>\nwitness b <w2>\nquorum a b", "quorum takes one name"},
	{"quorum of nobody known", "quorum w\nwitness w <w1>", `line 1 of the policy: unknown quorum "w"`},
	{"member that comes later", "group g any w\nwitness w <w1>\nquorum g", `unknown member "w"`},
	{"none as a member", "group g any none\nquorum g", `unknown member "none"`},
	{"none as a name", "witness none <w1>\nquorum none", `"none" is no name`},
	{"group of itself", "group g any g\nquorum g", `unknown member "g"`},
	{"group without members", "group g any\nquorum g", "group takes"},
	{"member twice", "witness w <w1>\ngroup g 2 w w\nquorum g", `member "w" is one of a group already`},
	{"member of two groups", "witness v <w1>\nwitness w <w2>\ngroup g any w\ngroup h 2 g v\ngroup i any w h\nquorum i", `line 5 of the policy: member "w"`},
	{"name twice", "witness w <w1>\nwitness w <w2>\nquorum w", `"w" is defined twice`},
	{"witness twice", "witness v <w1>\nwitness w <w1>\nquorum v", "witness w has the key of witness v"},
	{"witness twice under two key names", "witness v <w1>\nwitness w <w1 renamed>\nquorum v", "witness w has the key of witness v"},
	{"log twice", "log <log>\nlog <log> https://ledger.example\nquorum none", "stands twice"},
	{"log with a witness's key", "log <w1>\nquorum none", "its type is 4"},
	{"witness with a log's key", "witness w <log>\nquorum none", "hint: the same key as a witness's is"},
	{"threshold 0", "witness w <w1>\ngroup g 0 w\nquorum g", `threshold "0" of a group of 1`},
	{"threshold beyond the members", "witness w <w1>\ngroup g 2 w\nquorum g", `threshold "2" of a group of 1`},
	{"threshold with a zero", "witness w <w1>\ngroup g 01 w\nquorum g", `threshold "01"`},
	{"threshold with a plus", "witness w <w1>\ngroup g +1 w\nquorum g", `threshold "+1"`},
	{"unknown statement", "witness w <w1>\nlogs <log>\nquorum w", `line 2 of the policy: unknown statement "logs"`},
	{"statement in capitals", "Quorum none", `unknown statement "Quorum"`},
	{"comment behind a statement", "quorum none # of us", "a comment has a line of its own"},
	{"carriage return", "quorum none\r\n", `control character '\r'`},
	{"no-break space", "quorum\u00a0none", "unknown statement"},
	{"log with too much", "log <log> https://ledger.example more\nquorum none", "log takes"},
	{"witness without key", "witness w\nquorum w", "witness takes"},
}

func TestBadPoliciesAreRefused(t *testing.T) {
	t.Parallel()
	for _, bad := range badPolicies {
		p, err := chain.ParsePolicy(policyFile(t, bad.lines))
		if !errors.Is(err, chain.ErrPolicy) || p != nil || !strings.Contains(err.Error(), bad.says) {
			t.Errorf("%s: %v, want it to say %q", bad.name, err, bad.says)
		}
	}
	if _, err := chain.ParsePolicy(make([]byte, chain.MaxPolicy+1)); !errors.Is(err, chain.ErrPolicy) {
		t.Errorf("too large: %v", err)
	}
	var many strings.Builder
	for n := range chain.MaxWitnesses + 1 {
		fmt.Fprintf(&many, "witness w%d %s\n", n, witnessOf("w", fmt.Sprint("many ", n)).text())
	}
	if _, err := chain.ParsePolicy([]byte(many.String() + "quorum none")); !errors.Is(err, chain.ErrPolicy) || !strings.Contains(err.Error(), "more than 64 witnesses and groups") {
		t.Errorf("too many witnesses: %v", err)
	}
}

// TestPoliciesMeanWhatAnotherReaderSays compares quorums with those of
// transparency-dev/formats, which needs URLs and knows no rule of one group.
func TestPoliciesMeanWhatAnotherReaderSays(t *testing.T) {
	t.Parallel()
	lines := strings.NewReplacer("<w2>", "<w2> https://a2.example", "<w3>", "<w3> https://a3.example", "<w4>", "<w4> https://b1.example", "<w5>", "<w5> https://b2.example").Replace(twoLevels)
	file := policyFile(t, lines)
	p, err := chain.ParsePolicy(file)
	if err != nil {
		t.Fatal(err)
	}
	other, err := formats.ParsePolicy(file)
	if err != nil {
		t.Fatal(err)
	}
	c := sampleCheckpoint(7)
	for set := range 1 << 5 {
		b := signed(t, keyOf(t, "signer"), c)
		for n := 1; n <= 5; n++ {
			if set>>(n-1)&1 == 0 {
				continue
			}
			if b, err = chain.AddSignatures(b, witnessOf(fmt.Sprintf("witness.example/w%d", n), fmt.Sprintf("w%d", n)).cosign(c.Text(), 9)); err != nil {
				t.Fatal(err)
			}
		}
		s, err := chain.OpenCheckpoint(b, p.Keys()...)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := p.Quorum(&s, time.Time{}), other.Satisfied(b); got != want {
			t.Errorf("witnesses %05b: quorum: %t, the other reader says %t", set, got, want)
		}
	}
}

// FuzzParsePolicy holds that a policy that is read can be asked, and that what
// is refused is refused for a reason that names a line or the whole.
func FuzzParsePolicy(f *testing.F) {
	f.Add(policyFile(f, twoLevels))
	for _, bad := range badPolicies {
		f.Add(policyFile(f, bad.lines))
	}
	s, err := chain.OpenCheckpoint(signed(f, keyOf(f, "signer"), sampleCheckpoint(7)), logKey(f, keyOf(f, "signer"), testOrigin))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		p, err := chain.ParsePolicy(file)
		if err != nil {
			if !errors.Is(err, chain.ErrPolicy) || p != nil {
				t.Fatalf("an error of no known kind: %v", err)
			}
			return
		}
		if p.WantsWitnesses() == p.Quorum(&s, time.Time{}) {
			t.Fatalf("%q: nobody has cosigned, and the quorum of it is %t", file, !p.WantsWitnesses())
		}
		for _, k := range p.Keys() {
			if k.String() == "" || !strings.HasPrefix(k.String(), k.ID()+"+") {
				t.Fatalf("a key that is none: %q", k)
			}
		}
	})
}
