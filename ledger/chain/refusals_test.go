package chain_test

import (
	"slices"
	"strings"
	"sync"

	"tallystick/ledger/chain"
	"tallystick/ledger/money"
)

// refusal is bytes that Decode must not accept, and the error it gives.
type refusal struct {
	name  string
	bytes []byte
	err   error
}

// The offsets of fields in an encoding, as FORMAT.md lays them out.
const (
	versionAt     = 16
	kindAt        = 18
	priorPeriodAt = 124
)

// refusals breaks entries in every way that a rule of the format forbids:
// first bytes that no encoder writes, then entries that no one may make.
func refusals() []refusal {
	transfer := withPostings(chain.Transfer, 1, 0)
	good := transfer.AppendCanonical(nil)
	edited := func(at int, v byte) []byte {
		b := append([]byte(nil), good...)
		b[at] = v
		return b
	}
	list := []refusal{
		{"nothing", nil, chain.ErrMalformed},
		{"cut short", good[:len(good)-1], chain.ErrMalformed},
		{"cut to the header", good[:versionAt], chain.ErrMalformed},
		{"a byte after the end", append(append([]byte(nil), good...), 0), chain.ErrMalformed},
		{"another domain tag", edited(0, 'T'), chain.ErrMalformed},
		{"format version 2", edited(versionAt+1, 2), chain.ErrUnknown},
		{"format version 0", edited(versionAt+1, 0), chain.ErrUnknown},
		{"kind 0", edited(kindAt+1, 0), chain.ErrUnknown},
		{"kind 18", edited(kindAt+1, 18), chain.ErrUnknown},
		{"kind 1025", edited(kindAt, 4), chain.ErrUnknown},
		{"prior_period is 2", edited(priorPeriodAt, 2), chain.ErrMalformed},
		{"ref_seq present is 255", edited(priorPeriodAt+1, 255), chain.ErrMalformed},
		{"account present is 2", edited(len(good)-3, 2), chain.ErrMalformed},
		{"65535 details claimed", append(append([]byte(nil), good[:len(good)-2]...), 0xff, 0xff), chain.ErrMalformed},
		{"one detail claimed, none there", edited(len(good)-1, 1), chain.ErrMalformed},
	}
	for _, b := range badEntries() {
		list = append(list, refusal{name: b.name, bytes: b.entry.AppendCanonical(nil), err: b.err})
	}
	return list
}

// badEntry is an entry that fails Check.
type badEntry struct {
	name  string
	entry chain.Entry
	err   error
}

// badEntries breaks one rule of Check in each. They are shared like samples.
var badEntries = sync.OnceValue(makeBadEntries)

func makeBadEntries() []badEntry {
	list := append(badHeaders(), badPostings()...)
	list = append(list, badShapes()...)
	list = append(list, badAccounts()...)
	list = append(list, badTerms()...)
	return append(list, badDetails()...)
}

func broken(name string, e chain.Entry, change func(*chain.Entry)) badEntry {
	return badEntry{name: name, entry: with(e, change), err: chain.ErrMalformed}
}

func badHeaders() []badEntry {
	transfer := withPostings(chain.Transfer, 1, 0)
	opening := with(entryOf(chain.LedgerOpened, 0), func(e *chain.Entry) { e.Ledger = sampleTerms() })
	release := with(withPostings(chain.Release, 0, -1), func(e *chain.Entry) { e.RefSeq = ptr[int64](1) })
	hold := withPostings(chain.Hold, 0, 1)
	return []badEntry{
		broken("seq is negative", transfer, func(e *chain.Entry) { e.Seq = -1 }),
		broken("seq 0 is a transfer", transfer, func(e *chain.Entry) { e.Seq, e.PrevHash = 0, chain.Genesis }),
		broken("seq 1 is a ledger_opened", opening, func(e *chain.Entry) { e.Seq = 1 }),
		broken("seq 0 has a predecessor", opening, func(e *chain.Entry) { e.PrevHash = digest("x") }),
		broken("recorded before 1970", transfer, func(e *chain.Entry) { e.RecordedAt = -1 }),
		broken("recorded in the year 10000", transfer, func(e *chain.Entry) { e.RecordedAt = 253402300800000000 }),
		broken("booked in the year 0", transfer, func(e *chain.Entry) { e.BookingDate = mustDate("0001-01-01") - 1 }),
		broken("effective in the year 10000", transfer, func(e *chain.Entry) { e.EffectiveDate = mustDate("9999-12-31") + 1 }),
		broken("ref_seq is itself", release, func(e *chain.Entry) { e.RefSeq = ptr(e.Seq) }),
		broken("ref_seq is negative", release, func(e *chain.Entry) { e.RefSeq = ptr[int64](-1) }),
		broken("expires before 1970", hold, func(e *chain.Entry) { e.ExpiresAt = ptr[int64](-1) }),
	}
}

