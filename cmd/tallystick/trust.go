package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"tallystick/ledger/chain"
)

// Trust says whose signatures count: of whom the user was told otherwise than by
// the server that is checked.
type Trust struct {
	Key    []string `sep:"none" placeholder:"KEY" help:"Verifier key of the signer, as <origin>+<id>+<base64>; may stand several times."`
	Policy string   `type:"path" placeholder:"FILE" help:"File that names signers, witnesses and the quorum (C2SP tlog-policy), instead of --key."`
}

// policy returns what was given, nil when nothing was.
func (t *Trust) policy() (*chain.Policy, error) {
	switch {
	case t.Policy != "" && len(t.Key) > 0:
		return nil, errors.New("checking --policy: give either it or --key")
	case t.Policy != "":
		text, err := readBounded(t.Policy, chain.MaxPolicy)
		if err != nil {
			return nil, fmt.Errorf("reading --policy: %w", err)
		}
		return chain.ParsePolicy(text)
	case len(t.Key) == 0:
		return nil, nil
	}
	var text strings.Builder
	for _, key := range t.Key {
		fmt.Fprintf(&text, "log %s\n", key)
	}
	p, err := chain.ParsePolicy([]byte(text.String() + "quorum none\n"))
	if err != nil {
		return nil, fmt.Errorf("reading --key: %w", err)
	}
	return p, nil
}

// errQuorum: too few witnesses have cosigned.
var errQuorum = errors.New("the witnesses that cosigned are not the quorum of the policy")

// openTrusted reads a signed checkpoint. With a policy it is verified that the
// signer and the quorum have signed; without one it is what it claims to be.
func openTrusted(note []byte, policy *chain.Policy) (chain.SignedCheckpoint, error) {
	if policy == nil {
		signed, err := chain.OpenCheckpoint(note)
		if errors.Is(err, chain.ErrUnknownKey) {
			err = nil
		}
		return signed, err
	}
	signed, err := chain.OpenCheckpoint(note, policy.Keys()...)
	if err == nil && !signed.SignedByLog() {
		err = fmt.Errorf("reading the checkpoint of %s at size %d: its signer has not signed: %w", signed.Origin, signed.Size, chain.ErrUnknownKey)
	}
	if err == nil {
		err = checkQuorum(&signed, policy)
	}
	return signed, err
}

func checkQuorum(signed *chain.SignedCheckpoint, policy *chain.Policy) error {
	if !policy.Quorum(signed, time.Time{}) {
		return fmt.Errorf("checking the checkpoint of %s at size %d: %w", signed.Origin, signed.Size, errQuorum)
	}
	return nil
}

// verdicts are what is found when evidence does not hold, in the order in which
// they are looked for. What is not here could not be checked.
var verdicts = []struct {
	is   error
	code string
}{
	{chain.ErrSignature, "CHECKPOINT_BAD_SIGNATURE"},
	{chain.ErrUnknownKey, "CHECKPOINT_UNKNOWN_KEY"},
	{errQuorum, "WITNESS_QUORUM_NOT_MET"},
	{errFork, "FORK_PROVEN"},
	{errPin, "PIN_INCONSISTENT"},
	{chain.ErrStatementGap, "STATEMENT_GAP"},
	{chain.ErrProof, "PROOF_INVALID"},
}

// judged prints what came of a check and returns how the command ends.
func judged(err error) error {
	if err == nil {
		return nil
	}
	code, exit := "INCOMPLETE", exitIncomplete
	if errors.Is(err, chain.ErrEmptyBaseline) {
		code = "REJECT_EMPTY_BASELINE"
	}
	for _, v := range verdicts {
		if errors.Is(err, v.is) {
			code, exit = v.code, exitTampered
			break
		}
	}
	fmt.Fprintf(os.Stdout, "%s\n  %s\n", code, err)
	return exitError{exit}
}

// signers says who has signed a checkpoint.
func signers(signed *chain.SignedCheckpoint, policy *chain.Policy) string {
	if policy == nil {
		return "NOT CHECKED: --key or --policy says whose signatures count; it claims to be by " + strings.Join(signed.Unknown, ", ")
	}
	var names []string
	for _, s := range signed.Signatures {
		name := s.Key.ID()
		if !s.Time.IsZero() {
			name += " (witness, " + s.Time.UTC().Format(time.RFC3339) + ")"
		}
		names = append(names, name)
	}
	return strings.Join(names, ", ")
}
