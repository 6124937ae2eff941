package api

import (
	"iter"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"go.yaml.in/yaml/v3"
)

// branch is a place in openapi.yaml, read in the order in which it is written.
// Members that it does not have itself are those of what its $ref names.
type branch struct{ root, node *yaml.Node }

func (b branch) there() bool { return b.node != nil }

// own returns a member without following $ref.
func (b branch) own(key string) branch {
	if b.node != nil && b.node.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(b.node.Content); i += 2 {
			if b.node.Content[i].Value == key {
				return branch{b.root, b.node.Content[i+1]}
			}
		}
	}
	return branch{root: b.root}
}

// at follows keys; where one is missing, the result is not there.
func (b branch) at(keys ...string) branch {
	for _, key := range keys {
		next := b.own(key)
		for depth := 0; !next.there() && b.ref() != "" && depth < docsDepth; depth++ {
			b = b.target()
			next = b.own(key)
		}
		b = next
	}
	return b
}

// ref returns what $ref says, or "".
func (b branch) ref() string { return b.own("$ref").value() }

// refName returns the last part of $ref.
func (b branch) refName() string { return b.ref()[strings.LastIndexByte(b.ref(), '/')+1:] }

// target returns what $ref names.
func (b branch) target() branch {
	here := branch{b.root, b.root}
	for key := range strings.SplitSeq(strings.TrimPrefix(b.ref(), "#/"), "/") {
		here = here.own(key)
	}
	return here
}

func (b branch) value() string {
	if b.node == nil || b.node.Kind != yaml.ScalarNode {
		return ""
	}
	return b.node.Value
}

func (b branch) text(keys ...string) string { return strings.TrimSpace(b.at(keys...).value()) }

// members yields the members of a mapping, or of what its $ref names.
func (b branch) members() iter.Seq2[string, branch] {
	if b.ref() != "" {
		b = b.target()
	}
	return func(yield func(string, branch) bool) {
		if b.node == nil || b.node.Kind != yaml.MappingNode {
			return
		}
		for i := 0; i+1 < len(b.node.Content); i += 2 {
			if !yield(b.node.Content[i].Value, branch{b.root, b.node.Content[i+1]}) {
				return
			}
		}
	}
}

func (b branch) items() []branch {
	var items []branch
	if b.node != nil && b.node.Kind == yaml.SequenceNode {
		for _, n := range b.node.Content {
			items = append(items, branch{b.root, n})
		}
	}
	return items
}

func (b branch) first() branch {
	for _, item := range b.items() {
		return item
	}
	return branch{root: b.root}
}

func (b branch) values() []string {
	var values []string
	for _, item := range b.items() {
		values = append(values, item.value())
	}
	return values
}

// schemaOf describes a schema and the members that it lists itself; those of a
// schema that it names are described there.
func schemaOf(b branch) docsSchema {
	s := docsSchema{About: b.text("description"), Type: typeOf(b), Notes: notesOf(b)}
	if b.ref() == "" {
		s.Rows = rowsOf(b, 0)
	}
	for _, choice := range b.at("oneOf").items() {
		if required := choice.at("required").values(); len(required) > 0 && b.ref() == "" && b.at("properties").there() {
			s.Choices = append(s.Choices, strings.Join(required, ", "))
		}
	}
	return s
}

// whole describes a schema with its members, even if it has a name.
func whole(b branch) docsSchema {
	s := schemaOf(b)
	if b.ref() != "" {
		named := schemaOf(b.target())
		s.Rows, s.Choices = named.Rows, named.Choices
	}
	return s
}

