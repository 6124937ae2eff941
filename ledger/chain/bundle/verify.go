package bundle

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"tallystick/ledger/chain"
)

// Options say how to verify a bundle, and by whose signatures.
type Options struct {
	// Keys are the signers that the auditor trusts, from elsewhere than the
	// bundle. Without Keys and Policy the bundle's own are used, and the report
	// says that nobody vouched for them.
	Keys []chain.VerifierKey
	// Policy also says which witnesses must have cosigned.
	Policy *chain.Policy
	// Pins are checkpoints that the auditor kept: the ledger must extend them.
	// Who signed them is not looked at again.
	Pins []chain.Checkpoint
	// Workers is how many members are read at once; 0 means one for each
	// processor. The result does not depend on it.
	Workers int
	// Progress, unless nil, is called now and then with the number of entries
	// done and their total, by one goroutine at a time.
	Progress func(done, total int64)

	maxAccounts int // 0: MaxAccounts
}

// Verify checks the bundle in r. Its error says that the file is no bundle at
// all (ErrNotBundle), or that ctx ended; everything else is in the report.
func Verify(ctx context.Context, r io.ReaderAt, size int64, o Options) (*Report, error) {
	begun := time.Now()
	a, err := openArchive(r, size)
	if err != nil {
		return nil, err
	}
	v := &verification{archive: a, options: o, cut: -1, roots: make(map[int64]chain.Hash), wanted: make(map[int64]struct{})}
	if v.options.Workers <= 0 {
		v.options.Workers = runtime.GOMAXPROCS(0)
	}
	if v.options.maxAccounts == 0 {
		v.options.maxAccounts = MaxAccounts
	}
	if !v.readManifest() {
		return v.report(time.Since(begun)), nil
	}
	v.readKeys()
	v.readCheckpoints()
	if err := v.readFiles(ctx); err != nil {
		return nil, err
	}
	if err := v.readEntries(ctx); err != nil {
		return nil, err
	}
	v.join()
	v.holdRoots()
	v.holdPins()
	v.checkBalances()
	return v.report(time.Since(begun)), nil
}

// verification is one run of Verify.
type verification struct {
	archive  *archive
	options  Options
	manifest *Manifest
	note     []byte // the manifest as it stands in the bundle
	signedBy []string
	findings findings

	keys        trust
	policy      *chain.Policy // whose quorum counts; nil without one
	checkpoints []checkpoint
	proofs      int
	pinned      []int64              // sizes of the auditor's checkpoints that hold
	wanted      map[int64]struct{}   // sizes of checkpoints
	sizes       []int64              // the same, in order
	roots       map[int64]chain.Hash // recomputed, at those sizes
	head        edge
	others      []string // files whose contents mean nothing to Verify

	stripes  []*stripe
	accounts *accounts
	cut      int64 // size of the commitment that is checked; −1: none

	mu         sync.Mutex
	done       int64
	commitment *chain.Entry
	considered bool // it was held against the balances
	committed  bool // and they are the ones
	balances   int64
}

func (v *verification) advance(entries int64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.done += entries
	if v.options.Progress != nil {
		v.options.Progress(v.done, v.manifest.Size)
	}
}

// commit takes the balance commitment that the manifest names.
func (v *verification) commit(e *chain.Entry) {
	if c := v.manifest.Commitment; c != nil && c.Seq == e.Seq {
		v.mu.Lock()
		defer v.mu.Unlock()
		kept := *e
		v.commitment = &kept
	}
}

// readManifest reports whether there is a manifest to go by.
func (v *verification) readManifest() bool {
	var err error
	if v.note, err = v.archive.read(manifestPath, MaxManifest); err != nil {
		v.findings.add(finding{code: ManifestMismatch, seq: noSeq, column: manifestPath, stored: err.Error()})
		return false
	}
	text := string(v.note)
	if end := strings.LastIndex(text, "\n\n"); end >= 0 { // what is signed ends with the last empty line
		text = text[:end+1]
	}
	v.manifest, err = ParseManifest(text)
	switch {
	case errors.Is(err, ErrVersion):
		v.findings.notChecked(noSeq, err.Error()+"; newer software may know it")
		return false
	case err != nil:
		v.findings.add(finding{code: ManifestMismatch, seq: noSeq, column: manifestPath, stored: err.Error()})
		return false
	}
	if v.manifest.Commitment != nil {
		v.cut = v.manifest.Commitment.Size
	}
	v.wanted[v.manifest.Size] = struct{}{}
	for _, pin := range v.options.Pins {
		v.wanted[pin.Size] = struct{}{}
	}
	return true
}

