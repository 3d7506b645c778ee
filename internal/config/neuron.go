package config

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Neuron is what a miner or a validator is told. Its flags and tables have the names that users of the
// Python SDK know, and of its environment variables the SDK's are read too.
type Neuron struct {
	Netuid  uint16 // subnet, 1 to 4095; 0: not given
	Handler string // of a miner: dummy, http:URL, openai:URL, exec:COMMAND or jsonl:COMMAND
	Synapse string // Dummy, or a file that describes a synapse
	Path    string // where a miner also takes signed HTTP requests; empty: nowhere
	Timeout float64

	SampleSize     int     // of a validator: miners a round
	EpochLength    int     // blocks between its weights, at least
	Alpha          float64 // weight of a new score in the moving average
	PermitLimit    float64 // TAO of stake from which on a validator is not asked as a miner
	DisableWeights bool
	CommitHash     bool    // commit to weights by hash also where they can be timelocked
	Scorer         string  // dummy, exec:COMMAND or jsonl:COMMAND
	QueryEvery     int     // blocks from one round of questions to the next
	VersionKey     *uint64 // sent with weights; nil: what the subnet asks for

	Wallet struct{ Name, Hotkey, Path string } // empty: the SDK's defaults
	Axon   struct {
		Port         int
		IP           string // address to listen on
		ExternalIP   string // that others reach it by; empty: found out
		ExternalPort int    // 0: Port
		MaxWorkers   int
		MaxWaiting   int
	}
	Blacklist struct {
		ForceValidatorPermit bool
		AllowNonRegistered   bool
		MinStake             float64  // TAO
		Allow, Deny          []string // addresses of hotkeys, not yet looked at
	}

	network, endpoint string // of [subtensor]
}

// Local is where Subtensor leads if a node of this machine is meant, whatever network it has joined.
const Local = "local"

