package client

import (
	"context"
	"encoding/json"
	"net/http"
)

// SignOff is what somebody says of a run.
type SignOff struct {
	Outcome string `json:"outcome"` // reviewed, approved or rejected
	Reason  string `json:"reason,omitempty"`
}

// SignOff signs a run off and returns the entry, as the server sent it.
func (c *Client) SignOff(ctx context.Context, ledger, run string, s SignOff) (json.RawMessage, error) {
	var entry json.RawMessage
	err := c.call(ctx, http.MethodPost, LedgerPath(ledger, "runs", run, "sign-off"), s, &entry)
	return entry, err
}
