package lightclient_test

import (
	"strings"
	"testing"

	"github.com/taolight/taolight/internal/demonet"
	"github.com/taolight/taolight/lightclient"
)

// TestTablesByMetadata: of a runtime far from those that were audited, tables are read by its own metadata, and say so.
func TestTablesByMetadata(t *testing.T) {
	t.Parallel()
	net := localnet(t, demonet.Config{Peers: 1, History: 8, SetChangeEvery: -1})
	n := newNotes(t)
	node := joined(t, net, executing(t, net, n, t.TempDir()), n)
	ctx := patient(t)
	list, err := node.Subnets(ctx, lightclient.StateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if list.Layout != "metadata of spec 103" || !list.Assumed || !strings.Contains(list.Rules, "assumed for spec 103") {
		t.Errorf("layout %q, rules %q", list.Layout, list.Rules)
	}
	m, err := node.Metagraph(ctx, 3, lightclient.StateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if m.Layout != "metadata of spec 103" || len(m.Neurons) != 0 || !m.Ranks {
		t.Errorf("%+v", m)
	}
}

// TestChecksByMetadata: rules that nobody has audited are not held against anybody, though the state can be read.
func TestChecksByMetadata(t *testing.T) {
	t.Parallel()
	net := localnet(t, demonet.Config{Peers: 1, History: 8, SetChangeEvery: -1})
	n := newNotes(t)
	node := joined(t, net, executing(t, net, n, t.TempDir()), n)
	c, err := node.Chain(patient(t), lightclient.StateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Emission.Finding(); got != lightclient.CheckUndecided || c.Layout != "metadata of spec 103" {
		t.Errorf("%s by %s: %+v", got, c.Layout, c.Emission)
	}
}
