package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"github.com/google/uuid"

	"tallystick/api"
	"tallystick/ledger"
	"tallystick/ledger/chain"
	"tallystick/ledger/money"
	"tallystick/ledger/store"
	"tallystick/reconcile"
	"tallystick/reconcile/bankbook"
	"tallystick/reconcile/intake"
	"tallystick/reconcile/policy"
)

// bankDesk takes the files of banks and knows the breaks of the newest run, for the command line and the API alike.
type bankDesk struct {
	db     *store.DB
	policy func() (*policy.Policy, error) // nil, or nil without an error: there is none

	mu    sync.Mutex
	books map[ledger.LedgerID]*api.BreakBook // of the newest run seen of each
}

func (d *bankDesk) forAPI() api.BankDesk {
	return api.BankDesk{
		Take: func(ctx context.Context, id ledger.LedgerID, f api.BankUpload) (api.BankReceipt, error) {
			file := intake.File{Name: f.Name, Content: f.Content, By: f.By.String()}
			byHand := map[string]string{}
			if f.Account != "" {
				byHand[""] = f.Account
			}
			r, err := d.take(ctx, id, file, byHand)
			if unfit, ok := errors.AsType[*intake.AccountError](err); ok {
				return api.BankReceipt{}, &api.BankRefusal{Detail: unfit.Error()}
			}
			receipt := api.BankReceipt{Outcome: string(r.Outcome), File: r.File}
			for _, s := range r.Statements {
				receipt.Statements = append(receipt.Statements, api.BankStatementTaken{BankStatement: s.BankStatement, Already: s.Already})
			}
			return receipt, err
		},
		Breaks: d.breaks,
	}
}

// take takes a file.
func (d *bankDesk) take(ctx context.Context, id ledger.LedgerID, f intake.File, byHand map[string]string) (intake.Receipt, error) {
	accounts := intake.Accounts{ByHand: byHand}
	if d.policy != nil {
		p, err := d.policy()
		if err != nil {
			return intake.Receipt{}, err
		}
		if p != nil {
			accounts.Policy = p.BankAccounts
		}
	}
	defined, err := definedCurrencies(ctx, d.db, id)
	if err != nil {
		return intake.Receipt{}, err
	}
	accounts.Currency = func(code string) (money.Currency, bool) {
		c, ok := defined[code]
		return c, ok
	}
	return intake.Take(ctx, d.db, id, f, accounts)
}

// definedCurrencies are those that the ledger has defined itself.
func definedCurrencies(ctx context.Context, db *store.DB, id ledger.LedgerID) (map[string]money.Currency, error) {
	opening, err := db.Opening(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("reading the currencies of ledger %s: %w", id, err)
	}
	defined := make(map[string]money.Currency)
	for i := range opening.Rules {
		r := opening.Rules[i].Record()
		if r.Kind != chain.CurrencyDefined {
			continue
		}
		code, _ := r.Detail("code")
		text, _ := r.Detail("scale")
		if scale, err := strconv.ParseUint(text, 10, 8); err == nil {
			defined[code] = money.Currency{Code: code, Scale: uint8(scale)}
		}
	}
	return defined, nil
}

// runsLookedAt is among how many runs the newest that has ended is looked for.
const runsLookedAt = 100

// newestRun returns the newest run of a ledger that has ended, and false before the first.
func newestRun(ctx context.Context, db *store.DB, id ledger.LedgerID) (store.Run, bool, error) {
	runs, err := db.Runs(ctx, id, nil, runsLookedAt)
	if err != nil {
		return store.Run{}, false, err
	}
	for _, r := range runs {
		if r.Phase == store.PhaseDone {
			return r, true, nil
		}
	}
	return store.Run{}, false, nil
}

// bankOutcome reads what a run says about banks.
func bankOutcome(ctx context.Context, db *store.DB, run uuid.UUID) (*reconcile.BankOutcome, error) {
	text, err := reconcile.ReadOutput(ctx, db, run, reconcile.ResultOutput, reconcile.BankResult)
	if err != nil {
		return nil, err
	}
	out := new(reconcile.BankOutcome)
	if err := json.Unmarshal(text, out); err != nil {
		return nil, fmt.Errorf("reading what run %s says about banks: %w", run, err)
	}
	return out, nil
}

// breaks returns the breaks of the newest run, and keeps them: a run does not change.
func (d *bankDesk) breaks(ctx context.Context, id ledger.LedgerID) (*api.BreakBook, error) {
	run, ok, err := newestRun(ctx, d.db, id)
	if err != nil || !ok {
		return nil, err
	}
	d.mu.Lock()
	book := d.books[id]
	d.mu.Unlock()
	if book != nil && book.Run == run.ID.String() {
		return book, nil
	}
	out, err := bankOutcome(ctx, d.db, run.ID)
	if errors.Is(err, reconcile.ErrNoOutput) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if book, err = breakBook(run, out); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.books == nil {
		d.books = make(map[ledger.LedgerID]*api.BreakBook)
	}
	d.books[id] = book
	return book, nil
}

// breakBook lists the breaks of all accounts, those that are open first.
func breakBook(run store.Run, out *reconcile.BankOutcome) (*api.BreakBook, error) {
	book := &api.BreakBook{Run: run.ID.String(), AsOf: run.AsOf.String()}
	add := func(breaks []bankbook.Break) error {
		for i := range breaks {
			text, err := json.Marshal(&breaks[i])
			if err != nil {
				return fmt.Errorf("writing break %s: %w", breaks[i].ID, err)
			}
			b := api.Break{ID: breaks[i].ID, Account: breaks[i].Account, Status: string(breaks[i].Status), Bucket: string(breaks[i].Bucket), Decided: breaks[i].Decided, MoreLines: breaks[i].MoreLines, JSON: text}
			for _, l := range breaks[i].Lines {
				b.Lines = append(b.Lines, api.BreakLine{ID: l.ID, Amount: l.Amount, Currency: l.Currency})
			}
			book.Breaks = append(book.Breaks, b)
		}
		return nil
	}
	for _, a := range out.Accounts {
		if err := add(a.Breaks); err != nil {
			return nil, err
		}
	}
	for _, a := range out.Accounts {
		if err := add(a.Settled); err != nil {
			return nil, err
		}
	}
	return book, nil
}