func badPostings() []badEntry {
	transfer := withPostings(chain.Transfer, 1, 0)
	posting := func(name string, change func(*chain.Posting)) badEntry {
		return broken("posting: "+name, transfer, func(e *chain.Entry) {
			e.Postings = twoPostings(1, 0)
			change(&e.Postings[1])
		})
	}
	below := money.FromBytes([16]byte{0x80}) // −2^127
	return []badEntry{
		posting("direction 0", func(p *chain.Posting) { p.Direction = 0 }),
		posting("direction 3", func(p *chain.Posting) { p.Direction = 3 }),
		posting("no currency", func(p *chain.Posting) { p.Currency = "" }),
		posting("currency in lower case", func(p *chain.Posting) { p.Currency = "eur" }),
		posting("currency of 17 bytes", func(p *chain.Posting) { p.Currency = strings.Repeat("E", 17) }),
		posting("scale 19", func(p *chain.Posting) { p.Scale = 19 }),
		posting("amount is negative", func(p *chain.Posting) { p.Amount = units(-1) }),
		posting("pending_change is −2^127", func(p *chain.Posting) { p.PendingChange = below }),
		posting("effective in the year 0", func(p *chain.Posting) { p.EffectiveDate = mustDate("0001-01-01") - 1 }),
		posting("account_seq 0", func(p *chain.Posting) { p.AccountSeq = 0 }),
		posting("posted is −2^127", func(p *chain.Posting) { p.Posted = below }),
		posting("pending_debit is negative", func(p *chain.Posting) { p.PendingDebit = units(-1) }),
		posting("pending_credit is negative", func(p *chain.Posting) { p.PendingCredit = units(-1) }),
	}
}

func badShapes() []badEntry {
	transfer := withPostings(chain.Transfer, 1, 0)
	opened := with(entryOf(chain.AccountOpened, 1), func(e *chain.Entry) { e.Account = sampleAccount() })
	release := with(withPostings(chain.Release, 0, -1), func(e *chain.Entry) { e.RefSeq = ptr[int64](1) })
	return []badEntry{
		broken("transfer of no postings", transfer, func(e *chain.Entry) { e.Postings = nil }),
		broken("transfer of 1 posting", transfer, func(e *chain.Entry) { e.Postings = e.Postings[:1] }),
		broken("transfer of 501 postings", transfer, func(e *chain.Entry) {
			e.Postings = nil
			for range chain.MaxPostings + 1 {
				e.Postings = append(e.Postings, twoPostings(1, 0)[0])
			}
		}),
		broken("transfer with ref_seq", transfer, func(e *chain.Entry) { e.RefSeq = ptr[int64](1) }),
		broken("transfer that expires", transfer, func(e *chain.Entry) { e.ExpiresAt = ptr[int64](1) }),
		broken("transfer with an account", transfer, func(e *chain.Entry) { e.Account = sampleAccount() }),
		broken("transfer with ledger terms", transfer, func(e *chain.Entry) { e.Ledger = sampleTerms() }),
		broken("release without ref_seq", release, func(e *chain.Entry) { e.RefSeq = nil }),
		broken("release with related_to", release, func(e *chain.Entry) { e.RelatedTo = ptr(id(1)) }),
		broken("account_opened without an account", opened, func(e *chain.Entry) { e.Account = nil }),
		broken("account_opened with postings", opened, func(e *chain.Entry) { e.Postings = twoPostings(1, 0) }),
		broken("account_opened in a prior period", opened, func(e *chain.Entry) { e.PriorPeriod = true }),
		broken("account_opened with a detail", opened, func(e *chain.Entry) {
			e.Details = []chain.Detail{{Name: "rate", Value: "1"}}
		}).as(chain.ErrUnknown),
		broken("ledger_opened without terms", entryOf(chain.LedgerOpened, 0), func(*chain.Entry) {}),
	}
}