// rowsOf lists the members of an object, of the elements of an array, and of
// what they hold without a name of its own.
func rowsOf(b branch, depth int) []docsRow {
	var rows []docsRow
	if b.ref() != "" || depth > docsDepth {
		return nil
	}
	required := b.at("required").values()
	for name, property := range b.at("properties").members() {
		row := rowOf(name, property, depth)
		row.Required = slices.Contains(required, name)
		rows = append(append(rows, row), rowsOf(property, depth+1)...)
	}
	if rest := b.at("additionalProperties"); rest.at("type").there() || rest.ref() != "" {
		rows = append(rows, rowOf("any name", rest, depth))
	}
	if items := b.at("items"); items.there() {
		rows = append(rows, rowsOf(items, depth)...)
	}
	if !b.at("properties").there() {
		for _, choice := range b.at("oneOf").items() {
			rows = append(rows, rowsOf(choice, depth)...)
		}
	}
	return rows
}

func rowOf(name string, schema branch, depth int) docsRow {
	return docsRow{Name: name, Depth: depth, Type: typeOf(schema), Notes: notesOf(schema), About: schema.text("description")}
}

// typeOf says in a few words what a value is.
func typeOf(b branch) []docsWord {
	if name := b.refName(); name != "" {
		return []docsWord{{name, name}}
	}
	var words []docsWord
	for _, choice := range b.own("oneOf").items() {
		next := typeOf(choice)
		if b.own("properties").there() || slices.Equal(next, words) {
			continue
		}
		if len(words) > 0 {
			words = append(words, docsWord{Text: " or "})
		}
		words = append(words, next...)
	}
	if len(words) > 0 {
		return words
	}
	kind := b.own("type")
	switch {
	case kind.value() == "array":
		return append([]docsWord{{Text: "array of "}}, typeOf(b.own("items"))...)
	case kind.value() != "":
		return []docsWord{{Text: kind.value()}}
	case len(kind.items()) > 0:
		return []docsWord{{Text: strings.Join(kind.values(), " or ")}}
	case b.own("const").there():
		return []docsWord{{Text: b.own("const").json()}}
	case b.own("enum").there():
		return []docsWord{{Text: "one of"}}
	}
	return []docsWord{{Text: "any value"}}
}

// docsChoices is how many values are listed where a schema is only named.
const docsChoices = 8

// notesOf says within which bounds a value is.
func notesOf(b branch) []string {
	var notes []string
	if b.ref() != "" { // the bounds stand where the name leads
		if values := b.at("enum").values(); len(values) > 0 && len(values) <= docsChoices {
			notes = append(notes, strings.Join(values, " | "))
		}
		if e := b.at("examples").first(); e.there() && e.node.Kind == yaml.ScalarNode {
			notes = append(notes, "such as "+e.json())
		}
		return notes
	}
	if values := b.own("enum").values(); len(values) > 0 {
		notes = append(notes, strings.Join(values, " | "))
	}
	if f := b.own("format").value(); f != "" && f != "int64" {
		notes = append(notes, f)
	}
	bounds := func(least, most, unit string) {
		switch from, to := b.own(least), b.own(most); {
		case from.there() && to.there():
			notes = append(notes, from.json()+" to "+to.json()+unit)
		case from.there():
			notes = append(notes, "at least "+from.json()+unit)
		case to.there():
			notes = append(notes, "at most "+to.json()+unit)
		}
	}
	bounds("minimum", "maximum", "")
	bounds("minLength", "maxLength", " bytes")
	bounds("minItems", "maxItems", " elements")
	bounds("minProperties", "maxProperties", " members")
	if v := b.own("default"); v.there() {
		notes = append(notes, "default "+v.json())
	}
	if p := b.own("pattern").value(); p != "" {
		notes = append(notes, "pattern "+p)
	}
	if e := b.own("examples").first(); e.there() && e.node.Kind == yaml.ScalarNode {
		notes = append(notes, "such as "+e.json())
	}
	return notes
}

