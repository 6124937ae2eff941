package bundle_test

import (
	"bytes"
	"encoding/binary"
	"maps"
	"slices"
	"testing"

	"tallystick/ledger/chain/bundle"
)

// zipped is a ZIP that a test writes byte by byte.
type zipped struct {
	members []zipMember
	tail    []byte // behind the last entry of the directory, and counted in its length
	count   uint64 // said, if it is not 0
	in64    bool   // with a 64-bit end record
	change  func(directory, end []byte)
}

// zipMember is a member of a zipped. The defaults are those of the writer but
// that sizes stand in the local header.
type zipMember struct {
	name, local   string // local: the name in the local header, if another one
	data          []byte
	flags, method uint16
	localFlags    uint16
	extra         []byte // in the directory
	localExtra    []byte
	comment       string
	behind        []byte // between the data and what follows
	said          int    // bytes that the directory says beyond those that are there
	back          int    // bytes of what stands before that the local header covers
}

func (z *zipped) bytes() []byte {
	var out, dir []byte
	le := binary.LittleEndian
	for _, m := range z.members {
		at := len(out)
		if m.local == "" {
			m.local = m.name
		}
		size := uint32(len(m.data) + m.said)
		out = le.AppendUint32(out, 0x04034b50)
		out = le.AppendUint16(out, 20)
		out = le.AppendUint16(out, m.flags^m.localFlags)
		out = le.AppendUint16(out, m.method)
		out = append(out, make([]byte, 8)...) // time, date, CRC
		sizes := size
		if m.flags&8 != 0 {
			sizes = 0
		}
		out = le.AppendUint32(le.AppendUint32(out, sizes), sizes)
		out = le.AppendUint16(le.AppendUint16(out, uint16(len(m.local))), uint16(len(m.localExtra)))
		out = append(append(append(append(out, m.local...), m.localExtra...), m.data...), m.behind...)

		dir = le.AppendUint32(dir, 0x02014b50)
		dir = le.AppendUint32(dir, 20<<16|20)
		dir = le.AppendUint16(le.AppendUint16(dir, m.flags), m.method)
		dir = append(dir, make([]byte, 8)...)
		dir = le.AppendUint32(le.AppendUint32(dir, size), size)
		dir = le.AppendUint16(le.AppendUint16(dir, uint16(len(m.name))), uint16(len(m.extra)))
		dir = le.AppendUint16(dir, uint16(len(m.comment)))
		dir = append(dir, make([]byte, 8)...)
		dir = le.AppendUint32(dir, uint32(at-m.back))
		dir = append(append(append(dir, m.name...), m.extra...), m.comment...)
	}
	dir = append(dir, z.tail...)
	begin, count := len(out), uint64(len(z.members))
	if z.count != 0 {
		count = z.count
	}
	var end []byte
	if z.in64 {
		end = le.AppendUint64(le.AppendUint32(end, 0x06064b50), 44)
		end = append(end, make([]byte, 12)...)
		end = le.AppendUint64(le.AppendUint64(end, count), count)
		end = le.AppendUint64(le.AppendUint64(end, uint64(len(dir))), uint64(begin))
		end = le.AppendUint64(le.AppendUint64(end, 0x07064b50), uint64(begin+len(dir)))
		end = append(end, 1, 0, 0, 0)
		count = 0xffff
	}
	end = append(le.AppendUint32(end, 0x06054b50), 0, 0, 0, 0)
	end = le.AppendUint16(le.AppendUint16(end, uint16(count)), uint16(count))
	end = le.AppendUint32(le.AppendUint32(end, uint32(len(dir))), uint32(begin))
	end = append(end, 0, 0)
	if z.change != nil {
		z.change(dir, end)
	}
	return slices.Concat(out, dir, end)
}

// rezip writes the members of a good bundle into a ZIP, with a change.
func rezip(t *testing.T, b *book, change func(z *zipped)) []byte {
	t.Helper()
	good := members(t, b.bundle(t))
	z := new(zipped)
	for _, name := range slices.Sorted(maps.Keys(good)) {
		z.members = append(z.members, zipMember{name: name, data: good[name]})
	}
	change(z)
	return z.bytes()
}

