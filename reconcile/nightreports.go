package reconcile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"tallystick/ledger/chain"
	"tallystick/ledger/store"
	"tallystick/reconcile/figures"
	"tallystick/reconcile/report"
)

// nightLines is how many lines a report of a run lists. What has more has its sums
// in the run, and its lines on demand: the ledger is there.
const nightLines = 20_000

// reportsPhase puts out every report: those of the year or the month up to the
// day, and those of what the phases before found. They hold no free text, which
// can be erased; a run cannot.
func (n *Night) reportsPhase(ctx context.Context) error {
	read := readBooks{}
	for i := range ReportKinds {
		k := &ReportKinds[i]
		n.tell(int64(i), int64(len(ReportKinds)+1))
		doc, err := n.periodReport(ctx, k, read)
		if unfit := unfitBooks(err); unfit {
			n.NotChecked(fmt.Sprintf("report %s: %v", k.Name, err))
			continue
		}
		if err != nil {
			return fmt.Errorf("computing report %s: %w", k.Name, err)
		}
		for _, off := range differences(&doc) {
			n.Find(nightFinding(ReportUnbalanced, noSeq, off, "0"))
		}
		if err := n.putReport(&doc); err != nil {
			return err
		}
	}
	doc, err := n.integrity(ctx)
	if err != nil {
		return err
	}
	return n.putReport(&doc)
}

// unfitBooks reports whether an error says that no report can be made of what is
// stored: trying again changes nothing.
func unfitBooks(err error) bool {
	for _, is := range []error{errDamagedBooks, errUnreadableBalance, errSnapshot, errTooManyAccounts, errTooManyClosings, errBeyondRange, errUnfinished, ErrReportTooLong} {
		if errors.Is(err, is) {
			return true
		}
	}
	return false
}

// readBooks are the books that reports of a run share: of the year up to its day,
// and of the month (true). Each is read once.
type readBooks map[bool]*sharedBooks

type sharedBooks struct {
	books *bookReader
	err   error
}

// of returns the books that a report rests on.
func (r readBooks) of(ctx context.Context, from *store.Snapshot, k *ReportKind, q *ReportRequest) (*bookReader, error) {
	if known := r[k.monthly]; known != nil {
		return known.books, known.err
	}
	s := &sharedBooks{}
	if s.books, s.err = pinBooks(ctx, from, k, q); s.err == nil {
		s.err = s.books.read(ctx, need{days: k.monthly, lines: k.monthly}, q)
	}
	if s.err == nil || unfitBooks(s.err) {
		r[k.monthly] = s
	}
	return s.books, s.err
}

// periodReport computes a report for the day of the run.
func (n *Night) periodReport(ctx context.Context, k *ReportKind, read readBooks) (report.Document, error) {
	r := ReportRequest{Name: k.Name, AsOf: &n.AsOf, Policy: n.Policy, maxLines: nightLines}
	switch {
	case k.need.one:
		return n.bankStatements(ctx, k, &r)
	case k.need.aged:
		breaks, err := n.breakAges(ctx)
		if err != nil {
			return report.Document{}, err
		}
		r.breaks = breaks
		return k.compute(ctx, n.Snapshot, &r)
	}
	b, err := read.of(ctx, n.Snapshot, k, &r)
	if err != nil {
		return report.Document{}, err
	}
	return finished(k.build(&b.Books))
}

// bankStatements computes one report of the accounts at banks, which the policy
// names.
func (n *Night) bankStatements(ctx context.Context, k *ReportKind, r *ReportRequest) (report.Document, error) {
	var all []*figures.Books
	if n.Policy != nil {
		left := r.maxLines
		for _, code := range slices.Compact(slices.Sorted(maps.Values(n.Policy.BankAccounts))) {
			b, err := pinBooks(ctx, n.Snapshot, k, r)
			if err != nil {
				return report.Document{}, err
			}
			b.textless, b.MaxLines = true, left
			switch err := b.readStatement(ctx, code); {
			case errors.Is(err, ErrUnknownAccount), errors.Is(err, ErrReportTooLong):
				n.NotChecked(fmt.Sprintf("report %s: %v", k.Name, err))
				continue
			case err != nil:
				return report.Document{}, err
			}
			left -= int64(len(b.Lines))
			all = append(all, &b.Books)
		}
	}
	b, err := pinBooks(ctx, n.Snapshot, k, r)
	if err != nil {
		return report.Document{}, err
	}
	return finished(figures.Statements(&b.Books, all))
}

// errUnfinished: a report was put together wrongly.
var errUnfinished = errors.New("it cannot be written")

func finished(d report.Document, err error) (report.Document, error) {
	if err != nil {
		err = fmt.Errorf("%w: %w", errUnfinished, err)
	}
	return d, err
}

