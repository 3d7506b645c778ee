package control

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// shortDir is a directory whose path leaves room for a socket's name.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "tl")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	t.Setenv("XDG_RUNTIME_DIR", dir)
	return dir
}

// echo answers with what it was asked.
func echo(_ context.Context, method string, params json.RawMessage) (any, error) {
	switch method {
	case "fail":
		return nil, Errorf(Stale, "too old").WithHint("wait")
	case "plain":
		return nil, errors.New("plain")
	case "stream":
		return bytes.NewReader(bytes.Repeat([]byte("stream "), 100_000)), nil
	case "stream-fails":
		return failing{0}, nil
	case "stream-breaks":
		return failing{10}, nil
	case "big":
		return strings.Repeat("x", maxResponse), nil
	}
	return map[string]any{"method": method, "params": params}, nil
}

// failing writes some bytes and then fails.
type failing struct{ after int }

func (f failing) WriteTo(w io.Writer) (int64, error) {
	if f.after > 0 {
		w.Write(make([]byte, f.after))
	}
	return int64(f.after), Errorf(Damaged, "cannot be read")
}

// serveDir serves a directory until the test ends.
func serveDir(t *testing.T, dir string, h Handler) *Client {
	t.Helper()
	s, err := Listen(dir)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, h) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Serve: %v", err)
		}
		if _, err := os.Lstat(s.Path()); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("socket is left behind: %v", err)
		}
	})
	c, err := Find(dir)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCall(t *testing.T) {
	c := serveDir(t, shortDir(t), echo)
	ctx := context.Background()
	var got struct {
		Method string
		Params []int
	}
	if err := c.Call(ctx, "sum", []int{1, 2}, &got); err != nil || got.Method != "sum" || len(got.Params) != 2 {
		t.Errorf("%+v, %v", got, err)
	}
	if err := c.Call(ctx, "sum", nil, nil); err != nil {
		t.Error(err)
	}
	err := c.Call(ctx, "fail", nil, nil)
	if CodeOf(err) != Stale || HintOf(err) != "wait" || err.Error() != "too old" {
		t.Errorf("%v, code %d, hint %q", err, CodeOf(err), HintOf(err))
	}
	if err := c.Call(ctx, "plain", nil, nil); CodeOf(err) != Failure || HintOf(err) != "" {
		t.Errorf("%v, code %d", err, CodeOf(err))
	}
	if err := c.Call(ctx, "big", nil, nil); err == nil || !strings.Contains(err.Error(), "too long") {
		t.Errorf("an answer without end: %.80v", err)
	}
	if err := c.Call(ctx, "sum", strings.Repeat("x", maxRequest), nil); CodeOf(err) != Usage {
		t.Errorf("a question without end: %.80v", err)
	}
	var wrong []int
	if err := c.Call(ctx, "sum", nil, &wrong); !errors.Is(err, ErrProtocol) {
		t.Errorf("a result of another type: %v", err)
	}
	done, cancel := context.WithCancelCause(ctx)
	cancel(errors.New("enough"))
	if err := c.Call(done, "sum", nil, nil); err == nil {
		t.Error("a question that nobody waits for is answered")
	}
}

func TestStream(t *testing.T) {
	c := serveDir(t, shortDir(t), echo)
	ctx := context.Background()
	var b bytes.Buffer
	if err := c.Stream(ctx, "stream", nil, &b); err != nil || b.Len() != 700_000 {
		t.Errorf("%d bytes, %v", b.Len(), err)
	}
	b.Reset()
	if err := c.Stream(ctx, "stream-fails", nil, &b); CodeOf(err) != Damaged || b.Len() != 0 {
		t.Errorf("an error before the first byte: %d bytes, %v", b.Len(), err)
	}
	// One that comes later cannot be told: whoever reads the copy finds that it is not whole.
	if err := c.Stream(ctx, "stream-breaks", nil, &b); err != nil || b.Len() != 10 {
		t.Errorf("%d bytes, %v", b.Len(), err)
	}
}

func TestListen(t *testing.T) {
	dir := shortDir(t)
	if _, err := Find(dir); !errors.Is(err, ErrNoNode) {
		t.Errorf("nobody there: %v", err)
	}
	if _, err := Find(filepath.Join(dir, "missing")); !errors.Is(err, ErrNoNode) {
		t.Errorf("no directory: %v", err)
	}
	path := filepath.Join(dir, socketName)
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	dead.Close()
	if _, err := os.Lstat(path); err != nil {
		t.Fatalf("no dead socket to begin with: %v", err)
	}
	if _, err := Find(dir); !errors.Is(err, ErrNoNode) {
		t.Errorf("a dead socket: %v", err)
	}
	c := serveDir(t, dir, echo)
	if c.Path() != path {
		t.Errorf("socket is %s", c.Path())
	}
	info, err := os.Lstat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("socket: %v, %v", info.Mode(), err)
	}
	if _, err := Listen(dir); !errors.Is(err, ErrInUse) {
		t.Errorf("second: %v", err)
	}
	if err := c.Call(context.Background(), "sum", nil, nil); err != nil {
		t.Errorf("the first does not survive the second: %v", err)
	}
}

