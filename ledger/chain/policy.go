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
	// MaxLogs is the most logs that a policy names.
	MaxLogs = 4096
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
// one statement a line, names before their use, # begins a line of comment. A
// name is a member of one group at most, and a key stands for one witness at
// most, so that no witness counts twice. Lines of log may share a key under
// several names, which C2SP does not foresee: one signer signs for many ledgers.
type Policy struct {
	Logs      []PolicyLog
	Witnesses []PolicyWitness

	quorum  *component            // nil: none
	decided bool                  // there was a line of quorum
	named   map[string]*component // witnesses and groups
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
	grouped   bool // it is a member of a group
}

// noQuorum is the one word that is no name of a witness or group.
const noQuorum = "none"

// ParsePolicy reads a policy. Everything it says must be understood; the error
// is ErrPolicy and names the line.
func ParsePolicy(text []byte) (*Policy, error) {
	if len(text) > MaxPolicy {
		return nil, fmt.Errorf("reading a policy of %d bytes, more than %d: %w", len(text), MaxPolicy, ErrPolicy)
	}
	p := &Policy{named: make(map[string]*component)}
	for i, line := range strings.Split(string(text), "\n") {
		fields, err := policyFields(line)
		if err == nil && len(fields) > 0 {
			err = p.add(fields[0], fields[1:])
		}
		if err != nil {
			return nil, fmt.Errorf("reading line %d of the policy: %w: %w", i+1, err, ErrPolicy)
		}
	}
	if !p.decided {
		return nil, fmt.Errorf("reading the policy: no quorum (write \"quorum none\" if none is wanted): %w", ErrPolicy)
	}
	return p, nil
}

// policyFields returns what stands on a line between spaces and tabs, nothing of
// a comment. Other white space is part of a name, and a control character an
// error, as in C2SP tlog-policy.
func policyFields(line string) ([]string, error) {
	for i := range len(line) {
		if c := line[i]; c < ' ' && c != '\t' || c == 0x7f {
			return nil, fmt.Errorf("the control character %q (lines end with a newline only)", c)
		}
	}
	fields := strings.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == '\t' })
	if len(fields) > 0 && strings.HasPrefix(fields[0], "#") {
		return nil, nil
	}
	return fields, nil
}

func (p *Policy) add(statement string, fields []string) error {
	var err error
	switch statement {
	case "log":
		err = p.addLog(fields)
	case "witness":
		err = p.addWitness(fields)
	case "group":
		err = p.addGroup(fields)
	case "quorum":
		err = p.setQuorum(fields)
	default:
		return fmt.Errorf("unknown statement %q", statement)
	}
	if err != nil && slices.ContainsFunc(fields, func(f string) bool { return strings.HasPrefix(f, "#") }) {
		return fmt.Errorf("%w (a comment has a line of its own)", err)
	}
	return err
}

func (p *Policy) addLog(fields []string) error {
	if len(fields) < 1 || len(fields) > 2 {
		return errors.New("log takes a verifier key and perhaps a URL")
	}
	key, err := ParseLogKey(fields[0])
	if err != nil {
		return err
	}
	if len(p.Logs) == MaxLogs {
		return fmt.Errorf("more than %d logs", MaxLogs)
	}
	if slices.ContainsFunc(p.Logs, func(l PolicyLog) bool { return l.Key.ID() == key.ID() }) {
		return fmt.Errorf("log %s stands twice", key.ID())
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
		if other.Key.SamePublic(key) || other.Key.ID() == key.ID() {
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
		member := p.named[name]
		if member == nil {
			return fmt.Errorf("unknown member %q", name)
		}
		if member.grouped {
			return fmt.Errorf("member %q is one of a group already", name)
		}
		member.grouped = true
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
	if p.decided {
		return errors.New("a second quorum")
	}
	p.decided = true
	if fields[0] == noQuorum {
		return nil
	}
	if p.quorum = p.named[fields[0]]; p.quorum == nil {
		return fmt.Errorf("unknown quorum %q", fields[0])
	}
	return nil
}

// name makes a witness or a group known to the lines behind it.
func (p *Policy) name(name string, c *component) error {
	switch {
	case name == noQuorum:
		return fmt.Errorf("%q is no name but the quorum without witnesses", name)
	case p.named[name] != nil:
		return fmt.Errorf("%q is defined twice", name)
	case len(p.named) == MaxWitnesses:
		return fmt.Errorf("more than %d witnesses and groups", MaxWitnesses)
	}
	p.named[name] = c
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
