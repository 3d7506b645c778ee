package handler

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/taolight/taolight/neuron"
)

// Errors of commands, for the log.
var (
	errCommand = errors.New("command failed")
	errLarge   = errors.New("command wrote too much")
)

// ExecConfig says which command answers.
type ExecConfig struct {
	Command  []string // and its arguments; no shell reads them
	Dir      string
	Env      []string // NAME=value, besides PATH, HOME and LANG
	Lines    bool     // one process for all requests, in lines of JSON; else one for each
	MaxReply int      // bytes; 8 MiB
	Log      *slog.Logger
}

// Exec asks a command.
//
// One process for each request reads a Question on its standard input, writes the answer to its standard
// output, a JSON object of fields, and ends with 0.
//
// One process for all reads a Question a line and writes an Answer a line, in any order, each with the id of
// its question. It is started with the first question. When a question is not answered in time the process
// is killed, since it may hang, and another one is started with the next question, at most one a second.
type Exec struct {
	cfg ExecConfig

	mu      sync.Mutex
	p       *process
	started time.Time
	closed  bool
}

// A Question is a request as a command reads it.
type Question struct {
	ID     uint64          `json:"id,omitempty"` // with Lines
	Name   string          `json:"name"`
	Caller string          `json:"caller"`
	UID    *uint16         `json:"uid,omitempty"`
	Stake  uint64          `json:"stake,omitempty"`
	Input  json.RawMessage `json:"input,omitempty"`
	Body   []byte          `json:"body,omitempty"` // in base64: of a signed HTTP request, when it is no JSON
}

// An Answer is what a command writes with Lines: an output, or an error with the status for the caller.
type Answer struct {
	ID     uint64          `json:"id"`
	Output json.RawMessage `json:"output"`
	Error  string          `json:"error"`
	Status int             `json:"status"`
}

// killDelay is how long a killed command's pipes may stay open in other hands.
const killDelay = time.Second

// NewExec returns a handler; it starts nothing yet.
func NewExec(cfg ExecConfig) (*Exec, error) {
	if len(cfg.Command) == 0 {
		return nil, errors.New("handler: no command")
	}
	if _, err := exec.LookPath(cfg.Command[0]); err != nil {
		return nil, fmt.Errorf("handler: %w", err)
	}
	cfg.MaxReply = cmp.Or(cfg.MaxReply, maxAnswer)
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Exec{cfg: cfg}, nil
}

// Handle asks the command.
func (e *Exec) Handle(ctx context.Context, r *neuron.Request) (*neuron.Reply, error) {
	q := Question{Name: r.Name, Caller: r.Caller.Hotkey.String(), Stake: r.Caller.Stake}
	if r.Caller.Registered {
		q.UID = &r.Caller.UID
	}
	if json.Valid(r.Input) {
		q.Input = r.Input
	} else {
		q.Body = r.Input
	}
	if e.cfg.Lines {
		return e.ask(ctx, q)
	}
	return e.once(ctx, q)
}

func (e *Exec) command(ctx context.Context) *exec.Cmd {
	cmd := exec.CommandContext(ctx, e.cfg.Command[0], e.cfg.Command[1:]...)
	cmd.Dir = e.cfg.Dir
	for _, name := range []string{"PATH", "HOME", "LANG"} {
		if v, ok := os.LookupEnv(name); ok {
			cmd.Env = append(cmd.Env, name+"="+v)
		}
	}
	cmd.Env = append(cmd.Env, e.cfg.Env...)
	// A group of its own, so that what it starts dies with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = killDelay
	return cmd
}

func (e *Exec) once(ctx context.Context, q Question) (*neuron.Reply, error) {
	b, err := json.Marshal(q)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	cmd := e.command(ctx)
	out, log := &bounded{max: e.cfg.MaxReply, over: func() { cancel(errLarge) }}, &bounded{max: 4 << 10}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(b), out, log
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("%w: %w", errCommand, err)
	}
	err = cmd.Wait()
	syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // what it left behind
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err != nil && !errors.Is(err, exec.ErrWaitDelay) {
		return nil, fmt.Errorf("%w: %w: %q", errCommand, err, log.b)
	}
	return &neuron.Reply{Body: bytes.TrimSpace(out.b)}, nil
}

// bounded keeps what is written, up to a limit.
type bounded struct {
	b    []byte
	max  int
	over func()
}

func (w *bounded) Write(p []byte) (int, error) {
	w.b = append(w.b, p[:min(len(p), w.max-len(w.b))]...)
	if len(w.b) == w.max && w.over != nil {
		w.over()
	}
	return len(p), nil
}

