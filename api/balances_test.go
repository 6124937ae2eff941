package api

import (
	"fmt"
	"net/url"
	"slices"
	"testing"
)

func TestBalancesAreAddedUp(t *testing.T) {
	t.Parallel()
	withClock(t, func(t *testing.T, b *bank, c *clock) {
		b.openAccounts()
		b.post("/v1/ledgers/main/accounts", `{"code":"customers:1:savings","type":"liability","currency":"JPY"}`).is(201, "")
		first := c.on(0)
		b.pay("cash", "customers:1", "100").is(201, "")
		b.pay("cash", "customers:2", "40").is(201, "")
		seq := fmt.Sprint(mustAtoi(t, b.size()) - 1)
		moment := c.read()
		c.pass(day)
		b.pay("customers:1", "customers:2", "10").is(201, "")
		b.transfer(`{"debit":"customers:2","credit":"cash","amount":"5","effective_date":"`+first+`"}`).is(201, "")
		b.pay("yen", "customers:1:savings", "7").is(201, "")
		const path = "/v1/ledgers/main/balances"
		a := b.get(path+"?depth=1").is(200, "")
		a.want("data.0.code", "cash", "data.0.accounts", "1", "data.0.balance", "135.00", "data.0.debits", "135.00", "data.0.credits", "0.00",
			"data.1.code", "customers", "data.1.currency", "EUR", "data.1.accounts", "2", "data.1.balance", "-135.00", "data.1.credits", "135.00",
			"data.2.code", "customers", "data.2.currency", "JPY", "data.2.accounts", "1", "data.2.balance", "-7",
			"data.3.code", "yen", "data.3.accounts", "2", "data.3.balance", "7",
			"totals.0.currency", "EUR", "totals.0.balance", "0.00", "totals.0.debits", "135.00", "totals.0.credits", "135.00",
			"totals.1.currency", "JPY", "totals.1.balance", "0", "next", "", "seq", fmt.Sprint(mustAtoi(t, b.size())-1))
		b.get(path+"?prefix=customers").want("data.0.code", "customers:1", "data.0.balance", "-90.00", "data.1.code", "customers:1:savings",
			"data.2.code", "customers:2", "data.2.balance", "-45.00", "totals.0.balance", "-135.00")
		b.get(path+"?prefix=customers:1&depth=2").want("data.0.code", "customers:1", "data.0.currency", "EUR", "data.1.code", "customers:1", "data.1.currency", "JPY")
		at := url.QueryEscape(moment.Format("2006-01-02T15:04:05.999999999Z07:00"))
		for _, query := range []string{"seq=" + seq, "at=" + at} {
			b.get(path+"?prefix=customers&"+query).want("seq", seq, "data.0.balance", "-100.00", "data.2.balance", "-40.00", "totals.0.balance", "-140.00")
		}
		b.get(path+"?effective="+first).want("effective_date", first, "data.0.code", "cash", "data.0.balance", "135.00", "totals.0.balance", "0.00")
		b.get(path+"?prefix=customers&effective="+first).want("data.0.balance", "-100.00", "data.2.balance", "-35.00")
		if n := b.get(path+"?prefix=nobody").is(200, "").length("data"); n != 0 {
			t.Errorf("nobody has %d balances", n)
		}

		const account = "/v1/ledgers/main/accounts/customers:2/balance"
		b.get(account+"?effective="+first).is(200, "").want("account", "customers:2", "currency", "EUR", "balance", "35.00", "effective_date", first, "held", "")
		b.get(account+"?effective="+c.on(0)).want("balance", "45.00")
		b.get(account+"?effective=2001-01-01").want("balance", "0.00")
		b.get(account+"?seq="+seq).want("balance", "40.00")
	})
}

func TestPagesOfBalancesAreOfOneMoment(t *testing.T) {
	t.Parallel()
	withBank(t, func(t *testing.T, b *bank) {
		b.openAccounts()
		b.pay("cash", "customers:1", "1").is(201, "")
		for _, limit := range []int{1, 2, 3, 5} {
			path := fmt.Sprintf("/v1/ledgers/main/balances?limit=%d", limit)
			first := b.get(path).is(200, "")
			var codes []string
			b.walk(path, func(a *answer, i int) {
				if a.text("totals") != first.text("totals") || a.text("seq") != first.text("seq") {
					t.Errorf("totals are %s as of %s, then %s as of %s", first.text("totals"), first.text("seq"), a.text("totals"), a.text("seq"))
				}
				codes = append(codes, a.text("data", i, "code"))
				if i == 0 && len(codes) > 1 {
					b.pay("cash", "customers:1", "1").is(201, "")
				}
			})
			if want := []string{"cash", "customers:1", "customers:2", "yen", "yen:out"}; !slices.Equal(codes, want) {
				t.Errorf("by %d: %v, want %v", limit, codes, want)
			}
		}
	})
}

