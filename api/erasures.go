package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"

	"tallystick/ledger"
	"tallystick/ledger/chain"
	"tallystick/ledger/store"
)

// Erasing is two steps: the erasure is put on record, and then the text is
// deleted by a role that can do nothing else. What fails in between is finished
// by the same request again, or by a server that looks for it; until then
// tallystick verify says PAYLOAD_NOT_ERASED.

// eraseEntry answers POST /v1/ledgers/{ledger}/entries/{seq}/erase.
func (h *handlers) eraseEntry(x *exchange) error {
	if err := h.findLedger(x); err != nil {
		return err
	}
	dry, err := x.dryRun()
	if err != nil {
		return err
	}
	seq, ok := parseSeq(x.param("seq"))
	if !ok {
		return newProblem(ledger.CodeEntryNotFound, "entries are named by their seq, a whole number from 0 on")
	}
	erase, err := x.erasure()
	if err != nil {
		return err
	}
	e, err := h.DB.Entry(x.req.Context(), x.ledger, seq)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return newProblem(ledger.CodeEntryNotFound, "this ledger has no entry %d yet", seq)
	case err != nil:
		return fmt.Errorf("reading entry %d: %w", seq, err)
	}
	if erase.ID, _, err = freshRequestID(x.req.Header, x.ledger, ledger.OperationErase); err != nil {
		return err
	}
	erase.Target = e.RequestID()
	x.identify(&erase.Common)
	if dry {
		return h.rehearseErasure(x, erase, seq)
	}
	outcome, err := h.Poster.Submit(x.req.Context(), x.ledger, erase)
	switch {
	case err != nil:
		return fmt.Errorf("erasing the text of entry %d: %w", seq, err)
	case outcome.Refusal != nil:
		return refused(outcome.Refusal)
	}
	status := x.changed(outcome)
	if err := h.deleteTexts(x, seq); err != nil {
		return err
	}
	return h.sendErasure(x, seq, status)
}

// rehearseErasure answers a dry run.
func (h *handlers) rehearseErasure(x *exchange, erase *ledger.EraseText, seq int64) error {
	outcomes, err := h.Poster.Rehearse(x.req.Context(), x.ledger, []ledger.Request{erase})
	if err != nil {
		return fmt.Errorf("rehearsing the erasure of entry %d: %w", seq, err)
	}
	if o := outcomes[0]; o.Unchanged {
		return h.sendErasure(x, seq, 200)
	}
	return x.sendRehearsed(outcomes[0])
}

// erasure reads why text is erased.
func (x *exchange) erasure() (*ledger.EraseText, error) {
	r, err := newReader(x.req)
	if err != nil {
		return nil, err
	}
	defer r.release()
	erase := &ledger.EraseText{}
	r.begin('{')
	for r.next() {
		switch string(r.name) {
		case "basis":
			erase.Basis = r.word()
		case "case":
			erase.Case = r.optionalText(ledger.MaxErasureCase)
		default:
			r.unknown()
		}
	}
	if erase.Basis == "" {
		r.missing("basis")
	}
	return erase, r.end()
}

// word reads a word as details have it.
func (r *reader) word() string {
	s := string(r.bytes("a word"))
	if !chain.ValidWord(s) {
		r.fail(codeValueInvalid, "a word is 1 to %d of a to z, 0 to 9 and '_', such as gdpr_17", chain.MaxWord)
	}
	return s
}

// deleteTexts deletes the texts of entries whose erasure is on record. The end
// of the request does not stop it half-way.
func (h *handlers) deleteTexts(x *exchange, seqs ...int64) error {
	if len(seqs) == 0 {
		return nil
	}
	if err := h.Erase(context.WithoutCancel(x.req.Context()), x.ledger, seqs); err != nil {
		x.header.Del("Location")
		return &problem{code: codeErasureUnfinished, cause: err,
			detail: "the erasure is on record, but the text could not be deleted yet; send the request again"}
	}
	return nil
}

