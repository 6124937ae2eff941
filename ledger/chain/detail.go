package chain

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"tallystick/ledger/money"
)

// presence says whether a field stands in the entries of a kind.
type presence uint8

const (
	absent presence = iota
	optionally
	always
)

// allows reports whether a field may be present, or absent, as it is.
func (p presence) allows(present bool) bool { return p == optionally || (p == always) == present }

// shape is a row of the table of kinds in FORMAT.md: what their entries have.
type shape struct {
	postings  bool
	refSeq    presence
	relatedTo presence
	expiresAt presence
	ledger    bool
	account   bool
	details   []detailRule
	wholeSet  bool // all required details, or none at all
}

// detailRule is a row of the table of details in FORMAT.md. A name that ends in
// '.' is followed by a currency code and may occur once for each.
type detailRule struct {
	name     string
	required bool
	syntax   syntax
}

// shapes has a row for every kind in the registry.
var shapes = [len(kindNames)]shape{
	LedgerOpened:   {ledger: true, details: reincarnation, wholeSet: true},
	AccountOpened:  {account: true},
	AccountChanged: {account: true},
	Transfer:       {postings: true, relatedTo: optionally, details: exchange},
	Hold:           {postings: true, relatedTo: optionally, expiresAt: optionally, details: exchange},
	Capture:        {postings: true, refSeq: always, details: exchange},
	Release:        {postings: true, refSeq: always},
	Reversal:       {postings: true, refSeq: always},
	PeriodClosed: {details: []detailRule{
		{"closing_seq", false, numberSyntax},
		{"period_end", true, dateSyntax},
		{"retain_account.", false, accountSyntax},
		{"through_seq", true, numberSyntax},
		{"trial_balance_sha256", false, hashSyntax},
	}},
	PeriodReopened: {refSeq: always, details: []detailRule{
		{"period_end", true, dateSyntax},
	}},
	CurrencyDefined: {details: []detailRule{
		{"code", true, currencySyntax},
		{"name", true, textSyntax},
		{"scale", true, scaleSyntax},
	}},
	PolicyAdopted: {details: []detailRule{
		{"effective_from", true, dateSyntax},
		{"name", true, textSyntax},
		{"policy_sha256", true, hashSyntax},
		{"version", false, textSyntax},
	}},
	Run:      {details: run},
	Decision: {relatedTo: optionally, details: decision},
	BalanceCommitment: {details: []detailRule{
		{"accounts", true, numberSyntax},
		{"pending.", false, amountSyntax},
		{"posted.", false, amountSyntax},
		{"root", true, hashSyntax},
		{"size", true, numberSyntax},
	}},
	Erasure: {refSeq: always, details: []detailRule{
		{"basis", true, wordSyntax},
		{"case", false, textSyntax},
	}},
	KeyChanged: {details: []detailRule{
		{"action", true, wordSyntax},
		{"key_id", true, textSyntax},
		{"overlap_until", false, dateSyntax},
		{"public_key", false, textSyntax},
		{"role", true, wordSyntax},
		{"scopes", false, textSyntax},
	}},
}

var (
	reincarnation = []detailRule{
		{"lost_entries", true, lossSyntax},
		{"lost_reason", true, wordSyntax},
		{"predecessor_checkpoint_sha256", true, hashSyntax},
		{"predecessor_origin", true, textSyntax},
		{"predecessor_root", true, hashSyntax},
		{"predecessor_size", true, numberSyntax},
	}
	exchange = []detailRule{
		{"rate", false, textSyntax},
	}
	run = []detailRule{
		{"as_of", true, dateSyntax},
		{"calendar_sha256", false, hashSyntax},
		{"critical", true, numberSyntax},
		{"decisions_sha256", false, hashSyntax},
		{"head", true, hashSyntax},
		{"inputs_sha256", false, hashSyntax},
		{"policy_sha256", false, hashSyntax},
		{"rates_sha256", false, hashSyntax},
		{"read_from", true, numberSyntax},
		{"reports_sha256", true, hashSyntax},
		{"result", true, wordSyntax},
		{"run_id", true, uuidSyntax},
		{"size", true, numberSyntax},
		{"statements_sha256", false, hashSyntax},
		{"warnings", true, numberSyntax},
	}
	decision = []detailRule{
		{"action", true, wordSyntax},
		{"amount", false, amountSyntax},
		{"currency", false, currencySyntax},
		{"entry_seq", false, numberSyntax},
		{"outcome", false, wordSyntax},
		{"run_id", false, uuidSyntax},
		{"subject", true, textSyntax},
		{"supersedes", false, numberSyntax},
	}
)

