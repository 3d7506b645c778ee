package carrier

import (
	"fmt"
	"strings"

	"rsc.io/qr"
	"rsc.io/qr/coding"
)

const (
	// DefaultVersion is the largest size of a QR code unless asked otherwise: 105 modules on a side,
	// which a telephone reads from a screen at once.
	DefaultVersion = 22
	// MaxCodes bounds a set of QR codes. Who has more to carry is better served by a file.
	MaxCodes = 999
	// quiet is the margin that ISO/IEC 18004 asks for, in modules.
	quiet = 4
)

// QROptions say how to put a message on QR codes. The zero value stands for DefaultVersion, level L
// and 2 in 7.
type QROptions struct {
	// MaxVersion is the largest size to use, up to 40: version v has 4v+17 modules on a side.
	MaxVersion int
	// Level is the error correction within a code: L, M, Q or H, for ever more codes. Codes on paper
	// that may get dirty want M.
	Level string
	// Lose of any Of codes may be missing, as in Options.
	Lose, Of int
}

// A Code is a QR code that carries a chunk in its text form.
type Code struct {
	Number, Of int    // its number, from 1, and how many there are
	Text       string // what a reader of the code gets
	code       *qr.Code
}

// QR returns a message as a set of QR codes. A Joiner takes the texts that were read from them, in any
// order, by AddText. Errors are ErrSize and ErrOptions.
func QR(message []byte, o QROptions) ([]Code, error) {
	if o.MaxVersion == 0 {
		o.MaxVersion = DefaultVersion
	}
	if o.MaxVersion < coding.MinVersion || o.MaxVersion > coding.MaxVersion {
		return nil, fmt.Errorf("%w: QR version %d, not %d to %d", ErrOptions, o.MaxVersion, coding.MinVersion, coding.MaxVersion)
	}
	level := coding.L
	if o.Level != "" {
		i := strings.Index("LMQH", o.Level)
		if i < 0 || len(o.Level) != 1 {
			return nil, fmt.Errorf("%w: QR level %q, not L, M, Q or H", ErrOptions, o.Level)
		}
		level = coding.Level(i)
	}
	chunk := min(chunkOn(coding.Version(o.MaxVersion), level), MaxChunk)
	if chunk < MinChunk {
		return nil, fmt.Errorf("%w: QR version %d-%s is too small for a chunk", ErrOptions, o.MaxVersion, level)
	}
	chunks, err := Split(message, Options{ChunkSize: chunk, Lose: o.Lose, Of: o.Of})
	if err != nil {
		return nil, err
	}
	if len(chunks) > MaxCodes {
		return nil, fmt.Errorf("%w: %d QR codes, at most %d allowed", ErrSize, len(chunks), MaxCodes)
	}
	codes := make([]Code, len(chunks))
	for i, c := range chunks {
		line, err := Text(c)
		if err != nil {
			return nil, err
		}
		code, err := qr.Encode(line, qr.Level(level))
		if err != nil {
			return nil, fmt.Errorf("%w: QR code %d: %v", ErrOptions, i+1, err)
		}
		codes[i] = Code{Number: i + 1, Of: len(chunks), Text: line, code: code}
	}
	return codes, nil
}

// chunkOn returns the bytes of the largest chunk whose text fits on a code.
func chunkOn(v coding.Version, l coding.Level) int {
	const digits = 3 // of MaxCodes
	room := 8 * v.DataBytes(l)
	text := strings.Repeat(" ", 4297) // one more than any code takes; only the length matters
	n := 0
	for n < len(text) && coding.Alpha(text[:n+1]).Bits(v) <= room {
		n++
	}
	return (n - len(prefix) - 2*digits - len("/:")) * 5 / 8
}

// Size returns the modules on a side, without the margin.
func (c Code) Size() int { return c.code.Size }

// PNG returns the code as a picture with its margin, scale pixels to a module: 2 to 32, or the nearest
// of these; 0 stands for 8.
func (c Code) PNG(scale int) []byte {
	if scale == 0 {
		scale = 8
	}
	code := *c.code
	code.Scale = min(max(scale, 2), 32) // rsc.io/qr panics at 1
	return code.PNG()
}

// TerminalOptions say what the terminal is like that shows a code. The zero value stands for a dark
// ground and Unicode.
type TerminalOptions struct {
	// Light: dark letters on a light ground, as on paper. A code drawn for the other ground is inverted
	// and many readers do not take it.
	Light bool
	// ASCII: only # and blanks, twice as high.
	ASCII bool
}

// Terminal returns the code with its margin as lines of text, each with a line end: two rows of
// modules to a line in half blocks, or one row with two characters to a module.
func (c Code) Terminal(o TerminalOptions) string {
	// Half a line below an odd number of rows is margin too.
	ink := func(x, y int) bool { return c.code.Black(x, y) == o.Light }
	var b strings.Builder
	step := 2
	if o.ASCII {
		step = 1
	}
	for y := -quiet; y < c.code.Size+quiet; y += step {
		for x := -quiet; x < c.code.Size+quiet; x++ {
			upper, lower := ink(x, y), ink(x, y+1)
			switch {
			case o.ASCII && upper:
				b.WriteString("##")
			case o.ASCII:
				b.WriteString("  ")
			case upper && lower:
				b.WriteString("█")
			case upper:
				b.WriteString("▀")
			case lower:
				b.WriteString("▄")
			default:
				b.WriteString(" ")
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}
