package camt_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"tallystick/ledger/chain"
	"tallystick/ledger/money"
	"tallystick/reconcile/bankfile"
	"tallystick/reconcile/camt"
	"tallystick/scripts/samples"
)

// sample is a statement with everything in it that a message could get wrong.
func sample() *camt.Statement {
	day := chain.DateOf(time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC))
	return &camt.Statement{
		ID: "0f2b8f9a5d3c4e6f8a7b9c0d1e2f3a4b", Created: time.Date(2026, 2, 1, 8, 30, 15, 123456000, time.UTC),
		IBAN: "BE68539007547034", Currency: money.Currency{Code: "EUR", Scale: 2}, From: day, To: day + 26,
		Opening: money.FromInt64(-10_000), Closing: money.FromInt64(2_345),
		Lines: []camt.Line{
			{Ref: "17", Servicer: "018f0000000070008000000000000001", Booked: day, Valued: day - 400, Credit: true, Amount: money.FromInt64(12_346), Kind: "transfer",
				Reference: "A & B <\"'>", Description: strings.Repeat("Zahlung für Ärzte, 料金. ", 20)},
			{Ref: "18", Servicer: "018f0000000070008000000000000002", Booked: day + 26, Valued: day + 30, Amount: money.FromInt64(1), Reversal: true, Kind: "reversal",
				Reference: strings.Repeat("r", 255)},
		},
	}
}

// read returns what the reader of bank files makes of a message.
func read(tb testing.TB, message []byte) (bankfile.Statement, []bankfile.Line, bankfile.File) {
	tb.Helper()
	var s bankfile.Statement
	var lines []bankfile.Line
	file, err := bankfile.Read(bytes.NewReader(message), bankfile.Options{Currency: func(code string) (money.Currency, bool) {
		return money.Currency{Code: code, Scale: 5}, true
	}}, bankfile.Receiver{
		Line:  func(_ *bankfile.Statement, l *bankfile.Line) error { lines = append(lines, *l); return nil },
		Close: func(closed *bankfile.Statement) error { s = *closed; return nil },
	})
	if err != nil {
		tb.Fatalf("%v\n%s", err, message)
	}
	return s, lines, file
}

