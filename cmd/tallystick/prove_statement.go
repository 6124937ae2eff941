package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"

	"tallystick/api/client"
	"tallystick/ledger"
	"tallystick/ledger/chain"
)

// maxProvedLines is the most postings of a statement that is proved.
const maxProvedLines = 100_000

// proveStatementCommand gets a statement proof: tallystick prove statement.
type proveStatementCommand struct {
	Remote  `embed:""`
	Trust   `embed:""`
	Account string `arg:"" help:"Code of the account."`
	Ledger  string `required:"" placeholder:"NAME" help:"Ledger that has the account."`
	From    string `required:"" placeholder:"DATE" help:"First booking date."`
	To      string `required:"" placeholder:"DATE" help:"Last booking date."`
	Out     string `type:"path" placeholder:"FILE" help:"Where to write the proof; standard output by default."`
}

// Run gets the proof of every line under one checkpoint, and writes it if it
// holds.
func (c *proveStatementCommand) Run(ctx context.Context) error {
	policy, err := c.policy()
	if err != nil {
		return err
	}
	proof, err := c.begin()
	if err != nil {
		return err
	}
	server, err := c.client()
	if err != nil {
		return err
	}
	if proof.Checkpoint, err = server.Checkpoint(ctx, c.Ledger); err != nil {
		return fmt.Errorf("reading the checkpoint of ledger %s: %w%s", c.Ledger, err, hintUnsealed(err))
	}
	under, err := openTrusted(proof.Checkpoint, policy)
	if err != nil {
		return judged(err)
	}
	seqs, err := c.seqs(ctx, server, under.Size)
	if err != nil {
		return err
	}
	if err := c.prove(ctx, server, proof, under.Size, seqs); err != nil {
		return err
	}
	proved, err := verifyStatement(proof, policy)
	if err != nil {
		return judged(err)
	}
	text, err := proof.Marshal()
	if err != nil {
		return err
	}
	if err := writeEvidence(c.Out, text); err != nil {
		return err
	}
	return printStatement(os.Stderr, proof, proved, policy)
}

// begin returns a proof without entries.
func (c *proveStatementCommand) begin() (*chain.StatementProof, error) {
	from, fromErr := chain.ParseDate(c.From)
	to, toErr := chain.ParseDate(c.To)
	switch {
	case fromErr != nil:
		return nil, fmt.Errorf("reading --from %q: it is a date such as 2026-01-31", c.From)
	case toErr != nil:
		return nil, fmt.Errorf("reading --to %q: it is a date such as 2026-01-31", c.To)
	case from > to:
		return nil, fmt.Errorf("checking --from %s: it is after --to %s", c.From, c.To)
	}
	return &chain.StatementProof{Account: c.Account, From: from, To: to}, nil
}

// errEnough ends the walk over the postings of an account.
var errEnough = errors.New("there is enough")

