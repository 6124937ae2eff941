package bankfile_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"tallystick/reconcile/bankfile"
)

func fixture(tb testing.TB, name string) string {
	tb.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		tb.Fatal(err)
	}
	return string(b)
}

func read(tb testing.TB, content string, o bankfile.Options) []bankfile.Line {
	tb.Helper()
	var lines []bankfile.Line
	if _, err := bankfile.Read(strings.NewReader(content), o, bankfile.Receiver{
		Line: func(_ *bankfile.Statement, l *bankfile.Line) error { lines = append(lines, *l); return nil }}); err != nil {
		tb.Fatal(err)
	}
	return lines
}

func codes(v bankfile.Verdict) []string {
	var shown []string
	for _, r := range v.Reasons {
		shown = append(shown, fmt.Sprintf("%s %s", r.Code, r.Difference.Units))
	}
	return shown
}

var german = bankfile.Options{Columns: &bankfile.Columns{Delimiter: ';', Encoding: "windows-1252", SkipLines: 1, Decimal: ",", Thousands: ".", DateLayout: "02.01.2006",
	AccountNumber: "DE89 3704 0044 0532 0130 00", CurrencyCode: "EUR", NewestFirst: true, BookingDate: "Buchung", ValueDate: "Valuta", Amount: "Betrag", Balance: "Saldo",
	Name: "Name", Remittance: []string{"Text"}}}

func TestNotificationIsTheNetOfItsDetails(t *testing.T) {
	t.Parallel()
	content := fixture(t, "camt054_mixed.xml")
	lines := read(t, content, bankfile.Options{})
	l := lines[0]
	sum, ok := l.DetailSum()
	if !ok || sum != l.Signed() || sum.Format(2) != "70.00" || l.Batch.Count != 2 || l.References.Batch != "B1/1" {
		t.Errorf("sum %s, %v of %+v", sum, ok, l)
	}
	if l.Details[1].Direction != bankfile.Debit || l.Details[1].Counterparty.Name != "Payee" || l.Details[0].Counterparty.Name != "Payer" || l.Details[1].References.EndToEnd != "" {
		t.Errorf("details %+v", l.Details)
	}
	v := foot(t, content, bankfile.Options{}, nil)
	equal(t, totals(v), []string{"DE89370400440532013000 EUR: none +70.00 -0.00 = none (1) proved false"})
	if !v.Accepted() || v.File.Version != "camt.054.001.08" || v.Statements[0].Totals[0].Others != 1 || len(v.Statements[0].Notes) != 0 {
		t.Errorf("%+v", v)
	}
	changed := foot(t, strings.Replace(content, ">30.00<", ">31.00<", 1), bankfile.Options{}, nil)
	if !changed.Accepted() || len(changed.Statements[0].Notes) != 1 {
		t.Errorf("details that do not add up are noted: %+v", changed.Statements[0].Notes)
	}
}

func TestReversalsDoNotFlipAgainAndCurrenciesStayApart(t *testing.T) {
	t.Parallel()
	content := fixture(t, "camt053_reversal.xml")
	v := foot(t, content, bankfile.Options{}, nil)
	equal(t, totals(v), []string{"4711 EUR: -10.00 +40.00 -5.00 = 25.00 (2) proved true", "4711 JPY: 500 +0 -100 = 400 (1) proved true"})
	if !v.Accepted() {
		t.Error(v.Quarantined())
	}
	l := read(t, content, bankfile.Options{})[0]
	if !l.Reversal || l.Direction != bankfile.Credit || l.Counterparty.Name != "Müller" || l.Remittance != "one two RF18539007547034" || l.BookingDate != "2026-03-02" {
		t.Errorf("%+v", l)
	}
	equal(t, codes(foot(t, strings.Replace(content, "<NbOfNtries>2<", "<NbOfNtries>3<", 1), bankfile.Options{}, nil)), []string{"control_total 2"})
	opening := `<Bal><Tp><CdOrPrtry><Cd>OPBD</Cd></CdOrPrtry></Tp><Amt Ccy="EUR">10.01</Amt><CdtDbtInd>DBIT</CdtDbtInd></Bal><TxsSummry>`
	equal(t, codes(foot(t, strings.Replace(content, "<TxsSummry>", opening, 1), bankfile.Options{}, nil)), []string{"discontinuous -1", "unfooted 1"})
}

