package reconcile

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/google/uuid"

	"tallystick/ledger/chain"
	"tallystick/ledger/store"
	"tallystick/reconcile/report"
)

// The kinds of outputs.
const (
	ReportOutput   = "report"   // a document of package report
	FindingsOutput = "findings" // of a phase: PhaseFindings
	ResultOutput   = "result"   // what a phase computed, for people and programs
	StateOutput    = "state"    // what the next run begins with
)

// ErrNoOutput: the run has no output of that kind and name.
var ErrNoOutput = errors.New("there is no such output")

// Put keeps an output of the phase at work: a *report.Document under its own
// encoding, which Finish has completed, and anything else as JSON of its fields
// in their order. An output is put once.
func (n *Night) Put(kind, name string, v any) error {
	var encoded []byte
	var err error
	if doc, ok := v.(*report.Document); ok {
		encoded, err = report.Encode(doc)
	} else {
		encoded, err = canonicalJSON(v)
	}
	if err != nil {
		return fmt.Errorf("putting out %s %s: %w", kind, name, err)
	}
	return n.PutBytes(kind, name, encoded)
}

// PutBytes is Put of bytes that stand as they are.
func (n *Night) PutBytes(kind, name string, encoded []byte) error {
	same := func(o store.RunOutput) bool { return o.Kind == kind && o.Name == name }
	switch {
	case slices.ContainsFunc(n.outputs, same) || slices.ContainsFunc(n.kept, same):
		return fmt.Errorf("putting out %s %s: it is there already", kind, name)
	case len(encoded) > store.MaxOutput:
		return fmt.Errorf("putting out %s %s: %d bytes are more than %d", kind, name, len(encoded), store.MaxOutput)
	case len(n.outputs)+len(n.kept) == store.MaxOutputs:
		return fmt.Errorf("putting out %s %s: a run has at most %d outputs", kind, name, store.MaxOutputs)
	}
	o := store.RunOutput{Kind: kind, Name: name, SHA256: sha256.Sum256(encoded), Size: int64(len(encoded))}
	if n.again {
		n.bodies[kind+"\x00"+name] = encoded
	} else {
		var err error
		if o.Body, err = compress(encoded); err != nil {
			return fmt.Errorf("compressing %s %s: %w", kind, name, err)
		}
		if len(o.Body) > store.MaxOutputBody {
			return fmt.Errorf("putting out %s %s: %d bytes after compression are more than %d", kind, name, len(o.Body), store.MaxOutputBody)
		}
	}
	n.outputs = append(n.outputs, o)
	return nil
}

// canonicalJSON encodes v: nothing escaped that need not be, no white space, one
// line feed at the end. Maps are in order of their keys.
func canonicalJSON(v any) ([]byte, error) {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return out.Bytes(), err
}

func compress(plain []byte) ([]byte, error) {
	var body bytes.Buffer
	z := gzip.NewWriter(&body)
	if _, err := z.Write(plain); err != nil {
		return nil, err
	}
	err := z.Close()
	return body.Bytes(), err
}

// Output returns what an earlier phase of this run has put out, or ErrNoOutput.
func (n *Night) Output(ctx context.Context, kind, name string) ([]byte, error) {
	if n.again {
		if body, ok := n.bodies[kind+"\x00"+name]; ok {
			return body, nil
		}
		return nil, fmt.Errorf("reading %s %s: %w", kind, name, ErrNoOutput)
	}
	return ReadOutput(ctx, n.DB, n.RunID, kind, name)
}

// OutputNames returns the names of the outputs of a kind that earlier phases of
// this run have put out, in ascending order.
func (n *Night) OutputNames(kind string) []string {
	var names []string
	for i := range n.kept {
		if n.kept[i].Kind == kind {
			names = append(names, n.kept[i].Name)
		}
	}
	slices.Sort(names)
	return names
}

// Index: the primary key.
const readOutputSQL = `
select sha256, size, body from ops.run_outputs
where run_id = $1::uuid and kind = $2::text and name = $3::text`

// ReadOutput returns an output of a run, or ErrNoOutput. Bytes that are not those
// of their digest are an error; whether the digest is the one that the run entry
// binds is CheckOutputs' to say.
func ReadOutput(ctx context.Context, db *store.DB, run uuid.UUID, kind, name string) ([]byte, error) {
	var plain []byte
	found := false
	err := db.Scan(ctx, readOutputSQL, []any{run, kind, name}, func(r *store.Row) (err error) {
		found = true
		plain, err = openOutput(r.Hash(0), r.Int64(1), r.Bytes(2))
		return err
	})
	if err == nil && !found {
		err = ErrNoOutput
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s %s of run %s: %w", kind, name, run, err)
	}
	return plain, nil
}

// errOutput: what is stored is not what was put out.
var errOutput = errors.New("what is stored is not what was put out: its bytes do not have its digest")

// openOutput returns the bytes of a stored output.
func openOutput(digest chain.Hash, size int64, body []byte) ([]byte, error) {
	var plain bytes.Buffer
	found, err := unpackOutput(&plain, body, size)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", errOutput, err)
	case found != digest:
		return nil, errOutput
	}
	return plain.Bytes(), nil
}

// unpackOutput writes what a stored body holds, which is to have so many bytes, and
// returns its SHA-256.
func unpackOutput(to io.Writer, body []byte, size int64) (digest chain.Hash, err error) {
	if size < 0 || size > store.MaxOutput {
		return digest, fmt.Errorf("of %d bytes", size)
	}
	z, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return digest, err
	}
	h := sha256.New()
	switch n, err := io.Copy(io.MultiWriter(h, to), io.LimitReader(z, size+1)); {
	case err != nil:
		return digest, err
	case n != size:
		return digest, errors.New("of another length")
	}
	h.Sum(digest[:0])
	return digest, nil
}

// OutputsDigest is what a run entry binds as reports_sha256: SHA-256 over a line
// "kind name sha256" for each output, in ascending order of kind and name.
func OutputsDigest(outputs []store.RunOutput) chain.Hash {
	sorted := slices.Clone(outputs)
	slices.SortFunc(sorted, func(a, b store.RunOutput) int {
		if c := strings.Compare(a.Kind, b.Kind); c != 0 {
			return c
		}
		return strings.Compare(a.Name, b.Name)
	})
	h := sha256.New()
	for i := range sorted {
		fmt.Fprintf(h, "%s %s %s\n", sorted[i].Kind, sorted[i].Name, sorted[i].SHA256)
	}
	return chain.Hash(h.Sum(nil))
}

// Index: the primary key.
const listOutputsSQL = `
select kind, name, phase, sha256, size from ops.run_outputs
where run_id = $1::uuid
order by kind, name`

// listOutputs lists what a run has put out so far, without the bodies.
func listOutputs(ctx context.Context, db *store.DB, run uuid.UUID) ([]store.RunOutput, error) {
	var all []store.RunOutput
	err := retry(ctx, func() error {
		all = nil
		return db.Scan(ctx, listOutputsSQL, []any{run}, func(r *store.Row) error {
			all = append(all, store.RunOutput{Kind: string(r.Text(0)), Name: string(r.Text(1)), Phase: string(r.Text(2)), SHA256: r.Hash(3), Size: r.Int64(4)})
			return nil
		})
	})
	return all, wrap(fmt.Sprintf("listing what run %s put out", run), err)
}
