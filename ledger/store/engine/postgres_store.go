package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
)

// postgresCluster is a PostgreSQL store on a data folder.
//
//	top/       postgres/ under the data folder
//	top/data   PGDATA
//	top/socket the socket's folder
type postgresCluster struct {
	*store
	top    string
	socket string // the folder as a client names it; a short link when top is deep
	bin    string
	as     *syscall.Credential
}

func postgresStore(dir string) (*store, error) {
	home := postgresHome(dir)
	as, err := runAs(home)
	if err != nil {
		return nil, err
	}
	major, err := storeVersion(home)
	if err != nil {
		return nil, err
	}
	binaries, err := findPostgres(major)
	if err != nil {
		return nil, err
	}
	version, err := firstLine(filepath.Join(binaries.dir, "postgres"), "--version")
	if err != nil {
		return nil, err
	}
	top := filepath.Dir(home)
	c := &postgresCluster{
		store: &store{kind: Postgres, name: productOf(version), home: home, log: filepath.Join(dir, "postgres.log")},
		top:   top, bin: binaries.dir, as: as,
	}
	if c.socket, err = clientFolder(filepath.Join(top, "socket")); err != nil {
		return nil, err
	}
	c.store.look, c.store.prepare, c.store.command, c.store.forget = c.look, c.prepare, c.command, c.forget
	c.store.launchedWith = c.launchedWith
	// SIGINT: end the sessions, write a checkpoint. SIGQUIT: end at once, recover from the log next time.
	c.stopSignal, c.abortSignal = syscall.SIGINT, syscall.SIGQUIT
	return c.store, nil
}

// storeVersion returns the major version that made the store, 0 when there is none yet.
func storeVersion(home string) (int, error) {
	b, err := os.ReadFile(filepath.Join(home, "PG_VERSION"))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("reading the store's version: %w", err)
	}
	major, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return 0, fmt.Errorf("%w: %s/PG_VERSION: %w", ErrStore, home, err)
	}
	return major, nil
}

// clientFolder returns a name for the socket's folder that is short enough to connect through: the folder
// itself, or a link to it in a folder of ours in the temporary directory, the same at every start.
func clientFolder(socket string) (string, error) {
	if len(filepath.Join(socket, socketName)) <= maxSocketPath {
		return socket, nil
	}
	folder := shortFolder(socket)
	if err := os.Mkdir(folder, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("creating a short name for %s: %w", socket, err)
	}
	info, err := os.Lstat(folder)
	if err != nil {
		return "", fmt.Errorf("creating a short name for %s: %w", socket, err)
	}
	if st, ok := info.Sys().(*syscall.Stat_t); !info.IsDir() || info.Mode().Perm() != 0o700 || ok && int(st.Uid) != os.Geteuid() {
		return "", fmt.Errorf("%w: %s, which should lead to %s, is not ours\nhint: remove it, or use a data folder with a shorter path", ErrStore, folder, socket)
	}
	link := filepath.Join(folder, "s")
	if old, err := os.Readlink(link); err == nil && old == socket {
		return link, nil
	}
	_ = os.Remove(link)
	if err := os.Symlink(socket, link); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("creating a short name for %s: %w", socket, err)
	}
	return link, nil
}

// url names the socket's folder in the query, where a space is %20: a plus sign is one of a folder's own.
func (c *postgresCluster) url() string {
	u := url.URL{Scheme: "postgres", User: url.User(superuser), Path: "/" + database}
	query := url.Values{"host": {c.socket}, "port": {strconv.Itoa(socketPort)}}.Encode()
	u.RawQuery = strings.ReplaceAll(query, "+", "%20")
	return u.String()
}

