package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"tallystick/ledger/chain"
)

// notes are the checkpoints that anybody could have seen.
type notes struct {
	mu   sync.Mutex
	seen map[string]chain.Checkpoint // by their text
}

func (n *notes) add(note string) error {
	if note == "" {
		return nil
	}
	c, err := chain.OpenCheckpoint([]byte(note))
	if !errors.Is(err, chain.ErrUnknownKey) { // no key was given
		return fmt.Errorf("reading a note: %w", err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.seen[c.Text()] = c.Checkpoint
	return nil
}

// logs returns the origins of all notes.
func (n *notes) logs() map[string]bool {
	origins := make(map[string]bool)
	for _, c := range n.seen {
		origins[c.Origin] = true
	}
	return origins
}

// watch collects what is shown, again and again, until stop is called.
func (s *scene) watch(ctx context.Context) (stop func() error, err error) {
	conn, err := pgx.Connect(ctx, s.url)
	if err != nil {
		return nil, fmt.Errorf("connecting to the engine: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	var failed error
	var wait sync.WaitGroup
	wait.Go(func() {
		for ctx.Err() == nil && failed == nil {
			if err := s.readNotes(ctx, conn, `select note from ops.heads`); err != nil && ctx.Err() == nil {
				failed = err
			}
			time.Sleep(pollStep)
		}
	})
	return func() error {
		cancel()
		wait.Wait()
		return errors.Join(failed, conn.Close(context.WithoutCancel(ctx)))
	}, nil
}

func (s *scene) readNotes(ctx context.Context, conn *pgx.Conn, sql string, args ...any) error {
	rows, err := conn.Query(ctx, sql, args...)
	if err != nil {
		return fmt.Errorf("reading notes: %w", err)
	}
	var note string
	_, err = pgx.ForEachRow(rows, []any{&note}, func() error { return s.notes.add(note) })
	return err
}

// readStored reads the notes that were stored.
func (s *scene) readStored(ctx context.Context) error {
	return s.readNotes(ctx, s.conn, `select note from book.checkpoints`)
}

// readState reads the notes in the state file, which is whole at any time.
func (s *scene) readState() error {
	text, err := os.ReadFile(s.statePath())
	if errors.Is(err, fs.ErrNotExist) {
		return nil // killed before it was made
	}
	if err != nil {
		return err
	}
	type position struct {
		Note string `json:"note"`
	}
	var state struct {
		Ledgers  map[string]position `json:"ledgers"`
		SuperLog position            `json:"super_log"`
	}
	if err := json.Unmarshal(text, &state); err != nil {
		return broken("the state file is not whole: %v", err)
	}
	for _, p := range state.Ledgers {
		if err := s.notes.add(p.Note); err != nil {
			return err
		}
	}
	return s.notes.add(state.SuperLog.Note)
}

// check computes the root at the size of every note, from what the database
// holds, and returns how many there are.
func (n *notes) check(ctx context.Context, s *scene) (checked int, err error) {
	bySize := make(map[string]map[int64]chain.Checkpoint)
	for _, c := range n.seen {
		if bySize[c.Origin] == nil {
			bySize[c.Origin] = make(map[int64]chain.Checkpoint)
		}
		if other, twice := bySize[c.Origin][c.Size]; twice {
			return 0, broken("two notes of %s at size %d, with the roots %s and %s", c.Origin, c.Size, c.Root, other.Root)
		}
		bySize[c.Origin][c.Size] = c
	}
	for origin, sizes := range bySize {
		sql, args := `select e.entry_hash from book.entries e join book.ledgers l on l.ledger_id = e.ledger_id where l.origin = $1 order by e.seq`, []any{origin}
		if origin == host+"/super-log" {
			sql, args = `select leaf from book.super_log order by position`, nil
		}
		rows, err := s.conn.Query(ctx, sql, args...)
		if err != nil {
			return 0, fmt.Errorf("reading the leaves of %s: %w", origin, err)
		}
		var tree chain.Frontier
		var leaf []byte
		_, err = pgx.ForEachRow(rows, []any{&leaf}, func() error {
			tree.Append(chain.Hash(leaf))
			if c, ok := sizes[tree.Size()]; ok {
				if root := tree.Root(); root != c.Root {
					return broken("%s was signed at size %d with root %s, and has root %s", origin, c.Size, c.Root, root)
				}
				delete(sizes, tree.Size())
				checked++
			}
			return nil
		})
		if err != nil {
			return 0, err
		}
		if len(sizes) > 0 {
			return 0, broken("%d notes of %s are of sizes beyond its %d leaves", len(sizes), origin, tree.Size())
		}
	}
	return checked, nil
}
