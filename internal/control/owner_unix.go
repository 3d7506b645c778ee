//go:build unix

package control

import (
	"io/fs"
	"os"
	"syscall"
)

// mine reports whether a file belongs to this user, or to root, who could be this user anyway.
func mine(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && (int(st.Uid) == os.Geteuid() || st.Uid == 0)
}
