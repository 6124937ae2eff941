// Package policy reads the policy file: what an institution decided about its books, in one YAML file that is under
// version control and whose SHA-256 stands in every result.
//
//	bytes ──Decode──▶ unknown keys, wrong words, wrong numbers: each with its line
//	                     │
//	                     ▼
//	                  Policy ──▶ match      rules, windows, tolerances
//	                     ├─────▶ checks     control, suspense and clearing accounts
//	                     ├─────▶ reports    bank accounts, classes
//	                     └─────▶ risk       limits, factors, buckets
//
// A file is decoded strictly: what it does not know is an error and not ignored, and numbers are texts ("0.25"), so that
// no YAML reader takes 010 for 8 or 1e3 for a float. A file is one version and says from which booking date on it is in
// force; which file bound a day is an entry of the ledger (policy_adopted).
//
// The package computes nothing about books: it is data, and the questions that the data answers.
package policy
