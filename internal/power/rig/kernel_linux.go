package rig

import "golang.org/x/sys/unix"

// KernelSynced asks the kernel whether something keeps its clock synchronized. It needs no privilege; nil
// means that the kernel does not say, as where a sandbox forbids the call.
func KernelSynced() *bool {
	var t unix.Timex // modes 0: only read
	state, err := unix.Adjtimex(&t)
	if err != nil {
		return nil
	}
	synced := state != unix.TIME_ERROR && t.Status&unix.STA_UNSYNC == 0
	return &synced
}
