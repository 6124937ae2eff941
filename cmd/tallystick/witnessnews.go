package main

import (
	"errors"
	"sync"

	"tallystick/ledger/witness"
)

// witnessNews says what witnesses answer, once for each change: a witness that
// does not answer is one piece of news, however many ledgers it is asked about;
// one that refuses a ledger, or has a larger tree of it, is news of that ledger,
// and may be all that is ever heard of a fork.
type witnessNews struct {
	logf, alarmf func(format string, args ...any)

	mu     sync.Mutex
	silent map[string]bool    // witnesses
	refuse map[[2]string]bool // witnesses and origins
}

func newWitnessNews(logf, alarmf func(string, ...any)) *witnessNews {
	return &witnessNews{logf: logf, alarmf: alarmf, silent: make(map[string]bool), refuse: make(map[[2]string]bool)}
}

// hear takes note of what came of asking.
func (n *witnessNews) hear(outcomes []witness.Outcome) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, o := range outcomes {
		of := [2]string{o.Name, o.Origin}
		switch {
		case o.Err == nil:
			if n.silent[o.Name] || n.refuse[of] {
				n.logf("witness %s cosigns %s again", o.Name, o.Origin)
			}
			delete(n.silent, o.Name)
			delete(n.refuse, of)
		case errors.Is(o.Err, witness.ErrAtWork): // it may yet answer
		case errors.Is(o.Err, witness.ErrRefused), errors.Is(o.Err, witness.ErrAhead):
			if !n.refuse[of] {
				n.alarmf("%s: witness %s does not cosign: %v", o.Origin, o.Name, o.Err)
			}
			n.refuse[of] = true
		default:
			if !n.silent[o.Name] {
				n.alarmf("witness %s does not cosign: %v", o.Name, o.Err)
			}
			n.silent[o.Name] = true
		}
	}
}
