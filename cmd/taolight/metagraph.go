package main

import (
	"cmp"
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/taolight/taolight/internal/control"
	"github.com/taolight/taolight/lightclient"
)

// A column of the metagraph. Its texts are for the screen and, with plain numbers, for CSV; which is
// greater decides the sorting, the first being the greatest unless up.
type column struct {
	name string
	wide bool // only with --wide
	left bool
	up   bool
	show func(*lightclient.Neuron) string
	csv  func(*lightclient.Neuron) string
	less func(a, b *lightclient.Neuron) int
}

// columns are the classic ones, in their order.
var columns = []column{
	{name: "UID", up: true, show: func(n *lightclient.Neuron) string { return strconv.Itoa(int(n.UID)) },
		less: func(a, b *lightclient.Neuron) int { return cmp.Compare(a.UID, b.UID) }},
	amount("STAKE", false, func(n *lightclient.Neuron) uint64 { return n.Stake }),
	amount("ALPHA", true, func(n *lightclient.Neuron) uint64 { return n.Alpha }),
	amount("ROOT", true, func(n *lightclient.Neuron) uint64 { return n.Root }),
	share("STAKE_WEIGHT", true, func(n *lightclient.Neuron) *uint16 { return &n.StakeWeight }),
	share("RANK", true, func(n *lightclient.Neuron) *uint16 { return n.Rank }),
	share("VTRUST", false, func(n *lightclient.Neuron) *uint16 { return &n.VTrust }),
	share("TRUST", false, func(n *lightclient.Neuron) *uint16 { return n.Trust }),
	share("CONS", false, func(n *lightclient.Neuron) *uint16 { return &n.Consensus }),
	share("INCENT", false, func(n *lightclient.Neuron) *uint16 { return &n.Incentive }),
	share("DIVID", false, func(n *lightclient.Neuron) *uint16 { return &n.Dividends }),
	amount("EMIT", false, func(n *lightclient.Neuron) uint64 { return n.Emission }),
	{name: "UPD", up: true,
		show: func(n *lightclient.Neuron) string {
			switch {
			case n.Updated >= 1_000_000:
				return strconv.FormatUint(n.Updated/1_000_000, 10) + "M"
			case n.Updated >= 10_000:
				return strconv.FormatUint(n.Updated/1000, 10) + "k"
			}
			return strconv.FormatUint(n.Updated, 10)
		},
		csv:  func(n *lightclient.Neuron) string { return strconv.FormatUint(n.Updated, 10) },
		less: func(a, b *lightclient.Neuron) int { return cmp.Compare(a.Updated, b.Updated) }},
	flag("ACT", func(n *lightclient.Neuron) bool { return n.Active }),
	flag("PMT", func(n *lightclient.Neuron) bool { return n.Permit }),
	label("AXON", false, func(n *lightclient.Neuron) string {
		if n.Axon == nil || n.Axon.Address == "" {
			return ""
		}
		return n.Axon.Address
	}),
	label("HOTKEY", false, func(n *lightclient.Neuron) string { return n.Hotkey }),
	label("COLDKEY", true, func(n *lightclient.Neuron) string { return n.Coldkey }),
}

// rao is how many make a TAO, or an alpha.
const rao = 1_000_000_000

// tao prints an amount with as many of its nine decimals as are asked for, cut and not rounded.
func tao(v uint64, decimals int) string {
	s := group(v / rao)
	if decimals > 0 {
		s += "." + fmt.Sprintf("%09d", v%rao)[:decimals]
	}
	return s
}

func amount(name string, wide bool, of func(*lightclient.Neuron) uint64) column {
	return column{name: name, wide: wide,
		show: func(n *lightclient.Neuron) string {
			switch v := of(n); {
			case v < 100*rao:
				return tao(v, 3)
			case v < 1000*rao:
				return tao(v, 2)
			default:
				return tao(v, 0)
			}
		},
		csv:  func(n *lightclient.Neuron) string { return fmt.Sprintf("%d.%09d", of(n)/rao, of(n)%rao) },
		less: func(a, b *lightclient.Neuron) int { return cmp.Compare(of(a), of(b)) }}
}

// fraction is a share of 65535 with a number of decimals, cut and not rounded.
func fraction(v uint16, decimals int) string {
	n := uint64(1)
	for range decimals {
		n *= 10
	}
	x := uint64(v) * n / 65535
	return fmt.Sprintf("%d.%0*d", x/n, decimals, x%n)
}