func TestPagesAndReversalsOfMT940(t *testing.T) {
	t.Parallel()
	content := fixture(t, "mt940_pages.txt")
	v := foot(t, content, bankfile.Options{}, nil)
	equal(t, totals(v), []string{"NL91ABNA0417164300 EUR: 100.00 +2.50 -10.00 = 92.50 (2) proved true", "NL91ABNA0417164300 EUR: 92.50 +7.50 -0.00 = 100.00 (1) proved true"})
	if !v.Accepted() || len(v.Statements[1].Notes) != 0 {
		t.Errorf("%s, notes %v", v.Quarantined(), v.Statements[1].Notes)
	}
	lines := read(t, content, bankfile.Options{})
	first, dash, third := lines[0], lines[1], lines[2]
	if first.Direction != bankfile.Debit || !first.Reversal || first.BookingDate != "2023-12-31" || first.ValueDate != "2024-01-02" || first.References.EndToEnd != "E2E-1" ||
		first.References.Client != "REF1" || first.Counterparty != (bankfile.Party{Name: "A. Payee", IBAN: "DE89370400440532013000"}) || first.Remittance != "Invoice 17" {
		t.Errorf("RC: %+v", first)
	}
	if dash.Direction != bankfile.Credit || !dash.Reversal || dash.Remittance != "plain text that is - not the end" {
		t.Errorf("RD: %+v", dash)
	}
	if third.References.EndToEnd != "E2E-2" || third.Remittance != "Miete März" || third.Counterparty.Name != "Jörg Maier" || third.Direction != bankfile.Credit || third.Reversal {
		t.Errorf("CR is a credit in euros: %+v", third)
	}
	equal(t, codes(foot(t, strings.Replace(content, ":60M:C240102EUR92,50", ":60M:C240102EUR92,51", 1), bankfile.Options{}, nil)), []string{"unfooted -1", "discontinuous 1"})
	second := strings.LastIndex(content, "{1:")
	if v := foot(t, content[second:]+content[:second], bankfile.Options{}, nil); !v.Accepted() {
		t.Errorf("the order of the messages in the file does not matter: %s", v.Quarantined())
	}
	cut := foot(t, content[:strings.LastIndex(content, ":62F:")], bankfile.Options{}, nil)
	equal(t, codes(cut), []string{"unreadable 0"})
}

func TestBAI2ControlsAndContinuations(t *testing.T) {
	t.Parallel()
	content := fixture(t, "bai2_continued.txt")
	v := foot(t, content, bankfile.Options{}, nil)
	equal(t, totals(v), []string{"9876 USD: 100.00 +5.00 -34.50 = 70.50 (3) proved true"})
	if !v.Accepted() {
		t.Error(v.Quarantined())
	}
	lines := read(t, content, bankfile.Options{})
	if l := lines[0]; l.Remittance != "a text, with commas and more of it" || l.References.Servicer != "BR1" || l.References.Client != "CR1" {
		t.Errorf("%+v", l)
	}
	if l := lines[1]; l.References.Servicer != "BR2" || l.Remittance != "CHECK 12" || l.Direction != bankfile.Debit {
		t.Errorf("%+v", l)
	}
	if lines[2].ValueDate != "2026-03-03" || lines[3].Status != bankfile.Info {
		t.Errorf("%+v", lines[2:])
	}
	for _, test := range []struct{ from, to, want string }{
		{"\n49,24950,8/", "\n49,24951,8/", "control_total 1"},
		{"\n49,24950,8/", "\n49,24950,9/", "control_total 1"},
		{"\n98,24950,1,", "\n98,24950,2,", "control_total 1"},
		{"\n98,24950,1,10/", "\n98,24940,1,10/", "control_total -10"},
		{"\n99,24950,1,12/", "\n99,24950,1,11/", "control_total -1"},
		{"400,3450,2,/", "400,3450,3,/", "control_total 1"},
		{"\n99,24950,1,12/", "", "unreadable 0"},
		{"16,475,450", "16,475,-450", "unreadable 0"},
		{"16,475,450", "16,799,450", "unreadable 0"},
		{"02,RECV,SEND,1", "02,RECV,SEND,2", "unreadable 0"},
	} {
		equal(t, codes(foot(t, strings.Replace(content, test.from, test.to, 1), bankfile.Options{}, nil)), []string{test.want})
	}
}

