package engine

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// phase is what a look at the data folder's processes shows.
type phase string

const (
	absent   phase = "absent"   // no process at all
	starting phase = "starting" // processes, not yet accepting connections, or about to end
	ready    phase = "ready"    // accepting connections
	leftover phase = "left over from a killed engine"
)

// status is the result of one look.
type status struct {
	phase phase
	pids  []int // processes of the store
	pid   int   // the first one, when starting or ready
	url   string
}

// haveProc says whether the kernel shows working folders of processes (Linux). Elsewhere pid files are
// believed, and leftovers are found by the engine itself.
var haveProc = func() bool {
	_, err := os.Stat("/proc/self/cwd")
	return err == nil
}()

// processesIn returns the processes whose working folder is home. A zombie has none and does not count.
func processesIn(home string) []int {
	if !haveProc {
		return nil
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	want, err := os.Stat(home)
	if err != nil {
		return nil
	}
	var pids []int
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		if has, err := os.Stat(filepath.Join("/proc", entry.Name(), "cwd")); err == nil && os.SameFile(has, want) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// inFolder says whether process pid is alive and works in home.
func inFolder(pid int, home string) bool {
	if pid <= 1 {
		return false
	}
	if !haveProc {
		return syscall.Kill(pid, 0) == nil
	}
	want, err := os.Stat(home)
	if err != nil {
		return false
	}
	has, err := os.Stat(filepath.Join("/proc", strconv.Itoa(pid), "cwd"))
	return err == nil && os.SameFile(has, want)
}

// isBackend says whether process pid is a child of a postmaster by what it calls itself, such as
// "postgres: checkpointer". A postmaster, a single-user server and a shell in the folder are called otherwise.
func isBackend(pid int) bool {
	title, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
	return err == nil && bytes.HasPrefix(title, []byte("postgres: "))
}
