package signer_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"tallystick/ledger/chain"
	"tallystick/ledger/signer"
)

// errFault is what a point fails with when the table says so.
var errFault = errors.New("fault")

// world is a database with ledgers, the disk with the state, and whoever sees
// what a signer lets out. It checks at every step that what was let out extends
// what is on disk.
type world struct {
	t   *testing.T
	key chain.SigningKey

	mu          sync.Mutex
	ledgers     map[uuid.UUID]*logbook
	checkpoints map[uuid.UUID][]signer.Checkpoint
	nodes       map[uuid.UUID]map[[2]int64]chain.Hash
	shown       map[uuid.UUID]signer.Checkpoint
	super       []signer.SuperRow
	superOrigin string
	holder      uuid.UUID
	heldUntil   time.Time
	findings    []string
	announced   []string
	now         time.Time
	logMu       sync.Mutex
	log         []string

	dir    string
	before func() signer.State // the state as the disk has it, for what is let out
	notes  map[string][]byte   // every note that was let out, by its text
	// everything is each of them, also those of logs that are lost
	everything []string

	calls  map[string]int
	faultP string // the point that fails, its how-many-eth call, and whether what it does is done
	faultN int
	done   bool
}

// logbook is a ledger.
type logbook struct {
	origin string
	leaves []chain.Hash
	blocks int64 // the first entry that cannot be checked; 0: none
}

func newWorld(t *testing.T) *world {
	t.Helper()
	key, err := chain.NewSigningKey(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return &world{t: t, key: key, ledgers: make(map[uuid.UUID]*logbook), checkpoints: make(map[uuid.UUID][]signer.Checkpoint),
		nodes: make(map[uuid.UUID]map[[2]int64]chain.Hash), shown: make(map[uuid.UUID]signer.Checkpoint),
		superOrigin: "bank.example/super-log",
		now:         time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), dir: t.TempDir(), notes: make(map[string][]byte), calls: make(map[string]int)}
}

func idOf(name string) uuid.UUID { return uuid.NewSHA1(uuid.NameSpaceOID, []byte(name)) }

func leafOf(name string, seq int) chain.Hash {
	return sha256.Sum256(fmt.Appendf(nil, "%s %d", name, seq))
}

// grow appends entries to a ledger.
func (w *world) grow(name string, n int) *logbook {
	id := idOf(name)
	l := w.ledgers[id]
	if l == nil {
		l = &logbook{origin: "bank.example/" + id.String()}
		w.ledgers[id] = l
	}
	for range n {
		l.leaves = append(l.leaves, leafOf(name, len(l.leaves)))
	}
	return l
}

// at counts a call of a point, and says whether it is to fail, before or after
// what it does.
func (w *world) at(point string) (fails, done bool) {
	w.calls[point]++
	fails = point == w.faultP && w.calls[point] == w.faultN
	return fails, w.done || !fails
}

// do runs a point.
func (w *world) do(point string, f func() error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	fails, done := w.at(point)
	if done {
		if err := f(); err != nil {
			return err
		}
	}
	if fails {
		return fmt.Errorf("%s: %w", point, errFault)
	}
	return nil
}

// letOut notes a note that somebody outside may have seen.
func (w *world) letOut(origin string, note []byte) {
	text, _, _ := bytes.Cut(note, []byte("\n\n"))
	c, err := chain.ParseCheckpoint(string(text) + "\n")
	if err != nil || c.Origin != origin {
		w.t.Errorf("let out %q of %s: %v", note, origin, err)
		return
	}
	if _, known := w.notes[c.Text()]; !known {
		w.everything = append(w.everything, string(note))
	}
	w.notes[c.Text()] = bytes.Clone(note)
	if w.before == nil {
		return
	}
	for id, p := range allPositions(w.before()) {
		if p.Origin == origin {
			if p.Size < c.Size {
				w.t.Errorf("let out size %d of %s, and the state on disk has %d", c.Size, id, p.Size)
			}
			return
		}
	}
	w.t.Errorf("let out size %d of %s, which is not in the state on disk", c.Size, origin)
}

func allPositions(s signer.State) map[uuid.UUID]*signer.Position {
	all := maps.Clone(s.Ledgers)
	if all == nil {
		all = make(map[uuid.UUID]*signer.Position)
	}
	if s.SuperLog != nil {
		all[uuid.Nil] = s.SuperLog
	}
	return all
}

// leavesOf returns the leaves of a log, the super-log included.
func (w *world) leavesOf(id uuid.UUID) []chain.Hash {
	if id != uuid.Nil {
		if l := w.ledgers[id]; l != nil {
			return l.leaves
		}
		return nil
	}
	var leaves []chain.Hash
	for i := range w.super {
		leaves = append(leaves, w.super[i].Stored)
	}
	return leaves
}

func (w *world) finding(code string, seq int64, stored, recomputed string) chain.Finding {
	return chain.Finding{Code: code, Severity: chain.Critical, Seq: &seq, Stored: &stored, Recomputed: &recomputed, NextStep: "Look."}
}

