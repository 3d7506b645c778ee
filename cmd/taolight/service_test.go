package main

import (
	"net"
	"os"

	"github.com/rogpeppe/go-internal/testscript"
)

// serviceManager is a script's `manager SOCKET FILE`: a socket as a service manager has it, of which
// every message is written to a file.
func serviceManager(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: manager SOCKET FILE")
	}
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: ts.MkAbs(args[0]), Net: "unixgram"})
	ts.Check(err)
	f, err := os.Create(ts.MkAbs(args[1]))
	ts.Check(err)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		b := make([]byte, 4096)
		for {
			n, err := c.Read(b)
			if err != nil {
				return
			}
			f.Write(append(b[:n], '\n'))
		}
	}()
	ts.Defer(func() {
		c.Close()
		<-ended
		f.Close()
	})
}
