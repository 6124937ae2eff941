package ledger

import "tallystick/ledger/chain"

// EraseText asks to put on record that the free text of an entry is erased:
// description, reference and metadata, with the salt that its commitments were
// made under. The text itself stands outside the book and is deleted afterwards,
// by a role that can do nothing else (store.EraseTexts). Text that was erased
// before makes no entry.
//
// The text of an entry that opens or changes an account is the account's name.
type EraseText struct {
	Common
	Target RequestID // of the entry whose text is erased
	Basis  string    // why: a word of chain's syntax, such as gdpr_17
	Case   *string   // the number of the case, at most MaxErasureCase bytes; no personal data
}

// MaxErasureCase is the longest number of a case, in bytes.
const MaxErasureCase = 255

func (*EraseText) operation() string                     { return OperationErase }
func (*EraseText) accountCodes(dst []string) []string    { return dst }
func (r *EraseText) targets(dst []RequestID) []RequestID { return append(dst, r.Target) }
func (r *EraseText) weight() int                         { return targetWeight }
func (r *EraseText) fingerprintTo(b []byte) []byte {
	return appendOptional(appendText(append(b, r.Target.UUID[:]...), r.Basis), r.Case)
}

// apply erases the text of an entry that commits to some.
func (r *EraseText) apply(o *overlay) (*draft, *Refusal) {
	t := o.target(r.Target)
	switch {
	case t == nil:
		return nil, refusal(CodeEntryNotFound, "nothing stands under the id %s in this ledger", r.Target)
	case !t.Entry.Intact():
		return nil, damagedTransfer(r.Target)
	case t.Erased:
		return nil, nil
	case !t.Entry.hasText():
		return nil, refusal(CodeNothingToErase, "entry %d has no description, reference or metadata", t.Entry.Seq())
	}
	seq := t.Entry.Seq()
	details := []chain.Detail{{Name: "basis", Value: r.Basis}}
	if r.Case != nil {
		details = append(details, chain.Detail{Name: "case", Value: *r.Case})
	}
	return &draft{kind: chain.Erasure, effective: o.bookingDate, refSeq: &seq, details: details}, nil
}

// hasText reports whether the entry commits to text, erased or not.
func (e *Entry) hasText() bool {
	r := &e.record
	return r.Description != nil || r.Reference != nil || r.Metadata != nil
}

// eraseName takes the name from the accounts that have it from the entry at seq:
// the next change of an account must not write it again.
func (o *overlay) eraseName(seq int64) {
	for id, a := range o.accounts {
		if a.VersionSeq == seq {
			o.noteForUndo(id)
			a.eraseName()
		}
	}
	for _, below := range o.book.accounts.setBy(seq) {
		o.changed(below.AccountID, below.Code).eraseNameOf(seq)
	}
}

func (a *Account) eraseName() {
	a.NameErased = a.NameErased || a.Name != nil
	a.Name = nil
}

// eraseNameOf does that if the name is still the one from the entry at seq.
func (a *Account) eraseNameOf(seq int64) {
	if a.VersionSeq == seq {
		a.eraseName()
	}
}

// setBy returns the cached accounts whose attributes the entry at seq set: one,
// or none.
func (c *accountCache) setBy(seq int64) []*Account {
	var found []*Account
	for e := c.recent.Front(); e != nil; e = e.Next() {
		if a := e.Value.(*Account); a.VersionSeq == seq {
			found = append(found, a)
		}
	}
	return found
}
