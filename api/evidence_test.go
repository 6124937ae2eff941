package api

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"tallystick/ledger"
	"tallystick/ledger/chain"
	"tallystick/ledger/store/storetest"
)

// sealedBank is a bank with somebody who signs checkpoints.
type sealedBank struct {
	*bank
	url    string // of the database, as superuser
	notary *storetest.Notary
	origin string
}

// newSealedBank serves the database at url. The notary's key is on record, as
// entry 1 of main.
func newSealedBank(t *testing.T, url string) *sealedBank {
	t.Helper()
	b := &sealedBank{bank: newBank(t, url, nil), url: url, notary: storetest.NewNotary(t, url)}
	b.origin = b.get("/v1/ledgers/main").is(200, "").text("origin")
	b.post("/v1/ledgers/main/keys", fmt.Sprintf(`{"action":"add","role":"signer","public_key":%q}`, b.notary.VerifierKey(t, b.origin))).is(201, "")
	return b
}

// withSealed runs f on a fresh bank for each engine, and the audit after it.
func withSealed(t *testing.T, f func(t *testing.T, b *sealedBank)) {
	t.Helper()
	storetest.Each(t, func(t *testing.T, url string) {
		b := newSealedBank(t, url)
		f(t, b)
		b.audit(t, url)
	})
}

// seal publishes a checkpoint over all entries of main.
func (b *sealedBank) seal() []byte {
	b.t.Helper()
	return b.notary.Seal(b.t, b.id("main").UUID, b.origin, int64(mustAtoi(b.t, b.size())))
}

// fill posts batches until main has size entries.
func (b *sealedBank) fill(size int) {
	b.t.Helper()
	for missing := size - mustAtoi(b.t, b.size()); missing > 0; missing -= MaxTransferBatch {
		transfers := make([]string, min(missing, MaxTransferBatch))
		for i := range transfers {
			transfers[i] = `{"debit":"cash","credit":"customers:1","amount":"1.00"}`
		}
		b.do("POST", "/v1/ledgers/main/transfers/batch", `{"transfers":[`+strings.Join(transfers, ",")+`]}`,
			headers{"Idempotency-Key": {uuid.NewString()}}).is(200, "")
	}
}

// keyOf returns the key that verifies what the notary signs for main.
func (b *sealedBank) keyOf() chain.VerifierKey {
	b.t.Helper()
	key, err := chain.ParseLogKey(b.notary.VerifierKey(b.t, b.origin))
	if err != nil {
		b.t.Fatal(err)
	}
	return key
}

// hashes splits a tile.
func hashes(t *testing.T, tile []byte) []chain.Hash {
	t.Helper()
	if len(tile)%sha256.Size != 0 {
		t.Fatalf("a tile of %d bytes", len(tile))
	}
	var all []chain.Hash
	for part := range slices.Chunk(tile, sha256.Size) {
		all = append(all, chain.Hash(part))
	}
	return all
}

// leaves returns the leaf hashes of a bundle.
func leaves(t *testing.T, bundle []byte) []chain.Hash {
	t.Helper()
	var all []chain.Hash
	for len(bundle) > 0 {
		if len(bundle) < 2 || len(bundle) < 2+int(binary.BigEndian.Uint16(bundle)) {
			t.Fatalf("a bundle ends within an entry, after %d entries", len(all))
		}
		size := int(binary.BigEndian.Uint16(bundle))
		all = append(all, chain.HashCanonical(bundle[2:2+size]))
		bundle = bundle[2+size:]
	}
	return all
}

// octets returns a tile or bundle below the log at base.
func (b *bank) octets(path string) []byte {
	b.t.Helper()
	a := b.get(path)
	if a.status != 200 || a.header.Get("Content-Type") != "application/octet-stream" {
		b.t.Fatalf("%s: answered %d %s", path, a.status, a.body)
	}
	return a.body
}

