package policy_test

import (
	"testing"

	"tallystick/reconcile/policy"
)

func TestTheExampleIsAPolicyWithEverySection(t *testing.T) {
	t.Parallel()
	p, err := policy.Decode(policy.Example)
	if err != nil {
		t.Fatal(err)
	}
	if names := p.Risk.Names(); len(names) != 10 {
		t.Errorf("it has the sections %v of ten", names)
	}
	for code, class := range map[string]string{"customers:0001:eur": "client_money", "customers:0001:points": "loyalty_points", "fx:usd": "exchange", "clearing:cards:eur": "clearing"} {
		kind := map[string]string{"client_money": "liability"}[class]
		if c, ok := p.Classify(code, kind, nil); !ok || c.Class != class {
			t.Errorf("%s is classified as %+v", code, c)
		}
	}
}
