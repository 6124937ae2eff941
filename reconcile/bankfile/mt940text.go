package bankfile

import (
	"regexp"
	"strings"
)

// The text of :86: has 6 lines of 65 characters and is free by the standard. Countries have filled it:
//
//   - Germany and Poland: three digits (the GVC or the bank's code), then sub-fields ?00 to ?63, of which 00
//     is the booking text, 20 to 29 and 60 to 63 the remittance, 31 and 38 the account and 32 and 33 the name
//     of the other party (DK, DFÜ-Abkommen, annex 3, ch. 8). Inside the remittance, SEPA fields as EREF+, SVWZ+.
//   - The Netherlands: /EREF/…/NAME/…/REMI/… in any order, or plain text.
//
// A line that was full breaks words, and is joined to the next one without a space.

const (
	fullMTLine   = 64 // characters; 65 by the standard, 64 at ABN AMRO, which prints two columns of 32
	fullSubField = 27 // characters of a sub-field of the remittance
)

var (
	mtStructured = regexp.MustCompile(`^\s*(\d{3})([?<~@#|])(\d\d)`)
	mtSEPA       = regexp.MustCompile(`(?:^| )(EREF|KREF|MREF|CRED|DEBT|COAM|OAMT|SVWZ|ABWA|ABWE|IBAN|BIC|PURP)\+`)
	mtSlash      = regexp.MustCompile(`/(TRTP|TRCD|CNTP|IBAN|BIC|NAME|REMI|EREF|PREF|MARF|CSID|BENM|ORDP|ISDT|RTRN|SVCL|PURP|ULTD|ULTC|ULTB|ADDR|ID|OCMT|EXCH|CHGS)/`)
	mtDutch      = regexp.MustCompile(`^\s*/(TRTP|TRCD|CNTP|EREF|PREF|MARF|BENM|ORDP|RTRN|REMI|IBAN|NAME|SVCL|PURP)/`)
)

// describe reads :86: into the line before it.
func describe(l *Line, lines []string) {
	joined := strings.Join(lines, "")
	switch {
	case mtStructured.MatchString(joined):
		describeGerman(l, joined)
	case mtDutch.MatchString(joined):
		describeDutch(l, joined)
	default:
		l.Remittance = squeeze(joinFull(lines, fullMTLine))
	}
}

// joinFull joins parts, with a space after those that are not full.
func joinFull(parts []string, full int) string {
	var b strings.Builder
	for i, p := range parts {
		b.WriteString(p)
		if i < len(parts)-1 && len([]rune(p)) < full {
			b.WriteByte(' ')
		}
	}
	return b.String()
}

func describeGerman(l *Line, joined string) {
	match := mtStructured.FindStringSubmatch(joined)
	if l.Code += "/" + match[1]; l.Code[0] == '/' {
		l.Code = match[1]
	}
	start := strings.Index(joined, match[2])
	var remittance, name []string
	for _, f := range subFields(joined[start:], match[2][0]) {
		switch {
		case f.code == "00":
			l.Info = squeeze(l.Info + " " + f.value)
		case f.code >= "20" && f.code <= "29", f.code >= "60" && f.code <= "63":
			if mtSEPA.MatchString(f.value) {
				f.value = " " + f.value
			}
			remittance = append(remittance, f.value)
		case f.code == "31":
			fill(&l.Counterparty.IBAN, compactIBAN(f.value))
		case f.code == "38" && f.value != "":
			l.Counterparty.IBAN = compactIBAN(f.value)
		case f.code == "32", f.code == "33":
			name = append(name, f.value)
		}
	}
	l.Counterparty.Name = squeeze(joinFull(name, fullSubField))
	l.sepa(strings.TrimSpace(joinFull(remittance, fullSubField)))
}

type subField struct{ code, value string }

// subFields splits at the separator wherever two digits follow it.
func subFields(s string, separator byte) []subField {
	var found []subField
	begin := 0
	take := func(end int) {
		if end-begin >= 3 {
			found = append(found, subField{s[begin+1 : begin+3], s[begin+3 : end]})
		}
	}
	for i := 1; i+2 < len(s); i++ {
		if s[i] == separator && allDigits(s[i+1:i+3]) {
			take(i)
			begin = i
		}
	}
	take(len(s))
	return found
}

// sepa takes the SEPA fields out of a remittance; without any, it is all remittance.
func (l *Line) sepa(s string) {
	at := mtSEPA.FindAllStringSubmatchIndex(s, -1)
	if len(at) == 0 {
		l.Remittance = squeeze(s)
		return
	}
	l.Remittance = squeeze(s[:at[0][0]])
	for i, m := range at {
		end := len(s)
		if i+1 < len(at) {
			end = at[i+1][0]
		}
		value := squeeze(s[m[1]:end])
		switch s[m[2]:m[3]] {
		case "EREF":
			l.References.EndToEnd = reference(strings.ReplaceAll(value, " ", ""))
		case "KREF":
			fill(&l.References.Client, reference(value))
		case "MREF":
			l.References.Mandate = reference(value)
		case "IBAN":
			fill(&l.Counterparty.IBAN, compactIBAN(value))
		case "ABWA", "ABWE":
			fill(&l.Counterparty.Name, value)
		case "SVWZ":
			l.Remittance = strings.TrimSpace(l.Remittance + " " + value)
		}
	}
}

func describeDutch(l *Line, joined string) {
	at := mtSlash.FindAllStringSubmatchIndex(joined, -1)
	for i, m := range at {
		end := len(joined)
		if i+1 < len(at) {
			end = at[i+1][0]
		}
		value := joined[m[1]:end]
		plainValue := squeeze(strings.Trim(value, "/ "))
		switch joined[m[2]:m[3]] {
		case "EREF":
			l.References.EndToEnd = reference(plainValue)
		case "PREF":
			l.References.Batch = reference(plainValue)
		case "MARF":
			l.References.Mandate = reference(plainValue)
		case "NAME":
			fill(&l.Counterparty.Name, plainValue)
		case "IBAN":
			fill(&l.Counterparty.IBAN, compactIBAN(plainValue))
		case "TRTP":
			l.Info = squeeze(l.Info + " " + plainValue)
		case "CNTP": // account/bank/name/city/
			parts := strings.Split(value, "/")
			fill(&l.Counterparty.IBAN, compactIBAN(parts[0]))
			if len(parts) > 2 {
				fill(&l.Counterparty.Name, squeeze(parts[2]))
			}
		case "REMI": // the text, or USTD//text, or STRD/CUR/reference
			plainValue = strings.TrimPrefix(plainValue, "USTD//")
			l.Remittance = squeeze(l.Remittance + " " + strings.TrimPrefix(plainValue, "STRD/CUR/"))
		}
	}
}
