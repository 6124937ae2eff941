package ledger

import (
	"encoding/binary"
	"time"

	"github.com/shopspring/decimal"

	"tallystick/ledger/chain"
)

// Request is something a client asks for. It becomes an Entry, a fact, when
// Apply accepts it and the store has committed it. The implementations are
// TransferRequest, CaptureHold, ReleaseHold, ReverseTransfer, AtomicBatch,
// OpenAccount, ChangeAccount, DefineCurrency, ClosePeriod, ReopenPeriod, ChangeKey,
// EraseText, CommitBalances, RecordRun, Decide and AdoptPolicy.
type Request interface {
	// common returns what every request carries.
	common() *Common
	// operation names the request in derived ids and fingerprints.
	operation() string
	// fingerprintTo appends the request as parsed, before defaults.
	fingerprintTo(dst []byte) []byte
	// apply decides the request on the overlay.
	apply(o *overlay) (*draft, *Refusal)
	// weight estimates the bytes of its columns beside those of Common.
	weight() int
	// accountCodes lists the accounts that deciding needs, beside those of its
	// target.
	accountCodes(dst []string) []string
	// targets lists the earlier requests that it refers to.
	targets(dst []RequestID) []RequestID
}

// standalone is a request that refers to no other.
type standalone struct{}

func (standalone) targets(dst []RequestID) []RequestID { return dst }

// Common is what every request carries beside its own fields.
type Common struct {
	ID    RequestID
	Actor KeyID
	// Salt is random; commitments to free text and the fingerprint of the
	// request are made under it. It is stored beside the text, not in the book.
	Salt [SaltSize]byte
	// NotAfter refuses the request when its turn comes later than this.
	NotAfter *time.Time

	Description *string // free text, at most MaxDescription bytes
	Reference   *string // the client's own number, at most MaxReference bytes
	Metadata    *string // canonical JSON object, at most MaxMetadata bytes
}

func (c *Common) common() *Common { return c }

// Bounds of a request.
const (
	SaltSize       = chain.SaltSize
	MinPostings    = 2
	MaxPostings    = chain.MaxPostings
	MaxDescription = 1024
	MaxReference   = 255
	MaxMetadata    = 16 << 10
	MaxTags        = chain.MaxTags
	MaxTagKey      = chain.MaxTagKey
	MaxTagValue    = chain.MaxTagValue
	MaxAccountName = 255
	MaxRate        = 255
)

// Operations name the kinds of request where a request id is derived.
const (
	OperationTransfer       = "transfer"
	OperationCapture        = "capture"
	OperationRelease        = "release"
	OperationReverse        = "reversal"
	OperationOpenAccount    = "account_opened"
	OperationChangeAccount  = "account_changed"
	OperationDefineCurrency = "currency_defined"
	OperationClosePeriod    = "period_closed"
	OperationReopenPeriod   = "period_reopened"
	OperationChangeKey      = "key_changed"
	OperationErase          = "erasure"
	OperationCommitBalances = "balance_commitment"
	OperationRecordRun      = "run"
	OperationDecide         = "decision"
	OperationAdoptPolicy    = "policy_adopted"
)

// Leg is one posting of a TransferRequest.
type Leg struct {
	Account   string // the account's code
	Direction chain.Direction
	Amount    decimal.Decimal // natural units, such as 12.34
	Currency  string          // asserted when not empty
}

// ValueDate is the value date that a request asks for.
type ValueDate struct {
	EffectiveDate *chain.Date // the booking date when nil
	// PriorPeriod says that the value date is meant to lie in a closed period.
	PriorPeriod bool
	// MayApprove says that the key of the request has the right to approve that.
	// It is not part of the fingerprint.
	MayApprove bool
}

// TransferRequest asks to move money, or with Hold to set it aside.
type TransferRequest struct {
	Common
	ValueDate
	standalone
	Legs      []Leg
	Hold      bool
	ExpiresAt *time.Time // of a hold, cut to microseconds; nil: never
	RelatedTo *RequestID // another transfer, of this ledger or not
	Rate      *string    // exchange rate as agreed, at most MaxRate bytes
}

// OpenAccount asks for a new account. Opening an account that exists with the
// same attributes changes nothing.
type OpenAccount struct {
	Common
	standalone
	AccountID  AccountID // used when the account is new
	Code       string
	Type       chain.AccountType
	Currency   string
	Name       *string          // kept as the entry's description
	MinBalance *decimal.Decimal // normal side, natural units; nil is no limit
	MaxBalance *decimal.Decimal
	Frozen     chain.Frozen
	Tags       []chain.Tag // sorted by key
}

// Limit is a change of one limit: Set says whether the request names it, and a
// nil Value then removes it.
type Limit struct {
	Set   bool
	Value *decimal.Decimal
}

