//go:build !linux

package storage

import "os"

func datasync(f *os.File) error { return f.Sync() }

func space(string) (free, size uint64) { return 0, 0 }
