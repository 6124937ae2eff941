package entryfile_test

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tallystick/cmd/tallystick/internal/entryfile"
)

var update = flag.Bool("update", false, "write the golden files")

var formats = []entryfile.Format{entryfile.JSONL, entryfile.CSV, entryfile.Hledger}

var book = entryfile.Ledger{Name: "book", ID: "01890a5d-ac96-774b-bcce-b302099a8057", Origin: "here/01890a5d-ac96-774b-bcce-b302099a8057"}

func hash(seq int) string { return fmt.Sprintf("%064x", seq+1) }

// entries are one of each kind that matters to a file.
func entries() [][]byte {
	bodies := []string{
		`"kind":"ledger_opened","effective_date":"2026-01-01","ledger":{"name":"book"}`,
		`"kind":"account_opened","effective_date":"2026-01-01","description":"House, bank","account":{"code":"bank","type":"asset","currency":"EUR"}`,
		`"kind":"account_opened","effective_date":"2026-01-01","account":{"code":"c:1","type":"liability","currency":"EUR"}`,
		`"kind":"transfer","effective_date":"2025-12-31","description":"=1+1; \"rent\"","reference":"R-1","metadata":{"a":"x,y"},"postings":[` +
			`{"account":"bank","direction":"debit","amount":"12.34","currency":"EUR","account_seq":1,"balance":"12.34","available":null},` +
			`{"account":"c:1","direction":"credit","amount":"12.34","currency":"EUR","account_seq":1,"balance":"12.34","available":null}]`,
		`"kind":"hold","effective_date":"2026-01-01","expires_at":"2026-02-01T00:00:00.000000Z","postings":[` +
			`{"account":"c:1","direction":"debit","amount":"0.00","pending_change":"5.00","currency":"EUR","account_seq":2,"balance":"12.34"},` +
			`{"account":"bank","direction":"credit","amount":"0.00","pending_change":"5.00","currency":"EUR","account_seq":2,"balance":"12.34"}]`,
		`"kind":"capture","effective_date":"2026-01-01","ref_seq":4,"postings":[` +
			`{"account":"c:1","direction":"debit","amount":"2.00","pending_change":"-5.00","currency":"EUR","account_seq":3,"balance":"10.34"},` +
			`{"account":"bank","direction":"credit","amount":"2.00","pending_change":"-5.00","currency":"EUR","account_seq":3,"balance":"10.34"}]`,
		`"kind":"currency_defined","effective_date":"2026-01-01","details":[{"name":"code","value":"BTC2"},{"name":"scale","value":"8"}]`,
		`"kind":"transfer","effective_date":"2026-01-01","related_to":"01890a5d-ac96-774b-bcce-b302099a8057","prior_period":true,"postings":[` +
			`{"account":"x:jpy","direction":"debit","amount":"7","currency":"JPY","account_seq":1,"balance":"7"},` +
			`{"account":"y:jpy","direction":"credit","amount":"7","currency":"JPY","account_seq":1,"balance":"7"},` +
			`{"account":"x:btc","direction":"debit","amount":"0.00000001","currency":"BTC2","account_seq":1,"balance":"0.00000001"},` +
			`{"account":"y:btc","direction":"credit","amount":"0.00000001","currency":"BTC2","account_seq":1,"balance":"0.00000001"}]`,
		`"kind":"reversal","effective_date":"2026-01-01","ref_seq":3,"postings":[` +
			`{"account":"bank","direction":"credit","amount":"12.34","currency":"EUR","account_seq":4,"balance":"-2.00"},` +
			`{"account":"c:1","direction":"debit","amount":"12.34","currency":"EUR","account_seq":4,"balance":"-2.00"}]`,
		opened("s:eur:1", "liability"), opened("s:eur:2", "liability"), opened("m:1", "asset"), opened("m:r:1", "revenue"), opened("m:r", "revenue"),
	}
	return chained(bodies)
}

func opened(code, accountType string) string {
	return fmt.Sprintf(`"kind":"account_opened","effective_date":"2026-01-01","account":{"code":%q,"type":%q,"currency":"EUR"}`, code, accountType)
}

