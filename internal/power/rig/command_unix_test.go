//go:build unix

package rig

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestHang: a command that hangs is killed with the child that it waits for. The child holds a pipe, which
// ends with it.
func TestHang(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Skipf("no pipes: %v", err)
	}
	argv := []string{script(t, "sleep 600 >"+pipe+" & wait")}
	done := make(chan error, 1)
	go func() {
		_, err := run(t.Context(), argv, nil, time.Second, 100)
		done <- err
	}()
	f, err := os.Open(pipe) // waits until the child has it open
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := io.ReadAll(f); err != nil {
		t.Fatal(err)
	}
	if err := <-done; !errors.Is(err, ErrCommand) || !strings.Contains(err.Error(), "killed after 1s") {
		t.Error(err)
	}
}
