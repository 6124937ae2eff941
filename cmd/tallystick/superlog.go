package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"tallystick/ledger/signer"
	"tallystick/ledger/store"
)

// superLogReincarnateCommand begins the successor of a super-log after an honest
// loss: tallystick super-log reincarnate.
type superLogReincarnateCommand struct {
	Database    `embed:""`
	keyAndState `embed:""`
	AllLost     bool `help:"Declare it also where nothing of what is left is known by key or state, or its end is not theirs: everything that they signed is lost."`
	JSON        bool `name:"json" help:"Print one JSON object."`
}

// Run declares the loss, and has the state go on with the successor. Doing so again,
// or with the state of a replica, follows what was declared. It exits with 1 when what
// is left of the super-log does not hold by itself.
func (c *superLogReincarnateCommand) Run(ctx context.Context) error {
	c.keyAndState = c.within(c.DataDir)
	for _, file := range []string{c.State, c.Key} {
		if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) { // opening them would make them
			return fmt.Errorf("reading the signer's files: %w\nhint: run this where the signer keeps them, or name them with --state and --key", err)
		}
	}
	files, opened, err := signerFiles{keyAndState: c.keyAndState}.open(false)
	switch {
	case errors.Is(err, signer.ErrInUse):
		return fmt.Errorf("%w\nhint: stop the signer, or the server that signs, and start it again afterwards", err)
	case err != nil:
		return refusal(err)
	}
	defer files.Close()
	db, disconnect, err := c.Connect(ctx, store.RoleSigner, signerConnections)
	if err != nil {
		return err
	}
	defer disconnect()
	opened.Logf = func(string, ...any) {} // what comes of it is printed
	opened.Host, opened.Database = originHost(""), signerDatabase(db, store.SignedApart)
	s, err := signer.Succeed(ctx, opened.Config, c.AllLost)
	if err != nil {
		return refusal(hintSuccession(err))
	}
	return c.print(&s)
}

// hintSuccession says what to do when there is nothing to succeed.
func hintSuccession(err error) error {
	hint := ""
	switch {
	case errors.Is(err, signer.ErrRefused):
		return fmt.Errorf("%w\nhint: restore a backup that holds; if a replica declared the loss, start that one first; leaves that differ from the state's, and nobody has signed, are taken with --all-lost", err)
	case errors.Is(err, signer.ErrNothingLost):
		hint = "there is nothing to declare: the signer goes on with it"
	case errors.Is(err, signer.ErrNoSuperLog):
		hint = "nothing of it can have been lost; without its state, a signer begins from a checkpoint of it: tallystick signer --pin FILE.cp"
	case errors.Is(err, signer.ErrOtherKey):
		hint = "name the key that signed it with --key: it declares the loss, and another may sign afterwards"
	case errors.Is(err, signer.ErrUnproven):
		hint = "is it the right database? If everything is lost that key and state signed, say so with --all-lost"
	case errors.Is(err, signer.ErrStandby):
		hint = fmt.Sprintf("stop it; its lease ends %s later", signer.Lease)
	default:
		return err
	}
	return fmt.Errorf("succeeding the super-log: %w\nhint: %s", err, hint)
}

func (c *superLogReincarnateCommand) print(s *signer.Succession) error {
	if c.JSON {
		return json.NewEncoder(os.Stdout).Encode(map[string]any{
			"origin": s.Successor, "position": s.Left, "declared_before": s.Found, "not_bound": s.More,
			"predecessor": map[string]any{"origin": s.Leaf.Origin, "size": s.Leaf.Size, "root": s.Leaf.Root.String()},
		})
	}
	how := fmt.Sprintf("is declared, by leaf %d", s.Left)
	if s.Found {
		how = fmt.Sprintf("was declared by leaf %d, and signed with this key; this state follows", s.Left)
	}
	if s.More > 0 {
		how += fmt.Sprintf("\n  NOT BOUND  this state had signed it at size %d: give auditors its newest checkpoint", s.More)
	}
	_, err := fmt.Printf(`%[1]s goes on from here
  succeeds   %[2]s at size %[3]d, root %[4]s
  left       %[5]d of its leaves; the loss %[6]s

What comes next:
  1. Each ledger that has lost entries needs a successor too: tallystick ledger reincarnate.
  2. Start the signer again, with the same key and state, and --ended ORIGIN for each of these ledgers
     (a server: --signer-ended): it signs the super-log as %[1]s.
  3. Put the new origin into policies beside the old one, and have witnesses take it:
     tallystick signer --print-key %[1]s, with the --key or --data-dir of here
`, s.Successor, s.Leaf.Origin, s.Leaf.Size, s.Leaf.Root, s.Left, how)
	return err
}
