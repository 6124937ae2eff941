package chain_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The types below are the readable form of an entry in testdata/vectors.json.
// The functions below encode it as FORMAT.md says. They were written from that
// page and use neither the chain nor the money package, so that an error in the
// production encoder cannot hide in its own test.
type (
	readableEntry struct {
		Kind          string            `json:"kind"`
		LedgerID      string            `json:"ledger_id"`
		Seq           string            `json:"seq"`
		PrevHash      string            `json:"prev_hash"`
		RequestID     string            `json:"request_id"`
		RecordedAt    string            `json:"recorded_at"`
		BookingDate   string            `json:"booking_date"`
		EffectiveDate string            `json:"effective_date"`
		Actor         string            `json:"actor"`
		PriorPeriod   bool              `json:"prior_period"`
		RefSeq        *string           `json:"ref_seq,omitempty"`
		RelatedTo     *string           `json:"related_to,omitempty"`
		ExpiresAt     *string           `json:"expires_at,omitempty"`
		Description   *string           `json:"description,omitempty"`
		Reference     *string           `json:"reference,omitempty"`
		Metadata      *string           `json:"metadata,omitempty"`
		Postings      []readablePosting `json:"postings,omitempty"`
		Ledger        *readableTerms    `json:"ledger,omitempty"`
		Account       *readableAccount  `json:"account,omitempty"`
		Details       [][2]string       `json:"details,omitempty"`
	}
	readablePosting struct {
		AccountID     string `json:"account_id"`
		Direction     string `json:"direction"`
		Currency      string `json:"currency"`
		Scale         int    `json:"scale"`
		Amount        string `json:"amount"`
		PendingChange string `json:"pending_change"`
		EffectiveDate string `json:"effective_date"`
		AccountSeq    string `json:"account_seq"`
		Posted        string `json:"posted"`
		PendingDebit  string `json:"pending_debit"`
		PendingCredit string `json:"pending_credit"`
	}
	readableTerms struct {
		Name           string `json:"name"`
		Origin         string `json:"origin"`
		TimeZone       string `json:"time_zone"`
		DayCutoff      int    `json:"day_cutoff"`
		BaseCurrency   string `json:"base_currency"`
		BaseScale      int    `json:"base_scale"`
		ValueDaysBack  int    `json:"value_days_back"`
		ValueDaysAhead int    `json:"value_days_ahead"`
	}
	readableAccount struct {
		AccountID  string      `json:"account_id"`
		Code       string      `json:"code"`
		Type       string      `json:"type"`
		Currency   string      `json:"currency"`
		Scale      int         `json:"scale"`
		MinBalance *string     `json:"min_balance,omitempty"`
		MaxBalance *string     `json:"max_balance,omitempty"`
		Frozen     string      `json:"frozen"`
		Closed     bool        `json:"closed"`
		Tags       [][2]string `json:"tags,omitempty"`
	}
)

type (
	readableBalance struct {
		LedgerID      string `json:"ledger_id"`
		Size          string `json:"size"`
		AccountID     string `json:"account_id"`
		Currency      string `json:"currency"`
		Scale         int    `json:"scale"`
		AccountSeq    string `json:"account_seq"`
		Posted        string `json:"posted"`
		PendingDebit  string `json:"pending_debit"`
		PendingCredit string `json:"pending_credit"`
	}
	readableSuper struct {
		LedgerID   string `json:"ledger_id"`
		Origin     string `json:"origin"`
		Size       string `json:"size"`
		Root       string `json:"root"`
		RecordedAt string `json:"recorded_at"`
	}
)

// The codes of FORMAT.md, copied by hand.
var (
	oracleKinds = map[string]int{
		"ledger_opened": 1, "account_opened": 2, "account_changed": 3, "transfer": 4, "hold": 5, "capture": 6,
		"release": 7, "reversal": 8, "period_closed": 9, "period_reopened": 10, "currency_defined": 11,
		"policy_adopted": 12, "run": 13, "decision": 14, "balance_commitment": 15, "erasure": 16, "key_changed": 17,
	}
	oracleDirections = map[string]int{"debit": 1, "credit": 2}
	oracleTypes      = map[string]int{"asset": 1, "liability": 2, "equity": 3, "revenue": 4, "expense": 5}
	oracleFrozen     = map[string]int{"none": 0, "debits": 1, "credits": 2, "all": 3}
)

// span is a run of bytes and what it is.
type span struct {
	label, value string
	bytes        []byte
}

// oracle collects spans in order.
type oracle struct {
	t     *testing.T
	spans []span
}

