package reconcile

import (
	"fmt"

	"tallystick/ledger/chain"
)

// The codes of findings that only the night reports, beside those of Checks.
// They are part of the outward contract: never renamed, never used for something
// else.
const (
	PhaseNotRun      = "PHASE_NOT_RUN"
	RunNotReproduced = "RUN_NOT_REPRODUCED"

	// Of risk.

	RiskNotComputed = "RISK_NOT_COMPUTED"
	LimitBreached   = "LIMIT_BREACHED"
	LimitNear       = "LIMIT_NEAR"
)

// NightChecks is everything that the night looks for beside Checks.
var NightChecks = []Check{
	{PhaseNotRun, "I11", chain.Warning, "a part of the night was not done", laterVersion, false},
	{RunNotReproduced, "I11", chain.Critical, "the same run over the same inputs had another outcome before", keepOutputs, false},
	{RiskNotComputed, "I11", chain.Warning, "the risk figures were not computed", giveInputs, false},
	{LimitBreached, "I3", chain.Critical, "a risk figure is beyond the limit that the policy sets", lookAtRisk, false},
	{LimitNear, "I3", chain.Warning, "a risk figure is beyond the level from which the policy wants it looked at", lookAtRisk, false},
}

// The next steps.
const (
	laterVersion = "Run the night again with a version that has this part; until then the run says nothing about it."
	giveInputs   = "Give the run a policy that is in force, with --policy, and the rates and inputs that its figures need. tallystick policy check says what is wrong with a policy."
	lookAtRisk   = "Read the report risk of this run: the figure names the accounts and entries that it comes from."
	keepOutputs  = "Keep the database as it is. Either a report that was stored was changed afterwards, or another version of this software made it: compare the outputs that differ, and their digests with the run entry in the ledger."
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
