package ledger_test

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"tallystick/ledger"
	"tallystick/ledger/chain"
)

// Every script is run with batches of these sizes. What one request decides must
// not depend on which others are in its batch: the answers and the hashes are
// those of the first run, in which every request comes to a process that has
// just started.
var batchSizes = []int{1, 2, 3, ledger.MaxBatchRequests}

func TestScripts(t *testing.T) {
	t.Parallel()
	for _, file := range scriptFiles(t) {
		t.Run(strings.TrimSuffix(file, ".ledger"), func(t *testing.T) {
			t.Parallel()
			n := readScript(t, file)
			var first *run
			for _, size := range n.sizes {
				r := newRun(t, n, size)
				r.play()
				if first == nil {
					first = r
				}
				r.compare(first)
			}
		})
	}
}

func scriptFiles(t *testing.T) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("testdata", "*.ledger"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no scripts in testdata: %v", err)
	}
	for i := range paths {
		paths[i] = filepath.Base(paths[i])
	}
	return paths
}

// codesElsewhere are the codes that no request of a ledger is refused with.
var codesElsewhere = map[string]string{
	"ledger_name_invalid": "opening a ledger", "time_zone_invalid": "opening a ledger", "day_cutoff_invalid": "opening a ledger",
	"value_days_invalid": "opening a ledger", "ledger_exists": "opening a ledger", "predecessor_invalid": "opening a ledger",
}

func TestEveryCodeStandsInAScript(t *testing.T) {
	t.Parallel()
	var scripts strings.Builder
	for _, file := range scriptFiles(t) {
		text, err := os.ReadFile(filepath.Join("testdata", file))
		if err != nil {
			t.Fatal(err)
		}
		scripts.Write(text)
	}
	declared := regexp.MustCompile(`(?m)^\s+Code\w+ +Code = "(\w+)"$`)
	sources, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for _, source := range sources {
		text, err := os.ReadFile(source)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range declared.FindAllStringSubmatch(string(text), -1) {
			code := found[1]
			count++
			stands := regexp.MustCompile(`(?m) -> ` + code + `( |$)`).MatchString(scripts.String())
			if why, elsewhere := codesElsewhere[code]; stands == elsewhere {
				t.Errorf("%s: code %s stands in a script: %t, elsewhere: %q", source, code, stands, why)
			}
		}
	}
	if count < 40 {
		t.Errorf("only %d codes found in the source", count)
	}
}

// answer is what came of a request, without what depends on the batch.
type answer struct {
	text     string // as scripts write it
	detail   string
	evidence int64 // evaluated_at_seq; −1 where the id had stood already
}

// run plays a script in batches of at most size.
type run struct {
	t      *testing.T
	script *notation
	size   int
	scene  *scene
	clock  time.Time

	book     *ledger.Book
	follower *ledger.Book // of another process, that reads what this one appends

	damagedAccounts map[string]bool
	damagedEntries  map[ledger.RequestID]bool
	answers         []answer
}

func newRun(t *testing.T, n *notation, size int) *run {
	t.Helper()
	r := &run{t: t, script: n, size: size, scene: newScene(), clock: n.clock,
		damagedAccounts: map[string]bool{}, damagedEntries: map[ledger.RequestID]bool{}}
	first, err := (&ledger.OpenLedger{ID: scriptLedger}).FirstEntry(n.terms, n.clock)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.scene.add(first); err != nil {
		t.Fatal(err)
	}
	r.book, r.follower = r.coldBook(), r.coldBook()
	return r
}

// coldBook is that of a process that starts now.
func (r *run) coldBook() *ledger.Book {
	r.t.Helper()
	newest := &r.scene.entries[len(r.scene.entries)-1]
	b, err := ledger.NewBook(scriptLedger, r.script.terms, ledger.HeadOf(newest), ledger.CacheBytes)
	if err != nil {
		r.t.Fatal(err)
	}
	var rules []ledger.Entry
	for _, e := range r.scene.entries {
		if ledger.SetsRules(e.Record().Kind) {
			rules = append(rules, e)
		}
	}
	b.RememberRules(rules)
	return b
}

func (r *run) fatal(s *step, format string, args ...any) {
	r.t.Helper()
	r.t.Fatalf("%s:%d: batches of %d: %s: %s", r.script.file, s.line, r.size, s.text, fmt.Sprintf(format, args...))
}

// play runs all steps. A batch ends where it is full, where time passes, and
// around a closing that moves a result, which is always alone.
func (r *run) play() {
	r.t.Helper()
	var batch []*step
	requests := 0
	flush := func() {
		if len(batch) > 0 {
			r.flush(batch)
		}
		batch, requests = nil, 0
	}
	for i := range r.script.steps {
		s := &r.script.steps[i]
		closing, _ := s.request.(*ledger.ClosePeriod)
		alone := closing != nil && len(closing.Retain) > 0
		if alone || s.event != nil || s.boundary || s.request != nil && requests == r.size {
			flush()
		}
		if s.event != nil {
			s.event(r)
			continue
		}
		if s.request != nil {
			requests++
		}
		batch = append(batch, s)
		if alone {
			flush()
		}
	}
	flush()
}

