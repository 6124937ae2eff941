package reconcile

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/google/uuid"

	"tallystick/ledger/chain"
	"tallystick/ledger/money"
	"tallystick/ledger/store"
)

// A snapshot is the newest state of every account that has postings, after some
// first entries. Its lines are in order of the accounts' ids, cut into parts:
//
//	part = gzip( line × accounts )
//	line = account_id 16 │ account_seq 8 │ posted 16 │ pending_debit 16 │ pending_credit 16
//
// in big-endian, amounts in units of the account's scale as two's complement.
// It takes some 20 bytes an account, a fraction of what rows of their own take.

const (
	// snapshotPart is how many accounts one part holds.
	snapshotPart = 8192
	// snapshotLineBytes is the length of a line.
	snapshotLineBytes = 16 + 8 + 3*16
	// maxSnapshotParts is how many parts a snapshot has at most.
	maxSnapshotParts = maxBalances/snapshotPart + 1
)

// errSnapshot: what is stored is no part of a snapshot.
var errSnapshot = errors.New("what is stored is no part of a snapshot")

// snapshotLine is the state of one account.
type snapshotLine struct {
	account                             uuid.UUID
	accountSeq                          int64
	posted, pendingDebit, pendingCredit money.Int128
}

// snapshotAt is a snapshot of which all parts are there.
type snapshotAt struct{ size, parts int64 }

// Index: snapshots_sizes.
const snapshotSizesSQL = `
select size, max(parts)
from ops.snapshots
where ledger_id = $1::uuid and size <= $2::int8
group by size
having count(*) = max(parts) and min(parts) = max(parts)
order by size desc
limit $3::int8`

