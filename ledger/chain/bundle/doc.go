// Package bundle writes and verifies evidence bundles: one file that holds a
// whole ledger at one of its checkpoints, and everything it takes to check it
// with no database, no network and no trust in who handed it over. FORMAT.md of
// package chain describes the file, complete enough to do without this package.
//
//	            ┌ entries/…, texts/… ─▶ decode, chain, time, I1, I9 ─┐  a stripe of members
//	            │                            │ RFC 6962              │  for each worker
//	file ─▶ manifest ─▶ digests              ▼                       ▼
//	            │              roots at every checkpoint     accounts, joined
//	            ├ checkpoints, keys, policy ─▶ signatures           │
//	            ├ consistency/… ─▶ proofs                           ▼
//	            └ balances ─────────────────────────────▶ balance tree, I2 ─▶ Report
//
// # The file
//
// A ZIP whose members are all stored, not compressed: nothing in it can be
// larger than the file, a reader needs no decompressor to be trusted, and any
// member can be read in place, by several workers at once. Who wants it smaller
// compresses the file as a whole. The reader accepts less than ZIP allows
// (archive.go): one directory, at the end, whose local headers agree with it, so
// that no two programs read the same file differently.
//
// # One hash per entry
//
// An entry is hashed once. The digest of a member of entries in the manifest is
// not the SHA-256 of its bytes but the root of the Merkle tree over its entries,
// which are its bytes: the hash that checks the manifest is the one that the
// checkpoint signs. A second hash over the same bytes would take as long again
// as everything else, for nothing.
//
// # Memory
//
// A worker holds one chunk of a member, and the state of each account that it
// meets, some 250 bytes each with its place in the table: at most MaxAccounts.
// Every finding is counted and the first maxFindings are kept. Nothing else grows
// with the ledger; where a bound is reached the report is INCOMPLETE and says so.
//
// # Segments
//
// Where two stripes meet, the first entry of one is held against the last of the
// other, and the first posting of each account in one against its last in those
// before. A member has 65,536 entries, a complete subtree of 256², so that the
// root at any size is put together from the roots of members.
//
// # What it does not do
//
// It checks what the entries say and that they are those that were signed. That
// holds, reversals, limits and periods kept their rules needs look-ups that only
// a database is good at: tallystick verify does it there, and the report says
// under NOT CHECKED that this one did not.
package bundle