// flush decides the requests of a batch, and checks what is to be checked in
// between on the entries up to there.
func (r *run) flush(batch []*step) {
	r.t.Helper()
	var requests []ledger.Request
	asked := map[*step]bool{}
	for _, s := range batch {
		if s.request != nil && r.scene.asks(s.request) {
			asked[s], requests = true, append(requests, s.request)
		}
	}
	base := len(r.scene.entries)
	applied := r.apply(batch[0], requests)
	next, count := 0, base
	for _, s := range batch {
		switch {
		case s.check != nil:
			if err := s.check(r.scene.at(count)); err != nil {
				r.fatal(s, "%v", err)
			}
		case s.request != nil:
			var decided *ledger.Answer
			stored := count
			if asked[s] {
				decided, stored = &applied.Answers[next], base
				next++
			}
			got := r.scene.replay(s.request, decided, stored)
			if got == nil {
				for _, a := range append([]ledger.Answer{*decided}, decided.Items...) {
					count = max(count, base+a.Entry+1)
				}
				got = describeAnswer(decided)
				if at := decided.Refusal; at != nil && int(at.EvaluatedAtSeq) != count-1 {
					r.fatal(s, "decided at entry %d, want %d", at.EvaluatedAtSeq, count-1)
				}
			}
			if !matches(got.text, s.want) {
				r.fatal(s, "got %q (%s), want %q", got.text, got.detail, s.want)
			}
			r.answers = append(r.answers, *got)
		}
	}
	if next != len(applied.Answers) {
		r.fatal(batch[0], "%d answers, %d read", len(applied.Answers), next)
	}
}

// apply decides and commits requests.
func (r *run) apply(s *step, requests []ledger.Request) *ledger.Applied {
	r.t.Helper()
	if r.size == 1 {
		r.book = r.coldBook()
	}
	r.load(r.book, requests)
	applied := ledger.Apply(r.book, r.clock, requests)
	if again := ledger.Apply(r.book, r.clock, requests); !reflect.DeepEqual(applied.Entries, again.Entries) || !reflect.DeepEqual(applied.Answers, again.Answers) {
		r.fatal(s, "Apply is not deterministic, or it changed the book")
	}
	for _, e := range applied.Entries {
		if err := r.scene.add(e); err != nil {
			r.fatal(s, "%v", err)
		}
		if err := r.follower.Follow(&e); err != nil {
			r.fatal(s, "%v", err)
		}
	}
	r.book.Advance(applied)
	r.sameAs(s, "the book", r.book)
	r.sameAs(s, "a book that follows", r.follower)
	return applied
}

// load gives a book what the requests name, as the sequencer does.
func (r *run) load(b *ledger.Book, requests []ledger.Request) {
	var ids []ledger.RequestID
	var incomes []ledger.Income
	for _, q := range requests {
		switch q := q.(type) {
		case *ledger.CaptureHold:
			ids = append(ids, q.Hold)
		case *ledger.ReleaseHold:
			ids = append(ids, q.Hold)
		case *ledger.ReverseTransfer:
			ids = append(ids, q.Target)
		case *ledger.EraseText:
			ids = append(ids, q.Target)
		case *ledger.RecordRun:
			ids = append(ids, q.Last)
		case *ledger.Decide:
			for _, id := range []*ledger.RequestID{q.Run, q.Entry, q.Supersedes} {
				if id != nil {
					ids = append(ids, *id, ledger.SignOffID(*id, ledger.StageReview))
				}
			}
		case *ledger.ClosePeriod:
			if len(q.Retain) > 0 {
				incomes = r.scene.incomes(q.PeriodEnd)
			}
		}
	}
	targets := r.scene.targets(ids)
	for id, target := range targets {
		if r.damagedEntries[id] {
			e := target.Entry
			damaged := ledger.Restore(e.Record(), chain.Hash{1}, e.Text(), e.Accounts())
			target.Entry = &damaged
		}
	}
	b.RememberTargets(targets)
	b.RememberIncomes(incomes)
	for code, a := range r.scene.accounts {
		for _, book := range []*ledger.Book{b, r.follower} {
			if book.Account(code) == nil {
				copied := *a
				book.Remember(&copied)
			}
		}
		b.Account(code).Damaged = r.damagedAccounts[code]
	}
}

// sameAs compares what a book says with the entries.
func (r *run) sameAs(s *step, what string, b *ledger.Book) {
	r.t.Helper()
	if newest := &r.scene.entries[len(r.scene.entries)-1]; b.Head() != ledger.HeadOf(newest) {
		r.fatal(s, "%s is at %+v", what, b.Head())
	}
	for code, a := range r.scene.accounts {
		got := b.Account(code)
		if got == nil {
			continue // the follower has not met it
		}
		plain := *got
		plain.Damaged = false
		if !reflect.DeepEqual(&plain, a) {
			r.fatal(s, "in %s account %s is %+v, the entries say %+v", what, code, &plain, a)
		}
	}
}

