package chain

import (
	"errors"
	"fmt"
	"math"
	"unicode/utf8"

	"tallystick/ledger/money"
)

// The two ways in which an entry is not one of format version 1.
var (
	// ErrMalformed: no version of this software writes such an entry.
	ErrMalformed = errors.New("malformed entry")
	// ErrUnknown: a format version, kind or detail that is not in the registry
	// of FORMAT.md; newer software may have written it. A verifier says
	// INCOMPLETE, not tampered.
	ErrUnknown = errors.New("not known to this version")
)

// Bounds of an entry. Texts are counted in bytes of UTF-8.
const (
	MaxPostings     = 500
	MaxLedgerName   = 64
	MaxOrigin       = 255
	MaxTimeZone     = 64
	MaxAccountCode  = 128
	MaxTags         = 32
	MaxTagKey       = 64
	MaxTagValue     = 255
	MaxDetails      = 512
	MaxDetailName   = 64
	MaxDetailValue  = 1024
	MaxDetailBytes  = 32 << 10       // all details of an entry, with their lengths
	MaxCanonical    = math.MaxUint16 // no kind gets there; what a bundle of C2SP tlog-tiles holds
	minPostings     = 2              // of the kinds that have postings: debit and credit
	latestMicro     = int64(latestDate+1)*secondsPerDay*1_000_000 - 1
	earliestDate    = Date(-719162) // 0001-01-01
	latestDate      = Date(2932896) // 9999-12-31
	lastSecondOfDay = secondsPerDay - 1
)

// Check reports whether e is an entry that format version 1 can say: every
// field within its bounds, and exactly the fields that its kind has. The error
// wraps ErrMalformed or ErrUnknown; what is malformed besides is not unknown, so
// that an entry whose kind is known has nothing else wrong than a detail that is
// not. Check looks at e alone: whether it
// balances, follows its predecessor and keeps the limits is for others to find.
func (e *Entry) Check() error {
	if err := e.check(); err != nil {
		return fmt.Errorf("checking entry %d: %w", e.Seq, err)
	}
	return nil
}

func (e *Entry) check() error {
	if err := e.checkHeader(); err != nil {
		return err
	}
	for i := range e.Postings {
		if err := e.Postings[i].check(); err != nil {
			return fmt.Errorf("posting %d: %w", i, err)
		}
	}
	if e.Ledger != nil {
		if err := e.Ledger.check(); err != nil {
			return fmt.Errorf("ledger terms: %w", err)
		}
	}
	if e.Account != nil {
		if err := e.Account.check(); err != nil {
			return fmt.Errorf("account: %w", err)
		}
	}
	if err := checkDetailForms(e.Details); err != nil {
		return err
	}
	if !e.Kind.Known() {
		return unknown("%s", e.Kind)
	}
	if err := e.checkShape(); err != nil {
		return err
	}
	return checkDetails(e.Kind, e.Details)
}

func (e *Entry) checkHeader() error {
	switch {
	case e.Seq < 0:
		return malformed("seq %d", e.Seq)
	case (e.Seq == 0) != (e.Kind == LedgerOpened):
		return malformed("%s at seq %d", e.Kind, e.Seq)
	case e.Seq == 0 && e.PrevHash != Genesis:
		return malformed("prev_hash %s at seq 0", e.PrevHash)
	case !validMicro(e.RecordedAt):
		return malformed("recorded_at %d", e.RecordedAt)
	case !validDate(e.BookingDate):
		return malformed("booking_date %d", e.BookingDate)
	case !validDate(e.EffectiveDate):
		return malformed("effective_date %d", e.EffectiveDate)
	case e.RefSeq != nil && (*e.RefSeq < 0 || *e.RefSeq >= e.Seq):
		return malformed("ref_seq %d", *e.RefSeq)
	case e.ExpiresAt != nil && !validMicro(*e.ExpiresAt):
		return malformed("expires_at %d", *e.ExpiresAt)
	}
	return nil
}

// checkShape holds e against the row of its kind in shapes.
func (e *Entry) checkShape() error {
	s := shapes[e.Kind]
	low, high := 0, 0
	if s.postings {
		low, high = minPostings, MaxPostings
	}
	switch {
	case len(e.Postings) < low || len(e.Postings) > high:
		return malformed("%s with %d postings", e.Kind, len(e.Postings))
	case e.PriorPeriod && !s.postings:
		return malformed("%s with prior_period", e.Kind)
	case !s.refSeq.allows(e.RefSeq != nil):
		return malformed("%s: ref_seq present: %t", e.Kind, e.RefSeq != nil)
	case !s.relatedTo.allows(e.RelatedTo != nil):
		return malformed("%s: related_to present: %t", e.Kind, e.RelatedTo != nil)
	case !s.expiresAt.allows(e.ExpiresAt != nil):
		return malformed("%s: expires_at present: %t", e.Kind, e.ExpiresAt != nil)
	case s.ledger != (e.Ledger != nil):
		return malformed("%s: ledger terms present: %t", e.Kind, e.Ledger != nil)
	case s.account != (e.Account != nil):
		return malformed("%s: account present: %t", e.Kind, e.Account != nil)
	}
	return nil
}

