package client

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"
)

// dialTimeout bounds the time to set up one connection.
const dialTimeout = 5 * time.Second

// Conn posts over one kept-alive connection, which it opens when first needed
// and again after an error. It is for one goroutine at a time.
type Conn struct {
	client  *Client
	timeout time.Duration
	nc      net.Conn
	in      *bufio.Reader
	out     []byte
	resp    fasthttp.Response
}

// Answer is what a request got. Body is valid until the Conn's next request.
type Answer struct {
	Status     int
	Replayed   bool          // the server had stored this request before
	RetryAfter time.Duration // how long the server asks to wait; 0 when it does not
	Body       []byte
}

// Conn returns a connection of its own, not yet open. A request that is not
// answered within timeout ends in an error; its outcome is then unknown.
func (c *Client) Conn(timeout time.Duration) *Conn {
	return &Conn{client: c, timeout: timeout}
}

// Post sends body to path and waits for the answer, whatever its status. A
// non-empty key is sent as Idempotency-Key. After an error the request may or
// may not have been carried out: post it again under the same key.
func (c *Conn) Post(ctx context.Context, path, key string, body []byte) (Answer, error) {
	if c.nc == nil {
		if err := c.dial(ctx); err != nil {
			return Answer{}, err
		}
	}
	c.request(path, key, body)
	answer, err := c.exchange()
	if err != nil {
		c.Close()
		return Answer{}, fmt.Errorf("posting to %s: %w", path, err)
	}
	return answer, nil
}

// Close closes the connection. The next Post opens another one.
func (c *Conn) Close() {
	if c.nc != nil {
		// Nothing is buffered on our side: there is nothing to lose.
		_ = c.nc.Close()
		c.nc = nil
	}
}

func (c *Conn) dial(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	var nc net.Conn
	var err error
	if c.client.secure {
		nc, err = (&tls.Dialer{}).DialContext(ctx, "tcp", c.client.addr)
	} else {
		nc, err = (&net.Dialer{}).DialContext(ctx, "tcp", c.client.addr)
	}
	if err != nil {
		return fmt.Errorf("connecting to %s: %w", c.client.addr, err)
	}
	c.nc = nc
	if c.in == nil {
		c.in = bufio.NewReaderSize(nc, 16<<10)
	} else {
		c.in.Reset(nc)
	}
	return nil
}

// request writes head and body into one buffer, so that one system call sends
// them.
func (c *Conn) request(path, key string, body []byte) {
	out := append(c.out[:0], "POST "...)
	out = append(out, path...)
	out = append(out, " HTTP/1.1\r\nHost: "...)
	out = append(out, c.client.host...)
	out = append(out, "\r\nAuthorization: Bearer "...)
	out = append(out, c.client.key...)
	if key != "" {
		out = append(out, "\r\nIdempotency-Key: "...)
		out = append(out, key...)
	}
	out = append(out, "\r\nContent-Type: application/json\r\nContent-Length: "...)
	out = strconv.AppendInt(out, int64(len(body)), 10)
	out = append(out, "\r\n\r\n"...)
	c.out = append(out, body...)
}

func (c *Conn) exchange() (Answer, error) {
	if err := c.nc.SetDeadline(time.Now().Add(c.timeout)); err != nil {
		return Answer{}, err
	}
	if _, err := c.nc.Write(c.out); err != nil {
		return Answer{}, err
	}
	if err := c.resp.ReadLimitBody(c.in, maxAnswer); err != nil {
		return Answer{}, err
	}
	answer := Answer{
		Status:   c.resp.StatusCode(),
		Replayed: string(c.resp.Header.Peek("Idempotent-Replayed")) == "true",
		Body:     c.resp.Body(),
	}
	if seconds, err := strconv.Atoi(string(c.resp.Header.Peek("Retry-After"))); err == nil {
		answer.RetryAfter = time.Duration(seconds) * time.Second
	}
	if c.resp.ConnectionClose() {
		c.Close()
	}
	return answer, nil
}
