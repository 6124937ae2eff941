package policy_test

import (
	"crypto/sha256"
	"strings"
	"testing"

	"tallystick/ledger/chain"
	"tallystick/reconcile/policy"
)

const whole = `schema: tallystick/policy/1
name: risk
version: "2026-01"
effective_from: 2026-01-01
calendar:
  named: target
  holidays: [2026-05-14]
bank_accounts:
  BE68793230773034: bank:operating:eur
accounts:
  control:
    - {account: control:customers, sum: "customers:**"}
  suspense:
    - {match: "suspense:*", max_age: 5}
matching:
  rules:
    - {id: e2e, kind: reference, bank: [end_to_end], ledger: [reference, metadata.e2e], window: 5}
    - {id: amount, kind: amount, window: 3}
  transit: 0
  fees:
    - {currency: EUR, tolerance: "0.50", account: expenses:bank:eur}
classes:
  - {match: "customers:*:wallet", tags: {client: "*"}, type: liability, class: client_money, pool: eu, group: client}
  - {match: "**", class: other}
`

func TestAPolicyIsReadWhole(t *testing.T) {
	t.Parallel()
	p, err := policy.Decode([]byte(whole))
	if err != nil {
		t.Fatal(err)
	}
	switch {
	case p.SHA256 != chain.Hash(sha256.Sum256([]byte(whole))):
		t.Error("the SHA-256 is not that of the file")
	case p.InForce(p.EffectiveFrom.Date - 1), !p.InForce(p.EffectiveFrom.Date):
		t.Error("it is in force on the wrong days")
	case p.Matching.TransitDays() != 0 || p.Matching.OverdueDays() != policy.DefaultOverdue:
		t.Error("a zero and nothing are told apart wrongly")
	case p.Matching.Fees[0].Tolerance.String() != "0.5", p.Accounts.Control[0].Sum.String() != "customers:**":
		t.Error("values differ from what is written")
	}
	if c, ok := p.Classify("customers:1:wallet", "liability", map[string]string{"client": "1"}); !ok || c.Class != "client_money" {
		t.Errorf("the wallet is classified as %+v", c)
	}
	if c, ok := p.Classify("customers:1:wallet", "liability", nil); !ok || c.Class != "other" {
		t.Errorf("a wallet without the tag is classified as %+v", c)
	}
}

func TestAPolicyThatIsWrongIsRefusedWithTheLine(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ old, new, want string }{
		"unknown key": {"kind: amount", "kind: amount, winow: 3", "line 18: there is no key winow here"},
		"key twice":   {"version:", "name: x\nversion:", "line 3"},
		"wrong kind":  {"kind: amount", "kind: amont", "line 18: matching.rules[1].kind: a rule is of kind"},
		"no number":   {`tolerance: "0.50"`, "tolerance: 0.50", "line 21: numbers are texts here"},
		"two tolerances": {"expenses:bank:eur}", `expenses:bank:eur}
    - {currency: EUR, tolerance: "1", account: expenses:bank:eur}`, "line 22: matching.fees[1].currency: EUR stands here twice"},
		"no date":          {"2026-01-01", "2026-13-01", `line 4: "2026-13-01" is no date`},
		"wrong reference":  {"[end_to_end]", "[end_to_eend]", "line 17: matching.rules[0].bank[0]: a line of a bank has the references"},
		"control in sum":   {"control:customers,", "customers:all,", "line 12: accounts.control[0].sum: customers:** matches the control account itself"},
		"wrong code":       {"bank:operating:eur", "Bank Operating", `line 9: bank_accounts.BE68793230773034: "Bank Operating" is no code`},
		"other schema":     {"policy/1", "policy/2", `line 1: schema: this version reads "tallystick/policy/1"`},
		"no date at all":   {"effective_from: 2026-01-01\n", "", "line 1: effective_from: from which booking date"},
		"unknown calendar": {"named: target", "named: lunar", `line 6: calendar.named: finding calendar "lunar"`},
		"text for a count": {"max_age: 5", "max_age: five", "line 14"},
		"two documents":    {"classes:", "---\nclasses:", "a file holds one policy"},
		"no YAML":          {"calendar:", "calendar: [", "line"},
		"bad pattern":      {`"customers:*:wallet"`, `"customers:**:wallet"`, "line 23: reading the pattern"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if !strings.Contains(whole, c.old) {
				t.Fatalf("%q does not stand in the policy", c.old)
			}
			_, err := policy.Decode([]byte(strings.Replace(whole, c.old, c.new, 1)))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("the error is %v, and should say %q", err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), "policy.") {
				t.Errorf("the error names a type of the program: %v", err)
			}
		})
	}
	for _, empty := range []string{"", "# nothing\n", "---\n"} {
		if _, err := policy.Decode([]byte(empty)); err == nil {
			t.Errorf("%q is a policy", empty)
		}
	}
	if _, err := policy.Decode(make([]byte, policy.MaxFile+1)); err == nil {
		t.Error("there is no bound on its size")
	}
}

