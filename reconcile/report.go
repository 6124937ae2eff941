package reconcile

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"tallystick/ledger/chain"
	"tallystick/ledger/store"
)

// Status is the outcome of a verification in one word.
type Status string

// The outcomes. Something critical makes a ledger tampered even if not
// everything could be read.
const (
	Verified   Status = "verified"
	Tampered   Status = "tampered"
	Incomplete Status = "incomplete"
)

// Report is what a verification found. Its JSON form is part of the outward
// contract (DESIGN §9).
type Report struct {
	Status Status `json:"status"`
	// Ledger is the ledger's name, or its UUID when its terms are gone; empty where the
	// database has none, and none was named.
	Ledger string `json:"ledger"`
	// Size and Head are those that were pinned at the beginning. Head is empty
	// when there are no entries.
	Size int64  `json:"size"`
	Head string `json:"head"`
	// EntriesChecked counts the entries read; EntriesPerSecond is that by the
	// time of the whole verification, rounded down.
	EntriesChecked   int64 `json:"entries_checked"`
	EntriesPerSecond int64 `json:"entries_per_second"`
	// Findings are sorted by seq and then by their order in Checks; those about
	// the ledger as a whole come last. At most 10,000 are listed.
	Findings []chain.Finding `json:"findings"`
	// FindingsTotal counts all findings, listed or not.
	FindingsTotal int64 `json:"findings_total"`
	// NotChecked says in plain words what this report says nothing about: first
	// what should have been checked and could not be, which makes a report
	// incomplete, and then what is beyond Verify.
	NotChecked []string `json:"not_checked"`

	// Who vouches for the ledger from outside.
	Signed

	// Scope is what the report rests on, for people.
	Scope Scope `json:"-"`
}

// Scope says what a verification looked at.
type Scope struct {
	LedgerID uuid.UUID
	Origin   string // empty when the terms are gone
	Postings int64
	Accounts int64
	Texts    int64 // descriptions, references and metadata held against their commitments
	Elapsed  time.Duration
	Totals   []Total // sorted by currency
	// Unchecked is how many of NotChecked make the report incomplete.
	Unchecked int
	// Level is how far the verification went.
	Level Level
	// Unreadable: the ledger could not even be begun.
	Unreadable bool
	// Gone: there is no ledger of the name, and what was verified is what is left.
	Gone bool
	// Unlisted: whether there is one could not be read.
	Unlisted bool
	// From is the first entry that was looked at, other than 0 only at
	// LevelChain with a pinned checkpoint.
	From int64
	// Signing is the largest checkpoint that holds; nil when there is none.
	Signing *Signing
	// Pin is nil when no checkpoint was pinned.
	Pin *Pin
	// Derived is how much was held against the entries that is derived from them.
	Derived Derived
	// SuperLog is nil when it was not read.
	SuperLog *SuperLog
	// Succeeds is the loss that the first entry of the ledger declares; nil: none.
	// SucceededBy are ledgers that declare one of this ledger.
	Succeeds    *Succession
	SucceededBy []SucceededBy
	// Outside is what was held against the ledger from outside, one line each.
	Outside []string
	// Forks stand on their own, with the server switched off.
	Forks []Fork
	// Compared are the names of two checkpoints, when nothing else was looked at.
	Compared [2]string
	// Unsigned: whose signatures under them count is not known. Contradict: they say
	// different things of one size besides.
	Unsigned, Contradict bool
	// CoveredBy is the size of the first checkpoint over an entry that a finding
	// is about.
	CoveredBy map[int64]int64
	// FirstBreak and LastBreak are the first and the last entry about which
	// the hash of the head proves nothing; LastBreak is −1 when there is none.
	FirstBreak, LastBreak int64
}

// Derived counts what is derived from the entries, and was held against them.
type Derived struct {
	Commitments int64 // balance commitments
	Snapshots   int64 // of balances
	Runs        int64 // of the night, as they are stored
	Documents   int64 // that runs put out
}

// Total is what the balances of a currency add up to, in natural units. Debits
// and credits are equal unless the report says otherwise.
type Total struct {
	Currency string `json:"currency"`
	Debits   string `json:"debits"`
	Credits  string `json:"credits"`
}

