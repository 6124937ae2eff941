package reconcile

import (
	"errors"
	"fmt"
	"strings"

	"tallystick/ledger/chain"
)

// Compare holds two signed checkpoints against each other, with no database:
// what two auditors do who were shown one each. The error says that one of the
// files is no checkpoint, or that they are not of one ledger. Without keys, what they
// say is compared, and nothing is proven: anybody could have written them.
func Compare(a, b Document, keys []chain.VerifierKey) (Report, error) {
	r := Report{Status: Verified, Scope: Scope{LastBreak: -1, Compared: [2]string{a.Name, b.Name}}, Findings: []chain.Finding{}}
	findings := newFindings(len(Checks))
	var signed [2]chain.SignedCheckpoint
	for i, doc := range []Document{a, b} {
		s, err := chain.OpenCheckpoint(doc.Data, keys...)
		f := finding{seq: lastOf(s.Size)}
		switch {
		case errors.Is(err, chain.ErrCheckpoint):
			return r, fmt.Errorf("reading %s: %w", doc.Name, err)
		case errors.Is(err, chain.ErrSignature):
			findings.add(f.as(CheckpointBadSignature, doc.Name+": "+err.Error(), ""))
		case len(keys) == 0 && errors.Is(err, chain.ErrUnknownKey):
		case errors.Is(err, chain.ErrUnknownKey), err == nil && !s.SignedByLog():
			findings.add(f.as(CheckpointUnknownKey, doc.Name+": "+strings.Join(s.Unknown, ", "), ""))
		case err != nil:
			return r, fmt.Errorf("reading %s: %w", doc.Name, err)
		}
		signed[i] = s
	}
	if signed[0].Origin != signed[1].Origin {
		return r, fmt.Errorf("comparing %s and %s: they are of two ledgers, %s and %s", a.Name, b.Name, signed[0].Origin, signed[1].Origin)
	}
	r.Ledger, r.Scope.Origin = signed[0].Origin, signed[0].Origin
	r.Size = max(signed[0].Size, signed[1].Size)
	if min(signed[0].Size, signed[1].Size) == 0 {
		findings.add(finding{code: RejectEmptyBaseline, seq: 0, stored: "a checkpoint of size 0"})
	}
	if r.Scope.Unsigned = len(keys) == 0; r.Scope.Unsigned {
		findings.notChecked(noSeq, "whether they are signed, and by whom: name the signer's key with --policy FILE or --key KEY; without it, anybody could have written the two files")
	}
	switch valid := findings.total() == 0; {
	case valid && signed[0].Size != signed[1].Size:
		findings.notChecked(noSeq, fmt.Sprintf("whether the checkpoint of size %d extends that of size %d: two sizes take the ledger itself, or a consistency proof", r.Size, min(signed[0].Size, signed[1].Size)))
	case valid && signed[0].Root != signed[1].Root && r.Scope.Unsigned:
		r.Scope.Contradict = true
	case valid && signed[0].Root != signed[1].Root:
		findings.add(finding{code: ForkProven, seq: lastOf(r.Size), stored: string(a.Data), recomputed: string(b.Data)})
		r.Scope.Forks = []Fork{{Seq: lastOf(r.Size), Name: b.Name, Ours: a.Data, OurSize: r.Size, OurRoot: signed[0].Root,
			Theirs: b.Data, TheirSize: r.Size, TheirRoot: signed[1].Root}}
	}
	r.FindingsTotal = findings.total()
	for _, f := range findings.sorted() {
		r.Findings = append(r.Findings, f.public(nil, nil))
	}
	reasons := findings.reasons()
	r.NotChecked, r.Scope.Unchecked = append(reasons, "the ledger itself: only two checkpoints were held against each other"), len(reasons)
	switch {
	case findings.critical() > 0:
		r.Status = Tampered
	case len(reasons) > 0:
		r.Status = Incomplete
	}
	return r, nil
}

// writeCompared begins the report on two checkpoints.
func (r *Report) writeCompared(p *printer) {
	a, b := r.Scope.Compared[0], r.Scope.Compared[1]
	switch r.Status {
	case Verified:
		p.printf("VERIFIED: %s and %s say the same, %d entries of %s.\n\n", a, b, r.Size, r.Ledger)
	case Incomplete:
		if r.Scope.Contradict {
			p.printf("INCOMPLETE: %s and %s contradict each other, with two roots for %d entries of %s; that both are signed would prove a fork.\n\n", a, b, r.Size, r.Ledger)
			return
		}
		if r.Scope.Unsigned {
			p.printf("INCOMPLETE: %s and %s do not contradict each other by themselves.\n\n", a, b)
			return
		}
		p.printf("INCOMPLETE: %s and %s are both signed, and do not contradict each other by themselves.\n\n", a, b)
	default:
		p.printf("TAMPERED: %s and %s, see below.\n\n", a, b)
	}
}
