package reconcile

import (
	"fmt"

	"tallystick/ledger/chain"
)

// The codes of findings that only the night reports, beside those of Checks.
// They are part of the outward contract: never renamed, never used for something
// else.
const (
	PhaseNotRun         = "PHASE_NOT_RUN"
	RunNotReproduced    = "RUN_NOT_REPRODUCED"
	RollForwardMismatch = "ROLL_FORWARD_MISMATCH"
	ControlMismatch     = "CONTROL_MISMATCH"
	SuspectedDuplicate  = "SUSPECTED_DUPLICATE"
	SuspenseAged        = "SUSPENSE_AGED"
	ClearingAged        = "CLEARING_AGED"
	HoldExpiredOpen     = "HOLD_EXPIRED_OPEN"
	LateEntriesListed   = "LATE_ENTRIES"
)

// byPolicy stands in place of an invariant: the institution's own rule.
const byPolicy = "policy"

// NightChecks is everything that the night looks for beside Checks. Which of them
// the books phase looks for, and where, stands in bookChecks.
var NightChecks = []Check{
	{PhaseNotRun, "I11", chain.Warning, "a part of the night was not done", laterVersion, false},
	{RunNotReproduced, "I11", chain.Critical, "the same run over the same inputs had another outcome before", keepOutputs, false},
	{RollForwardMismatch, "I11", chain.Critical, "the closing balance that a run reported is not today's opening balance: what it had read was changed since", rolledBack, false},
	{ControlMismatch, byPolicy, chain.Critical, "a control account is not the sum of the accounts that it stands for", findPosting, false},
	{SuspectedDuplicate, "I8", chain.Warning, "the same postings, amounts and value dates stand under two requests within an hour", askTwice, false},
	{SuspenseAged, byPolicy, chain.Warning, "something on a suspense account has been open for longer than the policy lets it", clearIt, false},
	{ClearingAged, byPolicy, chain.Warning, "something on a clearing account has been open for longer than the policy lets it", clearIt, false},
	{HoldExpiredOpen, "I3", chain.Warning, "a hold has expired and was not released: it still takes away from what its accounts may use", sweepHolds, false},
	{LateEntriesListed, "I10", chain.Info, "entries since the run before are valued on days that it has reported; they are listed in its output late-entries", lateKnown, false},
}

// The next steps.
const (
	laterVersion = "Run the night again with a version that has this part; until then the run says nothing about it."
	keepOutputs  = "Keep the database as it is. Either a report that was stored was changed afterwards, or another version of this software made it: compare the outputs that differ, and their digests with the run entry in the ledger."
	rolledBack   = "Keep the database as it is. Entries below the size of that run were changed after it, or the report was: run verify with the signer's state or a checkpoint from elsewhere, and compare the account with a backup."
	findPosting  = "Compare the statements of the control account and of the accounts below it for a posting that stands on one side only, and correct it by another entry."
	askTwice     = "Ask the client whether both were meant. If not, reverse the later one, and see why it was sent under another request id."
	clearIt      = "Find out what the oldest posting is for and move it where it belongs, or give it an owner and a reason until then."
	sweepHolds   = "See that a server runs for this ledger and what its log says about releasing holds; release the hold by hand if it must be quick."
	lateKnown    = "Nothing, if they were expected. Reports of days that are over stay as they were; these entries stand in them as adjustments, with both dates."
)

// nightCheck returns a check of the night, or one of Verify that the night
// reports too.
func nightCheck(code string) Check {
	for _, list := range [][]Check{NightChecks, Checks} {
		for _, c := range list {
			if c.Code == code {
				return c
			}
		}
	}
	panic(fmt.Sprintf("no check has the code %s", code))
}
