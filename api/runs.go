package api

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"tallystick/ledger"
	"tallystick/ledger/chain"
	"tallystick/ledger/store"
)

// Night runs the nightly job and shows its runs. Every field but Stats is needed.
type Night struct {
	// Start begins a run in the background, or finds it at work or ended. It refuses
	// a day that cannot be run, and returns ledger.ErrOverloaded while as many runs as
	// this process does at once are at work.
	Start func(ctx context.Context, id ledger.LedgerID, actor ledger.KeyID, r NewRun) (store.Run, *ledger.Refusal, error)
	// Row returns a run as JSON, and Whole the same with what it found and put out.
	Row   func(store.Run) ([]byte, error)
	Whole func(context.Context, store.Run) ([]byte, error)
	// Stats returns what the scheduler in this process says of each ledger; nil
	// without one.
	Stats func() map[ledger.LedgerID]NightStats
}

// NewRun says what to run.
type NewRun struct {
	AsOf    *chain.Date // nil for the last business day that is over
	Reading string      // whole, increment, or empty
}

// startRun answers POST /v1/ledgers/{ledger}/runs.
func (h *handlers) startRun(x *exchange) error {
	if err := h.findLedger(x); err != nil {
		return err
	}
	if q := x.query(); q.err != nil {
		return q.err
	}
	r, err := x.optionalBody()
	if err != nil {
		return err
	}
	defer r.release()
	wanted := decodeNewRun(r)
	if err := r.end(); err != nil {
		return err
	}
	run, refusal, err := h.Night.Start(x.req.Context(), x.ledger, x.actor, wanted)
	switch {
	case errors.Is(err, ledger.ErrOverloaded):
		return newProblem(codeOverloaded, "as many runs as this server does at once are at work; nothing happened, try again later")
	case err != nil:
		return fmt.Errorf("starting a run: %w", err)
	case refusal != nil:
		return refused(refusal)
	}
	if x.out, err = h.Night.Row(run); err != nil {
		return err
	}
	x.header["Location"] = []string{"/v1/ledgers/" + x.param("ledger") + "/runs/" + run.ID.String()}
	if run.Phase == store.PhaseDone {
		return x.send(200)
	}
	return x.send(202)
}

func decodeNewRun(r *reader) NewRun {
	var wanted NewRun
	r.begin('{')
	for r.next() {
		switch string(r.name) {
		case "as_of":
			day := r.day()
			wanted.AsOf = &day
		case "reading":
			wanted.Reading = r.oneOf("whole", "increment")
		default:
			r.unknown()
		}
	}
	return wanted
}

// runPlaceBytes is the length of where a list of runs goes on.
const runPlaceBytes = 4 + 8 + 16

// listRuns answers GET /v1/ledgers/{ledger}/runs.
func (h *handlers) listRuns(x *exchange) error {
	if err := h.findLedger(x); err != nil {
		return err
	}
	q := x.query("limit", "cursor")
	limit, list := q.limit(), listID("runs", x.ledger.String())
	after := q.runPlace(list)
	if q.err != nil {
		return q.err
	}
	runs, err := h.DB.Runs(x.req.Context(), x.ledger, after, limit+1)
	if err != nil {
		return err
	}
	next := ""
	if len(runs) > limit {
		runs = runs[:limit]
		last := &runs[limit-1]
		next = newCursor(list, string(appendRunPlace(nil, last)))
	}
	x.out = append(x.out, `{"data":[`...)
	for i := range runs {
		row, err := h.Night.Row(runs[i])
		if err != nil {
			return err
		}
		x.out = append(appendComma(x.out, i), row...)
	}
	x.out = append(appendNext(append(x.out, `],`...), next), '}')
	return x.send(200)
}

// appendRunPlace appends where a list goes on after a run.
func appendRunPlace(b []byte, r *store.Run) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(r.AsOf))
	b = binary.BigEndian.AppendUint64(b, uint64(r.StartedAt.UnixMicro()))
	return append(b, r.ID[:]...)
}