func written(tb testing.TB, v camt.Version, s *camt.Statement) []byte {
	tb.Helper()
	var b bytes.Buffer
	if err := camt.Write(&b, v, s); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

// same holds a statement against what was read back of it.
func same(s *camt.Statement, v camt.Version, got bankfile.Statement, lines []bankfile.Line, file bankfile.File) error {
	switch {
	case file.Version != string(v) || got.ID != s.ID || got.Account.String() != s.IBAN+s.Number || got.Currency != s.Currency.Code:
		return fmt.Errorf("the head is %+v of %+v", got, file)
	case got.Opening == nil || got.Closing == nil || got.Opening.Amount.Units != s.Opening || got.Closing.Amount.Units != s.Closing:
		return fmt.Errorf("balances %+v and %+v", got.Opening, got.Closing)
	case string(got.From) != s.From.String() || string(got.To) != s.To.String():
		return fmt.Errorf("from %s to %s", got.From, got.To)
	case len(lines) != len(s.Lines) || len(got.Notes) > 0:
		return fmt.Errorf("%d lines, notes %v", len(lines), got.Notes)
	}
	for i := range lines {
		l, want := &lines[i], &s.Lines[i]
		direction := bankfile.Debit
		if want.Credit {
			direction = bankfile.Credit
		}
		if l.Amount.Units != want.Amount || l.Direction != direction || l.Reversal != want.Reversal || l.Status != bankfile.Booked ||
			string(l.BookingDate) != want.Booked.String() || string(l.ValueDate) != want.Valued.String() || l.References.Entry != want.Ref || l.References.Servicer != want.Servicer {
			return fmt.Errorf("line %+v, want %+v", l, want)
		}
		if characters := utf8.RuneCountInString(want.Reference); characters <= 35 && l.References.EndToEnd != want.Reference || characters > 35 && l.Info != want.Reference {
			return fmt.Errorf("line %s has references %+v and info %q", want.Ref, l.References, l.Info)
		}
		if strings.ReplaceAll(l.Remittance, " ", "") != strings.ReplaceAll(want.Description, " ", "") {
			return fmt.Errorf("line %s says %q, want %q", want.Ref, l.Remittance, want.Description)
		}
	}
	return nil
}

func TestAStatementIsReadBackAsItWas(t *testing.T) {
	t.Parallel()
	for _, v := range camt.Versions {
		s := sample()
		message := written(t, v, s)
		got, lines, file := read(t, message)
		if err := same(s, v, got, lines, file); err != nil {
			t.Errorf("%s: %v\n%s", v, err, message)
		}
		judged, err := bankfile.Foot(bytes.NewReader(message), bankfile.Options{}, nil, bankfile.Receiver{})
		if err != nil || !judged.Accepted() {
			t.Errorf("%s does not foot: %+v, %v", v, judged, err)
		}
		if !bytes.Equal(message, written(t, v, s)) {
			t.Errorf("%s: another message the second time", v)
		}
	}
}

// xmllint validates messages, many at once.
func xmllint(tb testing.TB, v camt.Version, messages ...[]byte) {
	tb.Helper()
	schema := samples.Path(tb, "xsd/"+string(v)+".xsd")
	if _, err := exec.LookPath("xmllint"); err != nil {
		if os.Getenv(samples.RequireVariable) == "1" {
			tb.Fatalf("%s=1: there is no xmllint; sh scripts/install.sh xmllint installs it", samples.RequireVariable)
		}
		tb.Skip("there is no xmllint; sh scripts/install.sh xmllint installs it")
	}
	args := []string{"--noout", "--nonet", "--schema", schema}
	dir := tb.TempDir()
	for i, m := range messages {
		path := filepath.Join(dir, fmt.Sprintf("%d.xml", i))
		if err := os.WriteFile(path, m, 0o600); err != nil {
			tb.Fatal(err)
		}
		args = append(args, path)
	}
	if out, err := exec.CommandContext(tb.Context(), "xmllint", args...).CombinedOutput(); err != nil {
		tb.Errorf("xmllint: %v\n%.4000s", err, out)
	}
}

func TestMessagesAreValidAgainstTheSchema(t *testing.T) {
	t.Parallel()
	for _, v := range camt.Versions {
		t.Run(string(v), func(t *testing.T) {
			t.Parallel()
			empty := sample()
			empty.Lines, empty.Closing = nil, empty.Opening
			messages := [][]byte{written(t, v, sample()), written(t, v, empty)}
			rapid.Check(t, func(rt *rapid.T) {
				s := draw(rt)
				var b bytes.Buffer
				err := camt.Write(&b, v, s)
				if err != nil {
					if !errors.Is(err, camt.ErrUnfit) || b.Len() > 0 {
						rt.Fatalf("%d bytes and %v", b.Len(), err)
					}
					return
				}
				messages = append(messages, bytes.Clone(b.Bytes()))
				got, lines, file := read(t, b.Bytes())
				s.Currency.Scale = min(s.Currency.Scale, 5)
				if _, known := money.ISO(s.Currency.Code); !known {
					return // read with five decimals, whatever it has
				}
				if err := same(s, v, got, lines, file); err != nil {
					rt.Fatalf("%v\n%s", err, b.Bytes())
				}
			})
			if len(messages) < 20 {
				t.Fatalf("only %d messages", len(messages))
			}
			xmllint(t, v, messages...)
		})
	}
}

// draw makes up a statement, most of which fit.
func draw(t *rapid.T) *camt.Statement {
	id := rapid.StringMatching(`[a-z0-9:._-]{1,34}`)
	s := &camt.Statement{ID: id.Draw(t, "id"), Number: id.Draw(t, "number"), Created: time.UnixMicro(rapid.Int64Range(0, 4e15).Draw(t, "created")),
		Currency: rapid.SampledFrom([]money.Currency{{Code: "EUR", Scale: 2}, {Code: "JPY"}, {Code: "BHD", Scale: 3}, {Code: "XPT", Scale: 8}, {Code: "PTS8", Scale: 8}}).Draw(t, "currency"),
		From:     chain.Date(rapid.IntRange(0, 20_000).Draw(t, "from"))}
	s.To = s.From + chain.Date(rapid.IntRange(0, 400).Draw(t, "days"))
	s.Opening = money.FromInt64(rapid.Int64Range(-1e12, 1e12).Draw(t, "opening"))
	closing := s.Opening
	for range rapid.IntRange(0, 5).Draw(t, "lines") {
		units := rapid.Int64Range(1, 1e12)
		if s.Currency.Scale == 8 {
			units = rapid.Map(units, func(v int64) int64 { return v * 1000 })
		}
		l := camt.Line{Ref: id.Draw(t, "ref"), Servicer: id.Draw(t, "servicer"), Kind: "transfer", Booked: s.From, Valued: chain.Date(rapid.IntRange(-1000, 30_000).Draw(t, "valued")),
			Credit: rapid.Bool().Draw(t, "credit"), Reversal: rapid.Bool().Draw(t, "reversal"), Amount: money.FromInt64(units.Draw(t, "amount")),
			Reference: rapid.StringMatching(`([ -~äß料]{0,40})`).Draw(t, "reference"), Description: rapid.StringMatching(`([a-zA-Z&<>"'äß料]{0,300})`).Draw(t, "description")}
		l.Reference = strings.TrimSpace(strings.Join(strings.Fields(l.Reference), " "))
		if l.Credit {
			closing, _ = closing.Add(l.Amount)
		} else {
			closing, _ = closing.Sub(l.Amount)
		}
		s.Lines = append(s.Lines, l)
	}
	s.Closing = closing
	return s
}

func TestWhatDoesNotFitIsRefusedAndNothingWritten(t *testing.T) {
	t.Parallel()
	big, _ := money.FromMagnitude(false, 1, 0)
	for name, c := range map[string]struct {
		spoil func(*camt.Statement)
		want  string
	}{
		"a currency with a digit":       {func(s *camt.Statement) { s.Currency.Code = "PTS8" }, "three letters"},
		"no IBAN":                       {func(s *camt.Statement) { s.IBAN = "BE 68" }, "is no IBAN"},
		"a long account":                {func(s *camt.Statement) { s.IBAN, s.Number = "", strings.Repeat("a", 35) }, "give its IBAN"},
		"a long id":                     {func(s *camt.Statement) { s.ID = strings.Repeat("1", 36) }, "1 to 35"},
		"no id":                         {func(s *camt.Statement) { s.ID = "" }, "1 to 35"},
		"19 digits":                     {func(s *camt.Statement) { s.Lines[0].Amount = money.FromInt64(1_000_000_000_000_000_000) }, "18 digits"},
		"128 bits":                      {func(s *camt.Statement) { s.Opening = big }, "18 digits"},
		"6 decimals":                    {func(s *camt.Statement) { s.Currency.Scale = 6; s.Lines[0].Amount = money.FromInt64(1_000_001) }, "5 decimals"},
		"an amount of nothing":          {func(s *camt.Statement) { s.Lines[0].Amount = money.Int128{} }, "direction is the sign"},
		"a character that XML lacks":    {func(s *camt.Statement) { s.Lines[0].Description = "a\uFFFFb" }, "U+FFFF"},
		"a zero byte":                   {func(s *camt.Statement) { s.Lines[1].Reference = "a\x00b" }, "U+0000"},
		"half a character":              {func(s *camt.Statement) { s.Lines[1].Reference = "\xc3" }, "no UTF-8"},
		"a reference of 501 characters": {func(s *camt.Statement) { s.Lines[1].Reference = strings.Repeat("ä", 501) }, "500 characters"},
		"a long reference of the line":  {func(s *camt.Statement) { s.Lines[1].Ref = strings.Repeat("1", 36) }, "1 to 35"},
	} {
		for _, v := range camt.Versions {
			s := sample()
			c.spoil(s)
			var b bytes.Buffer
			if err := camt.Write(&b, v, s); !errors.Is(err, camt.ErrUnfit) || !strings.Contains(err.Error(), c.want) || b.Len() > 0 {
				t.Errorf("%s: %d bytes, %v", name, b.Len(), err)
			}
		}
	}
	s := sample()
	s.Closing = money.FromInt64(2_346)
	var b bytes.Buffer
	if err := camt.Write(&b, camt.V8, s); err == nil || b.Len() > 0 {
		t.Errorf("a statement that does not foot: %d bytes, %v", b.Len(), err)
	}
	if err := camt.Write(&b, "camt.053.001.13", sample()); err == nil || b.Len() > 0 {
		t.Errorf("another version: %d bytes, %v", b.Len(), err)
	}
}
