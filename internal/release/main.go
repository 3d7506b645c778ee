// Command release makes packages of the programs that were built: .deb for Debian and Raspberry Pi OS,
// .ipk for OpenWrt, a bill of materials for each program, and the SHA-256 sums of them all.
//
// It is a module of its own, so that nfpm, which writes the packages, is not in go.mod of taolight. The
// same programs and the same commit give the same bytes: every time in what it writes is
// SOURCE_DATE_EPOCH, and nothing depends on the machine.
package main

import (
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A release is what all packages of a commit share.
type release struct {
	root    string // of the repository
	in      string // programs, man pages and completions, see make package
	out     string
	version string // Debian's form, which opkg orders alike
	time    time.Time
}

func main() {
	r := new(release)
	commit := flag.String("commit", "", "the commit that is packaged, unless it is a release itself")
	flag.StringVar(&r.root, "root", "../..", "top of the repository")
	flag.StringVar(&r.in, "in", "../../build/package/in", "folder of what was built")
	flag.StringVar(&r.out, "out", "../../build/package", "folder for the packages")
	flag.Parse()
	if err := r.run(*commit, flag.Args()); err != nil {
		fmt.Fprintf(os.Stderr, "release: %v\n", err)
		os.Exit(1)
	}
}

// platforms tells for each program, by the name that the Makefile has for it, which packages it goes
// into. OpenWrt names a package by the processor that a whole system was compiled for, so one program
// makes several; the last of each list is what other boards with that processor family have.
var platforms = map[string]struct {
	deb string
	ipk []string
}{
	"linux-amd64":   {"amd64", []string{"x86_64"}},
	"linux-arm64":   {"arm64", []string{"aarch64_cortex-a53", "aarch64_cortex-a72", "aarch64_cortex-a76", "aarch64_generic"}},
	"linux-armv6":   {"armhf", []string{"arm_arm1176jzf-s_vfp", "arm_cortex-a7_neon-vfpv4"}},
	"linux-riscv64": {"riscv64", []string{"riscv64_generic"}},
}

func (r *release) run(commit string, names []string) error {
	if len(names) == 0 {
		return errors.New("name the programs to pack, such as linux-arm64")
	}
	epoch, err := strconv.ParseInt(os.Getenv("SOURCE_DATE_EPOCH"), 10, 64)
	if err != nil {
		return errors.New("SOURCE_DATE_EPOCH: want the time of the commit, in seconds")
	}
	r.time = time.Unix(epoch, 0).UTC()
	if r.version, err = r.versionOf(commit); err != nil {
		return err
	}
	var made []string
	for _, name := range names {
		p, ok := platforms[name]
		if !ok {
			return fmt.Errorf("%s: no package is made for this", name)
		}
		program := filepath.Join(r.in, name, "taolight")
		parts, err := modulesOf(r.root, program)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		bill, err := r.bill(name, program, parts)
		if err != nil {
			return fmt.Errorf("%s: bill of materials: %w", name, err)
		}
		sbom := fmt.Sprintf("taolight_%s_%s.cdx.json", r.version, name)
		if err := os.WriteFile(filepath.Join(r.out, sbom), bill, 0o644); err != nil {
			return err
		}
		deb, err := r.deb(p.deb, program, parts)
		if err != nil {
			return fmt.Errorf("%s: .deb: %w", name, err)
		}
		made = append(made, sbom, deb)
		for _, arch := range p.ipk {
			ipk, err := r.ipk(arch, program, parts)
			if err != nil {
				return fmt.Errorf("%s: .ipk: %w", name, err)
			}
			made = append(made, ipk)
		}
	}
	return r.sums(made)
}

// sums writes SHA256SUMS, as sha256sum -c reads it, and says what was made.
func (r *release) sums(names []string) error {
	slices.Sort(names)
	var text strings.Builder
	for _, name := range names {
		b, err := os.ReadFile(filepath.Join(r.out, name))
		if err != nil {
			return err
		}
		fmt.Fprintf(&text, "%x  %s\n", sha256.Sum256(b), name)
		fmt.Printf("NOTE %9d bytes  %s\n", len(b), name)
	}
	return os.WriteFile(filepath.Join(r.out, "SHA256SUMS"), []byte(text.String()), 0o644)
}

var versionLine = regexp.MustCompile(`(?m)^const version = "(\d+\.\d+\.\d+)"$`)

// versionOf returns the version in the program's source. What is packaged between two releases sorts
// before the coming one, by its day: 0.2.0~20261130.0123456789ab.
func (r *release) versionOf(commit string) (string, error) {
	b, err := os.ReadFile(filepath.Join(r.root, "cmd", "taolight", "version.go"))
	if err != nil {
		return "", err
	}
	m := versionLine.FindSubmatch(b)
	if m == nil {
		return "", errors.New("cmd/taolight/version.go: no version in it")
	}
	if commit == "" {
		return string(m[1]), nil
	}
	if !regexp.MustCompile(`^[0-9a-f]{12,40}$`).MatchString(commit) {
		return "", fmt.Errorf("commit %q: want 12 hex digits or more", commit)
	}
	return fmt.Sprintf("%s~%s.%s", m[1], r.time.Format("20060102"), commit[:12]), nil
}
