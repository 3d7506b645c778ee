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
	dir, bin, err := built()
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	list := []struct {
		name  string
		peers int
		known int // addresses that each is given; of the others they tell each other
		most  float64
		args  []string
		day   float64
		about string
		err   error
	}{
		{name: "full, 8 peers of the chain", peers: 8, known: villagers, most: 60e6, args: atLevel("full")},
		{name: "full, 3 peers of the chain", peers: 3, known: villagers, most: 60e6, args: atLevel("full")},
		{name: "eco", peers: 8, known: 2, most: 6e6, args: atLevel("eco")},
	}
	rows, err := crowd(bin, dir)
	if err != nil {
		return nil, err
	}
	done := make(chan int)
	for i := range list {
		go func() {
			l := &list[i]
			l.day, l.about, l.err = villageDay(bin, dir, l.peers, l.known, l.args)
			done <- i
		}()
	}
	for range list {
		<-done
	}
	for _, l := range list {
		if l.err != nil {
			return nil, fmt.Errorf("%s: %w", l.name, l.err)
		}
		rows = append(rows, row{fmt.Sprintf("%s, %d light nodes: libp2p bytes of each, both ways", l.name, villagers),
			fmt.Sprintf("≤ %.0f MB/day", l.most/1e6), fmt.Sprintf("%.1f MB/day; %s", l.day/1e6, l.about), l.day <= l.most})
	}
	return rows, nil
}

// villageDay counts what each of the nodes moves, as of a day.
func villageDay(bin, dir string, peers, known int, args []string) (day float64, about string, err error) {
	net, err := demonet.New(demonet.Config{Peers: peers, Authorities: 20, History: 60, BlockTime: mainPace})
	if err != nil {
		return 0, "", err
	}
	defer net.Stop()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go net.Run(ctx)
	nodes, err := settle(ctx, bin, dir, net, villagers, peers, known, args)
	if err != nil {
		return 0, "", err
	}
	defer leave(nodes)
	moved := func() (bytes, messages uint64, blocks uint32, open, near int, err error) {
		for _, p := range nodes {
			s, err := p.status()
			if err != nil {
				return 0, 0, 0, 0, 0, err
			}
			c, err := p.control()
			if err != nil {
				return 0, 0, 0, 0, 0, err
			}
			g, err := c.Gossip(ctx)
			if err != nil {
				return 0, 0, 0, 0, 0, err
			}
			bytes += s.Traffic.In + s.Traffic.Out
			blocks += s.Finalized.Number
			open += s.Peers.Open
			near += g.Neighbours
			messages += g.Traffic.InBytes + g.Traffic.OutBytes
		}
		return bytes, messages, blocks, open, near, nil
	}
	time.Sleep(villageSettle)
	before, told, from, _, _, err := moved()
	if err != nil {
		return 0, "", err
	}
	time.Sleep(villageFor)
	after, toldTo, to, open, near, err := moved()
	if err != nil {
		return 0, "", err
	}
	if strings.Contains(strings.Join(args, " "), "full") && to < from+villagers*uint32(villageFor/mainPace-3) {
		return 0, "", fmt.Errorf("the nodes followed %d blocks of %d", (to-from)/villagers, villageFor/mainPace)
	}
	scale := float64(24*time.Hour) / float64(villageFor) / villagers
	return float64(after-before) * scale, fmt.Sprintf("%.1f of it messages of gossip; %.1f peers and %.1f neighbours each",
		float64(toldTo-told)*scale/1e6, float64(open)/villagers, float64(near)/villagers), nil
}

// settle starts nodes of which each knows some that began before it, and the network's peers.
func settle(ctx context.Context, bin, dir string, net *demonet.Network, count, peers, known int, args []string) (nodes []*process, err error) {
	defer func() {
		if err != nil {
			leave(nodes)
		}
	}()
	var addrs []string
	for range count {
		sub, err := os.MkdirTemp(dir, "")
		if err != nil {
			return nodes, err
		}
		all := append([]string{"--max-peers", strconv.Itoa(peers), "--lan", "off", "--listen", "/ip4/127.0.0.1/tcp/0", "--rpc-listen", "none"}, args...)
		for _, a := range addrs[max(0, len(addrs)-known):] {
			all = append(all, "--peer", a)
		}
		p, err := join(bin, sub, net, all...)
		if err != nil {
			return nodes, err
		}
		nodes = append(nodes, p)
		if err := p.wait("warp", "done"); err != nil {
			return nodes, err
		}
		addr, err := p.addr(ctx)
		if err != nil {
			return nodes, err
		}
		addrs = append(addrs, addr)
	}
	return nodes, nil
}

func leave(nodes []*process) {
	for _, p := range nodes {
		p.kill()
	}
}

