package bundle

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"tallystick/ledger/chain"
)

// Bounds of what stands beside the entries.
const (
	// MaxCheckpoints is the most checkpoints in a bundle.
	MaxCheckpoints = 1024
	// MaxKeys is the most verifier keys that a bundle brings.
	MaxKeys = 1024

	maxKeysFile  = MaxKeys * 1024
	maxProofFile = 64 * 45 // as many hashes as a tree can be high, in base64
)

// trust is whose signatures count.
type trust struct {
	given []chain.VerifierKey // by the auditor
	own   []chain.VerifierKey // the bundle's
	vouch bool                // the auditor gave keys
}

// newest returns the keys by which the newest checkpoint must be signed.
func (t *trust) newest() []chain.VerifierKey {
	if t.vouch {
		return t.given
	}
	return t.own
}

// older returns those that count for the checkpoints before it: the tree of the
// newest proves what they say, so that a key that was retired since is no loss.
func (t *trust) older() []chain.VerifierKey {
	all := slices.Clone(t.given)
	for _, k := range t.own {
		if !hasKey(all, k) {
			all = append(all, k)
		}
	}
	return all
}

// unvouched reports whether nobody but the bundle names the key, though the
// auditor named some.
func (t *trust) unvouched(key chain.VerifierKey) bool {
	return t.vouch && !slices.ContainsFunc(t.given, func(x chain.VerifierKey) bool { return x.ID() == key.ID() })
}

// checkpoint is one of a bundle's.
type checkpoint struct {
	size   int64
	signed chain.SignedCheckpoint
	good   bool // it says what a checkpoint says
}

// readKeys decides whose signatures count.
func (v *verification) readKeys() {
	t := &v.keys
	for _, k := range v.options.Keys {
		t.given = addKey(t.given, k)
	}
	if v.policy = v.options.Policy; v.policy != nil {
		for _, k := range v.policy.Keys() {
			t.given = addKey(t.given, k)
		}
	}
	t.vouch = len(v.options.Keys) > 0 || v.options.Policy != nil
	own, err := v.ownKeys()
	if err != nil {
		v.findings.notChecked(noSeq, "the bundle's own keys: "+err.Error())
	}
	t.own = own
	if !t.vouch && len(t.own) == 0 {
		v.findings.notChecked(noSeq, "signatures: the bundle brings no key and none was given; give the signer's with --key, or a --policy")
	}
	v.readManifestSignatures()
}

// addKey adds a key to a list unless it is there.
func addKey(list []chain.VerifierKey, k chain.VerifierKey) []chain.VerifierKey {
	if slices.ContainsFunc(list, func(x chain.VerifierKey) bool { return x.String() == k.String() }) {
		return list
	}
	return append(list, k)
}

// hasKey reports whether a key of that name and id is in a list.
func hasKey(list []chain.VerifierKey, k chain.VerifierKey) bool {
	return slices.ContainsFunc(list, func(x chain.VerifierKey) bool { return x.ID() == k.ID() })
}

// ownKeys reads the keys and the policy that the bundle brings. If one of the
// two cannot be read neither counts.
func (v *verification) ownKeys() ([]chain.VerifierKey, error) {
	var own []chain.VerifierKey
	if v.manifest.find(keysPath) != nil {
		text, err := v.archive.read(keysPath, maxKeysFile)
		if err != nil {
			return nil, err
		}
		lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
		if len(lines) > MaxKeys {
			return nil, fmt.Errorf("reading %d keys: at most %d make sense", len(lines), MaxKeys)
		}
		for _, line := range lines {
			k, err := chain.ParseLogKey(line)
			if err != nil {
				return nil, err
			}
			if hasKey(own, k) {
				return nil, fmt.Errorf("reading the key %s a second time", k.ID())
			}
			own = append(own, k)
		}
	}
	if v.manifest.find(policyPath) == nil {
		return own, nil
	}
	text, err := v.archive.read(policyPath, chain.MaxPolicy)
	if err != nil {
		return nil, err
	}
	policy, err := chain.ParsePolicy(text)
	if err != nil {
		return nil, err
	}
	return v.takePolicy(policy, own), nil
}

// takePolicy adds the keys of the bundle's policy, whose quorum counts where the
// auditor gave nothing. Keys of witnesses that FORMAT.md does not have are left
// out, because not every verifier knows them, and then no quorum is asked for.
func (v *verification) takePolicy(policy *chain.Policy, own []chain.VerifierKey) []chain.VerifierKey {
	if !v.keys.vouch {
		v.policy = policy
	}
	for _, k := range policy.Keys() {
		switch {
		case !k.Ed25519():
			if !v.keys.vouch {
				v.policy = nil
				v.findings.notChecked(noSeq, "witnesses: the bundle's policy has keys of another type than FORMAT.md")
			}
		case !hasKey(own, k):
			own = append(own, k)
		}
	}
	return own
}

