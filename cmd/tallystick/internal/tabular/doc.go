// Package tabular reads files of rows, CSV and JSONL, and says of everything it
// cannot read in which line it stands. A value is text: what it means is for
// package mapping to say.
//
//	bytes ──► decode ──► CSV or JSONL ──► Row{Number, Line, values}
//	          UTF-8, or the encoding named; never guessed
//
// CSV is RFC 4180: a header row with a name for every column, the same number of
// fields in every row, quotes where a field holds a delimiter, a quote or a line
// break. JSONL has one object a line; the members of an object inside it are
// columns such as payer.iban, numbers keep their digits as written, an array
// stays JSON text.
//
// A file in another encoding than it is said to have is refused and not
// repaired: a name with a replacement character in it would be bound into the
// ledger for ever.
package tabular
