package reconcile

import "context"

// riskPhase has yet to be written; the run says so.
func (n *Night) riskPhase(context.Context) error { return n.notRun("risk") }
