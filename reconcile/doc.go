// Package reconcile is the audit: it re-derives what a ledger says from what
// its tables hold, and reports everything that does not agree.
//
// It shares no code with what it audits. It knows the format of entries
// (ledger/chain), exact amounts (ledger/money) and how to read rows
// (store.Snapshot), and nothing of the rules by which entries came to be
// (ledger): those it states again, in its own words, from FORMAT.md. All it
// knows about wrongs is the table in checks.go.
//
// # Verify
//
//	            size N, head ──────────────────────────────────────────────┐
//	                                                                       │
//	stripe 0            stripe 1                stripe w                   │
//	┌────┬────┬────┐    ┌────┬────┬────┐        ┌────┬────┬────┐           │
//	│ segment of   │ ~~ │              │ ~ … ~  │              │ ~~ join ~~┤
//	│ 8192 entries │    │              │        │              │           │
//	└────┴────┴────┘    └────┴────┴────┘        └────┴────┴────┘           │
//	  each: entries, postings, versions, details, payloads by range scan;  │
//	  merged by seq in Go; every entry encoded and hashed again;           │
//	  every posting held against its account's previous one                │
//	                                                                       ▼
//	accounts, a page at a time: newest postings add up (I2, I9) ─▶ findings ─▶ Report
//
// The first pass walks through the entries in order of seq, on as many stripes
// as there are workers, with range scans in primary-key order and no joins. A
// worker looks at an entry alone (does it re-hash from its columns, does it
// balance), at its predecessor (chain, time, density) and at its accounts
// (balance, limits, freezes). For the last it holds the states of the accounts
// it has met, at most cachedAccounts of them; a state that it does not hold it
// reads from the book as of that entry: the posting with the account_seq
// before, and the attributes in force. Where two stripes meet, first and last
// entry are held against each other.
//
// The second pass reads, for every account, its newest posting. The balances
// must add up to zero, and the account_seq to the number of postings: as every
// posting has been found to follow one with the number before it, the numbers
// of an account are 1 to n, and if the sum agrees none stands twice.
//
// Memory is the segment, the account states and the findings, each with a
// named bound (checks.go), times the workers; nothing grows with the ledger.
//
// # Why not in account order
//
// The obvious way to hold a posting against the one before it is a scan by
// (account_id, account_seq). Measured, with a million entries over 20,000
// accounts, it costs PostgreSQL 1.9 µs of processor time a posting, against
// 0.7 µs in order of seq, because each posting lies on another page; it would
// have been more than half of the whole verification, and far more once the
// table does not fit in memory. Following accounts along the chain needs one
// look-up for each account and stripe instead; on a ledger with so many active
// accounts that most of them are not held when they are met again, it costs
// about as much as the scan would. It also has no order of its own: any range
// of entries can be verified by itself, against what stands before it.
//
// # What a finding claims
//
// One hash covers a whole entry and cannot say which column was changed, so
// ENTRY_HASH_MISMATCH names neither account nor column unless something else
// proves them: a value that its column cannot hold, or a rule that says what
// the value must have been, confirmed by the sealed hash (prove.go).
//
// Postings are held against stored balances, not recomputed ones: one wrong
// balance is a finding at its entry and at the account's next, and not one for
// every posting ever after. Likewise a chain is unbroken where prev_hash equals
// the stored or the recomputed hash of the predecessor: an edited entry is one
// finding, not two.
package reconcile
