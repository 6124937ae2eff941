package reconcile

import (
	"context"
	"errors"
	"fmt"

	"tallystick/ledger/chain"
	"tallystick/ledger/store"
	"tallystick/reconcile/policy"
	"tallystick/reconcile/report"
	"tallystick/reconcile/risk"
)

// ErrPolicyNotInForce: the policy applies from a later day on.
var ErrPolicyNotInForce = errors.New("the policy is not in force yet")

// RiskRequest asks for the risk figures of what a ledger held at the end of a day.
type RiskRequest struct {
	AsOf *chain.Date // booking date; that of the newest entry when nil
	// Policy is needed. Rates and Inputs are the bytes of rates.csv and inputs.csv; nil where none are given.
	Policy        *policy.Policy
	Rates, Inputs []byte
	// Breaks are the open breaks of the bank reconciliation, unless BanksUnknown says why they are not known.
	Breaks       []risk.Item
	BanksUnknown string
	// Previous are the figures of the run before, by id.
	Previous map[string]report.Cell
	// State, unless nil, is what an earlier calculation left: with it no more is read than has come since.
	State *RiskState
	// Keep has the result hold a state for the next calculation.
	Keep     bool
	Progress func(done, total int64) // may be nil
}

// RiskResult is what a calculation of all figures gives.
type RiskResult struct {
	Documents []report.Document
	Breaches  []risk.Breach
	Figures   map[string]report.Cell // by id, for the next run
	State     RiskState              // if it was to be kept
}

// Index: the primary key.
const baseCurrencySQL = `
select base_currency
from book.ledgers
where ledger_id = $1::uuid`

// ComputeRisk computes all risk figures at the size that from is pinned to.
func ComputeRisk(ctx context.Context, from *store.Snapshot, r RiskRequest) (RiskResult, error) {
	b, err := pinBooks(ctx, from, &ReportKind{}, &ReportRequest{AsOf: r.AsOf})
	if err != nil {
		return RiskResult{}, fmt.Errorf("computing the risk of ledger %s at size %d: %w", from.LedgerID, from.Size, err)
	}
	if !r.Policy.InForce(b.AsOf) {
		return RiskResult{}, fmt.Errorf("computing the risk of %s: %w: it applies from %s on", b.AsOf, ErrPolicyNotInForce, r.Policy.EffectiveFrom)
	}
	var base string
	err = retry(ctx, func() error {
		return from.Scan(ctx, baseCurrencySQL, []any{from.LedgerID}, func(row *store.Row) error {
			base = string(row.Text(0))
			return readable(row, "book.ledgers", 0)
		})
	})
	if err != nil {
		return RiskResult{}, fmt.Errorf("reading book.ledgers: %w", err)
	}
	in := risk.Inputs{Policy: r.Policy, Breaks: r.Breaks, BanksUnknown: r.BanksUnknown, Previous: r.Previous}
	if r.Rates != nil {
		if in.Rates, err = risk.DecodeRates(r.Rates, base); err != nil {
			return RiskResult{}, err
		}
	}
	if r.Inputs != nil {
		if in.Dated, err = risk.DecodeInputs(r.Inputs); err != nil {
			return RiskResult{}, err
		}
	}
	scope := riskScope{size: b.End, asOf: b.AsOf, ledger: b.Ledger, base: base, policy: r.Policy, state: r.State, keep: r.Keep, progress: r.Progress}
	var state RiskState
	if in.Book, in.History, state, err = readRisk(ctx, from, scope); err != nil {
		return RiskResult{}, fmt.Errorf("computing the risk of %s: %w", b.AsOf, err)
	}
	sections, err := risk.Compute(&in)
	if err != nil {
		return RiskResult{}, err
	}
	result := RiskResult{Documents: risk.Documents(&in, risk.Pin{Size: from.Size, Head: from.Head}, sections), Figures: risk.Figures(sections), State: state}
	for i := range result.Documents {
		if err := report.Finish(&result.Documents[i]); err != nil {
			return RiskResult{}, fmt.Errorf("writing the report %s: %w", result.Documents[i].Name, err)
		}
	}
	for _, s := range sections {
		result.Breaches = append(result.Breaches, s.Breaches...)
	}
	return result, nil
}
