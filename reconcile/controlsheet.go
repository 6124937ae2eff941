package reconcile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"tallystick/ledger/chain"
	"tallystick/ledger/store"
	"tallystick/reconcile/report"
)

// ControlSheetName is what commands and URLs call the control sheet of a run.
const ControlSheetName = "control-sheet"

// ControlSheet is the sheet that goes on top of what a run put out: what it was
// pinned to, what it read and did not read again, control totals of every report,
// and who prepared, reviewed and approved it. It is made when it is asked for, of
// the run's row and of entries: it alone has times, and names people by their
// keys, so it is no output and no part of the digest.
func ControlSheet(ctx context.Context, db *store.DB, run store.Run) (*report.Document, error) {
	result, err := NightResultOf(ctx, db, run)
	if err != nil {
		return nil, err
	}
	snapshot, err := db.Snapshot(ctx, run.Ledger)
	if err != nil {
		return nil, err
	}
	n := &Night{LedgerID: run.Ledger, Snapshot: snapshot, DB: db}
	if err := n.readTerms(ctx); err != nil {
		return nil, err
	}
	var p pins
	if err := json.Unmarshal(run.Pins, &p); err != nil {
		return nil, fmt.Errorf("reading what run %s is pinned to: %w", run.ID, err)
	}
	doc := &report.Document{
		Name: ControlSheetName, Title: "Control sheet", Ledger: n.Terms.Name,
		Facts: runFacts(&run, &n.Terms, snapshot.Size),
	}
	coverage, err := coverageBlock(ctx, db, &result, &p)
	if err != nil {
		return nil, err
	}
	people, err := n.signatures(ctx, run.ID)
	if err != nil {
		return nil, err
	}
	outputs, err := outputsBlock(ctx, db, &result)
	if err != nil {
		return nil, err
	}
	doc.Blocks = []report.Block{people, foundBlock(&result), coverage, inputsBlock(&p), outputs}
	for _, f := range result.Disputed {
		doc.Notes = append(doc.Notes, fmt.Sprintf("DISPUTED: %s, stored: %s; %s. %s", f.Code, said(f.Stored), said(f.Recomputed), f.NextStep))
	}
	return doc, report.Finish(doc)
}

func said(s *string) string {
	if s == nil {
		return "-"
	}
	return *s
}

// runFacts are the head of the sheet.
func runFacts(run *store.Run, terms *chain.LedgerTerms, present int64) []report.Fact {
	cutoff := "midnight"
	if terms.DayCutoff > 0 {
		cutoff = time.Time{}.Add(time.Duration(terms.DayCutoff) * time.Second).Format("15:04:05")
	}
	facts := []report.Fact{
		{Name: "run", Value: run.ID.String()},
		{Name: "as of", Value: run.AsOf.String()},
		{Name: "day begins at", Value: cutoff + " " + terms.TimeZone},
		{Name: "entries", Value: fmt.Sprint(run.Size)},
		{Name: "head", Value: run.Head.String()},
		{Name: "entries since, of later runs", Value: fmt.Sprint(present - run.Size)},
		{Name: "started", Value: run.StartedAt.UTC().Format(time.RFC3339)},
	}
	if run.EndedAt != nil {
		facts = append(facts, report.Fact{Name: "ended", Value: run.EndedAt.UTC().Format(time.RFC3339)}, report.Fact{Name: "result", Value: run.Result})
	} else {
		facts = append(facts, report.Fact{Name: "at work on", Value: run.Phase})
	}
	if run.EntrySeq != nil {
		facts = append(facts, report.Fact{Name: "on record as entry", Value: fmt.Sprint(*run.EntrySeq)})
	}
	if run.Reports != nil {
		facts = append(facts, report.Fact{Name: "sha256 of all outputs", Value: run.Reports.String()})
	}
	return facts
}

