package bankfile_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"tallystick/reconcile/bankfile"
	"tallystick/scripts/samples"
)

func foot(tb testing.TB, content string, o bankfile.Options, previous bankfile.Previous) bankfile.Verdict {
	tb.Helper()
	v, err := bankfile.Foot(strings.NewReader(content), o, previous, bankfile.Receiver{})
	if err != nil {
		tb.Fatal(err)
	}
	return v
}

func sample(tb testing.TB, name string) string {
	tb.Helper()
	b, err := os.ReadFile(samples.Path(tb, "statements/"+name))
	if err != nil {
		tb.Fatal(err)
	}
	return string(b)
}

// totals shows what each statement adds up to.
func totals(v bankfile.Verdict) []string {
	var shown []string
	for _, s := range v.Statements {
		for _, t := range s.Totals {
			balance := func(b *bankfile.Balance) string {
				if b == nil {
					return "none"
				}
				return b.Amount.Units.Format(b.Amount.Currency.Scale)
			}
			shown = append(shown, fmt.Sprintf("%s %s: %s +%s -%s = %s (%d) proved %v", s.Statement.Account, t.Currency.Code, balance(t.Opening),
				t.Credits.Units.Format(t.Currency.Scale), t.Debits.Units.Format(t.Currency.Scale), balance(t.Closing), t.CreditLines+t.DebitLines, t.Proved))
		}
	}
	return shown
}

func equal(tb testing.TB, got, want []string) {
	tb.Helper()
	if g, w := strings.Join(got, "\n"), strings.Join(want, "\n"); g != w {
		tb.Errorf("got:\n%s\nwant:\n%s", g, w)
	}
}

func TestSampleTotals(t *testing.T) {
	t.Parallel()
	dem := "45050050/76198810 DEM: 84349.74 +49396.74 -49309.44 = 84437.04 (11) proved true"
	for _, test := range []struct {
		file   string
		format bankfile.Format
		totals []string
	}{
		{"account_statement-3.xml", bankfile.Camt053, []string{"BE68793230773034 EUR: 33443.03 +210000.00 -184072.66 = 59370.37 (314) proved true"}},
		{"BE68793230773034-202411.xml", bankfile.Camt053, []string{"BE68793230773034 EUR: 59370.37 +180000.00 -151831.25 = 87539.12 (268) proved true"}},
		{"BE68793230773034-202412.xml", bankfile.Camt053, []string{"BE68793230773034 EUR: 87539.12 +100400.00 -145974.01 = 41965.11 (264) proved true"}},
		{"account_statement.xml", bankfile.Camt053, []string{"BE86463768548050 EUR: 0.00 +789904.40 -789904.40 = 0.00 (3) proved true"}},
		{"iso-mdr-camt.053.001.02.xml", bankfile.Camt053, []string{"50000000054910000003 SEK: 500000.00 +135678.50 -200000.00 = 435678.50 (3) proved true"}},
		{"camt053_multicurrency.xml", bankfile.Camt053, []string{"DE89370400440532013000 EUR: 10000.00 +1250.50 -500.25 = 10750.25 (2) proved true", "US-ACCT-0099 USD: 2500.00 +0.00 -99.99 = 2400.01 (1) proved true"}},
		{"camt053_no_namespace.xml", bankfile.Camt053, []string{"GB29NWBK60161331926819 GBP: 100.00 +250.00 -0.00 = 350.00 (1) proved true"}},
		{"camt053_duplicate_same_day.xml", bankfile.Camt053, []string{"DE89370400440532013000 EUR: none +0.00 -9.00 = none (2) proved false"}},
		{"mt940.txt", bankfile.MT940, []string{dem, "10020030/1234567 EUR: 2187.95 +3000.00 -800.00 = 4387.95 (2) proved true",
			"BPHKPLPK/320000546101 PLN: 40000.00 +20040.00 -10000.00 = 50040.00 (3) proved true", dem}},
		{"mt940-windows-line-breaks.txt", bankfile.MT940, []string{"10020030/1234567 EUR: 2187.95 +3000.00 -800.00 = 4387.95 (2) proved true"}},
		{"bai2-sample1.txt", bankfile.BAI2, []string{"10200123456 CAD: none +2085.00 -2085.00 = none (11) proved false", "10200123456 CAD: none +1115.00 -1115.00 = none (6) proved false"}},
	} {
		t.Run(test.file, func(t *testing.T) {
			t.Parallel()
			content := sample(t, test.file)
			v := foot(t, content, bankfile.Options{}, nil)
			if !v.Accepted() {
				t.Errorf("quarantined: %s", v.Quarantined())
			}
			if v.File.Format != test.format || v.File.Bytes != int64(len(content)) {
				t.Errorf("file: %+v", v.File)
			}
			equal(t, totals(v), test.totals)
		})
	}
}

