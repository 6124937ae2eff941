// Package mapping says what the rows of a file become: accounts to open and
// transfers to post, as the API takes them. A mapping is a YAML file; a key that
// it does not know, or one that stands twice, is an error with its line.
//
//	ledger:                        # terms of the ledger, should import have to open it
//	  base_currency: EUR
//	  time_zone: Europe/Berlin     # optional, as are day_cutoff and
//	  value_days_back: 7300        # value_days_ahead, which bound value dates
//	accounts:                      # opened before anything else; no columns here
//	  - {code: "equity:opening", type: equity, currency: EUR}
//	  - {code: "bank:giro", type: asset, currency: EUR}
//	files:                         # the first whose pattern matches a file's name describes it
//	  - match: "customers*.csv"
//	    delimiter: ";"             # comma by default; format: jsonl for objects, one a line
//	    encoding: windows-1252     # utf-8 by default; also latin1 and utf-16
//	    numbers: {decimal: ",", thousands: "."}
//	    skip:                      # a row is passed over when one of these holds
//	      - {column: STATUS, equals: closed}
//	    accounts:
//	      - code: "customers:{ID|lower}"
//	        type: liability
//	        currency: "{CURRENCY}"
//	        name: "{NAME}"
//	        min_balance: "0"       # max_balance and frozen likewise; empty means none
//	        tags: {client: "{ID}"}
//	        opening_balance: {amount: "{BALANCE}", from: "equity:opening", effective_date: {value: "2025-12-31"}}
//	  - match: "payments-*.jsonl"
//	    transfers:
//	      - debit: "customers:{payer.id|lower}"
//	        credit: "bank:giro"
//	        amount: "{amount}"
//	        currency: EUR          # optional; then asserted
//	        effective_date: {value: "{date}", layout: "%d.%m.%Y"}
//	        description: "{text}"
//	        reference: "{number}"
//	        metadata: {channel: "{channel}"}
//	        negative: swap         # a negative amount goes the other way; refuse is the default
//	      - skip: [{column: fee, zero: true}]
//	        postings:              # instead of debit, credit and amount
//	          - {account: "customers:{payer.id|lower}", direction: debit, amount: "{fee}"}
//	          - {account: "fees:payments", direction: credit, amount: "{fee}", skip: [{column: fee, empty: true}]}
//
// A value is a constant, or a template with columns in braces; {COLUMN|lower},
// {COLUMN|upper} and {COLUMN|trim} change what stands there, {{ is a brace. A
// date is read by a layout, Go's (02.01.2006) or strftime's (%d.%m.%Y),
// 2006-01-02 by default, or counts days from a day: {value: "{time}", days_from:
// 2026-01-01}. A number has the decimal mark and, in groups of three, the
// thousands mark that numbers names: a point and none by default. Conditions are
// equals, not_equals, empty and zero.
//
// An opening balance is a transfer from the account named to the one opened, on
// whose normal side it counts; a balance of zero or nothing makes none, a
// negative one goes the other way.
//
// What a row becomes depends on the row alone. Each of its transfers is a part of
// it (opening.0, transfer.0, transfer.1, …); source, row and part are its
// identity, never its content, because real files hold identical rows.
package mapping
