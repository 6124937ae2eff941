// Package bankbook reconciles an account of the ledger with what its bank says: it puts the statements of the bank, the
// postings on the account and what people decided together, has match find what belongs to what, and says what is open.
// It only computes; package reconcile reads what it needs.
//
//	statements, lines ──► side of the bank ──┐
//	                      opening, closing   ├─► match.Match ──► Result: proofs, totals, breaks
//	postings ───────────► side of the ledger ┤                     │
//	                      opening, closing   │                     ├─► bank-reconciliation, the statement of it
//	decisions ──────────► of these lines ────┘                     └─► breaks, item by item
//
// # Where it begins
//
// An account is reconciled from its first statement on. What the ledger booked before belongs to its opening balance. Where
// the two openings differ, the difference is a line of the bank by itself, bank:N/0 for the first statement N: open until it
// is matched (often with the posting by which the balance was brought into the ledger) or written off. So nothing that was
// open before gets lost, and the proof holds from the first day.
//
// A second bank account that the ledger keeps on the same account joins with its own opening balance as such a line.
//
// # The balance at the bank
//
// It is what the last statement states. Lines are added to the opening balance beside it, and where that leads elsewhere the
// proof does not hold: a line is missing, or was changed. Statements that state no balance carry on from the one before; where
// none ever did, only the movements can be compared, and Result.Stated is false.
//
// # What is not copied
//
// A result lives as long as the ledger, and texts must be erasable. So a break holds the ids of its lines, amounts, dates and
// words of this program, and of a decision its number: who wants to read the note behind it follows that. Owner and cause are
// words that name no person.
package bankbook
