package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/taolight/taolight/internal/demonet"
)

// What a node costs at each power level. Bytes, syncs and device writes follow the blocks, so they are taken from a
// chain that makes a day's 7,200 of them in some minutes; differences from 1,000, told as of a day. Wakeups, processor and memory follow
// the clock, so they are taken from a chain of the main network's pace. In survive what a day costs is its windows:
// the first one, with all the handshakes, is taken as each of 24.
const (
	fastBlocks = 1000
	fastTime   = 30 * time.Millisecond
	daily      = 7200
	slowFor    = 60 * time.Second
	mainPace   = 12 * time.Second
)

// spent is what was counted of a node over some time or blocks.
type spent struct {
	bytes, written, syncs, device float64
	hasDevice                     bool
}

func levels() ([]row, error) {
	if _, err := os.Stat("/proc/self/task"); err != nil {
		return []row{{"levels", "", "skipped: needs Linux's /proc", true}}, nil
	}
	dir, bin, err := built()
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	var rows []row
	var full, eco, eight, four, watched spent
	// The two days side by side: a node has little to do.
	var days sync.WaitGroup
	var fullErr, ecoErr error
	days.Go(func() { full, fullErr = fast(bin, dir, daily, 8, atLevel("full")...) })
	days.Go(func() { eco, ecoErr = fast(bin, dir, daily, 8, atLevel("eco")...) })
	days.Wait()
	if err := errors.Join(fullErr, ecoErr); err != nil {
		return nil, err
	}
	for _, x := range []struct {
		s     *spent
		peers int
		args  []string
	}{
		{&eight, 8, atLevel("full")},
		{&four, 4, atLevel("full")},
		{&watched, 8, append(atLevel("full"), "--watch", "1")},
	} {
		if *x.s, err = fast(bin, dir, fastBlocks, x.peers, x.args...); err != nil {
			return nil, err
		}
	}
	for _, x := range []struct {
		name   string
		s      spent
		mb, wr float64
	}{{"full, 8 peers", full, 60e6, 2e6}, {"eco", eco, 6e6, 2e6}} {
		rows = append(rows,
			row{x.name + ": libp2p bytes, both ways", fmt.Sprintf("≤ %.0f MB/day", x.mb/1e6), fmt.Sprintf("%.1f MB/day", x.s.bytes/1e6), x.s.bytes <= x.mb},
			row{x.name + ": syncs, by the store's count", "≤ 300 /day", fmt.Sprintf("%.0f /day", x.s.syncs), x.s.syncs <= 300},
			deviceRow(x.name, x.s, x.wr))
	}
	rows = append(rows,
		row{"one more peer at full adds", "", fmt.Sprintf("%+.2f MB/day", (eight.bytes-four.bytes)/4e6), true},
		row{"one watched demo subnet, looked at every 5 blocks, adds", "", fmt.Sprintf("%+.1f MB/day of traffic, %+.2f MB/day handed to the kernel",
			(watched.bytes-eight.bytes)/1e6, (watched.written-eight.written)/1e6), true})
	if err := os.WriteFile(filepath.Join(dir, "empty.json"), []byte(`{"soc":3,"critical":true}`), 0o600); err != nil {
		return nil, err
	}
	// Side by side: each is nearly always asleep, and counted by itself.
	list := []struct {
		name  string
		peers int
		most  float64
		args  []string
		rows  []row
		rate  float64
		err   error
	}{
		{name: "full, 8 peers", peers: 8, most: 25, args: atLevel("full")},
		{name: "full, 4 peers", peers: 4, most: 25, args: atLevel("full")},
		{name: "eco", peers: 8, most: 5, args: atLevel("eco")},
		{name: "survive between windows", peers: 8, most: 1.5, args: atLevel("survive")},
		{name: "park", peers: 8, most: 1.5, args: []string{"--power-source", "file:" + filepath.Join(dir, "empty.json")}},
	}
	var wg sync.WaitGroup
	for i := range list {
		wg.Go(func() {
			l := &list[i]
			l.rows, l.rate, l.err = slow(bin, dir, l.name, l.peers, l.most, 64<<10, l.args...)
		})
	}
	wg.Wait()
	for i := range list {
		if list[i].err != nil {
			return nil, fmt.Errorf("%s: %w", list[i].name, list[i].err)
		}
		rows = append(rows, list[i].rows...)
	}
	return append(rows, row{"one more peer at full adds", "", fmt.Sprintf("%+.2f wakeups/s", (list[0].rate-list[1].rate)/4), true}), nil
}

