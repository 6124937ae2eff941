package api

import (
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/google/uuid"

	"tallystick/ledger"
)

// Bounds of a batch of transfers.
const (
	// MaxTransferBatch is how many transfers one request may have.
	MaxTransferBatch = 1000
	// usualTransferBytes and usualResultBytes are what a transfer in a batch takes
	// in the body at least, and about what its result takes in the answer: buffers
	// are made that large beforehand.
	usualTransferBytes = 150
	usualResultBytes   = 1000
)

// transferBatch is the body of POST …/transfers/batch.
type transferBatch struct {
	atomic bool
	items  []batchItem
}

// batchItem is one transfer of a batch, or why it cannot be one.
type batchItem struct {
	request ledger.TransferRequest
	id      uuid.UUID
	problem *problem
}

// postTransfers answers POST /v1/ledgers/{ledger}/transfers/batch. A body that
// cannot be read is refused as a whole; past that every transfer has its own
// result, in the order of the request, unless they are atomic.
func (h *handlers) postTransfers(x *exchange) error {
	if err := h.findLedger(x); err != nil {
		return err
	}
	how, err := x.manner()
	if err != nil {
		return err
	}
	key, err := headerKey(x.req.Header)
	if err != nil {
		return err
	}
	batch, err := x.transfers()
	if err != nil {
		return err
	}
	x.items = len(batch.items)
	batch.identify(x, key)
	if batch.atomic {
		return h.postTogether(x, batch, how)
	}
	requests := batch.requests()
	var results []ledger.Result
	at, hasAt := int64(0), false
	if how.dry {
		var outcomes []ledger.Outcome
		outcomes, err = h.rehearseAll(x, requests)
		at, hasAt = rehearsedAt(outcomes)
		results = resultsOf(outcomes)
	} else {
		results, err = h.submitAll(x, requests)
	}
	if err != nil {
		return err
	}
	proved := h.receiptsIf(x, how, results)
	x.beginResults(len(batch.items), how.dry, at, hasAt)
	for i := range batch.items {
		x.out = appendComma(x.out, i)
		if p := batch.items[i].problem; p != nil {
			x.refusals++
			x.out = appendRefused(x.out, p)
			continue
		}
		x.count(&results[0])
		x.out = appendResult(x.out, &results[0], how.dry, proved)
		results = results[1:]
	}
	x.out = append(x.out, "]}"...)
	return x.send(200)
}

func (h *handlers) rehearseAll(x *exchange, requests []ledger.Request) ([]ledger.Outcome, error) {
	if len(requests) == 0 {
		return nil, nil
	}
	outcomes, err := h.Poster.Rehearse(x.req.Context(), x.ledger, requests)
	if err != nil {
		return nil, fmt.Errorf("rehearsing %d transfers: %w", len(requests), err)
	}
	return outcomes, nil
}

func resultsOf(outcomes []ledger.Outcome) []ledger.Result {
	results := make([]ledger.Result, len(outcomes))
	for i, o := range outcomes {
		results[i].Outcome = o
	}
	return results
}

// postTogether submits an atomic batch: all items or, when one is refused, none.
func (h *handlers) postTogether(x *exchange, batch *transferBatch, how manner) error {
	together := &ledger.AtomicBatch{Items: make([]*ledger.TransferRequest, len(batch.items))}
	for i := range batch.items {
		if p := batch.items[i].problem; p != nil {
			place := i
			p.item = &place
			return p
		}
		together.Items[i] = &batch.items[i].request
	}
	var outcome ledger.Outcome
	var err error
	if how.dry {
		var outcomes []ledger.Outcome
		if outcomes, err = h.rehearseAll(x, []ledger.Request{together}); err == nil {
			outcome = outcomes[0]
		}
	} else {
		outcome, err = h.Poster.Submit(x.req.Context(), x.ledger, together)
	}
	switch {
	case err != nil:
		return fmt.Errorf("posting %d transfers together: %w", len(together.Items), err)
	case outcome.Refusal != nil:
		return refused(outcome.Refusal)
	}
	x.replayed = outcome.Replayed
	results := resultsOf(outcome.Items)
	proved := h.receiptsIf(x, how, results)
	x.beginResults(len(results), how.dry, outcome.EvaluatedAtSeq, how.dry && !outcome.Replayed)
	for i := range results {
		x.out = appendResult(appendComma(x.out, i), &results[i], how.dry, proved)
	}
	x.out = append(x.out, "]}"...)
	return x.send(200)
}

