package link

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/taolight/taolight/gossip/carrier"
	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/bundle"
	"github.com/taolight/taolight/verify/extrinsic"
)

// load is a well-formed bundle in which nothing is true; links do not ask.
func load(number uint32) Load {
	x := &bundle.Bundle{Genesis: verify.Hash{1, 2, 3, 4}, Root: bundle.RootRef{Hash: verify.Hash{9}},
		Final:  &bundle.Fragment{Header: &verify.Header{Number: number}, Votes: bundle.Votes{Round: 1, List: make([]bundle.Vote, 3)}},
		Claims: []bundle.Claim{bundle.HeaderClaim{Number: number}}}
	b := x.Encode()
	return Load{Number: number, Short: b, Long: b}
}

// running runs a link until the test ends; in gives what it received.
func running(t *testing.T, l Link) (out chan Load, in chan []byte) {
	t.Helper()
	out, in = make(chan Load), make(chan []byte, 64)
	done := make(chan error, 1)
	ctx := t.Context() // ends for all links of a test at once, before the first cleanup
	go func() { done <- l.Run(ctx, out, func(b []byte) { in <- bytes.Clone(b) }) }()
	t.Cleanup(func() {
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return out, in
}

func parse(t *testing.T, text string) Link {
	t.Helper()
	l, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func expect(t *testing.T, in chan []byte, want []byte) {
	t.Helper()
	select {
	case got := <-in:
		if !bytes.Equal(got, want) {
			t.Fatalf("%d bytes came, not the %d that were sent", len(got), len(want))
		}
	case <-time.After(20 * time.Second):
		t.Fatal("nothing came")
	}
}

// TestDirPosts: transactions are files of their own, which come to the other side once and go when they are over.
func TestDirPosts(t *testing.T) {
	path := t.TempDir()
	a, ina := running(t, parse(t, "dir:"+path))
	b, inb := running(t, parse(t, "dir:"+path))
	parcel := append([]byte(extrinsic.Magic), "of which links know no more than how it begins"...)
	l := load(1)
	l.Posts = []Post{{ID: [32]byte{7}, Message: parcel}}
	a <- l
	a <- l
	a <- l
	b <- Load{}
	b <- Load{}
	got := [][]byte{<-inb, <-inb}
	if !bytes.Equal(got[0], l.Long) || !bytes.Equal(got[1], parcel) {
		t.Errorf("%.40q", got)
	}
	l.Posts = []Post{{ID: [32]byte{8}, Message: l.Long, Ended: true}}
	a <- l
	a <- l
	a <- l
	names := func() (list []string) {
		entries, err := os.ReadDir(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			list = append(list, e.Name())
		}
		return list
	}
	if got := names(); !slices.Equal(got, []string{"taolight-01020304-1.tlb", "taolight-tx-0800000000000000.tlb"}) {
		t.Errorf("in the folder: %v", got)
	}
	if len(ina)+len(inb) > 0 {
		t.Error("something came twice")
	}
}

func TestParse(t *testing.T) {
	for text, want := range map[string]string{
		"dir:/media/stick": "dir:/media/stick", "exec:nc -u host 1": "exec:nc -u host 1",
		"serial:/dev/ttyUSB0": "serial:/dev/ttyUSB0", "serial:/dev/ttyUSB0,1200,4000": "serial:/dev/ttyUSB0",
		"dir:": "", "": "", "dir": "", "pigeon:post": "", "serial:,9600": "", "serial:/d,fast": "", "serial:/d,9600,-1": "", "serial:/d,1,2,3": "",
	} {
		l, err := Parse(text)
		if (err != nil) != (want == "") || err == nil && l.String() != want || err != nil && !errors.Is(err, ErrLink) {
			t.Errorf("%q: %v, %v", text, l, err)
		}
	}
}

// TestDir: two nodes that share a folder, which is not there at first, and files of other makes in it.
func TestDir(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stick")
	a, ina := running(t, parse(t, "dir:"+path))
	b, inb := running(t, parse(t, "dir:"+path))
	a <- load(1)
	a <- Load{} // taken when the one before has been worked off
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	a <- load(2)
	a <- load(2)
	names, _ := os.ReadDir(path)
	if len(names) != 1 || names[0].Name() != "taolight-01020304-2.tlb" {
		t.Fatalf("in the folder: %v", names)
	}
	b <- Load{}
	expect(t, inb, load(2).Long)
	chunks, err := carrier.Split(load(3).Long, carrier.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, c := range chunks {
		line, _ := carrier.Text(c)
		text.WriteString("> " + line + "\n")
	}
	for name, content := range map[string]string{"chunks.txt": text.String(), "noise": "noise", ".hidden.tlb": string(load(9).Long)} {
		if err := os.WriteFile(filepath.Join(path, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(path, "link")); err != nil {
		t.Fatal(err)
	}
	a <- load(2)
	expect(t, ina, load(3).Long)
	a <- load(4) // too soon for another file
	a <- Load{}
	b <- Load{}
	expect(t, inb, load(3).Long)
	if names, _ := filepath.Glob(filepath.Join(path, "taolight-*")); len(names) != 1 {
		t.Errorf("in the folder: %v", names)
	}
	select {
	case b := <-ina:
		t.Errorf("%d bytes came twice", len(b))
	case b := <-inb:
		t.Errorf("%d bytes came twice", len(b))
	default:
	}
}

// terminal opens a pseudo-terminal: its master, and the path of its slave.
func terminal(t *testing.T) (*os.File, string) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo-terminals: %v", err)
	}
	var n, unlock uint32
	for request, v := range map[uintptr]*uint32{syscall.TIOCGPTN: &n, syscall.TIOCSPTLCK: &unlock} {
		if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, master.Fd(), request, uintptr(unsafe.Pointer(v))); errno != 0 {
			t.Skipf("no pseudo-terminals: %v", errno)
		}
	}
	return master, fmt.Sprintf("/dev/pts/%d", n)
}

// TestSerial: two nodes on a serial line, both ways, with noise between.
func TestSerial(t *testing.T) {
	master, slave := terminal(t)
	b, inb := running(t, parse(t, "serial:"+slave))
	b <- Load{} // the device is open and raw
	a, ina := running(t, &line{device: "master", budget: 1 << 20, open: func() (io.ReadWriteCloser, error) { return master, nil }})
	a <- load(7)
	expect(t, inb, load(7).Long)
	master.Write([]byte{fend, 0, fesc, 1, 2, 3, fend, fend, 9, 9, 9, fend, 'n', 'o', 'i', 's', 'e'})
	b <- load(7) // it came over this line
	b <- load(8)
	expect(t, ina, load(8).Long)
}

// TestExec: a program that gives back what it is given.
func TestExec(t *testing.T) {
	if _, err := exec.LookPath("cat"); err != nil {
		t.Skip(err)
	}
	out, in := running(t, parse(t, "exec:cat -u"))
	out <- load(5)
	expect(t, in, load(5).Long)
	l := parse(t, "exec:true")
	if err := l.Run(t.Context(), nil, nil); err == nil || !strings.Contains(err.Error(), "ended") {
		t.Errorf("a program that ends: %v", err)
	}
	if err := parse(t, "exec:/nonexistent/program").Run(t.Context(), nil, nil); err == nil {
		t.Error("a program that is not there runs")
	}
}

func TestAirtime(t *testing.T) {
	now := time.Unix(1000, 0)
	a := airtime{perHour: 3600}
	if !a.spend(now, 3600) || a.spend(now, 1) {
		t.Error("more than the budget at once")
	}
	if a.spend(now.Add(9*time.Second), 10) || !a.spend(now.Add(10*time.Second), 10) {
		t.Error("the budget does not fill by the second")
	}
}

func TestFrames(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	var sent [][]byte
	var wire []byte
	for range 200 {
		chunk := make([]byte, 1+r.IntN(carrier.MaxChunk))
		for i := range chunk {
			chunk[i] = []byte{fend, fesc, tfend, tfesc, byte(r.Uint32())}[r.IntN(5)]
		}
		sent = append(sent, chunk)
		wire = appendFrame(wire, chunk)
	}
	var got [][]byte
	var d deframer
	for len(wire) > 0 {
		n := min(len(wire), 1+r.IntN(100))
		d.add(wire[:n], func(c []byte) { got = append(got, bytes.Clone(c)) })
		wire = wire[n:]
	}
	if len(got) != len(sent) {
		t.Fatalf("%d frames of %d", len(got), len(sent))
	}
	for i := range got {
		if !bytes.Equal(got[i], sent[i]) {
			t.Fatalf("frame %d differs", i)
		}
	}
}

func FuzzDeframe(f *testing.F) {
	f.Add(appendFrame(nil, []byte{fend, 1, fesc}))
	f.Add([]byte{fend, 0, fesc, fesc, fend})
	f.Fuzz(func(t *testing.T, b []byte) {
		var d deframer
		d.add(b, func(c []byte) {
			if len(c) == 0 || len(c) >= maxFrame {
				t.Errorf("a chunk of %d bytes", len(c))
			}
		})
		if cap(d.frame) > 4*maxFrame {
			t.Errorf("%d bytes held", cap(d.frame))
		}
	})
}
