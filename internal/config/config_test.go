package config

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// example is what is installed for people to edit.
const example = "../../contrib/taolight.toml"

const peer = "/ip4/192.0.2.1/tcp/30333/p2p/12D3KooWEXAMPLE"

func TestPrecedence(t *testing.T) {
	file := filepath.Join(t.TempDir(), "taolight.toml")
	if err := os.WriteFile(file, []byte("max_peers = 3\nfinality = \"pull\"\nnetwork = \"test\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load(Sources{
		File:    file,
		Environ: []string{"HOME=/home/tao", "TAOLIGHT_MAX_PEERS=5", "TAOLIGHT_NETWORK=demo", "TAOLIGHT_FINALITY="},
		Flags:   map[string][]string{"max-peers": {"7"}, "peer": {peer, peer}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		key       string
		got, want any
		origin    string
	}{
		{"max_peers", c.MaxPeers, 7, "flag --max-peers"},
		{"network", c.Network, Demo, "environment TAOLIGHT_NETWORK"},
		{"finality", c.Finality, Pull, file + ":2"}, // an empty variable is one that is not set
		{"log_level", c.LogLevel, "info", "default"},
		{"data_dir", c.DataDir, "/home/tao/.local/share/taolight", "default"},
		{"peers", c.Peers, []string{peer}, "flag --peer"}, // twice the same is once
	} {
		if !reflect.DeepEqual(x.got, x.want) || c.Origin(x.key) != x.origin {
			t.Errorf("%s = %v from %q, want %v from %q", x.key, x.got, c.Origin(x.key), x.want, x.origin)
		}
	}
	if c.Dir() != "/home/tao/.local/share/taolight/demo" {
		t.Errorf("Dir() = %s", c.Dir())
	}
}

// TestMistakes: the error names the setting, the place and what was meant.
func TestMistakes(t *testing.T) {
	home := "HOME=/home/tao"
	for _, c := range []struct {
		name string
		file string
		env  []string
		flag map[string][]string
		err  error
		says []string
	}{
		{name: "key", file: "network = \"demo\"\n\nmax_peer = 3\n", err: ErrUnknown, says: []string{":3: ", `"max_peer"`, `did you mean "max_peers"?`}},
		{name: "dashes", file: "max-peers = 3\n", err: ErrUnknown, says: []string{":1: ", `did you mean "max_peers"?`}},
		{name: "far off", file: "subnets = 3\n", err: ErrUnknown, says: []string{`"subnets"`}},
		{name: "key in a table", file: "max_peers = 3\n[power]\nsource = [\"auto\"]\n", err: ErrUnknown, says: []string{":3: ", `"power.source"`, `did you mean "power.sources"?`}},
		{name: "key in a table of a table", file: "[power]\neco = 60\n\n[ power.uplink ]\nwats = 3\n", err: ErrUnknown, says: []string{":5: ", `did you mean "power.uplink.watts"?`}},
		{name: "dotted key", file: "power.eko = 60\n", err: ErrUnknown, says: []string{":1: ", `did you mean "power.eco"?`}},
		{name: "unknown table in a table", file: "[power.park]\npoweroff = true\n", err: ErrValue, says: []string{":1: power.park: "}},
		{name: "no table", file: "power = 3\n", err: ErrValue, says: []string{":1: power: ", "want a table"}},
		{name: "list of tables", file: "[[power]]\neco = 3\n", err: ErrValue, says: []string{":1: power: ", "want a table"}},
		{name: "percent", file: "[power]\neco = 101\n", err: ErrValue, says: []string{":2: power.eco: ", "0 to 100"}},
		{name: "not a number", file: "[power]\neco = nan\n", err: ErrValue, says: []string{"0 to 100"}},
		{name: "quoted truth", file: "[power]\nfloor_learning = 1\n", err: ErrValue, says: []string{"true or false"}},
		{name: "meter", file: "[power]\nsources = [\"vdirect:/dev/ttyUSB0\"]\n", err: ErrValue, says: []string{`did you mean "vedirect"?`}},
		{name: "meter without a port", flag: map[string][]string{"power-source": {"vedirect:"}}, err: ErrValue, says: []string{"want vedirect:WHAT"}},
		{name: "none and one", flag: map[string][]string{"power-source": {"none", "sysfs"}}, err: ErrValue},
		{name: "chemistry", file: "[power]\nchemistry = \"lifepo\"\n", err: ErrValue, says: []string{`did you mean "lifepo4"?`}},
		{name: "window", file: "[power.uplink]\nwindow = \"1200/15\"\n", err: ErrValue, says: []string{"LEN/EVERY"}},
		{name: "traffic", file: "max_mb_per_day = -1\n", err: ErrValue, says: []string{"max_mb_per_day"}},
		{name: "env in a table", env: []string{"TAOLIGHT_POWER_ECOO=3"}, err: ErrUnknown, says: []string{`did you mean "TAOLIGHT_POWER_ECO"?`}},
		{name: "table", file: "[node]\nnetwork = \"demo\"\n", err: ErrUnknown, says: []string{":1: ", `"node"`}},
		{name: "dotted", file: "node.network = \"demo\"\n", err: ErrUnknown, says: []string{":1: ", `"node"`}},
		{name: "tables", file: "[[peers]]\na = 1\n", err: ErrValue, says: []string{"peers", "list"}},
		{name: "syntax", file: "network = \"demo\"\nmax_peers = = 3\n", err: ErrSyntax, says: []string{":2: "}},
		{name: "twice", file: "max_peers = 3\nmax_peers = 4\n", err: ErrSyntax, says: []string{":2: ", "max_peers"}},
		{name: "type", file: "network = true\n", err: ErrValue, says: []string{":1: network: ", "text in quotes"}},
		{name: "list type", file: "peers = [true]\n", err: ErrValue, says: []string{"peers: item 1"}},
		{name: "list number", file: "peers = [1]\n", err: ErrValue, says: []string{"peers: ", `"1"`, "multiaddr"}},
		{name: "list in list", file: "watch = [[1]]\n", err: ErrValue, says: []string{"watch: item 1"}},
		{name: "root subnet", file: "watch = [0]\n", err: ErrValue, says: []string{"watch: ", `"0"`, "1 to 4095"}},
		{name: "mechanism", file: "watch = [4096]\n", err: ErrValue, says: []string{`"4096"`}},
		{name: "subnets in a row", flag: map[string][]string{"watch": {"1,,2"}}, err: ErrValue, says: []string{"flag --watch", `""`}},
		{name: "archive", file: "archive_mb = 65\n", err: ErrValue, says: []string{`"65"`, "1 to 64"}},
		{name: "not a list", file: "peers = \"" + peer + "\"\n", err: ErrValue, says: []string{"want a list"}},
		{name: "peer", file: "peers = [\"host:30333\"]\n", err: ErrValue, says: []string{`"host:30333"`, "multiaddr"}},
		{name: "no id", file: "peers = [\"/ip4/192.0.2.1/tcp/30333/p2p/\"]\n", err: ErrValue, says: []string{"multiaddr"}},
		{name: "range", file: "max_peers = 41\n", err: ErrValue, says: []string{`"41"`, "1 to 40"}},
		{name: "zero", file: "max_peers = 0\n", err: ErrValue},
		{name: "empty dir", file: "data_dir = \"\"\n", err: ErrValue},
		{name: "network", file: "network = \"finny\"\n", err: ErrValue, says: []string{`"finny"`, `did you mean "finney"?`}},
		{name: "finality", file: "finality = \"push\"\n", err: ErrValue, says: []string{`"push"`, "follow or pull"}},
		{name: "env value", env: []string{"TAOLIGHT_MAX_PEERS=many"}, err: ErrValue, says: []string{"environment TAOLIGHT_MAX_PEERS", `"many"`}},
		{name: "env name", env: []string{"TAOLIGHT_NETWROK=demo"}, err: ErrUnknown, says: []string{"TAOLIGHT_NETWROK", `did you mean "TAOLIGHT_NETWORK"?`}},
		{name: "env list", env: []string{"TAOLIGHT_PEERS=" + peer + ",nonsense"}, err: ErrValue, says: []string{`"nonsense"`}},
		{name: "env config", env: []string{"TAOLIGHT_CONFIG=/nonexistent/taolight.toml"}, err: os.ErrNotExist, says: []string{"settings file"}},
		{name: "flag value", flag: map[string][]string{"log-level": {"loud"}}, err: ErrValue, says: []string{"flag --log-level", `"loud"`}},
		{name: "flag name", flag: map[string][]string{"max-peer": {"1"}}, err: ErrUnknown, says: []string{"--max-peer", `did you mean "max-peers"?`}},
		{name: "flag twice", flag: map[string][]string{"network": {"demo", "test"}}, err: ErrValue, says: []string{"2 times"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			src := Sources{Environ: append([]string{home}, c.env...), Flags: c.flag}
			if c.file != "" {
				src.File = filepath.Join(t.TempDir(), "taolight.toml")
				if err := os.WriteFile(src.File, []byte(c.file), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			got, err := Load(src)
			if !errors.Is(err, c.err) {
				t.Fatalf("%+v, error %v; want %v", got, err, c.err)
			}
			for _, s := range c.says {
				if !strings.Contains(err.Error(), s) {
					t.Errorf("%q does not say %q", err, s)
				}
			}
		})
	}
}

// TestWatch: subnets come one by one, several in a word, as numbers in the file, and once.
func TestWatch(t *testing.T) {
	want := []uint16{18, 64, 1}
	for name, src := range map[string]Sources{
		"flags":       {Flags: map[string][]string{"watch": {"18", "64,1", "18"}}},
		"environment": {Environ: []string{"TAOLIGHT_WATCH=18, 64 1"}},
	} {
		src.Environ = append(src.Environ, "HOME=/home/tao")
		if c, err := Load(src); err != nil || !reflect.DeepEqual(c.Watch, want) {
			t.Errorf("%s: %+v, %v", name, c, err)
		}
	}
	if c, err := Parse("f", []byte("watch = [18, \"64\", 1]\n")); err != nil || !reflect.DeepEqual(c.Watch, want) {
		t.Errorf("file: %+v, %v", c, err)
	}
}

// TestPower: tables, flags and the environment say the same.
func TestPower(t *testing.T) {
	want := Power{Sources: []string{"sysfs", "nut:ups@localhost"}, Chemistry: "li-ion", CapacityWh: 99.5, Eco: 50, Park: 12.5, Assume: "full", Lat: 60, Lon: -20,
		Uplink: Uplink{On: "/bin/on now", Window: "10/600", Watts: 30}}
	file, err := Parse("f", []byte("[power]\nsources = [\"sysfs\", \"nut:ups@localhost\"]\nchemistry = 'li-ion'\ncapacity_wh = 99.5\neco = 50\npark = 12.5\nfloor_learning = false\n"+
		"lat = 60\nlon = -20\n[power.uplink]\non = \"/bin/on now\"\nwindow = \"10/600\"\nwatts = 30\n"))
	if err != nil || !reflect.DeepEqual(file.Power, want) {
		t.Errorf("file: %+v, %v", file, err)
	}
	if o := file.Origin("power.uplink.watts"); o != "f:13" {
		t.Errorf("from %s", o)
	}
	mixed, err := Load(Sources{
		Environ: []string{"HOME=/home/tao", "TAOLIGHT_POWER_SOURCES=sysfs,nut:ups@localhost", "TAOLIGHT_POWER_CHEMISTRY=li-ion", "TAOLIGHT_POWER_UPLINK_WATTS=30", "TAOLIGHT_POWER_LAT=60", "TAOLIGHT_POWER_ECO=1"},
		Flags: map[string][]string{"power-capacity-wh": {"99.5"}, "power-eco": {"50"}, "power-park": {"12.5"}, "power-floor-learning": {"false"}, "power-lon": {"-20"},
			"power-uplink-on": {"/bin/on now"}, "power-uplink-window": {"10/600"}},
	})
	if err != nil || !reflect.DeepEqual(mixed.Power, want) {
		t.Errorf("mixed: %+v, %v", mixed, err)
	}
}

func TestDataDir(t *testing.T) {
	for _, c := range []struct {
		env  []string
		want string
		err  error
	}{
		{[]string{"HOME=/home/tao"}, "/home/tao/.local/share/taolight", nil},
		{[]string{"HOME=/home/tao", "XDG_DATA_HOME=/data"}, "/data/taolight", nil},
		{[]string{"HOME=/home/tao", "XDG_DATA_HOME=data"}, "/home/tao/.local/share/taolight", nil}, // the XDG rule: a relative one is ignored
		{[]string{"HOME=/root", "STATE_DIRECTORY=/var/lib/taolight"}, "/var/lib/taolight", nil},
		{[]string{"STATE_DIRECTORY=/var/lib/taolight:/var/lib/other"}, "/var/lib/taolight", nil},
		{[]string{"INVOCATION_ID=1"}, "/var/lib/taolight", nil},
		{nil, "", ErrNoHome},
		{[]string{"TAOLIGHT_DATA_DIR=/somewhere"}, "/somewhere", nil},
	} {
		got, err := Load(Sources{Environ: c.env})
		if !errors.Is(err, c.err) || err == nil && got.DataDir != c.want {
			t.Errorf("%v: %+v, %v; want %q, %v", c.env, got, err, c.want, c.err)
		}
	}
}

// TestPlaces: the file is found where the example says it is looked for.
func TestPlaces(t *testing.T) {
	home := t.TempDir()
	put := func(dir, text string) {
		t.Helper()
		dir = filepath.Join(home, dir, "taolight")
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "taolight.toml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	load := func(env ...string) int {
		t.Helper()
		c, err := Load(Sources{Environ: append(env, "HOME="+home)})
		if err != nil {
			t.Fatal(err)
		}
		return c.MaxPeers
	}
	put(".config", "max_peers = 2")
	put("xdg", "max_peers = 3")
	put("named", "max_peers = 4")
	if n := load(); n != 2 {
		t.Errorf("from ~/.config: %d", n)
	}
	if n := load("XDG_CONFIG_HOME=" + filepath.Join(home, "xdg")); n != 3 {
		t.Errorf("from XDG_CONFIG_HOME: %d", n)
	}
	if n := load("TAOLIGHT_CONFIG=" + filepath.Join(home, "named", "taolight", "taolight.toml")); n != 4 {
		t.Errorf("from TAOLIGHT_CONFIG: %d", n)
	}
}

func TestNetwork(t *testing.T) {
	for _, c := range []struct{ in, want, dir string }{
		{"finney", "finney", "finney"},
		{"testfinney", "test", "test"},
		{"./specs/mine.json", "./specs/mine.json", "mine"},
		{"mine.json", "mine.json", "mine"},
		{"", "", ""}, {"mine", "", ""}, {"..", "", ""}, {"./", "", ""},
	} {
		got, err := network(c.in)
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("network(%q) = %q, %v", c.in, got, err)
		}
		if err == nil && (&Config{DataDir: "/d", Network: got}).Dir() != "/d/"+c.dir {
			t.Errorf("%s keeps its data in %s", got, (&Config{DataDir: "/d", Network: got}).Dir())
		}
	}
}

// TestExample: the example loads as it is installed, names every setting and, with each line's mark
// taken away, shows the very defaults.
func TestExample(t *testing.T) {
	text, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	asIs, err := Parse(example, text)
	if err != nil {
		t.Fatal(err)
	}
	empty, err := Parse("nothing", nil)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(asIs, empty) {
		t.Errorf("as installed it changes something: %+v", asIs)
	}

	var active []string
	for _, line := range strings.Split(string(text), "\n") {
		if rest, ok := strings.CutPrefix(line, "#"); ok && rest != "" && rest[0] != ' ' {
			active = append(active, rest)
		}
	}
	shown, err := Parse(example, []byte(strings.Join(active, "\n")))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range Settings() {
		if shown.Origin(s.Key) == "default" {
			t.Errorf("%s is not in the example", s.Key)
		}
	}
	shown.DataDir, shown.Peers, shown.Watch, shown.origin, empty.origin = "", nil, nil, nil, nil // these have no one default
	shown.Listen, shown.Carriers, shown.RPC.Hosts = nil, nil, nil
	shown.Neuron.Netuid, shown.Neuron.Path, shown.Neuron.network, shown.Neuron.endpoint = 0, "", "", ""
	shown.Neuron.Axon.ExternalIP, shown.Neuron.Blacklist.Allow, shown.Neuron.Blacklist.Deny = "", nil, nil
	if !reflect.DeepEqual(shown, empty) {
		t.Errorf("the example shows %+v, the defaults are %+v", shown, empty)
	}
}

func TestSettings(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range Settings() {
		if s.Help == "" || s.set == nil || seen[s.Key] || seen[s.Flag] || !strings.HasPrefix(s.Env, prefix) {
			t.Errorf("%+v", s)
		}
		seen[s.Key], seen[s.Flag] = true, true
	}
}

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"finney", "finney", 0}, {"finny", "finney", 1}, {"netwrok", "network", 1}, {"peer", "peers", 1},
		{"a", "b", 1}, {"", "ab", 2}, {"demo", "test", 3}, {"abcdef", "uvwxyz", 3},
	} {
		if d := distance(c.a, c.b, 3); d != c.want {
			t.Errorf("distance(%q, %q) = %d, want %d", c.a, c.b, d, c.want)
		}
	}
}

// FuzzParse: whatever a file holds, what Parse lets through is within the bounds of each setting.
func FuzzParse(f *testing.F) {
	text, err := os.ReadFile(example)
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{string(text), "", "max_peers = 3", "peers = [\"" + peer + "\"]", "[a.b]\nc=1", "a.b.c = 1",
		"network = \"./x\"", "max_peers = 9223372036854775807", "data_dir = \"\\u0000\"", "peers = " + strings.Repeat("[", 4096), "\xff", "peers = [[]]"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := Parse("f", text)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "f:") {
				t.Fatalf("%q does not name its place", err)
			}
			return
		}
		if c.MaxPeers < 1 || c.MaxPeers > MaxPeers || c.Network == "" || c.Finality != Follow && c.Finality != Pull {
			t.Fatalf("%+v", c)
		}
	})
}
