package main

import (
	"context"
	"fmt"
	"sync"
	"syscall"
	"time"

	"tallystick/scripts/internal/harness"
)

const (
	// resumeBound is how soon the other process must acknowledge again.
	resumeBound = 2 * time.Second
	// observed is how long after the disturbance its gaps are looked at.
	observed = 15 * time.Second
)

// disturbance is what was done to one of the two processes, and when. The zero
// value is none.
type disturbance struct {
	mu       sync.Mutex
	victim   int  // index of the process
	down     bool // it does not answer at the moment
	happened time.Time
	ended    time.Time
}

func (d *disturbance) isDown(i int) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.down && d.victim == i
}

// server returns process i, under lock because a killed one is replaced.
func (d *disturbance) server(p *pair, i int) *harness.Server {
	d.mu.Lock()
	defer d.mu.Unlock()
	return p.servers[i]
}

func (d *disturbance) begin(victim int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.victim, d.down, d.happened = victim, true, time.Now()
}

func (d *disturbance) end() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.down, d.ended = false, time.Now()
}

// disturb kills or stops a process a quarter into the run and brings it back.
func (p *pair) disturb(ctx context.Context) error {
	if p.o.Disturb == "none" {
		return nil
	}
	if err := await(ctx, p.o.WarmUp+p.o.Duration/4); err != nil {
		return err
	}
	victim, why := p.turnHolder(ctx)
	p.event.begin(victim)
	server := p.servers[victim]
	fmt.Fprintf(p.out, "%-9s --disturb %s of the %s process, %d: %s\n", "disturb", p.o.Disturb, p.sides[victim].name, server.PID(), why)
	if p.o.Disturb == "kill" {
		return p.killAndReturn(ctx, victim)
	}
	if err := server.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	stopped := await(ctx, p.o.Stopped)
	err := server.Signal(syscall.SIGCONT) // also when interrupted
	p.event.end()
	if stopped != nil {
		return stopped
	}
	return err
}

func (p *pair) killAndReturn(ctx context.Context, victim int) error {
	if err := p.servers[victim].Kill(); err != nil {
		return err
	}
	p.sides[victim].cancel()
	// Long enough that the other one's way alone is seen, too.
	if err := await(ctx, p.o.Duration/8); err != nil {
		return err
	}
	back, err := p.rig.Serve(ctx, "returned")
	if err != nil {
		return err
	}
	p.event.mu.Lock()
	p.servers[victim] = back
	p.event.mu.Unlock()
	p.event.end()
	rest := p.o.WarmUp + p.o.Duration - time.Since(p.sides[1-victim].begun)
	s, err := startSide(ctx, "returned", back.Client, pairLedger, p.o.Connections, 0, max(rest, time.Second))
	if err == nil {
		p.sides = append(p.sides, s)
	}
	return err
}

func await(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return fmt.Errorf("waiting for %s: %w", d, ctx.Err())
	case <-timer.C:
		return nil
	}
}

// holderBound is how long a turn is waited for.
const holderBound = 5 * time.Second

// turnHolder returns the process that was seen to take the turn a moment ago:
// its counter rose between two looks, which lie a few milliseconds apart, and
// a turn lasts 20. When nobody takes turns it is the first one.
func (p *pair) turnHolder(ctx context.Context) (victim int, why string) {
	ctx, cancel := context.WithTimeout(ctx, holderBound)
	defer cancel()
	last := [2]int64{-1, -1}
	for ctx.Err() == nil {
		for i := range last {
			counters, err := p.servers[i].Client.Counters(ctx)
			if err != nil {
				continue
			}
			before := last[i]
			last[i] = counters[turnsCounter]
			if before >= 0 && last[i] > before {
				return i, fmt.Sprintf("it has just taken the turn, its number %d", last[i])
			}
		}
	}
	return 0, fmt.Sprintf("nobody took a turn for %s", holderBound)
}
