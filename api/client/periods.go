package client

import (
	"context"
	"encoding/json"
	"net/http"
)

// PeriodClosing closes the books of a ledger up to a day.
type PeriodClosing struct {
	PeriodEnd   string   `json:"period_end"`       // such as 2026-12-31
	Retain      []string `json:"retain,omitempty"` // equity accounts that take the result, one per currency
	Description string   `json:"description,omitempty"`
}

// ClosePeriod closes a period and returns the entry as the server sent it. With
// dryRun nothing is stored, and the entry is the one that would be.
func (c *Client) ClosePeriod(ctx context.Context, ledger string, p PeriodClosing, dryRun bool) (json.RawMessage, error) {
	path := LedgerPath(ledger, "periods", "close")
	if dryRun {
		path += "?dry_run=true"
	}
	var entry json.RawMessage
	err := c.call(ctx, http.MethodPost, path, p, &entry)
	return entry, err
}

// ReopenPeriod reopens the newest closed period for a reason and returns the
// entry as the server sent it.
func (c *Client) ReopenPeriod(ctx context.Context, ledger, periodEnd, reason string) (json.RawMessage, error) {
	in := map[string]string{"period_end": periodEnd, "reason": reason}
	var entry json.RawMessage
	err := c.call(ctx, http.MethodPost, LedgerPath(ledger, "periods", "reopen"), in, &entry)
	return entry, err
}
