package client

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/shopspring/decimal"
)

// LedgerTerms is what opens a ledger. Empty fields take the server's defaults.
type LedgerTerms struct {
	Name         string `json:"name"`
	TimeZone     string `json:"time_zone,omitempty"`
	DayCutoff    string `json:"day_cutoff,omitempty"`
	BaseCurrency string `json:"base_currency"`
	// How many days a value date may lie back and ahead; nil for the default.
	ValueDaysBack  *int32 `json:"value_days_back,omitempty"`
	ValueDaysAhead *int32 `json:"value_days_ahead,omitempty"`
}

// Ledger is a ledger as the API answers it. Size counts its entries, and Head
// is the hash of the last one in hex.
type Ledger struct {
	ID           string `json:"id"`
	Name         string `json:"name"`
	Origin       string `json:"origin"`
	BaseCurrency string `json:"base_currency"`
	Size         int64  `json:"size"`
	Head         string `json:"head"`
}

// NewAccount is what opens an account. Nil limits are no limits.
type NewAccount struct {
	Code       string  `json:"code"`
	Type       string  `json:"type"`
	Currency   string  `json:"currency"`
	MinBalance *string `json:"min_balance,omitempty"`
	MaxBalance *string `json:"max_balance,omitempty"`
}

// Account is an account as the API answers it; balances are positive on the
// account's normal side.
type Account struct {
	ID         string  `json:"id"`
	Code       string  `json:"code"`
	Type       string  `json:"type"`
	Currency   string  `json:"currency"`
	MinBalance *string `json:"min_balance"`
	MaxBalance *string `json:"max_balance"`
	Frozen     string  `json:"frozen"`
	Closed     bool    `json:"closed"`
	Balance    string  `json:"balance"`
	Held       string  `json:"held"`
	Available  *string `json:"available"`
	AccountSeq int64   `json:"account_seq"`
	OpenedAt   int64   `json:"opened_at_seq"` // the entry that opened it
}

// DebitNormal reports whether debits raise the account's balance.
func (a Account) DebitNormal() bool { return a.Type == "asset" || a.Type == "expense" }

// Leg is one posting of a request.
type Leg struct {
	Account   string `json:"account"`
	Direction string `json:"direction"`
	Amount    string `json:"amount"`
}

// Transfer is a request to move money, in the long form.
type Transfer struct {
	ID          string `json:"id,omitempty"`
	Description string `json:"description,omitempty"`
	Postings    []Leg  `json:"postings"`
}

// Entry is what the book holds at one seq. Hashes are in hex.
type Entry struct {
	ID       string         `json:"id"`
	Kind     string         `json:"kind"`
	Status   string         `json:"status"`
	Seq      int64          `json:"seq"`
	Hash     string         `json:"hash"`
	PrevHash string         `json:"prev_hash"`
	Postings []EntryPosting `json:"postings"`
}

// EntryPosting is one posting of an Entry, with the balance after it.
type EntryPosting struct {
	Account    string `json:"account"`
	Direction  string `json:"direction"`
	Amount     string `json:"amount"`
	Currency   string `json:"currency"`
	AccountSeq int64  `json:"account_seq"`
	Balance    string `json:"balance"`
}

// AccountPosting is one line of an account's history.
type AccountPosting struct {
	Seq         int64  `json:"seq"`
	TransferID  string `json:"transfer_id"`
	BookingDate string `json:"booking_date"`
	Direction   string `json:"direction"`
	Amount      string `json:"amount"`
	AccountSeq  int64  `json:"account_seq"`
	Balance     string `json:"balance"`
}

// Engine is the database engine behind the server, with the settings that
// decide what an acknowledgement is worth. A setting the engine does not have
// is absent.
type Engine struct {
	Name     string            `json:"name"`
	Settings map[string]string `json:"settings"`
}

// LedgerPath returns the path of everything that belongs to one ledger, with
// the given segments appended.
func LedgerPath(ledger string, segments ...string) string {
	path := "/v1/ledgers/" + url.PathEscape(ledger)
	for _, s := range segments {
		path += "/" + url.PathEscape(s)
	}
	return path
}

// OpenLedger opens a ledger, or returns the one already open on these terms.
func (c *Client) OpenLedger(ctx context.Context, terms LedgerTerms) (Ledger, error) {
	var l Ledger
	err := c.call(ctx, http.MethodPost, "/v1/ledgers", terms, &l)
	return l, err
}

// Ledger returns one ledger by name or id; unknown is a Problem of status 404.
func (c *Client) Ledger(ctx context.Context, ledger string) (Ledger, error) {
	var l Ledger
	err := c.call(ctx, http.MethodGet, LedgerPath(ledger), nil, &l)
	return l, err
}

// EnsureLedger returns the ledger of this name, and opens it on the given
// terms when there is none. The terms of one that exists are left as they are.
func (c *Client) EnsureLedger(ctx context.Context, terms LedgerTerms) (Ledger, error) {
	l, err := c.Ledger(ctx, terms.Name)
	if HasStatus(err, http.StatusNotFound) {
		return c.OpenLedger(ctx, terms)
	}
	return l, err
}

// accountBatch is how many accounts are opened by one request, the API's
// bound.
const accountBatch = 1000

