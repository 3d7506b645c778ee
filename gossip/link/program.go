package link

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"

	"github.com/taolight/taolight/gossip/carrier"
	"github.com/taolight/taolight/verify/bundle"
)

// maxLine bounds a line of a program, which may have its own words around a chunk.
const maxLine = 16 << 10

// program is a command that is given chunks as lines of text on its standard input, and gives what it
// receives the same way on its standard output. Other lines are left out.
type program struct{ words []string }

func (p *program) String() string { return "exec:" + strings.Join(p.words, " ") }

// Run runs the command until it ends.
func (p *program) Run(ctx context.Context, out <-chan Load, in func([]byte)) error {
	if len(p.words) == 0 {
		return fmt.Errorf("%v: %w", p, ErrLink)
	}
	cmd := exec.CommandContext(ctx, p.words[0], p.words[1:]...)
	cmd.WaitDelay = time.Second
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return fmt.Errorf("%v: %w", p, err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("%v: %w", p, err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("%v: %w", p, err)
	}
	ended, told := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(told)
		defer stdin.Close()
		var last uint32
		for {
			select {
			case <-ended:
				return
			case l := <-out:
				if l.Number > last && len(l.Short) > 0 && p.tell(stdin, l.short()) == nil {
					last = l.Number
				}
			}
		}
	}()
	var j carrier.Joiner
	lines := bufio.NewScanner(stdout)
	lines.Buffer(make([]byte, 0, 4096), maxLine)
	for lines.Scan() {
		if _, err := j.AddText(lines.Text()); err == nil {
			take(&j, in)
		}
	}
	err = lines.Err()
	if err != nil {
		cmd.Process.Kill()
	}
	close(ended)
	err = errors.Join(err, cmd.Wait())
	<-told
	if ctx.Err() != nil {
		return nil
	}
	if err == nil {
		err = io.EOF
	}
	return fmt.Errorf("%v: ended: %w", p, err)
}

func (p *program) tell(w io.Writer, message []byte) error {
	chunks, err := carrier.Split(message, carrier.Options{})
	if err != nil {
		return err
	}
	for _, c := range chunks {
		text, err := carrier.Text(c)
		if err != nil {
			return err
		}
		if _, err := io.WriteString(w, text+"\n"); err != nil {
			return err
		}
	}
	return nil
}

// finalOf is the block that a bundle says is final; 0 if it is none.
func finalOf(b []byte) uint32 {
	x, err := bundle.Decode(b)
	if err != nil || x.Final == nil {
		return 0
	}
	return x.Final.Header.Number
}
