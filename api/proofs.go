package api

import (
	"errors"
	"fmt"
	"mime"
	"strconv"
	"strings"

	"tallystick/ledger"
	"tallystick/ledger/chain"
	"tallystick/ledger/store"
)

// sealed is a checkpoint and the note that it was signed as. No signature is
// looked at here: whoever gets the note does that.
type sealed struct {
	chain.Checkpoint
	note []byte
}

// openSealed reads a stored note, which must be of that size.
func openSealed(note []byte, size int64) (sealed, error) {
	s, err := chain.OpenCheckpoint(note)
	if err != nil && !errors.Is(err, chain.ErrUnknownKey) || s.Size != size {
		return sealed{}, fmt.Errorf("reading the checkpoint stored for size %d: %w", size, errors.Join(err, store.ErrDamaged))
	}
	return sealed{s.Checkpoint, note}, nil
}

// sealedAt returns the newest checkpoint, or the one of a size that is not −1.
func (h *handlers) sealedAt(x *exchange, size int64) (sealed, error) {
	if size < 0 {
		shown, err := h.shown(x)
		if err != nil {
			return sealed{}, err
		}
		return openSealed(shown.Note, shown.Size)
	}
	c, err := h.DB.FirstCheckpoint(x.req.Context(), x.ledger.UUID, size)
	switch {
	case errors.Is(err, store.ErrNotFound), err == nil && c.Size != size:
		return sealed{}, newProblem(codeNoCheckpoint, "no checkpoint of this ledger has size %d", size)
	case err != nil:
		return sealed{}, err
	}
	return openSealed(c.Note, size)
}

// tree returns the reader of the tree below a checkpoint, for as long as the
// request.
func (h *handlers) tree(x *exchange, size int64) chain.ReadNodes {
	return h.DB.Nodes(x.req.Context(), x.ledger.UUID).ByTile(size)
}

// entryProof answers GET /v1/ledgers/{ledger}/proof/entry/{seq}.
func (h *handlers) entryProof(x *exchange) error {
	q := x.query("size", "format")
	size, asFile := q.seq("size"), q.wantsFile(x.req.Header["Accept"])
	if q.err != nil {
		return q.err
	}
	if err := h.findLedger(x); err != nil {
		return err
	}
	seq, ok := parseSeq(x.param("seq"))
	if !ok {
		return newProblem(ledger.CodeEntryNotFound, "entries are named by their seq, a whole number from 0 on")
	}
	e, err := h.DB.Entry(x.req.Context(), x.ledger, seq)
	missing := errors.Is(err, store.ErrNotFound)
	if err != nil && !missing {
		return fmt.Errorf("reading entry %d: %w", seq, err)
	}
	under, err := h.sealedAt(x, size)
	p, refused := errors.AsType[*problem](err)
	switch {
	case missing && err == nil && seq < under.Size:
		return fmt.Errorf("reading entry %d, which a checkpoint covers: it is gone: %w", seq, store.ErrDamaged)
	case missing:
		return newProblem(ledger.CodeEntryNotFound, "this ledger has no entry %d yet", seq)
	case refused && p.code == codeNoCheckpoint && size < 0:
		return newProblem(codeNotSealed, "nothing of this ledger has been signed yet; try again soon")
	case err != nil:
		return err
	case seq >= under.Size && size >= 0:
		return fieldProblem(codeInvalidParameter, "size", "a checkpoint of size %d does not cover entry %d", size, seq)
	case seq >= under.Size:
		return newProblem(codeNotSealed, "the newest checkpoint is of size %d and does not cover entry %d yet; try again soon", under.Size, seq)
	}
	receipt, err := proveEntry(&e, under, h.tree(x, under.Size))
	if err != nil {
		return err
	}
	x.entrySeq = seq
	if asFile {
		name := x.c.Param("ledger") + "-" + strconv.FormatInt(seq, 10) + ".tlog-proof"
		x.header["Content-Disposition"] = []string{mime.FormatMediaType("attachment", map[string]string{"filename": name})}
		x.out = append(x.out, receipt.Marshal()...)
		return x.sendAs(200, noteType)
	}
	x.out = appendSealed(append(x.out, '{'), under)
	x.out = strconv.AppendInt(append(x.out, `,"index":`...), seq, 10)
	x.out = appendHash(append(x.out, `,"leaf":`...), e.Hash())
	x.out = appendHashes(append(x.out, `,"hashes":`...), receipt.Proof)
	x.out = appendString(append(x.out, `,"checkpoint":`...), under.note)
	x.out = append(x.out, '}')
	return x.send(200)
}

