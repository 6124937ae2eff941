package witness

import (
	"fmt"
	"strings"
	"testing"
	"time"

	theirs "github.com/transparency-dev/formats/witness"

	"tallystick/ledger/chain"
)

// What others read as a policy, we do, and it is met by the same cosignatures.
// Where only one of the two readers takes a policy, the reason stands beside it.
func TestPoliciesAreReadAsOthersReadThem(t *testing.T) {
	t.Parallel()
	var keys []chain.CosigningKey
	var defined strings.Builder
	fmt.Fprintln(&defined, "log", logVerifier())
	for i := range 4 {
		key := must(chain.NewCosigningKey(fmt.Sprint("witness.example/", i), seeded(fmt.Sprint(i))))
		keys = append(keys, key)
		fmt.Fprintf(&defined, "witness w%d %s https://w%d.example/prefix\n", i, key.VerifierKey(), i)
	}
	again := fmt.Sprintf("witness again %s https://again.example\n", keys[0].VerifierKey())
	typed := strings.Replace(defined.String(), "witness w0", "witness\t w0", 1)
	all := defined.String()
	for _, c := range []struct {
		name       string
		text       string
		ours, them bool
	}{
		{"none", all + "quorum none\n", true, true},
		{"none without witnesses", "quorum none", true, true},
		{"one witness", all + "quorum w1\n", true, true},
		{"any", all + "group g any w0 w1 w2\nquorum g\n", true, true},
		{"all", all + "group g all w0 w1 w2\nquorum g\n", true, true},
		{"two of three", all + "group g 2 w0 w1 w2\nquorum g\n", true, true},
		{"group of one", all + "group g 1 w3\nquorum g\n", true, true},
		{"groups of groups", all + "group a 2 w0 w1 w2\ngroup b any w3\ngroup c all a b\nquorum c\n", true, true},
		{"either of two groups", all + "group a all w0 w1\ngroup b all w2 w3\ngroup c any a b\nquorum c\n", true, true},
		{"a group that is not asked", all + "group a all w0 w1\nquorum w2\n", true, true},
		{"spaces, tabs, comments, empty lines", "  # a comment\n\n" + typed + "\t\n quorum  w0 \n#end", true, true},

		{"nothing", "", false, false},
		{"no quorum", all, false, false},
		{"unknown statement", all + "cosigner w9 x\nquorum none\n", false, false},
		{"unknown quorum", all + "quorum w9\n", false, false},
		{"unknown member", all + "group g any w0 w9\nquorum g\n", false, false},
		{"a group before its member", "group g any w0\n" + all + "quorum g\n", false, false},
		{"a group in itself", all + "group g any w0 g\nquorum g\n", false, false},
		{"a name twice", all + strings.Replace(again, "again", "w1", 1) + "quorum none\n", false, false},
		{"more than there are", all + "group g 3 w0 w1\nquorum g\n", false, false},
		{"a negative number", all + "group g -1 w0 w1\nquorum g\n", false, false},
		{"no number", all + "group g w0 w1\nquorum g\n", false, false},
		{"a witness without key", "witness w\nquorum none\n", false, false},
		{"a key that is none", "witness w key https://w.example\nquorum none\n", false, false},
		{"the name none", all + "group none any w0\nquorum none\n", false, false},
		{"two names as the quorum", all + "quorum w0 w1\n", false, false},

		// C2SP allows witnesses without URL; they need them.
		{"a witness without URL", "witness w " + keys[0].VerifierKey() + "\nquorum w\n", true, false},
		// They reserve the words of the language; C2SP reserves none alone.
		{"a group called all", all + "group all all w0 w1\nquorum all\n", true, false},
		// C2SP: exactly one quorum, a key once, a member once, 1 <= k, and at least
		// one member.
		{"two quorums", all + "quorum w0\nquorum w1\n", false, true},
		{"a key under two names", all + again + "quorum none\n", false, true},
		{"a member twice", all + "group g 2 w0 w0\nquorum g\n", false, true},
		{"a member of two groups", all + "group a any w0 w1\ngroup b any w0 w2\ngroup c all a b\nquorum c\n", false, true},
		{"none of two", all + "group g 0 w0 w1\nquorum g\n", false, true},
		{"an empty group", all + "group g all\nquorum g\n", false, true},
		// C2SP has comments on lines of their own.
		{"a comment behind a statement", all + "quorum w0 # the first\n", false, true},
		// They do not read logs at all.
		{"a log without key", "log\n" + all + "quorum none\n", false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ours, err := chain.ParsePolicy([]byte(c.text))
			if (err == nil) != c.ours {
				t.Errorf("we: %v", err)
			}
			group, theirErr := theirs.ParsePolicy([]byte(c.text))
			if (theirErr == nil) != c.them {
				t.Errorf("they: %v", theirErr)
			}
			if err != nil || theirErr != nil {
				return
			}
			h := history{}.grow(7, "a")
			for set := range 1 << len(keys) {
				signed := h.sign()
				for i, key := range keys {
					if set>>i&1 == 1 {
						signed = must(chain.AddSignatures(signed, must(key.Cosign(h.checkpoint(), time.Now()))))
					}
				}
				s, err := chain.OpenCheckpoint(signed, append(ours.Keys(), logVerifier())...)
				if err != nil {
					t.Fatal(err)
				}
				if we, they := ours.Quorum(&s, time.Time{}), group.Satisfied(signed); we != they {
					t.Errorf("cosigned by the set %04b: we %t, they %t", set, we, they)
				}
			}
			for url := range group.Endpoints() {
				if !strings.HasSuffix(url, "/prefix"+addPath) {
					t.Errorf("they ask %s", url)
				}
			}
		})
	}
}
