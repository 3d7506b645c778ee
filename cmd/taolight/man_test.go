package main

import (
	"bytes"
	goflag "flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/taolight/taolight/internal/config"
	"github.com/taolight/taolight/internal/control"
)

// The man pages come from the commands' own help. What writes them is here, beside the tests, so that it
// is not linked into the program; `make man` runs it.
var manDir = goflag.String("man", "", "folder to write the man pages to")

// TestManPages: every command has a page, with all of its flags; -man DIR keeps them.
func TestManPages(t *testing.T) {
	root := (&app{}).root()
	root.InitDefaultHelpFlag()
	names := map[string]bool{}
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		c.InitDefaultHelpFlag()
		page := manPage(c)
		name := manName(c) + ".1"
		if names[name] {
			t.Errorf("%s: two commands have this page", name)
		}
		names[name] = true
		checkPage(t, name, c, page)
		if *manDir != "" {
			if err := os.WriteFile(filepath.Join(*manDir, name), page, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(root)
	if len(names) < 30 {
		t.Errorf("%d pages", len(names))
	}
}

// checkPage holds a page to what a reader of roff would make of it.
func checkPage(t *testing.T, name string, c *cobra.Command, page []byte) {
	t.Helper()
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden && !bytes.Contains(page, []byte(roff("--"+f.Name))) {
			t.Errorf("%s: nothing about --%s", name, f.Name)
		}
	})
	open := false
	for i, line := range strings.Split(string(page), "\n") {
		macro, _, _ := strings.Cut(line, " ")
		switch macro {
		case ".nf":
			open = true
		case ".fi":
			open = false
		case ".TH", ".SH", ".PP", ".TP", ".BR":
		default:
			if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
				t.Errorf("%s:%d: text is taken for a request: %s", name, i+1, line)
			}
		}
		if line == "" && !open && i < strings.Count(string(page), "\n") {
			t.Errorf("%s:%d: an empty line in filled text", name, i+1)
		}
		for j := 0; j < len(line); j++ {
			if line[j] == '\\' {
				if j+1 == len(line) || !strings.ContainsRune(`&-e(fB`, rune(line[j+1])) {
					t.Errorf("%s:%d: an escape that is not ours: %s", name, i+1, line)
				}
				j++
			}
		}
	}
	if open {
		t.Errorf("%s: the last block does not end", name)
	}
}

// manName is a command's page: taolight-bundle-make.
func manName(c *cobra.Command) string { return strings.ReplaceAll(c.CommandPath(), " ", "-") }

// manPage writes the page of a command.
func manPage(c *cobra.Command) []byte {
	var b bytes.Buffer
	line := func(format string, args ...any) {
		if format == ".PP" && bytes.HasPrefix(b.Bytes()[bytes.LastIndexByte(b.Bytes()[:b.Len()-1], '\n')+1:], []byte(".SH")) {
			return // a section begins with a paragraph
		}
		fmt.Fprintf(&b, format+"\n", args...)
	}
	line(`.TH "%s" "1" "" "taolight %s" "taolight"`, roff(strings.ToUpper(manName(c))), roff(version))
	line(".SH NAME")
	line(`%s \- %s`, roff(manName(c)), roff(c.Short))
	line(".SH SYNOPSIS")
	if c.Runnable() && c.HasParent() {
		line(".PP")
		line("%s", roff(c.UseLine()))
	}
	if c.HasAvailableSubCommands() {
		line(".PP")
		line("%s", roff(c.CommandPath()+" COMMAND [flags]"))
	}
	line(".SH DESCRIPTION")
	text := c.Long
	if text == "" {
		text = strings.ToUpper(c.Short[:1]) + c.Short[1:] + "."
	}
	paragraphs(line, text)
	if c.HasAvailableSubCommands() {
		line(".SH COMMANDS")
		for _, sub := range c.Commands() {
			if sub.IsAvailableCommand() {
				line(".TP")
				line(`\fB%s\fR`, roff(sub.Name()))
				line("%s", roff(sub.Short))
			}
		}
	}
	if c.HasAvailableFlags() {
		line(".SH OPTIONS")
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Hidden {
				return
			}
			kind, usage := pflag.UnquoteUsage(f)
			name := `\fB` + roff("--"+f.Name) + `\fR`
			if f.Shorthand != "" {
				name = `\fB` + roff("-"+f.Shorthand) + `\fR, ` + name
			}
			if kind != "" {
				name += " " + roff(kind)
			}
			line(".TP")
			line("%s", name)
			line("%s", roff(usage))
		})
	}
	if c.Example != "" {
		line(".SH EXAMPLES")
		verbatim(line, c.Example)
	}
	if !c.HasParent() {
		line(".SH EXIT STATUS")
		for code, text := range control.Codes {
			line(".TP")
			line(`\fB%d\fR`, code)
			line("%s", roff(text))
		}
		line(".SH ENVIRONMENT")
		line(".PP")
		line("%s", roff("A flag wins over an environment variable, that over the settings file. "+
			"NO_COLOR switches colours off."))
		for _, s := range config.Settings() {
			line(".TP")
			line(`\fB%s\fR`, roff(s.Env))
			line("%s", roff(s.Help))
		}
		line(".SH FILES")
		for _, f := range [][2]string{
			{"~/.config/taolight/taolight.toml, /etc/taolight/taolight.toml", "settings; the first that exists is read"},
			{"~/.local/share/taolight, /var/lib/taolight", "data, one folder for each network; the latter is the service's"},
		} {
			line(".TP")
			line("%s", roff(f[0]))
			line("%s", roff(f[1]))
		}
	}
	var also []string
	if c.HasParent() {
		also = append(also, manName(c.Parent()))
	}
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			also = append(also, manName(sub))
		}
	}
	line(".SH SEE ALSO")
	for i, name := range also {
		comma := ","
		if i == len(also)-1 {
			comma = ""
		}
		line(".BR %s (1)%s", roff(name), comma)
	}
	return b.Bytes()
}

// paragraphs writes a help text; a paragraph with indented lines is a list and keeps its lines.
func paragraphs(line func(string, ...any), text string) {
	for _, p := range strings.Split(strings.TrimSpace(text), "\n\n") {
		if strings.Contains("\n"+p, "\n ") {
			verbatim(line, p)
			continue
		}
		line(".PP")
		for _, l := range strings.Split(p, "\n") {
			line("%s", roff(l))
		}
	}
}

// verbatim writes lines as they are.
func verbatim(line func(string, ...any), text string) {
	line(".PP")
	line(".nf")
	for _, l := range strings.Split(strings.Trim(text, "\n"), "\n") {
		line("%s", roff(l))
	}
	line(".fi")
}

// roff makes text out of what could be read as a request or an escape.
func roff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`, `"`, `\(dq`).Replace(s)
	if strings.HasPrefix(s, ".") || strings.HasPrefix(s, "'") {
		s = `\&` + s
	}
	return s
}