// The forms of a proof.
const (
	formatJSON = "json"
	formatFile = "tlog-proof"
)

// wantsFile reports whether a proof is asked for as a .tlog-proof file: by the
// parameter, or by what an Accept header names first.
func (q *query) wantsFile(accept []string) bool {
	switch format, ok := q.values["format"]; {
	case ok && format != formatJSON && format != formatFile:
		q.fail(codeInvalidParameter, "format", "a proof comes as %s or %s", formatJSON, formatFile)
		return false
	case ok:
		return format == formatFile
	}
	for _, list := range accept {
		for media := range strings.SplitSeq(list, ",") {
			switch name, _, _ := strings.Cut(media, ";"); strings.TrimSpace(name) {
			case "text/plain":
				return true
			case "application/json", "*/*", "application/*":
				return false
			}
		}
	}
	return false
}

// appendSealed appends what a checkpoint says, without braces.
func appendSealed(b []byte, s sealed) []byte {
	b = appendString(append(b, `"origin":`...), s.Origin)
	b = strconv.AppendInt(append(b, `,"size":`...), s.Size, 10)
	return appendHash(append(b, `,"root":`...), s.Root)
}

func appendHashes(b []byte, hashes []chain.Hash) []byte {
	b = append(b, '[')
	for i, h := range hashes {
		b = appendHash(appendComma(b, i), h)
	}
	return append(b, ']')
}

// consistencyProof answers GET /v1/ledgers/{ledger}/proof/consistency.
func (h *handlers) consistencyProof(x *exchange) error {
	q := x.query("from", "to")
	from, to := q.seq("from"), q.seq("to")
	switch {
	case q.err != nil:
		return q.err
	case from < 0:
		return fieldProblem(codeInvalidParameter, "from", "the parameter is missing: give the size of the checkpoint that you hold")
	case from == 0:
		return fieldProblem(codeEmptyBaseline, "from", "a proof from size 0 would prove nothing: every tree extends the empty one")
	case to >= 0 && to < from:
		return fieldProblem(codeInvalidParameter, "to", "a ledger does not shrink: to is at least from")
	}
	if err := h.findLedger(x); err != nil {
		return err
	}
	newest, err := h.sealedAt(x, -1)
	if err != nil {
		return err
	}
	if to < 0 {
		to = newest.Size
	}
	if from > newest.Size || to > newest.Size {
		return newProblem(codeNotSealed, "the newest checkpoint is of size %d; there is no proof beyond it", newest.Size)
	}
	read := h.tree(x, to)
	hashes, err := chain.ProveConsistency(from, to, read)
	if err != nil {
		return damagedTree(err)
	}
	fromRoot, err := h.rootAt(x, newest, from, read)
	if err != nil {
		return err
	}
	toRoot, err := h.rootAt(x, newest, to, read)
	if err != nil {
		return err
	}
	if err := chain.VerifyConsistency(from, to, fromRoot, toRoot, hashes); err != nil {
		return damagedTree(err)
	}
	x.out = appendString(append(x.out, `{"origin":`...), newest.Origin)
	x.out = strconv.AppendInt(append(x.out, `,"from":`...), from, 10)
	x.out = appendHash(append(x.out, `,"from_root":`...), fromRoot)
	x.out = strconv.AppendInt(append(x.out, `,"to":`...), to, 10)
	x.out = appendHash(append(x.out, `,"to_root":`...), toRoot)
	x.out = appendHashes(append(x.out, `,"hashes":`...), hashes)
	return h.sendBehind(x, newest, to)
}

// sendBehind ends an answer with the note of the checkpoint of a size, null when
// none was signed at it.
func (h *handlers) sendBehind(x *exchange, newest sealed, size int64) error {
	under := newest
	if size != newest.Size {
		var err error
		under, err = h.sealedAt(x, size)
		if p, refused := errors.AsType[*problem](err); err != nil && (!refused || p.code != codeNoCheckpoint) {
			return err
		}
	}
	x.out = append(x.out, `,"checkpoint":`...)
	if under.note == nil {
		x.out = append(x.out, "null"...)
	} else {
		x.out = appendString(x.out, under.note)
	}
	x.out = append(x.out, '}')
	return x.send(200)
}

// rootAt returns the root of the first size entries: that of the newest
// checkpoint, or else from stored nodes.
func (h *handlers) rootAt(x *exchange, newest sealed, size int64, read chain.ReadNodes) (chain.Hash, error) {
	if size == newest.Size {
		return newest.Root, nil
	}
	f, err := chain.FrontierAt(size, read)
	if err != nil {
		return chain.Hash{}, damagedTree(err)
	}
	return f.Root(), nil
}
