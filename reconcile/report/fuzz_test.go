package report

import (
	"encoding/json"
	"io"
	"testing"
	"unicode/utf8"
)

// FuzzDocuments: whatever is in a document, it is either refused or written in every format, and what is decoded and encoded
// again is the same.
func FuzzDocuments(f *testing.F) {
	for _, doc := range []*Document{small(f), {Name: "x", Title: "x", Ledger: "x", HashTotal: "0"}} {
		encoded, err := Encode(doc)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(encoded)
	}
	for _, b := range append(chartBlocks(), figuresBlock(7), trialBlock(), hostileBlock(7)) {
		doc := &Document{Name: "seed", Title: "Seed", Ledger: "main", Blocks: []Block{b}}
		if err := Finish(doc); err != nil {
			f.Fatal(err)
		}
		encoded, err := Encode(doc)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(encoded)
	}
	f.Fuzz(func(t *testing.T, encoded []byte) {
		if len(encoded) > 1<<16 {
			return
		}
		doc := &Document{}
		if json.Unmarshal(encoded, doc) != nil {
			return
		}
		if Finish(doc) != nil {
			return // refused
		}
		canonical, err := Encode(doc)
		if err != nil {
			t.Fatalf("finished, and not encoded: %v", err)
		}
		again, err := Decode(canonical)
		if err != nil {
			t.Fatalf("encoded, and not decoded: %v", err)
		}
		if twice, err := Encode(again); err != nil || string(twice) != string(canonical) {
			t.Fatalf("encoded again it is another, %v", err)
		}
		for _, format := range Formats {
			if err := Write(io.Discard, doc, format, Options{Href: href}); err != nil {
				t.Fatalf("writing %s: %v", format, err)
			}
		}
	})
}

func FuzzTexts(f *testing.F) {
	for _, row := range hostileBlock(1).Table.Rows {
		f.Add(row.Cells[1].Value, 10)
	}
	c := newCanvas(small(f))
	f.Fuzz(func(t *testing.T, text string, limit int) {
		if !utf8.ValidString(text) || len(text) > 4096 {
			return
		}
		limit = max(limit%200, 2)
		for _, line := range wrap(text, limit, width) {
			if w := width(line); w > limit && utf8.RuneCountInString(line) > 1 && len(chop(line, limit, width)) > 1 {
				t.Errorf("line %q is %d wide, not %d", line, w, limit)
			}
		}
		if !utf8.ValidString(c.drawable(regular, text)) || !utf8.ValidString(guarded(text)) {
			t.Error("what is made of it is no UTF-8")
		}
	})
}
