package bankfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"time"

	"tallystick/ledger/money"
)

// mt940 reads customer statement messages (SWIFT Standards MT, Category 9, MT 940) as German, Polish and
// Dutch banks write them. A message is a statement, or a page of one:
//
//	:20: reference   :25: account   :28C: number/page   :60F: or :60M: opening balance
//	:61: line, each with its :86: text   :62F: or :62M: closing balance   :64:, :65: available balances
//
// A field goes on until the next line that begins with a tag. Blocks {1:…}{2:…} around the message, lines
// before :20: (ABN AMRO), blank lines, either kind of line end, a missing "-" and tags of the bank's own
// (:NSF:) are all met in practice and pass. :62F: or :62M: must be there: without it the file was cut off.
type mt940 struct {
	in       *intake
	field    mtField
	line     *Line // waits for its :86:
	currency money.Currency
	closed   bool // a closing balance was read
}

type mtField struct {
	tag      string
	lines    []string
	size     int
	position Position
}

var mtTag = regexp.MustCompile(`^:([0-9]{2}[A-Z]?|[A-Z]{3}):`)

func readMT940(in *intake) error {
	m := &mt940{in: in}
	for {
		in.source.mark()
		b, at, err := in.source.textLine()
		if errors.Is(err, io.EOF) {
			return m.endMessage()
		}
		if err != nil {
			return err
		}
		if err := m.physical(b, at); err != nil {
			return err
		}
	}
}

// physical takes one line of the file.
func (m *mt940) physical(b []byte, at Position) error {
	if bytes.HasPrefix(b, []byte("{")) {
		if bytes.Contains(b, []byte("{2:O942")) || bytes.Contains(b, []byte("{2:I942")) {
			return m.in.fault(at, "", text(b), "an interim report (MT942) is not a statement: use the MT940 of the day")
		}
		_, after, block := bytes.Cut(b, []byte("{4:"))
		if block || bytes.HasPrefix(b, []byte("{1:")) || bytes.HasPrefix(b, []byte("{2:")) || bytes.HasPrefix(b, []byte("{5:")) {
			b = after
		}
	}
	trimmed := bytes.TrimSpace(b)
	switch {
	case len(trimmed) == 0:
		return nil
	case len(trimmed) == 1 && trimmed[0] == 0x1a:
		return nil
	case bytes.Equal(trimmed, []byte("-")) && (m.closed || m.field.tag != "86" || m.line == nil), // otherwise a dash in a text
		bytes.HasPrefix(b, []byte("-}")):
		return m.endMessage()
	}
	if tag := mtTag.FindSubmatch(b); tag != nil {
		if err := m.endField(); err != nil {
			return err
		}
		m.field = mtField{tag: string(tag[1]), position: at, lines: m.field.lines[:0]}
		b = b[len(tag[0]):]
	} else if m.field.tag == "" {
		if m.in.open != nil || len(trimmed) > shownValue {
			return m.in.fault(at, "", text(b), "a line that belongs to no field")
		}
		return nil // before the message
	}
	if m.field.size += len(b); m.field.size > MaxText {
		return m.in.fault(at, ":"+m.field.tag+":", "", fmt.Sprintf("a field longer than %d bytes", MaxText))
	}
	m.field.lines = append(m.field.lines, text(b))
	return nil
}

// endMessage closes the statement, if one is open.
func (m *mt940) endMessage() error {
	if err := m.endField(); err != nil {
		return err
	}
	m.field.tag = ""
	if m.in.open == nil {
		return nil
	}
	if err := m.endLine(); err != nil {
		return err
	}
	if !m.closed {
		return m.in.fault(m.in.source.position(), fmt.Sprintf("statement %d", m.in.open.Index+1), "", "the message ends without its closing balance (:62F: or :62M:): the file is cut off")
	}
	return m.in.end()
}

// endLine hands over the line that waited for its text.
func (m *mt940) endLine() error {
	if m.line == nil {
		return nil
	}
	l := m.line
	m.line = nil
	return m.in.line(l)
}

