package reconcile_test

import (
	"slices"
	"testing"

	"github.com/google/uuid"

	"tallystick/ledger/chain"
	"tallystick/ledger/store"
	"tallystick/ledger/store/storetest"
	"tallystick/reconcile"
)

// small is a ledger of four accounts: cash and customers:1 to 3, the last of
// them with limits of 0 and 100.00.
func small() *book { return smallNamed("main") }

func smallNamed(name string) *book {
	b := newBook(name)                                                                                                      // 0
	b.open("cash", chain.Asset, nil)                                                                                        // 1
	b.open("customers:1", chain.Liability, nil)                                                                             // 2
	b.open("customers:2", chain.Liability, nil)                                                                             // 3
	b.open("customers:3", chain.Liability, func(a *chain.Account) { a.MinBalance, a.MaxBalance = units(0), units(10_000) }) // 4
	b.open("till", chain.Asset, func(a *chain.Account) { a.MinBalance, a.MaxBalance = units(-500), units(10_000) })         // 5
	b.transfer("cash", "customers:1", 5000)                                                                                 // 6
	return b
}

// forgery is a ledger whose chain is sound: whoever made it has the
// application's secrets and appended through it, or it has a mistake.
type forgery struct {
	name string
	make func(b *book)
	want []string
}

var forgeries = []forgery{
	{"nothing", func(b *book) { b.transfer("cash", "customers:1", 1) }, []string{}},
	{"an unbalanced entry", func(b *book) {
		b.append(chain.Entry{Kind: chain.Transfer, Postings: []chain.Posting{
			b.post("cash", chain.Debit, 100, 0), b.post("customers:1", chain.Credit, 99, 0)}}, words{})
	}, []string{"UNBALANCED_ENTRY@7", "CURRENCY_NOT_ZERO"}},
	{"an unbalanced hold", func(b *book) {
		b.append(chain.Entry{Kind: chain.Hold, Postings: []chain.Posting{
			b.post("cash", chain.Debit, 0, 100), b.post("customers:1", chain.Credit, 0, 99)}}, words{})
	}, []string{"UNBALANCED_ENTRY@7", "CURRENCY_NOT_ZERO"}},
	{"two currencies that balance only together", func(b *book) {
		b.open("dollars", chain.Asset, func(a *chain.Account) { a.Currency = "USD" })
		b.append(chain.Entry{Kind: chain.Transfer, Postings: b.move("dollars", "customers:1", 100, 0)}, words{})
	}, []string{"UNBALANCED_ENTRY@8", "UNBALANCED_ENTRY@8", "CURRENCY_NOT_ZERO", "CURRENCY_NOT_ZERO"}},
	{"a wrong resulting balance", func(b *book) {
		b.accounts["customers:1"].posted, _ = b.accounts["customers:1"].posted.Sub(*units(7))
		b.transfer("cash", "customers:1", 1)
		b.transfer("cash", "customers:1", 1)
	}, []string{"BALANCE_CHAIN_BREAK@7", "CURRENCY_NOT_ZERO"}},
	{"a hold that appears from nowhere", func(b *book) {
		b.accounts["customers:1"].debits = *units(7)
		b.transfer("cash", "customers:1", 1)
	}, []string{"BALANCE_CHAIN_BREAK@7", "CURRENCY_NOT_ZERO"}},
	{"a skipped account_seq", func(b *book) {
		b.accounts["customers:1"].seq += 2
		b.transfer("cash", "customers:1", 1)
		b.transfer("cash", "customers:1", 1)
	}, []string{"ACCOUNT_SEQ_GAP@7"}},
	{"a first account_seq of 2", func(b *book) {
		b.accounts["customers:2"].seq++
		b.transfer("cash", "customers:2", 1)
	}, []string{"ACCOUNT_SEQ_GAP@7"}},
	{"account_seqs in the wrong order", func(b *book) {
		b.transfer("cash", "customers:1", 1) // 7
		a := b.accounts["customers:1"]
		a.seq++
		b.transfer("cash", "customers:1", 1) // 8 has 4
		a.seq -= 2
		b.transfer("cash", "customers:1", 1) // 9 has 3
		a.seq++
		b.transfer("cash", "customers:1", 1) // 10 has 5
	}, []string{"ACCOUNT_SEQ_GAP@8", "BALANCE_CHAIN_BREAK@9", "BALANCE_CHAIN_BREAK@10"}},
	{"an account twice", func(b *book) {
		b.append(chain.Entry{Kind: chain.Transfer, Postings: append(b.move("cash", "customers:1", 3, 0), b.move("cash", "customers:2", 4, 0)...)}, words{})
	}, []string{"ENTRY_MALFORMED@7"}},
	{"a transfer of nothing", func(b *book) {
		b.append(chain.Entry{Kind: chain.Transfer, Postings: b.move("cash", "customers:1", 0, 5)}, words{})
	}, []string{"ENTRY_MALFORMED@7", "ENTRY_MALFORMED@7"}},
	{"a hold that books", func(b *book) {
		b.append(chain.Entry{Kind: chain.Hold, Postings: b.move("cash", "customers:1", 5, 5)}, words{})
	}, []string{"ENTRY_MALFORMED@7", "ENTRY_MALFORMED@7"}},
	{"a reversal of nothing", func(b *book) {
		b.append(chain.Entry{Kind: chain.Reversal, Postings: b.move("customers:1", "cash", 5, 0)}, words{})
	}, []string{"ENTRY_MALFORMED@7"}},
	{"a second opening of the ledger", func(b *book) {
		b.append(chain.Entry{Kind: chain.LedgerOpened}, words{})
	}, []string{"ENTRY_MALFORMED@7"}},
	{"a detail that this version does not know", func(b *book) {
		b.append(chain.Entry{Kind: chain.Transfer, Postings: b.move("cash", "customers:1", 5, 0), Details: []chain.Detail{{Name: "mood", Value: "good"}}}, words{})
	}, []string{}},
	{"a time before the previous one", func(b *book) {
		b.append(chain.Entry{Kind: chain.Transfer, RecordedAt: b.now.UnixMicro() - 1, Postings: b.move("cash", "customers:1", 1, 0)}, words{})
	}, []string{"TIME_REGRESSION@7"}},
	{"a booking date before the previous one", func(b *book) {
		b.append(chain.Entry{Kind: chain.Transfer, BookingDate: chain.DateOf(b.now) - 1, Postings: b.move("cash", "customers:1", 1, 0)}, words{})
	}, []string{"TIME_REGRESSION@7"}},
	{"a posting in another currency than its account's", func(b *book) {
		p := b.move("cash", "customers:1", 1, 0)
		p[0].Currency, p[1].Currency = "USD", "USD"
		b.append(chain.Entry{Kind: chain.Transfer, Postings: p}, words{})
	}, []string{"CURRENCY_MISMATCH@7", "CURRENCY_MISMATCH@7"}},
	{"an account that is not there", func(b *book) {
		p := b.move("cash", "customers:1", 1, 0)
		p[1].AccountID, p[1].AccountSeq, p[1].Posted = uuid.Max, 1, *units(-1)
		b.append(chain.Entry{Kind: chain.Transfer, Postings: p}, words{})
	}, []string{"ACCOUNT_MISSING@7", "CURRENCY_NOT_ZERO"}},
	{"a posting before its account was opened", func(b *book) {
		b.accounts["late"] = &account{Account: chain.Account{AccountID: stableID("account %s late", b.terms.Name), Currency: "EUR", Scale: 2}}
		b.transfer("cash", "late", 1)
		b.open("late", chain.Liability, nil)
	}, []string{"ACCOUNT_MISSING@7"}},

	{"the minimum reached", func(b *book) { b.transfer("cash", "customers:3", 10); b.transfer("customers:3", "cash", 10) }, []string{}},
	{"the minimum passed", func(b *book) { b.transfer("cash", "customers:3", 10); b.transfer("customers:3", "cash", 11) }, []string{"LIMIT_EXCEEDED@8"}},
	{"below the minimum, and rising", func(b *book) {
		b.transfer("cash", "customers:3", 10)
		b.change("customers:3", func(a *chain.Account) { a.MinBalance = units(100) })
		b.transfer("cash", "customers:3", 10) // still below
		b.transfer("customers:3", "cash", 1)  // 10 worsens it
	}, []string{"LIMIT_EXCEEDED@10"}},
	{"a limit that was not yet in force", func(b *book) {
		b.transfer("customers:1", "cash", 7000)
		b.change("customers:1", func(a *chain.Account) { a.MinBalance = units(0) })
	}, []string{}},
	{"a limit that is no longer in force", func(b *book) {
		b.change("customers:3", func(a *chain.Account) { a.MinBalance = nil })
		b.transfer("customers:3", "cash", 7000)
	}, []string{}},
	{"the minimum passed by a hold", func(b *book) {
		b.append(chain.Entry{Kind: chain.Hold, Postings: b.move("customers:3", "cash", 0, 1)}, words{})
	}, []string{"LIMIT_EXCEEDED@7"}},
	{"the minimum passed because of a hold", func(b *book) {
		b.transfer("cash", "customers:3", 10)
		b.append(chain.Entry{Kind: chain.Hold, Postings: b.move("customers:3", "cash", 0, 6)}, words{})
		b.transfer("customers:3", "cash", 5)
	}, []string{"LIMIT_EXCEEDED@9"}},
	{"a hold captured and released within the minimum", func(b *book) {
		b.transfer("cash", "customers:3", 10)
		h := b.append(chain.Entry{Kind: chain.Hold, Postings: b.move("customers:3", "cash", 0, 10)}, words{})
		b.append(chain.Entry{Kind: chain.Capture, RefSeq: &h.Seq, Postings: b.move("customers:3", "cash", 4, -10)}, words{})
		h = b.append(chain.Entry{Kind: chain.Hold, Postings: b.move("customers:3", "cash", 0, 6)}, words{})
		b.append(chain.Entry{Kind: chain.Release, RefSeq: &h.Seq, Postings: b.move("customers:3", "cash", 0, -6)}, words{})
	}, []string{}},
	{"the maximum passed", func(b *book) { b.transfer("cash", "customers:3", 10_001) }, []string{"LIMIT_EXCEEDED@7"}},
	{"the maximum passed by an expected increase", func(b *book) {
		b.transfer("cash", "customers:3", 9_999)
		b.append(chain.Entry{Kind: chain.Hold, Postings: b.move("cash", "customers:3", 0, 2)}, words{})
	}, []string{"LIMIT_EXCEEDED@8"}},
	{"an expected increase does not lift the minimum", func(b *book) {
		b.append(chain.Entry{Kind: chain.Hold, Postings: b.move("cash", "customers:3", 0, 20)}, words{})
		b.transfer("customers:3", "cash", 1)
	}, []string{"LIMIT_EXCEEDED@8"}},
	{"the limits of an asset", func(b *book) {
		b.transfer("customers:1", "till", 500)    // 7: −5.00, reached
		b.transfer("customers:1", "till", 1)      // 8
		b.transfer("till", "customers:1", 10_501) // 9: 100.00, reached
		b.transfer("till", "customers:1", 1)      // 10
	}, []string{"LIMIT_EXCEEDED@8", "LIMIT_EXCEEDED@10"}},

	{"a frozen side", func(b *book) {
		b.change("customers:1", func(a *chain.Account) { a.Frozen = chain.FrozenDebits })
		b.transfer("cash", "customers:1", 1)
		b.transfer("customers:1", "cash", 1) // 9
		b.change("customers:1", func(a *chain.Account) { a.Frozen = chain.FrozenCredits })
		b.transfer("cash", "customers:1", 1) // 11
		b.transfer("customers:1", "cash", 1)
		b.change("customers:1", func(a *chain.Account) { a.Frozen = chain.FrozenAll })
		b.transfer("customers:1", "cash", 1) // 14
		b.change("customers:1", func(a *chain.Account) { a.Frozen = chain.FrozenNone })
		b.transfer("customers:1", "cash", 1)
	}, []string{"ACCOUNT_FROZEN_POSTING@9", "ACCOUNT_FROZEN_POSTING@11", "ACCOUNT_FROZEN_POSTING@14"}},
	{"a hold given back while frozen", func(b *book) {
		h := b.append(chain.Entry{Kind: chain.Hold, Postings: b.move("customers:1", "cash", 0, 10)}, words{})
		b.change("customers:1", func(a *chain.Account) { a.Frozen = chain.FrozenAll })
		b.append(chain.Entry{Kind: chain.Release, RefSeq: &h.Seq, Postings: b.move("customers:1", "cash", 0, -10)}, words{})
	}, []string{}},
	{"a hold while frozen", func(b *book) {
		b.change("customers:1", func(a *chain.Account) { a.Frozen = chain.FrozenAll })
		b.append(chain.Entry{Kind: chain.Hold, Postings: b.move("customers:1", "cash", 0, 10)}, words{})
	}, []string{"ACCOUNT_FROZEN_POSTING@8"}},
	{"a closed account", func(b *book) {
		b.change("customers:2", func(a *chain.Account) { a.Closed = true })
		b.transfer("cash", "customers:2", 1)
	}, []string{"ACCOUNT_CLOSED_POSTING@8"}},

	{"a text erased on record", func(b *book) {
		b.append(chain.Entry{Kind: chain.Transfer, Postings: b.move("cash", "customers:1", 1, 0)}, words{description: "for Ada", reference: "R-1"})
		b.append(chain.Entry{Kind: chain.Erasure, RefSeq: new(int64(7)), Details: []chain.Detail{{Name: "basis", Value: "gdpr_17"}}}, words{})
		b.rows.payloads = slices.DeleteFunc(b.rows.payloads, func(row []any) bool { return row[1] == int64(7) })
	}, []string{"PAYLOAD_ERASED@7", "PAYLOAD_ERASED@7"}},
	{"metadata of all sorts", func(b *book) {
		b.append(chain.Entry{Kind: chain.Transfer, Postings: b.move("cash", "customers:1", 1, 0)}, words{
			metadata: `{"":"","a":"x \"y\" ä\u00e4 /","b":1.50,"c":null,"d":true,"e":{"x":"y"},"f":["z"],"g":-1e3}`,
			terms:    [][]byte{term("", ""), term("a", `x "y" ää /`), term("b", "1.50"), term("c", "null"), term("d", "true"), term("g", "-1e3")}})
		b.append(chain.Entry{Kind: chain.Transfer, Postings: b.move("cash", "customers:1", 1, 0)}, words{metadata: "{}"})
	}, []string{}},
	{"metadata that is not searched by its members", func(b *book) {
		b.append(chain.Entry{Kind: chain.Transfer, Postings: b.move("cash", "customers:1", 1, 0)}, words{metadata: `{"a":"1"}`, terms: [][]byte{term("a", "2")}})
		b.append(chain.Entry{Kind: chain.Transfer, Postings: b.move("cash", "customers:1", 1, 0)}, words{metadata: `{"a":"1","b":"2"}`, terms: [][]byte{term("a", "1")}})
		b.append(chain.Entry{Kind: chain.Transfer, Postings: b.move("cash", "customers:1", 1, 0)}, words{metadata: `{"a":{"b":"2"}}`, terms: [][]byte{term("b", "2")}})
	}, []string{"PROJECTION_MISMATCH@7", "PROJECTION_MISMATCH@8", "PROJECTION_MISMATCH@9"}},
	{"metadata erased on record, and what it is searched by", func(b *book) {
		b.append(chain.Entry{Kind: chain.Transfer, Postings: b.move("cash", "customers:1", 1, 0)}, words{metadata: `{"a":"1"}`, terms: [][]byte{term("a", "1")}})
		b.append(chain.Entry{Kind: chain.Transfer, Postings: b.move("cash", "customers:1", 1, 0)}, words{metadata: `{"a":"1"}`})
		for _, seq := range []int64{7, 8} {
			b.append(chain.Entry{Kind: chain.Erasure, RefSeq: &seq, Details: []chain.Detail{{Name: "basis", Value: "gdpr_17"}}}, words{})
			b.rows.payloads = slices.DeleteFunc(b.rows.payloads, func(row []any) bool { return row[1] == seq })
		}
	}, []string{"PROJECTION_MISMATCH@7", "PAYLOAD_ERASED@7", "PAYLOAD_ERASED@8"}},
	{"a text erased before it was written", func(b *book) {
		b.append(chain.Entry{Kind: chain.Erasure, RefSeq: new(int64(8)), Details: []chain.Detail{{Name: "basis", Value: "gdpr_17"}}}, words{})
		b.append(chain.Entry{Kind: chain.Transfer, Postings: b.move("cash", "customers:1", 1, 0)}, words{description: "for Ada"})
		b.rows.payloads = slices.DeleteFunc(b.rows.payloads, func(row []any) bool { return row[1] == int64(8) })
	}, []string{"ENTRY_MALFORMED@7", "PAYLOAD_MISSING@8"}},
}

