package storage

import (
	"os"
	"syscall"
)

// datasync writes the data of f to the medium, but not its times, which would cost a journal write.
func datasync(f *os.File) error { return syscall.Fdatasync(int(f.Fd())) }

// space returns the bytes free to this user and the size of the file system that holds dir; 0, 0 if unknown.
func space(dir string) (free, size uint64) {
	var st syscall.Statfs_t
	if syscall.Statfs(dir, &st) != nil || st.Bsize <= 0 {
		return 0, 0
	}
	return st.Bavail * uint64(st.Bsize), st.Blocks * uint64(st.Bsize)
}