// readManifestSignatures verifies those of signers on the manifest, if it has
// any. Where the auditor gave keys only theirs count: no tree proves what a
// manifest says of files.
func (v *verification) readManifestSignatures() {
	if !strings.Contains(string(v.note), "\n\n") {
		return
	}
	if err := chain.CheckNote(v.note); err != nil {
		v.findings.add(finding{code: ManifestMismatch, seq: noSeq, column: manifestPath, stored: err.Error()})
		return
	}
	var verifiers []note.Verifier
	for _, k := range logKeys(v.keys.newest()) {
		verifiers = append(verifiers, k.Verifier())
	}
	n, err := note.Open(v.note, note.VerifierList(verifiers...))
	var unverified *note.UnverifiedNoteError
	switch {
	case errors.As(err, &unverified): // by keys that are not known: said in the report
	case err != nil:
		v.findings.add(finding{code: ManifestMismatch, seq: noSeq, column: manifestPath, stored: "its signature: " + err.Error()})
	default:
		for _, s := range n.Sigs {
			v.signedBy = append(v.signedBy, fmt.Sprintf("%s+%08x", s.Name, s.Hash))
		}
	}
}

// readCheckpoints verifies the signatures of all checkpoints.
func (v *verification) readCheckpoints() {
	for _, listed := range v.manifest.under(checkpointsDir) {
		path := listed.Path
		size, err := strconv.ParseInt(strings.TrimPrefix(path, checkpointsDir), 10, 64)
		if err != nil || checkpointPath(size) != path || size < 1 || size > v.manifest.Size {
			v.findings.add(finding{code: ManifestMismatch, seq: noSeq, column: path, stored: "no checkpoint of a size in the bundle"})
			continue
		}
		text, err := v.archive.read(path, chain.MaxCheckpoint)
		if err != nil {
			v.findings.add(finding{code: ManifestMismatch, seq: size - 1, column: path, stored: err.Error()})
			continue
		}
		v.wanted[size] = struct{}{}
		v.checkpoints = append(v.checkpoints, v.openCheckpoint(size, text))
	}
	slices.SortFunc(v.checkpoints, func(a, b checkpoint) int { return int(a.size - b.size) })
	if n := len(v.checkpoints); n == 0 || v.checkpoints[n-1].size != v.manifest.Size {
		v.findings.add(finding{code: ManifestMismatch, seq: noSeq, column: checkpointPath(v.manifest.Size),
			stored: "no checkpoint of the size of the bundle: nobody signed what is in it"})
	}
}

// openCheckpoint verifies one checkpoint, and the quorum of the newest.
func (v *verification) openCheckpoint(size int64, text []byte) checkpoint {
	keys := v.keys.older()
	if size == v.manifest.Size {
		keys = v.keys.newest()
	}
	signed, err := chain.OpenCheckpoint(text, keys...)
	if form := chain.CheckNote(text); form != nil {
		err = fmt.Errorf("%w: %w", form, chain.ErrCheckpoint)
	}
	c := checkpoint{size: size, signed: signed, good: !errors.Is(err, chain.ErrCheckpoint)}
	f := finding{seq: size - 1, column: checkpointPath(size)}
	report := func(code, stored, recomputed string) {
		f.code, f.stored, f.recomputed = code, stored, recomputed
		v.findings.add(f)
	}
	switch {
	case errors.Is(err, chain.ErrCheckpoint):
		report(CheckpointBadSignature, err.Error(), "")
		return c
	case errors.Is(err, chain.ErrSignature), err == nil && timeless(&signed):
		// Without the witnesses' keys it shows whose signature is wrong.
		f.code, f.stored = CheckpointBadSignature, "a cosignature at no time that there is"
		if err != nil {
			f.stored = err.Error()
		}
		if _, err := chain.OpenCheckpoint(text, logKeys(keys)...); err == nil {
			f.code = CosignatureInvalid
		}
		report(f.code, f.stored, "")
	case errors.Is(err, chain.ErrUnknownKey) && len(keys) == 0: // a reason for INCOMPLETE already
	case errors.Is(err, chain.ErrUnknownKey), err == nil && !signed.SignedByLog():
		report(CheckpointUnknownKey, "signed by "+strings.Join(signed.Unknown, ", "), "")
	case err != nil:
		report(CheckpointBadSignature, err.Error(), "")
	case size == v.manifest.Size && v.policy != nil && !v.policy.Quorum(&signed, zeroTime):
		report(WitnessQuorumNotMet, fmt.Sprintf("%d known signatures", len(signed.Signatures)), "")
	}
	if signed.Origin != v.manifest.Origin {
		report(OriginMismatch, signed.Origin, v.manifest.Origin)
	}
	if signed.Size != size {
		report(ManifestMismatch, fmt.Sprintf("a checkpoint of size %d", signed.Size), "")
		c.good = false
	}
	return c
}

// logKeys returns the keys that are no witnesses'.
func logKeys(keys []chain.VerifierKey) []chain.VerifierKey {
	return slices.DeleteFunc(slices.Clone(keys), ofWitness)
}

func ofWitness(k chain.VerifierKey) bool {
	_, err := chain.ParseLogKey(k.String())
	return err != nil
}

