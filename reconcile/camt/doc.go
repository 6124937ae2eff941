// Package camt writes account statements as ISO 20022 camt.053 messages, for those whose systems read the statements of
// banks.
//
//	Statement ──check──▶ what does not fit the schema: an error that names it, and not a byte written
//	              │
//	              ▼
//	           camt.053.001.08 or .02, always valid against its schema
//
// The two versions differ in a few places only: how a status, a net total and a page stand. What the schema bounds is
// checked before anything is written: amounts of 18 digits with 5 decimals, currencies of three letters, texts of so many
// characters. Nothing is ever cut. A description that is longer than a line is written as several lines, and a reference
// that is longer than an end-to-end id stands with the additional information.
//
// A line is booked, or it is not here: holds move no balance and have no entry. CdtDbtInd alone is the sign, as the
// account's own side has it: a credit of the ledger is CRDT. So opening + credits − debits = closing, which the totals
// (TxsSummry) state once more.
//
// The same statement gives the same bytes: its time is that of the newest entry it rests on, and not that of writing.
package camt
