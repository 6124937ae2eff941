package api

import (
	"slices"

	"github.com/shopspring/decimal"

	"tallystick/ledger"
	"tallystick/ledger/chain"
	"tallystick/ledger/money"
	"tallystick/ledger/store"
)

// transferKinds are the kinds of entry that move or hold money.
var transferKinds = []chain.Kind{chain.Transfer, chain.Hold, chain.Capture, chain.Release, chain.Reversal}

// searchParameters select transfers; all that are given must hold.
var searchParameters = []string{
	"reference", "related_to", "account", "account_prefix", "from", "to", "from_seq", "to_seq",
	"min_amount", "max_amount", "currency", "metadata_key", "metadata_value",
}

// listTransfers answers GET /v1/ledgers/{ledger}/transfers, oldest first.
func (h *handlers) listTransfers(x *exchange) error {
	if err := h.findLedger(x); err != nil {
		return err
	}
	q := x.query(slices.Concat(searchParameters, []string{"limit", "cursor"})...)
	f := q.transferFilter()
	parts := []string{"transfers", x.ledger.String()}
	for _, name := range searchParameters {
		parts = append(parts, q.values[name])
	}
	list := listID(parts...)
	f.From = q.from(list, 0)
	if q.err != nil {
		return q.err
	}
	return h.sendEntries(x, f, list)
}

// transferFilter reads the parameters of a search.
func (q *query) transferFilter() store.EntryFilter {
	f := store.EntryFilter{
		Kinds:         transferKinds,
		Reference:     q.text("reference", ledger.MaxReference),
		Account:       q.code("account"),
		AccountPrefix: q.code("account_prefix"),
		FromDate:      q.date("from"),
		ToDate:        q.date("to"),
		FromSeq:       max(q.seq("from_seq"), 0),
		MinAmount:     q.amount("min_amount"),
		MaxAmount:     q.amount("max_amount"),
		Currency:      q.currency("currency"),
		MetadataKey:   q.values["metadata_key"],
		MetadataValue: q.values["metadata_value"],
		Limit:         q.limit(),
	}
	if q.has("related_to") {
		f.RelatedTo = q.id("related_to")
	}
	if seq := q.seq("to_seq"); seq >= 0 {
		f.ToSeq = &seq
	}
	switch {
	case f.FromDate != nil && f.ToDate != nil && *f.FromDate > *f.ToDate:
		q.fail(codeInvalidParameter, "from", "from is after to")
	case f.ToSeq != nil && f.FromSeq > *f.ToSeq:
		q.fail(codeInvalidParameter, "from_seq", "from_seq is after to_seq")
	case f.MinAmount != nil && f.MaxAmount != nil && f.MinAmount.GreaterThan(*f.MaxAmount):
		q.fail(codeInvalidParameter, "min_amount", "min_amount is above max_amount")
	case q.has("metadata_key") != q.has("metadata_value"), q.has("metadata_key") && f.MetadataKey == "":
		q.fail(codeInvalidParameter, "metadata_key", "metadata_key and metadata_value go together; the key is not empty")
	}
	for _, name := range []string{"metadata_key", "metadata_value"} {
		if len(q.values[name]) > ledger.MaxMetadata {
			q.fail(codeTextTooLong, name, "the parameter has %d bytes, %d are allowed", len(q.values[name]), ledger.MaxMetadata)
		}
	}
	return f
}

// amount returns an amount that is not negative, or nil when it is not given.
func (q *query) amount(name string) *decimal.Decimal {
	s, ok := q.values[name]
	if !ok {
		return nil
	}
	d, err := money.ParseAmount(s)
	if err != nil || d.Sign() < 0 {
		q.fail(codeAmountInvalid, name, "an amount is digits with an optional point and digits, such as 12.34, without sign, exponent, spaces or leading zeros, at most %d bytes", money.MaxAmountText)
		return nil
	}
	return &d
}

// currency returns a currency code by its form, "" when it is not given.
func (q *query) currency(name string) string {
	s, ok := q.values[name]
	if ok && !money.ValidCurrencyCode(s) {
		q.fail(codeCurrencyInvalid, name, "a currency code is 1 to %d of A to Z and 0 to 9, such as EUR", money.MaxCurrencyCode)
	}
	return s
}

// id returns the id of a request.
func (q *query) id(name string) *ledger.RequestID {
	id, ok := parseID(q.values[name])
	if !ok {
		q.fail(codeIDInvalid, name, "an id is a UUID such as 01890a5d-ac96-774b-bcce-b302099a8057, and not the one of zeros")
	}
	return &ledger.RequestID{UUID: id}
}