func share(name string, wide bool, of func(*lightclient.Neuron) *uint16) column {
	text := func(decimals int, none string) func(*lightclient.Neuron) string {
		return func(n *lightclient.Neuron) string {
			v := of(n)
			if v == nil {
				return none
			}
			return fraction(*v, decimals)
		}
	}
	value := func(n *lightclient.Neuron) int {
		if v := of(n); v != nil {
			return int(*v)
		}
		return -1
	}
	return column{name: name, wide: wide, show: text(4, "–"), csv: text(6, ""),
		less: func(a, b *lightclient.Neuron) int { return cmp.Compare(value(a), value(b)) }}
}

func flag(name string, of func(*lightclient.Neuron) bool) column {
	digit := func(n *lightclient.Neuron) string {
		if of(n) {
			return "1"
		}
		return "0"
	}
	return column{name: name,
		show: func(n *lightclient.Neuron) string {
			if of(n) {
				return "*"
			}
			return ""
		},
		csv:  digit,
		less: func(a, b *lightclient.Neuron) int { return cmp.Compare(digit(a), digit(b)) }}
}

func label(name string, wide bool, of func(*lightclient.Neuron) string) column {
	return column{name: name, wide: wide, left: true, up: true,
		show: func(n *lightclient.Neuron) string {
			if s := of(n); s != "" {
				return s
			}
			return "–"
		},
		csv:  of,
		less: func(a, b *lightclient.Neuron) int { return cmp.Compare(of(a), of(b)) }}
}

func (a *app) metagraphCommand() *cobra.Command {
	var t table
	var sort, svg string
	var asCSV, wide bool
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = strings.ToLower(c.name)
	}
	cmd := a.reader(&cobra.Command{
		Use:   "metagraph NETUID",
		Short: "the table of a subnet's neurons, proven",
		Long: `Shows the neurons of a subnet: every value is proven in the state of one finalized
block. STAKE is the stake weight, alpha and root after parents and children, in alpha;
EMIT is alpha of the last epoch; UPD is blocks since the last weights or commitment. With
--wide also ALPHA and ROOT, which is what is staked to the hotkey itself, and addresses in
full: without it AXON says only whether the neuron has told one. TRUST and RANK are – under rules that have none (spec 365 and later).

Ends with 7 where the chain runs rules that were not audited, unless --assume-rules says
which to take, and where no peer has that block's state any more.`,
		Example: `  taolight metagraph 18 --sort incent
  taolight metagraph 18 --csv >sn18.csv`,
		Args: oneSubnet,
		RunE: a.do(func(cmd *cobra.Command, args []string) error {
			netuid, err := parseNetuid(args[0])
			if err != nil {
				return err
			}
			by := slices.Index(names, strings.ToLower(sort))
			if by < 0 {
				return usage("--sort %q: want one of %s", sort, strings.Join(names, ", "))
			}
			if a.json && asCSV {
				return usage("--json and --csv: want one of them")
			}
			q, err := t.question(cmd)
			if err != nil {
				return err
			}
			q.Netuid = &netuid
			if err := checkOut(svg); err != nil {
				return err
			}
			return a.ask(cmd, true, func(ctx context.Context, who control.Answerer) error {
				m, err := who.Metagraph(a.telling(ctx), q)
				if err != nil {
					return err
				}
				sortNeurons(m.Neurons, columns[by])
				if svg != "" {
					if err := a.writeOut(svg, metagraphSVG(m)); err != nil || svg == "-" {
						return err
					}
				}
				switch {
				case a.json:
					return printJSON(a.stdout, m)
				case asCSV:
					return printCSV(a.stdout, m.Neurons)
				}
				a.printMetagraph(a.stdout, m, wide)
				return nil
			})
		}),
	})
	f := cmd.Flags()
	t.flags(cmd)
	f.StringVar(&sort, "sort", "uid", "column to sort by: "+strings.Join(names, ", "))
	f.BoolVar(&asCSV, "csv", false, "print all columns as CSV, with plain numbers")
	f.BoolVar(&wide, "wide", false, "print all columns, wider than 80 characters")
	f.StringVar(&svg, "svg", "", "also draw incentive and dividends by uid into this file; - for stdout alone")
	return cmd
}

