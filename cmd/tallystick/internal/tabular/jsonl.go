package tabular

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json/jsontext"
)

// maxNesting bounds objects inside objects.
const maxNesting = 8

// jsonLines reads one object a line. Empty lines are passed over.
type jsonLines struct {
	in   *bufio.Reader
	line int
	buf  []byte
	dec  jsontext.Decoder
}

func (j *jsonLines) read(row *Row) error {
	for {
		text, err := j.nextLine()
		if err != nil {
			return err
		}
		if len(bytes.TrimSpace(text)) == 0 {
			continue
		}
		members, err := j.object(text)
		if err != nil {
			return &LineError{j.line, err}
		}
		*row = Row{Number: row.Number, Line: j.line, members: members, raw: text}
		return nil
	}
}

// nextLine returns a line without its end. It is valid until the next call.
func (j *jsonLines) nextLine() ([]byte, error) {
	j.buf = j.buf[:0]
	j.line++
	for {
		part, err := j.in.ReadSlice('\n')
		j.buf = append(j.buf, part...)
		switch {
		case len(j.buf) > MaxRow:
			return nil, &LineError{j.line, errRowTooLong}
		case err == bufio.ErrBufferFull:
			continue
		case err == io.EOF && len(j.buf) > 0:
			return j.buf, nil
		case err == io.EOF:
			return nil, io.EOF
		case err != nil:
			return nil, &LineError{j.line, err}
		}
		return bytes.TrimRight(j.buf, "\r\n"), nil
	}
}

// object reads one line.
func (j *jsonLines) object(text []byte) (map[string]string, error) {
	j.dec.Reset(bytes.NewReader(text))
	if j.dec.PeekKind() != jsontext.KindBeginObject {
		if _, err := j.dec.ReadValue(); err != nil {
			return nil, notJSON(err)
		}
		return nil, errors.New("the line is not a JSON object")
	}
	members := map[string]string{}
	if err := j.flatten(members, "", 1); err != nil {
		return nil, err
	}
	if _, err := j.dec.ReadToken(); err != io.EOF {
		return nil, errors.New("something follows the JSON object: one object a line")
	}
	return members, nil
}

// flatten reads an object into members, whose names begin with prefix.
func (j *jsonLines) flatten(members map[string]string, prefix string, depth int) error {
	if depth > maxNesting {
		return fmt.Errorf("objects are nested more than %d levels deep", maxNesting)
	}
	if _, err := j.dec.ReadToken(); err != nil {
		return notJSON(err)
	}
	for j.dec.PeekKind() != jsontext.KindEndObject {
		token, err := j.dec.ReadToken()
		if err != nil {
			return notJSON(err)
		}
		name := prefix + token.String()
		if j.dec.PeekKind() == jsontext.KindBeginObject {
			if err := j.flatten(members, name+".", depth+1); err != nil {
				return err
			}
			continue
		}
		value, err := j.dec.ReadValue()
		if err != nil {
			return notJSON(err)
		}
		if err := keep(members, name, value); err != nil {
			return err
		}
	}
	if _, err := j.dec.ReadToken(); err != nil {
		return notJSON(err)
	}
	if len(members) > MaxColumns {
		return fmt.Errorf("the object has more than %d members", MaxColumns)
	}
	return nil
}

// keep notes one value that is no object.
func keep(members map[string]string, name string, value jsontext.Value) error {
	if _, twice := members[name]; twice {
		return fmt.Errorf("there are two members %s", name)
	}
	switch value.Kind() {
	case jsontext.KindNull:
		return nil
	case jsontext.KindString:
		text, err := jsontext.AppendUnquote(nil, value)
		if err != nil {
			return notJSON(err)
		}
		if at, bad := badRune(string(text)); bad {
			return fmt.Errorf("member %s: %w", name, undecodable(string(text[at:])))
		}
		members[name] = string(text)
	default:
		members[name] = string(value)
	}
	return nil
}

// notJSON says what is wrong in the words of the decoder, which name the place.
func notJSON(err error) error {
	if syntax, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		return fmt.Errorf("the line is not JSON in UTF-8, at byte %d: %w", syntax.ByteOffset+1, syntax.Err)
	}
	return fmt.Errorf("the line is not JSON: %w", err)
}
