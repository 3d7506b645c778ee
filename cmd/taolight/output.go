package main

import (
	"encoding/json"
	"io"
	"os"
	"strings"

	"github.com/taolight/taolight/internal/figure"
)

// A style colours words on a terminal, and leaves them plain elsewhere.
type style bool

// styleOf looks at where the output goes.
func styleOf(f *os.File) style {
	info, err := f.Stat()
	return style(err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb")
}

func (s style) paint(code, text string) string {
	if !s {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (s style) bold(text string) string { return s.paint("1", text) }
func (s style) dim(text string) string  { return s.paint("2", text) }
func (s style) good(text string) string { return s.paint("32", text) }
func (s style) bad(text string) string  { return s.paint("33", text) }

// printJSON prints an answer alone.
func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// Figures are written as everywhere.
func block(n uint32) string           { return figure.Block(n) }
func group(n uint64) string           { return figure.Group(n) }
func short(hash string) string        { return figure.Short(hash) }
func size(n uint64) string            { return figure.Size(n) }
func span(seconds float64) string     { return figure.Span(seconds) }
func count(n int, noun string) string { return figure.Count(n, noun) }

// wrap breaks a text into lines of at most 80 columns behind an indent. Words longer than a line
// stay whole, so that addresses can be copied.
func wrap(text, indent string) string {
	var b strings.Builder
	column := 0
	for _, word := range strings.Fields(text) {
		n := len([]rune(word))
		switch {
		case column == 0:
			b.WriteString(indent)
			column = len(indent)
		case column+1+n > 79:
			b.WriteString("\n" + indent)
			column = len(indent)
		default:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += n
	}
	return b.String() + "\n"
}
