package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/goreleaser/nfpm/v2"
	"github.com/goreleaser/nfpm/v2/deb"
	"github.com/goreleaser/nfpm/v2/files"
	"github.com/goreleaser/nfpm/v2/ipk"
)

const (
	homepage = "https://github.com/taolight/taolight"
	summary  = "light node for Bittensor"
	details  = "taolight joins the Bittensor network itself, proves block headers, finality\n" +
		"and storage from a checkpoint, and needs no server of anybody's to trust.\n" +
		"It is made for a Raspberry Pi on a solar panel and is as good on a server."
	maintainer = "The taolight authors <taolight@users.noreply.github.com>"
)

// info is what both kinds of packages say.
func (r *release) info(arch string) *nfpm.Info {
	return nfpm.WithDefaults(&nfpm.Info{
		Name: "taolight", Arch: arch, Platform: "linux", Version: r.version, VersionSchema: "none",
		Maintainer: maintainer, Homepage: homepage, License: "Apache-2.0", Description: summary + "\n" + details,
		MTime: r.time, DisableGlobbing: true,
	})
}

// A tray holds what goes into one package. Its files are read when the package is written.
type tray struct {
	r        *release
	contents files.Contents
	temp     string // for files that are made here
}

// put adds a file of the repository or of what was built.
func (t *tray) put(source, destination string, mode os.FileMode, kind string) {
	t.contents = append(t.contents, &files.Content{
		Source: source, Destination: destination, Type: kind,
		FileInfo: &files.ContentFileInfo{Owner: "root", Group: "root", Mode: mode, MTime: t.r.time},
	})
}

// write adds a file with this content.
func (t *tray) write(content []byte, destination string, kind string) error {
	path := filepath.Join(t.temp, strings.ReplaceAll(destination, "/", "_"))
	if err := os.WriteFile(path, content, 0o600); err != nil {
		return err
	}
	t.put(path, destination, 0o644, kind)
	return nil
}

// zip adds a file compressed as Debian wants documentation, without a name or a time in it.
func (t *tray) zip(content []byte, destination string) error {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return err
	}
	if _, err := w.Write(content); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	return t.write(b.Bytes(), destination, "")
}

// finish writes the package.
func (t *tray) finish(p nfpm.Packager, info *nfpm.Info, name string) (string, error) {
	info.Contents = t.contents
	if err := nfpm.PrepareForPackager(info, strings.TrimPrefix(filepath.Ext(name), ".")); err != nil {
		return "", err
	}
	f, err := os.Create(filepath.Join(t.r.out, name))
	if err != nil {
		return "", err
	}
	defer f.Close()
	if err := p.Package(info, f); err != nil {
		return "", err
	}
	return name, f.Close()
}

