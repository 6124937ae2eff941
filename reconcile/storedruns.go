package reconcile

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"github.com/google/uuid"

	"tallystick/ledger/chain"
	"tallystick/ledger/store"
)

// This file holds what is stored of runs against the entries that record them (I11):
// the row of each, and everything that it put out, whose digest the entry binds.

// Index: the primary key.
const storedRunsSQL = `
select run_id, ledger_id, as_of, size, head, read_from, critical, warnings, phase, coalesce(result, ''), reports_sha256
from ops.runs
where run_id = any($1::uuid[])`

// Index: runs_by_day.
const endedRunsSQL = `
select run_id, entry_seq
from ops.runs
where ledger_id = $1::uuid and phase = 'done' and run_id > $2::uuid
order by run_id
limit $3::int8`

// Index: the primary key. A body is not read that is larger than any may be.
const storedOutputsSQL = `
select kind, name, sha256, size, case when length(body) <= $2::int8 then body end
from ops.run_outputs
where run_id = $1::uuid
order by kind, name
limit $3::int8`

// checkStoredRuns holds what is stored of runs against their entries.
func (v *verification) checkStoredRuns(ctx context.Context) error {
	if !v.stored {
		return nil
	}
	recorded := make(map[uuid.UUID]bool)
	err := v.eachNightPage(ctx, func(page []nightEntry) error {
		var runs []*nightEntry
		for i := range page {
			e := &page[i]
			if e.kind != chain.Run || e.unreadable || recorded[e.request] {
				continue
			}
			if recorded[e.request] = true; v.reads(e.seq) {
				runs = append(runs, e)
			}
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
		if err := retry(ctx, func() error { return v.holdOutputs(ctx, e, &found) }); err != nil {
			return wrap(fmt.Sprintf("reading what run %s put out", e.request), err)
		}
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
	if of := r.UUID(1); of != v.snapshot.LedgerID {
		found = append(found, storedRunFinding(e, "ledger_id", of.String()+", in ops.runs", v.snapshot.LedgerID.String()))
	}
	hold := func(column, stored string) {
		if said := e.detail(column); said != stored {
			found = append(found, storedRunFinding(e, column, stored+", in ops.runs", said))
		}
	}
	hold("as_of", r.Date(2).String())
	hold("size", fmt.Sprint(r.Int64(3)))
	hold("head", r.Hash(4).String())
	hold("read_from", fmt.Sprint(r.Int64(5)))
	hold("critical", fmt.Sprint(r.Int64(6)))
	hold("warnings", fmt.Sprint(r.Int64(7)))
	if string(r.Text(8)) == store.PhaseDone {
		reports := "none"
		if !r.IsNull(10) {
			reports = r.Hash(10).String()
		}
		hold("result", string(r.Text(9)))
		hold("reports_sha256", reports)
	}
	if bad := rejected(r); bad != nil && len(found) == 0 {
		found = append(found, storedRunFinding(e, bad.column, bad.value+", in ops.runs", "a value that can be there"))
	}
	return found
}

// holdOutputs holds what a run put out against the digest that its entry binds, and
// each document against its own.
func (v *verification) holdOutputs(ctx context.Context, e *nightEntry, found *[]finding) error {
	before := len(*found)
	var outputs []store.RunOutput
	add := func(what, stored, recomputed string) {
		*found = append(*found, storedRunFinding(e, "run_outputs", what+": "+stored, recomputed))
	}
	err := v.snapshot.Scan(ctx, storedOutputsSQL, []any{e.request, int64(store.MaxOutputBody), int64(store.MaxOutputs) + 1}, func(r *store.Row) error {
		o := store.RunOutput{Kind: string(r.Text(0)), Name: string(r.Text(1)), SHA256: r.Hash(2), Size: r.Int64(3)}
		outputs = append(outputs, o)
		switch digest, err := digestOf(r.Bytes(4), o.Size); {
		case r.IsNull(4):
			add(o.Kind+" "+o.Name, fmt.Sprintf("more than %d bytes", store.MaxOutputBody), "at most so many")
		case err != nil:
			add(o.Kind+" "+o.Name, err.Error(), fmt.Sprintf("a document of %d bytes", o.Size))
		case digest != o.SHA256:
			add(o.Kind+" "+o.Name, "SHA-256 "+digest.String(), o.SHA256.String())
		}
		return nil
	})
	if err != nil {
		*found = (*found)[:before]
		return err
	}
	v.derived.Documents += int64(len(outputs))
	if digest := OutputsDigest(outputs).String(); digest != e.detail("reports_sha256") {
		add(fmt.Sprintf("%d documents", len(outputs)), "together "+digest, e.detail("reports_sha256"))
	}
	return nil
}

// digestOf returns the SHA-256 of what a body holds, which is to have so many bytes.
func digestOf(body []byte, size int64) (digest chain.Hash, err error) {
	z, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return digest, err
	}
	h := sha256.New()
	switch n, err := io.Copy(h, io.LimitReader(z, min(size, store.MaxOutput)+1)); {
	case err != nil:
		return digest, err
	case n != size:
		return digest, errors.New("of another length")
	}
	h.Sum(digest[:0])
	return digest, nil
}

// findUnrecordedRuns looks for runs that are stored as ended, and that no entry
// records.
func (v *verification) findUnrecordedRuns(ctx context.Context, recorded map[uuid.UUID]bool) error {
	for last := uuid.Nil; ; {
		rows := 0
		var found []finding
		after := last
		err := retry(ctx, func() error {
			rows, found, after = 0, nil, last
			return v.snapshot.Scan(ctx, endedRunsSQL, []any{v.snapshot.LedgerID, last, int64(v.bounds.page)}, func(r *store.Row) error {
				rows++
				after = r.UUID(0)
				later := !r.IsNull(1) && r.Int64(1) >= v.snapshot.Size
				if !recorded[after] && !later {
					found = append(found, finding{code: ProjectionMismatch, seq: noSeq, column: "run_id",
						stored: "run " + after.String() + ", in ops.runs", recomputed: "no entry records it", proof: "Nobody has put this run on record: its reports prove nothing."})
				}
				return nil
			})
		})
		if err != nil {
			return wrap("reading ops.runs", err)
		}
		v.findings.add(found...)
		if last = after; rows < v.bounds.page {
			return nil
		}
	}
}
