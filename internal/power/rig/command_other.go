//go:build !unix

package rig

import "os/exec"

// There are no process groups: only the command itself is ended.
func ownGroup(*exec.Cmd) {}

func killGroup(cmd *exec.Cmd) error {
	if cmd.Process == nil {
		return nil
	}
	return cmd.Process.Kill()
}
