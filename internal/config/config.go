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
	"net/netip"
	"net/url"
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
	Network     string   // Finney, Test, Demo, or the path of a chain spec or checkpoint file
	DataDir     string   // folder that holds one folder per network
	Peers       []string // multiaddrs ending in /p2p/ID, dialled besides the ones the network names
	MaxPeers    int      // connections kept, 1 to MaxPeers
	Finality    string   // Follow or Pull
	Checkpoint  string   // checkpoint file or NUMBER:HASH instead of the built-in one; empty = built-in
	Watch       []uint16 // subnets whose weight commitments are kept with their proofs
	ArchiveMB   int      // bound of what is kept of them, in millions of bytes, 1 to MaxArchiveMB
	Gossip      bool     // hand proofs to other light nodes and take theirs
	Carry       string   // whose transactions to carry to the chain: "off", "lan" or "all"
	LAN         bool     // look for them on the local network, and be found there
	Listen      []string // multiaddrs to listen on for them; empty: port GossipPort, on loopback for a demo network
	Carriers    []string // dir:PATH, serial:DEVICE or exec:COMMAND, which carry proofs without an internet
	MaxMBPerDay float64  // millions of bytes a day in both directions; 0: no limit
	RPC         RPC
	Alerts      Alerts
	Power       Power
	DemoNeurons bool // a demo network has two miners and a validator in it
	Neuron      Neuron
	LogLevel    string // debug, info, warn or error

	origin map[string]string
}

// RPC is for tools that ask by JSON-RPC.
type RPC struct {
	Listen  string   // ADDRESS:PORT, or None
	Best    bool     // show blocks that may still be replaced
	Submit  bool     // take transactions from others than this machine
	Origins []string // of web pages that may ask; "*": all
	Hosts   []string // names by which it may be asked
	Rate    int      // requests a second of one address; 0: no limit
}

// Alerts wake the owner.
type Alerts struct {
	Exec    string   // command; empty: none
	Webhook string   // web address; empty: none
	On      []string // of AlertTopics
	Every   int      // least minutes between two of one kind
}

// AlertTopics are what alerts can be about.
var AlertTopics = []string{"commits", "neurons", "deadline", "finality", "power"}

// None is what RPC.Listen is where nobody may ask.
const None = "none"

// Power is what the owner of a battery knows and wants. Percentages of 0 are the chemistry's.
type Power struct {
	Sources       []string // auto, none, sysfs, or KIND:WHAT with one of SourceKinds
	Chemistry     string   // auto, lifepo4, li-ion or lead-acid
	CapacityWh    float64  // 0: unknown
	Cells         int      // in series; 0: by the voltage
	Eco           float64  // percent below which the node leaves full
	Survive       float64
	Park          float64
	LeavePark     float64
	FloorLearning bool
	Assume        string // full, eco or survive: where no battery is seen
	Lat, Lon      float64
	YieldShare    float64 // percent of yesterday's yield that a day may cost; 0: not looked at
	IdleWatts     float64 // of the board; 0: published figures
	InvertCurrent bool    // a hwmon meter is wired the other way round
	OnLevel       string  // command run at each change of level; empty: none

	Uplink Uplink
}

// Uplink is a link that the node switches. Without commands it is not the node's to switch.
type Uplink struct {
	On, Off     string // commands
	Window      string // LEN/EVERY in blocks
	Watts       float64
	MaxWhPerDay float64
}

// SourceKinds are the kinds of meters that are told what to ask: KIND:WHAT.
var SourceKinds = []string{"vedirect", "nut", "file", "exec", "epever", "venus"}

