package main

import (
	"fmt"
	"io"
	"os"

	"tallystick/reconcile/policy"
)

// policyCheckCommand reads a policy file as a run would: tallystick policy check FILE.
type policyCheckCommand struct {
	File string `arg:"" type:"existingfile" placeholder:"FILE" help:"Policy file (YAML)."`
}

// Run says what is wrong with the file, or what it is.
func (c *policyCheckCommand) Run() error { return c.run(os.Stdout) }

func (c *policyCheckCommand) run(stdout io.Writer) error {
	file, err := readBounded(c.File, policy.MaxFile)
	if err != nil {
		return err
	}
	p, err := policy.Decode(file)
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	_, err = fmt.Fprintf(stdout, "policy %s, version %s, in force from %s\nSHA-256 %s\n%d bank accounts, %d classes, %d matching rules\nrisk: %v\n",
		p.Name, p.Version, p.EffectiveFrom, p.SHA256, len(p.BankAccounts), len(p.Classes), len(p.Matching.RulesInForce()), p.Risk.Names())
	return err
}

// policyExampleCommand prints a policy to begin with: tallystick policy example.
type policyExampleCommand struct{}

// Run prints it.
func (policyExampleCommand) Run() error {
	_, err := os.Stdout.Write(policy.Example)
	return err
}
