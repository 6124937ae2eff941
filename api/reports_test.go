package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"tallystick/ledger"
	"tallystick/ledger/store"
	"tallystick/reconcile"
	"tallystick/reconcile/camt"
	"tallystick/reconcile/report"
)

// testReporter makes the reports of tests, as the command does.
func testReporter(db *store.DB) *Reporter {
	r := &Reporter{Formats: []string{"text", "csv", "json"}, StatementFormats: []string{string(camt.V8), string(camt.V2)}}
	for _, k := range reconcile.ReportKinds {
		r.Kinds = append(r.Kinds, ReportKind{k.Name, k.Title, k.Meaning})
	}
	r.Report = func(ctx context.Context, id ledger.LedgerID, asked ReportRequest) (ReportFile, error) {
		snapshot, err := db.Snapshot(ctx, id.UUID)
		if err != nil {
			return ReportFile{}, err
		}
		request := reconcile.ReportRequest{Name: asked.Name, From: asked.From, AsOf: asked.AsOf, Account: asked.Account}
		var b bytes.Buffer
		if strings.HasPrefix(asked.Format, "camt") {
			err := reconcile.WriteCamt(ctx, &b, camt.Version(asked.Format), snapshot, request, asked.IBAN)
			return ReportFile{"application/xml", "statement.xml", b.Bytes()}, refusedBy(err)
		}
		d, err := reconcile.ComputeReport(ctx, snapshot, request)
		if err != nil {
			return ReportFile{}, refusedBy(err)
		}
		format := report.Format(asked.Format)
		if err := report.Write(&b, &d, format, report.Options{}); err != nil {
			return ReportFile{}, err
		}
		return ReportFile{ContentType: format.ContentType(), Body: b.Bytes()}, nil
	}
	return r
}

func refusedBy(err error) error {
	for reason, is := range map[RefusedReport]error{NoSuchReport: reconcile.ErrUnknownReport, NoSuchAccount: reconcile.ErrUnknownAccount,
		NoSuchPeriod: reconcile.ErrReportPeriod, ReportTooLong: reconcile.ErrReportTooLong, StatementUnfit: camt.ErrUnfit} {
		if errors.Is(err, is) {
			return &ReportRefusal{reason, err.Error()}
		}
	}
	return err
}

func TestReportsAreListedAndMade(t *testing.T) {
	t.Parallel()
	withClock(t, func(t *testing.T, b *bank, c *clock) {
		b.openAccounts()
		day1 := c.on(0)
		b.pay("cash", "customers:1", "100").is(201, "")
		c.pass(day)
		day2 := c.on(0)
		b.pay("customers:1", "cash", "12.50").is(201, "")
		const path = "/v1/ledgers/main/reports"
		list := b.get(path).is(200, "")
		list.want("data.0.name", "trial-balance", "data.0.formats.2", "json")
		if n := list.length("data"); n != len(reconcile.ReportKinds) {
			t.Errorf("%d reports", n)
		}
		a := b.get(path+"/trial-balance?from="+day1+"&as_of="+day1).is(200, "")
		a.want("name", "trial-balance", "ledger", "main", "blocks.0.heading", "EUR", "blocks.0.table.rows.0.cells.0.value", "cash",
			"blocks.0.table.rows.0.cells.6.value", "100.00", "blocks.0.table.rows.0.cells.6.currency", "EUR", "blocks.0.table.rows.0.cells.6.scale", "2")
		b.get(path+"/trial-balance?from="+day1+"&as_of="+day2).is(200, "").want("blocks.0.table.rows.0.cells.6.value", "87.50")
		// The trial balance is what the balances are.
		balances := b.get("/v1/ledgers/main/balances").is(200, "")
		whole := b.get(path+"/trial-balance?from=2001-01-01").is(200, "")
		for i := range balances.length("data") {
			if code := balances.text("data", i, "code"); balances.text("data", i, "debits") != "0.00" && code == "cash" {
				whole.want("blocks.0.table.rows.0.cells.6.value", balances.text("data", i, "debits"))
			}
		}
		for _, format := range []string{"text", "csv"} {
			if body := string(b.get(path+"/balance-sheet?format="+format).is(200, "").body); !strings.Contains(body, "87.50") {
				t.Errorf("%s: %s", format, body)
			}
		}
		for _, k := range reconcile.ReportKinds {
			if k.Name != "account-statement" {
				b.get(path+"/"+k.Name).is(200, "").want("name", k.Name)
			}
		}
		b.get(path+"/account-statement?account=customers:1&from="+day1).is(200, "").want("blocks.0.table.rows.1.cells.5.value", "100.00")
		b.get(path+"/general-ledger?account=customers").is(200, "").want("name", "general-ledger")
		b.statementFiles(t, day1, day2)
	})
}

