package mapping

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"tallystick/cmd/tallystick/internal/tabular"
)

// MaxSize bounds a mapping file, in bytes.
const MaxSize = 1 << 20

// Mapping is a mapping file.
type Mapping struct {
	Ledger   *Terms    `yaml:"ledger"`
	Accounts []account `yaml:"accounts"`
	Files    []*File   `yaml:"files"`
}

// File says what the rows of one kind of file become.
type File struct {
	Match     string      `yaml:"match"`
	Format    string      `yaml:"format"`
	Delimiter string      `yaml:"delimiter"`
	Encoding  string      `yaml:"encoding"`
	Numbers   numbers     `yaml:"numbers"`
	Skip      []condition `yaml:"skip"`
	Accounts  []account   `yaml:"accounts"`
	Transfers []transfer  `yaml:"transfers"`
}

// account makes an account.
type account struct {
	Code       template            `yaml:"code"`
	Type       template            `yaml:"type"`
	Currency   template            `yaml:"currency"`
	Name       template            `yaml:"name"`
	MinBalance template            `yaml:"min_balance"`
	MaxBalance template            `yaml:"max_balance"`
	Frozen     template            `yaml:"frozen"`
	Tags       map[string]template `yaml:"tags"`
	Opening    *opening            `yaml:"opening_balance"`
	Skip       []condition         `yaml:"skip"`
}

// opening makes the transfer that gives an account its first balance.
type opening struct {
	Amount      template `yaml:"amount"`
	From        template `yaml:"from"`
	Effective   *date    `yaml:"effective_date"`
	Description template `yaml:"description"`
	Reference   template `yaml:"reference"`
}

// transfer makes a transfer.
type transfer struct {
	Debit       template            `yaml:"debit"`
	Credit      template            `yaml:"credit"`
	Amount      template            `yaml:"amount"`
	Currency    template            `yaml:"currency"`
	Negative    string              `yaml:"negative"`
	Postings    []posting           `yaml:"postings"`
	Effective   *date               `yaml:"effective_date"`
	Description template            `yaml:"description"`
	Reference   template            `yaml:"reference"`
	Metadata    map[string]template `yaml:"metadata"`
	Skip        []condition         `yaml:"skip"`
}

// posting makes one leg.
type posting struct {
	Account   template    `yaml:"account"`
	Direction template    `yaml:"direction"`
	Amount    template    `yaml:"amount"`
	Currency  template    `yaml:"currency"`
	Skip      []condition `yaml:"skip"`
}

// condition holds for some rows. It has one test.
type condition struct {
	Column    string  `yaml:"column"`
	Equals    *string `yaml:"equals"`
	NotEquals *string `yaml:"not_equals"`
	Empty     *bool   `yaml:"empty"`
	Zero      *bool   `yaml:"zero"`
}

// Parse reads a mapping file.
func Parse(text []byte) (*Mapping, error) {
	if len(text) > MaxSize {
		return nil, fmt.Errorf("it has %d bytes, %d are allowed", len(text), MaxSize)
	}
	m := &Mapping{}
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(m); err != nil {
		return nil, inOurWords(err)
	}
	if err := d.Decode(&struct{}{}); err != io.EOF {
		return nil, errors.New("there is a second document after ---")
	}
	return m, m.check()
}

// goNames are what the decoder says about our types.
var goNames = regexp.MustCompile(`(?:field (\S+) not found in type \S+)|(?:into (?:\[\]|\*)*mapping\.\w+)`)

// inOurWords takes the names of Go types out of an error of the decoder.
func inOurWords(err error) error {
	if err == io.EOF {
		return errors.New("the mapping is empty")
	}
	lines := []string{strings.TrimPrefix(err.Error(), "yaml: ")}
	if types, ok := errors.AsType[*yaml.TypeError](err); ok {
		lines = types.Errors
	}
	for i, line := range lines {
		lines[i] = goNames.ReplaceAllStringFunc(line, func(said string) string {
			if m := goNames.FindStringSubmatch(said); m[1] != "" {
				return "there is no key " + m[1] + " here"
			}
			return "into what is due here"
		})
	}
	return errors.New(strings.Join(lines, "\n"))
}

// For returns what describes a file, by the last part of its path.
func (m *Mapping) For(base string) (*File, error) {
	var patterns []string
	for _, f := range m.Files {
		if ok, _ := path.Match(f.Match, base); ok { // checked by Parse
			return f, nil
		}
		patterns = append(patterns, f.Match)
	}
	return nil, fmt.Errorf("the mapping says nothing about a file named %s; its patterns are %s", base, strings.Join(patterns, ", "))
}

// Options returns how the file is to be read.
func (f *File) Options() tabular.Options {
	o := tabular.Options{Format: tabular.Format(f.Format), Encoding: tabular.Encoding(f.Encoding)}
	for _, r := range f.Delimiter {
		o.Delimiter = r
	}
	return o
}

// Columns returns the columns that the file must have, sorted.
func (f *File) Columns() []string {
	named := map[string]bool{}
	conditionColumns(named, f.Skip)
	for i := range f.Accounts {
		f.Accounts[i].columns(named)
	}
	for i := range f.Transfers {
		f.Transfers[i].columns(named)
	}
	columns := make([]string, 0, len(named))
	for name := range named {
		columns = append(columns, name)
	}
	slices.Sort(columns)
	return columns
}

func conditionColumns(into map[string]bool, all []condition) {
	for _, c := range all {
		into[c.Column] = true
	}
}

func (a *account) columns(into map[string]bool) {
	conditionColumns(into, a.Skip)
	for _, t := range []*template{&a.Code, &a.Type, &a.Currency, &a.Name, &a.MinBalance, &a.MaxBalance, &a.Frozen} {
		t.columns(into)
	}
	for _, t := range a.Tags {
		t.columns(into)
	}
	if a.Opening != nil {
		for _, t := range []*template{&a.Opening.Amount, &a.Opening.From, &a.Opening.Description, &a.Opening.Reference} {
			t.columns(into)
		}
		a.Opening.Effective.columns(into)
	}
}

func (t *transfer) columns(into map[string]bool) {
	conditionColumns(into, t.Skip)
	for _, one := range []*template{&t.Debit, &t.Credit, &t.Amount, &t.Currency, &t.Description, &t.Reference} {
		one.columns(into)
	}
	for _, one := range t.Metadata {
		one.columns(into)
	}
	t.Effective.columns(into)
	for i := range t.Postings {
		p := &t.Postings[i]
		conditionColumns(into, p.Skip)
		for _, one := range []*template{&p.Account, &p.Direction, &p.Amount, &p.Currency} {
			one.columns(into)
		}
	}
}

func (d *date) columns(into map[string]bool) {
	if d != nil {
		d.Value.columns(into)
	}
}
