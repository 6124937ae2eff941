package store_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"tallystick/ledger/chain"
	"tallystick/ledger/store"
	"tallystick/ledger/store/storetest"
)

func openAuditor(t *testing.T, url string) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), url, store.RoleAuditor, 2)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return db
}

func TestScanDecodesWhatTheEngineSends(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		db := openAuditor(t, url)
		id := uuid.Must(uuid.NewV7())
		rows := 0
		err := db.Scan(t.Context(), `select 7::int8, $1::uuid, 'ä'::text, '\x0102'::bytea, true, '2026-02-03'::date, '1999-12-31 23:59:59.000001+00'::timestamptz,
			-12.34::decimal, null::text, $2::bytea, 18::int8, -5::int8`, []any{id, slices.Repeat([]byte{7}, 32)}, func(r *store.Row) error {
			rows++
			hash := chain.Hash(slices.Repeat([]byte{7}, 32))
			got := fmt.Sprintln(r.Int64(0), r.UUID(1), string(r.Text(2)), r.Bytes(3), r.Bool(4), r.Date(5), r.Micros(6), r.Units(7, 2), r.IsNull(8), r.IsNull(0), r.Hash(9) == hash, r.Scale(10), r.Int32(11))
			want := fmt.Sprintln(7, id, "ä", []byte{1, 2}, true, "2026-02-03", 946684799000001, -1234, true, false, true, 18, -5)
			if got != want {
				t.Errorf("got %s, want %s", got, want)
			}
			if column, value, bad := r.Rejected(); bad {
				t.Errorf("rejected %s = %s", column, value)
			}
			return nil
		})
		if err != nil || rows != 1 {
			t.Fatalf("%d rows, %v", rows, err)
		}
	})
}

func TestScanRejectsWhatAColumnCannotHold(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		db := openAuditor(t, url)
		for _, c := range []struct {
			sql  string
			read func(*store.Row)
			want string
		}{
			{"null::int8", func(r *store.Row) { r.Int64(0) }, "null"},
			{"null::text", func(r *store.Row) { r.Text(0) }, "null"},
			{"null::bytea", func(r *store.Row) { r.Bytes(0) }, "null"},
			{"null::decimal", func(r *store.Row) { r.Units(0, 2) }, "null"},
			{"null::bool", func(r *store.Row) { r.Bool(0) }, "null"},
			{"'NaN'::decimal", func(r *store.Row) { r.Units(0, 2) }, "NaN"},
			{"1.001::decimal", func(r *store.Row) { r.Units(0, 2) }, "1.001"},
			{"'infinity'::timestamptz", func(r *store.Row) { r.Micros(0) }, "infinity"},
			{"'-infinity'::timestamptz", func(r *store.Row) { r.Micros(0) }, "-infinity"},
			{"'infinity'::date", func(r *store.Row) { r.Date(0) }, "infinity"},
			{"'-infinity'::date", func(r *store.Row) { r.Date(0) }, "-infinity"},
			{"7::int8", func(r *store.Row) { r.Text(0) }, "7"},
			{"'seven'::text", func(r *store.Row) { r.Int64(0) }, "seven"},
			{"'seven'::text", func(r *store.Row) { r.Reject(0) }, "seven"},
			{`'\x0102'::bytea`, func(r *store.Row) { r.Hash(0) }, "2 bytes 0102"},
			{"19::int8", func(r *store.Row) { r.Scale(0) }, "19"},
			{"-1::int8", func(r *store.Row) { r.Scale(0) }, "-1"},
			{"3000000000::int8", func(r *store.Row) { r.Int32(0) }, "3000000000"},
			{"true", func(r *store.Row) { r.UUID(0) }, "a value of type oid 16: 01"},
		} {
			err := db.Scan(t.Context(), "select "+c.sql+" as found, null::text as later", nil, func(r *store.Row) error {
				c.read(r)
				r.Text(1) // a second rejection does not hide the first
				if column, value, bad := r.Rejected(); !bad || column != "found" || value != c.want {
					t.Errorf("%s: rejected %t, %s = %s; want %s", c.sql, bad, column, value, c.want)
				}
				return nil
			})
			if err != nil {
				t.Errorf("%s: %v", c.sql, err)
			}
		}
	})
}

