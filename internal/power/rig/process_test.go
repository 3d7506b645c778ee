package rig

import (
	"testing"
	"testing/fstest"
)

func TestMemory(t *testing.T) {
	m := Machine{Files: fstest.MapFS{"proc/meminfo": &fstest.MapFile{Data: []byte("MemTotal:         440340 kB\nMemFree: 1 kB\nMemAvailable:     123456 kB\nHugePages_Total:       0\n")}}}
	total, left := Memory(m)
	if total == nil || *total != 440340<<10 || left == nil || *left != 123456<<10 {
		t.Errorf("%v %v", total, left)
	}
	if total, left = Memory(Machine{Files: fstest.MapFS{"proc/meminfo": &fstest.MapFile{Data: []byte("MemTotal: many kB\n")}}}); total != nil || left != nil {
		t.Errorf("%v %v", total, left)
	}
}

// TestThisProcess: sums over threads; a name in brackets may hold anything; what is missing is nil.
func TestThisProcess(t *testing.T) {
	file := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }
	m := Machine{Files: fstest.MapFS{
		"proc/self/stat":            file("7 (a) b ) S 1 7 7 0 -1 4194304 100 0 0 0 150 50 0 0 20 0 4 0 5 1 2"),
		"proc/self/task/7/status":   file("Name:\ta\nvoluntary_ctxt_switches:\t40\nnonvoluntary_ctxt_switches:\t9000\n"),
		"proc/self/task/8/status":   file("Name:\ta\nvoluntary_ctxt_switches:\t2\n"),
		"proc/self/task/9/children": file(""),
	}}
	p := ThisProcess(m)
	if p.Switches == nil || *p.Switches != 42 || p.CPU == nil || *p.CPU != 2 {
		t.Errorf("%v %v", p.Switches, p.CPU)
	}
	if p = ThisProcess(Machine{Files: fstest.MapFS{}}); p.Switches != nil || p.CPU != nil {
		t.Errorf("%v %v", p.Switches, p.CPU)
	}
	if p = ThisProcess(Machine{}); p.CPU != nil && (p.Switches == nil || *p.Switches == 0) {
		t.Error("this process has never waited")
	}
}
