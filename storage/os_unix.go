//go:build unix

package storage

import (
	"errors"
	"os"
	"syscall"
)

// noFollow keeps an opened name from leading elsewhere by a symbolic link.
const noFollow = syscall.O_NOFOLLOW

// lockDir takes the exclusive lock of a directory. The lock belongs to the open directory and ends with the process,
// however it ends. A file system without such locks gives a nil error: bbolt's own lock on the database remains.
func lockDir(d *os.File) error {
	err := syscall.Flock(int(d.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	switch {
	case errors.Is(err, syscall.EWOULDBLOCK):
		return ErrLocked
	case errors.Is(err, syscall.ENOTSUP), errors.Is(err, syscall.ENOLCK), errors.Is(err, syscall.EBADF), errors.Is(err, syscall.EINVAL), errors.Is(err, syscall.ENOSYS):
		return nil
	}
	return err
}

// readOnlyError reports whether err says that the place cannot be written, as against that what is there is damaged.
func readOnlyError(err error) bool {
	return errors.Is(err, syscall.EROFS) || errors.Is(err, syscall.EACCES) || errors.Is(err, syscall.EPERM) ||
		errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}
