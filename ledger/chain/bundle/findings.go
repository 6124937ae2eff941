package bundle

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"github.com/google/uuid"

	"tallystick/ledger/chain"
)

// The codes of findings. Those that tallystick verify reports from a database
// too mean the same there.
const (
	ManifestMismatch          = "BUNDLE_MANIFEST_MISMATCH"
	OriginMismatch            = "ORIGIN_MISMATCH"
	SeqGap                    = "SEQ_GAP"
	LedgerIDMismatch          = "LEDGER_ID_MISMATCH"
	ChainBreak                = "CHAIN_BREAK"
	CheckpointRootMismatch    = "CHECKPOINT_ROOT_MISMATCH"
	CheckpointBadSignature    = "CHECKPOINT_BAD_SIGNATURE"
	CheckpointUnknownKey      = "CHECKPOINT_UNKNOWN_KEY"
	CosignatureInvalid        = "COSIGNATURE_INVALID"
	WitnessQuorumNotMet       = "WITNESS_QUORUM_NOT_MET"
	PinInconsistent           = "PIN_INCONSISTENT"
	ProofInvalid              = "CONSISTENCY_PROOF_INVALID"
	TimeRegression            = "TIME_REGRESSION"
	UnbalancedEntry           = "UNBALANCED_ENTRY"
	EntryMalformed            = "ENTRY_MALFORMED"
	AccountMissing            = "ACCOUNT_MISSING"
	AccountStateMismatch      = "ACCOUNT_STATE_MISMATCH"
	AccountSeqGap             = "ACCOUNT_SEQ_GAP"
	BalanceChainBreak         = "BALANCE_CHAIN_BREAK"
	CurrencyMismatch          = "CURRENCY_MISMATCH"
	CommitmentMismatch        = "COMMITMENT_MISMATCH"
	PayloadMissing            = "PAYLOAD_MISSING"
	PayloadErased             = "PAYLOAD_ERASED"
	BalanceCommitmentMismatch = "BALANCE_COMMITMENT_MISMATCH"
	ProjectionMismatch        = "PROJECTION_MISMATCH"
	CurrencyNotZero           = "CURRENCY_NOT_ZERO"
)

// Check is one thing that Verify looks for.
type Check struct {
	Code      string
	Invariant string // of the table in the README
	Severity  chain.Severity
	Meaning   string // what is wrong when it is reported
	NextStep  string // what the reader of the report should do
}

// Checks is everything that Verify looks for. The order is the precedence of
// findings at one place: the first says most about what was done to it.
var Checks = []Check{
	{ManifestMismatch, "I4", chain.Critical, "the bundle does not hold what its manifest lists", askAgain},
	{OriginMismatch, "I7", chain.Critical, "what was signed is about another ledger", askAgain},
	{CheckpointBadSignature, "I7", chain.Critical, "the checkpoint is not what its signer signed", askSigner},
	{CheckpointUnknownKey, "I7", chain.Critical, "the checkpoint is not signed by a key that is trusted", askKeys},
	{CosignatureInvalid, "I7", chain.Critical, "the cosignature is not for this checkpoint", askSigner},
	{WitnessQuorumNotMet, "I7", chain.Critical, "fewer witnesses have cosigned the checkpoint than the policy wants", askWitnesses},
	{CheckpointRootMismatch, "I7", chain.Critical, "the entries are not those that the checkpoint was signed for", askReceipts},
	{PinInconsistent, "I7", chain.Critical, "the entries do not begin with those of the checkpoint that you kept", askReceipts},
	{ProofInvalid, "I7", chain.Critical, "the proof does not show that the later checkpoint extends the earlier one", askAgain},
	{SeqGap, "I5", chain.Critical, "entries are missing, or their numbers repeat", askReceipts},
	{LedgerIDMismatch, "I6", chain.Critical, "what stands here was sealed for another ledger", askReceipts},
	{ChainBreak, "I6", chain.Critical, "the entry does not follow the one that stands before it", askReceipts},
	{AccountStateMismatch, "I10", chain.Critical, "the account was opened twice, or under a code that another one has", askBooks},
	{TimeRegression, "I5", chain.Critical, "the entry is dated before the one that precedes it", askBooks},
	{UnbalancedEntry, "I1", chain.Critical, "debits and credits differ", askBooks},
	{EntryMalformed, "I1", chain.Critical, "no version of this software writes such an entry", askBooks},
	{AccountMissing, "I10", chain.Critical, "the posting is on an account that this ledger does not have, or did not have yet", askBooks},
	{AccountSeqGap, "I9", chain.Critical, "postings of the account are missing, repeated or out of order", askBooks},
	{BalanceChainBreak, "I9", chain.Critical, "the balance does not follow from the account's previous posting", askBooks},
	{CurrencyMismatch, "I10", chain.Critical, "the posting is in another currency or scale than its account", askBooks},
	{BalanceCommitmentMismatch, "I11", chain.Critical, "the entry commits to other balances than the entries before it give", askBooks},
	{CommitmentMismatch, "I6", chain.Critical, "a text is not the one that the entry commits to", askText},
	{PayloadMissing, "I4", chain.Critical, "a text that the entry commits to is not in the bundle, and no erasure is on record", askText},
	{PayloadErased, "I4", chain.Info, "a text was erased, and an entry says so", nothing},
	{ProjectionMismatch, "I11", chain.Critical, "the balance shown is not the one that the entries give", askAgain},
	{CurrencyNotZero, "I2", chain.Critical, "the balances of a currency do not add up to zero", askBooks},
}