// neuronSettings is the rest of the table; it is read only.
var neuronSettings = []Setting{
	{Key: "neuron.netuid", Flag: "netuid", Help: "subnet of the neuron", Also: []string{"BT_NETUID"},
		set: func(c *Config, v []string) (err error) {
			n, err := between(v[0], 1, 4095)
			c.Neuron.Netuid = uint16(n)
			return err
		}},
	{Key: "neuron.handler", Flag: "handler", Help: "who answers: dummy, http:URL, openai:URL, exec:COMMAND, jsonl:COMMAND", Default: "dummy",
		set: func(c *Config, v []string) (err error) { c.Neuron.Handler, err = handler(v[0]); return err }},
	{Key: "neuron.synapse", Flag: "synapse", Help: "Dummy, or a file that describes the subnet's synapse", Default: "Dummy",
		set: func(c *Config, v []string) error { c.Neuron.Synapse = v[0]; return notEmpty(v[0]) }},
	{Key: "neuron.path", Flag: "axon.path", Help: "also take signed HTTP requests (btauth/1) at this path, like /generate",
		set: func(c *Config, v []string) (err error) { c.Neuron.Path, err = urlPath(v[0]); return err }},
	{Key: "neuron.timeout", Flag: "neuron.timeout", Help: "seconds that a miner has to answer a validator", Default: "12",
		set: func(c *Config, v []string) (err error) { c.Neuron.Timeout, err = decimal(v[0], 0.1, 60); return err }},
	{Key: "neuron.sample_size", Flag: "neuron.sample_size", Help: "miners that a validator asks at a time", Default: "50",
		set: func(c *Config, v []string) (err error) { c.Neuron.SampleSize, err = between(v[0], 1, 4096); return err }},
	{Key: "neuron.epoch_length", Flag: "neuron.epoch_length", Help: "blocks from one setting of weights to the next, at least", Default: "100",
		set: func(c *Config, v []string) (err error) {
			c.Neuron.EpochLength, err = between(v[0], 1, 1e6)
			return err
		}},
	{Key: "neuron.moving_average_alpha", Flag: "neuron.moving_average_alpha", Help: "weight of a new score in the moving average", Default: "0.1",
		set: func(c *Config, v []string) (err error) { c.Neuron.Alpha, err = decimal(v[0], 0, 1); return err }},
	{Key: "neuron.vpermit_tao_limit", Flag: "neuron.vpermit_tao_limit", Help: "TAO of stake above which one with a permit is not asked", Default: "4096",
		set: func(c *Config, v []string) (err error) {
			c.Neuron.PermitLimit, err = decimal(v[0], 0, 21e6)
			return err
		}},
	{Key: "neuron.disable_set_weights", Flag: "neuron.disable_set_weights", Help: "query and score, set no weights", Default: "false", Bool: true, Switch: true,
		set: func(c *Config, v []string) (err error) { c.Neuron.DisableWeights, err = truth(v[0]); return err }},
	{Key: "neuron.scorer", Flag: "scorer", Help: "who asks and scores: dummy, exec:COMMAND, jsonl:COMMAND", Default: "dummy",
		set: func(c *Config, v []string) (err error) { c.Neuron.Scorer, err = scorer(v[0]); return err }},
	{Key: "neuron.query_every", Flag: "neuron.query_every", Help: "blocks from one round of questions to the next", Default: "5",
		set: func(c *Config, v []string) (err error) { c.Neuron.QueryEvery, err = between(v[0], 1, 1e6); return err }},
	{Key: "neuron.commit", Flag: "neuron.commit", Help: "how weights are committed to where the subnet wants that: auto (timelocked if the chain can) or hash", Default: "auto",
		set: func(c *Config, v []string) error {
			if v[0] != "auto" && v[0] != "hash" {
				return fmt.Errorf("%w %q: want auto or hash", ErrValue, v[0])
			}
			c.Neuron.CommitHash = v[0] == "hash"
			return nil
		}},
	{Key: "neuron.version_key", Flag: "neuron.version_key", Help: "version sent with weights; empty is what the subnet asks for",
		set: func(c *Config, v []string) error {
			if v[0] == "" {
				c.Neuron.VersionKey = nil
				return nil
			}
			n, err := strconv.ParseUint(v[0], 10, 64)
			if err != nil {
				return fmt.Errorf("%w %q: want a whole number", ErrValue, v[0])
			}
			c.Neuron.VersionKey = &n
			return nil
		}},

	{Key: "wallet.name", Flag: "wallet.name", Help: "wallet; empty is default", Also: []string{"BT_WALLET_NAME", "BT_WALLET"},
		set: func(c *Config, v []string) error { c.Neuron.Wallet.Name = v[0]; return nil }},
	{Key: "wallet.hotkey", Flag: "wallet.hotkey", Short: "H", Help: "hotkey in it; empty is default", Also: []string{"BT_WALLET_HOTKEY"},
		set: func(c *Config, v []string) error { c.Neuron.Wallet.Hotkey = v[0]; return nil }},
	{Key: "wallet.path", Flag: "wallet.path", Help: "folder of wallets; empty is ~/.bittensor/wallets", Also: []string{"BT_WALLET_PATH"},
		set: func(c *Config, v []string) error { c.Neuron.Wallet.Path = v[0]; return nil }},

	{Key: "subtensor.network", Flag: "subtensor.network", Help: "network, as the SDK names it; local is the node that runs here", Also: []string{"BT_SUBTENSOR_NETWORK", "BT_NETWORK"},
		set: func(c *Config, v []string) (err error) {
			c.Neuron.network = v[0]
			_, err = networkOf(v[0])
			return err
		}},
	{Key: "subtensor.chain_endpoint", Flag: "subtensor.chain_endpoint", Help: "endpoint of a network; it beats --subtensor.network", Also: []string{"BT_SUBTENSOR_CHAIN_ENDPOINT", "BT_CHAIN_ENDPOINT"},
		set: func(c *Config, v []string) (err error) {
			c.Neuron.endpoint = v[0]
			_, err = networkOf(v[0])
			return err
		}},

	{Key: "axon.port", Flag: "axon.port", Help: "port that the axon listens on", Default: "8091", Also: []string{"BT_AXON_PORT"},
		set: func(c *Config, v []string) (err error) { c.Neuron.Axon.Port, err = between(v[0], 0, 65535); return err }},
	{Key: "axon.ip", Flag: "axon.ip", Help: "address that it listens on", Default: "0.0.0.0", Also: []string{"BT_AXON_IP"},
		set: func(c *Config, v []string) (err error) { c.Neuron.Axon.IP, err = bindAddress(v[0]); return err }},
	{Key: "axon.external_ip", Flag: "axon.external_ip", Help: "address by which others reach it (default this machine's, if it has a public one)", Also: []string{"BT_AXON_EXTERNAL_IP"},
		set: func(c *Config, v []string) (err error) { c.Neuron.Axon.ExternalIP, err = address(v[0]); return err }},
	{Key: "axon.external_port", Flag: "axon.external_port", Help: "port by which others reach it; 0: the one it listens on", Default: "0", Also: []string{"BT_AXON_EXTERNAL_PORT"},
		set: func(c *Config, v []string) (err error) {
			c.Neuron.Axon.ExternalPort, err = between(v[0], 0, 65535)
			return err
		}},
	{Key: "axon.max_workers", Flag: "axon.max_workers", Help: "requests that are answered at once", Default: "16", Also: []string{"BT_AXON_MAX_WORKERS"},
		set: func(c *Config, v []string) (err error) {
			c.Neuron.Axon.MaxWorkers, err = between(v[0], 1, 4096)
			return err
		}},
	{Key: "priority.maxsize", Flag: "priority.maxsize", Help: "requests that wait for that; who has more stake comes first", Default: "64", Also: []string{"BT_PRIORITY_MAXSIZE"},
		set: func(c *Config, v []string) (err error) {
			c.Neuron.Axon.MaxWaiting, err = between(v[0], 1, 65536)
			return err
		}},

	{Key: "blacklist.force_validator_permit", Flag: "blacklist.force_validator_permit", Help: "answer only hotkeys that may validate", Default: "false", Bool: true, Switch: true,
		set: func(c *Config, v []string) (err error) {
			c.Neuron.Blacklist.ForceValidatorPermit, err = truth(v[0])
			return err
		}},
	{Key: "blacklist.allow_non_registered", Flag: "blacklist.allow_non_registered", Help: "also answer hotkeys that are not on the subnet", Default: "false", Bool: true, Switch: true,
		set: func(c *Config, v []string) (err error) {
			c.Neuron.Blacklist.AllowNonRegistered, err = truth(v[0])
			return err
		}},
	{Key: "blacklist.min_stake", Flag: "blacklist.min_stake", Help: "answer only hotkeys with so much stake on the subnet, in its alpha", Default: "0",
		set: func(c *Config, v []string) (err error) {
			c.Neuron.Blacklist.MinStake, err = decimal(v[0], 0, 21e6)
			return err
		}},
	{Key: "blacklist.allow", Flag: "blacklist.allow", Help: "hotkey to answer whatever else is wanted", List: true,
		set: func(c *Config, v []string) (err error) { c.Neuron.Blacklist.Allow, err = hotkeys(v); return err }},
	{Key: "blacklist.deny", Flag: "blacklist.deny", Help: "hotkey never to answer", List: true,
		set: func(c *Config, v []string) (err error) { c.Neuron.Blacklist.Deny, err = hotkeys(v); return err }},

	{Key: "logging.debug", Flag: "logging.debug", Help: "as --log-level debug", Default: "false", Bool: true, Switch: true, Also: []string{"BT_LOGGING_DEBUG"},
		set: func(c *Config, v []string) error { return c.loud(v[0], "debug") }},
	{Key: "logging.trace", Flag: "logging.trace", Help: "as --log-level debug", Default: "false", Bool: true, Switch: true, Also: []string{"BT_LOGGING_TRACE"},
		set: func(c *Config, v []string) error { return c.loud(v[0], "debug") }},
	{Key: "logging.info", Flag: "logging.info", Help: "as --log-level info", Default: "false", Bool: true, Switch: true, Also: []string{"BT_LOGGING_INFO"},
		set: func(c *Config, v []string) error { return c.loud(v[0], "info") }},
}

