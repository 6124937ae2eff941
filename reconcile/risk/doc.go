// Package risk computes the risk figures of a night: from the balances and movements of a ledger, the policy, and dated
// inputs, each of them hashed. It reads no database and no clock: the same inputs give the same figures.
//
//	Book      every account with its balance at the run's size ─┐
//	History   every posting up to there, day by day ────────────┤
//	Policy    classes, limits, factors, windows ────────────────┼──▶ Compute ──▶ Section by section: figures, charts,
//	Rates     rates.csv: price of a currency, by day ───────────┤                tables, notes, breaches
//	Dated     inputs.csv: Tier 1, due dates, maturities, groups ┤                      │
//	Items     open breaks of the bank, with their age ──────────┘                      ▼
//	                                                                        report.Document, by page
//
// One file is one calculation (calculations.go lists them): its formula, its source and the id of its convention stand
// there, because published conventions disagree and a figure without one cannot be checked.
//
// What is absent makes a figure "not computed", with the reason, and never zero: no rate for a currency with a balance, no
// Tier 1, a history too short. A balance that no class of the policy matches is an error of the policy, and makes every
// figure not computed that could have counted it.
//
// Money is exact: amounts are decimals in natural units, sums are of one currency, and currencies meet only at a rate and
// a date that are printed. Ratios are rounded once, where they are written. Only the statistics (var*.go and signals*.go)
// use binary floating point, on returns and logarithms, and say so.
package risk
