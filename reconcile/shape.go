package reconcile

import (
	"fmt"
	"strings"
)

// shape is what packed rows are read in: some columns that are always sent, and of
// the extras those that a row needed lately. Of all others the statement makes sure
// that they are as expected. Where one is not, the number in the first column is
// null, and the segment is read again with all of them: which rows those are then
// decides about the next segments.
type shape struct {
	extras  *extras
	sql     string
	sent    []int // extras, in the order of their columns
	reads   int64 // segments so far
	needed  [maxExtras]int64
	refused bool // the engine does not take such statements
}

// extras are what rows of a table have beside the columns that are always sent.
type extras struct {
	sql   string // with the conditions and the columns of the extras left open
	fixed int    // columns that are always sent
	list  []extra
}

// extra is a column that mostly is as expected.
type extra struct {
	usual  string // that it is
	guard  string // that it can be sent as null where it is; empty when null says so anyway
	column string // what is sent of it: null where it is as expected
}

const (
	maxExtras = 12
	// keptReads is for how many segments an extra is sent after one that needed it.
	// A segment that is read twice costs as much as sending some columns in all of
	// these.
	keptReads = 4
)

// The extras of entries, in the order of their columns.
const (
	extraPostingCount = iota
	extraPriorPeriod
	extraKind
	extraBooking
	extraEntryEffective
	extraActor
	extraRefSeq
	extraRelatedTo
	extraExpiresAt
	extraDescription
	extraReference
	extraMetadata
)

// The extras of postings, likewise: the scale before the amounts that need it.
const (
	extraPlace = iota
	extraCurrency
	extraScale
	extraEffective
	extraPendingChange
	extraPendingDebit
	extraPendingCredit
)

// Index: the primary key. Beside its bounds, it is given where seq is counted
// from, and the booking date and the actor that are expected.
const packedEntriesSQL = `
select
    case when format = 1%s
    then seq - $4::int8 end,
    request_id, prev_hash, entry_hash, recorded_at%s
from book.entries
where ledger_id = $1::uuid and seq >= $2::int8 and seq < $3::int8
order by seq`

var entryExtras = &extras{packedEntriesSQL, 5, []extra{
	extraPostingCount:   differing("posting_count", "2"),
	extraPriorPeriod:    {"not prior_period", "prior_period is not null", "case when prior_period then true end"},
	extraKind:           differing("kind", "'transfer'"),
	extraBooking:        differing("booking_date", "$5::date"),
	extraEntryEffective: differing("effective_date", "booking_date"),
	extraActor:          differing("actor", "$6::uuid"),
	extraRefSeq:         nullable("ref_seq"),
	extraRelatedTo:      nullable("related_to"),
	extraExpiresAt:      nullable("expires_at"),
	extraDescription:    nullable("description_commitment"),
	extraReference:      nullable("reference_commitment"),
	extraMetadata:       nullable("metadata_commitment"),
}}

// Index: the primary key. Beside its bounds, it is given where seq is counted
// from, and the currency, its scale and the effective date that are expected.
const packedPostingsSQL = `
select
    case when account_seq >= 0 and account_seq < 1099511627776%s
    then ((seq - $4::int8) * 512 + ordinal) * 1099511627776 + account_seq end,
    account_id, amount, posted%s
from book.postings
where ledger_id = $1::uuid and seq >= $2::int8 and seq < $3::int8
order by seq, ordinal`

// usualPlace is that a posting is the first of its entry, a debit, or the second, a
// credit of the same amount, and that neither is back-valued.
const usualPlace = `not back_valued and case
            when repeats then ordinal = 1 and direction = 'credit'
            when not repeats then ordinal = 0 and direction = 'debit' end`

var postingExtras = &extras{packedPostingsSQL, 4, []extra{
	extraPlace: {usualPlace,
		"ordinal >= 0 and ordinal < 512 and (direction = 'debit' or direction = 'credit') and back_valued is not null and repeats is not null",
		"case when " + usualPlace + ` then null
        else (case when direction = 'debit' then 4 else 0 end + case when back_valued then 2 else 0 end + case when repeats then 1 else 0 end)::int8 end`},
	extraCurrency:      differing("currency", "$5::text"),
	extraScale:         differing("scale", "$6::int8"),
	extraEffective:     differing("effective_date", "$7::date"),
	extraPendingChange: differing("pending_change", "0::numeric"),
	extraPendingDebit:  differing("pending_debit", "0::numeric"),
	extraPendingCredit: differing("pending_credit", "0::numeric"),
}}

// differing is a column that is never null, and sent where it has another value.
func differing(column, value string) extra {
	return extra{column + " = " + value, column + " is not null",
		"case when " + column + " = " + value + " then null else " + column + " end"}
}

// nullable is a column that mostly is null.
func nullable(column string) extra { return extra{column + " is null", "", column} }

// of makes a shape ready to read rows with these extras: at first with all of them.
func (h *shape) of(x *extras) *shape {
	if h.extras == nil {
		h.extras = x
		h.sendAll()
	}
	return h
}

// whole reports whether all extras are sent.
func (h *shape) whole() bool { return len(h.sent) == len(h.extras.list) }

func (h *shape) sendAll() { h.send(func(int) bool { return true }) }

// send makes the statement that sends some of the extras.
func (h *shape) send(wanted func(int) bool) {
	h.sent = h.sent[:0]
	var conditions, columns strings.Builder
	for i, x := range h.extras.list {
		condition := x.usual
		if wanted(i) {
			h.sent = append(h.sent, i)
			columns.WriteString(",\n    " + x.column)
			condition = x.guard
		}
		if condition != "" {
			conditions.WriteString("\n        and " + condition)
		}
	}
	h.sql = fmt.Sprintf(h.extras.sql, conditions.String(), columns.String())
}

// met remembers that a row of the segment at hand needs an extra.
func (h *shape) met(extra int) { h.needed[extra] = h.reads + keptReads }

// learn ends a segment, and leaves out what none of the last ones needed.
func (h *shape) learn() {
	h.reads++
	for _, i := range h.sent {
		if h.needed[i] < h.reads {
			h.send(func(i int) bool { return h.needed[i] >= h.reads })
			return
		}
	}
}