func TestRemoveDead(t *testing.T) {
	dir := shortDir(t)
	path := filepath.Join(dir, socketName)
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	RemoveDead(dir)
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("a file that is no socket is gone: %v", err)
	}
}

// TestOtherPlaces: where the directory itself cannot hold the socket, a private one does.
func TestOtherPlaces(t *testing.T) {
	t.Run("long path", func(t *testing.T) {
		dir := filepath.Join(shortDir(t), strings.Repeat("long/", 30))
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		c := serveDir(t, dir, echo)
		if len(c.Path()) > maxPath || !strings.HasPrefix(c.Path(), privateDir()) {
			t.Errorf("socket is %s", c.Path())
		}
		if _, err := Find(filepath.Dir(dir)); !errors.Is(err, ErrNoNode) {
			t.Errorf("its parent: %v", err)
		}
	})
	t.Run("a file is in the way", func(t *testing.T) {
		dir := shortDir(t)
		if err := os.WriteFile(filepath.Join(dir, socketName), []byte("mine"), 0o600); err != nil {
			t.Fatal(err)
		}
		c := serveDir(t, dir, echo)
		if err := c.Call(context.Background(), "sum", nil, nil); err != nil {
			t.Error(err)
		}
		if b, err := os.ReadFile(filepath.Join(dir, socketName)); err != nil || string(b) != "mine" {
			t.Errorf("the file: %q, %v", b, err)
		}
	})
	t.Run("others can write to it", func(t *testing.T) {
		dir := filepath.Join(shortDir(t), strings.Repeat("long/", 30))
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(privateDir(), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(privateDir(), 0o777); err != nil {
			t.Fatal(err)
		}
		if _, err := Listen(dir); !errors.Is(err, fs.ErrPermission) {
			t.Errorf("Listen: %v", err)
		}
		// One that somebody else put there is not asked either.
		l, err := net.Listen("unix", paths(dir)[len(paths(dir))-1])
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if c, err := Find(dir); err == nil {
			t.Errorf("Find trusts %s", c.Path())
		}
	})
}

func TestPrivateDir(t *testing.T) {
	t.Setenv("XDG_RUNTIME_DIR", "")
	t.Setenv("TMPDIR", "/"+strings.Repeat("x", 90))
	if p := filepath.Join(privateDir(), shortName("/data")); len(p) > maxPath {
		t.Errorf("%s has %d bytes", p, len(p))
	}
	t.Setenv("XDG_RUNTIME_DIR", "relative")
	if p := privateDir(); !filepath.IsAbs(p) {
		t.Errorf("%s is relative", p)
	}
}

// TestBadRequests: whatever a client sends, it gets an answer or is cut off, and the next is served.
func TestBadRequests(t *testing.T) {
	dir := shortDir(t)
	c := serveDir(t, dir, echo)
	for name, text := range map[string]string{
		"nothing":        "\n",
		"no JSON":        "status\n",
		"a list":         "[]\n",
		"wrong types":    `{"method":1}` + "\n",
		"cut":            `{"method":"sum"`,
		"NUL":            "\x00\x00\x00\n",
		"deep":           strings.Repeat("[", 200_000) + "\n",
		"without an end": strings.Repeat("x", maxRequest+1),
	} {
		conn, err := net.Dial("unix", c.Path())
		if err != nil {
			t.Fatal(err)
		}
		conn.SetDeadline(time.Now().Add(20 * time.Second))
		if _, err := io.WriteString(conn, text); err != nil && name != "without an end" {
			t.Errorf("%s: %v", name, err)
		}
		conn.(*net.UnixConn).CloseWrite()
		var r response
		b, err := io.ReadAll(conn)
		if err == nil {
			err = json.Unmarshal(b, &r)
		}
		if err != nil || r.Code != Usage || r.Error == "" {
			t.Errorf("%s: %.100q, %v", name, b, err)
		}
		if name == "without an end" && !strings.Contains(r.Error, "over 1048576 bytes") {
			t.Errorf("%s: %s", name, r.Error)
		}
		conn.Close()
	}
	if err := c.Call(context.Background(), "sum", nil, nil); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// TestBadAnswers: what listens on the socket may be anything.
func TestBadAnswers(t *testing.T) {
	dir := shortDir(t)
	l, err := net.Listen("unix", filepath.Join(dir, socketName))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	answers := make(chan string, 1)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				if _, err := bufio.NewReader(conn).ReadString('\n'); err != nil {
					return // Find looks and goes
				}
				io.WriteString(conn, <-answers)
			}()
		}
	}()
	c, err := Find(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, answer := range []string{"", "\n", "{", "HTTP/1.0 400 Bad Request\r\n\r\n", "[]\n", `{"code":"x"}` + "\n", strings.Repeat("x", maxResponse+1)} {
		answers <- answer
		if err := c.Call(context.Background(), "sum", nil, new(int)); !errors.Is(err, ErrProtocol) {
			t.Errorf("%.20q: %v", answer, err)
		} else if len(answer) > maxResponse && !strings.Contains(err.Error(), "over 33554432 bytes") {
			t.Errorf("%d bytes: %v", len(answer), err)
		}
	}
}

