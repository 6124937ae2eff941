package ledger

import (
	"encoding/binary"
	"time"

	"github.com/shopspring/decimal"

	"tallystick/ledger/chain"
)

// Request is something a client asks for. It becomes an Entry, a fact, when
// Apply accepts it and the store has committed it. The implementations are
// TransferRequest, OpenAccount and ChangeAccount.
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
	// accountCodes lists the accounts that deciding needs.
	accountCodes(dst []string) []string
}

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
)

// Operations name the kinds of request where a request id is derived.
const (
	OperationTransfer      = "transfer"
	OperationOpenAccount   = "account_opened"
	OperationChangeAccount = "account_changed"
)

// Leg is one posting of a TransferRequest.
type Leg struct {
	Account   string // the account's code
	Direction chain.Direction
	Amount    decimal.Decimal // natural units, such as 12.34
	Currency  string          // asserted when not empty
}

// TransferRequest asks to move money.
type TransferRequest struct {
	Common
	EffectiveDate *chain.Date // the booking date when nil
	Legs          []Leg
}

// OpenAccount asks for a new account. Opening an account that exists with the
// same attributes changes nothing.
type OpenAccount struct {
	Common
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
	if c.NotAfter != nil {
		b = binary.BigEndian.AppendUint64(append(b, 1), uint64(c.NotAfter.UnixMicro()))
	} else {
		b = append(b, 0)
	}
	b = r.fingerprintTo(b)
	return chain.Commitment(salt, chain.FieldRequest, string(b))
}

func (r *TransferRequest) fingerprintTo(b []byte) []byte {
	if r.EffectiveDate != nil {
		b = binary.BigEndian.AppendUint32(append(b, 1), uint32(*r.EffectiveDate))
	} else {
		b = append(b, 0)
	}
	b = binary.BigEndian.AppendUint32(b, uint32(len(r.Legs)))
	for i := range r.Legs {
		leg := &r.Legs[i]
		b = appendText(b, leg.Account)
		b = append(b, byte(leg.Direction))
		b = appendText(b, leg.Amount.String())
		b = appendText(b, leg.Currency)
	}
	return b
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
