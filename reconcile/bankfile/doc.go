// Package bankfile reads what banks send about their customers' accounts, and says whether it can be taken.
// Bytes in, lines out: it opens no file, knows no ledger and keeps nothing.
//
//	bytes ──► source ──► by its beginning ──► camt.053/.054 ─┐
//	          bounds      <, 01, :20:, {1:    MT940          ├─► Statement, Line… ──► Receiver
//	          SHA-256     or columns          BAI2           │        │
//	                                          CSV            ┘        ▼
//	                                              Foot: opening + credits − debits = closing
//	                                                    control totals, continuity
//	                                                    ──► Accepted, or Reasons with difference and position
//
// Reading is lenient, because real files are: a missing namespace, status or sequence, the 31st of November, a
// tag of the bank's own, a record behind another on the same line. It is not lenient with what money depends
// on: an amount, a sign, a currency or a date that cannot be read is a Fault with its place. What was
// tolerated stands in Statement.Notes.
//
// Then the file has to prove itself. Foot adds up the booked lines of each statement and currency and compares
// them with the balances, and the sums and counts that the file states (BAI2 49, 98, 99, 100 and 400, camt
// TxsSummry, the balance after each row of CSV) with what it holds, and the opening balance with the closing
// one of the statement before. One difference, and the whole file is in quarantine: no part of it is taken.
// A file that states no balances (as camt.054, which has none) proves nothing and is accepted; Total.Proved
// and Footed.Notes say so, and it is for the caller to be stricter.
//
// # Signs
//
// A line has a positive amount and a direction as the bank sees it: a credit raises the customer's balance.
//
//	camt    CdtDbtInd alone. RvslInd says why the line is there, and does not turn it again.
//	MT940   C, D. RC, the reversal of a credit, is a debit; RD is a credit.
//	BAI2    the type code: 100–399 credits, 400–699 debits, see baiDirection.
//	CSV     the sign, the column, or the word that Columns say.
//
// Only a booked line (BOOK) moves the balance. A line may be the net of details of both directions, as entries
// of camt.054 are: its amount counts, theirs explain it.
//
// # Bounds
//
// Lines are handed over one at a time, so memory does not grow with the file. All that could grow has a
// bound with a name: MaxFile, MaxPiece, MaxEntry, MaxText, MaxIdentifier, MaxDetails, MaxDepth, MaxStatements, MaxBalances,
// MaxCurrencies, MaxReasons. A gigabyte of white space is refused after MaxPiece bytes of it, or MaxEntry where
// it comes in lines. XML has no document type declarations here and so no entities to expand.
//
// # Twice the same
//
// File.Digest is over the bytes, Statement.Digest over the content. A caller that has a statement of that
// account with that digest has it already, whatever id it now comes under. In a file, Foot says which
// statement repeats which.
//
// Tried and rejected: decoding XML into structs, which holds the whole message and, with an entry of 20,000
// details, is at the mercy of the sender; guessing the columns of CSV from their names, which is right until
// a bank renames one.
//
// Sources: ISO 20022 Message Definition Reports Bank-to-Customer Cash Management (camt.053.001.02 to .13,
// camt.054.001.02 to .13); SWIFT Standards MT, Category 9 (MT 940); DK, DFÜ-Abkommen, annex 3 (sub-fields of
// :86:); BAI, Cash Management Balance Reporting Specifications Version 2; ISO 13616 (IBAN).
package bankfile
