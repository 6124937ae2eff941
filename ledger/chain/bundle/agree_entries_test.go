package bundle_test

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"tallystick/ledger/chain"
	"tallystick/ledger/chain/bundle"
	"tallystick/ledger/money"
)

// judged is a small book with a change that the application made itself.
func judged(t *testing.T, name string, exit int, code string, change func(b *book)) trial {
	b := small(t)
	change(b)
	return trial{name, b.bundle(t), b, exit, code}
}

// detailed adds an entry of a kind with details.
func detailed(kind chain.Kind, details ...string) func(*book) {
	return func(b *book) {
		e := chain.Entry{Kind: kind}
		for _, d := range details {
			name, value, _ := strings.Cut(d, "=")
			e.Details = append(e.Details, chain.Detail{Name: name, Value: value})
		}
		slices.SortStableFunc(e.Details, func(x, y chain.Detail) int { return strings.Compare(x.Name, y.Name) })
		switch kind {
		case chain.Transfer:
			e.Postings = []chain.Posting{b.post(10, chain.Debit, 5, 0), b.post(11, chain.Credit, 5, 0)}
		case chain.Erasure, chain.PeriodReopened:
			e.RefSeq = ptr(int64(1))
		}
		b.add(e)
	}
}

// Details are those of FORMAT.md: what has another syntax is malformed, and what
// has another name is for newer software, while everything else is followed.
func TestBothVerifiersKnowTheSameDetails(t *testing.T) {
	t.Parallel()
	const hash = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	run := func(details ...string) []string {
		return append([]string{"as_of=2026-01-31", "critical=0", "head=" + hash, "read_from=0", "reports_sha256=" + hash, "result=passed",
			"run_id=01890a5d-ac96-774b-bcce-000000000001", "size=1", "warnings=0"}, details...)
	}
	with := func(list []string, old, new string) []string {
		return strings.Split(strings.Replace(strings.Join(list, "\n"), old, new, 1), "\n")
	}
	many := func(n, length int) (list []string) {
		for i := range n {
			list = append(list, fmt.Sprintf("x%03d=%s", i, strings.Repeat("y", length)))
		}
		return list
	}
	var trials []trial
	for _, c := range []struct {
		name    string
		kind    chain.Kind
		details []string
		exit    int
	}{
		{"known", chain.Transfer, []string{"rate=EUR/USD 1.0834"}, 0},
		{"not known", chain.Transfer, []string{"rated=EUR/USD 1.0834"}, 2},
		{"not known, and one that is", chain.Transfer, []string{"rate=x", "route=y"}, 2},
		{"of another kind", chain.Transfer, []string{"size=1"}, 2},
		{"of no kind", chain.Release + 100, nil, 2},
		{"of a currency that is none", chain.Transfer, []string{"rate.eur=1"}, 1},
		{"of a currency, and not known", chain.Transfer, []string{"rate.EUR=1"}, 2},
		{"not known and too long", chain.Transfer, []string{"note=" + strings.Repeat("x", 1025)}, 1},
		{"with a name too long", chain.Transfer, []string{strings.Repeat("x", 65) + "=1"}, 1},
		{"empty", chain.Transfer, []string{"rate="}, 1},
		{"of a control character", chain.Transfer, []string{"rate=\u0085"}, 1},
		{"twice", chain.Transfer, []string{"rate=1", "rate=2"}, 1},
		{"512 of them", chain.Transfer, many(512, 1), 2},
		{"513 of them", chain.Transfer, many(513, 1), 1},
		{"as long as they may be", chain.Transfer, many(32, 1016), 2},
		{"longer than they may be", chain.Transfer, many(33, 1016), 1},
		{"missing", chain.Erasure, nil, 1},
		{"missing, and another one not known", chain.Erasure, []string{"bases=x"}, 1},
		{"wrong, and another one not known", chain.Erasure, []string{"basis=X", "bases=x"}, 1},
		{"a word", chain.Erasure, []string{"basis=" + strings.Repeat("x", 64)}, 0},
		{"a word too long", chain.Erasure, []string{"basis=" + strings.Repeat("x", 65)}, 1},
		{"a run", chain.Run, run(), 0},
		{"a run with more", chain.Run, run("more=x"), 2},
		{"a number with a zero", chain.Run, with(run(), "critical=0", "critical=00"), 1},
		{"a number with a sign", chain.Run, with(run(), "critical=0", "critical=-0"), 1},
		{"the largest number", chain.Run, with(run(), "critical=0", "critical=9223372036854775807"), 0},
		{"a number beyond", chain.Run, with(run(), "critical=0", "critical=9223372036854775808"), 1},
		{"a number in other digits", chain.Run, with(run(), "critical=0", "critical=\u0661"), 1},
		{"a hash in capitals", chain.Run, with(run(), "head=0123456789abcdef", "head=0123456789ABCDEF"), 1},
		{"a hash too short", chain.Run, with(run(), "head=0", "head="), 1},
		{"a uuid in capitals", chain.Run, with(run(), "ac96", "AC96"), 1},
		{"a uuid in braces", chain.Run, with(run(), "run_id=01890a5d-ac96-774b-bcce-000000000001", "run_id={01890a5d-ac96-774b-bcce-000000000001}"), 1},
		{"a leap day", chain.Run, with(run(), "2026-01-31", "2024-02-29"), 0},
		{"no leap day", chain.Run, with(run(), "2026-01-31", "2026-02-29"), 1},
		{"the year 0", chain.Run, with(run(), "2026-01-31", "0000-01-31"), 1},
		{"the year 1", chain.Run, with(run(), "2026-01-31", "0001-01-01"), 0},
		{"a date with one digit", chain.Run, with(run(), "2026-01-31", "2026-1-31"), 1},
		{"a date of another form", chain.Run, with(run(), "2026-01-31", "20260131"), 1},
		{"a date of a week", chain.Run, with(run(), "2026-01-31", "2026-W05-6"), 1},
		{"a currency", chain.CurrencyDefined, []string{"code=XBT", "name=Bitcoin", "scale=8"}, 0},
		{"a currency in small letters", chain.CurrencyDefined, []string{"code=xbt", "name=Bitcoin", "scale=8"}, 1},
		{"a scale of 18", chain.CurrencyDefined, []string{"code=XBT", "name=Bitcoin", "scale=18"}, 0},
		{"a scale of 19", chain.CurrencyDefined, []string{"code=XBT", "name=Bitcoin", "scale=19"}, 1},
		{"a period", chain.PeriodClosed, []string{"period_end=2026-01-31", "retain_account.EUR=equity:retained", "through_seq=5"}, 0},
		{"an account that is none", chain.PeriodClosed, []string{"period_end=2026-01-31", "retain_account.EUR=equity::x", "through_seq=5"}, 1},
		{"an account without its currency", chain.PeriodClosed, []string{"period_end=2026-01-31", "retain_account=equity", "through_seq=5"}, 2},
		{"an account too long", chain.PeriodClosed, []string{"period_end=2026-01-31", "retain_account.EUR=" + strings.Repeat("x", 129), "through_seq=5"}, 1},
	} {
		trials = append(trials, judged(t, c.name, c.exit, "", detailed(c.kind, c.details...)))
	}
	for amount, exit := range map[string]int{
		"12.34": 0, "-0.05": 0, "7": 0, "0": 0, "0.00": 0, strings.Repeat("9", 60): 0, strings.Repeat("9", 61): 1, "-0": 1, "-0.00": 1, "+1": 1,
		"01": 1, "1.": 1, ".5": 1, "1e3": 1, "1,5": 1, " 1": 1, "-": 1, "--1": 1,
	} {
		trials = append(trials, judged(t, "the amount "+amount, exit, "", detailed(chain.Decision, "action=note", "subject=x", "amount="+amount)))
	}
	loss := []string{"lost_entries=unknown", "lost_reason=restore", "predecessor_checkpoint_sha256=" + hash, "predecessor_origin=x", "predecessor_root=" + hash, "predecessor_size=9"}
	for _, c := range []struct {
		name    string
		details []string
		exit    int
	}{
		{"a successor", loss, 0},
		{"half a successor", loss[1:], 1},
		{"a successor with more", append([]string{"extra=1"}, loss...), 2},
		{"no successor with more", []string{"extra=1"}, 2},
		{"a loss of other words", with(loss, "unknown", "some"), 1},
	} {
		trials = append(trials, judged(t, c.name, c.exit, "", func(b *book) {
			for _, d := range c.details {
				name, value, _ := strings.Cut(d, "=")
				b.entries[0].Details = append(b.entries[0].Details, chain.Detail{Name: name, Value: value})
			}
			b.reseal(1)
		}))
	}
	trials = append(trials,
		judged(t, "a commitment with more", 2, "", func(b *book) {
			b.entries[27].Details = slices.Insert(b.entries[27].Details, 1, chain.Detail{Name: "more", Value: "x"})
			b.reseal(28)
		}),
		judged(t, "a wrong commitment with more", 1, bundle.BalanceCommitmentMismatch, func(b *book) {
			b.entries[27].Details = slices.Insert(b.entries[27].Details, 1, chain.Detail{Name: "more", Value: "x"})
			b.entries[27].Details[0].Value = "9"
			b.reseal(28)
		}),
		judged(t, "followed though a detail is not known", 1, bundle.BalanceChainBreak, func(b *book) {
			detailed(chain.Transfer, "note=x")(b)
			e := &b.entries[len(b.entries)-1]
			e.Postings[0].Posted, _ = e.Postings[0].Posted.Add(units(1))
		}))
	agree(t, trials)
}