// endField takes the field that has just ended.
func (m *mt940) endField() error {
	f := m.field
	if f.tag == "" {
		return nil
	}
	value := strings.TrimSpace(f.lines[0])
	if f.tag == "20" {
		if m.in.open != nil { // the "-" of the message before is missing
			m.field.tag = ""
			if err := m.endMessage(); err != nil {
				return err
			}
		}
		return m.begin(value, f.position)
	}
	if m.in.open == nil {
		return m.in.fault(f.position, ":"+f.tag+":", value, "a field outside a message: :20: begins one")
	}
	s := m.in.open
	switch f.tag {
	case "25", "25P":
		s.Account = accountOf(value)
	case "28", "28C":
		m.sequence(value)
	case "34F":
		return m.in.fault(f.position, ":34F:", value, "an interim report (MT942) is not a statement: use the MT940 of the day")
	case "60F", "60M", "62F", "62M", "64", "65":
		if err := m.endLine(); err != nil {
			return err
		}
		return m.balance(f, value)
	case "61":
		if err := m.endLine(); err != nil {
			return err
		}
		if m.closed {
			return m.in.fault(f.position, ":61:", value, "a line after the closing balance")
		}
		return m.movement(f)
	case "86":
		if m.line != nil {
			describe(m.line, f.lines)
			return m.endLine()
		}
	}
	return nil
}

func (m *mt940) begin(id string, at Position) error {
	s, err := m.in.begin()
	if err != nil {
		return err
	}
	s.ID, s.Position = id, at
	m.line, m.closed, m.currency = nil, false, money.Currency{}
	return nil
}

// sequence reads :28C: 5n[/5n], the number of the statement and the page. Some banks put more there.
func (m *mt940) sequence(value string) {
	number, page, _ := strings.Cut(value, "/")
	n, err := strconv.ParseInt(strings.TrimSpace(number), 10, 64)
	if err != nil || n < 0 {
		m.in.open.note(":28C: " + strconv.Quote(shorten(value)) + " is not a number")
		return
	}
	m.in.open.Sequence.Number = n
	if p, err := strconv.ParseInt(strings.TrimSpace(page), 10, 64); err == nil && p >= 0 {
		m.in.open.Sequence.Page = p
	}
}

var (
	mtBalance = regexp.MustCompile(`^([CD]) ?(\d{6}) ?([A-Z]{3}) ?([0-9.,]+)$`)
	mtKinds   = map[string]BalanceKind{"60F": OpeningBooked, "60M": openingPageBooked, "62F": ClosingBooked, "62M": closingPageBooked, "64": ClosingAvailable, "65": ForwardAvailable}
)

// balance reads 1!a6!n3!a15d: side, date, currency, amount.
func (m *mt940) balance(f mtField, value string) error {
	where := ":" + f.tag + ":"
	match := mtBalance.FindStringSubmatch(value)
	if match == nil {
		return m.in.fault(f.position, where, value, "not a balance: C or D, YYMMDD, currency and amount expected, such as C131016EUR84349,74")
	}
	date, exact, ok := shortDate(match[2])
	if !ok {
		return m.in.fault(f.position, where, match[2], "not a date: YYMMDD expected")
	}
	if !exact {
		m.in.open.note(where + " " + match[2] + " is not in the calendar: read as " + string(date))
	}
	currency, err := m.in.currency(f.position, where, match[3])
	if err != nil {
		return err
	}
	a, err := m.in.amount(f.position, where, match[4], markOf(match[4]), currency)
	if err != nil {
		return err
	}
	a.Units = signed(a.Units, map[string]Direction{"C": Credit, "D": Debit}[match[1]])
	switch kind := mtKinds[f.tag]; {
	case m.closed && kind != ClosingAvailable && kind != ForwardAvailable:
		return m.in.fault(f.position, where, value, "a booked balance after the closing balance")
	case m.currency.Code != "" && m.currency != currency:
		return m.in.fault(f.position, where, value, "another currency than "+m.currency.Code+", in which the statement is")
	default:
		m.closed = m.closed || kind == ClosingBooked || kind == closingPageBooked
		m.currency = currency
		return m.in.balance(Balance{Kind: kind, Amount: a, Date: date, Position: f.position})
	}
}

