// Package figure writes numbers the way people read them: blocks, bytes, spans of time, counts with their noun. The
// terminal and the status page write the same figure the same way.
//
// It promises plain ASCII but for the ellipsis, and the same text for the same number; it never rounds up what is
// left of something.
package figure

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Block prints a block number as people write it: #8,867,448.
func Block(n uint32) string { return "#" + Group(uint64(n)) }

// Group puts commas between thousands.
func Group(n uint64) string {
	s := strconv.FormatUint(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Short shortens a hash for a line that has others.
func Short(hash string) string {
	if len(hash) < 20 {
		return hash
	}
	return hash[:10] + "…" + hash[len(hash)-4:]
}

// Size prints bytes.
func Size(n uint64) string {
	switch {
	case n < 10_000:
		return fmt.Sprintf("%d B", n)
	case n < 1_000_000:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	}
	return fmt.Sprintf("%.1f MB", float64(n)/1e6)
}

// Span prints a duration in its greatest unit.
func Span(seconds float64) string {
	const most = 1e9 // 30 years; a Duration holds no more than ten times that
	if !(seconds >= -most) {
		seconds = -most
	}
	d := time.Duration(min(seconds, most) * float64(time.Second))
	switch {
	case d < 0:
		return "-" + Span(-seconds)
	case d < 2*time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%dmin", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}

// Count prints a number with its noun.
func Count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	if stem, ok := strings.CutSuffix(noun, "ty"); ok {
		return Group(uint64(n)) + " " + stem + "ties"
	}
	return Group(uint64(n)) + " " + noun + "s"
}
