package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"tallystick/ledger"
	"tallystick/ledger/store"
)

// migrateCommand brings the schema up to date.
type migrateCommand struct {
	Database `embed:""`
}

// Run migrates.
func (c *migrateCommand) Run(ctx context.Context) error {
	database, err := c.start(ctx)
	if err != nil {
		return err
	}
	defer database.stop(ctx)
	return store.Migrate(ctx, database.url)
}

// ledgerOpenCommand opens a ledger.
type ledgerOpenCommand struct {
	Database       `embed:""`
	Name           string `arg:"" help:"Name: a-z, 0-9, '.', '_', '-', beginning with a letter."`
	Host           string `env:"TALLYSTICK_HOST" placeholder:"NAME" help:"Host name in the ledger's origin; this machine's by default."`
	Currency       string `default:"EUR" help:"Base currency (ISO 4217)."`
	TimeZone       string `default:"UTC" help:"Time zone of its business days (IANA name)."`
	DayCutoff      string `default:"00:00" help:"Local time from which entries belong to the next business day; 00:00 is midnight."`
	ValueDaysBack  int32  `default:"3650" help:"How many days back a value date may lie."`
	ValueDaysAhead int32  `default:"366" help:"How many days ahead."`
	JSON           bool   `name:"json" help:"Print one JSON object."`
}

// Run opens the ledger and prints what it is. Opening it again with the same
// terms prints the same.
func (c *ledgerOpenCommand) Run(ctx context.Context) error {
	cutoff, err := time.Parse("15:04", c.DayCutoff)
	if err != nil {
		return fmt.Errorf("reading --day-cutoff %q: it is a time of day such as 17:30", c.DayCutoff)
	}
	_, db, key, stop, err := c.prepare(ctx)
	if err != nil {
		return err
	}
	defer stop()
	info, err := openLedger(ctx, db, ledger.OpenLedger{
		Actor: key.id, Host: originHost(c.Host), Name: c.Name, TimeZone: c.TimeZone,
		DayCutoff: int32(cutoff.Hour()*3600 + cutoff.Minute()*60), BaseCurrency: c.Currency,
		ValueDaysBack: c.ValueDaysBack, ValueDaysAhead: c.ValueDaysAhead,
	})
	if err != nil {
		return err
	}
	return printLedger(info, c.JSON)
}

func printLedger(info store.LedgerInfo, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(os.Stdout).Encode(map[string]any{
			"id": info.ID.String(), "name": info.Terms.Name, "origin": info.Terms.Origin,
			"size": info.Size, "head": info.Head.String(),
		})
	}
	_, err := fmt.Printf("ledger %s is open\n  id      %s\n  origin  %s\n  size    %d\n  head    %s\n",
		info.Terms.Name, info.ID, info.Terms.Origin, info.Size, info.Head)
	return err
}

// maxNamesRead is how many ledgers are looked at to list their names.
const maxNamesRead = 200

// namedLedger returns a ledger by name or UUID; where there is none, the error lists
// those that there are.
func namedLedger(ctx context.Context, db *store.DB, name string) (store.LedgerInfo, error) {
	info, err := db.Ledger(ctx, name)
	if !errors.Is(err, store.ErrNotFound) {
		return info, err
	}
	list, failed := db.Ledgers(ctx, "", maxNamesRead)
	if failed != nil {
		return info, err
	}
	names := make([]string, len(list))
	for i := range list {
		names[i] = list[i].Terms.Name
	}
	return info, hintNames(err, names)
}
