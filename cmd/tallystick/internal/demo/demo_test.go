package demo

import (
	"reflect"
	"testing"
	"time"
	_ "time/tzdata"

	"github.com/google/uuid"

	"tallystick/ledger"
)

// options returns those of a small history that ends at now.
func options(t *testing.T, now string) Options {
	t.Helper()
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	at, err := time.Parse(time.RFC3339, now)
	if err != nil {
		t.Fatal(err)
	}
	ids := 0
	return Options{
		Seed: 7, Customers: MinCustomers, Now: at, Zone: zone, Ledger: ledger.LedgerID{UUID: uuid.UUID{1}},
		Salt: func() (s [ledger.SaltSize]byte) { return s },
		AccountID: func() ledger.AccountID {
			ids++
			return ledger.AccountID{UUID: uuid.UUID{byte(ids >> 8), byte(ids)}}
		},
	}
}

func collect(o Options) (steps []Step) {
	for s := range Steps(o) {
		steps = append(steps, s)
	}
	return steps
}

func TestTheSameSeedMakesTheSameHistory(t *testing.T) {
	t.Parallel()
	const now = "2026-11-22T15:04:05Z"
	first, again := collect(options(t, now)), collect(options(t, now))
	if len(first) < 100 || !reflect.DeepEqual(first, again) {
		t.Errorf("two histories of %d and %d steps differ", len(first), len(again))
	}
	other := options(t, now)
	other.Seed++
	if reflect.DeepEqual(first, collect(other)) {
		t.Error("another seed makes the same history")
	}
}

func TestStepsStandInOrderAndEndNow(t *testing.T) {
	t.Parallel()
	// The night, the change to summer time, new year, and a leap day behind.
	for _, now := range []string{"2026-11-22T02:00:00Z", "2026-03-29T12:00:00Z", "2027-01-01T00:30:00Z", "2028-02-29T23:10:00Z"} {
		o := options(t, now)
		steps := collect(o)
		before := Start(o.Now, o.Zone)
		seen := make(map[ledger.RequestID]bool)
		for i, s := range steps {
			if !s.At.After(before) || s.Day < 0 || s.Day > Days || len(s.Requests) == 0 {
				t.Fatalf("%s: step %d of %d requests on day %d at %s follows %s", now, i, len(s.Requests), s.Day, s.At, before)
			}
			before = s.At
			for _, r := range s.Requests {
				if id := idOf(t, r); seen[id] {
					t.Fatalf("%s: id %s is used twice", now, id)
				} else {
					seen[id] = true
				}
			}
		}
		if before.After(o.Now) || o.Now.Sub(before) > 12*time.Hour {
			t.Errorf("%s: the history ends at %s", now, before)
		}
	}
}

func idOf(t *testing.T, r ledger.Request) ledger.RequestID {
	t.Helper()
	common := reflect.ValueOf(r).Elem().FieldByName("Common").Interface().(ledger.Common)
	if common.ID == (ledger.RequestID{}) {
		t.Fatalf("%T has no id", r)
	}
	return common.ID
}