// chained makes entries that follow one another.
func chained(bodies []string) [][]byte {
	all := make([][]byte, len(bodies))
	for seq, body := range bodies {
		all[seq] = fmt.Appendf(nil, `{"id":"01890a5d-ac96-774b-bcce-%012d","seq":%d,"hash":"%s","prev_hash":"%s","recorded_at":"2026-01-01T00:00:00.000000Z","booking_date":"2026-01-01","actor":"k",%s}`,
			seq, seq, hash(seq), hash(seq-1), body)
	}
	return all
}

// typesOf returns the types of the accounts that entries open.
func typesOf(all [][]byte) (types entryfile.Types) {
	found := map[string]string{}
	for _, raw := range all {
		var e struct {
			Kind    string
			Account struct{ Code, Type string }
		}
		if json.Unmarshal(raw, &e) == nil && e.Kind == "account_opened" {
			found[e.Account.Code] = e.Account.Type
		}
	}
	for _, code := range slices.Sorted(maps.Keys(found)) {
		types.Add(code, found[code])
	}
	return types
}

// write writes entries from a position on.
func write(format entryfile.Format, at entryfile.Position, all [][]byte) (string, error) {
	var out strings.Builder
	w, err := entryfile.NewWriter(&out, format, book, at, typesOf(all))
	if err != nil {
		return "", err
	}
	for _, raw := range all[at.Next:] {
		if err := w.Write(raw); err != nil {
			return "", err
		}
	}
	return out.String(), nil
}