// transfers reads the body of a batch.
func (x *exchange) transfers() (*transferBatch, error) {
	r, err := newReader(x.req)
	if err != nil {
		return nil, err
	}
	defer r.release()
	batch := &transferBatch{}
	given := false
	r.begin('{')
	for r.next() {
		switch string(r.name) {
		case "atomic":
			batch.atomic = r.boolean()
		case "transfers":
			given = true
			batch.items = decodeTransfers(r, int(x.req.ContentLength)/usualTransferBytes)
		default:
			r.unknown()
		}
	}
	if !given {
		r.missing("transfers")
	}
	if err := r.end(); err != nil {
		return nil, err
	}
	if len(batch.items) == 0 {
		return nil, transferCount()
	}
	return batch, nil
}

func transferCount() *problem {
	return fieldProblem(codeItemCount, "/transfers", "a batch has 1 to %d transfers", MaxTransferBatch)
}

// decodeTransfers reads the transfers of a batch, about as many as expected. A
// wrong value spoils its own transfer only.
func decodeTransfers(r *reader, expected int) []batchItem {
	items := make([]batchItem, 0, min(max(expected, 1), MaxTransferBatch))
	r.begin('[')
	r.byItem = true
	for r.more(']') {
		if len(items) == MaxTransferBatch {
			r.keep(transferCount())
			break
		}
		items = append(items, batchItem{})
		item := &items[len(items)-1]
		r.spoiled = nil
		item.id = decodeTransfer(r, &item.request)
		item.problem = r.spoiled
	}
	r.byItem = false
	return items
}

// identify completes the transfers of a batch: who asks, which id each has, and
// the salt of its texts.
func (batch *transferBatch) identify(x *exchange, key string) {
	salts := make([]byte, ledger.SaltSize*len(batch.items))
	_, _ = rand.Read(salts) // never fails: see crypto/rand
	for i := range batch.items {
		item := &batch.items[i]
		t := &item.request
		switch {
		case item.id != uuid.Nil:
			t.ID = ledger.RequestID{UUID: item.id}
		case key != "":
			t.ID = itemRequestID(x.ledger, ledger.OperationTransfer, key, i)
		case item.problem == nil:
			item.problem = fieldProblem(codeKeyMissing, "/transfers/"+strconv.Itoa(i)+"/id",
				"a transfer needs an id, or the batch an %s header from which ids are derived", keyHeader)
		}
		t.Actor, t.MayApprove = x.actor, x.may(scopeApprove)
		copy(t.Salt[:], salts[i*ledger.SaltSize:])
	}
}

// requests returns the transfers that can be decided.
func (batch *transferBatch) requests() []ledger.Request {
	requests := make([]ledger.Request, 0, len(batch.items))
	for i := range batch.items {
		if batch.items[i].problem == nil {
			requests = append(requests, &batch.items[i].request)
		}
	}
	return requests
}

// count keeps for the log what did not go as asked.
func (x *exchange) count(r *ledger.Result) {
	if r.Err == nil && r.Refusal == nil {
		return
	}
	x.refusals++
	if x.cause == nil && !errors.Is(r.Err, ledger.ErrOverloaded) {
		x.cause = r.Err
	}
}

// beginResults begins the answer to a batch of n transfers. at is the entry that
// a dry run rests on.
func (x *exchange) beginResults(n int, dry bool, at int64, hasAt bool) {
	x.out = append(slices.Grow(x.out, n*usualResultBytes), '{')
	if dry {
		x.out = append(x.out, `"dry_run":true,`...)
	}
	if hasAt {
		x.out = strconv.AppendInt(append(x.out, `"evaluated_at_seq":`...), at, 10)
		x.out = append(x.out, ',')
	}
	x.out = append(x.out, `"results":[`...)
}

// appendResult appends the result of one transfer of a batch.
func appendResult(b []byte, r *ledger.Result, dry bool, proved receipts) []byte {
	switch {
	case r.Err != nil:
		return appendRefused(b, problemOf(r.Err))
	case r.Refusal != nil:
		return appendRefused(b, refused(r.Refusal))
	case r.Replayed:
		b = proved.appendEntry(append(b, `{"status":201,"replayed":true,"entry":`...), r.Entry)
	case dry:
		b = appendRehearsed(append(b, `{"status":200,"entry":{`...), r.Entry)
		b = append(b, '}')
	default:
		b = proved.appendEntry(append(b, `{"status":201,"entry":`...), r.Entry)
	}
	return append(b, '}')
}

// appendRefused appends the result of one item of a batch that was refused.
func appendRefused(b []byte, p *problem) []byte {
	b = strconv.AppendInt(append(b, `{"status":`...), int64(p.status()), 10)
	b = appendProblem(append(b, `,"problem":`...), p)
	return append(b, '}')
}
