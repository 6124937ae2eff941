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
	const digits = "9f86d081884c7d65"
	for origin, want := range map[string]struct {
		host       string
		generation int64
	}{
		"vm/super-log":                      {"vm", 1},
		"vm/2-" + digits + "/super-log":     {"vm", 2},
		"vm/1000-" + digits + "/super-log":  {"vm", 1000},
		"a/b/super-log":                     {"a/b", 1},
		"a/b/3-" + digits + "/super-log":    {"a/b", 3},
		"vm/2/super-log":                    {"vm/2", 1}, // names of hosts, however odd
		"vm/1-" + digits + "/super-log":     {"vm/1-" + digits, 1},
		"vm/02-" + digits + "/super-log":    {"vm/02-" + digits, 1},
		"vm/2-" + digits[1:] + "/super-log": {"vm/2-" + digits[1:], 1},
		"vm/2-9F86D081884C7D65/super-log":   {"vm/2-9F86D081884C7D65", 1},
		"vm/2-9z86d081884c7d65/super-log":   {"vm/2-9z86d081884c7d65", 1},
		"/2-" + digits + "/super-log":       {"/2-" + digits, 1},
		"2-" + digits + "/super-log":        {"2-" + digits, 1},
		"bank:443/super-log":                {"bank:443", 1},
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
	leaf, successor, err := chain.NewSuccession(lost, 5)
	hash := leaf.Hash()
	if err != nil || successor != "vm/2-"+hash.String()[:16]+"/super-log" || leaf.Origin != lost.Origin || leaf.Size != lost.Size || leaf.Root != lost.Root || leaf.RecordedAt != 5 ||
		!leaf.AboutSuperLog() || leaf.LedgerID.String() != "00000000-0000-0000-0000-000000000001" {
		t.Fatalf("%+v, %s, %v", leaf, successor, err)
	}
	read, err := chain.DecodeSuperLeaf(leaf.AppendCanonical(nil))
	if again, ok := read.Successor(); err != nil || read != leaf || !ok || again != successor {
		t.Errorf("read back: %+v, %s, %t, %v", read, again, ok, err)
	}
	if leaf.LedgerID.String() > chain.LastSuperID.String() {
		t.Errorf("%s is beyond %s", leaf.LedgerID, chain.LastSuperID)
	}
	if _, later, err := chain.NewSuccession(lost, 6); err != nil || later == successor || !chain.SuperPrecedes(lost.Origin, later) || chain.SuperPrecedes(successor, later) {
		t.Errorf("another declaration gives %s, %v", later, err)
	}
	if next, third, err := chain.NewSuccession(chain.Checkpoint{Origin: successor, Size: 9}, 7); err != nil || next.LedgerID[15] != 2 || !strings.HasPrefix(third, "vm/3-") {
		t.Errorf("the next one: %+v, %s, %v", next, third, err)
	}
	for name, change := range map[string]func(*chain.SuperLeaf){
		"another generation": func(l *chain.SuperLeaf) { l.LedgerID[15]++ },
		"no generation":      func(l *chain.SuperLeaf) { l.LedgerID = uuid.Nil },
		"a ledger":           func(l *chain.SuperLeaf) { l.LedgerID = uuid.New() },
		"a ledger's origin":  func(l *chain.SuperLeaf) { l.Origin = "vm/" + uuid.NewString() },
		"nothing signed":     func(l *chain.SuperLeaf) { l.Size = 0 },
	} {
		other := leaf
		change(&other)
		if origin, ok := other.Successor(); ok {
			t.Errorf("%s is succeeded by %s", name, origin)
		}
	}
	for _, l := range []chain.SuperLeaf{{LedgerID: uuid.New()}, {LedgerID: uuid.UUID{8: 0x80}}} {
		if l.AboutSuperLog() {
			t.Errorf("%s is about a super-log", l.LedgerID)
		}
	}
	for _, origin := range []string{"vm", "vm/1000000-9f86d081884c7d65/super-log", strings.Repeat("v", chain.MaxOrigin-len(chain.SuperSuffix)) + chain.SuperSuffix} {
		if _, successor, err := chain.NewSuccession(chain.Checkpoint{Origin: origin, Size: 1}, 0); !errors.Is(err, chain.ErrMalformed) || successor != "" {
			t.Errorf("%s is succeeded by %s, %v", origin, successor, err)
		}
	}
}
