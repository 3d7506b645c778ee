package main

import (
	"bytes"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

// columns80 is how wide a terminal is that nobody has made wider.
const columns80 = 80

// folding returns a command's help, of which no line is wider than a terminal.
func folding(help func(*cobra.Command, []string)) func(*cobra.Command, []string) {
	return func(cmd *cobra.Command, args []string) {
		out := cmd.OutOrStdout()
		var b bytes.Buffer
		cmd.SetOut(&b)
		cmd.Long = reflow(cmd.Long)
		help(cmd, args)
		cmd.SetOut(out)
		for line := range strings.Lines(b.String()) {
			out.Write([]byte(fold(line)))
		}
	}
}

// reflow breaks paragraphs anew. One with indented lines is a list, and stays as it is.
func reflow(text string) string {
	paragraphs := strings.Split(text, "\n\n")
	for i, p := range paragraphs {
		if !strings.Contains("\n"+p, "\n ") {
			paragraphs[i] = strings.TrimSuffix(wrap(p, ""), "\n")
		}
	}
	return strings.Join(paragraphs, "\n\n")
}

// entry is what stands before the text of a list: the name of a flag, and the gap behind it.
var entry = regexp.MustCompile(`^ *(?:\S+(?: \S+)* {2,})?`)

// fold breaks a line that is too wide, below where its text begins.
func fold(line string) string {
	text := strings.TrimSuffix(line, "\n")
	if utf8.RuneCountInString(text) <= columns80 {
		return line
	}
	name := entry.FindString(text)
	indent := utf8.RuneCountInString(name)
	var b strings.Builder
	b.WriteString(name)
	column := indent
	for i, word := range strings.Fields(text[len(name):]) {
		n := utf8.RuneCountInString(word)
		switch {
		case i == 0:
		case column+1+n > columns80:
			b.WriteString("\n" + strings.Repeat(" ", indent))
			column = indent
		default:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += n
	}
	return b.String() + line[len(text):]
}