func atLevel(name string) []string { return []string{"--power-source", "none", "--power-assume", name} }

func deviceRow(name string, s spent, most float64) row {
	if !s.hasDevice {
		return row{name + ": device writes", "", "skipped: a loop device needs root", true}
	}
	return row{name + ": device writes, by the kernel's count on ext4", fmt.Sprintf("≤ %.1f MB/day", most/1e6), fmt.Sprintf("%.2f MB/day", s.device/1e6), s.device <= most}
}

// fast counts what so many blocks cost, as of a day.
func fast(bin, dir string, blocks uint32, peers int, args ...string) (spent, error) {
	sub, err := os.MkdirTemp(dir, "")
	if err != nil {
		return spent{}, err
	}
	device, unmount := loopDisk(sub)
	defer unmount()
	net, err := demonet.New(demonet.Config{Peers: peers, Authorities: 20, History: 10, SetChangeEvery: -1, BlockTime: fastTime, Quiet: true})
	if err != nil {
		return spent{}, err
	}
	defer net.Stop()
	p, err := join(bin, sub, net, append(args, "--max-peers", strconv.Itoa(peers), "--gossip", "off")...)
	if err != nil {
		return spent{}, err
	}
	defer p.kill()
	if err := p.wait("warp", "done"); err != nil {
		return spent{}, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go net.Run(ctx)
	reach := func(number uint32) (*nodeStatus, error) {
		for until := time.Now().Add(10 * time.Minute); ; time.Sleep(500 * time.Millisecond) {
			s, err := p.status()
			if err != nil || s.Finalized.Number >= number {
				return s, err
			}
			if time.Now().After(until) {
				return nil, fmt.Errorf("only #%d of #%d is final after ten minutes", s.Finalized.Number, number)
			}
		}
	}
	from, err := reach(100)
	if err != nil {
		return spent{}, err
	}
	before, err := device.written()
	if err != nil {
		return spent{}, err
	}
	to, err := reach(from.Finalized.Number + blocks)
	if err != nil {
		return spent{}, err
	}
	exec.Command("sync", "-f", sub).Run()
	after, err := device.written()
	if err != nil {
		return spent{}, err
	}
	scale := daily / float64(to.Finalized.Number-from.Finalized.Number)
	return spent{
		bytes:   float64(to.Traffic.In+to.Traffic.Out-from.Traffic.In-from.Traffic.Out) * scale,
		written: float64(to.Disk.Written-from.Disk.Written) * scale, syncs: float64(to.Disk.Syncs-from.Disk.Syncs) * scale,
		device: float64(after-before) * scale, hasDevice: device != "",
	}, nil
}

// slow counts wakeups, processor and memory at the main network's pace, and in survive what a window moves.
func slow(bin, dir, name string, peers int, most float64, rssMost int, args ...string) (rows []row, rate float64, err error) {
	sub, err := os.MkdirTemp(dir, "")
	if err != nil {
		return nil, 0, err
	}
	net, err := demonet.New(demonet.Config{Peers: peers, Authorities: 20, History: 60, BlockTime: mainPace})
	if err != nil {
		return nil, 0, err
	}
	defer net.Stop()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go net.Run(ctx)
	p, err := join(bin, sub, net, append(args, "--max-peers", strconv.Itoa(peers))...)
	if err != nil {
		return nil, 0, err
	}
	defer p.kill()
	if name != "park" {
		if err := p.wait("warp", "done"); err != nil {
			return nil, 0, err
		}
	}
	settled := 20 * time.Second
	if strings.HasPrefix(name, "survive") {
		settled = 45 * time.Second // a tick closes the first window
	}
	time.Sleep(settled)
	pid := p.cmd.Process.Pid
	from, err1 := switches(pid)
	cpu, err2 := ticks(pid)
	time.Sleep(slowFor)
	to, err3 := switches(pid)
	cpuTo, err4 := ticks(pid)
	rss, err5 := residentKB(pid)
	s, err6 := p.status()
	if err := errors.Join(err1, err2, err3, err4, err5, err6); err != nil {
		return nil, 0, err
	}
	rate = float64(to-from) / slowFor.Seconds()
	rows = []row{
		{name + ": wakeups (voluntary switches, all threads)", fmt.Sprintf("≤ %g /s", most), fmt.Sprintf("%.1f /s", rate), rate <= most},
		{name + ": processor", "", fmt.Sprintf("%.1f ms/s", float64(cpuTo-cpu)*10/slowFor.Seconds()), true},
		{name + ": resident", fmt.Sprintf("≤ %d MiB", rssMost>>10), fmt.Sprintf("%.1f MiB", float64(rss)/1024), rss <= rssMost},
	}
	if moved := s.Traffic.In + s.Traffic.Out; name == "park" {
		rows = append(rows, row{"park: libp2p bytes since the start", "", fmt.Sprintf("%d B, %d connections", moved, s.Peers.Open), s.Peers.Open == 0})
	} else if strings.HasPrefix(name, "survive") {
		day := float64(moved) * 24
		rows = append(rows, row{"survive: libp2p bytes, 24 times the first window", "≤ 1 MB/day", fmt.Sprintf("%.2f MB/day", day/1e6), day <= 1e6 && s.Peers.Open == 0})
	}
	return rows, rate, nil
}

// ticks returns the hundredths of a second of processor that a process has used.
func ticks(pid int) (int, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	f := strings.Fields(string(b[strings.LastIndex(string(b), ")")+1:]))
	if len(f) < 13 {
		return 0, fmt.Errorf("/proc/%d/stat: %d fields", pid, len(f))
	}
	u, err1 := strconv.Atoi(f[11])
	s, err2 := strconv.Atoi(f[12])
	return u + s, errors.Join(err1, err2)
}

// A blockDevice is one of /proc/diskstats; empty: none, and what it counts is 0.
type blockDevice string

func (d blockDevice) written() (uint64, error) {
	if d == "" {
		return 0, nil
	}
	b, err := os.ReadFile("/proc/diskstats")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) > 9 && f[2] == string(d) {
			n, err := strconv.ParseUint(f[9], 10, 64)
			return n * 512, err
		}
	}
	return 0, fmt.Errorf("/proc/diskstats: no %s", d)
}

// loopDisk mounts an ext4 of its own over a folder, where that can be done.
func loopDisk(dir string) (d blockDevice, unmount func()) {
	none := func() {}
	if os.Geteuid() != 0 {
		return "", none
	}
	image := dir + ".ext4"
	if os.WriteFile(image, nil, 0o600) != nil || os.Truncate(image, 96<<20) != nil {
		return "", none
	}
	if exec.Command("mkfs.ext4", "-q", "-F", "-b", "4096", "-E", "lazy_itable_init=0,lazy_journal_init=0", image).Run() != nil {
		return "", none
	}
	out, err := exec.Command("losetup", "--find", "--show", image).Output()
	if err != nil {
		return "", none
	}
	loop := strings.TrimSpace(string(out))
	if exec.Command("mount", "-t", "ext4", "-o", "noatime", loop, dir).Run() != nil {
		exec.Command("losetup", "--detach", loop).Run()
		return "", none
	}
	return blockDevice(filepath.Base(loop)), func() {
		exec.Command("umount", "--lazy", dir).Run()
		exec.Command("losetup", "--detach", loop).Run()
	}
}