// seqs returns the entries that the proof needs, of those below size: the one
// that opened the account, the last with a posting before the interval, those in
// it, and the first after it.
func (c *proveStatementCommand) seqs(ctx context.Context, server *client.Client, size int64) ([]int64, error) {
	account, err := server.Account(ctx, c.Ledger, c.Account)
	if err != nil {
		return nil, fmt.Errorf("reading account %s: %w", c.Account, err)
	}
	opening, err := server.OpeningSeq(ctx, c.Ledger, c.Account, c.From, c.To)
	if err != nil {
		return nil, fmt.Errorf("reading the statement of account %s: %w", c.Account, err)
	}
	seqs := []int64{account.OpenedAt}
	err = server.AccountPostingsFrom(ctx, c.Ledger, c.Account, max(opening, 1), func(p client.AccountPosting) error {
		switch {
		case p.Seq >= size:
			return errEnough
		case len(seqs) > maxProvedLines:
			return fmt.Errorf("proving more than %d postings: ask for a shorter interval", maxProvedLines)
		}
		seqs = append(seqs, p.Seq)
		if p.BookingDate > c.To {
			return errEnough
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, fmt.Errorf("reading the postings of account %s: %w", c.Account, err)
	}
	return seqs, nil
}

// prove adds the entries, each with its audit path under the one checkpoint.
func (c *proveStatementCommand) prove(ctx context.Context, server *client.Client, proof *chain.StatementProof, size int64, seqs []int64) error {
	step := func() {}
	if isTerminal(os.Stderr) {
		bar := progressbar.NewOptions(len(seqs), progressbar.OptionSetWriter(os.Stderr), progressbar.OptionThrottle(progressEvery),
			progressbar.OptionSetDescription("proving"), progressbar.OptionShowCount(), progressbar.OptionClearOnFinish())
		defer func() { _ = bar.Finish() }()
		step = func() { _ = bar.Add(1) }
	}
	for _, seq := range seqs {
		text, err := server.Receipt(ctx, c.Ledger, seq, size)
		if err != nil {
			return fmt.Errorf("asking for the proof of entry %d: %w", seq, err)
		}
		r, err := chain.ParseReceipt(text)
		if err != nil {
			return fmt.Errorf("reading the server's proof of entry %d: %w", seq, err)
		}
		proof.Entries = append(proof.Entries, chain.ProvedEntry{Index: r.Index, Canonical: r.Canonical, Proof: r.Proof})
		step()
	}
	return nil
}

// verifyStatement verifies a statement proof. Without a policy, signatures are
// not verified.
func verifyStatement(p *chain.StatementProof, policy *chain.Policy) (*chain.ProvedStatement, error) {
	if policy == nil {
		return p.Follow()
	}
	proved, err := p.Verify(policy.Keys()...)
	if err == nil {
		err = checkQuorum(&proved.Checkpoint, policy)
	}
	return proved, err
}

// checkStatement checks a statement proof offline.
func checkStatement(data []byte, policy *chain.Policy) error {
	p, err := chain.ParseStatementProof(data)
	if err != nil {
		return judged(err)
	}
	proved, err := verifyStatement(p, policy)
	if err != nil {
		return judged(err)
	}
	return printStatement(os.Stdout, p, proved, policy)
}

// printStatement prints what was proved, and what was not.
func printStatement(w io.Writer, p *chain.StatementProof, s *chain.ProvedStatement, policy *chain.Policy) error {
	a := &s.Account
	fmt.Fprintf(w, "proved: account %s (%s, %s) of %s, booked from %s to %s\n", p.Account, a.Type, a.Currency, s.Checkpoint.Origin, p.From, p.To)
	fmt.Fprintf(w, "  opening    %s after posting %d\n", ledger.Balance(a.Type, s.Opening).Format(a.Scale), s.OpeningSeq)
	for _, line := range s.Lines {
		posting := line.Posting
		fmt.Fprintf(w, "  %s entry %d: %s %s, balance %s\n", line.Entry.BookingDate, line.Entry.Seq, posting.Direction,
			posting.Amount.Format(posting.Scale), ledger.Balance(a.Type, posting.Posted).Format(a.Scale))
	}
	fmt.Fprintf(w, "  closing    %s after posting %d\n", ledger.Balance(a.Type, s.Closing).Format(a.Scale), s.OpeningSeq+int64(len(s.Lines)))
	complete := fmt.Sprintf("no line is missing: the next posting of the account was booked after %s", p.To)
	if !s.Complete {
		complete = fmt.Sprintf("no line is missing up to the last one; NOT CHECKED: that none followed it among the %d entries", s.Checkpoint.Size)
	}
	fmt.Fprintf(w, "  complete   %s\n", complete)
	return fprintCheckpoint(w, &s.Checkpoint, policy)
}

// fprintCheckpoint prints what a proof rests on.
func fprintCheckpoint(w io.Writer, signed *chain.SignedCheckpoint, policy *chain.Policy) error {
	_, err := fmt.Fprintf(w, "  checkpoint size %d, root %s\n  signed by  %s\n", signed.Size, signed.Root, signers(signed, policy))
	return err
}

// printEntry prints what an entry says. It names accounts and keys by their ids,
// as the entry does.
func printEntry(w io.Writer, e *chain.Entry) {
	fmt.Fprintf(w, "  kind       %s, request %s\n", e.Kind, e.RequestID)
	fmt.Fprintf(w, "  recorded   %s, booked %s, value date %s\n", time.UnixMicro(e.RecordedAt).UTC().Format(time.RFC3339Nano), e.BookingDate, e.EffectiveDate)
	fmt.Fprintf(w, "  hash       %s\n", e.Hash())
	if e.Account != nil {
		fmt.Fprintf(w, "  account    %s (%s, %s), id %s\n", e.Account.Code, e.Account.Type, e.Account.Currency, e.Account.AccountID)
	}
	for i := range e.Postings {
		p := &e.Postings[i]
		fmt.Fprintf(w, "  posting    %s %s %s, account %s, its posting %d\n", p.Direction, p.Amount.Format(p.Scale), p.Currency, p.AccountID, p.AccountSeq)
	}
}
