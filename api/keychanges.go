package api

import (
	"fmt"
	"strconv"
	"strings"

	"tallystick/ledger"
	"tallystick/ledger/chain"
)

// changeKey answers POST /v1/ledgers/{ledger}/keys.
func (h *handlers) changeKey(x *exchange) error {
	var change *ledger.ChangeKey
	err := h.asked(x, ledger.OperationChangeKey, x.body, func(r *reader) *ledger.Common {
		change = decodeKeyChange(r)
		return &change.Common
	})
	if err != nil {
		return err
	}
	outcome, err := h.Poster.Submit(x.req.Context(), x.ledger, change)
	switch {
	case err != nil:
		return fmt.Errorf("changing key %s: %w", change.Key, err)
	case outcome.Refusal != nil:
		return refused(outcome.Refusal)
	}
	return h.sendKey(x, change.Role, change.Key, x.changed(outcome))
}

// changed notes the entry that a request became, if it did, and returns the
// status of the answer: 200 where what was asked for was so before.
func (x *exchange) changed(o ledger.Outcome) int {
	if o.Entry == nil {
		return 200
	}
	x.entrySeq, x.replayed = o.Entry.Seq(), o.Replayed
	if o.Replayed {
		x.header["Idempotent-Replayed"] = []string{"true"}
		return 200
	}
	x.header["Location"] = []string{x.location(o.Entry)}
	return 201
}

// decodeKeyChange reads which key begins or ends to be valid. The id of a signer
// that is added may be left out: its public key has it.
func decodeKeyChange(r *reader) *ledger.ChangeKey {
	k := &ledger.ChangeKey{}
	r.begin('{')
	for r.next() {
		switch string(r.name) {
		case "action":
			k.Action = r.oneOf(chain.KeyAdd, chain.KeyRetire, chain.KeyRevoke)
		case "role":
			k.Role = r.oneOf(chain.RoleSigner, chain.RoleAPI)
		case "key_id":
			k.Key = r.text(1, ledger.MaxKeyText)
		case "public_key":
			k.PublicKey = r.text(1, ledger.MaxKeyText)
		case "scopes":
			k.Scopes = decodeScopes(r)
		case "overlap_until":
			k.OverlapUntil = r.date()
		case "description":
			k.Description = r.optionalText(ledger.MaxDescription)
		default:
			r.unknown()
		}
	}
	if key, err := chain.ParseLogKey(k.PublicKey); err == nil && k.Key == "" {
		k.Key = key.ID()
	}
	added := k.Action == chain.KeyAdd
	switch {
	case k.Action == "":
		r.missing("action")
	case k.Role == "":
		r.missing("role")
	case added && k.Role == chain.RoleSigner && k.PublicKey == "":
		r.missing("public_key")
	case added && k.Role == chain.RoleAPI && k.Scopes == "":
		r.missing("scopes")
	case k.Key == "" && k.PublicKey == "":
		r.missing("key_id")
	}
	return k
}

// maxScopes is how many scopes a key is put on record with.
const maxScopes = 8

// decodeScopes reads words in ascending order, as entries have them.
func decodeScopes(r *reader) string {
	var words []string
	r.begin('[')
	for r.more(']') {
		if len(words) == maxScopes {
			r.fail(codeItemCount, "a key has at most %d scopes", maxScopes)
		}
		words = append(words, r.oneOf("admin", "approve", "post", "read"))
	}
	return strings.Join(words, ",")
}

// oneOf reads one of some words.
func (r *reader) oneOf(words ...string) string {
	s := string(r.bytes("one of " + strings.Join(words, ", ")))
	for _, word := range words {
		if s == word {
			return word
		}
	}
	r.fail(codeValueInvalid, "this is one of %s", strings.Join(words, ", "))
	return ""
}

// keyRecord is a key that was added, and the entries that ended it, if any did.
type keyRecord struct {
	added, retired, revoked *ledger.Entry
}