// snapshotsUpTo returns the newest snapshots of at most a size, newest first.
func snapshotsUpTo(ctx context.Context, from *store.Snapshot, size int64, most int) ([]snapshotAt, error) {
	var all []snapshotAt
	err := from.Scan(ctx, snapshotSizesSQL, []any{from.LedgerID, size, int64(most)}, func(r *store.Row) error {
		all = append(all, snapshotAt{r.Int64(0), r.Int64(1)})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("looking for a snapshot of at most %d entries: %w", size, err)
	}
	return all, nil
}

// Index: the primary key. A body is not read that is larger than any may be.
const snapshotPartSQL = `
select accounts, sha256, case when length(body) <= $4::int8 then body end
from ops.snapshots
where ledger_id = $1::uuid and size = $2::int8 and part = $3::int8`

// maxPartBody bounds a part after compression, which makes nothing much larger.
const maxPartBody = 2 * snapshotPart * snapshotLineBytes

// each calls f with the lines of a snapshot, in order of the accounts' ids.
func (s snapshotAt) each(ctx context.Context, from *store.Snapshot, f func(*snapshotLine) error) error {
	var last uuid.UUID
	for part := range s.parts {
		lines, err := s.read(ctx, from, part, &last)
		for ; err == nil && len(lines) > 0; lines = lines[snapshotLineBytes:] {
			l := parseLine(lines)
			err = f(&l)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// read returns the lines of a part. It holds that their accounts follow the last one
// of the part before, and puts their own last one there.
func (s snapshotAt) read(ctx context.Context, from *store.Snapshot, part int64, last *uuid.UUID) ([]byte, error) {
	failed := func(err error) ([]byte, error) {
		return nil, fmt.Errorf("reading part %d of the snapshot of %d entries: %w", part, s.size, err)
	}
	if s.parts > maxSnapshotParts {
		return failed(fmt.Errorf("%w: there are %d parts", errSnapshot, s.parts))
	}
	var plain []byte
	there := false
	err := from.Scan(ctx, snapshotPartSQL, []any{from.LedgerID, s.size, part, int64(maxPartBody)}, func(r *store.Row) (err error) {
		if there = true; r.IsNull(2) {
			return fmt.Errorf("%w: it has more than %d bytes", errSnapshot, maxPartBody)
		}
		plain, err = openPart(r.Int64(0), r.Hash(1), r.Bytes(2))
		return err
	})
	if err == nil && !there {
		err = fmt.Errorf("%w: it is not there", errSnapshot)
	}
	at := *last
	for rest := plain; err == nil && len(rest) > 0; rest = rest[snapshotLineBytes:] {
		if bytes.Compare(rest[:len(at)], at[:]) <= 0 {
			err = fmt.Errorf("%w: its accounts are not in order", errSnapshot)
		}
		at = uuid.UUID(rest[:len(at)])
	}
	if err != nil {
		return failed(err)
	}
	*last = at
	return plain, nil
}

// openPart returns the lines of a part.
func openPart(accounts int64, digest chain.Hash, body []byte) ([]byte, error) {
	if accounts < 0 || accounts > snapshotPart {
		return nil, fmt.Errorf("%w: %d accounts", errSnapshot, accounts)
	}
	z, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errSnapshot, err)
	}
	want := accounts * snapshotLineBytes
	plain, err := io.ReadAll(io.LimitReader(z, want+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", errSnapshot, err)
	case int64(len(plain)) != want:
		return nil, fmt.Errorf("%w: it is not %d accounts long", errSnapshot, accounts)
	case sha256.Sum256(plain) != digest:
		return nil, fmt.Errorf("%w: its SHA-256 is another one", errSnapshot)
	}
	return plain, nil
}

func parseLine(b []byte) (l snapshotLine) {
	l.account = uuid.UUID(b[:16])
	l.accountSeq = int64(binary.BigEndian.Uint64(b[16:]))
	l.posted, l.pendingDebit, l.pendingCredit = money.FromBytes([16]byte(b[24:])), money.FromBytes([16]byte(b[40:])), money.FromBytes([16]byte(b[56:]))
	return l
}

// compare reports each column in which a line differs from how its account stood.
func (l *snapshotLine) compare(at *balances, scale uint8, report func(column, stored, recomputed string)) {
	if at.accountSeq == 0 {
		report("", "an account", "no posting on it")
		return
	}
	if l.accountSeq != at.accountSeq {
		report("account_seq", fmt.Sprint(l.accountSeq), fmt.Sprint(at.accountSeq))
	}
	for _, c := range []struct {
		column             string
		stored, recomputed money.Int128
	}{{"posted", l.posted, at.posted}, {"pending_debit", l.pendingDebit, at.pendingDebit}, {"pending_credit", l.pendingCredit, at.pendingCredit}} {
		if c.stored != c.recomputed {
			report(c.column, c.stored.Format(scale), c.recomputed.Format(scale))
		}
	}
}

// snapshotOf cuts balances into the parts of a snapshot, each of at most some lines.
func snapshotOf(all []Balance, lines int) ([]store.SnapshotPart, error) {
	var posted []*Balance
	for i := range all {
		if all[i].AccountSeq > 0 {
			posted = append(posted, &all[i])
		}
	}
	slices.SortFunc(posted, func(x, y *Balance) int { return bytes.Compare(x.ID[:], y.ID[:]) })
	var parts []store.SnapshotPart
	for chunk := range slices.Chunk(posted, lines) {
		plain := make([]byte, 0, len(chunk)*snapshotLineBytes)
		for _, b := range chunk {
			plain = append(plain, b.ID[:]...)
			plain = binary.BigEndian.AppendUint64(plain, uint64(b.AccountSeq))
			plain = b.Posted.AppendBytes(plain)
			plain = b.PendingDebit.AppendBytes(plain)
			plain = b.PendingCredit.AppendBytes(plain)
		}
		var body bytes.Buffer
		z := gzip.NewWriter(&body)
		if _, err := z.Write(plain); err != nil {
			return nil, fmt.Errorf("compressing a snapshot: %w", err)
		}
		if err := z.Close(); err != nil {
			return nil, fmt.Errorf("compressing a snapshot: %w", err)
		}
		parts = append(parts, store.SnapshotPart{Accounts: int64(len(chunk)), SHA256: sha256.Sum256(plain), Body: body.Bytes()})
	}
	return parts, nil
}
