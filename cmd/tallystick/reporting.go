package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"tallystick/api"
	"tallystick/ledger"
	"tallystick/ledger/store"
	"tallystick/reconcile"
	"tallystick/reconcile/camt"
	"tallystick/reconcile/figures"
	"tallystick/reconcile/policy"
	"tallystick/reconcile/report"
)

// reporting makes reports for the command line and for the API alike.
type reporting struct {
	db     *store.DB
	policy *policy.Policy // nil: no account has a role
}

// reportFormats are the formats of reports.
func reportFormats() []string { return names(report.Formats) }

// statementFormats are those that an account statement has besides.
func statementFormats() []string { return names(camt.Versions) }

func names[T ~string](list []T) []string {
	all := make([]string, len(list))
	for i, v := range list {
		all[i] = string(v)
	}
	return all
}

// forAPI returns what the API makes reports with.
func (r *reporting) forAPI() *api.Reporter {
	reporter := &api.Reporter{Formats: reportFormats(), StatementFormats: statementFormats(), Report: func(ctx context.Context, id ledger.LedgerID, asked api.ReportRequest) (api.ReportFile, error) {
		file, err := r.make(ctx, id.UUID, asked)
		return file, refusedReport(err)
	}}
	for _, k := range reconcile.ReportKinds {
		reporter.Kinds = append(reporter.Kinds, api.ReportKind{Name: k.Name, Title: k.Title, Meaning: k.Meaning})
	}
	return reporter
}

// refusals are what is wrong with a request for a report, in the terms of the API.
var refusals = []struct {
	is     error
	reason api.RefusedReport
}{
	{reconcile.ErrUnknownReport, api.NoSuchReport},
	{reconcile.ErrUnknownAccount, api.NoSuchAccount},
	{reconcile.ErrReportPeriod, api.NoSuchPeriod},
	{reconcile.ErrReportTooLong, api.ReportTooLong},
	{camt.ErrUnfit, api.StatementUnfit},
	{errNoRun, api.NoSuchRun},
	{reconcile.ErrNoOutput, api.NoSuchReport},
}

func refusedReport(err error) error {
	for _, known := range refusals {
		if errors.Is(err, known.is) {
			return &api.ReportRefusal{Reason: known.reason, Detail: err.Error()}
		}
	}
	return err
}

// make makes one report of a ledger as it is now, or as a run put it out.
func (r *reporting) make(ctx context.Context, id uuid.UUID, asked api.ReportRequest) (api.ReportFile, error) {
	if asked.Run != "" {
		return r.kept(ctx, id, asked)
	}
	snapshot, err := r.db.Snapshot(ctx, id)
	if err != nil {
		return api.ReportFile{}, err
	}
	request := reconcile.ReportRequest{Name: asked.Name, From: asked.From, AsOf: asked.AsOf, Account: asked.Account, Policy: r.policy}
	if asked.Name == figures.NameStatement && slices.Contains(statementFormats(), asked.Format) {
		return camtFile(ctx, snapshot, camt.Version(asked.Format), request, asked.IBAN)
	}
	format, err := report.ParseFormat(asked.Format)
	if err != nil {
		return api.ReportFile{}, err
	}
	doc, err := reconcile.ComputeReport(ctx, snapshot, request)
	if err != nil {
		return api.ReportFile{}, err
	}
	return r.write(&doc, format, asked.Links)
}

// latestRun stands for the newest run that has ended.
const latestRun = "latest"

// errNoRun: the ledger has no such run, or it has not ended.
var errNoRun = errors.New("no such run has ended")

