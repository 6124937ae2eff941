package api

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"strings"
)

// A cursor says where a list goes on. To clients it is opaque: base64url over
//
//	version (1 byte) ‖ hash of the list and its filters (8 bytes) ‖ position
//
// The hash ties it to the list that it came from; with other filters it is
// refused. It protects from mistakes, not from forgery: a position is no
// secret, and reading from another one shows nothing that a filter would hide.
const (
	cursorVersion  = 1
	cursorListSize = 8
	cursorHeader   = 1 + cursorListSize
	maxCursorText  = 256
)

// listID names a list and its filters: every part counts, and so does where
// one ends and the next begins.
func listID(parts ...string) [cursorListSize]byte {
	h := sha256.New()
	for _, part := range parts {
		var size [8]byte
		binary.BigEndian.PutUint64(size[:], uint64(len(part)))
		h.Write(size[:])
		h.Write([]byte(part))
	}
	return [cursorListSize]byte(h.Sum(nil)[:cursorListSize])
}

// newCursor returns the cursor of a position in a list.
func newCursor(list [cursorListSize]byte, position string) string {
	b := append([]byte{cursorVersion}, list[:]...)
	return base64.RawURLEncoding.EncodeToString(append(b, position...))
}

// position returns where the cursor text says that the list goes on.
func position(list [cursorListSize]byte, text string) (string, error) {
	if len(text) > maxCursorText {
		return "", cursorInvalid()
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || strings.ContainsAny(text, "\r\n") || len(b) <= cursorHeader || b[0] != cursorVersion {
		return "", cursorInvalid()
	}
	if [cursorListSize]byte(b[1:cursorHeader]) != list {
		return "", fieldProblem(codeCursorInvalid, "cursor", "the cursor belongs to another list or to other filters; begin without a cursor")
	}
	return string(b[cursorHeader:]), nil
}

// seqCursor and seqPosition are for lists in the order of a number.
func seqCursor(list [cursorListSize]byte, next int64) string {
	return newCursor(list, string(binary.BigEndian.AppendUint64(nil, uint64(next))))
}

func seqPosition(list [cursorListSize]byte, text string) (int64, error) {
	p, err := position(list, text)
	if err != nil {
		return 0, err
	}
	if len(p) != 8 || p[0]&0x80 != 0 {
		return 0, cursorInvalid()
	}
	return int64(binary.BigEndian.Uint64([]byte(p))), nil
}

func cursorInvalid() *problem {
	return fieldProblem(codeCursorInvalid, "cursor", "this is not a cursor of this list; pass on next as it came, or begin without a cursor")
}