// sendKey answers with what is on record of a key.
func (h *handlers) sendKey(x *exchange, role, id string, status int) error {
	entries, err := h.rules(x, chain.KeyChanged)
	if err != nil {
		return err
	}
	records := keyRecordsOf(entries)
	for i := len(records) - 1; i >= 0; i-- {
		if k := &records[i]; detail(k.added, "role") == role && detail(k.added, "key_id") == id {
			x.out = appendKeyRecord(x.out, k)
			return x.send(status)
		}
	}
	return fmt.Errorf("reading key %s: its addition is not there", id)
}

// listKeys answers GET /v1/ledgers/{ledger}/keys, in the order of addition.
func (h *handlers) listKeys(x *exchange) error {
	if err := h.findLedger(x); err != nil {
		return err
	}
	q := x.query("role", "limit", "cursor")
	role := q.text("role", ledger.MaxKeyText)
	if role != "" && role != chain.RoleSigner && role != chain.RoleAPI {
		q.fail(codeInvalidParameter, "role", "a role is %s or %s", chain.RoleSigner, chain.RoleAPI)
	}
	limit, list := q.limit(), listID("keys", x.ledger.String(), role)
	from := q.from(list, 0)
	if q.err != nil {
		return q.err
	}
	entries, err := h.rules(x, chain.KeyChanged)
	if err != nil {
		return err
	}
	var records []keyRecord
	for _, k := range keyRecordsOf(entries) {
		if role == "" || detail(k.added, "role") == role {
			records = append(records, k)
		}
	}
	page, next := pageOf(records, func(k *keyRecord) int64 { return k.added.Seq() }, from, limit, list)
	x.out = appendList(x.out, page, next, appendKeyRecord)
	return x.send(200)
}

// keyRecordsOf puts additions and what ended them together. A key that was
// retired and added again stands twice.
func keyRecordsOf(entries []ledger.Entry) []keyRecord {
	var records []keyRecord
	newest := make(map[[2]string]int)
	for i := range entries {
		e := &entries[i]
		name := [2]string{detail(e, "role"), detail(e, "key_id")}
		action := detail(e, "action")
		if action == chain.KeyAdd {
			newest[name] = len(records)
			records = append(records, keyRecord{added: e})
			continue
		}
		place, ok := newest[name]
		switch {
		case !ok: // no version of this software writes that
		case action == chain.KeyRetire:
			records[place].retired = e
		case action == chain.KeyRevoke:
			records[place].revoked = e
		}
	}
	return records
}

// appendKeyRecord appends what is on record of a key.
func appendKeyRecord(b []byte, k *keyRecord) []byte {
	b = appendString(append(b, `{"key_id":`...), detail(k.added, "key_id"))
	b = appendString(append(b, `,"role":`...), detail(k.added, "role"))
	status := "valid"
	switch {
	case k.revoked != nil:
		status = "revoked"
	case k.retired != nil:
		status = "retired"
	}
	b = appendString(append(b, `,"status":`...), status)
	if public := detail(k.added, "public_key"); public != "" {
		b = appendString(append(b, `,"public_key":`...), public)
	}
	if scopes := detail(k.added, "scopes"); scopes != "" {
		b = append(b, `,"scopes":[`...)
		for i, word := range strings.Split(scopes, ",") {
			b = appendString(appendComma(b, i), word)
		}
		b = append(b, ']')
	}
	if day := detail(k.added, "overlap_until"); day != "" {
		b = appendString(append(b, `,"overlap_until":`...), day)
	}
	b = strconv.AppendInt(append(b, `,"added_at_seq":`...), k.added.Seq(), 10)
	if k.retired != nil {
		b = strconv.AppendInt(append(b, `,"retired_at_seq":`...), k.retired.Seq(), 10)
	}
	if k.revoked != nil {
		b = strconv.AppendInt(append(b, `,"revoked_at_seq":`...), k.revoked.Seq(), 10)
	}
	return append(b, '}')
}