// markOf returns the decimal mark of an amount: a comma by the standard, a point with some banks.
func markOf(amount string) byte {
	if strings.Contains(amount, ",") {
		return ','
	}
	return '.'
}

// mtLine is 6!n[4!n]2a[1!a]15d1!a3!c16x[//16x]: value date, entry date, mark, third letter of the currency,
// amount, type, references. Marks are C and D, RC and RD for the reversal of either, and EC and ED for
// expected ones.
var mtLine = regexp.MustCompile(`^(\d{6})(\d{4})? ?([ER]?[CD])([A-Z])? ?([0-9]+[.,]?[0-9]*|[.,][0-9]+)(?:([A-Z][A-Z0-9]{3})(.*))?$`)

// movement reads :61:. The reversal of a credit (RC) takes money away, that of a debit (RD) brings it back.
func (m *mt940) movement(f mtField) error {
	first := strings.TrimSpace(f.lines[0])
	match := mtLine.FindStringSubmatch(first)
	switch {
	case match == nil:
		return m.in.fault(f.position, ":61:", first, "not a statement line: date, C, D, RC or RD, and amount expected, such as 2401150115D12,50NTRFNONREF")
	case m.currency.Code == "":
		return m.in.fault(f.position, ":61:", first, "a line before the opening balance, which names the currency")
	}
	l := &Line{Position: f.position, Status: Booked, Code: match[6]}
	var exact, ok bool
	if l.ValueDate, exact, ok = shortDate(match[1]); !ok {
		return m.in.fault(f.position, ":61:", match[1], "not a date: YYMMDD expected")
	}
	if !exact {
		m.in.open.note(":61: " + match[1] + " is not in the calendar: read as " + string(l.ValueDate))
	}
	if l.BookingDate, ok = entryDate(match[2], l.ValueDate); !ok {
		return m.in.fault(f.position, ":61:", match[2], "not an entry date: MMDD expected")
	}
	var err error
	if l.Amount, err = m.in.amount(f.position, ":61:", match[5], markOf(match[5]), m.currency); err != nil {
		return err
	}
	switch match[3] {
	case "C":
		l.Direction = Credit
	case "D":
		l.Direction = Debit
	case "RC":
		l.Direction, l.Reversal = Debit, true
	case "RD":
		l.Direction, l.Reversal = Credit, true
	case "EC":
		l.Direction, l.Status = Credit, Pending
	case "ED":
		l.Direction, l.Status = Debit, Pending
	}
	client, servicer, _ := strings.Cut(match[7], "//")
	l.References.Client, l.References.Servicer = reference(client), reference(servicer)
	l.Info = squeeze(strings.Join(f.lines[1:], " "))
	m.line = l
	return nil
}

// reference drops what stands for none.
func reference(s string) string {
	if s = strings.TrimSpace(s); s == "NONREF" || s == notProvided {
		return ""
	}
	return s
}

// entryDate reads MMDD of the year that puts it nearest to the value date; without one it is unknown.
func entryDate(s string, value Date) (Date, bool) {
	if s == "" {
		return "", true
	}
	near, ok := value.Time()
	if !ok {
		return "", false
	}
	best := Date("")
	for year := near.Year() - 1; year <= near.Year()+1; year++ {
		d, _, ok := day(year, number2(s), number2(s[2:]))
		if !ok {
			return "", false
		}
		if best == "" || distance(d, value) < distance(best, value) {
			best = d
		}
	}
	return best, true
}

// distance is the number of days between two dates.
func distance(a, b Date) int64 {
	x, _ := a.Time()
	y, _ := b.Time()
	days := int64(x.Sub(y) / (24 * time.Hour))
	return max(days, -days)
}
