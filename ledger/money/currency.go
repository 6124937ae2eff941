package money

// Currency is a unit of account: its code and how many decimals it has.
type Currency struct {
	Code  string // 1 to MaxCurrencyCode bytes of [A-Z0-9], see ValidCurrencyCode
	Scale uint8  // decimals, 0 to MaxScale
}

// MaxCurrencyCode is the longest currency code, in bytes.
const MaxCurrencyCode = 16

// ValidCurrencyCode reports whether code has the form of a currency code: 1 to
// MaxCurrencyCode bytes of [A-Z0-9]. ISO 4217 codes and custom ones share it.
func ValidCurrencyCode(code string) bool {
	for i := range len(code) {
		c := code[i]
		if (c < 'A' || c > 'Z') && (c < '0' || c > '9') {
			return false
		}
	}
	return 0 < len(code) && len(code) <= MaxCurrencyCode
}

// ISO returns the active ISO 4217 currency with that code, and false when there
// is none. Codes without a minor unit (gold, testing, no currency) are not in
// the table: see isoCodes.
func ISO(code string) (Currency, bool) {
	scale, ok := isoScales[code]
	return Currency{Code: code, Scale: scale}, ok
}
