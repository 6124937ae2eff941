package bundle_test

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"tallystick/ledger/chain"
	"tallystick/ledger/chain/bundle"
)

// members returns what a bundle holds.
func members(tb testing.TB, file []byte) map[string][]byte {
	tb.Helper()
	z, err := zip.NewReader(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		tb.Fatal(err)
	}
	all := make(map[string][]byte)
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			tb.Fatal(err)
		}
		if all[f.Name], err = io.ReadAll(r); err != nil {
			tb.Fatal(err)
		}
	}
	return all
}

// pack makes a ZIP as the writer does.
func pack(tb testing.TB, all map[string][]byte) []byte {
	tb.Helper()
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		w, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store})
		if err == nil {
			_, err = w.Write(all[name])
		}
		if err != nil {
			tb.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		tb.Fatal(err)
	}
	return out.Bytes()
}

// leavesOf splits a list of leaves.
func leavesOf(b []byte) (list [][]byte) {
	for len(b) >= 2 {
		n := int(binary.BigEndian.Uint16(b))
		if len(b) < 2+n {
			break
		}
		list, b = append(list, b[2:2+n]), b[2+n:]
	}
	return list
}

func joinLeaves(list [][]byte) (b []byte) {
	for _, leaf := range list {
		b = append(binary.BigEndian.AppendUint16(b, uint16(len(leaf))), leaf...)
	}
	return b
}

// relist writes the manifest anew, unsigned, for what the bundle holds now: as
// whoever edits a file will.
func relist(tb testing.TB, all map[string][]byte) {
	tb.Helper()
	text, _, signed := strings.Cut(string(all["manifest"]), "\n\n")
	if signed {
		text += "\n"
	}
	m, err := bundle.ParseManifest(text)
	if err != nil {
		tb.Fatal(err)
	}
	m.Members = nil
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if name == "manifest" {
			continue
		}
		f := bundle.Member{Path: name, Bytes: int64(len(all[name])), Digest: sha256.Sum256(all[name])}
		if strings.HasPrefix(name, "entries/") || name == "balances" {
			var tree chain.Frontier
			for _, leaf := range leavesOf(all[name]) {
				tree.Append(chain.HashCanonical(leaf))
			}
			f.Tree, f.Count, f.Digest = true, tree.Size(), tree.Root()
		}
		m.Members = append(m.Members, f)
	}
	all["manifest"] = []byte(m.Text())
}

// contentsOf returns what a bundle holds, whatever the checksums of its ZIP say.
func contentsOf(tb testing.TB, file []byte) map[string][]byte {
	tb.Helper()
	z, err := zip.NewReader(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		tb.Fatal(err)
	}
	all := make(map[string][]byte)
	for _, f := range z.File {
		r, err := f.OpenRaw()
		if err != nil {
			tb.Fatal(err)
		}
		if all[f.Name], err = io.ReadAll(r); err != nil {
			tb.Fatal(err)
		}
	}
	return all
}
