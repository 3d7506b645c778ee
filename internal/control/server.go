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
	"sync"
	"time"
)

// Our own limits.
const (
	maxRequest  = 1 << 20  // 4,096 storage keys of 100 bytes in hex
	maxResponse = 32 << 20 // a proof of 16 MiB in hex would be as long as this
	maxClients  = 16       // questions at a time

	readTimeout   = 5 * time.Second  // for a request, which is written in one go
	writeTimeout  = 10 * time.Second // for each write of an answer
	answerTimeout = 2 * time.Minute  // for thinking about it
	proveTimeout  = 20 * time.Minute // for fetching what a bundle needs, over a slow link
	dialTimeout   = 2 * time.Second
)

// request and response are the lines of a connection.
type request struct {
	Method string          `json:"method"`
	Params json.RawMessage `json:"params,omitempty"`
}

type response struct {
	Result   json.RawMessage `json:"result,omitempty"`
	Progress string          `json:"progress,omitempty"` // not the answer yet: another line follows
	Error    string          `json:"error,omitempty"`
	Hint     string          `json:"hint,omitempty"`
	Code     Code            `json:"code,omitempty"`
}

// A Handler answers one question. A result that is an io.WriterTo is sent as it is after an empty
// result; any other as JSON.
type Handler func(ctx context.Context, method string, params json.RawMessage) (any, error)

// A Server listens on the socket of a data directory.
type Server struct {
	listener *net.UnixListener
	path     string
}

// Listen opens the socket of a data directory, in the directory or, if its path is too long or it
// cannot be written, in a private directory of this user. ErrInUse: a node answers there already.
func Listen(dir string) (*Server, error) {
	if c, err := Find(dir); err == nil {
		return nil, fmt.Errorf("%s: %w", c.path, ErrInUse)
	}
	var errs []error
	for _, path := range paths(dir) {
		s, err := listen(path)
		if err == nil {
			return s, nil
		}
		errs = append(errs, err)
	}
	return nil, fmt.Errorf("control socket: %w", errors.Join(errs...))
}

func listen(path string) (*Server, error) {
	if filepath.Dir(path) == privateDir() {
		if err := makePrivate(filepath.Dir(path)); err != nil {
			return nil, err
		}
	}
	// Nobody answered there, so what is left is of a dead process; anything but a socket is not ours.
	if info, err := os.Lstat(path); err == nil {
		if info.Mode().Type() != fs.ModeSocket {
			return nil, fmt.Errorf("%s: is there and is no socket", path)
		}
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		l.Close()
		return nil, err
	}
	return &Server{l, path}, nil
}

// Path returns where the socket is.
func (s *Server) Path() string { return s.path }

// Close stops listening and removes the socket.
func (s *Server) Close() error { return s.listener.Close() }

// Serve answers until ctx ends, and then closes the socket. It returns when all answers are given up.
func (s *Server) Serve(ctx context.Context, h Handler) error {
	stop := context.AfterFunc(ctx, func() { s.listener.Close() })
	defer stop()
	defer s.listener.Close()
	var wg sync.WaitGroup
	defer wg.Wait()
	slots := make(chan struct{}, maxClients)
	for {
		conn, err := s.listener.AcceptUnix()
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return nil
			}
			// Out of descriptors, most likely; the node goes on, and so does its socket, later.
			select {
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
			continue
		}
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			conn.Close()
			return nil
		}
		wg.Add(1)
		go func() {
			defer wg.Done()
			defer func() { <-slots }()
			defer conn.Close()
			serve(ctx, conn, h)
		}()
	}
}

// serve answers one connection. What goes wrong on it is the client's to see.
func serve(ctx context.Context, conn net.Conn, h Handler) {
	conn.SetReadDeadline(time.Now().Add(readTimeout))
	var req request
	err := readLine(bufio.NewReader(conn), maxRequest, &req)
	ctx, cancel := context.WithTimeout(ctx, timeFor(req.Method))
	defer cancel()
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	var result any
	if err != nil {
		err = &Error{Usage, err, ""}
	} else {
		// A client that hangs up waits for nothing more.
		conn.SetReadDeadline(time.Time{})
		go func() {
			var b [1]byte
			conn.Read(b[:])
			cancel()
		}()
		result, err = h(WithProgress(ctx, progressTo(conn)), req.Method, req.Params)
	}
	if !stop() {
		return // the deadline is in the past: nobody is there, or nobody has time
	}
	w := &streamWriter{w: deadlineWriter{conn}}
	if stream, ok := result.(io.WriterTo); ok && err == nil {
		if _, err = stream.WriteTo(w); err == nil || w.begun {
			return // an error after the first byte shows as a copy that is not whole
		}
	}
	writeResponse(w.w, result, err)
}

// streamWriter puts the answer before the first byte of a stream, so that an error that comes before
// it can still be told.
type streamWriter struct {
	w     io.Writer
	begun bool
}

func (w *streamWriter) Write(b []byte) (int, error) {
	if !w.begun {
		w.begun = true
		if err := writeResponse(w.w, struct{}{}, nil); err != nil {
			return 0, err
		}
	}
	return w.w.Write(b)
}

func writeResponse(w io.Writer, result any, err error) error {
	var r response
	if err == nil {
		r.Result, err = json.Marshal(result)
	}
	if err != nil {
		r = response{Error: err.Error(), Hint: HintOf(err), Code: CodeOf(err)}
	}
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if len(line) >= maxResponse {
		line, err = json.Marshal(response{Error: "answer is too long for the control socket", Code: Failure})
		if err != nil {
			return err
		}
	}
	_, err = w.Write(append(line, '\n'))
	return err
}

// deadlineWriter gives each write its own time, so that a long stream is not cut by the clock.
type deadlineWriter struct{ net.Conn }

func (w deadlineWriter) Write(b []byte) (int, error) {
	w.SetWriteDeadline(time.Now().Add(writeTimeout))
	return w.Conn.Write(b)
}

// readLine reads a line of JSON of at most limit bytes, and nothing that follows it.
func readLine(r *bufio.Reader, limit int, v any) error {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		if line = append(line, part...); len(line) > limit {
			return fmt.Errorf("%w: over %d bytes", ErrProtocol, limit)
		}
		if err == nil {
			break
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return fmt.Errorf("%w: %w", ErrProtocol, err)
		}
	}
	if err := json.Unmarshal(line, v); err != nil {
		return fmt.Errorf("%w: %w", ErrProtocol, err)
	}
	return nil
}
