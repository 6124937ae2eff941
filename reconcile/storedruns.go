package reconcile

import (
	"context"
	"fmt"
	"io"

	"github.com/google/uuid"

	"tallystick/ledger/chain"
	"tallystick/ledger/store"
)

// This file holds what is stored of runs against the entries that record them (I11):
// the row of each, and everything that it put out, whose digest the entry binds.

// Index: the primary key. Of no text is more read than any may have.
const storedRunsSQL = `
select run_id, ledger_id, as_of, size, head, read_from, critical, warnings, left(phase, 256), left(coalesce(result, ''), 256), reports_sha256,
    entry_seq
from ops.runs
where run_id = any($1::uuid[])`

// Index: runs_by_day, whole: they are read once. What is not recorded is excused as
// long as the run is at work.
const endedRunsSQL = `
select run_id
from ops.runs
where ledger_id = $1::uuid and (phase = 'done' or result is not null or reports_sha256 is not null or entry_seq is not null)`

// Index: i8_entries_request.
const recordedLaterSQL = `
select request_id
from book.entries
where ledger_id = $1::uuid and request_id = any($2::uuid[]) and kind = 'run'`

// Indexes: the primary key.
const (
	storedOutputsSQL = `
select left(kind, 256), left(name, 256), sha256, size
from ops.run_outputs
where run_id = $1::uuid
order by kind, name
limit $2::int8`
	// A body is not read that is larger than any may be.
	outputBodySQL = `
select case when length(body) <= $4::int8 then body end
from ops.run_outputs
where run_id = $1::uuid and kind = $2::text and name = $3::text`
)

// checkStoredRuns holds what is stored of runs against their entries.
func (v *verification) checkStoredRuns(ctx context.Context) error {
	if !v.stored {
		return nil
	}
	recorded := make(map[uuid.UUID]bool)
	err := v.eachNightPage(ctx, nil, func(page []nightEntry) error {
		var runs []*nightEntry
		for i := range page {
			e := &page[i]
			if e.kind != chain.Run || recorded[e.request] {
				continue
			}
			recorded[e.request] = true
			if !e.unreadable && v.reads(e.seq) { // otherwise that was said
				runs = append(runs, e)
			}
		}
		if len(recorded) > maxRules {
			return fmt.Errorf("reading runs: more than %d are on record", maxRules)
		}
		return v.holdRuns(ctx, runs)
	})
	if err != nil {
		return err
	}
	return v.findUnrecordedRuns(ctx, recorded)
}

// holdRuns holds what is stored of some runs against their entries.
func (v *verification) holdRuns(ctx context.Context, runs []*nightEntry) error {
	if len(runs) == 0 {
		return nil
	}
	ids, byID := make([]uuid.UUID, len(runs)), make(map[uuid.UUID]*nightEntry, len(runs))
	for i, e := range runs {
		ids[i], byID[e.request] = e.request, e
	}
	var found []finding
	there := make(map[uuid.UUID]bool, len(runs))
	err := retry(ctx, func() error {
		found = nil
		clear(there)
		return v.snapshot.Scan(ctx, storedRunsSQL, []any{ids}, func(r *store.Row) error {
			if e := byID[r.UUID(0)]; e != nil {
				there[e.request] = true
				found = append(found, v.holdRun(e, r)...)
			}
			return nil
		})
	})
	if err != nil {
		return wrap("reading ops.runs", err)
	}
	for _, e := range runs {
		if !there[e.request] {
			found = append(found, storedRunFinding(e, "", "no row of ops.runs", "run "+e.request.String()))
		}
		var bad []finding
		err := retry(ctx, func() (err error) {
			bad, err = v.holdOutputs(ctx, e)
			return err
		})
		if err != nil {
			return wrap(fmt.Sprintf("reading what run %s put out", e.request), err)
		}
		found = append(found, bad...)
	}
	v.findings.add(found...)
	v.derived.Runs += int64(len(there))
	return nil
}

func storedRunFinding(e *nightEntry, column, stored, recomputed string) finding {
	return finding{code: ProjectionMismatch, seq: e.seq, column: column, stored: stored, recomputed: recomputed,
		proof: "What the entry says was put on record when the run ended: what differs from it is not what its readers signed off, and stands in a backup."}
}

