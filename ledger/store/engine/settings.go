package engine

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// setting is a line of postgresql.conf and the reason for it.
type setting struct{ name, value, why string }

const mib = 1 << 20

// postgresSettings returns the settings for a machine with so much memory and free disk (in bytes): a ledger
// that is only appended to, whose writes arrive as one large batch after the other on one connection.
func postgresSettings(memory, disk uint64) []setting {
	megabytes := func(bytes uint64) string { return strconv.FormatUint(bytes/mib, 10) + "MB" }
	wal := min(max(disk/10, 512*mib), 8192*mib)
	return []setting{
		{"listen_addresses", "''", "no network: the socket in its closed folder is the only door"},
		{"unix_socket_directories", "'../socket'", "relative to the store: no limit on the depth of the data folder"},
		{"unix_socket_permissions", "0700", ""},
		{"port", strconv.Itoa(socketPort), "only part of the socket's name"},
		{"max_connections", "200", "two servers' pools, a verify, a bench and a person"},

		{"fsync", "on", "acknowledged means on disk"},
		{"synchronous_commit", "on", "the same"},
		{"full_page_writes", "on", "a page half-written at a power cut is repaired"},
		{"commit_delay", "0", "the sequencer already gathers commits; waiting for more adds only latency"},

		{"shared_buffers", megabytes(min(max(memory/4, 128*mib), 8192*mib)), "the ends of all indexes, and the hot accounts"},
		{"effective_cache_size", megabytes(max(memory/2, 256*mib)), ""},
		{"maintenance_work_mem", megabytes(min(max(memory/16, 64*mib), 1024*mib)), "vacuum and index builds of large tables"},
		{"work_mem", "16MB", ""},
		{"wal_buffers", "32MB", "several batches of 1 MiB and their page images"},
		{"wal_compression", "off", "hashes and keys hardly shrink: 12 % less log for 20 % more processor time"},
		{"max_wal_size", megabytes(wal), "rare checkpoints: each makes every page's next change a whole page in the log"},
		{"min_wal_size", megabytes(min(wal/4, 1024*mib)), "log files are renamed, not created"},
		{"checkpoint_timeout", "10min", "bounds recovery after a crash together with max_wal_size"},
		{"checkpoint_completion_target", "0.9", ""},

		{"random_page_cost", "1.1", "solid-state disks"},
		{"effective_io_concurrency", "64", ""},
		{"jit", "off", "compiling costs more than any of our statements"},
		{"max_parallel_workers_per_gather", "0", "a report must not take the core the sequencer needs"},

		{"autovacuum_naptime", "20s", "a young ledger doubles within seconds, and stale statistics make bad plans"},
		{"autovacuum_analyze_scale_factor", "0.05", "the same"},
		{"autovacuum_vacuum_insert_scale_factor", "0.1", "appended pages become all-visible for index-only scans"},
		{"vacuum_freeze_min_age", "0", "rows never change: freeze them at the first visit and never come back"},

		{"timezone", "'UTC'", ""},
		{"log_timezone", "'UTC'", ""},
		{"log_line_prefix", "'%m [%p] %u '", ""},
		{"log_min_messages", "log", "a refused key is how writers find each other, not an event"},
		{"log_min_error_statement", "panic", "statements carry the payers' texts, which do not belong in a log"},
		{"log_error_verbosity", "terse", "details of refused rows do neither"},
		{"log_checkpoints", "on", ""},
	}
}

const settingsHead = `# Written by tallystick at every start, for this machine. Do not edit.
# Your own settings go to postgresql.local.conf in this folder, which is read after this file.
`

// localSettings is the file of settings made by hand, which is read after ours.
const localSettings = "postgresql.local.conf"

// onePass are the settings of an engine that reads nearly everything once: PostgreSQL's own default. Pages are
// copied from the system's cache in any case; into few buffers, which stay in the processor's, that takes a
// third of the time off a verification of 2 million entries.
var onePass = map[string]string{"shared_buffers": "128MB"}

// settings are those that differ from postgresSettings.
func (o Options) settings() map[string]string {
	if !o.OnePass {
		return o.Settings
	}
	all := maps.Clone(onePass)
	maps.Copy(all, o.Settings)
	return all
}

// otherSettings returns those settings, name=value, that are not wanted.
func otherSettings(launched []string, wanted map[string]string) []string {
	return slices.DeleteFunc(launched, func(s string) bool {
		name, value, _ := strings.Cut(s, "=")
		return wanted[name] == value
	})
}

// writeSettings replaces postgresql.conf.
func (c *postgresCluster) writeSettings(top *os.Root) error {
	var b strings.Builder
	b.WriteString(settingsHead)
	for _, s := range postgresSettings(memory(), freeDisk(c.top)) {
		line := s.name + " = " + s.value
		if s.why != "" {
			line = fmt.Sprintf("%-50s # %s", line, s.why)
		}
		b.WriteString(line + "\n")
	}
	b.WriteString("include_if_exists = '" + localSettings + "'\n")
	const name, fresh = "data/postgresql.conf", "data/postgresql.conf.new"
	_ = top.Remove(fresh)
	f, err := top.OpenFile(fresh, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("writing the engine's settings: %w", err)
	}
	_, err = f.WriteString(b.String())
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return fmt.Errorf("writing the engine's settings: %w", err)
	}
	if err := c.own(top, fresh); err != nil {
		return err
	}
	if err := top.Rename(fresh, name); err != nil {
		return fmt.Errorf("writing the engine's settings: %w", err)
	}
	return nil
}

// memory returns the bytes of memory we may use: the machine's, or the control group's if that is less.
// Unknown is taken as 1 GiB.
func memory() uint64 {
	total := uint64(1024 * mib)
	if b, err := os.ReadFile("/proc/meminfo"); err == nil {
		for line := range strings.Lines(string(b)) {
			if fields := strings.Fields(line); len(fields) >= 2 && fields[0] == "MemTotal:" {
				if kib, err := strconv.ParseUint(fields[1], 10, 64); err == nil {
					total = kib << 10
				}
			}
		}
	}
	for _, file := range []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		if b, err := os.ReadFile(file); err == nil {
			if limit, err := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 64); err == nil && limit < total {
				total = limit
			}
		}
	}
	return total
}

// freeDisk returns the bytes free for us on the folder's file system; unknown is taken as 10 GiB.
func freeDisk(folder string) uint64 {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(folder, &fs); err != nil {
		return 10240 * mib
	}
	return fs.Bavail * uint64(fs.Bsize)
}

// shortFolder names a folder in the temporary directory for a long path: the same for every process of a
// user, another one for another user, who could not open it.
func shortFolder(path string) string {
	sum := sha256.Sum256([]byte(path))
	return filepath.Join("/tmp", "tallystick-"+strconv.Itoa(os.Geteuid())+"-"+hex.EncodeToString(sum[:6]))
}
