package report

import (
	"fmt"
	"strings"
	"testing"
)

// rich is a report with everything that can be difficult, finished.
func rich(t testing.TB) *Document {
	t.Helper()
	seq := int64(40_213)
	doc := &Document{
		Name: "rich-fixture", Title: "Trial balance and more", Ledger: "main",
		Facts: []Fact{
			{"As of", "2026-11-28"}, {"Period", "2026-11-01 to 2026-11-28"}, {"Ledger size", "40,214 entries"},
			{"Head", "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"},
			{"Policy", "none: figures that need one are not computed"},
		},
		Notes: []string{
			"Debit stands left and credit right, without signs. Currencies are never added up. " + strings.Repeat("This note is long so that it must be wrapped. ", 4),
			"Liquidity coverage was not computed: no inputs.csv was given.",
			"A note with <script>alert('no')</script> & \"quotes\".",
		},
		Blocks: []Block{
			figuresBlock(seq), trialBlock(), hostileBlock(seq), longBlock(),
		},
	}
	doc.Blocks = append(doc.Blocks, chartBlocks()...)
	if err := Finish(doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

func figuresBlock(seq int64) Block {
	return Block{
		Heading: "Figures",
		Text:    []string{"What the night found, each with its limit. The level is that of the policy in force on the day."},
		Figures: []Figure{
			{ID: "safeguarding.excess.EUR", Title: "Safeguarding excess, EUR", Value: Cell{Value: "120034.56", Currency: "EUR"},
				Meaning: "What the safeguarding accounts hold beyond the sum of all positive client balances.", Standard: "CASS 15.8",
				Convention: "cass15.gross", Amber: "below 50,000.00 EUR", Red: "below 0.00 EUR", Level: Green,
				Previous: &Cell{Value: "118200.00", Currency: "EUR"}, Sources: []Link{{Account: "bank:safeguarding"}, {Report: "safeguarding"}}},
			{ID: "fx.charge.EUR", Title: "FX charge", Value: Cell{Value: "26.80", Currency: "EUR"}, Meaning: "8 % of the net open position.",
				Standard: "Basel MAR40", Amber: "above 20.00 EUR", Red: "above 50.00 EUR", Level: Amber, Previous: &Cell{Absent: "not computed: no rates"}},
			{ID: "exposure.largest", Title: "Largest exposure to one client group", Value: Cell{Value: "27.4"}, Unit: "%",
				Meaning: "Share of Tier 1 that the largest group owes.", Standard: "Basel LEX20", Red: "25 %", Level: Red, Sources: []Link{{Account: "loans:acme", Seq: &seq}}},
			{ID: "lcr", Title: "Liquidity coverage ratio", Value: Cell{Absent: "not computed: no inputs"}, Meaning: "Liquid assets over the net outflow of 30 days."},
		},
	}
}

func trialBlock() Block {
	amount := func(value, currency string) Cell { return Cell{Value: value, Currency: currency} }
	row := func(kind RowKind, level int, cells ...Cell) Row { return Row{Kind: kind, Level: level, Cells: cells} }
	account := func(code string) Cell { return Cell{Value: code, Link: &Link{Account: code}} }
	return Block{
		Heading: "Trial balance",
		Text:    []string{"Several currencies, each for itself."},
		Table: &Table{Name: "trial-balance",
			Columns: []Column{
				{"account", "Account", Code, ""}, {"name", "Name", Text, ""}, {"opening", "Opening", Amount, ""},
				{"debit", "Debit", Amount, ""}, {"credit", "Credit", Amount, ""}, {"postings", "Postings", Count, ""}, {"share", "Share %", Ratio, ""},
			},
			Rows: []Row{
				row(Group, 0, Cell{Value: "EUR"}, Cell{}, Cell{}, Cell{}, Cell{}, Cell{}, Cell{}),
				row(Record, 1, account("bank:main"), Cell{Value: "Current account at the bank"}, amount("1200.00", "EUR"), amount("1234567.89", "EUR"), Cell{}, Cell{Value: "1200"}, Cell{Value: "99.5"}),
				row(Record, 1, account("customers:42:wallet"), Cell{Value: "Müller & Søhne, Αθήνα, Москва"}, amount("-1200.00", "EUR"), Cell{}, amount("1234567.89", "EUR"), Cell{Value: "7"}, Cell{Absent: "not computed: no rates"}),
				row(Total, 0, Cell{Value: "Total EUR"}, Cell{}, amount("0.00", "EUR"), amount("1234567.89", "EUR"), amount("1234567.89", "EUR"), Cell{Value: "1207"}, Cell{}),
				row(Difference, 0, Cell{Value: "Difference EUR"}, Cell{}, amount("0.00", "EUR"), amount("0.00", "EUR"), Cell{}, Cell{}, Cell{}),
				row(Group, 0, Cell{Value: "JPY"}, Cell{}, Cell{}, Cell{}, Cell{}, Cell{}, Cell{}),
				row(Record, 1, account("bank:tokyo"), Cell{Value: "東京の銀行"}, amount("0", "JPY"), amount("1000000", "JPY"), Cell{}, Cell{Value: "3"}, Cell{Value: "0.25"}),
				row(Record, 1, account("suspense"), Cell{}, amount("0", "JPY"), Cell{}, amount("999999", "JPY"), Cell{Value: "3"}, Cell{}),
				row(Subtotal, 0, Cell{Value: "Total JPY"}, Cell{}, amount("0", "JPY"), amount("1000000", "JPY"), amount("999999", "JPY"), Cell{Value: "6"}, Cell{}),
				row(Difference, 0, Cell{Value: "Difference JPY"}, Cell{}, amount("0", "JPY"), amount("1", "JPY"), Cell{}, Cell{}, Cell{}),
				row(Group, 0, Cell{Value: "BTC and the largest amount there is"}, Cell{}, Cell{}, Cell{}, Cell{}, Cell{}, Cell{}),
				row(Record, 1, account("custody:btc"), Cell{Value: "Custody"}, amount("0.00000001", "BTC"), amount("0.12345678", "BTC"), Cell{}, Cell{Value: "1"}, Cell{}),
				row(Record, 1, account("equity:max"), Cell{Value: "128 bits"}, amount("-170141183460469231731687303715884105727", "XTS"), amount("170141183460469231731.687303715884105727", "XTS"), Cell{}, Cell{Value: "1"}, Cell{}),
			}},
	}
}

func hostileBlock(seq int64) Block {
	texts := []string{
		`=HYPERLINK("http://evil.example","click")`, "+49 30 1234", "-2+3", "@SUM(A1)", "\t=1+1", "\r=1+1", "  =1+1", "x;=cmd|' /C calc'!A0", "-12.50",
		"<script>alert(1)</script>", `</style><img src=x onerror="alert(2)">`, "two\nlines", "quote \" and, comma", "nul \x00 bell \x07 escape \x1b[31m", "bad \xff\xfe utf-8",
		"right to left: שלום עולם 123 end", "العربية 456", "override \u202egnp.exe", "emoji 👩‍👩‍👧 and é", "{nb} {{.Title}} %s %!d", strings.Repeat("verylongword", 20),
	}
	t := &Table{Name: "hostile", Columns: []Column{{"reference", "Reference", Code, ""}, {"text", "Text that clients wrote", Text, ""}, {"booked", "Booked", Date, ""}, {"amount", "Amount", Amount, "EUR"}}}
	for i, text := range texts {
		t.Rows = append(t.Rows, Row{Cells: []Cell{
			{Value: fmt.Sprintf("ref-%03d", i), Link: &Link{Transfer: "019a0000-0000-7000-8000-00000000000" + fmt.Sprint(i%10), Seq: &seq}},
			{Value: text}, {Value: "2026-11-28"}, {Value: fmt.Sprintf("-%d.%02d", i, i+1)},
		}})
	}
	return Block{Heading: "Hostile text", Table: t}
}

func longBlock() Block {
	t := &Table{Name: "postings", Columns: []Column{
		{"seq", "Entry", Count, ""}, {"booked", "Booked", Date, ""}, {"account", "Account", Code, ""}, {"description", "Description", Text, ""},
		{"debit", "Debit", Amount, "EUR"}, {"credit", "Credit", Amount, "EUR"}, {"balance", "Balance", Amount, "EUR"},
	}}
	balance, debits, credits := int64(0), int64(0), int64(0)
	cents := func(n int64) Cell {
		sign := ""
		if n < 0 {
			sign, n = "-", -n
		}
		return Cell{Value: fmt.Sprintf("%s%d.%02d", sign, n/100, n%100)}
	}
	for i := range int64(300) {
		n := (i*7919 + 13) % 1_000_000
		debit, credit := cents(n), Cell{}
		if i%3 == 1 {
			debit, credit = Cell{}, cents(n)
			balance, credits = balance-n, credits+n
		} else {
			balance, debits = balance+n, debits+n
		}
		description := fmt.Sprintf("Payment %d", i)
		if i%40 == 7 {
			description = "A payment whose description is so long that it takes more than one line in any table that wants to fit a page"
		}
		t.Rows = append(t.Rows, Row{Cells: []Cell{{Value: fmt.Sprint(i)}, {Value: fmt.Sprintf("2026-11-%02d", i/12+1)},
			{Value: fmt.Sprintf("customers:%d:wallet", i%17)}, {Value: description}, debit, credit, cents(balance)}})
	}
	t.Rows = append(t.Rows, Row{Kind: Total, Cells: []Cell{{}, {Value: "Total"}, {}, {}, cents(debits), cents(credits), cents(balance)}})
	return Block{Heading: "General ledger", Table: t}
}

func chartBlocks() []Block {
	days := make([]string, 28)
	nostro, clients := make([]string, 28), make([]string, 28)
	for i := range days {
		days[i] = fmt.Sprintf("2026-11-%02d", i+1)
		nostro[i] = fmt.Sprintf("%d.50", 1_200_000+((i*7919)%97)*1000)
		clients[i] = fmt.Sprintf("%d.00", 1_150_000+((i*104729)%89)*900)
	}
	nostro[9] = ""
	return []Block{
		{Heading: "Charts", Chart: &Chart{Kind: Lines, Title: "Safeguarding account and client money", Unit: "EUR", Categories: days,
			Series: []Series{{Name: "Bank", Values: nostro}, {Name: "Clients", Values: clients}}, Marks: []Mark{{"Requirement", "1180000", Red}}}},
		{Chart: &Chart{Kind: Bars, Title: "Net open position", Unit: "EUR", Categories: []string{"USD", "GBP", "JPY", "CHF", "XAU"},
			Series: []Series{{Name: "Long", Values: []string{"50", "100", "150", "", "0"}}, {Name: "Short", Values: []string{"", "-20", "", "-180", "-35"}}}, Marks: []Mark{{"Limit", "120", Amber}, {"Hard limit", "-150", Red}}}},
		{Chart: &Chart{Kind: StackedBars, Title: "Breaks by age", Unit: "EUR", Categories: []string{"0–4 days", "5–15 days", "16–30 days", "31–45 days", "46 days and more"},
			Series: []Series{{Name: "Bank", Values: []string{"12000.00", "4000.00", "900.00", "0.00", "150.00"}}, {Name: "Ledger", Values: []string{"3000.00", "2500.00", "0.00", "700.00", "50.00"}}}}},
		{Chart: &Chart{Kind: Waterfall, Title: "From bank to ledger", Unit: "EUR", Categories: []string{"Bank closing=", "In transit", "Fees not booked", "Unmatched at the bank", "Ledger closing="},
			Series: []Series{{Values: []string{"10000.00", "2500.00", "-75.50", "-1200.00", "11224.50"}}}}},
		{Chart: &Chart{Kind: Heat, Title: "Findings by check and night", Categories: []string{"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"},
			Series: []Series{
				{Name: "Chain", Values: []string{"0", "0", "0", "0", "0", "0", "0"}, Levels: []Level{Green, Green, Green, Green, Green, Green, Green}},
				{Name: "Suspense accounts older than 30 days", Values: []string{"1", "3", "4", "4", "9", "12", ""}, Levels: []Level{Green, Amber, Amber, Amber, Red, Red, NoLimit}},
				{Name: "Bank", Values: []string{"2", "5", "3", "1", "0", "0", "7"}},
			}}},
		{Chart: &Chart{Kind: Bars, Title: "Share of limit by client group", Unit: "%", Categories: []string{"Acme Holdings", "Borealis Payments International", "Café Zürich", "Delta", "Erste Gesellschaft für Handel", "Foxtrot", "Golf & Sons", "Hotel", "India Trading", "Juliett", "Kilo", "Lima"},
			Series: []Series{{Name: "Share", Values: []string{"98.5", "61", "55.25", "40", "33", "30", "28", "20", "15", "11", "5", "1.5"}, Levels: []Level{Red, Amber, Amber, Green, Green, Green, Green, Green, Green, Green, Green, Green}}},
			Marks:  []Mark{{"Report", "50", Amber}, {"Limit", "90", Red}}}},
	}
}
