package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/taolight/taolight/gossip/carrier"
	"github.com/taolight/taolight/internal/control"
	"github.com/taolight/taolight/verify/bundle"
)

func (a *app) gossipCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "gossip",
		GroupID: "ask",
		Short:   "proofs that light nodes hand each other",
		Long: `Light nodes hand each other what they have proven: what is final, evidence,
commitments, pulses. Each message is verified before it is passed on.`,
		Args: noCommand,
		RunE: a.do(func(cmd *cobra.Command, _ []string) error { return cmd.Help() }),
	}
	stats := a.reader(&cobra.Command{
		Use:   "stats",
		Short: "neighbours, topics, messages and bytes",
		Args:  cobra.NoArgs,
		RunE: a.do(func(cmd *cobra.Command, _ []string) error {
			return a.askRunning(cmd, func(ctx context.Context, c *control.Client) error {
				g, err := c.Gossip(ctx)
				if err != nil {
					return err
				}
				if a.json {
					return printJSON(a.stdout, g)
				}
				a.printGossip(a.stdout, g)
				return nil
			})
		}),
	})
	publish := a.reader(&cobra.Command{
		Use:   "publish FILE",
		Short: "verify a bundle and hand it to the neighbours",
		Long: `Gives a bundle, or evidence, to the running node. What it makes final is verified
from the node's own head, and what fits into a message (64 KiB) and belongs on a
topic goes out. Ends with 3 if it is not so.`,
		Args: cobra.ExactArgs(1),
		RunE: a.do(func(cmd *cobra.Command, args []string) error { return a.bring(cmd, args[0]) }),
	})
	imp := a.reader(&cobra.Command{
		Use:   "import FILE|DIR",
		Short: "take bundles and chunks that came without an internet",
		Long: `Reads a bundle, chunks of one (bundle split), or a folder of these, and gives what
is in them to the running node, which verifies it like any message and hands it on.
Files that are none of this are left out. Ends with 3 if something is not so.`,
		Args: cobra.ExactArgs(1),
		RunE: a.do(func(cmd *cobra.Command, args []string) error { return a.bring(cmd, args[0]) }),
	})
	for _, c := range []*cobra.Command{stats, publish, imp} {
		c.GroupID = ""
		cmd.AddCommand(c)
	}
	return cmd
}

// askRunning puts a question to a node that runs; none is started for it.
func (a *app) askRunning(cmd *cobra.Command, question func(ctx context.Context, c *control.Client) error) error {
	cfg, err := a.config(cmd)
	if err != nil {
		return err
	}
	c, err := control.Find(cfg.Dir())
	if errors.Is(err, control.ErrNoNode) {
		return control.Errorf(control.Failure, "%w", err).WithHint("start one with: taolight run")
	}
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), a.timeout)
	defer cancel()
	return question(ctx, c)
}

func (a *app) lightPeers(cmd *cobra.Command) error {
	return a.askRunning(cmd, func(ctx context.Context, c *control.Client) error {
		g, err := c.Gossip(ctx)
		if err != nil {
			return err
		}
		if a.json {
			return printJSON(a.stdout, g)
		}
		fmt.Fprintf(a.stdout, "%s   %s\n", networkName(g.Network, g.Demo), count(len(g.List), "light node"))
		for _, p := range g.List {
			way := "dialled"
			if p.Inbound {
				way = "dialled us"
			}
			fmt.Fprintf(a.stdout, "\n%s\n  %s\n  %s, known as %s, for %s\n", a.style.bold(p.ID), p.Addr, way, p.Source, span(p.Seconds))
		}
		if len(g.List) == 0 {
			return quiet(control.NoPeers)
		}
		return nil
	})
}

