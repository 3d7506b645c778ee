package main

import (
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// A part is a module that is linked into a program, or Go's own library.
type part struct {
	path, version, sum string // sum: as go.sum has it
	licences           []string
	text               string // of its licences and notices
}

// errLicence: a licence that may not be linked, or none that is known.
var errLicence = errors.New("licence")

// licences tells one by what all of its words stand in its text, spaces apart. The first that fits
// counts, so the narrower comes first.
var licences = []struct {
	id    string
	words []string
}{
	{"AGPL", []string{"GNU AFFERO GENERAL PUBLIC LICENSE"}},
	{"LGPL", []string{"GNU LESSER GENERAL PUBLIC LICENSE"}},
	{"GPL", []string{"GNU GENERAL PUBLIC LICENSE"}},
	{"MPL-2.0", []string{"Mozilla Public License", "2.0"}},
	{"Apache-2.0", []string{"Apache License", "Version 2.0"}},
	{"BSD-3-Clause", []string{"Redistribution and use in source and binary forms", "endorse or promote"}},
	{"BSD-2-Clause", []string{"Redistribution and use in source and binary forms"}},
	{"MIT", []string{"Permission is hereby granted, free of charge"}},
	{"ISC", []string{"Permission to use, copy, modify, and", "distribute this software for any purpose"}},
	{"CC0-1.0", []string{"CC0 1.0"}},
	// Files that only name their licences.
	{"Apache-2.0", []string{"Apache-2.0 Software License"}},
	{"MIT", []string{"MIT Software License"}},
	{"Unlicense", []string{"free and unencumbered software released into the public domain"}},
}

// identify returns the licences that a text grants. Several in one file are all found, except that the
// words of a narrower one hide the wider.
func identify(text string) []string {
	text = strings.ToLower(strings.Join(strings.Fields(text), " "))
	var found []string
	for _, l := range licences {
		fits := true
		for _, w := range l.words {
			fits = fits && strings.Contains(text, strings.ToLower(w))
		}
		if fits && !slices.Contains(found, l.id) && !(l.id == "BSD-2-Clause" && slices.Contains(found, "BSD-3-Clause")) &&
			// The MPL names the GPLs as licences that its files may change to.
			!(strings.HasSuffix(l.id, "GPL") && strings.Contains(text, "mozilla public license")) {
			found = append(found, l.id)
		}
	}
	return found
}

// licence reads the licence of a module from its folder.
func (p *part) licence(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := strings.ToUpper(e.Name())
		notice := strings.HasPrefix(name, "NOTICE")
		if e.IsDir() || !notice && !strings.HasPrefix(name, "LICENSE") && !strings.HasPrefix(name, "LICENCE") && !strings.HasPrefix(name, "COPYING") {
			continue
		}
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return err
		}
		p.text += strings.TrimSpace(string(b)) + "\n\n"
		if notice {
			continue
		}
		for _, id := range identify(string(b)) {
			if strings.HasSuffix(id, "GPL") {
				return fmt.Errorf("%w: %s %s is under the %s", errLicence, p.path, p.version, id)
			}
			if !slices.Contains(p.licences, id) {
				p.licences = append(p.licences, id)
			}
		}
	}
	if len(p.licences) == 0 {
		return fmt.Errorf("%w: of %s %s none is known", errLicence, p.path, p.version)
	}
	slices.Sort(p.licences)
	return nil
}

// modulesOf returns what is linked into a program, by what the linker wrote into it, Go first.
func modulesOf(root, program string) ([]part, error) {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return nil, err
	}
	goroot, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return nil, fmt.Errorf("go env: %w", err)
	}
	std := part{path: "std", version: strings.TrimPrefix(info.GoVersion, "go")}
	if err := std.licence(strings.TrimSpace(string(goroot))); err != nil {
		return nil, err
	}
	args := []string{"mod", "download", "-json"}
	for _, m := range info.Deps {
		if m.Replace != nil {
			return nil, fmt.Errorf("%s is replaced", m.Path)
		}
		args = append(args, m.Path+"@"+m.Version)
	}
	cmd := exec.Command("go", args...)
	cmd.Dir, cmd.Stderr = root, os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go mod download: %w", err)
	}
	dirs := map[string]string{}
	for dec := json.NewDecoder(strings.NewReader(string(out))); dec.More(); {
		var m struct{ Path, Dir string }
		if err := dec.Decode(&m); err != nil {
			return nil, fmt.Errorf("go mod download: %w", err)
		}
		dirs[m.Path] = m.Dir
	}
	parts := []part{std}
	for _, m := range info.Deps {
		p := part{path: m.Path, version: m.Version, sum: m.Sum}
		if err := p.licence(dirs[m.Path]); err != nil {
			return nil, err
		}
		parts = append(parts, p)
	}
	return parts, nil
}

// copyright is the file in which Debian says whose a package is.
func copyright(parts []part) []byte {
	var b strings.Builder
	b.WriteString("taolight (" + homepage + ")\n" +
		"Copyright the taolight authors\n\n" +
		"Licensed under the Apache License, Version 2.0; on Debian systems its text is in\n" +
		"/usr/share/common-licenses/Apache-2.0.\n\n" +
		"The program is linked with the Go library (std) and the modules below, whose licences and\n" +
		"notices are in LICENSES.gz beside this file. Their source, for those under the MPL-2.0 too, is\n" +
		"what `go mod download PATH@VERSION` fetches.\n\n")
	for _, p := range parts {
		fmt.Fprintf(&b, "  %s %s (%s)\n", p.path, p.version, strings.Join(p.licences, ", "))
	}
	return []byte(b.String())
}

// notices are the licences of all parts, each text once. They have to be passed on with the program.
func notices(parts []part) []byte {
	var b strings.Builder
	seen := map[string]bool{}
	for _, p := range parts {
		if seen[p.text] {
			continue
		}
		seen[p.text] = true
		for _, q := range parts {
			if q.text == p.text {
				b.WriteString(q.path + "\n")
			}
		}
		b.WriteString("\n" + p.text + strings.Repeat("-", 72) + "\n")
	}
	return []byte(b.String())
}
