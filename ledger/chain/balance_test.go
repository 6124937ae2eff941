package chain_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tallystick/ledger/chain"
	"tallystick/ledger/money"
)

type (
	balanceVector struct {
		Name      string          `json:"name"`
		Balance   readableBalance `json:"balance"`
		Canonical string          `json:"canonical"`
		Hash      string          `json:"hash"`
	}
	treeVector struct {
		Name   string   `json:"name"`
		Leaves []string `json:"leaves"`
		Root   string   `json:"root"`
	}
	superVector struct {
		Name      string        `json:"name"`
		Leaf      readableSuper `json:"leaf"`
		Canonical string        `json:"canonical"`
		Hash      string        `json:"hash"`
	}
)

// sampleBalance is account n of a ledger at size 9, with that posted.
func sampleBalance(n int, posted int64) chain.BalanceLeaf {
	return chain.BalanceLeaf{LedgerID: id(1), Size: 9, AccountID: id(n), Currency: "EUR", Scale: 2, AccountSeq: 3, Posted: units(posted)}
}

type namedBalance struct {
	name string
	leaf chain.BalanceLeaf
}

func sampleBalances() []namedBalance {
	held := sampleBalance(10, 101_234)
	held.PendingDebit, held.PendingCredit = units(5000), units(250)
	untouched := chain.BalanceLeaf{LedgerID: id(1), Size: 9, AccountID: id(12), Currency: "EUR", Scale: 2}
	large := chain.BalanceLeaf{
		LedgerID: id(1), Size: chain.MaxTreeSize, AccountID: id(13), Currency: "ZZZZZZZZZZZZZZZZ", Scale: money.MaxScale,
		AccountSeq: math.MaxInt64, Posted: money.Max(), PendingDebit: money.Max(), PendingCredit: money.Max(),
	}
	small := chain.BalanceLeaf{LedgerID: id(1), Size: 1, AccountID: id(14), Currency: "0", AccountSeq: 1, Posted: lowest()}
	return []namedBalance{
		{"balance with holds", held}, {"negative balance", sampleBalance(11, -101_234)}, {"account without postings", untouched},
		{"largest balance", large}, {"smallest balance", small},
	}
}

func balanceVectors(t *testing.T) []balanceVector {
	t.Helper()
	var list []balanceVector
	for _, b := range sampleBalances() {
		l := b.leaf
		list = append(list, balanceVector{b.name, readableBalance{
			LedgerID: l.LedgerID.String(), Size: strconv.FormatInt(l.Size, 10), AccountID: l.AccountID.String(), Currency: l.Currency, Scale: int(l.Scale),
			AccountSeq: strconv.FormatInt(l.AccountSeq, 10), Posted: l.Posted.String(), PendingDebit: l.PendingDebit.String(), PendingCredit: l.PendingCredit.String(),
		}, hex.EncodeToString(l.AppendCanonical(nil)), l.Hash().String()})
	}
	return list
}

func treeVectors() []treeVector {
	var list []treeVector
	for n := range 9 {
		v := treeVector{Name: fmt.Sprintf("tree of %d", n), Leaves: []string{}}
		leaves := someLeaves(n)
		for _, leaf := range leaves {
			v.Leaves = append(v.Leaves, leaf.String())
		}
		v.Root = chain.RootOf(leaves).String()
		list = append(list, v)
	}
	return list
}

func sampleSuperLeaf() chain.SuperLeaf {
	return chain.SuperLeaf{LedgerID: id(1), Origin: testOrigin, Size: 70_000, Root: digest("root"), RecordedAt: 1_767_225_600_123_456}
}

func superVectors() []superVector {
	largest := chain.SuperLeaf{LedgerID: id(2), Origin: strings.Repeat("€", chain.MaxOrigin/3), Size: chain.MaxTreeSize, RecordedAt: 253402300799999999}
	var list []superVector
	for i, l := range []chain.SuperLeaf{sampleSuperLeaf(), largest, {Origin: "o", Size: 1}} {
		list = append(list, superVector{fmt.Sprintf("super-log %d", i), readableSuper{
			LedgerID: l.LedgerID.String(), Origin: l.Origin, Size: strconv.FormatInt(l.Size, 10), Root: l.Root.String(), RecordedAt: strconv.FormatInt(l.RecordedAt, 10),
		}, hex.EncodeToString(l.AppendCanonical(nil)), l.Hash().String()})
	}
	return list
}

