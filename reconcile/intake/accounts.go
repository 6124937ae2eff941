package intake

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"tallystick/ledger/money"
	"tallystick/reconcile/bankfile"
)

// Accounts say which account of the ledger stands for a bank account.
type Accounts struct {
	Policy map[string]string // by IBAN or number without spaces, or by that with a slash and the currency; see policy.Policy.BankAccounts
	ByHand map[string]string // the same, and comes before the policy; "" is for all that are not named
	// Currency returns the decimals of a currency that ISO 4217 does not list, as the ledger has them.
	Currency func(code string) (money.Currency, bool)
}

// AccountError says that a file cannot be taken because an account of the ledger is not known, not there, or not fit. The
// file is neither stored nor in quarantine.
type AccountError struct {
	BankAccount string
	Currency    string
	Account     string // of the ledger; empty when none is named
	Problem     string
}

// Error says what is wrong and what to do.
func (e *AccountError) Error() string {
	return fmt.Sprintf("finding the account of the ledger for bank account %s in %s: %s", e.BankAccount, e.Currency, e.Problem)
}

// resolve finds the account of each fresh statement.
func (t *taking) resolve(j *judgement) error {
	before, err := t.db.BankAccounts(t.ctx, t.id)
	if err != nil {
		return err
	}
	type key struct{ bank, currency string }
	stored := make(map[key]string, len(before))
	for _, b := range before {
		stored[key{b.Bank, b.Currency}] = b.Account
	}
	codes := map[string]bool{}
	for i := range j.fresh {
		s := &j.fresh[i]
		s.Account, err = t.accounts.choose(s.BankAccount, s.Currency, stored[key{s.BankAccount, s.Currency}])
		if err != nil {
			return err
		}
		codes[s.Account] = true
	}
	found, err := t.db.AccountsByCode(t.ctx, t.id, slices.Sorted(maps.Keys(codes)))
	if err != nil {
		return fmt.Errorf("reading the accounts of bank file %s: %w", t.file.Name, err)
	}
	for i := range j.fresh {
		s := &j.fresh[i]
		a, ok := found[s.Account]
		e := &AccountError{BankAccount: s.BankAccount, Currency: s.Currency, Account: s.Account}
		switch {
		case !ok:
			e.Problem = fmt.Sprintf("account %s does not exist; open it first, as an asset in %s", s.Account, s.Currency)
		case a.Currency != s.Currency:
			e.Problem = fmt.Sprintf("account %s is in %s; name an account in %s", s.Account, a.Currency, s.Currency)
		case a.Scale != s.Scale:
			e.Problem = fmt.Sprintf("account %s has %d decimals and the statement %d", s.Account, a.Scale, s.Scale)
		default:
			continue
		}
		return e
	}
	return nil
}

// choose returns the code of the account for a bank account, of which there may be statements already.
func (a *Accounts) choose(bank, currency, stored string) (string, error) {
	short := spaceless(bank)
	named := cmp.Or(a.ByHand[short+"/"+currency], a.ByHand[short], a.Policy[short+"/"+currency], a.Policy[short], a.ByHand[""])
	switch {
	case named == "" && stored == "":
		return "", &AccountError{BankAccount: bank, Currency: currency, Problem: fmt.Sprintf(
			"nothing says which one it is; add it to the policy's bank_accounts (%s: CODE), or name it by hand", spaceless(bank))}
	case named != "" && stored != "" && named != stored:
		return "", &AccountError{BankAccount: bank, Currency: currency, Account: named, Problem: fmt.Sprintf(
			"its statements so far belong to account %s, and now %s is named; a bank account keeps its account", stored, named)}
	}
	return cmp.Or(named, stored), nil
}

// numberOf returns the account's number in a form that can be stored.
func numberOf(s *bankfile.Statement) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s.Account.String(), "\uFFFD"), "\x00", "\uFFFD")
}

// spaceless is the form in which a policy names bank accounts.
func spaceless(s string) string { return strings.Join(strings.Fields(s), "") }
