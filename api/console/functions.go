package console

import (
	"fmt"
	"html/template"
	"net/url"
	"strings"
	"time"
)

// functions are what templates call.
var functions = template.FuncMap{
	"at":          at,
	"file":        func(ledger string, parts ...any) string { return at(ledger, append([]any{"files"}, parts...)...) },
	"transfer":    transferPath,
	"debit":       func(signed string) string { return side(signed, false) },
	"credit":      func(signed string) string { return side(signed, true) },
	"zero":        func(amount string) bool { return strings.Trim(amount, "0.") == "" },
	"short":       func(hash string) string { return hash[:min(len(hash), 12)] },
	"time":        shown,
	"pair":        pair,
	"period":      period,
	"formats":     func() map[string]string { return statementFormats },
	"fileFormats": func() []string { return []string{"pdf", "xlsx", "csv", "text", "json"} },
}

// at returns the page of a ledger that the parts name.
func at(ledger string, parts ...any) string {
	path := Path + "/ledgers/" + url.PathEscape(ledger)
	for _, p := range parts {
		path += "/" + url.PathEscape(fmt.Sprint(p))
	}
	return path
}

// side returns the size of a debit-positive amount if it stands on that side, "" otherwise: there are no signs in columns of
// debits and credits. Zero stands on the left.
func side(signed string, credit bool) string {
	size, negative := strings.CutPrefix(signed, "-")
	if negative != credit {
		return ""
	}
	return size
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
