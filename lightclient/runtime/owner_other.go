//go:build !unix

package runtime

import "io/fs"

// ours cannot be told here, so no folder of compiled code is used.
func ours(fs.FileInfo) bool { return false }
