package chain

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Bounds of a policy.
const (
	// MaxPolicy is the most bytes of a policy file.
	MaxPolicy = 1 << 20
	// MaxWitnesses is the most witnesses and groups that a policy names.
	MaxWitnesses = 64
)

// ErrPolicy: the file is no policy; the text names the line.
var ErrPolicy = errors.New("not a policy")

// Policy says whose signatures an auditor, or a signer, wants to see on a
// checkpoint. Its form is C2SP tlog-policy (https://c2sp.org/tlog-policy):
//
//	log     <verifier key> [<URL>]
//	witness <name> <verifier key> [<URL>]
//	group   <name> <number>|any|all <witness or group>…
//	quorum  <witness or group>|none
//
// one statement a line, names before their use, # begins a comment line.
type Policy struct {
	Logs      []PolicyLog
	Witnesses []PolicyWitness

	quorum *component // nil: none
	groups map[string]*component
}

// PolicyLog is a signer that is trusted for the origin its key names.
type PolicyLog struct {
	Key VerifierKey
	URL string // empty when it is not given
}

// PolicyWitness is a witness that may count towards the quorum.
type PolicyWitness struct {
	Name string
	Key  VerifierKey
	URL  string // empty when it is not given
}

// component is a witness, or a group of components.
type component struct {
	name      string
	witness   *VerifierKey
	threshold int
	members   []*component
}

var policyWords = []string{"log", "witness", "group", "quorum", "any", "all", "none"}

// ParsePolicy reads a policy. Everything it says must be understood; the error
// is ErrPolicy and names the line.
func ParsePolicy(text []byte) (*Policy, error) {
	if len(text) > MaxPolicy {
		return nil, fmt.Errorf("reading a policy of %d bytes, more than %d: %w", len(text), MaxPolicy, ErrPolicy)
	}
	p := &Policy{groups: make(map[string]*component)}
	quorum := false
	for i, line := range strings.Split(string(text), "\n") {
		fields := strings.Fields(line)
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		var err error
		switch fields[0] {
		case "log":
			err = p.addLog(fields[1:])
		case "witness":
			err = p.addWitness(fields[1:])
		case "group":
			err = p.addGroup(fields[1:])
		case "quorum":
			if quorum {
				err = errors.New("a second quorum")
			} else {
				err = p.setQuorum(fields[1:])
			}
			quorum = true
		default:
			err = fmt.Errorf("unknown statement %q", fields[0])
		}
		if err != nil {
			return nil, fmt.Errorf("reading line %d of the policy: %w: %w", i+1, err, ErrPolicy)
		}
	}
	if !quorum {
		return nil, fmt.Errorf("reading the policy: no quorum (write \"quorum none\" if none is wanted): %w", ErrPolicy)
	}
	return p, nil
}

func (p *Policy) addLog(fields []string) error {
	if len(fields) < 1 || len(fields) > 2 {
		return errors.New("log takes a verifier key and perhaps a URL")
	}
	key, err := ParseLogKey(fields[0])
	if err != nil {
		return err
	}
	l := PolicyLog{Key: key}
	if len(fields) == 2 {
		l.URL = fields[1]
	}
	p.Logs = append(p.Logs, l)
	return nil
}

func (p *Policy) addWitness(fields []string) error {
	if len(fields) < 2 || len(fields) > 3 {
		return errors.New("witness takes a name, a verifier key and perhaps a URL")
	}
	key, err := ParseWitnessKey(fields[1])
	if err != nil {
		return err
	}
	for _, other := range p.Witnesses {
		if other.Key.ID() == key.ID() {
			return fmt.Errorf("witness %s has the key of witness %s", fields[0], other.Name)
		}
	}
	if err := p.name(fields[0], &component{name: fields[0], witness: &key}); err != nil {
		return err
	}
	w := PolicyWitness{Name: fields[0], Key: key}
	if len(fields) == 3 {
		w.URL = fields[2]
	}
	p.Witnesses = append(p.Witnesses, w)
	return nil
}

func (p *Policy) addGroup(fields []string) error {
	if len(fields) < 3 {
		return errors.New("group takes a name, a threshold and members")
	}
	g := &component{name: fields[0]}
	for _, name := range fields[2:] {
		member := p.groups[name]
		if member == nil {
			return fmt.Errorf("unknown member %q", name)
		}
		if slices.Contains(g.members, member) {
			return fmt.Errorf("member %q stands twice", name)
		}
		g.members = append(g.members, member)
	}
	switch fields[1] {
	case "any":
		g.threshold = 1
	case "all":
		g.threshold = len(g.members)
	default:
		n, err := strconv.Atoi(fields[1])
		if err != nil || n < 1 || n > len(g.members) || strconv.Itoa(n) != fields[1] {
			return fmt.Errorf("threshold %q of a group of %d", fields[1], len(g.members))
		}
		g.threshold = n
	}
	return p.name(fields[0], g)
}

func (p *Policy) setQuorum(fields []string) error {
	if len(fields) != 1 {
		return errors.New("quorum takes one name, or none")
	}
	if fields[0] == "none" {
		return nil
	}
	if p.quorum = p.groups[fields[0]]; p.quorum == nil {
		return fmt.Errorf("unknown quorum %q", fields[0])
	}
	return nil
}

func (p *Policy) name(name string, c *component) error {
	switch {
	case slices.Contains(policyWords, name):
		return fmt.Errorf("%q is no name but a word of the language", name)
	case p.groups[name] != nil:
		return fmt.Errorf("%q is defined twice", name)
	case len(p.groups) == MaxWitnesses:
		return fmt.Errorf("more than %d witnesses and groups", MaxWitnesses)
	}
	p.groups[name] = c
	return nil
}

// Keys returns the keys of all logs and witnesses, for OpenCheckpoint.
func (p *Policy) Keys() []VerifierKey {
	var keys []VerifierKey
	for _, l := range p.Logs {
		keys = append(keys, l.Key)
	}
	for _, w := range p.Witnesses {
		keys = append(keys, w.Key)
	}
	return keys
}

// LogKeys returns the keys that the policy trusts to sign for an origin.
func (p *Policy) LogKeys(origin string) []VerifierKey {
	var keys []VerifierKey
	for _, l := range p.Logs {
		if l.Key.Name() == origin {
			keys = append(keys, l.Key)
		}
	}
	return keys
}

// WantsWitnesses reports whether the policy has a quorum.
func (p *Policy) WantsWitnesses() bool { return p.quorum != nil }

// Quorum reports whether enough witnesses have cosigned, not before since
// (the zero time: whenever).
func (p *Policy) Quorum(s *SignedCheckpoint, since time.Time) bool {
	return p.quorum == nil || p.quorum.satisfied(s, since)
}

func (c *component) satisfied(s *SignedCheckpoint, since time.Time) bool {
	if c.witness != nil {
		return slices.ContainsFunc(s.Signatures, func(x Signature) bool {
			return x.Key.text == c.witness.text && !x.Time.Before(since)
		})
	}
	n := 0
	for _, m := range c.members {
		if m.satisfied(s, since) {
			n++
		}
	}
	return n >= c.threshold
}