// TestALedgerIsServedAsTiles recomputes the tree of a checkpoint from bundles of
// entries, and compares each tile.
func TestALedgerIsServedAsTiles(t *testing.T) {
	t.Parallel()
	withSealed(t, func(t *testing.T, b *sealedBank) {
		const log = "/v1/ledgers/main/"
		b.get(log+"checkpoint").is(404, codeNoCheckpoint)
		b.get(log+"tile/0/000.p/1").is(404, codeNoCheckpoint)
		b.openAccounts()
		b.fill(300)
		note := b.seal()
		b.fill(600) // not under the checkpoint
		shown := b.get(log + "checkpoint")
		if !bytes.Equal(shown.body, note) || shown.header.Get("Content-Type") != "text/plain; charset=utf-8" || shown.header.Get("Cache-Control") != "no-store" {
			t.Errorf("the checkpoint is %v %s, want %s", shown.header, shown.body, note)
		}
		c, err := chain.OpenCheckpoint(shown.body, b.keyOf())
		if err != nil || c.Size != 300 {
			t.Fatalf("the checkpoint is of size %d: %v", c.Size, err)
		}
		full, partial := leaves(t, b.octets(log+"tile/entries/000")), leaves(t, b.octets(log+"tile/entries/001.p/44"))
		if root := chain.RootOf(append(slices.Clone(full), partial...)); root != c.Root {
			t.Errorf("the bundles have root %s, the checkpoint %s", root, c.Root)
		}
		if got := hashes(t, b.octets(log+"tile/0/000")); !slices.Equal(got, full) {
			t.Errorf("tile 0/000 has other hashes than its bundle")
		}
		if got := hashes(t, b.octets(log+"tile/0/001.p/44")); !slices.Equal(got, partial) {
			t.Errorf("tile 0/001.p/44 has other hashes than its bundle")
		}
		if got := hashes(t, b.octets(log+"tile/1/000.p/1")); !slices.Equal(got, []chain.Hash{chain.RootOf(full)}) {
			t.Errorf("tile 1/000.p/1 is not the root of tile 0/000")
		}
		for _, path := range []string{"0/001", "0/001.p/45", "1/000", "1/000.p/2", "2/000.p/1", "0/1", "0/000.p/256", "0/000.p/0", "8/000", "x/000", "0/", "00/000"} {
			b.get(log+"tile/"+path).is(404, codeTileNotFound)
		}
		for _, path := range []string{"001", "001.p/45", "000.p/256", "0", "000/../001"} {
			b.get(log+"tile/entries/"+path).is(404, codeTileNotFound)
		}
		b.get(log+"tile/0/000?x=1").is(400, codeUnknownParameter)
		b.get(log+"checkpoint?x=1").is(400, codeUnknownParameter)
		b.do("GET", log+"checkpoint", "", headers{"Authorization": nil}).is(401, codeUnauthenticated)
		b.do("GET", log+"tile/0/000", "", headers{"Authorization": nil}).is(401, codeUnauthenticated)
		b.get("/v1/ledgers/nowhere/checkpoint").is(404, codeLedgerNotFound)
		b.get("/v1/ledgers/nowhere/tile/entries/000").is(404, codeLedgerNotFound)
	})
}

// sql changes the database as its owner.
func (b *bank) sql(text string, args ...any) {
	b.t.Helper()
	conn, err := pgx.Connect(b.t.Context(), b.database)
	if err != nil {
		b.t.Fatal(err)
	}
	defer conn.Close(b.t.Context())
	if _, err := conn.Exec(b.t.Context(), text, args...); err != nil {
		b.t.Fatal(err)
	}
}

func TestWhatWasChangedIsNeverServedAsEvidence(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		b := newSealedBank(t, url)
		b.openAccounts()
		b.fill(270)
		b.seal()
		const log = "/v1/ledgers/main/"
		hash := b.get(log + "entries/20").text("hash")
		b.sql("update book.postings set amount = 2 where seq = 20 and ordinal = 0")
		b.get(log+"tile/entries/000").is(503, "account_damaged")
		b.get(log+"proof/entry/20").is(503, "account_damaged")
		b.get(log+"proof/entry/21").is(200, "")
		b.octets(log + "tile/entries/001.p/14")
		b.sql("update book.postings set amount = 1 where seq = 20 and ordinal = 0")
		b.octets(log + "tile/entries/000")

		b.sql("update book.entries set entry_hash = $1 where seq = 20", chain.EmptyRoot[:])
		b.get(log+"tile/entries/000").is(503, "account_damaged")
		b.get(log+"proof/entry/21").is(503, "account_damaged")
		b.get(log+"proof/consistency?from=100").is(503, "account_damaged")
		b.sql("update book.entries set entry_hash = decode($1, 'hex') where seq = 20", hash)
		b.get(log+"proof/entry/21").is(200, "")

		b.sql("delete from book.tiles")
		b.get(log+"tile/1/000.p/1").is(503, "account_damaged")
		b.get(log+"proof/entry/260").is(503, "account_damaged")

		b.sql("update ops.heads set size = 271")
		b.get(log+"proof/entry/21").is(503, "account_damaged")
	})
}

