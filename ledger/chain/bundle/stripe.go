package bundle

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/google/uuid"

	"tallystick/ledger/chain"
	"tallystick/ledger/money"
)

// reportEvery is after how many entries a worker reports progress and looks
// whether it is still wanted.
const reportEvery = 4096

// maxErasures is how many erasures, and how many missing texts, a stripe
// remembers until all erasures are known.
const maxErasures = 1 << 20

// edge is the first or the last entry of a stripe.
type edge struct {
	seq        int64
	hash, prev chain.Hash
	recordedAt int64
	booking    chain.Date
	request    uuid.UUID
	known      bool // there is such an entry, and its header could be read
}

// stripe is a run of members of entries that one worker reads.
type stripe struct {
	v           *verification
	begin, end  int // members begin ≤ i < end
	accounts    *accounts
	atCut       *accounts // as they were at the size of the commitment, if that is in the stripe
	first, last edge
	trees       []subtree
	findings    findings

	entries, postings, texts int64
	commitments              int64 // balance_commitment entries
	newest                   int64 // the last of them, 0 without one
	keys                     []keyChange
	erased                   []int64
	missing                  []missing
	terms                    *chain.LedgerTerms

	record record
	leaves *leafReader
	text   *textReader
	atSeq  int64 // the place of the next entry
	number int64 // what it must say; more than its place where entries are missing

	nextWanted int64 // the next size of a checkpoint
}

// subtree is the tree over a member, and over its beginning at the sizes of
// checkpoints that lie in it.
type subtree struct {
	tree    chain.Frontier
	partial map[int64]chain.Frontier // by size of the ledger
}

// keyChange is a key_changed entry.
type keyChange struct {
	seq                           int64
	action, role, keyID, verifier string
}

// missing is a text that an entry commits to and that is not in the bundle.
type missing struct {
	seq     int64
	field   int
	request uuid.UUID
}

// maxKeyChanges is how many key_changed entries are kept.
const maxKeyChanges = 10_000

// run reads all members of the stripe.
func (s *stripe) run(ctx context.Context) error {
	s.leaves = newLeafReader(nil)
	for i := s.begin; i < s.end; i++ {
		s.atSeq = int64(i) * EntriesPerMember
		s.number, s.nextWanted = s.atSeq, s.v.wantedAfter(s.atSeq)
		if err := s.readMember(ctx, i); err != nil {
			return err
		}
	}
	return nil
}

// readMember reads one member of entries, and its texts beside it. Its error is
// that of ctx; all else is a finding or a reason.
func (s *stripe) readMember(ctx context.Context, i int) error {
	want := entriesIn(i, s.v.manifest.Size)
	t := subtree{partial: make(map[int64]chain.Frontier)}
	defer func() { s.trees = append(s.trees, t) }()
	r, ok := s.v.archive.open(entriesPath(i))
	listed := s.v.manifest.find(entriesPath(i))
	if !ok || listed == nil {
		s.unlisted(entriesPath(i))
		return nil
	}
	s.text = s.v.openTexts(i, &s.findings)
	s.leaves.reset(r)
	for n := int64(0); ; n++ {
		leaf, err := s.leaves.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			s.unreadable(entriesPath(i), err)
			break
		}
		s.entry(leaf, &t)
		if n%reportEvery == reportEvery-1 {
			if err := ctx.Err(); err != nil {
				return err
			}
			s.v.advance(reportEvery)
		}
	}
	s.v.advance(t.tree.Size() % reportEvery)
	if s.text != nil {
		s.text.finish(&s.findings)
	}
	s.holdMember(listed, &t, want, r.Size())
	return nil
}

// unlisted reports a member of entries that is not there, or not listed.
func (s *stripe) unlisted(path string) {
	s.findings.add(finding{code: ManifestMismatch, seq: s.atSeq, column: path, stored: "not in the bundle and its manifest both"})
}

// unreadable tells what is no list of leaves from what could not be read.
func (s *stripe) unreadable(path string, err error) {
	if errors.Is(err, errLeaves) {
		s.findings.add(finding{code: ManifestMismatch, seq: s.atSeq, column: path, stored: err.Error()})
		return
	}
	s.findings.notChecked(s.atSeq, err.Error())
}

// holdMember holds what was read against what the manifest says of it.
func (s *stripe) holdMember(listed *Member, t *subtree, want, size int64) {
	f := finding{code: ManifestMismatch, seq: s.atSeq - t.tree.Size(), column: listed.Path}
	if !listed.Tree || listed.Count != want {
		f.stored, f.recomputed = fmt.Sprintf("listed with %d entries", listed.Count), fmt.Sprintf("%d belong there", want)
		s.findings.add(f)
		return
	}
	if root := t.tree.Root(); listed.Digest != root || listed.Bytes != size || listed.Count != t.tree.Size() {
		f.stored = fmt.Sprintf("%d entries, %d bytes, root %s", listed.Count, listed.Bytes, listed.Digest)
		f.recomputed = fmt.Sprintf("%d entries, %d bytes, root %s", t.tree.Size(), size, root)
		s.findings.add(f)
	}
}