// foundBlock counts what each phase found.
func foundBlock(result *NightResult) report.Block {
	t := &report.Table{Name: "phases", Columns: []report.Column{
		{Name: "phase", Title: "Phase", Kind: report.Code}, {Name: "critical", Title: "Critical", Kind: report.Count},
		{Name: "warnings", Title: "Warnings", Kind: report.Count}, {Name: "info", Title: "For information", Kind: report.Count},
		{Name: "not_checked", Title: "Not checked", Kind: report.Count},
	}}
	var text []string
	for i := range result.Phases {
		p := &result.Phases[i]
		t.Rows = append(t.Rows, row(p.Phase, fmt.Sprint(p.Critical), fmt.Sprint(p.Warnings), fmt.Sprint(p.Info), fmt.Sprint(len(p.NotChecked))))
		for _, what := range p.NotChecked {
			text = append(text, "NOT CHECKED, phase "+p.Phase+": "+what)
		}
	}
	return report.Block{Heading: "What was found", Text: text, Table: t}
}

func row(values ...string) report.Row {
	r := report.Row{}
	for _, v := range values {
		r.Cells = append(r.Cells, report.Cell{Value: v})
	}
	return r
}

// coverageBlock says which entries were read, and which were not read again.
func coverageBlock(ctx context.Context, db *store.DB, result *NightResult, p *pins) (report.Block, error) {
	block := report.Block{Heading: "What was read", Text: []string{fmt.Sprintf("Read: %s (%s).", p.Scope, p.Why)}}
	encoded, err := ReadOutput(ctx, db, result.Run.ID, ResultOutput, "chain")
	if errors.Is(err, ErrNoOutput) {
		block.Text = append(block.Text, "NOT CHECKED: the chain phase has put out nothing.")
		return block, nil
	}
	if err != nil {
		return block, err
	}
	var chained ChainResult
	if err := json.Unmarshal(encoded, &chained); err != nil {
		return block, fmt.Errorf("reading what the chain phase put out: %w", err)
	}
	t := &report.Table{Name: "ranges", Columns: []report.Column{
		{Name: "range", Title: "Range", Kind: report.Text}, {Name: "first", Title: "First entry", Kind: report.Count},
		{Name: "last", Title: "Last entry", Kind: report.Count}, {Name: "entries", Title: "Entries", Kind: report.Count},
	}}
	for _, list := range []struct {
		name  string
		spans []Span
	}{{"read", chained.Read}, {"NOT read again", chained.NotRead}} {
		for _, s := range list.spans {
			t.Rows = append(t.Rows, row(list.name, fmt.Sprint(s.From), fmt.Sprint(s.To-1), fmt.Sprint(s.Entries())))
		}
	}
	block.Table = t
	return block, nil
}

// inputsBlock lists the digests of what was read beside the ledger. What was not
// used says so.
func inputsBlock(p *pins) report.Block {
	t := &report.Table{Name: "inputs", Columns: []report.Column{
		{Name: "input", Title: "Input", Kind: report.Code}, {Name: "sha256", Title: "SHA-256", Kind: report.Code}}}
	for _, name := range chain.RunInputs {
		digest := report.Cell{Value: p.Digests[name]}
		if digest.Value == "" {
			digest.Absent = "none was used"
		}
		t.Rows = append(t.Rows, report.Row{Cells: []report.Cell{{Value: name}, digest}})
	}
	previous := report.Cell{Value: p.Previous}
	if previous.Value == "" {
		previous.Absent = "there was none"
	}
	t.Rows = append(t.Rows, report.Row{Cells: []report.Cell{{Value: "previous run"}, previous}})
	return report.Block{Heading: "What it rests on", Table: t}
}

// outputsBlock lists what the run put out, with the control totals of reports.
func outputsBlock(ctx context.Context, db *store.DB, result *NightResult) (report.Block, error) {
	t := &report.Table{Name: "outputs", Columns: []report.Column{
		{Name: "kind", Title: "Kind", Kind: report.Code}, {Name: "name", Title: "Name", Kind: report.Code}, {Name: "records", Title: "Records", Kind: report.Count},
		{Name: "hash_total", Title: "Hash total", Kind: report.Ratio}, {Name: "sha256", Title: "SHA-256", Kind: report.Code},
	}}
	for i := range result.Outputs {
		o := &result.Outputs[i]
		r := row(o.Kind, o.Name, "", "", o.SHA256.String())
		if o.Kind == ReportOutput {
			encoded, err := ReadOutput(ctx, db, result.Run.ID, o.Kind, o.Name)
			if err != nil {
				return report.Block{}, err
			}
			doc, err := report.Decode(encoded)
			if err != nil {
				return report.Block{}, err
			}
			r.Cells[2].Value, r.Cells[3].Value = fmt.Sprint(doc.Records), doc.HashTotal
			r.Cells[1].Link = &report.Link{Report: o.Name}
		}
		t.Rows = append(t.Rows, r)
	}
	return report.Block{Heading: "What it put out", Table: t}, nil
}

