package reconcile

import "context"

// bankPhase has yet to be written; the run says so.
func (n *Night) bankPhase(context.Context) error { return n.notRun("bank") }
