package reconcile

import (
	"context"

	"tallystick/reconcile/risk"
)

// openBreaks returns the open breaks of the bank phase, or why they are not known.
func (n *Night) openBreaks(context.Context) ([]risk.Item, string, error) {
	return nil, "the bank reconciliation was not done", nil
}
