package chain_test

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"

	"github.com/google/uuid"

	"tallystick/ledger/chain"
	"tallystick/ledger/money"
)

// sample is an entry that passes Check, with a name for the vectors.
type sample struct {
	name  string
	entry chain.Entry
}

const (
	exampleText = "Coffee beans, 2 kg"
	exampleSalt = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
)

// id makes a recognisable UUIDv7 for tests.
func id(n int) uuid.UUID {
	u := uuid.MustParse("01890a5d-ac96-774b-bcce-000000000000")
	binary.BigEndian.PutUint32(u[12:], uint32(n))
	return u
}

func ptr[T any](v T) *T { return &v }

func digest(s string) chain.Hash { return sha256.Sum256([]byte(s)) }

func units(v int64) money.Int128 { return money.FromInt64(v) }

func lowest() money.Int128 {
	v, _ := money.Max().Neg()
	return v
}

func mustDate(s string) chain.Date {
	d, err := chain.ParseDate(s)
	if err != nil {
		panic(err)
	}
	return d
}

// entryOf returns an entry of kind k without the fields that only some kinds have.
func entryOf(k chain.Kind, seq int64) chain.Entry {
	e := chain.Entry{
		LedgerID:      id(1),
		Seq:           seq,
		Kind:          k,
		RequestID:     id(1000 + int(seq)),
		RecordedAt:    1_767_225_600_123_456 + seq,
		BookingDate:   mustDate("2026-01-01"),
		EffectiveDate: mustDate("2026-01-01"),
		Actor:         id(2),
	}
	if seq > 0 {
		e.PrevHash = digest(fmt.Sprintf("entry %d", seq-1))
	}
	return e
}

// twoPostings books amount, and changes the pending totals by pending, from one
// account to another.
func twoPostings(amount, pending int64) []chain.Posting {
	debit := chain.Posting{
		AccountID: id(10), Direction: chain.Debit, Currency: "EUR", Scale: 2,
		Amount: units(amount), PendingChange: units(pending), EffectiveDate: mustDate("2026-01-01"),
		AccountSeq: 7, Posted: units(100_000 + amount), PendingDebit: units(5000 + pending), PendingCredit: units(250),
	}
	credit := debit
	credit.AccountID, credit.Direction = id(11), chain.Credit
	credit.AccountSeq, credit.Posted = 1, units(-amount)
	credit.PendingDebit, credit.PendingCredit = units(0), units(5000+pending)
	return []chain.Posting{debit, credit}
}

func withPostings(k chain.Kind, amount, pending int64) chain.Entry {
	e := entryOf(k, 3)
	e.Postings = twoPostings(amount, pending)
	return e
}

func with(e chain.Entry, change func(*chain.Entry)) chain.Entry {
	change(&e)
	return e
}

func withDetails(k chain.Kind, details ...chain.Detail) chain.Entry {
	e := entryOf(k, 9)
	e.Details = details
	return e
}

func exampleEntry() chain.Entry {
	return with(withPostings(chain.Transfer, 1234, 0), func(e *chain.Entry) {
		salt := make([]byte, chain.SaltSize)
		for i := range salt {
			salt[i] = byte(i)
		}
		e.Description = ptr(chain.Commitment(salt, chain.FieldDescription, exampleText))
	})
}

func sampleTerms() *chain.LedgerTerms {
	return &chain.LedgerTerms{
		Name: "main", Origin: "ledger.example/" + id(1).String(), TimeZone: "Europe/Zurich",
		DayCutoff: 17 * 3600, BaseCurrency: "EUR", BaseScale: 2, ValueDaysBack: 3650, ValueDaysAhead: 366,
	}
}

func sampleAccount() *chain.Account {
	return &chain.Account{
		AccountID: id(10), Code: "customers:42:wallet", Type: chain.Liability, Currency: "EUR", Scale: 2,
		MinBalance: ptr(units(0)), Frozen: chain.FrozenNone,
		Tags: []chain.Tag{{Key: "client", Value: "42"}, {Key: "region", Value: "Zürich"}},
	}
}

// samples has every kind, and the edges of the format. They are shared: a test
// that changes one copies it first.
var samples = sync.OnceValue(makeSamples)

