// Package report is what reports are made of, and how they are written down: a Document says what a report says, and
// renderers turn it into text, CSV, JSON, XLSX, PDF and HTML. It knows nothing of ledgers, and computes nothing but
// totals to show: all figures come to it as exact decimals.
//
//	figures, tables, charts ──Finish──▶ Document ──Encode──▶ canonical JSON ──Digest──▶ SHA-256, which the chain binds
//	 (of whoever computes)               │    ▲                   │
//	                                     │    └──────Decode───────┘
//	                                     ▼
//	                                   Write ─┬─▶ text, HTML, PDF: a grid, with numbers split at their point
//	                                          ├─▶ XLSX: numbers as numbers, and charts that the spreadsheet draws
//	                                          └─▶ CSV: the tables, for programs
//
// The same document is the same bytes in every format, whenever and wherever it is written: no clock, no map order, no
// fonts or libraries of the machine. What a format cannot show as it is, it says, and never drops:
//
//   - Numbers of more than 15 digits are texts in XLSX, which would round them. Only the columns from which charts are
//     drawn are rounded there.
//   - PDF embeds the part of DejaVu Sans that it uses: Latin, Greek, Cyrillic, Armenian, Georgian, Hebrew and Arabic,
//     those two set from right to left. Characters that it lacks (Chinese, Japanese, Korean, emoji) are shown as □, and a
//     note at the end lists them.
//   - CSV holds one table under the other, with the union of their columns, so that it loads as one rectangle; Options
//     choose one table instead. Texts that a spreadsheet could take for formulas get an apostrophe; numbers never do.
//   - Control characters and those that turn the direction of writing around are shown as signs everywhere but in JSON.
//
// A chart is computed once, in whole units of a drawing, and drawn as SVG and in PDF from that. Colours are never alone:
// levels have words or letters, lines differ in dashes, and a table with the numbers follows where it can be hidden.
package report