// followed is Database.Follow.
func (w *world) followed(id uuid.UUID, from signer.Point, most int64) signer.Step {
	l, step := w.ledgers[id], signer.Step{Next: from}
	if l != nil {
		step.Size = int64(len(l.leaves))
	}
	switch {
	case step.Size < from.Size:
		step.Findings = []chain.Finding{w.finding("LOG_ROLLBACK", step.Size, "shorter", "signed")}
		return step
	case from.Size > 0 && l.leaves[from.Size-1] != from.Head:
		step.Findings = []chain.Finding{w.finding("LOG_ROLLBACK", from.Size-1, "other", "signed")}
		return step
	}
	end := min(step.Size, from.Size+most)
	if l != nil && l.blocks > 0 && l.blocks < end {
		end = max(l.blocks, from.Size)
		step.Unchecked = []string{fmt.Sprintf("entry %d: it is of a kind not known", l.blocks)}
	}
	if end > from.Size {
		step.Hashes = slices.Clone(l.leaves[from.Size:end])
		step.Next = signer.Point{Size: end, Head: l.leaves[end-1], RecordedAt: end, BookingDate: 20_000}
	}
	return step
}

// database is the world as a signer sees it.
func (w *world) database() signer.Database {
	return signer.Database{
		Ledgers: func(context.Context) (heads []signer.Head, err error) {
			err = w.do("ledgers", func() error {
				for id, l := range w.ledgers {
					h := signer.Head{ID: id, Origin: l.origin, Size: int64(len(l.leaves))}
					if h.Size > 0 {
						h.Hash = l.leaves[h.Size-1]
					}
					heads = append(heads, h)
				}
				return nil
			})
			return heads, err
		},
		Follow: func(_ context.Context, id uuid.UUID, from signer.Point, most int64) (step signer.Step, err error) {
			err = w.do("follow", func() error { step = w.followed(id, from, most); return nil })
			return step, err
		},
		Checkpoints: func(_ context.Context, id uuid.UUID, beyond, most int64) (found []signer.Checkpoint, err error) {
			err = w.do("checkpoints", func() error {
				for _, c := range w.checkpoints[id] {
					if c.Size > beyond && int64(len(found)) < most {
						found = append(found, c)
					}
				}
				return nil
			})
			return found, err
		},
		Largest: func(_ context.Context, id uuid.UUID) (size int64, err error) {
			err = w.do("largest", func() error {
				for _, c := range w.checkpoints[id] {
					size = max(size, c.Size)
				}
				return nil
			})
			return size, err
		},
		Nodes: func(_ context.Context, id uuid.UUID) chain.ReadNodes { return w.read(id) },
		Publish: func(_ context.Context, id uuid.UUID, nodes []chain.Node, c signer.Checkpoint) error {
			return w.publish(id, nodes, c)
		},
		Show: func(_ context.Context, id uuid.UUID, c signer.Checkpoint) error {
			return w.do("show", func() error {
				w.letOut(w.originOf(id), c.Note)
				w.shown[id] = c
				return nil
			})
		},
		SuperRows: func(_ context.Context, from, most int64) (rows []signer.SuperRow, err error) {
			err = w.do("superrows", func() error {
				for _, r := range w.super {
					if r.Position >= from && int64(len(rows)) < most {
						rows = append(rows, r)
					}
				}
				return nil
			})
			return rows, err
		},
		AppendSuper: func(_ context.Context, position int64, leaves []chain.SuperLeaf) error {
			return w.do("appendsuper", func() error {
				if position != int64(len(w.super)) {
					return fmt.Errorf("position %d of %d is taken", position, len(w.super))
				}
				for i, l := range leaves {
					w.super = append(w.super, signer.SuperRow{Position: position + int64(i), Leaf: l, Stored: l.Hash()})
				}
				return nil
			})
		},
		Hold: func(_ context.Context, _ string, holder uuid.UUID, lease time.Duration) (held bool, err error) {
			err = w.do("hold", func() error {
				if held = w.holder == holder || w.heldUntil.Before(w.now); held {
					w.holder, w.heldUntil = holder, w.now.Add(lease)
				}
				return nil
			})
			return held, err
		},
		Report: func(_ context.Context, _ uuid.UUID, f chain.Finding) error {
			return w.do("report", func() error {
				w.findings = append(w.findings, fmt.Sprintf("%s@%d", f.Code, *f.Seq))
				return nil
			})
		},
		Finding: w.finding,
	}
}

func (w *world) originOf(id uuid.UUID) string {
	if id == uuid.Nil {
		return w.superOrigin
	}
	return w.ledgers[id].origin
}

