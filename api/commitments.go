package api

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"tallystick/ledger"
	"tallystick/ledger/chain"
	"tallystick/ledger/store"
)

const (
	// MaxBalanceTrees is how many balance trees a server adds up at a time, of all
	// ledgers. Each reads every account of its ledger; without this bound a few
	// dozen clients with balance proofs take the processors and connections that
	// every other reader needs.
	MaxBalanceTrees = 2
	// TreePatience is how long a request waits for its turn to have one added up.
	TreePatience = 30 * time.Second
)

// balanceTree is store.DB.BalanceTree, in turn: who came first, first.
func (h *handlers) balanceTree(ctx context.Context, id ledger.LedgerID, size int64, watch *ledger.AccountID) (*chain.BalanceTree, error) {
	if !h.trees.TryAcquire(1) {
		patience, cancel := context.WithTimeout(ctx, TreePatience)
		defer cancel()
		if err := h.trees.Acquire(patience, 1); err != nil {
			return nil, newProblem(codeOverloaded, "the balances of other requests are being added up; nothing happened, try again later")
		}
	}
	defer h.trees.Release(1)
	return h.DB.BalanceTree(ctx, id, size, watch)
}

// commitBalances answers POST /v1/ledgers/{ledger}/balance-commitments.
func (h *handlers) commitBalances(x *exchange) error {
	var commit *ledger.CommitBalances
	begin := func() (*reader, error) {
		if q := x.query(); q.err != nil {
			return nil, q.err
		}
		return x.optionalBody()
	}
	err := h.asked(x, ledger.OperationCommitBalances, begin, func(r *reader) *ledger.Common {
		commit = decodeCommitment(r)
		return &commit.Common
	})
	if err != nil {
		return err
	}
	if err := h.computeBalances(x, commit); err != nil {
		return err
	}
	outcome, err := h.Poster.Submit(x.req.Context(), x.ledger, commit)
	switch {
	case err != nil:
		return fmt.Errorf("committing to the balances at size %d: %w", commit.Size, err)
	case outcome.Refusal != nil:
		return refused(outcome.Refusal)
	}
	status := x.changed(outcome)
	x.out = appendCommitment(x.out, outcome.Entry)
	return x.send(status)
}

func decodeCommitment(r *reader) *ledger.CommitBalances {
	commit := &ledger.CommitBalances{}
	r.begin('{')
	for r.next() {
		switch string(r.name) {
		case "size":
			size, ok := r.wholeNumber()
			if !ok || size < 1 {
				r.fail(codeValueInvalid, "size is a number of entries, from 1 to that of the ledger")
			}
			commit.Asked = &size
		default:
			r.unknown()
		}
	}
	return commit
}

// computeBalances reads what to commit to. A size that the ledger has not
// reached is left to the sequencer to refuse.
func (h *handlers) computeBalances(x *exchange, commit *ledger.CommitBalances) error {
	info, err := h.DB.Ledger(x.req.Context(), x.ledger.String())
	if err != nil {
		return fmt.Errorf("reading the size of ledger %s: %w", x.ledger, err)
	}
	commit.Size = info.Size
	if commit.Asked != nil {
		commit.Size = *commit.Asked
	}
	if commit.Size > info.Size {
		return nil
	}
	tree, err := h.balanceTree(x.req.Context(), x.ledger, commit.Size, nil)
	if err == nil {
		commit.Details, err = tree.Details()
	}
	if errors.Is(err, chain.ErrTotalRange) {
		return refused(&ledger.Refusal{Code: ledger.CodeAmountRange, Posting: -1, Item: -1,
			Detail: fmt.Sprintf("the balances of one currency sum to more than 128 bits at size %d, which a commitment cannot say", commit.Size)})
	}
	if errors.Is(err, chain.ErrBalances) {
		err = fmt.Errorf("%w: %w", store.ErrDamaged, err)
	}
	if err != nil {
		return fmt.Errorf("adding up the balances at size %d: %w", commit.Size, err)
	}
	return nil
}

// listCommitments answers GET /v1/ledgers/{ledger}/balance-commitments, the
// newest first.
func (h *handlers) listCommitments(x *exchange) error {
	if err := h.findLedger(x); err != nil {
		return err
	}
	q := x.query("limit", "cursor")
	limit, list := q.limit(), listID("commitments", x.ledger.String())
	from := q.from(list, math.MaxInt64)
	if q.err != nil {
		return q.err
	}
	page, err := h.DB.Commitments(x.req.Context(), x.ledger, from, limit+1)
	if err != nil {
		return fmt.Errorf("listing balance commitments: %w", err)
	}
	next := ""
	if len(page) > limit {
		next = seqCursor(list, page[limit].Seq())
		page = page[:limit]
	}
	x.out = appendList(x.out, page, next, appendCommitment)
	return x.send(200)
}

