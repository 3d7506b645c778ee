package deptest

import (
	"bytes"
	"go/ast"
	"go/format"
	"regexp"
	"strings"
	"testing"
)

func TestGofmt(t *testing.T) {
	for _, s := range allSources(t) {
		if want, err := format.Source(s.Text); err != nil || !bytes.Equal(s.Text, want) {
			t.Errorf("%s: not as gofmt writes it; run make fmt (%v)", s.Path, err)
		}
	}
}

// TestPackageComments: a reader who opens a package is told first what it promises.
func TestPackageComments(t *testing.T) {
	type pkg struct {
		name  string
		files int
		doc   []string
	}
	pkgs := map[string]*pkg{}
	for _, s := range allSources(t) {
		if s.IsTest() {
			continue
		}
		p := pkgs[s.Dir()]
		if p == nil {
			p = &pkg{name: s.File.Name.Name}
			pkgs[s.Dir()] = p
		}
		p.files++
		if s.File.Doc != nil {
			p.doc = append(p.doc, s.File.Doc.Text())
		}
	}
	for dir, p := range pkgs {
		switch {
		case len(p.doc) == 0:
			t.Errorf("%s: no package comment", dir)
		case len(p.doc) > 1:
			t.Errorf("%s: %d package comments; godoc runs them together", dir, len(p.doc))
		case p.name != "main" && !strings.HasPrefix(p.doc[0], "Package "+p.name+" "):
			t.Errorf("%s: package comment does not begin with %q", dir, "Package "+p.name)
		case len(strings.Fields(p.doc[0])) < 15:
			t.Errorf("%s: package comment %q is too short to say what the package promises and what it never does", dir, p.doc[0])
		}
	}
}

// TestPackageNames: a package is named after what is in it; these names hold whatever has no place.
func TestPackageNames(t *testing.T) {
	vague := regexp.MustCompile(`^(util|utils|common|helper|helpers|types|models?|misc|shared|base|managers?)$`)
	for _, s := range allSources(t) {
		if name := s.File.Name.Name; vague.MatchString(name) {
			t.Errorf("%s: package %s", s.Path, name)
		}
	}
}

// TestInit: importing a package does nothing, so that the order of imports never matters and a
// program pays at its start only for what it uses.
func TestInit(t *testing.T) {
	for _, s := range allSources(t) {
		if s.IsTest() {
			continue
		}
		for _, d := range s.File.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
				t.Errorf("%s: init function", fset.Position(f.Pos()))
			}
		}
	}
}

// TestVerifyIsPure looks for what import lines do not show: goroutines, and floats, whose rounding
// is not the chain's and differs where a compiler fuses a multiplication and an addition.
func TestVerifyIsPure(t *testing.T) {
	for _, s := range allSources(t) {
		if !s.Verify() || s.IsTest() {
			continue
		}
		ast.Inspect(s.File, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt, *ast.SelectStmt, *ast.SendStmt, *ast.ChanType:
				t.Errorf("%s: concurrency in verify", fset.Position(n.Pos()))
			case *ast.Ident:
				if n.Name == "float64" || n.Name == "float32" {
					t.Errorf("%s: %s in verify", fset.Position(n.Pos()), n.Name)
				}
			}
			return true
		})
	}
}

// driven lists the files of such packages that may wait; all the others are state machines fed
// bytes, events and a clock, so that each of their branches is tested without a socket.
var driven = map[string]string{
	"lightclient/node.go":      "owns the loop, its goroutines and the clock",
	"lightclient/slots.go":     "dials peers and waits for them",
	"lightclient/read.go":      "waits for the peers that it asks for storage",
	"lightclient/code.go":      "waits for the code that it asks for, and compiles it",
	"lightclient/call.go":      "waits for the storage that a call reads",
	"lightclient/reexecute.go": "waits for the storage that an epoch reads",
	"lightclient/status.go":    "asks the running node",
	"lightclient/obey.go":      "waits until the running node has taken its orders",
	"lightclient/serve.go":     "answers other light clients, and waits for its own peers",
	"lightclient/past.go":      "waits for the peers that it asks for the past",
	"lightclient/typed.go":     "waits for what its questions need of the past",
	"lightclient/prove.go":     "waits for what a bundle needs",

	"lightclient/transactions.go": "waits for peers and blocks",
	"lightclient/heads.go":        "asks the running node",
	"lightclient/located.go":      "waits for the peers that it asks for a state",
	"lightclient/hear.go":         "hands the running node what others have proven",

	"neuron/validator/run.go":    "drives the loop: heads, miners, the node and the store",
	"neuron/validator/chain.go":  "declares the questions that run.go asks a node",
	"neuron/validator/scorer.go": "waits for a command that scores",
	"neuron/validator/status.go": "asks the running loop",
}

// pure lists the packages of which no file may wait or ask what time it is, but for those in driven.
var pure = map[string]bool{"lightclient": true, "neuron/validator": true, "internal/power": true, "internal/clock": true}

func TestSansIO(t *testing.T) {
	forbidden := map[string]bool{"context": true, "net": true, "os": true, "sync": true, "sync/atomic": true, module + "/lightclient/p2p": true}
	clock := map[string]bool{"Now": true, "Since": true, "Until": true, "After": true, "AfterFunc": true, "NewTimer": true, "NewTicker": true, "Tick": true, "Sleep": true}
	for _, s := range allSources(t) {
		if !pure[s.Dir()] || s.IsTest() || driven[s.Path] != "" {
			continue
		}
		for _, i := range s.File.Imports {
			if forbidden[strings.Trim(i.Path.Value, `"`)] {
				t.Errorf("%s: imports %s; only the files that drive the state machines may", fset.Position(i.Pos()), i.Path.Value)
			}
		}
		ast.Inspect(s.File, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt, *ast.SelectStmt, *ast.SendStmt, *ast.ChanType:
				t.Errorf("%s: concurrency; only the files that drive the state machines may", fset.Position(n.Pos()))
			case *ast.SelectorExpr:
				if id, ok := n.X.(*ast.Ident); ok && id.Name == "time" && clock[n.Sel.Name] {
					t.Errorf("%s: time.%s; the time is an argument", fset.Position(n.Pos()), n.Sel.Name)
				}
			}
			return true
		})
	}
}

// TestTestsDoNotSleep: a test that waits for time is slow on a fast machine and fails on a slow one.
func TestTestsDoNotSleep(t *testing.T) {
	for _, s := range allSources(t) {
		if !s.IsTest() {
			continue
		}
		ast.Inspect(s.File, func(n ast.Node) bool {
			if x, ok := n.(*ast.SelectorExpr); ok && x.Sel.Name == "Sleep" {
				if id, ok := x.X.(*ast.Ident); ok && id.Name == "time" && !strings.Contains(string(s.Text), `"testing/synctest"`) {
					t.Errorf("%s: time.Sleep in a test; wait for an event, or use testing/synctest", fset.Position(n.Pos()))
				}
			}
			return true
		})
	}
}