// telling lets what is being read show on stderr: over a slow link a large subnet takes a while.
func (a *app) telling(ctx context.Context) context.Context {
	return control.WithProgress(ctx, func(line string) { a.warn("%s", printable(line)) })
}

// A table is the flags of what is read from the state of one block.
type table struct {
	at     uint32
	assume uint32
}

func (t *table) flags(cmd *cobra.Command) {
	cmd.Flags().Uint32Var(&t.at, "at", 0, "block to read it at (default the finalized head)")
	assumeFlag(cmd, &t.assume)
}

func (t *table) question(cmd *cobra.Command) (q control.TableQuestion, err error) {
	if cmd.Flags().Changed("at") {
		q.At = &t.at
	}
	q.AssumeRules = t.assume
	return q, checkAssumed(t.assume)
}

func sortNeurons(list []lightclient.Neuron, by column) {
	slices.SortStableFunc(list, func(a, b lightclient.Neuron) int {
		if by.up {
			return by.less(&a, &b)
		}
		return by.less(&b, &a)
	})
}

func (c column) plain(n *lightclient.Neuron) string {
	if c.csv != nil {
		return c.csv(n)
	}
	return c.show(n)
}

func printCSV(w io.Writer, list []lightclient.Neuron) error {
	out := csv.NewWriter(w)
	row := make([]string, len(columns))
	for i, c := range columns {
		row[i] = strings.ToLower(c.name)
	}
	out.Write(row)
	for i := range list {
		for k, c := range columns {
			row[k] = c.plain(&list[i])
		}
		out.Write(row)
	}
	out.Flush()
	return out.Error()
}

// from says of what block a table is.
func (a *app) from(w io.Writer, what string, s lightclient.Source, joined bool) {
	more := ""
	if joined {
		more = ", joined for this question"
	}
	gap := "   "
	if s.Assumed {
		gap = "\n" // two specs are named, which is too long for one line
	}
	if s.Layout != lightclient.BuiltIn && s.Layout != "" {
		more += ", read by " + s.Layout
	}
	fmt.Fprintf(w, "%s   %s %s   rules of %s%sproof %s%s\n", a.style.bold(what), s.Block.Trust, block(s.Block.Number), s.Rules,
		gap, size(uint64(s.Proof)), more)
}

func (a *app) printMetagraph(w io.Writer, m *control.Metagraph, wide bool) {
	a.from(w, networkName(m.Network, m.Demo)+" "+subnetName(m.Netuid, 0), m.Source, m.Joined)
	epoch := "no epoch has run"
	if m.LastStep > 0 {
		epoch = "shares of the epoch at " + block(uint32(m.LastStep))
	}
	fmt.Fprintf(w, "%d/%d uids   token %s   %s", len(m.Neurons), m.MaxUIDs, printable(m.Symbol), epoch)
	if n := m.Schedule.NextEpoch; n != nil {
		fmt.Fprintf(w, ", next at %s", block(*n))
	}
	fmt.Fprintln(w)
	var shown []column
	for _, c := range columns {
		if wide || !c.wide {
			shown = append(shown, c)
		}
	}
	rows := make([][]string, 0, len(m.Neurons)+1)
	head := make([]string, len(shown))
	for i, c := range shown {
		head[i] = c.name
	}
	rows = append(rows, head)
	for i := range m.Neurons {
		row := make([]string, len(shown))
		for k, c := range shown {
			row[k] = c.show(&m.Neurons[i])
			switch {
			case wide:
			case c.name == "HOTKEY":
				row[k] = brief(row[k])
			case c.name == "AXON" && row[k] != "–":
				row[k] = "*"
			}
		}
		rows = append(rows, row)
	}
	a.printRows(w, rows, func(i int) bool { return shown[i].left })
}

// brief shortens an address so that it can still be told from others.
func brief(address string) string {
	if len(address) < 12 {
		return address
	}
	return address[:5] + "…"
}

// printRows prints rows under a head, each column as wide as it must be.
func (a *app) printRows(w io.Writer, rows [][]string, left func(int) bool) {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for r, row := range rows {
		var b strings.Builder
		for i, cell := range row {
			if i > 0 {
				b.WriteByte(' ')
			}
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if left(i) {
				b.WriteString(cell + pad)
			} else {
				b.WriteString(pad + cell)
			}
		}
		line := strings.TrimRight(b.String(), " ")
		if r == 0 {
			line = a.style.bold(line)
		}
		fmt.Fprintln(w, line)
	}
}
