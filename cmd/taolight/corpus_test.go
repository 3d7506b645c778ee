package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestCorpus types `taolight verify -` for each bundle of verify/bundle's corpus: the exit code is that
// of the expected outcome, and the line that decides is printed.
func TestCorpus(t *testing.T) {
	dir := filepath.Join("..", "..", "verify", "bundle", "testdata", "corpus")
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	codes := map[string]int{"ok": 0, "failed": 3, "undecided": 7}
	seen := map[int]int{}
	for _, e := range entries {
		if e.IsDir() || strings.Contains(e.Name(), ".") {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		head, body, _ := strings.Cut(string(text), "\n\n")
		field := map[string]string{}
		for _, line := range strings.Split(head, "\n") {
			name, value, _ := strings.Cut(line, ": ")
			field[name] = value
		}
		payload, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(body, "\n", ""))
		if err != nil {
			t.Fatalf("%s: %v", e.Name(), err)
		}
		args := []string{"verify", "-"}
		if f := field["checkpoint"]; f != "" {
			args = append(args, "--checkpoint", filepath.Join(dir, "checkpoints", strings.TrimSuffix(f, ".json")+".json"))
		}
		if r := field["assume-rules"]; r != "" {
			args = append(args, "--assume-rules", r)
		}
		var out, errOut bytes.Buffer
		a := &app{stdin: bytes.NewReader(payload), stdout: &out, stderr: &errOut, now: time.Now}
		want, ok := codes[field["expect"]]
		if got := int(a.run(context.Background(), args)); got != want || !ok {
			t.Errorf("%s: ended with %d, want %d (%s): %s", e.Name(), got, want, field["comment"], &errOut)
		}
		if !strings.Contains(out.String(), "  "+field["line"]+"\n") {
			t.Errorf("%s: no line %q in\n%s", e.Name(), field["line"], &out)
		}
		seen[want]++
	}
	for name, code := range codes {
		if seen[code] == 0 {
			t.Errorf("no bundle that is %s", name)
		}
	}
}
