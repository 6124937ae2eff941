// Package ledger is the domain: accounts, transfers, the rules that decide when
// money may move, and the sequencer that turns requests into entries. It does
// no I/O; the store is reached through Journal.
//
//	request ──► queue ──► batch ──► Apply ──► entries ──► Journal.Commit ──► answers
//	 (many            (all that   (pure, on     │             │
//	 goroutines)       waits)      an overlay)  │             ├─ stored: Advance, acknowledge
//	                                            │             ├─ fence: catch up, answer replays, apply again
//	                                            │             ├─ head missing: halt with a finding
//	                                            │             ├─ unknown: submit the identical batch again
//	                                            │             └─ poison: halve until the culprit is alone
//	                                            └─ refusals: sent when the head they rest on is confirmed
//
// A Request is what a client asks for, an Entry is a fact; they are different
// types, and a fact has no setters. rules.go answers when money may move, in
// order of precedence (with what is particular to holds and reversals in holds.go
// and reversals.go), account_rules.go when an account may change, periods.go when
// the books may be closed, currencies.go what is a currency, keys.go which keys are valid,
// erasures.go when text is erased, commitments.go how
// balances are bound, runs.go, decisions.go and policies.go what the night and the
// people who look at it put on record. book.go is the state
// in memory and ruleset.go the part of it that concerns all accounts; apply.go is
// the pure step on it and batch.go that of several transfers at once. queue.go is
// where requests wait, sequencer.go the loop, targets.go what it reads for a batch,
// answers.go how it answers, replays.go what is the same
// request again, rehearsal.go the dry run, failures.go what happens
// when a commit does not simply succeed, turns.go how several processes share one
// ledger, journal.go what all this needs of the store.
//
// Safety never rests on the memory of a process: the primary key of entries
// refuses a second writer at the same place, a guard refuses a missing
// predecessor, and the unique request id refuses a second entry for one
// request. Everything cached can be wrong without harm, only not for long.
package ledger
