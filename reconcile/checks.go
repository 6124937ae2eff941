package reconcile

import "tallystick/ledger/chain"

// The codes of findings. They are part of the outward contract: never renamed,
// never used for something else.
const (
	LedgerMissing             = "LEDGER_MISSING"
	SeqGap                    = "SEQ_GAP"
	LedgerIDMismatch          = "LEDGER_ID_MISMATCH"
	PostingCountMismatch      = "POSTING_COUNT_MISMATCH"
	AccountStateMismatch      = "ACCOUNT_STATE_MISMATCH"
	EntryHashMismatch         = "ENTRY_HASH_MISMATCH"
	ChainBreak                = "CHAIN_BREAK"
	HeadMismatch              = "HEAD_MISMATCH"
	OrphanRow                 = "ORPHAN_ROW"
	TimeRegression            = "TIME_REGRESSION"
	BookingDateMismatch       = "BOOKING_DATE_MISMATCH"
	DuplicateTransfer         = "DUPLICATE_TRANSFER"
	UnbalancedEntry           = "UNBALANCED_ENTRY"
	EntryMalformed            = "ENTRY_MALFORMED"
	AccountMissing            = "ACCOUNT_MISSING"
	AccountSeqGap             = "ACCOUNT_SEQ_GAP"
	BalanceChainBreak         = "BALANCE_CHAIN_BREAK"
	CurrencyMismatch          = "CURRENCY_MISMATCH"
	LimitExceeded             = "LIMIT_EXCEEDED"
	AccountClosedPosting      = "ACCOUNT_CLOSED_POSTING"
	AccountFrozenPosting      = "ACCOUNT_FROZEN_POSTING"
	CommitmentMismatch        = "COMMITMENT_MISMATCH"
	PayloadMissing            = "PAYLOAD_MISSING"
	ProjectionMismatch        = "PROJECTION_MISMATCH"
	PayloadErased             = "PAYLOAD_ERASED"
	CurrencyNotZero           = "CURRENCY_NOT_ZERO"
	HoldInvalid               = "HOLD_INVALID"
	ReversalInvalid           = "REVERSAL_INVALID"
	PeriodClosedPosting       = "PERIOD_CLOSED_POSTING"
	PriorPeriodInvalid        = "PRIOR_PERIOD_INVALID"
	PeriodInvalid             = "PERIOD_INVALID"
	ValueDateOutOfBounds      = "VALUE_DATE_OUT_OF_BOUNDS"
	CurrencyUnknown           = "CURRENCY_UNKNOWN"
	CurrencyInvalid           = "CURRENCY_INVALID"
	KeyInvalid                = "KEY_INVALID"
	ErasureInvalid            = "ERASURE_INVALID"
	PayloadNotErased          = "PAYLOAD_NOT_ERASED"
	BalanceCommitmentMismatch = "BALANCE_COMMITMENT_MISMATCH"
	RunInvalid                = "RUN_INVALID"
	DecisionInvalid           = "DECISION_INVALID"
	PolicyInvalid             = "POLICY_INVALID"

	// Of checkpoints, the tree, and what lies outside the database.

	ForkProven             = "FORK_PROVEN"
	ReceiptNotIncluded     = "RECEIPT_NOT_INCLUDED"
	LogRollback            = "LOG_ROLLBACK"
	TailTruncated          = "TAIL_TRUNCATED"
	PinInconsistent        = "PIN_INCONSISTENT"
	RejectEmptyBaseline    = "REJECT_EMPTY_BASELINE"
	OriginMismatch         = "ORIGIN_MISMATCH"
	CheckpointBadSignature = "CHECKPOINT_BAD_SIGNATURE"
	CheckpointUnknownKey   = "CHECKPOINT_UNKNOWN_KEY"
	CheckpointRootMismatch = "CHECKPOINT_ROOT_MISMATCH"
	CosignatureInvalid     = "COSIGNATURE_INVALID"
	WitnessQuorumNotMet    = "WITNESS_QUORUM_NOT_MET"
	CheckpointStale        = "CHECKPOINT_STALE"
	TileMismatch           = "TILE_MISMATCH"
	SuperLogMismatch       = "SUPER_LOG_MISMATCH"

	// Of the database around the book.

	RowsFiltered    = "ROWS_FILTERED"
	SchemaTampered  = "SCHEMA_TAMPERED"
	ControlWeakened = "CONTROL_WEAKENED"
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
	{LedgerMissing, "I4", chain.Critical, "the ledger is gone, or its terms stand without its entries, or its entries without its terms", restore, false},
	{ForkProven, "I7", chain.Critical, "two signed checkpoints cannot both be of one ledger: its history was shown in two versions", keepBoth, false},
	{ReceiptNotIncluded, "I12", chain.Critical, "a client holds a signed receipt for an entry that does not stand here", restore, false},
	{LogRollback, "I7", chain.Critical, "the ledger is shorter than, or other than, what was signed", declareLoss, false},
	{TailTruncated, "I7", chain.Critical, "entries are gone that a checkpoint in this database covers", declareLoss, false},
	{PinInconsistent, "I7", chain.Critical, "the ledger does not extend the checkpoint that you pinned: what it covers was rewritten", keepPin, false},
	{RejectEmptyBaseline, "I7", chain.Critical, "the checkpoint offered as a baseline is of an empty ledger, which every ledger extends: it proves nothing", otherPin, false},
	{SeqGap, "I5", chain.Critical, "entries are missing, or their numbers repeat", restore, true},
	{LedgerIDMismatch, "I6", chain.Critical, "what stands here was sealed for another ledger", compare, true},
	{PostingCountMismatch, "I4", chain.Critical, "the entry has more or fewer postings than it says, or misnumbered ones", compare, false},
	{AccountStateMismatch, "I10", chain.Critical, "an account's attributes are not those that an entry sealed", restoreAccount, false},
	{EntryHashMismatch, "I6", chain.Critical, "the entry is not what was sealed: a column or the stored hash was changed", compare, true},
	{ChainBreak, "I6", chain.Critical, "the entry does not follow the one that stands before it", compareBefore, true},
	{OriginMismatch, "I7", chain.Critical, "the checkpoint is of another ledger", keepCheckpoint, false},
	{CheckpointBadSignature, "I7", chain.Critical, "the checkpoint is not what was signed: its text or its signature was changed", keepCheckpoint, false},
	{CheckpointUnknownKey, "I7", chain.Critical, "no key that is trusted for this ledger at that size has signed the checkpoint", whoseKey, false},
	{CheckpointRootMismatch, "I7", chain.Critical, "the entries are not those that were signed: what stands up to here was rewritten", rewritten, false},
	{CosignatureInvalid, "I7", chain.Critical, "the cosignature of a witness was made for another checkpoint, or by nobody", askWitness, false},
	{WitnessQuorumNotMet, "I7", chain.Critical, "fewer witnesses have cosigned the newest checkpoint, lately enough, than the policy wants", askWitness, false},
	{HeadMismatch, "I4", chain.Critical, "the newest entry changed while it was being verified", stopWriting, true},
	{OrphanRow, "I4", chain.Critical, "a row belongs to no entry", compare, false},
	{TimeRegression, "I5", chain.Critical, "the entry is dated before the one that precedes it", compare, false},
	{BookingDateMismatch, "I5", chain.Critical, "the entry is booked on another day than that of its time, by the ledger's time zone and the hour at which its day begins", whoPosted, false},
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
	{RunInvalid, "I6", chain.Critical, "a run is on record that cannot be one of this ledger, or its pin does not hold any more", whoRan, false},
	{DecisionInvalid, "I10", chain.Critical, "a decision is on record against the rules, such as a sign-off without a second person", whoPosted, false},
	{PolicyInvalid, "I10", chain.Critical, "a policy was adopted for days that were closed", whoPosted, false},
	{ErasureInvalid, "I4", chain.Critical, "an erasure is on record of an entry that has no text, or a second one", whoPosted, false},
	{BalanceCommitmentMismatch, "I11", chain.Critical, "an entry binds other balances than the postings before it give", recommit, false},
	{CommitmentMismatch, "I6", chain.Critical, "a text is not the one that the entry commits to", restoreText, false},
	{PayloadMissing, "I4", chain.Critical, "a text that the entry commits to is gone, and no erasure is on record", restoreText, false},
	{ProjectionMismatch, "I11", chain.Critical, "a derived column differs from what the entry gives", rederive, false},
	{TileMismatch, "I11", chain.Critical, "a stored node of the Merkle tree is missing, or is not what the entries give", retile, false},
	{SuperLogMismatch, "I7", chain.Critical, "the super-log, which names the checkpoints of all ledgers, is not what was signed, or names one that its ledger does not have", askSuperLog, false},
	{CheckpointStale, "I7", chain.Warning, "the newest checkpoint is older than you asked for: entries since then may be under no signature", runSigner, false},
	{PayloadNotErased, "I4", chain.Warning, "an erasure is on record, and the text is still there", eraseAgain, false},
	{PayloadErased, "I4", chain.Info, "a text was erased, and an entry says so", nothing, false},
	{RowsFiltered, "I4", chain.Critical, "something in the database can hide rows from whoever reads the book", removeFilter, false},
	{SchemaTampered, "I4", chain.Critical, "the schema is not the one that this version makes", compareSchema, false},
	{ControlWeakened, "I4", chain.Warning, "somebody may do more to the book than appending to it", takeRights, false},
	{CurrencyNotZero, "I2", chain.Critical, "the balances of a currency do not add up to zero", othersFirst, false},
}

