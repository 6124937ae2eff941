package report

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Format is how a document is written down.
type Format string

// The formats. Each says all that the document says, but for CSV, which holds its tables.
const (
	PlainText Format = "text"
	CSV       Format = "csv"
	JSON      Format = "json"
	XLSX      Format = "xlsx"
	PDF       Format = "pdf"
	HTML      Format = "html"
)

// Formats lists them.
var Formats = []Format{PlainText, CSV, JSON, XLSX, PDF, HTML}

// Options are what a reader may choose. The zero value is right for files.
type Options struct {
	// Table is the one table that CSV holds, without the columns that tell tables apart. Tables of that name are those
	// of the document, and "facts", "figures" and "charts". Other formats take no notice.
	Table string
	// Href returns the address that a link leads to, or nothing. Without it, HTML and PDF have no links.
	Href func(Link) string
}

// ParseFormat returns the format of that name.
func ParseFormat(name string) (Format, error) {
	if f := Format(name); slices.Contains(Formats, f) {
		return f, nil
	}
	names := make([]string, len(Formats))
	for i, f := range Formats {
		names[i] = string(f)
	}
	return "", fmt.Errorf("choosing a format: there is no %q, only %s", name, strings.Join(names, ", "))
}

// ContentType returns the media type, for HTTP.
func (f Format) ContentType() string {
	switch f {
	case CSV:
		return "text/csv; charset=utf-8; header=present"
	case JSON:
		return "application/json"
	case XLSX:
		return "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
	case PDF:
		return "application/pdf"
	case HTML:
		return "text/html; charset=utf-8"
	default:
		return "text/plain; charset=utf-8"
	}
}

// Extension returns the ending of a file's name, with its point.
func (f Format) Extension() string {
	if f == PlainText {
		return ".txt"
	}
	return "." + string(f)
}

// FileName returns a name for the document as a file, which its ledger and name give.
func FileName(doc *Document, f Format) string {
	safe := func(r rune) rune {
		if r < 0x80 && (isName(string(r)) || r == '-' || r == '_' || r == '.') {
			return r
		}
		return '_'
	}
	return strings.Map(safe, strings.ToLower(doc.Ledger)) + "-" + doc.Name + f.Extension()
}

// Write writes a finished document in a format. The same document gives the same bytes. Nothing is written of a document
// with which something is wrong.
func Write(w io.Writer, doc *Document, f Format, options Options) error {
	if f == JSON {
		encoded, err := Encode(doc) // checks
		if err != nil {
			return err
		}
		return written(doc, f, second(w.Write(encoded)))
	}
	if err := doc.Check(); err != nil {
		return err
	}
	out := bufio.NewWriter(w)
	var err error
	switch f {
	case PlainText:
		writeText(out, doc)
	case CSV:
		err = writeCSV(out, doc, options)
	case XLSX:
		err = writeXLSX(out, doc)
	case PDF:
		err = writePDF(out, doc, options)
	case HTML:
		err = writeHTML(out, doc, options)
	default:
		_, err = ParseFormat(string(f))
	}
	if err != nil {
		return written(doc, f, err)
	}
	return written(doc, f, out.Flush())
}

func written(doc *Document, f Format, err error) error {
	if err != nil {
		return fmt.Errorf("writing report %s as %s: %w", doc.Name, f, err)
	}
	return nil
}

func second(_ int, err error) error { return err }
