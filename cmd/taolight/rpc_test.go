package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"regexp"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/taolight/taolight/internal/config"
)

// TestSends: what comes from other machines is not sent on unless the owner wants it.
func TestSends(t *testing.T) {
	for _, c := range []struct {
		addr         string
		submit, want bool
	}{
		{"127.0.0.1:9944", false, true}, {"[::1]:9944", false, true}, {"127.8.9.10:1", false, true},
		{"0.0.0.0:9944", false, false}, {"[::]:9944", false, false}, {"192.0.2.7:9944", false, false}, {"10.0.0.1:9944", false, false},
		{"0.0.0.0:9944", true, true}, {"192.0.2.7:9944", true, true},
	} {
		if got := sends(config.RPC{Submit: c.submit}, netip.MustParseAddrPort(c.addr)); got != c.want {
			t.Errorf("%s, submit %v: %v", c.addr, c.submit, got)
		}
	}
}

var rpcURL = regexp.MustCompile(`http://127\.0\.0\.1:[0-9]+`)

// rpc LOG BODY posts BODY to the node that wrote LOG, and prints the answer.
func askRPC(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: rpc LOG BODY")
	}
	url := rpcURL.FindString(ts.ReadFile(args[0]))
	r, err := http.Post(url, "application/json", bytes.NewReader([]byte(args[1])))
	ts.Check(err)
	defer r.Body.Close()
	_, err = io.Copy(ts.Stdout(), r.Body)
	ts.Check(err)
}

// browse LOG PATH [-host NAME] [-accept TYPE] asks the node that wrote LOG as a browser does, and prints the code, the
// type and the answer.
func browse(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || len(args)%2 != 0 {
		ts.Fatalf("usage: browse LOG PATH [-host NAME] [-accept TYPE]")
	}
	r, err := http.NewRequest("GET", rpcURL.FindString(ts.ReadFile(args[0]))+args[1], nil)
	ts.Check(err)
	r.Header.Set("Accept", "text/html,*/*;q=0.8")
	for i := 2; i < len(args); i += 2 {
		switch args[i] {
		case "-host":
			r.Host = args[i+1]
		case "-accept":
			r.Header.Set("Accept", args[i+1])
		}
	}
	a, err := http.DefaultClient.Do(r)
	ts.Check(err)
	defer a.Body.Close()
	fmt.Fprintf(ts.Stdout(), "%d %s\n", a.StatusCode, a.Header.Get("Content-Type"))
	_, err = io.Copy(ts.Stdout(), a.Body)
	ts.Check(err)
}
