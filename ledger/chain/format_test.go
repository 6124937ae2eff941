package chain_test

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"tallystick/ledger/chain"
	"tallystick/ledger/money"
)

const (
	formatFile   = "FORMAT.md"
	exampleBegin = "<!-- worked example: begin -->\n"
	exampleEnd   = "<!-- worked example: end -->\n"
	receiptBegin = "<!-- receipt example: begin -->\n"
	receiptEnd   = "<!-- receipt example: end -->\n"
)

func readFormat(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(formatFile)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// section returns what stands under a heading, up to the next one of any level.
func section(t *testing.T, page, heading string) string {
	t.Helper()
	_, rest, ok := strings.Cut(page, "\n"+heading+"\n")
	if !ok {
		t.Fatalf("%s has no heading %q", formatFile, heading)
	}
	body, _, _ := strings.Cut(rest, "\n#")
	return body
}

// rows returns the cells of the tables in text, without heading and rule lines.
func rows(text string) [][]string {
	var table [][]string
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		heading := i+1 < len(lines) && strings.HasPrefix(lines[i+1], "|---")
		if !strings.HasPrefix(line, "|") || strings.HasPrefix(line, "|---") || heading {
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for j := range cells {
			cells[j] = strings.TrimSpace(cells[j])
		}
		table = append(table, cells)
	}
	return table
}

// workedExample renders section 18.
func workedExample(t *testing.T) string {
	t.Helper()
	e := exampleEntry()
	r := readable(&e)
	var b strings.Builder
	b.WriteString("```\noffset  bytes\n")
	offset := 0
	for _, s := range oracleSpans(t, &r) {
		what := s.label
		if s.value != "" {
			what += " = " + s.value
		}
		fmt.Fprintf(&b, "%6d  %-64x  %s\n", offset, s.bytes, what)
		offset += len(s.bytes)
	}
	fmt.Fprintf(&b, "%6d  end\n```\n\n", offset)
	fmt.Fprintf(&b, "entry_hash = SHA-256(00 ‖ these %d bytes) = `%s`\n\n", offset, e.Hash())
	fmt.Fprintf(&b, "The description is the HMAC-SHA-256 with key `%s` of `01` and the text `%s`.\n", exampleSalt, exampleText)
	return b.String()
}

// TestWorkedExampleIsWhatTheCodeHashes reads the example as a stranger would:
// it joins the column of bytes and compares them with the production encoder.
func TestWorkedExampleIsWhatTheCodeHashes(t *testing.T) {
	page := readFormat(t)
	before, rest, ok := strings.Cut(page, exampleBegin)
	shown, after, ok2 := strings.Cut(rest, exampleEnd)
	if !ok || !ok2 {
		t.Fatalf("%s has no worked example", formatFile)
	}
	if *update {
		shown = workedExample(t)
		if err := os.WriteFile(formatFile, []byte(before+exampleBegin+shown+exampleEnd+after), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var joined []byte
	for _, m := range regexp.MustCompile(`(?m)^ *(\d+)  ([0-9a-f]+) `).FindAllStringSubmatch(shown, -1) {
		if m[1] != strconv.Itoa(len(joined)) {
			t.Errorf("offset %s stands at byte %d", m[1], len(joined))
		}
		joined = append(joined, unhex(t, m[2])...)
	}
	e := exampleEntry()
	if want := e.AppendCanonical(nil); !bytes.Equal(joined, want) {
		t.Errorf("the example shows\n%x, the code makes\n%x", joined, want)
	}
	if !strings.Contains(shown, " = `"+e.Hash().String()+"`") {
		t.Errorf("the example does not show the hash %s", e.Hash())
	}
	salt := unhex(t, regexp.MustCompile("with key `([0-9a-f]+)`").FindStringSubmatch(shown)[1])
	text := regexp.MustCompile("the text `(.*)`").FindStringSubmatch(shown)[1]
	if got := oracleCommitment(salt, 1, text); got != e.Description.String() {
		t.Errorf("the shown salt and text give %s, the entry has %s", got, e.Description)
	}
	if shown != workedExample(t) {
		t.Error("the example's text is stale; run the test with -update")
	}
}

// exampleReceipt is the receipt of section 14, and the key that it is verified with.
func exampleReceipt(t *testing.T) (*chain.Receipt, string) {
	t.Helper()
	e := exampleEntry()
	leaves := someLeaves(5)
	leaves[e.Seq] = e.Hash()
	k := keyOf(t, "signer")
	path, err := chain.ProveInclusion(e.Seq, 5, storeTree(leaves).read)
	if err != nil {
		t.Fatal(err)
	}
	key, err := k.VerifierKey(testOrigin)
	if err != nil {
		t.Fatal(err)
	}
	checkpoint := signed(t, k, chain.Checkpoint{Origin: testOrigin, Size: 5, Root: rootByDefinition(leaves)})
	return &chain.Receipt{Canonical: e.AppendCanonical(nil), Index: e.Seq, Proof: path, Checkpoint: checkpoint}, key
}

// TestReceiptExampleHolds verifies what the page shows with what the page shows.
func TestReceiptExampleHolds(t *testing.T) {
	page := readFormat(t)
	before, rest, ok := strings.Cut(page, receiptBegin)
	shown, after, ok2 := strings.Cut(rest, receiptEnd)
	if !ok || !ok2 {
		t.Fatalf("%s has no example of a receipt", formatFile)
	}
	r, key := exampleReceipt(t)
	want := fmt.Sprintf("```\n%s```\n\nThe verifier key is `%s`.\n", r.Marshal(), key)
	if *update {
		shown = want
		if err := os.WriteFile(formatFile, []byte(before+receiptBegin+shown+receiptEnd+after), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if shown != want {
		t.Error("the example's text is stale; run the test with -update")
	}
	file, _, _ := strings.Cut(strings.TrimPrefix(shown, "```\n"), "```\n")
	read, err := chain.ParseReceipt([]byte(file))
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := chain.ParseLogKey(regexp.MustCompile("verifier key is `(.*)`").FindStringSubmatch(shown)[1])
	if err != nil {
		t.Fatal(err)
	}
	if e, checkpoint, err := read.Verify(verifier); err != nil || e.Hash() != chain.HashCanonical(r.Canonical) || checkpoint.Size != 5 {
		t.Errorf("%+v under %+v (%v)", e, checkpoint, err)
	}
}

// TestFormatListsEveryKindAsTheCodeHasIt holds the table of kinds against
// Check, by trying each optional field on an entry of each kind.
func TestFormatListsEveryKindAsTheCodeHasIt(t *testing.T) {
	t.Parallel()
	table := rows(section(t, readFormat(t), "## 5. Kinds"))
	kinds := chain.Kinds()
	if len(table) != len(kinds) {
		t.Fatalf("%s lists %d kinds, the code has %d", formatFile, len(table), len(kinds))
	}
	for i, k := range kinds {
		row := table[i]
		if row[0] != strconv.Itoa(int(k)) || row[1] != "`"+k.String()+"`" {
			t.Errorf("row %d is %s %s, the code has %d %s", i, row[0], row[1], k, k)
		}
		for column, field := range []func(e *chain.Entry, present bool){
			withOrWithoutPostings,
			func(e *chain.Entry, present bool) { e.RefSeq = presentIf(present, int64(0)) },
			func(e *chain.Entry, present bool) { e.RelatedTo = presentIf(present, id(5)) },
			func(e *chain.Entry, present bool) { e.ExpiresAt = presentIf(present, int64(0)) },
			func(e *chain.Entry, present bool) { e.Ledger = presentIf(present, *sampleTerms()) },
			func(e *chain.Entry, present bool) { e.Account = presentIf(present, *sampleAccount()) },
		} {
			if got := whatKindHas(t, k, field); got != row[2+column] {
				t.Errorf("%s, column %d: %s says %q, the code %q", k, 2+column, formatFile, row[2+column], got)
			}
		}
	}
}

func withOrWithoutPostings(e *chain.Entry, present bool) {
	if e.Postings = nil; present {
		e.Postings = twoPostings(1, 0)
	}
}

func presentIf[T any](present bool, v T) *T {
	if !present {
		return nil
	}
	return &v
}

// whatKindHas tries a sample of kind k with and without a field.
func whatKindHas(t *testing.T, k chain.Kind, field func(e *chain.Entry, present bool)) string {
	t.Helper()
	e := sampleOf(k.String())
	passes := func(present bool) bool {
		field(&e, present)
		return e.Check() == nil
	}
	with, without := passes(true), passes(false)
	switch {
	case with && without:
		return "may"
	case with:
		return "must"
	case without:
		return "–"
	}
	t.Fatalf("a %s passes neither with the field nor without", k)
	return ""
}

// TestFormatListsEveryDetailAsTheCodeHasIt compares the tables of section 8
// with the registry, both ways.
func TestFormatListsEveryDetailAsTheCodeHasIt(t *testing.T) {
	t.Parallel()
	page := readFormat(t)
	for _, k := range chain.Kinds() {
		want := chain.DetailRows(k)
		if !strings.Contains(page, "\n### "+k.String()+"\n") {
			if len(want) > 0 {
				t.Errorf("%s does not list the details of %s", formatFile, k)
			}
			continue
		}
		var got []string
		for _, row := range rows(section(t, page, "### "+k.String())) {
			name := strings.ReplaceAll(strings.Trim(row[0], "`"), ".CUR", ".")
			got = append(got, fmt.Sprintf("%s %s %t", name, row[1], row[2] == "yes"))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %s lists\n%s\nthe code has\n%s", k, formatFile, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}

func TestFormatStatesTheBoundsOfTheCode(t *testing.T) {
	t.Parallel()
	got := map[string]string{}
	for _, row := range rows(section(t, readFormat(t), "## 4. Bounds")) {
		got[row[0]] = row[1]
	}
	to := func(low, high int) string { return fmt.Sprintf("%d to %d", low, high) }
	for what, want := range map[string]string{
		"postings of an entry that has any": to(2, chain.MaxPostings),
		"currency code, of `[A-Z0-9]`":      to(1, money.MaxCurrencyCode),
		"scale":                             to(0, money.MaxScale),
		"account code":                      to(1, chain.MaxAccountCode),
		"tags of an account":                to(0, chain.MaxTags),
		"tag key":                           to(1, chain.MaxTagKey),
		"tag value":                         to(0, chain.MaxTagValue),
		"ledger name":                       to(1, chain.MaxLedgerName),
		"origin":                            to(1, chain.MaxOrigin),
		"time zone":                         to(1, chain.MaxTimeZone),
		"details":                           to(0, chain.MaxDetails),
		"detail name":                       to(1, chain.MaxDetailName),
		"detail value":                      to(1, chain.MaxDetailValue),
		"all details, with their lengths":   fmt.Sprintf("at most %d", chain.MaxDetailBytes),
		"whole encoding":                    fmt.Sprintf("at most %d", chain.MaxCanonical),
		"leaves of a tree":                  fmt.Sprintf("at most %d", chain.MaxTreeSize),
		"signed checkpoint":                 fmt.Sprintf("at most %d", chain.MaxCheckpoint),
		"signatures of a checkpoint":        fmt.Sprintf("at most %d", chain.MaxSignatures),
		"receipt":                           fmt.Sprintf("at most %d", chain.MaxReceipt),
	} {
		if got[what] != want {
			t.Errorf("%s: %s says %q, the code %q", what, formatFile, got[what], want)
		}
		delete(got, what)
	}
	for what := range got {
		t.Errorf("%s states a bound of %q that this test does not know", formatFile, what)
	}
}

// TestFormatGivesTheCodesOfTheEnumerations reads "1 asset, 2 liability, …".
func TestFormatGivesTheCodesOfTheEnumerations(t *testing.T) {
	t.Parallel()
	entry := section(t, readFormat(t), "## 2. Entry")
	for _, tt := range []struct {
		field string
		name  func(int) string
		codes []int
	}{
		{"direction", func(n int) string { return chain.Direction(n).String() }, []int{1, 2}},
		{"type", func(n int) string { return chain.AccountType(n).String() }, []int{1, 2, 3, 4, 5}},
		{"frozen", func(n int) string { return chain.Frozen(n).String() }, []int{0, 1, 2, 3}},
	} {
		var list []string
		for _, code := range tt.codes {
			list = append(list, fmt.Sprintf("%d %s", code, tt.name(code)))
		}
		row := regexp.MustCompile("(?m)^.*`" + tt.field + "`.*$").FindString(entry)
		if want := strings.Join(list, ", "); !strings.Contains(row, want) {
			t.Errorf("%s: the row %q does not say %q", tt.field, row, want)
		}
	}
}

// TestFormatTablesOfLeavesAreInTheOrderOfTheBytes does the same for the leaves of
// sections 10 and 15.
func TestFormatTablesOfLeavesAreInTheOrderOfTheBytes(t *testing.T) {
	t.Parallel()
	page := readFormat(t)
	for heading, want := range map[string][]string{
		"## 10. Balance tree": {"domain tag", "format version", "ledger_id", "size", "account_id", "currency", "scale", "account_seq", "posted", "pending_debit", "pending_credit"},
		"## 15. Super-log":    {"domain tag", "format version", "ledger_id", "origin", "size", "root", "recorded_at"},
	} {
		var got []string
		for _, row := range rows(section(t, page, heading)) {
			got = append(got, strings.Trim(row[1], "`"))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s lists %q, want %q", heading, got, want)
		}
	}
}

// TestFormatLinksLeadToItsHeadings holds the links within the page.
func TestFormatLinksLeadToItsHeadings(t *testing.T) {
	t.Parallel()
	page := readFormat(t)
	headings := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(page, -1) {
		anchor := strings.ToLower(regexp.MustCompile(`[^\w\- ]`).ReplaceAllString(m[1], ""))
		headings[strings.ReplaceAll(anchor, " ", "-")] = true
	}
	for _, m := range regexp.MustCompile(`\]\(#([^)]*)\)`).FindAllStringSubmatch(page, -1) {
		if !headings[m[1]] {
			t.Errorf("no heading #%s", m[1])
		}
	}
}

// TestFormatTablesAreInTheOrderOfTheBytes compares the fields of section 2 with
// what the encoder of this test writes, which the vectors hold against the code.
func TestFormatTablesAreInTheOrderOfTheBytes(t *testing.T) {
	t.Parallel()
	var tables [][]string
	for _, row := range rows(section(t, readFormat(t), "## 2. Entry")) {
		if row[0] == "1" {
			tables = append(tables, nil)
		}
		tables[len(tables)-1] = append(tables[len(tables)-1], strings.Trim(row[1], "`"))
	}
	want := [][]string{
		{"domain tag", "format version", "kind", "ledger_id", "seq", "prev_hash", "request_id", "recorded_at", "booking_date",
			"effective_date", "actor", "prior_period", "ref_seq", "related_to", "expires_at", "description", "reference", "metadata",
			"postings", "ledger", "account", "details"},
		{"account_id", "direction", "currency", "scale", "amount", "pending_change", "effective_date", "account_seq", "posted",
			"pending_debit", "pending_credit"},
		{"name", "origin", "time_zone", "day_cutoff", "base_currency", "base_scale", "value_days_back", "value_days_ahead"},
		{"account_id", "code", "type", "currency", "scale", "min_balance", "max_balance", "frozen", "closed", "tags"},
	}
	if len(tables) != len(want) {
		t.Fatalf("section 2 has %d tables, want %d", len(tables), len(want))
	}
	for i := range want {
		if !slices.Equal(tables[i], want[i]) {
			t.Errorf("table %d is\n%q, want\n%q", i, tables[i], want[i])
		}
	}
}
