package api

import (
	"errors"
	"fmt"
	"net/url"

	"tallystick/ledger"
	"tallystick/ledger/chain"
	"tallystick/ledger/store"
)

func accountNotFound() *problem {
	return newProblem(codeAccountNotFound, "this ledger has no account of that code")
}

// accountCode returns the {account} of the path. What cannot be a code never
// reaches the database.
func (x *exchange) accountCode() (string, error) {
	code := x.param("account")
	if !chain.ValidAccountCode(code) {
		return "", accountNotFound()
	}
	return code, nil
}

// account finds ledger and account of the path.
func (h *handlers) account(x *exchange) (ledger.Account, error) {
	if err := h.findLedger(x); err != nil {
		return ledger.Account{}, err
	}
	code, err := x.accountCode()
	if err != nil {
		return ledger.Account{}, err
	}
	return h.readAccount(x, code)
}

func (h *handlers) readAccount(x *exchange, code string) (ledger.Account, error) {
	a, err := h.DB.Account(x.req.Context(), x.ledger, code)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return a, accountNotFound()
	case err != nil:
		return a, fmt.Errorf("reading account %s: %w", code, err)
	}
	return a, nil
}

// openAccount answers POST /v1/ledgers/{ledger}/accounts.
func (h *handlers) openAccount(x *exchange) error {
	if err := h.findLedger(x); err != nil {
		return err
	}
	key, err := headerKey(x.req.Header)
	if err != nil {
		return err
	}
	o, err := x.newAccount()
	if err != nil {
		return err
	}
	o.ID = accountRequestID(x.ledger, key, "", o.Code)
	outcomes, err := h.open(x, key, []*ledger.OpenAccount{o})
	if err != nil {
		return err
	}
	outcome := outcomes[0]
	switch {
	case outcome.Err != nil:
		return fmt.Errorf("opening account %s: %w", o.Code, outcome.Err)
	case outcome.Refusal != nil:
		return refused(outcome.Refusal)
	}
	x.header["Location"] = []string{"/v1/ledgers/" + x.c.Param("ledger") + "/accounts/" + url.PathEscape(o.Code)}
	if isNew(outcome.Outcome) {
		x.entrySeq = outcome.Entry.Seq()
		a := openedAccount(outcome.Entry)
		x.out = appendAccount(x.out, &a)
		return x.send(201)
	}
	if outcome.Replayed {
		x.entrySeq, x.replayed = outcome.Entry.Seq(), true
		x.header["Idempotent-Replayed"] = []string{"true"}
	}
	a, err := h.readAccount(x, o.Code)
	if err != nil {
		return err
	}
	x.out = appendAccount(x.out, &a)
	return x.send(200)
}

// newAccount reads the body of one account to open.
func (x *exchange) newAccount() (*ledger.OpenAccount, error) {
	r, err := x.body()
	if err != nil {
		return nil, err
	}
	defer r.release()
	o := decodeAccount(r)
	return o, r.end()
}

// open submits requests whose ids are set. An id derived from a code stands for
// the request that opened the account. Another request for that code conflicts
// with it, and is asked again under an id of its own: the account's attributes,
// which may have changed since, then decide whether it exists as asked.
func (h *handlers) open(x *exchange, key string, accounts []*ledger.OpenAccount) ([]ledger.Result, error) {
	requests := make([]ledger.Request, len(accounts))
	for i, o := range accounts {
		x.identify(&o.Common)
		requests[i] = o
	}
	results, err := h.submitAll(x, requests)
	if err != nil || key != "" {
		return results, err
	}
	var again []ledger.Request
	var places []int
	for i, r := range results {
		if r.Refusal == nil || r.Refusal.Code != ledger.CodeIdempotencyConflict {
			continue
		}
		id, err := ledger.NewRequestID()
		if err != nil {
			results[i] = ledger.Result{Err: err}
			continue
		}
		accounts[i].ID = id
		again, places = append(again, accounts[i]), append(places, i)
	}
	answers, err := h.submitAll(x, again)
	for i, r := range answers {
		results[places[i]] = r
	}
	return results, err
}

// isNew reports whether the request itself became an entry.
func isNew(o ledger.Outcome) bool { return o.Entry != nil && !o.Replayed }

// openedAccount returns the state of an account right after the entry that
// opened it.
func openedAccount(e *ledger.Entry) ledger.Account {
	return ledger.Account{
		Account:    *e.Record().Account,
		Name:       e.Text().Description,
		OpenedSeq:  e.Seq(),
		VersionSeq: e.Seq(),
	}
}

// changeAccount answers PATCH /v1/ledgers/{ledger}/accounts/{account}.
func (h *handlers) changeAccount(x *exchange) error {
	if err := h.findLedger(x); err != nil {
		return err
	}
	code, err := x.accountCode()
	if err != nil {
		return err
	}
	change, err := x.accountChange()
	if err != nil {
		return err
	}
	change.Code = code
	if change.ID, change.Keyed, err = freshRequestID(x.req.Header, x.ledger, ledger.OperationChangeAccount); err != nil {
		return err
	}
	x.identify(&change.Common)
	outcome, err := h.Poster.Submit(x.req.Context(), x.ledger, change)
	switch {
	case err != nil:
		return fmt.Errorf("changing account %s: %w", code, err)
	case outcome.Refusal != nil && outcome.Refusal.Code == ledger.CodeUnknownAccount:
		return accountNotFound()
	case outcome.Refusal != nil:
		return refused(outcome.Refusal)
	case outcome.Replayed:
		x.replayed = true
		x.header["Idempotent-Replayed"] = []string{"true"}
	}
	if outcome.Entry != nil {
		x.entrySeq = outcome.Entry.Seq()
	}
	a, err := h.readAccount(x, code)
	if err != nil {
		return err
	}
	x.out = appendAccount(x.out, &a)
	return x.send(200)
}

