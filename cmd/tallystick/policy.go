package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"tallystick/api/client"
	"tallystick/reconcile/policy"
)

// policyCheckCommand reads a policy file as a run would: tallystick policy check FILE.
type policyCheckCommand struct {
	File string `arg:"" type:"existingfile" placeholder:"FILE" help:"Policy file (YAML)."`
}

// Run says what is wrong with the file, or what it is.
func (c *policyCheckCommand) Run() error { return c.run(os.Stdout) }

func (c *policyCheckCommand) run(stdout io.Writer) error {
	p, err := policyFile(c.File)
	if err != nil {
		return err
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

// policyAdoptCommand puts on record which policy file binds the figures of a ledger: tallystick policy adopt FILE.
type policyAdoptCommand struct {
	Remote `embed:""`
	Ledger string `required:"" placeholder:"NAME" help:"Ledger whose figures it binds."`
	File   string `arg:"" type:"existingfile" placeholder:"FILE" help:"Policy file (YAML)."`
	JSON   bool   `name:"json" help:"Print the entry as one JSON object."`
}

// Run checks the file and adopts it through the API; the key needs the scope approve.
func (c *policyAdoptCommand) Run(ctx context.Context) error {
	p, err := policyFile(c.File)
	if err != nil {
		return err
	}
	server, err := c.client()
	if err != nil {
		return err
	}
	text, err := server.AdoptPolicy(ctx, c.Ledger, client.PolicyAdoption{Name: p.Name, Version: p.Version, EffectiveFrom: p.EffectiveFrom.String(), SHA256: p.SHA256.String()})
	if err != nil {
		return fmt.Errorf("adopting policy %s for %s: %w", p.Name, c.Ledger, err)
	}
	if c.JSON {
		return printRaw(os.Stdout, text)
	}
	_, err = fmt.Printf("policy %s, version %s, binds the figures of ledger %s from %s on\nSHA-256 %s\n", p.Name, p.Version, c.Ledger, p.EffectiveFrom, p.SHA256)
	return err
}

// policyFile reads a policy file; errors name it.
func policyFile(path string) (*policy.Policy, error) {
	file, err := readBounded(path, policy.MaxFile)
	if err != nil {
		return nil, err
	}
	p, err := policy.Decode(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return p, nil
}