// look reads postmaster.pid, whose last line is the state the postmaster says it is in, and tries the door.
func (c *postgresCluster) look() status {
	st := status{phase: absent, url: c.url()}
	b, err := os.ReadFile(filepath.Join(c.home, "postmaster.pid"))
	lines := strings.Split(string(b), "\n")
	if err == nil {
		st.pid, _ = strconv.Atoi(strings.TrimSpace(lines[0])) // half-written: 0, which runs nowhere
	}
	if !c.runs(st.pid) {
		st.pids = processesIn(c.home)
		if len(st.pids) > 0 {
			st.phase = leftover
		}
		return st
	}
	st.pids, st.phase = []int{st.pid}, starting
	const stateLine = 7
	if len(lines) > stateLine && strings.TrimSpace(lines[stateLine]) == "ready" && answers("unix", filepath.Join(c.socket, socketName)) {
		st.phase = ready
	}
	return st
}

// answers says whether somebody accepts connections there.
func answers(network, address string) bool {
	conn, err := net.Dial(network, address)
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}

// prepare makes the store if there is none, clears what a killed engine left, and writes the settings.
// No process of the store is alive.
func (c *postgresCluster) prepare(ctx context.Context, settings map[string]string, logf func(string, ...any)) error {
	if err := os.MkdirAll(c.top, 0o700); err != nil {
		return fmt.Errorf("creating the store's folder: %w", err)
	}
	// Inside top another user may have written; os.Root follows no link out of it.
	top, err := os.OpenRoot(c.top)
	if err != nil {
		return fmt.Errorf("opening the store's folder: %w", err)
	}
	defer func() { _ = top.Close() }()
	if err := c.own(top, "."); err != nil {
		return err
	}
	if !exists(c.home) {
		logf("creating a %s store in %s", c.name, c.home)
		if err := c.initialise(ctx, top, settings["fsync"] != "off"); err != nil {
			return err
		}
	}
	if haveProc { // else only the engine itself can tell whether these are stale
		if err := top.RemoveAll("socket"); err != nil {
			return fmt.Errorf("removing stale socket: %w", err)
		}
		if err := top.Remove("data/postmaster.pid"); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("removing stale postmaster.pid: %w", err)
		}
	}
	if err := top.Mkdir("socket", 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("creating the socket's folder: %w", err)
	}
	if err := c.own(top, "socket"); err != nil {
		return err
	}
	return c.writeSettings(top)
}

// own gives a file under top to the user the engine runs as.
func (c *postgresCluster) own(top *os.Root, name string) error {
	if c.as == nil {
		return nil
	}
	if err := top.Lchown(name, int(c.as.Uid), int(c.as.Gid)); err != nil {
		return fmt.Errorf("giving %s to user %d: %w", filepath.Join(c.top, name), c.as.Uid, err)
	}
	return nil
}

// initialise runs initdb beside the final place and renames, so that an interrupted one leaves no half store.
func (c *postgresCluster) initialise(ctx context.Context, top *os.Root, durable bool) error {
	// A name of its own each time: an initdb whose server was killed may still be writing the one before.
	const prefix = "data.new."
	if old, err := fs.ReadDir(top.FS(), "."); err == nil {
		for _, entry := range old {
			if strings.HasPrefix(entry.Name(), prefix) {
				_ = top.RemoveAll(entry.Name()) // what cannot be removed now is only in the way of nobody
			}
		}
	}
	fresh := prefix + strconv.Itoa(os.Getpid())
	if err := top.Mkdir(fresh, 0o700); err != nil {
		return fmt.Errorf("creating the store's folder: %w", err)
	}
	if err := c.own(top, fresh); err != nil {
		return err
	}
	path := filepath.Join(c.top, fresh)
	// No network authentication and trust on the socket: the closed folder around it is the door's lock.
	// Checksums find a page the disk has changed, which a ledger wants to know before its auditor does.
	initdb := []string{"--username=" + superuser, "--locale=C", "--encoding=UTF8",
		"--auth-local=trust", "--auth-host=reject", "--data-checksums"}
	single := []string{"--single", "-j"}
	if !durable {
		initdb, single = append(initdb, "--no-sync"), append(single, "-F")
	}
	if err := c.run(ctx, path, "", "initdb", initdb...); err != nil {
		return err
	}
	if err := c.run(ctx, path, "create database "+database+"\n", "postgres", append(single, superuser)...); err != nil {
		return err
	}
	if err := top.Rename(fresh, "data"); err != nil {
		return fmt.Errorf("putting the store in place: %w", err)
	}
	return nil
}