// runPlace returns where a list of runs goes on, nil without a cursor.
func (q *query) runPlace(list [cursorListSize]byte) *store.RunPlace {
	text, ok := q.values["cursor"]
	if !ok || q.err != nil {
		return nil
	}
	p, err := position(list, text)
	if err == nil && len(p) != runPlaceBytes {
		err = cursorInvalid()
	}
	if err != nil {
		q.err = err
		return nil
	}
	b := []byte(p)
	place := &store.RunPlace{
		AsOf:      chain.Date(int32(binary.BigEndian.Uint32(b))),
		StartedAt: time.UnixMicro(int64(binary.BigEndian.Uint64(b[4:]))),
		ID:        uuid.UUID(b[12:]),
	}
	for _, t := range []time.Time{place.AsOf.Time(), place.StartedAt.UTC()} {
		if t.Year() < 1 || t.Year() > maxYear { // no engine has such a day
			q.err = cursorInvalid()
			return nil
		}
	}
	return place
}

// maxYear is the last year that is written with four digits.
const maxYear = 9999

// namedRun reads the run that the path names.
func (h *handlers) namedRun(x *exchange) (store.Run, error) {
	id, err := uuid.Parse(x.param("id"))
	if err != nil {
		return store.Run{}, runNotFound()
	}
	run, err := h.DB.Run(x.req.Context(), x.ledger, id)
	if errors.Is(err, store.ErrNotFound) {
		return store.Run{}, runNotFound()
	}
	return run, err
}

func runNotFound() *problem {
	return newProblem(ledger.CodeRunNotFound, "this ledger has no run of that id")
}

// oneRun answers GET /v1/ledgers/{ledger}/runs/{id}.
func (h *handlers) oneRun(x *exchange) error {
	if err := h.findLedger(x); err != nil {
		return err
	}
	if q := x.query(); q.err != nil {
		return q.err
	}
	run, err := h.namedRun(x)
	if err != nil {
		return err
	}
	if x.out, err = h.Night.Whole(x.req.Context(), run); err != nil {
		return err
	}
	return x.send(200)
}

// signOff answers POST /v1/ledgers/{ledger}/runs/{id}/sign-off.
func (h *handlers) signOff(x *exchange) error {
	if err := h.findLedger(x); err != nil {
		return err
	}
	r, err := x.body()
	if err != nil {
		return err
	}
	defer r.release()
	outcome, reason := decodeSignOff(r)
	if err := r.end(); err != nil {
		return err
	}
	id, err := uuid.Parse(x.param("id"))
	if err != nil {
		return runNotFound()
	}
	run := ledger.RequestID{UUID: id}
	stage, err := h.stageOf(x, run, outcome)
	if err != nil {
		return err
	}
	decision := ledger.SignOff(run, stage, outcome)
	decision.Description = reason
	x.identify(&decision.Common)
	return h.move(x, decision, decision.ID, manner{})
}

func decodeSignOff(r *reader) (outcome string, reason *string) {
	r.begin('{')
	for r.next() {
		switch string(r.name) {
		case "outcome":
			outcome = r.oneOf(chain.OutcomeReviewed, chain.OutcomeApproved, chain.OutcomeRejected)
		case "reason":
			reason = r.optionalText(ledger.MaxDescription)
		default:
			r.unknown()
		}
	}
	if outcome == "" {
		r.missing("outcome")
	}
	return outcome, reason
}

// stageOf returns the stage at which somebody signs: who rejects a run that
// somebody else has reviewed rejects its approval.
func (h *handlers) stageOf(x *exchange, run ledger.RequestID, outcome string) (string, error) {
	switch outcome {
	case chain.OutcomeReviewed:
		return ledger.StageReview, nil
	case chain.OutcomeApproved:
		return ledger.StageApproval, nil
	}
	review := ledger.SignOffID(run, ledger.StageReview)
	found, err := h.DB.Targets(x.req.Context(), x.ledger, []ledger.RequestID{review})
	if err != nil {
		return "", fmt.Errorf("reading the review of run %s: %w", run, err)
	}
	if t := found[review]; t != nil && (detail(t.Entry, "outcome") == chain.OutcomeReviewed || t.Entry.Record().Actor != x.actor.UUID) {
		return ledger.StageApproval, nil
	}
	return ledger.StageReview, nil
}
