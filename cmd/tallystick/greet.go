package main

import (
	"fmt"
	"io"
)

// greet tells a newcomer what runs, where the key is, and what to paste.
func greet(w io.Writer, engine, address string, key adminKey) {
	fmt.Fprintf(w, "tallystick %s: serving on http://%s, engine %s\n", version, address, engine)
	switch {
	case key.fresh:
		fmt.Fprintf(w, "The admin key, new and shown this once, is kept in %s:\n  %s\n", key.file, key.text)
	case key.file != "":
		fmt.Fprintf(w, "The admin key is in %s\n", key.file)
	default:
		fmt.Fprintln(w, "The admin key is the one in TALLYSTICK_ADMIN_KEY")
	}
	authorization := `-H "Authorization: Bearer $(cat '` + key.file + `')"`
	if key.file == "" {
		authorization = `-H "Authorization: Bearer $TALLYSTICK_ADMIN_KEY"`
	}
	base := "http://" + address + "/v1/ledgers/" + mainLedger
	fmt.Fprintf(w, `
Paste these to open two accounts, post a transfer, and verify:
  curl -sS %[1]s -H 'Content-Type: application/json' %[2]s/accounts/batch -d '{"accounts":[{"code":"till","type":"asset","currency":"EUR"},{"code":"customers:7","type":"liability","currency":"EUR","min_balance":"0"}]}'
  curl -sS %[1]s -H 'Content-Type: application/json' -H 'Idempotency-Key: first-deposit' %[2]s/transfers -d '{"debit":"till","credit":"customers:7","amount":"5.00"}'
  curl -sS %[1]s '%[2]s/accounts/customers:7' && bin/tallystick verify
Pages to read, with the same key: http://%[3]s/console

`, authorization, base, address)
}