// timeless reports whether a witness cosigned at a time that FORMAT.md does not
// have: before 1970, or after the year 9999.
func timeless(s *chain.SignedCheckpoint) bool {
	return slices.ContainsFunc(s.Signatures, func(x chain.Signature) bool {
		at := x.Time.Unix()
		return ofWitness(x.Key) && (at < 0 || at > latestMicro/1_000_000)
	})
}

// holdRoots holds the recomputed roots against those that were signed, and the
// head and root of the manifest.
func (v *verification) holdRoots() {
	for i := range v.checkpoints {
		c := &v.checkpoints[i]
		if !c.good {
			continue
		}
		f := finding{code: CheckpointRootMismatch, seq: c.size - 1, column: checkpointPath(c.size), stored: c.signed.Root.String()}
		root, ok := v.roots[c.size]
		switch {
		case !ok:
			f.recomputed = "no tree of that size: entries are missing or too many"
		case root == c.signed.Root:
			continue
		default:
			f.recomputed = root.String()
		}
		v.findings.add(f)
	}
	root, ok := v.roots[v.manifest.Size]
	if (ok && root != v.manifest.Root) || v.head.hash != v.manifest.Head {
		v.findings.add(finding{code: ManifestMismatch, seq: noSeq, column: manifestPath,
			stored:     fmt.Sprintf("root %s, head %s", v.manifest.Root, v.manifest.Head),
			recomputed: fmt.Sprintf("root %s, head %s", root, v.head.hash)})
	}
}

// holdPins holds the auditor's checkpoints against the tree of the entries.
func (v *verification) holdPins() {
	for _, pin := range v.options.Pins {
		f := finding{code: PinInconsistent, seq: pin.Size - 1, stored: pin.Root.String()}
		root, ok := v.roots[pin.Size]
		switch {
		case pin.Origin != v.manifest.Origin:
			f.code, f.seq, f.stored, f.recomputed = OriginMismatch, noSeq, pin.Origin, v.manifest.Origin
		case pin.Size == 0:
			v.findings.notChecked(noSeq, chain.ErrEmptyBaseline.Error()+"; the checkpoint that you kept has size 0")
			continue
		case pin.Size > v.manifest.Size:
			v.findings.notChecked(noSeq, fmt.Sprintf("the checkpoint that you kept: its size is %d, and that of the bundle %d", pin.Size, v.manifest.Size))
			continue
		case !ok:
			f.recomputed = "no tree of that size: entries are missing or too many"
		case root == pin.Root:
			v.pinned = append(v.pinned, pin.Size)
			continue
		default:
			f.recomputed = root.String()
		}
		v.findings.add(f)
	}
}

// readProofs verifies the consistency proofs between checkpoints.
func (v *verification) readProofs() {
	for _, listed := range v.manifest.under(proofsDir) {
		f := finding{code: ProofInvalid, seq: noSeq, column: listed.Path}
		from, to, ok := v.proven(listed.Path)
		if !ok {
			f.code, f.stored = ManifestMismatch, "no proof between two checkpoints of the bundle"
			v.findings.add(f)
			continue
		}
		f.seq = to.size - 1
		text, err := v.archive.read(listed.Path, maxProofFile)
		var proof []chain.Hash
		if err == nil {
			proof, err = parseProof(string(text))
		}
		if err == nil {
			err = chain.VerifyConsistency(from.size, to.size, from.signed.Root, to.signed.Root, proof)
		}
		if err != nil {
			f.stored = err.Error()
			v.findings.add(f)
			continue
		}
		v.proofs++
	}
}

// proven returns the checkpoints that a proof is about.
func (v *verification) proven(path string) (from, to checkpoint, ok bool) {
	a, b, _ := strings.Cut(strings.TrimPrefix(path, proofsDir), "-")
	for _, c := range v.checkpoints {
		if c.good && strconv.FormatInt(c.size, 10) == a {
			from = c
		}
		if c.good && strconv.FormatInt(c.size, 10) == b {
			to = c
		}
	}
	return from, to, from.size > 0 && from.size < to.size
}

// parseProof reads the lines that proofText writes.
func parseProof(text string) ([]chain.Hash, error) {
	var proof []chain.Hash
	for line := range strings.Lines(text) {
		h, err := base64.StdEncoding.Strict().DecodeString(strings.TrimSuffix(line, "\n"))
		if err != nil || len(h) != len(chain.Hash{}) {
			return nil, fmt.Errorf("reading the proof at %.64q: %w", line, chain.ErrProof)
		}
		proof = append(proof, chain.Hash(h))
	}
	if proofText(proof) != text {
		return nil, fmt.Errorf("reading the proof: its lines are not in the one form there is: %w", chain.ErrProof)
	}
	return proof, nil
}

func proofText(proof []chain.Hash) string {
	var b strings.Builder
	for _, h := range proof {
		b.WriteString(base64.StdEncoding.EncodeToString(h[:]) + "\n")
	}
	return b.String()
}
