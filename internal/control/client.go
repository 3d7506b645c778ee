package control

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"time"
)

// A Client asks the node of one data directory.
type Client struct{ path string }

// Find returns a client for the node that runs on a data directory, or ErrNoNode.
func Find(dir string) (*Client, error) {
	for _, path := range paths(dir) {
		c := &Client{path}
		conn, err := c.dial(context.Background())
		if err == nil {
			conn.Close()
			return c, nil
		}
		if errors.Is(err, fs.ErrPermission) {
			return nil, (&Error{Failure, fmt.Errorf("%s: %w", path, err), ""}).WithHint("the node there runs as another user: ask as that user")
		}
	}
	return nil, fmt.Errorf("%s: %w", dir, ErrNoNode)
}

// Path returns where the socket is.
func (c *Client) Path() string { return c.path }

func (c *Client) dial(ctx context.Context) (net.Conn, error) {
	info, err := os.Lstat(c.path)
	if err != nil {
		return nil, err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return nil, fmt.Errorf("%s: no socket", c.path)
	}
	if dir := filepath.Dir(c.path); dir == privateDir() {
		if err := checkPrivate(dir); err != nil {
			return nil, err
		}
	}
	d := net.Dialer{Timeout: dialTimeout}
	return d.DialContext(ctx, "unix", c.path)
}

// Call asks one question and decodes its result, unless result is nil.
func (c *Client) Call(ctx context.Context, method string, params, result any) error {
	conn, _, err := c.ask(ctx, method, params, result)
	if err != nil {
		return err
	}
	return conn.Close()
}

// Stream asks a question whose answer is followed by bytes, and copies these.
func (c *Client) Stream(ctx context.Context, method string, params any, to io.Writer) error {
	conn, r, err := c.ask(ctx, method, params, nil)
	if err != nil {
		return err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	_, err = io.Copy(to, idleReader{conn, r})
	return err
}

func (c *Client) ask(ctx context.Context, method string, params, result any) (net.Conn, io.Reader, error) {
	req := request{Method: method}
	if params != nil {
		var err error
		if req.Params, err = json.Marshal(params); err != nil {
			return nil, nil, err
		}
	}
	line, err := json.Marshal(req)
	if err != nil {
		return nil, nil, err
	}
	if len(line) >= maxRequest {
		return nil, nil, Errorf(Usage, "question of %d bytes is too long for the control socket", len(line))
	}
	conn, err := c.dial(ctx)
	if err != nil {
		return nil, nil, err
	}
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	r := bufio.NewReader(conn)
	err = func() error {
		conn.SetWriteDeadline(time.Now().Add(writeTimeout))
		if _, err := conn.Write(append(line, '\n')); err != nil {
			return err
		}
		conn.SetReadDeadline(time.Now().Add(timeFor(method) + writeTimeout))
		var resp response
		for {
			resp = response{}
			if err := readLine(r, maxResponse, &resp); err != nil {
				return err
			}
			if resp.Progress == "" {
				break
			}
			report(ctx, resp.Progress)
		}
		if resp.Error != "" {
			return &Error{resp.Code, errors.New(resp.Error), resp.Hint}
		}
		if result == nil {
			return nil
		}
		if err := json.Unmarshal(resp.Result, result); err != nil {
			return fmt.Errorf("%w: %w", ErrProtocol, err)
		}
		return nil
	}()
	if err != nil {
		conn.Close()
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, nil, err
	}
	return conn, r, nil
}

// idleReader gives each read its own time.
type idleReader struct {
	conn net.Conn
	r    io.Reader
}

func (r idleReader) Read(b []byte) (int, error) {
	r.conn.SetReadDeadline(time.Now().Add(writeTimeout))
	return r.r.Read(b)
}
