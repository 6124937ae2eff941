package store_test

import (
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"tallystick/ledger"
	"tallystick/ledger/chain"
	"tallystick/ledger/store"
	"tallystick/ledger/store/storetest"
)

func TestTheEraserDeletesOnlyWhatIsOnRecord(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		conn, err := pgx.Connect(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close(t.Context()) }()
		id := must(ledger.NewLedgerID())
		for seq, kind := range []string{"transfer", "transfer", "erasure"} {
			var ref *int64
			if kind == "erasure" {
				ref = new(int64(1))
			}
			_, err := conn.Exec(t.Context(), `insert into book.entries (ledger_id, seq, format, kind, request_id, prev_hash, entry_hash, recorded_at,
    booking_date, effective_date, actor, prior_period, ref_seq, posting_count)
values ($1, $2, 1, $3, $4, $5, $5, now(), current_date, current_date, $1, false, $6, 0)`, id.String(), seq, kind, must(ledger.NewLedgerID()).String(), chain.EmptyRoot[:], ref)
			if err != nil {
				t.Fatal(err)
			}
			_, err = conn.Exec(t.Context(), `insert into ops.payloads (ledger_id, seq, salt, fingerprint, description) values ($1, $2, '\x00', '\x00', 'text')`, id.String(), seq)
			if err == nil {
				_, err = conn.Exec(t.Context(), `insert into ops.metadata_terms (ledger_id, seq, term) values ($1, $2, '\x00000000000000000000000000000000')`, id.String(), seq)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		eraser, err := store.Open(t.Context(), url, store.RoleEraser, 1)
		if err != nil {
			t.Fatal(err)
		}
		defer eraser.Close()
		for range 2 { // doing so again changes nothing
			if err := eraser.EraseTexts(t.Context(), id, []int64{0, 1, 2, 99}); err != nil {
				t.Fatal(err)
			}
		}
		for _, table := range []string{"ops.payloads", "ops.metadata_terms"} {
			rows, err := conn.Query(t.Context(), `select seq from `+table+` order by seq`)
			if err != nil {
				t.Fatal(err)
			}
			left, err := pgx.CollectRows(rows, pgx.RowTo[int64])
			if err != nil || len(left) != 2 || left[0] != 0 || left[1] != 2 {
				t.Errorf("%s still has %v, %v", table, left, err)
			}
		}
		_, err = conn.Exec(t.Context(), `insert into book.entries (ledger_id, seq, format, kind, request_id, prev_hash, entry_hash, recorded_at,
    booking_date, effective_date, actor, prior_period, ref_seq, posting_count)
values ($1, 3, 1, 'erasure', $2, $3, $3, now(), current_date, current_date, $1, false, 1, 0)`, id.String(), must(ledger.NewLedgerID()).String(), chain.EmptyRoot[:])
		var pgErr *pgconn.PgError
		if !errors.As(err, &pgErr) || pgErr.ConstraintName != "i12_entries_erased" {
			t.Errorf("a second erasure of an entry: %v", err)
		}
		app, err := store.Open(t.Context(), url, store.RoleApp, 1)
		if err != nil {
			t.Fatal(err)
		}
		defer app.Close()
		if err := app.EraseTexts(t.Context(), id, []int64{1}); !errors.As(err, &pgErr) || pgErr.Code != "42501" {
			t.Errorf("the server's own role deletes text: %v", err)
		}
	})
}
