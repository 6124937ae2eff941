package api

import (
	"net/http"
	"strconv"

	"github.com/google/uuid"

	"tallystick/ledger"
)

// maxKeyHeader is the longest Idempotency-Key, in bytes.
const maxKeyHeader = 255

const keyHeader = "Idempotency-Key"

// headerKey returns the Idempotency-Key of a request, taken literally: quotes,
// backslashes and commas are part of it. It is empty when there is none.
func headerKey(h http.Header) (string, error) {
	values, ok := h[keyHeader]
	if !ok {
		return "", nil
	}
	if len(values) > 1 {
		return "", fieldProblem(codeKeyInvalid, keyHeader, "the header stands more than once")
	}
	key := values[0]
	if key == "" || len(key) > maxKeyHeader {
		return "", fieldProblem(codeKeyInvalid, keyHeader, "the key has %d bytes, 1 to %d are allowed", len(key), maxKeyHeader)
	}
	for i := range len(key) {
		if key[i] < '!' || key[i] > '~' {
			return "", fieldProblem(codeKeyInvalid, keyHeader, "the key has something other than visible ASCII at byte %d", i)
		}
	}
	return key, nil
}

// moneyRequestID returns the id of a request that moves money: that of the
// body, or the one derived from the header. With both, the header must be the
// id as text, in either case, or derive to it.
func moneyRequestID(h http.Header, id ledger.LedgerID, operation string, body uuid.UUID) (ledger.RequestID, error) {
	key, err := headerKey(h)
	if err != nil {
		return ledger.RequestID{}, err
	}
	given := ledger.RequestID{UUID: body}
	switch {
	case key == "" && body == uuid.Nil:
		return given, newProblem(codeKeyMissing, "a request that moves money needs an id in the body or an %s header; send it again with the same one after a failure", keyHeader)
	case key == "":
		return given, nil
	}
	derived := keyRequestID(id, operation, key)
	if body != uuid.Nil && derived != given && ledger.DeriveRequestID(id, operation, key) != given {
		return given, fieldProblem(codeKeyMismatch, keyHeader, "the header is neither the id in the body nor a key that derives to it; send one of the two")
	}
	if body != uuid.Nil {
		return given, nil
	}
	return derived, nil
}

// keyRequestID returns the id that a key stands for: itself when it is a UUID,
// so that an id means the same in the header, in the body and in both.
func keyRequestID(id ledger.LedgerID, operation, key string) ledger.RequestID {
	if u, err := uuid.Parse(key); err == nil && len(key) == len(u.String()) && u != uuid.Nil {
		return ledger.RequestID{UUID: u}
	}
	return ledger.DeriveRequestID(id, operation, key)
}

// accountRequestID returns the id of a request to open an account: derived from
// the header when there is one, else from the account's code, because an
// account opens once. item, when not empty, tells the items of a batch apart.
// No header can contain the control characters, so that the kinds of id never
// meet.
func accountRequestID(id ledger.LedgerID, key, item, code string) ledger.RequestID {
	switch {
	case key == "":
		return ledger.DeriveRequestID(id, ledger.OperationOpenAccount, "\x01code\x00"+code)
	case item == "":
		return keyRequestID(id, ledger.OperationOpenAccount, key)
	}
	return ledger.DeriveRequestID(id, ledger.OperationOpenAccount, "\x01item\x00"+key+"\x00"+item)
}

// itemRequestID returns the id of an item of a batch, derived from the header and
// its place.
func itemRequestID(id ledger.LedgerID, operation, key string, place int) ledger.RequestID {
	return ledger.DeriveRequestID(id, operation, "\x01item\x00"+key+"\x00"+strconv.Itoa(place))
}

// currencyRequestID returns the id of a request to define a currency: derived
// from the header when there is one, else from the currency's code.
func currencyRequestID(id ledger.LedgerID, key, code string) ledger.RequestID {
	if key != "" {
		return keyRequestID(id, ledger.OperationDefineCurrency, key)
	}
	return ledger.DeriveRequestID(id, ledger.OperationDefineCurrency, "\x01code\x00"+code)
}

// freshRequestID returns the id of a request that may come again later and then
// means something else: derived from the header when there is one, else a fresh
// one. keyed says which.
func freshRequestID(h http.Header, id ledger.LedgerID, operation string) (request ledger.RequestID, keyed bool, err error) {
	key, err := headerKey(h)
	switch {
	case err != nil:
		return request, false, err
	case key == "":
		request, err = ledger.NewRequestID()
		return request, false, err
	}
	return keyRequestID(id, operation, key), true, nil
}
