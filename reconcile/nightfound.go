package reconcile

import (
	"cmp"
	"slices"
	"strings"

	"tallystick/ledger/chain"
)

// maxNightFindings is how many findings of one phase are kept; the rest is
// counted.
const maxNightFindings = 10_000

// found gathers what a phase finds, in an order that does not depend on when.
type found struct {
	all                []chain.Finding
	unchecked          []string
	critical, warnings int64
	info               int64
}

func (f *found) add(findings ...chain.Finding) {
	for i := range findings {
		switch findings[i].Severity {
		case chain.Critical:
			f.critical++
		case chain.Warning:
			f.warnings++
		default:
			f.info++
		}
	}
	f.all = append(f.all, findings...)
	if len(f.all) >= 2*maxNightFindings {
		f.trim()
	}
}

func (f *found) trim() {
	slices.SortStableFunc(f.all, compareNightFindings)
	if len(f.all) > maxNightFindings {
		f.all = slices.Delete(f.all, maxNightFindings, len(f.all))
	}
}

// severityOrder puts what matters most first: it is what is kept of too many.
var severityOrder = map[chain.Severity]int{chain.Critical: 0, chain.Warning: 1, chain.Info: 2}

func compareNightFindings(a, b chain.Finding) int {
	return cmp.Or(
		cmp.Compare(severityOrder[a.Severity], severityOrder[b.Severity]),
		cmp.Compare(seqOf(&a), seqOf(&b)),
		strings.Compare(a.Code, b.Code),
		compareOptional(a.Account, b.Account), compareOptional(a.Column, b.Column),
		compareOptional(a.Stored, b.Stored), compareOptional(a.Recomputed, b.Recomputed),
	)
}

func seqOf(f *chain.Finding) int64 {
	if f.Seq == nil {
		return noSeq
	}
	return *f.Seq
}

func compareOptional(a, b *string) int {
	switch {
	case a == nil && b == nil:
		return 0
	case a == nil:
		return -1
	case b == nil:
		return 1
	}
	return strings.Compare(*a, *b)
}

// PhaseFindings is what one phase found, as it is stored.
type PhaseFindings struct {
	Phase string `json:"phase"`
	// Findings are the first 10,000: critical ones first, in order of seq.
	Findings   []chain.Finding `json:"findings"`
	Critical   int64           `json:"critical"`
	Warnings   int64           `json:"warnings"`
	Info       int64           `json:"info"`
	NotChecked []string        `json:"not_checked"`
}

// of returns what was found, sorted.
func (f *found) of(phase string) PhaseFindings {
	f.trim()
	unchecked := slices.Clone(f.unchecked)
	slices.Sort(unchecked)
	return PhaseFindings{
		Phase: phase, Findings: append([]chain.Finding{}, f.all...), Critical: f.critical, Warnings: f.warnings, Info: f.info,
		NotChecked: append([]string{}, slices.Compact(unchecked)...),
	}
}
