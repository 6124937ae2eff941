package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"tallystick/ledger"
	"tallystick/ledger/chain"
	"tallystick/ledger/store/storetest"
	"tallystick/reconcile"
	"tallystick/reconcile/policy"
)

// A healthy ledger gives the chain and the books phase nothing to find, and
// nothing that they could not look at. What does not apply to it says so.
func TestTheNightsOfTheDemonstrationAreQuiet(t *testing.T) {
	t.Parallel()
	database := storetest.Database(t)
	db, id := makeDemo(t, database)
	file := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(file, policy.Example, 0o600); err != nil {
		t.Fatal(err)
	}
	journal := db.Journal()
	poster := ledger.NewSequencers(t.Context(), journal, journal.ClockOffset)
	t.Cleanup(poster.Stop)
	work := nightWork{url: database, db: db, poster: poster, files: nightFiles{Policy: file}}
	none := map[string]bool{"control accounts": true, "webhooks that were not delivered": true}
	first := map[string]bool{"roll-forward": true, "late and back-dated entries": true}
	for night := range 3 {
		day := chain.DateOf(demoEnd) + chain.Date(night-3)
		result, err := work.run(t.Context(), ledger.KeyID{}, time.Now, reconcile.NightOptions{Ledger: id.UUID, AsOf: &day})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range result.Phases {
			if (p.Phase == "chain" || p.Phase == "books") && len(p.Findings)+len(p.NotChecked) > 0 {
				t.Errorf("%s, phase %s: %+v", day, p.Phase, p)
			}
		}
		encoded, err := reconcile.ReadOutput(t.Context(), db, result.Run.ID, reconcile.ResultOutput, "books")
		if err != nil {
			t.Fatal(err)
		}
		var books reconcile.BooksResult
		if err := json.Unmarshal(encoded, &books); err != nil {
			t.Fatal(err)
		}
		for _, c := range books.Checks {
			want := reconcile.CheckDone
			if none[c.Name] || night == 0 && first[c.Name] {
				want = reconcile.CheckNotApplicable
			}
			if c.Standing != want || c.Scope == "" {
				t.Errorf("%s, %s: %s (%s), want %s", day, c.Name, c.Standing, c.Scope, want)
			}
		}
	}
}
