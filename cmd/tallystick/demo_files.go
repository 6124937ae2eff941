package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/shopspring/decimal"

	"tallystick/ledger/chain"
	"tallystick/reconcile/policy"
)

// demoFiles are what the night needs beside the ledger of a demonstration.
type demoFiles struct {
	dir   string
	rates strings.Builder
}

// rateDecimals is where the price of a currency is rounded.
const rateDecimals = 8

// quote takes what one EUR costs, in millionths of a currency.
func (f *demoFiles) quote(day chain.Date, currency string, millionths int64) {
	if f.rates.Len() == 0 {
		f.rates.WriteString("date,currency,rate\n")
	}
	rate := decimal.New(1, 6).DivRound(decimal.NewFromInt(millionths), rateDecimals)
	fmt.Fprintf(&f.rates, "%s,%s,%s\n", day, currency, rate.StringFixed(rateDecimals))
}

// write puts the files into the folder: nothing that is there is overwritten.
func (f *demoFiles) write(today chain.Date) error {
	if err := os.MkdirAll(f.dir, 0o755); err != nil {
		return fmt.Errorf("making the folder %s: %w", f.dir, err)
	}
	inputs := "kind,subject,date,value,currency\n" +
		fmt.Sprintf("tier1,,%s,25000000.00,EUR\n", today-chain.Date(400)) +
		fmt.Sprintf("due,clearing:chargebacks:eur,%s,,\ndue,clearing:chargebacks:gbp,%s,,\ndue,clearing:chargebacks:usd,%s,,\n", today-40, today-40, today-40) +
		fmt.Sprintf("maturity,loan:eur,%s,,\n", today+400)
	for name, content := range map[string]string{"policy.yaml": string(policy.Example), "rates.csv": f.rates.String(), "inputs.csv": inputs} {
		path := filepath.Join(f.dir, name)
		file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if err != nil {
			return fmt.Errorf("writing %s: %w\nhint: name a folder that does not exist yet with --files", path, err)
		}
		_, err = file.WriteString(content)
		if closing := file.Close(); err == nil {
			err = closing
		}
		if err != nil {
			return fmt.Errorf("writing %s: %w", path, err)
		}
	}
	return nil
}
