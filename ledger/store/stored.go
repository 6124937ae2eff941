package store

import (
	"errors"
	"fmt"
	"math/big"

	pgxdecimal "github.com/jackc/pgx-shopspring-decimal"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/shopspring/decimal"

	"tallystick/ledger"
	"tallystick/ledger/chain"
	"tallystick/ledger/money"
)

// ErrDamaged: a column holds what no version of this software writes, such as
// more decimals than the currency has. tallystick verify says what and where.
var ErrDamaged = errors.New("what is stored cannot be read; run tallystick verify")

// ErrBeyondRange: a sum of balances, or a balance by value date, needs more than
// 128 bits. Every single booked balance fits.
var ErrBeyondRange = errors.New("the balance needs more than 128 bits")

// missing turns the absence of a row that must be there into ErrDamaged.
func missing(err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return ErrDamaged
	}
	return err
}

// unreadable stands for an amount that cannot be read. It is the one Int128
// that no amount is, so that no entry which holds it has the hash that is
// stored: damage is found where hashes are compared, and the rest of the ledger
// goes on.
var unreadable = money.FromBytes([16]byte{0x80})

// unreadableTag does the same for tags.
var unreadableTag = chain.Tag{Key: "\x00"}

// stored is a DECIMAL as it comes, NaN and infinities too. One serves all rows of
// a query: a search reads a thousand of them for a page.
type stored struct {
	number Number
	null   bool
}

// storedPlan takes a DECIMAL in as it was sent.
type storedPlan struct{}

// Scan implements pgtype.ScanPlan.
func (storedPlan) Scan(sent []byte, into any) error {
	d := into.(*stored)
	d.number, d.null = append(d.number[:0], sent...), sent == nil // what was sent is overwritten by the next row
	return nil
}

// numericCodec is that of decimal.Decimal, and of stored.
type numericCodec struct{ pgxdecimal.NumericCodec }

// PlanScan implements pgtype.Codec.
func (c numericCodec) PlanScan(m *pgtype.Map, oid uint32, format int16, into any) pgtype.ScanPlan {
	if _, ok := into.(*stored); ok && format == pgtype.BinaryFormatCode {
		return storedPlan{}
	}
	return c.NumericCodec.PlanScan(m, oid, format, into)
}

// registerNumeric lets a connection know how DECIMAL columns are read.
func registerNumeric(m *pgtype.Map) {
	pgxdecimal.Register(m)
	m.RegisterType(&pgtype.Type{Name: "numeric", OID: pgtype.NumericOID, Codec: numericCodec{}})
}

// units returns the value in units at scale, or unreadable.
func (d *stored) units(scale uint8) money.Int128 {
	units, ok := d.number.Units(scale)
	if !ok || d.null {
		return unreadable
	}
	return units
}

// sum returns a sum in units at scale, which may pass 128 bits; ok is false when
// what it adds up cannot be read.
func (d *stored) sum(scale uint8) (units *big.Int, ok bool) {
	if d.null || scale > money.MaxScale {
		return nil, false
	}
	if units, ok := d.number.Units(scale); ok {
		return units.Big(), true
	}
	value, err := decimal.NewFromString(d.number.String())
	if err != nil { // NaN, infinite, or more digits than sums have
		return nil, false
	}
	shifted := value.Shift(int32(scale))
	return shifted.BigInt(), shifted.IsInteger()
}

// limit returns the value in units at scale, nil for null.
func (d *stored) limit(scale uint8) *money.Int128 {
	if d.null {
		return nil
	}
	units := d.units(scale)
	return &units
}

// scaleOf reads a scale column; what is no scale makes every amount unreadable.
func scaleOf(column int64) uint8 {
	if column < 0 || column > money.MaxScale {
		return 255
	}
	return uint8(column)
}

// readable returns ErrDamaged when an entry holds what cannot be read.
func readable(entries []ledger.Entry) error {
	for i := range entries {
		r := entries[i].Record()
		for j := range r.Postings {
			p := &r.Postings[j]
			for _, v := range []money.Int128{p.Amount, p.PendingChange, p.Posted, p.PendingDebit, p.PendingCredit} {
				if !v.InRange() {
					return fmt.Errorf("reading the amounts of entry %d: %w", r.Seq, ErrDamaged)
				}
			}
		}
		if r.Account != nil && !readableAttributes(r.Account) {
			return fmt.Errorf("reading the account of entry %d: %w", r.Seq, ErrDamaged)
		}
	}
	return nil
}

func readableAttributes(a *chain.Account) bool {
	for _, limit := range []*money.Int128{a.MinBalance, a.MaxBalance} {
		if limit != nil && !limit.InRange() {
			return false
		}
	}
	return len(a.Tags) != 1 || a.Tags[0] != unreadableTag
}

// readableAccount returns ErrDamaged when the state of an account cannot be read.
func readableAccount(a *ledger.Account) error {
	if readableAttributes(&a.Account) && a.Posted.InRange() && a.PendingDebit.InRange() && a.PendingCredit.InRange() {
		return nil
	}
	return fmt.Errorf("reading account %q: %w", a.Code, ErrDamaged)
}
