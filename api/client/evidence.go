package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
)

// Newest, as a size, is that of the newest checkpoint.
const Newest = -1

// Checkpoint returns the newest signed checkpoint of a ledger.
func (c *Client) Checkpoint(ctx context.Context, ledger string) ([]byte, error) {
	return c.fetch(ctx, http.MethodGet, LedgerPath(ledger, "checkpoint"), nil)
}

// Receipt returns the proof that an entry stands under the checkpoint of a size,
// as a .tlog-proof file.
func (c *Client) Receipt(ctx context.Context, ledger string, seq, size int64) ([]byte, error) {
	path := LedgerPath(ledger, "proof", "entry", fmt.Sprint(seq)) + "?format=tlog-proof"
	if size != Newest {
		path += fmt.Sprintf("&size=%d", size)
	}
	return c.fetch(ctx, http.MethodGet, path, nil)
}

// Consistency returns the proof that a ledger at the size to extends it at the
// size from, as the server sent it.
func (c *Client) Consistency(ctx context.Context, ledger string, from, to int64) (json.RawMessage, error) {
	path := LedgerPath(ledger, "proof", "consistency") + fmt.Sprintf("?from=%d", from)
	if to != Newest {
		path += fmt.Sprintf("&to=%d", to)
	}
	var proof json.RawMessage
	err := c.call(ctx, http.MethodGet, path, nil, &proof)
	return proof, err
}

// BalanceProof is the proof of an account's balance by a balance commitment.
type BalanceProof struct {
	Leaf       string   `json:"leaf"` // base64
	Index      int64    `json:"index"`
	Accounts   int64    `json:"accounts"`
	Path       []string `json:"path"` // in hex
	Commitment int64    `json:"commitment_seq"`
}

// BalanceProof returns the proof of an account's balance by the newest balance
// commitment.
func (c *Client) BalanceProof(ctx context.Context, ledger, code string) (BalanceProof, error) {
	var p BalanceProof
	err := c.call(ctx, http.MethodGet, LedgerPath(ledger, "accounts", code, "balance-proof"), nil, &p)
	return p, err
}

// OpeningSeq returns the account_seq of the last posting of an account that was
// booked before a day, 0 when there is none.
func (c *Client) OpeningSeq(ctx context.Context, ledger, code, from, to string) (int64, error) {
	var statement struct {
		Opening struct {
			AccountSeq int64 `json:"account_seq"`
		} `json:"opening"`
	}
	query := url.Values{"from": {from}, "to": {to}, "limit": {"1"}}
	err := c.call(ctx, http.MethodGet, LedgerPath(ledger, "accounts", code, "statement")+"?"+query.Encode(), nil, &statement)
	return statement.Opening.AccountSeq, err
}

// AccountPostingsFrom is AccountPostings from the posting with an account_seq on.
func (c *Client) AccountPostingsFrom(ctx context.Context, ledger, code string, from int64, visit func(AccountPosting) error) error {
	return each(ctx, c, LedgerPath(ledger, "accounts", code, "postings"), url.Values{"from": {fmt.Sprint(from)}}, visit)
}
