package mapping

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"

	"tallystick/cmd/tallystick/internal/tabular"
)

// template is a text with columns in braces.
type template struct {
	parts []part
	line  int // in the mapping
}

// part is a literal, or the text of a column after its filter.
type part struct {
	literal string
	column  string
	filter  func(string) string
}

var filters = map[string]func(string) string{
	"lower": strings.ToLower,
	"upper": strings.ToUpper,
	"trim":  strings.TrimSpace,
}

// UnmarshalYAML reads a scalar.
func (t *template) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind != yaml.ScalarNode || node.Tag == "!!null" {
		return fmt.Errorf("line %d: want a text here; one that begins with { needs quotes", node.Line)
	}
	t.line = node.Line
	var err error
	if t.parts, err = parseTemplate(node.Value); err != nil {
		return fmt.Errorf("line %d: reading %q: %w", node.Line, node.Value, err)
	}
	return nil
}

func parseTemplate(text string) ([]part, error) {
	parts := []part{}
	var literal strings.Builder
	for text != "" {
		at := strings.IndexAny(text, "{}")
		if at < 0 {
			at = len(text)
		}
		literal.WriteString(text[:at])
		text = text[at:]
		switch {
		case text == "":
		case strings.HasPrefix(text, "{{"), strings.HasPrefix(text, "}}"):
			literal.WriteByte(text[0])
			text = text[2:]
		case text[0] == '}':
			return nil, fmt.Errorf("a closing brace without an opening one; a brace itself is }}")
		default:
			end := strings.IndexByte(text, '}')
			if end < 0 {
				return nil, fmt.Errorf("a brace is not closed; a brace itself is {{")
			}
			p, err := parseColumn(text[1:end])
			if err != nil {
				return nil, err
			}
			if literal.Len() > 0 {
				parts = append(parts, part{literal: literal.String()})
				literal.Reset()
			}
			parts = append(parts, p)
			text = text[end+1:]
		}
	}
	if literal.Len() > 0 {
		parts = append(parts, part{literal: literal.String()})
	}
	return parts, nil
}

func parseColumn(text string) (part, error) {
	column, filter, filtered := strings.Cut(text, "|")
	p := part{column: column}
	if column == "" {
		return p, fmt.Errorf("braces without the name of a column")
	}
	if filtered {
		if p.filter = filters[filter]; p.filter == nil {
			return p, fmt.Errorf("there is no filter %q; there are lower, upper and trim", filter)
		}
	}
	return p, nil
}

// given reports whether the mapping has the template at all.
func (t *template) given() bool { return t.line > 0 }

// of returns the text that the template makes of a row. A column that the row
// does not have is empty; that of a file without it was refused before.
func (t *template) of(row *tabular.Row) string {
	if len(t.parts) == 1 {
		return t.parts[0].of(row)
	}
	var b strings.Builder
	for i := range t.parts {
		b.WriteString(t.parts[i].of(row))
	}
	return b.String()
}

func (p *part) of(row *tabular.Row) string {
	if p.column == "" {
		return p.literal
	}
	text, _ := row.Value(p.column)
	if p.filter != nil {
		text = p.filter(text)
	}
	return text
}

// columns adds the columns that the template names.
func (t *template) columns(into map[string]bool) {
	for _, p := range t.parts {
		if p.column != "" {
			into[p.column] = true
		}
	}
}
