package bankfile

import (
	"strings"
	"unicode"
)

// Lengths of an IBAN (ISO 13616: country, two check digits, at most 30 characters).
const (
	minIBAN = 15
	maxIBAN = 34
)

// compactIBAN returns an account number without spaces and in capitals, as an IBAN is compared.
func compactIBAN(s string) string {
	return strings.ToUpper(strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return -1
		}
		return r
	}, s))
}

// validIBAN reports whether the check digits hold (ISO 7064 MOD 97-10).
func validIBAN(s string) bool {
	if len(s) < minIBAN || len(s) > maxIBAN || !allDigits(s[2:4]) {
		return false
	}
	rest := 0
	for i := range len(s) {
		switch c := s[(i+4)%len(s)]; {
		case c >= '0' && c <= '9':
			rest = (rest*10 + int(c-'0')) % 97
		case c >= 'A' && c <= 'Z':
			rest = (rest*100 + int(c-'A') + 10) % 97
		default:
			return false
		}
	}
	return rest == 1 && s[0] >= 'A' && s[1] >= 'A'
}

// accountOf tells an IBAN from another number. Some banks put the currency behind it, others write the IBAN
// with spaces.
func accountOf(s string) Account {
	s = strings.TrimSpace(s)
	compact := compactIBAN(s)
	if validIBAN(compact) {
		return Account{IBAN: compact}
	}
	if n := len(compact) - 3; n >= minIBAN && validIBAN(compact[:n]) {
		return Account{IBAN: compact[:n]}
	}
	return Account{Other: s}
}
