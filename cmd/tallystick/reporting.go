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
}

func refusedReport(err error) error {
	for _, known := range refusals {
		if errors.Is(err, known.is) {
			return &api.ReportRefusal{Reason: known.reason, Detail: err.Error()}
		}
	}
	return err
}

// make makes one report of a ledger as it is now.
func (r *reporting) make(ctx context.Context, id uuid.UUID, asked api.ReportRequest) (api.ReportFile, error) {
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
	return r.write(&doc, format)
}

// write writes a document in a format.
func (r *reporting) write(doc *report.Document, format report.Format) (api.ReportFile, error) {
	var body bytes.Buffer
	if err := report.Write(&body, doc, format, report.Options{}); err != nil {
		return api.ReportFile{}, err
	}
	file := api.ReportFile{ContentType: format.ContentType(), Body: body.Bytes()}
	switch format {
	case report.CSV, report.XLSX, report.PDF:
		file.Name = report.FileName(doc, format)
	}
	return file, nil
}

// camtFile writes the statement of an account as a message.
func camtFile(ctx context.Context, from *store.Snapshot, v camt.Version, r reconcile.ReportRequest, iban string) (api.ReportFile, error) {
	var body bytes.Buffer
	if err := reconcile.WriteCamt(ctx, &body, v, from, r, iban); err != nil {
		return api.ReportFile{}, err
	}
	return api.ReportFile{ContentType: "application/xml", Name: fmt.Sprintf("%s.xml", v), Body: body.Bytes()}, nil
}
