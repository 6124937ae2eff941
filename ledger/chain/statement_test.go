package chain_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"tallystick/ledger/chain"
)

// statementDays are the booking dates of the postings 1, 2, … of the account of a
// statement, whose entries are 2, 3, …
var statementDays = []chain.Date{100, 100, 101, 102, 102, 105}

// statementLog is a log of an account with a posting of 1.00 on each of those
// days, and its signer.
type statementLog struct {
	entries []chain.Entry
	hashes  []chain.Hash
	note    []byte
	key     chain.VerifierKey
}

func newStatementLog(t *testing.T) *statementLog {
	t.Helper()
	l := &statementLog{}
	l.add(with(entryOf(chain.LedgerOpened, 0), func(e *chain.Entry) { e.Ledger, e.BookingDate = sampleTerms(), 99 }))
	l.add(with(entryOf(chain.AccountOpened, 1), func(e *chain.Entry) { e.Account, e.BookingDate = sampleAccount(), 99 }))
	for i, day := range statementDays {
		l.add(with(entryOf(chain.Transfer, int64(2+i)), func(e *chain.Entry) {
			e.BookingDate = day
			mine := chain.Posting{
				AccountID: sampleAccount().AccountID, Direction: chain.Debit, Currency: "EUR", Scale: 2, Amount: units(100),
				AccountSeq: int64(1 + i), Posted: units(int64(100 * (1 + i))),
			}
			if i == 3 { // paid back
				mine.Direction, mine.Posted = chain.Credit, units(200)
			}
			if i > 3 {
				mine.Posted = units(int64(100 * (i - 1)))
			}
			e.Postings = []chain.Posting{mine, {AccountID: id(11), Direction: chain.Credit, Currency: "EUR", Scale: 2, Amount: units(100), AccountSeq: 1}}
		}))
	}
	signer, err := chain.NewSigningKey(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	origin := "ledger.example/" + l.entries[0].LedgerID.String()
	if l.note, err = signer.Sign(chain.Checkpoint{Origin: origin, Size: int64(len(l.hashes)), Root: chain.RootOf(l.hashes)}); err != nil {
		t.Fatal(err)
	}
	text, err := signer.VerifierKey(origin)
	if err != nil {
		t.Fatal(err)
	}
	if l.key, err = chain.ParseLogKey(text); err != nil {
		t.Fatal(err)
	}
	return l
}

func (l *statementLog) add(e chain.Entry) {
	l.entries, l.hashes = append(l.entries, e), append(l.hashes, e.Hash())
}

func (l *statementLog) read(_ int, first, count int64) ([]chain.Hash, error) {
	return l.hashes[first : first+count], nil
}

// prove returns the proof of the entries at seqs.
func (l *statementLog) prove(t *testing.T, from, to chain.Date, seqs ...int64) *chain.StatementProof {
	t.Helper()
	p := &chain.StatementProof{Account: sampleAccount().Code, From: from, To: to, Checkpoint: l.note}
	for _, seq := range seqs {
		path, err := chain.ProveInclusion(seq, int64(len(l.hashes)), l.read)
		if err != nil {
			t.Fatal(err)
		}
		p.Entries = append(p.Entries, chain.ProvedEntry{Index: seq, Canonical: l.entries[seq].AppendCanonical(nil), Proof: path})
	}
	return p
}

func TestAStatementIsProvedFromItsFile(t *testing.T) {
	t.Parallel()
	l := newStatementLog(t)
	for _, c := range []struct {
		name             string
		from, to         chain.Date
		seqs             []int64
		opening, closing int64
		lines            int
		complete         bool
	}{
		{"in the middle", 101, 102, []int64{1, 3, 4, 5, 6, 7}, 200, 300, 3, true},
		{"from the first posting on", 1, 100, []int64{1, 2, 3, 4}, 0, 200, 2, true},
		{"after the opening of the account and before its first posting", 1, 50, []int64{1, 2}, 0, 0, 0, true},
		{"a day without", 103, 104, []int64{1, 6, 7}, 300, 300, 0, true},
		{"up to now", 105, 200, []int64{1, 6, 7}, 300, 400, 1, false},
		{"after the last one", 106, 200, []int64{1, 7}, 400, 400, 0, false},
		{"no posting yet", 1, 50, []int64{1}, 0, 0, 0, false},
		{"more than one before", 103, 104, []int64{1, 5, 6, 7}, 300, 300, 0, true},
	} {
		text, err := l.prove(t, c.from, c.to, c.seqs...).Marshal()
		if err != nil {
			t.Fatal(err)
		}
		if !chain.IsStatementProof(text) {
			t.Errorf("%s: not recognised: %.100s", c.name, text)
		}
		p, err := chain.ParseStatementProof(text)
		if err != nil {
			t.Fatal(err)
		}
		s, err := p.Verify(l.key)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if s.Opening != units(c.opening) || s.Closing != units(c.closing) || len(s.Lines) != c.lines || s.Complete != c.complete {
			t.Errorf("%s: %s to %s in %d lines, complete: %t", c.name, s.Opening, s.Closing, len(s.Lines), s.Complete)
		}
	}
}

// A proof without its last entries is one that ends earlier. A balance of the account
// shows which it is.
func TestABalanceShowsTheEndOfAStatement(t *testing.T) {
	t.Parallel()
	l := newStatementLog(t)
	leaf := func(size, seq, posted int64) *chain.BalanceLeaf {
		return &chain.BalanceLeaf{LedgerID: l.entries[0].LedgerID, AccountID: sampleAccount().AccountID, Size: size, AccountSeq: seq, Posted: units(posted)}
	}
	open, cut := []int64{1, 6, 7}, []int64{1, 6} // from the day 105 on; without its only line
	for _, c := range []struct {
		name      string
		to        chain.Date
		seqs      []int64
		leaf      *chain.BalanceLeaf
		seq       int64 // of the commitment
		committed chain.Date
		known     int64
		complete  bool
		err       error
	}{
		{"all entries", 200, open, leaf(8, 6, 400), 9, 106, 8, true, nil},
		{"more than all", 200, open, leaf(20, 6, 400), 20, 106, 20, true, nil},
		{"more, and the account went on", 200, open, leaf(20, 7, 500), 20, 106, 0, false, nil},
		{"an older balance", 200, open, leaf(7, 5, 300), 9, 106, 0, false, nil},
		{"the last line taken away", 200, cut, leaf(8, 6, 400), 9, 106, 0, false, chain.ErrStatementGap},
		{"the last line taken away, and a later balance", 200, cut, leaf(9, 6, 400), 9, 106, 0, false, nil},
		{"not all entries", 200, cut, leaf(7, 5, 300), 9, 106, 7, false, nil},
		{"all that were booked by then", 104, cut, leaf(7, 5, 300), 7, 105, 7, true, nil},
		{"some may have come before the commitment", 104, cut, leaf(7, 5, 300), 9, 105, 7, false, nil},
		{"the day is not over", 105, cut, leaf(7, 5, 300), 7, 105, 7, false, nil},
		{"another balance", 200, open, leaf(8, 6, 401), 9, 106, 0, false, chain.ErrStatementGap},
		{"another account", 200, open, &chain.BalanceLeaf{LedgerID: l.entries[0].LedgerID, AccountID: id(11), Size: 8, AccountSeq: 6}, 9, 106, 0, false, chain.ErrProof},
		{"another ledger", 200, open, &chain.BalanceLeaf{LedgerID: id(11), AccountID: sampleAccount().AccountID, Size: 8, AccountSeq: 6}, 9, 106, 0, false, chain.ErrProof},
		{"an end that the statement shows", 104, open, leaf(7, 5, 300), 9, 106, 0, true, nil},
	} {
		s, err := l.prove(t, 104, c.to, c.seqs...).Verify(l.key)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		known, err := s.Until(c.to, c.leaf, &chain.Entry{Seq: c.seq, BookingDate: c.committed})
		if !errors.Is(err, c.err) || known != c.known || s.Complete != c.complete {
			t.Errorf("%s: known among %d, complete: %t, %v", c.name, known, s.Complete, err)
		}
	}
}

func TestAStatementThatIsNotProvedIsRefused(t *testing.T) {
	t.Parallel()
	l := newStatementLog(t)
	whole := func() *chain.StatementProof { return l.prove(t, 101, 102, 1, 3, 4, 5, 6, 7) }
	stranger, err := chain.NewSigningKey(bytes.Repeat([]byte{8}, 32))
	if err != nil {
		t.Fatal(err)
	}
	text, err := stranger.VerifierKey(l.key.Name())
	if err != nil {
		t.Fatal(err)
	}
	other, err := chain.ParseLogKey(text)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := whole().Verify(other); !errors.Is(err, chain.ErrUnknownKey) {
		t.Errorf("another key: %v", err)
	}
	if _, err := whole().Verify(); !errors.Is(err, chain.ErrUnknownKey) {
		t.Errorf("no key: %v", err)
	}
	for _, c := range []struct {
		name string
		p    *chain.StatementProof
		do   func(p *chain.StatementProof)
		want error
	}{
		{"a line left out", l.prove(t, 101, 102, 1, 3, 4, 6, 7), nil, chain.ErrStatementGap},
		{"the posting before left out", l.prove(t, 101, 102, 1, 4, 5, 6, 7), nil, chain.ErrStatementGap},
		{"the first line left out", l.prove(t, 101, 102, 1, 3, 5, 6, 7), nil, chain.ErrStatementGap},
		{"the last line left out", l.prove(t, 101, 102, 1, 3, 4, 5, 7), nil, chain.ErrStatementGap},
		{"a line twice", l.prove(t, 101, 102, 1, 3, 4, 4, 5, 6, 7), nil, chain.ErrStatement},
		{"lines in another order", l.prove(t, 101, 102, 1, 3, 4, 6, 5, 7), nil, chain.ErrStatementGap},
		{"no entries", l.prove(t, 101, 102), nil, chain.ErrStatement},
		{"the account is never opened", l.prove(t, 101, 102, 3, 4, 5, 6, 7), nil, chain.ErrStatement},
		{"an entry of no account", l.prove(t, 101, 102, 1, 3, 0), nil, chain.ErrStatement},
		{"two after the interval", l.prove(t, 101, 101, 1, 3, 4, 5, 6), nil, chain.ErrStatement},
		{"another account", whole(), func(p *chain.StatementProof) { p.Account = "bank" }, chain.ErrStatement},
		{"an entry changed", whole(), func(p *chain.StatementProof) { p.Entries[2].Canonical[60] ^= 1 }, chain.ErrProof},
		{"a hash changed", whole(), func(p *chain.StatementProof) { p.Entries[2].Proof[0][0] ^= 1 }, chain.ErrProof},
		{"another place", whole(), func(p *chain.StatementProof) { p.Entries[2].Index++ }, chain.ErrProof},
		{"the checkpoint changed", whole(), func(p *chain.StatementProof) {
			p.Checkpoint = bytes.Replace(p.Checkpoint, []byte("\n8\n"), []byte("\n9\n"), 1)
		}, chain.ErrSignature},
	} {
		if c.do != nil {
			c.do(c.p)
		}
		if _, err := c.p.Verify(l.key); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

func TestWhatIsNoStatementProofIsNotRead(t *testing.T) {
	t.Parallel()
	text, err := newStatementLog(t).prove(t, 101, 102, 1, 3).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	for _, change := range [][2]string{
		{`"from": "`, `"from": "x`}, {`"to": "1970-04-13"`, `"to": "1970-01-13"`}, {`-proof/1`, `-proof/2`}, {`"index"`, `"seq"`},
		{`"canonical": "`, `"canonical": "*`}, {`"hashes": [`, `"hashes": ["zz",`}, {"}\n", "}\n{}"}, {"{", ""},
	} {
		changed := strings.Replace(string(text), change[0], change[1], 1)
		if changed == string(text) {
			t.Fatalf("%q is not in %s", change[0], text)
		}
		if change[0] == "}\n" {
			changed = string(text) + "{}"
		}
		if _, err := chain.ParseStatementProof([]byte(changed)); !errors.Is(err, chain.ErrStatement) {
			t.Errorf("%q for %q: %v", change[1], change[0], err)
		}
	}
}
