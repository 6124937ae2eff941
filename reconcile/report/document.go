package report

// Document is a report: what it says, not how it looks. It is computed once, stored as JSON, and rendered
// in every format from that, so that no format says anything another does not.
//
// Its JSON form is canonical: the same document is the same bytes. Times of computing have no place in it.
type Document struct {
	Name   string   `json:"name"`  // stable, such as "trial-balance"
	Title  string   `json:"title"` // for people
	Ledger string   `json:"ledger"`
	Facts  []Fact   `json:"facts"` // what it rests on: as-of date, period, size, head, policy, run
	Blocks []Block  `json:"blocks"`
	Notes  []string `json:"notes,omitempty"` // what was not computed or not checked, and conventions
	// Records is the number of rows that are no totals, HashTotal the exact sum of all amounts in them,
	// whatever their currency, as a decimal: it means nothing and changes when anything does.
	// Finish computes both.
	Records   int64  `json:"records"`
	HashTotal string `json:"hash_total"`
}

// Fact is a line of a report's head.
type Fact struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Block is a part of a document: any of its fields may be empty, and they stand in this order.
type Block struct {
	Heading string   `json:"heading,omitempty"`
	Text    []string `json:"text,omitempty"` // paragraphs
	Figures []Figure `json:"figures,omitempty"`
	Chart   *Chart   `json:"chart,omitempty"`
	Table   *Table   `json:"table,omitempty"`
}

// ColumnKind says what the cells of a column are, which decides alignment and how a format writes them.
type ColumnKind string

// The kinds of columns.
const (
	Text   ColumnKind = "text"
	Code   ColumnKind = "code"   // account codes, ids, hashes: not broken, in a fixed-width face
	Date   ColumnKind = "date"   // ISO 8601: a day, or a moment as in RFC 3339
	Amount ColumnKind = "amount" // exact decimal; the cell, or else the column, has a currency
	Count  ColumnKind = "count"  // whole number
	Ratio  ColumnKind = "ratio"  // decimal without a currency, such as a percentage
)

// Column is a column of a table.
type Column struct {
	Name     string     `json:"name"`  // stable, for CSV and JSON
	Title    string     `json:"title"` // for people
	Kind     ColumnKind `json:"kind"`
	Currency string     `json:"currency,omitempty"` // of all its amounts
}

// RowKind says what a row is.
type RowKind string

// The kinds of rows. Only those of no kind count as records.
const (
	Record     RowKind = ""
	Subtotal   RowKind = "subtotal"
	Total      RowKind = "total"
	Difference RowKind = "difference" // is zero where the books are right, and printed even then
	Group      RowKind = "group"      // a heading inside the table; only its first cell is filled
)

// Table is a table. A renderer repeats its columns on each page.
type Table struct {
	Name    string   `json:"name"` // stable; unique in its document; the sheet in XLSX
	Columns []Column `json:"columns"`
	Rows    []Row    `json:"rows"`
}

// Row is a row of a table: a cell for each column.
type Row struct {
	Kind  RowKind `json:"kind,omitempty"`
	Level int     `json:"level,omitempty"` // indentation of the first cell
	Cells []Cell  `json:"cells"`
}

// Cell is what stands in a table or figure. An empty cell says nothing; Absent says why there is no value, as in "not
// computed: no rates", and is never printed as zero.
type Cell struct {
	Value    string `json:"value,omitempty"`    // canonical: amounts with the decimals of their currency, dates ISO 8601
	Currency string `json:"currency,omitempty"` // of an amount; Finish copies it from the column
	Scale    *int   `json:"scale,omitempty"`    // decimals of an amount; Finish counts them
	Absent   string `json:"absent,omitempty"`
	Link     *Link  `json:"link,omitempty"`
}

// Link leads from a figure to what it came from. At least one of the fields is set.
type Link struct {
	Account  string `json:"account,omitempty"`  // code
	Transfer string `json:"transfer,omitempty"` // request id
	Seq      *int64 `json:"seq,omitempty"`      // entry
	Report   string `json:"report,omitempty"`   // name of another document
}

// Level is how a figure stands to its limit.
type Level string

// The levels.
const (
	NoLimit Level = ""
	Green   Level = "green"
	Amber   Level = "amber"
	Red     Level = "red"
)

// Figure is one result that stands for itself, with everything a reader needs to judge it.
type Figure struct {
	ID         string `json:"id"` // stable, such as "safeguarding.shortfall.EUR"
	Title      string `json:"title"`
	Value      Cell   `json:"value"`
	Unit       string `json:"unit,omitempty"`       // such as "%"; empty for amounts
	Meaning    string `json:"meaning"`              // in a sentence
	Standard   string `json:"standard,omitempty"`   // source, such as "Basel MAR40"
	Convention string `json:"convention,omitempty"` // id of how it is computed where published ways differ
	Amber      string `json:"amber,omitempty"`      // limit, as the policy says it
	Red        string `json:"red,omitempty"`
	Level      Level  `json:"level,omitempty"`
	Previous   *Cell  `json:"previous,omitempty"` // in the run before
	Sources    []Link `json:"sources,omitempty"`
}

// ChartKind is how a chart is drawn.
type ChartKind string

// The kinds of charts.
const (
	Bars        ChartKind = "bars"         // one group per category, one bar per series
	StackedBars ChartKind = "stacked_bars" // such as an ageing strip
	Lines       ChartKind = "lines"
	Waterfall   ChartKind = "waterfall" // one series of changes; a category ending in "=" stands from zero
	Heat        ChartKind = "heat"      // a row per series, a cell per category
)

// Chart shows the numbers of a series for each category. Values are exact decimals; only the drawing rounds. An empty
// value is drawn as a gap.
type Chart struct {
	Kind       ChartKind `json:"kind"`
	Title      string    `json:"title"`
	Unit       string    `json:"unit,omitempty"` // currency or "%"
	Categories []string  `json:"categories"`
	Series     []Series  `json:"series"`
	Marks      []Mark    `json:"marks,omitempty"`
}

// Series is one line, or one bar of each group.
type Series struct {
	Name   string   `json:"name"`
	Values []string `json:"values"`
	Levels []Level  `json:"levels,omitempty"` // colours by value where given
}

// Mark is a horizontal line across a chart, such as a limit.
type Mark struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	Level Level  `json:"level,omitempty"`
}