func makeSamples() []sample {
	h := digest("something").String()
	list := []sample{
		{"worked example", exampleEntry()},
		{"ledger_opened", with(entryOf(chain.LedgerOpened, 0), func(e *chain.Entry) { e.Ledger = sampleTerms() })},
		{"ledger_opened after a declared loss", with(entryOf(chain.LedgerOpened, 0), func(e *chain.Entry) {
			e.Ledger = sampleTerms()
			e.Details = []chain.Detail{
				{Name: "lost_entries", Value: "unknown"}, {Name: "lost_reason", Value: "restore"},
				{Name: "predecessor_checkpoint_sha256", Value: h}, {Name: "predecessor_origin", Value: "ledger.example/" + id(99).String()},
				{Name: "predecessor_root", Value: h}, {Name: "predecessor_size", Value: "120543"},
			}
		})},
		{"account_opened", with(entryOf(chain.AccountOpened, 1), func(e *chain.Entry) {
			e.Account = sampleAccount()
			e.Description = ptr(digest("name"))
		})},
		{"account_changed", with(entryOf(chain.AccountChanged, 2), func(e *chain.Entry) {
			e.Account = sampleAccount()
			e.Account.MinBalance, e.Account.MaxBalance = ptr(units(-50_000)), ptr(units(1_000_000))
			e.Account.Frozen, e.Account.Closed, e.Account.Tags = chain.FrozenDebits, true, nil
		})},
		{"transfer", withPostings(chain.Transfer, 1, 0)},
		{"hold", with(withPostings(chain.Hold, 0, 2500), func(e *chain.Entry) { e.ExpiresAt = ptr[int64](1_767_830_400_000_000) })},
		{"hold without expiry", withPostings(chain.Hold, 0, 2500)},
		{"capture", with(withPostings(chain.Capture, 2000, -2500), func(e *chain.Entry) { e.RefSeq = ptr[int64](2) })},
		{"release", with(withPostings(chain.Release, 0, -2500), func(e *chain.Entry) { e.RefSeq = ptr[int64](1) })},
		{"reversal", with(withPostings(chain.Reversal, 1234, 0), func(e *chain.Entry) { e.RefSeq = ptr[int64](1) })},
	}
	list = append(list, rareKinds(h)...)
	return append(list, edgeCases()...)
}

// sampleOf returns the sample of that name.
func sampleOf(name string) chain.Entry {
	all := samples()
	return all[slices.IndexFunc(all, func(s sample) bool { return s.name == name })].entry
}

// rareKinds has the kinds whose fields are details, each with every detail of
// the registry.
func rareKinds(h string) []sample {
	return []sample{
		{"period_closed", withDetails(chain.PeriodClosed, chain.Detail{Name: "closing_seq", Value: "8"},
			chain.Detail{Name: "period_end", Value: "2025-12-31"}, chain.Detail{Name: "retain_account.EUR", Value: "equity:retained"},
			chain.Detail{Name: "through_seq", Value: "8"}, chain.Detail{Name: "trial_balance_sha256", Value: h})},
		{"period_reopened", with(withDetails(chain.PeriodReopened, chain.Detail{Name: "period_end", Value: "2025-12-31"}),
			func(e *chain.Entry) { e.RefSeq = ptr[int64](7) })},
		{"currency_defined", withDetails(chain.CurrencyDefined, chain.Detail{Name: "code", Value: "POINTS"},
			chain.Detail{Name: "name", Value: "Bonus points"}, chain.Detail{Name: "scale", Value: "0"})},
		{"policy_adopted", withDetails(chain.PolicyAdopted, chain.Detail{Name: "effective_from", Value: "2026-02-01"},
			chain.Detail{Name: "name", Value: "risk"}, chain.Detail{Name: "policy_sha256", Value: h}, chain.Detail{Name: "version", Value: "2026.1"})},
		{"run", withDetails(chain.Run, chain.Detail{Name: "as_of", Value: "2025-12-31"}, chain.Detail{Name: "calendar_sha256", Value: h},
			chain.Detail{Name: "critical", Value: "0"}, chain.Detail{Name: "decisions_sha256", Value: h}, chain.Detail{Name: "head", Value: h},
			chain.Detail{Name: "inputs_sha256", Value: h}, chain.Detail{Name: "policy_sha256", Value: h}, chain.Detail{Name: "rates_sha256", Value: h},
			chain.Detail{Name: "read_from", Value: "0"}, chain.Detail{Name: "reports_sha256", Value: h}, chain.Detail{Name: "result", Value: "passed"},
			chain.Detail{Name: "run_id", Value: id(77).String()}, chain.Detail{Name: "size", Value: "9"},
			chain.Detail{Name: "statements_sha256", Value: h}, chain.Detail{Name: "warnings", Value: "2"})},
		{"decision", with(withDetails(chain.Decision, chain.Detail{Name: "action", Value: "write_off"}, chain.Detail{Name: "amount", Value: "-0.05"},
			chain.Detail{Name: "currency", Value: "EUR"}, chain.Detail{Name: "entry_seq", Value: "8"}, chain.Detail{Name: "outcome", Value: "approved"},
			chain.Detail{Name: "run_id", Value: id(77).String()}, chain.Detail{Name: "subject", Value: "break:" + id(78).String()},
			chain.Detail{Name: "supersedes", Value: "6"}), func(e *chain.Entry) { e.RelatedTo = ptr(id(1008)) })},
		{"balance_commitment", withDetails(chain.BalanceCommitment, chain.Detail{Name: "accounts", Value: "20001"},
			chain.Detail{Name: "pending.EUR", Value: "25.00"}, chain.Detail{Name: "posted.EUR", Value: "1234567.89"}, chain.Detail{Name: "posted.JPY", Value: "0"},
			chain.Detail{Name: "root", Value: h}, chain.Detail{Name: "size", Value: "9"})},
		{"erasure", with(withDetails(chain.Erasure, chain.Detail{Name: "basis", Value: "gdpr_17"}, chain.Detail{Name: "case", Value: "2026-0117"}),
			func(e *chain.Entry) { e.RefSeq = ptr[int64](3) })},
		{"key_changed", withDetails(chain.KeyChanged, chain.Detail{Name: "action", Value: "add"},
			chain.Detail{Name: "key_id", Value: "ledger.example/" + id(1).String() + "+c74f20a3"}, chain.Detail{Name: "overlap_until", Value: "2026-01-31"},
			chain.Detail{Name: "public_key", Value: "ledger.example/" + id(1).String() + "+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"},
			chain.Detail{Name: "role", Value: "signer"}, chain.Detail{Name: "scopes", Value: "post,read"})},
	}
}