// SortTags puts tags into the order that entries hold them in.
func SortTags(tags []Tag) {
	slices.SortFunc(tags, func(a, b Tag) int { return strings.Compare(a.Key, b.Key) })
}

// SortDetails puts details into the order that entries hold them in.
func SortDetails(details []Detail) {
	slices.SortFunc(details, func(a, b Detail) int { return strings.Compare(a.Name, b.Name) })
}

// Detail returns the value of the detail with that name; ok is false when e has none.
func (e *Entry) Detail(name string) (value string, ok bool) {
	for _, d := range e.Details {
		if d.Name == name {
			return d.Value, true
		}
	}
	return "", false
}

// checkDetailForms checks what holds for the details of every kind.
func checkDetailForms(details []Detail) error {
	if len(details) > MaxDetails {
		return malformed("%d details", len(details))
	}
	size := 0
	for i, d := range details {
		if i > 0 && details[i-1].Name >= d.Name {
			return malformed("detail %q out of order", d.Name)
		}
		if size += minPairSize + len(d.Name) + len(d.Value); size > MaxDetailBytes {
			return malformed("details of more than %d bytes", MaxDetailBytes)
		}
		if !validText(d.Name, 1, MaxDetailName) || !validText(d.Value, 1, MaxDetailValue) {
			return malformed("detail %q=%q", d.Name, d.Value)
		}
	}
	return nil
}

// checkDetails holds details against the registry of kind k. One that it does not
// have is the error only if nothing else is wrong.
func checkDetails(k Kind, details []Detail) error {
	var notKnown error
	known := 0
	for _, d := range details {
		switch err := checkDetail(k, d); {
		case err == nil:
			known++
		case !errors.Is(err, ErrUnknown):
			return err
		case notKnown == nil:
			notKnown = err
		}
	}
	s := shapes[k]
	if s.wholeSet && known == 0 {
		return notKnown
	}
	for _, rule := range s.details {
		if rule.required && !slices.ContainsFunc(details, func(d Detail) bool { return d.Name == rule.name }) {
			return malformed("%s without detail %s", k, rule.name)
		}
	}
	return notKnown
}

func checkDetail(k Kind, d Detail) error {
	name := d.Name
	if stem, code, qualified := strings.Cut(d.Name, "."); qualified {
		if !money.ValidCurrencyCode(code) {
			return malformed("detail %q", d.Name)
		}
		name = stem + "."
	}
	for _, rule := range shapes[k].details {
		if rule.name != name {
			continue
		}
		if !rule.syntax.valid(d.Value) {
			return malformed("detail %s: %q is no %s", d.Name, d.Value, rule.syntax.name)
		}
		return nil
	}
	return unknown("detail %q of %s", d.Name, k)
}

// syntax is one of the value syntaxes of FORMAT.md. But for amount, which has as
// many decimals as its currency, each has one spelling per value.
type syntax struct {
	name  string
	valid func(string) bool
}

var (
	accountSyntax  = syntax{"account", ValidAccountCode[string]}
	amountSyntax   = syntax{"amount", validAmount}
	currencySyntax = syntax{"currency", money.ValidCurrencyCode}
	dateSyntax     = syntax{"date", func(s string) bool { _, err := ParseDate(s); return err == nil }}
	hashSyntax     = syntax{"hash", func(s string) bool { _, ok := ParseHash(s); return ok }}
	lossSyntax     = syntax{"number or unknown", func(s string) bool { return s == "unknown" || validNumber(s) }}
	numberSyntax   = syntax{"number", validNumber}
	scaleSyntax    = syntax{"scale", func(s string) bool {
		n, err := strconv.Atoi(s)
		return err == nil && n <= money.MaxScale && validNumber(s)
	}}
	textSyntax = syntax{"text", func(string) bool { return true }} // checkDetail has checked it
	uuidSyntax = syntax{"uuid", func(s string) bool { u, err := uuid.Parse(s); return err == nil && u.String() == s }}
	wordSyntax = syntax{"word", ValidWord}
)

func validNumber(s string) bool {
	n, err := strconv.ParseInt(s, 10, 64)
	return err == nil && n >= 0 && strconv.FormatInt(n, 10) == s
}

// validAmount accepts ParseAmount's syntax but for "-0", "-0.00" and the like.
func validAmount(s string) bool {
	d, err := money.ParseAmount(s)
	return err == nil && (s[0] != '-' || d.Sign() < 0)
}

// MaxWord is the longest word, in bytes.
const MaxWord = MaxDetailName

// ValidWord reports whether s has the syntax word of FORMAT.md.
func ValidWord(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' {
			return false
		}
	}
	return 0 < len(s) && len(s) <= MaxWord
}
