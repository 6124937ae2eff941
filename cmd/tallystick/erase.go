package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"tallystick/api/client"
	"tallystick/ledger"
	"tallystick/ledger/store"
)

// eraseTexts returns what deletes texts from the database at url, over a
// connection that is opened for it: there is seldom anything to erase, and who
// takes over the server's connections finds none that can delete.
func eraseTexts(url string) func(context.Context, ledger.LedgerID, []int64) error {
	return func(ctx context.Context, id ledger.LedgerID, seqs []int64) error {
		db, err := store.Open(ctx, url, store.RoleEraser, 1)
		if err != nil {
			return err
		}
		defer db.Close()
		return db.EraseTexts(ctx, id, seqs)
	}
}

const (
	// erasuresInterval is the pause between two looks for erasures that were put on
	// record by a server that then died, beside the one when a server starts.
	erasuresInterval = time.Hour
	// erasuresRetry is the pause after a look at which something went wrong.
	erasuresRetry = time.Minute
)

// finisher deletes the texts that stayed in spite of an erasure on record: somebody
// died between the two steps. Any number of servers may run one.
type finisher struct {
	db    *store.DB
	erase func(context.Context, ledger.LedgerID, []int64) error
	log   *slog.Logger
}

// keepFinishing looks for such texts now, and once in a while until ctx ends.
func (f *finisher) keepFinishing(ctx context.Context) {
	for {
		pause := time.NewTimer(f.finish(ctx))
		select {
		case <-ctx.Done():
			pause.Stop()
			return
		case <-pause.C:
		}
	}
}

// finish deletes what it finds, and returns how long to wait before the next look.
func (f *finisher) finish(ctx context.Context) time.Duration {
	found, err := f.db.UnfinishedErasures(ctx, f.erase)
	switch {
	case ctx.Err() != nil:
	case err != nil:
		f.log.Warn("texts stay although their erasure is on record", "entries", found, "error", err, "again_in", erasuresRetry)
		return erasuresRetry
	case found > 0:
		f.log.Info("finished erasures that were on record", "entries", found)
	}
	return erasuresInterval
}

// eraseCommand erases free text: tallystick erase.
type eraseCommand struct {
	Remote   `embed:""`
	Ledger   string `required:"" placeholder:"NAME" help:"Ledger of the text."`
	Seq      *int64 `xor:"what" required:"" placeholder:"N" help:"Entry whose description, reference and metadata are erased."`
	Transfer string `xor:"what" required:"" placeholder:"ID" help:"Transfer or hold: the text of it, of its capture or release, and of its reversal."`
	Account  string `xor:"what" required:"" placeholder:"CODE" help:"Account whose name is erased, in every entry that carries it."`
	Basis    string `required:"" placeholder:"WORD" help:"Why, in a word such as gdpr_17 or retention; it stands in the ledger."`
	Case     string `placeholder:"TEXT" help:"Number of the case; no personal data, it stands in the ledger."`
	DryRun   bool   `help:"Say whether it could be erased, and erase nothing."`
	JSON     bool   `name:"json" help:"Print one JSON object."`
}

// Run erases through the API; the key needs the scope admin. Run again, it
// finishes what failed half-way.
func (c *eraseCommand) Run(ctx context.Context) error {
	if c.DryRun && c.Account != "" {
		return errors.New("reading --dry-run: what an account's name stands in is erased at once; leave --dry-run out")
	}
	server, err := c.client()
	if err != nil {
		return err
	}
	seqs, err := c.erase(ctx, server)
	if err != nil {
		return fmt.Errorf("erasing text in ledger %s: %w%s", c.Ledger, err, hintToErase(err))
	}
	if c.JSON {
		return json.NewEncoder(os.Stdout).Encode(map[string]any{"ledger": c.Ledger, "seqs": seqs, "dry_run": c.DryRun})
	}
	did := "is erased"
	if c.DryRun {
		did = "would be erased; nothing was changed"
	}
	for _, seq := range seqs {
		if _, err := fmt.Printf("the text of entry %d of ledger %s %s\n", seq, c.Ledger, did); err != nil {
			return err
		}
	}
	return nil
}

// hintToErase says what to do about text that is on record as erased and still
// there.
func hintToErase(err error) string {
	if client.HasCode(err, "erasure_unfinished") {
		return "\nhint: the server's log says why; run the same command again"
	}
	return ""
}

// erase erases what the flags name and returns the entries whose text is gone.
func (c *eraseCommand) erase(ctx context.Context, server *client.Client) ([]int64, error) {
	why := client.ErasureReason{Basis: c.Basis, Case: c.Case}
	switch {
	case c.Account != "":
		return server.EraseAccountName(ctx, c.Ledger, c.Account, why)
	case c.Seq != nil:
		return []int64{*c.Seq}, c.eraseEntry(ctx, server, *c.Seq, why)
	}
	entries, err := server.TransferEntries(ctx, c.Ledger, c.Transfer)
	if err != nil {
		return nil, err
	}
	var seqs []int64
	var nothing error
	for _, e := range entries {
		err := c.eraseEntry(ctx, server, e.Seq, why)
		switch {
		case client.HasCode(err, "nothing_to_erase"):
			nothing = err
		case err != nil:
			return nil, err
		default:
			seqs = append(seqs, e.Seq)
		}
	}
	if len(seqs) == 0 {
		return nil, nothing
	}
	return seqs, nil
}

func (c *eraseCommand) eraseEntry(ctx context.Context, server *client.Client, seq int64, why client.ErasureReason) error {
	if c.DryRun {
		return server.RehearseErasure(ctx, c.Ledger, seq, why)
	}
	_, err := server.EraseEntry(ctx, c.Ledger, seq, why)
	return err
}
