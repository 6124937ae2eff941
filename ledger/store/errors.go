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
	codeUndefinedTable   = "42P01"
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
	switch pgErr.Code {
	case codeUnique:
		return &ledger.FenceError{Constraint: pgErr.ConstraintName}
	case codeNotNull:
		return fmt.Errorf("%w: %w", ledger.ErrHeadMissing, err)
	case codeSerialization, codeDeadlock, codeLockNotAvailable:
		return fmt.Errorf("%w: %w", ledger.ErrNothingHappened, err)
	case codeCanceled:
		if !db.engine.cockroach {
			return fmt.Errorf("%w: %w", ledger.ErrNothingHappened, err)
		}
	}
	switch {
	case strings.HasPrefix(pgErr.Code, "22"), strings.HasPrefix(pgErr.Code, "23"):
		return fmt.Errorf("%w: %w", ledger.ErrPoison, err)
	case strings.HasPrefix(pgErr.Code, "42"), strings.HasPrefix(pgErr.Code, "53"), strings.HasPrefix(pgErr.Code, "25"):
		return fmt.Errorf("%w: %w", ledger.ErrNothingHappened, err)
	}
	return fmt.Errorf("%w: %w", ledger.ErrUnknownOutcome, err)
}
