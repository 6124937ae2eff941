package bankfile_test

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	"tallystick/reconcile/bankfile"
)

// holds checks what is true of every file, however broken: reading it twice gives the same, amounts have no
// sign of their own, and what is proved adds up.
func holds(t *testing.T, content []byte, o bankfile.Options) {
	lines := 0
	v, err := bankfile.Foot(bytes.NewReader(content), o, nil, bankfile.Receiver{Line: func(s *bankfile.Statement, l *bankfile.Line) error {
		lines++
		if l.Amount.Units.Sign() < 0 || l.Direction != bankfile.Credit && l.Direction != bankfile.Debit || l.Status == "" || l.Position.Line < 1 {
			t.Errorf("line %+v", l)
		}
		if strings.ContainsRune(l.Remittance+l.Counterparty.Name+l.Info+l.References.EndToEnd+s.ID, 0) {
			t.Errorf("a text with a zero byte: %+v", l)
		}
		return nil
	}})
	if err != nil {
		t.Fatalf("the file is at fault for nothing: %v", err)
	}
	if v.Accepted() && (lines != v.File.Lines || v.File.Bytes != int64(len(content)) || len(v.Statements) != v.File.Statements) {
		t.Errorf("%d lines, verdict %+v", lines, v.File)
	}
	for _, s := range v.Statements {
		for _, total := range s.Totals {
			if !total.Proved {
				continue
			}
			sum, _ := total.Opening.Amount.Units.Add(total.Credits.Units)
			sum, _ = sum.Sub(total.Debits.Units)
			if sum != total.Closing.Amount.Units {
				t.Errorf("proved, and wrong: %+v", total)
			}
		}
	}
	again, err := bankfile.Foot(bytes.NewReader(content), o, nil, bankfile.Receiver{})
	if err != nil || !reflect.DeepEqual(v, again) {
		t.Errorf("read again: %v\n%+v\n%+v", err, v, again)
	}
}

func fuzz(f *testing.F, o bankfile.Options, seeds ...string) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, content []byte) { holds(t, content, o) })
}

func FuzzCamt(f *testing.F) {
	fuzz(f, bankfile.Options{}, fixture(f, "camt053_reversal.xml"), fixture(f, "camt054_mixed.xml"), "<Document><BkToCstmrStmt><Stmt></Stmt></BkToCstmrStmt></Document>")
}

func FuzzMT940(f *testing.F) {
	fuzz(f, bankfile.Options{}, fixture(f, "mt940_pages.txt"), ":20:\n:60F:C240101EUR0,\n:61:240101C1,N\n:86:/CNTP///REMI/ORDP/NAME/x/\n:62F:C240101EUR1,\n-",
		":20:1\n:60F:C240101EUR0,\n:61:240101D,1\n:86:166?20?2?\n:62F:D240101EUR,1")
}

func FuzzBAI2(f *testing.F) {
	fuzz(f, bankfile.Options{}, fixture(f, "bai2_continued.txt"), "01,/\n02,,,,260301/\n03,1/\n88,010,+1,,D,9/ 16,142,1,S,/\n88,x\n49,1,4/\n98,1,1,6/\n99,1,1,8/")
}

func FuzzCSV(f *testing.F) {
	fuzz(f, german, fixture(f, "statement.csv"), "\nBuchung;Valuta;Text;Name;Betrag;Saldo\n\"01.01.2026\";;;;-;1\n")
}