func mustWrite(t *testing.T, format entryfile.Format) string {
	t.Helper()
	text, err := write(format, entryfile.Position{}, entries())
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestFilesAreTheGoldenOnes(t *testing.T) {
	t.Parallel()
	for _, format := range formats {
		golden := filepath.Join("testdata", "book."+string(format))
		got := mustWrite(t, format)
		if *update {
			if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s:\n%s", format, got)
		}
	}
}

func TestCSVReadsBack(t *testing.T) {
	t.Parallel()
	rows, err := csv.NewReader(strings.NewReader(mustWrite(t, entryfile.CSV))).ReadAll()
	if err != nil || len(rows) != 1+1+2+2+2+2+1+4+2+5 {
		t.Errorf("%d rows, %v", len(rows), err)
	}
}

// Cut anywhere, a file is continued to the very bytes of an undisturbed one.
func TestAFileCutAnywhereIsContinuedToTheSameBytes(t *testing.T) {
	t.Parallel()
	for _, format := range formats {
		whole := mustWrite(t, format)
		for cut := 0; cut <= len(whole); cut += 5 {
			at, err := entryfile.Resume(strings.NewReader(whole[:cut]), format, book)
			if err != nil {
				t.Fatalf("%s cut at %d: %v", format, cut, err)
			}
			rest, err := write(format, at, entries())
			if err != nil || whole[:at.Offset]+rest != whole {
				t.Fatalf("%s cut at %d, continued at %+v: %v", format, cut, at, err)
			}
			if at.Next > 0 && (at.First != hash(0) || at.Hash != hash(int(at.Next)-1)) {
				t.Fatalf("%s cut at %d: %+v", format, cut, at)
			}
		}
		if at, err := entryfile.Resume(strings.NewReader(whole), format, book); err != nil || at.Next < int64(len(entries()))-1 {
			t.Errorf("%s, complete: %+v, %v", format, at, err)
		}
	}
}

func TestAForeignFileIsNotContinued(t *testing.T) {
	t.Parallel()
	for _, format := range formats {
		whole := mustWrite(t, format)
		for name, text := range map[string]string{
			"another format":  mustWrite(t, formats[(int(format[0])%2+1)%3]),
			"words":           "Dear Sir or Madam,\n\nwhat\n\n",
			"an entry twice":  whole + whole[strings.Index(whole, "\n")+1:],
			"an entry absent": strings.Replace(whole, between(whole, format, 4), "", 1),
		} {
			if text == whole {
				continue
			}
			if _, err := entryfile.Resume(strings.NewReader(text), format, book); !errors.Is(err, entryfile.ErrForeign) {
				t.Errorf("%s, %s: %v", format, name, err)
			}
		}
	}
	other := book
	other.ID = "another"
	if _, err := entryfile.Resume(strings.NewReader(mustWrite(t, entryfile.Hledger)), entryfile.Hledger, other); !errors.Is(err, entryfile.ErrForeign) {
		t.Errorf("journal of another ledger: %v", err)
	}
}

// between returns what a file says of one entry.
func between(whole string, format entryfile.Format, seq int) string {
	mark := map[entryfile.Format]string{entryfile.JSONL: "\n{\"id\":\"01890a5d-ac96-774b-bcce-%012d", entryfile.CSV: "\n%d,", entryfile.Hledger: "\n; seq:%d,"}[format]
	if format == entryfile.Hledger {
		start := strings.Index(whole, fmt.Sprintf(mark, seq)) + 1
		return whole[start : start+strings.Index(whole[start:], "\n\n")+2]
	}
	start := strings.Index(whole, fmt.Sprintf(mark, seq)) + 1
	return whole[start : strings.Index(whole, fmt.Sprintf(mark, seq+1))+1]
}

func TestEntriesThatDoNotFollowAreNotWritten(t *testing.T) {
	t.Parallel()
	all := entries()
	for _, format := range formats {
		for name, bad := range map[string][]byte{
			"one left out":  all[3],
			"again":         all[1],
			"another chain": []byte(strings.Replace(string(all[2]), hash(1), hash(77), 1)),
			"no JSON":       []byte("{"),
		} {
			var out strings.Builder
			w, err := entryfile.NewWriter(&out, format, book, entryfile.Position{}, entryfile.Types{})
			if err != nil {
				t.Fatal(err)
			}
			for _, raw := range all[:2] {
				if err := w.Write(raw); err != nil {
					t.Fatal(err)
				}
			}
			before := out.Len()
			if err := w.Write(bad); err == nil || out.Len() != before {
				t.Errorf("%s, %s: %v", format, name, err)
			}
		}
	}
	if _, err := entryfile.NewWriter(&strings.Builder{}, "xml", book, entryfile.Position{}, entryfile.Types{}); err == nil {
		t.Error("format xml")
	}
}

// What a description says never makes a block end, begin or count as another
// entry.
func TestFreeTextDoesNotBreakAFile(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		text := rapid.StringMatching(`[ -~é€]{0,40}`).Draw(r, "text")
		quoted := fmt.Sprintf("%q", "; seq:9, kind:x hash:"+hash(1)+text)
		all := entries()
		all[3] = []byte(strings.Replace(string(all[3]), `"=1+1; \"rent\""`, quoted, 1))
		for _, format := range formats {
			whole, err := write(format, entryfile.Position{}, all)
			if err != nil {
				r.Fatal(err)
			}
			cut := rapid.IntRange(0, len(whole)).Draw(r, "cut")
			at, err := entryfile.Resume(strings.NewReader(whole[:cut]), format, book)
			if err != nil {
				r.Fatalf("%s: %v", format, err)
			}
			if rest, err := write(format, at, all); err != nil || whole[:at.Offset]+rest != whole {
				r.Fatalf("%s cut at %d: %v", format, cut, err)
			}
		}
	})
}

func FuzzResume(f *testing.F) {
	for i, format := range formats {
		whole, err := write(format, entryfile.Position{}, entries())
		if err != nil {
			f.Fatal(err)
		}
		f.Add(whole, uint8(i))
		f.Add(whole[:len(whole)*2/3], uint8(i))
	}
	f.Fuzz(func(t *testing.T, text string, which uint8) {
		at, err := entryfile.Resume(strings.NewReader(text), formats[which%3], book)
		if err == nil && (at.Offset < 0 || at.Offset > int64(len(text)) || at.Next < 0) {
			t.Fatalf("%+v in %d bytes", at, len(text))
		}
	})
}

