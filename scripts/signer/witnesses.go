package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/google/uuid"

	"tallystick/api/client"
	"tallystick/ledger/chain"
	"tallystick/scripts/internal/harness"
)

// aloneFor is how long nothing may be published while a witness is down: a few
// rounds.
const aloneFor = 3 * time.Second

// witness is a witness process.
type witness struct {
	name, address, key, folder string
	process                    *harness.Server
}

// askWitnesses signs under a policy that wants two witnesses.
func (s *scene) askWitnesses(ctx context.Context) error {
	if err := s.signer.Stop(); err != nil {
		return err
	}
	logs, err := s.logKeys(ctx)
	if err != nil {
		return err
	}
	policy := ""
	var both []*witness
	for _, name := range []string{"first", "second"} {
		w, err := s.newWitness(ctx, name)
		if err == nil {
			err = s.startWitness(w, logs)
		}
		if err != nil {
			return err
		}
		both = append(both, w)
		policy += fmt.Sprintf("witness %s %s http://%s\n", w.name, w.key, w.address)
	}
	path := filepath.Join(s.rig.Dir, "witnesses.policy")
	if err := os.WriteFile(path, []byte(policy+"group both all first second\nquorum both\n"), 0o600); err != nil {
		return err
	}
	if err := s.startSigner("--policy", path); err != nil {
		return err
	}
	if err := s.postAndWait(ctx); err != nil {
		return err
	}
	if err := s.wantCosigned(ctx, both); err != nil {
		return err
	}
	if err := both[1].process.Stop(); err != nil {
		return err
	}
	if err := s.wantNothingPublished(ctx); err != nil {
		return err
	}
	if err := s.startWitness(both[1], logs); err != nil {
		return err
	}
	if err := s.awaitSigned(ctx); err != nil {
		return err
	}
	if err := s.wantCosigned(ctx, both); err != nil {
		return err
	}
	fmt.Fprintln(s.out, "two witnesses cosign; while one of them is down nothing is published, and then a larger checkpoint")
	return nil
}

// logKeys are the verifier keys of all logs, for the witnesses.
func (s *scene) logKeys(ctx context.Context) (args []string, err error) {
	for origin := range s.notes.logs() {
		key, err := s.verifierKey(ctx, origin)
		if err != nil {
			return nil, err
		}
		args = append(args, "--log", key)
	}
	return args, nil
}

// newWitness gives a witness its key and an address.
func (s *scene) newWitness(ctx context.Context, name string) (*witness, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("looking for a free port: %w", err)
	}
	w := &witness{name: name, address: l.Addr().String(), folder: filepath.Join(s.rig.Dir, name)}
	if err := l.Close(); err != nil {
		return nil, err
	}
	out, code, err := s.rig.Run(ctx, append([]string{"witness", "--name", name + ".example", "--print-key"}, w.files()...)...)
	if err == nil && code != 0 {
		err = fmt.Errorf("making witness %s: exit code %d: %s", name, code, out)
	}
	if n := len(out); n > 0 {
		w.key = string(out[:n-1])
	}
	return w, err
}

func (w *witness) files() []string {
	return []string{"--key", w.folder + ".key", "--state", w.folder}
}

func (s *scene) startWitness(w *witness, logs []string) (err error) {
	args := append([]string{"witness", "--listen", w.address}, w.files()...)
	w.process, err = s.rig.Spawn("witness-"+w.name, append(args, logs...)...)
	return err
}

// postAndWait posts a transfer, and waits until that is shown.
func (s *scene) postAndWait(ctx context.Context) error {
	if _, err := s.postOne(ctx); err != nil {
		return err
	}
	return s.awaitSigned(ctx)
}

func (s *scene) postOne(ctx context.Context) (client.Entry, error) {
	return s.server.Client.Post(ctx, ledgerName, client.Transfer{ID: uuid.NewString(), Postings: []client.Leg{
		{Account: account(0), Direction: "debit", Amount: "1.00"}, {Account: account(1), Direction: "credit", Amount: "1.00"},
	}})
}

// wantCosigned looks at what is shown.
func (s *scene) wantCosigned(ctx context.Context, by []*witness) error {
	var note string
	if err := s.conn.QueryRow(ctx, `select note from ops.heads where ledger_id = $1`, s.ledger).Scan(&note); err != nil {
		return fmt.Errorf("reading what is shown: %w", err)
	}
	for _, w := range by {
		key, err := chain.ParseWitnessKey(w.key)
		if err != nil {
			return err
		}
		if _, err := chain.OpenCheckpoint([]byte(note), key); err != nil {
			return broken("what is shown is not cosigned by %s: %v", w.name, err)
		}
	}
	return nil
}

// wantNothingPublished posts while the quorum is not there.
func (s *scene) wantNothingPublished(ctx context.Context) error {
	before, err := s.shownSize(ctx)
	if err != nil {
		return err
	}
	for end := time.Now().Add(aloneFor); time.Now().Before(end); time.Sleep(pollStep) {
		if _, err := s.postOne(ctx); err != nil {
			return err
		}
		now, err := s.shownSize(ctx)
		if err != nil {
			return err
		}
		if now != before {
			return broken("size %d was published without the quorum", now)
		}
	}
	var stored int64
	if err := s.conn.QueryRow(ctx, `select max(size) from book.checkpoints where ledger_id = $1`, s.ledger).Scan(&stored); err != nil {
		return fmt.Errorf("reading what is stored: %w", err)
	}
	if stored != before {
		return broken("size %d was stored without the quorum", stored)
	}
	return nil
}