// ChangeAccount asks to change attributes of an account; what is nil or not Set
// stays as it is. A request that changes nothing makes no entry, unless it is
// Keyed.
type ChangeAccount struct {
	Common
	standalone
	Code string
	// Keyed says that the client chose the id. Then the change becomes an entry
	// even if it changes nothing: only that uses the id up, and a duplicate that
	// arrives after another change must not take effect.
	Keyed      bool
	Name       *string
	MinBalance Limit
	MaxBalance Limit
	Frozen     *chain.Frozen
	Close      bool
	Tags       *[]chain.Tag // sorted by key; replaces all tags
}

func (*TransferRequest) operation() string { return OperationTransfer }
func (*OpenAccount) operation() string     { return OperationOpenAccount }
func (*ChangeAccount) operation() string   { return OperationChangeAccount }

func (r *TransferRequest) accountCodes(dst []string) []string {
	for i := range r.Legs {
		dst = append(dst, r.Legs[i].Account)
	}
	return dst
}

func (r *OpenAccount) accountCodes(dst []string) []string   { return append(dst, r.Code) }
func (r *ChangeAccount) accountCodes(dst []string) []string { return append(dst, r.Code) }

// Fingerprint identifies the request as the client wrote it, whatever the form:
// HMAC under salt of the parsed request before defaults, so that 12.3 equals
// 12.30 and the short form of a transfer equals the long one.
func Fingerprint(r Request, salt []byte) chain.Hash {
	c := r.common()
	b := appendText(make([]byte, 0, 256), r.operation())
	b = appendOptional(b, c.Description)
	b = appendOptional(b, c.Reference)
	b = appendOptional(b, c.Metadata)
	b = appendOptionalTime(b, c.NotAfter)
	b = r.fingerprintTo(b)
	return chain.Commitment(salt, chain.FieldRequest, string(b))
}

func (r *TransferRequest) fingerprintTo(b []byte) []byte {
	b = appendLegs(appendValueDate(b, r.ValueDate), r.Legs)
	b = append(b, boolByte(r.Hold))
	b = appendOptionalTime(b, r.ExpiresAt)
	if r.RelatedTo != nil {
		b = append(append(b, 1), r.RelatedTo.UUID[:]...)
	} else {
		b = append(b, 0)
	}
	return appendOptional(b, r.Rate)
}

func (r *OpenAccount) fingerprintTo(b []byte) []byte {
	b = appendText(b, r.Code)
	b = append(b, byte(r.Type))
	b = appendText(b, r.Currency)
	b = appendOptional(b, r.Name)
	b = appendOptional(b, decimalText(r.MinBalance))
	b = appendOptional(b, decimalText(r.MaxBalance))
	b = append(b, byte(r.Frozen))
	return appendTags(b, r.Tags)
}

func (r *ChangeAccount) fingerprintTo(b []byte) []byte {
	b = appendText(b, r.Code)
	b = appendOptional(b, r.Name)
	for _, l := range []Limit{r.MinBalance, r.MaxBalance} {
		b = append(b, boolByte(l.Set))
		b = appendOptional(b, decimalText(l.Value))
	}
	if r.Frozen != nil {
		b = append(b, 1, byte(*r.Frozen))
	} else {
		b = append(b, 0)
	}
	b = append(b, boolByte(r.Close), boolByte(r.Tags != nil))
	if r.Tags != nil {
		b = appendTags(b, *r.Tags)
	}
	return b
}

func decimalText(d *decimal.Decimal) *string {
	if d == nil {
		return nil
	}
	s := d.String()
	return &s
}

func appendText(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(s))), s...)
}

func appendOptional(b []byte, s *string) []byte {
	if s == nil {
		return append(b, 0)
	}
	return appendText(append(b, 1), *s)
}

func appendOptionalTime(b []byte, t *time.Time) []byte {
	if t == nil {
		return append(b, 0)
	}
	return binary.BigEndian.AppendUint64(append(b, 1), uint64(t.UnixMicro()))
}

func appendValueDate(b []byte, d ValueDate) []byte {
	if d.EffectiveDate != nil {
		b = binary.BigEndian.AppendUint32(append(b, 1), uint32(*d.EffectiveDate))
	} else {
		b = append(b, 0)
	}
	return append(b, boolByte(d.PriorPeriod))
}

func appendLegs(b []byte, legs []Leg) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(legs)))
	for i := range legs {
		b = appendText(b, legs[i].Account)
		b = append(b, byte(legs[i].Direction))
		b = appendText(b, legs[i].Amount.String())
		b = appendText(b, legs[i].Currency)
	}
	return b
}

func appendTags(b []byte, tags []chain.Tag) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(tags)))
	for _, t := range tags {
		b = appendText(appendText(b, t.Key), t.Value)
	}
	return b
}

func boolByte(v bool) byte {
	if v {
		return 1
	}
	return 0
}
