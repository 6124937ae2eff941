package bundle_test

import (
	"bytes"
	"reflect"
	"sync"
	"testing"

	"tallystick/ledger/chain"
	"tallystick/ledger/chain/bundle"
)

// seam is where the second member begins.
const seam = bundle.EntriesPerMember

// largeBook has two members: accounts and most transfers in the first, a
// commitment to balances in the second, about balances in the middle of it.
var largeBook = sync.OnceValue(func() *book {
	b := newBook()
	for n := 10; n < 40; n++ {
		b.open(n)
	}
	for i := 0; len(b.entries) < seam+100; i++ {
		b.transfer(10+i%25, 10+(i%25+1+i%23)%25, int64(1+i%97))
	}
	b.commit()
	for i := range 50 {
		b.transfer(10+i%25, 36, int64(1+i))
	}
	return b
})

// spoiled copies the large book with one change, sealed again from there on.
func spoiled(change func(b *book)) *book {
	whole := largeBook()
	b := *whole
	b.entries = append([]chain.Entry(nil), whole.entries...)
	change(&b)
	return &b
}

// members of a bundle are read by several workers, and what they find does not
// depend on how many there are: chains, accounts and the tree go on over the seam.
func TestStripesAreJoined(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes 65,536 entries to fill a member")
	}
	t.Parallel()
	posting := func(b *book, seq int, edit func(p *chain.Posting)) {
		postings := append([]chain.Posting(nil), b.entries[seq].Postings...)
		edit(&postings[0])
		b.entries[seq].Postings = postings
		b.reseal(int64(seq))
	}
	for _, c := range []struct {
		name   string
		change func(b *book)
		code   string
		seq    int64
	}{
		{"good", func(*book) {}, "", 0},
		{"chain broken at the seam", func(b *book) {
			b.entries[seam].PrevHash[0] ^= 1
			b.reseal(seam + 1)
		}, bundle.ChainBreak, seam},
		{"time goes back at the seam", func(b *book) {
			b.entries[seam].RecordedAt = b.entries[seam-1].RecordedAt - 1
			b.reseal(seam)
		}, bundle.TimeRegression, seam},
		{"balance broken at the first posting behind the seam", func(b *book) {
			posting(b, seam, func(p *chain.Posting) { p.Posted, _ = p.Posted.Add(units(1)) })
		}, bundle.BalanceChainBreak, seam},
		{"account_seq skipped behind the seam", func(b *book) {
			posting(b, seam, func(p *chain.Posting) { p.AccountSeq++ })
		}, bundle.AccountSeqGap, seam},
		{"account that was never opened, behind the seam", func(b *book) {
			posting(b, seam, func(p *chain.Posting) { p.AccountID, p.AccountSeq, p.Posted = id(99), 1, p.Amount })
		}, bundle.AccountMissing, seam},
		{"currency changed behind the seam", func(b *book) {
			posting(b, seam, func(p *chain.Posting) { p.Currency = "USD" })
			b.entries[seam].Postings[1].Currency = "USD"
			b.reseal(seam)
		}, bundle.CurrencyMismatch, seam},
		{"a code of another account, behind the seam", func(b *book) {
			b.add(chain.Entry{Kind: chain.AccountOpened, Account: &chain.Account{AccountID: id(50), Code: "account:10", Type: chain.Asset, Currency: "EUR", Scale: 2}})
		}, bundle.AccountStateMismatch, int64(len(largeBook().entries))},
	} {
		b := spoiled(c.change)
		size := int64(len(b.entries))
		var file bytes.Buffer
		err := b.write(t, &file, bundle.Contents{Ledger: b.ledger, Origin: b.origin, From: "a test",
			Checkpoints: [][]byte{b.checkpoint(t, seam-5), b.checkpoint(t, seam), b.checkpoint(t, seam+7), b.checkpoint(t, size)}})
		if err != nil {
			t.Fatal(err)
		}
		o := trusting(t, b)
		o.Workers = 1
		one := verify(t, file.Bytes(), o)
		o.Workers = 3
		several := verify(t, file.Bytes(), o)
		if !reflect.DeepEqual(one.Findings, several.Findings) || one.Status != several.Status || !reflect.DeepEqual(one.Scope.Totals, several.Scope.Totals) ||
			!reflect.DeepEqual(one.Scope.Checkpoints, several.Scope.Checkpoints) || one.EntriesChecked != size || several.EntriesChecked != size {
			t.Errorf("%s: one worker finds %s, three find %s", c.name, codes(one), codes(several))
		}
		want := bundle.Tampered
		if c.code == "" {
			want = bundle.Verified
		}
		if one.Status != want || (c.code != "" && (one.Findings[0].Code != c.code || one.Findings[0].Seq == nil || *one.Findings[0].Seq != c.seq)) {
			t.Errorf("%s: %s, %s", c.name, one.Status, codes(one))
		}
		if len(one.Scope.Checkpoints) != 4 || (c.code == "" && one.Scope.Commitment == nil) {
			t.Errorf("%s: %d checkpoints hold, commitment %v", c.name, len(one.Scope.Checkpoints), one.Scope.Commitment)
		}
		if c.code == "" || c.code == bundle.BalanceChainBreak || c.code == bundle.AccountStateMismatch {
			code, out := python(t, file.Bytes(), b)
			if (code == 0) != (c.code == "") || code > 1 {
				t.Errorf("%s: python: exit code %d\n%s", c.name, code, out)
			}
		}
	}
}
