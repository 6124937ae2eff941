package api

import (
	"fmt"
	"strconv"

	"tallystick/ledger"
)

// maxAccountBatch is how many accounts one request may open.
const maxAccountBatch = 1000

// openAccounts answers POST /v1/ledgers/{ledger}/accounts/batch. A body that
// cannot be read is refused as a whole; past that every account has its own
// result, in the order of the request.
func (h *handlers) openAccounts(x *exchange) error {
	if err := h.findLedger(x); err != nil {
		return err
	}
	key, err := headerKey(x.req.Header)
	if err != nil {
		return err
	}
	accounts, err := x.newAccounts()
	if err != nil {
		return err
	}
	for i, o := range accounts {
		o.ID = accountRequestID(x.ledger, key, strconv.Itoa(i), o.Code)
	}
	results, err := h.open(x, key, accounts)
	if err != nil {
		return err
	}
	existing, err := h.existing(x, accounts, results)
	if err != nil {
		return err
	}
	x.out = append(x.out, `{"results":[`...)
	for i, result := range results {
		x.out = appendOpened(appendComma(x.out, i), result, existing[accounts[i].Code])
	}
	x.out = append(x.out, "]}"...)
	return x.send(200)
}

// newAccounts reads the body of a batch.
func (x *exchange) newAccounts() ([]*ledger.OpenAccount, error) {
	r, err := x.body()
	if err != nil {
		return nil, err
	}
	defer r.release()
	var accounts []*ledger.OpenAccount
	given := false
	r.begin('{')
	for r.next() {
		switch string(r.name) {
		case "accounts":
			given = true
			accounts = decodeAccounts(r)
		default:
			r.unknown()
		}
	}
	if !given {
		r.missing("accounts")
	}
	if err := r.end(); err != nil {
		return nil, err
	}
	if len(accounts) == 0 {
		return nil, fieldProblem(codeItemCount, "/accounts", "a batch has 1 to %d accounts", maxAccountBatch)
	}
	return accounts, nil
}

func decodeAccounts(r *reader) []*ledger.OpenAccount {
	var accounts []*ledger.OpenAccount
	r.begin('[')
	for r.more(']') {
		accounts = append(accounts, decodeAccount(r))
		if len(accounts) > maxAccountBatch {
			r.fail(codeItemCount, "a batch has 1 to %d accounts", maxAccountBatch)
		}
	}
	return accounts
}

// existing reads the accounts that the batch found rather than opened.
func (h *handlers) existing(x *exchange, accounts []*ledger.OpenAccount, results []ledger.Result) (map[string]ledger.Account, error) {
	var codes []string
	for i, r := range results {
		if r.Err == nil && r.Refusal == nil && !isNew(r.Outcome) {
			codes = append(codes, accounts[i].Code)
		}
	}
	if len(codes) == 0 {
		return nil, nil
	}
	found, err := h.DB.AccountsByCode(x.req.Context(), x.ledger, codes)
	if err != nil {
		return nil, fmt.Errorf("reading %d accounts that exist: %w", len(codes), err)
	}
	return found, nil
}

// appendOpened appends the result of one account.
func appendOpened(b []byte, r ledger.Result, existing ledger.Account) []byte {
	var p *problem
	switch {
	case r.Err != nil:
		p = problemOf(r.Err)
	case r.Refusal != nil:
		p = refused(r.Refusal)
	}
	if p != nil {
		b = strconv.AppendInt(append(b, `{"status":`...), int64(p.status()), 10)
		b = appendProblem(append(b, `,"problem":`...), p)
		return append(b, '}')
	}
	a, status := existing, 200
	if isNew(r.Outcome) {
		a, status = openedAccount(r.Entry), 201
	}
	b = strconv.AppendInt(append(b, `{"status":`...), int64(status), 10)
	b = appendAccount(append(b, `,"account":`...), &a)
	return append(b, '}')
}
