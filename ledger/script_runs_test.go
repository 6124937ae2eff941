package ledger_test

import (
	"crypto/sha256"

	"github.com/google/uuid"

	"tallystick/ledger"
	"tallystick/ledger/chain"
)

// person is the key of somebody.
func (n *notation) person(name string) ledger.KeyID {
	if name == "nobody" {
		return ledger.KeyID{}
	}
	return ledger.KeyID{UUID: uuid.UUID(n.id("person:" + name).UUID)}
}

// firstEntry is the opening of the ledger, the only entry whose hash a line can
// know.
func (n *notation) firstEntry() ledger.Entry {
	n.t.Helper()
	first, err := (&ledger.OpenLedger{ID: scriptLedger}).FirstEntry(n.terms, defaultOpened)
	if err != nil {
		n.fatal("opening the ledger: %v", err)
	}
	return first
}

// recordRun reads a run of the first entry, unless it says otherwise.
func (n *notation) recordRun() ledger.Request {
	first := n.firstEntry()
	r := &ledger.RecordRun{Common: n.common(n.next()), AsOf: n.date("2026-03-02"), Size: 1, Head: first.Hash(), Last: first.RequestID(), Result: chain.RunPassed}
	for len(n.words) > 0 {
		switch word := n.next(); word {
		case "by":
			r.Actor = n.person(n.next())
		case "nameless":
			r.ID = ledger.RequestID{}
		case "of":
			r.AsOf = n.date(n.next())
		case "size":
			r.Size = int64(n.number(n.next()))
		case "last":
			r.Last = n.id(n.next())
		case "from":
			r.ReadFrom = int64(n.number(n.next()))
		case "head":
			r.Head = sha256.Sum256([]byte(n.next()))
		case "result":
			r.Result = n.next()
		case "critical":
			r.Critical = int64(n.number(n.next()))
		case "warnings":
			r.Warnings = int64(n.number(n.next()))
		case "input":
			if r.Inputs == nil {
				r.Inputs = map[string]chain.Hash{}
			}
			r.Inputs[n.next()] = sha256.Sum256([]byte("input"))
		case "about":
			text := n.unquoted()
			r.Description = &text
		default:
			n.fatal("a run has no %q", word)
		}
	}
	return r
}

// signOff reads one, by somebody.
func (n *notation) signOff() ledger.Request {
	run, stage := n.id(n.next()), n.next()
	r := ledger.SignOff(run, stage, n.next())
	salt := sha256.Sum256(r.ID.UUID[:])
	copy(r.Salt[:], salt[:])
	r.Actor = n.person("somebody")
	for len(n.words) > 0 {
		switch word := n.next(); word {
		case "by":
			r.Actor = n.person(n.next())
		case "subject":
			r.Subject = n.unquoted()
		case "about":
			text := n.unquoted()
			r.Description = &text
		case "settled":
			id := n.id(n.next())
			r.Entry = &id
		case "as":
			r.ID = n.id(n.next())
		default:
			n.fatal("a sign-off has no %q", word)
		}
	}
	return r
}

// decide reads another decision.
func (n *notation) decide() ledger.Request {
	r := &ledger.Decide{Action: n.next(), Subject: n.unquoted()}
	for len(n.words) > 0 && n.words[0] != "as" {
		switch word := n.next(); word {
		case "outcome":
			r.Outcome = n.unquoted()
		case "run", "entry", "supersedes":
			id := n.id(n.next())
			*map[string]**ledger.RequestID{"run": &r.Run, "entry": &r.Entry, "supersedes": &r.Supersedes}[word] = &id
		case "amount":
			v := n.amount(n.next())
			r.Amount = &v
		case "in":
			r.Currency = n.next()
		default:
			n.fatal("a decision has no %q", word)
		}
	}
	r.Common = n.named()
	return r
}

// adopt reads which policy is adopted.
func (n *notation) adopt() ledger.Request {
	r := &ledger.AdoptPolicy{Name: n.unquoted(), EffectiveFrom: n.date(n.next())}
	r.Digest = sha256.Sum256([]byte(r.Name))
	if n.take("version") {
		version := n.unquoted()
		r.Version = &version
	}
	r.Common = n.named()
	return r
}