// TestTheSuperLogIsServedAsTiles recomputes its tree as that of a ledger.
func TestTheSuperLogIsServedAsTiles(t *testing.T) {
	t.Parallel()
	withSealed(t, func(t *testing.T, b *sealedBank) {
		const log = "/v1/super-log/"
		b.get(log+"checkpoint").is(404, codeNoCheckpoint)
		all := make([]chain.SuperLeaf, 260)
		var want []chain.Hash
		for i := range all {
			all[i] = chain.SuperLeaf{LedgerID: uuid.Max, Origin: b.origin, Size: int64(1 + i), Root: chain.Hash{byte(i)}, RecordedAt: int64(i)}
			want = append(want, all[i].Hash())
		}
		note := b.notary.SealSuper(t, "bank.test/super-log", all)
		if shown := b.get(log + "checkpoint"); !bytes.Equal(shown.body, note) {
			t.Errorf("the checkpoint is %s, want %s", shown.body, note)
		}
		got := append(leaves(t, b.octets(log+"tile/entries/000")), leaves(t, b.octets(log+"tile/entries/001.p/4"))...)
		if !slices.Equal(got, want) || !slices.Equal(hashes(t, b.octets(log+"tile/0/001.p/4")), want[256:]) {
			t.Error("bundles and tiles are not of the leaves that were sealed")
		}
		if got := hashes(t, b.octets(log+"tile/1/000.p/1")); !slices.Equal(got, []chain.Hash{chain.RootOf(want[:256])}) {
			t.Error("tile 1/000.p/1 is not the root of tile 0/000")
		}
		b.get(log+"tile/entries/001.p/5").is(404, codeTileNotFound)
		b.get(log+"tile/0/001?x=1").is(400, codeUnknownParameter)
		b.get(log+"tile/entries/000?x=1").is(400, codeUnknownParameter)
		b.get(log+"checkpoint?x=1").is(400, codeUnknownParameter)
		b.sql("update book.super_log set size = 1000 where position = 257")
		b.get(log+"tile/entries/001.p/4").is(503, "account_damaged")
		b.sql("delete from book.super_log where position = 3")
		b.get(log+"tile/entries/000").is(503, "account_damaged")
		b.get(log+"tile/0/000").is(503, "account_damaged")
	})
}

func TestAnEntryIsProved(t *testing.T) {
	t.Parallel()
	withSealed(t, func(t *testing.T, b *sealedBank) {
		const proof = "/v1/ledgers/main/proof/entry/"
		b.openAccounts()
		unsealed := b.get(proof+"3").is(409, codeNotSealed)
		if unsealed.header.Get("Retry-After") != "1" {
			t.Errorf("Retry-After is %q", unsealed.header.Get("Retry-After"))
		}
		b.get(proof+"999").is(404, ledger.CodeEntryNotFound)
		b.get(proof+"x").is(404, ledger.CodeEntryNotFound)
		first := b.seal()
		b.fill(300)
		b.get(proof+"299").is(409, codeNotSealed)
		b.seal()
		for _, seq := range []int64{0, 5, 255, 256, 299} {
			b.checkProofs(t, seq)
		}
		old := b.get(proof + "3?size=7&format=tlog-proof")
		r, err := chain.ParseReceipt(old.body)
		if err != nil || !bytes.Equal(r.Checkpoint, first) {
			t.Fatalf("the older receipt is %s: %v", old.body, err)
		}
		if _, _, err := r.Verify(b.keyOf()); err != nil {
			t.Error(err)
		}
		b.get(proof+"3?size=8").is(404, codeNoCheckpoint)
		b.get(proof+"299?size=7").is(400, codeInvalidParameter)
		b.get(proof+"999?size=300").is(404, ledger.CodeEntryNotFound)
		b.get(proof+"3?format=pdf").is(400, codeInvalidParameter)
	})
}

