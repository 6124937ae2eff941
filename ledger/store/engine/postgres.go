package engine

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

const (
	oldestPostgres = 15   // major version
	socketPort     = 5432 // part of the socket's file name; nothing listens on a port
	maxSocketPath  = 107  // sun_path without its terminating NUL
	superuser      = "postgres"
	database       = "tallystick"
	// storeFD is where a child finds the store's folder when it cannot walk there by path.
	storeFD = "/proc/self/fd/3"
)

var socketName = fmt.Sprintf(".s.PGSQL.%d", socketPort)

func postgresHome(dir string) string { return filepath.Join(dir, "postgres", "data") }

// postgresBinaries are one installation of the server.
type postgresBinaries struct {
	dir   string
	major int
}

// findPostgres returns the newest installed server, or the one of the given major version if that is not 0.
func findPostgres(major int) (postgresBinaries, error) {
	var dirs []string
	for _, pattern := range []string{
		"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/usr/local/pgsql/bin",
		"/opt/homebrew/opt/postgresql@*/bin", "/usr/local/opt/postgresql@*/bin",
	} {
		found, _ := filepath.Glob(pattern) // the only error is a bad pattern
		dirs = append(dirs, found...)
	}
	if onPath, err := exec.LookPath("postgres"); err == nil {
		if real, err := filepath.EvalSymlinks(onPath); err == nil {
			dirs = append(dirs, filepath.Dir(real))
		}
	}
	best, newest := postgresBinaries{}, 0
	for _, dir := range dirs {
		if !exists(filepath.Join(dir, "initdb")) {
			continue
		}
		version, err := firstLine(filepath.Join(dir, "postgres"), "--version")
		if err != nil {
			continue
		}
		m := majorOf(version)
		newest = max(newest, m)
		if (major == 0 || m == major) && m >= oldestPostgres && m > best.major {
			best = postgresBinaries{dir, m}
		}
	}
	if best.major != 0 {
		return best, nil
	}
	if major != 0 && newest != 0 {
		return best, fmt.Errorf("%w: its store was made by PostgreSQL %d, and installed is %d\nhint: install postgresql-%d beside it", ErrStore, major, newest, major)
	}
	return best, fmt.Errorf("%w: no PostgreSQL server, version %d or newer, found\nhint: sh scripts/install.sh postgres", ErrNotInstalled, oldestPostgres)
}

// majorOf reads the 15 of "postgres (PostgreSQL) 15.18 (Debian …)"; 0 when there is none.
func majorOf(version string) int {
	_, number, _ := strings.Cut(version, "(PostgreSQL) ")
	end := strings.IndexFunc(number, func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		end = len(number)
	}
	major, _ := strconv.Atoi(number[:end])
	return major
}

// productOf reads "PostgreSQL 15.18" out of the same line.
func productOf(version string) string {
	_, number, _ := strings.Cut(version, "(PostgreSQL) ")
	number, _, _ = strings.Cut(number, " ")
	return "PostgreSQL " + number
}
