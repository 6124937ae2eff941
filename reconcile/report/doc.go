// Package report is what reports are made of, and how they are written down: a Document says what a report says, and
// renderers turn it into text, CSV, JSON, XLSX, PDF and HTML. It knows nothing of ledgers, and computes nothing but
// totals to show: all figures come to it as exact decimals.
package report
