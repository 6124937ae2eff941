package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
)

// KeyChange puts on record that a key begins or ends to be valid.
type KeyChange struct {
	Action       string   `json:"action"` // add, retire or revoke
	Role         string   `json:"role"`   // signer or api
	KeyID        string   `json:"key_id,omitempty"`
	PublicKey    string   `json:"public_key,omitempty"` // of a signer that is added
	Scopes       []string `json:"scopes,omitempty"`     // of an API key that is added, in ascending order
	OverlapUntil string   `json:"overlap_until,omitempty"`
	Description  string   `json:"description,omitempty"`
}

// KeyRecord is what entries say of a key.
type KeyRecord struct {
	KeyID        string `json:"key_id"`
	Role         string `json:"role"`
	Status       string `json:"status"` // valid, retired or revoked
	PublicKey    string `json:"public_key"`
	OverlapUntil string `json:"overlap_until"`
	AddedAtSeq   int64  `json:"added_at_seq"`
	RetiredAtSeq *int64 `json:"retired_at_seq"`
	RevokedAtSeq *int64 `json:"revoked_at_seq"`
}

// ChangeKey changes a key and returns what is on record of it then, as the
// server sent it.
func (c *Client) ChangeKey(ctx context.Context, ledger string, k KeyChange) (json.RawMessage, error) {
	var record json.RawMessage
	err := c.call(ctx, http.MethodPost, LedgerPath(ledger, "keys"), k, &record)
	return record, err
}

// Keys returns the keys on record of a role, in the order of addition, as the
// server sent them.
func (c *Client) Keys(ctx context.Context, ledger, role string) ([]json.RawMessage, error) {
	var keys []json.RawMessage
	err := each(ctx, c, LedgerPath(ledger, "keys"), url.Values{"role": {role}}, func(k json.RawMessage) error {
		keys = append(keys, k)
		return nil
	})
	return keys, err
}
