package client

import (
	"context"
	"net/http"
	"strconv"
)

// ErasureReason says why text is erased.
type ErasureReason struct {
	Basis string `json:"basis"` // a word, such as gdpr_17
	Case  string `json:"case,omitempty"`
}

// Erasure is what is on record of one.
type Erasure struct {
	Seq         int64  `json:"seq"`           // of the entry whose text is gone
	ErasedAtSeq int64  `json:"erased_at_seq"` // of the entry that says so
	RecordedAt  string `json:"recorded_at"`
	Basis       string `json:"basis"`
	Case        string `json:"case,omitempty"`
}

// EraseEntry erases the text of an entry. Doing so again finishes what failed.
func (c *Client) EraseEntry(ctx context.Context, ledger string, seq int64, why ErasureReason) (Erasure, error) {
	var e Erasure
	err := c.call(ctx, http.MethodPost, LedgerPath(ledger, "entries", strconv.FormatInt(seq, 10), "erase"), why, &e)
	return e, err
}

// RehearseErasure asks what EraseEntry would do.
func (c *Client) RehearseErasure(ctx context.Context, ledger string, seq int64, why ErasureReason) error {
	return c.call(ctx, http.MethodPost, LedgerPath(ledger, "entries", strconv.FormatInt(seq, 10), "erase")+"?dry_run=true", why, nil)
}

// EraseAccountName erases the name of an account in every entry that carries it,
// and returns these.
func (c *Client) EraseAccountName(ctx context.Context, ledger, code string, why ErasureReason) ([]int64, error) {
	var answer struct {
		Seqs []int64 `json:"seqs"`
	}
	err := c.call(ctx, http.MethodPost, LedgerPath(ledger, "accounts", code, "erase"), why, &answer)
	return answer.Seqs, err
}