// oracleSpans encodes e, field by field.
func oracleSpans(t *testing.T, e *readableEntry) []span {
	t.Helper()
	o := &oracle{t: t}
	o.put("domain tag", "tallystick/entry", []byte("tallystick/entry"))
	o.integer("format version", 2, "1")
	o.put("kind", e.Kind, bigEndian(2, int64(lookUp(t, oracleKinds, e.Kind))))
	o.uuid("ledger_id", e.LedgerID)
	o.integer("seq", 8, e.Seq)
	o.hash("prev_hash", e.PrevHash)
	o.uuid("request_id", e.RequestID)
	o.integer("recorded_at", 8, e.RecordedAt)
	o.date("booking_date", e.BookingDate)
	o.date("effective_date", e.EffectiveDate)
	o.uuid("actor", e.Actor)
	o.truth("prior_period", e.PriorPeriod)
	o.optional("ref_seq", e.RefSeq, func(label, v string) { o.integer(label, 8, v) })
	o.optional("related_to", e.RelatedTo, o.uuid)
	o.optional("expires_at", e.ExpiresAt, func(label, v string) { o.integer(label, 8, v) })
	o.optional("description", e.Description, o.hash)
	o.optional("reference", e.Reference, o.hash)
	o.optional("metadata", e.Metadata, o.hash)
	o.integer("number of postings", 2, strconv.Itoa(len(e.Postings)))
	for i := range e.Postings {
		o.posting(fmt.Sprintf("posting %d: ", i), &e.Postings[i])
	}
	o.truth("ledger terms present", e.Ledger != nil)
	if e.Ledger != nil {
		o.terms("ledger: ", e.Ledger)
	}
	o.truth("account present", e.Account != nil)
	if e.Account != nil {
		o.account("account: ", e.Account)
	}
	o.pairs("detail", "name", e.Details)
	return o.spans
}

// oracleBalance encodes a leaf of the balance tree.
func oracleBalance(t *testing.T, b *readableBalance) []byte {
	t.Helper()
	o := &oracle{t: t}
	o.put("domain tag", "", []byte("tallystick/state"))
	o.integer("format version", 2, "1")
	o.uuid("ledger_id", b.LedgerID)
	o.integer("size", 8, b.Size)
	o.uuid("account_id", b.AccountID)
	o.text("currency", b.Currency)
	o.integer("scale", 1, strconv.Itoa(b.Scale))
	o.integer("account_seq", 8, b.AccountSeq)
	o.integer("posted", 16, b.Posted)
	o.integer("pending_debit", 16, b.PendingDebit)
	o.integer("pending_credit", 16, b.PendingCredit)
	return oracleBytes(o.spans)
}

// oracleSuper encodes a leaf of the super-log.
func oracleSuper(t *testing.T, l *readableSuper) []byte {
	t.Helper()
	o := &oracle{t: t}
	o.put("domain tag", "", []byte("tallystick/super"))
	o.integer("format version", 2, "1")
	o.uuid("ledger_id", l.LedgerID)
	o.text("origin", l.Origin)
	o.integer("size", 8, l.Size)
	o.hash("root", l.Root)
	o.integer("recorded_at", 8, l.RecordedAt)
	return oracleBytes(o.spans)
}

// oracleRoot is section 11 of FORMAT.md.
func oracleRoot(leaves [][]byte) []byte {
	switch len(leaves) {
	case 0:
		h := sha256.Sum256(nil)
		return h[:]
	case 1:
		return leaves[0]
	}
	left := 1
	for 2*left < len(leaves) {
		left *= 2
	}
	node := append([]byte{1}, oracleRoot(leaves[:left])...)
	h := sha256.Sum256(append(node, oracleRoot(leaves[left:])...))
	return h[:]
}

func (o *oracle) posting(in string, p *readablePosting) {
	o.uuid(in+"account_id", p.AccountID)
	o.put(in+"direction", p.Direction, bigEndian(1, int64(lookUp(o.t, oracleDirections, p.Direction))))
	o.text(in+"currency", p.Currency)
	o.integer(in+"scale", 1, strconv.Itoa(p.Scale))
	o.integer(in+"amount", 16, p.Amount)
	o.integer(in+"pending_change", 16, p.PendingChange)
	o.date(in+"effective_date", p.EffectiveDate)
	o.integer(in+"account_seq", 8, p.AccountSeq)
	o.integer(in+"posted", 16, p.Posted)
	o.integer(in+"pending_debit", 16, p.PendingDebit)
	o.integer(in+"pending_credit", 16, p.PendingCredit)
}

