package ledger

import "encoding/binary"

// AtomicBatch asks for several transfers, all or none, in one commit. Each item
// has an id of its own; that of the batch is not used.
type AtomicBatch struct {
	Common
	Items []*TransferRequest
}

// MaxAtomicBatchBytes bounds an atomic batch, by the estimate of weigh, so that
// it fits one commit.
const MaxAtomicBatchBytes = MaxBatchBytes

func (*AtomicBatch) operation() string { return OperationTransfer }

func (r *AtomicBatch) fingerprintTo(b []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(r.Items)))
	for _, item := range r.Items {
		b = item.fingerprintTo(b)
	}
	return b
}

func (r *AtomicBatch) accountCodes(dst []string) []string {
	for _, item := range r.Items {
		dst = item.accountCodes(dst)
	}
	return dst
}

func (r *AtomicBatch) targets(dst []RequestID) []RequestID { return dst }

func (r *AtomicBatch) weight() int {
	n := 0
	for _, item := range r.Items {
		n += weigh(item)
	}
	return n
}

// apply is not how an atomic batch is decided: it is more than one entry.
func (r *AtomicBatch) apply(*overlay) (*draft, *Refusal) {
	panic("an atomic batch is decided as a whole")
}

// decideAtomic decides all items of a batch or leaves the overlay as it was.
func (o *overlay) decideAtomic(r *AtomicBatch) Answer {
	if answer, ok := o.replayAtomic(r); ok {
		return answer
	}
	if weigh(r) > MaxAtomicBatchBytes {
		return o.refuse(refusal(CodeBatchTooHeavy, "these %d transfers do not fit one commit; send fewer at once, or without atomic", len(r.Items)))
	}
	o.begin()
	answer := Answer{Entry: -1, Items: make([]Answer, len(r.Items))}
	for i, item := range r.Items {
		a := o.decide(item)
		if a.Refusal != nil {
			o.rollBack()
			a.Refusal.Item = i
			a.Refusal.EvaluatedAtSeq = o.head.Seq
			return Answer{Entry: -1, Refusal: a.Refusal}
		}
		answer.Items[i], answer.Entry = a, max(answer.Entry, a.Entry)
	}
	o.undo = nil
	return answer
}

// replayAtomic answers a batch of whose ids some stand for entries of this
// commit; ok is false when none does. So does Sequencer.replay for those that
// were committed before.
func (o *overlay) replayAtomic(r *AtomicBatch) (answer Answer, ok bool) {
	answer = Answer{Entry: -1, Replayed: true}
	for i, item := range r.Items {
		at, ok := o.seen[item.ID]
		if !ok {
			continue
		}
		if refused := Conflict(item, &o.entries[at]); refused != nil {
			refused.Item = i
			return o.refuse(refused), true
		}
		answer.Items = append(answer.Items, Answer{Entry: at, Replayed: true})
		answer.Entry = max(answer.Entry, at)
	}
	switch len(answer.Items) {
	case 0:
		return Answer{}, false
	case len(r.Items):
		return answer, true
	}
	return o.refuse(partlyPosted(len(answer.Items), len(r.Items))), true
}

func partlyPosted(posted, items int) *Refusal {
	return refusal(CodeBatchPartlyPosted,
		"%d of the %d ids of this atomic batch stand for entries already; all or none must", posted, items)
}
