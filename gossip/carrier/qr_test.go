package carrier

import (
	"bytes"
	"errors"
	"image/png"
	"strings"
	"testing"

	"rsc.io/qr"
	"rsc.io/qr/coding"
)

func TestQR(t *testing.T) {
	for _, c := range []struct {
		n    int
		o    QROptions
		most int // version
	}{
		{1, QROptions{}, 22},
		{1000, QROptions{}, 22},
		{4000, QROptions{}, 22},
		{30000, QROptions{}, 22},
		{4000, QROptions{MaxVersion: 10, Level: "M"}, 10},
		{1000, QROptions{MaxVersion: 6, Level: "H"}, 6},
		{1000, QROptions{MaxVersion: 3, Lose: 1, Of: 2}, 3},
		{10000, QROptions{MaxVersion: 40, Level: "Q", Lose: 0, Of: 1}, 40},
		{10000, QROptions{MaxVersion: 40, Level: "L"}, 40}, // here MaxChunk is the bound
	} {
		message := random(c.n, 1)
		codes, err := QR(message, c.o)
		if err != nil {
			t.Errorf("%+v: %v", c, err)
			continue
		}
		var j Joiner
		largest := 0
		for i, code := range codes {
			largest = max(largest, (code.Size()-17)/4)
			if code.Number != i+1 || code.Of != len(codes) {
				t.Errorf("%+v: code %d says %d of %d", c, i+1, code.Number, code.Of)
			}
			if err := coding.Alpha(code.Text).Check(); err != nil {
				t.Error(err)
			}
			if _, err := j.AddText(code.Text); err != nil {
				t.Error(err)
			}
		}
		if got, err := j.Bytes(); err != nil || !bytes.Equal(got, message) {
			t.Errorf("%+v: %v", c, err)
		}
		if largest > c.most {
			t.Errorf("%+v: version %d", c, largest)
		}
	}
}

// TestChunkOn: the largest chunk fits on the code, whatever its number, and a larger one would not.
func TestChunkOn(t *testing.T) {
	for level := coding.L; level <= coding.H; level++ {
		for v := coding.Version(coding.MinVersion); v <= coding.MaxVersion; v++ {
			n := chunkOn(v, level)
			length := func(n int) int { return len("TLC1:999/999:") + (n*8+4)/5 }
			fits := func(n int) bool {
				return coding.Alpha(strings.Repeat("A", length(n))).Bits(v) <= 8*v.DataBytes(level)
			}
			if n > 0 && !fits(n) || fits(max(n, 0)+1) {
				t.Errorf("%d-%s: %d bytes", v, level, n)
			}
		}
	}
}

// TestFullCodes: with numbers of three digits and one byte more than would fill all chunks but for a byte
// each, no code is larger than asked for.
func TestFullCodes(t *testing.T) {
	for v := 3; v <= 7; v++ {
		n := (chunkOn(coding.Version(v), coding.L)+1-around)*72 - hashSize
		for _, n := range []int{n, n - 72} {
			codes, err := QR(random(n, 1), QROptions{MaxVersion: v})
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range codes {
				if c.Size() > 17+4*v {
					t.Fatalf("%d bytes on version %d: code %d of %d has %d modules", n, v, c.Number, c.Of, c.Size())
				}
			}
		}
	}
}

func TestQRRefuses(t *testing.T) {
	for _, c := range []struct {
		n    int
		o    QROptions
		want error
	}{
		{0, QROptions{}, ErrSize},
		{MaxMessage, QROptions{}, ErrSize},
		{100, QROptions{MaxVersion: 41}, ErrOptions},
		{100, QROptions{MaxVersion: -1}, ErrOptions},
		{100, QROptions{MaxVersion: 2}, ErrOptions},
		{100, QROptions{Level: "X"}, ErrOptions},
		{100, QROptions{Level: "LM"}, ErrOptions},
		{100, QROptions{Lose: 3, Of: 4}, ErrOptions},
	} {
		if codes, err := QR(make([]byte, c.n), c.o); !errors.Is(err, c.want) || codes != nil {
			t.Errorf("%d bytes, %+v: %v", c.n, c.o, err)
		}
	}
}

// TestPictures: the pictures and all forms for the terminal show the same modules. That those are the
// text, a reader nobody here wrote says in internal/interop/qr.
func TestPictures(t *testing.T) {
	codes, err := QR(random(100, 1), QROptions{})
	if err != nil {
		t.Fatal(err)
	}
	c := codes[0]
	side := c.Size() + 8
	dark := make([][]bool, side)
	for y := range dark {
		dark[y] = make([]bool, side)
		for x := range dark[y] {
			dark[y][x] = c.code.Black(x-4, y-4)
		}
	}
	// A corner, by the standard: seven dark, then a light row around.
	for i := range 7 {
		if !dark[4][4+i] || !dark[4+i][4] || dark[3][4+i] || dark[11][4+i] {
			t.Fatal("no corner pattern")
		}
	}
	for _, scale := range []int{0, 1, 3, -5, 1000} {
		img, err := png.Decode(bytes.NewReader(c.PNG(scale)))
		if err != nil {
			t.Fatal(err)
		}
		px := map[int]int{0: 8, 1: 2, 3: 3, -5: 2, 1000: 32}[scale]
		if b := img.Bounds(); b.Dx() != side*px || b.Dy() != side*px {
			t.Fatalf("scale %d: %v", scale, b)
		}
		for y := range side * px {
			for x := range side * px {
				if r, _, _, _ := img.At(x, y).RGBA(); (r == 0) != dark[y/px][x/px] {
					t.Fatalf("scale %d: pixel %d, %d", scale, x, y)
				}
			}
		}
	}
	for _, o := range []TerminalOptions{{}, {Light: true}, {ASCII: true}, {Light: true, ASCII: true}} {
		text := c.Terminal(o)
		lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
		for y := range side + 1 {
			for x := range side {
				var ink bool
				if o.ASCII {
					if len(lines) != side || len(lines[0]) != 2*side {
						t.Fatal("wrong size")
					}
					if y == side {
						continue
					}
					ink = lines[y][2*x] == '#'
					if ink != (lines[y][2*x+1] == '#') {
						t.Fatal("half a module")
					}
				} else {
					runes := []rune(lines[y/2])
					if len(lines) != (side+1)/2 || len(runes) != side {
						t.Fatal("wrong size")
					}
					ink = strings.ContainsRune([]string{"█▀", "█▄"}[y%2], runes[x])
				}
				if y == side {
					if ink == o.Light {
						t.Fatal("half a line below the code is no margin")
					}
				} else if ink != (dark[y][x] == o.Light) {
					t.Fatalf("%+v: module %d, %d", o, x, y)
				}
			}
		}
	}
}

// TestPNGNeverPanics: rsc.io/qr's writer has bounds of its own.
func TestPNGNeverPanics(t *testing.T) {
	for v := coding.Version(coding.MinVersion); v <= coding.MaxVersion; v++ {
		text := "TLC1"
		for coding.Alpha(text+"A").Bits(v) <= 8*v.DataBytes(coding.L) {
			text += "A"
		}
		code, err := qr.Encode(text, qr.L)
		if err != nil || code.Size != 17+4*int(v) {
			t.Fatal(v, err)
		}
		for _, scale := range []int{1, 2, 5, 32} {
			if _, err := png.DecodeConfig(bytes.NewReader(Code{code: code}.PNG(scale))); err != nil {
				t.Errorf("version %d, scale %d: %v", v, scale, err)
			}
		}
	}
}