func (r *release) deb(arch, program string, parts []part) (string, error) {
	temp, err := os.MkdirTemp("", "taolight-deb")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(temp)
	contrib := filepath.Join(r.root, "contrib")
	t := &tray{r: r, temp: temp}
	t.put(program, "/usr/bin/taolight", 0o755, "")
	t.put(filepath.Join(contrib, "systemd", "taolight.service"), "/usr/lib/systemd/system/taolight.service", 0o644, "")
	t.put(filepath.Join(contrib, "systemd", "taolight.sysusers"), "/usr/lib/sysusers.d/taolight.conf", 0o644, "")
	t.put(filepath.Join(contrib, "udev", "60-taolight.rules"), "/usr/lib/udev/rules.d/60-taolight.rules", 0o644, "")
	t.put(filepath.Join(contrib, "prometheus", "taolight.rules.yml"), "/usr/share/doc/taolight/examples/prometheus/taolight.rules.yml", 0o644, "")
	t.put(filepath.Join(contrib, "grafana", "taolight.json"), "/usr/share/doc/taolight/examples/grafana/taolight.json", 0o644, "")
	t.put(filepath.Join(r.in, "taolight.bash"), "/usr/share/bash-completion/completions/taolight", 0o644, "")
	t.put(filepath.Join(r.in, "_taolight"), "/usr/share/zsh/vendor-completions/_taolight", 0o644, "")
	t.put(filepath.Join(r.in, "taolight.fish"), "/usr/share/fish/vendor_completions.d/taolight.fish", 0o644, "")

	settings, err := r.settings("/var/lib/taolight")
	if err != nil {
		return "", err
	}
	if err := t.write(settings, "/etc/taolight/taolight.toml", files.TypeConfigNoReplace); err != nil {
		return "", err
	}
	pages, err := filepath.Glob(filepath.Join(r.in, "man", "*.1"))
	if err != nil || len(pages) == 0 {
		return "", fmt.Errorf("%s: no man pages", r.in)
	}
	for _, page := range pages {
		b, err := os.ReadFile(page)
		if err != nil {
			return "", err
		}
		if err := t.zip(b, "/usr/share/man/man1/"+filepath.Base(page)+".gz"); err != nil {
			return "", err
		}
	}
	// Debian's form of a change log, with one entry: the program's own is CHANGELOG.md.
	entry := fmt.Sprintf("taolight (%s) unstable; urgency=medium\n\n  * See CHANGELOG.md.\n\n -- %s  %s\n",
		r.version, maintainer, r.time.Format("Mon, 02 Jan 2006 15:04:05 -0700"))
	if err := t.zip([]byte(entry), "/usr/share/doc/taolight/changelog.gz"); err != nil {
		return "", err
	}
	for _, name := range []string{"README.md", "CHANGELOG.md"} {
		b, err := os.ReadFile(filepath.Join(r.root, name))
		if err != nil {
			return "", err
		}
		if err := t.zip(b, "/usr/share/doc/taolight/"+name+".gz"); err != nil {
			return "", err
		}
	}
	if err := t.write(copyright(parts), "/usr/share/doc/taolight/copyright", ""); err != nil {
		return "", err
	}

	if err := t.zip(notices(parts), "/usr/share/doc/taolight/LICENSES.gz"); err != nil {
		return "", err
	}
	// That it is static is what makes it run on every Debian.
	override := "taolight: statically-linked-binary [usr/bin/taolight]\n"
	if err := t.write([]byte(override), "/usr/share/lintian/overrides/taolight", ""); err != nil {
		return "", err
	}

	info := r.info(arch)
	info.License = "" // no field of Debian's
	info.Section, info.Priority = "net", "optional"
	info.Depends = []string{"init-system-helpers (>= 1.52)", "passwd"}
	info.Recommends = []string{"ca-certificates"}
	info.Deb.Compression = "xz"
	scripts := filepath.Join(contrib, "deb")
	info.Scripts = nfpm.Scripts{
		PostInstall: filepath.Join(scripts, "postinst"), PreRemove: filepath.Join(scripts, "prerm"),
		PostRemove: filepath.Join(scripts, "postrm"),
	}
	return t.finish(deb.Default, info, fmt.Sprintf("taolight_%s_%s.deb", r.version, arch))
}

func (r *release) ipk(arch, program string, parts []part) (string, error) {
	temp, err := os.MkdirTemp("", "taolight-ipk")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(temp)
	contrib := filepath.Join(r.root, "contrib", "openwrt")
	t := &tray{r: r, temp: temp}
	t.put(program, "/usr/bin/taolight", 0o755, "")
	t.put(filepath.Join(contrib, "taolight.init"), "/etc/init.d/taolight", 0o755, "")
	t.put(filepath.Join(contrib, "taolight.config"), "/etc/config/taolight", 0o600, files.TypeConfigNoReplace)
	if err := t.zip(notices(parts), "/usr/share/doc/taolight/LICENSES.gz"); err != nil {
		return "", err
	}
	info := r.info(arch)
	info.Section = "net"
	info.Scripts = nfpm.Scripts{PostInstall: filepath.Join(contrib, "postinst"), PreRemove: filepath.Join(contrib, "prerm")}
	info.IPK.Fields = map[string]string{"Require-User": "taolight:taolight"}
	return t.finish(ipk.Default, info, fmt.Sprintf("taolight_%s_%s.ipk", r.version, arch))
}

var dataDirLine = regexp.MustCompile(`(?m)^#data_dir = ".*"$`)

// settings is contrib/taolight.toml, which shows the defaults, with the service's folder in it, so that
// other commands find the running node.
func (r *release) settings(dataDir string) ([]byte, error) {
	b, err := os.ReadFile(filepath.Join(r.root, "contrib", "taolight.toml"))
	if err != nil {
		return nil, err
	}
	if n := len(dataDirLine.FindAll(b, -1)); n != 1 {
		return nil, fmt.Errorf("contrib/taolight.toml: data_dir stands there %d times", n)
	}
	return dataDirLine.ReplaceAll(b, []byte(`data_dir = "`+dataDir+`"`)), nil
}
