package reconcile_test

import (
	"fmt"
	"slices"
	"testing"

	"tallystick/ledger/chain"
	"tallystick/ledger/store/storetest"
	"tallystick/reconcile"
)

// cutAt is a ledger as it stood at a size.
func cutAt(b *book, size int64) *reconcile.Cut {
	return &reconcile.Cut{Size: size, Head: b.leaves[size-1]}
}

// Whatever is read of an honest ledger, and as of whichever size, nothing is
// found: also after it has grown, and was signed, beyond the cut.
func TestSpansOfAnHonestLedgerHaveNoFindings(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		key := signingKey(t, "signer")
		b, _ := sealedBook(t, key, 1)
		conn := connect(t, url)
		b.write(t, conn)
		b.seal(t, conn, key, sealedSizes...)
		scene := &crime{t: t, conn: conn, b: b, key: key}
		db := auditor(t, url, 3)
		for _, size := range []int64{20, 256, 257, 297, sealedEntries} {
			for _, spans := range [][]reconcile.Span{nil, {{From: 0, To: 7}}, {{From: 1, To: 2}}, {{From: 19, To: 20}}, {{From: 10, To: 300}}, {{From: 0, To: 5}, {From: 5, To: 9}, {From: 11, To: 19}}, {{From: 0, To: 300}}} {
				for _, state := range []int64{0, 15, 298, sealedEntries} {
					opts := reconcile.Options{At: cutAt(b, size), Spans: spans, Workers: 2, Level: reconcile.LevelSchema}
					if state > 0 {
						opts.Level, opts.SignerState = reconcile.LevelEvidence, scene.state(b, state)
					}
					report, err := reconcile.Verify(t.Context(), db, b.ledger, opts)
					if err != nil {
						t.Fatal(err)
					}
					if report.Status != reconcile.Verified || report.Size != size || report.Head != b.leaves[size-1].String() {
						t.Fatalf("at size %d, %v, state %d: %s, size %d, %v, %v", size, spans, state, report.Status, report.Size, codes(report.Findings), report.NotChecked)
					}
					want := int64(0)
					for _, s := range spans {
						want += max(0, min(s.To, size)-s.From)
					}
					if spans == nil {
						want = size
					}
					if report.EntriesChecked != want {
						t.Fatalf("at size %d, %v: %d entries read, want %d", size, spans, report.EntriesChecked, want)
					}
				}
			}
		}
	})
}

// What was appended after an honest beginning is found as well when only that is
// read.
func TestAnIncrementFindsWhatAllFinds(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		conn := connect(t, url)
		dropOnce(t, conn)
		loosen(t, conn, "postings")
		for _, f := range slices.Concat(forgeries, misuses, misrules, misstatements) {
			b := smallNamed(f.name)
			f.make(b)
			b.write(t, conn)
			report := verifyWith(t, url, b.ledger, reconcile.Options{Level: reconcile.LevelColumns, At: cutAt(b, b.next), Spans: []reconcile.Span{{From: 7, To: b.next}}})
			if got := codes(report.Findings); !slices.Equal(got, f.want) {
				t.Errorf("%s: found %v, want %v\n%s", f.name, got, f.want, details(report.Findings))
			}
		}
	})
}

// A posting whose number another one has, far away, is found from either side;
// so are a request, a settlement and a reversal that stand twice.
func TestWhatStandsTwiceIsFoundAcrossSpans(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		b := small()
		first := b.transfer("cash", "customers:1", 5) // 7
		hold := b.hold("cash", "customers:1", 50, 0)  // 8
		b.hold("cash", "customers:1", 100, 0)         // 9
		b.release(hold)                               // 10
		b.reverse(first)                              // 11
		for range 20 {                                // 12 to 31
			b.transfer("cash", "customers:2", 1)
		}
		b.append(chain.Entry{Kind: chain.Transfer, RequestID: first.RequestID, Postings: b.move("cash", "customers:1", 5, 0)}, words{}) // 32
		b.release(hold)                                                                                                                 // 33
		b.reverse(first)                                                                                                                // 34
		a := b.accounts["customers:2"]
		a.seq, a.posted = 5, *units(-5)
		b.transfer("cash", "customers:2", 1) // 35: the sixth once more
		conn := connect(t, url)
		for _, key := range [][2]string{{"entries", "i8_entries_request"}, {"postings", "i9_postings_account_seq"}} {
			dropUnique(t, conn, key[0], key[1])
		}
		dropOnce(t, conn)
		loosen(t, conn, "postings")
		b.write(t, conn)
		for _, c := range []struct {
			spans []reconcile.Span
			want  []string
		}{
			{[]reconcile.Span{{From: 32, To: 36}}, []string{"DUPLICATE_TRANSFER@32", "HOLD_INVALID@33", "REVERSAL_INVALID@34", "ACCOUNT_SEQ_GAP@35", "CURRENCY_NOT_ZERO"}},
			{[]reconcile.Span{{From: 5, To: 16}}, []string{"CURRENCY_NOT_ZERO"}},
			{[]reconcile.Span{{From: 5, To: 16}, {From: 35, To: 36}}, []string{"ACCOUNT_SEQ_GAP@35", "CURRENCY_NOT_ZERO"}},
		} {
			report := verifyWith(t, url, b.ledger, reconcile.Options{Level: reconcile.LevelColumns, Spans: c.spans})
			if got := codes(report.Findings); !slices.Equal(got, c.want) {
				t.Errorf("%v: found %v, want %v\n%s", c.spans, got, c.want, details(report.Findings))
			}
		}
	})
}

