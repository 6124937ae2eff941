package ledger

import (
	"fmt"

	"tallystick/ledger/money"
)

// Code says why a request was refused. Codes are stable: front-ends decide by
// them, and api/problem.go gives each its HTTP status.
type Code string

// The reasons, in order of precedence: of several that apply, a request is
// refused for the first.
const (
	// CodeIdempotencyConflict: the id or key was used for another request.
	CodeIdempotencyConflict Code = "idempotency_conflict"
	// CodeTooLate: the request's not_after has passed.
	CodeTooLate Code = "too_late"
	// CodeTransferNotFound: nothing stands under the id that a capture, release or
	// reversal names.
	CodeTransferNotFound Code = "transfer_not_found"
	// CodeTransferDamaged: what the database holds of that transfer does not
	// match its hash.
	CodeTransferDamaged Code = "transfer_damaged"
	// CodeNotAHold: only holds are captured and released.
	CodeNotAHold Code = "not_a_hold"
	// CodeHoldCaptured: the hold was captured already.
	CodeHoldCaptured Code = "hold_captured"
	// CodeHoldReleased: the hold was released already.
	CodeHoldReleased Code = "hold_released"
	// CodeHoldExpired: the hold's expires_at has come.
	CodeHoldExpired Code = "hold_expired"
	// CodeHoldNotExpired: the sweep asked too early.
	CodeHoldNotExpired Code = "hold_not_expired"
	// CodeNotReversible: only transfers and captures are reversed.
	CodeNotReversible Code = "not_reversible"
	// CodeAlreadyReversed: the transfer was reversed already.
	CodeAlreadyReversed Code = "already_reversed"
	// CodePostingCount: fewer than MinPostings or more than MaxPostings.
	CodePostingCount Code = "posting_count"
	// CodeAmountNotPositive: an amount is zero or negative.
	CodeAmountNotPositive Code = "amount_not_positive"
	// CodeAccountTwice: an account stands on both sides of one transfer.
	CodeAccountTwice Code = "account_twice"
	// CodeUnknownAccount: the ledger has no account of that code.
	CodeUnknownAccount Code = "unknown_account"
	// CodeUnknownCurrency: neither ISO 4217 nor the ledger defines it.
	CodeUnknownCurrency Code = "unknown_currency"
	// CodeCurrencyMismatch: the asserted currency is not the account's.
	CodeCurrencyMismatch Code = "currency_mismatch"
	// CodeAmountPrecision: more decimals than the currency has.
	CodeAmountPrecision Code = "amount_precision"
	// CodeAmountRange: the amount, or a balance after it, needs more than 128 bits.
	CodeAmountRange Code = "amount_range"
	// CodeCaptureMismatch: the postings of a capture are not those of its hold.
	CodeCaptureMismatch Code = "capture_mismatch"
	// CodeCaptureExceedsHold: a capture takes more than its hold set aside.
	CodeCaptureExceedsHold Code = "capture_exceeds_hold"
	// CodeUnbalanced: debits and credits of a currency differ.
	CodeUnbalanced Code = "unbalanced"
	// CodeDateOutOfBounds: the value date lies beyond what the ledger allows.
	CodeDateOutOfBounds Code = "date_out_of_bounds"
	// CodePeriodClosed: the value date lies in a closed period.
	CodePeriodClosed Code = "period_closed"
	// CodeApprovalRequired: prior_period needs a key that may approve.
	CodeApprovalRequired Code = "approval_required"
	// CodePriorPeriodUnneeded: prior_period, and the value date lies in no closed
	// period.
	CodePriorPeriodUnneeded Code = "prior_period_unneeded"
	// CodeExpiryPassed: expires_at of a new hold is not in the future.
	CodeExpiryPassed Code = "expiry_passed"
	// CodeAccountClosed: a closed account takes nothing.
	CodeAccountClosed Code = "account_closed"
	// CodeAccountFrozen: the account is frozen on that side.
	CodeAccountFrozen Code = "account_frozen"
	// CodeLimitExceeded: the balance would pass the account's limit.
	CodeLimitExceeded Code = "limit_exceeded"

	// CodeAccountExists: the code is taken by an account with other attributes.
	CodeAccountExists Code = "account_exists"
	// CodeLimitsCrossed: min_balance would be above max_balance.
	CodeLimitsCrossed Code = "limits_crossed"
	// CodeAccountNotEmpty: an account closes at a zero balance without holds only.
	CodeAccountNotEmpty Code = "account_not_empty"
	// CodeAccountDamaged: what the database holds of an account does not match
	// its hash; nothing is posted to it until the finding is resolved.
	CodeAccountDamaged Code = "account_damaged"

	// CodeCurrencyReserved: a code of ISO 4217 cannot be defined.
	CodeCurrencyReserved Code = "currency_reserved"
	// CodeCurrencyExists: the code is defined otherwise.
	CodeCurrencyExists Code = "currency_exists"

	// CodePeriodNotOver: a period closes after its last day only.
	CodePeriodNotOver Code = "period_not_over"
	// CodePeriodAlreadyClosed: that day lies in a closed period.
	CodePeriodAlreadyClosed Code = "period_already_closed"
	// CodePeriodNotClosed: it is not the newest closed period.
	CodePeriodNotClosed Code = "period_not_closed"
	// CodeRetainAccountNeeded: income in a currency for which no account to retain
	// it is named.
	CodeRetainAccountNeeded Code = "retain_account_needed"
	// CodeRetainAccountInvalid: not an equity account, or two for one currency.
	CodeRetainAccountInvalid Code = "retain_account_invalid"
	// CodeTooManyIncomeAccounts: more than MaxIncomeAccounts have a balance.
	CodeTooManyIncomeAccounts Code = "too_many_income_accounts"

	// CodeKeyMalformed: the key is not what its role asks for, or says what only
	// others may.
	CodeKeyMalformed Code = "key_malformed"
	// CodeKeyOrigin: the key signs for another ledger.
	CodeKeyOrigin Code = "key_origin_mismatch"
	// CodeKeyUnknown: nothing is on record of a key that is to end.
	CodeKeyUnknown Code = "key_unknown"
	// CodeKeyRevoked: a revoked key stays revoked.
	CodeKeyRevoked Code = "key_revoked"
	// CodeKeyExists: a key of that id is valid, with other attributes.
	CodeKeyExists Code = "key_exists"

	// CodeEntryNotFound: nothing stands where an erasure, or a reader, looks.
	CodeEntryNotFound Code = "entry_not_found"
	// CodeNothingToErase: the entry commits to no text.
	CodeNothingToErase Code = "nothing_to_erase"

	// CodeSizeNotReached: balances are committed to at a size that the ledger has.
	CodeSizeNotReached Code = "size_not_reached"
	// CodeTooManyCurrencies: a commitment binds the totals of at most
	// MaxCommittedCurrencies.
	CodeTooManyCurrencies Code = "too_many_currencies"

	// CodeRunInvalid: the run is not one of this ledger, or contradicts itself.
	CodeRunInvalid Code = "run_invalid"
	// CodeRunNotFound: no run of that id is on record.
	CodeRunNotFound Code = "run_not_found"
	// CodeDecisionInvalid: the decision says too little, too much, or refers to
	// what it must not.
	CodeDecisionInvalid Code = "decision_invalid"
	// CodeSecondPerson: the key has prepared or signed the run before.
	CodeSecondPerson Code = "second_person_required"
	// CodeRunNotReviewed: a run is approved after its review only.
	CodeRunNotReviewed Code = "run_not_reviewed"
	// CodeRunRejected: a rejected run stays so.
	CodeRunRejected Code = "run_rejected"
	// CodePolicyInvalid: the policy would apply to a closed period, or is not well
	// named.
	CodePolicyInvalid Code = "policy_invalid"

	// CodeBatchPartlyPosted: some ids of an atomic batch stand for entries, others
	// do not.
	CodeBatchPartlyPosted Code = "batch_partly_posted"
	// CodeBatchTooHeavy: an atomic batch that does not fit one commit.
	CodeBatchTooHeavy Code = "batch_too_heavy"
)

