package bankfile

import (
	"time"

	"tallystick/ledger/money"
)

// Format is how a bank writes its statements.
type Format string

// The formats. A camt message is named without its version, which File.Version holds.
const (
	Camt053 Format = "camt.053"
	Camt054 Format = "camt.054"
	MT940   Format = "mt940"
	BAI2    Format = "bai2"
	CSV     Format = "csv"
)

// Date is a day as the bank names it, such as 2024-11-29, without a time zone; empty when the bank names
// none. Dates compare as text.
type Date string

// Time returns the beginning of the day in UTC, and false for no date.
func (d Date) Time() (time.Time, bool) {
	t, err := time.Parse(time.DateOnly, string(d))
	return t, err == nil
}

// Direction is the side of a line as the bank sees its customer's account: a credit raises the balance.
type Direction string

// The directions.
const (
	Credit Direction = "credit"
	Debit  Direction = "debit"
)

// Status says whether a line moves the balance.
type Status string

// The statuses. Only a booked line moves the balance; all else is said beforehand or for information.
const (
	Booked  Status = "BOOK"
	Pending Status = "PDNG"
	Info    Status = "INFO"
)

// Account is an account at the bank: an IBAN where it has one, otherwise the number the bank uses.
type Account struct {
	IBAN  string
	Other string
}

// String returns the IBAN, or else the other number.
func (a Account) String() string {
	if a.IBAN != "" {
		return a.IBAN
	}
	return a.Other
}

// Amount is an exact amount: units of the currency's smallest decimal. Balances and sums are positive when
// the account is in credit.
type Amount struct {
	Units    money.Int128
	Currency money.Currency
}

// String returns the amount with the decimals of its currency, and its code: "12.34 EUR".
func (a Amount) String() string {
	return a.Units.Format(a.Currency.Scale) + " " + a.Currency.Code
}

// BalanceKind is what a balance states. The codes are those of ISO 20022, for all formats.
type BalanceKind string

// The kinds of balance that prove something; others are kept under the bank's own code.
const (
	OpeningBooked     BalanceKind = "OPBD"
	PreviouslyClosed  BalanceKind = "PRCD"
	ClosingBooked     BalanceKind = "CLBD"
	Interim           BalanceKind = "ITBD"
	OpeningAvailable  BalanceKind = "OPAV"
	ClosingAvailable  BalanceKind = "CLAV"
	ForwardAvailable  BalanceKind = "FWAV"
	currentAvailable  BalanceKind = "ITAV"
	openingPageBooked BalanceKind = "OPBD/INTM" // of MT940 60M: opens a page that is not the first
	closingPageBooked BalanceKind = "CLBD/INTM" // of MT940 62M: closes a page that is not the last
)

// Balance is a balance that the statement states.
type Balance struct {
	Kind     BalanceKind
	Amount   Amount
	Date     Date
	Position Position
}

// Control is a sum or a count that the file states of itself, beside what was read. Difference of the two
// is what is missing or too much.
type Control struct {
	What     string // such as "account control total"
	Stated   Amount
	Counted  Amount
	Count    bool // the amounts are plain numbers of records or entries
	Position Position
}

// Sequence numbers a statement: Number by the bank, Page inside it. Zero is unknown.
type Sequence struct {
	Number int64
	Page   int64
}

// Statement is one statement of one account. Opening and Closing are those of its own currency; an account
// with several states one pair in each, all of which are in Balances. A Receiver gets it with what is known
// before its first line when it opens, and whole when it closes.
type Statement struct {
	Format    Format
	Index     int    // its place in the file; the first is 0
	ID        string // as the bank names it; banks do not always make it unique
	Account   Account
	Currency  string // of the account, or of its balances
	From, To  Date
	Opening   *Balance // nil when none is stated
	Closing   *Balance
	Balances  []Balance // all, in their order in the file
	Sequence  Sequence
	Copy      bool // the bank marks it as a copy or a duplicate
	Lines     int  // how many have been read
	Controls  []Control
	Notes     []string // what was tolerated, at most maxNotes
	Digest    Digest   // of its content, see Digest; set when the statement closes
	Position  Position
	Remainder int // notes beyond those kept
}

// References are the names under which a payment is known to those it passed.
type References struct {
	EndToEnd    string // given by the payer
	Transaction string // given by the payer's bank
	Servicer    string // given by the account's bank
	Instruction string
	Mandate     string
	Client      string // the customer's own, such as the reference for the account owner of MT940
	Entry       string // of the line in this statement
	Message     string // of the batch's message
	Batch       string // payment information id of a batch
	UETR        string
	Cheque      string
}

// Party is who stands at the other end.
type Party struct {
	Name string
	IBAN string // or another number, when there is no IBAN
}

// Line is one movement, or one announcement of it. Amount is never negative: Direction alone is its sign,
// and Reversal does not turn it again.
type Line struct {
	Index        int // in its statement; the first is 0
	BookingDate  Date
	ValueDate    Date
	Amount       Amount
	Direction    Direction
	Reversal     bool
	Status       Status
	References   References
	Counterparty Party
	Remittance   string
	Code         string // the bank's transaction code: PMNT/RCDT/ESCT, NTRF, 142, …
	Info         string // what else the bank says of it
	Batch        *Batch // a line that sums a batch
	Details      []Detail
	Position     Position
}

// Batch is what a line says of the batch it sums.
type Batch struct {
	Message string
	Payment string
	Count   int64
	Total   *Amount
}

// Detail is one payment of a line that covers several. A line may be the net of details of both directions.
type Detail struct {
	Amount       *Amount // nil when the bank does not state it
	Direction    Direction
	References   References
	Counterparty Party
	Remittance   string
	Code         string
	Info         string
}

// Signed returns the line's amount, negative for a debit.
func (l *Line) Signed() money.Int128 { return signed(l.Amount.Units, l.Direction) }

func signed(units money.Int128, d Direction) money.Int128 {
	if d == Debit {
		units, _ = units.Neg() // the range is symmetric
	}
	return units
}

// DetailSum returns credits less debits of the details, and false when one of them has no amount, or
// another currency than the line. Charges may stand between it and the amount of the line.
func (l *Line) DetailSum() (money.Int128, bool) {
	var sum money.Int128
	for _, d := range l.Details {
		if d.Amount == nil || d.Amount.Currency != l.Amount.Currency {
			return money.Int128{}, false
		}
		var ok bool
		if sum, ok = sum.Add(signed(d.Amount.Units, d.Direction)); !ok {
			return money.Int128{}, false
		}
	}
	return sum, len(l.Details) > 0
}

// maxNotes bounds the notes of a statement.
const maxNotes = 20

// note keeps what was tolerated.
func (s *Statement) note(text string) {
	if len(s.Notes) < maxNotes {
		s.Notes = append(s.Notes, text)
	} else {
		s.Remainder++
	}
}
