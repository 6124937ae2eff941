package ledger

import (
	"strconv"

	"github.com/google/uuid"

	"tallystick/ledger/chain"
)

// RecordRun asks to put a reconciliation run on record: what it looked at, and
// what came out. The id of the request is that of the run, so a run has one
// entry, and appending it again after a crash changes nothing.
type RecordRun struct {
	Common
	AsOf chain.Date // booking date that the figures are for
	// Size is the ledger size that the run is pinned to, and Head the hash of the
	// entry before it.
	Size int64
	Head chain.Hash
	// Last is the request id of that entry: by it, the rule finds it.
	Last     RequestID
	ReadFrom int64  // first entry that the run read again; 0 when it read all
	Result   string // chain.RunPassed, chain.RunFailed or chain.RunIncomplete
	Critical int64  // critical findings
	Warnings int64
	Reports  chain.Hash // digest of everything that the run put out
	// Inputs are the digests of what it read beside the ledger, by the name of
	// their detail (see chain.RunInputs).
	Inputs map[string]chain.Hash
}

func (*RecordRun) operation() string                     { return OperationRecordRun }
func (*RecordRun) accountCodes(dst []string) []string    { return dst }
func (r *RecordRun) targets(dst []RequestID) []RequestID { return append(dst, r.Last) }
func (r *RecordRun) weight() int                         { return targetWeight }
func (r *RecordRun) fingerprintTo(b []byte) []byte {
	for _, d := range r.details() {
		b = appendText(appendText(b, d.Name), d.Value)
	}
	return b
}

// apply records a run of this ledger as it stands below its size.
func (r *RecordRun) apply(o *overlay) (*draft, *Refusal) {
	if refused := r.wellFormed(o); refused != nil {
		return nil, refused
	}
	last := o.target(r.Last)
	switch {
	case last == nil || last.Entry.Seq() != r.Size-1:
		return nil, refusal(CodeRunInvalid, "entry %d of this ledger is not the one that the run ended at; run it again", r.Size-1)
	case !last.Entry.Intact():
		return nil, damagedTransfer(r.Last)
	case last.Entry.Hash() != r.Head:
		return nil, refusal(CodeRunInvalid, "the run ended at an entry %d with hash %s, and here it has %s; run it again", r.Size-1, r.Head, last.Entry.Hash())
	}
	return &draft{kind: chain.Run, effective: o.bookingDate, details: r.details()}, nil
}

// wellFormed checks what can be said of a run without looking at other entries.
func (r *RecordRun) wellFormed(o *overlay) *Refusal {
	switch {
	case r.ID.UUID == uuid.Nil:
		return refusal(CodeRunInvalid, "a run has an id")
	case r.Size < 1 || r.Size > o.head.Seq+1:
		return refusal(CodeSizeNotReached, "the ledger has %d entries; a run is pinned to a size from 1 to that", o.head.Seq+1)
	case r.ReadFrom < 0 || r.ReadFrom > r.Size:
		return refusal(CodeRunInvalid, "a run of %d entries cannot have read from entry %d on", r.Size, r.ReadFrom)
	case r.AsOf > o.bookingDate:
		return refusal(CodeRunInvalid, "the run is as of %s, and the ledger books on %s", r.AsOf, o.bookingDate)
	case r.Critical < 0 || r.Warnings < 0:
		return refusal(CodeRunInvalid, "a run counts its findings from 0 on")
	case r.Result != chain.RunPassed && r.Result != chain.RunFailed && r.Result != chain.RunIncomplete:
		return refusal(CodeRunInvalid, "a result is %s, %s or %s", chain.RunPassed, chain.RunFailed, chain.RunIncomplete)
	case (r.Result == chain.RunFailed) != (r.Critical > 0):
		return refusal(CodeRunInvalid, "a run with critical findings has failed, and no other has; this one has %d and is called %s", r.Critical, r.Result)
	}
	for name := range r.Inputs {
		if !chain.RunInput(name) {
			return refusal(CodeRunInvalid, "a run has no input %s", name)
		}
	}
	return nil
}

// details are those of the entry.
func (r *RecordRun) details() []chain.Detail {
	number := func(n int64) string { return strconv.FormatInt(n, 10) }
	details := []chain.Detail{
		{Name: "as_of", Value: r.AsOf.String()},
		{Name: "critical", Value: number(r.Critical)},
		{Name: "head", Value: r.Head.String()},
		{Name: "read_from", Value: number(r.ReadFrom)},
		{Name: "reports_sha256", Value: r.Reports.String()},
		{Name: "result", Value: r.Result},
		{Name: "run_id", Value: r.ID.String()},
		{Name: "size", Value: number(r.Size)},
		{Name: "warnings", Value: number(r.Warnings)},
	}
	for name, digest := range r.Inputs {
		details = append(details, chain.Detail{Name: name, Value: digest.String()})
	}
	chain.SortDetails(details)
	return details
}

// RunID names the run of a ledger with that key, which is a digest of all that
// it is pinned to: the same inputs are the same run.
func RunID(id LedgerID, key chain.Hash) RequestID {
	return DeriveRequestID(id, OperationRecordRun, key.String())
}
