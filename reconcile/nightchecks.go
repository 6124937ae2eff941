package reconcile

import (
	"fmt"

	"tallystick/ledger/chain"
)

// The codes of findings that only the night reports, beside those of Checks.
// They are part of the outward contract: never renamed, never used for something
// else.
const (
	RunNotReproduced = "RUN_NOT_REPRODUCED"

	// Of risk.

	RiskNotComputed  = "RISK_NOT_COMPUTED"
	PolicyNotAdopted = "POLICY_NOT_ADOPTED"
	LimitBreached    = "LIMIT_BREACHED"
	LimitNear        = "LIMIT_NEAR"
)

// Of the books phase.
const (
	RollForwardMismatch = "ROLL_FORWARD_MISMATCH"
	ControlMismatch     = "CONTROL_MISMATCH"
	SuspectedDuplicate  = "SUSPECTED_DUPLICATE"
	SuspenseAged        = "SUSPENSE_AGED"
	ClearingAged        = "CLEARING_AGED"
	HoldExpiredOpen     = "HOLD_EXPIRED_OPEN"
	LateEntriesListed   = "LATE_ENTRIES"
	ReportUnbalanced    = "REPORT_UNBALANCED"
)

// Of the bank phase.
const (
	BankNotReconciled       = "BANK_NOT_RECONCILED"
	BankStatementMissing    = "BANK_STATEMENT_MISSING"
	BankBalanceNotStated    = "BANK_BALANCE_NOT_STATED"
	BankStatementQuarantine = "BANK_STATEMENT_QUARANTINED"
	BankAccountMissing      = "BANK_ACCOUNT_MISSING"
	BankBreaksOverdue       = "BANK_BREAKS_OVERDUE"
	BankDecisionIneffective = "BANK_DECISION_INEFFECTIVE"
)

// byPolicy stands in place of an invariant: the institution's own rule.
const byPolicy = "policy"

// NightChecks is everything that the night looks for beside Checks. What the books
// phase looks at, and where, stands in bookChecks.
var NightChecks = []Check{
	{RunNotReproduced, "I11", chain.Critical, "the same run over the same inputs had another outcome before", keepOutputs, false},

	{RollForwardMismatch, "I11", chain.Critical, "the closing balance that a run reported is not today's opening balance: what it had read was changed since", rolledBack, false},
	{ControlMismatch, byPolicy, chain.Critical, "a control account is not the sum of the accounts that it stands for", findPosting, false},
	{SuspectedDuplicate, "I8", chain.Warning, "the same postings, amounts and value dates stand under two requests within an hour", askTwice, false},
	{SuspenseAged, byPolicy, chain.Warning, "something on a suspense account has been open for longer than the policy lets it", clearIt, false},
	{ClearingAged, byPolicy, chain.Warning, "something on a clearing account has been open for longer than the policy lets it", clearIt, false},
	{HoldExpiredOpen, "I3", chain.Warning, "a hold has expired and was not released: it still takes away from what its accounts may use", sweepHolds, false},
	{LateEntriesListed, "I10", chain.Info, "entries since the run before are valued on days that it has reported; they are listed in its output late-entries", lateKnown, false},

	{BankNotReconciled, "I11", chain.Critical, "the balance at the bank, less what is open, is not that of the ledger, or a line is in no group or in two", compareLines, false},
	{BankStatementMissing, "I11", chain.Warning, "an account could not be reconciled up to the day: its bank's statement does not reach it", importStatement, false},
	{BankBalanceNotStated, "I11", chain.Warning, "a bank states no balance, so only its movements are compared", askForBalance, false},
	{BankStatementQuarantine, "I11", chain.Warning, "a file of a bank was refused, and nobody has dealt with it", sendAgain, false},
	{BankAccountMissing, "I11", chain.Warning, "the policy names an account for a bank account that the ledger does not have", openAccount, false},
	{BankBreaksOverdue, "I11", chain.Warning, "differences to the bank are open for longer than the policy allows", settleBreaks, false},
	{BankDecisionIneffective, "I11", chain.Warning, "a decision about lines could not be carried out as it stands", decideAgain, false},
	{RiskNotComputed, "I11", chain.Warning, "the risk figures were not computed", giveInputs, false},
	{PolicyNotAdopted, "I11", chain.Warning, "the run was given another policy than the one on record for the day", adoptPolicy, false},
	{LimitBreached, "I3", chain.Critical, "a risk figure is beyond the limit that the policy sets", lookAtRisk, false},
	{LimitNear, "I3", chain.Warning, "a risk figure is beyond the level from which the policy wants it looked at", lookAtRisk, false},
	{ReportUnbalanced, "I11", chain.Critical, "a report does not balance: its difference line is not zero", othersFirst, false},
}

// The next steps.
const (
	adoptPolicy = "Give the run the policy that is on record, or put the new one on record: tallystick policy adopt FILE."
	giveInputs  = "Give the run a policy that is in force, with --policy, and the rates and inputs that its figures need. tallystick policy check says what is wrong with a policy."
	lookAtRisk  = "Read the report risk of this run: the figure names the accounts and entries that it comes from."
	keepOutputs = "Keep the database as it is. Either a report that was stored was changed afterwards, or another version of this software made it: compare the outputs that differ, and their digests with the run entry in the ledger."
)

// The next steps of the books phase.
const (
	rolledBack  = "Keep the database as it is. Entries below the size of that run were changed after it, or the report was: run verify with the signer's state or a checkpoint from elsewhere, and compare the account with a backup."
	findPosting = "Compare the statements of the control account and of the accounts below it for a posting that stands on one side only, and correct it by another entry."
	askTwice    = "Ask the client whether both were meant. If not, reverse the later one, and see why it was sent under another request id."
	clearIt     = "Find out what the oldest posting is for and move it where it belongs, or give it an owner and a reason until then."
	sweepHolds  = "See that a server runs for this ledger and what its log says about releasing holds; release the hold by hand if it must be quick."
	lateKnown   = "Nothing, if they were expected. Reports of days that are over stay as they were; these entries stand in them as adjustments, with both dates."
)

// The next steps of the bank phase.
const (
	compareLines    = "Compare the proofs in the report bank-reconciliation: a side that does not foot has a line too many or too few, or one that was changed. The files of the bank are the other copy: import them into a fresh ledger and compare."
	importStatement = "Import the statement: tallystick bank import FILE --ledger NAME. If the bank sends none for such a day, name the days in the policy's calendar."
	askForBalance   = "Ask the bank for statements with balances; until then nothing proves that no line is missing."
	sendAgain       = "tallystick bank list shows the reasons with the exact difference or place. Ask the bank for a corrected file and import it, or put on record why not: tallystick match note bankfile:N --reason TEXT."
	openAccount     = "Open the account, or correct bank_accounts in the policy."
	settleBreaks    = "tallystick match list shows them, tallystick match explain LINE why they are open; match them, write them off, or carry them forward by a decision."
	decideAgain     = "Look at the lines it names with tallystick match explain, and decide again; the later decision counts."
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