// holdRun holds the row of a run against its entry. One whose last step was not
// stored, as its process was killed after the entry, says nothing yet of its result.
func (v *verification) holdRun(e *nightEntry, r *store.Row) (found []finding) {
	hold := func(column, stored, said string) {
		if said != stored {
			found = append(found, storedRunFinding(e, column, stored+", in ops.runs", said))
		}
	}
	asOf, size, head, from, critical, warnings := r.Date(2), r.Int64(3), r.Hash(4), r.Int64(5), r.Int64(6), r.Int64(7)
	phase, result := string(r.Text(8)), string(r.Text(9))
	reports, seq := "", ""
	if !r.IsNull(10) {
		reports = r.Hash(10).String()
	}
	if !r.IsNull(11) {
		seq = fmt.Sprint(r.Int64(11))
	}
	if bad := rejected(r); bad != nil {
		return append(found, storedRunFinding(e, bad.column, bad.value+", in ops.runs", "a value that can be there"))
	}
	hold("ledger_id", r.UUID(1).String(), v.snapshot.LedgerID.String())
	hold("as_of", asOf.String(), e.detail("as_of"))
	hold("size", fmt.Sprint(size), e.detail("size"))
	hold("head", head.String(), e.detail("head"))
	hold("read_from", fmt.Sprint(from), e.detail("read_from"))
	hold("critical", fmt.Sprint(critical), e.detail("critical"))
	hold("warnings", fmt.Sprint(warnings), e.detail("warnings"))
	if phase == signing && result+reports+seq == "" {
		return found
	}
	hold("phase", phase, store.PhaseDone)
	hold("result", result, e.detail("result"))
	hold("reports_sha256", reports, e.detail("reports_sha256"))
	hold("entry_seq", seq, fmt.Sprint(e.seq))
	return found
}

// holdOutputs holds what a run put out against the digest that its entry binds, and
// each document against its own.
func (v *verification) holdOutputs(ctx context.Context, e *nightEntry) (bad []finding, err error) {
	var outputs []store.RunOutput
	err = v.snapshot.Scan(ctx, storedOutputsSQL, []any{e.request, int64(store.MaxOutputs) + 1}, func(r *store.Row) error {
		outputs = append(outputs, store.RunOutput{Kind: string(r.Text(0)), Name: string(r.Text(1)), SHA256: r.Hash(2), Size: r.Int64(3)})
		return nil
	})
	if err != nil {
		return nil, err
	}
	if digest := OutputsDigest(outputs).String(); digest != e.detail("reports_sha256") { // they are not those of the run, each by itself or not
		return []finding{storedRunFinding(e, "run_outputs", fmt.Sprintf("%d documents, together %s", len(outputs), digest), e.detail("reports_sha256"))}, nil
	}
	for i := range outputs {
		o, there := &outputs[i], false
		err := v.snapshot.Scan(ctx, outputBodySQL, []any{e.request, o.Kind, o.Name, int64(store.MaxOutputBody)}, func(r *store.Row) error {
			there = true
			if what := wrongBody(r.Bytes(0), o); what != "" {
				bad = append(bad, storedRunFinding(e, "run_outputs", o.Kind+" "+o.Name+": "+what, fmt.Sprintf("%d bytes of SHA-256 %s", o.Size, o.SHA256)))
			}
			return nil
		})
		switch {
		case err != nil:
			return nil, err
		case !there:
			bad = append(bad, storedRunFinding(e, "run_outputs", o.Kind+" "+o.Name+": gone meanwhile", o.SHA256.String()))
		}
	}
	v.derived.Documents += int64(len(outputs))
	return bad, nil
}

// wrongBody says what is wrong with the body of a document, "" when nothing is.
func wrongBody(body []byte, o *store.RunOutput) string {
	if body == nil {
		return fmt.Sprintf("more than %d bytes", store.MaxOutputBody)
	}
	digest, err := unpackOutput(io.Discard, body, o.Size)
	switch {
	case err != nil:
		return err.Error()
	case digest != o.SHA256:
		return "SHA-256 " + digest.String()
	}
	return ""
}

// findUnrecordedRuns looks for runs that are stored as ended, and that no entry
// records: not even one beyond the cut.
func (v *verification) findUnrecordedRuns(ctx context.Context, recorded map[uuid.UUID]bool) error {
	var unknown []uuid.UUID
	more := 0
	err := retry(ctx, func() error {
		unknown, more = nil, 0
		return v.snapshot.Scan(ctx, endedRunsSQL, []any{v.snapshot.LedgerID}, func(r *store.Row) error {
			switch id := r.UUID(0); {
			case recorded[id]:
			case len(unknown) == v.bounds.page:
				more++
			default:
				unknown = append(unknown, id)
			}
			return nil
		})
	})
	if err != nil || len(unknown) == 0 {
		return wrap("reading ops.runs", err)
	}
	err = retry(ctx, func() error {
		return v.snapshot.Scan(ctx, recordedLaterSQL, []any{v.snapshot.LedgerID, unknown}, func(r *store.Row) error {
			recorded[r.UUID(0)] = true
			return nil
		})
	})
	if err != nil {
		return wrap("reading book.entries by request", err)
	}
	if more > 0 {
		v.findings.notChecked(noSeq, fmt.Sprintf("whether %d further runs in ops.runs are on record", more))
	}
	for _, id := range unknown {
		if !recorded[id] {
			v.findings.add(finding{code: ProjectionMismatch, seq: noSeq, column: "run_id", stored: "run " + id.String() + ", in ops.runs",
				recomputed: "no entry records it", proof: "Nobody has put this run on record: its reports prove nothing."})
		}
	}
	return nil
}
