package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"tallystick/ledger/store"
	"tallystick/ledger/store/engine"
)

const (
	// engineStopBound bounds how long stopping the embedded engine may take.
	engineStopBound = 90 * time.Second
	// readConnections bounds the database connections that serve reads.
	readConnections = 16
)

// Database is the flags that say where the ledgers are.
type Database struct {
	DatabaseURL     string `env:"TALLYSTICK_DATABASE_URL" placeholder:"URL" help:"CockroachDB or PostgreSQL database to use; without it an embedded engine is run under --data-dir."`
	DataDir         string `env:"TALLYSTICK_DATA_DIR" default:"./data" help:"Folder of the embedded engine and of the admin key."`
	Engine          string `env:"TALLYSTICK_ENGINE" default:"auto" enum:"auto,cockroach,postgres" help:"Embedded engine: ${enum}."`
	CockroachBinary string `env:"COCKROACH_BINARY" placeholder:"PATH" help:"The cockroach binary, when it is not on PATH."`
}

// start makes sure that the database runs. stop leaves it as it was found.
func (d *Database) start(ctx context.Context) (*running, error) { return d.startFor(ctx, false) }

func (d *Database) startFor(ctx context.Context, onePass bool) (*running, error) {
	if d.DatabaseURL != "" {
		return &running{flags: d, url: d.DatabaseURL}, nil
	}
	r := &running{flags: d, onePass: onePass}
	if err := r.launch(ctx); err != nil {
		return nil, err
	}
	return r, nil
}

// Connect returns the database with the rights of role, and a function that
// closes it and stops the engine if it was started for it.
func (d *Database) Connect(ctx context.Context, role store.Role, connections int) (*store.DB, func(), error) {
	return d.connect(ctx, role, connections, false)
}

// ConnectForOnePass is Connect for who reads nearly everything once, in order.
func (d *Database) ConnectForOnePass(ctx context.Context, role store.Role, connections int) (*store.DB, func(), error) {
	return d.connect(ctx, role, connections, true)
}

func (d *Database) connect(ctx context.Context, role store.Role, connections int, onePass bool) (*store.DB, func(), error) {
	if err := d.mustExist(); err != nil {
		return nil, nil, err
	}
	r, err := d.startFor(ctx, onePass)
	if err != nil {
		return nil, nil, err
	}
	db, err := store.Open(ctx, r.url, role, connections)
	if err != nil {
		r.stop(ctx)
		return nil, nil, err
	}
	return db, func() {
		db.Close()
		r.stop(ctx)
	}, nil
}

// mustExist refuses a data folder without a store: who reads must not make one.
func (d *Database) mustExist() error {
	if d.DatabaseURL != "" {
		return nil
	}
	for _, kind := range []engine.Kind{engine.Postgres, engine.Cockroach} {
		if _, err := os.Stat(filepath.Join(d.DataDir, string(kind))); err == nil {
			return nil
		}
	}
	return fmt.Errorf("looking for ledgers in %s: there is no database\nhint: name the folder that the server runs on with --data-dir, or its database with --database-url", d.DataDir)
}

// prepare starts the database, migrates it, opens it for the application and
// makes sure of the admin key. stop undoes what must be undone.
func (d *Database) prepare(ctx context.Context) (r *running, db *store.DB, key adminKey, stop func(), err error) {
	if r, err = d.start(ctx); err != nil {
		return nil, nil, key, nil, err
	}
	stop = func() {
		if db != nil {
			db.Close()
		}
		r.stop(ctx)
	}
	if err = store.Migrate(ctx, r.url); err == nil {
		db, err = store.Open(ctx, r.url, store.RoleApp, readConnections)
	}
	if err == nil {
		key, err = loadAdminKey(ctx, db, d.DataDir)
	}
	if err != nil {
		stop()
	}
	return r, db, key, stop, err
}

// running is a database in use.
type running struct {
	flags  *Database
	url    string
	engine *engine.Engine // nil when the database is not ours

	onePass bool // see engine.Options
}

func (r *running) launch(ctx context.Context) error {
	e, err := engine.Start(ctx, engine.Options{
		DataDir:         r.flags.DataDir,
		Kind:            engine.Kind(r.flags.Engine),
		CockroachBinary: r.flags.CockroachBinary,
		OnePass:         r.onePass,
		Logf:            func(format string, args ...any) { slog.Info(fmt.Sprintf(format, args...)) },
	})
	if errors.Is(err, engine.ErrNotInstalled) {
		return fmt.Errorf("starting the embedded engine: %w\nhint: make run installs PostgreSQL, or set --database-url", err)
	}
	if err != nil {
		return fmt.Errorf("starting the embedded engine: %w", err)
	}
	r.engine, r.url = e, e.URL()
	return nil
}

func (r *running) stop(ctx context.Context) {
	if r.engine == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), engineStopBound)
	defer cancel()
	if err := r.engine.Stop(ctx); err != nil {
		slog.Error("stopping the embedded engine", "error", err)
	}
}

// relaunchPause is the pause after a failed attempt to start the engine again.
const relaunchPause = time.Second

// keepRunning starts the embedded engine again whenever it has ended by
// itself, until ctx ends.
func (r *running) keepRunning(ctx context.Context) {
	for r.engine != nil {
		select {
		case <-ctx.Done():
			return
		case <-r.engine.Done():
		}
		if ctx.Err() != nil {
			return
		}
		slog.Error("the embedded engine has ended by itself; starting it again", "engine", r.engine.Name())
		url := r.url
		r.stop(ctx)
		for err := r.launch(ctx); err != nil; err = r.launch(ctx) {
			slog.Error("starting the embedded engine again", "error", err)
			select {
			case <-ctx.Done():
				return
			case <-time.After(relaunchPause):
			}
		}
		if r.url != url {
			slog.Error("the embedded engine is back under another address; restart the server", "url", r.url)
			continue
		}
		slog.Info("the embedded engine is back", "engine", r.engine.Name())
	}
}
