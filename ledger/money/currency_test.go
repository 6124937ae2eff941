package money_test

import (
	"strings"
	"testing"

	"tallystick/ledger/money"
)

func TestISOKnowsMinorUnits(t *testing.T) {
	t.Parallel()
	for code, scale := range map[string]uint8{
		"EUR": 2, "USD": 2, "GBP": 2, "CHF": 2, "HUF": 2, "MGA": 2, "MRU": 2, "RSD": 2, "TWD": 2, "IDR": 2,
		"JPY": 0, "KRW": 0, "ISK": 0, "UGX": 0, "UYI": 0, "CLP": 0, "VND": 0, "XOF": 0,
		"KWD": 3, "BHD": 3, "IQD": 3, "JOD": 3, "LYD": 3, "OMR": 3, "TND": 3,
		"CLF": 4, "UYW": 4,
		"XCG": 2, "XAD": 2, "SLE": 2, "VED": 2, "ZWG": 2, // the youngest
	} {
		if got, ok := money.ISO(code); !ok || got != (money.Currency{Code: code, Scale: scale}) {
			t.Errorf("ISO(%s) = %+v, %t; want scale %d", code, got, ok, scale)
		}
	}
}

func TestISODoesNotKnowWithdrawnOrUnscaledCodes(t *testing.T) {
	t.Parallel()
	for _, code := range []string{
		"BGN", "HRK", "ANG", "CUC", "SLL", "ZWL", "VEF", "DEM", // withdrawn
		"XAU", "XAG", "XPD", "XPT", "XDR", "XSU", "XUA", "XBA", "XBB", "XBC", "XBD", "XTS", "XXX", // no minor unit
		"", "eur", "EURO", "EUR ", "BTC",
	} {
		if got, ok := money.ISO(code); ok {
			t.Errorf("ISO(%q) = %+v", code, got)
		}
	}
}

// TestISOTableIsWhole counts the table against the published list: 178 codes,
// 13 of them without a minor unit.
func TestISOTableIsWhole(t *testing.T) {
	t.Parallel()
	perScale := map[uint8]int{}
	for a := 'A'; a <= 'Z'; a++ {
		for b := 'A'; b <= 'Z'; b++ {
			for c := 'A'; c <= 'Z'; c++ {
				if currency, ok := money.ISO(string([]rune{a, b, c})); ok {
					perScale[currency.Scale]++
				}
			}
		}
	}
	want := map[uint8]int{0: 17, 2: 139, 3: 7, 4: 2}
	total := 0
	for scale, n := range perScale {
		total += n
		if want[scale] != n {
			t.Errorf("%d currencies of scale %d, want %d", n, scale, want[scale])
		}
	}
	if total != 178-13 {
		t.Errorf("%d currencies, want %d", total, 178-13)
	}
}

func TestCurrencyCodesHaveOneForm(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"EUR", "X", "9", "POINTS2026", strings.Repeat("Z", money.MaxCurrencyCode)} {
		if !money.ValidCurrencyCode(code) {
			t.Errorf("ValidCurrencyCode(%q) is false", code)
		}
	}
	for _, code := range []string{"", "eur", "EU R", "EUR\n", "É", "E.U", "A_B", strings.Repeat("Z", money.MaxCurrencyCode+1)} {
		if money.ValidCurrencyCode(code) {
			t.Errorf("ValidCurrencyCode(%q) is true", code)
		}
	}
}