// readFiles holds every member but the entries and their texts, which are read
// later, against the manifest.
func (v *verification) readFiles(ctx context.Context) error {
	for path := range v.archive.members {
		if path != manifestPath && v.manifest.find(path) == nil {
			v.findings.add(finding{code: ManifestMismatch, seq: noSeq, column: path, stored: "not in the manifest"})
		}
	}
	for i := range v.manifest.Members {
		if err := ctx.Err(); err != nil {
			return err
		}
		f := &v.manifest.Members[i]
		r, ok := v.archive.open(f.Path)
		switch {
		case v.inStripes(f.Path):
		case strings.HasPrefix(f.Path, entriesDir):
			v.findings.add(finding{code: ManifestMismatch, seq: noSeq, column: f.Path, stored: fmt.Sprintf("beyond the size of %d", v.manifest.Size)})
		case !ok:
			v.findings.add(finding{code: ManifestMismatch, seq: noSeq, column: f.Path, stored: "listed, and not in the bundle"})
		case f.Path == balancesPath: // with the balances
		case f.Tree:
			v.findings.add(finding{code: ManifestMismatch, seq: noSeq, column: f.Path, stored: "listed as a tree, which it cannot be"})
		default:
			v.holdFile(f, r)
		}
	}
	v.readProofs()
	return nil
}

// inStripes reports whether a member is read by the stripes.
func (v *verification) inStripes(path string) bool {
	n := members(v.manifest.Size)
	for _, of := range []struct {
		dir  string
		path func(int) string
		here bool
	}{{entriesDir, entriesPath, true}, {textsDir, textsPath, v.manifest.Texts}} {
		if digits, ok := strings.CutPrefix(path, of.dir); ok && of.here {
			i, err := strconv.Atoi(digits)
			return err == nil && i >= 0 && i < n && of.path(i) == path
		}
	}
	return false
}

// holdFile holds the bytes of a member against the manifest.
func (v *verification) holdFile(f *Member, r io.Reader) {
	sum := sha256.New()
	size, err := io.Copy(sum, r)
	if err != nil {
		v.findings.notChecked(noSeq, fmt.Sprintf("reading %s: %s", f.Path, err))
		return
	}
	holdFile(f, size, chain.Hash(sum.Sum(nil)), &v.findings)
	switch {
	case f.Path == keysPath, f.Path == policyPath, strings.HasPrefix(f.Path, checkpointsDir), strings.HasPrefix(f.Path, proofsDir):
	default:
		v.others = append(v.others, f.Path)
	}
}

func holdFile(f *Member, size int64, digest chain.Hash, to *findings) {
	if f.Digest != digest || f.Bytes != size {
		to.add(finding{code: ManifestMismatch, seq: noSeq, column: f.Path, stored: fmt.Sprintf("%d bytes, SHA-256 %s", f.Bytes, f.Digest), recomputed: fmt.Sprintf("%d bytes, SHA-256 %s", size, digest)})
	}
}

// wantedAfter returns the least size of a checkpoint above a size, or one that no
// bundle has.
func (v *verification) wantedAfter(size int64) int64 {
	i, _ := slices.BinarySearch(v.sizes, size+1)
	if i == len(v.sizes) {
		return math.MaxInt64
	}
	return v.sizes[i]
}

