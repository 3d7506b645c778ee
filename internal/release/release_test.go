package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestIdentify(t *testing.T) {
	for _, c := range []struct {
		text string
		want []string
	}{
		{"", nil},
		{"All rights reserved.", nil},
		{"Permission is hereby granted,\n  free of charge, to any person", []string{"MIT"}},
		{"Redistribution and use in source and binary forms, with … endorse or promote products", []string{"BSD-3-Clause"}},
		{"Redistribution and use in\nsource and binary forms, with or without", []string{"BSD-2-Clause"}},
		{"Apache License\n   Version 2.0, January 2004", []string{"Apache-2.0"}},
		{"Apache License Version 2.0 … Permission is hereby granted, free of charge", []string{"Apache-2.0", "MIT"}},
		{"Mozilla Public License, version 2.0 … means either the GNU General Public License, Version 2.0", []string{"MPL-2.0"}},
		{"GNU GENERAL PUBLIC LICENSE\nVersion 3, 29 June 2007", []string{"GPL"}},
		{"GNU LESSER GENERAL PUBLIC LICENSE", []string{"LGPL"}},
		{"Permission to use, copy, modify, and/or distribute this software for any purpose", []string{"ISC"}},
	} {
		if got := identify(c.text); !slices.Equal(got, c.want) {
			t.Errorf("%q: %v, want %v", c.text, got, c.want)
		}
	}
}

// TestLicenceOfModule: what may not be linked, and what nobody knows, stops a release.
func TestLicenceOfModule(t *testing.T) {
	for _, c := range []struct {
		name  string
		files map[string]string
		want  []string
		bad   bool
	}{
		{"MIT", map[string]string{"LICENSE": "Permission is hereby granted, free of charge"}, []string{"MIT"}, false},
		{"both", map[string]string{"LICENSE-MIT": "Permission is hereby granted, free of charge", "LICENSE-APACHE": "Apache License Version 2.0"}, []string{"Apache-2.0", "MIT"}, false},
		{"none", map[string]string{"README.md": "MIT"}, nil, true},
		{"a notice alone", map[string]string{"NOTICE": "Apache License Version 2.0"}, nil, true},
		{"GPL beside MIT", map[string]string{"COPYING": "GNU General Public License", "LICENSE": "Permission is hereby granted, free of charge"}, nil, true},
	} {
		dir := t.TempDir()
		for name, text := range c.files {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		var p part
		err := p.licence(dir)
		if c.bad != errors.Is(err, errLicence) || !c.bad && !slices.Equal(p.licences, c.want) {
			t.Errorf("%s: %v, %v", c.name, p.licences, err)
		}
	}
}

func TestVersion(t *testing.T) {
	r := &release{root: "../..", time: time.Unix(1796054400, 0).UTC()} // 2026-11-30 16:00
	tagged, err := r.versionOf("")
	if err != nil {
		t.Fatal(err)
	}
	between, err := r.versionOf("0123456789abcdef0123456789abcdef01234567")
	if err != nil || between != tagged+"~20261130.0123456789ab" {
		t.Errorf("%q, %v", between, err)
	}
	for _, commit := range []string{"main", "0123", "0123456789ab; rm"} {
		if v, err := r.versionOf(commit); err == nil {
			t.Errorf("commit %q makes %q", commit, v)
		}
	}
}

// TestSettings: the settings that are installed are the example, but for the service's folder.
func TestSettings(t *testing.T) {
	r := &release{root: "../.."}
	got, err := r.settings("/var/lib/taolight")
	if err != nil {
		t.Fatal(err)
	}
	var set []string
	for line := range strings.Lines(string(got)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			set = append(set, line)
		}
	}
	if want := []string{`data_dir = "/var/lib/taolight"`}; !slices.Equal(set, want) {
		t.Errorf("settings %q, want %q", set, want)
	}
}

// TestExamples: files that other programs read are at least in their language.
func TestExamples(t *testing.T) {
	b, err := os.ReadFile("../../contrib/gokrazy/config.json")
	if err != nil {
		t.Fatal(err)
	}
	var c struct {
		Packages      []string
		PackageConfig map[string]struct{ CommandLineFlags []string }
	}
	if err := json.Unmarshal(b, &c); err != nil {
		t.Fatal(err)
	}
	for _, p := range c.Packages {
		if len(c.PackageConfig[p].CommandLineFlags) == 0 {
			t.Errorf("%s: no configuration", p)
		}
	}
}