// checkProofs verifies both forms of the proof of an entry.
func (b *sealedBank) checkProofs(t *testing.T, seq int64) {
	t.Helper()
	path := "/v1/ledgers/main/proof/entry/" + strconv.FormatInt(seq, 10)
	a := b.get(path).is(200, "")
	c, err := chain.OpenCheckpoint([]byte(a.text("checkpoint")), b.keyOf())
	if err != nil {
		t.Fatal(err)
	}
	a.want("origin", c.Origin, "size", fmt.Sprint(c.Size), "root", c.Root.String(), "index", fmt.Sprint(seq),
		"leaf", b.get("/v1/ledgers/main/entries/"+strconv.FormatInt(seq, 10)).text("hash"))
	leaf, _ := chain.ParseHash(a.text("leaf"))
	var path64 []chain.Hash
	for i := range a.length("hashes") {
		h, _ := chain.ParseHash(a.text("hashes", i))
		path64 = append(path64, h)
	}
	if err := chain.VerifyInclusion(seq, c.Size, leaf, path64, c.Root); err != nil {
		t.Error(err)
	}
	file := b.do("GET", path, "", headers{"Accept": {"text/plain"}})
	if got, want := file.header.Get("Content-Disposition"), fmt.Sprintf("attachment; filename=main-%d.tlog-proof", seq); got != want {
		t.Errorf("Content-Disposition is %q, want %q", got, want)
	}
	r, err := chain.ParseReceipt(file.body)
	if err != nil {
		t.Fatal(err)
	}
	e, _, err := r.Verify(b.keyOf())
	if err != nil || e.Seq != seq || e.Hash() != leaf || !slices.Equal(r.Proof, path64) {
		t.Errorf("the receipt of entry %d: %v", seq, err)
	}
}

func TestConsistencyIsProved(t *testing.T) {
	t.Parallel()
	withSealed(t, func(t *testing.T, b *sealedBank) {
		const path = "/v1/ledgers/main/proof/consistency"
		b.get(path+"?from=1").is(404, codeNoCheckpoint)
		b.openAccounts()
		old, err := chain.OpenCheckpoint(b.seal(), b.keyOf())
		if err != nil {
			t.Fatal(err)
		}
		b.fill(300)
		note := b.seal()
		newest, err := chain.OpenCheckpoint(note, b.keyOf())
		if err != nil {
			t.Fatal(err)
		}
		a := b.get(path+"?from=7").is(200, "")
		a.want("origin", b.origin, "from", "7", "from_root", old.Root.String(), "to", "300", "to_root", newest.Root.String(), "checkpoint", string(note))
		var proof []chain.Hash
		for i := range a.length("hashes") {
			h, _ := chain.ParseHash(a.text("hashes", i))
			proof = append(proof, h)
		}
		if err := chain.VerifyConsistency(7, 300, old.Root, newest.Root, proof); err != nil {
			t.Error(err)
		}
		b.get(path+"?from=3&to=7").is(200, "").want("to_root", old.Root.String())
		b.get(path+"?from=3&to=8").is(200, "").want("checkpoint", "")
		b.get(path+"?from=7&to=7").is(200, "").want("to_root", old.Root.String(), "from_root", old.Root.String())
		b.get(path+"?from=0").is(400, codeEmptyBaseline)
		b.get(path).is(400, codeInvalidParameter)
		b.get(path+"?from=-1").is(400, codeInvalidParameter)
		b.get(path+"?from=9&to=8").is(400, codeInvalidParameter)
		b.get(path+"?from=301").is(409, codeNotSealed)
		b.get(path+"?from=6&to=301").is(409, codeNotSealed)
	})
}

