package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

// The journal is a text file of lines, each written with one write(2):
//
//	try  ID DEBIT CREDIT AMOUNT   about to be sent
//	ack  ID SEQ HASH              201
//	no   ID STATUS CODE           refused for good
//	open ID WHY                   no answer, or one that leaves it open
//	bad  ID STATUS CODE           an answer that a client must never get
//
// A try without a second line was in flight when the client ended.

// attempt is one transfer that the client sent or was about to send.
type attempt struct {
	id, debit, credit, amount string
	answer                    answerKind
	seq                       int64  // with acked and settled
	hash                      string // with acked and settled
}

// answerKind says what is known about an attempt.
type answerKind int

const (
	unanswered answerKind = iota
	acked                 // by the client's own request
	settled               // by the parent's retry
	refused
)

// body is the request, the same bytes each time.
func (a *attempt) body(dst []byte) []byte {
	return fmt.Appendf(dst, `{"id":%q,"debit":%q,"credit":%q,"amount":%q}`, a.id, a.debit, a.credit, a.amount)
}

// writeLine appends one line; O_APPEND makes concurrent ones safe.
func writeLine(f *os.File, format string, args ...any) error {
	if _, err := fmt.Fprintf(f, format+"\n", args...); err != nil {
		return fmt.Errorf("writing the journal: %w", err)
	}
	return nil
}

// journal reads a client's file while it grows.
type journal struct {
	file     *os.File
	rest     []byte // of a line not yet complete
	attempts map[string]*attempt
	order    []*attempt
	acks     int
	open     int    // attempts without any second line
	bad      string // the first bad line
}

func openJournal(path string) (*journal, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the journal: %w", err)
	}
	return &journal{file: f, attempts: map[string]*attempt{}}, nil
}

// read takes in what was written since the last time.
func (j *journal) read() error {
	text, err := io.ReadAll(j.file)
	if err != nil {
		return fmt.Errorf("reading the journal: %w", err)
	}
	j.rest = append(j.rest, text...)
	for {
		line, rest, complete := bytes.Cut(j.rest, []byte("\n"))
		if !complete {
			return nil
		}
		j.rest = rest
		if err := j.take(strings.Fields(string(line))); err != nil {
			return fmt.Errorf("reading the journal, line %q: %w", line, err)
		}
	}
}

func (j *journal) take(f []string) error {
	if len(f) < 3 {
		return fmt.Errorf("%d fields", len(f))
	}
	if f[0] == "try" && len(f) == 5 {
		a := &attempt{id: f[1], debit: f[2], credit: f[3], amount: f[4]}
		j.attempts[a.id] = a
		j.order = append(j.order, a)
		j.open++
		return nil
	}
	a := j.attempts[f[1]]
	if a == nil {
		return fmt.Errorf("an answer without an attempt")
	}
	j.open--
	switch {
	case f[0] == "ack" && len(f) == 4:
		seq, err := strconv.ParseInt(f[2], 10, 64)
		if err != nil {
			return err
		}
		a.answer, a.seq, a.hash = acked, seq, f[3]
		j.acks++
	case f[0] == "no":
		a.answer = refused
	case f[0] == "open":
	case f[0] == "bad":
		if j.bad == "" {
			j.bad = strings.Join(f[1:], " ")
		}
	default:
		return fmt.Errorf("unknown word %q", f[0])
	}
	return nil
}
