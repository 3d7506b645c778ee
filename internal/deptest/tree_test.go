package deptest

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"testing"
)

const module = "github.com/taolight/taolight"

// root is the top of the repository, seen from this package's folder, where tests run.
const root = "../.."

// A source is one Go file of the main module.
type source struct {
	Path string // slash-separated, from the top of the repository
	Text []byte
	File *ast.File
}

func (s source) Dir() string   { i := strings.LastIndexByte(s.Path, '/'); return s.Path[:max(i, 0)] }
func (s source) IsTest() bool  { return strings.HasSuffix(s.Path, "_test.go") }
func (s source) Pkg() string   { return strings.TrimSuffix(module+"/"+s.Dir(), "/") }
func (s source) Verify() bool  { return under(s.Pkg(), module+"/verify") && !s.Example() }
func (s source) Example() bool { return under(s.Pkg(), module+"/verify/example") }

var fset = token.NewFileSet()

// sources reads and parses every Go file of the main module. go test caches a result by the files
// that the test itself opened, not by those that a command it started read; by reading them all
// here, every change anywhere makes these tests run again.
var sources = sync.OnceValues(func() ([]source, error) {
	var all []source
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if d.IsDir() {
			if name := d.Name(); rel != "." && (name == "testdata" || name == "build" || name == "node_modules" || name[0] == '.' || name[0] == '_') {
				return filepath.SkipDir
			}
			if _, err := os.Stat(filepath.Join(path, "go.mod")); rel != "." && err == nil {
				return filepath.SkipDir // a module of its own
			}
			return nil
		}
		if !strings.HasSuffix(rel, ".go") {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		f, err := parser.ParseFile(fset, rel, text, parser.ParseComments)
		if err != nil {
			return err
		}
		all = append(all, source{rel, text, f})
		return nil
	})
	return all, err
})

func allSources(t *testing.T) []source {
	t.Helper()
	all, err := sources()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		t.Fatal("no Go file found: the top of the repository is not where this test looks")
	}
	return all
}

// A graph tells what each package imports, tests left out.
type graph map[string][]string

// importGraph asks the go command, for linux and without C as every release is built, so that build
// tags and vendored paths are its business.
var importGraph = sync.OnceValues(func() (graph, error) {
	cmd := exec.Command("go", "list", "-deps", "-json=ImportPath,Imports", "./...")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOFLAGS=-mod=readonly")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	g := graph{}
	for dec := json.NewDecoder(out); ; {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := dec.Decode(&p); err == io.EOF {
			break
		} else if err != nil {
			return nil, err
		}
		g[p.ImportPath] = p.Imports
	}
	if err := cmd.Wait(); err != nil {
		return nil, errors.New(err.Error() + ": " + stderr.String())
	}
	return g, nil
})

// path returns the shortest chain of imports from one package to the first that match accepts, both
// ends included, or nil.
func (g graph) path(from string, match func(string) bool) []string {
	came := map[string]string{from: ""}
	for queue := []string{from}; len(queue) > 0; queue = queue[1:] {
		p := queue[0]
		if p != from && match(p) {
			var chain []string
			for ; p != ""; p = came[p] {
				chain = append([]string{p}, chain...)
			}
			return chain
		}
		for _, q := range g[p] {
			if _, seen := came[q]; !seen {
				came[q] = p
				queue = append(queue, q)
			}
		}
	}
	return nil
}

// packages returns the packages of this module, sorted.
func (g graph) packages() []string {
	var own []string
	for p := range g {
		if under(p, module) {
			own = append(own, p)
		}
	}
	sort.Strings(own)
	return own
}

// under reports whether path is tree or below it.
func under(path, tree string) bool {
	return path == tree || strings.HasPrefix(path, tree+"/")
}
