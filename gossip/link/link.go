// Package link carries messages between light nodes where there is no internet: through a folder that is
// carried or synchronised, over a serial line, and by a program of the user's.
//
// It promises that what comes in is bounded before it is held, that a file is seen whole or not at all by
// whoever watches the folder, that a serial line is not used for more than its budget, and that Run
// returns when its context ends.
//
// It does not judge what it carries: whoever takes what comes in verifies it. It never follows a symbolic
// link, never deletes a file that it has not written, and runs no command but the one it was given, with
// no shell.
package link

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/taolight/taolight/gossip/carrier"
)

// MaxMessage bounds what is taken in one piece.
const MaxMessage = carrier.MaxMessage

// A Load is what there is to tell at a moment.
type Load struct {
	Number uint32 // of the finalized block that it proves
	Short  []byte // a message for those that are in the same authority set
	Long   []byte // a bundle from the trust root on, for anybody
	Posts  []Post // transactions, and what became of such, oldest first
}

// A Post is a message that does not depend on how far who gets it has come.
type Post struct {
	ID      [32]byte
	Message []byte
	Ended   bool // it tells what became of transactions
}

// A Link is a way to other light nodes. Run takes a Load at each tick of the node, the same again if
// nothing is new, and hands what comes in to in, until ctx ends or the link breaks.
type Link interface {
	String() string
	Run(ctx context.Context, out <-chan Load, in func(message []byte)) error
}

// ErrLink: a text that names no link.
var ErrLink = errors.New("not a carrier: want dir:PATH, serial:DEVICE[,BAUD[,BYTES-AN-HOUR]] or exec:COMMAND")

// Parse returns the link that a text names: dir:PATH, serial:DEVICE[,BAUD[,BYTES-AN-HOUR]] or
// exec:COMMAND, whose words are separated by blanks.
func Parse(text string) (Link, error) {
	kind, rest, _ := strings.Cut(text, ":")
	if rest == "" {
		return nil, fmt.Errorf("%q: %w", text, ErrLink)
	}
	switch kind {
	case "dir":
		return &dir{path: rest}, nil
	case "exec":
		return &program{words: strings.Fields(rest)}, nil
	case "serial":
		s := &line{device: rest, baud: 38_400, budget: defaultBudget}
		parts := strings.Split(rest, ",")
		if len(parts) > 3 || parts[0] == "" {
			return nil, fmt.Errorf("%q: %w", text, ErrLink)
		}
		s.device = parts[0]
		for i, to := range []*int{&s.baud, &s.budget} {
			if len(parts) > i+1 {
				n, err := strconv.Atoi(parts[i+1])
				if err != nil || n <= 0 {
					return nil, fmt.Errorf("%q: %w", text, ErrLink)
				}
				*to = n
			}
		}
		return s, nil
	}
	return nil, fmt.Errorf("%q: %w", text, ErrLink)
}

// short is the message that fits a slow link: the long one too, as long as it is not much more.
func (l Load) short() []byte {
	if len(l.Long) > 0 && len(l.Long) <= 4<<10 {
		return l.Long
	}
	return l.Short
}

// take gives everything whole in a joiner to in.
func take(j *carrier.Joiner, in func([]byte)) {
	for {
		b, err := j.Bytes()
		if err != nil {
			return
		}
		in(b)
		j.Next()
	}
}
