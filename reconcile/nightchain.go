package reconcile

import "context"

// chainPhase has yet to be written; the run says so.
func (n *Night) chainPhase(context.Context) error { return n.notRun("chain") }
