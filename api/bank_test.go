package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/google/uuid"

	"tallystick/ledger"
	"tallystick/ledger/store/storetest"
	"tallystick/reconcile/bankfile"
	"tallystick/reconcile/intake"
	"tallystick/scripts/samples"
)

// take takes a file as the server does.
func (b *bank) take(ctx context.Context, id ledger.LedgerID, f BankUpload) (BankReceipt, error) {
	r, err := intake.Take(ctx, b.db, id, intake.File{Name: f.Name, Content: f.Content, By: f.By.String()}, intake.Accounts{ByHand: map[string]string{"": f.Account}})
	if refusal, ok := errors.AsType[*intake.AccountError](err); ok {
		return BankReceipt{}, &BankRefusal{Detail: refusal.Error()}
	}
	receipt := BankReceipt{Outcome: string(r.Outcome), File: r.File}
	for _, s := range r.Statements {
		receipt.Statements = append(receipt.Statements, BankStatementTaken{s.BankStatement, s.Already})
	}
	return receipt, err
}

func bankSample(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(samples.Path(t, "statements/"+name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var asFile = headers{"Content-Type": {"application/octet-stream"}}

const (
	bankPath      = "/v1/ledgers/main/bank-statements"
	decisionsPath = "/v1/ledgers/main/decisions"
)

func TestBankFilesAreTakenAndShown(t *testing.T) {
	t.Parallel()
	withBank(t, func(t *testing.T, b *bank) {
		b.openAccounts()
		october := bankSample(t, "account_statement-3.xml")
		b.do("POST", bankPath, october, asFile).is(422, codeBankAccountUnknown)
		b.do("POST", bankPath+"?account=yen", october, asFile).is(422, codeBankAccountUnknown)
		b.do("POST", bankPath+"?account=cash&name=october.xml", october, asFile).is(201, "").
			want("outcome", "accepted", "file", "1", "statements.0.already_there", "false", "statements.0.statement.closing", "59370.37", "statements.0.statement.lines", "314")
		b.do("POST", bankPath, october, asFile).is(200, "").want("outcome", "already_there")
		b.do("POST", bankPath, october+"\n", asFile).is(200, "").want("outcome", "already_there", "statements.0.already_there", "true")
		gap := b.do("POST", bankPath, bankSample(t, "BE68793230773034-202412.xml"), asFile).is(422, codeBankQuarantined)
		if reason := gap.text("reasons", 0); !strings.Contains(reason, "28168.75 EUR off") {
			t.Errorf("the reason is %q", reason)
		}
		b.get(bankPath+"?account=cash").is(200, "").want("data.0.bank_account", "BE68793230773034", "data.0.opening", "33443.03")
		if n := b.get(bankPath+"?account=yen").is(200, "").length("data"); n != 0 {
			t.Errorf("the account yen has %d statements", n)
		}
		lines, next := 0, "?limit=100"
		for next != "" {
			page := b.get(bankPath+"/1"+next).is(200, "")
			lines += page.length("lines", "data")
			if next = page.text("lines", "next"); next != "" {
				next = "?limit=100&cursor=" + next
			}
		}
		if lines != 314 {
			t.Errorf("%d lines in all pages", lines)
		}
		b.get(bankPath+"/1?limit=1").want("lines.data.0.id", "bank:1/1", "lines.data.0.references.end_to_end.0", "E2EFZRILBOG21563128")
		b.get(bankPath+"/2").is(404, codeBankStatementNotFound)
		b.get(bankPath+"/x").is(404, codeBankStatementNotFound)
		b.get("/v1/ledgers/main/bank-files").is(200, "").want("data.0.name", "october.xml", "data.0.verdict", "accepted",
			"data.1.verdict", "quarantined", "data.1.reasons.0.code", "discontinuous", "data.1.reasons.0.difference", "28168.75")
	})
}

func TestBankFilesThatAreRefused(t *testing.T) {
	t.Parallel()
	withBank(t, func(t *testing.T, b *bank) {
		b.openAccounts()
		b.post(bankPath, `{}`).is(415, codeMediaType)
		b.do("POST", bankPath+"?account=Cash", "x", asFile).is(400, codeAccountCode)
		b.do("POST", bankPath+"?who=me", "x", asFile).is(400, codeUnknownParameter)
		for name, content := range map[string]string{
			"entities": `<!DOCTYPE a [<!ENTITY b "bbbb">]><Document>&b;</Document>`,
			"nesting":  "<Document><BkToCstmrStmt><Stmt>" + strings.Repeat("<a>", 10*bankfile.MaxDepth),
			"spaces":   "<Document><BkToCstmrStmt><Stmt>" + strings.Repeat(" ", 4<<20),
			"garbled":  bankSample(t, "camt053_garbled_amount.xml"),
		} {
			if got := b.do("POST", bankPath+"?account=cash&name="+name, content, asFile).is(422, codeBankQuarantined).length("reasons"); got != 1 {
				t.Errorf("%s: %d reasons", name, got)
			}
		}
		req, err := http.NewRequestWithContext(t.Context(), "POST", b.url+bankPath, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Header = http.Header{"Authorization": {"Bearer " + testKey}, "Content-Type": {"text/plain"}}
		req.Body, req.ContentLength = http.NoBody, 0
		b.send(req).is(422, codeBankQuarantined)
		if n := b.get(bankPath).length("data"); n != 0 {
			t.Errorf("%d statements are stored", n)
		}
	})
}

func TestABankFileOverTheBoundIsRefused(t *testing.T) {
	t.Parallel()
	b := newBank(t, storetest.Database(t), nil)
	req, err := http.NewRequestWithContext(t.Context(), "POST", b.url+bankPath, &endless{left: MaxBankFile + 1})
	if err != nil {
		t.Fatal(err)
	}
	req.Header = http.Header{"Authorization": {"Bearer " + testKey}, "Content-Type": {"text/plain"}}
	b.send(req).is(413, codeBodyTooLarge)
}

// endless is a body of unknown length.
type endless struct{ left int }

func (e *endless) Read(p []byte) (int, error) {
	n := min(len(p), e.left)
	for i := range n {
		p[i] = ' '
	}
	if e.left -= n; n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

// statementOf is a file of an account with these lines, written "C5,00", that begins with nothing.
func statementOf(closing string, lines ...string) string {
	s := ":20:S1\n:25:1234\n:28C:1/1\n:60F:C260301EUR0,00\n"
	for i, l := range lines {
		s += fmt.Sprintf(":61:2603020302%sNTRFREF%d\n:86:line %d\n", l, i, i)
	}
	return s + ":62F:" + closing + "\n-\n"
}

func TestDecisionsAreOnRecord(t *testing.T) {
	t.Parallel()
	withBank(t, func(t *testing.T, b *bank) {
		b.openAccounts()
		b.do("POST", bankPath+"?account=cash", statementOf("C260331EUR14,00", "C10,00", "D1,00", "C5,00"), asFile).is(201, "")
		paid := b.pay("cash", "customers:1", "10.00").is(201, "").text("seq")
		keyed := func() headers { return headers{"Idempotency-Key": {uuid.NewString()}} }
		match := fmt.Sprintf(`{"action":"match","lines":["ledger:%s/0","bank:1/1"],"reason":"the same payment"}`, paid)
		key := keyed()
		first := b.do("POST", decisionsPath, match, key).is(201, "").want("action", "match", "subjects.0", "bank:1/1", "reason", "the same payment")
		b.do("POST", decisionsPath, match, key).is(200, "").want("seq", first.text("seq"))
		b.do("POST", decisionsPath, `{"action":"assign","lines":["bank:1/2"],"owner":"treasury","cause":"bank_fee","reason":"ask the bank"}`, keyed()).is(201, "").
			want("owner", "treasury", "cause", "bank_fee")
		b.do("POST", decisionsPath, `{"action":"carry","lines":["bank:1/2"],"until":"2026-06-30","reason":"they will refund it"}`, keyed()).is(201, "").want("until", "2026-06-30")

		// A write-off books the difference once, whoever asks, and names the entry.
		off := `{"action":"write_off","lines":["bank:1/2"],"account":"customers:2","reason":"too small to pursue"}`
		b.pay("cash", "customers:2", "20.00").is(201, "")
		written := b.do("POST", decisionsPath, off, keyed()).is(201, "").want("amount", "-1.00", "currency", "EUR")
		settled := b.get("/v1/ledgers/main/entries/"+written.text("entry_seq")).is(200, "")
		if settled.text("postings", 0, "account") != "cash" || settled.text("postings", 0, "direction") != "credit" || settled.text("postings", 0, "amount") != "1.00" {
			t.Errorf("booked is %s", settled.body)
		}
		size := b.size()
		second := b.keyWith(scopeApprove)
		b.do("POST", decisionsPath, off, second).is(200, "").want("seq", written.text("seq"))
		b.do("POST", decisionsPath, strings.Replace(off, `"bank:1/2"`, `"bank:1/2","bank:1/3"`, 1), keyed()).is(409, codeWrittenOff)
		b.do("POST", decisionsPath, strings.Replace(off, "customers:2", "customers:1", 1), keyed()).is(409, ledger.CodeIdempotencyConflict)
		if b.size() != size {
			t.Errorf("asked again, it was booked again: %s entries, and were %s", b.size(), size)
		}

		list := b.get(decisionsPath).is(200, "")
		if n := list.length("data"); n != 4 {
			t.Errorf("%d decisions are listed: %s", n, list.body)
		}
		b.do("POST", decisionsPath, off, b.keyWith(scopePost)).is(403, codeForbidden)
	})
}

func TestDecisionsThatAreRefused(t *testing.T) {
	t.Parallel()
	withBank(t, func(t *testing.T, b *bank) {
		b.openAccounts()
		b.do("POST", bankPath+"?account=cash", statementOf("C260331EUR5,00", "C10,00", "D5,00"), asFile).is(201, "")
		paid := b.pay("yen", "yen:out", "10").is(201, "").text("seq")
		for body, want := range map[string]struct {
			status int
			code   ledger.Code
		}{
			`{"action":"match","reason":"r"}`:                                                                                            {400, codeMissingField},
			`{"action":"match","lines":["bank:1/1"],"reason":"r"}`:                                                                       {400, codeItemCount},
			`{"action":"note","lines":["bank:1/1"]}`:                                                                                     {400, codeMissingField},
			`{"action":"sign_off","lines":["bank:1/1"],"reason":"r"}`:                                                                    {400, codeValueInvalid},
			`{"action":"note","lines":["bank:1/9"],"reason":"r"}`:                                                                        {422, codeLineNotFound},
			`{"action":"note","lines":["bank:1/0"],"reason":"r"}`:                                                                        {422, codeLineNotFound},
			`{"action":"note","lines":["ledger:99/0"],"reason":"r"}`:                                                                     {422, codeLineNotFound},
			`{"action":"note","lines":["ledger:1/7"],"reason":"r"}`:                                                                      {422, codeLineNotFound},
			`{"action":"note","lines":["the first"],"reason":"r"}`:                                                                       {422, codeLineNotFound},
			`{"action":"note","break":"none","reason":"r"}`:                                                                              {404, codeBreakNotFound},
			`{"action":"note","break":"none","lines":["bank:1/1"],"reason":"r"}`:                                                         {400, codeConflictingForm},
			`{"action":"assign","lines":["bank:1/1"],"reason":"r"}`:                                                                      {400, codeMissingField},
			`{"action":"assign","lines":["bank:1/1"],"owner":"Jane Doe","reason":"r"}`:                                                   {400, codeValueInvalid},
			`{"action":"note","lines":["bank:1/1"],"owner":"ops","reason":"r"}`:                                                          {400, codeConflictingForm},
			`{"action":"write_off","lines":["bank:1/1"],"reason":"r"}`:                                                                   {400, codeMissingField},
			`{"action":"write_off","lines":["bank:1/1"],"account":"nobody","reason":"r"}`:                                                {422, ledger.CodeUnknownAccount},
			`{"action":"match","lines":["bank:1/1","bankfile:1"],"reason":"r"}`:                                                          {400, codeValueInvalid},
			`{"action":"match","lines":["bank:1/1","ledger:` + paid + `/0"],"reason":"r"}`:                                               {422, codeLinesApart},
			`{"action":"carry","lines":["bank:1/1"],"until":"2026-02-31","reason":"r"}`:                                                  {400, codeDateInvalid},
			`{"action":"note","lines":["bank:1/1"],"reason":"r","supersedes":"` + uuid.NewString() + `"}`:                                {404, ledger.CodeEntryNotFound},
			`{"action":"note","lines":[` + strings.TrimSuffix(strings.Repeat(`"bank:1/1",`, MaxDecidedLines+1), ",") + `],"reason":"r"}`: {400, codeItemCount},
			`{"action":"write_off","lines":["bank:1/1","bank:1/2"],"account":"customers:1","reason":"r","until":"2026-01-01"}`:           {400, codeConflictingForm},
		} {
			b.do("POST", decisionsPath, body, headers{"Idempotency-Key": {uuid.NewString()}}).is(want.status, want.code)
		}
		b.do("POST", decisionsPath, `{"action":"note","lines":["bankfile:1"],"reason":"seen"}`, headers{"Idempotency-Key": {uuid.NewString()}}).is(201, "")
	})
}

func TestBreaksAreThoseOfTheNewestRun(t *testing.T) {
	t.Parallel()
	b := newBank(t, storetest.Database(t), nil).openAccounts()
	b.get("/v1/ledgers/main/breaks").is(200, "").want("next", "")
	b.get("/v1/ledgers/main/breaks/x").is(404, codeBreakNotFound)
	b.do("POST", bankPath+"?account=cash", statementOf("C260331EUR5,00", "C10,00", "D5,00"), asFile).is(201, "")
	b.breaks = &BreakBook{Run: uuid.NewString(), AsOf: "2026-03-31"}
	for i, status := range []string{"unmatched_bank", "unmatched_bank", "timing"} {
		id := fmt.Sprintf("break%d", i)
		text, err := json.Marshal(map[string]any{"id": id, "account": "cash", "status": status, "lines": []any{}, "amounts": []any{},
			"first_seen": "2026-03-31", "since": "2026-03-02", "age": 21, "bucket": "16-30", "cause": "at the bank, not in the ledger"})
		if err != nil {
			t.Fatal(err)
		}
		b.breaks.Breaks = append(b.breaks.Breaks, Break{ID: id, Account: "cash", Status: status, Bucket: "16-30", Lines: []BreakLine{{fmt.Sprintf("bank:1/%d", i), "10.00", "EUR"}}, JSON: text})
	}
	first := b.get("/v1/ledgers/main/breaks?status=unmatched_bank&limit=1").is(200, "").want("data.0.id", "break0", "as_of", "2026-03-31")
	b.get("/v1/ledgers/main/breaks?status=unmatched_bank&limit=1&cursor="+first.text("next")).is(200, "").want("data.0.id", "break1", "next", "")
	if n := b.get("/v1/ledgers/main/breaks?account=yen").length("data") + b.get("/v1/ledgers/main/breaks?bucket=0-4").length("data"); n != 0 {
		t.Errorf("%d breaks of others", n)
	}
	// A decision about a break is one about its lines, the difference of the openings among them.
	decided := b.do("POST", decisionsPath, `{"action":"note","break":"break0","reason":"seen"}`, headers{"Idempotency-Key": {uuid.NewString()}}).is(201, "").want("subjects.0", "bank:1/0")
	seq := int64(0)
	if _, err := fmt.Sscan(decided.text("seq"), &seq); err != nil {
		t.Fatal(err)
	}
	b.breaks.Breaks[0].Decided = []int64{seq}
	b.get("/v1/ledgers/main/breaks/break0").is(200, "").want("break.id", "break0", "decisions.0.reason", "seen")
}

// Two write-offs at once that share a line: one books, the other is refused.
func TestALineIsWrittenOffOnceWhateverComesAtOnce(t *testing.T) {
	t.Parallel()
	withBank(t, func(t *testing.T, b *bank) {
		b.openAccounts()
		b.do("POST", bankPath+"?account=cash", statementOf("C260331EUR6,00", "C1,00", "C2,00", "C3,00"), asFile).is(201, "")
		const each = 4
		statuses := make(chan int, 3*each)
		for i := range 3 * each {
			lines := []string{`"bank:1/1"`, `"bank:1/1","bank:1/2"`, `"bank:1/1","bank:1/2","bank:1/3"`}[i%3]
			go func() {
				statuses <- b.do("POST", decisionsPath, `{"action":"write_off","lines":[`+lines+`],"account":"customers:1","reason":"r"}`, nil).status
			}()
		}
		counts := map[int]int{}
		for range 3 * each {
			counts[<-statuses]++
		}
		if counts[201] != 1 || counts[200] != each-1 || counts[409] != 2*each {
			t.Errorf("%v: one is to be booked, %d find it booked, %d are refused", counts, each-1, 2*each)
		}
		if n := b.get("/v1/ledgers/main/transfers").is(200, "").length("data"); n != 1 {
			t.Errorf("%d transfers were booked", n)
		}
	})
}

func TestWhatWasTakenBackCanBeWrittenOffAgain(t *testing.T) {
	t.Parallel()
	withBank(t, func(t *testing.T, b *bank) {
		b.openAccounts()
		b.do("POST", bankPath+"?account=cash", statementOf("C260331EUR3,00", "C1,00", "C2,00"), asFile).is(201, "")
		off := `{"action":"write_off","lines":["bank:1/1"],"account":"customers:1","reason":"r"}`
		first := b.do("POST", decisionsPath, off, nil).is(201, "")
		// To supersede a decision is not to take its booking back.
		b.do("POST", decisionsPath, strings.Replace(off, `}`, `,"supersedes":"`+first.text("id")+`"}`, 1), nil).is(409, codeWrittenOff)
		b.do("POST", decisionsPath, `{"action":"unmatch","lines":["bank:1/1"],"reason":"it was paid after all"}`, nil).is(201, "")
		other := strings.Replace(off, "customers:1", "customers:2", 1)
		again := b.do("POST", decisionsPath, other, nil).is(201, "")
		if again.text("entry_seq") == first.text("entry_seq") {
			t.Errorf("the second write-off names the transfer of the first, entry %s", first.text("entry_seq"))
		}
		b.do("POST", decisionsPath, other, nil).is(200, "").want("seq", again.text("seq"))
	})
}

func TestWriteOffsOfWhatIsNotOpenWithABank(t *testing.T) {
	t.Parallel()
	withBank(t, func(t *testing.T, b *bank) {
		b.openAccounts()
		b.do("POST", bankPath+"?account=cash&name=announced.xml", announced, asFile).is(201, "")
		b.do("POST", decisionsPath, `{"action":"write_off","lines":["bank:1/1"],"account":"customers:1","reason":"r"}`, nil).is(422, codeLineNotFound)
		paid := b.pay("yen", "yen:out", "10").is(201, "").text("seq")
		b.do("POST", decisionsPath, `{"action":"write_off","lines":["ledger:`+paid+`/0"],"account":"yen:out","reason":"r"}`, nil).is(422, codeLineNotFound)
		b.breaks = &BreakBook{Run: uuid.NewString(), AsOf: "2026-03-31", Breaks: []Break{{ID: "large", Account: "cash", Status: "unmatched_bank",
			Lines: []BreakLine{{"bank:1/1", "10.00", "EUR"}}, MoreLines: 50, JSON: json.RawMessage("{}")}}}
		b.do("POST", decisionsPath, `{"action":"write_off","break":"large","account":"customers:1","reason":"r"}`, nil).is(400, codeItemCount)
	})
}

// announced is a camt.054 with one line.
const announced = `<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.054.001.08"><BkToCstmrDbtCdtNtfctn><GrpHdr><MsgId>M1</MsgId><CreDtTm>2026-03-02T08:00:00</CreDtTm></GrpHdr>
<Ntfctn><Id>N1</Id><CreDtTm>2026-03-02T08:00:00</CreDtTm><Acct><Id><IBAN>BE68793230773034</IBAN></Id><Ccy>EUR</Ccy></Acct>
<Ntry><Amt Ccy="EUR">10.00</Amt><CdtDbtInd>CRDT</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts><BookgDt><Dt>2026-03-02</Dt></BookgDt><BkTxCd/></Ntry></Ntfctn></BkToCstmrDbtCdtNtfctn></Document>`

// No engine stores a NUL, and no bank means one.
func TestANULInABankFileIsNoFaultOfTheServer(t *testing.T) {
	t.Parallel()
	b := newBank(t, storetest.Database(t), nil).openAccounts()
	file := statementOf("C260331EUR3,00", "C1,00", "C2,00")
	for _, part := range []string{":20:S1", ":25:1234", ":28C:1/1", "NTRFREF0", "line 0", "EUR3,00"} {
		r := b.do("POST", bankPath+"?account=cash", strings.Replace(file, part, part+"\x00", 1), asFile)
		if r.status >= 500 {
			t.Errorf("a NUL after %s: %d %s", part, r.status, r.body)
		}
	}
	for _, path := range []string{bankPath + "?bank_account=%00", "/v1/ledgers/main/breaks?status=%00", "/v1/ledgers/main/breaks/%00", bankPath + "?bank_account=%FF"} {
		if r := b.get(path); r.status >= 500 {
			t.Errorf("%s: %d %s", path, r.status, r.body)
		}
	}
	if r := b.do("POST", bankPath+"?account=cash&name=%00%FF", file+"\n", asFile); r.status >= 500 {
		t.Errorf("a NUL in the name: %d %s", r.status, r.body)
	}
}