// asks reports whether a request is still to be decided: its id stands for
// nothing, or it opens an account that is there, which makes no entry.
func (s *scene) asks(q ledger.Request) bool {
	open, ok := q.(*ledger.OpenAccount)
	return ok && s.accounts[open.Code] != nil || s.replay(q, nil, len(s.entries)) == nil
}

// replay answers a request whose id stands among the first n entries, as the
// sequencer does with what the database has; nil when it does not. decided is
// what Apply made of it, if it was asked.
func (s *scene) replay(q ledger.Request, decided *ledger.Answer, n int) *answer {
	one := func(id ledger.RequestID, q ledger.Request) *answer {
		seq, ok := s.seqs[id]
		if !ok || int(seq) >= n {
			return nil
		}
		refused := ledger.Conflict(q, &s.entries[seq])
		if refused == nil {
			return &answer{text: "replayed", evidence: -1}
		}
		if decided != nil && decided.Refusal != nil && decided.Refusal.Code == ledger.CodeAccountExists {
			return describeAnswer(decided)
		}
		return &answer{text: string(refused.Code), detail: refused.Detail, evidence: -1}
	}
	batch, atomic := q.(*ledger.AtomicBatch)
	if !atomic {
		return one(idOf(q), q)
	}
	replayed := 0
	for i, item := range batch.Items {
		switch got := one(item.ID, item); {
		case got == nil:
		case got.text != "replayed":
			got.text += fmt.Sprintf(" item %d", i)
			return got
		default:
			replayed++
		}
	}
	switch replayed {
	case 0:
		return nil
	case len(batch.Items):
		return &answer{text: "replayed", evidence: -1}
	}
	return &answer{text: "batch_partly_posted", detail: fmt.Sprintf("%d of the %d ids of this atomic batch stand for entries already; all or none must",
		replayed, len(batch.Items)), evidence: -1}
}

func idOf(q ledger.Request) ledger.RequestID {
	return ledger.RequestID{UUID: [16]byte(reflect.ValueOf(q).Elem().FieldByName("ID").Field(0).Bytes())}
}

// describeAnswer puts an answer as scripts do.
func describeAnswer(a *ledger.Answer) *answer {
	refused := a.Refusal
	switch {
	case refused == nil && a.Replayed:
		return &answer{text: "replayed", evidence: -1}
	case refused == nil && a.Unchanged:
		return &answer{text: "unchanged"}
	case refused == nil:
		return &answer{text: "ok"}
	}
	got := &answer{text: string(refused.Code), detail: refused.Detail, evidence: refused.EvaluatedAtSeq}
	if refused.Posting >= 0 {
		got.text += fmt.Sprintf(" posting %d", refused.Posting)
	}
	if refused.Item >= 0 {
		got.text += fmt.Sprintf(" item %d", refused.Item)
	}
	if refused.Account != "" {
		got.text += " account " + refused.Account
	}
	if refused.Available != nil {
		got.text += " available " + refused.Available.Format(refused.Scale)
	}
	if refused.Code == ledger.CodeIdempotencyConflict || refused.Code == ledger.CodeBatchPartlyPosted {
		got.evidence = -1
	}
	return got
}

// matches reports whether an answer says all that is wanted, in any order.
func matches(got, want string) bool {
	g, w := strings.Fields(got), strings.Fields(want)
	if len(g) == 0 || len(w) == 0 || g[0] != w[0] || len(w)%2 == 0 {
		return false
	}
	for i := 1; i+1 < len(w); i += 2 {
		at := slices.Index(g, w[i])
		if at < 0 || g[at+1] != w[i+1] {
			return false
		}
	}
	return true
}

// erase takes away the text of an entry, as an erasure does.
func (r *run) erase(id ledger.RequestID) {
	seq, ok := r.scene.seqs[id]
	if !ok {
		r.t.Fatalf("%s: nothing to erase", r.script.file)
	}
	e := &r.scene.entries[seq]
	r.scene.entries[seq] = ledger.Restore(e.Record(), e.Hash(), ledger.Text{}, e.Accounts())
}

// compare asserts that the batches made no difference.
func (r *run) compare(first *run) {
	r.t.Helper()
	for i := range first.scene.entries {
		if i >= len(r.scene.entries) || r.scene.entries[i].Hash() != first.scene.entries[i].Hash() {
			r.t.Fatalf("%s: entry %d differs in batches of %d", r.script.file, i, r.size)
		}
	}
	if len(r.scene.entries) != len(first.scene.entries) || len(r.answers) != len(first.answers) {
		r.t.Fatalf("%s: %d entries in batches of %d, want %d", r.script.file, len(r.scene.entries), r.size, len(first.scene.entries))
	}
	for i := range first.answers {
		got, want := r.answers[i], first.answers[i]
		if got.evidence < 0 || want.evidence < 0 {
			got.evidence, want.evidence = -1, -1
		}
		if got != want {
			r.t.Errorf("%s: answer %d is %+v in batches of %d, want %+v", r.script.file, i, got, r.size, want)
		}
	}
}