func TestPatternsMatchWholeSegments(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pattern string
		yes, no []string
	}{
		{"customers:*:wallet", []string{"customers:1:wallet"}, []string{"customers:1", "customers:1:wallet:x", "customers:wallet", "customer:1:wallet"}},
		{"customers:**", []string{"customers", "customers:1", "customers:1:wallet"}, []string{"customers2", "customers2:1"}},
		{"**", []string{"a", "a:b"}, nil},
		{"*", []string{"a"}, []string{"a:b"}},
		{"a", []string{"a"}, []string{"a:b", "ab", "b"}},
	} {
		p, err := policy.ParsePattern(c.pattern)
		if err != nil || p.String() != c.pattern {
			t.Fatalf("%q is read as %q: %v", c.pattern, p, err)
		}
		for _, code := range c.yes {
			if !p.Matches(code) {
				t.Errorf("%s does not match %s", c.pattern, code)
			}
		}
		for _, code := range c.no {
			if p.Matches(code) {
				t.Errorf("%s matches %s", c.pattern, code)
			}
		}
	}
	if (policy.Pattern{}).Matches("") || (policy.Pattern{}).Matches("a") {
		t.Error("no pattern matches something")
	}
	for _, wrong := range []string{"", ":", "a::b", "A", "a:**:b", "***", "a*"} {
		if _, err := policy.ParsePattern(wrong); err == nil {
			t.Errorf("%q is a pattern", wrong)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(whole))
	f.Add([]byte("a: &a [*a]"))
	f.Fuzz(func(t *testing.T, file []byte) {
		if p, err := policy.Decode(file); err == nil {
			p.Classify("a:b", "asset", nil)
		}
	})
}

const risky = `schema: tallystick/policy/1
name: risk
version: test
effective_from: 2026-01-01
classes:
  - {match: "customers:**", class: client}
  - {match: "**", class: other}
risk:
  safeguarding: {clients: [client], resource: [other]}
  exposure: {limits: [{class: client, below: "0"}]}
  fx: {charge: "0.08"}
  large_exposures: {classes: [other], report: "0.10", limit: "0.25"}
  liquidity: {assets: [{class: other, level: "1", haircut: "0"}], outflows: [{class: client, factor: "0.1"}]}
  credit_loss: {classes: [other], buckets: [{from: 0, rate: "0.01"}]}
  signals: {classes: [client], threshold: {EUR: "100"}, margin: "0.1", structuring: 3}
`

// What is not written would be a zero that nobody decided on.
func TestRiskThatIsWrongOrMissingIsRefusedWithTheLine(t *testing.T) {
	t.Parallel()
	if _, err := policy.Decode([]byte(risky)); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ old, new, want string }{
		"no charge":        {`{charge: "0.08"}`, `{gold: XAU}`, "line 11: risk.fx.charge: it is missing"},
		"an empty charge":  {`{charge: "0.08"}`, `{charge: ~}`, "line 11: risk.fx.charge: it is missing"},
		"no limit":         {`, limit: "0.25"`, "", "line 12: risk.large_exposures.limit: it is missing"},
		"report above":     {`report: "0.10"`, `report: "0.30"`, "line 12: risk.large_exposures.report: what is reported from 0.3 on"},
		"no haircut":       {`, haircut: "0"`, "", "line 13: risk.liquidity.assets[0].haircut: it is missing"},
		"no factor":        {`, factor: "0.1"`, "", "line 13: risk.liquidity.outflows[0].factor: it is missing"},
		"an asset twice":   {`outflows:`, `inflows: [{class: other, factor: "1"}], outflows:`, "line 13: risk.liquidity.inflows[0].class: other is among the assets already"},
		"an outflow twice": {`factor: "0.1"}`, `factor: "0.1"}, {class: client, factor: "1"}`, "line 13: risk.liquidity.outflows[1].class: client is among the outflows already"},
		"no rate":          {`, rate: "0.01"`, "", "line 14: risk.credit_loss.buckets[0].rate: it is missing"},
		"no below":         {`, below: "0"`, "", "line 10: risk.exposure.limits[0].below: it is missing"},
		"no margin":        {`margin: "0.1", `, "", "line 15: risk.signals.margin: without a margin"},
		"covers itself":    {"resource: [other]", "resource: [client]", "line 9: risk.safeguarding.resource[0]: client cannot be owed to clients and cover it"},
		"red below zero":   {"resource: [other]", `resource: [other], excess: {red: "-1"}`, "line 9: risk.safeguarding.excess.red: a shortfall is a breach"},
		"an exponent":      {`"0.08"`, `"1e999999999"`, "line 11: reading the number"},
		"a float":          {`"0.08"`, `0.08`, "line 11: numbers are texts here"},
		"an alias":         {"clients: [client]", "clients: &a [client]", "line 9: a policy has no anchors and aliases"},
		"no day at all":    {"effective_from: 2026-01-01", "effective_from: ~", "line 4: effective_from: from which booking date"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if !strings.Contains(risky, c.old) {
				t.Fatalf("%q does not stand in the policy", c.old)
			}
			if _, err := policy.Decode([]byte(strings.Replace(risky, c.old, c.new, 1))); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("the error is %v, and should say %q", err, c.want)
			}
		})
	}
}
