package api

import (
	"encoding/json"
	"net/http"
	"testing"
	"unicode/utf8"

	"tallystick/ledger"
)

// FuzzDecodeTransfer holds what every accepted transfer is, whatever the bytes:
// well formed in every part, and the same request when it is written again.
func FuzzDecodeTransfer(f *testing.F) {
	for _, seed := range []string{
		`{"debit":"cash","credit":"customers:1","amount":"12.34","currency":"EUR"}`,
		`{"id":"0191d7ae-6c3f-7cc1-9a2b-3f1d0e8b9a10","description":"Rent \ud83d\ude00","reference":"r","metadata":{"a":[1.0,{"b":null}]},` +
			`"effective_date":"2026-01-31","not_after":"2026-01-31T00:00:00Z","postings":[{"account":"a","direction":"debit","amount":"1"},{"account":"b","direction":"credit","amount":"-0.5"}]}`,
		`{"postings":[]}`, `{"amount":1}`, `{"debit":"a","debit":"b"}`, `[]`, `{} {}`, "{\"description\":\"\xff\"}", `{"description":"\ud800"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if len(body) > MaxBody {
			return
		}
		got, id, err := decode(string(body))
		if err != nil {
			if p, ok := err.(*problem); !ok || p.status() != http.StatusBadRequest || p.detail == "" || !utf8.ValidString(p.detail) {
				t.Fatalf("refused by %v", err)
			}
			return
		}
		if !json.Valid(body) {
			t.Fatalf("accepted what is not JSON: %q", body)
		}
		for _, text := range []*string{got.Description, got.Reference, got.Metadata} {
			if text != nil && (*text == "" || !cleanText(*text)) {
				t.Fatalf("accepted the text %q", *text)
			}
		}
		for _, l := range got.Legs {
			if !validCode(l.Account) || l.Direction != 1 && l.Direction != 2 {
				t.Fatalf("accepted the leg %+v", l)
			}
		}
		again, sameID, err := decode(rewritten(t, got, id))
		if err != nil {
			t.Fatalf("%s written again is refused: %v", body, err)
		}
		var salt [ledger.SaltSize]byte
		if id != sameID || ledger.Fingerprint(got, salt[:]) != ledger.Fingerprint(again, salt[:]) {
			t.Fatalf("%s written again is another request: %s", body, rewritten(t, got, id))
		}
	})
}

// rewritten writes a request in the long form with another library.
func rewritten(t *testing.T, r *ledger.TransferRequest, id string) string {
	doc := map[string]any{}
	if id != "00000000-0000-0000-0000-000000000000" {
		doc["id"] = id
	}
	if r.Description != nil {
		doc["description"] = *r.Description
	}
	if r.Reference != nil {
		doc["reference"] = *r.Reference
	}
	if r.Metadata != nil {
		doc["metadata"] = json.RawMessage(*r.Metadata)
	}
	if r.EffectiveDate != nil {
		doc["effective_date"] = r.EffectiveDate.String()
	}
	if r.NotAfter != nil {
		doc["not_after"] = r.NotAfter.UTC().Format("2006-01-02T15:04:05.999999999Z")
	}
	postings := []map[string]string{}
	for _, l := range r.Legs {
		p := map[string]string{"account": l.Account, "direction": l.Direction.String(), "amount": l.Amount.String()}
		if l.Currency != "" {
			p["currency"] = l.Currency
		}
		postings = append(postings, p)
	}
	doc["postings"] = postings
	text, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
