package reconcile_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"

	"tallystick/ledger/chain"
)

// run puts a run of everything so far on record; the pairs take the place of
// what it says.
func (b *book) run(name string, otherwise ...string) chain.Entry {
	id := stableID("run %s", name)
	said := map[string]string{"as_of": "2026-01-01", "critical": "0", "head": b.head.String(), "read_from": "0", "reports_sha256": strings.Repeat("0", 64),
		"result": chain.RunPassed, "run_id": id.String(), "size": fmt.Sprint(b.next), "warnings": "0"}
	for i := 0; i < len(otherwise); i += 2 {
		said[otherwise[i]] = otherwise[i+1]
	}
	var pairs []string
	for name, value := range said {
		pairs = append(pairs, name, value)
	}
	return b.append(chain.Entry{Kind: chain.Run, RequestID: id, Actor: stableID("ops"), Details: facts(pairs...)}, words{})
}

func (b *book) signOff(run, person, outcome string, otherwise ...string) {
	id := stableID("run %s", run).String()
	b.decide(stableID("%s", person), append([]string{"action", "sign_off", "run_id", id, "subject", "run:" + id, "outcome", outcome}, otherwise...)...)
}

// decide puts a decision on record; of a name given twice, the last value counts.
func (b *book) decide(actor uuid.UUID, pairs ...string) chain.Entry {
	said := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		said[pairs[i]] = pairs[i+1]
	}
	var list []string
	for name, value := range said {
		if value != "" {
			list = append(list, name, value)
		}
	}
	b.byItself = actor == uuid.Nil
	return b.append(chain.Entry{Kind: chain.Decision, Actor: actor, Details: facts(list...)}, words{})
}

func (b *book) adopt(from string) {
	b.append(chain.Entry{Kind: chain.PolicyAdopted, Details: facts("effective_from", from, "name", "risk", "policy_sha256", strings.Repeat("0", 64))}, words{})
}

// nightForgeries break what holds for runs, decisions and policies; see misuses.
var nightForgeries = []forgery{
	{"runs and decisions in good order", func(b *book) {
		b.run("a")                                                                                              // 7
		b.signOff("a", "eve", chain.OutcomeReviewed)                                                            // 8
		b.signOff("a", "bob", chain.OutcomeApproved)                                                            // 9
		b.run("b", "result", "failed", "critical", "2")                                                         // 10
		b.signOff("b", "eve", chain.OutcomeRejected)                                                            // 11
		b.run("c", "result", "incomplete", "warnings", "2", "size", "7", "head", b.leaves[6].String())          // 12
		b.decide(stableID("eve"), "action", "match", "subject", "bank:1,ledger:2")                              // 13
		b.decide(stableID("eve"), "action", "note", "subject", "break:1", "supersedes", "13", "entry_seq", "3") // 14
		b.adopt("2026-01-01")                                                                                   // 15
	}, []string{}},
	{"runs of what is not there", func(b *book) {
		b.run("a", "size", "8")                               // 7
		b.run("b", "size", "0")                               // 8
		b.run("c", "head", strings.Repeat("1", 64))           // 9
		b.run("d", "size", "5", "head", b.leaves[3].String()) // 10
		b.run("e", "as_of", "2036-01-01")                     // 11
		b.run("f", "read_from", "99")                         // 12
	}, []string{"RUN_INVALID@7", "RUN_INVALID@8", "RUN_INVALID@9", "RUN_INVALID@10", "RUN_INVALID@11", "RUN_INVALID@12"}},
	{"runs that contradict themselves", func(b *book) {
		b.run("a", "result", "fine")                              // 7
		b.run("b", "critical", "1")                               // 8
		b.run("c", "result", "failed")                            // 9
		b.run("d", "run_id", stableID("run a").String())          // 10: its id, and a second run
		b.run("e", "result", "failed", "read_from", "99")         // 11
		b.run("f", "run_id", stableID("something else").String()) // 12
	}, []string{"RUN_INVALID@7", "RUN_INVALID@8", "RUN_INVALID@9", "RUN_INVALID@10", "RUN_INVALID@10", "RUN_INVALID@11", "RUN_INVALID@11", "RUN_INVALID@12"}},
	{"sign-offs by one person", func(b *book) {
		b.run("a")                                   // 7
		b.signOff("a", "ops", chain.OutcomeReviewed) // 8: prepared it
		b.signOff("a", "ops", chain.OutcomeApproved) // 9
		b.run("b")                                   // 10
		b.signOff("b", "eve", chain.OutcomeReviewed) // 11
		b.signOff("b", "eve", chain.OutcomeApproved) // 12
		b.run("c")                                   // 13
		b.decide(uuid.Nil, "action", "sign_off", "run_id", stableID("run c").String(), "subject", "run:"+stableID("run c").String(), "outcome", "reviewed")
	}, []string{"DECISION_INVALID@8", "DECISION_INVALID@9", "DECISION_INVALID@12", "DECISION_INVALID@14"}},
	{"sign-offs out of order", func(b *book) {
		b.signOff("a", "eve", chain.OutcomeReviewed)                    // 7: of nothing
		b.run("a")                                                      // 8
		b.signOff("a", "eve", chain.OutcomeApproved)                    // 9: nobody reviewed
		b.signOff("a", "bob", chain.OutcomeApproved)                    // 10
		b.signOff("a", "kim", chain.OutcomeApproved)                    // 11: a third
		b.run("b")                                                      // 12
		b.signOff("b", "eve", chain.OutcomeRejected)                    // 13
		b.signOff("b", "bob", chain.OutcomeApproved)                    // 14: rejected
		b.run("c")                                                      // 15
		b.signOff("c", "eve", chain.OutcomeReviewed, "subject", "run:") // 16
		b.signOff("c", "bob", chain.OutcomeApproved, "run_id", "")      // 17
	}, []string{"DECISION_INVALID@7", "DECISION_INVALID@9", "DECISION_INVALID@11", "DECISION_INVALID@14", "DECISION_INVALID@16", "DECISION_INVALID@17"}},
	{"decisions about what is not there", func(b *book) {
		b.decide(stableID("eve"), "action", "note", "subject", "b,a")                            // 7
		b.decide(stableID("eve"), "action", "note", "subject", "a", "supersedes", "3")           // 8: no decision
		b.decide(stableID("eve"), "action", "note", "subject", "a", "supersedes", "9")           // 9: itself
		b.decide(stableID("eve"), "action", "note", "subject", "a", "entry_seq", "11")           // 10
		b.decide(stableID("eve"), "action", "write_off", "subject", "a", "amount", "1.00")       // 11
		b.decide(stableID("eve"), "action", "note", "subject", "a", "run_id", b.ledger.String()) // 12
	}, []string{"DECISION_INVALID@7", "DECISION_INVALID@8", "DECISION_INVALID@9", "DECISION_INVALID@10", "DECISION_INVALID@11", "DECISION_INVALID@12"}},
	{"a policy for closed days", func(b *book) {
		b.close(chain.DateOf(b.now) - 1)            // 7
		b.adopt((chain.DateOf(b.now) - 1).String()) // 8
		b.adopt(chain.DateOf(b.now).String())       // 9
	}, []string{"POLICY_INVALID@8"}},
}

func TestRunsAndDecisionsAreHeldAgainstTheRules(t *testing.T) {
	t.Parallel()
	allFound(t, nightForgeries)
}
