package policy

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"go.yaml.in/yaml/v3"

	"tallystick/ledger/chain"
	"tallystick/reconcile/calendar"
)

// Schema is what the first line of every policy file names.
const Schema = "tallystick/policy/1"

// Bounds of a policy file.
const (
	MaxFile    = 1 << 20 // bytes
	MaxEntries = 10_000  // of any of its lists
)

// Policy is a policy file.
type Policy struct {
	Schema        string `yaml:"schema"`         // Schema
	Name          string `yaml:"name"`           // which of the institution's policies, as policy_adopted has it
	Version       string `yaml:"version"`        // what the institution calls this version
	EffectiveFrom Date   `yaml:"effective_from"` // first booking date it applies to

	Calendar     Calendar          `yaml:"calendar"`
	BankAccounts map[string]string `yaml:"bank_accounts"` // IBAN, or the number the bank uses → code of the ledger's account
	Accounts     Accounts          `yaml:"accounts"`
	Matching     Matching          `yaml:"matching"`
	Classes      []Class           `yaml:"classes"`
	Risk         Risk              `yaml:"risk"`

	// SHA256 is that of the file's bytes.
	SHA256 chain.Hash `yaml:"-"`

	days calendar.Calendar
}

// Calendar names the business days.
type Calendar struct {
	Named    string `yaml:"named"`    // one of calendar.Names; "weekdays" when empty
	Holidays []Date `yaml:"holidays"` // besides those
}

// Accounts says which accounts play a part in the checks.
type Accounts struct {
	Control  []Control `yaml:"control"`
	Suspense []Aged    `yaml:"suspense"`
	Clearing []Aged    `yaml:"clearing"`
}

// Control is an account that must equal the sum of others, in each currency.
type Control struct {
	Account string  `yaml:"account"`
	Sum     Pattern `yaml:"sum"` // of the accounts that match
	// Opposite says that the two stand on opposite sides of the book, and so add up to zero.
	Opposite bool `yaml:"opposite"`
}

// Aged is a group of accounts that are to be zero, sooner or later.
type Aged struct {
	Match Pattern `yaml:"match"`
	// MaxAge is for how many business days a balance may stand before it is a finding.
	MaxAge int `yaml:"max_age"`
}

// Roles of accounts that are to be zero, sooner or later.
const (
	RoleSuspense = "suspense"
	RoleClearing = "clearing"
)

// Ages returns whether an account is to be zero sooner or later, in which role, and for how long a balance may stand. The
// first pattern that matches counts, those of suspense accounts before those of clearing accounts.
func (a *Accounts) Ages(code string) (role string, allowed Aged, ok bool) {
	for _, group := range []struct {
		role string
		list []Aged
	}{{RoleSuspense, a.Suspense}, {RoleClearing, a.Clearing}} {
		for _, aged := range group.list {
			if aged.Match.Matches(code) {
				return group.role, aged, true
			}
		}
	}
	return "", Aged{}, false
}

// Class gives the accounts that it matches a class. The first that matches counts.
type Class struct {
	Match Pattern           `yaml:"match"`
	Tags  map[string]string `yaml:"tags"`  // all must be there; "*" is any value
	Type  string            `yaml:"type"`  // asset, liability, …; any when empty
	Class string            `yaml:"class"` // such as client_money
	Pool  string            `yaml:"pool"`  // which of several of the class
	Group string            `yaml:"group"` // tag whose value groups connected accounts, such as client; empty: each for itself
}

// Days returns the business days.
func (p *Policy) Days() calendar.Calendar { return p.days }

// InForce says whether the policy applies on a booking date.
func (p *Policy) InForce(day chain.Date) bool { return p.EffectiveFrom.Date <= day }

// Classify returns the first class that matches an account, and false when none does: that is an error of the policy, and
// never a class of its own.
func (p *Policy) Classify(code, accountType string, tags map[string]string) (Class, bool) {
	for _, c := range p.Classes {
		if (c.Type == "" || c.Type == accountType) && c.Match.Matches(code) && tagged(c.Tags, tags) {
			return c, true
		}
	}
	return Class{}, false
}

func tagged(wanted, tags map[string]string) bool {
	for k, v := range wanted {
		if has, ok := tags[k]; !ok || v != "*" && v != has {
			return false
		}
	}
	return true
}

// Decode reads a policy file. Its errors name the line, one error a line of text.
func Decode(file []byte) (*Policy, error) {
	if len(file) > MaxFile {
		return nil, fmt.Errorf("reading policy: it has %d bytes, at most %d are read", len(file), MaxFile)
	}
	var p Policy
	d := yaml.NewDecoder(bytes.NewReader(file))
	d.KnownFields(true)
	switch err := d.Decode(&p); {
	case errors.Is(err, io.EOF):
		return nil, errors.New("reading policy: the file is empty")
	case err != nil:
		return nil, plain(err)
	}
	if err := d.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, errors.New("reading policy: a file holds one policy; what follows --- belongs into another")
	}
	var root yaml.Node
	if err := yaml.Unmarshal(file, &root); err != nil {
		return nil, plain(err)
	}
	c := checking{root: &root}
	c.written(&root)
	p.check(&c)
	if err := c.err(); err != nil {
		return nil, err
	}
	p.SHA256 = sha256.Sum256(file)
	return &p, nil
}