func (b badEntry) as(err error) badEntry {
	b.err = err
	return b
}

func badAccounts() []badEntry {
	opened := entryOf(chain.AccountOpened, 1)
	account := func(name string, change func(*chain.Account)) badEntry {
		return broken("account: "+name, opened, func(e *chain.Entry) {
			e.Account = sampleAccount()
			change(e.Account)
		})
	}
	tags := func(name string, tags ...chain.Tag) badEntry {
		return account(name, func(a *chain.Account) { a.Tags = tags })
	}
	list := []badEntry{
		account("type 0", func(a *chain.Account) { a.Type = 0 }),
		account("type 6", func(a *chain.Account) { a.Type = 6 }),
		account("currency with a space", func(a *chain.Account) { a.Currency = "EU R" }),
		account("scale 19", func(a *chain.Account) { a.Scale = 19 }),
		account("min_balance is −2^127", func(a *chain.Account) { a.MinBalance = ptr(money.FromBytes([16]byte{0x80})) }),
		account("max_balance is −2^127", func(a *chain.Account) { a.MaxBalance = ptr(money.FromBytes([16]byte{0x80})) }),
		account("frozen 4", func(a *chain.Account) { a.Frozen = 4 }),
		account("33 tags", func(a *chain.Account) {
			a.Tags = nil
			for i := range chain.MaxTags + 1 {
				a.Tags = append(a.Tags, chain.Tag{Key: string(rune('A' + i)), Value: "v"})
			}
		}),
		tags("tags out of order", chain.Tag{Key: "b"}, chain.Tag{Key: "a"}),
		tags("tag key twice", chain.Tag{Key: "a", Value: "1"}, chain.Tag{Key: "a", Value: "2"}),
		tags("empty tag key", chain.Tag{Key: "", Value: "1"}),
		tags("tag key of 65 bytes", chain.Tag{Key: strings.Repeat("k", chain.MaxTagKey+1)}),
		tags("tag value of 256 bytes", chain.Tag{Key: "k", Value: strings.Repeat("v", chain.MaxTagValue+1)}),
		tags("tag value with a line feed", chain.Tag{Key: "k", Value: "a\nb"}),
		tags("tag value with NUL", chain.Tag{Key: "k", Value: "a\x00b"}),
		tags("tag value with DEL", chain.Tag{Key: "k", Value: "a\x7fb"}),
		tags("tag value with a C1 control", chain.Tag{Key: "k", Value: "a\u0085b"}),
		tags("tag value is not UTF-8", chain.Tag{Key: "k", Value: "\xc3\x28"}),
		tags("tag value has a surrogate", chain.Tag{Key: "k", Value: "\xed\xa0\x80"}),
	}
	for _, code := range []string{"", "A", "a b", ":a", "a:", "a::b", "é", "a/b", strings.Repeat("a", chain.MaxAccountCode+1)} {
		list = append(list, account("code "+code, func(a *chain.Account) { a.Code = code }))
	}
	return list
}

func badTerms() []badEntry {
	terms := func(name string, change func(*chain.LedgerTerms)) badEntry {
		return broken("ledger: "+name, entryOf(chain.LedgerOpened, 0), func(e *chain.Entry) {
			e.Ledger = sampleTerms()
			change(e.Ledger)
		})
	}
	return []badEntry{
		terms("no name", func(l *chain.LedgerTerms) { l.Name = "" }),
		terms("name of 65 bytes", func(l *chain.LedgerTerms) { l.Name = strings.Repeat("n", chain.MaxLedgerName+1) }),
		terms("no origin", func(l *chain.LedgerTerms) { l.Origin = "" }),
		terms("origin of 256 bytes", func(l *chain.LedgerTerms) { l.Origin = strings.Repeat("o", chain.MaxOrigin+1) }),
		terms("no time zone", func(l *chain.LedgerTerms) { l.TimeZone = "" }),
		terms("time zone of 65 bytes", func(l *chain.LedgerTerms) { l.TimeZone = strings.Repeat("z", chain.MaxTimeZone+1) }),
		terms("day_cutoff is negative", func(l *chain.LedgerTerms) { l.DayCutoff = -1 }),
		terms("day_cutoff is 24:00", func(l *chain.LedgerTerms) { l.DayCutoff = 86400 }),
		terms("no base currency", func(l *chain.LedgerTerms) { l.BaseCurrency = "" }),
		terms("base scale 19", func(l *chain.LedgerTerms) { l.BaseScale = 19 }),
		terms("value_days_back is negative", func(l *chain.LedgerTerms) { l.ValueDaysBack = -1 }),
		terms("value_days_ahead is negative", func(l *chain.LedgerTerms) { l.ValueDaysAhead = -1 }),
	}
}

