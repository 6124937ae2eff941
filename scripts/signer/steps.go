package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"tallystick/scripts/internal/harness"
)

const (
	// maxLife is how long a signer lives at most before it is killed: a few rounds.
	maxLife = 2500 * time.Millisecond
	// sampleStep is the time between two samples of the window.
	sampleStep = 5 * time.Millisecond
	// rolledBack is how many entries are lost with the tail.
	rolledBack = 50
)

// measure samples the window while the signer signs undisturbed.
func (s *scene) measure(ctx context.Context) error {
	if err := s.startSigner(); err != nil {
		return err
	}
	if err := s.awaitSigned(ctx); err != nil {
		return err
	}
	stop, err := s.load(ctx)
	if err != nil {
		return err
	}
	var ages []time.Duration
	for end := time.Now().Add(s.o.Window); time.Now().Before(end); time.Sleep(sampleStep) {
		size, err := s.shownSize(ctx)
		if err != nil {
			return errors.Join(err, second(stop()))
		}
		age := time.Duration(0)
		if first := s.acks.oldest(size); !first.IsZero() {
			age = time.Since(first)
		}
		ages = append(ages, age)
	}
	m, err := stop()
	if err != nil {
		return err
	}
	slices.Sort(ages)
	p99 := ages[len(ages)*99/100]
	fmt.Fprintf(s.out, "window: %d samples in %s at %d transfers/s: p50 %s, p99 %s, longest %s\n", len(ages), s.o.Window,
		m.All.Acknowledged*int64(time.Second)/int64(s.o.Window), short(ages[len(ages)/2]), short(p99), short(ages[len(ages)-1]))
	if s.o.P99 > 0 && p99 > s.o.P99 {
		return broken("the 99th percentile of the window is %s, more than %s", p99, s.o.P99)
	}
	return nil
}

func second[T any](_ T, err error) error { return err }

func short(d time.Duration) time.Duration { return d.Round(time.Millisecond) }

// shownSize is the size that readers are shown.
func (s *scene) shownSize(ctx context.Context) (size int64, err error) {
	err = s.conn.QueryRow(ctx, `select size from ops.heads where ledger_id = $1`, s.ledger).Scan(&size)
	if err != nil {
		return 0, fmt.Errorf("reading what is shown: %w", err)
	}
	return size, nil
}

// killAgainAndAgain kills the signer at random moments under load.
func (s *scene) killAgainAndAgain(ctx context.Context) error {
	stop, err := s.load(ctx)
	if err != nil {
		return err
	}
	watch, err := s.watch(ctx)
	if err != nil {
		return errors.Join(err, second(stop()))
	}
	begun := time.Now()
	for range s.o.Kills {
		select {
		case <-time.After(rand.N(maxLife)):
		case <-ctx.Done():
		}
		if err = s.kill(ctx); err != nil {
			break
		}
	}
	took := time.Since(begun)
	m, failed := stop()
	if err = errors.Join(err, failed); err != nil {
		return errors.Join(err, watch())
	}
	err = s.awaitSigned(ctx)
	if err = errors.Join(err, watch(), s.readState(), s.readStored(ctx)); err != nil {
		return err
	}
	fmt.Fprintf(s.out, "killed %d times in %s, while %d transfers were acknowledged: %d notes collected\n", s.o.Kills, short(took), m.All.Acknowledged, len(s.notes.seen))
	return nil
}

// kill ends the signer, looks at what it left, and starts another.
func (s *scene) kill(ctx context.Context) error {
	if s.signer.Exited() {
		log, _ := s.signer.Log()
		return broken("the signer has ended by itself: %s", log)
	}
	if err := s.signer.Kill(); err != nil {
		return err
	}
	if err := errors.Join(s.readState(), s.readStored(ctx)); err != nil {
		return err
	}
	return s.startSigner()
}

// checkNotes holds every note against the ledger.
func (s *scene) checkNotes(ctx context.Context) error {
	checked, err := s.notes.check(ctx, s)
	if err != nil {
		return err
	}
	if err := s.mustVerify(ctx); err != nil {
		return err
	}
	fmt.Fprintf(s.out, "%d notes of %d logs are all of one history; verify: verified\n", checked, len(s.notes.logs()))
	return nil
}