// The next steps.
const (
	askAgain     = "Keep the file and its SHA-256. Ask for the bundle again, over another way; if it comes the same, it was made wrong on purpose."
	askBooks     = "Keep the file. If no finding is about a signature or a root, this is what was signed: the application booked it wrongly, or its secrets were stolen. Ask who the actor of the entry is."
	askKeys      = "Compare the key with the one that the operator publishes, on a way that the maker of this file does not control. If it is a new one, a key_changed entry under the old one names it."
	askReceipts  = "Keep the file: with the signed checkpoint it proves that the ledger was changed after it was signed. Compare the entry with a receipt, an earlier bundle or a replica."
	askSigner    = "Keep the file. Ask the operator for the checkpoint of this size again, and compare it with what witnesses and other auditors hold."
	askText      = "Ask for the text and its salt; the commitment proves the true ones. If they were erased on purpose, an erasure entry must say so."
	askWitnesses = "Ask the operator for the checkpoint with more cosignatures, and the witnesses for what they last cosigned."
	nothing      = "Nothing: this is on record."
)

var precedence = func() map[string]int {
	p := make(map[string]int)
	for i, c := range Checks {
		p[c.Code] = i
	}
	return p
}()

// Bounds of a report.
const (
	// maxFindings is how many findings are kept in detail; all are counted.
	maxFindings = 10_000
	// maxReasons is how many reasons for INCOMPLETE are kept.
	maxReasons = 100
)

// noSeq is the place of a finding that is not about an entry. It stands first:
// what is wrong with the file as a whole says most.
const noSeq = -1

// finding is a chain.Finding before account codes are looked up.
type finding struct {
	code       string
	seq        int64
	request    uuid.UUID // of the entry; nil when it is not known
	account    uuid.UUID // nil: none is proven
	column     string
	stored     string
	recomputed string
}

func compareFindings(a, b finding) int {
	return cmp.Or(
		cmp.Compare(a.seq, b.seq),
		cmp.Compare(precedence[a.code], precedence[b.code]),
		slices.Compare(a.account[:], b.account[:]),
		strings.Compare(a.column, b.column),
		strings.Compare(a.stored, b.stored),
		strings.Compare(a.recomputed, b.recomputed),
	)
}

// findings gathers what one worker finds: the first maxFindings in order, and
// the number of all. It is not for several goroutines.
type findings struct {
	kept     []finding
	total    int64
	critical int64
	reasons  []reason
	more     int64 // reasons beyond maxReasons
}

// reason is why a report is incomplete. The same at many entries is one.
type reason struct {
	what  string
	first int64 // noSeq when it is not about an entry
	count int64
}

func (f *findings) add(x finding) {
	f.total++
	if Checks[precedence[x.code]].Severity == chain.Critical {
		f.critical++
	}
	f.kept = append(f.kept, x)
	if len(f.kept) >= 2*maxFindings {
		f.trim()
	}
}

func (f *findings) trim() {
	slices.SortFunc(f.kept, compareFindings)
	f.kept = f.kept[:min(len(f.kept), maxFindings)]
}

// notChecked records that something at seq, or noSeq, could not be checked.
func (f *findings) notChecked(seq int64, what string) {
	f.merge(reason{what, seq, 1})
}

func (f *findings) merge(r reason) {
	i := slices.IndexFunc(f.reasons, func(x reason) bool { return x.what == r.what })
	switch {
	case i >= 0:
		f.reasons[i].first = min(f.reasons[i].first, r.first)
		f.reasons[i].count += r.count
	case len(f.reasons) == maxReasons:
		f.more += r.count
	default:
		f.reasons = append(f.reasons, r)
	}
}

// take adds what another worker found.
func (f *findings) take(other *findings) {
	f.total += other.total
	f.critical += other.critical
	f.kept = append(f.kept, other.kept...)
	f.trim()
	for _, r := range other.reasons {
		f.merge(r)
	}
	f.more += other.more
}

// beyond64 is math.MaxInt64, as a place after all entries.
const beyond64 = math.MaxInt64