// readEntries has the workers read the entries.
func (v *verification) readEntries(ctx context.Context) error {
	v.sizes = slices.Sorted(maps.Keys(v.wanted))
	n := members(v.manifest.Size)
	workers := min(v.options.Workers, n)
	for w := range workers {
		begin, end := n*w/workers, n*(w+1)/workers
		v.stripes = append(v.stripes, &stripe{v: v, begin: begin, end: end, accounts: newAccounts(w == 0, v.options.maxAccounts)})
	}
	errs := make([]error, len(v.stripes))
	var wg sync.WaitGroup
	for i, s := range v.stripes {
		wg.Go(func() { errs[i] = s.run(ctx) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// join puts together what the stripes found.
func (v *verification) join() {
	var erased []int64
	for i, s := range v.stripes {
		if i > 0 && v.stripes[i-1].entries > 0 {
			follows(&v.stripes[i-1].last, &s.first, &s.findings)
		}
		erased = append(erased, s.erased...)
	}
	slices.Sort(erased)
	for i, s := range v.stripes {
		s.settle(erased)
		if i == 0 {
			v.accounts = s.accounts
			v.checkCommitment(s.atCut)
		} else {
			if s.atCut != nil {
				merged := v.accounts.clone()
				merged.join(s.atCut, new(findings))
				v.checkCommitment(merged)
			}
			v.accounts.join(s.accounts, &v.findings)
			s.accounts, s.atCut = nil, nil
		}
		v.findings.take(&s.findings)
	}
	v.accounts.checkCodes(&v.findings)
	v.checkNewest()
	if c := v.manifest.Commitment; c != nil && !v.considered {
		v.findings.notChecked(c.Seq, "the balance commitment: the entries before it are not all there")
	}
	v.head = v.stripes[len(v.stripes)-1].last
	v.joinTrees()
}

// joinTrees computes the roots at the sizes of the checkpoints.
func (v *verification) joinTrees() {
	var tree chain.Frontier
	member := 0
	for _, s := range v.stripes {
		for i := range s.trees {
			t := &s.trees[i]
			whole := t.tree.Size() == entriesIn(member, v.manifest.Size)
			for size, part := range t.partial {
				if at, err := chain.NewFrontier(size, append(tree.Nodes(), part.Nodes()...)); err == nil {
					v.roots[size] = at.Root()
				}
			}
			member++
			if !whole {
				return // no leaf after it stands where it should
			}
			if t.tree.Size() == EntriesPerMember {
				if tree.AppendTile(entriesLevel, t.tree.Root()) != nil {
					return // not reached: members are of one size
				}
				v.roots[tree.Size()] = tree.Root()
			}
		}
	}
}

// entriesLevel is the level of tiles at which a member of entries is one node.
const entriesLevel = 2

// checkNewest looks whether the manifest names the newest commitment to balances: one
// that is left out would not be held against anything.
func (v *verification) checkNewest() {
	newest, named := int64(0), int64(0)
	for _, s := range v.stripes {
		newest = max(newest, s.newest)
	}
	stored := "no commitment to balances"
	if c := v.manifest.Commitment; c != nil {
		named, stored = c.Seq, fmt.Sprintf("commitment %d", c.Seq)
	}
	if newest > named {
		v.findings.add(finding{code: ManifestMismatch, seq: newest, column: manifestPath, stored: stored, recomputed: fmt.Sprintf("commitment %d, the newest among the entries", newest)})
	}
}

// checkCommitment holds a commitment to balances against them. at are the
// accounts at its size; nil when that is in another stripe.
func (v *verification) checkCommitment(at *accounts) {
	if at == nil || v.manifest.Commitment == nil {
		return
	}
	v.considered = true
	c, e := v.manifest.Commitment, v.commitment
	if e == nil {
		v.findings.add(finding{code: ManifestMismatch, seq: c.Seq, column: manifestPath, stored: "a commitment to balances", recomputed: "another kind of entry"})
		return
	}
	before := v.findings.total
	hold := func(name, recomputed string) {
		if stored, ok := e.Detail(name); !ok || stored != recomputed {
			v.findings.add(finding{code: BalanceCommitmentMismatch, seq: e.Seq, request: e.RequestID, column: name, stored: stored, recomputed: recomputed})
		}
	}
	root, leaves := balanceRoot(at.list, v.manifest.Ledger, c.Size)
	hold("size", strconv.FormatInt(c.Size, 10))
	hold("accounts", strconv.Itoa(leaves))
	hold("root", root.String())
	named := 0
	for key, s := range totals(at.list) {
		named += 2
		if s.overflow {
			v.findings.notChecked(e.Seq, "totals of "+key.code+" beyond 128 bits")
			continue
		}
		hold("posted."+key.code, s.debits.Format(key.scale))
		hold("pending."+key.code, s.pendingDebit.Format(key.scale))
	}
	for _, d := range e.Details {
		if strings.HasPrefix(d.Name, "posted.") || strings.HasPrefix(d.Name, "pending.") {
			named--
		}
	}
	if named < 0 {
		v.findings.add(finding{code: BalanceCommitmentMismatch, seq: e.Seq, request: e.RequestID, stored: "totals of currencies that no account has"})
	}
	v.committed = v.findings.total == before
}

// checkBalances holds I2, and the balances that the bundle shows against those
// that its entries give.
func (v *verification) checkBalances() {
	for key, s := range totals(v.accounts.list) {
		switch {
		case s.overflow:
			v.findings.notChecked(noSeq, "totals of "+key.code+" beyond 128 bits")
		case s.debits != s.credits || s.pendingDebit != s.pendingCredit:
			v.findings.add(finding{code: CurrencyNotZero, seq: beyond64, column: key.code,
				stored:     fmt.Sprintf("debits %s, held %s", s.debits.Format(key.scale), s.pendingDebit.Format(key.scale)),
				recomputed: fmt.Sprintf("credits %s, held %s", s.credits.Format(key.scale), s.pendingCredit.Format(key.scale))})
		}
	}
	listed := v.manifest.find(balancesPath)
	r, ok := v.archive.open(balancesPath)
	if listed == nil || !ok {
		if listed == nil && !ok {
			v.findings.notChecked(noSeq, "balances: the bundle shows none")
		}
		return // the other is a finding already
	}
	v.holdBalances(listed, r)
}

// holdBalances compares the leaves of the balance tree one by one.
func (v *verification) holdBalances(listed *Member, r *io.SectionReader) {
	var tree chain.Frontier
	leaves := newLeafReader(r)
	want := make([]byte, 0, leafBuffer)
	order := sorted(v.accounts.list)
	for {
		leaf, err := leaves.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			if errors.Is(err, errLeaves) {
				v.findings.add(finding{code: ManifestMismatch, seq: noSeq, column: balancesPath, stored: err.Error()})
			} else {
				v.findings.notChecked(noSeq, err.Error())
			}
			return
		}
		n := int(tree.Size())
		tree.Append(chain.LeafHash(leaf))
		if n >= len(order) {
			continue
		}
		x := &v.accounts.list[order[n]]
		if want = x.appendState(want[:0], v.manifest.Ledger, v.manifest.Size); string(leaf[1:]) != string(want) {
			v.findings.add(finding{code: ProjectionMismatch, seq: beyond64, account: x.id, column: balancesPath,
				stored: fmt.Sprintf("%x", leaf[1:min(len(leaf), leafBuffer)]), recomputed: fmt.Sprintf("%x", want)})
		}
	}
	v.balances = tree.Size()
	if v.balances != int64(len(order)) {
		v.findings.add(finding{code: ProjectionMismatch, seq: beyond64, column: balancesPath,
			stored: fmt.Sprintf("%d accounts", v.balances), recomputed: fmt.Sprintf("%d accounts", len(order))})
	}
	if root := tree.Root(); !listed.Tree || listed.Digest != root || listed.Count != v.balances || listed.Bytes != r.Size() {
		v.findings.add(finding{code: ManifestMismatch, seq: noSeq, column: balancesPath,
			stored:     fmt.Sprintf("%d accounts, %d bytes, root %s", listed.Count, listed.Bytes, listed.Digest),
			recomputed: fmt.Sprintf("%d accounts, %d bytes, root %s", v.balances, r.Size(), root)})
	}
}
