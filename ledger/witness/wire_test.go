package witness

import (
	"bytes"
	"errors"
	"testing"
)

// What is read is what Marshal writes, and nothing else.
func FuzzParseRequest(f *testing.F) {
	five := history{}.grow(5, "a")
	nine := five.grow(4, "a")
	for _, r := range []Request{five.from(0), nine.from(5), five.from(5), {OldSize: 1<<63 - 1, Checkpoint: []byte("x")}} {
		f.Add(r.Marshal())
	}
	f.Add([]byte("old 5\n\n\n"))
	f.Add([]byte("old 05\nAAAA\n\n"))
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := ParseRequest(body)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatalf("an error of another kind: %v", err)
			}
			return
		}
		if !bytes.Equal(r.Marshal(), body) {
			t.Fatalf("%q was read, and is written %q", body, r.Marshal())
		}
	})
}
