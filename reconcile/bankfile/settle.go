package bankfile

// settle derives from the balances read so far what the statement does not say outright.
func (s *Statement) settle() {
	for _, b := range s.Balances {
		if s.Currency == "" {
			s.Currency = b.Amount.Currency.Code
		}
	}
	s.Opening, s.Closing = s.pair(s.Currency)
	if s.From == "" && s.Opening != nil {
		s.From = s.Opening.Date
	}
	if s.To == "" && s.Closing != nil {
		s.To = s.Closing.Date
	}
}

// pair returns the booked balances that open and close the statement in a currency, nil where there is none.
// Only booked ones prove anything: an available balance leaves out what is booked and not yet cleared. A
// statement that comes in pages has interim balances where one page ends and the next begins.
func (s *Statement) pair(currency string) (opening, closing *Balance) {
	var interim []*Balance
	var previous *Balance
	for i := range s.Balances {
		b := s.Balances[i] // a copy: the list still grows
		if b.Amount.Currency.Code != currency {
			continue
		}
		switch b.Kind {
		case OpeningBooked, openingPageBooked:
			if opening == nil {
				opening = &b
			}
		case ClosingBooked, closingPageBooked:
			closing = &b
		case PreviouslyClosed:
			previous = &b
		case Interim:
			interim = append(interim, &b)
		}
	}
	if opening == nil {
		opening = previous
	}
	if opening == nil && len(interim) > 0 {
		opening, interim = interim[0], interim[1:]
	}
	if closing == nil && len(interim) > 0 {
		closing = interim[len(interim)-1]
	}
	return opening, closing
}

// previous returns the closing balance of the period before, when the statement repeats it.
func (s *Statement) previous(currency string) *Balance {
	for i := range s.Balances {
		if b := &s.Balances[i]; b.Kind == PreviouslyClosed && b.Amount.Currency.Code == currency {
			return b
		}
	}
	return nil
}
