package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"tallystick/api/client"
	"tallystick/ledger/chain"
)

// signerKeyAddCommand puts a signing key on record: tallystick keys signer add.
type signerKeyAddCommand struct {
	Remote       `embed:""`
	Ledger       string `required:"" placeholder:"NAME" help:"Ledger whose checkpoints the key signs."`
	PublicKey    string `arg:"" name:"verifier-key" help:"Public key of the signer, <origin>+<id>+<base64>."`
	OverlapUntil string `placeholder:"DATE" help:"Last day on which the key that this one replaces is still valid, such as 2026-12-31."`
	Description  string `placeholder:"TEXT" help:"Text of the entry."`
	JSON         bool   `name:"json" help:"Print what is on record of the key as one JSON object."`
}

// Run adds the key through the API; the key of the caller needs the scope admin.
func (c *signerKeyAddCommand) Run(ctx context.Context) error {
	key, err := chain.ParseLogKey(c.PublicKey)
	if err != nil {
		return fmt.Errorf("%w\nhint: tallystick signer prints the key that it signs with", err)
	}
	if c.OverlapUntil != "" {
		if _, err := chain.ParseDate(c.OverlapUntil); err != nil {
			return fmt.Errorf("reading --overlap-until %q: it is a date such as 2026-12-31", c.OverlapUntil)
		}
	}
	change := client.KeyChange{
		Action: chain.KeyAdd, Role: chain.RoleSigner, KeyID: key.ID(), PublicKey: c.PublicKey,
		OverlapUntil: c.OverlapUntil, Description: c.Description,
	}
	return changeSignerKey(ctx, &c.Remote, c.Ledger, change, c.JSON)
}

// signerKeyEnding is the flags of the commands that end a signing key.
type signerKeyEnding struct {
	Remote      `embed:""`
	Ledger      string `required:"" placeholder:"NAME" help:"Ledger whose checkpoints the key signed."`
	Key         string `arg:"" name:"key-id" help:"Id of the key, <origin>+<id>; see keys signer list."`
	Description string `placeholder:"TEXT" help:"Text of the entry: why."`
	JSON        bool   `name:"json" help:"Print what is on record of the key as one JSON object."`
}

func (c *signerKeyEnding) change(ctx context.Context, action string) error {
	change := client.KeyChange{Action: action, Role: chain.RoleSigner, KeyID: c.Key, Description: c.Description}
	return changeSignerKey(ctx, &c.Remote, c.Ledger, change, c.JSON)
}

// signerKeyRetireCommand ends a signing key in good order: tallystick keys
// signer retire.
type signerKeyRetireCommand struct {
	signerKeyEnding `embed:""`
}

// Run retires the key through the API.
func (c *signerKeyRetireCommand) Run(ctx context.Context) error {
	return c.change(ctx, chain.KeyRetire)
}

// signerKeyRevokeCommand ends a signing key that is compromised: tallystick keys
// signer revoke.
type signerKeyRevokeCommand struct {
	signerKeyEnding `embed:""`
}

// Run revokes the key through the API.
func (c *signerKeyRevokeCommand) Run(ctx context.Context) error {
	return c.change(ctx, chain.KeyRevoke)
}

func changeSignerKey(ctx context.Context, r *Remote, ledger string, change client.KeyChange, asJSON bool) error {
	server, err := r.client()
	if err != nil {
		return err
	}
	text, err := server.ChangeKey(ctx, ledger, change)
	if err != nil {
		return fmt.Errorf("changing the signing key %s of ledger %s: %w", change.KeyID, ledger, err)
	}
	if asJSON {
		return printRaw(os.Stdout, text)
	}
	k, err := readKeyRecord(text)
	if err != nil {
		return err
	}
	_, err = fmt.Printf("the signing key %s of ledger %s is %s\n  since      entry %d\n", k.KeyID, ledger, k.Status, k.since())
	return err
}

// signerKeyListCommand lists the signing keys of a ledger: tallystick keys
// signer list.
type signerKeyListCommand struct {
	Remote `embed:""`
	Ledger string `required:"" placeholder:"NAME" help:"Ledger whose checkpoints the keys sign."`
	JSON   bool   `name:"json" help:"Print one JSON object."`
}

// Run lists every key there ever was: checkpoints of a retired one still stand.
func (c *signerKeyListCommand) Run(ctx context.Context) error {
	server, err := c.client()
	if err != nil {
		return err
	}
	keys, err := server.Keys(ctx, c.Ledger, chain.RoleSigner)
	if err != nil {
		return fmt.Errorf("listing the signing keys of ledger %s: %w", c.Ledger, err)
	}
	if c.JSON {
		if keys == nil {
			keys = []json.RawMessage{}
		}
		return json.NewEncoder(os.Stdout).Encode(map[string]any{"keys": keys})
	}
	return printKeyRecords(os.Stdout, keys)
}

func printKeyRecords(out io.Writer, keys []json.RawMessage) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "KEY\tSTATUS\tADDED\tRETIRED\tREVOKED\tOVERLAP UNTIL")
	for _, text := range keys {
		k, err := readKeyRecord(text)
		if err != nil {
			return err
		}
		overlap := "-"
		if k.OverlapUntil != "" {
			overlap = k.OverlapUntil
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\t%s\n", k.KeyID, k.Status, k.AddedAtSeq, seqOrDash(k.RetiredAtSeq), seqOrDash(k.RevokedAtSeq), overlap)
	}
	return w.Flush()
}

func seqOrDash(seq *int64) string {
	if seq == nil {
		return "-"
	}
	return fmt.Sprint(*seq)
}

// keyRecord is what is told of a key.
type keyRecord struct{ client.KeyRecord }

func readKeyRecord(text json.RawMessage) (*keyRecord, error) {
	k := new(keyRecord)
	if err := json.Unmarshal(text, k); err != nil {
		return nil, fmt.Errorf("reading the server's answer: %w", err)
	}
	return k, nil
}

// since returns the entry that made the key what it is.
func (k *keyRecord) since() int64 {
	switch {
	case k.RevokedAtSeq != nil:
		return *k.RevokedAtSeq
	case k.RetiredAtSeq != nil:
		return *k.RetiredAtSeq
	}
	return k.AddedAtSeq
}
