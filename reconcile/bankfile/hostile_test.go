package bankfile_test

import (
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"tallystick/reconcile/bankfile"
)

// repeated is a source of n bytes that repeat a text; it counts what was taken.
type repeated struct {
	text  string
	left  int64
	taken int64
}

func (r *repeated) Read(p []byte) (int, error) {
	if r.left <= 0 {
		return 0, io.EOF
	}
	n := 0
	for n < len(p) && int64(n) < r.left {
		n += copy(p[n:], r.text[(int(r.taken)+n)%len(r.text):])
	}
	r.left -= int64(n)
	r.taken += int64(n)
	return n, nil
}

const gigabyte = 1 << 30

// Each is refused after a bounded number of bytes, so a source of a gigabyte is as cheap as one of a few
// megabytes. The bound on bytes taken is what makes it quick.
func TestHostileFilesAreRefusedEarly(t *testing.T) {
	t.Parallel()
	const head = `<?xml version="1.0"?><Document><BkToCstmrStmt><Stmt>`
	const mt = ":20:X\n:25:1\n:60F:C240101EUR1,00\n"
	const bai = "01,S,R,260302,0800,77,,,2/\n02,R,S,1,260301,,USD,2/\n03,1,,/\n"
	for _, test := range []struct {
		name, begin, repeat, problem string
		most                         int64
	}{
		{"only spaces", "", " ", "neither camt", 1 << 20},
		{"spaces in XML", head, " ", "one thing", 1 << 20},
		{"line breaks in XML", head, "\n", "one thing", 1 << 20},
		{"spaces and comments", head, "  <!-- -->", "without a new statement", bankfile.MaxEntry + 1<<20},
		{"spaces in a tag", head + "<Id", " ", "one thing", 1 << 20},
		{"a text without end", head + "<Id>", "x", "text longer", 1 << 20},
		{"a text in pieces", head + "<Id>", strings.Repeat("x", 1000) + "<!-- -->", "text longer", 1 << 20},
		{"an attribute without end", head + `<Id a="`, "x", "one thing", 1 << 20},
		{"deep nesting", head, "<a>", "nested more than", 1 << 20},
		{"unknown elements", head, "<a></a>", "without a new statement", bankfile.MaxEntry + 1<<20},
		{"entities defined", `<!DOCTYPE a [<!ENTITY b "bbbb">]><a>`, "&b;", "document type declaration", 1 << 20},
		{"entities not defined", head + "<Id>", "&b;", "entity", 1 << 20},
		{"a declaration without end", "<!DOCTYPE ", "x", "one thing", 1 << 20},
		{"remittance without end", head + `<Acct><Ccy>EUR</Ccy></Acct><Ntry><NtryDtls><TxDtls><RmtInf>`, "<Ustrd>" + strings.Repeat("y", 1000) + "</Ustrd>", "bytes in all", 1 << 20},
		{"details without end", head + `<Acct><Ccy>EUR</Ccy></Acct><Ntry><NtryDtls>`, "<TxDtls></TxDtls>", "details of one entry", 1 << 20},
		{"balances without end", head + `<Acct><Ccy>EUR</Ccy></Acct>`, "<Bal><Amt>0</Amt></Bal>", "balances", 1 << 20},
		{"statements without end", `<Document><BkToCstmrStmt>`, "<Stmt></Stmt>", "more than 10000 statements", 1 << 20},
		{"a long id in MT940", ":20:" + strings.Repeat("x", 300) + "\n:25:1\n:60F:C240101EUR1,00\n", ":61:240101C1,00NTRF\n", "an id or account longer", 1 << 20},
		{"spaces in MT940", mt + ":86:", " ", "one thing", 1 << 20},
		{"blank lines in MT940", mt, "\n", "without a new statement", bankfile.MaxEntry + 1<<20},
		{"a text without end in MT940", mt + ":86:", "text\n", "field longer", 1 << 20},
		{"a record without end in BAI2", bai + "16,142,1,Z,,,", "text ", "one thing", 1 << 20},
		{"continuations without end in BAI2", bai + "16,142,1,Z,,,x\n", "88,text\n", "record longer", 1 << 20},
		{"blank lines in BAI2", bai, "\n", "without a new statement", bankfile.MaxEntry + 1<<20},
		{"a quote without end in CSV", "Kontoauszug\n\"", " x\n", "one thing", 1 << 20},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			endless := &repeated{text: test.repeat, left: gigabyte}
			v, err := bankfile.Foot(io.MultiReader(strings.NewReader(test.begin), endless), optionsFor(test.begin), nil, bankfile.Receiver{})
			if err != nil || len(v.Reasons) != 1 || v.Reasons[0].Code != bankfile.Unreadable || !strings.Contains(v.Quarantined(), test.problem) {
				t.Fatalf("want %q, got %v, %s", test.problem, err, v.Quarantined())
			}
			if endless.taken > test.most {
				t.Errorf("%d bytes were taken, at most %d", endless.taken, test.most)
			}
		})
	}
}

