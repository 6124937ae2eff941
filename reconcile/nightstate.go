package reconcile

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"tallystick/ledger/store"
)

const (
	// maxStatePart bounds a part of a state before compression, so that it fits an output even if nothing of it can be compressed.
	maxStatePart = 4 << 20
	// stateHead is the length of what says how large a state is.
	stateHead = 8 + 4
)

// putState keeps a state for the next run, in parts: first the size of the ledger and the number of parts.
func (n *Night) putState(name string, size int64, data []byte) error {
	parts := slices.Collect(slices.Chunk(data, maxStatePart))
	head := binary.BigEndian.AppendUint64(nil, uint64(size))
	head = binary.BigEndian.AppendUint32(head, uint32(len(parts)))
	if err := n.PutBytes(StateOutput, name, head); err != nil {
		return err
	}
	for i, part := range parts {
		if err := n.PutBytes(StateOutput, statePart(name, i), part); err != nil {
			return err
		}
	}
	return nil
}

func statePart(name string, i int) string { return fmt.Sprintf("%s-%04d", name, i) }

// readState returns a state that a run left, or ErrNoOutput.
func readState(ctx context.Context, db *store.DB, run uuid.UUID, name string) (size int64, data []byte, err error) {
	head, err := ReadOutput(ctx, db, run, StateOutput, name)
	if err != nil {
		return 0, nil, err
	}
	if len(head) != stateHead {
		return 0, nil, fmt.Errorf("reading the state of run %s: %w", run, errOutput)
	}
	size = int64(binary.BigEndian.Uint64(head))
	for i := range int(binary.BigEndian.Uint32(head[8:])) {
		part, err := ReadOutput(ctx, db, run, StateOutput, statePart(name, i))
		if err != nil {
			return 0, nil, fmt.Errorf("reading part %d of a state: %w", i, err)
		}
		data = append(data, part...)
	}
	return size, data, nil
}
