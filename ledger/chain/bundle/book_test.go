package bundle_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"

	"tallystick/ledger/chain"
	"tallystick/ledger/chain/bundle"
	"tallystick/ledger/money"
)

// id makes a recognisable UUIDv7.
func id(n int) uuid.UUID {
	u := uuid.MustParse("01890a5d-ac96-774b-bcce-000000000000")
	binary.BigEndian.PutUint32(u[12:], uint32(n))
	return u
}

func ptr[T any](v T) *T { return &v }

func units(v int64) money.Int128 { return money.FromInt64(v) }

const day = chain.Date(20_454) // 2026-01-01

// book is a ledger that a test writes entry by entry.
type book struct {
	ledger  uuid.UUID
	origin  string
	key     chain.SigningKey
	entries []chain.Entry
	texts   map[int64]bundle.Text
	states  map[uuid.UUID]*chain.Posting // the newest of each account
	opened  []uuid.UUID
	micros  int64
}

func newBook() *book {
	seed := sha256.Sum256([]byte("a key for tests"))
	key, err := chain.NewSigningKey(seed[:])
	if err != nil {
		panic(err) // a seed of 32 bytes is one
	}
	b := &book{ledger: id(1), origin: "tallystick.test/" + id(1).String(), key: key,
		texts: map[int64]bundle.Text{}, states: map[uuid.UUID]*chain.Posting{}, micros: 1_767_225_600_000_000}
	b.add(chain.Entry{Kind: chain.LedgerOpened, Ledger: &chain.LedgerTerms{Name: "main", Origin: b.origin, TimeZone: "UTC", BaseCurrency: "EUR", BaseScale: 2}})
	return b
}

// add puts an entry at the end.
func (b *book) add(e chain.Entry) *chain.Entry {
	seq := int64(len(b.entries))
	b.micros += 1000
	e.LedgerID, e.Seq, e.RequestID, e.Actor = b.ledger, seq, id(1_000_000+int(seq)), id(2)
	e.RecordedAt, e.BookingDate = b.micros, day+chain.Date(seq/1000)
	if e.EffectiveDate == 0 {
		e.EffectiveDate = e.BookingDate
	}
	if seq > 0 {
		e.PrevHash = b.entries[seq-1].Hash()
	}
	b.entries = append(b.entries, e)
	return &b.entries[seq]
}

// open opens account n.
func (b *book) open(n int) {
	b.opened = append(b.opened, id(n))
	b.add(chain.Entry{Kind: chain.AccountOpened, Account: &chain.Account{AccountID: id(n), Code: fmt.Sprintf("account:%d", n), Type: chain.Asset, Currency: "EUR", Scale: 2}})
}

// post makes a posting on account n, after what it has.
func (b *book) post(n int, side chain.Direction, amount, pending int64) chain.Posting {
	p := chain.Posting{AccountID: id(n), Direction: side, Currency: "EUR", Scale: 2, Amount: units(amount), PendingChange: units(pending), EffectiveDate: day}
	if before := b.states[p.AccountID]; before != nil {
		p.AccountSeq, p.Posted, p.PendingDebit, p.PendingCredit = before.AccountSeq, before.Posted, before.PendingDebit, before.PendingCredit
	}
	p.AccountSeq++
	if side == chain.Debit {
		p.Posted, _ = p.Posted.Add(p.Amount)
		p.PendingDebit, _ = p.PendingDebit.Add(p.PendingChange)
	} else {
		p.Posted, _ = p.Posted.Sub(p.Amount)
		p.PendingCredit, _ = p.PendingCredit.Add(p.PendingChange)
	}
	b.states[p.AccountID] = &p
	return p
}

func (b *book) transfer(debit, credit int, amount int64) *chain.Entry {
	return b.add(chain.Entry{Kind: chain.Transfer, Postings: []chain.Posting{b.post(debit, chain.Debit, amount, 0), b.post(credit, chain.Credit, amount, 0)}})
}

// say gives the newest entry texts.
func (b *book) say(description, metadata string) {
	e := &b.entries[len(b.entries)-1]
	salt := sha256.Sum256(fmt.Append(nil, "salt", e.Seq))
	t := bundle.Text{Salt: salt[:], Description: &description}
	e.Description = ptr(chain.Commitment(salt[:], chain.FieldDescription, description))
	if metadata != "" {
		t.Metadata = &metadata
		e.Metadata = ptr(chain.Commitment(salt[:], chain.FieldMetadata, metadata))
	}
	b.texts[e.Seq] = t
}

// reseal hashes everything from an entry on again, as who owns the database can.
func (b *book) reseal(from int64) {
	for i := max(from, 1); i < int64(len(b.entries)); i++ {
		b.entries[i].PrevHash = b.entries[i-1].Hash()
	}
}

// hashes returns the leaves of the tree.
func (b *book) hashes() []chain.Hash {
	list := make([]chain.Hash, len(b.entries))
	for i := range b.entries {
		list[i] = b.entries[i].Hash()
	}
	return list
}

// checkpoint signs the tree of the first size entries.
func (b *book) checkpoint(tb testing.TB, size int64) []byte {
	tb.Helper()
	signed, err := b.key.Sign(chain.Checkpoint{Origin: b.origin, Size: size, Root: chain.RootOf(b.hashes()[:size])})
	if err != nil {
		tb.Fatal(err)
	}
	return signed
}

