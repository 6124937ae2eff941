package bankfile

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/text/encoding/charmap"
)

// xmlCursor walks through the elements of a document, each once and in order. What a caller does not read is
// passed over. encoding/xml knows the five entities of XML only and expands nothing; a document type
// declaration, which could define more, is refused.
type xmlCursor struct {
	in     *intake
	tokens *xml.Decoder
	path   []string // names of the open elements
	start  xml.StartElement
}

func newXMLCursor(in *intake) *xmlCursor {
	x := &xmlCursor{in: in, tokens: xml.NewDecoder(in.source)}
	x.tokens.CharsetReader = charset
	return x
}

func (x *xmlCursor) fault(value, problem string) *Fault {
	return x.in.fault(x.in.source.position(), strings.Join(x.path, "/"), value, problem)
}

func (x *xmlCursor) token() (xml.Token, error) {
	x.in.source.mark()
	t, err := x.tokens.Token()
	if err != nil {
		var syntax *xml.SyntaxError
		switch {
		case x.in.source.failed != nil:
			return nil, err
		case errors.As(err, &syntax):
			return nil, x.fault("", "not well-formed XML: "+syntax.Msg)
		case errors.Is(err, io.EOF):
			return nil, x.fault("", "the file ends inside the document")
		}
		return nil, x.fault("", err.Error())
	}
	if _, declares := t.(xml.Directive); declares {
		return nil, x.fault("", "a document type declaration, which no bank statement needs, is refused")
	}
	return t, nil
}

// enter opens an element.
func (x *xmlCursor) enter(start xml.StartElement) error {
	if len(x.path) >= MaxDepth {
		return x.in.fault(x.in.source.position(), "", "", fmt.Sprintf("elements nested more than %d deep", MaxDepth))
	}
	x.path = append(x.path, start.Name.Local)
	x.start = start
	return nil
}

func (x *xmlCursor) leave() { x.path = x.path[:len(x.path)-1] }

// children calls each for every element inside the open one, which it closes.
func (x *xmlCursor) children(each func(name string) error) error {
	for {
		t, err := x.token()
		if err != nil {
			return err
		}
		switch t := t.(type) {
		case xml.StartElement:
			if err := x.enter(t); err != nil {
				return err
			}
			depth := len(x.path)
			if err := each(t.Name.Local); err != nil {
				return err
			}
			if len(x.path) == depth {
				if _, err := x.text(); err != nil {
					return err
				}
			}
		case xml.EndElement:
			x.leave()
			return nil
		}
	}
}

// text returns the text of the open element and of all inside it, and closes it. So <Sts>BOOK</Sts> and
// <Sts><Cd>BOOK</Cd></Sts> read the same, as do dates with and without a time.
func (x *xmlCursor) text() (string, error) {
	var b []byte
	for bottom := len(x.path); ; {
		t, err := x.token()
		if err != nil {
			return "", err
		}
		switch t := t.(type) {
		case xml.StartElement:
			if err := x.enter(t); err != nil {
				return "", err
			}
		case xml.CharData:
			if len(b)+len(t) > MaxText && len(strings.TrimSpace(string(t))) > 0 {
				return "", x.fault("", fmt.Sprintf("a text longer than %d bytes", MaxText))
			}
			if len(b)+len(t) <= MaxText {
				b = append(b, t...)
			}
		case xml.EndElement:
			x.leave()
			if len(x.path) < bottom {
				return strings.TrimSpace(string(b)), nil
			}
		}
	}
}

// into reads the text of the open element into a field, in the way of switch cases.
func (x *xmlCursor) into(field *string) error {
	s, err := x.text()
	if err == nil && s != "" {
		*field = clean(s)
	}
	return err
}

// addTo adds the text of the open element to a text that may come in parts.
func (x *xmlCursor) addTo(field *string) error {
	s, err := x.text()
	if err != nil || s == "" {
		return err
	}
	if len(*field)+len(s) > MaxText {
		return x.fault("", fmt.Sprintf("texts of more than %d bytes in all", MaxText))
	}
	if *field != "" {
		*field += " "
	}
	*field += clean(s)
	return nil
}

// attribute returns an attribute of the element that was opened last.
func (x *xmlCursor) attribute(name string) string {
	for _, a := range x.start.Attr {
		if a.Name.Local == name {
			return strings.TrimSpace(a.Value)
		}
	}
	return ""
}

// charset returns a reader of an encoding that XML names. It reads byte by byte, so that nothing is read
// ahead of the bounds.
func charset(label string, in io.Reader) (io.Reader, error) {
	bytes, ok := in.(io.ByteReader)
	if !ok {
		return nil, errors.New("changing the encoding of a source without bytes")
	}
	switch strings.ToLower(label) {
	case "utf8", "us-ascii", "ascii":
		return in, nil
	case "iso-8859-1", "latin1", "windows-1252", "cp1252":
		return &charsetReader{from: bytes, table: charmap.Windows1252}, nil
	case "iso-8859-15":
		return &charsetReader{from: bytes, table: charmap.ISO8859_15}, nil
	case "iso-8859-2":
		return &charsetReader{from: bytes, table: charmap.ISO8859_2}, nil
	case "windows-1250", "cp1250":
		return &charsetReader{from: bytes, table: charmap.Windows1250}, nil
	}
	return nil, fmt.Errorf("encoding %q is not read: convert the file to UTF-8", shorten(label))
}

type charsetReader struct {
	from  io.ByteReader
	table *charmap.Charmap
	rest  []byte
}

// ReadByte returns the next byte of UTF-8.
func (c *charsetReader) ReadByte() (byte, error) {
	if len(c.rest) == 0 {
		b, err := c.from.ReadByte()
		if err != nil || b < 0x80 {
			return b, err
		}
		c.rest = append(c.rest[:0], string(c.table.DecodeByte(b))...)
	}
	b := c.rest[0]
	c.rest = c.rest[1:]
	return b, nil
}

// Read makes charsetReader a reader.
func (c *charsetReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	b, err := c.ReadByte()
	if err != nil {
		return 0, err
	}
	p[0] = b
	return 1, nil
}