func TestEncodersWrittenFromFormatMdReproduceTheVectorsOfLeavesAndTrees(t *testing.T) {
	t.Parallel()
	v := readVectors(t)
	if len(v.balances) < 5 || len(v.trees) < 9 || len(v.super) < 3 {
		t.Fatalf("%d balances, %d trees, %d leaves of the super-log", len(v.balances), len(v.trees), len(v.super))
	}
	same := func(name string, canonical []byte, want, hash string) {
		if hex.EncodeToString(canonical) != want || oracleHash(canonical) != hash {
			t.Errorf("%s: %x with hash %s, want %s and %s", name, canonical, oracleHash(canonical), want, hash)
		}
	}
	for _, b := range v.balances {
		same(b.Name, oracleBalance(t, &b.Balance), b.Canonical, b.Hash)
		if l, err := chain.DecodeBalanceLeaf(unhex(t, b.Canonical)); err != nil || l.Hash().String() != b.Hash || hex.EncodeToString(l.AppendCanonical(nil)) != b.Canonical {
			t.Errorf("%s: decoded as %+v (%v)", b.Name, l, err)
		}
	}
	for _, s := range v.super {
		same(s.Name, oracleSuper(t, &s.Leaf), s.Canonical, s.Hash)
		if l, err := chain.DecodeSuperLeaf(unhex(t, s.Canonical)); err != nil || l.Hash().String() != s.Hash || hex.EncodeToString(l.AppendCanonical(nil)) != s.Canonical {
			t.Errorf("%s: decoded as %+v (%v)", s.Name, l, err)
		}
	}
	for _, tree := range v.trees {
		var leaves [][]byte
		for _, leaf := range tree.Leaves {
			leaves = append(leaves, unhex(t, leaf))
		}
		if got := hex.EncodeToString(oracleRoot(leaves)); got != tree.Root {
			t.Errorf("%s: root %s, want %s", tree.Name, got, tree.Root)
		}
	}
}

// TestEveryFieldOfALeafIsHashed changes each field by reflection.
func TestEveryFieldOfALeafIsHashed(t *testing.T) {
	t.Parallel()
	balance, super := sampleBalance(10, 5), sampleSuperLeaf()
	for _, tt := range []struct {
		leaf any
		hash func() chain.Hash
	}{{&balance, func() chain.Hash { return balance.Hash() }}, {&super, func() chain.Hash { return super.Hash() }}} {
		v := reflect.ValueOf(tt.leaf).Elem()
		before := tt.hash()
		for i := range v.NumField() {
			was := reflect.New(v.Field(i).Type()).Elem()
			was.Set(v.Field(i))
			switch f := v.Field(i); f.Interface().(type) {
			case string:
				f.SetString("X")
			case int64:
				f.SetInt(f.Int() + 1)
			case uint8:
				f.SetUint(f.Uint() + 1)
			case money.Int128:
				f.Set(reflect.ValueOf(money.FromInt64(77)))
			default: // an id or a hash
				f.Index(3).SetUint(f.Index(3).Uint() ^ 1)
			}
			if tt.hash() == before {
				t.Errorf("%T: %s is not hashed", tt.leaf, v.Type().Field(i).Name)
			}
			v.Field(i).Set(was)
		}
		if tt.hash() != before {
			t.Errorf("%T: the hash does not depend on the fields alone", tt.leaf)
		}
	}
}

