package console

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
)

// entry is an entry as the API has it.
type entry struct {
	ID            string          `json:"id"`
	Kind          string          `json:"kind"`
	Status        string          `json:"status"`
	Seq           int64           `json:"seq"`
	Hash          string          `json:"hash"`
	PrevHash      string          `json:"prev_hash"`
	RecordedAt    string          `json:"recorded_at"`
	BookingDate   string          `json:"booking_date"`
	EffectiveDate string          `json:"effective_date"`
	Actor         string          `json:"actor"`
	Description   string          `json:"description"`
	Reference     string          `json:"reference"`
	Metadata      json.RawMessage `json:"metadata"`
	Erased        bool            `json:"erased"`
	RefSeq        *int64          `json:"ref_seq"`
	RelatedTo     string          `json:"related_to"`
	ExpiresAt     string          `json:"expires_at"`
	PriorPeriod   bool            `json:"prior_period"`
	Postings      []posting       `json:"postings"`
	Details       []detail        `json:"details"`
	Account       json.RawMessage `json:"account"`
	Terms         json.RawMessage `json:"ledger"`
}

type posting struct {
	Account       string  `json:"account"`
	Direction     string  `json:"direction"`
	Amount        string  `json:"amount"`
	PendingChange string  `json:"pending_change"`
	Currency      string  `json:"currency"`
	AccountSeq    int64   `json:"account_seq"`
	Balance       string  `json:"balance"`
	Available     *string `json:"available"`
}

type detail struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// About returns the attributes that an entry sets, indented.
func (e *entry) About() string {
	for _, text := range []json.RawMessage{e.Account, e.Terms} {
		if len(text) > 0 {
			return indented(text)
		}
	}
	return ""
}

// postingsShown is how many postings of a side a list shows.
const postingsShown = 5

// Debits returns the first postings on that side, and Credits those on the other.
func (e *entry) Debits() []posting { return e.side("debit") }

// Credits returns the first postings on that side.
func (e *entry) Credits() []posting { return e.side("credit") }

func (e *entry) side(direction string) []posting {
	var list []posting
	for i := range e.Postings {
		if e.Postings[i].Direction == direction && len(list) < postingsShown {
			list = append(list, e.Postings[i])
		}
	}
	return list
}

// Others is how many postings a list does not show.
func (e *entry) Others() int { return len(e.Postings) - len(e.Debits()) - len(e.Credits()) }

// Summary says what an entry without a text is about: the account that it opens or changes, or its details.
func (e *entry) Summary() string {
	var attributes struct {
		Code string `json:"code"`
	}
	if len(e.Account) > 0 && json.Unmarshal(e.Account, &attributes) == nil {
		return attributes.Code
	}
	const most = 80 // bytes, about the width of the column
	text := ""
	for _, d := range e.Details {
		if text += d.Name + " " + d.Value + " "; len(text) > most {
			return strings.ToValidUTF8(text[:most], "") + "…"
		}
	}
	return text
}

// Meta returns the metadata, indented.
func (e *entry) Meta() string { return indented(e.Metadata) }

func indented(text json.RawMessage) string {
	var out bytes.Buffer
	if json.Indent(&out, text, "", "  ") != nil {
		return string(text)
	}
	return out.String()
}

type entriesPage struct {
	Ledger  string
	Entries []entry
	From    int64
	Newer   string // the address of what comes after
	Older   string // and of what came before, empty at the first entry
}

func (p *entriesPage) title() string { return p.Ledger + ": entries" }

// entriesShown is how many entries a page shows.
const entriesShown = 50

func (v *visit) entries() (any, error) {
	p := &entriesPage{Ledger: v.r.PathValue("ledger")}
	if text := v.given("from"); text != "" {
		from, err := strconv.ParseInt(text, 10, 64)
		if err != nil || from < 0 {
			return p, &Problem{Status: 400, Title: "Bad Request", Detail: "An entry is named by its number, from 0 on."}
		}
		p.From = from
	} else { // the newest
		var info ledgerInfo
		if err := v.ask(v.path(), &info); err != nil {
			return nil, err
		}
		p.From = max(info.Size-entriesShown, 0)
	}
	var list listOf[entry]
	if err := v.ask(v.path("entries")+"?from="+strconv.FormatInt(p.From, 10)+"&limit="+strconv.Itoa(entriesShown), &list); err != nil {
		return nil, err
	}
	p.Entries = list.Data
	at := func(from int64) string { return v.r.URL.EscapedPath() + "?from=" + strconv.FormatInt(from, 10) }
	if list.Next != nil {
		p.Newer = at(p.From + int64(len(list.Data)))
	}
	if p.From > 0 {
		p.Older = at(max(p.From-entriesShown, 0))
	}
	return p, nil
}

type entryPage struct {
	Ledger string
	Entry  entry
	Newest bool
}

func (p *entryPage) title() string { return "Entry " + strconv.FormatInt(p.Entry.Seq, 10) }

// Before returns the seq of the entry before, and After that of the one after.
func (p *entryPage) Before() int64 { return p.Entry.Seq - 1 }

// After returns the seq of the entry after.
func (p *entryPage) After() int64 { return p.Entry.Seq + 1 }

func (v *visit) entry() (any, error) {
	p := &entryPage{Ledger: v.r.PathValue("ledger")}
	if err := v.ask(v.path("entries", v.r.PathValue("seq")), &p.Entry); err != nil {
		return nil, err
	}
	var info ledgerInfo
	err := v.ask(v.path(), &info)
	p.Newest = p.After() == info.Size
	return p, err
}

// search is what a search for transfers asks for, as the form has it.
var search = []string{"reference", "account", "account_prefix", "from", "to", "min_amount", "max_amount", "currency"}

type transfersPage struct {
	Ledger string
	Asked  map[string]string
	Found  []entry
	More   string
	Began  bool // something was asked for
}

func (p *transfersPage) title() string { return p.Ledger + ": transfers" }

func (v *visit) transfers() (any, error) {
	p := &transfersPage{Ledger: v.r.PathValue("ledger"), Asked: make(map[string]string)}
	for _, name := range search {
		p.Asked[name] = v.given(name)
		p.Began = p.Began || p.Asked[name] != ""
	}
	q := v.query(append(search[:len(search):len(search)], "cursor")...)
	var list listOf[entry]
	if err := v.ask(v.path("transfers")+q, &list); err != nil {
		return p, err
	}
	p.Found, p.More = list.Data, v.more(list.Next)
	return p, nil
}

type transferPage struct {
	Ledger  string
	ID      string  `json:"id"`
	Status  string  `json:"status"`
	Entries []entry `json:"entries"`
}

func (p *transferPage) title() string { return "Transfer " + p.ID }

func (v *visit) transfer() (any, error) {
	p := &transferPage{Ledger: v.r.PathValue("ledger")}
	if err := v.ask(v.path("transfers", v.r.PathValue("id")), p); err != nil {
		return nil, err
	}
	for i := range p.Entries { // which are only named so far
		if err := v.ask(v.path("entries", strconv.FormatInt(p.Entries[i].Seq, 10)), &p.Entries[i]); err != nil {
			return nil, err
		}
	}
	return p, nil
}
