package deptest

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// direct lists every module that taolight's own code imports, and why it is here rather than
// something smaller or our own. The commit that adds one gives its size, upkeep and licence.
var direct = map[string]string{
	"github.com/BurntSushi/toml":                "the settings file; the smallest reader of TOML that names the line of a mistake (MIT)",
	"github.com/cespare/xxhash/v2":              "XXH64 with seeds for storage keys; libp2p's metrics link it anyway (MIT)",
	"github.com/cloudflare/circl":               "BLS12-381 for drand's pulses and timelocked commitments, constant-time where secrets are (BSD-3-Clause)",
	"github.com/gorilla/websocket":              "JSON-RPC over WebSocket; libp2p's own transport links it anyway (BSD-2-Clause)",
	"github.com/klauspost/reedsolomon":          "parity for chunks that cross a lossy link (MIT)",
	"github.com/libp2p/go-libp2p":               "the network's own transport: swarm, noise, yamux, tcp, websocket; never its root package (MIT)",
	"github.com/multiformats/go-multiaddr":      "the form in which peers' addresses travel (MIT)",
	"github.com/multiformats/go-multistream":    "agrees on a substream's protocol, as libp2p's own services expect of a host (MIT)",
	"github.com/oasisprotocol/curve25519-voi":   "sr25519 at half the usual library's time, ed25519 by ZIP-215 and in batches (BSD-3-Clause)",
	"github.com/rogpeppe/go-internal":           "tests only: scripts that run the binary (BSD-3-Clause)",
	"github.com/spf13/pflag":                    "cobra's flags, to make them from the table of settings (BSD-3-Clause)",
	"github.com/spf13/cobra":                    "commands, help and shell completion without switching off the linker's pruning (Apache-2.0)",
	"go.etcd.io/bbolt":                          "one file that survives a power cut at any write (MIT)",
	"golang.org/x/crypto":                       "blake2b, and argon2 and secretbox for keyfiles (BSD-3-Clause)",
	"lukechampine.com/blake3":                   "the hash of RFC-78's metadata digest; libp2p's multihash links it anyway (MIT)",
	"rsc.io/qr":                                 "QR codes, written and nothing else (BSD-3-Clause)",
	"google.golang.org/protobuf":                "the wire form of libp2p; from v1.36.12 on it leaves the linker's pruning on (BSD-3-Clause)",
	"github.com/decred/dcrd/dcrec/secp256k1/v4": "Ethereum's signatures, which runtimes ask their host to recover; libp2p links it anyway (ISC)",
	"github.com/klauspost/compress":             "zstd, in which the chain keeps its code; only the decoder is linked (BSD-3-Clause)",
	"github.com/tetratelabs/wazero":             "executes the chain's own runtime without cgo: a compiler for amd64 and arm64, an interpreter for the rest (Apache-2.0)",
	"go.bug.st/serial":                          "serial ports at any speed, and a read that ends when the port is closed (BSD-3-Clause)",
	"golang.org/x/sys":                          "adjtimex, which the standard library lacks; libp2p links it anyway (BSD-3-Clause)",
	"golang.org/x/term":                         "a password is read from a terminal without showing it (BSD-3-Clause)",
	"github.com/libp2p/go-libp2p-pubsub":        "GossipSub v1.1 and later, with scores and IDONTWANT, as audited; between light nodes only (MIT, Apache-2.0)",
}

// released is a version with a tag; the other modules are pinned to a commit, each with a reason.
var (
	released = regexp.MustCompile(`^v\d+\.\d+\.\d+$`)
	untagged = map[string]string{
		"github.com/oasisprotocol/curve25519-voi": "has no tags; its last commit is pinned",
	}
)

type goMod struct {
	Go        string
	Toolchain string
	Require   []struct {
		Path, Version string
		Indirect      bool
	}
	Replace, Exclude []struct{ Old struct{ Path string } }
}

func readGoMod(t *testing.T) goMod {
	t.Helper()
	// Opened here so that a change of it makes a cached result stale (see sources).
	if _, err := os.ReadFile(filepath.Join(root, "go.mod")); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", "mod", "edit", "-json")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var m goMod
	if err := json.Unmarshal(out, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestModules(t *testing.T) {
	m := readGoMod(t)
	imported := map[string]bool{}
	for _, s := range allSources(t) {
		for _, i := range s.File.Imports {
			imported[strings.Trim(i.Path.Value, `"`)] = true
		}
	}
	seen := map[string]bool{}
	for _, r := range m.Require {
		var by string
		for path := range imported {
			if under(path, r.Path) {
				by = path
			}
		}
		if r.Indirect == (by != "") {
			t.Errorf("%s: marked indirect: %v, imported: %q; run go mod tidy", r.Path, r.Indirect, by)
		}
		if r.Indirect {
			continue
		}
		seen[r.Path] = true
		if direct[r.Path] == "" {
			t.Errorf("%s: a direct dependency without a reason in this test's table", r.Path)
		}
		if !released.MatchString(r.Version) && untagged[r.Path] == "" {
			t.Errorf("%s %s: not a released version", r.Path, r.Version)
		}
	}
	for path := range direct {
		if !seen[path] {
			t.Errorf("%s: in the table, but go.mod does not require it directly", path)
		}
	}
	if len(m.Replace)+len(m.Exclude) > 0 {
		t.Error("go.mod replaces or excludes: what others build would differ from what we test")
	}
	if m.Toolchain != "" {
		t.Errorf("go.mod asks for toolchain %s: the machine's own Go is used, from %s on", m.Toolchain, m.Go)
	}
	if !regexp.MustCompile(`^\d+\.\d+\.\d+$`).MatchString(m.Go) {
		t.Errorf("go.mod: go %s is not a full version", m.Go)
	}
}