// kept returns a report as a run put it out.
func (r *reporting) kept(ctx context.Context, id uuid.UUID, asked api.ReportRequest) (api.ReportFile, error) {
	format, err := report.ParseFormat(asked.Format)
	if err != nil {
		return api.ReportFile{}, err
	}
	run, err := r.run(ctx, ledger.LedgerID{UUID: id}, asked.Run)
	if err != nil {
		return api.ReportFile{}, err
	}
	if asked.Name == reconcile.ControlSheetName {
		sheet, err := reconcile.ControlSheet(ctx, r.db, run)
		if err != nil {
			return api.ReportFile{}, err
		}
		return r.write(sheet, format, asked.Links)
	}
	result, err := reconcile.NightResultOf(ctx, r.db, run)
	if err != nil {
		return api.ReportFile{}, err
	}
	if len(result.Disputed) > 0 {
		return api.ReportFile{}, fmt.Errorf("reading what run %s put out: its run entry in the ledger says otherwise: %w\nhint: tallystick reconcile show says where", run.ID, store.ErrDamaged)
	}
	encoded, err := reconcile.ReadOutput(ctx, r.db, run.ID, reconcile.ReportOutput, asked.Name)
	if err != nil {
		return api.ReportFile{}, err
	}
	doc, err := report.Decode(encoded)
	if err != nil {
		return api.ReportFile{}, err
	}
	return r.write(doc, format, asked.Links)
}

// run finds a run that has ended.
func (r *reporting) run(ctx context.Context, id ledger.LedgerID, name string) (store.Run, error) {
	if name == latestRun {
		for after := (*store.RunPlace)(nil); ; {
			page, err := r.db.Runs(ctx, id, after, runsPage)
			if err != nil {
				return store.Run{}, err
			}
			for i := range page {
				if page[i].Phase == store.PhaseDone {
					return page[i], nil
				}
			}
			if len(page) < runsPage {
				return store.Run{}, fmt.Errorf("looking for the latest run: %w", errNoRun)
			}
			last := &page[len(page)-1]
			after = &store.RunPlace{AsOf: last.AsOf, StartedAt: last.StartedAt, ID: last.ID}
		}
	}
	run, err := uuid.Parse(name)
	if err != nil {
		return store.Run{}, fmt.Errorf("looking for run %q: %w: it is the id of a run, or %s", name, errNoRun, latestRun)
	}
	found, err := r.db.Run(ctx, id, run)
	switch {
	case errors.Is(err, store.ErrNotFound), err == nil && found.Phase != store.PhaseDone:
		return store.Run{}, fmt.Errorf("looking for run %s: %w", run, errNoRun)
	}
	return found, err
}

// runsPage is how many runs are looked at at once.
const runsPage = 50

// write writes a document in a format, with links that begin with the address of the ledger.
func (r *reporting) write(doc *report.Document, format report.Format, ledger string) (api.ReportFile, error) {
	var body bytes.Buffer
	if err := report.Write(&body, doc, format, report.Options{Href: hrefs(ledger)}); err != nil {
		return api.ReportFile{}, err
	}
	file := api.ReportFile{ContentType: format.ContentType(), Body: body.Bytes()}
	switch format {
	case report.CSV, report.XLSX, report.PDF:
		file.Name = report.FileName(doc, format)
	}
	return file, nil
}

// hrefs leads to accounts and entries through the API, and to other reports; without an address nothing is a link.
func hrefs(ledger string) func(report.Link) string {
	if ledger == "" {
		return nil
	}
	return func(l report.Link) string {
		switch {
		case l.Seq != nil:
			return fmt.Sprintf("%s/entries/%d", ledger, *l.Seq)
		case l.Transfer != "":
			return ledger + "/transfers/" + l.Transfer
		case l.Account != "":
			return ledger + "/accounts/" + l.Account
		case l.Report != "":
			return ledger + "/reports/" + l.Report
		}
		return ""
	}
}

// camtFile writes the statement of an account as a message.
func camtFile(ctx context.Context, from *store.Snapshot, v camt.Version, r reconcile.ReportRequest, iban string) (api.ReportFile, error) {
	var body bytes.Buffer
	if err := reconcile.WriteCamt(ctx, &body, v, from, r, iban); err != nil {
		return api.ReportFile{}, err
	}
	return api.ReportFile{ContentType: "application/xml", Name: fmt.Sprintf("%s.xml", v), Body: body.Bytes()}, nil
}
