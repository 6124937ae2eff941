// Package match finds, for the lines of a bank's statements, the postings of the ledger that they mean, and says of every
// line what became of it. It only computes: lines, rules, a calendar and decisions in, groups and two proofs out.
package match
