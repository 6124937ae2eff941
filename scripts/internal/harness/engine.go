package harness

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// pidFiles are where the engines write their process id, below the data folder.
var pidFiles = []string{"postgres/data/postmaster.pid", "cockroach/node.pid"}

// EnginePID returns the process id of the database engine on the rig's data
// folder, as the engine wrote it down; a killed one may still stand there.
func (r *Rig) EnginePID() (int, error) {
	for _, name := range pidFiles {
		text, err := os.ReadFile(filepath.Join(r.DataDir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return 0, fmt.Errorf("reading the engine's process id: %w", err)
		}
		line, _, _ := strings.Cut(string(text), "\n")
		pid, err := strconv.Atoi(strings.TrimSpace(line))
		if err != nil || pid < 2 {
			return 0, fmt.Errorf("reading the engine's process id from %s: %q is none", name, line)
		}
		return pid, nil
	}
	return 0, fmt.Errorf("reading the engine's process id in %s: %w", r.DataDir, fs.ErrNotExist)
}

// KillEngine ends the engine with SIGKILL: its main process alone, whose
// children then find out by themselves, or all of its processes at once. It
// returns the process id of the main one.
func (r *Rig) KillEngine(all bool) (int, error) {
	pid, err := r.EnginePID()
	if err != nil {
		return 0, err
	}
	victims := []int{pid}
	if all {
		children, err := childrenOf(pid)
		if err != nil {
			return 0, err
		}
		victims = append(victims, children...)
	}
	for i, victim := range victims {
		// A child may have ended since it was listed; the main one not.
		if err := syscall.Kill(victim, syscall.SIGKILL); err != nil && (i == 0 || err != syscall.ESRCH) {
			return 0, fmt.Errorf("killing process %d of the engine: %w", victim, err)
		}
	}
	return pid, nil
}

// childrenOf lists the processes that pid started.
func childrenOf(pid int) ([]int, error) {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	var children []int
	for _, stat := range stats {
		text, err := os.ReadFile(stat)
		if err != nil {
			continue // it has ended meanwhile
		}
		// 4711 (name, which may hold anything) S 4710 …
		fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
		if len(fields) > 1 && fields[1] == strconv.Itoa(pid) {
			child, err := strconv.Atoi(filepath.Base(filepath.Dir(stat)))
			if err != nil {
				return nil, err
			}
			children = append(children, child)
		}
	}
	return children, nil
}

// AwaitOtherEngine returns when another engine process than pid has written
// itself down, as after a restart.
func (r *Rig) AwaitOtherEngine(ctx context.Context, pid int, bound time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	ticks := time.NewTicker(pollStep)
	defer ticks.Stop()
	for {
		if now, err := r.EnginePID(); err == nil && now != pid {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("awaiting another engine than process %d for %s: %w", pid, bound, ctx.Err())
		case <-ticks.C:
		}
	}
}