// Kinds and versions that are not known leave nothing to judge but what every
// entry has.
func TestBothVerifiersLeaveNewEntriesAlone(t *testing.T) {
	t.Parallel()
	change := func(name string, exit int, code string, edit func(e *chain.Entry)) trial {
		return judged(t, name, exit, code, func(b *book) {
			e := &b.entries[30] // of a key, which nothing else rests on
			e.Kind, e.Details = 99, nil
			edit(e)
			b.reseal(31)
		})
	}
	trials := []trial{
		change("a kind", 2, "", func(*chain.Entry) {}),
		change("a kind with details", 2, "", func(e *chain.Entry) { e.Details = []chain.Detail{{Name: "x.y", Value: "z"}} }),
		change("a kind with everything", 2, "", func(e *chain.Entry) {
			e.PriorPeriod, e.RefSeq, e.RelatedTo, e.ExpiresAt = true, ptr(int64(3)), ptr(id(5)), ptr(int64(1))
		}),
		change("a kind, dated before", 1, bundle.TimeRegression, func(e *chain.Entry) { e.RecordedAt = 5 }),
		change("a kind, booked before", 1, bundle.TimeRegression, func(e *chain.Entry) { e.BookingDate = 5 }),
		change("a kind, dated after what follows", 1, bundle.TimeRegression, func(e *chain.Entry) { e.RecordedAt += 10_000 }),
		change("a kind, valid at no date", 1, bundle.EntryMalformed, func(e *chain.Entry) { e.EffectiveDate = math.MaxInt32 }),
		change("a kind, acting on itself", 1, bundle.EntryMalformed, func(e *chain.Entry) { e.RefSeq = ptr(e.Seq) }),
		change("a kind, of another ledger", 1, bundle.LedgerIDMismatch, func(e *chain.Entry) { e.LedgerID = id(9) }),
		change("a kind, of another seq", 1, bundle.SeqGap, func(e *chain.Entry) { e.Seq = 29 }),
		change("a kind with details that are none", 1, bundle.EntryMalformed, func(e *chain.Entry) { e.Details = []chain.Detail{{Name: "x"}} }),
		change("a kind with a currency that is none", 1, bundle.EntryMalformed, func(e *chain.Entry) {
			e.Postings = []chain.Posting{{AccountID: id(10), Direction: chain.Debit, Currency: "eur", Amount: units(1), AccountSeq: 1}}
		}),
		change("seq 0", 1, bundle.EntryMalformed, func(e *chain.Entry) { e.Seq = 0 }),
	}
	for name, edit := range map[string]func(leaf []byte){
		"a version":                  func(leaf []byte) { leaf[17] = 2 },
		"a version of another form":  func(leaf []byte) { leaf[17] = 2; clear(leaf[18:]) },
		"a version, all of it other": func(leaf []byte) { leaf[17] = 2; copy(leaf[18:], bytes.Repeat([]byte{0xff}, 200)) },
	} {
		// What no encoder writes is put in as bytes, and signed as such.
		b := small(t)
		trials = append(trials, trial{name, forged(t, b, 31, edit), b, 2, ""})
	}
	agree(t, trials)
}

