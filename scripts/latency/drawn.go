package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"

	"tallystick/api/client"
)

// Bounds of what is drawn.
const (
	drawnPages   = 60
	drawnEntries = 50 // of a page
	mostAccounts = 50_000
)

// drawn is what requests are made of.
type drawn struct {
	random   *rand.Rand
	ledger   client.Ledger
	accounts []string
	busiest  client.Account // that with the most postings
	entries  []entry        // that move money
	commonly [2]string      // the member of the metadata that most entries have
}

// entry is what an answer says of an entry, as far as requests need it.
type entry struct {
	ID            string         `json:"id"`
	Kind          string         `json:"kind"`
	Seq           int64          `json:"seq"`
	BookingDate   string         `json:"booking_date"`
	EffectiveDate string         `json:"effective_date"`
	Reference     string         `json:"reference"`
	RelatedTo     string         `json:"related_to"`
	Metadata      map[string]any `json:"metadata"`
	Postings      []struct {
		Account  string `json:"account"`
		Amount   string `json:"amount"`
		Currency string `json:"currency"`
	} `json:"postings"`
}

// draw reads the accounts of a ledger, and entries from all over it.
func draw(ctx context.Context, o options, server *client.Client) (*drawn, error) {
	d := &drawn{random: rand.New(rand.NewPCG(o.Seed, 0))}
	var err error
	if d.ledger, err = server.Ledger(ctx, o.Ledger); err != nil {
		return nil, err
	}
	err = server.Accounts(ctx, o.Ledger, func(a client.Account) error {
		if len(d.accounts) == mostAccounts {
			return errEnough
		}
		d.accounts = append(d.accounts, a.Code)
		if a.AccountSeq >= d.busiest.AccountSeq {
			d.busiest = a
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, err
	}
	for page := range drawnPages {
		from := max(d.ledger.Size-drawnEntries, 0) // the newest on the first page
		if page > 0 {
			from = d.random.Int64N(d.ledger.Size)
		}
		raw, err := server.RawEntries(ctx, o.Ledger, from, drawnEntries)
		if err != nil {
			return nil, err
		}
		for _, text := range raw {
			var e entry
			if err := json.Unmarshal(text, &e); err != nil {
				return nil, fmt.Errorf("reading an entry: %w", err)
			}
			if len(e.Postings) > 0 {
				d.entries = append(d.entries, e)
			}
		}
	}
	if len(d.accounts) < 2 || len(d.entries) == 0 {
		return nil, fmt.Errorf("drawing from ledger %s: it has %d accounts, and no transfers were found", o.Ledger, len(d.accounts))
	}
	d.findCommonly()
	return d, nil
}

// findCommonly finds the member of the metadata that most entries have.
func (d *drawn) findCommonly() {
	counts := map[[2]string]int{}
	for _, e := range d.entries {
		for key, value := range e.Metadata {
			text, ok := value.(string)
			if !ok {
				continue
			}
			member := [2]string{key, text}
			counts[member]++
			if counts[member] > counts[d.commonly] {
				d.commonly = member
			}
		}
	}
}

func (d *drawn) account() string { return d.accounts[d.random.IntN(len(d.accounts))] }

// entry returns one of the entries that has what is wanted, nil when none has.
func (d *drawn) entry(has func(*entry) bool) *entry {
	start := d.random.IntN(len(d.entries))
	for i := range d.entries {
		if e := &d.entries[(start+i)%len(d.entries)]; has(e) {
			return e
		}
	}
	return nil
}

func anyEntry(*entry) bool { return true }
