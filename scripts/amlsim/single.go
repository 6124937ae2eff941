package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/shopspring/decimal"

	"tallystick/api/client"
)

// How transfers are posted one request each.
const (
	currency = "USD" // as map.yaml has it
	// fundingLegs is how many accounts one funding transfer credits: with the
	// debit of the equity account it has the 500 postings a transfer may have.
	fundingLegs    = 499
	requestTimeout = 60 * time.Second
	// attempts bounds how often one request is sent. The idempotency key
	// makes a repetition safe.
	attempts = 20
	retryGap = 250 * time.Millisecond
)

// poster posts to one ledger.
type poster struct {
	server      *client.Client
	ledger      string
	connections int
}

// request is one transfer ready to be sent. A doomed one must be refused.
type request struct {
	key    string
	body   []byte
	doomed bool
}

// tally counts how requests ended.
type tally struct {
	accepted, replayed, refused int64
	unexpected                  int64 // refused though nothing is wrong with them
	firstUnexpected             error
	took                        time.Duration
}

// String returns the counts, the wall time and the rate.
func (o tally) String() string {
	all := o.accepted + o.replayed + o.refused
	text := fmt.Sprintf("%d accepted, %d refused, %d replayed in %s ms, %d/s",
		o.accepted, o.refused, o.replayed, client.Millis(o.took), all*int64(time.Second)/max(1, int64(o.took)))
	if o.firstUnexpected != nil {
		text += fmt.Sprintf("; refused without reason, for example: %v", o.firstUnexpected)
	}
	return text
}

// postSingly opens the accounts, funds them and posts every transfer in a
// request of its own.
func (o *options) postSingly(ctx context.Context, server *client.Client, s *sample) error {
	p := poster{server: server, ledger: o.Ledger, connections: o.Connections}
	before, err := p.open(ctx, s)
	if err != nil {
		return fmt.Errorf("opening the book: %w", err)
	}
	funded, err := p.post(ctx, s.fundings())
	if err != nil {
		return fmt.Errorf("funding the accounts: %w", err)
	}
	fmt.Printf("%-9s %d accounts with %s, in %d transfers: %s\n", "funded", len(s.opening), s.total, len(s.fundings()), funded)
	posted, err := p.post(ctx, s.payments())
	if err != nil {
		return fmt.Errorf("posting the transfers: %w", err)
	}
	fmt.Printf("%-9s %d transfers over %d connections: %s\n", "posted", len(s.transfers), o.Connections, posted)
	after, err := standingOf(ctx, server, o.Ledger)
	if err != nil {
		return err
	}
	fmt.Println(after.since(before))
	var wrong []error
	expect := expectations(&wrong)
	expect("fundings stored", funded.accepted+funded.replayed, int64(len(s.fundings())))
	expect("fundings refused", funded.refused, 0)
	expect("transfers stored", posted.accepted+posted.replayed, int64(len(s.transfers)-s.toSelf))
	expect("transfers refused", posted.refused, int64(s.toSelf))
	expect("transfers refused that are not from an account to itself", posted.unexpected, 0)
	expect("new entries", after.news(before), funded.accepted+posted.accepted)
	if funded.accepted+posted.accepted == 0 && after.keys == before.keys && before.Head != after.Head {
		wrong = append(wrong, fmt.Errorf("%w: nothing was accepted, and the head moved from %s to %s", errDiffers, before.Head, after.Head))
	}
	if err := errors.Join(wrong...); err != nil {
		return err
	}
	return compare(ctx, server, o.Ledger, s)
}

// open opens the ledger and its accounts where absent, and returns the ledger
// as it is then.
func (p *poster) open(ctx context.Context, s *sample) (standing, error) {
	if _, err := p.server.EnsureLedger(ctx, client.LedgerTerms{Name: p.ledger, BaseCurrency: currency}); err != nil {
		return standing{}, err
	}
	accounts := []client.NewAccount{{Code: equityAccount, Type: "equity", Currency: currency}}
	for node := range s.opening {
		accounts = append(accounts, client.NewAccount{Code: customer(node), Type: "liability", Currency: currency})
	}
	start := time.Now()
	if err := p.server.OpenAccounts(ctx, p.ledger, accounts); err != nil {
		return standing{}, err
	}
	fmt.Printf("%-9s %d accounts in %s ms\n", "opened", len(accounts), client.Millis(time.Since(start)))
	return standingOf(ctx, p.server, p.ledger)
}

