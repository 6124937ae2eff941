package api

import (
	"bytes"
	"encoding/json"
	"net/http"
	"testing"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"tallystick/ledger"
	"tallystick/ledger/chain"
)

// FuzzDecodeTransfer holds what every accepted transfer is, whatever the bytes:
// well formed in every part, and the same request when it is written again.
func FuzzDecodeTransfer(f *testing.F) {
	for _, seed := range []string{
		`{"debit":"cash","credit":"customers:1","amount":"12.34","currency":"EUR"}`,
		`{"id":"0191d7ae-6c3f-7cc1-9a2b-3f1d0e8b9a10","description":"Rent \ud83d\ude00","reference":"r","metadata":{"a":[1.0,{"b":null}]},` +
			`"effective_date":"2026-01-31","not_after":"2026-01-31T00:00:00Z","postings":[{"account":"a","direction":"debit","amount":"1"},{"account":"b","direction":"credit","amount":"-0.5"}]}`,
		`{"debit":"a","credit":"b","amount":"1","hold":true,"expires_at":"2026-01-31T00:00:00.5+01:00","prior_period":true,"related_to":"0191d7ae-6c3f-7cc1-9a2b-3f1d0e8b9a10","rate":"EUR/USD 1.0834"}`,
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
		for _, text := range []*string{got.Description, got.Reference, got.Metadata, got.Rate} {
			if text != nil && (*text == "" || !cleanText(*text)) {
				t.Fatalf("accepted the text %q", *text)
			}
		}
		for _, l := range got.Legs {
			if !chain.ValidAccountCode(l.Account) || l.Direction != 1 && l.Direction != 2 {
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
	if r.ExpiresAt != nil {
		doc["expires_at"] = r.ExpiresAt.UTC().Format("2006-01-02T15:04:05.999999999Z")
	}
	if r.RelatedTo != nil {
		doc["related_to"] = r.RelatedTo.String()
	}
	if r.Rate != nil {
		doc["rate"] = *r.Rate
	}
	doc["hold"], doc["prior_period"] = r.Hold, r.PriorPeriod
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

// FuzzDecodeBatch holds that a batch is read as its items are: what a transfer
// says alone, it says in a batch, and a spoiled one spoils no other.
func FuzzDecodeBatch(f *testing.F) {
	const good = `{"debit":"cash","credit":"customers:1","amount":"12.34"}`
	for _, seed := range []string{good, `{"debit":"Cash","credit":"customers:1","amount":"1e3","postings":[]}`, `{}`, `{"a":1}`, `7`, `{"id":1}`, good + `,` + good, `]`, ``} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, item []byte) {
		r := new(reader)
		r.body.WriteString(`[` + good + `,`)
		r.body.Write(item)
		r.body.WriteString(`,` + good + `]`)
		r.reset()
		items := decodeTransfers(r, 3)
		alone, id, err := decode(string(item))
		if r.end() != nil {
			if err == nil {
				t.Fatalf("%q is a transfer alone, and spoils a batch: %v", item, r.err)
			}
			return
		}
		if items[0].problem != nil || items[len(items)-1].problem != nil {
			t.Fatalf("%q spoils its neighbours: %v, %v", item, items[0].problem, items[len(items)-1].problem)
		}
		if len(items) != 3 {
			return // it closes its own array or holds several
		}
		if (items[1].problem == nil) != (err == nil) {
			t.Fatalf("%q is %v alone and %v in a batch", item, err, items[1].problem)
		}
		if err == nil && (items[1].id.String() != id || ledger.Fingerprint(&items[1].request, nil) != ledger.Fingerprint(alone, nil)) {
			t.Fatalf("%q is another transfer in a batch", item)
		}
	})
}

// FuzzCursor holds that a cursor has one spelling: what is accepted is what the
// server would have given out.
func FuzzCursor(f *testing.F) {
	list := listID("transfers", "x")
	for _, seed := range []string{seqCursor(list, 0), newCursor(list, "customers:42"), seqCursor(listID("entries"), 7), "", "AQ==", "\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if p, err := position(list, text); err == nil && newCursor(list, p) != text {
			t.Fatalf("%q is accepted as %q, which is written %q", text, p, newCursor(list, p))
		}
		if n, err := seqPosition(list, text); err == nil && (n < 0 || seqCursor(list, n) != text) {
			t.Fatalf("%q is accepted as %d, which is written %q", text, n, seqCursor(list, n))
		}
	})
}

// FuzzMetadata holds that the canonical form is canonical, bounded and clean,
// and says the same as what came in.
func FuzzMetadata(f *testing.F) {
	for _, seed := range []string{`{}`, ` { "b" : 1.50 , "a" : [ "\u00e9" , { "x" : null } ] } `, `{"a":"\n"}`, `{"\ud83d\ude00":1e400}`, `{"a":{"b":{"c":{"d":{"e":{"f":{"g":{"h":1}}}}}}}}}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if !jsontext.Value(raw).IsValid() || jsontext.Value(raw).Kind() != jsontext.KindBeginObject {
			return
		}
		canonical, p := canonicalMetadata(raw)
		if p != nil {
			return
		}
		again, p := canonicalMetadata([]byte(canonical))
		if p != nil || again != canonical {
			t.Fatalf("%q becomes %q becomes %q, %v", raw, canonical, again, p)
		}
		if len(canonical) > ledger.MaxMetadata || !cleanText(canonical) {
			t.Fatalf("%q is accepted as %q", raw, canonical)
		}
		if meaning(t, raw) != meaning(t, []byte(canonical)) {
			t.Fatalf("%q changed its meaning to %q", raw, canonical)
		}
	})
}

// meaning writes JSON down with another library, numbers as they are.
func meaning(t *testing.T, text []byte) string {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