func TestBadLeavesAreRefused(t *testing.T) {
	t.Parallel()
	balance := func(change func(l *chain.BalanceLeaf)) []byte {
		l := sampleBalance(10, 5)
		change(&l)
		if l.Check() == nil {
			t.Errorf("%+v passes", l)
		}
		return l.AppendCanonical(nil)
	}
	minimum := money.FromBytes([16]byte{0x80})
	good := sampleBalance(10, 5)
	b := good.AppendCanonical(nil)
	for name, bad := range map[string][]byte{
		"size 0":                    balance(func(l *chain.BalanceLeaf) { l.Size = 0 }),
		"size beyond the bound":     balance(func(l *chain.BalanceLeaf) { l.Size = chain.MaxTreeSize + 1 }),
		"no currency":               balance(func(l *chain.BalanceLeaf) { l.Currency = "" }),
		"currency in small letters": balance(func(l *chain.BalanceLeaf) { l.Currency = "eur" }),
		"scale":                     balance(func(l *chain.BalanceLeaf) { l.Scale = money.MaxScale + 1 }),
		"account_seq":               balance(func(l *chain.BalanceLeaf) { l.AccountSeq = -1 }),
		"posted":                    balance(func(l *chain.BalanceLeaf) { l.Posted = minimum }),
		"pending_debit":             balance(func(l *chain.BalanceLeaf) { l.PendingDebit = units(-1) }),
		"pending_credit":            balance(func(l *chain.BalanceLeaf) { l.PendingCredit = units(-1) }),
		"money without a posting":   balance(func(l *chain.BalanceLeaf) { l.AccountSeq = 0 }),
		"a byte more":               append(bytes.Clone(b), 0),
		"a byte less":               b[:len(b)-1],
		"the tag of an entry":       append([]byte("tallystick/entry"), b[16:]...),
		"empty":                     nil,
	} {
		if l, err := chain.DecodeBalanceLeaf(bad); !errors.Is(err, chain.ErrMalformed) || l != (chain.BalanceLeaf{}) {
			t.Errorf("%s: %+v (%v)", name, l, err)
		}
	}
	newer := bytes.Clone(b)
	newer[17] = 2
	if _, err := chain.DecodeBalanceLeaf(newer); !errors.Is(err, chain.ErrUnknown) {
		t.Errorf("a newer version: %v", err)
	}
	for name, l := range map[string]chain.SuperLeaf{
		"no origin":       {Size: 1},
		"long origin":     {Size: 1, Origin: strings.Repeat("o", chain.MaxOrigin+1)},
		"two lines":       {Size: 1, Origin: "a\nb"},
		"size 0":          {Origin: "o"},
		"large size":      {Origin: "o", Size: chain.MaxTreeSize + 1},
		"before 1970":     {Origin: "o", Size: 1, RecordedAt: -1},
		"after year 9999": {Origin: "o", Size: 1, RecordedAt: 253402300800000000},
	} {
		if _, err := chain.DecodeSuperLeaf(l.AppendCanonical(nil)); !errors.Is(err, chain.ErrMalformed) || l.Check() == nil {
			t.Errorf("super-log, %s: %v", name, err)
		}
	}
	leaf := sampleSuperLeaf()
	if _, err := chain.DecodeSuperLeaf(append(leaf.AppendCanonical(nil), 0)); !errors.Is(err, chain.ErrMalformed) {
		t.Errorf("super-log, a byte more: %v", err)
	}
}

// balancedLeaves makes n accounts in two currencies that add up to nothing.
func balancedLeaves(n int) []chain.BalanceLeaf {
	var list []chain.BalanceLeaf
	for i := range n {
		l := sampleBalance(100+i, int64(7*(i/2)+1))
		if i%2 == 1 {
			l.Posted, _ = l.Posted.Neg()
		}
		if i/2%3 == 1 {
			l.Currency, l.Scale = "JPY", 0
		}
		if i/2%5 == 2 { // a hold between the two
			l.PendingDebit, l.PendingCredit = units(int64(i%2)*40), units(int64(1-i%2)*40)
		}
		list = append(list, l)
	}
	return list
}

func balanceTree(t testing.TB, leaves []chain.BalanceLeaf, watch int) *chain.BalanceTree {
	t.Helper()
	tree := chain.NewBalanceTree(id(1), 9)
	tree.Watch(id(watch))
	for i := range leaves {
		if err := tree.Append(&leaves[i]); err != nil {
			t.Fatal(err)
		}
	}
	return tree
}

