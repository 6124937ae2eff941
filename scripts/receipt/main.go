// Command receipt verifies one receipt, given the verifier key of the ledger's signer:
//
//	receipt FILE.tlog-proof <origin>+<id>+<base64>
//
// It shows that a receipt needs no trust in Tallystick: it uses public libraries and nothing of ours. What it
// reads is C2SP tlog-proof and tlog-checkpoint, what it computes is RFC 6962; ledger/chain/FORMAT.md says what
// the extra data are. It asks for no witnesses. The exit code is 0 if the entry is proven, and otherwise 1.
package main

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/transparency-dev/formats/log"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"
)

func main() {
	if err := verify(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "receipt: NOT PROVEN:", err)
		os.Exit(1)
	}
}

func verify(args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("reading %d arguments: want a .tlog-proof file and the verifier key", len(args))
	}
	file, err := os.ReadFile(args[0])
	if err != nil {
		return fmt.Errorf("reading the receipt: %w", err)
	}
	key, err := note.NewVerifier(args[1])
	if err != nil {
		return fmt.Errorf("reading the verifier key: %w", err)
	}

	// The file: a header, the entry, its index, the audit path, an empty line, the signed checkpoint.
	head, signed, _ := strings.Cut(string(file), "\n\n")
	lines := strings.Split(head, "\n")
	if len(lines) < 3 || lines[0] != "c2sp.org/tlog-proof@v1" || !strings.HasPrefix(lines[1], "extra ") || !strings.HasPrefix(lines[2], "index ") {
		return fmt.Errorf("reading the receipt: not a c2sp.org/tlog-proof@v1 with the entry as extra data")
	}
	entry, err := base64.StdEncoding.DecodeString(lines[1][len("extra "):])
	if err != nil || len(entry) < 44 || string(entry[:16]) != "tallystick/entry" {
		return fmt.Errorf("reading the entry: not the canonical bytes of one")
	}
	index, err := strconv.ParseUint(lines[2][len("index "):], 10, 63)
	if err != nil {
		return fmt.Errorf("reading the index: %w", err)
	}
	var path [][]byte
	for _, line := range lines[3:] {
		hash, err := base64.StdEncoding.DecodeString(line)
		if err != nil {
			return fmt.Errorf("reading the audit path: %w", err)
		}
		path = append(path, hash)
	}

	checkpoint, _, _, err := log.ParseCheckpoint([]byte(signed), key.Name(), key)
	if err != nil {
		return fmt.Errorf("verifying the checkpoint: %w", err)
	}
	ledger, seq := entry[20:36], binary.BigEndian.Uint64(entry[36:44])
	id := fmt.Sprintf("%x-%x-%x-%x-%x", ledger[:4], ledger[4:6], ledger[6:8], ledger[8:10], ledger[10:])
	if seq != index || !strings.HasSuffix(checkpoint.Origin, "/"+id) {
		return fmt.Errorf("entry %d of ledger %s at leaf %d of %s: not the same place", seq, id, index, checkpoint.Origin)
	}
	leaf := rfc6962.DefaultHasher.HashLeaf(entry)
	if err := proof.VerifyInclusion(rfc6962.DefaultHasher, index, checkpoint.Size, leaf, path, checkpoint.Hash); err != nil {
		return fmt.Errorf("verifying the audit path: %w", err)
	}
	fmt.Printf("PROVEN: entry %d with leaf hash %x\nunder the checkpoint of %s at size %d with root %x\nsigned by %s+%08x\n",
		seq, leaf, checkpoint.Origin, checkpoint.Size, checkpoint.Hash, key.Name(), key.KeyHash())
	return nil
}
