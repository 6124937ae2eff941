package bundle_test

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"tallystick/ledger/chain/bundle"
)

// raw makes a ZIP of anything.
func raw(t *testing.T, write func(z *zip.Writer) error) []byte {
	t.Helper()
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	if err := errors.Join(write(z), z.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func stored(names ...string) func(*zip.Writer) error {
	return func(z *zip.Writer) error {
		for _, name := range names {
			w, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store})
			if err != nil {
				return err
			}
			if _, err := w.Write([]byte("x")); err != nil {
				return err
			}
		}
		return nil
	}
}

// directory returns where the directory of a ZIP begins.
func directory(file []byte) int { return int(binary.LittleEndian.Uint32(file[len(file)-6:])) }

// What is no bundle is refused at once, by both verifiers, with what is wrong.
func TestWhatIsNoBundleIsRefused(t *testing.T) {
	t.Parallel()
	good := small(t).bundle(t)
	change := func(f func(file []byte) []byte) []byte { return f(bytes.Clone(good)) }
	for name, c := range map[string]struct {
		file []byte
		want string
	}{
		"nothing":            {nil, "0 bytes"},
		"text":               {[]byte(strings.Repeat("not a zip ", 100)), "no ZIP"},
		"cut short":          {good[:len(good)/2], "cut short"},
		"something appended": {append(bytes.Clone(good), "more"...), "appended"},
		"something before":   {append([]byte("#!/bin/sh\n"), good...), "not where it says"},
		"no manifest":        {raw(t, stored("entries/00000000")), "manifest"},
		"path traversal":     {raw(t, stored("manifest", "../../etc/passwd")), "none that a bundle has"},
		"absolute path":      {raw(t, stored("manifest", "/etc/passwd")), "none that a bundle has"},
		"deep path":          {raw(t, stored("manifest", strings.Repeat("a/", 100)+"a")), "none that a bundle has"},
		"folder":             {raw(t, stored("manifest", "a/./b")), "none that a bundle has"},
		"name twice":         {raw(t, stored("manifest", "manifest")), "stands twice"},
		"compressed": {raw(t, func(z *zip.Writer) error {
			w, err := z.CreateHeader(&zip.FileHeader{Name: "manifest", Method: zip.Deflate})
			if err == nil {
				_, err = w.Write(make([]byte, 100<<20)) // a bomb
			}
			return err
		}), "stored"},
		"a huge member": {change(func(file []byte) []byte {
			d := file[directory(file):]
			binary.LittleEndian.PutUint32(d[20:], 0xfffffffe)
			binary.LittleEndian.PutUint32(d[24:], 0xfffffffe)
			return file
		}), ""},
		"a huge directory": {change(func(file []byte) []byte {
			binary.LittleEndian.PutUint32(file[len(file)-10:], 0xfffffff0)
			return file
		}), "directory"},
		"a directory elsewhere": {change(func(file []byte) []byte {
			binary.LittleEndian.PutUint32(file[len(file)-6:], 0)
			return file
		}), "directory"},
		"more files than there are": {change(func(file []byte) []byte {
			binary.LittleEndian.PutUint16(file[len(file)-12:], 999)
			return file
		}), ""},
		"a 64-bit directory that is not there": {change(func(file []byte) []byte {
			binary.LittleEndian.PutUint16(file[len(file)-12:], 0xffff)
			return file
		}), "64-bit"},
		"a local header that says something else": {change(func(file []byte) []byte {
			file[30] ^= 1
			return file
		}), "says something else"},
		"members that overlap": {change(func(file []byte) []byte {
			at := directory(file)
			binary.LittleEndian.PutUint32(file[at+20:], uint32(directory(file)-100))
			binary.LittleEndian.PutUint32(file[at+24:], uint32(directory(file)-100))
			return file
		}), "overlap"},
		"encrypted": {change(func(file []byte) []byte {
			file[directory(file)+8] |= 1
			return file
		}), "encrypted"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := bundle.Verify(t.Context(), bytes.NewReader(c.file), int64(len(c.file)), bundle.Options{})
			if !errors.Is(err, bundle.ErrNotBundle) || !strings.Contains(fmt.Sprint(err), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
			if code, out := python(t, c.file, nil); code != 3 || !strings.Contains(out, "is no evidence bundle") {
				t.Errorf("python: exit code %d\n%s", code, out)
			}
		})
	}
}

// Claims inside of members are held against what is there before memory is taken.
func TestClaimsOfAManifestAreBounded(t *testing.T) {
	t.Parallel()
	b := small(t)
	for name, edit := range map[string]func(string) string{
		"size":       func(m string) string { return strings.Replace(m, "\nsize 32\n", "\nsize 9223372036854775807\n", 1) },
		"commitment": func(m string) string { return strings.Replace(m, "\ncommitment 27 27\n", "\ncommitment 31 28\n", 1) },
		"origin":     func(m string) string { return strings.Replace(m, "\norigin ", "\norigin "+strings.Repeat("x", 300), 1) },
		"number":     func(m string) string { return strings.Replace(m, "\nsize 32\n", "\nsize 0032\n", 1) },
		"order":      func(m string) string { return strings.Replace(m, "schema", "aaaa", 1) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all := members(t, b.bundle(t))
			text, _, _ := strings.Cut(string(all["manifest"]), "\n\n")
			if all["manifest"] = []byte(edit(text + "\n")); string(all["manifest"]) == text+"\n" {
				t.Fatal("nothing was edited")
			}
			file := pack(t, all)
			if r := verify(t, file, trusting(t, b)); r.Status != bundle.Tampered || !strings.Contains(codes(r), bundle.ManifestMismatch) {
				t.Errorf("%s: %s", r.Status, codes(r))
			}
			if code, out := python(t, file, b); code != 1 || !strings.Contains(out, bundle.ManifestMismatch) {
				t.Errorf("python: exit code %d\n%s", code, out)
			}
		})
	}
}
