package api

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"tallystick/api/console"
	"tallystick/ledger"
	"tallystick/ledger/chain"
)

// Reports are made elsewhere: the functions that make them are handed to the
// API, which knows nothing of how.

// Reporter makes reports and account statements.
type Reporter struct {
	// Kinds are the reports there are, in the order of lists.
	Kinds []ReportKind
	// Formats are those of reports. StatementFormats are those that an account
	// statement has besides.
	Formats, StatementFormats []string
	// Report makes a report, or the statement of an account. Its error may be a
	// *ReportRefusal.
	Report func(ctx context.Context, id ledger.LedgerID, r ReportRequest) (ReportFile, error)
}

// ReportKind is a report that can be asked for.
type ReportKind struct{ Name, Title, Meaning string }

// ReportRequest asks for a report. What is left empty is up to the report.
type ReportRequest struct {
	Name, Format string
	From, AsOf   *chain.Date
	Account      string // code, or a prefix of codes
	IBAN         string // of the account, for formats that name it so
	Run          string // id of a run, or "latest": the report that it put out
	Links        string // address of the ledger that links of a page begin with
}

// ReportFile is a report in the format that was asked for.
type ReportFile struct {
	ContentType string
	Name        string // for who saves it; none: it is not meant to be saved
	Body        []byte
}

// ReportRefusal is why there is no such report.
type ReportRefusal struct {
	Reason RefusedReport
	Detail string // for the client: what is wrong, what to do
}

// Error returns the detail.
func (r *ReportRefusal) Error() string { return r.Detail }

// RefusedReport is a reason for which there is no report.
type RefusedReport int

// The reasons.
const (
	NoSuchReport   RefusedReport = iota // of that name, also in that run
	NoSuchAccount                       // at the end of the period
	NoSuchRun                           // of this ledger
	NoSuchPeriod                        // the dates are none
	ReportTooLong                       // beyond a bound
	StatementUnfit                      // the format has no place for something in it
)

const (
	// MaxReports is how many reports a server computes at a time, of all ledgers.
	// Each may read as many postings as its ledger has.
	MaxReports = 2
	// ReportPatience is how long a request waits for its turn.
	ReportPatience = 30 * time.Second
	// maxReportName bounds the names of reports, runs and formats in a request.
	maxReportName = 64
	// maxIBAN is the longest IBAN.
	maxIBAN = 34
)

// listReports answers GET /v1/ledgers/{ledger}/reports.
func (h *handlers) listReports(x *exchange) error {
	if err := h.findLedger(x); err != nil {
		return err
	}
	if q := x.query(); q.err != nil {
		return q.err
	}
	x.out = append(x.out, `{"data":[`...)
	if r := h.Reports; r != nil {
		for i, k := range r.Kinds {
			x.out = appendString(append(appendComma(x.out, i), `{"name":`...), k.Name)
			x.out = appendString(append(x.out, `,"title":`...), k.Title)
			x.out = appendString(append(x.out, `,"meaning":`...), k.Meaning)
			x.out = append(x.out, `,"formats":[`...)
			for j, format := range r.Formats {
				x.out = appendString(appendComma(x.out, j), format)
			}
			x.out = append(x.out, "]}"...)
		}
	}
	x.out = append(x.out, "]}"...)
	return x.send(200)
}

// oneReport answers GET /v1/ledgers/{ledger}/reports/{name}.
func (h *handlers) oneReport(x *exchange) error {
	if err := h.findLedger(x); err != nil {
		return err
	}
	q := x.query("format", "as_of", "from", "account", "run")
	r := ReportRequest{Name: x.param("name"), Format: q.text("format", maxReportName), From: q.date("from"), AsOf: q.date("as_of"),
		Account: q.code("account"), Run: q.text("run", maxReportName)}
	if r.Run != "" && (q.has("from") || q.has("as_of") || q.has("account")) {
		q.fail(codeInvalidParameter, "run", "what a run put out is there as it is: run excludes from, as_of and account")
	}
	if q.err != nil {
		return q.err
	}
	if h.Reports == nil {
		return newProblem(codeReportNotFound, "this server makes no reports")
	}
	return h.sendReport(x, r, h.Reports.Formats)
}

// riskPages are the reports of risk that a run puts out, the first by default.
var riskPages = []string{"risk", "safeguarding", "exposures"}

