// Package entryfile writes the entries of a ledger into files that other
// programs read, and finds how far such a file goes, so that an interrupted
// export can be continued. The same entries make the same bytes, whatever was
// interrupted and wherever; a journal does as long as the ledger has the same
// accounts.
//
//	jsonl    one entry a line, in the very bytes that the API sent
//	csv      one posting a line, with what its entry says; an entry without
//	         postings has one line
//	hledger  a journal: transactions, accounts with their types, commodities with
//	         their decimals; what moves no money stands in comments
//
// Nothing in a file depends on what comes after it: the file of a ledger at size
// N is the beginning of the file at any larger size. The exception is where a
// journal declares types: once for all accounts under a code, if those that the
// ledger has when the export begins are of one type (Types). Resume returns where
// to go on; whoever writes compares the hashes it returns with the ledger's.
//
// Values in CSV are raw. Programs that take a cell beginning with =, +, - or @
// for a formula can meet one in descriptions, references and metadata, and an
// account code may begin with -; import such a column as text.
package entryfile