// putReport puts out a report, or says that it is too large.
func (n *Night) putReport(d *report.Document) error {
	encoded, err := report.Encode(d)
	if err != nil {
		return err
	}
	large := len(encoded) > store.MaxOutput
	if !large && len(encoded) > store.MaxOutputBody {
		body, err := compress(encoded)
		if err != nil {
			return fmt.Errorf("compressing report %s: %w", d.Name, err)
		}
		large = len(body) > store.MaxOutputBody
	}
	if large {
		n.NotChecked(fmt.Sprintf("report %s: with %d bytes it is larger than what a run keeps; make it on demand", d.Name, len(encoded)))
		return nil
	}
	return n.PutBytes(ReportOutput, d.Name, encoded)
}

// differences returns where the difference lines of a report are not zero, and the
// proofs of its rows.
func differences(d *report.Document) []string {
	var all []string
	for _, b := range d.Blocks {
		if b.Table == nil {
			continue
		}
		for _, row := range b.Table.Rows {
			for i, c := range row.Cells {
				column := &b.Table.Columns[i]
				proves := row.Kind == report.Difference || row.Kind == report.Record && (column.Name == "proof" || column.Name == "difference")
				if proves && column.Kind == report.Amount && strings.Trim(c.Value, "-0.") != "" {
					all = append(all, fmt.Sprintf("%s %s, %s, %s", c.Value, c.Currency, b.Table.Name+" "+row.Cells[0].Value, column.Title))
				}
			}
		}
	}
	return all
}

// breakAges returns how old the breaks with banks are, by what the bank phase put
// out; nil when it put out nothing.
func (n *Night) breakAges(ctx context.Context) ([]figures.BreakAges, error) {
	encoded, err := n.Output(ctx, ResultOutput, "bank")
	if errors.Is(err, ErrNoOutput) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var bank struct {
		Accounts []struct {
			Account, Currency string
			Breaks            []struct {
				Age     int
				Overdue bool
			}
			More int `json:"more_breaks"`
		}
	}
	if err := json.Unmarshal(encoded, &bank); err != nil {
		return nil, fmt.Errorf("reading what the bank phase put out: %w", err)
	}
	ages := []figures.BreakAges{}
	for _, a := range bank.Accounts {
		of := figures.BreakAges{Account: a.Account, Currency: a.Currency, More: int64(a.More)}
		for _, b := range a.Breaks {
			of.Add(b.Age, b.Overdue)
		}
		ages = append(ages, of)
	}
	return ages, nil
}

// integrity computes the report of what the phases before found.
func (n *Night) integrity(ctx context.Context) (report.Document, error) {
	b, err := pinBooks(ctx, n.Snapshot, kindNamed(figures.NameTrialBalance), &ReportRequest{AsOf: &n.AsOf, Policy: n.Policy})
	if err != nil {
		return report.Document{}, err
	}
	found, err := n.earlierFindings(ctx)
	if err != nil {
		return report.Document{}, err
	}
	var checked figures.Integrity
	encoded, err := n.Output(ctx, ResultOutput, "chain")
	switch {
	case errors.Is(err, ErrNoOutput):
	case err != nil:
		return report.Document{}, err
	default:
		if err := json.Unmarshal(encoded, &checked); err != nil {
			return report.Document{}, fmt.Errorf("reading what the chain phase put out: %w", err)
		}
		checked.Known = true
	}
	for _, f := range found {
		phase := figures.PhaseOutcome{Name: f.Phase, Critical: f.Critical, Warnings: f.Warnings, Info: f.Info, NotChecked: f.NotChecked}
		for i := range f.Findings {
			phase.Findings = append(phase.Findings, figures.Found{Finding: f.Findings[i], Meaning: meaningOf(&f.Findings[i])})
		}
		checked.Phases = append(checked.Phases, phase)
	}
	return figures.IntegrityReport(&b.Books, &checked)
}

// beforeReports are the phases before this one.
var beforeReports = []string{"chain", "books", "bank", "risk"}

// earlierFindings returns what the phases before found.
func (n *Night) earlierFindings(ctx context.Context) ([]PhaseFindings, error) {
	var all []PhaseFindings
	for _, name := range beforeReports {
		encoded, err := n.Output(ctx, FindingsOutput, name)
		if err != nil {
			return nil, err
		}
		var found PhaseFindings
		if err := json.Unmarshal(encoded, &found); err != nil {
			return nil, fmt.Errorf("reading what phase %s found: %w", name, err)
		}
		all = append(all, found)
	}
	return all, nil
}

// meaningOf returns what a finding means, in words.
func meaningOf(f *chain.Finding) string {
	for _, list := range [][]Check{NightChecks, Checks} {
		for i := range list {
			if list[i].Code == f.Code {
				return list[i].Meaning
			}
		}
	}
	return ""
}
