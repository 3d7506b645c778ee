package qr

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"

	"github.com/taolight/taolight/gossip/carrier"
)

func random(n int) []byte {
	r := rand.New(rand.NewPCG(uint64(n), 1))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// read returns the text of the code in img. With straight, the reader takes the picture for a code and
// nothing else; without, it has to find the code first, and takes about one in thirty of those with many
// modules for something else.
func read(img image.Image, straight bool) (string, error) {
	bitmap, err := gozxing.NewBinaryBitmapFromImage(img)
	if err != nil {
		return "", err
	}
	hints := map[gozxing.DecodeHintType]any{}
	if straight {
		hints[gozxing.DecodeHintType_PURE_BARCODE] = true
	}
	result, err := qrcode.NewQRCodeReader().Decode(bitmap, hints)
	if err != nil {
		return "", err
	}
	return result.GetText(), nil
}

// screen draws text in half blocks or with # as a terminal does.
func screen(text string, o carrier.TerminalOptions) image.Image {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	img := image.NewGray(image.Rect(0, 0, 4*len([]rune(lines[0])), 8*len(lines)))
	for y, line := range lines {
		for x, r := range []rune(line) {
			for i := range 32 {
				half := "█▀#"
				if i >= 16 {
					half = "█▄#"
				}
				c := color.Gray{}
				if strings.ContainsRune(half, r) != o.Light {
					c.Y = 255
				}
				img.SetGray(4*x+i%4, 8*y+i/4, c)
			}
		}
	}
	return img
}

// TestRead: each code of every level and many sizes, as a picture and on both grounds of a terminal,
// says its text.
func TestRead(t *testing.T) {
	codes, found := 0, 0
	for _, level := range []string{"L", "M", "Q", "H"} {
		for _, version := range []int{7, 10, 15, 22, 27, 33, 40} {
			message := random(1500 + version)
			set, err := carrier.QR(message, carrier.QROptions{MaxVersion: version, Level: level})
			if err != nil {
				t.Fatal(err)
			}
			var asFound carrier.Joiner
			for _, c := range set {
				name := fmt.Sprintf("%d-%s, code %d of %d", version, level, c.Number, c.Of)
				picture, err := png.Decode(bytes.NewReader(c.PNG(4)))
				if err != nil {
					t.Fatal(err)
				}
				pictures := []image.Image{picture}
				for _, o := range []carrier.TerminalOptions{{}, {Light: true}, {ASCII: true}, {Light: true, ASCII: true}} {
					pictures = append(pictures, screen(c.Terminal(o), o))
				}
				for i, p := range pictures {
					if got, err := read(p, true); err != nil || got != c.Text {
						t.Fatalf("%s, picture %d: %v\n got %s\nwant %s", name, i, err, got, c.Text)
					}
				}
				codes++
				if got, err := read(picture, false); err == nil {
					if got != c.Text {
						t.Errorf("%s, found: %s\nwant %s", name, got, c.Text)
					}
					found++
					if _, err := asFound.AddText(got); err != nil {
						t.Error(err)
					}
				}
			}
			if got, err := asFound.Bytes(); err != nil || !bytes.Equal(got, message) {
				t.Errorf("%d-%s: from what was found: %v", version, level, err)
			}
		}
	}
	t.Logf("%d codes, %d found without being told that there is nothing else", codes, found)
	if found*10 < codes*9 {
		t.Errorf("only %d of %d codes were found", found, codes)
	}
}
