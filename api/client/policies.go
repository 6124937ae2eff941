package client

import (
	"context"
	"encoding/json"
	"net/http"
)

// PolicyAdoption says which policy file binds figures, and from which booking date on.
type PolicyAdoption struct {
	Name          string `json:"name"`
	Version       string `json:"version,omitempty"`
	EffectiveFrom string `json:"effective_from"`
	SHA256        string `json:"policy_sha256"`
}

// AdoptPolicy puts a policy on record and returns the entry as the server sent it.
func (c *Client) AdoptPolicy(ctx context.Context, ledger string, a PolicyAdoption) (json.RawMessage, error) {
	var entry json.RawMessage
	err := c.call(ctx, http.MethodPost, LedgerPath(ledger, "policies"), a, &entry)
	return entry, err
}
