package bankfile

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"tallystick/ledger/money"
)

// bai2 reads the Cash Management Balance Reporting Specifications, version 2, of the Bank Administration
// Institute:
//
//	01 file ─┬─ 02 group ─┬─ 03 account: balances and summaries ─── 16 transactions ─── 49 account total
//	         │            └─ 98 group total                    88 continues the record before it
//	         └─ 99 file total
//
// An account of a group is a statement. Amounts have no decimal mark: the currency has one. The account's
// control total is the sum of all amounts of its 03 and 16 records as signed there, with those continued in
// 88; a group's is the sum of its accounts', the file's that of its groups'. Counts of records include the
// first and the last.
//
// A record ends with "/", which some banks leave out after a text, and is on a line of its own, which some
// banks do not keep to: a new record begins wherever a record code does, at the beginning of a line or behind
// "/" and white space. What follows a text on the next line without a code belongs to it.
type bai2 struct {
	in      *intake
	fields  []string // of the current record
	text    []string // of a transaction
	inText  bool
	size    int
	at      Position
	records int64 // of the current account, with its 03
	group   baiTotals
	file    baiTotals
	account signedSum
	asOf    Date
	money   money.Currency // of the group
	inFile  bool
	inGroup bool
	ended   bool // 99 was read
	current money.Currency
	credits sum
	debits  sum
	stated  []baiSummary
	fileID  string
}

// signedSum is a signed sum of units.
type signedSum struct {
	units money.Int128
	over  bool
}

func (s *signedSum) add(units money.Int128) {
	total, ok := s.units.Add(units)
	s.units, s.over = total, s.over || !ok
}

// baiTotals are what a group or the file adds up.
type baiTotals struct {
	total   signedSum
	parts   int64
	records int64
}

// baiSummary is a stated sum of all credits or debits of an account.
type baiSummary struct {
	what     string
	amount   money.Int128
	count    string
	position Position
	debit    bool
}

var (
	baiBegins = regexp.MustCompile(`^\s*(01|02|03|16|49|88|98|99),`)
	baiInside = regexp.MustCompile(`/\s+(?:01|02|03|16|49|88|98|99),`)
)

func readBAI2(in *intake) error {
	b := &bai2{in: in}
	for {
		in.source.mark()
		line, at, err := in.source.textLine()
		if errors.Is(err, io.EOF) {
			if err := b.endRecord(); err != nil {
				return err
			}
			if !b.ended {
				return in.fault(at, "", "", "the file ends without its trailer (99): it is cut off")
			}
			return nil
		}
		if err != nil {
			return err
		}
		rest := text(line)
		for rest != "" {
			piece := rest
			if cut := baiInside.FindStringIndex(rest); cut != nil {
				piece = rest[:cut[0]+1]
			}
			rest = rest[len(piece):]
			if err := b.piece(piece, at); err != nil {
				return err
			}
		}
	}
}

// piece takes a record, or what goes on from the line before.
func (b *bai2) piece(piece string, at Position) error {
	trimmed := strings.TrimSpace(piece)
	if trimmed == "" || trimmed == "\x1a" {
		return nil
	}
	if b.size += len(trimmed); b.size > MaxPiece {
		return b.in.fault(at, "record "+b.code(), "", fmt.Sprintf("a record longer than %d bytes", MaxPiece))
	}
	if !baiBegins.MatchString(piece) {
		if b.code() != "16" || !b.inText {
			return b.in.fault(at, "", trimmed, "not a record of BAI2: one of 01, 02, 03, 16, 49, 88, 98, 99 and a comma expected")
		}
		b.text = append(b.text, strings.TrimSuffix(trimmed, "/"))
		return nil
	}
	trimmed = strings.TrimSpace(strings.TrimSuffix(trimmed, "/"))
	code, content := trimmed[:2], trimmed[3:]
	if code != "88" {
		if err := b.endRecord(); err != nil {
			return err
		}
		b.at, b.size, b.text, b.inText = at, len(trimmed), b.text[:0], false
		b.fields = append(b.fields[:0], code)
	} else if len(b.fields) == 0 {
		return b.in.fault(at, "record 88", trimmed, "nothing to continue")
	}
	b.records++
	if b.inText {
		b.text = append(b.text, strings.TrimSpace(content))
		return nil
	}
	b.fields = append(b.fields, strings.Split(content, ",")...)
	if begins := b.textField(); b.code() == "16" && len(b.fields) > begins {
		b.text = append(b.text, strings.TrimSpace(strings.Join(b.fields[begins:], ",")))
		b.fields, b.inText = b.fields[:begins], true
	}
	return nil
}

func (b *bai2) code() string {
	if len(b.fields) == 0 {
		return ""
	}
	return b.fields[0]
}

// textField is where the text of a 16 begins: behind its two references, which stand behind the funds type.
func (b *bai2) textField() int {
	return 4 + b.fundsLength(3) + 2
}

