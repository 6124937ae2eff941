package reconcile

import "tallystick/ledger/chain"

// The codes of findings. They are part of the outward contract: never renamed,
// never used for something else.
const (
	LedgerMissing        = "LEDGER_MISSING"
	SeqGap               = "SEQ_GAP"
	LedgerIDMismatch     = "LEDGER_ID_MISMATCH"
	PostingCountMismatch = "POSTING_COUNT_MISMATCH"
	AccountStateMismatch = "ACCOUNT_STATE_MISMATCH"
	EntryHashMismatch    = "ENTRY_HASH_MISMATCH"
	ChainBreak           = "CHAIN_BREAK"
	HeadMismatch         = "HEAD_MISMATCH"
	OrphanRow            = "ORPHAN_ROW"
	TimeRegression       = "TIME_REGRESSION"
	DuplicateTransfer    = "DUPLICATE_TRANSFER"
	UnbalancedEntry      = "UNBALANCED_ENTRY"
	EntryMalformed       = "ENTRY_MALFORMED"
	AccountMissing       = "ACCOUNT_MISSING"
	AccountSeqGap        = "ACCOUNT_SEQ_GAP"
	BalanceChainBreak    = "BALANCE_CHAIN_BREAK"
	CurrencyMismatch     = "CURRENCY_MISMATCH"
	LimitExceeded        = "LIMIT_EXCEEDED"
	AccountClosedPosting = "ACCOUNT_CLOSED_POSTING"
	AccountFrozenPosting = "ACCOUNT_FROZEN_POSTING"
	CommitmentMismatch   = "COMMITMENT_MISMATCH"
	PayloadMissing       = "PAYLOAD_MISSING"
	ProjectionMismatch   = "PROJECTION_MISMATCH"
	PayloadErased        = "PAYLOAD_ERASED"
	CurrencyNotZero      = "CURRENCY_NOT_ZERO"
	HoldInvalid          = "HOLD_INVALID"
	ReversalInvalid      = "REVERSAL_INVALID"
	PeriodClosedPosting  = "PERIOD_CLOSED_POSTING"
	PriorPeriodInvalid   = "PRIOR_PERIOD_INVALID"
	PeriodInvalid        = "PERIOD_INVALID"
	ValueDateOutOfBounds = "VALUE_DATE_OUT_OF_BOUNDS"
	CurrencyUnknown      = "CURRENCY_UNKNOWN"
	CurrencyInvalid      = "CURRENCY_INVALID"
	KeyInvalid           = "KEY_INVALID"
	ErasureInvalid       = "ERASURE_INVALID"
	PayloadNotErased     = "PAYLOAD_NOT_ERASED"
	LogRollback          = "LOG_ROLLBACK"
	ForkProven           = "FORK_PROVEN"
)

// Check is one thing that Verify looks for.
type Check struct {
	Code      string
	Invariant string // of the table in the README
	Severity  chain.Severity
	Meaning   string // what is wrong when it is reported
	NextStep  string // what the reader of the report should do

	breaks bool // the hash of the head does not vouch for the entry and what stands before it
}