// A process answers lines.
type process struct {
	cmd  *exec.Cmd
	in   *os.File
	kill context.CancelCauseFunc
	gone chan struct{} // closed when it has ended
	ctx  context.Context

	write   sync.Mutex
	mu      sync.Mutex
	next    uint64
	waiting map[uint64]chan Answer
}

// running returns the process, a new one if there is none.
func (e *Exec) running() (*process, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, neuron.Errorf(http.StatusServiceUnavailable, "stopping")
	}
	if e.p != nil {
		select {
		case <-e.p.gone:
		default:
			return e.p, nil
		}
	}
	if now := time.Now(); now.Sub(e.started) < time.Second {
		return nil, neuron.Errorf(http.StatusServiceUnavailable, "the model is starting")
	} else {
		e.started = now
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errCommand, err)
	}
	ctx, kill := context.WithCancelCause(context.Background())
	p := &process{cmd: e.command(ctx), in: w, kill: kill, ctx: ctx, gone: make(chan struct{}), waiting: map[uint64]chan Answer{}}
	log := &bounded{max: 4 << 10}
	p.cmd.Stdin, p.cmd.Stderr = r, log
	out, err := p.cmd.StdoutPipe()
	if err == nil {
		err = p.cmd.Start()
	}
	r.Close()
	if err != nil {
		kill(err)
		w.Close()
		return nil, fmt.Errorf("%w: %w", errCommand, err)
	}
	e.p = p
	go func() {
		p.read(out, e.cfg.MaxReply)
		err := p.cmd.Wait()
		syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
		w.Close()
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		e.cfg.Log.Warn("handler: command ended", "command", e.cfg.Command[0], "error", err, "stderr", string(log.b))
		close(p.gone)
		kill(nil)
	}()
	return p, nil
}

// read hands out answers until the process ends or says what is none.
func (p *process) read(out io.Reader, most int) {
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, most)
	for lines.Scan() {
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		var a Answer
		if err := json.Unmarshal(lines.Bytes(), &a); err != nil {
			p.kill(fmt.Errorf("%w: a line that is no answer: %.100q", errCommand, lines.Bytes()))
			return
		}
		p.mu.Lock()
		c := p.waiting[a.ID]
		delete(p.waiting, a.ID)
		p.mu.Unlock()
		if c != nil { // else nobody waits any more
			c <- a
		}
	}
	if lines.Err() != nil && p.ctx.Err() == nil {
		p.kill(errLarge)
	}
}

func (e *Exec) ask(ctx context.Context, q Question) (*neuron.Reply, error) {
	p, err := e.running()
	if err != nil {
		return nil, err
	}
	got := make(chan Answer, 1)
	p.mu.Lock()
	p.next++
	q.ID = p.next
	p.waiting[q.ID] = got
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		delete(p.waiting, q.ID)
		p.mu.Unlock()
	}()
	b, err := json.Marshal(q)
	if err != nil {
		return nil, err
	}
	if err := p.send(ctx, append(b, '\n')); err != nil {
		p.kill(fmt.Errorf("%w: it does not read: %w", errCommand, err))
		return nil, neuron.Errorf(http.StatusServiceUnavailable, "the model does not take questions")
	}
	select {
	case a := <-got:
		return a.reply()
	case <-p.gone:
		select {
		case a := <-got: // its last
			return a.reply()
		default:
		}
		return nil, neuron.Errorf(http.StatusServiceUnavailable, "the model has ended")
	case <-ctx.Done():
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			p.kill(fmt.Errorf("%w: no answer in time", errCommand))
		}
		return nil, ctx.Err()
	}
}

// send writes a line. A process that does not read cannot hold it for longer than the caller waits.
func (p *process) send(ctx context.Context, line []byte) error {
	p.write.Lock()
	defer p.write.Unlock()
	deadline, _ := ctx.Deadline()
	if err := p.in.SetWriteDeadline(deadline); err != nil {
		return err
	}
	_, err := p.in.Write(line)
	return err
}

func (a Answer) reply() (*neuron.Reply, error) {
	if a.Error != "" {
		if a.Status >= 400 && a.Status <= 599 {
			return nil, neuron.Errorf(a.Status, "%s", a.Error)
		}
		return nil, fmt.Errorf("%w: it says: %.500s", errCommand, strings.ToValidUTF8(a.Error, "?"))
	}
	return &neuron.Reply{Body: a.Output}, nil
}

// Close kills the process that answers lines, if there is one, and waits for its end.
func (e *Exec) Close() error {
	e.mu.Lock()
	e.closed = true
	p := e.p
	e.mu.Unlock()
	if p != nil {
		p.kill(errors.New("closed"))
		<-p.gone
	}
	return nil
}