// fundsLength is how many fields belong to the funds type in a field: value date and time of V, three amounts
// of S, pairs of days and amounts of D.
func (b *bai2) fundsLength(at int) int {
	switch b.get(at) {
	case "V", "v":
		return 2
	case "S", "s":
		return 3
	case "D", "d":
		if n, err := strconv.Atoi(b.get(at + 1)); err == nil && n >= 0 && n <= MaxBalances {
			return 1 + 2*n
		}
		return 1
	}
	return 0
}

// get returns a field, empty where the record has ended.
func (b *bai2) get(i int) string {
	if i < len(b.fields) {
		return strings.TrimSpace(b.fields[i])
	}
	return ""
}

func (b *bai2) fault(value, problem string) *Fault {
	return b.in.fault(b.at, "record "+b.code(), value, problem)
}

// endRecord takes the record that has just ended.
func (b *bai2) endRecord() error {
	code := b.code()
	if code == "" {
		return nil
	}
	defer func() { b.fields = b.fields[:0] }()
	if b.ended {
		return b.fault("", "a record behind the file's trailer (99)")
	}
	needs := map[string]bool{ // what must be open, and what must not
		"01": !b.inFile,
		"02": b.inFile && !b.inGroup,
		"03": b.inGroup && b.in.open == nil,
		"16": b.in.open != nil, "49": b.in.open != nil,
		"98": b.inGroup && b.in.open == nil,
		"99": b.inFile && !b.inGroup,
	}
	if !needs[code] {
		return b.fault("", "out of order: 01 (02 (03 16… 49)… 98)… 99 expected")
	}
	switch code {
	case "01":
		b.inFile, b.fileID = true, b.get(5)
		b.in.file.Message = b.fileID
		b.in.file.Version = b.get(8)
		b.file = baiTotals{records: b.records}
		b.records = 0
		return nil
	case "02":
		return b.beginGroup()
	case "03":
		return b.beginAccount()
	case "16":
		return b.transaction()
	case "49":
		return b.endAccount()
	case "98":
		return b.endGroup()
	}
	return b.endFile()
}

// beginGroup reads 02: receiver, originator, status, as-of date and time, currency, modifier.
func (b *bai2) beginGroup() error {
	switch b.get(3) {
	case "", "1", "3": // update, correction
	default:
		return b.fault(b.get(3), "a group of this status is no statement: 1 (update) or 3 (correction) expected")
	}
	asOf, exact, ok := shortDate(b.get(4))
	if !ok || !exact {
		return b.fault(b.get(4), "not a date: YYMMDD expected")
	}
	currency := b.get(6)
	if currency == "" {
		currency = "USD" // the default of the specification
	}
	var err error
	b.asOf, b.inGroup = asOf, true
	b.group = baiTotals{records: b.records}
	b.records = 0
	b.money, err = b.in.currency(b.at, "record 02", currency)
	return err
}

// signedUnits reads an amount without a decimal mark, with or without a sign.
func (b *bai2) signedUnits(s string, at Position) (money.Int128, error) {
	digits, negative := s, false
	if s != "" && (s[0] == '+' || s[0] == '-') {
		digits, negative = s[1:], s[0] == '-'
	}
	a, err := b.in.amount(at, "record "+b.code(), digits, noMark, money.Currency{})
	if err != nil {
		return money.Int128{}, err
	}
	if negative {
		a.Units, _ = a.Units.Neg() // the range is symmetric
	}
	return a.Units, nil
}

// noMark is a decimal mark that no amount has.
const noMark = ','

// endGroup and endFile read 98 and 99: control total, number of parts, number of records.
func (b *bai2) endGroup() error {
	b.group.records += b.records
	b.records = 0
	b.inGroup = false
	if b.file.parts >= MaxStatements {
		return b.fault("", fmt.Sprintf("more than %d groups", MaxStatements))
	}
	if err := b.trailer("group", "accounts", b.group); err != nil {
		return err
	}
	b.file.total.add(b.group.total.units)
	b.file.total.over = b.file.total.over || b.group.total.over
	b.file.parts++
	b.file.records += b.group.records
	return nil
}

func (b *bai2) endFile() error {
	b.file.records += b.records
	b.ended = true
	return b.trailer("file", "groups", b.file)
}

func (b *bai2) trailer(of, parts string, t baiTotals) error {
	if t.total.over {
		return b.fault("", "control totals beyond what can be counted")
	}
	total, err := b.signedUnits(b.get(1), b.at)
	if err != nil {
		return err
	}
	b.in.file.Controls = append(b.in.file.Controls, Control{What: of + " control total", Position: b.at,
		Stated: Amount{total, b.money}, Counted: Amount{t.total.units, b.money}})
	for i, c := range []struct {
		what    string
		counted int64
	}{{of + " number of " + parts, t.parts}, {of + " number of records", t.records}} {
		stated, err := b.signedUnits(b.get(2+i), b.at)
		if err != nil {
			return err
		}
		b.in.file.Controls = append(b.in.file.Controls, Control{What: c.what, Count: true, Position: b.at,
			Stated: Amount{Units: stated}, Counted: plain(c.counted)})
	}
	return nil
}
