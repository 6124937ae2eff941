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
)

// NightChecks is everything that the night looks for beside Checks.
var NightChecks = []Check{
	{PhaseNotRun, "I11", chain.Warning, "a part of the night was not done", laterVersion, false},
	{RunNotReproduced, "I11", chain.Critical, "the same run over the same inputs had another outcome before", keepOutputs, false},
}

// The next steps.
const (
	laterVersion = "Run the night again with a version that has this part; until then the run says nothing about it."
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
