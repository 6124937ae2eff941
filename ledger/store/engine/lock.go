package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
)

// The two ways to hold a lock file.
const (
	exclusive = syscall.LOCK_EX
	shared    = syscall.LOCK_SH
)

// fileLock is a flock: the kernel releases it with the process, however that ends. Two handles in one
// process exclude each other like two processes.
type fileLock struct {
	mu   sync.Mutex
	file *os.File // nil once unlocked
}

// lockFile waits for the lock until ctx ends.
func lockFile(ctx context.Context, path string, how int) (*fileLock, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		if errors.Is(err, os.ErrPermission) {
			return nil, fmt.Errorf("%w: %w\nhint: use the data folder as the user who owns it, or as root", ErrStore, err)
		}
		return nil, fmt.Errorf("opening lock file: %w", err)
	}
	for {
		err := syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB)
		if err == nil {
			return &fileLock{file: f}, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			_ = f.Close()
			return nil, fmt.Errorf("locking %s: %w", path, err)
		}
		if err := pause(ctx, pollPause); err != nil {
			_ = f.Close()
			return nil, fmt.Errorf("waiting for lock %s, held by another process: %w", path, err)
		}
	}
}

// upgrade turns a shared lock into an exclusive one if nobody else holds it, and says whether it did.
// When it did not, the shared lock may be lost: the caller is leaving anyway. A lock that was given up before
// cannot be.
func (l *fileLock) upgrade() (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return false, nil
	}
	err := syscall.Flock(int(l.file.Fd()), exclusive|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("locking %s: %w", l.file.Name(), err)
	}
	return true, nil
}

// unlock gives the lock up; again, it does nothing.
func (l *fileLock) unlock() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file != nil {
		_ = l.file.Close()
		l.file = nil
	}
}
