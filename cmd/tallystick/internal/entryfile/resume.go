package entryfile

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
)

// Position is how far a file goes.
type Position struct {
	Offset      int64    // bytes to keep; what follows is cut off
	Next        int64    // seq of the next entry
	First       string   // hash of entry 0; empty when Next is 0
	Hash        string   // hash of entry Next − 1; empty when Next is 0
	Commodities []string // hledger: those declared
	declared    declared // hledger
}

// ErrForeign says that a file is not of this format, or not of this ledger.
var ErrForeign = errors.New("this is no export of that ledger in that format")

// Resume reads a file and returns how far it goes with complete entries.
func Resume(in io.Reader, format Format, l Ledger) (Position, error) {
	buffered := bufio.NewReaderSize(in, 256<<10)
	begin := head(format, l)
	got := make([]byte, len(begin))
	n, err := io.ReadFull(buffered, got)
	switch {
	case err == io.EOF || err == io.ErrUnexpectedEOF:
		if string(got[:n]) != begin[:n] {
			return Position{}, fmt.Errorf("reading its head: %w", ErrForeign)
		}
		return Position{}, nil // not even the head is complete
	case err != nil:
		return Position{}, err
	case string(got) != begin:
		return Position{}, fmt.Errorf("reading its head: %w", ErrForeign)
	}
	at := Position{Offset: int64(len(begin))}
	switch format {
	case CSV:
		err = at.readCSV(buffered)
	case Hledger:
		err = at.readBlocks(buffered)
	default:
		err = at.readLines(buffered)
	}
	return at, err
}

// complete notes an entry that ends at an offset.
func (p *Position) complete(seq int64, hash string, end int64) error {
	if seq != p.Next {
		return fmt.Errorf("reading entry %d: %w: entry %d stands there", p.Next, ErrForeign, seq)
	}
	if seq == 0 {
		p.First = hash
	}
	p.Next, p.Hash, p.Offset = seq+1, hash, end
	return nil
}

func (p *Position) readLines(in *bufio.Reader) error {
	end := p.Offset
	for {
		line, err := in.ReadBytes('\n')
		if err == io.EOF {
			return nil // what is left has no end
		}
		if err != nil {
			return err
		}
		end += int64(len(line))
		e, err := parse(line)
		if err != nil {
			return fmt.Errorf("reading entry %d: %w: %w", p.Next, ErrForeign, err)
		}
		if err := p.complete(e.Seq, e.Hash, end); err != nil {
			return err
		}
	}
}

// declaredAccount is a line of a journal that declares an account, with its type or
// without.
var declaredAccount = regexp.MustCompile(`^account (.+)  ; (?:type:([A-Z]))?`)

// blockTags is the line of a block in a journal that says which entry it is.
var blockTags = regexp.MustCompile(`^(?:    )?; seq:(\d+), kind:.* hash:([0-9a-f]{64})\n$`)

func (p *Position) readBlocks(in *bufio.Reader) error {
	end := p.Offset
	var tags []string
	var commodities []string
	var accounts [][]string
	p.declared = newDeclared()
	for {
		line, err := in.ReadString('\n')
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		end += int64(len(line))
		if m := blockTags.FindStringSubmatch(line); m != nil && tags == nil {
			tags = m
		}
		if rest, ok := strings.CutPrefix(line, "commodity 1000."); ok {
			commodities = append(commodities, strings.Trim(strings.TrimLeft(rest, "0"), " \"\n"))
		}
		if m := declaredAccount.FindStringSubmatch(line); m != nil {
			accounts = append(accounts, m)
		}
		if line != "\n" {
			continue
		}
		if tags == nil {
			return fmt.Errorf("reading entry %d: %w", p.Next, ErrForeign)
		}
		seq, err := strconv.ParseInt(tags[1], 10, 64)
		if err != nil {
			return fmt.Errorf("reading entry %d: %w", p.Next, ErrForeign)
		}
		if err := p.complete(seq, tags[2], end); err != nil {
			return err
		}
		p.Commodities = append(p.Commodities, commodities...)
		for _, m := range accounts {
			p.declared.read(m[1], m[2])
		}
		tags, commodities, accounts = nil, nil, nil
	}
}

// readCSV takes an entry for complete when the next one has begun: nothing in a
// row says that it is the last of its entry.
func (p *Position) readCSV(in *bufio.Reader) error {
	rows := csv.NewReader(in)
	rows.FieldsPerRecord = len(csvColumns)
	rows.ReuseRecord = true
	start := p.Offset
	seq, hash, end := int64(-1), "", start
	for {
		row, err := rows.Read()
		if err != nil {
			if _, rest := in.Peek(1); err == io.EOF || rest == io.EOF {
				return nil // the last row, complete or not, is written again
			}
			return fmt.Errorf("reading entry %d: %w: %w", p.Next, ErrForeign, err)
		}
		n, err := strconv.ParseInt(row[seqColumn], 10, 64)
		if err != nil {
			return fmt.Errorf("reading entry %d: %w: %w", p.Next, ErrForeign, err)
		}
		if n != seq && seq >= 0 {
			if err := p.complete(seq, hash, end); err != nil {
				return err
			}
		}
		seq, hash, end = n, strings.Clone(row[hashColumn]), start+rows.InputOffset()
	}
}
