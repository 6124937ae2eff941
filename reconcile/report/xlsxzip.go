package report

import (
	"archive/zip"
	"bytes"
	"io"
	"regexp"
	"slices"
	"time"

	"github.com/xuri/excelize/v2"
)

// sortedZip packs a workbook so that the same one is the same bytes: excelize writes the list of its parts in the order
// of a map, and leaves their times empty.
type sortedZip struct {
	*zip.Writer
	types *bytes.Buffer // the list, until everything else is packed
}

const typesPart = "[Content_Types].xml"

var (
	typeElement = regexp.MustCompile(`<(?:Default|Override) [^>]*>(?:</(?:Default|Override)>)?`)
	zipDate     = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
)

func newSortedZip(w io.Writer) excelize.ZipWriter { return &sortedZip{Writer: zip.NewWriter(w)} }

// Create begins a part.
func (z *sortedZip) Create(name string) (io.Writer, error) {
	if name == typesPart {
		z.types = &bytes.Buffer{}
		return z.types, nil
	}
	return z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: zipDate})
}

// Close packs the list of parts, sorted, and ends the file.
func (z *sortedZip) Close() error {
	if z.types != nil {
		list := z.types.Bytes()
		found := typeElement.FindAll(list, -1)
		elements := slices.Clone(found)
		slices.SortFunc(elements, bytes.Compare)
		i := 0
		list = typeElement.ReplaceAllFunc(list, func([]byte) []byte { i++; return elements[i-1] })
		part, err := z.CreateHeader(&zip.FileHeader{Name: typesPart, Method: zip.Deflate, Modified: zipDate})
		if err != nil {
			return err
		}
		if _, err := part.Write(list); err != nil {
			return err
		}
	}
	return z.Writer.Close()
}
