package policy

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"tallystick/ledger/chain"
	"tallystick/ledger/money"
	"tallystick/reconcile/calendar"
)

// checking collects what is wrong beyond the syntax, with the line of each.
type checking struct {
	root  *yaml.Node
	wrong []error
}

// add says what is wrong at a path, such as matching, rules, 2, kind. Where the path ends early the line is that of what
// it should stand in.
func (c *checking) add(path []any, format string, args ...any) {
	at := c.root
	if at.Kind == yaml.DocumentNode && len(at.Content) > 0 {
		at = at.Content[0]
	}
	line := at.Line
	for _, step := range path {
		at = inside(at, step)
		if at == nil {
			break
		}
		line = at.Line
	}
	c.wrong = append(c.wrong, fmt.Errorf("line %d: %s: %s", line, spelled(path), fmt.Sprintf(format, args...)))
}

func inside(at *yaml.Node, step any) *yaml.Node {
	if at.Kind == yaml.AliasNode {
		at = at.Alias
	}
	switch step := step.(type) {
	case string:
		for i := 0; at.Kind == yaml.MappingNode && i+1 < len(at.Content); i += 2 {
			if at.Content[i].Value == step {
				return at.Content[i+1]
			}
		}
	case int:
		if at.Kind == yaml.SequenceNode && step < len(at.Content) {
			return at.Content[step]
		}
	}
	return nil
}

// written refuses what stands elsewhere than where it counts: anchors and aliases. Who signs a policy reads each number in its
// place.
func (c *checking) written(at *yaml.Node) {
	if at.Kind == yaml.AliasNode || at.Anchor != "" {
		c.wrong = append(c.wrong, fmt.Errorf("line %d: a policy has no anchors and aliases: write it out", at.Line))
		return
	}
	for _, inner := range at.Content {
		c.written(inner)
	}
}

// need says that a key is missing, or has no value, without which a number would be zero.
func (c *checking) need(at []any, keys ...string) {
	for _, key := range keys {
		path := append(slices.Clone(at), key)
		node := document(c.root)
		for _, step := range path {
			if node = inside(node, step); node == nil {
				break
			}
		}
		if node == nil || node.Tag == "!!null" {
			c.add(path, "it is missing")
		}
	}
}

func spelled(path []any) string {
	var b strings.Builder
	for _, step := range path {
		switch step := step.(type) {
		case string:
			if b.Len() > 0 {
				b.WriteByte('.')
			}
			b.WriteString(step)
		case int:
			b.WriteString("[" + strconv.Itoa(step) + "]")
		}
	}
	return b.String()
}

// maxWrong is how many errors are reported at once.
const maxWrong = 20

func (c *checking) err() error {
	if len(c.wrong) == 0 {
		return nil
	}
	if more := len(c.wrong) - maxWrong; more > 0 {
		c.wrong = append(c.wrong[:maxWrong], fmt.Errorf("and %d more", more))
	}
	return fmt.Errorf("reading policy: %w", errors.Join(c.wrong...))
}

// plain words an error of the decoder: it names lines, and Go types, which nobody who writes a policy knows.
func plain(err error) error {
	var types *yaml.TypeError
	if !errors.As(err, &types) {
		return fmt.Errorf("reading policy: %s", strings.TrimPrefix(err.Error(), "yaml: "))
	}
	wrong := make([]error, 0, len(types.Errors))
	for _, text := range types.Errors {
		text = unknownField.ReplaceAllString(text, "there is no key $1 here")
		text = wrongType.ReplaceAllString(text, "$1 stands where something else belongs")
		wrong = append(wrong, errors.New(text))
	}
	return fmt.Errorf("reading policy: %w", errors.Join(wrong...))
}

var (
	unknownField = regexp.MustCompile(`field (\S+) not found in type \S+`)
	wrongType    = regexp.MustCompile("cannot unmarshal !!\\w+ (`[^`]*`)? ?into \\S+")
)

