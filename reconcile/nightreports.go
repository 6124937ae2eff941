package reconcile

import "context"

// reportsPhase has yet to be written; the run says so.
func (n *Night) reportsPhase(context.Context) error { return n.notRun("reports") }
