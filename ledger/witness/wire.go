package witness

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"tallystick/ledger/chain"
)

// Bounds of a request.
const (
	// MaxProof is the most hashes of a consistency proof: a tree has fewer than
	// 2^63 leaves.
	MaxProof = 63
	// MaxRequest is the most bytes of a request: the old size, a proof line for
	// each hash, an empty line and a checkpoint.
	MaxRequest = maxOldLine + MaxProof*proofLine + 1 + chain.MaxCheckpoint

	maxOldLine = len("old 9223372036854775807\n")
	proofLine  = 45 // 32 bytes in base64, and the end of the line
)

// addPath is where checkpoints are offered, below the submission prefix.
const addPath = "/add-checkpoint"

// sizeType is the Content-Type of an answer that says which size a witness has.
const sizeType = "text/x.tlog.size"

// ErrMalformed: the request is none of C2SP tlog-witness, or says that it
// extends a tree larger than its own.
var ErrMalformed = errors.New("not a request for a cosignature")

// Request offers a checkpoint to a witness: the tree at OldSize, which the
// witness has cosigned, grew to that of the checkpoint, as Proof shows.
type Request struct {
	OldSize    int64        // 0: the witness has cosigned nothing of this origin
	Proof      []chain.Hash // RFC 6962 §2.1.2; empty from 0, and to the same size
	Checkpoint []byte       // signed by the log
}

// Marshal returns the body of the request.
func (r Request) Marshal() []byte {
	var b bytes.Buffer
	b.WriteString("old " + strconv.FormatInt(r.OldSize, 10) + "\n")
	for _, h := range r.Proof {
		b.WriteString(base64.StdEncoding.EncodeToString(h[:]) + "\n")
	}
	b.WriteByte('\n')
	b.Write(r.Checkpoint)
	return b.Bytes()
}

// ParseRequest reads what Marshal returned, and nothing else; the checkpoint is
// not looked at. The error is ErrMalformed.
func ParseRequest(body []byte) (Request, error) {
	if len(body) > MaxRequest {
		return Request{}, fmt.Errorf("reading a request of %d bytes, more than %d: %w", len(body), MaxRequest, ErrMalformed)
	}
	head, checkpoint, ok := strings.Cut(string(body), "\n\n")
	if !ok {
		return Request{}, fmt.Errorf("reading a request without an empty line before the checkpoint: %w", ErrMalformed)
	}
	lines := strings.Split(head, "\n")
	if len(lines)-1 > MaxProof {
		return Request{}, fmt.Errorf("reading a proof of %d hashes, more than %d: %w", len(lines)-1, MaxProof, ErrMalformed)
	}
	size, ok := strings.CutPrefix(lines[0], "old ")
	old, err := parseSize(size)
	if !ok || err != nil {
		return Request{}, fmt.Errorf("reading the first line: it is \"old <size>\", without leading zeros: %w", ErrMalformed)
	}
	r := Request{OldSize: old, Checkpoint: []byte(checkpoint)}
	for i, line := range lines[1:] {
		raw, err := base64.StdEncoding.Strict().DecodeString(line)
		if err != nil || len(raw) != len(chain.Hash{}) || len(line) != proofLine-1 {
			return Request{}, fmt.Errorf("reading hash %d of the proof: it is 32 bytes in base64: %w", i+1, ErrMalformed)
		}
		r.Proof = append(r.Proof, chain.Hash(raw))
	}
	return r, nil
}

// parseSize reads a size in its only spelling.
func parseSize(text string) (int64, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 || strconv.FormatInt(n, 10) != text {
		return 0, fmt.Errorf("reading the size %q: %w", text, ErrMalformed)
	}
	return n, nil
}

// signatureLines returns the signature lines of a signed note, without their
// ends, and the text before them with its empty line.
func signatureLines(signed []byte) (text string, lines []string) {
	i := bytes.LastIndex(signed, []byte("\n\n"))
	if i < 0 {
		return string(signed), nil
	}
	return string(signed[:i+2]), strings.FieldsFunc(string(signed[i+2:]), func(r rune) bool { return r == '\n' })
}

// keyOf returns the id of the key that a signature line claims to be by, as
// chain.VerifierKey.ID has it; empty if the line is none.
func keyOf(line string) string {
	name, signature, _ := strings.Cut(strings.TrimPrefix(line, "— "), " ")
	raw, err := base64.StdEncoding.DecodeString(signature)
	if err != nil || len(raw) <= 4 {
		return ""
	}
	return fmt.Sprintf("%s+%x", name, raw[:4])
}

// lineBy reports whether a signature line claims to be by the key.
func lineBy(line string, key chain.VerifierKey) bool { return keyOf(line) == key.ID() }
