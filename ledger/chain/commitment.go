package chain

import (
	"crypto/hmac"
	"crypto/sha256"
)

// SaltSize is the length in bytes of the random salt of an entry. A verifier
// refuses any other length: HMAC pads a short key with zeros, so that salts of
// different lengths can commit alike.
const SaltSize = 32

// Field says which text of an entry a commitment is about.
type Field byte

// The fields, with the tag bytes that are hashed. FieldRequest is the
// fingerprint of the request, which is kept beside the text and is not bound
// in the entry.
const (
	FieldDescription Field = 1
	FieldReference   Field = 2
	FieldMetadata    Field = 3
	FieldRequest     Field = 4
)

// Commitment returns HMAC-SHA-256 with key salt over the tag byte of field
// followed by text. Entries bind it in place of the text, so that text and salt
// can be erased and the chain still holds: without the salt, which is SaltSize
// random bytes, the commitment says nothing about the text, however short.
func Commitment(salt []byte, field Field, text string) Hash {
	mac := hmac.New(sha256.New, salt)
	mac.Write(append([]byte{byte(field)}, text...))
	var h Hash
	mac.Sum(h[:0])
	return h
}