func TestScanEndsWithTheFirstError(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		db := openAuditor(t, url)
		enough, rows := errors.New("enough"), 0
		err := db.Scan(t.Context(), "select g::int8 from generate_series(1, 1000) g", nil, func(*store.Row) error { rows++; return enough })
		if !errors.Is(err, enough) || rows != 1 {
			t.Errorf("%d rows, %v", rows, err)
		}
		if err := db.Scan(t.Context(), "select nonsense", nil, func(*store.Row) error { return nil }); err == nil {
			t.Error("nonsense is no error")
		}
		if err := db.Scan(t.Context(), "delete from book.entries", nil, func(*store.Row) error { return nil }); err == nil {
			t.Error("an auditor may delete")
		}
	})
}

func TestErrorsThatMayPassAreTold(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		db := openAuditor(t, url)
		for sql, want := range map[string]bool{
			"select nonsense":                         false,
			"insert into book.details default values": false,
			"select 1 / 0":                            false,
		} {
			if err := db.Scan(t.Context(), sql, nil, func(*store.Row) error { return nil }); err == nil || store.Passing(err) != want {
				t.Errorf("%s: %v", sql, err)
			}
		}
		for code, want := range map[string]bool{"08006": true, "40001": true, "57P01": true, "53300": true, "42501": false, "": true} {
			if got := store.Passing(fmt.Errorf("querying: %w", &pgconn.PgError{Code: code})); got != want {
				t.Errorf("code %q: %t", code, got)
			}
		}
		if !store.Passing(io.ErrUnexpectedEOF) {
			t.Error("a lost connection does not pass")
		}
	})
}

// A scan allocates by the call and not by the row. (Not parallel: allocations
// of other tests would count.)
func TestScanDoesNotAllocateForEachRow(t *testing.T) {
	db := openAuditor(t, storetest.Database(t))
	few, many := allocations(t, db, 10), allocations(t, db, 10_000)
	if many > few+500 {
		t.Errorf("%v allocations for 10 rows, %v for 10,000", few, many)
	}
}

