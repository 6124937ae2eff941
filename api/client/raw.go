package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
)

// MaxPage is the most elements that a page has.
const MaxPage = 1000

// RawEntries returns at most limit entries from seq from on, each in the very
// bytes that the server sent.
func (c *Client) RawEntries(ctx context.Context, ledger string, from int64, limit int) ([]json.RawMessage, error) {
	var page struct {
		Data []json.RawMessage `json:"data"`
	}
	err := c.call(ctx, http.MethodGet, LedgerPath(ledger, "entries")+fmt.Sprintf("?from=%d&limit=%d", from, limit), nil, &page)
	return page.Data, err
}
