package ledger

import (
	"strconv"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"

	"tallystick/ledger/chain"
)

// Decide asks to put on record what a person decided about a run, a break or a
// line: that two belong together, that a difference is written off, that a run
// was reviewed. The reason is its description; names stand outside the book.
//
// A run is signed off twice, by two people: whoever recorded the run prepared
// it, somebody else reviews it, and a third key approves. Each may reject it,
// and then nobody signs it any more; run again. See SignOff.
type Decide struct {
	Common
	Action  string // a word: chain.ActionMatch, chain.ActionSignOff, …
	Subject string // ids joined by ',' in ascending order, 1 to MaxSubject bytes
	Outcome string // a word, or empty

	Run        *RequestID // the run it answers
	Entry      *RequestID // the entry that settles the matter
	Supersedes *RequestID // the decision that it replaces

	Amount   *decimal.Decimal // what a write-off books
	Currency string           // of Amount
}

// MaxSubject is the longest subject of a decision, in bytes. Who decides about
// more than fits names their group.
const MaxSubject = chain.MaxDetailValue

// Stages of signing a run off, in order.
const (
	StageReview   = "review"
	StageApproval = "approval"
)

// SignOff is the decision of a person to review, approve or reject a run. Each
// stage has one id, so that it is decided once, whoever asks first.
func SignOff(run RequestID, stage, outcome string) *Decide {
	return &Decide{
		Common: Common{ID: SignOffID(run, stage)},
		Action: chain.ActionSignOff, Subject: "run:" + run.String(), Outcome: outcome, Run: &run,
	}
}

// SignOffID is the id of the decision at a stage of a run.
func SignOffID(run RequestID, stage string) RequestID {
	return RequestID{uuid.NewSHA1(run.UUID, []byte(chain.ActionSignOff+"\x00"+stage))}
}

func (*Decide) operation() string                  { return OperationDecide }
func (*Decide) accountCodes(dst []string) []string { return dst }

func (r *Decide) targets(dst []RequestID) []RequestID {
	for _, id := range []*RequestID{r.Run, r.Entry, r.Supersedes} {
		if id != nil {
			dst = append(dst, *id)
		}
	}
	if r.Action == chain.ActionSignOff && r.Run != nil && r.ID == SignOffID(*r.Run, StageApproval) {
		dst = append(dst, SignOffID(*r.Run, StageReview))
	}
	return dst
}

func (r *Decide) weight() int {
	n := perPosting + len(r.Subject)
	if len(r.targets(nil)) > 0 {
		n += targetWeight
	}
	return n
}

// fingerprintTo includes who signs off: a second person who signs the same stage
// does not repeat what the first one asked.
func (r *Decide) fingerprintTo(b []byte) []byte {
	for _, s := range []string{r.Action, r.Subject, r.Outcome, r.Currency} {
		b = appendText(b, s)
	}
	for _, id := range []*RequestID{r.Run, r.Entry, r.Supersedes} {
		if id == nil {
			b = append(b, 0)
			continue
		}
		b = append(append(b, 1), id.UUID[:]...)
	}
	b = appendOptional(b, decimalText(r.Amount))
	if r.Action == chain.ActionSignOff {
		b = append(b, r.Actor.UUID[:]...)
	}
	return b
}

// apply puts a decision on record whose parts exist.
func (r *Decide) apply(o *overlay) (*draft, *Refusal) {
	amount, refused := r.wellFormed(o)
	if refused != nil {
		return nil, refused
	}
	details := []chain.Detail{{Name: "action", Value: r.Action}, {Name: "subject", Value: r.Subject}}
	add := func(name, value string) {
		if value != "" {
			details = append(details, chain.Detail{Name: name, Value: value})
		}
	}
	add("outcome", r.Outcome)
	add("amount", amount)
	add("currency", r.Currency)
	for _, ref := range []struct {
		name string
		id   *RequestID
		kind chain.Kind // 0: any
	}{{"run_id", r.Run, chain.Run}, {"entry_seq", r.Entry, 0}, {"supersedes", r.Supersedes, chain.Decision}} {
		if ref.id == nil {
			continue
		}
		seq, refused := o.seqOf(*ref.id, ref.kind)
		if refused != nil {
			return nil, refused
		}
		value := strconv.FormatInt(seq, 10)
		if ref.kind == chain.Run {
			value = ref.id.String()
		}
		add(ref.name, value)
	}
	if r.Action == chain.ActionSignOff {
		if refused := r.secondPerson(o); refused != nil {
			return nil, refused
		}
	}
	chain.SortDetails(details)
	return &draft{kind: chain.Decision, effective: o.bookingDate, details: details}, nil
}