func TestTransfersAreFound(t *testing.T) {
	t.Parallel()
	withBank(t, func(t *testing.T, b *bank) {
		b.openAccounts()
		paid := b.transfer(`{"debit":"cash","credit":"customers:1","amount":"12.34","reference":"inv-1","metadata":{"order":"A-7","n":1.50,"paid":true,"in":{"deep":"x"},"":""}}`).is(201, "") // 6
		id := paid.text("id")
		b.transfer(`{"debit":"customers:1","credit":"cash","amount":"2.34","related_to":"`+id+`","reference":"inv-1","metadata":{"order":"A-8","n":1.5}}`).is(201, "") // 7
		b.transfer(`{"debit":"yen","credit":"yen:out","amount":"12","metadata":{"order":"A-7"}}`).is(201, "")                                                          // 8
		b.hold("5", "")                                                                                                                                                // 9
		for query, want := range map[string]string{
			"reference=inv-1":  "6 7",
			"related_to=" + id: "7",
			"related_to=01890a5d-ac96-774b-bcce-b302099a8057": "",
			"min_amount=5":                                       "6 8 9",
			"min_amount=5&max_amount=12":                         "8 9",
			"min_amount=12&max_amount=12.34&currency=EUR":        "6",
			"min_amount=12.0":                                    "6 8",
			"max_amount=2.34":                                    "7",
			"currency=JPY":                                       "8",
			"currency=CHF":                                       "",
			"from_seq=7&to_seq=8":                                "7 8",
			"from_seq=9":                                         "9",
			"to_seq=6":                                           "6",
			"metadata_key=order&metadata_value=A-7":              "6 8",
			"metadata_key=n&metadata_value=1.50":                 "6",
			"metadata_key=n&metadata_value=1.5":                  "7",
			"metadata_key=paid&metadata_value=true":              "6",
			"metadata_key=deep&metadata_value=x":                 "",
			"metadata_key=order&metadata_value=":                 "",
			"metadata_key=order&metadata_value=A-7&from_seq=7":   "8",
			"metadata_key=order&metadata_value=A-7&account=cash": "6",
			"reference=inv-1&min_amount=10":                      "6",
			"account=cash&max_amount=5":                          "7 9",
			"account_prefix=customers&currency=EUR&from=1970-01-01&to=2999-12-31": "6 7 9",
		} {
			for _, limit := range []int{1, 2, 1000} {
				got := ""
				b.walk(fmt.Sprintf("/v1/ledgers/main/transfers?%s&limit=%d", query, limit), func(a *answer, i int) {
					if got != "" {
						got += " "
					}
					got += a.text("data", i, "seq")
				})
				if got != want {
					t.Errorf("%s by %d: found %q, want %q", query, limit, got, want)
				}
			}
		}
	})
}

// What is booked fits 128 bits; what has the same value date may not.
func TestABalanceBeyondTheRangeIsAnAnswer(t *testing.T) {
	t.Parallel()
	withClock(t, func(t *testing.T, b *bank, c *clock) {
		b.openAccounts()
		const most = "1701411834604692317316873037158841057.27"
		today, tomorrow := c.on(0), c.on(1)
		b.pay("cash", "customers:1", most).is(201, "")
		b.transfer(`{"debit":"customers:1","credit":"cash","amount":"`+most+`","effective_date":"`+tomorrow+`"}`).is(201, "")
		b.pay("cash", "customers:1", "0.01").is(201, "")
		const account = "/v1/ledgers/main/accounts/cash/balance"
		b.get(account).is(200, "").want("balance", "0.01")
		b.get(account+"?effective="+tomorrow).is(200, "").want("balance", "0.01")
		b.get(account+"?effective="+today).is(422, "amount_range")
		b.get("/v1/ledgers/main/balances?effective="+today).is(422, "amount_range")
	})
}
