package chain_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/uuid"

	"tallystick/ledger/chain"
)

func TestSuperOrigins(t *testing.T) {
	t.Parallel()
	const digits = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b"
	for origin, want := range map[string]struct {
		host       string
		generation int64
	}{
		"vm/super-log":                                   {"vm", 1},
		"vm/2-" + digits + "/super-log":                  {"vm", 2},
		"vm/1000-" + digits + "/super-log":               {"vm", 1000},
		"a/b/super-log":                                  {"a/b", 1},
		"a/b/3-" + digits + "/super-log":                 {"a/b", 3},
		"vm/2/super-log":                                 {"vm/2", 1}, // names of hosts, however odd
		"vm/1-" + digits + "/super-log":                  {"vm/1-" + digits, 1},
		"vm/02-" + digits + "/super-log":                 {"vm/02-" + digits, 1},
		"vm/2-" + digits[1:] + "/super-log":              {"vm/2-" + digits[1:], 1},
		"vm/2-" + strings.ToUpper(digits) + "/super-log": {"vm/2-" + strings.ToUpper(digits), 1},
		"vm/2-z" + digits[1:] + "/super-log":             {"vm/2-z" + digits[1:], 1},
		"/2-" + digits + "/super-log":                    {"/2-" + digits, 1},
		"2-" + digits + "/super-log":                     {"2-" + digits, 1},
		"bank:443/super-log":                             {"bank:443", 1},
	} {
		host, generation, ok := chain.ParseSuperOrigin(origin)
		if !ok || host != want.host || generation != want.generation {
			t.Errorf("%s is %s, %d, %t", origin, host, generation, ok)
		}
	}
	for _, origin := range []string{"", "vm", "/super-log", "vm/super-log/", "vm/" + uuid.NewString()} {
		if host, generation, ok := chain.ParseSuperOrigin(origin); ok {
			t.Errorf("%q is %s, %d", origin, host, generation)
		}
	}
}

func TestASuccessionBindsWhatWasSigned(t *testing.T) {
	t.Parallel()
	lost := chain.Checkpoint{Origin: "vm/super-log", Size: 8, Root: digest("root")}
	leaf, err := chain.NewSuccession(lost, 5)
	if err != nil || leaf.Origin != lost.Origin || leaf.Size != lost.Size || leaf.Root != lost.Root || leaf.RecordedAt != 5 ||
		!leaf.AboutSuperLog() || leaf.LedgerID.String() != "00000000-0000-0000-0000-000000000001" {
		t.Fatalf("%+v, %v", leaf, err)
	}
	root := digest("tree")
	successor, ok := leaf.Successor(root)
	if !ok || successor != "vm/2-"+root.String()[:40]+"/super-log" {
		t.Fatalf("it is succeeded by %s, %t", successor, ok)
	}
	read, err := chain.DecodeSuperLeaf(leaf.AppendCanonical(nil))
	if again, ok := read.Successor(root); err != nil || read != leaf || !ok || again != successor {
		t.Errorf("read back: %+v, %s, %t, %v", read, again, ok, err)
	}
	if other, ok := leaf.Successor(digest("other tree")); !ok || other == successor || !chain.SuperPrecedes(lost.Origin, other) || chain.SuperPrecedes(successor, other) {
		t.Errorf("in another tree it is succeeded by %s, %t", other, ok)
	}
	next, err := chain.NewSuccession(chain.Checkpoint{Origin: successor, Size: 9}, 7)
	if third, ok := next.Successor(root); err != nil || next.LedgerID[15] != 2 || !ok || !strings.HasPrefix(third, "vm/3-") {
		t.Errorf("the next one: %+v, %s, %v", next, third, err)
	}
	if leaf.LedgerID.String() > chain.LastSuperID.String() {
		t.Errorf("%s is beyond %s", leaf.LedgerID, chain.LastSuperID)
	}
	for name, change := range map[string]func(*chain.SuperLeaf){
		"another generation": func(l *chain.SuperLeaf) { l.LedgerID[15]++ },
		"no generation":      func(l *chain.SuperLeaf) { l.LedgerID = uuid.Nil },
		"a ledger":           func(l *chain.SuperLeaf) { l.LedgerID = uuid.New() },
		"a ledger's origin":  func(l *chain.SuperLeaf) { l.Origin = "vm/" + uuid.NewString() },
	} {
		other := leaf
		change(&other)
		if origin, ok := other.Successor(root); ok {
			t.Errorf("%s is succeeded by %s", name, origin)
		}
	}
	for _, l := range []chain.SuperLeaf{{LedgerID: uuid.New()}, {LedgerID: uuid.UUID{8: 0x80}}} {
		if l.AboutSuperLog() {
			t.Errorf("%s is about a super-log", l.LedgerID)
		}
	}
	for _, lost := range []chain.Checkpoint{
		{Origin: "vm", Size: 1},
		{Origin: "vm/super-log"},
		{Origin: "vm/1000000-9f86d081884c7d659a2feaa0c55ad015a3bf4f1b/super-log", Size: 1},
		{Origin: strings.Repeat("v", chain.MaxOrigin-len(chain.SuperSuffix)) + chain.SuperSuffix, Size: 1},
	} {
		if leaf, err := chain.NewSuccession(lost, 0); !errors.Is(err, chain.ErrMalformed) {
			t.Errorf("%+v is succeeded by %+v, %v", lost, leaf, err)
		}
	}
}