// A Setting is one row of the table that flags, environment, file and help are made from.
type Setting struct {
	Key     string // in the file: data_dir; power.sources is sources in the table [power]
	Flag    string // on the command line, without dashes: data-dir
	Env     string // in the environment: TAOLIGHT_DATA_DIR
	Help    string // one line for --help and the example file
	Default string // as text; a list's items separated by spaces
	List    bool   // the flag may be repeated; in the file an array
	Bool    bool   // true or false, in the file without quotes
	Switch  bool   // the flag alone means true

	Short  string   // one letter for the flag
	Neuron bool     // of a miner or a validator alone
	Also   []string // variables of the environment by which others know it; Env wins over them

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
	{Key: "watch", Help: "subnet whose commitments and epochs to keep with their proofs, like 18", List: true,
		set: func(c *Config, v []string) (err error) { c.Watch, err = netuids(v); return err }},
	{Key: "archive_mb", Help: "how much to keep of them, in MB, 1 to 64", Default: "16",
		set: func(c *Config, v []string) (err error) { c.ArchiveMB, err = between(v[0], 1, MaxArchiveMB); return err }},
	{Key: "gossip", Help: "on: hand proofs to other light nodes and take theirs; off", Default: "on",
		set: func(c *Config, v []string) (err error) { c.Gossip, err = onOff(v[0]); return err }},
	{Key: "carry", Help: "whose transactions to carry to the chain: off, lan (neighbours of private networks) or all", Default: "lan",
		set: func(c *Config, v []string) (err error) { c.Carry, err = oneOf(v[0], "off", "lan", "all"); return err }},
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
	{Key: "demo_neurons", Help: "on: two miners and a validator on a demo network; off", Default: "on",
		set: func(c *Config, v []string) (err error) { c.DemoNeurons, err = onOff(v[0]); return err }},
	{Key: "max_mb_per_day", Help: "most traffic of a day in MB, both ways; 0: no limit", Default: "0",
		set: func(c *Config, v []string) (err error) { c.MaxMBPerDay, err = decimal(v[0], 0, 1e6); return err }},

	{Key: "rpc.listen", Help: "where tools may ask by JSON-RPC: ADDRESS:PORT, or none", Default: "127.0.0.1:9944",
		set: func(c *Config, v []string) (err error) { c.RPC.Listen, err = rpcListen(v[0]); return err }},
	{Key: "rpc.best", Help: "show them blocks that may still be replaced, as full nodes do", Default: "false", Bool: true, Switch: true,
		set: func(c *Config, v []string) (err error) { c.RPC.Best, err = truth(v[0]); return err }},
	{Key: "rpc.submit", Help: "take transactions also from other machines", Default: "false", Bool: true, Switch: true,
		set: func(c *Config, v []string) (err error) { c.RPC.Submit, err = truth(v[0]); return err }},
	{Key: "rpc.origins", Flag: "rpc-origin", Help: "web page that may ask, besides local ones; * is any", Default: "https://polkadot.js.org", List: true,
		set: func(c *Config, v []string) (err error) { c.RPC.Origins, err = origins(v); return err }},
	{Key: "rpc.hosts", Flag: "rpc-host", Help: "name by which other machines may ask, like pi.lan", List: true,
		set: func(c *Config, v []string) (err error) { c.RPC.Hosts, err = hosts(v); return err }},
	{Key: "rpc.rate", Help: "requests a second that one address may make; 0: no limit", Default: "1000",
		set: func(c *Config, v []string) (err error) { c.RPC.Rate, err = between(v[0], 0, 1e6); return err }},

	{Key: "alerts.exec", Flag: "alert-exec", Help: "command to run for each alert; its environment tells what it is", Default: "",
		set: func(c *Config, v []string) error { c.Alerts.Exec = v[0]; return nil }},
	{Key: "alerts.webhook", Flag: "alert-webhook", Help: "web address to send each alert to, as JSON", Default: "",
		set: func(c *Config, v []string) (err error) { c.Alerts.Webhook, err = webhook(v[0]); return err }},
	{Key: "alerts.on", Flag: "alert-on", Help: "commits, neurons, deadline, finality or power", Default: "", List: true,
		set: func(c *Config, v []string) (err error) { c.Alerts.On, err = alertTopics(v); return err }},
	{Key: "alerts.every", Flag: "alert-every", Help: "least minutes between two alerts of one kind", Default: "60",
		set: func(c *Config, v []string) (err error) { c.Alerts.Every, err = between(v[0], 1, 10080); return err }},

	{Key: "power.sources", Flag: "power-source", Help: "meter to read: auto, none, sysfs, vedirect:PORT, nut:UPS@HOST, …", Default: "auto", List: true,
		set: func(c *Config, v []string) (err error) { c.Power.Sources, err = powerSources(v); return err }},
	{Key: "power.chemistry", Help: "auto, lifepo4, li-ion or lead-acid", Default: "auto",
		set: func(c *Config, v []string) (err error) {
			c.Power.Chemistry, err = oneOf(v[0], "auto", "lifepo4", "li-ion", "lead-acid")
			return err
		}},
	{Key: "power.capacity_wh", Help: "what the battery holds, in Wh; 0: unknown", Default: "0",
		set: func(c *Config, v []string) (err error) { c.Power.CapacityWh, err = decimal(v[0], 0, 1e6); return err }},
	{Key: "power.cells", Help: "cells in series; 0: found out", Default: "0",
		set: func(c *Config, v []string) (err error) { c.Power.Cells, err = between(v[0], 0, 400); return err }},
	{Key: "power.eco", Help: "percent below which to do less; 0: the chemistry's", Default: "0",
		set: func(c *Config, v []string) (err error) { c.Power.Eco, err = decimal(v[0], 0, 100); return err }},
	{Key: "power.survive", Help: "percent below which to wake in windows only", Default: "0",
		set: func(c *Config, v []string) (err error) { c.Power.Survive, err = decimal(v[0], 0, 100); return err }},
	{Key: "power.park", Help: "percent below which to stop", Default: "0",
		set: func(c *Config, v []string) (err error) { c.Power.Park, err = decimal(v[0], 0, 100); return err }},
	{Key: "power.leave_park", Help: "percent from which on to start again, while charging", Default: "0",
		set: func(c *Config, v []string) (err error) { c.Power.LeavePark, err = decimal(v[0], 0, 100); return err }},
	{Key: "power.floor_learning", Help: "true: save more after days on which the battery was low", Default: "true", Bool: true,
		set: func(c *Config, v []string) (err error) { c.Power.FloorLearning, err = truth(v[0]); return err }},
	{Key: "power.assume", Help: "level where no battery is seen: full, eco or survive", Default: "full",
		set: func(c *Config, v []string) (err error) {
			c.Power.Assume, err = oneOf(v[0], "full", "eco", "survive")
			return err
		}},
	{Key: "power.lat", Help: "latitude in degrees, for the hours until sunrise; 0 and 0: unknown", Default: "0",
		set: func(c *Config, v []string) (err error) { c.Power.Lat, err = decimal(v[0], -90, 90); return err }},
	{Key: "power.lon", Help: "longitude in degrees", Default: "0",
		set: func(c *Config, v []string) (err error) { c.Power.Lon, err = decimal(v[0], -180, 180); return err }},
	{Key: "power.yield_share", Help: "percent of yesterday's solar yield to spend a day; 0: not looked at", Default: "0",
		set: func(c *Config, v []string) (err error) { c.Power.YieldShare, err = decimal(v[0], 0, 100); return err }},
	{Key: "power.idle_watts", Help: "what the board draws when idle; 0: published figures", Default: "0",
		set: func(c *Config, v []string) (err error) { c.Power.IdleWatts, err = decimal(v[0], 0, 1000); return err }},
	{Key: "power.invert_current", Help: "true: an INA meter counts draining as positive", Default: "false", Bool: true,
		set: func(c *Config, v []string) (err error) { c.Power.InvertCurrent, err = truth(v[0]); return err }},
	{Key: "power.on_level", Help: "command to run at each change of level", Default: "",
		set: func(c *Config, v []string) error { c.Power.OnLevel = v[0]; return nil }},
	{Key: "power.uplink.on", Help: "command that switches the link on", Default: "",
		set: func(c *Config, v []string) error { c.Power.Uplink.On = v[0]; return nil }},
	{Key: "power.uplink.off", Help: "command that switches the link off", Default: "",
		set: func(c *Config, v []string) error { c.Power.Uplink.Off = v[0]; return nil }},
	{Key: "power.uplink.window", Help: "when to be awake in survive, in blocks: LEN/EVERY", Default: "15/1200",
		set: func(c *Config, v []string) (err error) { c.Power.Uplink.Window, err = window(v[0]); return err }},
	{Key: "power.uplink.watts", Help: "what the link draws", Default: "0",
		set: func(c *Config, v []string) (err error) { c.Power.Uplink.Watts, err = decimal(v[0], 0, 1e4); return err }},
	{Key: "power.uplink.max_wh_per_day", Help: "most energy of a day for the link; 0: no limit", Default: "0",
		set: func(c *Config, v []string) (err error) {
			c.Power.Uplink.MaxWhPerDay, err = decimal(v[0], 0, 1e6)
			return err
		}},
}

