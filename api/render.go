package api

import (
	"encoding/hex"
	"strconv"
	"time"

	"github.com/google/uuid"

	"tallystick/ledger"
	"tallystick/ledger/chain"
	"tallystick/ledger/money"
)

// Answers are appended by hand: the documents are small and fixed, and a
// transfer's answer is written thousands of times a second. The tests hold
// every one of them against openapi.yaml.

// wireTime is RFC 3339 in UTC with microseconds, the precision of the book.
const wireTime = "2006-01-02T15:04:05.000000Z"

// appendTime appends microseconds since the Unix epoch as a JSON string.
func appendTime(b []byte, micros int64) []byte {
	b = append(b, '"')
	b = time.UnixMicro(micros).UTC().AppendFormat(b, wireTime)
	return append(b, '"')
}

func appendDate(b []byte, d chain.Date) []byte {
	b = append(b, '"')
	b = d.Time().AppendFormat(b, time.DateOnly)
	return append(b, '"')
}

func appendHash(b []byte, h chain.Hash) []byte {
	b = append(b, '"')
	b = hex.AppendEncode(b, h[:])
	return append(b, '"')
}

func appendID(b []byte, id uuid.UUID) []byte {
	b = append(b, '"')
	b = hex.AppendEncode(b, id[:4])
	for _, part := range [][2]int{{4, 6}, {6, 8}, {8, 10}, {10, 16}} {
		b = append(b, '-')
		b = hex.AppendEncode(b, id[part[0]:part[1]])
	}
	return append(b, '"')
}

func appendUnits(b []byte, v money.Int128, scale uint8) []byte {
	b = append(b, '"')
	b = v.AppendFormat(b, scale)
	return append(b, '"')
}

func appendOptionalUnits(b []byte, v *money.Int128, scale uint8) []byte {
	if v == nil {
		return append(b, "null"...)
	}
	return appendUnits(b, *v, scale)
}

// appendOptionalText appends a member, unless there is nothing to say. name
// comes with its comma, quotes and colon.
func appendOptionalText(b []byte, name string, s *string) []byte {
	if s == nil {
		return b
	}
	return appendString(append(b, name...), *s)
}

func appendTags(b []byte, tags []chain.Tag) []byte {
	b = append(b, '{')
	for i, t := range tags {
		b = appendString(appendComma(b, i), t.Key)
		b = appendString(append(b, ':'), t.Value)
	}
	return append(b, '}')
}

// appendList appends a page of a list: its elements and where it goes on, an
// empty next being the end.
func appendList[T any](b []byte, elements []T, next string, one func([]byte, *T) []byte) []byte {
	b = append(b, `{"data":[`...)
	for i := range elements {
		b = one(appendComma(b, i), &elements[i])
	}
	b = append(b, "],"...)
	return append(appendNext(b, next), '}')
}

// appendNext appends where a list goes on, without braces.
func appendNext(b []byte, next string) []byte {
	b = append(b, `"next":`...)
	if next == "" {
		return append(b, "null"...)
	}
	return appendString(b, next)
}

// statusNames is what an entry did, by kind; of other kinds it was posted.
var statusNames = map[chain.Kind]string{
	chain.Hold:    "held",
	chain.Capture: "captured",
	chain.Release: "released",
}

func entryStatus(k chain.Kind) string {
	if s, ok := statusNames[k]; ok {
		return s
	}
	return "posted"
}

// appendEntry appends an entry.
func appendEntry(b []byte, e *ledger.Entry) []byte {
	r, hash := e.Record(), e.Hash()
	b = appendIdentity(append(b, '{'), &r)
	b = strconv.AppendInt(append(b, `,"seq":`...), r.Seq, 10)
	b = appendHash(append(b, `,"hash":`...), hash)
	b = appendHash(append(b, `,"prev_hash":`...), r.PrevHash)
	return append(appendFacts(b, e, &r), '}')
}

// appendRehearsed appends what a rehearsed entry says, without braces: all but
// its place in the chain, which it does not have.
func appendRehearsed(b []byte, e *ledger.Entry) []byte {
	r := e.Record()
	return appendFacts(appendIdentity(b, &r), e, &r)
}

func appendIdentity(b []byte, r *chain.Entry) []byte {
	b = appendID(append(b, `"id":`...), r.RequestID)
	b = appendString(append(b, `,"kind":`...), r.Kind.String())
	return appendString(append(b, `,"status":`...), entryStatus(r.Kind))
}

// appendFacts appends what an entry says beside what it is and where it stands.
func appendFacts(b []byte, e *ledger.Entry, r *chain.Entry) []byte {
	b = appendTime(append(b, `,"recorded_at":`...), r.RecordedAt)
	b = appendDate(append(b, `,"booking_date":`...), r.BookingDate)
	b = appendDate(append(b, `,"effective_date":`...), r.EffectiveDate)
	b = appendID(append(b, `,"actor":`...), r.Actor)
	text := e.Text()
	b = appendOptionalText(b, `,"description":`, text.Description)
	b = appendOptionalText(b, `,"reference":`, text.Reference)
	if text.Metadata != nil {
		b = append(append(b, `,"metadata":`...), *text.Metadata...)
	}
	if text.Erased {
		b = append(b, `,"erased":true`...)
	}
	b = appendEntryLinks(b, r)
	b = append(b, `,"postings":[`...)
	accounts := e.Accounts()
	for i := range r.Postings {
		b = appendPosting(appendComma(b, i), &r.Postings[i], &accounts[i])
	}
	b = append(b, ']')
	if r.Account != nil {
		b = appendAttributes(append(b, `,"account":{`...), r.Account)
		b = append(b, '}')
	}
	if r.Ledger != nil {
		b = appendTerms(append(b, `,"ledger":{`...), r.Ledger)
		b = append(b, '}')
	}
	return appendDetails(b, r.Details)
}