// entry checks one entry. leaf is what its hash is over.
func (s *stripe) entry(leaf []byte, t *subtree) {
	if s.atSeq == s.v.cut && s.atCut == nil {
		s.atCut = s.accounts.clone()
	}
	hash := chain.LeafHash(leaf)
	t.tree.Append(hash)
	r := &s.record
	err := r.read(leaf[1:])
	at := edge{seq: s.number, hash: hash}
	s.number++
	s.entries++
	if r.seq >= 0 {
		at.prev, at.recordedAt, at.booking, at.known = r.prev, r.recordedAt, r.booking, true
		at.request = uuid.UUID(leaf[1+atRequest:])
		s.header(&at)
	}
	s.atSeq++
	if s.atSeq == s.nextWanted {
		s.nextWanted = s.v.wantedAfter(s.atSeq)
		t.partial[s.atSeq] = t.tree.Clone()
	}
	switch {
	case err == nil:
	case unknown(err):
		s.findings.notChecked(at.seq, withoutSeq(err))
	default:
		s.findings.add(finding{code: EntryMalformed, seq: at.seq, request: at.request, stored: strings.TrimSuffix(withoutSeq(err), ": "+errMalformed.Error())})
	}
	if r.whole(err) {
		s.contents(r, &at)
	} else if s.text != nil {
		s.text.skip(at.seq, &s.findings)
	}
	if s.last = at; s.entries == 1 {
		s.first = at
	}
}

// withoutSeq takes the beginning off an error of chain.Decode, which names the
// entry once more.
func withoutSeq(err error) string {
	text := strings.TrimPrefix(err.Error(), "decoding an entry: ")
	if rest, ok := strings.CutPrefix(text, "checking entry "); ok {
		_, text, _ = strings.Cut(rest, ": ")
	}
	return text
}

// header holds an entry against where it stands and the one before it.
func (s *stripe) header(at *edge) {
	r := &s.record
	if r.ledger != s.v.manifest.Ledger {
		s.findings.add(finding{code: LedgerIDMismatch, seq: at.seq, request: at.request, column: "ledger_id",
			stored: r.ledger.String(), recomputed: s.v.manifest.Ledger.String()})
		if at.seq == 0 { // which of the two is the odd one, the others say
			s.findings.add(finding{code: ManifestMismatch, seq: noSeq, column: manifestPath,
				stored: "ledger " + s.v.manifest.Ledger.String(), recomputed: r.ledger.String() + ", by entry 0"})
		}
	}
	if r.seq != at.seq {
		s.findings.add(finding{code: SeqGap, seq: at.seq, request: at.request, column: "seq", stored: fmt.Sprint(r.seq), recomputed: fmt.Sprint(at.seq)})
		if at.seq < r.seq && r.seq < s.v.manifest.Size {
			at.seq, s.number = r.seq, r.seq+1 // one finding for all that are missing
		}
	}
	if s.entries > 1 || s.begin == 0 {
		follows(&s.last, at, &s.findings)
	}
}

// follows holds an entry against the one before it; the first of a ledger
// against what a ledger begins with.
func follows(before, at *edge, f *findings) {
	if !at.known {
		return
	}
	if at.prev != before.hash {
		f.add(finding{code: ChainBreak, seq: at.seq, request: at.request, column: "prev_hash", stored: at.prev.String(), recomputed: before.hash.String()})
	}
	if !before.known {
		return
	}
	if at.recordedAt < before.recordedAt {
		f.add(finding{code: TimeRegression, seq: at.seq, request: at.request, column: "recorded_at",
			stored: showMicros(at.recordedAt), recomputed: "not before " + showMicros(before.recordedAt)})
	}
	if at.booking < before.booking {
		f.add(finding{code: TimeRegression, seq: at.seq, request: at.request, column: "booking_date",
			stored: at.booking.String(), recomputed: "not before " + before.booking.String()})
	}
}

// contents checks what the entry says.
func (s *stripe) contents(r *record, at *edge) {
	if len(r.postings) > 0 {
		checkAmounts(r, at, &s.findings)
		checkBalanced(r.postings, at, &s.findings)
		for i := range r.postings {
			s.accounts.post(&r.postings[i], at.seq, &at.request, &s.findings)
		}
		s.postings += int64(len(r.postings))
	} else {
		s.rare(&r.entry, at)
	}
	if s.text != nil {
		s.texts += s.text.check(r, at, s)
	}
}

