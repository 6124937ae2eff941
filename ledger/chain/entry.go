package chain

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/google/uuid"

	"tallystick/ledger/money"
)

// Hash is a SHA-256 digest: an entry hash, which is at once the RFC 6962
// leaf hash of the entry, or a commitment.
type Hash [sha256.Size]byte

// String returns the 64 lower-case hexadecimal digits of h.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// ParseHash reads the text of String; ok is false when s is not one.
func ParseHash(s string) (h Hash, ok bool) {
	if len(s) != hex.EncodedLen(len(h)) {
		return Hash{}, false
	}
	for i := range len(s) {
		if 'A' <= s[i] && s[i] <= 'F' {
			return Hash{}, false
		}
	}
	_, err := hex.Decode(h[:], []byte(s))
	return h, err == nil
}

// Genesis is the PrevHash of the first entry of a ledger: 32 zero bytes.
var Genesis Hash

// Date is a calendar day, counted from 1970-01-01 (day 0), without a zone.
type Date int32

// DateOf returns the calendar day that t shows in its own location.
func DateOf(t time.Time) Date {
	y, m, d := t.Date()
	return Date(time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix() / secondsPerDay)
}

// ParseDate reads an RFC 3339 full-date such as 2026-01-31, years 0001 to 9999.
func ParseDate(s string) (Date, error) {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return 0, fmt.Errorf("parsing date %q: %w", s, err)
	}
	d := DateOf(t)
	if !validDate(d) {
		return 0, fmt.Errorf("parsing date %q: year out of range", s)
	}
	return d, nil
}

// Time returns midnight UTC of d.
func (d Date) Time() time.Time { return time.Unix(int64(d)*secondsPerDay, 0).UTC() }

// String returns d as an RFC 3339 full-date.
func (d Date) String() string { return d.Time().Format(time.DateOnly) }

const secondsPerDay = 24 * 60 * 60

// Entry is everything that an entry hash covers, in the terms of FORMAT.md.
// The zero value of an optional field (nil) means absent, an empty list is the
// same as none, and a nil optional field differs from a present one that is
// zero. Check says which fields each kind has.
type Entry struct {
	LedgerID      uuid.UUID
	Seq           int64 // 0, 1, 2, … without gaps
	PrevHash      Hash  // Genesis at seq 0
	Kind          Kind
	RequestID     uuid.UUID // the idempotency key of the request that became this entry
	RecordedAt    int64     // microseconds since the Unix epoch, never decreasing
	BookingDate   Date      // never decreasing
	EffectiveDate Date      // the value date
	Actor         uuid.UUID // the API key that asked for it; never a name
	PriorPeriod   bool      // approved to be effective in a closed period
	RefSeq        *int64    // the hold, or the reversed entry, that this one acts on
	RelatedTo     *uuid.UUID
	ExpiresAt     *int64 // of a hold: microseconds since the Unix epoch

	Description *Hash // commitments to free text, see Commitment
	Reference   *Hash
	Metadata    *Hash

	Postings []Posting
	Ledger   *LedgerTerms // of ledger_opened only
	Account  *Account     // of account_opened and account_changed only
	Details  []Detail     // named fields, sorted by Name, names unique; see SortDetails
}

// Direction is the side of an account that a posting touches.
type Direction uint8

// The two sides, with the codes that are hashed.
const (
	Debit  Direction = 1
	Credit Direction = 2
)

// Posting is one leg of an entry and the account's state after it.
type Posting struct {
	AccountID     uuid.UUID
	Direction     Direction
	Currency      string
	Scale         uint8        // decimal places of the currency; 12.34 at scale 2 is 1234 units
	Amount        money.Int128 // units booked on Direction, ≥ 0
	PendingChange money.Int128 // units by which the pending total of Direction changes: > 0 holds, < 0 releases
	EffectiveDate Date
	AccountSeq    int64        // 1, 2, 3, … without gaps within the account
	Posted        money.Int128 // booked balance after this posting, debit-positive
	PendingDebit  money.Int128 // open holds on the debit side after this posting, ≥ 0
	PendingCredit money.Int128 // open holds on the credit side after this posting, ≥ 0
}

// LedgerTerms are the terms that ledger_opened fixes for the life of a ledger.
type LedgerTerms struct {
	Name           string // such as "main"
	Origin         string // <host>/<ledger UUID>
	TimeZone       string // IANA name
	DayCutoff      int32  // seconds after local midnight at which the next booking day begins; 0 is midnight
	BaseCurrency   string
	BaseScale      uint8
	ValueDaysBack  int32 // how many days before the booking date a value date may lie
	ValueDaysAhead int32 // how many days after it
}

// AccountType decides the normal side of an account.
type AccountType uint8

// The account types, with the codes that are hashed. Assets and expenses are
// debit-normal, the others credit-normal.
const (
	Asset     AccountType = 1
	Liability AccountType = 2
	Equity    AccountType = 3
	Revenue   AccountType = 4
	Expense   AccountType = 5
)

// Frozen says which postings an account refuses.
type Frozen uint8

// The degrees of freezing, with the codes that are hashed.
const (
	FrozenNone    Frozen = 0
	FrozenDebits  Frozen = 1
	FrozenCredits Frozen = 2
	FrozenAll     Frozen = 3
)

// Account is the full set of attributes in force from the entry that carries it.
type Account struct {
	AccountID  uuid.UUID
	Code       string
	Type       AccountType
	Currency   string
	Scale      uint8
	MinBalance *money.Int128 // units on the normal side; nil is no limit
	MaxBalance *money.Int128
	Frozen     Frozen
	Closed     bool
	Tags       []Tag // sorted by Key, keys unique; see SortTags
}

// Tag is one classification of an account, such as client=42.
type Tag struct{ Key, Value string }

// Detail is one named field of an entry kind whose fields FORMAT.md lists by name.
type Detail struct{ Name, Value string }