// Index: the primary key.
const signersSQL = `
select seq, actor, recorded_at from book.entries
where ledger_id = $1::uuid and seq = any($2::int8[])
order by seq`

// Index: entries_night.
const decisionsAfterSQL = `
select seq from book.entries
where ledger_id = $1::uuid and kind = 'decision' and seq > $2::int8
order by seq`

// signatures says who prepared, reviewed and approved a run, by their keys.
func (n *Night) signatures(ctx context.Context, run uuid.UUID) (report.Block, error) {
	t := &report.Table{Name: "signatures", Columns: []report.Column{
		{Name: "role", Title: "Role", Kind: report.Text}, {Name: "key", Title: "Key", Kind: report.Code}, {Name: "outcome", Title: "Outcome", Kind: report.Text},
		{Name: "entry", Title: "Entry", Kind: report.Count}, {Name: "at", Title: "At", Kind: report.Date},
	}}
	block := report.Block{Heading: "Prepared, reviewed, approved", Table: t}
	seq, details, err := runEntryOf(ctx, n.DB, n.LedgerID, run)
	if err != nil {
		return block, err
	}
	open := func(role, why string) {
		t.Rows = append(t.Rows, report.Row{Cells: []report.Cell{{Value: role}, {Absent: why}, {}, {}, {}}})
	}
	if details == nil {
		open("prepared", "not yet on record")
		return block, nil
	}
	seqs, outcomes := []int64{seq}, []string{"recorded"}
	signed, err := n.signOffsOf(ctx, run, seq)
	if err != nil {
		return block, err
	}
	for _, s := range signed {
		seqs, outcomes = append(seqs, s.seq), append(outcomes, s.outcome)
	}
	roles, at := []string{"prepared", "reviewed", "approved"}, 0
	err = n.Snapshot.Scan(ctx, signersSQL, []any{n.LedgerID, seqs}, func(r *store.Row) error {
		key := r.UUID(1).String()
		if r.UUID(1) == uuid.Nil {
			key = "the ledger itself"
		}
		seq := r.Int64(0)
		cells := row(roles[min(at, 2)], key, outcomes[at], fmt.Sprint(seq), time.UnixMicro(r.Micros(2)).UTC().Format(time.RFC3339))
		cells.Cells[3].Link = &report.Link{Seq: &seq}
		t.Rows = append(t.Rows, cells)
		at++
		return nil
	})
	if err != nil {
		return block, fmt.Errorf("reading who signed run %s: %w", run, err)
	}
	for ; at < len(roles); at++ {
		open(roles[at], "not yet")
	}
	return block, nil
}

// signOffEntry is a sign-off of a run.
type signOffEntry struct {
	seq     int64
	outcome string
}

// signOffsOf returns the sign-offs of a run, in order.
func (n *Night) signOffsOf(ctx context.Context, run uuid.UUID, after int64) ([]signOffEntry, error) {
	var seqs []int64
	err := n.Snapshot.Scan(ctx, decisionsAfterSQL, []any{n.LedgerID, after}, func(r *store.Row) error {
		seqs = append(seqs, r.Int64(0))
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the decisions after entry %d: %w", after, err)
	}
	subject := "run:" + run.String()
	var found []signOffEntry
	for page := range slices.Chunk(seqs, standard.page) {
		said := make(map[int64]map[string]string)
		err := n.Snapshot.Scan(ctx, ruleDetailsSQL, []any{n.LedgerID, page}, func(r *store.Row) error {
			if said[r.Int64(0)] == nil {
				said[r.Int64(0)] = make(map[string]string)
			}
			said[r.Int64(0)][string(r.Text(1))] = string(r.Text(2))
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("reading decisions: %w", err)
		}
		for _, seq := range page {
			if s := said[seq]; s["action"] == chain.ActionSignOff && s["subject"] == subject {
				found = append(found, signOffEntry{seq, s["outcome"]})
			}
		}
	}
	return found, nil
}