func optionsFor(begin string) bankfile.Options {
	if strings.HasPrefix(begin, "Kontoauszug") {
		return german
	}
	return bankfile.Options{}
}

func TestFilesBeyondTheirLimit(t *testing.T) {
	t.Parallel()
	v, err := bankfile.Foot(strings.NewReader(fixture(t, "mt940_pages.txt")), bankfile.Options{MaxBytes: 100}, nil, bankfile.Receiver{})
	if err != nil || !strings.Contains(v.Quarantined(), "longer than 100 bytes") {
		t.Errorf("%v, %s", err, v.Quarantined())
	}
}

// generated is a source that makes a file line by line.
type generated struct {
	make func(i int) string // empty ends it
	i    int
	rest string
}

func (g *generated) Read(p []byte) (int, error) {
	if g.rest == "" {
		if g.rest = g.make(g.i); g.rest == "" {
			return 0, io.EOF
		}
		g.i++
	}
	n := copy(p, g.rest)
	g.rest = g.rest[n:]
	return n, nil
}

// The heap after nine tenths of the lines is that after one tenth.
func TestLargeFilesTakeConstantMemory(t *testing.T) { // not parallel: it looks at the heap
	const lines, slack = largeFile, 2 << 20
	wrap := func(head, tail string, line func(i int) string) io.Reader {
		return &generated{make: func(i int) string {
			switch {
			case i == 0:
				return head
			case i <= lines:
				return line(i)
			case i == lines+1:
				return tail
			}
			return ""
		}}
	}
	for _, test := range []struct {
		name string
		src  io.Reader
	}{
		{"camt.053", wrap(`<Document><BkToCstmrStmt><Stmt><Acct><Ccy>EUR</Ccy></Acct><Bal><Tp><CdOrPrtry><Cd>OPBD</Cd></CdOrPrtry></Tp><Amt>0</Amt></Bal>`+
			fmt.Sprintf(`<Bal><Tp><CdOrPrtry><Cd>CLBD</Cd></CdOrPrtry></Tp><Amt>%d.00</Amt><CdtDbtInd>CRDT</CdtDbtInd></Bal>`, lines), `</Stmt></BkToCstmrStmt></Document>`,
			func(i int) string {
				return fmt.Sprintf("<Ntry><Amt>1.00</Amt><CdtDbtInd>CRDT</CdtDbtInd><Sts>BOOK</Sts><BookgDt><Dt>2026-03-02</Dt></BookgDt><NtryDtls><TxDtls><Refs><EndToEndId>%d</EndToEndId></Refs></TxDtls></NtryDtls></Ntry>\n", i)
			})},
		{"mt940", wrap(":20:X\n:25:1\n:60F:C260301EUR0,00\n", fmt.Sprintf(":62F:C260302EUR%d,00\n-\n", lines), func(i int) string {
			return fmt.Sprintf(":61:2603020302C1,00NTRFREF%d\n:86:166?00GUTSCHRIFT?20EREF+%d?32Payer\n", i, i)
		})},
		{"bai2", wrap(fmt.Sprintf("01,S,R,260302,0800,77,,,2/\n02,R,S,1,260301,,EUR,2/\n03,1,,010,0,,,015,%d,,/\n", 100*lines), fmt.Sprintf("49,%d,%d/\n98,%[1]d,1,%[3]d/\n99,%[1]d,1,%[4]d/\n", 200*lines, lines+2, lines+4, lines+6),
			func(i int) string { return fmt.Sprintf("16,142,100,Z,REF%d,,text/\n", i) })},
	} {
		t.Run(test.name, func(t *testing.T) {
			var early, late uint64
			v, err := bankfile.Foot(test.src, bankfile.Options{}, nil, bankfile.Receiver{Line: func(_ *bankfile.Statement, l *bankfile.Line) error {
				if l.Index == lines/10 {
					early = heap()
				}
				if l.Index == lines*9/10 {
					late = heap()
				}
				return nil
			}})
			if err != nil || !v.Accepted() || v.File.Lines != lines || !v.Statements[0].Totals[0].Proved {
				t.Fatalf("%v, %d lines, %s", err, v.File.Lines, v.Quarantined())
			}
			if late > early+slack {
				t.Errorf("the heap grew from %d to %d bytes", early, late)
			}
		})
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
