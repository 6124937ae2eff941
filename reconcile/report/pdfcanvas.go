package report

import (
	"bytes"
	"io"
	"time"

	"codeberg.org/go-pdf/fpdf"
	"github.com/go-fonts/dejavu/dejavusanscondensed"
	"github.com/go-fonts/dejavu/dejavusanscondensedbold"
	"github.com/go-fonts/dejavu/dejavusansmono"
)

// canvas is the pages of a PDF. This file alone knows that fpdf counts in floating point: everything else counts in
// hundredths of a point, from the upper left corner.
type canvas struct {
	pdf     *fpdf.Fpdf
	glyphs  [faces]map[rune]bool // whether a face has a character, as far as that was asked
	missing map[rune]bool        // what no face has
	font    [2]int               // face and size that are set
	across  bool                 // how pages lie
}

// face is one of the fonts.
type face int

const (
	regular face = iota
	bold
	mono
	faces
)

// fonts are the TrueType files, of which a PDF holds the characters that it uses. They have Latin, Greek, Cyrillic,
// Armenian, Georgian, Hebrew and Arabic, and no Chinese, Japanese or Korean.
var fonts = [faces][]byte{dejavusanscondensed.TTF, dejavusanscondensedbold.TTF, dejavusansmono.TTF}

// fontStyles are the names under which fpdf knows the faces.
var fontStyles = [faces][2]string{{"sans", ""}, {"sans", "B"}, {"mono", ""}}

// Sizes of a sheet of A4.
const (
	sheetShort = 59_528
	sheetLong  = 84_189
)

// The same report is the same bytes, so a PDF says this of when it was made.
var pdfDate = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

func newCanvas(doc *Document) *canvas {
	c := &canvas{pdf: fpdf.New(fpdf.OrientationPortrait, fpdf.UnitPoint, fpdf.PageSizeA4, ""), missing: map[rune]bool{}}
	c.pdf.SetCreationDate(pdfDate)
	c.pdf.SetModificationDate(pdfDate)
	c.pdf.SetCatalogSort(true)
	c.pdf.SetAutoPageBreak(false, 0)
	c.pdf.SetTitle(visible(doc.Title), true)
	c.pdf.SetSubject(visible(doc.Ledger), true)
	c.pdf.SetCreator("Tallystick", true)
	c.pdf.SetLang("en")
	for f := range faces {
		c.glyphs[f] = map[rune]bool{}
		c.pdf.AddUTF8FontFromBytes(fontStyles[f][0], fontStyles[f][1], bytes.Clone(fonts[f])) // fpdf writes into it
	}
	return c
}

func points(n int) float64 { return float64(n) / 100 }

// page begins one.
func (c *canvas) page() {
	orientation := fpdf.OrientationPortrait
	if c.across {
		orientation = fpdf.OrientationLandscape
	}
	c.pdf.AddPageFormat(orientation, c.pdf.GetPageSizeStr(fpdf.PageSizeA4))
	c.font = [2]int{}
}

// onEach goes to every page that there is.
func (c *canvas) onEach(draw func(page, pages int)) {
	pages := c.pdf.PageCount()
	for page := 1; page <= pages; page++ {
		c.pdf.SetPage(page)
		c.pdf.SetFontSize(1) // the page has another font set than fpdf remembers
		c.font = [2]int{}
		draw(page, pages)
	}
}

func (c *canvas) set(f face, size int) {
	if c.font == [2]int{int(f), size} {
		return
	}
	c.font = [2]int{int(f), size}
	c.pdf.SetFont(fontStyles[f][0], fontStyles[f][1], points(size))
}

// width is that of a text as it will be drawn.
func (c *canvas) width(f face, size int, text string) int {
	c.set(f, 1000)
	return int(c.pdf.GetStringWidth(c.drawable(f, text))*100) * size / 1000
}

// text writes on a base line, beginning at x.
func (c *canvas) text(x, y int, f face, size int, ink color, text string) {
	c.set(f, size)
	c.pdf.SetTextColor(ink.r, ink.g, ink.b)
	c.pdf.Text(points(x), points(y), c.drawable(f, text))
}

// slanted writes a text that ends at a point and rises to it.
func (c *canvas) slanted(x, y int, f face, size int, ink color, text string) {
	c.pdf.TransformBegin()
	c.pdf.TransformRotate(slantDegrees, points(x), points(y))
	c.text(x-c.width(f, size, text), y, f, size, ink, text)
	c.pdf.TransformEnd()
}

func (c *canvas) rect(x, y, w, h int, fill color) {
	c.pdf.SetFillColor(fill.r, fill.g, fill.b)
	c.pdf.Rect(points(x), points(y), points(w), points(h), "F")
}

func (c *canvas) dot(x, y, radius int, fill color) {
	c.pdf.SetFillColor(fill.r, fill.g, fill.b)
	c.pdf.Circle(points(x), points(y), points(radius), "F")
}

func (c *canvas) line(stroke color, thick int, dash []int, through ...point) {
	c.pdf.SetDrawColor(stroke.r, stroke.g, stroke.b)
	c.pdf.SetLineWidth(points(thick))
	pattern := make([]float64, len(dash))
	for i, n := range dash {
		pattern[i] = points(n)
	}
	c.pdf.SetDashPattern(pattern, 0)
	c.pdf.SetLineJoinStyle("round")
	c.pdf.MoveTo(points(through[0].x), points(through[0].y))
	for _, p := range through[1:] {
		c.pdf.LineTo(points(p.x), points(p.y))
	}
	c.pdf.DrawPath("D")
}

// link makes an area lead to an address.
func (c *canvas) link(x, y, w, h int, href string) {
	c.pdf.LinkString(points(x), points(y), points(w), points(h), href)
}

// bookmark names a place in the outline.
func (c *canvas) bookmark(title string, y int) {
	c.set(regular, 1000)
	c.pdf.Bookmark(title, 0, points(y))
}

func (c *canvas) write(out io.Writer) error { return c.pdf.Output(out) }
