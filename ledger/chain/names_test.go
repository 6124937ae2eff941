package chain_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"tallystick/ledger/chain"
)

// named checks that names and codes belong to each other both ways.
func named[T comparable](t *testing.T, parse func(string) (T, bool), text func(T) string, want map[string]T) {
	t.Helper()
	for name, code := range want {
		if got, ok := parse(name); !ok || got != code {
			t.Errorf("parsing %q gives %v, %t; want %v", name, got, ok, code)
		}
		if got := text(code); got != name {
			t.Errorf("%v is called %q, want %q", code, got, name)
		}
		for _, wrong := range []string{strings.ToUpper(name), name + " ", name[:len(name)-1]} {
			if got, ok := parse(wrong); ok {
				t.Errorf("parsing %q gives %v", wrong, got)
			}
		}
	}
	if got, ok := parse(""); ok {
		t.Errorf("parsing the empty text gives %v", got)
	}
}

func TestEnumerationsHaveOneNamePerCode(t *testing.T) {
	t.Parallel()
	named(t, chain.ParseDirection, chain.Direction.String, map[string]chain.Direction{"debit": 1, "credit": 2})
	named(t, chain.ParseAccountType, chain.AccountType.String, map[string]chain.AccountType{
		"asset": 1, "liability": 2, "equity": 3, "revenue": 4, "expense": 5,
	})
	named(t, chain.ParseFrozen, chain.Frozen.String, map[string]chain.Frozen{"none": 0, "debits": 1, "credits": 2, "all": 3})
	kinds := map[string]chain.Kind{}
	for name, code := range oracleKinds {
		kinds[name] = chain.Kind(code)
	}
	named(t, chain.KindNamed, chain.Kind.String, kinds)
}

func TestCodesWithoutANamePrintTheirNumber(t *testing.T) {
	t.Parallel()
	for want, got := range map[string]string{
		"direction(0)":    chain.Direction(0).String(),
		"direction(3)":    chain.Direction(3).String(),
		"account_type(0)": chain.AccountType(0).String(),
		"account_type(6)": chain.AccountType(6).String(),
		"frozen(4)":       chain.Frozen(4).String(),
		"kind(0)":         chain.Kind(0).String(),
		"kind(18)":        chain.Kind(18).String(),
		"kind(65535)":     chain.Kind(65535).String(),
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestKindsListsTheRegistryInOrder(t *testing.T) {
	t.Parallel()
	kinds := chain.Kinds()
	if len(kinds) != len(oracleKinds) || !slices.IsSorted(kinds) {
		t.Errorf("Kinds() = %v", kinds)
	}
	for _, k := range kinds {
		if !k.Known() {
			t.Errorf("%s is listed and not known", k)
		}
	}
	if chain.Kind(0).Known() || chain.Kind(len(kinds)+1).Known() {
		t.Error("a code without a kind is known")
	}
}

func TestDebitNormalAccountsAreAssetsAndExpenses(t *testing.T) {
	t.Parallel()
	for accountType, want := range map[chain.AccountType]bool{
		chain.Asset: true, chain.Liability: false, chain.Equity: false, chain.Revenue: false, chain.Expense: true,
	} {
		if got := accountType.DebitNormal(); got != want {
			t.Errorf("%s: DebitNormal() = %t", accountType, got)
		}
	}
}

func TestFrozenAccountsRefuseTheNamedSide(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		frozen        chain.Frozen
		debit, credit bool
	}{
		{chain.FrozenNone, false, false},
		{chain.FrozenDebits, true, false},
		{chain.FrozenCredits, false, true},
		{chain.FrozenAll, true, true},
		{chain.Frozen(9), true, true}, // unknown is the safe side
	} {
		if d, c := tt.frozen.Refuses(chain.Debit), tt.frozen.Refuses(chain.Credit); d != tt.debit || c != tt.credit {
			t.Errorf("%s refuses debits: %t, credits: %t", tt.frozen, d, c)
		}
	}
}

func TestOppositeExchangesTheSides(t *testing.T) {
	t.Parallel()
	if chain.Debit.Opposite() != chain.Credit || chain.Credit.Opposite() != chain.Debit {
		t.Error("Opposite does not exchange debit and credit")
	}
}

func TestDatesCountDaysFrom1970(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]chain.Date{
		"1970-01-01": 0, "1969-12-31": -1, "2000-02-29": 11016, "2026-01-01": 20454,
		"0001-01-01": -719162, "9999-12-31": 2932896,
	} {
		got, err := chain.ParseDate(text)
		if err != nil || got != want || want.String() != text {
			t.Errorf("ParseDate(%s) = %d, %v; want %d, printed %s", text, got, err, want, want)
		}
	}
	for _, text := range []string{"", "2026-02-29", "2026-13-01", "2026-1-01", "0000-12-31", "10000-01-01", "2026-01-01T00:00:00Z", " 2026-01-01"} {
		if got, err := chain.ParseDate(text); err == nil {
			t.Errorf("ParseDate(%q) = %d", text, got)
		}
	}
}

func TestDateOfIsTheLocalDay(t *testing.T) {
	t.Parallel()
	instant := time.Date(2026, 1, 31, 23, 30, 0, 0, time.UTC)
	for offset, want := range map[int]string{0: "2026-01-31", 3600: "2026-02-01", -86400: "2026-01-30"} {
		local := instant.In(time.FixedZone("", offset))
		if got := chain.DateOf(local).String(); got != want {
			t.Errorf("%s is on %s, want %s", local, got, want)
		}
	}
}

func TestHashesHaveOneText(t *testing.T) {
	t.Parallel()
	h := digest("x")
	if got, ok := chain.ParseHash(h.String()); !ok || got != h {
		t.Errorf("ParseHash(%s) = %s, %t", h, got, ok)
	}
	for _, s := range []string{"", h.String()[1:], h.String() + "0", strings.ToUpper(h.String()), "g" + h.String()[1:]} {
		if got, ok := chain.ParseHash(s); ok {
			t.Errorf("ParseHash(%q) = %s", s, got)
		}
	}
}

func TestDetailFindsByName(t *testing.T) {
	t.Parallel()
	e := sampleOf("policy_adopted")
	if got, ok := e.Detail("name"); !ok || got != "risk" {
		t.Errorf("Detail(name) = %q, %t", got, ok)
	}
	if got, ok := e.Detail("nam"); ok {
		t.Errorf("Detail(nam) = %q", got)
	}
}

func TestSortingPutsTagsAndDetailsInTheOrderOfEntries(t *testing.T) {
	t.Parallel()
	e := sampleOf("account_opened")
	e.Account = ptr(*e.Account)
	e.Account.Tags = []chain.Tag{{Key: "b", Value: "1"}, {Key: "É", Value: "2"}, {Key: "a:", Value: "3"}, {Key: "a", Value: "4"}, {Key: "Z", Value: "5"}}
	chain.SortTags(e.Account.Tags)
	if err := e.Check(); err != nil {
		t.Error(err)
	}
	e = sampleOf("run")
	e.Details = slices.Clone(e.Details)
	slices.Reverse(e.Details)
	chain.SortDetails(e.Details)
	if err := e.Check(); err != nil {
		t.Error(err)
	}
}
