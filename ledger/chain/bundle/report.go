package bundle

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"tallystick/ledger/chain"
)

// Status is the outcome of a verification in one word.
type Status string

// The outcomes. Something critical makes a bundle tampered even if not
// everything could be checked.
const (
	Verified   Status = "verified"
	Tampered   Status = "tampered"
	Incomplete Status = "incomplete"
)

// Report is what a verification found. Its JSON form has the names of that of a
// verification in a database, up to not_checked.
type Report struct {
	Status Status `json:"status"`
	// Ledger is the ledger's name, or what the manifest calls it when its first
	// entry could not be read.
	Ledger string `json:"ledger"`
	Size   int64  `json:"size"`
	Head   string `json:"head"`
	// EntriesChecked counts the entries read; EntriesPerSecond is that by the
	// time of the whole verification, rounded down.
	EntriesChecked   int64 `json:"entries_checked"`
	EntriesPerSecond int64 `json:"entries_per_second"`
	// Findings are those about the file as a whole, and then sorted by seq and
	// by their order in Checks. At most 10,000 are listed.
	Findings      []chain.Finding `json:"findings"`
	FindingsTotal int64           `json:"findings_total"`
	// NotChecked says in plain words what this report says nothing about: first
	// what should have been checked and could not be, which makes a report
	// incomplete, and then what is beyond Verify.
	NotChecked []string `json:"not_checked"`

	// Scope is what the report rests on, for people.
	Scope Scope `json:"-"`
}

// Scope says what a verification looked at.
type Scope struct {
	LedgerID    uuid.UUID
	Origin      string
	Root        chain.Hash
	From        string // what made the bundle
	Postings    int64
	Accounts    int64
	Texts       int64
	HasTexts    bool
	Elapsed     time.Duration
	Checkpoints []ScopeCheckpoint
	Proofs      int
	Pinned      []int64  // sizes of the auditor's checkpoints that the ledger extends
	Vouched     bool     // the auditor gave the keys
	SignedBy    []string // who signed the manifest, of the keys that count
	KeyChanges  []string // what the entries say about signers' keys
	Balances    int64    // accounts whose balance is shown
	Commitment  *Commitment
	Totals      []Total
	// Unchecked is how many of NotChecked make the report incomplete.
	Unchecked int
}

// ScopeCheckpoint is a checkpoint whose root and signatures hold.
type ScopeCheckpoint struct {
	Size       int64
	Root       chain.Hash
	Signatures []string // ids of the keys, of witnesses with the time
}

// zeroTime stands for any time.
var zeroTime time.Time

func showMicros(us int64) string { return time.UnixMicro(us).UTC().Format(time.RFC3339Nano) }

// report puts the results together.
func (v *verification) report(elapsed time.Duration) *Report {
	v.findings.trim()
	r := &Report{Status: Verified, FindingsTotal: v.findings.total, Findings: []chain.Finding{}}
	r.Scope.Elapsed = elapsed
	if v.manifest != nil {
		v.describe(r)
	}
	if µs := elapsed.Microseconds(); µs > 0 {
		r.EntriesPerSecond = r.EntriesChecked * time.Second.Microseconds() / µs
	}
	for i := range v.findings.kept {
		r.Findings = append(r.Findings, v.public(&v.findings.kept[i]))
	}
	reasons := v.findings.list()
	r.NotChecked, r.Scope.Unchecked = append(reasons, v.beyond()...), len(reasons)
	switch {
	case v.findings.critical > 0:
		r.Status = Tampered
	case len(reasons) > 0:
		r.Status = Incomplete
	}
	return r
}