// riskReport answers GET /v1/ledgers/{ledger}/risk: figures as a run computed them, the latest by default. They rest on a
// policy and on files that no request has.
func (h *handlers) riskReport(x *exchange) error {
	if err := h.findLedger(x); err != nil {
		return err
	}
	q := x.query("format", "report", "run")
	r := ReportRequest{Name: q.text("report", maxReportName), Format: q.text("format", maxReportName), Run: q.text("run", maxReportName)}
	if r.Name == "" {
		r.Name = riskPages[0]
	}
	if r.Run == "" {
		r.Run = latestRun
	}
	switch {
	case q.err == nil && !slices.Contains(riskPages, r.Name):
		return fieldProblem(codeInvalidParameter, "report", "the reports of risk are %s", strings.Join(riskPages, ", "))
	case q.err != nil:
		return q.err
	case h.Reports == nil:
		return newProblem(codeReportNotFound, "this server makes no reports")
	}
	return h.sendReport(x, r, h.Reports.Formats)
}

// latestRun names the newest run that is done.
const latestRun = "latest"

// statementFile answers GET /v1/ledgers/{ledger}/accounts/{account}/statement
// with a format: the whole statement as a file.
func (h *handlers) statementFile(x *exchange, code string) error {
	q := x.query("from", "to", "format", "iban")
	r := ReportRequest{Name: statementReport, Format: q.text("format", maxReportName), From: q.date("from"), AsOf: q.date("to"), Account: code, IBAN: q.text("iban", maxIBAN)}
	switch {
	case q.err != nil:
		return q.err
	case h.Reports == nil:
		return newProblem(codeReportNotFound, "this server makes no reports; without format, the statement comes in pages")
	}
	return h.sendReport(x, r, append(h.Reports.Formats[:len(h.Reports.Formats):len(h.Reports.Formats)], h.Reports.StatementFormats...))
}

// statementReport is the name of the report that is about one account.
const statementReport = "account-statement"

// sendReport makes a report in turn, and answers with it.
func (h *handlers) sendReport(x *exchange, r ReportRequest, formats []string) error {
	if r.Format == "" {
		r.Format = "json"
	}
	known := false
	for _, f := range formats {
		known = known || f == r.Format
	}
	if !known {
		return fieldProblem(codeInvalidParameter, "format", "the formats here are %s", strings.Join(formats, ", "))
	}
	r.Links = "/v1/ledgers/" + x.ledger.String()
	if links, ok := console.Links(x.req.Context()); ok {
		r.Links = links
	}
	ctx := x.req.Context()
	if !h.reports.TryAcquire(1) {
		patience, cancel := context.WithTimeout(ctx, ReportPatience)
		defer cancel()
		if err := h.reports.Acquire(patience, 1); err != nil {
			return newProblem(codeOverloaded, "the reports of other requests are being computed; nothing happened, try again later")
		}
	}
	file, err := func() (ReportFile, error) {
		defer h.reports.Release(1) // also when it panics
		return h.Reports.Report(ctx, x.ledger, r)
	}()
	if refusal, ok := errors.AsType[*ReportRefusal](err); ok {
		return refusedReport(refusal)
	}
	if err != nil {
		return fmt.Errorf("making report %s of ledger %s: %w", r.Name, x.ledger, err)
	}
	if file.Name != "" {
		x.header["Content-Disposition"] = []string{`attachment; filename="` + file.Name + `"`}
	}
	x.header["Content-Security-Policy"] = reportPolicy
	x.out = append(x.out, file.Body...)
	return x.sendAs(200, []string{file.ContentType})
}

// reportPolicy lets a report that is a page look as it should, and do nothing.
var reportPolicy = []string{"default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"}

// refusedReport turns a refusal into a problem.
func refusedReport(r *ReportRefusal) *problem {
	code := codeInternal
	switch r.Reason {
	case NoSuchReport:
		code = codeReportNotFound
	case NoSuchAccount:
		code = codeAccountNotFound
	case NoSuchRun:
		code = ledger.CodeRunNotFound
	case NoSuchPeriod:
		code = codeInvalidParameter
	case ReportTooLong:
		code = codeReportTooLong
	case StatementUnfit:
		code = codeStatementUnfit
	}
	return newProblem(code, "%s", r.Detail)
}
