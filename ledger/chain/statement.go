package chain

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"tallystick/ledger/money"
)

const (
	// MaxStatementProof is the most bytes of a statement proof.
	MaxStatementProof = 256 << 20
	// statementFormat begins a statement proof, and names its version.
	statementFormat = "tallystick-statement-proof/1"
)

// What can be wrong with a statement proof beside its checkpoint and proofs.
var (
	// ErrStatement: the bytes are no statement proof.
	ErrStatement = errors.New("not a statement proof")
	// ErrStatementGap: postings of the account are missing, or do not follow from
	// each other.
	ErrStatementGap = errors.New("the statement has a gap")
)

// StatementProof proves what was booked on an account in an interval of booking
// dates, to everyone who knows the signer's key. A statement is complete because
// the postings of an account are numbered without gaps and booking dates never go
// back: the posting before the interval and the one after it close it off.
//
// As a file it is a JSON object: format, account, from, to, checkpoint, and
// entries with index, canonical (base64) and hashes (hexadecimal digits, as in
// the proofs of the API).
type StatementProof struct {
	Account    string // its code
	From, To   Date   // inclusive
	Checkpoint []byte // signed
	// Entries are the one that opened the account, and then, in order, those with
	// its postings: the last before From unless the account had none, all from
	// From to To, and the first after To if there is one.
	Entries []ProvedEntry
}

// ProvedEntry is an entry and the audit path to the root of a checkpoint.
type ProvedEntry struct {
	Index     int64 // its seq
	Canonical []byte
	Proof     []Hash
}

// The file.
type (
	statementWire struct {
		Format     string           `json:"format"`
		Account    string           `json:"account"`
		From       string           `json:"from"`
		To         string           `json:"to"`
		Checkpoint string           `json:"checkpoint"`
		Entries    []statementEntry `json:"entries"`
	}
	statementEntry struct {
		Index     int64    `json:"index"`
		Canonical string   `json:"canonical"`
		Hashes    []string `json:"hashes"`
	}
)

