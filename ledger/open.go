package ledger

import (
	"strconv"
	"strings"
	"time"

	"tallystick/ledger/chain"
	"tallystick/ledger/money"
)

// Bounds and defaults of the terms of a ledger.
const (
	MaxLedgerName         = chain.MaxLedgerName
	MaxValueDays          = 36_525 // a century
	DefaultValueDaysBack  = 3650
	DefaultValueDaysAhead = 366
	DefaultTimeZone       = "UTC"
)

// Reasons for which a ledger is not opened, beside those of requests.
const (
	// CodeLedgerName: not [a-z0-9._-], 1 to MaxLedgerName bytes, or shaped like a UUID.
	CodeLedgerName Code = "ledger_name_invalid"
	// CodeTimeZone: not a name of the IANA time zone database.
	CodeTimeZone Code = "time_zone_invalid"
	// CodeDayCutoff: not a time of day.
	CodeDayCutoff Code = "day_cutoff_invalid"
	// CodeValueDays: negative or over MaxValueDays.
	CodeValueDays Code = "value_days_invalid"
	// CodePredecessor: what is said of the ledger that it succeeds cannot be.
	CodePredecessor Code = "predecessor_invalid"
	// CodeLedgerExists: the name is taken by a ledger with other terms.
	CodeLedgerExists Code = "ledger_exists"
)

// OpenLedger asks for a new ledger. Its terms hold for ever.
type OpenLedger struct {
	ID             LedgerID
	Actor          KeyID
	Host           string // first part of the origin
	Name           string
	TimeZone       string // IANA name
	DayCutoff      int32  // seconds after local midnight; 0 is midnight
	BaseCurrency   string // ISO 4217
	ValueDaysBack  int32
	ValueDaysAhead int32
	// Predecessor is the ledger that this one succeeds after a declared loss, nil
	// for most.
	Predecessor *Predecessor
}

// Predecessor is a ledger whose history ends at a checkpoint because entries
// after it were lost, and what is declared about the loss. Its successor has an
// id and origin of its own: it is no fork.
type Predecessor struct {
	Origin           string
	Size             int64      // of its last good checkpoint
	Root             chain.Hash // of that
	CheckpointSHA256 chain.Hash // of the bytes of that, a signed note
	LostEntries      *int64     // nil when it is not known how many
	LostReason       string     // a word of chain's syntax, such as restore, failover or damage
}

// Details returns what the first entry of the successor binds.
func (p *Predecessor) Details() []chain.Detail {
	lost := "unknown"
	if p.LostEntries != nil {
		lost = strconv.FormatInt(*p.LostEntries, 10)
	}
	return []chain.Detail{
		{Name: "lost_entries", Value: lost},
		{Name: "lost_reason", Value: p.LostReason},
		{Name: "predecessor_checkpoint_sha256", Value: p.CheckpointSHA256.String()},
		{Name: "predecessor_origin", Value: p.Origin},
		{Name: "predecessor_root", Value: p.Root.String()},
		{Name: "predecessor_size", Value: strconv.FormatInt(p.Size, 10)},
	}
}

func (p *Predecessor) refused() *Refusal {
	switch {
	case p.Origin == "" || len(p.Origin) > chain.MaxOrigin:
		return refusal(CodePredecessor, "the predecessor has an origin of 1 to %d bytes", chain.MaxOrigin)
	case p.Size < 1:
		return refusal(CodePredecessor, "the predecessor has a checkpoint of at least one entry; without any, there is nothing to succeed")
	case p.LostEntries != nil && *p.LostEntries < 0:
		return refusal(CodePredecessor, "the number of entries that were lost is not negative, or unknown")
	case !chain.ValidWord(p.LostReason):
		return refusal(CodePredecessor, "the reason of the loss is a word of a to z, 0 to 9 and '_', such as restore")
	}
	return nil
}

// Terms checks the request and returns what the ledger's first entry binds.
func (r *OpenLedger) Terms() (chain.LedgerTerms, *Refusal) {
	currency, known := money.ISO(r.BaseCurrency)
	switch {
	case !validLedgerName(r.Name):
		return chain.LedgerTerms{}, refusal(CodeLedgerName,
			"a ledger's name is 1 to %d characters of a-z, 0-9, '.', '_' and '-' and begins with a letter", MaxLedgerName)
	case !known:
		return chain.LedgerTerms{}, unknownCurrency(r.BaseCurrency)
	case r.DayCutoff < 0 || r.DayCutoff >= 24*3600:
		return chain.LedgerTerms{}, refusal(CodeDayCutoff, "day_cutoff is a time of day from 00:00 to 23:59")
	case r.ValueDaysBack < 0 || r.ValueDaysBack > MaxValueDays || r.ValueDaysAhead < 0 || r.ValueDaysAhead > MaxValueDays:
		return chain.LedgerTerms{}, refusal(CodeValueDays, "value_days_back and value_days_ahead are from 0 to %d", MaxValueDays)
	}
	if !validTimeZone(r.TimeZone) {
		return chain.LedgerTerms{}, refusal(CodeTimeZone, "%q is not a name of the IANA time zone database, such as Europe/Berlin", r.TimeZone)
	}
	if r.Predecessor != nil {
		if refused := r.Predecessor.refused(); refused != nil {
			return chain.LedgerTerms{}, refused
		}
	}
	return chain.LedgerTerms{
		Name: r.Name, Origin: r.Host + "/" + r.ID.String(), TimeZone: r.TimeZone, DayCutoff: r.DayCutoff,
		BaseCurrency: currency.Code, BaseScale: currency.Scale,
		ValueDaysBack: r.ValueDaysBack, ValueDaysAhead: r.ValueDaysAhead,
	}, nil
}

// FirstEntry returns the entry that opens the ledger, with seq 0.
func (r *OpenLedger) FirstEntry(terms chain.LedgerTerms, now time.Time) (Entry, error) {
	b, err := NewBook(r.ID, terms, Head{Seq: -1}, 0)
	if err != nil {
		return Entry{}, err
	}
	now = time.UnixMicro(now.UnixMicro())
	day := b.bookingDate(now)
	e := Entry{record: chain.Entry{
		LedgerID: r.ID.UUID, Kind: chain.LedgerOpened,
		RequestID:  DeriveRequestID(r.ID, "ledger_opened", terms.Name).UUID,
		RecordedAt: now.UnixMicro(), BookingDate: day, EffectiveDate: day,
		Actor: r.Actor.UUID, Ledger: &terms,
	}}
	if r.Predecessor != nil {
		e.record.Details = r.Predecessor.Details()
	}
	e.hash = e.record.Hash()
	return e, nil
}

// validTimeZone refuses what is no name of the IANA database, and names of it
// that mean something else on another machine.
func validTimeZone(name string) bool {
	switch {
	case name == "", name == "Local", name == "localtime", name == "posixrules", name == "Factory",
		len(name) > chain.MaxTimeZone, strings.HasPrefix(name, "right/"), strings.HasPrefix(name, "posix/"):
		return false
	}
	_, err := time.LoadLocation(name)
	return err == nil
}

func validLedgerName(name string) bool {
	if name == "" || len(name) > MaxLedgerName || name[0] < 'a' || name[0] > 'z' {
		return false
	}
	if len(name) == 36 && name[8] == '-' && name[13] == '-' {
		return false // it would be taken for a ledger's UUID
	}
	for _, c := range []byte(name) {
		if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '.' || c == '_' || c == '-') {
			return false
		}
	}
	return true
}
