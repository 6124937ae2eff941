package witness

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"tallystick/ledger/chain"
)

const (
	// MaxAnswer is the most bytes of a witness's answer that are read.
	MaxAnswer = 64 << 10
	// MaxTries is how often a checkpoint is offered to one witness, each time from
	// the size that it said it has.
	MaxTries = 3
	// MaxAhead is how far a witness's clock may be ahead of ours.
	MaxAhead = 5 * time.Minute
	// DefaultTimeout bounds the conversation with one witness about one
	// checkpoint.
	DefaultTimeout = 10 * time.Second
)

// What can come of asking a witness.
var (
	// ErrRefused: the witness does not cosign; the text has its status and reason.
	ErrRefused = errors.New("the witness refuses")
	// ErrAhead: the witness has cosigned a larger tree. Either another signer uses
	// the key of the log, or the log was rolled back.
	ErrAhead = errors.New("the witness has cosigned a larger tree")
	// ErrAnswer: the answer is none of C2SP tlog-witness, or its signature does
	// not verify.
	ErrAnswer = errors.New("the witness answers what it should not")
)

// Prove returns the proof that the tree of a checkpoint extends that of size
// from, which is at least 1 and smaller: chain.ProveConsistency.
type Prove = func(from int64) ([]chain.Hash, error)

// Client asks one witness. It remembers which size of each origin the witness
// has cosigned, so that one request is usually enough. It may be used at once
// from anywhere.
type Client struct {
	name string
	key  chain.VerifierKey
	url  string
	http *http.Client

	mu    sync.Mutex
	sizes map[string]int64 // by origin
}

// NewClient returns a client of the witness with that key at a URL, the
// submission prefix. transport may be nil, and is http.DefaultTransport then.
func NewClient(name, prefix string, key chain.VerifierKey, transport http.RoundTripper) (*Client, error) {
	u, err := url.Parse(prefix)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("reading the URL %q of witness %s: it is http://… or https://…, the part before %s", prefix, name, addPath)
	}
	return &Client{
		name: name, key: key, url: strings.TrimSuffix(u.String(), "/") + addPath, sizes: make(map[string]int64),
		http: &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}, nil
}

// Name returns the name of the witness, as the policy has it.
func (c *Client) Name() string { return c.name }

func (c *Client) size(origin string) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sizes[origin]
}

func (c *Client) remember(origin string, size int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sizes[origin] = size
}

// Add offers a signed checkpoint once. The lines are the cosignatures of this
// witness's key, without their ends and verified. When the witness has another
// size than oldSize, the error is a *SizeError.
func (c *Client) Add(ctx context.Context, signed []byte, oldSize int64, proof []chain.Hash) (lines []string, err error) {
	body := Request{OldSize: oldSize, Proof: proof, Checkpoint: signed}.Marshal()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("asking witness %s: %w", c.name, err)
	}
	request.Header.Set("Content-Type", "text/plain; charset=utf-8")
	answer, err := c.http.Do(request)
	if err != nil {
		return nil, fmt.Errorf("asking witness %s: %w", c.name, err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, MaxAnswer+1))
	if err != nil {
		return nil, fmt.Errorf("hearing witness %s: %w", c.name, err)
	}
	if len(text) > MaxAnswer {
		return nil, fmt.Errorf("hearing witness %s: more than %d bytes: %w", c.name, MaxAnswer, ErrAnswer)
	}
	switch {
	case answer.StatusCode == http.StatusOK:
		return c.verified(signed, string(text))
	case answer.StatusCode == http.StatusConflict && answer.Header.Get("Content-Type") == sizeType:
		line, ended := strings.CutSuffix(string(text), "\n")
		have, err := parseSize(line)
		if err != nil || !ended || have == oldSize {
			return nil, fmt.Errorf("hearing witness %s: it has the size %q, not %d: %w", c.name, clip(string(text)), oldSize, ErrAnswer)
		}
		return nil, fmt.Errorf("asking witness %s: %w", c.name, &SizeError{Have: have, Old: oldSize})
	}
	return nil, fmt.Errorf("asking witness %s: %s: %q: %w", c.name, answer.Status, clip(string(text)), ErrRefused)
}

// maxReason is how much of a refusal is repeated.
const maxReason = 200

// clip returns the first line of what a witness says, shortened.
func clip(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line[:min(len(line), maxReason)]
}

// verified returns the lines of the answer that are by the witness's key, which
// must verify; lines by other keys are ignored. There is at least one.
func (c *Client) verified(signed []byte, answer string) ([]string, error) {
	body, ended := strings.CutSuffix(answer, "\n")
	if !ended {
		return nil, fmt.Errorf("hearing witness %s: the last line does not end: %w", c.name, ErrAnswer)
	}
	text, _ := signatureLines(signed)
	for _, line := range strings.Split(body, "\n") {
		if !lineBy(line, c.key) {
			continue
		}
		s, err := chain.OpenCheckpoint([]byte(text+line+"\n"), c.key)
		if err != nil {
			return nil, fmt.Errorf("hearing witness %s: %w: %w", c.name, err, ErrAnswer)
		}
		if at := s.Signatures[0].Time; at.After(time.Now().Add(MaxAhead)) || at.Unix() < 0 {
			return nil, fmt.Errorf("hearing witness %s: its cosignature is of %s, more than %s ahead of this clock: %w", c.name, at.UTC().Format(time.RFC3339), MaxAhead, ErrAnswer)
		}
		return []string{line}, nil // a second signature by one key says nothing more
	}
	return nil, fmt.Errorf("hearing witness %s: no signature by its key %s: %w", c.name, c.key.ID(), ErrAnswer)
}

// Cosign offers a signed checkpoint from the size that the witness had last,
// and again from the one that it says it has. Returned are the lines of Add.
func (c *Client) Cosign(ctx context.Context, signed []byte, prove Prove) (lines []string, err error) {
	s, err := chain.OpenCheckpoint(signed)
	if !errors.Is(err, chain.ErrUnknownKey) {
		return nil, fmt.Errorf("offering a checkpoint to witness %s: %w", c.name, err)
	}
	from := c.size(s.Origin)
	for range MaxTries {
		if from > s.Size {
			c.remember(s.Origin, 0) // it is asked again next time
			return nil, fmt.Errorf("offering size %d of %s to witness %s, which has %d: %w", s.Size, s.Origin, c.name, from, ErrAhead)
		}
		var proof []chain.Hash
		if 0 < from && from < s.Size {
			if proof, err = prove(from); err != nil {
				return nil, fmt.Errorf("proving to witness %s that size %d of %s extends %d: %w", c.name, s.Size, s.Origin, from, err)
			}
		}
		lines, err = c.Add(ctx, signed, from, proof)
		var other *SizeError
		switch {
		case err == nil:
			c.remember(s.Origin, s.Size)
			return lines, nil
		case !errors.As(err, &other):
			return nil, err
		}
		from = other.Have
		c.remember(s.Origin, from)
	}
	return nil, fmt.Errorf("offering size %d of %s %d times: %w", s.Size, s.Origin, MaxTries, err)
}