// forged changes the bytes of the last entry, and makes everything that is
// signed anew.
func forged(t *testing.T, b *book, seq int, edit func(leaf []byte)) []byte {
	t.Helper()
	all := members(t, b.bundle(t))
	list := leavesOf(all[firstMember])
	edit(list[seq])
	all[firstMember] = joinLeaves(list)
	hashes := b.hashes()
	hashes[seq] = chain.HashCanonical(list[seq])
	at := chain.Checkpoint{Origin: b.origin, Size: int64(len(hashes)), Root: chain.RootOf(hashes)}
	signed, err := b.key.Sign(at)
	if err != nil {
		t.Fatal(err)
	}
	delete(all, "checkpoints/17")
	delete(all, "consistency/17-32")
	all["checkpoints/32"] = signed
	delete(all, "balances")
	text, _, _ := strings.Cut(string(all["manifest"]), "\n\n")
	m, err := bundle.ParseManifest(text + "\n")
	if err != nil {
		t.Fatal(err)
	}
	m.Head, m.Root = hashes[seq], at.Root
	all["manifest"] = []byte(m.Text())
	relist(t, all)
	return pack(t, all)
}

// Rules about accounts and sums.
func TestBothVerifiersFollowTheSameAccounts(t *testing.T) {
	t.Parallel()
	most := money.FromBytes([16]byte(append([]byte{0x7f}, bytes.Repeat([]byte{0xff}, 15)...)))
	account := func(n int, code, currency string, scale uint8) chain.Entry {
		return chain.Entry{Kind: chain.AccountOpened, Account: &chain.Account{AccountID: id(n), Code: code, Type: chain.Asset, Currency: currency, Scale: scale}}
	}
	big := func(pairs ...int) func(b *book) {
		return func(b *book) {
			for i := 0; i < len(pairs); i += 2 {
				e := b.transfer(pairs[i], pairs[i+1], 0)
				for j := range e.Postings {
					p := &e.Postings[j]
					p.Amount, p.Posted = most, most
					if p.Direction == chain.Credit {
						p.Posted, _ = most.Neg()
					}
				}
			}
		}
	}
	fresh := func(b *book) {
		for n := 14; n < 20; n++ {
			b.open(n)
		}
	}
	trials := []trial{
		judged(t, "two accounts of one code", 1, bundle.AccountStateMismatch, func(b *book) { b.add(account(20, "account:10", "EUR", 2)) }),
		judged(t, "three accounts of one code", 1, bundle.AccountStateMismatch, func(b *book) {
			b.add(account(20, "account:10", "EUR", 2))
			b.add(account(21, "account:10", "USD", 2))
		}),
		judged(t, "a code that begins with another", 0, "", func(b *book) { b.add(account(20, "account:100", "EUR", 2)) }),
		judged(t, "an account twice", 1, bundle.AccountStateMismatch, func(b *book) { b.add(account(10, "another", "EUR", 2)) }),
		judged(t, "totals beyond 128 bits", 2, "", func(b *book) { fresh(b); big(14, 15, 16, 17, 18, 19)(b) }),
		judged(t, "sums of an entry beyond 128 bits", 1, bundle.UnbalancedEntry, func(b *book) {
			fresh(b)
			big(14, 15, 16, 17, 18, 19)(b)
			n := len(b.entries)
			e := &b.entries[n-3]
			e.Postings = slices.Concat(e.Postings, b.entries[n-2].Postings, b.entries[n-1].Postings)
			b.entries = b.entries[:n-2]
		}),
	}
	two := small(t)
	two.add(account(20, "other", "EUR", 3))
	two.commit()
	trials = append(trials, trial{"one currency in two scales", two.bundle(t), two, 1, bundle.BalanceCommitmentMismatch})
	agree(t, trials)
}

