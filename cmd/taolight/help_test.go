package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

func TestFold(t *testing.T) {
	long := strings.Repeat("word ", 20)
	for _, c := range []struct{ in, want string }{
		{"short\n", "short\n"},
		{"", ""},
		{strings.Repeat("x", 100) + "\n", strings.Repeat("x", 100) + "\n"},
		{long, strings.TrimSpace(long[:79]) + "\n" + strings.TrimSpace(long[80:])},
		{"      --svg string      " + long + "\n", "      --svg string      word word word word word word word word word word word\n                        word word word word word word word word word\n"},
		{"                        " + long, "                        word word word word word word word word word word word\n                        word word word word word word word word word"},
	} {
		if got := fold(c.in); got != c.want {
			t.Errorf("%q\nis folded as\n%q, want\n%q", c.in, got, c.want)
		}
	}
	list := "What can be wrong:\n\n  a  " + long + "\n  b  c\n\nIt is a paragraph\nof two lines."
	if got, want := reflow(list), strings.Replace(list, "paragraph\nof", "paragraph of", 1); got != want {
		t.Errorf("reflowed as %q, want %q", got, want)
	}
}

// TestHelpFits: the help of each command fits a terminal.
func TestHelpFits(t *testing.T) {
	var names [][]string
	var walk func(c *cobra.Command, path []string)
	walk = func(c *cobra.Command, path []string) {
		names = append(names, path)
		for _, sub := range c.Commands() {
			walk(sub, append(append([]string{}, path...), sub.Name()))
		}
	}
	walk((&app{}).root(), nil)
	if len(names) < 30 {
		t.Fatalf("%d commands", len(names))
	}
	for _, name := range names {
		var out bytes.Buffer
		a := &app{stdout: &out, stderr: &out}
		if code := a.run(context.Background(), append(name, "--help")); code != 0 || out.Len() == 0 {
			t.Errorf("%v: code %d, %d bytes", name, code, out.Len())
		}
		for line := range strings.Lines(out.String()) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > columns80 && len(strings.Fields(line)) > 2 {
				t.Errorf("%v: %d columns: %s", name, n, line)
			}
		}
	}
}