func allocations(t *testing.T, db *store.DB, rows int64) float64 {
	t.Helper()
	return testing.AllocsPerRun(3, func() {
		err := db.Scan(t.Context(), "select g::int8, 12.34::decimal, 'EUR'::text from generate_series(1, $1::int8) g", []any{rows}, func(r *store.Row) error {
			_, _, _ = r.Int64(0), r.Units(1, 2), r.Text(2)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

func TestASnapshotPinsSizeAndHead(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		db := openAuditor(t, url)
		id := uuid.Must(uuid.NewV7())
		s, err := db.Snapshot(t.Context(), id)
		if err != nil || s.Size != 0 || s.Head != chain.Genesis || s.LedgerID != id {
			t.Fatalf("an unknown ledger: %+v, %v", s, err)
		}
		conn, err := pgx.Connect(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close(t.Context()) }()
		for seq := range 3 {
			_, err := conn.Exec(t.Context(), `insert into book.entries values ($1, $2, 1, 'transfer', $3, $4, $4, now(), '2026-01-01', '2026-01-01', $1, false, null, null, null, 0, null, null, null)`,
				id, seq, uuid.Must(uuid.NewV7()), slices.Repeat([]byte{byte(seq + 1)}, 32))
			if err != nil {
				t.Fatal(err)
			}
		}
		if s, err = db.Snapshot(t.Context(), id); err != nil || s.Size != 3 || s.Head != chain.Hash(slices.Repeat([]byte{3}, 32)) {
			t.Errorf("three entries: %+v, %v", s, err)
		}
	})
}

// A lookup names of its keys what it needs, in either statement of ScanEach.
func TestScanEachTakesLookupsThatNameOneHalfOfTheKey(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		db := openAuditor(t, url)
		s, err := db.Snapshot(t.Context(), uuid.Max)
		if err != nil {
			t.Fatal(err)
		}
		keys := []store.Key{{ID: uuid.UUID{1}, N: 7}, {ID: uuid.UUID{2}, N: 11}}
		for _, c := range []struct{ lookup, want string }{
			{"select u.n::text where u.n > $1::int8", "[11 7]"},
			{"select u.id::text where u.id <> '00000000-0000-0000-0000-000000000000' and $1::int8 > 0", "[01000000-0000-0000-0000-000000000000 02000000-0000-0000-0000-000000000000]"},
			{"select 'either' where $1::int8 > 0", "[either either]"},
		} {
			for name, each := range map[string]func(context.Context, string, []any, []store.Key, func(*store.Row) error) error{
				"as it is": s.ScanEach, "by arms": s.ScanEachByArms,
			} {
				var found []string
				err := each(t.Context(), c.lookup, []any{int64(1)}, keys, func(r *store.Row) error {
					found = append(found, string(r.Text(0)))
					return nil
				})
				slices.Sort(found)
				if err != nil || fmt.Sprint(found) != c.want {
					t.Errorf("%s, %s: %v, %v", c.lookup, name, found, err)
				}
			}
		}
	})
}

// Both statements of ScanEach, for either engine, find the same rows.
func TestScanEachFindsOneRowForEachKey(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		db := openAuditor(t, url)
		s, err := db.Snapshot(t.Context(), uuid.Max)
		if err != nil {
			t.Fatal(err)
		}
		var keys []store.Key
		for i := range 2500 {
			keys = append(keys, store.Key{ID: uuid.NewSHA1(uuid.NameSpaceOID, fmt.Append(nil, i)), N: int64(i)})
		}
		lookup := `select u.id, u.n * $1::int8 from generate_series(1, 3) g where u.n > 0 and u.id <> $2::uuid`
		for name, each := range map[string]func(keys []store.Key, row func(*store.Row) error) error{
			"as it is": func(keys []store.Key, row func(*store.Row) error) error {
				return s.ScanEach(t.Context(), lookup, []any{10, uuid.Max}, keys, row)
			},
			"by arms": func(keys []store.Key, row func(*store.Row) error) error {
				return s.ScanEachByArms(t.Context(), lookup, []any{10, uuid.Max}, keys, row)
			},
		} {
			found := make(map[uuid.UUID]int64)
			err := each(keys, func(r *store.Row) error {
				found[r.UUID(0)] += r.Int64(1)
				return nil
			})
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if len(found) != len(keys)-1 {
				t.Errorf("%s: %d rows", name, len(found))
			}
			for _, k := range keys {
				if found[k.ID] != 10*k.N {
					t.Fatalf("%s: key %d found %d", name, k.N, found[k.ID])
				}
			}
		}
	})
}

// Whatever the engine holds, a lost connection is no verdict about it; and what is
// wrong with what it holds is no lost connection.
func TestInterruptedIsTheWayAndNotWhatIsThere(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err  error
		want bool
	}{
		{&pgconn.PgError{Code: "57P01"}, true},
		{fmt.Errorf("reading: %w", &pgconn.PgError{Code: "08006"}), true},
		{&pgconn.PgError{Code: "40001"}, true},
		{&net.OpError{Op: "read", Err: io.EOF}, true},
		{&pgconn.PgError{Code: "58C01"}, true},  // between the nodes of CockroachDB
		{&pgconn.PgError{Code: "58P01"}, false}, // a file of the database is gone
		{&pgconn.PgError{Code: "57014"}, false}, // too slow, as a damaged index may make it
		{&pgconn.PgError{Code: "42501"}, false},
		{errors.New("the sum is out of range"), false},
		{io.ErrUnexpectedEOF, false}, // of a body that was cut
	} {
		if got := store.Interrupted(c.err); got != c.want {
			t.Errorf("%v: %t", c.err, got)
		}
	}
}
