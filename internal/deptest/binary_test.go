package deptest

import (
	"bufio"
	"bytes"
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const program = "cmd/taolight"

// goBuild builds a package of this repository as a release is built, for one platform, and returns
// the binary's path and what the linker printed.
func goBuild(t *testing.T, dir, pkg, ldflags string, env ...string) (string, []byte) {
	t.Helper()
	if testing.Short() {
		t.Skip("building takes long; -short was given")
	}
	out := filepath.Join(t.TempDir(), "binary")
	cmd := exec.Command("go", "build", "-trimpath", "-tags", "nethttpomithttp2", "-ldflags", ldflags, "-o", out, pkg)
	cmd.Dir = dir
	cmd.Env = append(append(os.Environ(), "CGO_ENABLED=0"), env...)
	text, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("go build %s: %v\n%s", pkg, err, text[:min(len(text), 4000)])
	}
	return out, text
}

// TestSize holds the budgets for what a Raspberry Pi has to store and load. `make cross` prints the
// sizes for every platform.
func TestSize(t *testing.T) {
	allSources(t) // so that a change of any file runs this again
	for _, c := range []struct {
		pkg  string
		most int64 // bytes
	}{
		{program, 25_000_000},
		{"verify/example", 4_000_000},
	} {
		t.Run(filepath.Base(c.pkg), func(t *testing.T) {
			bin, _ := goBuild(t, root, "./"+c.pkg, "-s -w", "GOOS=linux", "GOARCH=arm64")
			info, err := os.Stat(bin)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%s linux/arm64: %d bytes, at most %d", c.pkg, info.Size(), c.most)
			if info.Size() > c.most {
				t.Errorf("%s is %d bytes over its budget of %d", c.pkg, info.Size()-c.most, c.most)
			}
			f, err := elf.Open(bin)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			for _, p := range f.Progs {
				if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
					t.Errorf("%s is not static: it has a segment %v", c.pkg, p.Type)
				}
			}
			if f.Section(".symtab") != nil || f.Section(".debug_info") != nil {
				t.Errorf("%s is not stripped", c.pkg)
			}
		})
	}
}

// reflectMethods returns the calls that switch off the linker's removal of unused methods, from the
// output of -dumpdep. A method called by a name that is known only at run time could be any method,
// so the linker then keeps them all.
func reflectMethods(dump []byte) (culprits []string, edges int) {
	for sc := bufio.NewScanner(bytes.NewReader(dump)); sc.Scan(); edges++ {
		if strings.HasSuffix(sc.Text(), "ReflectMethod>") {
			culprits = append(culprits, sc.Text())
		}
	}
	return culprits, edges
}

func TestNoReflectMethod(t *testing.T) {
	allSources(t)
	_, dump := goBuild(t, root, "./"+program, "-dumpdep")
	culprits, edges := reflectMethods(dump)
	if edges < 1000 {
		t.Fatalf("the linker printed %d lines: it did not link anew", edges)
	}
	for _, c := range culprits {
		t.Errorf("%s\n\tcalls methods by name, which keeps every method of every type in the binary (2 to 3 MB)", c)
	}
}

// TestReflectMethodIsSeen: the test above would see such a call.
func TestReflectMethodIsSeen(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":  "module x\n\ngo 1.26.0\n",
		"main.go": "package main\n\nimport (\n\t\"os\"\n\t\"reflect\"\n)\n\nfunc main() { println(reflect.ValueOf(os.Stdout).MethodByName(os.Args[1]).IsValid()) }\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, dump := goBuild(t, dir, ".", "-dumpdep")
	if culprits, _ := reflectMethods(dump); len(culprits) == 0 {
		t.Error("a program that calls methods by name passes")
	}
}
