package reconcile

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/google/uuid"

	"tallystick/ledger/chain"
	"tallystick/ledger/store"
)

// Index: entries_night; without it, the entries are read once.
const nightEntriesSQL = `
select seq, format, kind, booking_date, request_id, actor
from book.entries
where ledger_id = $1::uuid and kind in ('policy_adopted', 'run', 'decision')
    and seq > $2::int8 and seq < $3::int8
order by seq
limit $4::int8`

// Index: the primary key.
const pinnedHeadsSQL = `
select seq, entry_hash
from book.entries
where ledger_id = $1::uuid and seq = any($2::int8[])`

// Index: the primary key.
const decisionsAmongSQL = `
select seq
from book.entries
where ledger_id = $1::uuid and seq = any($2::int8[]) and kind = 'decision'`

// nightEntry is an entry that the night, or somebody who looked at it, put on
// record.
type nightEntry struct {
	ruleEntry
	request, actor uuid.UUID
}

// signedRun is a run and who has put a name to it.
type signedRun struct {
	seq      int64
	preparer uuid.UUID
	signers  []uuid.UUID // the reviewer, and then who approves
	rejected int64       // the sign-off that rejected it; −1 when none did
}

// nightReader follows the runs, decisions and adopted policies, in order of seq.
type nightReader struct {
	v    *verification
	runs map[string]*signedRun // by id
}

// checkNightEntries holds runs, decisions and adopted policies against the rules
// for them, and against what they refer to.
func (v *verification) checkNightEntries(ctx context.Context) error {
	r := &nightReader{v: v, runs: make(map[string]*signedRun)}
	tooLarge := func(seq int64) {
		v.findings.notChecked(seq, "the run, decision or policy that it is about: it has too many details")
	}
	return v.eachNightPage(ctx, tooLarge, func(page []nightEntry) error {
		if err := r.checkPage(ctx, page); err != nil {
			return err
		}
		if len(r.runs) > maxRules {
			return fmt.Errorf("reading runs: more than %d are on record", maxRules)
		}
		return nil
	})
}

// eachNightPage calls f with the entries of the night, some at a time, in order of
// seq. One with more details than fit is left out, and tooLarge, unless nil, is called.
func (v *verification) eachNightPage(ctx context.Context, tooLarge func(seq int64), f func([]nightEntry) error) error {
	after, size := int64(-1), v.bounds.page
	for {
		var page []nightEntry
		err := retry(ctx, func() (err error) {
			page, err = v.nightPage(ctx, after, size)
			return err
		})
		switch {
		case errors.Is(err, errSegmentTooLarge) && size > 1:
			size /= 2
			continue
		case errors.Is(err, errSegmentTooLarge):
			if tooLarge != nil {
				tooLarge(page[0].seq)
			}
		case err != nil:
			return err
		case len(page) == 0:
			return nil
		default:
			if err := f(page); err != nil {
				return err
			}
		}
		after = page[len(page)-1].seq
	}
}

// nightPage reads the next entries, with their details.
func (v *verification) nightPage(ctx context.Context, after int64, size int) ([]nightEntry, error) {
	var page []nightEntry
	var seqs []int64
	args := []any{v.snapshot.LedgerID, after, v.snapshot.Size, int64(size)}
	err := v.snapshot.Scan(ctx, nightEntriesSQL, args, func(r *store.Row) error {
		e := nightEntry{ruleEntry: ruleEntry{seq: r.Int64(0), booking: r.Date(3), refSeq: -1}, request: r.UUID(4), actor: r.UUID(5)}
		var known bool
		e.kind, known = chain.KindNamed(string(r.Text(2)))
		e.unreadable = !known || r.Int64(1) != formatVersion || rejected(r) != nil
		page, seqs = append(page, e), append(seqs, e.seq)
		return nil
	})
	if err != nil || len(page) == 0 {
		return nil, wrap("reading runs, decisions and policies", err)
	}
	err = v.detailsOf(ctx, seqs, func(at int, d chain.Detail) { page[at].details = append(page[at].details, d) })
	if errors.Is(err, errSegmentTooLarge) {
		return page, err
	}
	return page, wrap("reading the details of runs, decisions and policies", err)
}

