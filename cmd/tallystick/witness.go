package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"tallystick/ledger/chain"
	"tallystick/ledger/witness"
)

// Bounds of a connection to a witness.
const (
	witnessReadBound   = 10 * time.Second // to send a request, in all
	witnessWriteBound  = 30 * time.Second // to be answered
	witnessIdleBound   = 2 * time.Minute  // between requests
	witnessHeaderBound = 16 << 10         // bytes of headers
)

// witnessCommand runs a witness, which cosigns the checkpoints of logs.
type witnessCommand struct {
	Listen    string   `env:"TALLYSTICK_WITNESS_LISTEN" default:"127.0.0.1:8090" help:"Address to serve on."`
	Key       string   `env:"TALLYSTICK_WITNESS_KEY" default:"./witness/witness.key" placeholder:"FILE" help:"Secret key; made at the first start (${default})."`
	State     string   `env:"TALLYSTICK_WITNESS_STATE" default:"./witness/state" placeholder:"FOLDER" help:"What was cosigned. Never restore it from a backup, never delete it while the key is in use (${default})."`
	Policy    string   `env:"TALLYSTICK_WITNESS_POLICY" xor:"logs" placeholder:"FILE" help:"Policy (https://c2sp.org/tlog-policy) whose logs are witnessed."`
	Log       []string `xor:"logs" sep:"none" placeholder:"VKEY" help:"Verifier key of a log to witness; several times for several."`
	Name      string   `env:"TALLYSTICK_WITNESS_NAME" placeholder:"NAME" help:"Name of a new key, by custom a URL without https://; this machine's name and /witness by default."`
	UnusedKey bool     `help:"The key has never cosigned anything: begin with an empty --state folder."`
	PrintKey  bool     `help:"Print the verifier key and exit; a key is made if there is none."`
	LogLevel  string   `env:"TALLYSTICK_LOG_LEVEL" default:"info" enum:"debug,info,warn,error" help:"Least level logged: ${enum}."`
}

// Run witnesses until ctx ends.
func (c *witnessCommand) Run(ctx context.Context) error {
	setUpLog(c.LogLevel)
	return c.run(ctx, os.Stdout)
}

func (c *witnessCommand) run(ctx context.Context, stdout io.Writer) error {
	_, err := os.Stat(c.Key)
	noKey := errors.Is(err, fs.ErrNotExist)
	if c.PrintKey && !noKey { // perhaps a witness is running: the folder is not needed
		key, err := witness.ReadKey(c.Key)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(stdout, key.VerifierKey())
		return err
	}
	logs, err := c.logs()
	if err != nil {
		return err
	}
	name := c.Name
	if name == "" && noKey {
		name = originHost("") + "/witness"
	}
	w, err := witness.Open(witness.Config{
		KeyFile: c.Key, Name: name, Folder: c.State, UnusedKey: c.UnusedKey, Logs: logs, Saw: logWitnessed,
	})
	if errors.Is(err, witness.ErrLocked) {
		return fmt.Errorf("%w\nhint: name another --state folder, and another --key, for a second witness", err)
	}
	if err != nil {
		return err
	}
	defer w.Close()
	if c.PrintKey {
		_, err = fmt.Fprintln(stdout, w.VerifierKey())
		return err
	}
	listener, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return fmt.Errorf("listening on %s: %w\nhint: choose another address with --listen or TALLYSTICK_WITNESS_LISTEN", c.Listen, err)
	}
	c.greet(stdout, w, listener.Addr().String())
	return serveWitness(ctx, listener, w)
}

// logs returns the keys of the logs to witness.
func (c *witnessCommand) logs() ([]chain.VerifierKey, error) {
	var keys []chain.VerifierKey
	for _, text := range c.Log {
		key, err := chain.ParseLogKey(text)
		if err != nil {
			return nil, fmt.Errorf("reading --log: %w", err)
		}
		keys = append(keys, key)
	}
	if c.Policy != "" {
		policy, err := readPolicy(c.Policy)
		if err != nil {
			return nil, err
		}
		for _, l := range policy.Logs {
			keys = append(keys, l.Key)
		}
	}
	if len(keys) == 0 && !c.PrintKey {
		return nil, errors.New("looking for logs to witness: there is none\nhint: name them by their verifier keys with --log, or in lines \"log VKEY\" of the file --policy")
	}
	return keys, nil
}

// readPolicy reads a policy file.
func readPolicy(path string) (*chain.Policy, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading the policy: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, chain.MaxPolicy+1))
	if err != nil {
		return nil, fmt.Errorf("reading the policy %s: %w", path, err)
	}
	policy, err := chain.ParsePolicy(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return policy, nil
}

// greet says who witnesses what, and how others name this witness.
func (c *witnessCommand) greet(out io.Writer, w *witness.Witness, address string) {
	key := w.VerifierKey()
	made := ""
	if w.Fresh() {
		made = ", new"
	}
	fmt.Fprintf(out, "tallystick %s: witness on http://%s, key in %s%s\n", version, address, c.Key, made)
	for _, h := range w.Heads() {
		if h.Note == nil {
			fmt.Fprintf(out, "  %s, nothing cosigned yet\n", h.Origin)
			continue
		}
		fmt.Fprintf(out, "  %s at size %d\n", h.Origin, h.Size)
	}
	fmt.Fprintf(out, "Verifier key:\n  %s\nLine for the policy of who asks it, with the address at which it is reached:\n  witness %s %s http://%s\n", key, key.Name(), key, address)
}

// logWitnessed logs an answer. What anybody on the network can cause is for
// debugging; what only the holder of a log's key can, is not.
func logWitnessed(e witness.Event) {
	attributes := []any{"origin", e.Origin, "size", e.Size, "took", e.Took}
	switch {
	case e.Err == nil:
		slog.Info("cosigned", attributes...)
	case errors.Is(e.Err, witness.ErrFork):
		slog.Error("the log has signed two histories; both notes are kept in the state folder", append(attributes, "error", e.Err)...)
	case errors.Is(e.Err, witness.ErrUnproven):
		slog.Warn("not cosigned", append(attributes, "reason", e.Err)...)
	case errors.Is(e.Err, witness.ErrSize):
		slog.Info("asked from another size", append(attributes, "reason", e.Err)...)
	case witness.Ours(e.Err):
		slog.Error("cosigning", append(attributes, "error", e.Err)...)
	default:
		slog.Debug("not cosigned", append(attributes, "reason", e.Err)...)
	}
}

// serveWitness answers requests until ctx ends, and those at work after it.
func serveWitness(ctx context.Context, listener net.Listener, w *witness.Witness) error {
	server := &http.Server{
		Handler: w.Handler(), ReadTimeout: witnessReadBound, WriteTimeout: witnessWriteBound,
		IdleTimeout: witnessIdleBound, MaxHeaderBytes: witnessHeaderBound,
		ErrorLog: slog.NewLogLogger(slog.Default().Handler(), slog.LevelDebug),
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return fmt.Errorf("serving on %s: %w", listener.Addr(), err)
	case <-ctx.Done():
	}
	slog.Info("stopping: requests at work are finished first")
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownBound)
	defer cancel()
	if err := server.Shutdown(bounded); err != nil {
		slog.Warn("closing connections that are still at work", "error", err)
		server.Close()
	}
	return nil
}
