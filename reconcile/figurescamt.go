package reconcile

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"time"

	"tallystick/ledger/chain"
	"tallystick/ledger/money"
	"tallystick/ledger/store"
	"tallystick/reconcile/camt"
	"tallystick/reconcile/figures"
)

// Index: the primary key.
const recordedAtSQL = `
select recorded_at
from book.entries
where ledger_id = $1::uuid and seq = $2::int8`

// WriteCamt writes the statement of an account as a camt.053 message. The account
// is named by its IBAN where one is given, or else by its code. Once the last
// day is over, the message is the same bytes at every size.
func WriteCamt(ctx context.Context, w io.Writer, v camt.Version, from *store.Snapshot, r ReportRequest, iban string) error {
	s, err := camtStatement(ctx, from, &r)
	if err != nil {
		return fmt.Errorf("computing the statement of account %s of ledger %s at size %d: %w", r.Account, from.LedgerID, from.Size, err)
	}
	s.IBAN, s.Number = iban, r.Account
	if iban != "" {
		s.Number = ""
	}
	return camt.Write(w, v, s)
}

func camtStatement(ctx context.Context, from *store.Snapshot, r *ReportRequest) (*camt.Statement, error) {
	b, err := pinBooks(ctx, from, kindNamed(figures.NameStatement), r)
	if err != nil {
		return nil, err
	}
	if err := b.readStatement(ctx, r.Account); err != nil {
		return nil, err
	}
	a := &b.Accounts[0]
	s := &camt.Statement{Currency: money.Currency{Code: a.Currency, Scale: a.Scale}, From: b.From, To: b.AsOf}
	s.Opening, _ = a.Opening.Neg() // the range is symmetric
	s.Closing, _ = a.StatedClosing.Neg()
	id := sha256.Sum256(fmt.Appendf(nil, "%s\x00%s\x00%s\x00%s\x00%d", b.LedgerID, a.Code, b.From, b.AsOf, b.End))
	s.ID = hex.EncodeToString(id[:16])
	err = retry(ctx, func() error {
		return from.Scan(ctx, recordedAtSQL, []any{from.LedgerID, b.End - 1}, func(r *store.Row) error {
			s.Created = time.UnixMicro(r.Micros(0))
			return readable(r, "book.entries", b.End-1)
		})
	})
	if err != nil {
		return nil, fmt.Errorf("reading when entry %d was recorded: %w", b.End-1, err)
	}
	for i := range b.Lines {
		l := &b.Lines[i]
		s.Lines = append(s.Lines, camt.Line{
			Ref: fmt.Sprint(l.Seq), Servicer: hex.EncodeToString(l.Request[:]), Booked: l.Booked, Valued: l.Valued,
			Credit: l.Direction == chain.Credit, Amount: l.Amount, Reversal: l.Kind == chain.Reversal, Kind: l.Kind.String(),
			Reference: l.Reference, Description: l.Description,
		})
	}
	return s, nil
}