// seqOf returns where the entry of that id and kind stands.
func (o *overlay) seqOf(id RequestID, kind chain.Kind) (int64, *Refusal) {
	t := o.target(id)
	switch {
	case t == nil && kind == chain.Run, t != nil && kind == chain.Run && t.Entry.record.Kind != kind:
		return 0, refusal(CodeRunNotFound, "no run %s is on record in this ledger", id)
	case t == nil:
		return 0, refusal(CodeEntryNotFound, "nothing stands under the id %s in this ledger", id)
	case !t.Entry.Intact():
		return 0, damagedTransfer(id)
	case kind != 0 && t.Entry.record.Kind != kind:
		return 0, refusal(CodeDecisionInvalid, "%s is a %s, and a decision is superseded by a decision only", id, t.Entry.record.Kind)
	}
	return t.Entry.Seq(), nil
}

// wellFormed checks what can be said without looking at other entries, and
// returns the amount as it is bound.
func (r *Decide) wellFormed(o *overlay) (amount string, refused *Refusal) {
	switch {
	case !chain.ValidWord(r.Action):
		return "", refusal(CodeDecisionInvalid, "an action is a word of a to z, 0 to 9 and _")
	case r.Outcome != "" && !chain.ValidWord(r.Outcome):
		return "", refusal(CodeDecisionInvalid, "an outcome is a word of a to z, 0 to 9 and _")
	case !chain.ValidSubject(r.Subject):
		return "", refusal(CodeDecisionInvalid, "a subject is ids without spaces, joined by ',' in ascending order, of at most %d bytes", MaxSubject)
	case (r.Amount == nil) != (r.Currency == ""):
		return "", refusal(CodeDecisionInvalid, "an amount and its currency go together")
	case r.Action == chain.ActionSignOff:
		return "", r.signOffWellFormed()
	case r.Amount == nil:
		return "", nil
	}
	c, ok := o.rules.currency(r.Currency)
	if !ok {
		return "", unknownCurrency(r.Currency)
	}
	units, refused := unitsOf(*r.Amount, c.Scale)
	if refused != nil {
		return "", refused
	}
	return units.Format(c.Scale), nil
}

// signOffWellFormed checks what a sign-off must and must not have.
func (r *Decide) signOffWellFormed() *Refusal {
	switch {
	case r.Run == nil || r.Subject != "run:"+r.Run.String():
		return refusal(CodeDecisionInvalid, "a sign-off names its run, which is also its only subject")
	case r.Amount != nil || r.Entry != nil || r.Supersedes != nil:
		return refusal(CodeDecisionInvalid, "a sign-off has no amount and no entry that settles it, and supersedes nothing")
	case r.Actor.UUID == uuid.Nil:
		return refusal(CodeDecisionInvalid, "a run is signed off by a person; the ledger itself cannot")
	}
	switch r.ID {
	case SignOffID(*r.Run, StageReview):
		if r.Outcome != chain.OutcomeReviewed && r.Outcome != chain.OutcomeRejected {
			return refusal(CodeDecisionInvalid, "who reviews a run says %s or %s", chain.OutcomeReviewed, chain.OutcomeRejected)
		}
	case SignOffID(*r.Run, StageApproval):
		if r.Outcome != chain.OutcomeApproved && r.Outcome != chain.OutcomeRejected {
			return refusal(CodeDecisionInvalid, "who approves a run says %s or %s", chain.OutcomeApproved, chain.OutcomeRejected)
		}
	default:
		return refusal(CodeDecisionInvalid, "the id of a sign-off is that of its stage")
	}
	return nil
}

// secondPerson refuses a sign-off by whoever has signed before, or prepared the
// run, and one out of order.
func (r *Decide) secondPerson(o *overlay) *Refusal {
	if o.target(*r.Run).Entry.record.Actor == r.Actor.UUID {
		return refusal(CodeSecondPerson, "this key has prepared the run; somebody else must sign it off")
	}
	if r.ID == SignOffID(*r.Run, StageReview) {
		return nil
	}
	review := o.target(SignOffID(*r.Run, StageReview))
	switch {
	case review == nil:
		return refusal(CodeRunNotReviewed, "the run has to be reviewed before it is approved")
	case !review.Entry.Intact():
		return damagedTransfer(review.Entry.RequestID())
	case review.Entry.record.Actor == r.Actor.UUID:
		return refusal(CodeSecondPerson, "this key has reviewed the run; somebody else must approve it")
	case hasDetail(review.Entry, "outcome", chain.OutcomeRejected):
		return refusal(CodeRunRejected, "entry %d rejects the run; mend what was wrong and run again", review.Entry.Seq())
	}
	return nil
}

// sameDecision compares what the entry binds.
func (r *Decide) sameDecision(e *Entry) bool {
	return e.record.Kind == chain.Decision && hasDetail(e, "action", r.Action) && hasDetail(e, "subject", r.Subject) &&
		(r.Outcome == "" || hasDetail(e, "outcome", r.Outcome)) &&
		(r.Action != chain.ActionSignOff || e.record.Actor == r.Actor.UUID) && r.sameAmount(e)
}

func (r *Decide) sameAmount(e *Entry) bool {
	bound, ok := e.record.Detail("amount")
	if !ok || r.Amount == nil {
		return !ok && r.Amount == nil
	}
	d, err := decimal.NewFromString(bound)
	return err == nil && d.Equal(*r.Amount) && hasDetail(e, "currency", r.Currency)
}
