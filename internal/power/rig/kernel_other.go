//go:build !linux

package rig

// KernelSynced returns nil: only Linux is asked.
func KernelSynced() *bool { return nil }
