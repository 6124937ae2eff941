package console

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// balanceGroup is a sum of balances in one currency.
type balanceGroup struct {
	Code     string      `json:"code"`
	Currency string      `json:"currency"`
	Accounts json.Number `json:"accounts"`
	Balance  string      `json:"balance"` // debit-positive
	Debits   string      `json:"debits"`
	Credits  string      `json:"credits"`
}

type balancesAnswer struct {
	listOf[balanceGroup]
	Seq    int64          `json:"seq"`
	Totals []balanceGroup `json:"totals"`
}

// account is an account as the API has it; balances are positive on its normal side.
type account struct {
	ID         string            `json:"id"`
	Code       string            `json:"code"`
	Type       string            `json:"type"`
	Currency   string            `json:"currency"`
	Name       string            `json:"name"`
	MinBalance *string           `json:"min_balance"`
	MaxBalance *string           `json:"max_balance"`
	Frozen     string            `json:"frozen"`
	Closed     bool              `json:"closed"`
	Tags       map[string]string `json:"tags"`
	OpenedAt   int64             `json:"opened_at_seq"`
	Balance    string            `json:"balance"`
	Held       string            `json:"held"`
	Available  *string           `json:"available"`
	Postings   int64             `json:"account_seq"`
}

// accountsPage is a level of the tree of codes: sums by the next segment, and the accounts under the prefix.
type accountsPage struct {
	Ledger   string
	Prefix   string
	At       string  // the time or the business day as of which the sums are; empty for now
	Trail    []crumb // the prefixes above
	Sums     balancesAnswer
	Accounts []account
	More     string
}

// crumb is a step of a path, and where it leads.
type crumb struct{ Text, Prefix string }

func (p *accountsPage) title() string { return p.Ledger + ": accounts" }

const (
	// sumsShown is how many sums a page shows.
	sumsShown = "500"
	// maxSegments is how many segments a code may have: it has 128 bytes at most.
	maxSegments = 64
	// linesShown is how many lines of a statement a page shows.
	linesShown = "250"
)

func (v *visit) accounts() (any, error) {
	p := &accountsPage{Ledger: v.r.PathValue("ledger"), Prefix: v.given("prefix"), At: v.given("at")}
	depth := 1
	if p.Prefix != "" {
		segments := strings.Split(p.Prefix, ":")
		depth = min(len(segments)+1, maxSegments)
		for i, s := range segments {
			p.Trail = append(p.Trail, crumb{s, strings.Join(segments[:i+1], ":")})
		}
	}
	q := url.Values{"depth": {strconv.Itoa(depth)}, "limit": {sumsShown}}
	moment, err := v.moment(p.At)
	if err != nil {
		return p, err
	}
	for name, value := range map[string]string{"prefix": p.Prefix, "at": moment} {
		if value != "" {
			q.Set(name, value)
		}
	}
	if err := v.ask(v.path("balances")+"?"+q.Encode(), &p.Sums); err != nil {
		return p, err
	}
	if p.At != "" {
		return p, nil // accounts are shown as they are now
	}
	var list listOf[account]
	if err := v.ask(v.path("accounts")+v.query("prefix", "cursor"), &list); err != nil {
		return p, err
	}
	p.Accounts, p.More = list.Data, v.more(list.Next)
	return p, nil
}

// moment returns the time at which a business day of the ledger ends, or a text that is no day as it is.
func (v *visit) moment(text string) (string, error) {
	day, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return text, nil
	}
	var info ledgerInfo
	if err := v.ask(v.path(), &info); err != nil {
		return "", err
	}
	zone, err := time.LoadLocation(info.TimeZone)
	if err != nil {
		return "", fmt.Errorf("reading the time zone of the ledger: %w", err)
	}
	cutoff, err := time.Parse("15:04", info.DayCutoff)
	if err != nil {
		return "", fmt.Errorf("reading the cut-off of the ledger's days: %w", err)
	}
	year, month, date := day.Date()
	if cutoff.Hour() == 0 && cutoff.Minute() == 0 {
		date++ // the day ends at midnight
	}
	end := time.Date(year, month, date, cutoff.Hour(), cutoff.Minute(), 0, 0, zone)
	return end.Add(-time.Microsecond).UTC().Format(time.RFC3339Nano), nil
}

// line is a posting on a statement.
type line struct {
	AccountSeq    int64  `json:"account_seq"`
	Seq           int64  `json:"seq"`
	Kind          string `json:"kind"`
	ID            string `json:"id"`
	BookingDate   string `json:"booking_date"`
	EffectiveDate string `json:"effective_date"`
	Direction     string `json:"direction"`
	Amount        string `json:"amount"`
	PendingChange string `json:"pending_change"`
	Balance       string `json:"balance"`
	Description   string `json:"description"`
	Reference     string `json:"reference"`
	Erased        bool   `json:"erased"`
}

type statement struct {
	From    string `json:"from"`
	To      string `json:"to"`
	AsOf    int64  `json:"as_of_seq"`
	Opening struct {
		Date    string `json:"date"`
		Balance string `json:"balance"`
	} `json:"opening"`
	Lines   []line `json:"lines"`
	Closing struct {
		Date    string `json:"date"`
		Balance string `json:"balance"`
	} `json:"closing"`
	Totals struct {
		Debits  string `json:"debits"`
		Credits string `json:"credits"`
		Lines   int64  `json:"lines"`
	} `json:"totals"`
	Next *string `json:"next"`
}

type accountPage struct {
	Ledger    string
	Account   account
	Statement statement
	First     string // the address of the first page, empty on it
	More      string
}

func (p *accountPage) title() string { return p.Account.Code }

func (v *visit) account() (any, error) {
	p := &accountPage{Ledger: v.r.PathValue("ledger")}
	code := v.r.PathValue("account")
	if err := v.ask(v.path("accounts", code), &p.Account); err != nil {
		return nil, err
	}
	p.Statement.From, p.Statement.To = v.given("from"), v.given("to") // as they were typed, should they not be dates
	if err := v.ask(v.path("accounts", code, "statement")+v.queryWith(url.Values{"limit": {linesShown}}, "from", "to", "cursor"), &p.Statement); err != nil {
		return p, err
	}
	p.More = v.more(p.Statement.Next)
	if v.given("cursor") != "" {
		p.First = v.r.URL.EscapedPath() + v.query("from", "to")
	}
	return p, nil
}