func (a *app) printGossip(w io.Writer, g *control.Gossip) {
	line := func(name, format string, args ...any) {
		fmt.Fprintf(w, "%s %s\n", a.style.bold(fmt.Sprintf("%-10s", name)), fmt.Sprintf(format, args...))
	}
	line(networkName(g.Network, g.Demo), "level %s, %s, %s known", g.Level, count(g.Neighbours, "neighbour"), count(g.Contacts, "light node"))
	for i, addr := range g.Addrs {
		name := ""
		if i == 0 {
			name = "address"
		}
		line(name, "%s", addr)
	}
	line("final", "%s is the newest told or proven here; caught up %d times", block(g.Final), g.CatchUps)
	topics := make([]string, 0, len(g.Topics))
	for k := range g.Topics {
		topics = append(topics, k)
	}
	slices.Sort(topics)
	for i, k := range topics {
		name := ""
		if i == 0 {
			name = "topics"
		}
		line(name, "%-12s %s", k, count(g.Topics[k], "neighbour"))
	}
	m := g.Messages
	line("messages", "%s accepted, %s rejected, %s known, %s late, %s ahead, %s undecided, no time for %s", group(m.Accepted), group(m.Rejected),
		group(m.Known), group(m.Stale), group(m.Ahead), group(m.Undecided), group(m.Busy))
	line("work", "%s units (about as many microseconds of a server)", group(m.Work))
	t := g.Traffic
	line("traffic", "%s in %s messages, %s twice; out %s in %s", size(t.InBytes), group(t.In), group(t.Duplicates), size(t.OutBytes), group(t.Out))
}

// bring gives what is in a file or a folder to the running node.
func (a *app) bring(cmd *cobra.Command, path string) error {
	files, folder, err := filesIn(path)
	if err != nil {
		return usage("%w", err)
	}
	return a.askRunning(cmd, func(ctx context.Context, c *control.Client) error {
		var join carrier.Joiner
		var failed error
		took := 0
		give := func(name string, b []byte) {
			took++
			p, err := c.Publish(ctx, control.PublishQuestion{Message: b})
			switch {
			case err != nil:
				a.warn("%s: %v", name, err)
				failed = err
			case a.json:
				failed = errors.Join(failed, printJSON(a.stdout, p))
			default:
				fmt.Fprintln(a.stdout, name+": "+published(p))
			}
		}
		for _, f := range files {
			b, err := readBounded(f, bundle.MaxSize)
			if err != nil {
				return err
			}
			if bundle.CheckMagic(b) == nil || !chunks(&join, b) && !folder {
				give(f, b)
				continue
			}
			for {
				whole, err := join.Bytes()
				if err != nil {
					break
				}
				give(f, whole)
				join.Next()
			}
		}
		for _, p := range join.Progress() {
			a.warn("%v", p)
		}
		switch {
		case failed != nil:
			return quiet(control.CodeOf(failed))
		case took == 0 && len(join.Progress()) > 0:
			return quiet(control.Undecided)
		case took == 0:
			return control.Errorf(control.Failure, "%s: neither bundles nor chunks are in it", path)
		}
		return nil
	})
}

// chunks adds what a file holds of chunks; false if it holds none.
func chunks(j *carrier.Joiner, b []byte) bool {
	n, _ := j.AddFile(b)
	return n > 0
}

func published(p *control.Published) string {
	text := "nothing new"
	switch {
	case p.News && p.Topic != "":
		text = "proven, and told on topic " + p.Topic
	case p.News:
		text = "proven, and given to the light client"
	}
	if p.Number > 0 {
		text += fmt.Sprintf(", up to %s", block(p.Number))
	}
	if p.Reason != "" {
		text += ": " + p.Reason
	}
	return text
}

// maxFiles bounds a folder that is read.
const maxFiles = 4096

// filesIn returns the file of a path, or the regular files of a folder by name.
func filesIn(path string) (files []string, folder bool, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, false, err
	}
	if !info.IsDir() {
		return []string{path}, false, nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, true, err
	}
	for _, e := range entries {
		if e.Type()&fs.ModeType == 0 && len(files) < maxFiles {
			files = append(files, filepath.Join(path, e.Name()))
		}
	}
	return files, true, nil
}
