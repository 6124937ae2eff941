package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/schollz/progressbar/v3"

	"tallystick/ledger/chain"
	"tallystick/ledger/chain/bundle"
)

// bundle verifies an evidence bundle, with no database at all: tallystick verify
// FILE.zip.
func (c *verifyCommand) bundle(ctx context.Context, stdout io.Writer, stderr *os.File) error {
	path := c.File
	switch {
	case c.Ledger != "" || c.All:
		return fmt.Errorf("verifying %s: a bundle says itself which ledger it is of; leave --ledger and --all out", path)
	case c.Level != nil || c.Fresh != 0 || len(c.Receipt) > 0 || c.SignerState != "" || c.Compare.given() || c.HTML != "":
		return fmt.Errorf("verifying %s: of what a verification may be told, a bundle takes --key, --policy, --since, --checkpoint, --workers and --json", path)
	}
	o := bundle.Options{Workers: c.Workers}
	pins := slices.Clone(c.Checkpoint)
	if c.Since != "" {
		pins = append(pins, c.Since)
	}
	for _, file := range pins {
		pin, err := readCheckpoint(file)
		if err != nil {
			return err
		}
		o.Pins = append(o.Pins, pin.Checkpoint)
	}
	for _, text := range c.Key {
		key, err := chain.ParseLogKey(text)
		if err != nil {
			return err
		}
		o.Keys = append(o.Keys, key)
	}
	if c.Policy != "" {
		text, err := readBounded(c.Policy, chain.MaxPolicy)
		if err != nil {
			return err
		}
		if o.Policy, err = chain.ParsePolicy(text); err != nil {
			return fmt.Errorf("reading %s: %w", c.Policy, err)
		}
	}
	report, err := verifyFile(ctx, path, o, stderr)
	if err != nil {
		return err
	}
	if c.JSON {
		err = json.NewEncoder(stdout).Encode(report)
	} else {
		err = report.WriteText(stdout)
	}
	if err != nil {
		return fmt.Errorf("printing the report: %w", err)
	}
	switch report.Status {
	case bundle.Verified:
		return nil
	case bundle.Tampered:
		return exitError{exitTampered}
	default:
		return exitError{exitIncomplete}
	}
}

// verifyFile verifies the bundle at path, with a progress bar if somebody is
// watching.
func verifyFile(ctx context.Context, path string, o bundle.Options, stderr *os.File) (*bundle.Report, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("verifying %s: it is no file", path)
	}
	if isTerminal(stderr) {
		bar := progressbar.NewOptions64(-1, progressbar.OptionSetWriter(stderr), progressbar.OptionThrottle(progressEvery),
			progressbar.OptionSetDescription("verifying"), progressbar.OptionShowCount(), progressbar.OptionShowIts(),
			progressbar.OptionSetItsString("entries"), progressbar.OptionClearOnFinish())
		o.Progress = func(done, total int64) {
			bar.ChangeMax64(total)
			_ = bar.Set64(done)
		}
		defer func() { _ = bar.Finish() }()
	}
	report, err := bundle.Verify(ctx, file, info.Size(), o)
	if errors.Is(err, bundle.ErrNotBundle) {
		return nil, fmt.Errorf("verifying %s: %w\nhint: tallystick bundle create makes one; a file that was cut short or changed on its way is none", path, err)
	}
	if err != nil {
		return nil, fmt.Errorf("verifying %s: %w", path, err)
	}
	return report, nil
}
