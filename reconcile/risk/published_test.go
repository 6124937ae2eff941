package risk_test

import (
	"math"
	"testing"

	"github.com/shopspring/decimal"

	"tallystick/reconcile/policy"
	"tallystick/reconcile/risk"
)

func d(s string) decimal.Decimal { return decimal.RequireFromString(s) }

func equal(t *testing.T, what string, got decimal.Decimal, want string) {
	t.Helper()
	if !got.Equal(d(want)) {
		t.Errorf("%s is %s, published is %s", what, got, want)
	}
}

func near(t *testing.T, what string, got, want, digit float64) {
	t.Helper()
	if math.Abs(got-want) > digit/2 {
		t.Errorf("%s is %.8f, published is %v", what, got, want)
	}
}

// Basel MAR40.4: long 300, short 200 and gold −35 give 335, and 8 % of it 26.8.
func TestNetOpenPositionAsPublished(t *testing.T) {
	t.Parallel()
	var list []risk.Position
	for currency, amount := range map[string]string{"JPY": "50", "EUR": "100", "GBP": "150", "CAD": "-20", "USD": "-180", "XAU": "-35"} {
		list = append(list, risk.Position{Currency: currency, Base: d(amount)})
	}
	net, long, short, gold := risk.NetOpen(list, "XAU")
	equal(t, "net open", net, "335")
	equal(t, "long", long, "300")
	equal(t, "short", short, "200")
	equal(t, "gold", gold, "-35")
	equal(t, "charge", net.Mul(d("0.08")), "26.8")
}

// DoJ and FTC, Horizontal Merger Guidelines: shares of 30, 30, 20 and 20 percent give 2,600.
func TestConcentrationAsPublished(t *testing.T) {
	t.Parallel()
	equal(t, "HHI", risk.HHI([]decimal.Decimal{d("30"), d("30"), d("20"), d("20")}), "2600")
	equal(t, "HHI of one", risk.HHI([]decimal.Decimal{d("7.01")}), "10000")
	equal(t, "HHI of nothing", risk.HHI(nil), "0")
}

// Basel LCR30 and LCR40.
func TestLiquidityCoverageAsPublished(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ one, twoA, twoB, stock string }{
		{"60", "25", "15", "100"}, // just at both caps
		{"60", "40", "0", "100"},
		{"60", "50", "0", "100"}, // level 2 above 40 %
		{"85", "0", "30", "100"}, // level 2B above 15 %
		{"85", "0", "15", "100"}, // just at 15 %
		{"0", "10", "10", "0"},   // no level 1, nothing counts
	} {
		stock, _, _ := risk.HQLA(d(c.one), d(c.twoA), d(c.twoB))
		equal(t, "HQLA of "+c.one+", "+c.twoA+", "+c.twoB, decimal.NewFromBigRat(stock, 12), c.stock)
	}
	equal(t, "net outflow", risk.NetOutflow(d("100"), d("90")), "25")
	equal(t, "net outflow below the cap", risk.NetOutflow(d("100"), d("60")), "40")
}

// IFRS 9, Illustrative Example 12.
func TestProvisionMatrixAsPublished(t *testing.T) {
	t.Parallel()
	var buckets []policy.Bucket
	for i, r := range []string{"0.003", "0.016", "0.036", "0.066", "0.106"} {
		buckets = append(buckets, policy.Bucket{From: []int{0, 1, 31, 61, 91}[i], Rate: policy.Decimal{Decimal: d(r)}})
	}
	each, sum := risk.Provision([]decimal.Decimal{d("15000000"), d("7500000"), d("4000000"), d("2500000"), d("1000000")}, buckets)
	for i, want := range []string{"45000", "120000", "144000", "165000", "106000"} {
		equal(t, "loss", each[i], want)
	}
	equal(t, "loss in all", sum, "580000")
}

// PSD2 art. 9, method B, and EMD2 art. 5, method D.
func TestOwnFundsAsPublished(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ volume, funds string }{
		{"0", "0"}, {"5000000", "200000"}, {"10000000", "325000"}, {"100000000", "1225000"}, {"250000000", "1975000"}, {"350000000", "2225000"},
	} {
		equal(t, "method B of "+c.volume, risk.MethodB(d(c.volume), d("1")), c.funds)
	}
	equal(t, "method B with k = 0.5", risk.MethodB(d("10000000"), d("0.5")), "162500")
	equal(t, "method D", risk.MethodD(d("1000000.50")), "20000.01")
}

// RiskMetrics; Hull; Kupiec; Basel MAR32.
func TestValueAtRiskAsPublished(t *testing.T) {
	t.Parallel()
	near(t, "EWMA variance", risk.EWMA(0.01*0.01, 0.90, 0.02), 0.00013, 1e-9)
	near(t, "Hull's ten days", risk.NormalVaR(10e6, 0.02, 2.33, 10), 1_473_621, 1)
	ratio, p := risk.Kupiec(1043, 57, 0.05)
	near(t, "Kupiec's ratio", ratio, 0.46147, 1e-5)
	near(t, "its p-value", p, 0.49694, 1e-5)
	if amber, red := risk.Zones(250, 0.01); amber != 5 || red != 10 {
		t.Errorf("the zones begin at %d and %d, published are 5 and 10", amber, red)
	}
	if ratio, p := risk.Kupiec(250, 0, 0.01); ratio <= 0 || p <= 0 || p >= 1 {
		t.Errorf("without exceptions the ratio is %v, p %v", ratio, p)
	}
	// R: quantile(c(1, 2, 3, 4, 10), 0.9, type = 7) is 7.6.
	near(t, "type 7", risk.Quantile7([]float64{1, 2, 3, 4, 10}, 0.9), 7.6, 1e-9)
	// Without skew and excess kurtosis the correction does nothing.
	near(t, "Cornish-Fisher", risk.CornishFisher(2.326, 0, 0), 2.326, 1e-12)
}
