package runtime

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/klauspost/compress/zstd"
)

// MaxCode is the most bytes of code after decompression, as in sp-maybe-compressed-blob's
// CODE_BLOB_BOMB_LIMIT.
const MaxCode = 50 << 20

// compressed is the prefix of zstd-compressed code (sp-maybe-compressed-blob).
var compressed = []byte{0x52, 0xbc, 0x53, 0x76, 0x46, 0xdb, 0x8e, 0x05}

// decompress returns code without its compression. The result may alias code.
func decompress(code []byte) ([]byte, error) {
	body, ok := bytes.CutPrefix(code, compressed)
	if !ok {
		if len(code) > MaxCode {
			return nil, fmt.Errorf("%w: %d bytes, %d are the limit", ErrCode, len(code), MaxCode)
		}
		return code, nil
	}
	// One goroutine, and it ends with the call. The window of a frame is at most its content.
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxMemory(MaxCode), zstd.WithDecoderMaxWindow(64<<20))
	if err != nil {
		return nil, fmt.Errorf("%w: zstd: %v", ErrCode, err)
	}
	defer d.Close()
	// The frames of the chain do not tell their size; code compresses to a fifth.
	wasm, err := d.DecodeAll(body, make([]byte, 0, min(6*len(body), MaxCode)))
	if errors.Is(err, zstd.ErrDecoderSizeExceeded) || errors.Is(err, zstd.ErrWindowSizeExceeded) {
		return nil, fmt.Errorf("%w: decompresses to more than %d bytes", ErrCode, MaxCode)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: zstd: %v", ErrCode, err)
	}
	return wasm, nil
}

// sections is what is read of a module without executing or validating it.
type sections struct {
	version  []byte // custom section runtime_version
	apis     []byte // custom section runtime_apis
	stripped []byte // the module without custom sections
}

// Section ids of the WebAssembly binary format.
const (
	customSection = 0
	startSection  = 8
)

// readSections walks over the sections of a module.
//
// Custom sections are dropped: none has a meaning for execution, and the names of functions, where
// a build has left them in, cost more memory than anything but the code.
func readSections(wasm []byte) (*sections, error) {
	if len(wasm) < 8 || string(wasm[:8]) != "\x00asm\x01\x00\x00\x00" {
		return nil, fmt.Errorf("%w: not a WebAssembly module of version 1", ErrCode)
	}
	s := &sections{stripped: append(make([]byte, 0, len(wasm)), wasm[:8]...)}
	for at := 8; at < len(wasm); {
		id := wasm[at]
		size, n := leb(wasm[at+1:])
		if n == 0 || uint64(size) > uint64(len(wasm)-at-1-n) {
			return nil, fmt.Errorf("%w: section at byte %d: bad length", ErrCode, at)
		}
		body := wasm[at+1+n:][:size]
		switch id {
		case customSection:
			l, n := leb(body)
			if n == 0 || uint64(l) > uint64(len(body)-n) {
				return nil, fmt.Errorf("%w: section at byte %d: bad name", ErrCode, at)
			}
			switch name, data := string(body[n:][:l]), body[n:][l:]; name {
			case "runtime_version":
				s.version = bytes.Clone(data)
			case "runtime_apis":
				s.apis = bytes.Clone(data)
			}
		case startSection:
			return nil, fmt.Errorf("%w: section at byte %d: a start function", ErrCode, at)
		default:
			if err := checkSection(id, body); err != nil {
				return nil, fmt.Errorf("%w: section at byte %d: %v", ErrCode, at, err)
			}
			s.stripped = append(s.stripped, wasm[at:at+1+n+int(size)]...)
		}
		at += 1 + n + int(size)
	}
	return s, nil
}

// leb reads an unsigned LEB128 of 32 bits and returns the bytes it took, 0 if it is malformed.
func leb(b []byte) (v uint32, n int) {
	for ; n < len(b) && n < 5; n++ {
		c := b[n]
		if n == 4 && c > 0x0f {
			return 0, 0
		}
		v |= uint32(c&0x7f) << (7 * n)
		if c < 0x80 {
			return v, n + 1
		}
	}
	return 0, 0
}

func appendLeb(b []byte, v uint32) []byte { return binary.AppendUvarint(b, uint64(v)) }