// appendCommitment appends what a balance commitment binds.
func appendCommitment(b []byte, e *ledger.Entry) []byte {
	r := e.Record()
	b = strconv.AppendInt(append(b, `{"seq":`...), r.Seq, 10)
	b = appendTime(append(b, `,"recorded_at":`...), r.RecordedAt)
	b = appendNumber(append(b, `,"size":`...), detail(e, "size"))
	b = appendNumber(append(b, `,"accounts":`...), detail(e, "accounts"))
	b = appendString(append(b, `,"root":`...), detail(e, "root"))
	b = append(b, `,"totals":[`...)
	n := 0
	for _, d := range r.Details {
		currency, ok := strings.CutPrefix(d.Name, "posted.")
		if !ok {
			continue
		}
		b = appendString(append(appendComma(b, n), `{"currency":`...), currency)
		b = appendString(append(b, `,"posted":`...), d.Value)
		b = appendString(append(b, `,"pending":`...), detail(e, "pending."+currency))
		b = append(b, '}')
		n++
	}
	return append(b, "]}"...)
}

// balanceProof answers GET /v1/ledgers/{ledger}/accounts/{account}/balance-proof.
func (h *handlers) balanceProof(x *exchange) error {
	q := x.query("commitment")
	seq := q.seq("commitment")
	if q.err != nil {
		return q.err
	}
	a, err := h.account(x)
	if err != nil {
		return err
	}
	commitment, err := h.commitment(x, seq)
	if err != nil {
		return err
	}
	size, _ := strconv.ParseInt(detail(commitment, "size"), 10, 64) // it was checked
	tree, err := h.balanceTree(x.req.Context(), x.ledger, size, &ledger.AccountID{UUID: a.AccountID})
	if err != nil {
		return fmt.Errorf("proving the balance of account %s: %w", a.Code, err)
	}
	proof, ok := tree.Proof()
	if !ok {
		return newProblem(codeNoCommitment, "account %s was opened after what entry %d commits to; commit to the balances again", a.Code, commitment.Seq())
	}
	record := commitment.Record()
	if err := proof.Verify(&record); err != nil {
		return fmt.Errorf("proving the balance of account %s: %w: %w", a.Code, store.ErrDamaged, err)
	}
	x.out = appendBalanceProof(x.out, a.Code, &proof, commitment)
	return x.send(200)
}

// commitment returns the balance commitment at seq, or the newest one for −1.
func (h *handlers) commitment(x *exchange, seq int64) (*ledger.Entry, error) {
	from := seq
	if seq < 0 {
		from = math.MaxInt64
	}
	found, err := h.DB.Commitments(x.req.Context(), x.ledger, from, 1)
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading the balance commitment at entry %d: %w", seq, err)
	case len(found) == 0 || seq >= 0 && found[0].Seq() != seq:
		return nil, newProblem(codeNoCommitment, "there is no balance commitment there; GET …/balance-commitments lists them, POST makes one")
	}
	return &found[0], nil
}

// appendBalanceProof appends the proof that a commitment binds a balance.
func appendBalanceProof(b []byte, code string, p *chain.AccountProof, commitment *ledger.Entry) []byte {
	l := &p.Leaf
	b = appendString(append(b, `{"account":`...), code)
	b = appendID(append(b, `,"account_id":`...), l.AccountID)
	b = strconv.AppendInt(append(b, `,"size":`...), l.Size, 10)
	b = appendString(append(b, `,"currency":`...), l.Currency)
	b = strconv.AppendInt(append(b, `,"account_seq":`...), l.AccountSeq, 10)
	b = appendUnits(append(b, `,"posted":`...), l.Posted, l.Scale)
	b = appendUnits(append(b, `,"pending_debit":`...), l.PendingDebit, l.Scale)
	b = appendUnits(append(b, `,"pending_credit":`...), l.PendingCredit, l.Scale)
	b = append(b, `,"leaf":"`...)
	b = base64.StdEncoding.AppendEncode(b, l.AppendCanonical(nil))
	b = strconv.AppendInt(append(b, `","index":`...), p.Index, 10)
	b = strconv.AppendInt(append(b, `,"accounts":`...), p.Accounts, 10)
	b = append(b, `,"path":[`...)
	for i, hash := range p.Path {
		b = appendHash(appendComma(b, i), hash)
	}
	b = appendString(append(b, `],"root":`...), detail(commitment, "root"))
	b = strconv.AppendInt(append(b, `,"commitment_seq":`...), commitment.Seq(), 10)
	return append(b, '}')
}
