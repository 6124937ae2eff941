package report

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Encode returns the canonical JSON of a finished document, which is what is stored and hashed: the members in the order
// of the types' fields, nothing escaped that need not be, no white space, one line feed at the end.
func Encode(doc *Document) ([]byte, error) {
	if err := doc.Check(); err != nil {
		return nil, err
	}
	out := &bytes.Buffer{}
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(doc); err != nil {
		return nil, fmt.Errorf("encoding report %s: %w", doc.Name, err)
	}
	return out.Bytes(), nil
}

// Digest returns the SHA-256 of the canonical JSON.
func Digest(doc *Document) ([sha256.Size]byte, error) {
	encoded, err := Encode(doc)
	if err != nil {
		return [sha256.Size]byte{}, err
	}
	return sha256.Sum256(encoded), nil
}

// Decode reads a document from JSON. It takes nothing that Encode would not write, but for white space and the order of
// members: an unknown member, or a control total that is not that of the rows, is an error.
func Decode(encoded []byte) (*Document, error) {
	decoder := json.NewDecoder(bytes.NewReader(encoded))
	decoder.DisallowUnknownFields()
	doc := &Document{}
	if err := decoder.Decode(doc); err != nil {
		return nil, fmt.Errorf("decoding a report: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("decoding report %s: something follows it", doc.Name)
	}
	if err := doc.Check(); err != nil {
		return nil, err
	}
	return doc, nil
}
