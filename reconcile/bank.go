package reconcile

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"tallystick/ledger/chain"
	"tallystick/ledger/money"
	"tallystick/ledger/store"
	"tallystick/reconcile/bankbook"
	"tallystick/reconcile/calendar"
	"tallystick/reconcile/policy"
)

// Bank says what to reconcile with what banks say. The result depends on nothing else, but for when breaks were first seen,
// which is written once and looked at only where it is before AsOf.
type Bank struct {
	Snapshot *store.Snapshot // the ledger up to the end of AsOf
	Present  int64           // decisions among the entries up to this size count
	AsOf     chain.Date
	Days     calendar.Calendar
	Policy   *policy.Policy // nil without one
	// Statements count up to this number, where they end up to AsOf; files in quarantine up to BankFiles.
	Statements, BankFiles int64
	Account               string // only this one; empty for all
	// Progress tells how many accounts are done.
	Progress func(done, total int64)
}

// BankOutcome is what came of all accounts.
type BankOutcome struct {
	Accounts    []*bankbook.Result `json:"accounts"`    // in order of their codes
	Unknown     []string           `json:"unknown"`     // accounts that the policy names and the ledger does not have
	Quarantined []QuarantinedFile  `json:"quarantined"` // that nobody has dealt with
}

// QuarantinedFile is a file that was refused.
type QuarantinedFile struct {
	File    int64  `json:"file"`
	SHA256  string `json:"sha256"`
	Reasons int    `json:"reasons"`
}

// ReconcileBank reconciles every account that stands for one at a bank: those of the policy, and those that have statements.
//
// It takes all lines since the first statement into account every time, so that a statement that comes late, a decision or
// another rule has its full effect, and the same inputs have the same result whatever ran before. To go on from the open
// items of the run before would make the result depend on what ran before, for little: a hundred thousand lines on each side
// take 2.4 s (BenchmarkBankPhase), and match.MaxLines bounds them all.
func ReconcileBank(ctx context.Context, b Bank) (*BankOutcome, error) {
	r := &bankReader{Bank: b}
	if b.Policy != nil {
		r.rules = b.Policy.Matching
	}
	out := &BankOutcome{Accounts: []*bankbook.Result{}, Unknown: []string{}, Quarantined: []QuarantinedFile{}}
	for _, step := range []func(context.Context) error{r.readStatements, r.readDecisions, r.readSeen} {
		if err := retry(ctx, func() error { return step(ctx) }); err != nil {
			return nil, fmt.Errorf("reconciling ledger %s with its banks: %w", b.Snapshot.LedgerID, err)
		}
	}
	expected := map[string][]string{} // bank accounts by account
	if b.Policy != nil {
		for bank, code := range b.Policy.BankAccounts {
			expected[code] = append(expected[code], bankNumber(bank))
		}
	}
	codes := map[string]bool{}
	for code := range expected {
		codes[code] = true
	}
	for code := range r.statements {
		codes[code] = true
	}
	if b.Account != "" {
		codes = map[string]bool{b.Account: true}
	}
	order := slices.Sorted(maps.Keys(codes))
	for i, code := range order {
		result, err := r.account(ctx, code, expected[code])
		if err != nil {
			return nil, fmt.Errorf("reconciling account %s with its bank: %w", code, err)
		}
		if result == nil {
			out.Unknown = append(out.Unknown, code)
		} else {
			out.Accounts = append(out.Accounts, result)
		}
		if b.Progress != nil {
			b.Progress(int64(i)+1, int64(len(order)))
		}
	}
	err := retry(ctx, func() error { return r.readQuarantine(ctx, out) })
	return out, wrap("reading the bank files in quarantine", err)
}

// bankNumber returns the number of a bank account from a policy's key, which may end with a slash and a currency.
func bankNumber(key string) string {
	if at := strings.LastIndexByte(key, '/'); at > 0 && len(key)-at-1 == len("EUR") && money.ValidCurrencyCode(key[at+1:]) {
		return key[:at]
	}
	return key
}

// account reconciles one account, nil when the ledger does not have it.
func (r *bankReader) account(ctx context.Context, code string, expected []string) (*bankbook.Result, error) {
	in := bankbook.Input{Account: code, AsOf: r.AsOf, Expected: expected, Rules: r.rules, Days: r.Days, Decisions: r.decisions,
		FirstSeen: func(id string) (chain.Date, bool) {
			day, ok := r.seen[id]
			return day, ok && day < r.AsOf
		}}
	known := false
	err := retry(ctx, func() (err error) {
		known, err = r.readAccount(ctx, code, &in)
		return err
	})
	if err != nil || !known {
		return nil, err
	}
	for _, s := range r.statements[code] {
		if s.currency != in.Currency || s.scale != in.Scale {
			return bankbook.Broken(&in, fmt.Sprintf("statement %d is in %s with %d decimals, and the account in %s with %d: what is stored was changed", s.Number, s.currency, s.scale, in.Currency, in.Scale)), nil
		}
		lines, err := r.readLines(ctx, s)
		if err != nil {
			return nil, err
		}
		s.Lines = lines
		in.Statements = append(in.Statements, s.Statement)
	}
	if len(in.Statements) > 0 {
		if err := r.readPostings(ctx, &in); err != nil {
			return nil, err
		}
	}
	return bankbook.Reconcile(in)
}

// bankReader reads what banks and the ledger say.
type bankReader struct {
	Bank
	rules      policy.Matching
	statements map[string][]bankStatement // by account
	numbers    map[int64]bool             // of statements
	decisions  []bankbook.Decision
	handled    map[string]bool // other subjects of decisions, such as bankfile:3
	seen       map[string]chain.Date
	accountID  store.Key // of the account at hand
}

// bankStatement is a statement, and the currency it is in.
type bankStatement struct {
	bankbook.Statement
	currency string
	scale    uint8
}

// names returns which references the rules compare, on each side: others need not be held.
func (r *bankReader) names() (bank, ledger map[string]bool) {
	bank, ledger = map[string]bool{}, map[string]bool{}
	for _, rule := range r.rules.RulesInForce() {
		for _, name := range rule.Bank {
			bank[name] = true
		}
		for _, name := range rule.Ledger {
			ledger[name] = true
		}
	}
	return bank, ledger
}
