package control

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
)

// socketName is the socket's name in the data directory.
const socketName = "control.sock"

// maxPath bounds a socket's path: struct sockaddr_un holds 104 bytes on some systems, 108 on Linux,
// with the final zero.
const maxPath = 100

// paths returns where the socket of a data directory may be, the usual place first. The other is for
// directories whose path is too long for a socket, or which cannot be written.
func paths(dir string) []string {
	var out []string
	abs, err := filepath.Abs(dir)
	if err != nil {
		abs = dir
	}
	if p := filepath.Join(abs, socketName); len(p) <= maxPath {
		out = append(out, p)
	}
	return append(out, filepath.Join(privateDir(), shortName(abs)))
}

// privateDir is a directory for the sockets of this user.
func privateDir() string {
	if p := os.Getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(p) && len(p) < 60 {
		return filepath.Join(p, "taolight")
	}
	p := os.TempDir()
	if len(p) >= 60 {
		p = "/tmp"
	}
	return filepath.Join(p, "taolight-"+strconv.Itoa(os.Getuid()))
}

func shortName(abs string) string {
	sum := sha256.Sum256([]byte(abs))
	return hex.EncodeToString(sum[:8]) + ".sock"
}

// makePrivate makes the directory for this user's sockets, or refuses one that others can write to:
// it stands where anybody may make one of that name.
func makePrivate(dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil && !os.IsExist(err) {
		return err
	}
	return checkPrivate(dir)
}

func checkPrivate(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	if !info.IsDir() || info.Mode().Perm()&0o077 != 0 || !mine(info) {
		return fmt.Errorf("%s: %w: it is not a directory of this user alone", dir, fs.ErrPermission)
	}
	return nil
}

// RemoveDead removes what a dead process left of its socket in a data directory. Nobody may run there.
func RemoveDead(dir string) {
	path := filepath.Join(dir, socketName)
	if info, err := os.Lstat(path); err == nil && info.Mode().Type() == fs.ModeSocket {
		os.Remove(path)
	}
}