func (p *Policy) check(c *checking) {
	switch {
	case p.Schema != Schema:
		c.add([]any{"schema"}, "this version reads %q, and the file says %q", Schema, p.Schema)
	case p.Name == "":
		c.add([]any{"name"}, "the policy has no name")
	case p.Version == "":
		c.add([]any{"version"}, "the version is missing; call it what you like, and each another")
	}
	if at := inside(document(c.root), "effective_from"); at == nil || at.Tag == "!!null" {
		c.add([]any{"effective_from"}, "from which booking date it is in force is missing")
	}
	p.checkCalendar(c)
	for account, code := range p.BankAccounts {
		if account == "" || strings.ContainsAny(account, " \t") {
			c.add([]any{"bank_accounts", account}, "a bank account is its IBAN or number without spaces")
		}
		if !chain.ValidAccountCode(code) {
			c.add([]any{"bank_accounts", account}, "%q is no code of an account", code)
		}
	}
	p.Accounts.check(c)
	p.Matching.check(c)
	p.checkClasses(c)
	p.Risk.check(c, p)
	slices.SortStableFunc(c.wrong, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
}

func document(root *yaml.Node) *yaml.Node {
	if root.Kind == yaml.DocumentNode && len(root.Content) > 0 {
		return root.Content[0]
	}
	return root
}

func (p *Policy) checkCalendar(c *checking) {
	name := p.Calendar.Named
	if name == "" {
		name = "weekdays"
	}
	days, err := calendar.Named(name)
	if err != nil {
		c.add([]any{"calendar", "named"}, "%v", err)
		return
	}
	holidays := make([]chain.Date, 0, len(p.Calendar.Holidays))
	for _, d := range p.Calendar.Holidays {
		holidays = append(holidays, d.Date)
	}
	p.days = days.With(holidays)
}

func (a *Accounts) check(c *checking) {
	for i, control := range a.Control {
		at := []any{"accounts", "control", i}
		if !chain.ValidAccountCode(control.Account) {
			c.add(append(at, "account"), "%q is no code of an account", control.Account)
		}
		if control.Sum.None() {
			c.add(append(at, "sum"), "the pattern of the accounts that it sums is missing")
		}
		if control.Sum.Matches(control.Account) {
			c.add(append(at, "sum"), "%s matches the control account itself", control.Sum)
		}
	}
	for name, list := range map[string][]Aged{"suspense": a.Suspense, "clearing": a.Clearing} {
		for i, aged := range list {
			at := []any{"accounts", name, i}
			if aged.Match.None() {
				c.add(append(at, "match"), "the pattern of the accounts is missing")
			}
			if aged.MaxAge < 0 || aged.MaxAge > MaxWindow {
				c.add(append(at, "max_age"), "business days are 0 to %d, not %d", MaxWindow, aged.MaxAge)
			}
		}
	}
}

var (
	bankReferences   = []string{"end_to_end", "transaction", "servicer", "instruction", "mandate", "client", "entry", "message", "batch", "uetr", "cheque", "remittance"}
	ledgerReferences = []string{"reference", "request_id", "related_to", "description"}
)

func (m *Matching) check(c *checking) {
	ids := map[string]bool{}
	for i, r := range m.Rules {
		at := []any{"matching", "rules", i}
		if r.ID == "" || ids[r.ID] {
			c.add(append(at, "id"), "each rule has an id of its own, which stands in what it matches")
		}
		ids[r.ID] = true
		byName := r.Kind == ByReference || r.Kind == ByBatch || r.Kind == ByFee
		switch {
		case !byName && r.Kind != ByAmount && r.Kind != BySubset:
			c.add(append(at, "kind"), "a rule is of kind %s, %s, %s, %s or %s, not %q", ByReference, ByAmount, ByBatch, ByFee, BySubset, r.Kind)
		case byName != (len(r.Bank) > 0 && len(r.Ledger) > 0) || !byName && len(r.Bank)+len(r.Ledger) > 0:
			c.add(at, "rules of kind %s, %s and %s name references on both sides (bank, ledger), the others none", ByReference, ByBatch, ByFee)
		}
		for j, name := range r.Bank {
			if !slices.Contains(bankReferences, name) {
				c.add(append(at, "bank", j), "a line of a bank has the references %s, not %q", strings.Join(bankReferences, ", "), name)
			}
		}
		for j, name := range r.Ledger {
			if key, metadata := strings.CutPrefix(name, "metadata."); !slices.Contains(ledgerReferences, name) && (!metadata || key == "") {
				c.add(append(at, "ledger", j), "a posting has the references %s and metadata.KEY, not %q", strings.Join(ledgerReferences, ", "), name)
			}
		}
		if r.Window < 0 || r.Window > MaxWindow {
			c.add(append(at, "window"), "business days are 0 to %d, not %d", MaxWindow, r.Window)
		}
	}
	for name, n := range map[string]*int{"transit": m.Transit, "overdue": m.Overdue} {
		if n != nil && (*n < 0 || *n > MaxWindow) {
			c.add([]any{"matching", name}, "business days are 0 to %d, not %d", MaxWindow, *n)
		}
	}
	for i, f := range m.Fees {
		at := []any{"matching", "fees", i}
		if !money.ValidCurrencyCode(f.Currency) {
			c.add(append(at, "currency"), "%q is no code of a currency", f.Currency)
		}
		if slices.ContainsFunc(m.Fees[:i], func(other Fee) bool { return other.Currency == f.Currency }) {
			c.add(append(at, "currency"), "%s stands here twice; a currency has one tolerance", f.Currency)
		}
		if f.Tolerance.Sign() <= 0 {
			c.add(append(at, "tolerance"), "the tolerance is more than zero")
		}
		if !chain.ValidAccountCode(f.Account) {
			c.add(append(at, "account"), "%q is no code of an account", f.Account)
		}
	}
}

var accountTypes = []string{"", "asset", "liability", "equity", "revenue", "expense"}

func (p *Policy) checkClasses(c *checking) {
	for i, class := range p.Classes {
		at := []any{"classes", i}
		if class.Match.None() {
			c.add(append(at, "match"), "the pattern of the accounts is missing; ** is all of them")
		}
		if class.Class == "" {
			c.add(append(at, "class"), "the class is missing")
		}
		if !slices.Contains(accountTypes, class.Type) {
			c.add(append(at, "type"), "an account is of type %s, not %q", strings.Join(accountTypes[1:], ", "), class.Type)
		}
	}
	for name, n := range map[string]int{"classes": len(p.Classes), "bank_accounts": len(p.BankAccounts), "holidays": len(p.Calendar.Holidays), "rules": len(p.Matching.Rules)} {
		if n > MaxEntries {
			c.add([]any{name}, "it has %d entries, at most %d are read", n, MaxEntries)
		}
	}
}