// OpenAccounts opens accounts in batches. Those already open on the same terms
// are fine; the first one refused ends it with its Problem.
func (c *Client) OpenAccounts(ctx context.Context, ledger string, accounts []NewAccount) error {
	for start := 0; start < len(accounts); start += accountBatch {
		batch := accounts[start:min(start+accountBatch, len(accounts))]
		var answer struct {
			Results []struct {
				Status  int             `json:"status"`
				Problem json.RawMessage `json:"problem"`
			} `json:"results"`
		}
		in := map[string]any{"accounts": batch}
		if err := c.call(ctx, http.MethodPost, LedgerPath(ledger, "accounts", "batch"), in, &answer); err != nil {
			return err
		}
		if len(answer.Results) != len(batch) {
			return fmt.Errorf("opening accounts from %s: %d results for %d accounts", batch[0].Code, len(answer.Results), len(batch))
		}
		for i, r := range answer.Results {
			if r.Status != http.StatusCreated && r.Status != http.StatusOK {
				return fmt.Errorf("opening account %s: %w", batch[i].Code, ParseProblem(r.Status, r.Problem))
			}
		}
	}
	return nil
}

// Account returns one account with its balance.
func (c *Client) Account(ctx context.Context, ledger, code string) (Account, error) {
	var a Account
	err := c.call(ctx, http.MethodGet, LedgerPath(ledger, "accounts", code), nil, &a)
	return a, err
}

// Accounts hands every account of a ledger to visit, in the server's order.
func (c *Client) Accounts(ctx context.Context, ledger string, visit func(Account) error) error {
	return each(ctx, c, LedgerPath(ledger, "accounts"), url.Values{}, visit)
}

// AccountsPage returns a page of the accounts of a ledger, in order of their codes:
// the first one for an empty cursor. next is the cursor of the next one, empty when
// there is none.
func (c *Client) AccountsPage(ctx context.Context, ledger, cursor string) (accounts []Account, next string, err error) {
	return page[Account](ctx, c, LedgerPath(ledger, "accounts"), url.Values{}, cursor)
}

// AccountPostings hands every posting of an account to visit, in the server's
// order.
func (c *Client) AccountPostings(ctx context.Context, ledger, code string, visit func(AccountPosting) error) error {
	return each(ctx, c, LedgerPath(ledger, "accounts", code, "postings"), url.Values{}, visit)
}

// Post posts one transfer and returns the entry it became. The request id makes
// a repeated call safe.
func (c *Client) Post(ctx context.Context, ledger string, t Transfer) (Entry, error) {
	var e Entry
	err := c.call(ctx, http.MethodPost, LedgerPath(ledger, "transfers"), t, &e)
	return e, err
}

// TransferEntries returns the entries that a transfer led to; unknown is a
// Problem of status 404.
func (c *Client) TransferEntries(ctx context.Context, ledger, id string) ([]Entry, error) {
	var t struct {
		Entries []Entry `json:"entries"`
	}
	err := c.call(ctx, http.MethodGet, LedgerPath(ledger, "transfers", id), nil, &t)
	return t.Entries, err
}

// Entries hands every entry from seq from on to visit, in order.
func (c *Client) Entries(ctx context.Context, ledger string, from int64, visit func(Entry) error) error {
	return each(ctx, c, LedgerPath(ledger, "entries"), url.Values{"from": {fmt.Sprint(from)}}, visit)
}

// Engine returns what the server says about its database.
func (c *Client) Engine(ctx context.Context) (Engine, error) {
	var e Engine
	err := c.call(ctx, http.MethodGet, "/v1/engine", nil, &e)
	return e, err
}

// Ready returns nil when the server says that it can post.
func (c *Client) Ready(ctx context.Context) error {
	_, err := c.fetch(ctx, http.MethodGet, "/readyz", nil)
	return err
}

// Counters returns the server's metrics whose samples are whole numbers, by
// name, summed over their labels.
func (c *Client) Counters(ctx context.Context) (map[string]int64, error) {
	text, err := c.fetch(ctx, http.MethodGet, "/metrics", nil)
	if err != nil {
		return nil, err
	}
	return parseCounters(string(text)), nil
}

// parseCounters reads the Prometheus text format as far as counters need it:
// name, optional labels, value. Other lines are passed over.
func parseCounters(text string) map[string]int64 {
	sums := map[string]int64{}
	lines := bufio.NewScanner(strings.NewReader(text))
	for lines.Scan() {
		line := lines.Text()
		if strings.HasPrefix(line, "#") {
			continue
		}
		name, value := line, ""
		if at := strings.LastIndexByte(line, '}'); at >= 0 {
			name, value = line[:strings.IndexByte(line, '{')], line[at+1:]
		} else if at := strings.IndexByte(line, ' '); at >= 0 {
			name, value = line[:at], line[at+1:]
		}
		fields := strings.Fields(value) // the value, and perhaps a time
		if len(fields) == 0 {
			continue
		}
		// Large counters are printed as 1.2e+06, so this is no plain integer.
		if v, err := decimal.NewFromString(fields[0]); err == nil && v.IsInteger() {
			sums[name] += v.IntPart()
		}
	}
	return sums
}