func TestRulesHoldOnASoundChain(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		for _, f := range forgeries { // all in one database: ledgers do not disturb each other
			b := smallNamed(f.name)
			f.make(b)
			b.write(t, connect(t, url))
			report := verify(t, url, b.ledger)
			if got := codes(report.Findings); !slices.Equal(got, f.want) {
				t.Errorf("%s: found %v, want %v\n%s", f.name, got, f.want, details(report.Findings))
			}
			sameNarrowly(t, url, b.ledger, &report)
		}
	})
}

func TestAnUnknownDetailMakesTheReportIncomplete(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		b := small()
		for range 3 {
			b.append(chain.Entry{Kind: chain.Transfer, Postings: b.move("cash", "customers:1", 5, 0), Details: []chain.Detail{{Name: "mood", Value: "good"}}}, words{})
		}
		b.write(t, connect(t, url))
		report := verify(t, url, b.ledger)
		want := `3 entries from 7 on: detail "mood" of transfer: not known to this version`
		if report.Status != reconcile.Incomplete || report.Scope.Unchecked != 1 || report.NotChecked[0] != want {
			t.Errorf("%s: %v", report.Status, report.NotChecked)
		}
	})
}

// What the store derives from metadata and what verify derives is the same.
func TestTheStoreAndVerifyDeriveTheSameTerms(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		b := small()
		for _, metadata := range []string{
			`{}`, `{"a":"1"}`, `{"a":1,"b":"1"}`, `{"a":1.50,"b":-0,"c":1e400,"d":12345678901234567890123}`, `{"a":null,"b":true,"c":false}`,
			`{"a":{"b":"c","d":[{}]},"e":[1,"2",[]],"f":"g"}`, `{"":"","ä":"\u00e4\ud83d\ude00\"\\\/\n"}`, `{"<b>":"&\u2028"}`,
		} {
			w := words{metadata: metadata}
			terms, err := store.TermsOf(metadata)
			if err != nil {
				t.Fatalf("%s: %v", metadata, err)
			}
			for i := range terms {
				w.terms = append(w.terms, terms[i][:])
			}
			b.append(chain.Entry{Kind: chain.Transfer, Postings: b.move("cash", "customers:1", 1, 0)}, w)
		}
		b.write(t, connect(t, url))
		report := verify(t, url, b.ledger)
		if report.Status != reconcile.Verified {
			t.Errorf("%s: %s", report.Status, details(report.Findings))
		}
	})
}
