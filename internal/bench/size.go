package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// targets are the platforms a release is built for. GOARM=6 is what a Pi Zero can run.
var targets = []struct {
	name string
	env  []string
}{
	{"linux/amd64", []string{"GOARCH=amd64"}},
	{"linux/arm64", []string{"GOARCH=arm64"}},
	{"linux/arm v7", []string{"GOARCH=arm", "GOARM=7"}},
	{"linux/arm v6", []string{"GOARCH=arm", "GOARM=6"}},
	{"linux/riscv64", []string{"GOARCH=riscv64"}},
}

// sizes builds both programs for every platform. The budget is the design's for linux/arm64; the
// others are held to it too.
func sizes() ([]row, error) {
	dir, err := os.MkdirTemp("", "taolight-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	var rows []row
	for _, p := range []struct {
		pkg  string
		most int64
	}{
		{"cmd/taolight", 25_000_000},
		{"verify/example", 4_000_000},
	} {
		for _, t := range targets {
			bin := filepath.Join(dir, "binary")
			if err := build(bin, p.pkg, append([]string{"GOOS=linux"}, t.env...)...); err != nil {
				return nil, err
			}
			info, err := os.Stat(bin)
			if err != nil {
				return nil, err
			}
			r := row{
				figure: fmt.Sprintf("size of %s, %s", p.pkg, t.name), budget: "—",
				measured: fmt.Sprintf("%.1f MB", float64(info.Size())/1e6), ok: true,
			}
			if t.name == "linux/arm64" { // the board that the budget is for
				r.budget, r.ok = fmt.Sprintf("≤ %d MB", p.most/1_000_000), info.Size() <= p.most
			}
			rows = append(rows, r)
		}
	}
	return rows, nil
}

// build makes a program of the main module as a release is made.
func build(out, pkg string, env ...string) error {
	cmd := exec.Command("go", "build", "-trimpath", "-tags", "nethttpomithttp2", "-ldflags", "-s -w", "-o", out, "./"+pkg)
	cmd.Dir = filepath.Join("..", "..") // make bench runs this in internal/bench
	cmd.Env = append(append(os.Environ(), "CGO_ENABLED=0"), env...)
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build %s %s: %w\n%s", strings.Join(env, " "), pkg, err, text)
	}
	return nil
}
