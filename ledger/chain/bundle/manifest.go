package bundle

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"

	"tallystick/ledger/chain"
)

// Bounds of a bundle.
const (
	// EntriesPerMember is how many entries a member of entries has; the last one
	// has the rest.
	EntriesPerMember = chain.TileWidth * chain.TileWidth
	// MaxMembers is the most files that a manifest lists: enough for two
	// thousand million entries with texts.
	MaxMembers = 1 << 16
	// MaxManifest is the most bytes of a manifest with its signatures.
	MaxManifest = 16 << 20
	// MaxPath is the most bytes of a member's name.
	MaxPath = 128
	// MaxFrom is the most bytes of what a manifest says about its making.
	MaxFrom = 255
	// MaxText is the most bytes of a description, reference or metadata.
	MaxText = 1 << 20
)

// maxSize is how many entries MaxMembers can hold.
const maxSize = MaxMembers * EntriesPerMember

// formatLine begins a manifest of this version.
const formatLine = "tallystick/bundle/v1"

// The names of members that have a meaning.
const (
	manifestPath   = "manifest"
	balancesPath   = "balances"
	keysPath       = "keys"
	policyPath     = "policy"
	checkpointsDir = "checkpoints/"
	proofsDir      = "consistency/"
	entriesDir     = "entries/"
	textsDir       = "texts/"
)

// Names under which the other members usually stand. Their bytes are those that
// the maker was given.
const (
	FormatPath   = "FORMAT.md"
	SchemaPath   = "schema"
	VerifierPath = "verify_bundle.py"
)

// Errors about the file as a whole.
var (
	// ErrNotBundle: the file is no evidence bundle, or is not whole.
	ErrNotBundle = errors.New("not an evidence bundle")
	// ErrManifest: the manifest is not one of the form that there is.
	ErrManifest = errors.New("not a manifest")
	// ErrVersion: the bundle is of another version than this software knows.
	ErrVersion = errors.New("a bundle of another version")
)

// Manifest says what a bundle is about and lists everything that is in it.
type Manifest struct {
	Ledger     uuid.UUID
	Origin     string
	Size       int64      // entries 0 to Size − 1 are in it, and a checkpoint of that size
	Head       chain.Hash // of entry Size − 1
	Root       chain.Hash
	Texts      bool        // whether it has the texts that are not erased
	Commitment *Commitment // the newest balance commitment, nil without one
	From       string      // what made it out of what, in words
	Members    []Member    // ascending by Path, the manifest itself not among them
}

// Commitment says which entry commits to the balances at which size.
type Commitment struct{ Seq, Size int64 }

// Member is a file of a bundle.
type Member struct {
	Path  string
	Bytes int64
	// Tree says that the member is a list of Count leaves and Digest the root
	// of the Merkle tree over them. Otherwise Digest is the SHA-256 of its bytes.
	Tree   bool
	Count  int64
	Digest chain.Hash
}

// Text returns the text of the manifest, which is what is signed.
func (m *Manifest) Text() string {
	var b strings.Builder
	texts := "none"
	if m.Texts {
		texts = "all"
	}
	fmt.Fprintf(&b, "%s\nledger %s\norigin %s\nsize %d\nhead %s\nroot %s\ntexts %s\n",
		formatLine, m.Ledger, m.Origin, m.Size, m.Head, m.Root, texts)
	if m.Commitment != nil {
		fmt.Fprintf(&b, "commitment %d %d\n", m.Commitment.Seq, m.Commitment.Size)
	}
	fmt.Fprintf(&b, "from %s\n", m.From)
	for _, f := range m.Members {
		if f.Tree {
			fmt.Fprintf(&b, "tree %d %d %s %s\n", f.Count, f.Bytes, f.Digest, f.Path)
		} else {
			fmt.Fprintf(&b, "file %d %s %s\n", f.Bytes, f.Digest, f.Path)
		}
	}
	return b.String()
}

// ParseManifest reads what Text returned, and nothing else. The error wraps
// ErrManifest and names the line, or ErrVersion.
func ParseManifest(text string) (*Manifest, error) {
	if len(text) > MaxManifest {
		return nil, fmt.Errorf("reading a manifest of %d bytes, more than %d: %w", len(text), MaxManifest, ErrManifest)
	}
	p := lineReader{rest: text}
	if first := p.line(); first != formatLine {
		if strings.HasPrefix(first, "tallystick/bundle/") {
			return nil, fmt.Errorf("reading a manifest that begins with %.64q: %w", first, ErrVersion)
		}
		return nil, fmt.Errorf("reading a manifest that begins with %.64q: %w", first, ErrManifest)
	}
	m := new(Manifest)
	p.header(m)
	for p.err == nil && p.rest != "" {
		if len(m.Members) == MaxMembers {
			p.fail(fmt.Sprintf("more than %d files", MaxMembers))
			break
		}
		f := p.member()
		if n := len(m.Members); p.err == nil && n > 0 && m.Members[n-1].Path >= f.Path {
			p.fail(fmt.Sprintf("%q out of order", f.Path))
		}
		m.Members = append(m.Members, f)
	}
	if p.err != nil {
		return nil, p.err
	}
	if n := len(m.under(checkpointsDir)); n > MaxCheckpoints {
		return nil, fmt.Errorf("reading a manifest with %d checkpoints, more than %d: %w", n, MaxCheckpoints, ErrManifest)
	}
	if m.Text() != text {
		return nil, fmt.Errorf("reading a manifest that is not in the one form there is: %w", ErrManifest)
	}
	return m, nil
}

