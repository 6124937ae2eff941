package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	// maxAnswer bounds one answer, in bytes: a page of 1000 entries with
	// hundreds of postings each stays below it.
	maxAnswer = 1 << 28
	// callTimeout bounds one call of a Client; a Conn has its own.
	callTimeout = 2 * time.Minute
	// pageLimit is how many elements are asked for at once, the most the API
	// allows.
	pageLimit = "1000"
)

// Client calls one server with one key. It is safe for concurrent use.
type Client struct {
	base   string // scheme://host[:port], without a path
	host   string // as sent in the Host header
	addr   string // host:port to dial
	secure bool
	key    string
	http   *http.Client
}

// New returns a client for the server at rawURL, such as
// http://127.0.0.1:8080, that authenticates with key. It connects to nothing
// yet; an error means that rawURL is not an http or https URL of a host alone.
func New(rawURL, key string) (*Client, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, fmt.Errorf("parsing server URL %q: %w", rawURL, err)
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("parsing server URL %q: want http://HOST[:PORT] or https://HOST[:PORT]", rawURL)
	}
	if strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.User != nil {
		return nil, fmt.Errorf("parsing server URL %q: want neither user, path nor query", rawURL)
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return &Client{
		base:   u.Scheme + "://" + u.Host,
		host:   u.Host,
		addr:   net.JoinHostPort(u.Hostname(), port),
		secure: u.Scheme == "https",
		key:    key,
		http:   &http.Client{Timeout: callTimeout},
	}, nil
}

// URL returns the server's address as scheme://host[:port].
func (c *Client) URL() string { return c.base }

// Problem is an answer that refuses: RFC 9457 problem details with the
// server's stable code. Fields a refusal does not carry are zero or nil.
type Problem struct {
	Status         int     `json:"status"`
	Code           string  `json:"code"`
	Title          string  `json:"title"`
	Detail         string  `json:"detail"`
	Field          string  `json:"field"`
	Available      *string `json:"available"`
	EvaluatedAtSeq *int64  `json:"evaluated_at_seq"`
}

// Error returns status, code and detail on one line.
func (p *Problem) Error() string {
	text := p.Detail
	if text == "" {
		text = p.Title
	}
	return fmt.Sprintf("status %d %s: %s", p.Status, p.Code, text)
}

// ParseProblem reads the body of an answer with a status of 400 or more. What
// is no problem document, such as a proxy's page, becomes a Problem without a
// code and with the beginning of the body as detail.
func ParseProblem(status int, body []byte) *Problem {
	p := &Problem{}
	if err := json.Unmarshal(body, p); err != nil || p.Code == "" {
		p = &Problem{Title: http.StatusText(status), Detail: strings.TrimSpace(string(body[:min(len(body), 200)]))}
	}
	p.Status = status
	return p
}

// HasCode reports whether err is, or wraps, a refusal with this code.
func HasCode(err error, code string) bool {
	var p *Problem
	return errors.As(err, &p) && p.Code == code
}

// HasStatus reports whether err is, or wraps, a refusal with this HTTP status.
func HasStatus(err error, status int) bool {
	var p *Problem
	return errors.As(err, &p) && p.Status == status
}

// call sends one request and decodes its answer into out, which may be nil.
// A status of 400 or more is returned as *Problem.
func (c *Client) call(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("encoding the body of %s %s: %w", method, path, err)
		}
		body = bytes.NewReader(text)
	}
	text, err := c.fetch(ctx, method, path, body)
	if err != nil || out == nil {
		return err
	}
	if err := json.Unmarshal(text, out); err != nil {
		return fmt.Errorf("decoding the answer to %s %s: %w", method, path, err)
	}
	return nil
}

func (c *Client) fetch(ctx context.Context, method, path string, body io.Reader) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, fmt.Errorf("preparing %s %s: %w", method, path, err)
	}
	req.Header.Set("Authorization", "Bearer "+c.key)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("calling the server: %w", err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return nil, fmt.Errorf("reading the answer to %s %s: %w", method, path, err)
	}
	if len(text) > maxAnswer {
		return nil, fmt.Errorf("reading the answer to %s %s: it is longer than %d bytes", method, path, maxAnswer)
	}
	if resp.StatusCode >= 400 {
		return nil, fmt.Errorf("%s %s: %w", method, path, ParseProblem(resp.StatusCode, text))
	}
	return text, nil
}

// each walks a list from its first page to its last and hands every element to
// visit, whose error ends the walk and is returned as it is.
func each[T any](ctx context.Context, c *Client, path string, query url.Values, visit func(T) error) error {
	for cursor := ""; ; {
		data, next, err := page[T](ctx, c, path, query, cursor)
		if err != nil {
			return err
		}
		for _, element := range data {
			if err := visit(element); err != nil {
				return err
			}
		}
		if next == "" {
			return nil
		}
		cursor = next
	}
}

// page returns one page of a list, the first one for an empty cursor, and the cursor
// of the next one, empty when there is none.
func page[T any](ctx context.Context, c *Client, path string, query url.Values, cursor string) (data []T, next string, err error) {
	query.Set("limit", pageLimit)
	if cursor != "" {
		query.Set("cursor", cursor)
	}
	var answer struct {
		Data []T     `json:"data"`
		Next *string `json:"next"`
	}
	if err := c.call(ctx, http.MethodGet, path+"?"+query.Encode(), nil, &answer); err != nil || answer.Next == nil {
		return answer.Data, "", err
	}
	if *answer.Next == cursor {
		return nil, "", fmt.Errorf("listing %s: the server returned the cursor it was asked for", path)
	}
	return answer.Data, *answer.Next, nil
}