// describe fills in what the bundle is about.
func (v *verification) describe(r *Report) {
	m, s := v.manifest, &r.Scope
	r.Ledger, r.Size, r.Head = m.Ledger.String(), m.Size, m.Head.String()
	s.LedgerID, s.Origin, s.Root, s.From, s.HasTexts = m.Ledger, m.Origin, m.Root, m.From, m.Texts
	s.Vouched, s.SignedBy, s.Proofs, s.Balances = v.keys.vouch, v.signedBy, v.proofs, v.balances
	s.Pinned = v.pinned
	if v.committed {
		s.Commitment = m.Commitment
	}
	for _, p := range v.stripes {
		r.EntriesChecked += p.entries
		s.Postings += p.postings
		s.Texts += p.texts
		if p.terms != nil && r.Ledger == m.Ledger.String() {
			r.Ledger = p.terms.Name
		}
		for _, k := range p.keys {
			if k.role == "signer" {
				s.KeyChanges = append(s.KeyChanges, fmt.Sprintf("entry %d: %s %s", k.seq, k.action, k.keyID))
			}
		}
	}
	if v.accounts != nil {
		s.Accounts = int64(len(v.accounts.list))
		for key, t := range totals(v.accounts.list) {
			if t.debits == t.credits && !t.overflow {
				s.Totals = append(s.Totals, Total{key.code, t.debits.Format(key.scale), t.credits.Format(key.scale), t.pendingDebit.Format(key.scale)})
			}
		}
		slices.SortFunc(s.Totals, func(a, b Total) int { return strings.Compare(a.Currency+" "+a.Debits, b.Currency+" "+b.Debits) })
	}
	for i := range v.checkpoints {
		c := &v.checkpoints[i]
		if root, ok := v.roots[c.size]; !ok || !c.good || root != c.signed.Root {
			continue
		}
		of := ScopeCheckpoint{Size: c.size, Root: c.signed.Root}
		for _, x := range c.signed.Signatures {
			who := x.Key.ID()
			if !x.Time.IsZero() {
				who += " at " + x.Time.UTC().Format(time.RFC3339)
			}
			if v.keys.unvouched(x.Key) {
				who += " (a key that the bundle alone names)"
			}
			of.Signatures = append(of.Signatures, who)
		}
		s.Checkpoints = append(s.Checkpoints, of)
	}
}

// beyond is what Verify says nothing about, whatever it finds.
func (v *verification) beyond() []string {
	if v.manifest == nil {
		return nil
	}
	var list []string
	if !v.keys.vouch && len(v.keys.own) > 0 {
		list = append(list, "whose keys these are: they come from the bundle itself. Compare their ids with those that the operator publishes elsewhere, and give them with --key or --policy")
	}
	if v.policy == nil {
		list = append(list, "witnesses: there is no policy that names any")
	}
	list = append(list,
		fmt.Sprintf("what was appended after entry %d, and whether others are shown the same ledger: compare the checkpoint with what witnesses and other auditors hold", v.manifest.Size-1),
		"requests that stand twice, holds and their settlement, reversals, limits, freezes, closed periods and currencies: tallystick verify checks them where the database is",
		"booking dates against the ledger's time zone, and that a text may be searched for")
	if !v.manifest.Texts {
		list = append(list, "descriptions, references and metadata: the bundle was made without them")
	}
	if n := v.otherCommitments(); n > 0 {
		list = append(list, fmt.Sprintf("%d balance commitments before the newest: make a bundle at a smaller size to check them", n))
	}
	if strings.Contains(string(v.note), "\n\n") && len(v.signedBy) == 0 {
		list = append(list, "the signature on the manifest: it is by a key that is not known here")
	}
	if len(v.others) > 0 {
		list = append(list, "what these files say, beyond that they are the ones listed: "+strings.Join(v.others, ", "))
	}
	return list
}

// otherCommitments counts the balance commitments that were not looked at.
func (v *verification) otherCommitments() int64 {
	n := int64(0)
	for _, s := range v.stripes {
		n += s.commitments
	}
	if v.commitment != nil {
		n--
	}
	return n
}

// public turns f into what is reported.
func (v *verification) public(f *finding) chain.Finding {
	check := &Checks[precedence[f.code]]
	p := chain.Finding{
		Code: f.code, Severity: check.Severity, NextStep: check.NextStep,
		Column: optional(f.column), Stored: optional(f.stored), Recomputed: optional(f.recomputed),
	}
	if f.seq != noSeq && f.seq != beyond64 {
		seq := f.seq
		p.Seq = &seq
	}
	if f.request != uuid.Nil {
		p.TransferID = optional(f.request.String())
	}
	if f.account != uuid.Nil {
		name := f.account.String()
		if v.accounts != nil {
			if i, ok := v.accounts.places[f.account]; ok && v.accounts.list[i].code != "" {
				name = v.accounts.list[i].code
			}
		}
		p.Account = &name
	}
	return p
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// list returns why the verification is incomplete; empty when it is not.
func (f *findings) list() []string {
	slices.SortFunc(f.reasons, func(a, b reason) int {
		return cmp.Or(cmp.Compare(a.first, b.first), strings.Compare(a.what, b.what))
	})
	list := []string{}
	for _, r := range f.reasons {
		switch {
		case r.first == noSeq:
			list = append(list, r.what)
		case r.count == 1:
			list = append(list, fmt.Sprintf("entry %d: %s", r.first, r.what))
		default:
			list = append(list, fmt.Sprintf("%d entries from %d on: %s", r.count, r.first, r.what))
		}
	}
	if f.more > 0 {
		list = append(list, fmt.Sprintf("%d further places that could not be checked", f.more))
	}
	return list
}
