//go:build !unix

package storage

import (
	"errors"
	"io/fs"
	"os"
)

const noFollow = 0

// lockDir does nothing here: bbolt's lock on the database is the only one.
func lockDir(*os.File) error { return nil }

func readOnlyError(err error) bool { return errors.Is(err, fs.ErrPermission) }