// rare takes the kinds without postings.
func (s *stripe) rare(e *chain.Entry, at *edge) {
	switch e.Kind {
	case chain.LedgerOpened:
		s.terms = e.Ledger
		if e.Ledger.Origin != s.v.manifest.Origin {
			s.findings.add(finding{code: OriginMismatch, seq: at.seq, column: "origin", stored: s.v.manifest.Origin, recomputed: e.Ledger.Origin})
		}
	case chain.AccountOpened:
		s.accounts.open(e, &s.findings)
	case chain.Erasure:
		if len(s.erased) == maxErasures {
			s.findings.notChecked(at.seq, fmt.Sprintf("there are more than %d erasures", maxErasures))
			return
		}
		s.erased = append(s.erased, *e.RefSeq)
	case chain.BalanceCommitment:
		s.commitments++
		s.newest = at.seq
		s.v.commit(e)
	case chain.KeyChanged:
		if len(s.keys) < maxKeyChanges {
			k := keyChange{seq: at.seq}
			k.action, _ = e.Detail("action")
			k.role, _ = e.Detail("role")
			k.keyID, _ = e.Detail("key_id")
			k.verifier, _ = e.Detail("public_key")
			s.keys = append(s.keys, k)
		}
	}
}

// checkAmounts holds the postings against the table of FORMAT.md, section 6, and
// looks for an account that stands in the entry twice.
func checkAmounts(r *record, at *edge, f *findings) {
	for i := range r.postings {
		p := &r.postings[i]
		amount, pending := p.Amount.Sign(), p.PendingChange.Sign()
		var ok bool
		switch r.kind {
		case chain.Hold:
			ok = amount == 0 && pending > 0
		case chain.Release:
			ok = amount == 0 && pending < 0
		case chain.Capture:
			ok = amount >= 0 && pending < 0
		default:
			ok = amount > 0 && pending == 0
		}
		if !ok {
			f.add(finding{code: EntryMalformed, seq: at.seq, request: at.request, stored: fmt.Sprintf("posting %d of a %s: amount %s, pending_change %s",
				i, r.kind, p.Amount.Format(p.Scale), p.PendingChange.Format(p.Scale))})
		}
		for j := range i {
			if r.postings[j].AccountID == p.AccountID {
				f.add(finding{code: EntryMalformed, seq: at.seq, request: at.request, account: p.AccountID,
					stored: fmt.Sprintf("the account stands in postings %d and %d", j, i)})
			}
		}
	}
}

// checkBalanced holds I1: for each currency, debits equal credits, booked and
// pending.
func checkBalanced(postings []chain.Posting, at *edge, f *findings) {
	if len(postings) == 2 && mirrored(&postings[0], &postings[1]) {
		return
	}
	type sums struct{ amount, pending [3]money.Int128 } // indexed by direction
	totals := make(map[currency]*sums)
	var order []currency
	for i := range postings {
		p := &postings[i]
		c := currency{p.Currency, p.Scale}
		t := totals[c]
		if t == nil {
			t = new(sums)
			totals[c] = t
			order = append(order, c)
		}
		var fits [2]bool
		t.amount[p.Direction], fits[0] = t.amount[p.Direction].Add(p.Amount)
		t.pending[p.Direction], fits[1] = t.pending[p.Direction].Add(p.PendingChange)
		if !fits[0] || !fits[1] {
			f.add(finding{code: UnbalancedEntry, seq: at.seq, request: at.request, stored: "sums beyond 128 bits"})
			return
		}
	}
	for _, c := range order {
		for _, of := range []struct {
			column string
			sum    [3]money.Int128
		}{{"amount", totals[c].amount}, {"pending_change", totals[c].pending}} {
			if of.sum[chain.Debit] != of.sum[chain.Credit] {
				f.add(finding{code: UnbalancedEntry, seq: at.seq, request: at.request,
					stored:     fmt.Sprintf("%s: debits %s %s", of.column, of.sum[chain.Debit].Format(c.scale), c.code),
					recomputed: fmt.Sprintf("%s: credits %s %s", of.column, of.sum[chain.Credit].Format(c.scale), c.code)})
			}
		}
	}
}

// mirrored reports whether two postings balance each other.
func mirrored(a, b *chain.Posting) bool {
	return a.Direction != b.Direction && a.Amount == b.Amount && a.PendingChange == b.PendingChange &&
		a.Currency == b.Currency && a.Scale == b.Scale
}

// lack remembers a text that is not there until all erasures are known.
func (s *stripe) lack(seq int64, field int, request uuid.UUID) {
	if len(s.missing) == maxErasures {
		s.findings.notChecked(seq, fmt.Sprintf("more than %d texts are not in the bundle", maxErasures))
		return
	}
	s.missing = append(s.missing, missing{seq, field, request})
}

// settle reports the texts that are missing, given all erasures.
func (s *stripe) settle(erased []int64) {
	for _, m := range s.missing {
		code := PayloadMissing
		if _, found := slices.BinarySearch(erased, m.seq); found {
			code = PayloadErased
		}
		s.findings.add(finding{code: code, seq: m.seq, request: m.request, column: fields[m.field].name})
	}
}