func edgeCases() []sample {
	return []sample{
		{"every optional field of a transfer", with(withPostings(chain.Transfer, 1, 0), func(e *chain.Entry) {
			e.PriorPeriod = true
			e.RelatedTo = ptr(uuid.Nil) // present, and zero
			e.Description, e.Reference, e.Metadata = ptr(digest("d")), ptr(digest("r")), ptr(chain.Hash{})
			e.Details = []chain.Detail{{Name: "rate", Value: "EUR/USD 1.0834"}}
		})},
		{"present and zero is not absent", with(withPostings(chain.Release, 0, -1), func(e *chain.Entry) { e.RefSeq = ptr[int64](0) })},
		{"largest figures", with(withPostings(chain.Transfer, 0, 0), func(e *chain.Entry) {
			e.Seq, e.RecordedAt = math.MaxInt64, 253402300799999999
			e.BookingDate, e.EffectiveDate = mustDate("9999-12-31"), mustDate("9999-12-31")
			for i := range e.Postings {
				p := &e.Postings[i]
				p.Currency, p.Scale, p.EffectiveDate, p.AccountSeq = "ZZZZZZZZZZZZZZZZ", money.MaxScale, e.EffectiveDate, math.MaxInt64
				p.Amount, p.PendingChange, p.Posted, p.PendingDebit, p.PendingCredit = money.Max(), money.Max(), money.Max(), money.Max(), money.Max()
			}
		})},
		{"smallest figures", with(withPostings(chain.Transfer, 0, 0), func(e *chain.Entry) {
			e.Seq, e.RecordedAt = 1, 0
			e.BookingDate, e.EffectiveDate = mustDate("0001-01-01"), mustDate("0001-01-01")
			for i := range e.Postings {
				p := &e.Postings[i]
				p.Currency, p.Scale, p.EffectiveDate, p.AccountSeq = "0", 0, e.EffectiveDate, 1
				p.Amount, p.PendingChange, p.Posted, p.PendingDebit, p.PendingCredit = units(0), lowest(), lowest(), units(0), units(0)
			}
		})},
		{"500 postings", with(entryOf(chain.Transfer, 3), func(e *chain.Entry) {
			for i := range chain.MaxPostings {
				p := twoPostings(1, 0)[i%2]
				p.AccountID = id(10_000 + i)
				e.Postings = append(e.Postings, p)
			}
		})},
		{"longest texts of an account", with(entryOf(chain.AccountOpened, 1), func(e *chain.Entry) {
			e.Account = sampleAccount()
			e.Account.Code = strings.Repeat("_.-a:", 25) + "z09"
			e.Account.MinBalance, e.Account.MaxBalance = ptr(lowest()), ptr(money.Max())
			e.Account.Type, e.Account.Frozen = chain.Expense, chain.FrozenAll
			e.Account.Tags = nil
			for i := range chain.MaxTags {
				key := fmt.Sprintf("%02d", i) + strings.Repeat("k", chain.MaxTagKey-2)
				e.Account.Tags = append(e.Account.Tags, chain.Tag{Key: key, Value: strings.Repeat("€", chain.MaxTagValue/3)})
			}
			e.Account.Tags[0].Value = ""
		})},
		{"longest texts of ledger terms", with(entryOf(chain.LedgerOpened, 0), func(e *chain.Entry) {
			e.Ledger = &chain.LedgerTerms{
				Name: strings.Repeat("n", chain.MaxLedgerName), Origin: strings.Repeat("o", chain.MaxOrigin), TimeZone: strings.Repeat("z", chain.MaxTimeZone),
				DayCutoff: 86399, BaseCurrency: "USD", BaseScale: 18, ValueDaysBack: math.MaxInt32, ValueDaysAhead: math.MaxInt32,
			}
		})},
		{"most details", with(entryOf(chain.BalanceCommitment, 9), func(e *chain.Entry) {
			e.Details = []chain.Detail{{Name: "accounts", Value: "254"}, {Name: "root", Value: digest("root").String()}, {Name: "size", Value: "9"}}
			for i := range chain.MaxDetails - len(e.Details) {
				e.Details = append(e.Details, chain.Detail{Name: fmt.Sprintf("posted.C%04d", i), Value: "170141183460469231731.687303715884105727"})
			}
			chain.SortDetails(e.Details)
		})},
	}
}