func TestBalanceTreeSaysWhatACommitmentBinds(t *testing.T) {
	t.Parallel()
	leaves := balancedLeaves(6) // 1, −1, JPY 8, −8, 15, −15 with holds of 40
	tree := balanceTree(t, leaves, 0)
	details, err := tree.Details()
	if err != nil {
		t.Fatal(err)
	}
	var hashes []chain.Hash
	for i := range leaves {
		hashes = append(hashes, leaves[i].Hash())
	}
	want := []chain.Detail{
		{Name: "accounts", Value: "6"}, {Name: "pending.EUR", Value: "0.40"}, {Name: "pending.JPY", Value: "0"},
		{Name: "posted.EUR", Value: "0.16"}, {Name: "posted.JPY", Value: "8"}, {Name: "root", Value: rootByDefinition(hashes).String()}, {Name: "size", Value: "9"},
	}
	if !slices.Equal(details, want) {
		t.Errorf("details %q, want %q", details, want)
	}
	e := withDetails(chain.BalanceCommitment, details...)
	if err := e.Check(); err != nil {
		t.Error(err)
	}
	if _, ok := tree.Proof(); ok {
		t.Error("a proof of an account that is not there")
	}
	empty := chain.NewBalanceTree(id(1), 9)
	if totals, err := empty.Totals(); err != nil || len(totals) != 0 || empty.Root() != chain.EmptyRoot || empty.Accounts() != 0 {
		t.Errorf("without accounts: %+v (%v)", totals, err)
	}
}

func TestBalanceTreeRefusesWhatIsNoLedger(t *testing.T) {
	t.Parallel()
	change := func(n int, f func(l *chain.BalanceLeaf)) []chain.BalanceLeaf {
		leaves := balancedLeaves(6)
		f(&leaves[n])
		return leaves
	}
	for name, leaves := range map[string][]chain.BalanceLeaf{
		"same account twice": change(3, func(l *chain.BalanceLeaf) { l.AccountID = id(102) }),
		"out of order":       change(3, func(l *chain.BalanceLeaf) { l.AccountID = id(1) }),
		"another ledger":     change(0, func(l *chain.BalanceLeaf) { l.LedgerID = id(2) }),
		"another size":       change(5, func(l *chain.BalanceLeaf) { l.Size = 8 }),
		"another scale":      change(1, func(l *chain.BalanceLeaf) { l.Scale = 3 }),
		"beyond 128 bits":    change(4, func(l *chain.BalanceLeaf) { l.Posted = money.Max() }),
		"unbalanced":         change(1, func(l *chain.BalanceLeaf) { l.Posted = units(-2) }),
		"unbalanced holds":   change(4, func(l *chain.BalanceLeaf) { l.PendingCredit = units(41) }),
	} {
		tree := chain.NewBalanceTree(id(1), 9)
		var err error
		for i := range leaves {
			if err = tree.Append(&leaves[i]); err != nil {
				break
			}
		}
		if err == nil {
			_, err = tree.Details()
		}
		if !errors.Is(err, chain.ErrBalances) {
			t.Errorf("%s: %v", name, err)
		}
		if beyond := name == "beyond 128 bits"; errors.Is(err, chain.ErrTotalRange) != beyond {
			t.Errorf("%s: %v; whether it is %q: want %t", name, err, chain.ErrTotalRange, beyond)
		}
	}
}

// TestAccountProofsAreThoseOfTheTree compares the path that is collected while
// leaves go by with the one that is computed from all of them.
func TestAccountProofsAreThoseOfTheTree(t *testing.T) {
	t.Parallel()
	for n := 2; n <= 70; n += 2 {
		leaves := balancedLeaves(n)
		var hashes []chain.Hash
		for i := range leaves {
			hashes = append(hashes, leaves[i].Hash())
		}
		for i := range leaves {
			tree := balanceTree(t, leaves, 100+i)
			p, ok := tree.Proof()
			want, err := chain.ProveInclusion(int64(i), int64(n), storeTree(hashes).read)
			if err != nil {
				t.Fatal(err)
			}
			if !ok || p.Leaf != leaves[i] || p.Index != int64(i) || p.Accounts != int64(n) || !slices.Equal(p.Path, want) {
				t.Fatalf("account %d of %d: %+v, want the path %s", i, n, p, want)
			}
			details, err := tree.Details()
			if err != nil {
				t.Fatal(err)
			}
			e := withDetails(chain.BalanceCommitment, details...)
			if err := p.Verify(&e); err != nil {
				t.Errorf("account %d of %d: %v", i, n, err)
			}
		}
	}
}