func (s *scene) mustVerify(ctx context.Context) error {
	_, err := s.rig.MustVerify(ctx, ledgerName)
	if errors.Is(err, harness.ErrNotVerified) {
		return fmt.Errorf("%w: %w", errBroken, err)
	}
	return err
}

// loseState takes the state away, and vouches for it.
func (s *scene) loseState(ctx context.Context) error {
	if err := s.signer.Stop(); err != nil {
		return err
	}
	kept := s.statePath() + ".kept"
	if err := os.Rename(s.statePath(), kept); err != nil {
		return err
	}
	if err := s.wantRefusal(ctx, "state is gone", "--pin"); err != nil {
		return err
	}
	pins, err := s.pins(ctx)
	if err != nil {
		return err
	}
	code, said, err := s.signOnce(ctx, pins...)
	if err == nil && code != 0 {
		err = broken("with pins for everything, exit code %d: %s", code, said)
	}
	if err != nil {
		return err
	}
	fmt.Fprintln(s.out, "without its state the signer refuses; with pins it goes on")
	return os.Remove(kept)
}

// pins writes what is shown into files, as an auditor keeps it.
func (s *scene) pins(ctx context.Context) (args []string, err error) {
	rows, err := s.conn.Query(ctx, `select ledger_id, note from ops.heads`)
	if err != nil {
		return nil, fmt.Errorf("reading what is shown: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var id uuid.UUID
		var note string
		if err := rows.Scan((*[16]byte)(&id), &note); err != nil {
			return nil, fmt.Errorf("reading what is shown: %w", err)
		}
		path := filepath.Join(s.rig.Dir, id.String()+".cp")
		if err := os.WriteFile(path, []byte(note), 0o600); err != nil {
			return nil, err
		}
		args = append(args, "--pin", path)
	}
	return args, rows.Err()
}

// wantRefusal runs the signer, which must refuse and say so.
func (s *scene) wantRefusal(ctx context.Context, words ...string) error {
	code, said, err := s.signOnce(ctx)
	if err != nil {
		return err
	}
	if code != 1 {
		return broken("exit code %d, want 1: %s", code, said)
	}
	for _, word := range words {
		if !strings.Contains(said, word) {
			return broken("the refusal does not say %q: %s", word, said)
		}
	}
	return nil
}

// rollBack deletes the tail without a trace, as a restored backup lacks it.
func (s *scene) rollBack(ctx context.Context) error {
	if err := s.server.Stop(); err != nil {
		return err
	}
	size, err := s.shownSize(ctx)
	if err != nil {
		return err
	}
	cut := size - rolledBack
	for _, sql := range []string{
		"delete from ops.metadata_terms where ledger_id = $1 and seq >= $2", "delete from ops.payloads where ledger_id = $1 and seq >= $2",
		"delete from book.details where ledger_id = $1 and seq >= $2", "delete from book.postings where ledger_id = $1 and seq >= $2",
		"delete from book.entries where ledger_id = $1 and seq >= $2", "delete from book.checkpoints where ledger_id = $1 and size > $2",
		`update ops.heads set size = c.size, note = c.note from (select ledger_id, size, note from book.checkpoints
			where ledger_id = $1 and size <= $2 order by size desc limit 1) as c where ops.heads.ledger_id = c.ledger_id`,
		"delete from book.tiles where ledger_id = $1 and (position + 1) * power(256, level)::int8 > $2",
		"delete from book.super_log where ledger_id = $1 and size > $2",
	} {
		if _, err := s.conn.Exec(ctx, sql, s.ledger, cut); err != nil {
			return fmt.Errorf("running %q: %w", sql, err)
		}
	}
	if err := s.mustVerify(ctx); err != nil {
		return err
	}
	if err := s.wantRefusal(ctx, "LOG_ROLLBACK", "reincarnate"); err != nil {
		return err
	}
	var found int
	err = s.conn.QueryRow(ctx, `select count(*) from ops.findings where ledger_id = $1 and source = 'signer' and code = 'LOG_ROLLBACK' and severity = 'critical'`, s.ledger).Scan(&found)
	if err == nil && found != 1 {
		err = broken("%d findings were stored, want one", found)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "with the last %d entries rolled back, verify finds the rest whole, and the signer refuses\n", rolledBack)
	return nil
}
