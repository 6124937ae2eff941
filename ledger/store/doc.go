// Package store keeps ledgers in CockroachDB or PostgreSQL. It is the only
// package that speaks SQL; statements stand as constants above the methods that
// use them, in the subset that both engines run alike, and what differs between
// the engines is in engines.go.
//
//	book (append-only)   ledgers ◄─ entries ◄─ postings, account_versions, details
//	                     accounts
//	ops  (may change)    payloads (erasable text) and their metadata_terms, turns, sweeps, api_keys, findings,
//	                     bank_files ◄─ bank_statements ◄─ bank_lines, breaks
//
//	sequencer ──► Journal() ─► posting pool ─► Commit: inserts in one implicit transaction
//	                        └► turns pool   ─► Turn: a locked row, while several processes post
//	clients   ──► DB        ─► read pool    ─► accounts, balances, statements, entries, searches
//	erasures  ──► Open(RoleEraser) ─► EraseTexts: payloads of which an erasure is on record
//	replicas  ──► SweepHolds               ─► a locked row of ops.sweeps, holds in the order in which they expire
//	auditors  ──► Open(RoleAuditor) ─► Snapshot.Scan: raw rows of a cut, seq < size
//
// Nothing in book is ever updated. The balance of an account is the one on its
// newest posting; its attributes are those of its newest version; a consistent
// cut is a seq. Every connection takes on a role that has only the rights its
// work needs, whatever rights the URL's user has, so that the application
// cannot change the book even if it is told to.
//
// Commit is all or nothing and has one of five meanings when it fails; see
// errors.go. A batch whose outcome is unknown may be submitted again as it is:
// the keys make sure that it is stored once.
//
// What cannot be read (a balance with too many decimals, NaN) is not an error of
// reading: it becomes a value that no hash fits, so that only what rests on it is
// blocked; see stored.go.
//
// What clients read is as of an entry, so that the pages of a list agree, and
// takes a bounded number of rows of indexes, whatever the statistics say: lookups
// of many keys are one descent each (keyed, latestOf), places in what is in order
// are found by probing (bisect.go), and a search follows the most selective of
// its conditions (candidates.go). TestReadsUseTheirIndexes holds them to it.
//
// A page of entries from all over a ledger costs two round trips: where they are,
// and all that they consist of (assembly.readAt). Its lookups keep their plans
// once the tables have grown (DB.lookups); the accounts that entries touch, with
// the limits of their time, are remembered (facts).
//
// Rejected: plans kept from the start (made of empty tables, they take any index
// that begins with the ledger), an index of amounts over all postings (a sixth of the throughput of
// commits; over one posting of those that say the same, a few percent at most),
// foreign keys on the hot tables (a third of the throughput of a
// prototype), a table of current balances (as much again, and a place to tamper
// with), a second unique index by (account, seq) for balances at an entry (a
// binary search over account_seq finds them), binary decimal arrays (three times
// the allocations of array literals).
package store