// report puts the results together.
func (v *verification) report(ctx context.Context, elapsed time.Duration) (Report, error) {
	kept, err := v.prove(ctx, v.findings.sorted())
	if err != nil {
		if ctx.Err() != nil {
			return Report{}, ctx.Err()
		}
		v.findings.notChecked(noSeq, err.Error())
	}
	r := Report{
		Status: Verified, Ledger: v.snapshot.LedgerID.String(), Size: v.snapshot.Size,
		EntriesChecked: v.scope.entries, FindingsTotal: v.findings.total(),
		Scope: Scope{
			LedgerID: v.snapshot.LedgerID, Postings: v.scope.postings, Accounts: v.books.accounts, Texts: v.scope.texts,
			Elapsed: elapsed, Totals: v.books.list(),
		},
	}
	if v.terms != nil {
		r.Ledger, r.Scope.Origin = v.terms.Name, v.terms.Origin
	}
	if r.Size > 0 {
		r.Head = v.snapshot.Head.String()
	}
	if µs := elapsed.Microseconds(); µs > 0 {
		r.EntriesPerSecond = r.EntriesChecked * time.Second.Microseconds() / µs
	}
	codes, requests, err := v.lookUpNames(ctx, kept)
	if ctx.Err() != nil {
		return Report{}, ctx.Err()
	}
	if err != nil {
		v.findings.notChecked(noSeq, "account codes and transfer ids of the findings: "+err.Error())
	}
	if r.Scope.CoveredBy, err = v.lookUpCovers(ctx, kept); err != nil {
		if ctx.Err() != nil {
			return Report{}, ctx.Err()
		}
		v.findings.notChecked(noSeq, "which checkpoints cover the findings: "+err.Error())
	}
	v.describe(&r.Scope)
	r.Signed = r.Scope.signed()
	r.Findings = make([]chain.Finding, len(kept))
	r.Scope.LastBreak = -1
	for i, f := range kept {
		r.Findings[i] = f.public(codes, requests)
		if f.breaks() {
			if r.Scope.LastBreak < 0 {
				r.Scope.FirstBreak = f.seq // the first is the lowest
			}
			r.Scope.LastBreak = max(r.Scope.LastBreak, f.seq, f.until)
		}
	}
	reasons := v.findings.reasons()
	r.NotChecked, r.Scope.Unchecked = append(slices.Clone(reasons), v.beyond()...), len(reasons)
	switch {
	case v.findings.critical() > 0:
		r.Status = Tampered
	case len(reasons) > 0:
		r.Status = Incomplete
	}
	return r, nil
}

// list returns the totals for people.
func (b *books) list() []Total {
	var list []Total
	for key, t := range b.totals {
		list = append(list, Total{key.currency, natural(&t.debits, key.scale), natural(&t.credits, key.scale)})
	}
	slices.SortFunc(list, func(a, b Total) int {
		return strings.Compare(a.Currency+" "+a.Debits, b.Currency+" "+b.Debits)
	})
	return list
}

// public turns f into what is reported.
func (f *finding) public(codes map[uuid.UUID]string, requests map[int64]uuid.UUID) chain.Finding {
	check := &Checks[precedence[f.code]]
	p := chain.Finding{
		Code: f.code, Severity: check.Severity, NextStep: check.NextStep,
		Column: optional(f.column), Stored: optional(f.stored), Recomputed: optional(f.recomputed),
	}
	if f.proof != "" {
		p.NextStep = f.proof + " " + p.NextStep
	}
	if f.seq != noSeq {
		seq := f.seq
		p.Seq = &seq
	}
	if id, ok := requests[f.seq]; ok {
		p.TransferID = optional(id.String())
	}
	if f.named {
		code, ok := codes[f.account]
		if !ok {
			code = f.account.String()
		}
		p.Account = &code
	}
	return p
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// Index: the primary key.
const codesSQL = `
select account_id, code
from book.accounts
where account_id = any($1::uuid[])`

// Index: the primary key.
const requestsSQL = `
select seq, request_id
from book.entries
where ledger_id = $1::uuid and seq = any($2::int8[])`

// lookUpNames returns the codes of the accounts and the transfer ids of the
// entries that findings are about. An account or entry that is gone has none.
func (v *verification) lookUpNames(ctx context.Context, kept []finding) (map[uuid.UUID]string, map[int64]uuid.UUID, error) {
	codes, requests := make(map[uuid.UUID]string), make(map[int64]uuid.UUID)
	for chunk := range slices.Chunk(kept, v.bounds.page) {
		var ids []uuid.UUID
		var seqs []int64
		for _, f := range chunk {
			if f.named {
				ids = append(ids, f.account)
			}
			if f.seq != noSeq {
				seqs = append(seqs, f.seq)
			}
		}
		err := v.snapshot.Scan(ctx, codesSQL, []any{ids}, func(r *store.Row) error {
			codes[r.UUID(0)] = string(r.Text(1))
			return nil
		})
		if err != nil {
			return codes, requests, fmt.Errorf("reading account codes: %w", err)
		}
		err = v.snapshot.Scan(ctx, requestsSQL, []any{v.snapshot.LedgerID, seqs}, func(r *store.Row) error {
			requests[r.Int64(0)] = r.UUID(1)
			return nil
		})
		if err != nil {
			return codes, requests, fmt.Errorf("reading transfer ids: %w", err)
		}
	}
	return codes, requests, nil
}
