package store

import (
	"fmt"
	"maps"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"tallystick/ledger/chain"
)

// tagsText writes tags, which are sorted by key, as a canonical JSON object.
func tagsText(tags []chain.Tag) string {
	b := []byte{'{'}
	for i, t := range tags {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendQuoted(b, t.Key)
		b = append(b, ':')
		b = appendQuoted(b, t.Value)
	}
	return string(append(b, '}'))
}

func appendQuoted(b []byte, s string) []byte {
	quoted, _ := jsontext.AppendQuote(b, s) // fails only for invalid UTF-8, which it replaces
	return quoted
}

// parseTags reads what tagsText wrote.
func parseTags(text string) ([]chain.Tag, error) {
	if text == "{}" {
		return nil, nil
	}
	var values map[string]string
	if err := json.Unmarshal([]byte(text), &values); err != nil {
		return nil, fmt.Errorf("reading the tags %q: %w", text, err)
	}
	tags := make([]chain.Tag, 0, len(values))
	for _, key := range slices.Sorted(maps.Keys(values)) {
		tags = append(tags, chain.Tag{Key: key, Value: values[key]})
	}
	return tags, nil
}
