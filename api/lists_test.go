package api

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"
)

func TestListsBySize(t *testing.T) {
	t.Parallel()
	withBank(t, func(t *testing.T, b *bank) {
		b.openAccounts()
		for i := range 7 {
			b.transfer(fmt.Sprintf(`{"debit":"cash","credit":"customers:1","amount":"1","reference":"r-%d"}`, i%2)).is(201, "")
		}
		for _, c := range []struct {
			path, key string
			want      []string
		}{
			{"/transfers", "seq", []string{"6", "7", "8", "9", "10", "11", "12"}},
			{"/transfers?reference=r-1", "seq", []string{"7", "9", "11"}},
			{"/transfers?reference=none", "seq", nil},
			{"/transfers?account=customers:1", "seq", []string{"6", "7", "8", "9", "10", "11", "12"}},
			{"/transfers?account=yen", "seq", nil},
			{"/transfers?account=nobody", "seq", nil},
			{"/transfers?account_prefix=customers", "seq", []string{"6", "7", "8", "9", "10", "11", "12"}},
			{"/transfers?account_prefix=customer", "seq", nil},
			{"/transfers?account_prefix=customers&reference=r-0", "seq", []string{"6", "8", "10", "12"}},
			{"/transfers?from=1970-01-01&to=2999-12-31", "seq", []string{"6", "7", "8", "9", "10", "11", "12"}},
			{"/transfers?from=2999-12-31", "seq", nil},
			{"/transfers?to=1999-12-31", "seq", nil},
			{"/entries", "seq", []string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12"}},
			{"/entries?from=10", "seq", []string{"10", "11", "12"}},
			{"/entries?from=13", "seq", nil},
			{"/accounts", "code", []string{"cash", "customers:1", "customers:2", "yen", "yen:out"}},
			{"/accounts?prefix=customers", "code", []string{"customers:1", "customers:2"}},
			{"/accounts?prefix=customers:1", "code", []string{"customers:1"}},
			{"/accounts?prefix=yen", "code", []string{"yen", "yen:out"}},
			{"/accounts?prefix=ye", "code", nil},
			{"/accounts/cash/postings", "account_seq", []string{"1", "2", "3", "4", "5", "6", "7"}},
			{"/accounts/cash/postings?from=1", "account_seq", []string{"1", "2", "3", "4", "5", "6", "7"}},
			{"/accounts/cash/postings?from=5", "account_seq", []string{"5", "6", "7"}},
			{"/accounts/cash/postings?from=8", "account_seq", nil},
			{"/accounts/yen/postings", "account_seq", nil},
		} {
			for _, limit := range []int{1, 2, 3, 1000} {
				separator := "?"
				if slices.Contains([]byte(c.path), '?') {
					separator = "&"
				}
				var got []string
				b.walk(fmt.Sprintf("/v1/ledgers/main%s%slimit=%d", c.path, separator, limit), func(a *answer, i int) {
					if n := a.length("data"); n > limit {
						t.Errorf("%s: %d elements on a page of %d", c.path, n, limit)
					}
					got = append(got, a.text("data", i, c.key))
				})
				if !slices.Equal(got, c.want) {
					t.Errorf("%s by %d: got %v, want %v", c.path, limit, got, c.want)
				}
			}
		}
	})
}

func TestTheHistoryOfAnAccount(t *testing.T) {
	t.Parallel()
	withBank(t, func(t *testing.T, b *bank) {
		b.openAccounts()
		first := b.pay("cash", "customers:1", "7").is(201, "")
		b.pay("customers:1", "cash", "2.50").is(201, "")
		b.patch("/v1/ledgers/main/accounts/customers:1", `{"min_balance":null}`).is(200, "")
		b.pay("customers:1", "cash", "1").is(201, "")
		b.get("/v1/ledgers/main/accounts/customers:1/postings").is(200, "").want(
			"data.0.seq", "6", "data.0.transfer_id", first.text("id"), "data.0.kind", "transfer", "data.0.direction", "credit",
			"data.0.amount", "7.00", "data.0.balance", "7.00", "data.0.available", "7.00", "data.0.recorded_at", first.text("recorded_at"),
			"data.0.booking_date", first.text("booking_date"), "data.0.effective_date", first.text("effective_date"),
			"data.1.direction", "debit", "data.1.amount", "2.50", "data.1.balance", "4.50", "data.1.available", "4.50", "data.1.account_seq", "2",
			"data.2.balance", "3.50", "data.2.available", "", "next", "")
	})
}

// TestPagesMissNothingWhilePostingGoesOn walks lists while others post: what was
// there before is seen once, and nothing is seen twice.
func TestPagesMissNothingWhilePostingGoesOn(t *testing.T) {
	t.Parallel()
	withBank(t, func(t *testing.T, b *bank) {
		b.openAccounts()
		for range 40 {
			b.pay("cash", "customers:1", "0.01").is(201, "")
		}
		before := mustAtoi(t, b.size())
		stop := make(chan struct{})
		var wait sync.WaitGroup
		for n := range 3 {
			wait.Go(func() {
				for i := 0; ; i++ {
					select {
					case <-stop:
						return
					default:
					}
					b.pay("cash", "customers:1", "0.01").is(201, "")
					b.post("/v1/ledgers/main/accounts", fmt.Sprintf(`{"code":"x:%d:%d","type":"asset","currency":"EUR"}`, n, i)).is(201, "")
				}
			})
		}
		defer wait.Wait()
		defer close(stop)
		for _, c := range []struct{ path, key string }{
			{"/entries?limit=7", "seq"}, {"/transfers?limit=7&account=cash", "seq"}, {"/accounts/cash/postings?limit=7", "seq"},
		} {
			last, seen := -1, 0
			b.walkUntil("/v1/ledgers/main"+c.path, func(a *answer, i int) bool {
				seq := mustAtoi(t, a.text("data", i, c.key))
				if seq <= last {
					t.Errorf("%s: seq %d after %d", c.path, seq, last)
				}
				if c.path[:8] == "/entries" && seq != last+1 {
					t.Errorf("%s: seq %d after %d, a gap", c.path, seq, last)
				}
				last = seq
				if seq < before {
					seen++
				}
				return seq < before+60
			})
			want := before
			if c.path[:8] != "/entries" {
				want = 40
			}
			if seen != want {
				t.Errorf("%s: saw %d of the %d that were there before", c.path, seen, want)
			}
		}
		codes := map[string]int{}
		b.walk("/v1/ledgers/main/accounts?limit=3", func(a *answer, i int) { codes[a.text("data", i, "code")]++ })
		for _, code := range []string{"cash", "customers:1", "customers:2", "yen", "yen:out"} {
			if codes[code] != 1 {
				t.Errorf("account %s was listed %d times", code, codes[code])
			}
		}
	})
}

// walkUntil walks a list until visit says that it is enough.
func (b *bank) walkUntil(path string, visit func(a *answer, i int) bool) {
	b.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	next := ""
	for time.Now().Before(deadline) {
		a := b.get(path+next).is(200, "")
		for i := range a.length("data") {
			if !visit(a, i) {
				return
			}
		}
		if cursor := a.text("next"); cursor != "" {
			next = "&cursor=" + cursor
		} else {
			return
		}
	}
	b.t.Errorf("%s did not end", path)
}

func TestLedgersAreListedByName(t *testing.T) {
	t.Parallel()
	withBank(t, func(t *testing.T, b *bank) {
		for _, name := range []string{"zulu", "alpha", "mike"} {
			b.post("/v1/ledgers", `{"name":"`+name+`","base_currency":"USD"}`).is(201, "")
		}
		for _, limit := range []int{1, 2, 3, 4, 5} {
			var names []string
			b.walk(fmt.Sprintf("/v1/ledgers?limit=%d", limit), func(a *answer, i int) { names = append(names, a.text("data", i, "name")) })
			if want := []string{"alpha", "main", "mike", "zulu"}; !slices.Equal(names, want) {
				t.Errorf("by %d: %v, want %v", limit, names, want)
			}
		}
	})
}

func TestALedgerIsOpenedOnce(t *testing.T) {
	t.Parallel()
	withBank(t, func(t *testing.T, b *bank) {
		const id = "0191d7ae-6c3f-7cc1-9a2b-3f1d0e8b9a10"
		const body = `{"id":"` + id + `","name":"berlin","base_currency":"EUR","time_zone":"Europe/Berlin","day_cutoff":"22:30","value_days_back":30,"value_days_ahead":0}`
		a := b.post("/v1/ledgers", body).is(201, "")
		a.want("id", id, "name", "berlin", "origin", "bank.test/"+id, "time_zone", "Europe/Berlin", "day_cutoff", "22:30",
			"base_currency", "EUR", "value_days_back", "30", "value_days_ahead", "0", "size", "1")
		if got := a.header.Get("Location"); got != "/v1/ledgers/"+id {
			t.Errorf("Location is %q", got)
		}
		b.post("/v1/ledgers", body).is(200, "").want("id", id, "size", "1")
		for _, name := range []string{"berlin", id, "0191D7AE-6C3F-7CC1-9A2B-3F1D0E8B9A10"} {
			if read := b.get("/v1/ledgers/"+name).is(200, ""); string(read.body) != string(a.body) {
				t.Errorf("%s reads\n%s\nand was answered as\n%s", name, read.body, a.body)
			}
		}
		b.get("/v1/ledgers/"+id+"/entries/0").want("kind", "ledger_opened", "ledger.name", "berlin", "ledger.day_cutoff", "22:30", "hash", a.text("head"))
		b.post("/v1/ledgers", `{"id":"`+id+`","name":"paris","base_currency":"EUR"}`).is(409, "ledger_exists")
		b.post("/v1/ledgers", `{"name":"berlin","base_currency":"EUR"}`).is(409, "ledger_exists")
	})
}
