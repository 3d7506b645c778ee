package rig

import (
	"io"
	"io/fs"
	"strings"

	"github.com/taolight/taolight/internal/power"
)

// Board returns the computer as its device tree names it, with published figures of what it draws where
// they are known. Without a device tree there is no name.
func Board(m Machine) (name string, b power.Board) {
	m.fill()
	text, err := readAll(m.Files, "proc/device-tree/model", 256)
	if err != nil {
		return "", power.Board{}
	}
	name = clean(strings.TrimRight(text, "\x00\n"))
	short := strings.TrimPrefix(name, "Raspberry ")
	for _, b := range power.Boards {
		if strings.HasPrefix(short, b.Name) {
			return name, b
		}
	}
	return name, power.Board{}
}

func readAll(fsys fs.FS, path string, most int64) (string, error) {
	f, err := fsys.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, most))
	return string(b), err
}
