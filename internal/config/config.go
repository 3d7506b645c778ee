// Package config reads the settings of a node: a flag wins over an environment variable, that over
// the settings file, that over the default.
//
// It promises that every setting has one name in each place, that a wrong name or value is an error
// that says where it stands and, if one is near, which name was meant, and that a Config it returns
// has passed every check that needs no network and no disk. Reading the settings has no effect.
//
// It never dials, opens a data directory or creates a file, holds no key or password, and knows
// nothing of what a setting does: whoever uses one gives it its meaning.
package config

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// The errors of this package. Each is wrapped with the place: `taolight.toml:3: max_peer`,
// `environment TAOLIGHT_MAX_PEERS`, `flag --max-peers`.
var (
	// ErrUnknown: no setting has this name.
	ErrUnknown = errors.New("no such setting")
	// ErrValue: the setting exists, but cannot have this value.
	ErrValue = errors.New("bad value")
	// ErrSyntax: the file is not TOML.
	ErrSyntax = errors.New("not a TOML file")
	// ErrNoHome: no place for data was given and none can be derived.
	ErrNoHome = errors.New("no home directory to keep data in; give one with --data-dir")
)

// The networks that have names. Anything else in Network is the path of a file.
const (
	Finney = "finney" // the main network
	Test   = "test"   // the test network; "testfinney" is read as this
	Demo   = "demo"   // the embedded one
)

// How a node that is synced learns of newly finalized blocks.
const (
	Follow = "follow" // from announced blocks and the voters' commits, as they come
	Pull   = "pull"   // by asking for a warp proof now and then: less traffic, later news
)

// MaxPeers bounds how many peers a node may be told to keep: its memory is budgeted for so many.
const MaxPeers = 40

// MaxArchiveMB and MaxWatch bound the archive of weight commitments, in millions of bytes and in subnets:
// it is a quarter of the store, which stays under the 256 MiB that 32-bit boards can map.
const (
	MaxArchiveMB = 64
	MaxWatch     = 64
)

// Config is one node's settings. Paths are as written, relative to the working directory.
type Config struct {
	Network    string   // Finney, Test, Demo, or the path of a chain spec or checkpoint file
	DataDir    string   // folder that holds one folder per network
	Peers      []string // multiaddrs ending in /p2p/ID, dialled besides the ones the network names
	MaxPeers   int      // connections kept, 1 to MaxPeers
	Finality   string   // Follow or Pull
	Checkpoint string   // checkpoint file or NUMBER:HASH instead of the built-in one; empty = built-in
	Watch      []uint16 // subnets whose weight commitments are kept with their proofs
	ArchiveMB  int      // bound of what is kept of them, in millions of bytes, 1 to MaxArchiveMB
	Gossip     bool     // hand proofs to other light nodes and take theirs
	LAN        bool     // look for them on the local network, and be found there
	Listen     []string // multiaddrs to listen on for them; empty: port GossipPort, on loopback for a demo network
	Carriers   []string // dir:PATH, serial:DEVICE or exec:COMMAND, which carry proofs without an internet
	LogLevel   string   // debug, info, warn or error

	origin map[string]string
}

// A Setting is one row of the table that flags, environment, file and help are made from.
type Setting struct {
	Key     string // in the file: data_dir
	Flag    string // on the command line, without dashes: data-dir
	Env     string // in the environment: TAOLIGHT_DATA_DIR
	Help    string // one line for --help and the example file
	Default string // as text; a list's items separated by spaces
	List    bool   // the flag may be repeated; in the file an array

	set func(c *Config, values []string) error
}

