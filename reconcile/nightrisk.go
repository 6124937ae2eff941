package reconcile

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"tallystick/ledger/store"
	"tallystick/reconcile/report"
	"tallystick/reconcile/risk"
)

// riskResult is the result that the risk phase puts out: what the next run compares with.
const riskResult = "risk"

// riskFigures is that result.
type riskFigures struct {
	Figures map[string]report.Cell `json:"figures"`
}

// riskPhase computes the risk figures, compares them with those of the run before, and holds them against the limits of the
// policy.
func (n *Night) riskPhase(ctx context.Context) error {
	if n.Policy == nil {
		n.Find(nightFinding(RiskNotComputed, noSeq, "no policy was given", ""))
		return nil
	}
	if err := n.checkPolicy(ctx); err != nil {
		return err
	}
	r := RiskRequest{AsOf: &n.AsOf, Policy: n.Policy, Keep: true, Progress: n.tell}
	if n.Rates != nil {
		r.Rates = n.Rates.Data
	}
	if n.Inputs != nil {
		r.Inputs = n.Inputs.Data
	}
	var err error
	if r.Previous, err = n.previousFigures(ctx); err != nil {
		return err
	}
	if r.Breaks, r.BanksUnknown, err = n.openBreaks(ctx); err != nil {
		return err
	}
	if !n.Plan.Whole {
		if r.State, err = n.riskState(ctx); err != nil {
			return err
		}
	}
	result, err := ComputeRisk(ctx, n.Snapshot, r)
	switch {
	case errors.Is(err, errNotFollowing), errors.Is(err, risk.ErrAgree), errors.Is(err, errUnreadableBalance), errors.Is(err, ErrPolicyNotInForce), errors.Is(err, risk.ErrInput):
		n.Find(nightFinding(RiskNotComputed, noSeq, err.Error(), ""))
		n.NotChecked("risk figures: " + err.Error())
		return nil
	case err != nil:
		return err
	}
	for i := range result.Documents {
		if err := n.Put(ReportOutput, result.Documents[i].Name, &result.Documents[i]); err != nil {
			return err
		}
	}
	for _, b := range result.Breaches {
		code := LimitNear
		if b.Level == report.Red {
			code = LimitBreached
		}
		n.Find(nightFinding(code, noSeq, b.Figure+": "+b.Text, ""))
	}
	if err := n.putState(&result.State); err != nil {
		return err
	}
	return n.Put(ResultOutput, riskResult, riskFigures{result.Figures})
}

// maxStatePart bounds a part of a state before compression, so that it fits an output even if nothing of it can be compressed.
const maxStatePart = 4 << 20

// putState keeps the state in parts: first the size of the ledger and the number of parts.
func (n *Night) putState(state *RiskState) error {
	parts := slices.Collect(slices.Chunk(state.Data, maxStatePart))
	head := binary.BigEndian.AppendUint64(nil, uint64(state.Size))
	head = binary.BigEndian.AppendUint32(head, uint32(len(parts)))
	if err := n.PutBytes(StateOutput, riskResult, head); err != nil {
		return err
	}
	for i, part := range parts {
		if err := n.PutBytes(StateOutput, statePart(i), part); err != nil {
			return err
		}
	}
	return nil
}

func statePart(i int) string { return fmt.Sprintf("%s-%04d", riskResult, i) }

// riskState returns what the run before left to go on from; nil when it left nothing.
func (n *Night) riskState(ctx context.Context) (*RiskState, error) {
	if n.Previous == nil {
		return nil, nil
	}
	return ReadRiskState(ctx, n.DB, n.Previous.ID)
}

// ReadRiskState returns the state that a run left; nil when it left none.
func ReadRiskState(ctx context.Context, db *store.DB, run uuid.UUID) (*RiskState, error) {
	head, err := ReadOutput(ctx, db, run, StateOutput, riskResult)
	switch {
	case errors.Is(err, ErrNoOutput):
		return nil, nil
	case err != nil:
		return nil, err
	case len(head) != 12:
		return nil, fmt.Errorf("reading the state of run %s: %w", run, errOutput)
	}
	state := &RiskState{Size: int64(binary.BigEndian.Uint64(head))}
	for i := range int(binary.BigEndian.Uint32(head[8:])) {
		part, err := ReadOutput(ctx, db, run, StateOutput, statePart(i))
		if err != nil {
			return nil, err
		}
		state.Data = append(state.Data, part...)
	}
	return state, nil
}

// previousFigures returns the figures of the run before; nil when it had none.
func (n *Night) previousFigures(ctx context.Context) (map[string]report.Cell, error) {
	if n.Previous == nil {
		return nil, nil
	}
	encoded, err := ReadOutput(ctx, n.DB, n.Previous.ID, ResultOutput, riskResult)
	if errors.Is(err, ErrNoOutput) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var before riskFigures
	if err := json.Unmarshal(encoded, &before); err != nil {
		return nil, fmt.Errorf("reading the risk figures of run %s: %w", n.Previous.ID, err)
	}
	return before.Figures, nil
}
