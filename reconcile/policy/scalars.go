package policy

import (
	"fmt"
	"strings"

	"github.com/shopspring/decimal"
	"go.yaml.in/yaml/v3"

	"tallystick/ledger/chain"
	"tallystick/ledger/money"
)

// Date is a day, written 2026-01-31.
type Date struct{ chain.Date }

// UnmarshalYAML reads a day.
func (d *Date) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind != yaml.ScalarNode {
		return fmt.Errorf("line %d: a date is written 2026-01-31", n.Line)
	}
	day, err := chain.ParseDate(n.Value)
	if err != nil {
		return fmt.Errorf("line %d: %q is no date; one is written 2026-01-31", n.Line, n.Value)
	}
	d.Date = day
	return nil
}

// Decimal is an exact number, written as a text: "0.25".
type Decimal struct{ decimal.Decimal }

// UnmarshalYAML reads a number.
func (d *Decimal) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind != yaml.ScalarNode || n.Tag != "!!str" {
		return fmt.Errorf("line %d: numbers are texts here, so that none is taken for another: write %q", n.Line, n.Value)
	}
	v, err := money.ParseAmount(n.Value)
	if err != nil {
		return fmt.Errorf("line %d: reading the number %q: %w", n.Line, n.Value, err)
	}
	d.Decimal = v
	return nil
}

// Pattern matches account codes by segments: "*" is any one segment, "**" at the end any number of them, none included. So
// customers:*:wallet is the wallet of every customer, and customers:** everything of all of them.
type Pattern struct {
	segments []string
	open     bool
}

// ParsePattern reads a pattern.
func ParsePattern(s string) (Pattern, error) {
	var p Pattern
	rest := s
	if s == "**" {
		return Pattern{open: true}, nil
	}
	if before, open := strings.CutSuffix(s, ":**"); open {
		rest, p.open = before, true
	}
	p.segments = strings.Split(rest, ":")
	for _, segment := range p.segments {
		if segment != "*" && (segment == "" || strings.Trim(segment, "abcdefghijklmnopqrstuvwxyz0123456789._-") != "") {
			return Pattern{}, fmt.Errorf("reading the pattern %q: its segments are * or of [a-z0-9._-], joined by ':', and it may end in **", s)
		}
	}
	return p, nil
}

// UnmarshalYAML reads a pattern.
func (p *Pattern) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind != yaml.ScalarNode {
		return fmt.Errorf("line %d: a pattern is a text such as customers:**", n.Line)
	}
	q, err := ParsePattern(n.Value)
	if err != nil {
		return fmt.Errorf("line %d: %w", n.Line, err)
	}
	*p = q
	return nil
}

// String returns the pattern as it is written; empty for none.
func (p Pattern) String() string {
	s := strings.Join(p.segments, ":")
	switch {
	case p.open && s == "":
		return "**"
	case p.open:
		return s + ":**"
	}
	return s
}

// Matches says whether an account's code matches. The zero Pattern matches none.
func (p Pattern) Matches(code string) bool {
	for i, want := range p.segments {
		segment, rest, more := strings.Cut(code, ":")
		if want != "*" && want != segment {
			return false
		}
		if last := i == len(p.segments)-1; last {
			return !more || p.open
		} else if !more {
			return false
		}
		code = rest
	}
	return p.open
}

// None says that it is the zero Pattern.
func (p Pattern) None() bool { return len(p.segments) == 0 && !p.open }