// Checks is everything that Verify looks for. The order is the precedence of
// findings at one entry: the first says most about what was done to it.
var Checks = []Check{
	{LedgerMissing, "I4", chain.Critical, "the ledger's terms stand without its entries, or its entries without its terms", restore, false},
	{ForkProven, "I7", chain.Critical, "one key has signed two ledgers that exclude each other", askBoth, false},
	{LogRollback, "I7", chain.Critical, "the ledger is shorter than, or other than, what was signed", declareLoss, false},
	{SeqGap, "I5", chain.Critical, "entries are missing, or their numbers repeat", restore, true},
	{LedgerIDMismatch, "I6", chain.Critical, "what stands here was sealed for another ledger", compare, true},
	{PostingCountMismatch, "I4", chain.Critical, "the entry has more or fewer postings than it says, or misnumbered ones", compare, false},
	{AccountStateMismatch, "I10", chain.Critical, "an account's attributes are not those that an entry sealed", restoreAccount, false},
	{EntryHashMismatch, "I6", chain.Critical, "the entry is not what was sealed: a column or the stored hash was changed", compare, true},
	{ChainBreak, "I6", chain.Critical, "the entry does not follow the one that stands before it", compareBefore, true},
	{HeadMismatch, "I4", chain.Critical, "the newest entry changed while it was being verified", stopWriting, true},
	{OrphanRow, "I4", chain.Critical, "a row belongs to no entry", compare, false},
	{TimeRegression, "I5", chain.Critical, "the entry is dated before the one that precedes it", compare, false},
	{DuplicateTransfer, "I8", chain.Critical, "one request stands twice", reverse, false},
	{HoldInvalid, "I12", chain.Critical, "a hold was settled twice, too late, too early, or otherwise than it was made", bothEntries, false},
	{ReversalInvalid, "I12", chain.Critical, "a reversal undoes what it must not, twice, or otherwise than it was booked", bothEntries, false},
	{UnbalancedEntry, "I1", chain.Critical, "debits and credits differ", compare, false},
	{EntryMalformed, "I1", chain.Critical, "no version of this software writes such an entry", compare, false},
	{AccountMissing, "I10", chain.Critical, "the posting is on an account that this ledger does not have, or did not have yet", restoreAccount, false},
	{AccountSeqGap, "I9", chain.Critical, "postings of the account are missing, repeated or out of order", restore, false},
	{BalanceChainBreak, "I9", chain.Critical, "the balance does not follow from the account's previous posting", statement, false},
	{CurrencyMismatch, "I10", chain.Critical, "the posting is in another currency or scale than its account", compare, false},
	{LimitExceeded, "I3", chain.Critical, "the posting takes the account past the limit in force", statement, false},
	{AccountClosedPosting, "I10", chain.Critical, "the posting is on a closed account", statement, false},
	{AccountFrozenPosting, "I10", chain.Critical, "the posting is on a side of the account that was frozen", statement, false},
	{PeriodClosedPosting, "I10", chain.Critical, "the value date lies in a closed period, and nobody approved that", whoPosted, false},
	{PriorPeriodInvalid, "I10", chain.Critical, "the entry was approved for a closed period, and its value date lies in none", whoPosted, false},
	{ValueDateOutOfBounds, "I10", chain.Critical, "the value date is further from the booking date than the ledger's terms allow", whoPosted, false},
	{PeriodInvalid, "I10", chain.Critical, "a period was closed or reopened against the rules", whoPosted, false},
	{CurrencyUnknown, "I10", chain.Critical, "the currency is not one of ISO 4217 with these decimals, and was not defined before", whoPosted, false},
	{CurrencyInvalid, "I10", chain.Critical, "the currency was there already", whoPosted, false},
	{KeyInvalid, "I7", chain.Critical, "a key was put on record against the rules", whoPosted, false},
	{ErasureInvalid, "I4", chain.Critical, "an erasure is on record of an entry that has no text, or a second one", whoPosted, false},
	{CommitmentMismatch, "I6", chain.Critical, "a text is not the one that the entry commits to", restoreText, false},
	{PayloadMissing, "I4", chain.Critical, "a text that the entry commits to is gone, and no erasure is on record", restoreText, false},
	{ProjectionMismatch, "I11", chain.Critical, "a derived column differs from what the entry gives", rederive, false},
	{PayloadNotErased, "I4", chain.Warning, "an erasure is on record, and the text is still there", eraseAgain, false},
	{PayloadErased, "I4", chain.Info, "a text was erased, and an entry says so", nothing, false},
	{CurrencyNotZero, "I2", chain.Critical, "the balances of a currency do not add up to zero", othersFirst, false},
}

// The next steps.
const (
	askBoth        = "Keep both signed checkpoints: together they are the proof. Trust neither ledger until it is known who had the signing key, and revoke the key."
	bothEntries    = "Look at the entry and the one that it refers to. If the hashes of both hold, the application itself booked this wrongly, or its secrets were stolen; correct it by a transfer."
	compare        = "Keep the database as it is. Compare the entry with a backup, a replica or the client's receipt to see what was changed; the sealed hash proves which copy is the true one."
	compareBefore  = "Keep the database as it is. The entry before this one was changed and hashed again, or one of them was replaced: compare both with a backup or with receipts."
	eraseAgain     = "Finish the erasure: run tallystick erase --seq with the number of this entry again."
	declareLoss    = "Stop posting to this ledger, and bring back the entries that were signed. If the database was restored from a backup and they are lost for good, declare that: tallystick ledger reincarnate opens a successor that binds the last signed checkpoint."
	nothing        = "Nothing: this is on record."
	othersFirst    = "Look at the other findings first; without any, an account's postings were removed together with their entries."
	rederive       = "The entry itself is intact. Find out who wrote to the table, and set the column to what the entry gives."
	restore        = "Stop posting to this ledger. Restore the missing rows from a backup; the hash chain proves that they are the true ones."
	restoreAccount = "Stop posting to the account. Restore its rows from a backup; the sealed hash of the entry proves that they are the true ones."
	restoreText    = "Restore text and salt from a backup; the commitment proves that they are the true ones. If they were deleted on purpose, put the erasure on record."
	reverse        = "Ask the client which of the two was meant, and reverse the other. Find out how the unique key came to be missing."
	statement      = "Follow the account from its previous posting. If the hashes of both entries hold, the application itself booked this wrongly, or its secrets were stolen."
	whoPosted      = "Ask whoever the actor of the entry is. If its hash holds, the application itself let this pass, or its secrets were stolen; correct it by another entry."
	stopWriting    = "Somebody is changing the book right now: take writing rights away, then verify again."
)

// precedence is the place of each code in Checks.
var precedence = func() map[string]int {
	p := make(map[string]int)
	for i, c := range Checks {
		p[c.Code] = i
	}
	return p
}()
