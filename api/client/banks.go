package client

import (
	"context"
	"encoding/json"
	"net/http"
)

// NewDecision is what somebody decides about lines of a bank statement and of the ledger.
type NewDecision struct {
	Action     string   `json:"action"` // match, accept, unmatch, assign, note, write_off or carry
	Break      string   `json:"break,omitempty"`
	Lines      []string `json:"lines,omitempty"` // in the place of a break
	Reason     string   `json:"reason"`
	Owner      string   `json:"owner,omitempty"`
	Cause      string   `json:"cause,omitempty"`
	Until      string   `json:"until,omitempty"`
	Account    string   `json:"account,omitempty"` // of a write-off
	Supersedes string   `json:"supersedes,omitempty"`
}

// Decide puts a decision on record and returns it, as the server sent it.
func (c *Client) Decide(ctx context.Context, ledger string, d NewDecision) (json.RawMessage, error) {
	var decision json.RawMessage
	err := c.call(ctx, http.MethodPost, LedgerPath(ledger, "decisions"), d, &decision)
	return decision, err
}
