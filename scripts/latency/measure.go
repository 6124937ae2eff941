package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"regexp"
	"strings"
	"time"

	"tallystick/api/client"
)

// answerBound is how long one answer may take.
const answerBound = 10 * time.Second

// warmUp is how many requests of each kind are not counted.
const warmUp = 20

// measure measures every kind and prints a line for each.
func measure(ctx context.Context, o options, only *regexp.Regexp, server *client.Client, out io.Writer) error {
	d, err := draw(ctx, o, server)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "ledger %s: %d entries, %d accounts; %s has %d postings; load of the machine %s\n",
		o.Ledger, d.ledger.Size, len(d.accounts), d.busiest.Code, d.busiest.AccountSeq, machineLoad())
	fmt.Fprintf(out, "%-28s %8s %8s %9s %9s %9s %9s\n", "milliseconds", "requests", "elements", "p50", "p95", "p99", "max")
	conn := server.Conn(answerBound)
	defer conn.Close()
	slow := 0
	one := func(name string, next func() string) error {
		if !only.MatchString(name) {
			return nil
		}
		m, err := o.take(ctx, conn, next)
		if err != nil {
			return fmt.Errorf("measuring %s: %w", name, err)
		}
		if m.took.Count() == 0 {
			fmt.Fprintf(out, "%-28s absent: the entries drawn have nothing to ask for\n", name)
			return nil
		}
		fmt.Fprintf(out, "%-28s %8d %8d %9s %9s %9s %9s\n", name, m.took.Count(), m.elements/m.took.Count(),
			client.Millis(m.took.Percentile(50)), client.Millis(m.took.Percentile(95)), client.Millis(m.took.Percentile(99)), client.Millis(m.took.Max()))
		if o.P99 > 0 && m.took.Percentile(99) > o.P99 {
			slow++
		}
		return nil
	}
	for _, r := range d.reads() {
		if err := one(r.name, r.next); err != nil {
			return err
		}
	}
	walk := walk{conn: conn, path: client.LedgerPath(o.Ledger, "accounts", d.busiest.Code, "statement")}
	if err := errors.Join(one("statement, busiest, on", func() string { return walk.next(ctx) }), walk.err); err != nil {
		return err
	}
	if slow > 0 {
		return fmt.Errorf("%w: the 99th percentile of %d reads is above %s", errSlow, slow, o.P99)
	}
	return nil
}

// measured is how long requests of a kind took, and how many elements their
// answers listed.
type measured struct {
	took     client.Latencies
	elements int64
}

// take makes the requests of a kind, one after the other.
func (o *options) take(ctx context.Context, conn *client.Conn, next func() string) (m measured, err error) {
	end := time.Now().Add(o.Bound)
	for i := 0; i < o.Requests+warmUp && time.Now().Before(end); i++ {
		path := next()
		if path == "" {
			return m, nil
		}
		start := time.Now()
		answer, err := get(ctx, conn, path)
		took := time.Since(start)
		if err != nil {
			return m, err
		}
		if i < warmUp {
			continue
		}
		m.took.Add(took)
		var list struct {
			Data  []json.RawMessage `json:"data"`
			Lines []json.RawMessage `json:"lines"`
		}
		if err := json.Unmarshal(answer, &list); err != nil {
			return m, fmt.Errorf("reading the answer to GET %s: %w", path, err)
		}
		m.elements += int64(len(list.Data) + len(list.Lines))
	}
	return m, nil
}

func get(ctx context.Context, conn *client.Conn, path string) ([]byte, error) {
	answer, err := conn.Get(ctx, path)
	if err == nil && answer.Status != 200 {
		err = fmt.Errorf("getting %s: %w", path, client.ParseProblem(answer.Status, answer.Body))
	}
	return answer.Body, err
}

// walk goes through the pages of a statement after the first, over and over.
type walk struct {
	conn *client.Conn
	path string
	on   *string
	err  error // what ended the walk
}

// next returns the path of a page; a first page, which it reads itself, is not
// among them.
func (w *walk) next(ctx context.Context) string {
	query := ""
	if w.on != nil {
		query = "?cursor=" + url.QueryEscape(*w.on)
	}
	page, err := w.read(ctx, query)
	if err == nil && page == nil && w.on != nil { // that was the last
		page, err = w.read(ctx, "")
	}
	if w.err = err; err != nil || page == nil {
		return ""
	}
	w.on = page
	return w.path + "?cursor=" + url.QueryEscape(*page)
}

// read returns the cursor of the page after one.
func (w *walk) read(ctx context.Context, query string) (*string, error) {
	body, err := get(ctx, w.conn, w.path+query)
	if err != nil {
		return nil, err
	}
	var page struct {
		Next *string `json:"next"`
	}
	return page.Next, json.Unmarshal(body, &page)
}

// machineLoad is the load average over the last minute, where the system tells it.
func machineLoad() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	load, _, _ := strings.Cut(string(text), " ")
	return load
}