// The fifteen accounts of this file are fifteen statements of one day; several stand under one number, which
// the sample has made anonymous, and are no continuation of each other.
func TestSampleBAI2Controls(t *testing.T) {
	t.Parallel()
	v := foot(t, sample(t, "bai2-sample3.txt"), bankfile.Options{}, nil)
	if !v.Accepted() || len(v.Statements) != 15 {
		t.Fatalf("%d statements, quarantined: %s", len(v.Statements), v.Quarantined())
	}
	for _, s := range v.Statements {
		if !s.Totals[0].Proved {
			t.Errorf("statement %d is not proved: %v", s.Statement.Index, totals(v)[s.Statement.Index])
		}
	}
	if got := v.File.Controls[3].Counted.String(); got != "25084.40 USD" {
		t.Errorf("file control total %s, want 25084.40 USD", got)
	}
	first := foot(t, sample(t, "bai2-sample1.txt"), bankfile.Options{}, nil)
	if got := first.File.Controls[3].Counted.String(); got != "12800.00 CAD" {
		t.Errorf("file control total %s, want 12800.00 CAD", got)
	}
}

func TestSamplesInQuarantine(t *testing.T) {
	t.Parallel()
	abn := foot(t, sample(t, "mt940-abnamro.txt"), bankfile.Options{}, nil)
	var got []string
	for _, r := range abn.Reasons {
		got = append(got, fmt.Sprintf("%s %d %s", r.Code, r.Statement, r.Difference))
	}
	equal(t, got, []string{"unfooted 0 -2038.00 EUR", "unfooted 1 -1002.60 EUR", "discontinuous 1 2000.00 EUR"})

	closed := 0
	garbled, err := bankfile.Foot(strings.NewReader(sample(t, "camt053_garbled_amount.xml")), bankfile.Options{}, nil, bankfile.Receiver{
		Line: func(_ *bankfile.Statement, l *bankfile.Line) error {
			t.Errorf("a line was handed over: %+v", l)
			return nil
		},
		Close: func(*bankfile.Statement) error { closed++; return nil },
	})
	if err != nil || closed != 0 || len(garbled.Statements) != 0 || len(garbled.Reasons) != 1 {
		t.Fatalf("%v, %d closed, verdict %+v", err, closed, garbled)
	}
	const want = `reading bank file (camt.053) at line 17, byte 436: statement 1, Ntry 1 Amt: "12..34": not an amount: digits with at most one . expected`
	if r := garbled.Reasons[0]; r.Code != bankfile.Unreadable || r.Position.Line != 17 || r.Text != want {
		t.Errorf("got %s\nwant %s", r.Text, want)
	}
}

// The three Belgian statements follow each other; without the one in the middle the gap is exact.
func TestSamplesFollowEachOther(t *testing.T) {
	t.Parallel()
	var last *bankfile.Last
	previous := func(*bankfile.Statement, string) (bankfile.Last, bool, error) {
		if last == nil {
			return bankfile.Last{}, false, nil
		}
		return *last, true, nil
	}
	take := func(name string) bankfile.Verdict {
		v := foot(t, sample(t, name), bankfile.Options{}, previous)
		s := v.Statements[0]
		last = &bankfile.Last{Closing: s.Totals[0].Closing.Amount, To: s.Statement.To}
		return v
	}
	for _, name := range []string{"account_statement-3.xml", "BE68793230773034-202411.xml", "BE68793230773034-202412.xml"} {
		if v := take(name); !v.Accepted() {
			t.Errorf("%s: %s", name, v.Quarantined())
		}
	}
	if v := take("BE68793230773034-202411.xml"); v.Accepted() || v.Reasons[0].Code != bankfile.OutOfOrder {
		t.Errorf("the month before: %s", v.Quarantined())
	}
	last = nil
	take("account_statement-3.xml")
	v := take("BE68793230773034-202412.xml")
	if len(v.Reasons) != 1 || v.Reasons[0].Code != bankfile.Discontinuous || v.Reasons[0].Difference.String() != "28168.75 EUR" {
		t.Errorf("a month is missing: %s", v.Quarantined())
	}
}

func TestSampleTexts(t *testing.T) {
	t.Parallel()
	var lines []bankfile.Line
	if _, err := bankfile.Read(strings.NewReader(sample(t, "mt940.txt")), bankfile.Options{}, bankfile.Receiver{
		Line: func(_ *bankfile.Statement, l *bankfile.Line) error { lines = append(lines, *l); return nil }}); err != nil {
		t.Fatal(err)
	}
	salary := lines[12]
	if salary.Remittance != "Gehalt Oktober FirmaMustermannGmbH" || salary.Counterparty != (bankfile.Party{Name: "MUELLER", IBAN: "0847564700"}) ||
		salary.Code != "NTRF/051" || salary.References.Servicer != "55555" || salary.References.Client != "" || salary.Info != "UEBERWEISUNG" {
		t.Errorf("German: %+v", salary)
	}
	polish := lines[13]
	if polish.Counterparty.IBAN != "PL08106000760000777777777777" || !strings.Contains(polish.Remittance, "ZAPLATA ZA FABRYKATY DO TUB") || polish.Code != "FMSC/020" {
		t.Errorf("Polish: %+v", polish)
	}
	v := foot(t, sample(t, "mt940.txt"), bankfile.Options{}, nil)
	if v.Statements[3].Repeats != 0 || v.Statements[0].Repeats != -1 {
		t.Errorf("the fourth statement is the first again: %+v", v.Statements[3])
	}
	if got := v.Statements[1].Statement.To; got != "2002-11-30" {
		t.Errorf("31 November is %s, want the last of the month", got)
	}
}
