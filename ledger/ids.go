package ledger

import (
	"fmt"

	"github.com/google/uuid"
)

// LedgerID names a ledger for ever, also outside this installation.
type LedgerID struct{ uuid.UUID }

// AccountID names an account; a UUIDv7, so that new accounts are neighbours in
// every index.
type AccountID struct{ uuid.UUID }

// RequestID is the idempotency key of a request: one id, one entry, one body
// (I8). It is unique within a ledger across all kinds of request.
type RequestID struct{ uuid.UUID }

// KeyID is the API key on whose behalf something happened.
type KeyID struct{ uuid.UUID }

// NewLedgerID makes a fresh UUIDv7.
func NewLedgerID() (LedgerID, error) {
	u, err := newV7()
	return LedgerID{u}, err
}

// NewAccountID makes a fresh UUIDv7.
func NewAccountID() (AccountID, error) {
	u, err := newV7()
	return AccountID{u}, err
}

// NewRequestID makes a fresh UUIDv7 for a request that came without a key.
func NewRequestID() (RequestID, error) {
	u, err := newV7()
	return RequestID{u}, err
}

// NewKeyID makes a fresh UUIDv7.
func NewKeyID() (KeyID, error) {
	u, err := newV7()
	return KeyID{u}, err
}

func newV7() (uuid.UUID, error) {
	u, err := uuid.NewV7()
	if err != nil {
		return u, fmt.Errorf("making a UUIDv7: %w", err)
	}
	return u, nil
}

// DeriveRequestID maps an idempotency key to a request id: the UUIDv5 (RFC 9562)
// in the namespace of the ledger over operation, a zero byte and key.
func DeriveRequestID(ledger LedgerID, operation, key string) RequestID {
	return RequestID{uuid.NewSHA1(ledger.UUID, []byte(operation+"\x00"+key))}
}
