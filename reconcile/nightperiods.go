package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"tallystick/ledger/chain"
	"tallystick/ledger/store"
)

// periodBooks are the books that reports of a run share: of the year up to its
// day, and of the month. Each is read once, and from where the run before has left
// off where that is in the same period.
type periodBooks struct {
	night *Night
	// trusted: the books are those that runs before have read, as far as the phases
	// before can tell. Sums over others are neither gone on from nor left to the next
	// run.
	trusted bool
	known   map[bool]*sharedBooks // by whether it is the month
}

type sharedBooks struct {
	books *bookReader
	err   error
}

// periodBooks says whether what the phases before found lets states be used.
func (n *Night) periodBooks(ctx context.Context) (*periodBooks, error) {
	p := &periodBooks{night: n, trusted: true, known: make(map[bool]*sharedBooks)}
	found, err := n.earlierFindings(ctx)
	if err != nil {
		return nil, err
	}
	for i := range found {
		if name := found[i].Phase; name == "chain" || name == "books" {
			p.trusted = p.trusted && sameBooks(&found[i])
		}
	}
	return p, nil
}

// sameBooks reports whether a phase found nothing critical, but for what breaks the
// institution's own rules in books that are in order, and has looked at all of what
// the run before has left.
func sameBooks(f *PhaseFindings) bool {
	ruled := int64(0)
	for i := range f.Findings {
		rule := func(c Check) bool { return c.Code == f.Findings[i].Code && c.Invariant == byPolicy }
		if f.Findings[i].Severity == chain.Critical && slices.ContainsFunc(NightChecks, rule) {
			ruled++
		}
	}
	return f.Critical == ruled && (f.Phase != "books" || len(f.NotChecked) == 0)
}

// periodNeed is what the reports of a year, or of a month, need together.
func periodNeed(monthly bool) need { return need{days: monthly, lines: monthly} }

// of returns the books that a report rests on.
func (p *periodBooks) of(ctx context.Context, k *ReportKind, q *ReportRequest) (*bookReader, error) {
	if known := p.known[k.monthly]; known != nil {
		return known.books, known.err
	}
	s := &sharedBooks{}
	s.books, s.err = p.read(ctx, k, q)
	if s.err == nil || unfitBooks(s.err) {
		p.known[k.monthly] = s
	}
	return s.books, s.err
}

// read reads the books, from a state on where there is one.
func (p *periodBooks) read(ctx context.Context, k *ReportKind, q *ReportRequest) (*bookReader, error) {
	n := periodNeed(k.monthly)
	state, err := p.left(ctx, k.monthly)
	if err != nil {
		return nil, err
	}
	if state != nil {
		b, err := pinBooks(ctx, p.night.Snapshot, k, q)
		if err != nil {
			return nil, err
		}
		err = b.goOn(ctx, n, q, state)
		p.night.passed += b.passed
		if !errors.Is(err, errPassState) {
			return b, err
		}
	}
	b, err := pinBooks(ctx, p.night.Snapshot, k, q)
	if err != nil {
		return nil, err
	}
	err = b.read(ctx, n, q)
	p.night.passed += b.passed
	return b, err
}

// left returns the state that the run before has left; nil where it has left none,
// or this run is not to rest on it. One that is not what was put out is a finding,
// and the period is read.
func (p *periodBooks) left(ctx context.Context, monthly bool) ([]byte, error) {
	n := p.night
	if n.Previous == nil || n.Plan.Whole || !p.trusted {
		return nil, nil
	}
	size, state, err := readState(ctx, n.DB, n.Previous.ID, passStateOf(monthly))
	switch {
	case errors.Is(err, ErrNoOutput), n.notReproduced(err):
		return nil, nil
	case err != nil:
		return nil, err
	case size != n.Previous.Size:
		return nil, nil
	}
	return state, nil
}

// passStateOf is the name of a state among the outputs of a run.
func passStateOf(monthly bool) string {
	if monthly {
		return "pass-month"
	}
	return "pass-year"
}

// maxPassParts is how many outputs the states of a run are at most.
const maxPassParts = 2 * (1 + (maxPassState+maxStatePart-1)/maxStatePart)

// The outputs of all phases have room for them.
var _ [store.MaxOutputs/2 - maxPassParts]struct{}

// keep leaves the states to the next run.
func (p *periodBooks) keep() error {
	if !p.trusted {
		return nil
	}
	for _, monthly := range []bool{false, true} {
		s := p.known[monthly]
		if s == nil || s.err != nil {
			continue
		}
		state := s.books.state(periodNeed(monthly))
		if state == nil {
			continue
		}
		if err := p.night.putState(passStateOf(monthly), s.books.End, state); err != nil {
			return fmt.Errorf("leaving the pass over a period to the next run: %w", err)
		}
	}
	return nil
}
