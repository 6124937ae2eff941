// Package hledger compares a journal that `tallystick export --format hledger`
// wrote, as the program hledger adds it up, with the balances that the server
// answers: two programs that share no code must come to the same cent.
package hledger

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/shopspring/decimal"

	"tallystick/api/client"
	"tallystick/scripts/samples"
)

// ErrDiffers says that hledger and the server do not agree.
var ErrDiffers = errors.New("comparing hledger's balances with the server's")

// maxListed bounds how many differences are named.
const maxListed = 10

// Require skips a test where there is no hledger, or fails it where everything
// is required.
func Require(tb testing.TB) {
	tb.Helper()
	if _, err := exec.LookPath("hledger"); err == nil {
		return
	}
	if os.Getenv(samples.RequireVariable) == "1" {
		tb.Fatalf("%s=1: there is no hledger; sh scripts/install.sh hledger installs it", samples.RequireVariable)
	}
	tb.Skip("there is no hledger; sh scripts/install.sh hledger installs it")
}

// Run runs hledger on a journal and returns what it printed.
func Run(ctx context.Context, journal string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "hledger", append([]string{"-f", journal}, args...)...)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8") // in any other it may not read UTF-8
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("running hledger %s: %w\n%s\nhint: sh scripts/install.sh hledger installs it", args[0], err, stderr.Bytes())
	}
	return out, nil
}

// balance is what an account has, debit positive.
type balance struct{ account, currency string }

// balances returns the balance of every account of a journal that is not zero,
// debit positive.
func balances(ctx context.Context, journal string) (map[balance]decimal.Decimal, error) {
	out, err := Run(ctx, journal, "balance", "--flat", "--no-total", "--output-format=csv", "--layout=bare")
	if err != nil {
		return nil, err
	}
	rows, err := csv.NewReader(bytes.NewReader(out)).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("reading what hledger printed: %w", err)
	}
	if len(rows) == 0 || strings.Join(rows[0], ",") != "account,commodity,balance" {
		return nil, fmt.Errorf("reading what hledger printed: it begins with %q", out[:min(len(out), 80)])
	}
	all := map[balance]decimal.Decimal{}
	for _, row := range rows[1:] {
		amount, err := decimal.NewFromString(row[2])
		if err != nil {
			return nil, fmt.Errorf("reading hledger's balance of %s: %w", row[0], err)
		}
		if !amount.IsZero() {
			all[balance{row[0], strings.Trim(row[1], `"`)}] = amount
		}
	}
	return all, nil
}

// Compare compares the journal of a ledger with its balances, account by
// account, and returns how many there are. Nothing may be posted meanwhile.
func Compare(ctx context.Context, server *client.Client, ledger, journal string) (accounts int, err error) {
	found, err := balances(ctx, journal)
	if err != nil {
		return 0, err
	}
	var wrong []error
	err = server.Accounts(ctx, ledger, func(a client.Account) error {
		want, err := decimal.NewFromString(a.Balance)
		if err != nil {
			return fmt.Errorf("reading the balance of %s: %w", a.Code, err)
		}
		if !a.DebitNormal() {
			want = want.Neg()
		}
		which := balance{a.Code, a.Currency}
		if got := found[which]; !got.Equal(want) {
			wrong = append(wrong, fmt.Errorf("%w: %s has %s %s in hledger, and %s here", ErrDiffers, a.Code, got, a.Currency, want))
		}
		delete(found, which)
		accounts++
		return nil
	})
	if err != nil {
		return 0, err
	}
	for which, amount := range found {
		wrong = append(wrong, fmt.Errorf("%w: %s has %s %s in hledger, and there is no such account here", ErrDiffers, which.account, amount, which.currency))
	}
	if len(wrong) > maxListed {
		wrong = append(wrong[:maxListed], fmt.Errorf("%w: and %d more", ErrDiffers, len(wrong)-maxListed))
	}
	return accounts, errors.Join(wrong...)
}
