package reconcile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"

	"tallystick/ledger/chain"
	"tallystick/ledger/store"
)

// readFindings reads what the phases found, in their order; those that were not
// reached are left out.
func readFindings(ctx context.Context, output func(name string) ([]byte, error)) ([]PhaseFindings, error) {
	var all []PhaseFindings
	for _, p := range phases {
		if p.do == nil {
			continue
		}
		encoded, err := output(p.name)
		if errors.Is(err, ErrNoOutput) {
			continue
		}
		if err != nil {
			return nil, err
		}
		var found PhaseFindings
		if err := json.Unmarshal(encoded, &found); err != nil {
			return nil, fmt.Errorf("reading what phase %s found: %w", p.name, err)
		}
		all = append(all, found)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	return all, nil
}

// NightResultOf returns a run as it is stored, at work or ended. What is stored
// is held against the run entry of the ledger, which the database cannot change
// unnoticed.
func NightResultOf(ctx context.Context, db *store.DB, run store.Run) (NightResult, error) {
	result := NightResult{Run: run, Came: RunStored}
	var err error
	if result.Outputs, err = listOutputs(ctx, db, run.ID); err != nil {
		return result, err
	}
	result.Phases, err = readFindings(ctx, func(name string) ([]byte, error) { return ReadOutput(ctx, db, run.ID, FindingsOutput, name) })
	if err != nil {
		if !errors.Is(err, errOutput) {
			return result, err
		}
		result.Disputed = append(result.Disputed, nightFinding(RunNotReproduced, noSeq, err.Error(), ""))
	}
	if run.Phase != store.PhaseDone {
		return result, nil
	}
	disputed, err := disputes(ctx, db, &result)
	result.Disputed = append(result.Disputed, disputed...)
	return result, err
}

// stored returns the run as it stands in the store.
func (r *nightRun) stored(ctx context.Context) (NightResult, error) {
	row, err := r.DB.RunByKey(ctx, r.LedgerID, r.Key)
	if err != nil {
		return NightResult{}, err
	}
	return NightResultOf(ctx, r.DB, row)
}

// Index: i8_entries_request. (An id is one entry's, of whatever kind.)
const runEntrySQL = `
select seq, kind from book.entries
where ledger_id = $1::uuid and request_id = $2::uuid`

// disputes holds what is stored of a run that has ended against its own digest
// and against its entry in the ledger.
func disputes(ctx context.Context, db *store.DB, result *NightResult) ([]chain.Finding, error) {
	run := &result.Run
	var all []chain.Finding
	dispute := func(seq int64, stored, recomputed string) {
		all = append(all, nightFinding(RunNotReproduced, seq, stored, recomputed))
	}
	digest := OutputsDigest(result.Outputs)
	if run.Reports == nil || *run.Reports != digest {
		dispute(noSeq, "outputs with digest "+digest.String(), "the digest that is stored with the run")
	}
	seq, said, err := runEntryOf(ctx, db, run.Ledger, run.ID)
	if err != nil {
		return nil, err
	}
	if said == nil {
		dispute(noSeq, "no run entry", "an entry of the ledger with the id of the run")
		return all, nil
	}
	for _, c := range []struct{ name, stored string }{
		{"reports_sha256", digest.String()},
		{"result", run.Result},
		{"critical", fmt.Sprint(run.Critical)},
		{"warnings", fmt.Sprint(run.Warnings)},
		{"read_from", fmt.Sprint(run.ReadFrom)},
		{"size", fmt.Sprint(run.Size)},
		{"head", run.Head.String()},
		{"as_of", run.AsOf.String()},
	} {
		if said[c.name] != c.stored {
			dispute(seq, c.name+" "+c.stored, said[c.name]+", by the run entry")
		}
	}
	return all, nil
}

// runEntryOf returns the details of a run's entry; nil when there is none.
func runEntryOf(ctx context.Context, db *store.DB, ledger, run uuid.UUID) (seq int64, said map[string]string, err error) {
	kind := ""
	err = db.Scan(ctx, runEntrySQL, []any{ledger, run}, func(r *store.Row) error {
		seq, kind = r.Int64(0), string(r.Text(1))
		return nil
	})
	if err != nil || kind != chain.Run.String() {
		return 0, nil, wrap("looking for the entry of run "+run.String(), err)
	}
	said = make(map[string]string)
	err = db.Scan(ctx, ruleDetailsSQL, []any{ledger, []int64{seq}}, func(r *store.Row) error {
		said[string(r.Text(1))] = string(r.Text(2))
		return nil
	})
	return seq, said, wrap(fmt.Sprintf("reading entry %d", seq), err)
}

// ErrNotRun: there is nothing to compare with.
var ErrNotRun = errors.New("this run has not ended yet; run it without --again first")

// repeat computes a run that has ended once more, and compares.
func (r *nightRun) repeat(ctx context.Context) (NightResult, error) {
	before, err := r.stored(ctx)
	switch {
	case errors.Is(err, store.ErrNotFound), err == nil && before.Run.Phase != store.PhaseDone:
		return NightResult{}, fmt.Errorf("repeating the run of ledger %s as of %s: %w", r.Terms.Name, r.AsOf, ErrNotRun)
	case err != nil:
		return NightResult{}, err
	}
	r.row = before.Run
	if err := r.keepReasons(); err != nil {
		return NightResult{}, err
	}
	r.bodies = make(map[string][]byte)
	reads := *r.Keeper
	reads.KeepSnapshot = func(context.Context, uuid.UUID, int64, []store.SnapshotPart) error { return nil }
	reads.KeepBreaks = func(context.Context, uuid.UUID, uuid.UUID, chain.Date, []string) error { return nil }
	r.Keeper = &reads
	for i := range phases {
		if phases[i].do == nil {
			break
		}
		if err := r.doPhase(ctx, &phases[i]); err != nil {
			return NightResult{}, fmt.Errorf("repeating phase %s of run %s: %w", phases[i].name, r.RunID, err)
		}
		r.endPhase()
	}
	result := NightResult{Run: before.Run, Came: RunRepeated, Outputs: before.Outputs, Disputed: before.Disputed}
	if result.Phases, err = r.phaseFindings(ctx); err != nil {
		return NightResult{}, err
	}
	result.Disputed = append(result.Disputed, compareOutputs(before.Outputs, r.kept)...)
	return result, nil
}

// compareOutputs returns a finding for each output that is not what it was.
func compareOutputs(before, now []store.RunOutput) []chain.Finding {
	digests := make(map[string][2]string)
	for i, list := range [][]store.RunOutput{before, now} {
		for j := range list {
			name := list[j].Kind + " " + list[j].Name
			both := digests[name]
			both[i] = list[j].SHA256.String()
			digests[name] = both
		}
	}
	names := make([]string, 0, len(digests))
	for name := range digests {
		names = append(names, name)
	}
	slices.Sort(names)
	var all []chain.Finding
	for _, name := range names {
		if both := digests[name]; both[0] != both[1] {
			all = append(all, nightFinding(RunNotReproduced, noSeq, strings.TrimSpace(name+" "+orNone(both[0])), orNone(both[1])))
		}
	}
	return all
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}