// checkPage holds a page against what stands before it.
func (r *nightReader) checkPage(ctx context.Context, page []nightEntry) error {
	var last, superseded []int64
	for i := range page {
		if n, ok := page[i].number("size"); ok && page[i].kind == chain.Run {
			last = append(last, n-1)
		}
		if n, ok := page[i].number("supersedes"); ok {
			superseded = append(superseded, n)
		}
	}
	heads, err := r.headsAt(ctx, last)
	if err != nil {
		return err
	}
	decisions, err := r.v.seqsAmong(ctx, decisionsAmongSQL, superseded)
	if err != nil {
		return err
	}
	for i := range page {
		switch e := &page[i]; {
		case e.unreadable: // reported, or doubted, at the entry itself
		case e.kind == chain.Run:
			r.checkRun(e, heads)
		case e.kind == chain.Decision:
			r.checkDecision(e, decisions)
		case e.kind == chain.PolicyAdopted:
			r.checkPolicy(e)
		}
	}
	return nil
}

// headsAt returns the stored hashes of the entries at seqs.
func (r *nightReader) headsAt(ctx context.Context, seqs []int64) (map[int64]chain.Hash, error) {
	heads := make(map[int64]chain.Hash)
	err := retry(ctx, func() error {
		return r.v.snapshot.Scan(ctx, pinnedHeadsSQL, []any{r.v.snapshot.LedgerID, seqs}, func(row *store.Row) error {
			heads[row.Int64(0)] = row.Hash(1)
			return nil
		})
	})
	return heads, wrap("reading what runs are pinned to", err)
}

// number returns a detail that is one.
func (e *nightEntry) number(name string) (int64, bool) {
	n, err := strconv.ParseInt(e.detail(name), 10, 64)
	return n, err == nil
}

func (r *nightReader) report(code string, e *nightEntry, stored, recomputed string) {
	r.v.findings.add(finding{code: code, seq: e.seq, stored: stored, recomputed: recomputed})
}

// checkRun holds a run against the ledger that it says it looked at.
func (r *nightReader) checkRun(e *nightEntry, heads map[int64]chain.Hash) {
	size, ok := e.number("size")
	from, ok1 := e.number("read_from")
	critical, ok2 := e.number("critical")
	asOf, err := chain.ParseDate(e.detail("as_of"))
	if !ok || !ok1 || !ok2 || err != nil {
		return // malformed
	}
	head, there := heads[size-1]
	switch {
	case size < 1 || size > e.seq:
		r.report(RunInvalid, e, fmt.Sprintf("size %d", size), fmt.Sprintf("1 to %d, the entries before it", e.seq))
	case there && head.String() != e.detail("head"):
		r.report(RunInvalid, e, "head "+e.detail("head"), fmt.Sprintf("%s, of entry %d", head, size-1))
	}
	if from > size {
		r.report(RunInvalid, e, fmt.Sprintf("read_from %d", from), fmt.Sprintf("at most size %d", size))
	}
	if asOf > e.booking {
		r.report(RunInvalid, e, "as_of "+asOf.String(), fmt.Sprintf("at most %s, on which it was booked", e.booking))
	}
	switch result := e.detail("result"); {
	case result != chain.RunPassed && result != chain.RunFailed && result != chain.RunIncomplete:
		r.report(RunInvalid, e, "result "+result, "passed, failed or incomplete")
	case (result == chain.RunFailed) != (critical > 0):
		r.report(RunInvalid, e, "result "+result, fmt.Sprintf("%d critical findings", critical))
	}
	id := e.detail("run_id")
	if id != e.request.String() {
		r.report(RunInvalid, e, "run_id "+id, e.request.String()+", the request id")
	}
	if before := r.runs[id]; before != nil {
		r.report(RunInvalid, e, "run_id "+id, fmt.Sprintf("recorded by entry %d", before.seq))
		return
	}
	r.runs[id] = &signedRun{seq: e.seq, preparer: e.actor, rejected: -1}
}