// dashes turns a key into words with dashes, and underscores into a name for the environment.
var dashes, underscores = strings.NewReplacer("_", "-", ".", "-"), strings.NewReplacer(".", "_")

// GossipPort is where a node listens for other light nodes unless told otherwise.
const GossipPort = 30334

// Settings returns every setting, for the flags and the help of a command.
func Settings() []Setting {
	all := slices.Concat(settings, neuronSettings)
	for i := range all {
		s := &all[i]
		s.Neuron = i >= len(settings)
		if s.Flag == "" {
			s.Flag = dashes.Replace(s.Key)
		}
		s.Env = prefix + strings.ToUpper(underscores.Replace(s.Key))
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

func decimal(s string, least, most float64) (float64, error) {
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || !(v >= least && v <= most) {
		return 0, fmt.Errorf("%w %q: want a number from %g to %g", ErrValue, s, least, most)
	}
	return v, nil
}

func truth(s string) (bool, error) {
	s, err := oneOf(s, "true", "false")
	return s == "true", err
}

// window accepts LEN/EVERY with LEN from 1 to EVERY and EVERY of at most the 7,200 blocks of a day.
func window(s string) (string, error) {
	a, b, _ := strings.Cut(s, "/")
	every, err := between(b, 1, 7200)
	if err == nil {
		_, err = between(a, 1, every)
	}
	if err != nil {
		return "", fmt.Errorf("%w %q: want LEN/EVERY in blocks, like 15/1200", ErrValue, s)
	}
	return s, nil
}

// rpcListen accepts an address of a machine and a port, so that nothing has to be looked up.
func rpcListen(s string) (string, error) {
	if s == None {
		return s, nil
	}
	if a, err := netip.ParseAddrPort(s); err != nil || a.Addr().Zone() != "" {
		return "", fmt.Errorf("%w %q: want an address with a port, like 127.0.0.1:9944, or none", ErrValue, s)
	}
	return s, nil
}

// origins accepts what browsers send: a scheme and a host, and no path.
func origins(list []string) ([]string, error) {
	var out []string
	for _, s := range list {
		scheme, host, ok := strings.Cut(s, "://")
		if s != "*" && (!ok || scheme == "" || host == "" || strings.ContainsAny(host, "/ ")) {
			return nil, fmt.Errorf("%w %q: want an origin like https://polkadot.js.org, or *", ErrValue, s)
		}
		out = append(out, s)
	}
	return out, nil
}

func hosts(list []string) ([]string, error) {
	var out []string
	for _, s := range list {
		if s == "" || strings.ContainsAny(s, "/: *") {
			return nil, fmt.Errorf("%w %q: want a name without port, like pi.lan", ErrValue, s)
		}
		out = append(out, strings.ToLower(s))
	}
	return out, nil
}

// webhook accepts an address that something can be sent to. The error does not repeat it, as it may be a secret.
func webhook(s string) (string, error) {
	u, err := url.Parse(s)
	if s != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "") {
		return "", fmt.Errorf("%w: want a web address like https://example.org/hook", ErrValue)
	}
	return s, nil
}

func alertTopics(list []string) ([]string, error) {
	var out []string
	for _, s := range list {
		if s == "" {
			continue
		}
		if _, err := oneOf(s, AlertTopics...); err != nil {
			return nil, err
		}
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out, nil
}

func powerSources(list []string) ([]string, error) {
	var out []string
	words := append([]string{"auto", "none", "sysfs"}, SourceKinds...)
	for _, s := range list {
		kind, what, told := strings.Cut(s, ":")
		switch {
		case told && what != "" && slices.Contains(SourceKinds, kind):
		case !told && slices.Contains(words[:3], s):
		case slices.Contains(SourceKinds, kind):
			return nil, fmt.Errorf("%w %q: want %s:WHAT", ErrValue, s, kind)
		default:
			return nil, fmt.Errorf("%w %q: want auto, none, sysfs or %s with a colon%s", ErrValue, s, strings.Join(SourceKinds, ", "), meant(kind, words))
		}
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	if len(out) > 1 && slices.Contains(out, "none") {
		return nil, fmt.Errorf("%w: none and others", ErrValue)
	}
	return out, nil
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
