package main

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"

	"tallystick/api/client"
)

// benchHotAccount is the account that the hot share of the transfers meets in.
const benchHotAccount = "bench:hot"

// benchAccount returns the code of spread account i.
func benchAccount(i int) string { return string(appendBenchAccount(nil, i)) }

func appendBenchAccount(dst []byte, i int) []byte {
	dst = append(dst, "bench:a"...)
	return strconv.AppendInt(dst, int64(i), 10)
}

// share is a part of a whole in millionths, written as a decimal from 0 to 1.
type share int32

const shareWhole share = 1_000_000

// UnmarshalText reads for example 0, 0.25 or 1; at most six decimals.
func (s *share) UnmarshalText(text []byte) error {
	whole, fraction, _ := strings.Cut(string(text), ".")
	digits := whole + (fraction + "000000")[:6]
	if len(fraction) > 6 || whole == "" || strings.ContainsFunc(digits, func(r rune) bool { return r < '0' || r > '9' }) {
		return fmt.Errorf("reading share %q: want a decimal from 0 to 1 with at most six decimals", text)
	}
	n, err := strconv.ParseInt(digits, 10, 32)
	if err != nil || share(n) > shareWhole {
		return fmt.Errorf("reading share %q: want 0 to 1", text)
	}
	*s = share(n)
	return nil
}

// String returns the share as a decimal, such as 0.25.
func (s share) String() string {
	text := strconv.FormatInt(int64(s+shareWhole), 10)
	whole := string('0' + byte(s/shareWhole))
	fraction := strings.TrimRight(text[1:], "0")
	if fraction == "" {
		return whole
	}
	return whole + "." + fraction
}

// MarshalJSON writes the share as a JSON number.
func (s share) MarshalJSON() ([]byte, error) { return []byte(s.String()), nil }

// benchMix makes the bodies: transfers between two different random accounts,
// of which the hot share debits or credits the hot account.
type benchMix struct {
	accounts, batch int
	hot             share
	lanes           []benchLane // one per connection
}

// benchLane is what one connection draws from.
type benchLane struct {
	random *rand.Rand
	ids    *client.IDs
}

func newBenchMix(c *benchCommand, idVersion int) (*benchMix, error) {
	m := &benchMix{accounts: c.Accounts, batch: c.Batch, hot: c.Hot, lanes: make([]benchLane, c.Connections)}
	for i := range m.lanes {
		ids, err := client.NewIDs(idVersion)
		if err != nil {
			return nil, err
		}
		m.lanes[i] = benchLane{random: rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())), ids: ids}
	}
	return m, nil
}

// request appends the next body of connection n.
func (m *benchMix) request(n int, body []byte) []byte {
	lane := &m.lanes[n]
	if m.batch == 1 {
		return m.transfer(lane, body)
	}
	body = append(body, `{"transfers":[`...)
	for i := range m.batch {
		if i > 0 {
			body = append(body, ',')
		}
		body = m.transfer(lane, body)
	}
	return append(body, "]}"...)
}

func (m *benchMix) transfer(lane *benchLane, body []byte) []byte {
	from := lane.random.IntN(m.accounts)
	to := lane.random.IntN(m.accounts - 1)
	if to >= from {
		to++
	}
	hot := share(lane.random.Int32N(int32(shareWhole))) < m.hot
	hotDebit := hot && lane.random.Uint32()&1 == 0
	body = append(body, `{"id":"`...)
	body = lane.ids.Append(body)
	body = append(body, `","debit":"`...)
	if hotDebit {
		body = append(body, benchHotAccount...)
	} else {
		body = appendBenchAccount(body, from)
	}
	body = append(body, `","credit":"`...)
	if hot && !hotDebit {
		body = append(body, benchHotAccount...)
	} else {
		body = appendBenchAccount(body, to)
	}
	body = append(body, `","amount":"`...)
	cents := 1 + lane.random.Int64N(99_999)
	body = strconv.AppendInt(body, cents/100, 10)
	body = append(body, '.', '0'+byte(cents/10%10), '0'+byte(cents%10))
	return append(body, `"}`...)
}