func TestCSVWithDescribedColumns(t *testing.T) {
	t.Parallel()
	content := fixture(t, "statement.csv")
	v := foot(t, content, german, nil)
	equal(t, totals(v), []string{"DE89370400440532013000 EUR: 99.75 +900.25 -1200.50 = -200.50 (3) proved true"})
	if !v.Accepted() || v.Statements[0].Statement.From != "2026-03-01" || v.Statements[0].Statement.To != "2026-03-03" {
		t.Errorf("%+v", v)
	}
	if l := read(t, content, german)[0]; l.Remittance != "Miete; März" || l.Direction != bankfile.Debit || l.Amount.String() != "1200.50 EUR" {
		t.Errorf("%+v", l)
	}
	broken := foot(t, strings.Replace(content, "1.000,00", "1.000,01", 1), german, nil)
	equal(t, codes(broken), []string{"control_total 1"})
	if broken.Reasons[0].Position.Line != 4 {
		t.Errorf("the break is in line 4: %s", broken.Quarantined())
	}
	for _, change := range [][2]string{{"900,00;", "9x0,00;"}, {"02.03.2026;01", "31.02.2026;01"}, {"Betrag", "Umsatz"}, {"900,00", "900,001"}} {
		equal(t, codes(foot(t, strings.Replace(content, change[0], change[1], 1), german, nil)), []string{"unreadable 0"})
	}
	words := bankfile.Options{Columns: &bankfile.Columns{AccountNumber: "1", Currency: "ccy", BookingDate: "day", Credit: "in", Debit: "out"}}
	two := foot(t, "day,in,out,ccy\n2026-01-02,5.00,,EUR\n2026-01-03,0.00,-3.00,EUR\n2026-01-03,,2,USD\n", words, nil)
	equal(t, totals(two), []string{"1 EUR: none +5.00 -3.00 = none (2) proved false", "1 USD: none +0.00 -2.00 = none (1) proved false"})
	_, err := bankfile.Read(strings.NewReader("a,b\n"), bankfile.Options{Columns: &bankfile.Columns{}}, bankfile.Receiver{})
	var fault *bankfile.Fault
	if err == nil || errors.As(err, &fault) {
		t.Errorf("a bad description is not the file's fault: %v", err)
	}
}

func TestFaultsHaveAPlace(t *testing.T) {
	t.Parallel()
	const mt = ":20:X\n:25:1\n:60F:C240101EUR1,00\n:61:240101C1,00NTRFNONREF\n:62F:C240101EUR2,00\n-\n"
	reversal := fixture(t, "camt053_reversal.xml")
	for _, test := range []struct {
		content string
		line    int
		problem string
	}{
		{"", 1, "empty"},
		{"hello", 1, "neither camt.053"},
		{"\xff\xfe<", 1, "UTF-16"},
		{strings.Replace(mt, ":61:240101C1", ":61:240101X1", 1), 4, "not a statement line"},
		{strings.Replace(mt, ":61:240101", ":61:241301", 1), 4, "not a date"},
		{strings.Replace(mt, "C1,00N", "C1,001N", 1), 4, "more decimals"},
		{strings.Replace(mt, "240101EUR2", "240101USD2", 1), 5, "another currency"},
		{strings.Replace(mt, ":62F:", ":34F:", 1), 5, "MT942"},
		{strings.Replace(reversal, "<Sts>PDNG", "<Sts>WHAT", 1), 12, "status is BOOK"},
		{strings.Replace(reversal, ">DBIT</CdtDbtInd><RvslInd>", ">-</CdtDbtInd><RvslInd>", 1), 11, "neither CRDT nor DBIT"},
		{strings.Replace(reversal, ".001.13", ".001.14", 1), 2, "versions 02 to 13"},
		{reversal + "<more/>", 15, "follows the end"},
		{reversal[:len(reversal)/2], 8, "unexpected EOF"},
		{"<Document><BkToCstmrAcctRpt/></Document>", 1, "intraday"},
		{"<Document/>", 1, "no bank statement"},
		{"<Document><BkToCstmrStmt/></Document>", 1, "holds no statement"},
	} {
		v := foot(t, test.content, bankfile.Options{}, nil)
		if len(v.Reasons) != 1 || v.Reasons[0].Code != bankfile.Unreadable || v.Reasons[0].Position.Line != test.line || !strings.Contains(v.Quarantined(), test.problem) {
			t.Errorf("want line %d, %s; got %s", test.line, test.problem, v.Quarantined())
		}
	}
}