// TestWhoWaitsGetsAReceipt posts what moves money in every way, and seals once it
// is stored.
func TestWhoWaitsGetsAReceipt(t *testing.T) {
	t.Parallel()
	withSealed(t, func(t *testing.T, b *sealedBank) {
		b.openAccounts()
		const one, hold = "0195e4a2-6c1f-7b3d-9a40-2f8e61c7d5b1", "0195e4a2-6c1f-7b3d-9a40-2f8e61c7d5b2"
		const transfer = `{"id":"` + one + `","debit":"cash","credit":"customers:1","amount":"9.00"}`
		a := b.waiting("", transfer)
		b.checkReceipt(t, a.is(201, "").text("hash"), a.text("receipt"))
		again := b.post("/v1/ledgers/main/transfers?wait=checkpoint", transfer).is(201, "")
		again.want("receipt", a.text("receipt"), "hash", a.text("hash"))
		if _, there := b.post("/v1/ledgers/main/transfers", transfer).is(201, "").tree.(map[string]any)["receipt"]; there {
			t.Error("a receipt that nobody asked for")
		}
		for _, step := range [][2]string{
			{"", `{"id":"` + hold + `","debit":"customers:1","credit":"cash","amount":"2.00","hold":true}`},
			{"/" + hold + "/capture", `{"amount":"1.00"}`},
			{"/" + one + "/reverse", ""},
		} {
			if strings.HasSuffix(step[0], "reverse") {
				b.pay("cash", "customers:1", "10.00").is(201, "")
			}
			a := b.waiting(step[0], step[1]).is(201, "")
			b.checkReceipt(t, a.text("hash"), a.text("receipt"))
		}
		for _, atomic := range []string{"false", "true"} {
			a := b.waiting("/batch", `{"atomic":`+atomic+`,"transfers":[{"debit":"cash","credit":"customers:1","amount":"1.00"},{"debit":"cash","credit":"customers:1","amount":"2.00"}]}`)
			for i := range a.is(200, "").length("results") {
				b.checkReceipt(t, a.text("results", i, "entry", "hash"), a.text("results", i, "entry", "receipt"))
			}
		}
		refused := b.post("/v1/ledgers/main/transfers/batch?wait=checkpoint", `{"transfers":[{"id":"`+uuid.NewString()+`","debit":"nobody","credit":"cash","amount":"1.00"}]}`)
		refused.is(200, "").want("results.0.status", "422")
	})
}

// waiting posts with wait=checkpoint, under a fresh key unless the body begins with
// an id, and seals when the ledger
// has grown.
func (b *sealedBank) waiting(path, body string) *answer {
	b.t.Helper()
	before := b.size()
	answers := make(chan *answer)
	key := headers{"Idempotency-Key": {uuid.NewString()}}
	if strings.HasPrefix(body, `{"id"`) {
		key = nil
	}
	go func() { answers <- b.do("POST", "/v1/ledgers/main/transfers"+path+"?wait=checkpoint", body, key) }()
	for b.size() == before {
		select {
		case a := <-answers:
			b.t.Fatalf("answered before there was a checkpoint: %d %s", a.status, a.body)
		default:
		}
	}
	b.seal()
	return <-answers
}

func TestMoneyMovesWithoutAReceiptToo(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) { // no audit: it would find the head
		b := newSealedBank(t, url)
		b.openAccounts()
		b.seal()
		b.sql("update ops.heads set size = 1000") // and the note says less
		a := b.post("/v1/ledgers/main/transfers?wait=checkpoint", `{"id":"`+uuid.NewString()+`","debit":"cash","credit":"customers:1","amount":"1.00"}`).is(201, "")
		if receipt, there := a.tree.(map[string]any)["receipt"]; !there || receipt != nil {
			t.Errorf("the receipt is %v", receipt)
		}
		if told := b.log.last(); !strings.HasPrefix(told, "WARN ") || !strings.Contains(told, "checkpoint") {
			t.Errorf("the log says %s", told)
		}
		for _, wait := range []string{"wait=", "wait=entry", "wait=checkpoint&dry_run=true"} {
			b.post("/v1/ledgers/main/transfers?"+wait, `{"debit":"cash","credit":"customers:1","amount":"1.00"}`).is(400, codeInvalidParameter)
		}
	})
}

// checkReceipt verifies a receipt of the entry with that hash.
func (b *sealedBank) checkReceipt(t *testing.T, hash, receipt string) {
	t.Helper()
	r, err := chain.ParseReceipt([]byte(receipt))
	if err != nil {
		t.Error(err)
		return
	}
	e, _, err := r.Verify(b.keyOf())
	if err != nil || e.Hash().String() != hash {
		t.Errorf("the receipt of entry %s: %v", hash, err)
	}
}