// TestClocks drives a connection by virtual time.
func TestClocks(t *testing.T) {
	t.Run("says nothing", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ours, theirs := net.Pipe()
			go func() {
				defer theirs.Close()
				serve(context.Background(), theirs, echo)
			}()
			began := time.Now()
			b, err := io.ReadAll(ours)
			if took := time.Since(began); err != nil || took != readTimeout || !bytes.Contains(b, []byte(`"code":2`)) {
				t.Errorf("%q, %v after %v", b, err, took)
			}
		})
	})
	t.Run("does not read", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ours, theirs := net.Pipe()
			defer ours.Close()
			began := time.Now()
			ended := make(chan time.Duration)
			go func() {
				serve(context.Background(), theirs, echo)
				theirs.Close()
				ended <- time.Since(began)
			}()
			io.WriteString(ours, `{"method":"sum"}`+"\n")
			if took := <-ended; took != writeTimeout {
				t.Errorf("given up after %v", took)
			}
		})
	})
	t.Run("hangs up", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ours, theirs := net.Pipe()
			cause := make(chan error, 1)
			go func() {
				defer theirs.Close()
				serve(context.Background(), theirs, func(ctx context.Context, _ string, _ json.RawMessage) (any, error) {
					<-ctx.Done()
					cause <- ctx.Err()
					return nil, ctx.Err()
				})
			}()
			io.WriteString(ours, `{"method":"sum"}`+"\n")
			synctest.Wait()
			ours.Close()
			if err := <-cause; !errors.Is(err, context.Canceled) {
				t.Errorf("handler ended by %v", err)
			}
		})
	})
	t.Run("thinks too long", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ours, theirs := net.Pipe()
			defer ours.Close()
			began := time.Now()
			go func() {
				defer theirs.Close()
				serve(context.Background(), theirs, func(ctx context.Context, _ string, _ json.RawMessage) (any, error) {
					<-ctx.Done()
					return nil, ctx.Err()
				})
			}()
			io.WriteString(ours, `{"method":"sum"}`+"\n")
			io.ReadAll(ours)
			if took := time.Since(began); took != answerTimeout {
				t.Errorf("given up after %v", took)
			}
		})
	})
}

// TestServeStops: with all places taken by clients that wait, Serve ends with its context.
func TestServeStops(t *testing.T) {
	dir := shortDir(t)
	s, err := Listen(dir)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	asked := make(chan bool, 2*maxClients)
	ended := make(chan error, 1)
	go func() {
		ended <- s.Serve(ctx, func(ctx context.Context, _ string, _ json.RawMessage) (any, error) {
			asked <- true
			<-ctx.Done()
			return nil, ctx.Err()
		})
	}()
	c, err := Find(dir)
	if err != nil {
		t.Fatal(err)
	}
	answers := make(chan error, maxClients+1)
	for range maxClients + 1 {
		go func() { answers <- c.Call(context.Background(), "sum", nil, nil) }()
	}
	for range maxClients {
		<-asked
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	for range maxClients + 1 {
		if err := <-answers; err == nil {
			t.Error("a node that stops answers")
		}
	}
}

func TestCodeOf(t *testing.T) {
	inner := Errorf(NoPeers, "nobody: %w", io.EOF)
	wrapped := fmt.Errorf("head: %w", inner.WithHint("ask again"))
	if CodeOf(wrapped) != NoPeers || HintOf(wrapped) != "ask again" || !errors.Is(wrapped, io.EOF) {
		t.Errorf("%v: %d %q", wrapped, CodeOf(wrapped), HintOf(wrapped))
	}
	if CodeOf(nil) != Good || CodeOf(io.EOF) != Failure || CodeOf(context.DeadlineExceeded) != Stale {
		t.Error("codes of errors without one")
	}
	for code, text := range Codes {
		if text == "" {
			t.Errorf("code %d has no words", code)
		}
	}
}

func FuzzRequest(f *testing.F) {
	f.Add([]byte(`{"method":"read","params":{"keys":["0x00"]}}` + "\n"))
	f.Add([]byte("\n"))
	f.Add([]byte(`{"method":"check","params":null}` + "\n"))
	l := &Local{}
	f.Fuzz(func(t *testing.T, line []byte) {
		var req request
		if readLine(bufio.NewReader(bytes.NewReader(line)), maxRequest, &req) != nil {
			return
		}
		switch req.Method {
		case methodStatus, methodPeers, methodHead, methodExport, methodRoot:
			return // need a node
		case methodRead:
			var p readParams
			if decodeParams(req.Params, &p) == nil {
				return
			}
		}
		if _, err := l.Handle(context.Background(), req.Method, req.Params); err == nil {
			t.Fatalf("%q: answered without node and store", line)
		}
	})
}
