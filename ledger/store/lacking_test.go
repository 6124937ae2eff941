package store_test

import (
	"testing"

	"tallystick/ledger/store"
	"tallystick/ledger/store/storetest"
)

func TestWhatAnEngineLacksIsKnownByItsError(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		db, err := store.Open(t.Context(), url, store.RoleAuditor, 1)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		for sql, want := range map[string]bool{
			"select 1::int8": false,
			"select a::text from pg_catalog.pg_nothing":         true,
			"select nothing::text from book.entries":            true,
			"select pg_catalog.pg_nothing()::text":              true,
			"select * from ops.api_keys":                        false, // forbidden, and there
			"select 1::int8 / (select count(*) from ops.heads)": false,
		} {
			err := db.Scan(t.Context(), sql, nil, func(*store.Row) error { return nil })
			if store.Lacking(err) != want {
				t.Errorf("%s: %v, lacking %t", sql, err, !want)
			}
		}
	})
}