func (b *book) verifierKey(tb testing.TB) chain.VerifierKey {
	tb.Helper()
	text, err := b.key.VerifierKey(b.origin)
	if err != nil {
		tb.Fatal(err)
	}
	key, err := chain.ParseLogKey(text)
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

// contents is what the bundle of the book holds, with an older checkpoint and
// the proof from it.
func (b *book) contents(tb testing.TB) bundle.Contents {
	tb.Helper()
	size := int64(len(b.entries))
	older := size/2 + 1
	leaves := b.hashes()
	proof, err := chain.ProveConsistency(older, size, memory(leaves))
	if err != nil {
		tb.Fatal(err)
	}
	return bundle.Contents{
		Ledger: b.ledger, Origin: b.origin, Checkpoints: [][]byte{b.checkpoint(tb, older), b.checkpoint(tb, size)},
		Proofs: map[int64][]chain.Hash{older: proof}, Keys: []chain.VerifierKey{b.verifierKey(tb)}, Texts: true, From: "a test",
		Files: map[string][]byte{bundle.FormatPath: []byte("format"), bundle.SchemaPath: []byte("schema")},
		Sign:  func(text string) ([]byte, error) { return b.key.SignText(b.origin, text) },
	}
}

// memory reads nodes of a tree that is held whole.
func memory(leaves []chain.Hash) chain.ReadNodes {
	return func(level int, first, count int64) ([]chain.Hash, error) {
		width := int64(1) << (8 * level)
		var nodes []chain.Hash
		for i := first; i < first+count; i++ {
			nodes = append(nodes, chain.RootOf(leaves[i*width:(i+1)*width]))
		}
		return nodes, nil
	}
}

// write writes the bundle of the book.
func (b *book) write(tb testing.TB, out io.Writer, c bundle.Contents) error {
	tb.Helper()
	spool, err := os.Create(filepath.Join(tb.TempDir(), "spool"))
	if err != nil {
		tb.Fatal(err)
	}
	defer spool.Close()
	w, err := bundle.NewWriter(out, spool, c)
	if err != nil {
		return err
	}
	for i := range b.entries {
		var text *bundle.Text
		if t, ok := b.texts[int64(i)]; ok {
			text = &t
		}
		if err := w.Add(b.entries[i].AppendCanonical(nil), text); err != nil {
			return err
		}
	}
	return w.Close()
}

// bundle returns the bundle of the book.
func (b *book) bundle(tb testing.TB, change ...func(*bundle.Contents)) []byte {
	tb.Helper()
	c := b.contents(tb)
	for _, f := range change {
		f(&c)
	}
	var out bytes.Buffer
	if err := b.write(tb, &out, c); err != nil {
		tb.Fatal(err)
	}
	return out.Bytes()
}

// small is a book with something of everything.
func small(tb testing.TB) *book {
	tb.Helper()
	b := newBook()
	for n := 10; n < 14; n++ {
		b.open(n)
		b.say(fmt.Sprintf("Account %d", n), "")
	}
	for i := range 20 {
		b.transfer(10+i%3, 10+(i+1)%3, int64(100+i))
		b.say(fmt.Sprintf("Coffee beans, %d kg", i), `{"order":"`+strings.Repeat("7", i)+`"}`)
	}
	hold := b.add(chain.Entry{Kind: chain.Hold, ExpiresAt: ptr(b.micros + 1_000_000), Postings: []chain.Posting{b.post(10, chain.Debit, 0, 500), b.post(11, chain.Credit, 0, 500)}}).Seq
	b.add(chain.Entry{Kind: chain.Capture, RefSeq: &hold, Postings: []chain.Posting{b.post(10, chain.Debit, 200, -500), b.post(11, chain.Credit, 200, -500)}})
	b.commit()
	b.transfer(12, 10, 7)
	b.say("To be forgotten", "")
	forgotten := b.entries[len(b.entries)-1].Seq
	delete(b.texts, forgotten)
	b.add(chain.Entry{Kind: chain.Erasure, RefSeq: &forgotten, Details: []chain.Detail{{Name: "basis", Value: "gdpr_17"}}})
	key := b.verifierKey(tb)
	b.add(chain.Entry{Kind: chain.KeyChanged, Details: []chain.Detail{{Name: "action", Value: "add"}, {Name: "key_id", Value: key.ID()},
		{Name: "public_key", Value: key.String()}, {Name: "role", Value: "signer"}}})
	b.transfer(11, 12, 3)
	return b
}

// commit appends a commitment to the balances as they are, written from
// FORMAT.md and not with package bundle.
func (b *book) commit() {
	size := int64(len(b.entries))
	var tree chain.Frontier
	var posted, pending money.Int128
	for _, account := range b.opened { // in ascending order of ids
		p := b.states[account]
		if p == nil {
			p = &chain.Posting{Currency: "EUR", Scale: 2}
		}
		leaf := append([]byte("tallystick/state"), 0, 1)
		leaf = append(leaf, b.ledger[:]...)
		leaf = binary.BigEndian.AppendUint64(leaf, uint64(size))
		leaf = append(leaf, account[:]...)
		leaf = append(leaf, 0, 3, 'E', 'U', 'R', 2)
		leaf = binary.BigEndian.AppendUint64(leaf, uint64(p.AccountSeq))
		leaf = p.PendingCredit.AppendBytes(p.PendingDebit.AppendBytes(p.Posted.AppendBytes(leaf)))
		tree.Append(chain.HashCanonical(leaf))
		if p.Posted.Sign() > 0 {
			posted, _ = posted.Add(p.Posted)
		}
		pending, _ = pending.Add(p.PendingDebit)
	}
	b.add(chain.Entry{Kind: chain.BalanceCommitment, Details: []chain.Detail{
		{Name: "accounts", Value: fmt.Sprint(len(b.opened))}, {Name: "pending.EUR", Value: pending.Format(2)},
		{Name: "posted.EUR", Value: posted.Format(2)}, {Name: "root", Value: tree.Root().String()}, {Name: "size", Value: fmt.Sprint(size)}}})
}
