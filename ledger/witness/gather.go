package witness

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"tallystick/ledger/chain"
)

// DefaultPatience is how long others are waited for once there is a quorum.
const DefaultPatience = 250 * time.Millisecond

// ErrAtWork: the witness still works on an earlier checkpoint of the log.
var ErrAtWork = errors.New("the witness still works on an earlier checkpoint")

// Options of a Circle. The zero value means the defaults.
type Options struct {
	Timeout   time.Duration     // for one witness and one checkpoint; DefaultTimeout
	Patience  time.Duration     // for others once the quorum is there; DefaultPatience
	Transport http.RoundTripper // http.DefaultTransport
}

// Circle is the witnesses of a policy that have URLs. It asks all of them at
// once.
type Circle struct {
	policy  *chain.Policy
	options Options
	members []*member
	ctx     context.Context // of requests, which outlive Gather
	stop    context.CancelFunc
	atWork  sync.WaitGroup
}

// member is a witness, what it is busy with and what came of asking it.
type member struct {
	client *Client

	mu       sync.Mutex
	atWork   map[string]bool // origins
	outcomes map[string]Outcome
}

// Outcome is what came of asking a witness, the last time it was asked about a
// log.
type Outcome struct {
	Name   string // of the witness in the policy
	Origin string
	Size   int64
	Err    error     // nil: cosigned
	At     time.Time // when it was asked
	Took   time.Duration
}

// NewCircle returns the witnesses of a policy. Those without a URL are not
// asked. ctx ends all requests, as Close does.
func NewCircle(ctx context.Context, policy *chain.Policy, options Options) (*Circle, error) {
	if options.Timeout <= 0 {
		options.Timeout = DefaultTimeout
	}
	if options.Patience <= 0 {
		options.Patience = DefaultPatience
	}
	c := &Circle{policy: policy, options: options}
	for _, w := range policy.Witnesses {
		if w.URL == "" {
			continue
		}
		client, err := NewClient(w.Name, w.URL, w.Key, options.Transport)
		if err != nil {
			return nil, err
		}
		c.members = append(c.members, &member{client: client, atWork: make(map[string]bool), outcomes: make(map[string]Outcome)})
	}
	c.ctx, c.stop = context.WithCancel(ctx)
	return c, nil
}

// Close ends all requests, and waits for that.
func (c *Circle) Close() {
	c.stop()
	c.atWork.Wait()
}

// Gather asks every witness for its cosignature on a signed checkpoint, and
// returns the checkpoint with those that came. Whether they are enough is up to
// the caller: chain.Policy.Quorum. A cosignature that the checkpoint had gives
// way to a newer one by the same key.
//
// It returns when all have answered, or Patience after the policy's quorum was
// there, so one slow witness does not hold up the rest. Its request goes on up
// to Timeout, in order that it keeps up with the log; a witness that still
// works on an earlier checkpoint of the log is left out. So prove may be called
// for that long after Gather returned, and from several goroutines.
//
// The error says that signed is no checkpoint, or that ctx ended. What came of
// each witness is in Outcomes.
func (c *Circle) Gather(ctx context.Context, signed []byte, prove Prove) ([]byte, error) {
	s, err := chain.OpenCheckpoint(signed)
	if !errors.Is(err, chain.ErrUnknownKey) {
		return nil, fmt.Errorf("gathering cosignatures: %w", err)
	}
	bare, gathered := c.split(signed)
	answers := make(chan []string, len(c.members))
	asked := 0
	for _, m := range c.members {
		if m.begin(s.Origin, s.Size) {
			asked++
			c.atWork.Go(func() { answers <- m.ask(c.ctx, c.options.Timeout, s, bare, prove) })
		}
	}
	var patience <-chan time.Time
	for enough := false; asked > 0; asked-- {
		if !enough && c.quorum(gathered) {
			enough = true
			timer := time.NewTimer(c.options.Patience)
			defer timer.Stop()
			patience = timer.C
		}
		select {
		case lines := <-answers:
			if gathered, err = chain.AddSignatures(gathered, lines...); err != nil {
				return nil, fmt.Errorf("gathering cosignatures: %w", err)
			}
		case <-patience:
			return gathered, nil
		case <-ctx.Done():
			return gathered, fmt.Errorf("gathering cosignatures on size %d of %s: %w", s.Size, s.Origin, ctx.Err())
		}
	}
	return gathered, nil
}

// quorum reports whether there are enough cosignatures.
func (c *Circle) quorum(gathered []byte) bool {
	s, err := chain.OpenCheckpoint(gathered, c.policy.Keys()...)
	return (err == nil || errors.Is(err, chain.ErrUnknownKey)) && c.policy.Quorum(&s, time.Time{})
}

// split returns the checkpoint without the cosignatures of the policy's
// witnesses, which is what they are sent, and with those that verify.
func (c *Circle) split(signed []byte) (bare, kept []byte) {
	text, lines := signatureLines(signed)
	for _, line := range lines {
		i := slices.IndexFunc(c.policy.Witnesses, func(w chain.PolicyWitness) bool { return lineBy(line, w.Key) })
		if i < 0 {
			bare, kept = append(bare, line+"\n"...), append(kept, line+"\n"...)
			continue
		}
		if _, err := chain.OpenCheckpoint([]byte(text+line+"\n"), c.policy.Witnesses[i].Key); err == nil {
			kept = append(kept, line+"\n"...)
		}
	}
	return append([]byte(text), bare...), append([]byte(text), kept...)
}

// begin reports whether the witness is free to be asked about the log, and
// takes it.
func (m *member) begin(origin string, size int64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.atWork[origin] {
		m.outcomes[origin] = Outcome{Name: m.client.name, Origin: origin, Size: size, Err: ErrAtWork, At: time.Now()}
		return false
	}
	m.atWork[origin] = true
	return true
}

func (m *member) ask(ctx context.Context, timeout time.Duration, s chain.SignedCheckpoint, bare []byte, prove Prove) []string {
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	lines, err := m.client.Cosign(ctx, bare, prove)
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.atWork, s.Origin)
	m.outcomes[s.Origin] = Outcome{m.client.name, s.Origin, s.Size, err, began, time.Since(began)}
	return lines
}

// Outcomes returns what came of asking each witness about each log the last
// time, by witness in the order of the policy and by origin.
func (c *Circle) Outcomes() []Outcome {
	var all []Outcome
	for _, m := range c.members {
		m.mu.Lock()
		own := make([]Outcome, 0, len(m.outcomes))
		for _, o := range m.outcomes {
			own = append(own, o)
		}
		m.mu.Unlock()
		slices.SortFunc(own, func(a, b Outcome) int { return strings.Compare(a.Origin, b.Origin) })
		all = append(all, own...)
	}
	return all
}

// OutcomesOf returns what came of asking each witness about one log the last
// time, in the order of the policy.
func (c *Circle) OutcomesOf(origin string) []Outcome {
	var all []Outcome
	for _, m := range c.members {
		m.mu.Lock()
		if o, asked := m.outcomes[origin]; asked {
			all = append(all, o)
		}
		m.mu.Unlock()
	}
	return all
}