// Refusal is an answer: the request was understood, decided at a head, and left
// no trace. It does not consume the idempotency key.
type Refusal struct {
	Code    Code
	Detail  string // one sentence for the client: what is wrong, what to do
	Account string // the account concerned, if one is
	// Posting is the index of the posting concerned, or −1.
	Posting int
	// Item is the index of the item of an atomic batch, or −1.
	Item int
	// Available is set with CodeLimitExceeded on a lower limit.
	Available *money.Int128
	Currency  string
	Scale     uint8
	// EvaluatedAtSeq is the newest entry that the decision rests on.
	EvaluatedAtSeq int64
}

func refusal(code Code, format string, args ...any) *Refusal {
	return &Refusal{Code: code, Detail: fmt.Sprintf(format, args...), Posting: -1, Item: -1}
}

// atLeg says which posting a refusal is about.
func atLeg(m *movement, leg int, r *Refusal) *Refusal {
	r.Posting, r.Account = leg, m.legs[leg].Account
	if m.accounts != nil && m.accounts[leg] != nil {
		r.Currency, r.Scale = m.accounts[leg].Currency, m.accounts[leg].Scale
	}
	return r
}

func unknownAccount(code string) *Refusal {
	r := refusal(CodeUnknownAccount, "this ledger has no account %s; open it first", code)
	r.Account = code
	return r
}

func unknownCurrency(code string) *Refusal {
	return refusal(CodeUnknownCurrency, "%s is neither an active ISO 4217 currency nor one that this ledger defines", code)
}

func closedAccount(code string) *Refusal {
	r := refusal(CodeAccountClosed, "account %s is closed and takes nothing any more", code)
	r.Account = code
	return r
}

func damagedAccount(code string) *Refusal {
	r := refusal(CodeAccountDamaged, "what is stored of account %s does not match its hash; nothing is posted to it until the finding is resolved and the server restarted", code)
	r.Account = code
	return r
}

func damagedTransfer(id RequestID) *Refusal {
	return refusal(CodeTransferDamaged,
		"what is stored of %s does not match its hash; nothing is said about it, and nothing acts on it, until an operator has run tallystick verify", id)
}
