package store

import (
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"tallystick/ledger"
)

// ErrNotFound: there is no such ledger, account, entry or key.
var ErrNotFound = errors.New("not found")

// notFound turns the absence of a row into ErrNotFound.
func notFound(err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return ErrNotFound
	}
	return err
}

// Classes and codes of SQLSTATE (PostgreSQL appendix A) that decide what a
// failed commit means.
const (
	codeNotNull          = "23502"
	codeUnique           = "23505"
	codeSerialization    = "40001"
	codeDeadlock         = "40P01"
	codeLockNotAvailable = "55P03"
	codeCanceled         = "57014"
	codeInsufficient     = "42501"
	codeProtocol         = "08P01"

	codeCompletionUnknown = "40003"

	// classNodes begins what CockroachDB says when one of its nodes does not answer
	// another: 58C00, a range is unavailable, and 58C01, a stream between them broke.
	classNodes = "58C"
)

// classifyCommit says what an error of Commit means for the batch. An error
// whose meaning is not certain is an unknown outcome, because submitting the
// identical batch again is always safe.
func (db *DB) classifyCommit(err error) error {
	var pgErr *pgconn.PgError
	if !errors.As(err, &pgErr) {
		if pgconn.SafeToRetry(err) {
			return fmt.Errorf("%w: %w", ledger.ErrNothingHappened, err)
		}
		return fmt.Errorf("%w: %w", ledger.ErrUnknownOutcome, err)
	}
	if db.saysNothing(pgErr) {
		return fmt.Errorf("%w: %w: %w", ledger.ErrUnknownOutcome, ledger.ErrAnswered, err)
	}
	if db.mayHaveCommitted(pgErr) {
		return fmt.Errorf("%w: %w", ledger.ErrUnknownOutcome, err)
	}
	switch pgErr.Code {
	case codeUnique:
		return &ledger.FenceError{Constraint: pgErr.ConstraintName}
	case codeNotNull:
		return fmt.Errorf("%w: %w", ledger.ErrHeadMissing, err)
	case codeSerialization, codeDeadlock, codeLockNotAvailable, codeCanceled:
		return fmt.Errorf("%w: %w", ledger.ErrNothingHappened, err)
	}
	switch pgErr.Code[:2] {
	case "25", "42", "53", "58": // read-only, grants or tables missing, resources, files: of the database, not of the batch
		return fmt.Errorf("%w: %w", ledger.ErrNothingHappened, err)
	}
	return fmt.Errorf("%w: %w", ledger.ErrPoison, err)
}

// mayHaveCommitted reports whether the batch may be stored in spite of the
// error. PostgreSQL rolls an implicit transaction back before it reports an
// ERROR, so only the end of the session leaves doubt; CockroachDB may also not
// know itself.
func (db *DB) mayHaveCommitted(e *pgconn.PgError) bool {
	if len(e.Code) != 5 {
		return true
	}
	switch {
	case e.Code == codeProtocol: // a message that the server would not even read
		return false
	case e.Code[:2] == "08", strings.HasPrefix(e.Code, "57P"), e.Code == codeCompletionUnknown:
		return true
	case db.engine.cockroach:
		return e.Code == codeCanceled || e.Code[:2] == "58"
	}
	return e.SeverityUnlocalized == "FATAL" || e.SeverityUnlocalized == "PANIC"
}

// saysNothing reports whether the code leaves open what happened: CockroachDB sends
// whatever has no code of its own as one of class XX, be it about the cluster or about
// a value in the batch.
func (db *DB) saysNothing(e *pgconn.PgError) bool {
	return db.engine.cockroach && len(e.Code) == 5 && e.Code[:2] == "XX"
}
