package entryfile

import "errors"

// ErrRetyped says that a journal took all accounts under a code for one type, and
// that an account of this very code has another one.
var ErrRetyped = errors.New("the journal cannot be continued; export to a new file, which will declare the type of each account by itself")

// Types says where accounts that lie under one code are all of one type. A journal
// then declares the type once: what hledger needs for its statements grows with the
// square of the accounts that have a type of their own (hledger 1.25 does not come
// to an end with 20,000 of them).
type Types struct {
	under map[string]shared
}

// shared is what the accounts at and under a code have in common.
type shared struct {
	accountType string // empty where they are of several types
	many        bool   // more than one account
}

// Add takes note of an account.
func (t *Types) Add(code, accountType string) {
	if t.under == nil {
		t.under = map[string]shared{}
	}
	for i := 0; i <= len(code); i++ {
		if i < len(code) && code[i] != ':' {
			continue
		}
		has, ok := t.under[code[:i]]
		switch {
		case !ok:
			has.accountType = accountType
		case has.accountType != accountType:
			has = shared{many: true}
		default:
			has.many = true
		}
		t.under[code[:i]] = has
	}
}

// above returns the first segments of a code, as few as possible, under which all
// accounts are of a type, if there are others than this one.
func (t *Types) above(code, accountType string) (string, bool) {
	for i := 0; i < len(code); i++ {
		if code[i] != ':' {
			continue
		}
		if has := t.under[code[:i]]; has.many && has.accountType == accountType {
			return code[:i], true
		}
	}
	return "", false
}