func (p *Posting) check() error {
	switch {
	case p.Direction != Debit && p.Direction != Credit:
		return malformed("%s", p.Direction)
	case !money.ValidCurrencyCode(p.Currency):
		return malformed("currency %q", p.Currency)
	case p.Scale > money.MaxScale:
		return malformed("scale %d", p.Scale)
	case p.Amount.Sign() < 0:
		return malformed("amount %s", p.Amount)
	case !p.PendingChange.InRange():
		return malformed("pending_change %s", p.PendingChange)
	case !validDate(p.EffectiveDate):
		return malformed("effective_date %d", p.EffectiveDate)
	case p.AccountSeq < 1:
		return malformed("account_seq %d", p.AccountSeq)
	case !p.Posted.InRange():
		return malformed("posted %s", p.Posted)
	case p.PendingDebit.Sign() < 0:
		return malformed("pending_debit %s", p.PendingDebit)
	case p.PendingCredit.Sign() < 0:
		return malformed("pending_credit %s", p.PendingCredit)
	}
	return nil
}

func (l *LedgerTerms) check() error {
	switch {
	case !validText(l.Name, 1, MaxLedgerName):
		return malformed("name %q", l.Name)
	case !validText(l.Origin, 1, MaxOrigin):
		return malformed("origin %q", l.Origin)
	case !validText(l.TimeZone, 1, MaxTimeZone):
		return malformed("time_zone %q", l.TimeZone)
	case l.DayCutoff < 0 || l.DayCutoff > lastSecondOfDay:
		return malformed("day_cutoff %d", l.DayCutoff)
	case !money.ValidCurrencyCode(l.BaseCurrency):
		return malformed("base_currency %q", l.BaseCurrency)
	case l.BaseScale > money.MaxScale:
		return malformed("base_scale %d", l.BaseScale)
	case l.ValueDaysBack < 0:
		return malformed("value_days_back %d", l.ValueDaysBack)
	case l.ValueDaysAhead < 0:
		return malformed("value_days_ahead %d", l.ValueDaysAhead)
	}
	return nil
}

func (a *Account) check() error {
	switch {
	case !ValidAccountCode(a.Code):
		return malformed("code %q", a.Code)
	case a.Type < Asset || a.Type > Expense:
		return malformed("%s", a.Type)
	case !money.ValidCurrencyCode(a.Currency):
		return malformed("currency %q", a.Currency)
	case a.Scale > money.MaxScale:
		return malformed("scale %d", a.Scale)
	case a.MinBalance != nil && !a.MinBalance.InRange():
		return malformed("min_balance %s", a.MinBalance)
	case a.MaxBalance != nil && !a.MaxBalance.InRange():
		return malformed("max_balance %s", a.MaxBalance)
	case a.Frozen > FrozenAll:
		return malformed("%s", a.Frozen)
	case len(a.Tags) > MaxTags:
		return malformed("%d tags", len(a.Tags))
	}
	for i, tag := range a.Tags {
		switch {
		case !validText(tag.Key, 1, MaxTagKey) || !validText(tag.Value, 0, MaxTagValue):
			return malformed("tag %q=%q", tag.Key, tag.Value)
		case i > 0 && a.Tags[i-1].Key >= tag.Key:
			return malformed("tag %q out of order", tag.Key)
		}
	}
	return nil
}

// ValidAccountCode reports whether code has the form of an account code: 1 to
// MaxAccountCode bytes; segments of [a-z0-9._-], none empty, joined by ':'.
func ValidAccountCode[T ~string | ~[]byte](code T) bool {
	if len(code) == 0 || len(code) > MaxAccountCode {
		return false
	}
	segment := 0
	for i := range len(code) {
		switch c := code[i]; {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '.', c == '_', c == '-':
			segment++
		case c == ':' && segment > 0:
			segment = 0
		default:
			return false
		}
	}
	return segment > 0
}

// validText reports whether s is low to high bytes of UTF-8 without control
// characters (U+0000–U+001F and U+007F–U+009F).
func validText(s string, low, high int) bool {
	if len(s) < low || len(s) > high || !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if r < 0x20 || 0x7f <= r && r <= 0x9f {
			return false
		}
	}
	return true
}

func validDate(d Date) bool { return earliestDate <= d && d <= latestDate }

func validMicro(t int64) bool { return 0 <= t && t <= latestMicro }

func malformed(format string, args ...any) error {
	return fmt.Errorf(format+": %w", append(args, ErrMalformed)...)
}

func unknown(format string, args ...any) error {
	return fmt.Errorf(format+": %w", append(args, ErrUnknown)...)
}
