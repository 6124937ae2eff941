package reconcile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/google/uuid"

	"tallystick/ledger/chain"
	"tallystick/ledger/store"
)

// maxSignerState is the most bytes of a signer's state file.
const maxSignerState = 64 << 20

// signerState is what is needed of the signer's state file: how far it checked
// each ledger, written before it signed anything of it.
type signerState struct {
	Ledgers  map[string]signerPosition `json:"ledgers"`
	SuperLog *signerPosition           `json:"super_log"`
}

type signerPosition struct {
	Origin string `json:"origin"`
	Size   int64  `json:"size"`
	Root   string `json:"root"` // hexadecimal digits
	Head   string `json:"head"` // the entry hash at Size − 1, likewise
	Note   string `json:"note"` // the signed checkpoint, if there is one
}

// checkSignerState holds what the signer knows, outside the database, against
// the ledger.
func (v *verification) checkSignerState(ctx context.Context, doc *Document) error {
	p, err := readSignerState(doc, v.snapshot.LedgerID.String())
	switch {
	case err != nil:
		v.findings.notChecked(noSeq, err.Error())
		return nil
	case p == nil:
		v.findings.notChecked(noSeq, fmt.Sprintf("the signer's state %s does not have this ledger", doc.Name))
		return nil
	}
	if v.snapshot.Size < p.Size && p.Size <= v.present {
		return v.holdLaterState(ctx, p)
	}
	root, shorter, err := v.holdOutside(ctx, p.Size, "the signer's state")
	if err != nil || shorter {
		return err
	}
	head, err := v.sealedAt(ctx, p.Size-1)
	if err != nil {
		return err
	}
	if root.String() == p.Root && head == p.Head {
		v.evidence.external = append(v.evidence.external, fmt.Sprintf("the signer's state of size %d: extended", p.Size))
		return nil
	}
	f := finding{code: LogRollback, seq: lastOf(p.Size), stored: "root " + root.String(), recomputed: "root " + p.Root + ", by the signer's state"}
	if root.String() == p.Root {
		f.stored, f.recomputed = "hash "+head, "hash "+p.Head+", by the signer's state"
	}
	v.findings.add(f)
	if p.Note == "" {
		return nil
	}
	_, err = v.proveFork(ctx, &Document{Name: "the signer's note", Data: []byte(p.Note)})
	return err
}

// holdLaterState holds the state of a signer that went on after the cut. Its tree
// need not be stored yet; its last entry must be there.
func (v *verification) holdLaterState(ctx context.Context, p *signerPosition) error {
	head, err := v.sealedAt(ctx, p.Size-1)
	if err != nil || head == p.Head {
		return err
	}
	v.findings.add(finding{code: LogRollback, seq: lastOf(p.Size), stored: "hash " + head, recomputed: "hash " + p.Head + ", by the signer's state"})
	return nil
}

// checkStateOthers looks whether the other ledgers that the signer has signed are
// there, whatever the super-log says of them.
func (v *verification) checkStateOthers(ctx context.Context, doc *Document) error {
	state, err := parseSignerState(doc)
	if err != nil {
		return nil // that was said
	}
	for _, name := range slices.Sorted(maps.Keys(state.Ledgers)) {
		id, err := uuid.Parse(name)
		if err != nil || id == v.snapshot.LedgerID {
			continue
		}
		there, err := anyEntry(ctx, v.snapshot.Scan, id)
		if err != nil {
			return err
		}
		if !there {
			v.findings.add(finding{code: LedgerMissing, seq: noSeq, stored: "no entries of ledger " + id.String(),
				recomputed: entriesText(state.Ledgers[name].Size) + ", by the signer's state"})
		}
	}
	return nil
}

func parseSignerState(doc *Document) (signerState, error) {
	var state signerState
	if len(doc.Data) > maxSignerState {
		return state, fmt.Errorf("reading the signer's state %s: more than %d bytes", doc.Name, maxSignerState)
	}
	if err := json.Unmarshal(doc.Data, &state); err != nil {
		return state, fmt.Errorf("reading the signer's state %s: %w", doc.Name, err)
	}
	return state, nil
}

// readSignerState returns the position of a ledger, nil when the signer has none.
func readSignerState(doc *Document, ledger string) (*signerPosition, error) {
	state, err := parseSignerState(doc)
	if err != nil {
		return nil, err
	}
	p, ok := state.Ledgers[ledger]
	if !ok {
		return nil, nil
	}
	if _, ok := chain.ParseHash(p.Root); !ok || p.Size < 1 {
		return nil, fmt.Errorf("reading the signer's state %s: %w", doc.Name, errSignerState)
	}
	if _, ok := chain.ParseHash(p.Head); !ok {
		return nil, fmt.Errorf("reading the signer's state %s: %w", doc.Name, errSignerState)
	}
	return &p, nil
}

var errSignerState = errors.New("it has a size, a root or a head that cannot be")

// sealedAt returns the stored hash of an entry in hexadecimal digits.
func (v *verification) sealedAt(ctx context.Context, seq int64) (string, error) {
	hash := "none"
	err := v.snapshot.Scan(ctx, sealedSQL, []any{v.snapshot.LedgerID, seq}, func(r *store.Row) error {
		hash = r.Hash(0).String()
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("reading the hash of entry %d: %w", seq, err)
	}
	return hash, nil
}