// A type is declared once for all accounts under a code that have it. Where an
// account comes that the file did not know of, it is declared by itself; only one
// above the others, of another type, cannot be.
func TestAJournalDeclaresATypeOnceForAllUnderACode(t *testing.T) {
	t.Parallel()
	bodies := []string{opened("c:x:1", "liability"), opened("c:y:2", "liability"), opened("till", "asset"), opened("till:1", "asset"), opened("alone:1", "asset")}
	text, err := write(entryfile.Hledger, entryfile.Position{}, chained(bodies))
	if err != nil {
		t.Fatal(err)
	}
	var declared []string
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, "account "); ok {
			declared = append(declared, strings.TrimSpace(rest))
		}
	}
	want := []string{"c  ; type:L", "c:x:1  ; currency:EUR", "c:y:2  ; currency:EUR",
		"till  ; type:A, currency:EUR", "till:1  ; currency:EUR", "alone:1  ; type:A, currency:EUR"}
	if !slices.Equal(declared, want) {
		t.Errorf("%q", declared)
	}
	// "" is that the file cannot be continued.
	for code, want := range map[string]string{"c:z": "account c:z  ; type:R, currency:EUR\n", "c:x:1:1": "account c:x:1:1  ; type:R, currency:EUR\n", "c": "", "c:x": ""} {
		at, err := entryfile.Resume(strings.NewReader(text), entryfile.Hledger, book)
		if err != nil {
			t.Fatal(err)
		}
		all := chained(append(slices.Clone(bodies), opened(code, "revenue")))
		rest, err := write(entryfile.Hledger, at, all)
		switch {
		case want == "" && !errors.Is(err, entryfile.ErrRetyped):
			t.Errorf("%s: %v\n%s", code, err, rest)
		case want != "" && (err != nil || !strings.Contains(rest, want)):
			t.Errorf("%s: %v\n%s", code, err, rest)
		}
		if text, err := write(entryfile.Hledger, entryfile.Position{}, all); err != nil || strings.Contains(text, "account c  ; type:L") {
			t.Errorf("%s, to a new file: %v\n%s", code, err, text)
		}
	}
}

// Whatever the order in which accounts of several types are opened under each other,
// and wherever the export was interrupted, each has its own type: that of its
// directive, or of the nearest one above.
func TestEveryAccountOfAJournalHasItsType(t *testing.T) {
	t.Parallel()
	letters := map[string]string{"asset": "A", "liability": "L", "revenue": "R"}
	rapid.Check(t, func(t *rapid.T) {
		codes := rapid.SliceOfNDistinct(rapid.StringMatching(`[ab](:[ab]){0,3}`), 1, 12, rapid.ID[string]).Draw(t, "codes")
		want, bodies := map[string]string{}, []string(nil)
		for _, code := range codes {
			accountType := rapid.SampledFrom([]string{"asset", "liability", "liability", "liability", "revenue"}).Draw(t, "type")
			want[code] = letters[accountType]
			bodies = append(bodies, opened(code, accountType))
		}
		cut := rapid.IntRange(0, len(codes)).Draw(t, "cut")
		text, err := write(entryfile.Hledger, entryfile.Position{}, chained(bodies[:cut]))
		if err != nil {
			t.Fatal(err)
		}
		at, err := entryfile.Resume(strings.NewReader(text), entryfile.Hledger, book)
		if err != nil {
			t.Fatal(err)
		}
		rest, err := write(entryfile.Hledger, at, chained(bodies))
		if errors.Is(err, entryfile.ErrRetyped) && cut > 0 {
			rest, err = write(entryfile.Hledger, entryfile.Position{}, chained(bodies))
			text = ""
		}
		if err != nil {
			t.Fatal(err)
		}
		declared := map[string]string{}
		for line := range strings.Lines(text + rest) {
			if m := directive.FindStringSubmatch(line); m != nil && m[2] != "" {
				if has := declared[m[1]]; has != "" && has != m[2] {
					t.Fatalf("%s is declared as %s and as %s", m[1], has, m[2])
				}
				declared[m[1]] = m[2]
			}
		}
		for code, letter := range want {
			got := ""
			for above := code; got == "" && above != ""; {
				got = declared[above]
				above = above[:max(0, strings.LastIndexByte(above, ':'))]
			}
			if got != letter {
				t.Fatalf("%s is of type %s, want %s:\n%s", code, got, letter, text+rest)
			}
		}
	})
}

var directive = regexp.MustCompile(`^account (\S+)  ; (?:type:([A-Z]))?`)