// The next steps.
const (
	askSuperLog    = "Keep the database as it is. Whoever changes the super-log may have removed a ledger whole, or the end of one: compare the list of ledgers, and their sizes, with a backup, and get the super-log's newest checkpoint from a witness or an archive. If the database was restored from a backup, whoever keeps the signer's state declares that: tallystick super-log reincarnate."
	askWitness     = "Ask the witness for its newest cosignature and hold both against each other. Until the quorum is there, rely on the checkpoint before."
	bothEntries    = "Look at the entry and the one that it refers to. If the hashes of both hold, the application itself booked this wrongly, or its secrets were stolen; correct it by a transfer."
	compare        = "Keep the database as it is. Compare the entry with a backup, a replica or the client's receipt to see what was changed; the sealed hash proves which copy is the true one."
	compareBefore  = "Keep the database as it is. The entry before this one was changed and hashed again, or one of them was replaced: compare both with a backup or with receipts."
	compareSchema  = "If this version is newer than the database, run tallystick migrate. Otherwise find out who changed the table and why; what the changed rule kept out may stand in the book since."
	declareLoss    = "Stop posting to this ledger, and bring back the entries that were signed. If the database was restored from a backup and they are lost for good, declare that: tallystick ledger reincarnate opens a successor that binds the last signed checkpoint. If nobody restored anything, they were removed."
	eraseAgain     = "Finish the erasure: run tallystick erase --seq with the number of this entry again."
	keepBoth       = "Keep both notes: together they prove it to anyone, without this database. Trust neither history until it is known who had the signing key, ask the witnesses which of the two they were shown, and revoke the key."
	keepCheckpoint = "Keep the database as it is. Get the checkpoint of that size from a witness, an auditor or an archive, and verify with --checkpoint FILE."
	keepPin        = "Keep the pinned checkpoint and the database as they are: they prove that one of the two was changed. Compare the entries up to the pin with a backup or with receipts."
	nothing        = "Nothing: this is on record."
	othersFirst    = "Look at the other findings first; without any, an account's postings were removed together with their entries."
	otherPin       = "Take a checkpoint with entries in it as the baseline, from somebody you trust; do not accept this one."
	whoRan         = "Look at the other findings first. If what the run is pinned to does not hold any more, the entries before it were rewritten after it: compare with a backup, and with a checkpoint from elsewhere. Otherwise ask whoever put it on record."
	recommit       = "Look at the other findings first. Without any, the application committed to wrong balances, or its secrets were stolen: proofs made under this entry prove nothing. Commit to the balances again."
	rederive       = "The entry itself is intact. Find out who wrote to the table, and set the column to what the entry gives."
	removeFilter   = "Remove it, find out who put it there, and verify again: what was read for this report may not be everything."
	restore        = "Stop posting to this ledger. Restore the missing rows from a backup; the hash chain proves that they are the true ones."
	restoreAccount = "Stop posting to the account. Restore its rows from a backup; the sealed hash of the entry proves that they are the true ones."
	restoreText    = "Restore text and salt from a backup; the commitment proves that they are the true ones. If they were deleted on purpose, put the erasure on record."
	retile         = "The entries are held against the signed roots apart from it. Find out who wrote to book.tiles, and set the node to what the entries give."
	reverse        = "Ask the client which of the two was meant, and reverse the other. Find out how the unique key came to be missing."
	rewritten      = "Stop posting to this ledger. The checkpoint before this one, if any holds, bounds where the change begins; compare the entries from there on with a backup or with receipts."
	runSigner      = "See that the signer runs and what it refuses; its log and its metrics say."
	statement      = "Follow the account from its previous posting. If the hashes of both entries hold, the application itself booked this wrongly, or its secrets were stolen."
	whoPosted      = "Ask whoever the actor of the entry is. If its hash holds, the application itself let this pass, or its secrets were stolen; correct it by another entry."
	stopWriting    = "Somebody is changing the book right now: take writing rights away, then verify again."
	takeRights     = "Take the right away, and find out who gave it. The findings above say whether it was used."
	whoseKey       = "Ask the operator whose key it is. If the key is a new one, get it from somebody you trust and put it into the policy; if nobody knows it, somebody else signs in the ledger's name."
)

// precedence is the place of each code in Checks.
var precedence = func() map[string]int {
	p := make(map[string]int)
	for i, c := range Checks {
		p[c.Code] = i
	}
	return p
}()
