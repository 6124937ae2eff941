package store

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"tallystick/ledger/chain"
	"tallystick/ledger/money"
)

// Row is one row of a Scan. Its methods decode a column, counted from 0, and
// are exact: a value that the column should not be able to hold (null where it
// is not asked for, another type, NaN, infinity, more decimals than the scale)
// is not an error but a rejection, because to a verifier it is not a failure
// but something found. The first rejection of a row is kept: see Rejected. The
// rejected column reads as the zero value.
type Row struct {
	fields   []pgconn.FieldDescription
	values   [][]byte
	rejected int // the first rejected column
}

const notRejected = -1

// maxShownBytes bounds how much of a value of an unexpected type is shown.
const maxShownBytes = 64

// Rejected returns name and value, as text, of the first column of the row
// that could not be what it should be; ok is false when there is none.
func (r *Row) Rejected() (column, value string, ok bool) {
	if r.rejected == notRejected {
		return "", "", false
	}
	f, v := r.fields[r.rejected], r.values[r.rejected]
	return f.Name, show(f.DataTypeOID, v), true
}

func (r *Row) reject(i int) {
	if r.rejected == notRejected {
		r.rejected = i
	}
}

// is reports whether column i has that type and size, and rejects it otherwise.
func (r *Row) is(i int, oid uint32, size int) bool {
	if r.fields[i].DataTypeOID != oid || len(r.values[i]) != size {
		r.reject(i)
		return false
	}
	return true
}

// IsNull reports whether column i is null.
func (r *Row) IsNull(i int) bool { return r.values[i] == nil }

// Int64 returns an int8.
func (r *Row) Int64(i int) int64 {
	if !r.is(i, pgtype.Int8OID, 8) {
		return 0
	}
	return int64(binary.BigEndian.Uint64(r.values[i]))
}

// Scale returns an int8 between 0 and money.MaxScale.
func (r *Row) Scale(i int) uint8 {
	v := r.Int64(i)
	if v < 0 || v > money.MaxScale {
		r.reject(i)
		return 0
	}
	return uint8(v)
}

// Int32 returns an int8 that fits 32 bits.
func (r *Row) Int32(i int) int32 {
	v := r.Int64(i)
	if v < math.MinInt32 || v > math.MaxInt32 {
		r.reject(i)
		return 0
	}
	return int32(v)
}

// UUID returns a uuid.
func (r *Row) UUID(i int) uuid.UUID {
	if !r.is(i, pgtype.UUIDOID, 16) {
		return uuid.UUID{}
	}
	return uuid.UUID(r.values[i])
}

// Hash returns a bytea of 32 bytes.
func (r *Row) Hash(i int) chain.Hash {
	if !r.is(i, pgtype.ByteaOID, len(chain.Hash{})) {
		return chain.Hash{}
	}
	return chain.Hash(r.values[i])
}

// Bytes returns a bytea that is not null, valid until the next row.
func (r *Row) Bytes(i int) []byte {
	if r.fields[i].DataTypeOID != pgtype.ByteaOID || r.values[i] == nil {
		r.reject(i)
	}
	return r.values[i]
}

// Text returns a text that is not null, valid until the next row.
func (r *Row) Text(i int) []byte {
	oid := r.fields[i].DataTypeOID
	if oid != pgtype.TextOID && oid != pgtype.VarcharOID || r.values[i] == nil {
		r.reject(i)
		return nil
	}
	return r.values[i]
}

// Reject declares the value of column i to be one that cannot be there, such
// as a word that is not in its list.
func (r *Row) Reject(i int) { r.reject(i) }

// Bool returns a bool.
func (r *Row) Bool(i int) bool {
	return r.is(i, pgtype.BoolOID, 1) && r.values[i][0] != 0
}

// Both engines count dates and times from 2000-01-01, and send infinity as the
// largest and smallest integer.
const (
	daysTo2000   = 10957
	microsTo2000 = daysTo2000 * 24 * 60 * 60 * 1_000_000
)

// The years that a time may be of: what RFC 3339 can write.
const (
	firstMicros = -62_135_596_800_000_000 // 0001-01-01T00:00:00Z
	lastMicros  = 253_402_300_799_999_999 // 9999-12-31T23:59:59.999999Z
)

// Micros returns a timestamptz in microseconds since 1970; infinity is rejected, and
// what lies beyond the years 1 to 9999.
func (r *Row) Micros(i int) int64 {
	if !r.is(i, pgtype.TimestamptzOID, 8) {
		return 0
	}
	v := int64(binary.BigEndian.Uint64(r.values[i]))
	if v < firstMicros-microsTo2000 || v > lastMicros-microsTo2000 {
		r.reject(i)
		return 0
	}
	return v + microsTo2000
}

// Date returns a date; infinity is rejected.
func (r *Row) Date(i int) chain.Date {
	if !r.is(i, pgtype.DateOID, 4) {
		return 0
	}
	v := int32(binary.BigEndian.Uint32(r.values[i]))
	if v == math.MinInt32 || v > math.MaxInt32-daysTo2000 {
		r.reject(i)
		return 0
	}
	return chain.Date(v + daysTo2000)
}

// Number returns a decimal that is not null as it was sent, valid until the
// next row: for a value whose scale stands elsewhere.
func (r *Row) Number(i int) Number {
	if r.fields[i].DataTypeOID != pgtype.NumericOID || r.values[i] == nil {
		r.reject(i)
		return nil
	}
	return Number(r.values[i])
}

// Units returns a decimal in units of 10^−scale, as Number.Units does.
func (r *Row) Units(i int, scale uint8) money.Int128 {
	n := r.Number(i)
	if n == nil {
		return money.Int128{}
	}
	units, ok := n.Units(scale)
	if !ok {
		r.reject(i)
	}
	return units
}

// show writes a value for people.
func show(oid uint32, v []byte) string {
	switch {
	case v == nil:
		return "null"
	case oid == pgtype.NumericOID:
		return Number(v).String()
	case oid == pgtype.TextOID || oid == pgtype.VarcharOID:
		return strings.ToValidUTF8(string(v[:min(len(v), maxShownBytes)]), "\uFFFD")
	case oid == pgtype.Int8OID && len(v) == 8:
		return fmt.Sprint(int64(binary.BigEndian.Uint64(v)))
	case oid == pgtype.DateOID && len(v) == 4:
		return showFar(int64(int32(binary.BigEndian.Uint32(v))), math.MinInt32, math.MaxInt32, "days")
	case oid == pgtype.TimestamptzOID && len(v) == 8:
		return showFar(int64(binary.BigEndian.Uint64(v)), math.MinInt64, math.MaxInt64, "microseconds")
	case oid == pgtype.ByteaOID:
		return fmt.Sprintf("%d bytes %s", len(v), hex.EncodeToString(v[:min(len(v), maxShownBytes)]))
	default:
		return fmt.Sprintf("a value of type oid %d: %s", oid, hex.EncodeToString(v[:min(len(v), maxShownBytes)]))
	}
}

// showFar writes a date or time that was rejected: infinity, or one beyond the
// calendar.
func showFar(v, least, most int64, unit string) string {
	switch v {
	case least:
		return "-infinity"
	case most:
		return "infinity"
	}
	return fmt.Sprintf("%d %s from 2000-01-01 on", v, unit)
}
