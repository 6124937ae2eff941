package engine

import (
	"strconv"
	"strings"
	"testing"
)

func megabytesOf(t *testing.T, memory, disk uint64, name string) int {
	t.Helper()
	for _, s := range postgresSettings(memory, disk) {
		if s.name == name {
			n, err := strconv.Atoi(strings.TrimSuffix(s.value, "MB"))
			if err != nil {
				t.Fatalf("%s = %s", name, s.value)
			}
			return n
		}
	}
	t.Fatalf("no setting %s", name)
	return 0
}

func TestSettingsFitTheMachine(t *testing.T) {
	t.Parallel()
	const gib = 1 << 30
	for _, c := range []struct {
		name         string
		memory, disk uint64
		want         int
	}{
		{"shared_buffers", gib / 4, gib, 128}, // never less than PostgreSQL's own default
		{"shared_buffers", 24 * gib, gib, 6144},
		{"shared_buffers", 512 * gib, gib, 8192},
		{"max_wal_size", gib, gib, 512},
		{"max_wal_size", gib, 20 * gib, 2048}, // a tenth of what is free
		{"max_wal_size", gib, 4096 * gib, 8192},
		{"min_wal_size", gib, gib, 128},
		{"maintenance_work_mem", 512 * gib, gib, 1024},
	} {
		if got := megabytesOf(t, c.memory, c.disk, c.name); got != c.want {
			t.Errorf("%s with %d MB of memory and %d MB of disk: %d MB, want %d", c.name, c.memory/mib, c.disk/mib, got, c.want)
		}
	}
}

func TestVersionsAreRead(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]struct {
		major   int
		product string
	}{
		"postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)":     {15, "PostgreSQL 15.18"},
		"postgres (PostgreSQL) 16.3":                               {16, "PostgreSQL 16.3"},
		"postgres (PostgreSQL) 18beta1 (Ubuntu 18~beta1-1.pgdg24)": {18, "PostgreSQL 18beta1"},
	} {
		if got := majorOf(version); got != want.major {
			t.Errorf("major version of %q: %d", version, got)
		}
		if got := productOf(version); got != want.product {
			t.Errorf("product of %q: %q", version, got)
		}
	}
	if got := majorOf("something else"); got != 0 {
		t.Errorf("major version of something else: %d", got)
	}
}

func TestOldCockroachIsRefused(t *testing.T) {
	t.Parallel()
	for tag, want := range map[string]bool{"v23.2.5": false, "v24.2.9": false, "v24.3.0": true, "v25.1.2": true, "v26.1.0-alpha.1": true, "custom-v24.1.0-dirty": true} {
		if err := supported(tag); (err == nil) != want || err != nil && !strings.Contains(err.Error(), "24.3 or newer is needed") {
			t.Errorf("%s: %v", tag, err)
		}
	}
}
