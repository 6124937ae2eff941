// Package money counts money exactly. An amount is an Int128: a whole number of
// units of its currency's smallest decimal, so 12.34 EUR is 1234 at scale 2.
//
//	wire "12.34" ──ParseAmount──▶ decimal.Decimal ──FromDecimal──▶ Int128 1234
//	                                     ▲                           │  Add, Sub, Cmp: exact, or false
//	DECIMAL column 12.34 ────────────────┴──────── Decimal ◀─────────┤
//	wire "12.34" ◀──────────────────────────────── Format ◀──────────┤
//	hashed bytes (big-endian two's complement) ◀── AppendBytes ◀─────┘
//
// Why not decimal.Decimal throughout: a hash needs one spelling per value, and
// 12.3 and 12.30 are two; a balance check needs an overflow that says so; and a
// million postings a second cannot allocate a big.Int each. Why 128 bits: at
// scale 18 an int64 ends at 9 units. Why the range is symmetric: every balance
// has a negation, which is what turns it to the other side of the book.
//
// Nothing is ever rounded. A number with more decimals than its currency is
// refused (ErrScale), one beyond 127 bits is refused (ErrRange), and both are
// decided before any work that its exponent asks for, so that 1e1000000000
// costs nothing. There is no binary floating point here or above.
//
// Currency scales come from ISO 4217 (see ISO); a ledger may define others.
//
// The package is part of what an auditor has to trust: it does no I/O and
// depends on shopspring/decimal alone.
package money
