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

// Conn posts and reads over one kept-alive connection, which it opens when first needed
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
	c.head("POST ", path)
	if key != "" {
		c.out = append(append(c.out, "\r\nIdempotency-Key: "...), key...)
	}
	c.out = append(c.out, "\r\nContent-Type: application/json\r\nContent-Length: "...)
	c.out = strconv.AppendInt(c.out, int64(len(body)), 10)
	c.out = append(append(c.out, "\r\n\r\n"...), body...)
	answer, err := c.exchange(ctx)
	if err != nil {
		return Answer{}, fmt.Errorf("posting to %s: %w", path, err)
	}
	return answer, nil
}

// Get reads path, which may have a query, and waits for the answer, whatever its
// status.
func (c *Conn) Get(ctx context.Context, path string) (Answer, error) {
	c.head("GET ", path)
	c.out = append(c.out, "\r\n\r\n"...)
	answer, err := c.exchange(ctx)
	if err != nil {
		return Answer{}, fmt.Errorf("getting %s: %w", path, err)
	}
	return answer, nil
}

// Close closes the connection. The next request opens another one.
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

// head begins a request in c.out, from which one system call sends all of it.
func (c *Conn) head(method, path string) {
	out := append(append(c.out[:0], method...), path...)
	out = append(append(out, " HTTP/1.1\r\nHost: "...), c.client.host...)
	c.out = append(append(out, "\r\nAuthorization: Bearer "...), c.client.key...)
}

// exchange sends c.out; after an error the connection is closed.
func (c *Conn) exchange(ctx context.Context) (Answer, error) {
	if c.nc == nil {
		if err := c.dial(ctx); err != nil {
			return Answer{}, err
		}
	}
	answer, err := c.roundTrip()
	if err != nil {
		c.Close()
	}
	return answer, err
}

func (c *Conn) roundTrip() (Answer, error) {
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
