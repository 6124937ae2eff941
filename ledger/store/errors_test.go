package store

import (
	"errors"
	"io"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"tallystick/ledger"
)

// What an error of a commit means decides whether a batch is sent again, applied
// again, or taken apart: by SQLSTATE, and by who says so.
func TestWhatAFailedCommitMeans(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		code, severity      string
		postgres, cockroach error
	}{
		{"40001", "ERROR", ledger.ErrNothingHappened, ledger.ErrNothingHappened},
		{"40P01", "ERROR", ledger.ErrNothingHappened, ledger.ErrNothingHappened},
		{"55P03", "ERROR", ledger.ErrNothingHappened, ledger.ErrNothingHappened},
		{"57014", "ERROR", ledger.ErrNothingHappened, ledger.ErrUnknownOutcome},
		{"25006", "ERROR", ledger.ErrNothingHappened, ledger.ErrNothingHappened},
		{"42501", "ERROR", ledger.ErrNothingHappened, ledger.ErrNothingHappened},
		{"53100", "ERROR", ledger.ErrNothingHappened, ledger.ErrNothingHappened},
		{"53100", "PANIC", ledger.ErrUnknownOutcome, ledger.ErrNothingHappened}, // the log's disk is full: the server goes down
		{"58030", "ERROR", ledger.ErrNothingHappened, ledger.ErrUnknownOutcome},
		{"58C01", "ERROR", ledger.ErrNothingHappened, ledger.ErrUnknownOutcome},
		{"40003", "ERROR", ledger.ErrUnknownOutcome, ledger.ErrUnknownOutcome},
		{"57P01", "FATAL", ledger.ErrUnknownOutcome, ledger.ErrUnknownOutcome},
		{"08006", "ERROR", ledger.ErrUnknownOutcome, ledger.ErrUnknownOutcome},
		{"08P01", "FATAL", ledger.ErrPoison, ledger.ErrPoison},
		{"XX000", "ERROR", ledger.ErrPoison, ledger.ErrUnknownOutcome},
		{"23502", "ERROR", ledger.ErrHeadMissing, ledger.ErrHeadMissing},
		{"23514", "ERROR", ledger.ErrPoison, ledger.ErrPoison},
		{"22003", "ERROR", ledger.ErrPoison, ledger.ErrPoison},
		{"??", "ERROR", ledger.ErrUnknownOutcome, ledger.ErrUnknownOutcome},
	} {
		for _, on := range []struct {
			engine engine
			want   error
		}{{engine{}, c.postgres}, {engine{cockroach: true}, c.cockroach}} {
			db := &DB{engine: on.engine}
			err := &pgconn.PgError{Code: c.code, Severity: c.severity, SeverityUnlocalized: c.severity}
			got := db.classifyCommit(err)
			if !errors.Is(got, on.want) || !errors.Is(got, err) {
				t.Errorf("%s %s, CockroachDB %t: %v, want %v", c.severity, c.code, on.engine.cockroach, got, on.want)
			}
			if open := on.engine.cockroach && c.code[:2] == "XX"; open != errors.Is(got, ledger.ErrAnswered) {
				t.Errorf("%s %s, CockroachDB %t: %v", c.severity, c.code, on.engine.cockroach, got)
			}
		}
	}
	var fence *ledger.FenceError
	unique := &pgconn.PgError{Code: "23505", ConstraintName: "i5_entries_seq"}
	if err := new(DB).classifyCommit(unique); !errors.As(err, &fence) || fence.Constraint != unique.ConstraintName {
		t.Errorf("a key that is taken: %v", err)
	}
	if err := new(DB).classifyCommit(io.ErrUnexpectedEOF); !errors.Is(err, ledger.ErrUnknownOutcome) {
		t.Errorf("a lost connection: %v", err)
	}
}