// appendEntryLinks appends what an entry says about others, where it does.
func appendEntryLinks(b []byte, r *chain.Entry) []byte {
	if r.RefSeq != nil {
		b = strconv.AppendInt(append(b, `,"ref_seq":`...), *r.RefSeq, 10)
	}
	if r.RelatedTo != nil {
		b = appendID(append(b, `,"related_to":`...), *r.RelatedTo)
	}
	if r.ExpiresAt != nil {
		b = appendTime(append(b, `,"expires_at":`...), *r.ExpiresAt)
	}
	if r.PriorPeriod {
		b = append(b, `,"prior_period":true`...)
	}
	return b
}

// appendPosting appends one posting and its account's balance after it.
func appendPosting(b []byte, p *chain.Posting, a *ledger.PostingAccount) []byte {
	b = appendString(append(b, `{"account":`...), a.Code)
	b = appendBooked(append(b, ','), p)
	b = appendBalanceAfter(append(b, ','), p, a.Type, a.MinBalance)
	return append(b, '}')
}

// appendBooked appends what a posting booked, without braces.
func appendBooked(b []byte, p *chain.Posting) []byte {
	b = appendString(append(b, `"direction":`...), p.Direction.String())
	b = appendUnits(append(b, `,"amount":`...), p.Amount, p.Scale)
	if !p.PendingChange.IsZero() {
		b = appendUnits(append(b, `,"pending_change":`...), p.PendingChange, p.Scale)
	}
	return appendString(append(b, `,"currency":`...), p.Currency)
}

// appendBalanceAfter appends the state of an account after a posting, without
// braces.
func appendBalanceAfter(b []byte, p *chain.Posting, t chain.AccountType, min *money.Int128) []byte {
	b = strconv.AppendInt(append(b, `"account_seq":`...), p.AccountSeq, 10)
	b = appendUnits(append(b, `,"balance":`...), ledger.Balance(t, p.Posted), p.Scale)
	available := ledger.Available(t, min, p.Posted, p.PendingDebit, p.PendingCredit)
	return appendOptionalUnits(append(b, `,"available":`...), available, p.Scale)
}

// appendAttributes appends the attributes that an entry puts in force, without
// braces.
func appendAttributes(b []byte, a *chain.Account) []byte {
	b = appendID(append(b, `"id":`...), a.AccountID)
	b = appendString(append(b, `,"code":`...), a.Code)
	b = appendString(append(b, `,"type":`...), a.Type.String())
	b = appendString(append(b, `,"currency":`...), a.Currency)
	b = appendOptionalUnits(append(b, `,"min_balance":`...), a.MinBalance, a.Scale)
	b = appendOptionalUnits(append(b, `,"max_balance":`...), a.MaxBalance, a.Scale)
	b = appendString(append(b, `,"frozen":`...), a.Frozen.String())
	b = strconv.AppendBool(append(b, `,"closed":`...), a.Closed)
	return appendTags(append(b, `,"tags":`...), a.Tags)
}

// appendAccount appends an account with its balance.
func appendAccount(b []byte, a *ledger.Account) []byte {
	b = appendAttributes(append(b, '{'), &a.Account)
	b = appendOptionalText(b, `,"name":`, a.Name)
	b = strconv.AppendInt(append(b, `,"opened_at_seq":`...), a.OpenedSeq, 10)
	b = appendBalance(append(b, ','), a)
	return append(b, '}')
}

// appendBalance appends the present state of an account, without braces.
func appendBalance(b []byte, a *ledger.Account) []byte {
	b = appendUnits(append(b, `"balance":`...), a.Balance(), a.Scale)
	b = appendUnits(append(b, `,"held":`...), a.Held(), a.Scale)
	b = appendOptionalUnits(append(b, `,"available":`...), a.Available(), a.Scale)
	return strconv.AppendInt(append(b, `,"account_seq":`...), a.AccountSeq, 10)
}

// appendTerms appends the terms of a ledger, without braces.
func appendTerms(b []byte, t *chain.LedgerTerms) []byte {
	b = appendString(append(b, `"name":`...), t.Name)
	b = appendString(append(b, `,"origin":`...), t.Origin)
	b = appendString(append(b, `,"time_zone":`...), t.TimeZone)
	b = appendCutoff(append(b, `,"day_cutoff":`...), t.DayCutoff)
	b = appendString(append(b, `,"base_currency":`...), t.BaseCurrency)
	b = strconv.AppendInt(append(b, `,"value_days_back":`...), int64(t.ValueDaysBack), 10)
	return strconv.AppendInt(append(b, `,"value_days_ahead":`...), int64(t.ValueDaysAhead), 10)
}

// appendCutoff appends seconds after midnight as HH:MM, and :SS if need be.
func appendCutoff(b []byte, seconds int32) []byte {
	layout := "15:04"
	if seconds%60 != 0 {
		layout = time.TimeOnly
	}
	b = append(b, '"')
	b = time.Unix(int64(seconds), 0).UTC().AppendFormat(b, layout)
	return append(b, '"')
}

func appendDetails(b []byte, details []chain.Detail) []byte {
	if len(details) == 0 {
		return b
	}
	b = append(b, `,"details":[`...)
	for i, d := range details {
		b = appendString(append(appendComma(b, i), `{"name":`...), d.Name)
		b = appendString(append(b, `,"value":`...), d.Value)
		b = append(b, '}')
	}
	return append(b, ']')
}