// publish is Database.Publish.
func (w *world) publish(id uuid.UUID, nodes []chain.Node, c signer.Checkpoint) error {
	return w.do("publish", func() error {
		w.letOut(w.originOf(id), c.Note)
		if w.nodes[id] == nil {
			w.nodes[id] = make(map[[2]int64]chain.Hash)
		}
		for _, n := range nodes {
			place := [2]int64{int64(n.Level), n.Position}
			if _, stored := w.nodes[id][place]; !stored {
				w.nodes[id][place] = n.Hash
			}
		}
		if !slices.ContainsFunc(w.checkpoints[id], func(x signer.Checkpoint) bool { return x.Size == c.Size }) {
			w.checkpoints[id] = append(w.checkpoints[id], c)
			slices.SortFunc(w.checkpoints[id], func(a, b signer.Checkpoint) int { return int(a.Size - b.Size) })
		}
		if w.shown[id].Size <= c.Size {
			w.shown[id] = c
		}
		return nil
	})
}

// read is Database.Nodes.
func (w *world) read(id uuid.UUID) chain.ReadNodes {
	return func(level int, first, count int64) (found []chain.Hash, err error) {
		err = w.do("nodes", func() error {
			leaves := w.leavesOf(id)
			for at := first; at < first+count; at++ {
				h, ok := w.nodes[id][[2]int64{int64(level), at}]
				if level == 0 && at < int64(len(leaves)) {
					h, ok = leaves[at], true
				}
				if !ok {
					return fmt.Errorf("node %d of level %d: %w", at, level, chain.ErrNodes)
				}
				found = append(found, h)
			}
			return nil
		})
		return found, err
	}
}

// process is a signer that runs in the world.
type process struct {
	*signer.Signer
	files *signer.Files
	state signer.State // as it last saved it
}

// start starts a signer with the files in a folder, made when there are none.
func (w *world) start(dir string, change func(*signer.Config)) *process {
	w.t.Helper()
	files, err := signer.OpenFiles(filepath.Join(dir, "state.json"))
	if err != nil {
		w.t.Fatal(err)
	}
	p := &process{files: files}
	c := signer.Config{Database: w.database(), Key: w.key, Host: "bank.example", Now: func() time.Time { return w.now },
		Logf: func(format string, args ...any) {
			w.logMu.Lock()
			defer w.logMu.Unlock()
			w.log = append(w.log, fmt.Sprintf(format, args...))
		}}
	c.Alarmf = c.Logf
	pinned := false
	if change != nil {
		change(&c)
		pinned = len(c.Pins) > 0
	}
	if _, c.State, err = files.Open(filepath.Join(dir, "signer.key"), pinned); err != nil {
		w.t.Fatal(err)
	}
	p.state = c.State
	c.Save = func(s signer.State) error {
		return w.do("save", func() error {
			if err := files.Save(s); err != nil {
				return err
			}
			p.state = s
			for _, position := range allPositions(s) {
				if position.Note != "" {
					w.before = nil
					w.letOut(position.Origin, []byte(position.Note))
				}
			}
			w.before = func() signer.State { return s }
			return nil
		})
	}
	w.before = func() signer.State { return p.state }
	if p.Signer, err = signer.New(c); err != nil {
		w.t.Fatal(err)
	}
	return p
}

// stop ends a process, as a crash does.
func (w *world) stop(p *process) {
	if err := p.files.Close(); err != nil {
		w.t.Error(err)
	}
}

// round does a round, and returns what it came to.
func (w *world) round(p *process) signer.Result {
	w.t.Helper()
	r, err := p.Round(w.t.Context())
	if err != nil && !errors.Is(err, errFault) {
		w.t.Errorf("round: %v", err)
	}
	return r
}

// settle does rounds until everything is published, and fails if that does not
// come about.
func (w *world) settle(p *process) {
	w.t.Helper()
	for range 20 {
		w.now = w.now.Add(6 * time.Second)
		if r := w.round(p); r != (signer.Result{}) {
			continue
		}
		if w.allPublished() {
			return
		}
	}
	w.t.Fatalf("not everything is published after 20 rounds: %v", w.log)
}

func (w *world) allPublished() bool {
	for id, l := range w.ledgers {
		if n := len(w.checkpoints[id]); n == 0 || w.checkpoints[id][n-1].Size != int64(len(l.leaves)) {
			return false
		}
	}
	return true
}

// checkEverything recomputes the root of every note that was ever let out, and
// reads every tree back from what is stored.
func (w *world) checkEverything() {
	w.t.Helper()
	for text := range w.notes {
		c, err := chain.ParseCheckpoint(text)
		if err != nil {
			w.t.Fatal(err)
		}
		id := uuid.Nil
		for i, l := range w.ledgers {
			if l.origin == c.Origin {
				id = i
			}
		}
		leaves := w.leavesOf(id)
		if int64(len(leaves)) < c.Size || chain.RootOf(leaves[:c.Size]) != c.Root {
			w.t.Errorf("a note of %s at size %d has another root than the log", c.Origin, c.Size)
		}
	}
	for id, all := range w.checkpoints {
		newest := all[len(all)-1]
		tree, err := chain.FrontierAt(newest.Size, w.read(id))
		if err != nil || tree.Root() != newest.Root {
			w.t.Errorf("the stored tree of %s at size %d: %v", id, newest.Size, err)
		}
		if shown := w.shown[id]; shown.Size != newest.Size {
			w.t.Errorf("shown of %s is size %d of %d", id, shown.Size, newest.Size)
		}
	}
}
