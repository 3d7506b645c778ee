package runtime

import (
	"os"
	"os/exec"
	goruntime "runtime"
	"strings"
	"syscall"
	"testing"
	"unsafe"
)

// noexec is how a process is kept from making memory executable: the kernel's own switch (Linux 6.3),
// and the filter of system calls that systemd's MemoryDenyWriteExecute= puts up.
var noexec = map[string]func() syscall.Errno{
	"prctl": func() syscall.Errno {
		const setMDWE, refuseExecGain = 65, 1
		_, _, e := syscall.RawSyscall6(syscall.SYS_PRCTL, setMDWE, refuseExecGain, 0, 0, 0, 0)
		return e
	},
	"seccomp": func() syscall.Errno {
		const (
			setNoNewPrivs, setSeccomp, filterMode = 38, 22, 2
			load, jumpIfEqual, jumpIfSet, answer  = 0x20, 0x15, 0x45, 0x06
			allow, refuse                         = 0x7fff0000, 0x00050000 | uint32(syscall.EPERM)
		)
		filter := []syscall.SockFilter{
			{Code: load, K: 0}, // the number of the call
			{Code: jumpIfEqual, K: uint32(syscall.SYS_MPROTECT), Jf: 3},
			{Code: load, K: 16 + 2*8}, // its third argument
			{Code: jumpIfSet, K: syscall.PROT_EXEC, Jf: 1},
			{Code: answer, K: refuse},
			{Code: answer, K: allow},
		}
		prog := syscall.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
		if _, _, e := syscall.RawSyscall6(syscall.SYS_PRCTL, setNoNewPrivs, 1, 0, 0, 0, 0); e != 0 {
			return e
		}
		_, _, e := syscall.RawSyscall6(syscall.SYS_PRCTL, setSeccomp, filterMode, uintptr(unsafe.Pointer(&prog)), 0, 0, 0)
		return e
	},
}

// Where memory cannot be made executable, the engine says so and interprets, even where the cache
// has compiled code.
func TestNoExec(t *testing.T) {
	if how := os.Getenv("TAOLIGHT_TEST_NOEXEC"); how != "" {
		underNoExec(t, how)
		return
	}
	dir := t.TempDir()
	w := engine(t, dir)
	if err := w.load(t, answering(16), 16, false).Compile(t.Context()); err != nil {
		t.Fatal(err)
	}
	for how := range noexec {
		t.Run(how, func(t *testing.T) {
			cmd := exec.Command(os.Args[0], "-test.run=^TestNoExec$", "-test.v")
			cmd.Env = append(os.Environ(), "TAOLIGHT_TEST_NOEXEC="+how, "TAOLIGHT_TEST_CACHE="+dir)
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			if strings.Contains(string(out), "the kernel says") {
				t.Skip(string(out))
			}
			if !strings.Contains(string(out), "it interprets because") {
				t.Errorf("%s", out)
			}
		})
	}
}

func underNoExec(t *testing.T, how string) {
	// A filter is a thread's: the goroutine stays on it.
	goruntime.LockOSThread()
	if e := noexec[how](); e != 0 {
		t.Skipf("the kernel says %v", e)
	}
	says := ""
	e, err := New(Config{
		CacheDir: os.Getenv("TAOLIGHT_TEST_CACHE"), LogLevel: LogWarn,
		Log: func(_ int, target, message string) { says += target + ": " + message },
	})
	if err != nil {
		t.Fatal(err)
	}
	if e.Interprets() == nil || !strings.HasPrefix(says, "executor: no compiler: ") {
		t.Fatalf("it would compile; it says %q", says)
	}
	t.Logf("it interprets because: %v", e.Interprets())
	r, err := e.Load(t.Context(), answering(16), nil)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := r.Call(t.Context(), "test", nil, nil); err != nil || len(b) != 16 || r.Compiled() {
		t.Fatalf("%d, %v, compiled %v", len(b), err, r.Compiled())
	}
	if err := r.Compile(t.Context()); err == nil {
		t.Fatal("it compiles")
	}
}