// Texts are a list in ascending order.
func TestBothVerifiersReadTheSameTexts(t *testing.T) {
	t.Parallel()
	b := small(t)
	record := func(seq int64) []byte {
		r := make([]byte, 8+32+12)
		for i := range 8 {
			r[i] = byte(seq >> (56 - 8*i))
		}
		return r
	}
	var trials []trial
	add := func(name string, exit int, code string, edit func(texts []byte) []byte) {
		all := members(t, b.bundle(t))
		all[firstTexts] = edit(all[firstTexts])
		relist(t, all)
		trials = append(trials, trial{name, pack(t, all), b, exit, code})
	}
	add("a record of nothing", 0, "", func(texts []byte) []byte { return append(record(0), texts...) })
	add("a record of a negative seq", 1, bundle.ManifestMismatch, func(texts []byte) []byte { return append(record(-1), texts...) })
	add("a record beyond the entries", 1, bundle.CommitmentMismatch, func(texts []byte) []byte { return append(texts, record(32)...) })
	add("a record twice", 1, bundle.ManifestMismatch, func(texts []byte) []byte { return slices.Concat(record(0), record(0), texts) })
	add("half a record", 1, bundle.ManifestMismatch, func(texts []byte) []byte { return append(texts, record(32)[:20]...) })
	add("a length beyond everything", 1, bundle.ManifestMismatch, func(texts []byte) []byte {
		return append(texts, append(record(31)[:40], 0xff, 0xff, 0xff, 0xff)...)
	})
	add("nothing", 1, bundle.PayloadMissing, func([]byte) []byte { return nil })
	agree(t, trials)
}

