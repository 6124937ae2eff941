package reconcile

import (
	"context"
	"fmt"
	"time"

	"tallystick/ledger/chain"
	"tallystick/ledger/store"
)

// Signing is who vouches for a ledger from outside: the largest checkpoint whose
// signature and root hold.
type Signing struct {
	Origin   string
	Size     int64
	Root     chain.Hash
	Keys     []string // ids of the signer's keys that signed it
	ByPolicy bool     // an auditor's policy names the keys; otherwise the chain does
	SignedAt time.Time
	// Shown: it is the one that is shown now, and ShownAt is when it was renewed
	// last, and Apart whether the signer is a process of its own. Both are what
	// the database says, under no signature.
	Shown     bool
	ShownAt   time.Time
	Apart     bool
	Witnesses []Cosignature
	// Checkpoints and Nodes are how many were held against the entries.
	Checkpoints, Nodes int64
	// Unsealed is how many entries are under no checkpoint.
	Unsealed int64
}

// Pin is the checkpoint that the reader of the report kept.
type Pin struct {
	Size  int64
	Root  chain.Hash
	Holds bool // the ledger extends it
}

// describe says what the signatures are worth.
func (v *verification) describe(s *Scope) {
	e := &v.evidence
	s.Level, s.Unreadable, s.Gone, s.Unlisted, s.From, s.Outside, s.Forks, s.SuperLog, s.Derived = v.level, v.unreadable, v.gone, v.unlisted, v.from, e.external, e.forks, e.superLog, v.derived
	s.Succeeds, s.SucceededBy = v.succeeds, v.succeededBy
	if p := e.pin; p != nil {
		s.Pin = &Pin{Size: p.Size, Root: p.Root, Holds: e.pinHolds}
	}
	if e.best == nil {
		return
	}
	g := &Signing{
		Origin: e.best.Origin, Size: e.best.Size, Root: e.best.Root, ByPolicy: e.keys.byPolicy, SignedAt: e.bestAt,
		Checkpoints: e.held, Nodes: e.nodes, Unsealed: v.snapshot.Size - e.best.Size,
		Witnesses: cosignatures(e.best),
	}
	for _, x := range e.best.Signatures {
		if x.Time.IsZero() {
			g.Keys = append(g.Keys, x.Key.ID())
		}
	}
	if h := e.shown; h != nil && h.holds && h.size == g.Size {
		g.Shown, g.ShownAt, g.Apart = true, h.publishedAt, h.signer != signedByServer
	}
	s.Signing = g
}

// Index: the primary key.
const coverSQL = `
select u.n, size
from book.checkpoints
where ledger_id = $1::uuid and size > u.n
order by size`

// lookUpCovers finds the first checkpoint over each entry that a finding is
// about.
func (v *verification) lookUpCovers(ctx context.Context, kept []finding) (map[int64]int64, error) {
	covers := make(map[int64]int64)
	if v.evidence.seen.newest <= 0 {
		return covers, nil
	}
	var keys []store.Key
	for i := range kept {
		if seq := kept[i].seq; seq != noSeq && (i == 0 || kept[i-1].seq != seq) && seq < v.evidence.seen.newest {
			keys = append(keys, store.Key{N: seq})
		}
	}
	err := v.snapshot.ScanEach(ctx, coverSQL, []any{v.snapshot.LedgerID}, keys, func(r *store.Row) error {
		covers[r.Int64(0)] = r.Int64(1)
		return nil
	})
	if err != nil {
		return covers, fmt.Errorf("reading book.checkpoints: %w", err)
	}
	return covers, nil
}

// beyond is what this verification says nothing about, whatever it finds.
func (v *verification) beyond() []string {
	e := &v.evidence
	var list []string
	add := func(when bool, format string, args ...any) {
		if when {
			list = append(list, fmt.Sprintf(format, args...))
		}
	}
	switch {
	case v.unlisted:
		return []string{"everything else: which ledgers there are could not be read"}
	case v.gone:
		return []string{"everything else: there is no ledger to read"}
	case v.unreadable:
		return []string{"everything else: the ledger could not be begun"}
	}
	level := func(l Level, what string) { add(v.level < l, "%s: that takes --level %d", what, l.Number()) }
	level(LevelChain, "the entries themselves, and every checkpoint but the newest")
	level(LevelColumns, "accounts and their balances, limits, references and texts")
	if v.level >= LevelColumns {
		for _, s := range v.notRead() {
			add(true, "%s: taken as they stand", s)
		}
	}
	add(v.level == LevelChain && v.from > 0, "entries 0 to %d: the pinned checkpoint stands for them", v.from-1)
	signed := e.seen.newest >= 0 || e.shown != nil
	none := !signed && !e.unseen && !e.later && e.overdue() == nil // else it was said
	named := !e.keys.byPolicy && len(e.keys.signers) > 0
	add(none && named, "signatures, checkpoints and witnesses: there are none, although the chain names a key that signs. If checkpoints were published, they were removed: hold one against the ledger with --since or --checkpoint")
	add(none && !named, "signatures, checkpoints and witnesses: there are none. A chain that was rewritten from some entry to the head shows only against a size and head that were noted elsewhere")
	add(signed && !e.keys.byPolicy, "whose the signing keys are: they are those that the chain itself names; pin them with --policy")
	add(signed && (e.policy == nil || !e.policy.WantsWitnesses()), "witnesses: no policy asks for any")
	add(signed && e.fresh > 0 && (e.policy == nil || !e.policy.WantsWitnesses()), "that the newest checkpoint was shown when the database says: only the cosignature of a witness bears a signed time")
	add(signed && e.pin == nil, "whether entries, checkpoints and signatures were all replaced together: no checkpoint from elsewhere was given; keep one, and give it with --since")
	add(e.best != nil && e.best.Size < v.snapshot.Size && e.best.Size >= e.seen.newest, "that the newest %d %s stay: no checkpoint covers them yet", v.snapshot.Size-bestSize(e), plural(int(min(v.snapshot.Size-bestSize(e), 2)), "entry", "entries"))
	add(e.superLogged > 0 && e.superLog == nil, "the super-log itself: its rows, its tree and its checkpoints")
	add(e.superLog != nil && signed && e.seen.logged == 0, "whether this ledger would be missed: the super-log does not name it, though there are checkpoints of it")
	add(v.level == LevelEvidence && e.given == 0, "receipts, archived checkpoints and the signer's state: none was given")
	add(v.level >= LevelChain, "whether what a closing moved is the result of its period, and the trial balance that it commits to")
	add(v.level >= LevelChain, "request fingerprints")
	add(v.level >= LevelSchema && !v.stored, "stored runs, their outputs, and snapshots of balances, from which reports on demand go on: the night holds its own against the entries")
	add(v.stored && !v.whole(), "snapshots of balances, from which reports on demand go on: they are held against all entries, or not at all")
	add(v.moreSnapshots, "snapshots of balances but the newest %d", maxStoredSnapshots)
	add(v.stored, "how the figures of a stored report follow from the entries: it is the one whose digest the run put on record; and what ops.runs says beside that, such as when the run began and what it was given")
	add(v.level >= LevelSchema, "API keys, files and statements of banks, and stored findings: no entry says what they are; the night holds statements against the books")
	add(e.namesOnly, "what constraints and indexes say: on this engine only that those are there that keep rows unique")
	level(LevelSchema, "grants, views, triggers and policies in the database")
	return list
}

func bestSize(e *evidence) int64 {
	if e.best == nil {
		return 0
	}
	return e.best.Size
}
