package tabular

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// Encoding is how the text of a file is written as bytes.
type Encoding string

// The encodings. UTF16 takes its byte order from the mark the file begins with.
const (
	UTF8        Encoding = "utf-8"
	Latin1      Encoding = "latin1"
	Windows1252 Encoding = "windows-1252"
	UTF16       Encoding = "utf-16"
)

// String names the encoding; the empty one is UTF-8.
func (e Encoding) String() string {
	if e == "" {
		return string(UTF8)
	}
	return string(e)
}

// Byte order marks.
var (
	markUTF8 = []byte("\xef\xbb\xbf")
	markLE   = []byte("\xff\xfe")
	markBE   = []byte("\xfe\xff")
)

// decode returns the text of in as UTF-8 without a byte order mark.
func decode(in io.Reader, e Encoding) (io.Reader, error) {
	buffered := bufio.NewReaderSize(in, 64<<10)
	head, err := buffered.Peek(len(markUTF8))
	if err != nil && err != io.EOF {
		return nil, err
	}
	wide := bytes.HasPrefix(head, markLE) || bytes.HasPrefix(head, markBE)
	switch e {
	case UTF8, "":
		if wide {
			return nil, errors.New("the file begins with the byte order mark of UTF-16 and was to be UTF-8\nhint: say encoding: utf-16 in the mapping")
		}
		if bytes.HasPrefix(head, markUTF8) {
			_, err = buffered.Discard(len(markUTF8))
			return buffered, err
		}
		return buffered, nil
	case Latin1, Windows1252:
		if wide || bytes.HasPrefix(head, markUTF8) {
			return nil, fmt.Errorf("the file begins with a byte order mark and was to be %s\nhint: say encoding: utf-8 or utf-16 in the mapping", e)
		}
		if e == Latin1 {
			return transform.NewReader(buffered, charmap.ISO8859_1.NewDecoder()), nil
		}
		return transform.NewReader(buffered, charmap.Windows1252.NewDecoder()), nil
	case UTF16:
		if !wide {
			return nil, errors.New("the file does not begin with a byte order mark, so it is not UTF-16 as was said\nhint: say another encoding in the mapping")
		}
		return transform.NewReader(buffered, unicode.UTF16(unicode.LittleEndian, unicode.ExpectBOM).NewDecoder()), nil
	default:
		return nil, fmt.Errorf("reading encoding %q: want utf-8, latin1, windows-1252 or utf-16", e)
	}
}

// undecodable says what stands where text was expected.
func undecodable(s string) error {
	if r, size := utf8.DecodeRuneInString(s); r == utf8.RuneError && size == 1 {
		return fmt.Errorf("byte 0x%02x\nhint: if the file is in another encoding, say so in the mapping: encoding: latin1, windows-1252 or utf-16", s[0])
	}
	return errors.New("the replacement character U+FFFD stands there: an earlier program did not understand its input, or the encoding is another one")
}