// sendErasure answers with the erasure of an entry that is on record.
func (h *handlers) sendErasure(x *exchange, seq int64, status int) error {
	by, err := h.DB.Erasures(x.req.Context(), x.ledger, []int64{seq})
	if err != nil {
		return fmt.Errorf("reading the erasure of entry %d: %w", seq, err)
	}
	e, err := h.DB.Entry(x.req.Context(), x.ledger, by[seq])
	if err != nil {
		return fmt.Errorf("reading the erasure of entry %d: %w", seq, err)
	}
	x.out = appendErasure(x.out, &e)
	return x.send(status)
}

// appendErasure appends what is on record of an erasure.
func appendErasure(b []byte, e *ledger.Entry) []byte {
	r := e.Record()
	b = strconv.AppendInt(append(b, `{"seq":`...), *r.RefSeq, 10)
	b = strconv.AppendInt(append(b, `,"erased_at_seq":`...), r.Seq, 10)
	b = appendTime(append(b, `,"recorded_at":`...), r.RecordedAt)
	b = appendString(append(b, `,"basis":`...), detail(e, "basis"))
	if number := detail(e, "case"); number != "" {
		b = appendString(append(b, `,"case":`...), number)
	}
	return append(b, '}')
}

// erasedPage is how many entries of an account are erased in one go.
const erasedPage = 100

// eraseAccountName answers POST /v1/ledgers/{ledger}/accounts/{account}/erase: the
// name of an account is erased in every entry that carries it. An entry of which
// that is refused, because it was tampered with, keeps no other from it.
func (h *handlers) eraseAccountName(x *exchange) error {
	if q := x.query(); q.err != nil {
		return q.err
	}
	erase, err := x.erasure()
	if err != nil {
		return err
	}
	key, err := headerKey(x.req.Header)
	if err != nil {
		return err
	}
	a, err := h.account(x)
	if err != nil {
		return err
	}
	var seqs []int64
	var stays *ledger.Refusal
	for after := int64(-1); ; {
		named, last, err := h.DB.NamedVersions(x.req.Context(), x.ledger, ledger.AccountID{UUID: a.AccountID}, after, erasedPage)
		if err != nil {
			return fmt.Errorf("reading the names of account %s: %w", a.Code, err)
		}
		if last == after {
			break
		}
		after = last
		erased, refusal, err := h.eraseNames(x, erase, key, named)
		if err != nil {
			return err
		}
		seqs, stays = append(seqs, erased...), cmp.Or(stays, refusal)
	}
	switch {
	case stays != nil:
		return refused(stays)
	case len(seqs) == 0:
		return newProblem(ledger.CodeNothingToErase, "no entry of account %s carries a name", a.Code)
	}
	x.out = appendString(append(x.out, `{"account":`...), a.Code)
	x.out = append(x.out, `,"seqs":[`...)
	for i, seq := range seqs {
		x.out = strconv.AppendInt(appendComma(x.out, i), seq, 10)
	}
	x.out = append(x.out, "]}"...)
	return x.send(200)
}

// eraseNames erases the text of entries that carry a name. It returns those whose
// text is gone, and the first refusal.
func (h *handlers) eraseNames(x *exchange, like *ledger.EraseText, key string, named []ledger.Entry) (erased []int64, refusal *ledger.Refusal, err error) {
	requests := make([]ledger.Request, len(named))
	for i := range named {
		erase := &ledger.EraseText{Target: named[i].RequestID(), Basis: like.Basis, Case: like.Case}
		if erase.ID = itemRequestID(x.ledger, ledger.OperationErase, key, int(named[i].Seq())); key == "" {
			erase.ID, err = ledger.NewRequestID()
		}
		if err != nil {
			return nil, nil, err
		}
		x.identify(&erase.Common)
		requests[i] = erase
	}
	if len(requests) == 0 {
		return nil, nil, nil
	}
	for i, result := range h.Poster.SubmitAll(x.req.Context(), x.ledger, requests) {
		seq := named[i].Seq()
		switch {
		case result.Err != nil:
			err = cmp.Or(err, fmt.Errorf("erasing the text of entry %d: %w", seq, result.Err))
		case result.Refusal != nil:
			refusal = cmp.Or(refusal, result.Refusal)
		default:
			erased = append(erased, seq)
		}
	}
	// What is on record is deleted, whatever became of the others.
	return erased, refusal, cmp.Or(err, h.deleteTexts(x, erased...))
}