func (c *Config) loud(word, level string) error {
	// The SDK's variables say True and 1 as well.
	on, err := truth(strings.NewReplacer("1", "true", "0", "false").Replace(strings.ToLower(word)))
	if err == nil && on {
		c.LogLevel = level
	}
	return err
}

// endpoints are the SDK's names of networks and where it finds them (bittensor/core/settings.py). A light
// client dials none of them: they say which network is meant.
var endpoints = map[string]string{
	"finney": Finney, "test": Test, "archive": Finney, "latent-lite": Finney, Local: Local, Demo: Demo,
	"entrypoint-finney.opentensor.ai": Finney, "test.finney.opentensor.ai": Test, "archive.chain.opentensor.ai": Finney, "lite.sub.latent.to": Finney,
}

// networkOf returns the network that a name or an endpoint means, or Local.
func networkOf(word string) (string, error) {
	if n, ok := endpoints[word]; ok {
		return n, nil
	}
	if !strings.HasPrefix(word, "ws://") && !strings.HasPrefix(word, "wss://") {
		return network(word)
	}
	u, err := url.Parse(word)
	if err != nil {
		return "", fmt.Errorf("%w %q: no URL", ErrValue, word)
	}
	host := strings.ToLower(u.Hostname())
	if n, ok := endpoints[host]; ok && strings.Contains(host, ".") {
		return n, nil
	}
	if ip, err := netip.ParseAddr(host); host == "localhost" || err == nil && ip.IsLoopback() {
		return Local, nil
	}
	return "", fmt.Errorf("%w %q: a light client believes no server; name the network, and a peer of it with --peer if you have one", ErrValue, word)
}

