package entryfile

import (
	"errors"
	"strings"
)

// ErrRetyped says that a journal took all accounts under a code for one type, and
// that an account at or between them has another one, which it did not have when the
// journal was begun.
var ErrRetyped = errors.New("the journal cannot be continued: remove it and export anew, which takes the account into consideration")

// Types says where accounts that lie under one code are all of one type. A journal
// then declares the type once: what hledger needs for its statements grows with the
// square of the accounts that have a type of their own (hledger 1.25 does not come
// to an end with 20,000 of them).
type Types struct {
	under map[string]commonType // by the first segments of a code
	open  []typed               // the accounts whose codes the last one begins with
}

// commonType is what the accounts at and under a code have in common.
type commonType struct {
	accountType string // empty where they are of several types
	many        bool   // more than one account
}

type typed struct{ code, accountType string }

// Add takes note of an account. They come in order of their codes.
func (t *Types) Add(code, accountType string) {
	if t.under == nil {
		t.under = map[string]commonType{}
	}
	for len(t.open) > 0 && !strings.HasPrefix(code, t.open[len(t.open)-1].code) {
		t.open = t.open[:len(t.open)-1]
	}
	for i := range t.open { // accounts that have others under them count there, too
		if a := &t.open[i]; len(code) > len(a.code) && code[len(a.code)] == ':' {
			if _, counted := t.under[a.code]; !counted {
				t.count(a.code, a.accountType)
			}
		}
	}
	for above := range prefixes(code) {
		t.count(above, accountType)
	}
	t.open = append(t.open, typed{code, accountType})
}

func (t *Types) count(above, accountType string) {
	has, ok := t.under[above]
	switch {
	case !ok:
		has.accountType = accountType
	case has.accountType != accountType:
		has = commonType{many: true}
	default:
		has.many = true
	}
	t.under[above] = has
}

// highest returns the first segments of a code, as few as possible, under which all
// accounts are of a type, if there are others than this one.
func (t *Types) highest(code, accountType string) (string, bool) {
	for above := range prefixes(code) {
		if has := t.under[above]; has.many && has.accountType == accountType {
			return above, true
		}
	}
	return "", false
}

// prefixes yields the first segments of a code, but for all of them, the fewest
// first.
func prefixes(code string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for i := 0; i < len(code); i++ {
			if code[i] == ':' && !yield(code[:i]) {
				return
			}
		}
	}
}

// declared is what a journal says of the types of accounts.
type declared struct {
	types  map[string]string // the letter of each code that has one of its own
	relied map[string]string // of codes between one that has it and one that takes it from there
}

func newDeclared() declared { return declared{map[string]string{}, map[string]string{}} }

// may reports whether a code may have a letter of its own, or take it from above.
func (d *declared) may(code, letter string) bool {
	return (d.types[code] == "" || d.types[code] == letter) && (d.relied[code] == "" || d.relied[code] == letter)
}

// inherit notes that a code takes its letter from one above.
func (d *declared) inherit(code, above, letter string) {
	for between := range prefixes(code) {
		if len(between) > len(above) {
			d.relied[between] = letter
		}
	}
}

// provider returns the nearest code above that has a letter of its own.
func (d *declared) provider(code string) (above string) {
	for prefix := range prefixes(code) {
		if d.types[prefix] != "" {
			above = prefix
		}
	}
	return above
}

// read takes note of a directive, with a letter or without.
func (d *declared) read(code, letter string) {
	if letter != "" {
		d.types[code] = letter
	} else if above := d.provider(code); above != "" && d.types[code] == "" {
		d.inherit(code, above, d.types[above])
	}
}
