// Package carryover carries what the accounts of a ledger hold into the ledger that succeeds it: after a declared loss the
// successor begins empty, and nothing of the old one is copied.
//
//	old ledger, as of one entry ──▶ accounts, by pages ──┬──▶ opened in the successor
//	                                                     ├──▶ balances, by transfers against an opening account
//	                               ──▶ open holds ───────┼──▶ placed again under their own ids
//	                                                     └──▶ limits, freezes and closings that had to wait
//	opening accounts at zero ◀── both ledgers compared ◀─┘
//
// Everything is an ordinary entry of the successor, under an id that is derived from what it carries: run again after it was
// interrupted, it posts what is missing. All balances of a currency sum to zero (I2), so what was posted against an opening
// account leaves nothing on it; it is closed then. The entry that opened it says, in the account's tags, of which ledger and
// entry the balances are: nobody carries those of another entry on top of them.
//
// Which holds are there, and what has become of them since, the successor says, not a clock: a hold may expire at any moment of
// a run, or between two, and who placed it may have captured it meanwhile.
package carryover