// crowd: memory and wakeups of one with 24 peers of the chain and 16 neighbours, of which it has as many before it
// trusts its neighbours for finality.
func crowd(bin, dir string) ([]row, error) {
	net, err := demonet.New(demonet.Config{Peers: 24, Authorities: 20, History: 60, BlockTime: mainPace})
	if err != nil {
		return nil, err
	}
	defer net.Stop()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go net.Run(ctx)
	nodes, err := settle(ctx, bin, dir, net, 17, 24, 16, atLevel("full"))
	if err != nil {
		return nil, err
	}
	defer leave(nodes)
	time.Sleep(30 * time.Second)
	pid := nodes[0].cmd.Process.Pid
	from, err1 := switches(pid)
	time.Sleep(30 * time.Second)
	to, err2 := switches(pid)
	rss, err3 := residentKB(pid)
	s, err4 := nodes[0].status()
	c, err5 := nodes[0].control()
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		return nil, err
	}
	g, err := c.Gossip(ctx)
	if err != nil {
		return nil, err
	}
	what := fmt.Sprintf("full, %d peers of the chain and %d neighbours: ", s.Peers.Open, g.Neighbours)
	return []row{
		{what + "resident", "≤ 96 MiB", fmt.Sprintf("%.1f MiB", float64(rss)/1024), rss <= 96<<10 && s.Peers.Open+g.Neighbours >= 40},
		{what + "wakeups", "", fmt.Sprintf("%.1f /s", float64(to-from)/30), true},
	}, nil
}

// windows: what a node in survive moves in its windows, when it is given the addresses of ten light nodes, at the main
// network's pace. The first is one in a node's life: it begins when the node does, and shows which of the addresses are
// of light nodes. The second is at block 300, and lasts as long as any.
func windows() ([]row, error) {
	dir, bin, err := built()
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	net, err := demonet.New(demonet.Config{Peers: 8, Authorities: 20, History: 280, SetChangeEvery: -1, BlockTime: mainPace})
	if err != nil {
		return nil, err
	}
	defer net.Stop()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go net.Run(ctx)
	others, err := settle(ctx, bin, dir, net, villagers-1, 8, villagers, atLevel("full"))
	if err != nil {
		return nil, err
	}
	defer leave(others)
	args := append(atLevel("survive"), "--max-peers", "8", "--lan", "off", "--listen", "/ip4/127.0.0.1/tcp/0", "--rpc-listen", "none")
	for _, p := range others {
		addr, err := p.addr(ctx)
		if err != nil {
			return nil, err
		}
		args = append(args, "--peer", addr)
	}
	sub, err := os.MkdirTemp(dir, "")
	if err != nil {
		return nil, err
	}
	p, err := join(bin, sub, net, args...)
	if err != nil {
		return nil, err
	}
	defer p.kill()
	if err := p.wait("warp", "done"); err != nil {
		return nil, err
	}
	moved, heads := [2]float64{}, [2]uint32{}
	for i, until := 0, time.Now().Add(10*time.Minute); i < len(moved); {
		before, err := p.status()
		if err != nil {
			return nil, err
		}
		time.Sleep(45 * time.Second) // a tick ends a window, and it ends the part of gossip in it
		s, err := p.status()
		if err != nil {
			return nil, err
		}
		sum := float64(s.Traffic.In+s.Traffic.Out) - moved[0]
		if sum > 0 && s.Peers.Open == 0 && s.Traffic == before.Traffic {
			moved[i], heads[i] = sum, s.Finalized.Number
			i++
		} else if time.Now().After(until) {
			return nil, fmt.Errorf("%d windows in ten minutes, at %v", i, heads)
		}
	}
	if heads[0] >= 300 || heads[1] < 300 || heads[1] > 315 {
		return nil, fmt.Errorf("the windows brought the blocks %v", heads)
	}
	day := moved[0] + 23*moved[1]
	return []row{{"survive, with the addresses of ten neighbours: libp2p bytes, a first window and 23 like the second", "≤ 1 MB/day",
		fmt.Sprintf("%.2f MB/day; %.1f kB, then %.1f kB a window", day/1e6, moved[0]/1e3, moved[1]/1e3), day <= 1e6}}, nil
}

// addr is where other light nodes reach a process.
func (p *process) addr(ctx context.Context) (string, error) {
	c, err := p.control()
	if err != nil {
		return "", err
	}
	g, err := c.Gossip(ctx)
	if err != nil || len(g.Addrs) == 0 {
		return "", errors.Join(err, errors.New("a node has no address to be dialled at"))
	}
	return g.Addrs[0], nil
}

// control returns what asks a process over its socket.
func (p *process) control() (*control.Client, error) {
	found, err := filepath.Glob(filepath.Join(p.data, "*", "control.sock"))
	if err != nil || len(found) == 0 {
		return nil, errors.Join(err, errors.New("the node has no socket"))
	}
	return control.Find(filepath.Dir(found[0]))
}
