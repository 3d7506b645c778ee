package rig

import (
	"io/fs"
	"strconv"
	"strings"
)

// Process is what the kernel counts of this process.
type Process struct {
	Switches *uint64  // voluntary context switches of all threads that live: how often it woke; nil: not known
	CPU      *float64 // seconds, of all threads
}

// clockTick is the unit of /proc/self/stat on every Linux that Go runs on.
const clockTick = 100

// Memory returns the bytes of memory of the machine, and those that are left without swapping; nil: not known.
func Memory(m Machine) (total, left *uint64) {
	m.fill()
	text, err := readAll(m.Files, "proc/meminfo", 8192)
	if err != nil {
		return nil, nil
	}
	for line := range strings.Lines(text) {
		name, rest, _ := strings.Cut(line, ":")
		kb, err := strconv.ParseUint(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 44)
		if err != nil {
			continue
		}
		switch bytes := kb << 10; name {
		case "MemTotal":
			total = &bytes
		case "MemAvailable":
			left = &bytes
		}
	}
	return total, left
}

// ThisProcess reads /proc/self.
func ThisProcess(m Machine) (p Process) {
	m.fill()
	if tasks, err := fs.ReadDir(m.Files, "proc/self/task"); err == nil {
		sum, any := uint64(0), false
		for _, t := range tasks {
			text, err := readAll(m.Files, "proc/self/task/"+t.Name()+"/status", 8192)
			if err != nil {
				continue // it has just ended
			}
			_, rest, _ := strings.Cut(text, "\nvoluntary_ctxt_switches:")
			line, _, _ := strings.Cut(rest, "\n")
			if n, err := strconv.ParseUint(strings.TrimSpace(line), 10, 64); err == nil {
				sum, any = sum+n, true
			}
		}
		if any {
			p.Switches = &sum
		}
	}
	// After the name, which may hold anything: state, …, and as 12th and 13th utime and stime.
	if text, err := readAll(m.Files, "proc/self/stat", 4096); err == nil {
		fields := strings.Fields(text[strings.LastIndex(text, ")")+1:])
		if len(fields) > 12 {
			u, err1 := strconv.ParseUint(fields[11], 10, 64)
			s, err2 := strconv.ParseUint(fields[12], 10, 64)
			if err1 == nil && err2 == nil {
				sec := float64(u+s) / clockTick
				p.CPU = &sec
			}
		}
	}
	return p
}