// Rows that are edited are found by the span that has them, and what follows
// from a span is held against the entry behind it.
func TestASpanIsHeldAgainstItsNeighbours(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		commit func(c *crime)
		spans  []reconcile.Span
		want   []string
	}{
		"hashed again before what is not read": {func(c *crime) {
			forged := rehash(c, 120, func(e *chain.Entry) { e.Actor = e.RequestID })
			mustExec(c.t, c.conn, "update book.entries set actor = request_id, entry_hash = $1 where seq = 120", hashOf(forged))
		}, []reconcile.Span{{From: 100, To: 121}}, []string{"CHAIN_BREAK@121"}},
		"the entry before is gone": {func(c *crime) { c.do("delete from book.entries where seq = 99") },
			[]reconcile.Span{{From: 100, To: 110}}, []string{"SEQ_GAP@99"}},
		"the entry behind is gone": {func(c *crime) { c.do("delete from book.entries where seq = 110") },
			[]reconcile.Span{{From: 100, To: 110}}, []string{"SEQ_GAP@110"}},
		"the last entry of the span is gone": {func(c *crime) { c.do("delete from book.entries where seq = 109") },
			[]reconcile.Span{{From: 100, To: 110}}, []string{"SEQ_GAP@109", "ORPHAN_ROW@109", "ORPHAN_ROW@109"}},
		"what is not read": {func(c *crime) { c.do("update book.entries set actor = request_id where seq = 50") },
			[]reconcile.Span{{From: 100, To: 110}, {From: 200, To: 300}}, []string{}},
		"an edit": {func(c *crime) { c.do("update book.entries set actor = request_id where seq = 105") },
			[]reconcile.Span{{From: 100, To: 110}, {From: 200, To: 300}}, []string{"ENTRY_HASH_MISMATCH@105"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := storetest.Database(t)
			scene := &crime{t: t, conn: connect(t, url), key: signingKey(t, "signer")}
			scene.b, scene.held = sealedBook(t, scene.key, 1)
			scene.b.write(t, scene.conn)
			scene.b.seal(t, scene.conn, scene.key, sealedSizes...)
			c.commit(scene)
			report := verifyWith(t, url, scene.b.ledger, reconcile.Options{Level: reconcile.LevelColumns, Spans: c.spans})
			if got := codes(report.Findings); !slices.Equal(got, c.want) {
				t.Errorf("found %v, want %v, %v", got, c.want, report.NotChecked)
			}
		})
	}
}

// A cut that is no longer there is found, whatever else is read.
func TestACutThatIsGoneIsFound(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		b := small()
		b.transfer("cash", "customers:1", 5) // 7
		cut := cutAt(b, 8)
		b.write(t, connect(t, url))
		for _, c := range []struct {
			at   reconcile.Cut
			want []string
		}{
			{reconcile.Cut{Size: 9, Head: cut.Head}, []string{"LOG_ROLLBACK@8"}},
			{reconcile.Cut{Size: 8, Head: chain.Hash{1}}, []string{"LOG_ROLLBACK@7"}},
			{reconcile.Cut{Size: 7, Head: b.leaves[6]}, []string{}},
		} {
			report := verifyWith(t, url, b.ledger, reconcile.Options{Level: reconcile.LevelColumns, At: &c.at, Spans: []reconcile.Span{{From: 0, To: 3}}})
			if got := codes(report.Findings); !slices.Equal(got, c.want) {
				t.Errorf("at %d: found %v, want %v", c.at.Size, got, c.want)
			}
		}
	})
}

// What was erased after the cut was there at the cut.
func TestAnErasureAfterTheCutIsNoFindingOfTheCut(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		b := sample()
		size := b.next
		b.erase(8, true)
		conn := connect(t, url)
		b.write(t, conn)
		mustExec(t, conn, "delete from ops.metadata_terms where seq = 8")
		for at, want := range map[int64]string{size: "[]", b.next: "[PAYLOAD_ERASED@8 PAYLOAD_ERASED@8 PAYLOAD_ERASED@8]"} {
			report := verifyWith(t, url, b.ledger, reconcile.Options{Level: reconcile.LevelColumns, At: cutAt(b, at)})
			if got := fmt.Sprint(codes(report.Findings)); got != want {
				t.Errorf("at %d: found %s, want %s", at, got, want)
			}
		}
	})
}

// A balance commitment is held against balances wherever they come from.
func TestASpanHoldsItsBalanceCommitments(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		conn := connect(t, url)
		dropOnce(t, conn)
		for _, c := range misstatements {
			b := smallNamed(c.name)
			for range 200 {
				b.transfer("cash", "customers:1", 1)
			}
			from := b.next
			c.make(b)
			b.write(t, conn)
			whole := verify(t, url, b.ledger)
			report := verifyWith(t, url, b.ledger, reconcile.Options{Level: reconcile.LevelColumns, Spans: []reconcile.Span{{From: from, To: b.next}}})
			if got, want := details(report.Findings), details(whole.Findings); got != want {
				t.Errorf("%s: found %s, want %s", c.name, got, want)
			}
		}
	})
}
