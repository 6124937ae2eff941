package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"tallystick/api/client"
	"tallystick/scripts/internal/harness"
)

const (
	aloneLedger = "alone"
	pairLedger  = "pair"
	// pollStep is the time between two looks at the balance and the counters.
	pollStep = 50 * time.Millisecond
	// pollTimeout bounds one look; a stopped process does not answer.
	pollTimeout = 2 * time.Second
)

// pair is two servers over one data folder.
type pair struct {
	o       options
	out     io.Writer
	rig     *harness.Rig
	servers []*harness.Server
	sides   []*side // every load on the shared ledger; a restarted process adds one
	event   disturbance
	watched watch
}

// watch is what polling saw.
type watch struct {
	mu       sync.Mutex
	polls    int
	lowest   int64
	counters [2]map[string]int64
	failed   error
}

func newPair(ctx context.Context, o options, out io.Writer) (*pair, error) {
	rig, err := harness.NewRig(ctx, o.Binary, o.Keep)
	if err != nil {
		return nil, err
	}
	p := &pair{o: o, out: out, rig: rig}
	if err := p.prepare(ctx); err != nil {
		return nil, errors.Join(err, p.close(ctx))
	}
	return p, nil
}

// prepare starts the first server and opens what the loads need. Its limits
// say that the hot account never goes below zero.
func (p *pair) prepare(ctx context.Context) error {
	first, err := p.rig.Serve(ctx, "first")
	if err != nil {
		return err
	}
	p.servers = append(p.servers, first)
	zero := "0"
	accounts := []client.NewAccount{{Code: hotAccount, Type: "liability", Currency: currency, MinBalance: &zero}}
	for i := range spread {
		accounts = append(accounts, client.NewAccount{Code: spreadAccount(i), Type: "liability", Currency: currency})
	}
	for _, name := range []string{aloneLedger, pairLedger} {
		if _, err := first.Client.OpenLedger(ctx, client.LedgerTerms{Name: name, BaseCurrency: currency}); err != nil {
			return err
		}
		if err := first.Client.OpenAccounts(ctx, name, accounts); err != nil {
			return err
		}
	}
	return nil
}

func (p *pair) close(ctx context.Context) error { return p.rig.Close(ctx) }

// alone measures one process with all the connections.
func (p *pair) alone(ctx context.Context) (*side, error) {
	s, err := startSide(ctx, "alone", p.servers[0].Client, aloneLedger, 2*p.o.Connections, p.o.WarmUp, p.o.Baseline)
	if err != nil {
		return nil, err
	}
	err = s.wait()
	p.print(s)
	return s, err
}

// together runs both processes, with the disturbance that was asked for.
func (p *pair) together(ctx context.Context) error {
	second, err := p.rig.Serve(ctx, "second")
	if err != nil {
		return err
	}
	p.servers = append(p.servers, second)
	for i, name := range []string{"first", "second"} {
		s, err := startSide(ctx, name, p.servers[i].Client, pairLedger, p.o.Connections, p.o.WarmUp, p.o.Duration)
		if err != nil {
			return err
		}
		p.sides = append(p.sides, s)
	}
	watching, stopWatching := context.WithCancel(ctx)
	var watchers sync.WaitGroup
	watchers.Go(func() { p.watchBoth(watching) })
	err = p.disturb(ctx)
	for _, s := range p.sides {
		err = errors.Join(err, s.wait())
	}
	stopWatching()
	watchers.Wait()
	for _, s := range p.sides {
		p.print(s)
	}
	return errors.Join(err, ctx.Err(), p.watched.failed)
}

// watchBoth polls the balance and the counters of both, in turn, until ctx
// ends. A process that does not answer is left out: it may be the victim.
func (p *pair) watchBoth(ctx context.Context) {
	ticks := time.NewTicker(pollStep)
	defer ticks.Stop()
	for i := 0; ; i = 1 - i {
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
		}
		if p.event.isDown(i) {
			continue
		}
		look, cancel := context.WithTimeout(ctx, pollTimeout)
		a, err := p.event.server(p, i).Client.Account(look, pairLedger, hotAccount)
		counters, err2 := p.event.server(p, i).Client.Counters(look)
		cancel()
		if err != nil || err2 != nil {
			continue
		}
		cents, err := parseCents(a.Balance)
		p.watched.saw(i, cents, counters, err)
	}
}

func (w *watch) saw(i int, cents int64, counters map[string]int64, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.polls++
	w.lowest = min(w.lowest, cents)
	w.counters[i] = counters
	w.failed = errors.Join(w.failed, err)
}

// print reports one side's figures.
func (p *pair) print(s *side) {
	if s.measured == nil {
		return
	}
	m := s.measured
	fmt.Fprintf(p.out, "%-9s %d acknowledged/s, p50 %s ms, p99 %s ms, statuses %v, unanswered %d\n", s.name,
		m.PerSecond(), client.Millis(m.Latencies.Percentile(50)), client.Millis(m.Latencies.Percentile(99)), m.Statuses, s.unanswered())
}

func (s *side) unanswered() (n int) {
	for i := range s.lanes {
		n += len(s.lanes[i].open)
	}
	return n
}