func le64(tag uint16, values ...uint64) []byte {
	b := binary.LittleEndian.AppendUint16(binary.LittleEndian.AppendUint16(nil, tag), uint16(8*len(values)))
	for _, v := range values {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	return b
}

// A ZIP has one reading or is no bundle: whatever two programs could read
// differently is refused by both verifiers.
func TestBothVerifiersReadTheSameZIP(t *testing.T) {
	t.Parallel()
	b := small(t)
	var trials []trial
	add := func(name string, exit int, change func(z *zipped)) {
		trials = append(trials, trial{name: name, file: rezip(t, b, change), signer: b, exit: exit})
	}
	descriptor := func(sizes ...uint32) []byte {
		d := binary.LittleEndian.AppendUint32(nil, 0x08074b50)
		d = append(d, 1, 2, 3, 4) // a CRC that nobody checks
		for _, s := range sizes {
			d = binary.LittleEndian.AppendUint32(d, s)
		}
		return d
	}
	add("nothing odd", 0, func(*zipped) {})
	add("names in UTF-8", 0, func(z *zipped) { z.members[2].flags = 0x800 })
	add("sizes behind the data", 0, func(z *zipped) {
		m := &z.members[2]
		m.flags, m.behind = 8, descriptor(uint32(len(m.data)), uint32(len(m.data)))
	})
	add("a 64-bit end", 0, func(z *zipped) { z.in64 = true })
	add("64-bit sizes", 0, func(z *zipped) {
		m := &z.members[2]
		m.extra = le64(1, uint64(len(m.data)), uint64(len(m.data)))
		z.change = func(dir, _ []byte) { widen(dir, 2, true, false) }
	})
	add("64-bit sizes, and the offset too", 0, func(z *zipped) {
		m := &z.members[0]
		m.extra = le64(1, uint64(len(m.data)), uint64(len(m.data)), 0)
		z.change = func(dir, _ []byte) { widen(dir, 0, true, false) }
	})
	add("64-bit sizes, and another offset", 3, func(z *zipped) {
		m := &z.members[0]
		m.extra = le64(1, uint64(len(m.data)), uint64(len(m.data)), 1)
		z.change = func(dir, _ []byte) { widen(dir, 0, true, false) }
	})
	add("64-bit sizes that are not there", 3, func(z *zipped) {
		z.change = func(dir, _ []byte) { widen(dir, 2, true, false) }
	})
	add("a 64-bit offset that is not there", 3, func(z *zipped) {
		z.change = func(dir, _ []byte) { widen(dir, 2, false, true) }
	})
	add("a 64-bit offset beyond everything", 3, func(z *zipped) {
		z.members[2].extra = le64(1, 1<<64-1)
		z.change = func(dir, _ []byte) { widen(dir, 2, false, true) }
	})
	add("two 64-bit fields", 3, func(z *zipped) {
		m := &z.members[2]
		m.extra = append(le64(1, uint64(len(m.data)), uint64(len(m.data))), le64(1, 5, 5)...)
		z.change = func(dir, _ []byte) { widen(dir, 2, true, false) }
	})
	add("another extra field", 3, func(z *zipped) { z.members[2].extra = le64(0x5455, 7) })
	add("an extra field that is cut short", 3, func(z *zipped) { z.members[2].extra = []byte{1, 0, 9, 0} })
	add("bytes behind the directory's last entry", 3, func(z *zipped) { z.tail = []byte("more") })
	add("an entry of the directory that is not counted", 3, func(z *zipped) { z.count = uint64(len(z.members) - 1) })
	add("more entries than are there", 3, func(z *zipped) { z.count = uint64(len(z.members) + 1) })
	add("64 bits of entries, more than are there by 65,536", 3, func(z *zipped) { z.in64, z.count = true, uint64(len(z.members)+65536) })
	add("a comment in the directory", 3, func(z *zipped) { z.members[2].comment = "hidden" })
	add("a directory that is signed otherwise", 3, func(z *zipped) { z.change = func(dir, _ []byte) { dir[0] ^= 1 } })
	add("counts of this disk and of all that differ", 3, func(z *zipped) { z.change = func(_, end []byte) { end[len(end)-14] ^= 1 } })
	add("another disk", 3, func(z *zipped) { z.change = func(_, end []byte) { end[len(end)-18] ^= 1 } })
	add("another disk in 64 bits", 3, func(z *zipped) { z.in64, z.change = true, func(_, end []byte) { end[16] ^= 1 } })
	add("a 64-bit end of another length", 3, func(z *zipped) { z.in64, z.change = true, func(_, end []byte) { end[4]++ } })
	add("a 64-bit end and a length that differs", 3, func(z *zipped) { z.in64, z.change = true, func(_, end []byte) { end[len(end)-10] ^= 1 } })
	add("a 64-bit end that nothing asks for", 3, func(z *zipped) {
		z.in64, z.change = true, func(_, end []byte) {
			binary.LittleEndian.PutUint16(end[len(end)-14:], uint16(len(z.members)))
			binary.LittleEndian.PutUint16(end[len(end)-12:], uint16(len(z.members)))
		}
	})
	add("a comment behind the end", 3, func(z *zipped) { z.change = func(_, end []byte) { end[len(end)-2] = 1 } })
	add("a name twice", 3, func(z *zipped) { z.members = append(z.members, zipMember{name: "schema", data: []byte("another")}) })
	add("another name in the local header", 3, func(z *zipped) { z.members[2].local = z.members[2].name[:5] + "X" + z.members[2].name[6:] })
	add("a longer name in the local header", 3, func(z *zipped) { z.members[2].local = z.members[2].name + "X" })
	add("other flags in the local header", 3, func(z *zipped) { z.members[2].localFlags = 0x800 })
	add("an extra field in the local header", 3, func(z *zipped) { z.members[2].localExtra = le64(1, 5) })
	add("encrypted", 3, func(z *zipped) { z.members[2].flags = 1 })
	add("patched", 3, func(z *zipped) { z.members[2].flags = 0x20 })
	add("deflated", 3, func(z *zipped) { z.members[2].method = 8 })
	add("encrypted by WinZip", 3, func(z *zipped) { z.members[2].method = 99 })
	add("bytes before the first member", 3, func(z *zipped) {
		z.members[0].name = "manifest" // of nothing: its local header is not where the file begins
		z.change = func(dir, _ []byte) { dir[42] = 1 }
	})
	add("bytes between two members", 3, func(z *zipped) { z.members[2].behind = []byte("hidden") })
	add("bytes between the last member and the directory", 3, func(z *zipped) { z.members[len(z.members)-1].behind = []byte("hidden") })
	add("members that overlap by a header", 3, func(z *zipped) { z.members[2].said = 30 + len(z.members[3].name) })
	add("members that overlap by a name", 3, func(z *zipped) { z.members[2].said = 3 })
	add("a member that reaches into the directory", 3, func(z *zipped) { z.members[len(z.members)-1].said = 3 })
	add("a member in another", 3, func(z *zipped) {
		inner := (&zipped{members: []zipMember{{name: "inner", data: []byte("x")}}}).bytes()[:36]
		z.members = append(z.members, zipMember{name: "zzz", data: inner}, zipMember{name: "inner", data: []byte("x"), back: 36})
	})
	add("members in another order than the directory's", 3, func(z *zipped) {
		z.change = func(dir, _ []byte) {
			n := 46 + len(z.members[0].name)
			m := 46 + len(z.members[1].name)
			copy(dir, slices.Concat(dir[n:n+m], dir[:n]))
		}
	})
	add("sizes behind the data that differ", 3, func(z *zipped) {
		m := &z.members[2]
		m.flags, m.behind = 8, descriptor(uint32(len(m.data)), uint32(len(m.data))+1)
	})
	add("sizes behind the data that are not there", 3, func(z *zipped) { z.members[2].flags = 8 })
	add("sizes of 64 bits behind little data", 3, func(z *zipped) {
		m := &z.members[2]
		m.flags, m.behind = 8, descriptor(uint32(len(m.data)), 0, uint32(len(m.data)), 0)
	})
	for _, name := range []string{"a//b", "a/", "/a", "..", "a/../b", "a/./b", "a\\b", "\u00e4", "a b", ""} {
		add("a member named "+name, 3, func(z *zipped) { z.members = append(z.members, zipMember{name: name, data: []byte("x")}) })
	}
	good := b.bundle(t)
	trials = append(trials,
		trial{"what the writer writes", good, b, 0, ""},
		trial{"a line feed behind the end", append(bytes.Clone(good), '\n'), b, 3, ""},
		trial{"two bundles in one file", append(bytes.Clone(good), good...), b, 3, ""},
		trial{"65,536 members and a count of none", crowd(), b, 3, ""},
	)
	agree(t, trials)
}

// widen writes the value that sends a reader to the 64-bit field over the sizes,
// or the offset, of entry i of a directory.
func widen(dir []byte, i int, sizes, offset bool) {
	at := 0
	for ; i > 0; i-- {
		at += 46 + int(binary.LittleEndian.Uint16(dir[at+28:])) + int(binary.LittleEndian.Uint16(dir[at+30:]))
	}
	if sizes {
		binary.LittleEndian.PutUint64(dir[at+20:], 1<<64-1)
	}
	if offset {
		binary.LittleEndian.PutUint32(dir[at+42:], 1<<32-1)
	}
}

// crowd is a ZIP of as many members as 16 bits cannot tell from none.
func crowd() []byte {
	z := &zipped{members: []zipMember{{name: "manifest"}}}
	for i := 1; i < bundle.MaxMembers; i++ {
		z.members = append(z.members, zipMember{name: "a" + string(rune('a'+i>>12)) + string([]byte{'a' + byte(i>>8&15), 'a' + byte(i>>4&15), 'a' + byte(i&15)})})
	}
	return z.bytes()
}
