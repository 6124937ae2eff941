// Package demo makes up a year in the life of a small payment institution, as
// requests to a ledger: what its clients and its back office ask for, when, in
// an order in which a ledger accepts all of it. It only computes: the same
// options give the same requests, but for the salts and account ids it is given.
//
//	agenda of a day                       Step{At, Requests}
//	  00:00  holds whose time has come ─┐
//	  07:00  office: fees, interest,    │  generator ── own balances, so that
//	   …     closings; clients: cards,  ├─► nothing is asked for that the rules
//	  21:59  transfers, exchange        │  would refuse
//	  23:30  settlement, safeguarding ──┘
//
// # The institution
//
// It keeps wallets for clients in EUR, GBP and USD, and loyalty points in a
// currency of its own (PTS). What it owes clients lies at safeguarding banks:
// every evening the difference between client money (all customers:* and
// merchants:*) and bank:safeguarding:CUR is moved from or to the institution's
// own bank:operating:CUR, so that at the end of each day, and at the end of the
// history, the two are equal in every currency. It pays no interest on wallets,
// which payment institutions may not; it earns interest on the bank accounts and
// pays it on a loan.
//
//	bank:safeguarding:CUR  bank:operating:CUR       what lies at banks
//	clearing:payments:CUR                            transfers in and out, settled every evening
//	clearing:cards:CUR                               owed to the card scheme, paid on the next business day
//	clearing:chargebacks:CUR                         claimed back from the card scheme
//	fx:CUR                                           positions; the rate is bound in each entry
//	customers:NNNN:CUR  merchants:NAME:CUR           client money, never below zero
//	customers:NNNN:points  points:issued             loyalty points
//	revenue:…  expense:…  equity:…  loan:eur         the institution's own
//
// Some clients stand for a case: see Cases.
package demo