// Marshal returns the proof as a file.
func (p *StatementProof) Marshal() ([]byte, error) {
	w := statementWire{
		Format: statementFormat, Account: p.Account, From: p.From.String(), To: p.To.String(), Checkpoint: string(p.Checkpoint),
		Entries: make([]statementEntry, len(p.Entries)),
	}
	for i, e := range p.Entries {
		hashes := make([]string, len(e.Proof))
		for j, h := range e.Proof {
			hashes[j] = h.String()
		}
		w.Entries[i] = statementEntry{e.Index, base64.StdEncoding.EncodeToString(e.Canonical), hashes}
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", " ")
	if err := encoder.Encode(w); err != nil {
		return nil, fmt.Errorf("writing the statement proof of account %s: %w", p.Account, err)
	}
	return out.Bytes(), nil
}

// IsStatementProof reports whether data look like what Marshal returned.
func IsStatementProof(data []byte) bool {
	return bytes.HasPrefix(bytes.TrimSpace(data), []byte("{")) && bytes.Contains(data[:min(len(data), 1024)], []byte(`"`+statementFormat+`"`))
}

// ParseStatementProof reads what Marshal returned. It verifies nothing. The error
// is ErrStatement.
func ParseStatementProof(data []byte) (*StatementProof, error) {
	if len(data) > MaxStatementProof {
		return nil, fmt.Errorf("reading a statement proof of %d bytes, more than %d: %w", len(data), MaxStatementProof, ErrStatement)
	}
	var w statementWire
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&w); err != nil {
		return nil, fmt.Errorf("reading a statement proof: %w: %w", ErrStatement, err)
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, fmt.Errorf("reading a statement proof with something behind it: %w", ErrStatement)
	}
	if w.Format != statementFormat {
		return nil, fmt.Errorf("reading a statement proof of the format %q: %w", w.Format, ErrStatement)
	}
	p := &StatementProof{Account: w.Account, Checkpoint: []byte(w.Checkpoint), Entries: make([]ProvedEntry, len(w.Entries))}
	var fromErr, toErr error
	p.From, fromErr = ParseDate(w.From)
	p.To, toErr = ParseDate(w.To)
	if err := errors.Join(fromErr, toErr); err != nil || p.From > p.To {
		return nil, fmt.Errorf("reading a statement proof from %q to %q: %w", w.From, w.To, ErrStatement)
	}
	for i := range w.Entries {
		if err := p.Entries[i].read(&w.Entries[i]); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func (e *ProvedEntry) read(w *statementEntry) error {
	canonical, err := base64.StdEncoding.Strict().DecodeString(w.Canonical)
	if err != nil {
		return fmt.Errorf("reading entry %d of a statement proof: %w: %w", w.Index, ErrStatement, err)
	}
	e.Index, e.Canonical = w.Index, canonical
	for _, text := range w.Hashes {
		h, ok := ParseHash(text)
		if !ok {
			return fmt.Errorf("reading the hash %q of entry %d of a statement proof: %w", text, w.Index, ErrStatement)
		}
		e.Proof = append(e.Proof, h)
	}
	return nil
}

// ProvedStatement is what a statement proof proves.
type ProvedStatement struct {
	Checkpoint SignedCheckpoint
	Account    Account      // as it was opened
	Opening    money.Int128 // booked balance before the first line, debit-positive
	OpeningSeq int64        // account_seq of the last posting before; 0 when there is none
	Lines      []ProvedLine
	Closing    money.Int128 // after the last line
	// Complete: a posting after the interval, or a balance (see Until), shows that no
	// line is missing at the end. Otherwise only that none is missing up to the last line
	// is proved: a proof from which the last entries were taken away is one that ends
	// earlier, and nothing in it says so.
	Complete bool
}

// LastSeq is the account_seq of the last line, or of the last posting before the
// interval when there is none.
func (s *ProvedStatement) LastSeq() int64 { return s.OpeningSeq + int64(len(s.Lines)) }

// Until holds the end of a statement up to a date against the balance of its account at
// some size, which was verified with its commitment. known is among how many of the first
// entries no posting follows the last one, 0 when that is not known; with all that matter,
// the statement is Complete. The error is ErrStatementGap when one follows that the proof
// should have, and ErrProof when the balance is another account's.
func (s *ProvedStatement) Until(to Date, leaf *BalanceLeaf, commitment *Entry) (known int64, err error) {
	last := s.LastSeq()
	switch {
	case leaf.AccountID != s.Account.AccountID || !strings.HasSuffix(s.Checkpoint.Origin, "/"+leaf.LedgerID.String()):
		return 0, fmt.Errorf("the balance of account %s of ledger %s for a statement of account %s of %s: %w", leaf.AccountID, leaf.LedgerID, s.Account.AccountID, s.Checkpoint.Origin, ErrProof)
	case s.Complete || leaf.AccountSeq < last:
		return 0, nil
	case leaf.AccountSeq == last && leaf.Posted.Cmp(s.Closing) != 0:
		return 0, fmt.Errorf("the balance after posting %d of the account is not the one that entry %d commits to: %w", last, commitment.Seq, ErrStatementGap)
	case leaf.AccountSeq == last:
		s.Complete = leaf.Size >= s.Checkpoint.Size || commitment.Seq == leaf.Size && commitment.BookingDate > to
		return leaf.Size, nil
	case leaf.Size <= s.Checkpoint.Size:
		return 0, fmt.Errorf("the statement ends with posting %d of the account, and there are %d among the first %d entries, by the balance that entry %d commits to: %w", last, leaf.AccountSeq, leaf.Size, commitment.Seq, ErrStatementGap)
	}
	return 0, nil // it may have come after the checkpoint
}

// ProvedLine is an entry and its posting on the account.
type ProvedLine struct {
	Entry   *Entry
	Posting *Posting
}

// Verify returns what the proof proves. keys are those of the signer and of the
// witnesses that are known, as for Receipt.Verify; its errors, and ErrStatement
// and ErrStatementGap.
func (p *StatementProof) Verify(keys ...VerifierKey) (*ProvedStatement, error) {
	signed, err := OpenCheckpoint(p.Checkpoint, keys...)
	s := &ProvedStatement{Checkpoint: signed}
	if err != nil {
		return s, err
	}
	if !signed.SignedByLog() {
		return s, fmt.Errorf("reading the checkpoint of %s at size %d: no signature of its signer: %w", signed.Origin, signed.Size, ErrUnknownKey)
	}
	return s, s.follow(p)
}

// Follow is Verify without the signatures: it returns what the proof would prove if
// its checkpoint were signed by whom it should be. It is for who has just been
// given the proof, and knows no key.
func (p *StatementProof) Follow() (*ProvedStatement, error) {
	signed, err := OpenCheckpoint(p.Checkpoint)
	s := &ProvedStatement{Checkpoint: signed}
	if err != nil && !errors.Is(err, ErrUnknownKey) {
		return s, err
	}
	return s, s.follow(p)
}

// follow goes through the entries of a proof whose checkpoint was verified, or is
// taken as it stands.
func (s *ProvedStatement) follow(p *StatementProof) error {
	if len(p.Entries) == 0 {
		return fmt.Errorf("a statement proof without entries: %w", ErrStatement)
	}
	opened, err := p.Entries[0].verify(&s.Checkpoint)
	if err != nil {
		return err
	}
	if opened.Kind != AccountOpened || opened.Account.Code != p.Account {
		return fmt.Errorf("entry %d does not open account %s: %w", opened.Seq, p.Account, ErrStatement)
	}
	s.Account = *opened.Account
	last := opened
	for i := range p.Entries[1:] {
		e, err := p.Entries[1+i].verify(&s.Checkpoint)
		if err != nil {
			return err
		}
		if e.Seq <= last.Seq || e.BookingDate < last.BookingDate {
			return fmt.Errorf("entry %d after entry %d: %w", e.Seq, last.Seq, ErrStatement)
		}
		if err := s.add(p, e); err != nil {
			return err
		}
		last = e
	}
	return nil
}

// add takes the next entry with a posting on the account.
func (s *ProvedStatement) add(p *StatementProof, e *Entry) error {
	line := ProvedLine{Entry: e}
	for i := range e.Postings {
		if e.Postings[i].AccountID == s.Account.AccountID {
			if line.Posting != nil {
				return fmt.Errorf("entry %d has two postings on account %s: %w", e.Seq, p.Account, ErrStatement)
			}
			line.Posting = &e.Postings[i]
		}
	}
	if line.Posting == nil {
		return fmt.Errorf("entry %d has no posting on account %s: %w", e.Seq, p.Account, ErrStatement)
	}
	if s.Complete {
		return fmt.Errorf("entry %d is a second one after %s: %w", e.Seq, p.To, ErrStatement)
	}
	seq, balance := s.LastSeq(), s.Closing
	if e.BookingDate < p.From && seq == 0 && line.Posting.AccountSeq > 1 {
		s.OpeningSeq, s.Opening, s.Closing = line.Posting.AccountSeq, line.Posting.Posted, line.Posting.Posted
		return nil
	}
	if err := line.Posting.follows(seq, balance); err != nil {
		return fmt.Errorf("entry %d: %w", e.Seq, err)
	}
	switch {
	case e.BookingDate < p.From:
		s.OpeningSeq, s.Opening, s.Closing = line.Posting.AccountSeq, line.Posting.Posted, line.Posting.Posted
	case e.BookingDate > p.To:
		s.Complete = true
	default:
		s.Lines, s.Closing = append(s.Lines, line), line.Posting.Posted
	}
	return nil
}

// follows reports whether a posting is the one after the posting with that
// account_seq and balance.
func (p *Posting) follows(seq int64, balance money.Int128) error {
	if p.AccountSeq != seq+1 {
		return fmt.Errorf("posting %d of the account after posting %d: %w", p.AccountSeq, seq, ErrStatementGap)
	}
	after, ok := balance.Add(p.Amount)
	if p.Direction == Credit {
		after, ok = balance.Sub(p.Amount)
	}
	if !ok || after.Cmp(p.Posted) != 0 {
		return fmt.Errorf("posting %d of the account does not follow from the balance before: %w", p.AccountSeq, ErrStatementGap)
	}
	return nil
}

// verify returns the entry when it stands in the ledger of a checkpoint.
func (e *ProvedEntry) verify(under *SignedCheckpoint) (*Entry, error) {
	entry, err := Decode(e.Canonical)
	if err != nil {
		return nil, fmt.Errorf("reading entry %d: %w", e.Index, err)
	}
	if entry.Seq != e.Index {
		return nil, fmt.Errorf("entry %d at leaf %d: %w", entry.Seq, e.Index, ErrProof)
	}
	if !strings.HasSuffix(under.Origin, "/"+entry.LedgerID.String()) {
		return nil, fmt.Errorf("entry %d is of ledger %s, the checkpoint of %s: %w", e.Index, entry.LedgerID, under.Origin, ErrProof)
	}
	return &entry, VerifyInclusion(e.Index, under.Size, HashCanonical(e.Canonical), e.Proof, under.Root)
}
