package ledger

import "tallystick/ledger/money"

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
	// CodeUnbalanced: debits and credits of a currency differ.
	CodeUnbalanced Code = "unbalanced"
	// CodeDateOutOfBounds: the value date lies beyond what the ledger allows.
	CodeDateOutOfBounds Code = "date_out_of_bounds"
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
)

// Refusal is an answer: the request was understood, decided at a head, and left
// no trace. It does not consume the idempotency key.
type Refusal struct {
	Code    Code
	Detail  string // one sentence for the client: what is wrong, what to do
	Account string // the account concerned, if one is
	// Posting is the index of the posting concerned, or −1.
	Posting int
	// Available is set with CodeLimitExceeded on a lower limit.
	Available *money.Int128
	Currency  string
	Scale     uint8
	// EvaluatedAtSeq is the newest entry that the decision rests on.
	EvaluatedAtSeq int64
}