// Whatever is done to a bundle, both verifiers say the same. The changes are
// drawn, and the same in every run.
func TestBothVerifiersAgreeOnDamage(t *testing.T) {
	t.Parallel()
	n := 120
	if testing.Short() {
		n = 20
	}
	draw := rand.New(rand.NewPCG(1, 2))
	b := small(t)
	good := b.bundle(t)
	var trials []trial
	for i := range n {
		trials = append(trials, trial{fmt.Sprintf("damage %d", i), damaged(t, draw, good), b, 0, ""})
	}
	sameVerdict(t, trials)
}

// damaged changes a few bytes: of the file, of a member, or of a member that is
// then listed as it is.
func damaged(t *testing.T, draw *rand.Rand, good []byte) []byte {
	if draw.IntN(3) == 0 {
		return mangled(draw, bytes.Clone(good))
	}
	all := members(t, good)
	names := make([]string, 0, len(all))
	for name := range all {
		names = append(names, name)
	}
	slices.Sort(names)
	name := names[draw.IntN(len(names))]
	all[name] = mangled(draw, all[name])
	if name != "manifest" && draw.IntN(4) > 0 {
		relist(t, all)
	}
	return pack(t, all)
}

func mangled(draw *rand.Rand, b []byte) []byte {
	for range 1 + draw.IntN(2) {
		at := draw.IntN(len(b) + 1)
		switch end := min(len(b), at+1+draw.IntN(4)); draw.IntN(4) {
		case 0:
			b = slices.Delete(b, at, end)
		case 1:
			b = slices.Insert(b, at, []byte{'\n', ' ', 0, 1, '0', 0xff}[draw.IntN(6)])
		case 2:
			b = slices.Insert(b, at, b[at:end]...)
		default:
			if at < len(b) {
				b[at] ^= 1 << draw.IntN(8)
			}
		}
	}
	return b
}