func (x *exchange) accountChange() (*ledger.ChangeAccount, error) {
	r, err := x.body()
	if err != nil {
		return nil, err
	}
	defer r.release()
	change := decodeAccountChange(r)
	return change, r.end()
}

// oneAccount answers GET /v1/ledgers/{ledger}/accounts/{account}.
func (h *handlers) oneAccount(x *exchange) error {
	if q := x.query(); q.err != nil {
		return q.err
	}
	a, err := h.account(x)
	if err != nil {
		return err
	}
	x.out = appendAccount(x.out, &a)
	return x.send(200)
}

// listAccounts answers GET /v1/ledgers/{ledger}/accounts, in the order of codes.
func (h *handlers) listAccounts(x *exchange) error {
	if err := h.findLedger(x); err != nil {
		return err
	}
	q := x.query("prefix", "limit", "cursor")
	limit, prefix := q.limit(), q.code("prefix")
	list := listID("accounts", x.ledger.String(), prefix)
	after := q.after(list)
	if q.err != nil {
		return q.err
	}
	accounts, err := h.DB.Accounts(x.req.Context(), x.ledger,
		store.AccountFilter{Prefix: prefix, AfterCode: after, Limit: limit + 1})
	if err != nil {
		return fmt.Errorf("listing accounts after %q: %w", after, err)
	}
	next := ""
	if len(accounts) > limit {
		accounts = accounts[:limit]
		next = newCursor(list, accounts[limit-1].Code)
	}
	x.out = appendList(x.out, accounts, next, appendAccount)
	return x.send(200)
}

// decodeAccount reads an account to open.
func decodeAccount(r *reader) *ledger.OpenAccount {
	o := &ledger.OpenAccount{}
	r.begin('{')
	for r.next() {
		switch string(r.name) {
		case "code":
			o.Code = r.newAccountCode()
		case "type":
			o.Type = r.accountType()
		case "currency":
			o.Currency = r.currency()
		case "name":
			o.Name = r.optionalText(ledger.MaxAccountName)
		case "min_balance":
			o.MinBalance = r.limit()
		case "max_balance":
			o.MaxBalance = r.limit()
		case "frozen":
			o.Frozen = r.frozen()
		case "tags":
			o.Tags = r.tags()
		default:
			r.unknown()
		}
	}
	switch {
	case o.Code == "":
		r.missing("code")
	case o.Type == 0:
		r.missing("type")
	case o.Currency == "":
		r.missing("currency")
	}
	if r.err != nil {
		return o
	}
	var err error
	if o.AccountID, err = ledger.NewAccountID(); err != nil {
		r.err = err
	}
	return o
}

// decodeAccountChange reads the attributes to change.
func decodeAccountChange(r *reader) *ledger.ChangeAccount {
	change := &ledger.ChangeAccount{}
	r.begin('{')
	for r.next() {
		switch string(r.name) {
		case "name":
			change.Name = r.optionalText(ledger.MaxAccountName)
		case "min_balance":
			change.MinBalance = ledger.Limit{Set: true, Value: r.limit()}
		case "max_balance":
			change.MaxBalance = ledger.Limit{Set: true, Value: r.limit()}
		case "frozen":
			frozen := r.frozen()
			change.Frozen = &frozen
		case "closed":
			change.Close = r.closing()
		case "tags":
			tags := r.tags()
			change.Tags = &tags
		default:
			r.unknown()
		}
	}
	return change
}

// newAccountCode reads the code of an account to open. Codes that begin with
// '_' are kept for the ledger's own accounts; "." and ".." have no place in a
// path.
func (r *reader) newAccountCode() string {
	code := r.accountCode()
	if code == "." || code == ".." || code != "" && code[0] == '_' {
		r.fail(codeAccountReserved, "the codes \".\" and \"..\" and those that begin with '_' are reserved")
	}
	return code
}

func (r *reader) accountType() chain.AccountType {
	t, ok := chain.ParseAccountType(string(r.bytes("an account type")))
	if !ok {
		r.fail(codeValueInvalid, "a type is asset, liability, equity, revenue or expense")
	}
	return t
}

func (r *reader) frozen() chain.Frozen {
	f, ok := chain.ParseFrozen(string(r.bytes("a string")))
	if !ok {
		r.fail(codeValueInvalid, "frozen is none, debits, credits or all")
	}
	return f
}

// closing reads the one value that closed may take.
func (r *reader) closing() bool {
	closed := r.boolean()
	if !closed {
		r.fail(codeValueInvalid, "closed can only become true; a closed account stays closed")
	}
	return closed
}