// settings is the table; it is read only.
var settings = []Setting{
	{Key: "network", Help: "finney, test, demo, or a chain spec or checkpoint file", Default: Finney,
		set: func(c *Config, v []string) (err error) { c.Network, err = network(v[0]); return err }},
	{Key: "data_dir", Help: "folder for what the node keeps, one folder in it per network",
		set: func(c *Config, v []string) error { c.DataDir = v[0]; return notEmpty(v[0]) }},
	{Key: "peers", Flag: "peer", Help: "address of a peer to dial, like /ip4/192.0.2.1/tcp/30333/p2p/12D3Koo…", List: true,
		set: func(c *Config, v []string) (err error) { c.Peers, err = peers(v); return err }},
	{Key: "max_peers", Help: "how many peers to stay connected to, 1 to 40", Default: "8",
		set: func(c *Config, v []string) (err error) { c.MaxPeers, err = between(v[0], 1, MaxPeers); return err }},
	{Key: "finality", Help: "follow: hear of each finalized block; pull: ask now and then", Default: Follow,
		set: func(c *Config, v []string) (err error) { c.Finality, err = oneOf(v[0], Follow, Pull); return err }},
	{Key: "checkpoint", Help: "file or NUMBER:HASH to trust instead of the built-in checkpoint",
		set: func(c *Config, v []string) error { c.Checkpoint = v[0]; return nil }},
	{Key: "watch", Help: "subnet whose weight commitments to keep with their proofs, like 18", List: true,
		set: func(c *Config, v []string) (err error) { c.Watch, err = netuids(v); return err }},
	{Key: "archive_mb", Help: "how much to keep of them, in MB, 1 to 64", Default: "16",
		set: func(c *Config, v []string) (err error) { c.ArchiveMB, err = between(v[0], 1, MaxArchiveMB); return err }},
	{Key: "gossip", Help: "on: hand proofs to other light nodes and take theirs; off", Default: "on",
		set: func(c *Config, v []string) (err error) { c.Gossip, err = onOff(v[0]); return err }},
	{Key: "lan", Help: "on: find light nodes on the local network, and be found (mDNS); off", Default: "on",
		set: func(c *Config, v []string) (err error) { c.LAN, err = onOff(v[0]); return err }},
	{Key: "listen", Help: "where light nodes may dial, like /ip4/0.0.0.0/tcp/30334", List: true,
		set: func(c *Config, v []string) (err error) { c.Listen, err = listen(v); return err }},
	{Key: "carriers", Flag: "carrier", Help: "dir:PATH, serial:DEVICE or exec:COMMAND: proofs without an internet", List: true,
		set: func(c *Config, v []string) (err error) { c.Carriers, err = carriers(v); return err }},
	{Key: "log_level", Help: "debug, info, warn or error", Default: "info",
		set: func(c *Config, v []string) (err error) {
			c.LogLevel, err = oneOf(v[0], "debug", "info", "warn", "error")
			return err
		}},
}

// GossipPort is where a node listens for other light nodes unless told otherwise.
const GossipPort = 30334

// Settings returns every setting, for the flags and the help of a command.
func Settings() []Setting {
	all := slices.Clone(settings)
	for i := range all {
		s := &all[i]
		if s.Flag == "" {
			s.Flag = strings.ReplaceAll(s.Key, "_", "-")
		}
		s.Env = prefix + strings.ToUpper(s.Key)
	}
	return all
}

// Origin says where a setting's value comes from, by its key: "flag --network", "environment
// TAOLIGHT_NETWORK", "PATH:3" or "default".
func (c *Config) Origin(key string) string { return c.origin[key] }

// Dir returns the folder of this network's data: DataDir and the network's name, or the name of its
// file without the ending.
func (c *Config) Dir() string {
	name := filepath.Base(c.Network)
	if !named(c.Network) {
		name = strings.TrimSuffix(name, filepath.Ext(name))
	}
	return filepath.Join(c.DataDir, name)
}

// Level returns LogLevel as slog has it.
func (c *Config) Level() slog.Level {
	var l slog.Level
	if err := l.UnmarshalText([]byte(c.LogLevel)); err != nil {
		return slog.LevelInfo
	}
	return l
}

func named(network string) bool {
	return network == Finney || network == Test || network == Demo
}

