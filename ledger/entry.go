package ledger

import (
	"time"

	"github.com/google/uuid"

	"tallystick/ledger/chain"
	"tallystick/ledger/money"
)

// Entry is a fact: something that was accepted. It has no setters; what it says
// is what its hash covers, and the text that the hash commits to.
type Entry struct {
	record   chain.Entry
	hash     chain.Hash
	text     Text
	accounts []PostingAccount
}

// Text is the erasable part of an entry. Salt and Fingerprint are empty after
// an erasure.
type Text struct {
	// Erased says that the text is gone and that an erasure is on record. It is
	// set where entries are read for clients.
	Erased      bool
	Salt        []byte
	Fingerprint []byte
	Description *string
	Reference   *string
	Metadata    *string
}

// PostingAccount is what a reader needs of the account that a posting touched,
// as of the entry.
type PostingAccount struct {
	Code       string
	Type       chain.AccountType
	MinBalance *money.Int128
}

// Restore makes an Entry of stored columns. accounts holds one element per
// posting, in the same order. It does not check anything; see Entry.Intact.
func Restore(record chain.Entry, hash chain.Hash, text Text, accounts []PostingAccount) Entry {
	return Entry{record: record, hash: hash, text: text, accounts: accounts}
}

// Record returns everything that the hash covers.
func (e *Entry) Record() chain.Entry { return e.record }

// Hash returns the stored hash.
func (e *Entry) Hash() chain.Hash { return e.hash }

// Text returns the erasable part.
func (e *Entry) Text() Text { return e.text }

// Accounts returns one element per posting, in the order of Record().Postings.
func (e *Entry) Accounts() []PostingAccount { return e.accounts }

// Seq returns the entry's number in its ledger.
func (e *Entry) Seq() int64 { return e.record.Seq }

// RequestID returns the id of the request that became this entry.
func (e *Entry) RequestID() RequestID { return RequestID{e.record.RequestID} }

// RecordedAt returns when the entry was accepted, cut to microseconds.
func (e *Entry) RecordedAt() time.Time { return time.UnixMicro(e.record.RecordedAt).UTC() }

// OnExpiry reports whether e released a hold because it had expired: then nobody
// asked for it.
func (e *Entry) OnExpiry() bool { return e.record.Kind == chain.Release && e.record.Actor == uuid.Nil }
