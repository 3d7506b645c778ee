package figure

import (
	"math"
	"testing"
)

func TestFigures(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{Block(8867448), "#8,867,448"}, {Block(0), "#0"}, {Group(999), "999"}, {Group(1000), "1,000"}, {Group(1<<64 - 1), "18,446,744,073,709,551,615"},
		{Short("0x1234567890abcdef1234567890"), "0x12345678…7890"}, {Short("0x12"), "0x12"},
		{Size(9999), "9999 B"}, {Size(10_000), "10.0 kB"}, {Size(12_345_678), "12.3 MB"},
		{Span(0), "0s"}, {Span(119.9), "119s"}, {Span(120), "2min"}, {Span(7199), "119min"}, {Span(7200), "2h"}, {Span(48 * 3600), "2 days"}, {Span(-5), "-5s"}, {Span(1e300), "11574 days"}, {Span(-1e300), "-11574 days"}, {Span(math.NaN()), "-11574 days"},
		{Count(1, "peer"), "1 peer"}, {Count(0, "peer"), "0 peers"}, {Count(1234, "authority"), "1,234 authorities"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}