// network accepts a name or what looks like a file, so that a mistyped name is not taken for a file
// that happens to be missing.
func network(s string) (string, error) {
	switch {
	case s == "testfinney":
		return Test, nil
	case named(s):
		return s, nil
	case strings.ContainsAny(s, `./\`) && strings.Trim(filepath.Base(s), `./\`) != "":
		return s, nil
	}
	names := []string{Finney, Test, Demo}
	return "", fmt.Errorf("%w %q: want %s or a file%s", ErrValue, s, strings.Join(names, ", "), meant(s, names))
}

func peers(list []string) ([]string, error) {
	var out []string
	for _, p := range list {
		if !strings.HasPrefix(p, "/") || !strings.Contains(p, "/p2p/") || strings.HasSuffix(p, "/p2p/") {
			return nil, fmt.Errorf("%w %q: want a multiaddr like /ip4/192.0.2.1/tcp/30333/p2p/12D3Koo…", ErrValue, p)
		}
		if !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	return out, nil
}

// netuids reads subnets, several of them separated by commas if need be. 0 is the root subnet, which has
// no weights; mechanisms are counted from 4096 on.
func netuids(list []string) ([]uint16, error) {
	var out []uint16
	for _, text := range list {
		for s := range strings.SplitSeq(text, ",") {
			n, err := between(strings.TrimSpace(s), 1, 4095)
			if err != nil {
				return nil, err
			}
			if !slices.Contains(out, uint16(n)) {
				out = append(out, uint16(n))
			}
		}
	}
	if len(out) > MaxWatch {
		return nil, fmt.Errorf("%w: %d subnets, at most %d", ErrValue, len(out), MaxWatch)
	}
	return out, nil
}

func between(s string, least, most int) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < least || n > most {
		return 0, fmt.Errorf("%w %q: want a whole number from %d to %d", ErrValue, s, least, most)
	}
	return n, nil
}

func oneOf(s string, words ...string) (string, error) {
	if !slices.Contains(words, s) {
		return "", fmt.Errorf("%w %q: want %s%s", ErrValue, s, strings.Join(words, " or "), meant(s, words))
	}
	return s, nil
}

func onOff(s string) (bool, error) {
	word, err := oneOf(s, "on", "off")
	return word == "on", err
}

func listen(list []string) ([]string, error) {
	for _, a := range list {
		if !strings.HasPrefix(a, "/ip") || !strings.Contains(a, "/tcp/") || strings.Contains(a, "/p2p/") {
			return nil, fmt.Errorf("%w %q: want a multiaddr like /ip4/0.0.0.0/tcp/30334", ErrValue, a)
		}
	}
	return list, nil
}

func carriers(list []string) ([]string, error) {
	for _, c := range list {
		kind, rest, _ := strings.Cut(c, ":")
		if _, err := oneOf(kind, "dir", "serial", "exec"); err != nil || rest == "" {
			return nil, fmt.Errorf("%w %q: want dir:PATH, serial:DEVICE or exec:COMMAND", ErrValue, c)
		}
	}
	return list, nil
}

func notEmpty(s string) error {
	if s == "" {
		return fmt.Errorf("%w: empty", ErrValue)
	}
	return nil
}

// meant returns `; did you mean "x"?` for the one of words that is nearest to s, if one is near.
func meant(s string, words []string) string {
	if w := nearest(s, words); w != "" {
		return fmt.Sprintf("; did you mean %q?", w)
	}
	return ""
}

// nearest returns the one of words that is fewest and at most two edits from s, or nothing.
func nearest(s string, words []string) string {
	best, least := "", 3
	for _, w := range words {
		if d := distance(strings.ToLower(s), w, least); d < least && d < len(w) {
			best, least = w, d
		}
	}
	return best
}

// distance returns how many letters have to be put in, left out, changed or swapped with the next
// to make b of a, or most if it is that many or more.
func distance(a, b string, most int) int {
	if len(a)-len(b) >= most || len(b)-len(a) >= most {
		return most
	}
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			d := min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d = min(d, rows[i-2][j-2]+1)
			}
			rows[i][j] = d
		}
	}
	return min(rows[len(a)][len(b)], most)
}
