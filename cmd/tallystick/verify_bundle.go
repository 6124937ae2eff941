package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/schollz/progressbar/v3"

	"tallystick/ledger/chain"
	"tallystick/ledger/chain/bundle"
)

// verifyBundle verifies an evidence bundle, with no database at all: tallystick
// verify FILE.zip. policyFile and keys say whom the auditor trusts.
func verifyBundle(ctx context.Context, path, policyFile string, keys []string, workers int, asJSON bool, stdout io.Writer, stderr *os.File) error {
	o := bundle.Options{Workers: workers}
	for _, text := range keys {
		key, err := chain.ParseLogKey(text)
		if err != nil {
			return err
		}
		o.Keys = append(o.Keys, key)
	}
	if policyFile != "" {
		text, err := readBounded(policyFile, chain.MaxPolicy)
		if err != nil {
			return err
		}
		if o.Policy, err = chain.ParsePolicy(text); err != nil {
			return fmt.Errorf("reading %s: %w", policyFile, err)
		}
	}
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("verifying %s: it is no file", path)
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
		return fmt.Errorf("verifying %s: %w\nhint: tallystick bundle create makes one; a file that was cut short or changed on its way is none", path, err)
	}
	if err != nil {
		return fmt.Errorf("verifying %s: %w", path, err)
	}
	if asJSON {
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
