package policy

import _ "embed" // the example

// Example is the policy that goes with the demonstration ledger.
//
//go:embed policy.example.yaml
var Example []byte
