// Package intake takes the files of banks: it has them read and judged by bankfile and stores what is accepted.
//
//	file ──► SHA-256 ── accepted before? ──► already there
//	          │
//	          ▼
//	first pass: bankfile.Foot, with the last statement of each account from the store
//	          ├─ a reason against it ──► quarantine: one row with the reasons, nothing else
//	          ├─ whose account is it? ──► refused, with what to add to the policy
//	          ▼
//	second pass: the lines of the statements that are not there yet ──► store.StoreBankFile, one transaction
//	                                                                     │ another file came between
//	                                                                     └─► judged again
//
// Two passes cost the reading twice, some seconds for a hundred thousand lines, and have two merits: nothing of a
// file in quarantine is ever written, and the turn to store is held for as long as storing takes, not for as long
// as it takes to read what a sender made slow on purpose. Memory does not grow with the file in either pass.
//
// # Twice the same
//
// A file that was accepted is known by its SHA-256. A statement is known by bank account, currency and the digest
// of its content: in another file, or under another id, it is the same, and is passed over. A statement under the
// id of an accepted one of that day, with other content, is in conflict with it and the file goes to quarantine:
// taking it would count the lines that both have twice.
//
// # Whose account
//
// The policy's bank_accounts say which account of the ledger stands for a bank account, or the caller by hand. A
// bank account that has statements keeps its account: to give it another would tear its history apart. The account
// must exist, and have the currency of the statement.
//
// A camt.054 announces lines that a statement will hold. It is stored, and neither moves a balance nor follows
// anything.
package intake