// Subtensor settles which network a neuron is on, and returns it: what came from a flag wins over what came
// from the environment, that over the file; of the same place the endpoint over subtensor.network over
// network. It sets Network, unless it returns Local.
func (c *Config) Subtensor() (string, error) {
	best, from, word := 0, "network", c.Network
	for _, s := range []struct{ key, word string }{{"subtensor.chain_endpoint", c.Neuron.endpoint}, {"subtensor.network", c.Neuron.network}, {"network", c.Network}} {
		if r := rank(c.Origin(s.key)); s.word != "" && r > best {
			best, from, word = r, s.key, s.word
		}
	}
	n, err := networkOf(word)
	if err != nil {
		return "", fmt.Errorf("%s: %w", c.Origin(from), err)
	}
	if n != Local {
		c.Network, c.origin["network"] = n, c.Origin(from)
	}
	return n, nil
}

// rank is how much a place counts; 0 is the default.
func rank(origin string) int {
	switch {
	case origin == "default":
		return 0
	case strings.HasPrefix(origin, "flag "):
		return 3
	case strings.HasPrefix(origin, "environment "):
		return 2
	}
	return 1
}

// handlerKinds are those of handlers that are told whom to ask.
var handlerKinds = []string{"http", "openai", "exec", "jsonl"}

func handler(s string) (string, error) {
	kind, what, told := strings.Cut(s, ":")
	switch {
	case s == "dummy":
		return s, nil
	case !told || !slices.Contains(handlerKinds, kind):
		return "", fmt.Errorf("%w %q: want dummy, or %s with a colon%s", ErrValue, s, strings.Join(handlerKinds, ", "), meant(kind, append([]string{"dummy"}, handlerKinds...)))
	case strings.TrimSpace(what) == "":
		return "", fmt.Errorf("%w %q: want %s and what to ask", ErrValue, s, kind)
	case kind == "http" || kind == "openai":
		if u, err := url.Parse(what); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return "", fmt.Errorf("%w %q: want %s:http://ADDRESS:PORT/PATH", ErrValue, s, kind)
		}
	}
	return s, nil
}

func scorer(s string) (string, error) {
	kind, what, _ := strings.Cut(s, ":")
	if s != "dummy" && (kind != "exec" && kind != "jsonl" || strings.TrimSpace(what) == "") {
		return "", fmt.Errorf("%w %q: want dummy, exec:COMMAND or jsonl:COMMAND", ErrValue, s)
	}
	return s, nil
}

func urlPath(s string) (string, error) {
	if s != "" && (!strings.HasPrefix(s, "/") || strings.ContainsAny(s, "?#% ")) {
		return "", fmt.Errorf("%w %q: want a path like /generate", ErrValue, s)
	}
	return s, nil
}

// bindAddress accepts the SDK's default as well, which listens on IPv4 whatever it says.
func bindAddress(s string) (string, error) {
	if s == "[::]" {
		return "0.0.0.0", nil
	}
	return address(s)
}

func address(s string) (string, error) {
	if s == "" {
		return "", nil
	}
	a, err := netip.ParseAddr(strings.Trim(s, "[]"))
	if err != nil || a.Zone() != "" {
		return "", fmt.Errorf("%w %q: want an address like 192.0.2.1", ErrValue, s)
	}
	return a.Unmap().String(), nil
}

func hotkeys(list []string) ([]string, error) {
	var out []string
	for _, text := range list {
		for s := range strings.SplitSeq(text, ",") {
			s = strings.TrimSpace(s)
			if err := notEmpty(s); err != nil {
				return nil, err
			}
			out = append(out, s)
		}
	}
	return out, nil
}