// checkDecision holds a decision against the entries that it refers to.
func (r *nightReader) checkDecision(e *nightEntry, decisions map[int64]bool) {
	if n, ok := e.number("entry_seq"); ok && n >= e.seq {
		r.report(DecisionInvalid, e, fmt.Sprintf("entry_seq %d", n), "an entry before it")
	}
	if n, ok := e.number("supersedes"); ok && (n >= e.seq || !decisions[n]) {
		r.report(DecisionInvalid, e, fmt.Sprintf("supersedes %d", n), "a decision before it")
	}
	if subject := e.detail("subject"); subject != "" && !chain.ValidSubject(subject) {
		r.report(DecisionInvalid, e, "subject "+subject, "ids in ascending order")
	}
	if (e.detail("amount") == "") != (e.detail("currency") == "") {
		r.report(DecisionInvalid, e, "amount "+e.detail("amount"), "an amount and its currency")
	}
	signsOff, id := e.detail("action") == chain.ActionSignOff, e.detail("run_id")
	run := r.runs[id]
	switch {
	case id != "" && run == nil:
		r.report(DecisionInvalid, e, "run_id "+id, "a run before it")
	case signsOff && id == "":
		r.report(DecisionInvalid, e, "a sign-off of no run", "a run before it")
	case signsOff:
		r.checkSignOff(e, run)
	}
}

// checkSignOff holds a sign-off against those before it: one reviews, another
// approves, and neither has prepared the run.
func (r *nightReader) checkSignOff(e *nightEntry, run *signedRun) {
	stage, outcome := len(run.signers), e.detail("outcome")
	want := chain.OutcomeReviewed
	if stage == 1 {
		want = chain.OutcomeApproved
	}
	switch {
	case run.rejected >= 0:
		r.report(DecisionInvalid, e, "a sign-off", fmt.Sprintf("none: rejected by entry %d", run.rejected))
	case stage == 2:
		r.report(DecisionInvalid, e, "a third sign-off", "two")
	case outcome != want && outcome != chain.OutcomeRejected:
		r.report(DecisionInvalid, e, "outcome "+outcome, want+" or rejected")
	}
	switch {
	case e.actor == uuid.Nil:
		r.report(DecisionInvalid, e, "actor "+e.actor.String(), "a person")
	case e.actor == run.preparer:
		r.report(DecisionInvalid, e, "actor "+e.actor.String(), fmt.Sprintf("somebody else: entry %d was prepared by this key", run.seq))
	case stage > 0 && e.actor == run.signers[0]:
		r.report(DecisionInvalid, e, "actor "+e.actor.String(), "somebody else: this key has signed the run before")
	}
	if e.detail("subject") != "run:"+e.detail("run_id") {
		r.report(DecisionInvalid, e, "subject "+e.detail("subject"), "run:"+e.detail("run_id"))
	}
	if outcome == chain.OutcomeRejected && run.rejected < 0 {
		run.rejected = e.seq
	}
	if stage < 2 {
		run.signers = append(run.signers, e.actor)
	}
}

// checkPolicy holds the day from which a policy applies against the periods that
// were closed when it was adopted.
func (r *nightReader) checkPolicy(e *nightEntry) {
	from, err := chain.ParseDate(e.detail("effective_from"))
	if err != nil || !r.v.rules.known {
		return // malformed, or said that periods could not be read
	}
	if through, closed := r.v.rules.closedAt(e.seq); closed && from <= through {
		r.report(PolicyInvalid, e, "effective_from "+from.String(), "after "+through.String()+", up to which the books were closed")
	}
}
