package storage

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// loopDisk mounts an ext4 file system of its own, and returns where, and the name of its device. It skips where that
// cannot be done.
func loopDisk(t *testing.T, options string) (dir, device string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("a loop device needs root")
	}
	for _, name := range []string{"mkfs.ext4", "losetup", "mount"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skip(err)
		}
	}
	image := filepath.Join(memoryDir(t), "ext4")
	must(t, os.WriteFile(image, nil, 0o600))
	must(t, os.Truncate(image, 96<<20))
	// As on a card: a journal, committed every 5 s. No table of inodes is left to be zeroed in the background.
	if out, err := exec.Command("mkfs.ext4", "-q", "-F", "-b", "4096", "-E", "lazy_itable_init=0,lazy_journal_init=0", image).CombinedOutput(); err != nil {
		t.Skipf("mkfs.ext4: %v: %s", err, out)
	}
	out, err := exec.Command("losetup", "--find", "--show", image).CombinedOutput()
	if err != nil {
		t.Skipf("losetup: %v: %s", err, out)
	}
	loop := strings.TrimSpace(string(out))
	t.Cleanup(func() { exec.Command("losetup", "--detach", loop).Run() })
	dir = t.TempDir()
	if out, err := exec.Command("mount", "-t", "ext4", "-o", options, loop, dir).CombinedOutput(); err != nil {
		t.Skipf("mount: %v: %s", err, out)
	}
	t.Cleanup(func() { exec.Command("umount", "--lazy", dir).Run() })
	return dir, filepath.Base(loop)
}

// diskStats returns what the kernel counts of a device: bytes written to it, and requests to flush its cache
// (Documentation/admin-guide/iostats.rst).
func diskStats(t *testing.T, device string) (written, flushes uint64) {
	t.Helper()
	b, err := os.ReadFile("/proc/diskstats")
	if err != nil {
		t.Skip(err)
	}
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) < 19 || f[2] != device {
			continue
		}
		sectors, err1 := strconv.ParseUint(f[9], 10, 64)
		flush, err2 := strconv.ParseUint(f[18], 10, 64)
		must(t, err1)
		must(t, err2)
		return sectors * 512, flush
	}
	t.Skipf("%s is not in /proc/diskstats", device)
	return 0, 0
}

// nextStamp returns when the clock by which the kernel stamps files has moved: every 4 ms or so.
func nextStamp(t *testing.T) {
	t.Helper()
	stamp := func() (at unix.Timespec) {
		must(t, unix.ClockGettime(unix.CLOCK_REALTIME_COARSE, &at))
		return at
	}
	for from := stamp(); stamp() == from; {
		runtime.Gosched()
	}
}

// TestDeviceBudget counts in the kernel what a day at each level writes to a card with ext4, journal and all, mounted
// as is usual: a write of a head also changes the time of the file's inode, and the journal writes that down seconds
// later, some 16 KiB for 4. In park and under the flag nothing is written.
func TestDeviceBudget(t *testing.T) {
	dir, device := loopDisk(t, "noatime")
	const most, survive = 2_000_000, 300_000
	mounted, err := os.Open(dir)
	must(t, err)
	defer mounted.Close()
	const superblock = 16 << 10 // what the calls of sync may have the file system write of its own
	for _, l := range []struct {
		name       string
		headEvery  int  // blocks between two heads that the node hands over; 0: none
		headers    bool // every 25th header is handed over
		quiet      bool
		most, sync uint64 // of the device in a day
	}{
		{"full", 150, true, false, most, 300},
		{"eco", 150, true, false, most, 300},
		{"survive", 900, false, false, survive, 60},
		{"park", 0, false, true, superblock, 0},
		{"under voltage at full", 150, true, true, superblock, 0},
	} {
		t.Run(l.name, func(t *testing.T) {
			cfg := testConfig(filepath.Join(dir, strings.ReplaceAll(l.name, " ", "-")))
			s, _ := mustOpen(t, cfg)
			now := runBlocks(t, s, 1, 7200, epoch) // a day to fill the rings
			must(t, s.Commit())
			rng := rand.New(rand.NewPCG(7, 7))
			s.Quiet(l.quiet)
			if out, err := exec.Command("sync", "-f", dir).CombinedOutput(); err != nil {
				t.Skipf("sync: %v: %s", err, out)
			}
			ours := s.Stats()
			before, flushed := diskStats(t, device)
			for i := range 7200 {
				n := uint32(7201 + i)
				now = now.Add(12 * time.Second)
				if l.headers && n%25 == 0 {
					hash, b := testHeader(n)
					must(t, s.PutHeader(n, hash, b))
				}
				if l.headEvery > 0 && i%l.headEvery == 0 {
					must(t, s.WriteHead(chainHead(n, rng)))
					// Half an hour passes until the next, and the file system commits its journal after five seconds: a
					// write changes the time of the file's inode.
					nextStamp(t)
					must(t, unix.Syncfs(int(mounted.Fd())))
				}
				if i%300 == 0 { // an hour: a few peers that were met again, and the power's state
					for p := range 4 {
						must(t, s.PutPeer(fmt.Sprintf("12D3KooWpeer%032d", p), []byte(fmt.Sprint(i, " a record of some sixty bytes that has changed in this hour"))))
					}
					must(t, s.Put("power", "state", []byte(fmt.Sprint("state of the hour ", i))))
				}
				if i%5 == 0 {
					must(t, s.Tick(now))
				}
			}
			// What was written and not synced counts as well.
			if out, err := exec.Command("sync", "-f", dir).CombinedOutput(); err != nil {
				t.Skipf("sync: %v: %s", err, out)
			}
			after, flushes := diskStats(t, device)
			written := after - before
			// The two calls of sync above are not ours.
			flushes = max(flushes-flushed, 2) - 2
			st := s.Stats()
			t.Logf("a day at %s: the kernel wrote %d bytes to the device in %d flushes; by our own count %d in %d syncs",
				l.name, written, flushes, st.DeviceBytes-ours.DeviceBytes, st.Syncs-ours.Syncs)
			if written > l.most {
				t.Errorf("%d bytes, at most %d", written, l.most)
			}
			if got := st.Syncs - ours.Syncs; got > l.sync {
				t.Errorf("%d syncs, at most %d", got, l.sync)
			}
			if l.quiet && st.BytesWritten != ours.BytesWritten {
				t.Errorf("%d bytes written while quiet", st.BytesWritten-ours.BytesWritten)
			}
			s.Quiet(false)
			mustClose(t, s)
		})
	}
}
