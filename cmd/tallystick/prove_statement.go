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
	return printStatement(os.Stderr, proof, proved, nil, policy)
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

// statement checks a statement proof offline.
func (c *proveCheckCommand) statement(data []byte, policy *chain.Policy) error {
	p, err := chain.ParseStatementProof(data)
	if err != nil {
		return judged(err)
	}
	proved, err := verifyStatement(p, policy)
	if err != nil {
		return judged(err)
	}
	if c.Balance == "" {
		return printStatement(os.Stdout, p, proved, nil, policy)
	}
	text, err := readBounded(c.Balance, chain.MaxStatementProof)
	if err != nil {
		return fmt.Errorf("reading --balance: %w", err)
	}
	r, err := chain.ParseBalanceReceipt(text)
	if err != nil {
		return judged(err)
	}
	commitment, _, err := verifyBalance(r, policy)
	if err != nil {
		return judged(err)
	}
	end := statementEnd{leaf: &r.Leaf, shown: proved.Complete}
	if end.known, err = proved.Until(p.To, &r.Leaf, commitment); err != nil {
		return judged(err)
	}
	return printStatement(os.Stdout, p, proved, &end, policy)
}

// statementEnd is what a balance proof says of the end of a statement.
type statementEnd struct {
	leaf  *chain.BalanceLeaf
	known int64 // among how many entries no posting follows
	shown bool  // the statement itself shows its end
}

// printStatement prints what was proved, and what was not. end is nil without a balance
// proof.
func printStatement(w io.Writer, p *chain.StatementProof, s *chain.ProvedStatement, end *statementEnd, policy *chain.Policy) error {
	a, upTo := &s.Account, ""
	if !s.Complete {
		upTo = fmt.Sprintf(" up to posting %d, and not that it is the last", s.LastSeq())
	}
	fmt.Fprintf(w, "proved%s: account %s (%s, %s) of %s, booked from %s to %s\n", upTo, p.Account, a.Type, a.Currency, s.Checkpoint.Origin, p.From, p.To)
	fmt.Fprintf(w, "  opening    %s after posting %d\n", ledger.Balance(a.Type, s.Opening).Format(a.Scale), s.OpeningSeq)
	for _, line := range s.Lines {
		posting := line.Posting
		fmt.Fprintf(w, "  %s entry %d: %s %s, balance %s\n", line.Entry.BookingDate, line.Entry.Seq, posting.Direction,
			posting.Amount.Format(posting.Scale), ledger.Balance(a.Type, posting.Posted).Format(a.Scale))
	}
	fmt.Fprintf(w, "  closing    %s after posting %d\n", ledger.Balance(a.Type, s.Closing).Format(a.Scale), s.LastSeq())
	fmt.Fprintf(w, "  complete   %s\n", completeness(p, s, end))
	return fprintCheckpoint(w, &s.Checkpoint, policy)
}

// completeness says whether lines are missing. What has no end of its own looks the same
// as a longer statement from which the last lines were taken away.
func completeness(p *chain.StatementProof, s *chain.ProvedStatement, end *statementEnd) string {
	switch {
	case s.Complete && (end == nil || end.shown):
		return fmt.Sprintf("no line is missing: the next posting of the account was booked after %s", p.To)
	case s.Complete:
		return fmt.Sprintf("no line is missing: posting %d is the last among the first %d entries, by the balance proof", s.LastSeq(), end.known)
	}
	what := "a statement from which the last lines were taken away looks like this one;\n             " +
		"a balance proof of the account shows it, with tallystick prove check --balance FILE"
	switch {
	case end == nil:
	case end.known > 0:
		what = fmt.Sprintf("by the balance proof, none did among the first %d", end.known)
	case end.leaf.AccountSeq > s.LastSeq():
		what = fmt.Sprintf("by the balance proof, one did among the first %d; get the statement anew, under a checkpoint of that size", end.leaf.Size)
	default:
		what = fmt.Sprintf("the balance proof is older, of posting %d: get one anew", end.leaf.AccountSeq)
	}
	return fmt.Sprintf("no line is missing up to posting %d; NOT CHECKED: that none followed it among the %d entries: %s", s.LastSeq(), s.Checkpoint.Size, what)
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