// fundings are the transfers that give every account its opening balance.
func (s *sample) fundings() []request {
	var all []request
	for start := 0; start < len(s.opening); start += fundingLegs {
		end := min(start+fundingLegs, len(s.opening))
		sum := decimal.Zero
		legs := make([]client.Leg, 1, fundingLegs+1)
		for node := start; node < end; node++ {
			sum = sum.Add(s.opening[node])
			legs = append(legs, client.Leg{Account: customer(node), Direction: "credit", Amount: s.opening[node].StringFixed(2)})
		}
		legs[0] = client.Leg{Account: equityAccount, Direction: "debit", Amount: sum.StringFixed(2)}
		all = append(all, newRequest(fmt.Sprintf("amlsim/nodes.csv/%d", start), legs))
	}
	return all
}

// payments are the rows of transactions.csv. The customers' accounts are
// liabilities of the bank: paying debits the payer and credits the payee.
func (s *sample) payments() []request {
	all := make([]request, len(s.transfers))
	for i, t := range s.transfers {
		all[i] = newRequest("amlsim/transactions.csv/"+strconv.Itoa(i+1), []client.Leg{
			{Account: customer(t.from), Direction: "debit", Amount: t.amount},
			{Account: customer(t.to), Direction: "credit", Amount: t.amount},
		})
		all[i].doomed = t.from == t.to
	}
	return all
}

func newRequest(key string, legs []client.Leg) request {
	body, err := json.Marshal(client.Transfer{Postings: legs})
	if err != nil {
		panic(err) // strings only: cannot fail
	}
	return request{key: key, body: body}
}

// post sends every request once, over all connections at a time, again where
// the answer left it open whether it was carried out.
func (p *poster) post(ctx context.Context, requests []request) (tally, error) {
	var next atomic.Int64
	var wait sync.WaitGroup
	parts := make([]tally, p.connections)
	failed := make([]error, p.connections)
	start := time.Now()
	for n := range p.connections {
		wait.Go(func() {
			conn := p.server.Conn(requestTimeout)
			defer conn.Close()
			for failed[n] == nil {
				i := int(next.Add(1)) - 1
				if i >= len(requests) {
					return
				}
				failed[n] = p.send(ctx, conn, &requests[i], &parts[n])
			}
			next.Store(int64(len(requests))) // the others may stop, too
		})
	}
	wait.Wait()
	sum := tally{took: time.Since(start)}
	for _, part := range parts {
		sum.accepted += part.accepted
		sum.replayed += part.replayed
		sum.refused += part.refused
		sum.unexpected += part.unexpected
		if sum.firstUnexpected == nil {
			sum.firstUnexpected = part.firstUnexpected
		}
	}
	return sum, errors.Join(failed...)
}

// send posts one request until it has a definite answer.
func (p *poster) send(ctx context.Context, conn *client.Conn, r *request, o *tally) error {
	path := client.LedgerPath(p.ledger, "transfers")
	var last error
	for range attempts {
		answer, err := conn.Post(ctx, path, r.key, r.body)
		switch {
		case err != nil:
			last = err
		case answer.Status == http.StatusCreated && answer.Replayed:
			o.replayed++
			return nil
		case answer.Status == http.StatusCreated:
			o.accepted++
			return nil
		case answer.Status == http.StatusUnprocessableEntity:
			o.refused++
			if !r.doomed {
				o.unexpected++
				o.firstUnexpected = fmt.Errorf("%s: %w", r.key, client.ParseProblem(answer.Status, answer.Body))
			}
			return nil
		case answer.Status < 500:
			return fmt.Errorf("posting %s: %w", r.key, client.ParseProblem(answer.Status, answer.Body))
		default:
			last = client.ParseProblem(answer.Status, answer.Body)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("posting %s: %w", r.key, ctx.Err())
		case <-time.After(max(answer.RetryAfter, retryGap)):
		}
	}
	return fmt.Errorf("posting %s: no answer in %d attempts: %w", r.key, attempts, last)
}
