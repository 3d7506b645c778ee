package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

func TestRun(t *testing.T) {
	data := filepath.Join("..", "fact", "testdata")
	bad := filepath.Join(t.TempDir(), "bad.json")
	if err := os.WriteFile(bad, []byte(`[{"state_root":"0x`+"11"+`"}]`), 0o600); err != nil {
		t.Fatal(err)
	}
	less := filepath.Join(t.TempDir(), "less.json")
	if err := os.WriteFile(less, []byte(`{"state_root":"0x1111111111111111111111111111111111111111111111111111111111111111","key":"0x00","proof":[]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	proof := filepath.Join(data, "finney-8867448-aura-readproof.json")
	for _, tt := range []struct {
		args []string
		want int
	}{
		{[]string{"proof", proof}, 0},
		{[]string{"justification", filepath.Join(data, "testnet-5534451-grandpa-justification.json")}, 0},
		{[]string{"header", filepath.Join(data, "bittensor-headers.json")}, 0},
		{[]string{"proof", proof, bad}, 3},
		{[]string{"proof", proof, less}, 7},
		{[]string{"proof", less, bad}, 3},
		{[]string{"proof", "no such file"}, 1},
		{[]string{"proof", filepath.Join(data, "README.md")}, 1},
		{[]string{"timelock", filepath.Join(data, "tle_round1000.json")}, 0},
		{[]string{"bundle", "-", proof}, 3},
		{[]string{"bundle", proof, proof}, 2},
		{[]string{"bundle", "no such file", proof}, 2},
		{[]string{"bundle", "-", "no such file"}, 1},
		{[]string{"pulses", proof}, 2},
		{[]string{"proof"}, 2},
		{nil, 2},
	} {
		if got := run(tt.args); got != tt.want {
			t.Errorf("%v: exit %d, want %d", tt.args, got, tt.want)
		}
	}
}

// The budget of a program that only verifies (ARCHITECTURE 8): 4 MB on linux/arm64, stripped.
func TestSize(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a program")
	}
	out := filepath.Join(t.TempDir(), "example")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", out, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=arm64")
	if b, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, b)
	}
	info, err := os.Stat(out)
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() > 4_000_000 {
		t.Errorf("%d bytes, at most 4,000,000 allowed", info.Size())
	}
	t.Logf("%d bytes", info.Size())
}