// provenBalance is a ledger whose last entry commits to balances.
func provenBalance(t testing.TB) (chain.BalanceReceipt, chain.VerifierKey) {
	t.Helper()
	tree := balanceTree(t, balancedLeaves(20), 107)
	details, err := tree.Details()
	if err != nil {
		t.Fatal(err)
	}
	e := withDetails(chain.BalanceCommitment, details...)
	s := seal(t, 12, &e)
	p, _ := tree.Proof()
	return chain.BalanceReceipt{AccountProof: p, Commitment: *s.receipt(t, 11)}, logKey(t, s.key, testOrigin)
}

func TestBalanceReceiptsProveBalances(t *testing.T) {
	t.Parallel()
	r, key := provenBalance(t)
	file := r.Marshal()
	read, err := chain.ParseBalanceReceipt(file)
	if err != nil {
		t.Fatal(err)
	}
	e, checkpoint, err := read.Verify(key)
	if err != nil || e.Seq != 11 || checkpoint.Size != 12 || read.Leaf.Posted != units(-22) || !bytes.Equal(read.Marshal(), file) {
		t.Errorf("%+v by entry %+v under %+v (%v)", read, e, checkpoint, err)
	}
	if _, _, err := read.Verify(logKey(t, keyOf(t, "other"), testOrigin)); !errors.Is(err, chain.ErrUnknownKey) {
		t.Errorf("another key: %v", err)
	}
	for i := range file {
		b := bytes.Clone(file)
		b[i] ^= 1 << (i % 7)
		if r, err := chain.ParseBalanceReceipt(b); err == nil {
			if _, _, err := r.Verify(key); err == nil {
				t.Errorf("byte %d: %q verifies", i, b[max(0, i-10):min(len(b), i+10)])
			}
		}
	}
	for name, bad := range map[string]string{
		"empty": "", "a receipt": string(r.Commitment.Marshal()), "header alone": "tallystick/balance-proof@v1\n\n",
		"more accounts with a zero": strings.Replace(string(file), "accounts 20", "accounts 020", 1),
		"carriage returns":          strings.ReplaceAll(string(file), "\n", "\r\n"),
		"larger than the bound":     string(file) + strings.Repeat("x", chain.MaxReceipt+8<<10),
	} {
		if _, err := chain.ParseBalanceReceipt([]byte(bad)); !errors.Is(err, chain.ErrReceipt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAccountProofsThatProveNothing(t *testing.T) {
	t.Parallel()
	r, _ := provenBalance(t)
	good, err := chain.Decode(r.Commitment.Canonical)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.AccountProof.Verify(&good); err != nil {
		t.Fatal(err)
	}
	setDetail := func(e *chain.Entry, name, value string) {
		i := slices.IndexFunc(e.Details, func(d chain.Detail) bool { return d.Name == name })
		e.Details[i].Value = value
	}
	for name, change := range map[string]func(p *chain.AccountProof, e *chain.Entry){
		"another balance":      func(p *chain.AccountProof, _ *chain.Entry) { p.Leaf.Posted = units(22) },
		"another account":      func(p *chain.AccountProof, _ *chain.Entry) { p.Leaf.AccountID = id(5) },
		"another index":        func(p *chain.AccountProof, _ *chain.Entry) { p.Index++ },
		"negative index":       func(p *chain.AccountProof, _ *chain.Entry) { p.Index = -1 },
		"more accounts":        func(p *chain.AccountProof, _ *chain.Entry) { p.Accounts++ },
		"a hash less":          func(p *chain.AccountProof, _ *chain.Entry) { p.Path = p.Path[1:] },
		"another ledger":       func(p *chain.AccountProof, _ *chain.Entry) { p.Leaf.LedgerID = id(3) },
		"commitment elsewhere": func(_ *chain.AccountProof, e *chain.Entry) { e.LedgerID = id(3) },
		"another size":         func(p *chain.AccountProof, _ *chain.Entry) { p.Leaf.Size-- },
		"size of the future":   func(p *chain.AccountProof, e *chain.Entry) { p.Leaf.Size = 12; setDetail(e, "size", "12") },
		"another root":         func(_ *chain.AccountProof, e *chain.Entry) { setDetail(e, "root", digest("x").String()) },
		"no root":              func(_ *chain.AccountProof, e *chain.Entry) { e.Details = nil },
		"another kind":         func(_ *chain.AccountProof, e *chain.Entry) { e.Kind = chain.Decision },
	} {
		p, e := r.AccountProof, good
		e.Details = slices.Clone(good.Details)
		change(&p, &e)
		if err := p.Verify(&e); !errors.Is(err, chain.ErrProof) {
			t.Errorf("%s: %v", name, err)
		}
	}
	p := r.AccountProof
	p.Leaf.Scale = 99
	if err := p.Verify(&good); !errors.Is(err, chain.ErrMalformed) {
		t.Errorf("a malformed leaf: %v", err)
	}
}

func TestBalanceLeavesRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		units := func(name string) money.Int128 {
			v, _ := money.FromMagnitude(false, rapid.Uint64Max(math.MaxInt64).Draw(t, name+" high"), rapid.Uint64().Draw(t, name+" low"))
			return v
		}
		l := chain.BalanceLeaf{
			LedgerID: id(rapid.IntRange(0, 9).Draw(t, "ledger")), Size: rapid.Int64Range(1, chain.MaxTreeSize).Draw(t, "size"), AccountID: id(rapid.IntRange(0, 9).Draw(t, "account")),
			Currency: rapid.StringMatching("[A-Z0-9]{1,16}").Draw(t, "currency"), Scale: rapid.Uint8Max(money.MaxScale).Draw(t, "scale"),
			AccountSeq: rapid.Int64Range(1, math.MaxInt64).Draw(t, "account_seq"), Posted: units("posted"), PendingDebit: units("debit"), PendingCredit: units("credit"),
		}
		if rapid.Bool().Draw(t, "negative") {
			l.Posted, _ = l.Posted.Neg()
		}
		again, err := chain.DecodeBalanceLeaf(l.AppendCanonical(nil))
		if err != nil || again != l || again.Hash() != l.Hash() {
			t.Fatalf("%+v is read as %+v (%v)", l, again, err)
		}
	})
}