func (o *oracle) terms(in string, l *readableTerms) {
	o.text(in+"name", l.Name)
	o.text(in+"origin", l.Origin)
	o.text(in+"time_zone", l.TimeZone)
	o.integer(in+"day_cutoff", 4, strconv.Itoa(l.DayCutoff))
	o.text(in+"base_currency", l.BaseCurrency)
	o.integer(in+"base_scale", 1, strconv.Itoa(l.BaseScale))
	o.integer(in+"value_days_back", 4, strconv.Itoa(l.ValueDaysBack))
	o.integer(in+"value_days_ahead", 4, strconv.Itoa(l.ValueDaysAhead))
}

func (o *oracle) account(in string, a *readableAccount) {
	o.uuid(in+"account_id", a.AccountID)
	o.text(in+"code", a.Code)
	o.put(in+"type", a.Type, bigEndian(1, int64(lookUp(o.t, oracleTypes, a.Type))))
	o.text(in+"currency", a.Currency)
	o.integer(in+"scale", 1, strconv.Itoa(a.Scale))
	o.optional(in+"min_balance", a.MinBalance, func(label, v string) { o.integer(label, 16, v) })
	o.optional(in+"max_balance", a.MaxBalance, func(label, v string) { o.integer(label, 16, v) })
	o.put(in+"frozen", a.Frozen, bigEndian(1, int64(lookUp(o.t, oracleFrozen, a.Frozen))))
	o.truth(in+"closed", a.Closed)
	o.pairs(in+"tag", "key", a.Tags)
}

func (o *oracle) pairs(what, first string, pairs [][2]string) {
	o.integer("number of "+what+"s", 2, strconv.Itoa(len(pairs)))
	for i, pair := range pairs {
		o.text(fmt.Sprintf("%s %d: %s", what, i, first), pair[0])
		o.text(fmt.Sprintf("%s %d: value", what, i), pair[1])
	}
}

func (o *oracle) put(label, value string, b []byte) {
	o.spans = append(o.spans, span{label: label, value: value, bytes: b})
}

func (o *oracle) optional(label string, v *string, write func(label, v string)) {
	o.truth(label+" present", v != nil)
	if v != nil {
		write(label, *v)
	}
}

func (o *oracle) truth(label string, v bool) {
	b := byte(0)
	if v {
		b = 1
	}
	o.put(label, strconv.FormatBool(v), []byte{b})
}

// integer writes decimal digits as size bytes, two's complement when negative.
func (o *oracle) integer(label string, size int, digits string) {
	o.t.Helper()
	v, ok := new(big.Int).SetString(digits, 10)
	if !ok {
		o.t.Fatalf("%s: %q is no integer", label, digits)
	}
	modulus := new(big.Int).Lsh(big.NewInt(1), uint(8*size))
	o.put(label, digits, v.Mod(v, modulus).FillBytes(make([]byte, size)))
}

func (o *oracle) date(label, s string) {
	o.t.Helper()
	day, err := time.Parse("2006-01-02", s)
	if err != nil {
		o.t.Fatalf("%s: %v", label, err)
	}
	o.put(label, s, bigEndian(4, day.Unix()/86400))
}

func (o *oracle) uuid(label, s string) {
	o.put(label, "", unhex(o.t, strings.ReplaceAll(s, "-", "")))
}

func (o *oracle) hash(label, s string) { o.put(label, "", unhex(o.t, s)) }

func (o *oracle) text(label, s string) {
	o.put(label, strconv.Quote(s), append(bigEndian(2, int64(len(s))), s...))
}

func bigEndian(size int, v int64) []byte {
	return binary.BigEndian.AppendUint64(nil, uint64(v))[8-size:]
}

func lookUp(t *testing.T, codes map[string]int, name string) int {
	t.Helper()
	code, ok := codes[name]
	if !ok {
		t.Fatalf("FORMAT.md has no code for %q", name)
	}
	return code
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// oracleBytes joins spans.
func oracleBytes(spans []span) []byte {
	var b bytes.Buffer
	for _, s := range spans {
		b.Write(s.bytes)
	}
	return b.Bytes()
}

// oracleHash is section 3 of FORMAT.md.
func oracleHash(canonical []byte) string {
	h := sha256.New()
	h.Write([]byte{0})
	h.Write(canonical)
	return hex.EncodeToString(h.Sum(nil))
}

// oracleCommitment is section 9 of FORMAT.md.
func oracleCommitment(salt []byte, tag byte, text string) string {
	h := hmac.New(sha256.New, salt)
	h.Write([]byte{tag})
	h.Write([]byte(text))
	return hex.EncodeToString(h.Sum(nil))
}
