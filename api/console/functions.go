package console

import (
	"fmt"
	"html/template"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// functions are what templates call.
var functions = template.FuncMap{
	"at": at,
	"file": func(ledger string, parts ...any) (string, error) {
		return at(ledger, append([]any{"files"}, parts...)...)
	},
	"zero":        func(amount string) bool { return strings.Trim(amount, "0.") == "" },
	"short":       func(hash string) string { return hash[:min(len(hash), 12)] },
	"time":        shown,
	"leg":         func(ledger string, p posting) leg { return leg{ledger, p} },
	"pair":        pair,
	"period":      period,
	"formats":     func() map[string]string { return statementFormats },
	"fileFormats": func() []string { return []string{"json", "pdf", "xlsx", "csv", "text"} },
	"statuses":    func() []string { return breakStatuses },
	"buckets":     func() []string { return breakBuckets },
}

// at returns the page of a ledger that the parts name: texts and numbers, or pointers to them.
func at(ledger string, parts ...any) (string, error) {
	path := Path + "/ledgers/" + url.PathEscape(ledger)
	for _, p := range parts {
		switch p := p.(type) {
		case string:
			path += "/" + url.PathEscape(p)
		case *string:
			path += "/" + url.PathEscape(*p)
		case int64:
			path += "/" + strconv.FormatInt(p, 10)
		case *int64:
			path += "/" + strconv.FormatInt(*p, 10)
		default:
			return "", fmt.Errorf("no page is named by %T", p)
		}
	}
	return path, nil
}

// shown writes a time of the API for people, to the second.
func shown(text string) string {
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return text
	}
	return t.UTC().Format("2006-01-02 15:04:05 UTC")
}

// statementFormats are the files that a statement comes as, and what links to them say.
var statementFormats = map[string]string{"pdf": "PDF", "xlsx": "Excel", "csv": "CSV", "camt.053.001.08": "camt.053"}

// leg is a posting in a list, and the ledger that it links to.
type leg struct {
	Ledger  string
	Posting posting
}

// listed is rows of a ledger, for a part of a page.
type listed struct {
	Ledger   string
	Entries  []entry
	Postings []posting
	Findings []find
}

// pair puts the rows of a part together with the ledger that they link to.
func pair(ledger string, rows any) (listed, error) {
	l := listed{Ledger: ledger}
	switch rows := rows.(type) {
	case []entry:
		l.Entries = rows
	case []posting:
		l.Postings = rows
	case []find:
		l.Findings = rows
	default:
		return l, fmt.Errorf("there is no table for %T", rows)
	}
	return l, nil
}

// period returns the query of a report.
func period(format, from, asOf string) template.URL {
	q := url.Values{"format": {format}}
	for name, value := range map[string]string{"from": from, "as_of": asOf} {
		if value != "" {
			q.Set(name, value)
		}
	}
	return template.URL("?" + q.Encode())
}

// What a break can be, and how old in business days, as the API has it.
var (
	breakStatuses = []string{"suggested", "unmatched_ledger", "unmatched_bank", "amount_mismatch", "currency_mismatch", "side_mismatch", "date_drift",
		"duplicate_ledger", "duplicate_bank", "timing", "reversed_pair", "written_off", "carried", "matched"}
	breakBuckets = []string{"0-4", "5-15", "16-30", "31-45", "46+"}
)
