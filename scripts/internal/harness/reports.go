package harness

import (
	"context"
	"fmt"
)

// Report returns a function that makes a report of a ledger for a period, as JSON, with the command line.
func (r *Rig) Report(ledger string) func(ctx context.Context, name, from, to string) ([]byte, error) {
	return func(ctx context.Context, name, from, to string) ([]byte, error) {
		out, code, err := r.Run(ctx, "report", name, "--data-dir", r.DataDir, "--ledger", ledger, "--from", from, "--as-of", to, "--format", "json")
		if err == nil && code != 0 {
			err = fmt.Errorf("making report %s of ledger %s: exit code %d\n%s", name, ledger, code, out)
		}
		return out, err
	}
}