// run runs one of PostgreSQL's programs on a store folder to its end.
func (c *postgresCluster) run(ctx context.Context, home, stdin, program string, args ...string) error {
	cmd := exec.CommandContext(ctx, filepath.Join(c.bin, program), args...)
	closeFiles, err := c.equip(cmd, home)
	if err != nil {
		return err
	}
	defer closeFiles()
	var out bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &out
	cmd.WaitDelay = abortBound // when ctx ends, a child of the program may hold its output a little longer
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("running %s for %s: %w: %s", program, home, err, strings.TrimSpace(out.String()))
	}
	return nil
}

// equip gives a command its user, its session, its environment and its store.
func (c *postgresCluster) equip(cmd *exec.Cmd, home string) (closeFiles func(), err error) {
	cmd.Dir = "/" // PostgreSQL's programs go to their working folder and must be able to come back
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Credential: c.as}
	if c.as == nil {
		cmd.Env = environment("PGDATA=" + home)
		return func() {}, nil
	}
	folder, err := os.Open(home)
	if err != nil {
		return nil, fmt.Errorf("opening the store's folder: %w", err)
	}
	cmd.ExtraFiles = []*os.File{folder}
	cmd.Env = environment("PGDATA="+storeFD, "HOME=/")
	return func() { _ = folder.Close() }, nil
}

func (c *postgresCluster) command(settings map[string]string) (*exec.Cmd, func(), error) {
	cmd := exec.Command(filepath.Join(c.bin, "postgres"))
	for name, value := range settings {
		if onePass[name] == value && c.setByHand(name) {
			continue // whoever runs the engine has said how many
		}
		cmd.Args = append(cmd.Args, "-c", name+"="+value)
	}
	closeStore, err := c.equip(cmd, c.home)
	if err != nil {
		return nil, nil, err
	}
	log, err := openLog(c.log)
	if err != nil {
		closeStore()
		return nil, nil, err
	}
	cmd.Stdout, cmd.Stderr = log, log
	return cmd, func() { closeStore(); _ = log.Close() }, nil
}

// setByHand reports whether a setting stands in the file that is read after ours.
func (c *postgresCluster) setByHand(name string) bool {
	file, err := os.OpenInRoot(c.top, "data/"+localSettings)
	if err != nil {
		return false
	}
	defer func() { _ = file.Close() }()
	text, _ := io.ReadAll(io.LimitReader(file, maxCommandLine))
	return regexp.MustCompile(`(?m)^\s*` + name + `\b`).Match(text)
}

// launchedWith reads the command line that postgres keeps in its store.
func (c *postgresCluster) launchedWith() []string {
	file, err := os.OpenInRoot(c.top, "data/postmaster.opts")
	if err != nil {
		return nil // it is being launched, or gone
	}
	defer func() { _ = file.Close() }()
	text, _ := io.ReadAll(io.LimitReader(file, maxCommandLine))
	var all []string
	for _, m := range launchSetting.FindAllSubmatch(text, -1) {
		all = append(all, string(m[1]))
	}
	return all
}

// maxCommandLine bounds what is read of postgres' command line, and of settings made by hand, in bytes.
const maxCommandLine = 1 << 16

// launchSetting is a setting on the command line, as postgres writes it down.
var launchSetting = regexp.MustCompile(`"-c" "([^"]*)"`)

func (c *postgresCluster) forget() {
	if folder := filepath.Dir(c.socket); folder != c.top {
		_ = os.RemoveAll(folder)
	}
}