// An error of the source or the receiver is an error, never a verdict about the file.
func TestErrorsOfOthersAreNoVerdict(t *testing.T) {
	t.Parallel()
	broken := errors.New("disk")
	content := fixture(t, "camt053_reversal.xml")
	source := io.MultiReader(strings.NewReader(content[:900]), failing{broken})
	if v, err := bankfile.Foot(source, bankfile.Options{}, nil, bankfile.Receiver{}); !errors.Is(err, broken) || len(v.Reasons) != 0 {
		t.Errorf("source: %v, %s", err, v.Quarantined())
	}
	refuse := bankfile.Receiver{Line: func(*bankfile.Statement, *bankfile.Line) error { return broken }}
	for _, name := range []string{"camt053_reversal.xml", "mt940_pages.txt", "bai2_continued.txt", "statement.csv"} {
		if _, err := bankfile.Foot(strings.NewReader(fixture(t, name)), german, nil, refuse); !errors.Is(err, broken) {
			t.Errorf("receiver of %s: %v", name, err)
		}
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestDigests(t *testing.T) {
	t.Parallel()
	content := fixture(t, "mt940_pages.txt")
	one := foot(t, content, bankfile.Options{}, nil)
	renamed := foot(t, strings.Replace(content, ":20:P1", ":20:Q1", 1), bankfile.Options{}, nil)
	if one.File.Digest == renamed.File.Digest || one.Statements[0].Statement.Digest != renamed.Statements[0].Statement.Digest {
		t.Error("another id changes the file's digest and not the statement's")
	}
	changed := foot(t, strings.Replace(content, "Invoice 17", "Invoice 18", 1), bankfile.Options{}, nil)
	if one.Statements[0].Statement.Digest == changed.Statements[0].Statement.Digest || one.Statements[1].Statement.Digest != changed.Statements[1].Statement.Digest {
		t.Error("another text changes the digest of its own statement")
	}
}

// What was stored is asked for once per account and currency, and not behind a statement without balances.
func TestStoredPreviousStatement(t *testing.T) {
	t.Parallel()
	content := fixture(t, "mt940_pages.txt")
	opening := foot(t, content, bankfile.Options{}, nil).Statements[0].Totals[0].Opening.Amount
	asked := 0
	last := bankfile.Last{Closing: opening, To: "2023-12-29", Sequence: bankfile.Sequence{Number: 9}}
	previous := func(s *bankfile.Statement, currency string) (bankfile.Last, bool, error) {
		asked++
		if s.Account.IBAN != "NL91ABNA0417164300" || currency != "EUR" {
			t.Errorf("asked for %s in %s", s.Account, currency)
		}
		return last, true, nil
	}
	v := foot(t, content, bankfile.Options{}, previous)
	if asked != 1 || !v.Accepted() {
		t.Errorf("asked %d times: %s", asked, v.Quarantined())
	}
	equal(t, v.Statements[0].Notes, []string{"number 12/1 follows 9/0"})
	last.To = "2024-01-03"
	if v := foot(t, content, bankfile.Options{}, previous); len(v.Reasons) != 1 || v.Reasons[0].Code != bankfile.OutOfOrder {
		t.Errorf("an older statement: %s", v.Quarantined())
	}
	last = bankfile.Last{Closing: opening, To: "2023-12-28"}
	last.Closing.Units, _ = opening.Units.Neg()
	equal(t, codes(foot(t, content, bankfile.Options{}, previous)), []string{"discontinuous 20000"})
	broken := errors.New("database")
	_, err := bankfile.Foot(strings.NewReader(content), bankfile.Options{}, func(*bankfile.Statement, string) (bankfile.Last, bool, error) {
		return bankfile.Last{}, false, broken
	}, bankfile.Receiver{})
	if !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}
