// Package figures makes the financial reports of a ledger: from what its postings add up to over a period, a
// report.Document each.
//
//	Books: accounts with opening, debits, credits ──▶ trial balance · balance sheet · income statement · roll-forward
//	       balances at the close of each day      ──▶ daily position
//	       lines                                  ──▶ general ledger · account statement
//	       open items of suspense and clearing    ──▶ ageing
//	       findings of a verification             ──▶ integrity
//
// It reads nothing: package reconcile adds the postings up, at a size of the ledger, and hands the sums over. So every
// figure here can be followed with a pencil, and a test needs no database.
//
// # What all of them keep to
//
// A report goes by booking date: booking dates never decrease along the chain, so that a period is an interval of
// entries, and what is booked later cannot change it. What is booked late, with a value date in a closed period, stands
// in the report of the period in which it was booked, and is listed there with both dates.
//
// Debit stands left and credit right, without signs; the difference line is printed also when it is zero. There is a
// table for each currency, and no sum across them. Accounts stand in the order of their codes.
//
// # The result of a year
//
// Revenue and expense run on until a closing moves them to equity, which is booked after the year is over. So the
// transfers of a closing are no revenue and no expense of the period in which they are booked: the income statement
// leaves them out, names them, and proves that result, closings and what is left on the accounts add up. The balance
// sheet prints what no closing has moved yet as a line of equity.
package figures