// find returns the member of that name, nil when there is none.
func (m *Manifest) find(path string) *Member {
	i, ok := slices.BinarySearchFunc(m.Members, path, func(f Member, path string) int { return strings.Compare(f.Path, path) })
	if !ok {
		return nil
	}
	return &m.Members[i]
}

// under returns the members whose names begin with dir.
func (m *Manifest) under(dir string) []Member {
	first, _ := slices.BinarySearchFunc(m.Members, dir, func(f Member, dir string) int { return strings.Compare(f.Path, dir) })
	last := first
	for last < len(m.Members) && strings.HasPrefix(m.Members[last].Path, dir) {
		last++
	}
	return m.Members[first:last]
}

// members returns how many members of entries a ledger of that size has.
func members(size int64) int { return int((size + EntriesPerMember - 1) / EntriesPerMember) }

// entriesIn returns how many entries member i has in a ledger of that size.
func entriesIn(i int, size int64) int64 {
	return min(EntriesPerMember, size-int64(i)*EntriesPerMember)
}

func entriesPath(i int) string { return fmt.Sprintf("%s%08d", entriesDir, i) }

func textsPath(i int) string { return fmt.Sprintf("%s%08d", textsDir, i) }

func checkpointPath(size int64) string { return checkpointsDir + strconv.FormatInt(size, 10) }

func proofPath(from, to int64) string { return fmt.Sprintf("%s%d-%d", proofsDir, from, to) }

// lineReader takes lines off the front of a manifest. After the first failure
// it returns nothing.
type lineReader struct {
	rest string
	n    int
	err  error
}

func (p *lineReader) fail(what string) {
	if p.err == nil {
		p.err = fmt.Errorf("reading line %d of the manifest: %s: %w", p.n, what, ErrManifest)
	}
	p.rest = ""
}

func (p *lineReader) line() string {
	p.n++
	line, rest, ok := strings.Cut(p.rest, "\n")
	if !ok {
		p.fail("no end of line")
		return ""
	}
	p.rest = rest
	return line
}

// field reads a line that begins with name and returns what follows.
func (p *lineReader) field(name string) string {
	line := p.line()
	value, ok := strings.CutPrefix(line, name+" ")
	if !ok && p.err == nil {
		p.fail(fmt.Sprintf("%.64q where %s belongs", line, name))
		return ""
	}
	return value
}

func (p *lineReader) header(m *Manifest) {
	var err error
	if m.Ledger, err = uuid.Parse(p.field("ledger")); err != nil {
		p.fail("the ledger is no UUID")
	}
	if m.Origin = p.field("origin"); !plainText(m.Origin, chain.MaxOrigin) {
		p.fail("the origin is no text")
	}
	if m.Size = p.number(p.field("size")); (m.Size < 1 || m.Size > maxSize) && p.err == nil {
		p.fail(fmt.Sprintf("a size of %d, and a bundle holds 1 to %d entries", m.Size, int64(maxSize)))
	}
	m.Head, m.Root = p.hash(p.field("head")), p.hash(p.field("root"))
	m.Texts = p.field("texts") == "all"
	if strings.HasPrefix(p.rest, "commitment ") {
		seq, size, _ := strings.Cut(p.field("commitment"), " ")
		m.Commitment = &Commitment{Seq: p.number(seq), Size: p.number(size)}
		if m.Commitment.Seq >= m.Size || m.Commitment.Size > m.Commitment.Seq {
			p.fail("a commitment beyond the entries")
		}
	}
	if m.From = p.field("from"); !plainText(m.From, MaxFrom) {
		p.fail("where it comes from is no text")
	}
}

func (p *lineReader) member() Member {
	line := p.line()
	fields := strings.Split(line, " ")
	var f Member
	switch {
	case len(fields) == 4 && fields[0] == "file":
		f = Member{Bytes: p.number(fields[1]), Digest: p.hash(fields[2]), Path: fields[3]}
	case len(fields) == 5 && fields[0] == "tree":
		f = Member{Tree: true, Count: p.number(fields[1]), Bytes: p.number(fields[2]), Digest: p.hash(fields[3]), Path: fields[4]}
	default:
		p.fail(fmt.Sprintf("%.64q is no file", line))
	}
	if p.err == nil && (!validPath(f.Path) || f.Path == manifestPath) {
		p.fail(fmt.Sprintf("%.64q is no name of a file", f.Path))
	}
	return f
}

func (p *lineReader) number(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		p.fail(fmt.Sprintf("%.64q is no number", s))
	}
	return n
}

func (p *lineReader) hash(s string) chain.Hash {
	h, ok := chain.ParseHash(s)
	if !ok {
		p.fail(fmt.Sprintf("%.64q is no hash", s))
	}
	return h
}

// plainText reports whether s is 1 to most bytes of UTF-8 on one line.
func plainText(s string, most int) bool {
	return s != "" && len(s) <= most && utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || 0x7f <= r && r <= 0x9f })
}

// validPath reports whether path is 1 to MaxPath bytes: segments of
// [A-Za-z0-9._-] joined by '/', none empty and none of dots alone.
func validPath(path string) bool {
	if len(path) > MaxPath {
		return false
	}
	for segment := range strings.SplitSeq(path, "/") {
		if strings.Trim(segment, ".") == "" {
			return false
		}
		for i := range len(segment) {
			c := segment[i]
			if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '.' && c != '_' && c != '-' {
				return false
			}
		}
	}
	return true
}
