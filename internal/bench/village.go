package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/taolight/taolight/internal/control"
	"github.com/taolight/taolight/internal/demonet"
)

// What a day moves where light nodes live beside each other: eleven, each a process, each with all others as
// neighbours and with the same peers of the chain, at the main network's pace. Gossip follows both the blocks and
// its heartbeats, so that a faster chain would tell something else: some minutes are counted, after some in which
// meshes form and each node learns who its neighbours are.
const (
	villagers     = 11
	villageSettle = 4 * time.Minute // a node fed by its neighbours needs two to be sure of them
	villageFor    = 5 * time.Minute
)

func village() ([]row, error) {
	dir, err := os.MkdirTemp("", "taolight-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	bin := filepath.Join(dir, "taolight")
	if err := build(bin, "cmd/taolight"); err != nil {
		return nil, err
	}
	list := []struct {
		name  string
		peers int
		most  float64
		args  []string
		day   float64
		about string
		err   error
	}{
		{name: "full, 8 peers of the chain", peers: 8, most: 60e6, args: atLevel("full")},
		{name: "full, 4 peers of the chain", peers: 4, most: 60e6, args: atLevel("full")},
		{name: "eco", peers: 8, most: 6e6, args: atLevel("eco")},
	}
	done := make(chan int)
	for i := range list {
		go func() {
			l := &list[i]
			l.day, l.about, l.err = villageDay(bin, dir, l.peers, l.args)
			done <- i
		}()
	}
	for range list {
		<-done
	}
	var rows []row
	for _, l := range list {
		if l.err != nil {
			return nil, fmt.Errorf("%s: %w", l.name, l.err)
		}
		rows = append(rows, row{fmt.Sprintf("%s, %d neighbours: libp2p bytes of each, both ways", l.name, villagers-1),
			fmt.Sprintf("≤ %.0f MB/day", l.most/1e6), fmt.Sprintf("%.1f MB/day; %s", l.day/1e6, l.about), l.day <= l.most})
	}
	return rows, nil
}

// villageDay counts what each of the nodes moves, as of a day.
func villageDay(bin, dir string, peers int, args []string) (day float64, about string, err error) {
	net, err := demonet.New(demonet.Config{Peers: peers, Authorities: 20, History: 60, BlockTime: mainPace})
	if err != nil {
		return 0, "", err
	}
	defer net.Stop()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go net.Run(ctx)
	var nodes []*process
	var addrs []string
	for range villagers {
		sub, err := os.MkdirTemp(dir, "")
		if err != nil {
			return 0, "", err
		}
		all := append([]string{"--max-peers", strconv.Itoa(peers), "--lan", "off", "--listen", "/ip4/127.0.0.1/tcp/0", "--rpc-listen", "none"}, args...)
		for _, a := range addrs {
			all = append(all, "--peer", a)
		}
		p, err := join(bin, sub, net, all...)
		if err != nil {
			return 0, "", err
		}
		defer p.kill()
		if err := p.wait("warp", "done"); err != nil {
			return 0, "", err
		}
		c, err := p.control()
		if err != nil {
			return 0, "", err
		}
		g, err := c.Gossip(ctx)
		if err != nil || len(g.Addrs) == 0 {
			return 0, "", errors.Join(err, errors.New("a node has no address to be dialled at"))
		}
		addrs = append(addrs, g.Addrs[0])
		nodes = append(nodes, p)
	}
	moved := func() (bytes uint64, blocks uint32, open, near int, err error) {
		for _, p := range nodes {
			s, err := p.status()
			if err != nil {
				return 0, 0, 0, 0, err
			}
			c, err := p.control()
			if err != nil {
				return 0, 0, 0, 0, err
			}
			g, err := c.Gossip(ctx)
			if err != nil {
				return 0, 0, 0, 0, err
			}
			bytes += s.Traffic.In + s.Traffic.Out
			blocks += s.Finalized.Number
			open += s.Peers.Open
			near += g.Neighbours
		}
		return bytes, blocks, open, near, nil
	}
	time.Sleep(villageSettle)
	before, from, _, _, err := moved()
	if err != nil {
		return 0, "", err
	}
	time.Sleep(villageFor)
	after, to, open, near, err := moved()
	if err != nil {
		return 0, "", err
	}
	if strings.Contains(strings.Join(args, " "), "full") && to < from+villagers*uint32(villageFor/mainPace-3) {
		return 0, "", fmt.Errorf("the nodes followed %d blocks of %d", (to-from)/villagers, villageFor/mainPace)
	}
	each := float64(after-before) / villagers
	return each * float64(24*time.Hour) / float64(villageFor),
		fmt.Sprintf("%.1f peers and %.1f neighbours each", float64(open)/villagers, float64(near)/villagers), nil
}

// control returns what asks a process over its socket.
func (p *process) control() (*control.Client, error) {
	found, err := filepath.Glob(filepath.Join(p.data, "*", "control.sock"))
	if err != nil || len(found) == 0 {
		return nil, errors.Join(err, errors.New("the node has no socket"))
	}
	return control.Find(filepath.Dir(found[0]))
}