// sample makes an example of a schema: what it gives as one, or else of each
// kind of value the plainest, and of an object the members that are always there.
func sample(b branch, depth int) branch {
	scalar := func(tag, value string) branch {
		return branch{b.root, &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: value}}
	}
	for _, given := range []branch{b.at("examples").first(), b.at("const"), b.at("default"), b.at("enum").first()} {
		if given.there() {
			return given
		}
	}
	if choice := b.at("oneOf").first(); choice.there() && !b.at("properties").there() {
		return sample(choice, depth)
	}
	kind := b.text("type")
	if kind == "" && slices.Contains(b.at("type").values(), "null") || depth > docsDepth {
		return scalar("!!null", "null")
	}
	switch kind {
	case "object":
		return sampleObject(b, depth)
	case "array":
		return branch{b.root, &yaml.Node{Kind: yaml.SequenceNode, Content: []*yaml.Node{sample(b.at("items"), depth+1).node}}}
	case "integer":
		if least := b.at("minimum"); least.there() {
			return least
		}
		return scalar("!!int", "1")
	case "boolean":
		return scalar("!!bool", "false")
	}
	switch b.text("format") {
	case "uuid":
		return sample(branch{b.root, b.root}.at("components", "schemas", "ID"), depth+1)
	case "date":
		return scalar("!!str", "2026-03-31")
	case "date-time":
		return scalar("!!str", "2026-03-31T18:00:00Z")
	}
	return scalar("!!str", "text")
}

func sampleObject(b branch, depth int) branch {
	object := &yaml.Node{Kind: yaml.MappingNode}
	required := b.at("required").values()
	for name, property := range b.at("properties").members() {
		if len(required) == 0 || slices.Contains(required, name) {
			object.Content = append(object.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: name}, sample(property, depth+1).node)
		}
	}
	return branch{b.root, object}
}

// json writes a value as JSON, over several lines when it is long.
func (b branch) json() string { return string(appendSample(nil, b.node, 0)) }

// appendSample breaks only what does not fit into a line of docsWidth.
func appendSample(out []byte, n *yaml.Node, indent int) []byte {
	line := appendSampleLine(nil, n)
	if len(line)+indent <= docsWidth || len(n.Content) == 0 {
		return append(out, line...)
	}
	open, end, step := byte('{'), byte('}'), 2
	if n.Kind == yaml.SequenceNode {
		open, end, step = '[', ']', 1
	}
	out = append(out, open)
	for i := 0; i+step <= len(n.Content); i += step {
		out = append(appendComma(out, i), '\n')
		out = append(out, strings.Repeat(" ", indent+2)...)
		if step == 2 {
			out = append(appendString(out, n.Content[i].Value), ": "...)
		}
		out = appendSample(out, n.Content[i+step-1], indent+2)
	}
	out = append(append(out, '\n'), strings.Repeat(" ", indent)...)
	return append(out, end)
}

func appendSampleLine(out []byte, n *yaml.Node) []byte {
	switch {
	case n == nil:
		return append(out, "null"...)
	case n.Kind == yaml.MappingNode:
		out = append(out, '{')
		for i := 0; i+1 < len(n.Content); i += 2 {
			if i > 0 {
				out = append(out, ", "...)
			}
			out = append(appendString(out, n.Content[i].Value), ": "...)
			out = appendSampleLine(out, n.Content[i+1])
		}
		return append(out, '}')
	case n.Kind == yaml.SequenceNode:
		out = append(out, '[')
		for i, item := range n.Content {
			if i > 0 {
				out = append(out, ", "...)
			}
			out = appendSampleLine(out, item)
		}
		return append(out, ']')
	case n.ShortTag() == "!!str" || n.ShortTag() == "!!timestamp":
		return appendString(out, n.Value)
	case n.ShortTag() == "!!int":
		if i, err := strconv.ParseInt(n.Value, 0, 64); err == nil {
			return strconv.AppendInt(out, i, 10)
		}
	}
	if v := jsontext.Value(n.Value); v.IsValid() {
		return append(out, v...)
	}
	return appendString(out, n.Value)
}