// FuzzDecodeLeaves holds that leaves have one encoding.
func FuzzDecodeLeaves(f *testing.F) {
	for _, b := range sampleBalances() {
		f.Add(b.leaf.AppendCanonical(nil))
	}
	super := sampleSuperLeaf()
	f.Add(super.AppendCanonical(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		if l, err := chain.DecodeBalanceLeaf(b); err == nil && !bytes.Equal(l.AppendCanonical(nil), b) {
			t.Fatalf("%x is read as the balance %+v", b, l)
		}
		if l, err := chain.DecodeSuperLeaf(b); err == nil && !bytes.Equal(l.AppendCanonical(nil), b) {
			t.Fatalf("%x is read as the leaf %+v", b, l)
		}
	})
}

// FuzzParseBalanceReceipt holds that a balance receipt has one form.
func FuzzParseBalanceReceipt(f *testing.F) {
	r, _ := provenBalance(f)
	f.Add(r.Marshal())
	f.Add(r.Commitment.Marshal())
	f.Fuzz(func(t *testing.T, file []byte) {
		r, err := chain.ParseBalanceReceipt(file)
		if err == nil && !bytes.Equal(r.Marshal(), file) {
			t.Fatalf("read %q, which is written as %q", file, r.Marshal())
		}
	})
}