// statementFiles asks for statements as files.
func (b *bank) statementFiles(t *testing.T, from, to string) {
	t.Helper()
	path := "/v1/ledgers/main/accounts/customers:1/statement?from=" + from + "&to=" + to + "&format="
	for _, v := range camt.Versions {
		a := b.get(path+string(v)+"&iban=BE68539007547034").is(200, "")
		if body := string(a.body); !strings.Contains(body, string(v)) || !strings.Contains(body, "<IBAN>BE68539007547034</IBAN>") || strings.Count(body, "<Ntry>") != 2 {
			t.Errorf("%s: %s", v, body)
		}
	}
	b.get(path+"json&limit=1").is(200, "").want("account", "customers:1", "totals.lines", "2")
	if body := string(b.get(path+"text").is(200, "").body); !strings.Contains(body, "Records 2 ") {
		t.Errorf("text: %s", body)
	}
	b.get(path+"camt.053.001.08&iban=nonsense").is(422, codeStatementUnfit)
	b.get(path+"pdf").is(400, codeInvalidParameter)
	b.get(path+"csv&limit=5").is(400, codeUnknownParameter)
	b.get("/v1/ledgers/main/accounts/customers:1/statement?iban=BE68539007547034").is(400, codeInvalidParameter)
	b.get("/v1/ledgers/main/accounts/customers:99/statement?format=csv").is(404, codeAccountNotFound)
}

func TestReportsThatAreRefused(t *testing.T) {
	t.Parallel()
	withBank(t, func(t *testing.T, b *bank) {
		b.openAccounts()
		const path = "/v1/ledgers/main/reports"
		b.get("/v1/ledgers/nowhere/reports").is(404, codeLedgerNotFound)
		b.get("/v1/ledgers/nowhere/reports/trial-balance").is(404, codeLedgerNotFound)
		b.get(path+"?limit=3").is(400, codeUnknownParameter)
		b.get(path+"/profits").is(404, codeReportNotFound)
		b.get(path+"/trial-balance?format=docx").is(400, codeInvalidParameter)
		b.get(path+"/trial-balance?format=camt.053.001.08").is(400, codeInvalidParameter)
		b.get(path+"/trial-balance?as_of=yesterday").is(400, codeDateInvalid)
		b.get(path+"/trial-balance?from=2026-02-01&as_of=2026-01-01").is(400, codeInvalidParameter)
		b.get(path+"/trial-balance?account=A").is(400, codeAccountCode)
		b.get(path+"/trial-balance?run=latest&from=2026-02-01").is(400, codeInvalidParameter)
		b.get(path+"/daily-position?from=1900-01-01").is(422, codeReportTooLong)
		b.get(path+"/account-statement").is(404, codeAccountNotFound)
		b.get(path+"/general-ledger?account=nobody").is(404, codeAccountNotFound)
	})
}

func TestAServerThatMakesNoReports(t *testing.T) {
	t.Parallel()
	withBank(t, func(t *testing.T, b *bank) {
		b.openAccounts()
		none := httptest.NewServer(New(Config{DB: b.db, Poster: b.poster, Host: "bank.test", Version: "1.2.3", Log: slog.New(b.log), Erase: b.erase}))
		t.Cleanup(none.Close)
		b.url, b.client = none.URL, none.Client()
		if n := b.get("/v1/ledgers/main/reports").is(200, "").length("data"); n != 0 {
			t.Errorf("%d reports", n)
		}
		b.get("/v1/ledgers/main/reports/trial-balance").is(404, codeReportNotFound)
		b.get("/v1/ledgers/main/accounts/cash/statement?format=csv").is(404, codeReportNotFound)
	})
}

func TestReportsAreComputedInTurn(t *testing.T) {
	t.Parallel()
	withBank(t, func(t *testing.T, b *bank) {
		var mu sync.Mutex
		atWork, most := 0, 0
		full := make(chan struct{})
		made := b.reports.Report
		b.reports.Report = func(ctx context.Context, id ledger.LedgerID, asked ReportRequest) (ReportFile, error) {
			mu.Lock()
			atWork++
			if most = max(most, atWork); atWork == MaxReports {
				select {
				case <-full:
				default:
					close(full)
				}
			}
			mu.Unlock()
			<-full // no report is done before as many are at work as may be
			file, err := made(ctx, id, asked)
			mu.Lock()
			atWork--
			mu.Unlock()
			return file, err
		}
		var all sync.WaitGroup
		for i := range 3 * MaxReports {
			all.Go(func() {
				b.get(fmt.Sprintf("/v1/ledgers/main/reports/trial-balance?from=20%02d-01-01", 10+i)).is(200, "")
			})
		}
		all.Wait()
		if most != MaxReports {
			t.Errorf("%d reports at a time, want %d", most, MaxReports)
		}
	})
}

func TestRiskIsThatOfARunTheLatestByDefault(t *testing.T) {
	t.Parallel()
	withBank(t, func(t *testing.T, b *bank) {
		var asked []ReportRequest
		b.reports.Report = func(_ context.Context, _ ledger.LedgerID, r ReportRequest) (ReportFile, error) {
			asked = append(asked, r)
			return ReportFile{}, &ReportRefusal{NoSuchReport, "the run put out no such report"}
		}
		const path = "/v1/ledgers/main/risk"
		b.get(path).is(404, codeReportNotFound)
		b.get(path+"?report=safeguarding&run=0197-x&format=text").is(404, codeReportNotFound)
		b.get(path+"?report=trial-balance").is(400, codeInvalidParameter)
		b.get(path+"?format=doc").is(400, codeInvalidParameter)
		b.get("/v1/ledgers/nowhere/risk").is(404, codeLedgerNotFound)
		if len(asked) != 2 || asked[0].Name != "risk" || asked[0].Run != "latest" || asked[1].Name != "safeguarding" || asked[1].Run != "0197-x" {
			t.Errorf("asked for %+v", asked)
		}
		if asked[0].Links == "" {
			t.Error("the figures lead nowhere")
		}
	})
}
