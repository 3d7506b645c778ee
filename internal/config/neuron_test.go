package config

import (
	"errors"
	"strings"
	"testing"
)

// TestSubtensor: a flag wins over the environment, that over the file; of one place the endpoint over the network.
func TestSubtensor(t *testing.T) {
	for _, c := range []struct {
		name  string
		flags map[string][]string
		env   []string
		want  string
		err   error
	}{
		{name: "nothing", want: Finney},
		{name: "network", flags: map[string][]string{"network": {"demo"}}, want: Demo},
		{name: "sdk", flags: map[string][]string{"subtensor.network": {"test"}}, want: Test},
		{name: "endpoint beats network", flags: map[string][]string{"subtensor.network": {"finney"}, "subtensor.chain_endpoint": {"wss://test.finney.opentensor.ai:443"}}, want: Test},
		{name: "sdk beats ours", flags: map[string][]string{"subtensor.network": {"test"}, "network": {"demo"}}, want: Test},
		{name: "flag beats environment", flags: map[string][]string{"network": {"demo"}}, env: []string{"BT_SUBTENSOR_CHAIN_ENDPOINT=wss://lite.sub.latent.to:443"}, want: Demo},
		{name: "environment", env: []string{"BT_SUBTENSOR_NETWORK=test"}, want: Test},
		{name: "ours beats the SDK's", env: []string{"BT_SUBTENSOR_NETWORK=test", "TAOLIGHT_SUBTENSOR_NETWORK=demo"}, want: Demo},
		{name: "here", flags: map[string][]string{"subtensor.chain_endpoint": {"ws://127.0.0.1:9944"}}, want: Local},
		{name: "here by name", flags: map[string][]string{"subtensor.network": {"local"}}, want: Local},
		{name: "endpoint as network", flags: map[string][]string{"subtensor.network": {"wss://entrypoint-finney.opentensor.ai:443"}}, want: Finney},
		{name: "file", flags: map[string][]string{"subtensor.network": {"./demo.json"}}, want: "./demo.json"},
		{name: "a server", flags: map[string][]string{"subtensor.chain_endpoint": {"wss://node.example:443"}}, err: ErrValue},
		{name: "no network", flags: map[string][]string{"subtensor.network": {"finny"}}, err: ErrValue},
		{name: "no URL", flags: map[string][]string{"subtensor.chain_endpoint": {"ws://%zz"}}, err: ErrValue},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg, err := Load(Sources{Flags: c.flags, Environ: append(c.env, "HOME=/home/tao"), Neuron: true})
			if !errors.Is(err, c.err) {
				t.Fatalf("error %v, want %v", err, c.err)
			}
			if err != nil {
				return
			}
			got, err := cfg.Subtensor()
			if err != nil || got != c.want || got != Local && cfg.Network != c.want {
				t.Errorf("%s, network %s, %v; want %s", got, cfg.Network, err, c.want)
			}
		})
	}
}

// TestOthersEnvironment: the SDK's variables are a neuron's alone, and a wrong one is named.
func TestOthersEnvironment(t *testing.T) {
	env := []string{"HOME=/home/tao", "BT_AXON_PORT=many"}
	if _, err := Load(Sources{Environ: env}); err != nil {
		t.Errorf("a node reads it: %v", err)
	}
	if _, err := Load(Sources{Environ: env, Neuron: true}); !errors.Is(err, ErrValue) || !strings.Contains(err.Error(), "environment BT_AXON_PORT") {
		t.Errorf("error %v", err)
	}
	c, err := Load(Sources{Neuron: true, Environ: []string{"HOME=/home/tao", "BT_AXON_PORT=9000", "BT_WALLET=b", "BT_WALLET_NAME=a", "BT_LOGGING_DEBUG=True"},
		Flags: map[string][]string{"blacklist.deny": {"x,y", "z"}}})
	if err != nil {
		t.Fatal(err)
	}
	if n := c.Neuron; n.Axon.Port != 9000 || n.Wallet.Name != "a" || c.LogLevel != "debug" || strings.Join(n.Blacklist.Deny, " ") != "x y z" {
		t.Errorf("%+v, log level %s", n, c.LogLevel)
	}
	if o := c.Origin("wallet.name"); o != "environment BT_WALLET_NAME" {
		t.Errorf("wallet from %s", o)
	}
}

func TestNeuronValues(t *testing.T) {
	for _, c := range []struct {
		flag, value string
		good        bool
	}{
		{"netuid", "18", true}, {"netuid", "0", false}, {"netuid", "4096", false},
		{"handler", "dummy", true}, {"handler", "exec:/bin/cat -", true}, {"handler", "http:http://127.0.0.1:8080/x", true},
		{"handler", "http:127.0.0.1", false}, {"handler", "exec:", false}, {"handler", "exe:x", false}, {"handler", "", false},
		{"axon.path", "/generate", true}, {"axon.path", "generate", false}, {"axon.path", "/a?b", false},
		{"axon.ip", "[::]", true}, {"axon.ip", "here", false}, {"axon.external_ip", "192.0.2.1", true}, {"axon.external_ip", "fe80::1%eth0", false},
		{"axon.port", "65536", false}, {"neuron.moving_average_alpha", "1.5", false}, {"neuron.timeout", "0", false},
		{"logging.debug", "yes", false}, {"blacklist.deny", "a,,b", false},
	} {
		_, err := Load(Sources{Environ: []string{"HOME=/h"}, Flags: map[string][]string{c.flag: {c.value}}})
		if (err == nil) != c.good || err != nil && !errors.Is(err, ErrValue) {
			t.Errorf("--%s %q: %v", c.flag, c.value, err)
		}
	}
}
