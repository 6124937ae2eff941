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
	if weigh(r) > MaxAtomicBatchBytes {
		return o.refuse(refusal(CodeBatchTooHeavy, "these %d transfers do not fit one commit; send fewer at once, or without atomic", len(r.Items)))
	}
	o.begin()
	answer := Answer{Entry: -1, Items: make([]Answer, len(r.Items))}
	replayed := 0
	for i, item := range r.Items {
		a := o.decide(item)
		if a.Refusal != nil {
			o.rollBack()
			a.Refusal.Item = i
			a.Refusal.EvaluatedAtSeq = o.head.Seq
			return Answer{Entry: -1, Refusal: a.Refusal}
		}
		if a.Replayed && a.Entry < o.undo.entries {
			replayed++ // of a request before this batch
		}
		answer.Items[i], answer.Entry = a, a.Entry
	}
	if replayed > 0 && replayed < len(r.Items) {
		o.rollBack()
		return o.refuse(partlyPosted(replayed, len(r.Items)))
	}
	answer.Replayed = replayed > 0
	o.undo = nil
	return answer
}

func partlyPosted(posted, items int) *Refusal {
	return refusal(CodeBatchPartlyPosted,
		"%d of the %d ids of this atomic batch stand for entries already; all or none must", posted, items)
}