func badDetails() []badEntry {
	currency := func(name string, details ...chain.Detail) badEntry {
		return broken("currency_defined: "+name, entryOf(chain.CurrencyDefined, 9), func(e *chain.Entry) { e.Details = details })
	}
	code, name, scale := chain.Detail{Name: "code", Value: "X"}, chain.Detail{Name: "name", Value: "x"}, chain.Detail{Name: "scale", Value: "0"}
	long := strings.Repeat("x", chain.MaxDetailValue+1)
	list := []badEntry{
		currency("no details"),
		currency("no code", name, scale),
		currency("out of order", name, code, scale),
		currency("twice", code, code, name, scale),
		currency("empty value", code, chain.Detail{Name: "name"}, scale),
		currency("value of 1025 bytes", code, chain.Detail{Name: "name", Value: long}, scale),
		currency("value with a tab", code, chain.Detail{Name: "name", Value: "a\tb"}, scale),
		currency("value is not UTF-8", code, chain.Detail{Name: "name", Value: "\xff"}, scale),
		currency("unknown name", code, name, scale, chain.Detail{Name: "symbol", Value: "x"}).as(chain.ErrUnknown),
		currency("name of 65 bytes", code, name, scale, chain.Detail{Name: strings.Repeat("z", 65), Value: "x"}),
		broken("513 details", sampleOf("most details"), func(e *chain.Entry) {
			e.Details = setDetail(e.Details, "posted.ZZZ", "1")
		}),
		broken("part of the reincarnation details", entryOf(chain.LedgerOpened, 0), func(e *chain.Entry) {
			e.Ledger = sampleTerms()
			e.Details = []chain.Detail{{Name: "lost_entries", Value: "1"}}
		}),
		broken("a qualifier that is no currency", sampleOf("balance_commitment"), func(e *chain.Entry) {
			e.Details = setDetail(e.Details, "posted.eur", "1")
		}),
		broken("a qualifier where none belongs", sampleOf("balance_commitment"), func(e *chain.Entry) {
			e.Details = setDetail(e.Details, "size.EUR", "1")
		}).as(chain.ErrUnknown),
	}
	return append(list, badValues()...)
}

// setDetail returns details with one set, in order.
func setDetail(details []chain.Detail, name, value string) []chain.Detail {
	kept := slices.DeleteFunc(slices.Clone(details), func(d chain.Detail) bool { return d.Name == name })
	kept = append(kept, chain.Detail{Name: name, Value: value})
	chain.SortDetails(kept)
	return kept
}

// badValues spells values of every syntax wrongly.
func badValues() []badEntry {
	var list []badEntry
	bad := func(k chain.Kind, name string, values ...string) {
		for _, v := range values {
			list = append(list, broken(name+" is "+v, sampleOf(k.String()), func(e *chain.Entry) {
				e.Details = setDetail(e.Details, name, v)
			}))
		}
	}
	bad(chain.Run, "size", "-1", "01", "+1", "1 ", "1.0", "x", "9223372036854775808")
	bad(chain.CurrencyDefined, "scale", "19", "-1", "00", "x")
	bad(chain.CurrencyDefined, "code", "x", "A B")
	bad(chain.Run, "head", "00", strings.Repeat("0A", 32), strings.Repeat("0g", 32), strings.Repeat("00", 33))
	bad(chain.Run, "run_id", "01890A5D-AC96-774B-BCCE-000000000001", "01890a5dac96774bbcce000000000001", "x")
	bad(chain.Run, "as_of", "2026-02-30", "2026-1-1", "0000-01-01", "20260101", "10000-01-01")
	bad(chain.Run, "result", "Passed", "not checked", strings.Repeat("x", 65))
	bad(chain.PeriodClosed, "retain_account.EUR", "Equity", "a::b")
	bad(chain.Decision, "amount", "-0", "-0.00", "1e3", "+1", "01", "1.", ".5", "1,000")
	return list
}
