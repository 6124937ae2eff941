package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"sort"
	"strings"
)

// event is one line of go test -json (see go doc test2json).
type event struct {
	Action     string
	Package    string
	ImportPath string // of build output
	Test       string
	Output     string
}

// test names a test of a package.
type test struct{ pkg, name string }

// report turns the events into what a person reads.
type report struct {
	out     io.Writer
	output  map[test]*strings.Builder // of tests that have not ended
	order   []test                    // of their beginning
	skips   []string
	broken  map[string]bool // packages with a failed test
	passed  int
	failed  int // tests, and packages that failed without one
	skipped int
}

func newReport(out io.Writer) *report {
	return &report{out: out, output: map[test]*strings.Builder{}, broken: map[string]bool{}}
}

// maxLine bounds one event; go test splits longer output.
const maxLine = 4 << 20

// read consumes the events until their end. What is no event is printed as it is.
func (r *report) read(events io.Reader) error {
	lines := bufio.NewScanner(events)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			fmt.Fprintln(r.out, lines.Text())
			continue
		}
		r.event(e)
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("reading go test's output: %w", err)
	}
	return nil
}

func (r *report) event(e event) {
	t := test{e.Package, e.Test}
	switch e.Action {
	case "build-output":
		fmt.Fprint(r.out, e.Output)
	case "output":
		if e.Test == "" {
			r.packageLine(e.Output)
			return
		}
		r.buffer(t).WriteString(e.Output)
	case "pass":
		if e.Test != "" {
			r.passed++
			r.forget(t)
		}
	case "skip":
		if e.Test != "" {
			r.skipped++
			r.skips = append(r.skips, fmt.Sprintf("%s %s: %s", e.Package, e.Test, reason(r.buffer(t).String())))
			r.forget(t)
		}
	case "fail":
		r.fail(t)
	}
}

// packageLine prints the lines of a package that say something: its result, or what it printed itself.
func (r *report) packageLine(line string) {
	if line != "PASS\n" && line != "FAIL\n" {
		fmt.Fprint(r.out, line)
	}
}

// fail prints a failed test's output. When a whole package fails, tests that began and never ended are the
// ones that hung or crashed.
func (r *report) fail(t test) {
	if t.name != "" || !r.broken[t.pkg] {
		r.failed++
	}
	r.broken[t.pkg] = true
	if t.name != "" {
		fmt.Fprint(r.out, r.buffer(t).String())
		r.forget(t)
		return
	}
	for _, began := range r.order {
		if b, running := r.output[began]; running && began.pkg == t.pkg {
			fmt.Fprintf(r.out, "--- UNFINISHED: %s\n%s", began.name, b.String())
			r.forget(began)
		}
	}
}

func (r *report) buffer(t test) *strings.Builder {
	b := r.output[t]
	if b == nil {
		b = &strings.Builder{}
		r.output[t] = b
		r.order = append(r.order, t)
	}
	return b
}

func (r *report) forget(t test) { delete(r.output, t) }

// maxReason bounds what is cited of a skipped test, in bytes.
const maxReason = 200

// reason is the last thing a skipped test said.
func reason(output string) string {
	said := "no reason given"
	for line := range strings.Lines(output) {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "=== ") && !strings.HasPrefix(line, "--- ") {
			said = line
		}
	}
	if len(said) > maxReason {
		said = strings.ToValidUTF8(said[:maxReason], "") + "…"
	}
	return said
}

// summary prints the skips and the count of tests, subtests included.
func (r *report) summary() {
	if len(r.skips) > 0 {
		fmt.Fprintln(r.out, "\nskipped:")
		sort.Strings(r.skips)
		for _, s := range r.skips {
			fmt.Fprintln(r.out, "  "+s)
		}
	}
	fmt.Fprintf(r.out, "\n%d passed, %d failed, %d skipped\n", r.passed, r.failed, r.skipped)
}
