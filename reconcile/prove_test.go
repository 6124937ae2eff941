package reconcile_test

import (
	"slices"
	"strings"
	"testing"

	"tallystick/ledger/chain"
	"tallystick/ledger/store/storetest"
	"tallystick/reconcile"
)

var changedColumns = []struct {
	name, sql               string
	seq                     int64
	column, account, sealed string
}{
	{"an amount", "update book.postings set amount = 12.35 where seq = 8 and ordinal = 0", 8, "amount", "customers:1", "12.35 and was sealed as 12.34"},
	{"an amount with the balances that follow from it", "update book.postings set amount = 12.35, posted = posted + 0.01 where seq = 8 and ordinal = 0", 8, "", "", ""},
	{"both amounts", "update book.postings set amount = 12.35 where seq = 8", 8, "amount", "", "what the balances give"},
	{"the first amount of an account", "update book.postings set amount = 500.01 where seq = 7 and ordinal = 1", 7, "amount", "customers:1", "500.01 and was sealed as 500.00"},
	{"a held amount", "update book.postings set pending_debit = 6 where seq = 10 and ordinal = 0", 10, "pending_debit", "customers:1", "6.00 and was sealed as 5.00"},
	{"an expected amount", "update book.postings set pending_credit = 6 where seq = 10 and ordinal = 1", 10, "pending_credit", "customers:2", "6.00 and was sealed as 5.00"},
	{"a balance", "update book.postings set posted = posted - 1 where seq = 19 and ordinal = 0", 19, "posted", "cash", "489.25 and was sealed as 490.25"},
	{"a direction", "update book.postings set direction = 'credit' where seq = 19 and ordinal = 0", 19, "direction", "cash", "credit and was sealed as debit"},
	{"a currency", "update book.postings set currency = 'USD' where seq = 19 and ordinal = 0", 19, "currency", "cash", "USD and was sealed as EUR"},
	{"an account_seq", "update book.postings set account_seq = 9 where seq = 19 and ordinal = 0", 19, "account_seq", "cash", "9 and was sealed as 3"},
	{"a value date of a posting", "update book.postings set effective_date = '2026-01-01' where seq = 8 and ordinal = 0", 8, "effective_date", "customers:1", "2026-03-30"},
	{"a value date of an entry", "update book.entries set effective_date = '2026-01-01' where seq = 8", 8, "effective_date", "", "2026-03-30"},
	{"a booking date", "update book.entries set booking_date = '2026-03-31' where seq = 19", 19, "booking_date", "", "2026-03-30"},
	{"an approval", "update book.entries set prior_period = true where seq = 8", 8, "prior_period", "", "true and was sealed as false"},
	{"a kind", "update book.entries set kind = 'hold' where seq = 8", 8, "kind", "", "hold and was sealed as transfer"},
	{"a previous hash", "update book.entries set prev_hash = entry_hash where seq = 8", 8, "prev_hash", "", "was sealed as"},
	{"a stored hash", "update book.entries set entry_hash = prev_hash where seq = 8", 8, "entry_hash", "", "was sealed as"},
	{"the newest stored hash", "update book.entries set entry_hash = prev_hash where seq = 19", 19, "", "", ""},
	{"an actor", "update book.entries set actor = request_id where seq = 8", 8, "", "", ""},
	{"a type", "update book.accounts set type = 'expense' where code = 'usd'", 6, "type", "usd", "expense and was sealed as asset"},
	{"a freeze", "update book.account_versions set frozen = 'all' where seq = 6", 6, "frozen", "usd", "all and was sealed as none"},
	{"a closing", "update book.account_versions set closed = true where seq = 4", 4, "closed", "fx:eur", "true and was sealed as false"},
	{"a limit where there was none", "update book.account_versions set max_balance = 1000000 where seq = 4", 4, "max_balance", "fx:eur", "1000000.00 and was sealed as none"},
	{"a limit of zero", "update book.account_versions set min_balance = -1 where seq = 2", 2, "min_balance", "customers:1", "-1.00 and was sealed as 0.00"},
	{"tags", `update book.account_versions set tags = '{}' where seq = 1`, 1, "", "", ""},
}

// Where a second rule proves which column was changed, the finding says so,
// with the value that was sealed; where none does, it says nothing.
func TestAChangedColumnIsProven(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		conn := connect(t, url)
		for _, c := range changedColumns { // all in one database
			b := sampleNamed(c.name)
			b.write(t, conn)
			mustExec(t, conn, strings.Replace(c.sql, " where ", " where ledger_id = '"+b.ledger.String()+"' and ", 1))
			report := verify(t, url, b.ledger)
			i := slices.IndexFunc(report.Findings, func(f chain.Finding) bool { return f.Code == reconcile.EntryHashMismatch && *f.Seq == c.seq })
			if i < 0 {
				t.Errorf("%s: found %v", c.name, codes(report.Findings))
				continue
			}
			f := report.Findings[i]
			if text(f.Column) != c.column || text(f.Account) != c.account || len(*f.Stored) != 64 || len(*f.Recomputed) != 64 {
				t.Errorf("%s: found %s, want column %q of %q", c.name, details(report.Findings), c.column, c.account)
			}
			if proven := strings.HasPrefix(f.NextStep, "Proven: "); proven != (c.column != "") || !strings.Contains(f.NextStep, c.sealed) {
				t.Errorf("%s: next step %q, want %q", c.name, f.NextStep, c.sealed)
			}
			if i > 0 && report.Findings[i-1].Code == reconcile.AccountStateMismatch && text(report.Findings[i-1].Column) != c.column {
				t.Errorf("%s: the account's finding says otherwise: %s", c.name, details(report.Findings))
			}
		}
	})
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// When it is proven that another column of the entry was changed, the account
// is as it was sealed, and is not accused.
func TestAnAccountIsNotAccusedOfWhatItsEntryDid(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		b := sample()
		conn := connect(t, url)
		b.write(t, conn)
		mustExec(t, conn, "update book.entries set effective_date = '2026-01-01' where seq = 6")
		report := verify(t, url, b.ledger)
		if got := codes(report.Findings); !slices.Equal(got, []string{"ENTRY_HASH_MISMATCH@6"}) || report.FindingsTotal != 1 {
			t.Errorf("found %v, %d in all", got, report.FindingsTotal)
		}
	})
}
