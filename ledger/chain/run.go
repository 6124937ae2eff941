package chain

import "strings"

// Results of a run entry.
const (
	RunPassed     = "passed"
	RunFailed     = "failed"     // critical findings
	RunIncomplete = "incomplete" // something could not be checked
)

// RunInputs are the details of a run that say what it read beside the ledger, in
// ascending order. An absent one was not used.
var RunInputs = []string{"calendar_sha256", "decisions_sha256", "inputs_sha256", "policy_sha256", "rates_sha256", "statements_sha256"}

// RunInput reports whether name is one of RunInputs.
func RunInput(name string) bool {
	for _, input := range RunInputs {
		if input == name {
			return true
		}
	}
	return false
}

// Actions of a decision entry. Others may join them.
const (
	ActionMatch    = "match"
	ActionUnmatch  = "unmatch"
	ActionWriteOff = "write_off"
	ActionAssign   = "assign"
	ActionNote     = "note"
	ActionSignOff  = "sign_off"
)

// Outcomes of a sign-off.
const (
	OutcomeReviewed = "reviewed"
	OutcomeApproved = "approved"
	OutcomeRejected = "rejected"
)

// ValidSubject reports whether s can be what a decision is about: ids of visible
// ASCII joined by ',' in ascending order, each once.
func ValidSubject(s string) bool {
	before := ""
	for id := range strings.SplitSeq(s, ",") {
		if id <= before {
			return false
		}
		for i := range len(id) {
			if id[i] <= ' ' || id[i] > '~' {
				return false
			}
		}
		before = id
	}
	return len(s) <= MaxDetailValue
}
