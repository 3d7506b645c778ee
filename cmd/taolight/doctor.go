package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/taolight/taolight/internal/config"
	"github.com/taolight/taolight/internal/control"
	"github.com/taolight/taolight/internal/doctor"
	"github.com/taolight/taolight/internal/health"
	"github.com/taolight/taolight/internal/power/rig"
	"github.com/taolight/taolight/storage"
)

// An examination is what doctor looks at, and where its result is kept.
type examination struct {
	a      *app
	cfg    *config.Config
	p      *place
	c      *control.Client // nil: no node runs
	status *control.Status // of it; nil: it does not answer
	list   []doctor.Check
}

// Diagnosis is what `doctor --json` prints.
type diagnosis struct {
	Schema  int            `json:"schema"`
	Network string         `json:"network"`
	Demo    bool           `json:"demo"`
	OK      bool           `json:"ok"`
	Checks  []doctor.Check `json:"checks"`
}

func (a *app) doctorCommand() *cobra.Command {
	var alerts bool
	cmd := &cobra.Command{
		Use:     "doctor",
		GroupID: "node",
		Short:   "what stands in a node's way: clock, names, ports, network, card, memory",
		Long: `Looks at the ground that a node stands on: clock, names, ports, translation of
addresses, local network, card, memory, checkpoint, store, meters. Each line is ok, warn
with what to do about it, or skip where that cannot be found out. A node that runs is
asked; none is started, and nobody outside is dialled: only where the network's first
peers have names are these looked up. Ends with 1 if there is a warning.

--alert sends a test by each way to the owner that the settings name.`,
		Example: `  taolight doctor
  taolight doctor --alert --alert-webhook https://example.org/hook`,
		Args: cobra.NoArgs,
		RunE: a.do(func(cmd *cobra.Command, _ []string) error {
			cfg, err := a.config(cmd)
			if err != nil {
				return err
			}
			x, err := a.examine(cmd.Context(), cfg, alerts)
			if err != nil {
				return err
			}
			good := doctor.Good(x.list)
			if a.json {
				d := diagnosis{Schema: 1, Demo: x.p.demo, OK: good, Checks: x.list, Network: config.Demo}
				if x.p.root != nil {
					d.Network = x.p.root.Network
				}
				if err := printJSON(a.stdout, d); err != nil {
					return err
				}
			} else {
				a.printChecks(a.stdout, x.list)
			}
			if !good {
				return quiet(control.Failure)
			}
			return nil
		}),
	}
	a.settings(cmd)
	a.jsonFlag(cmd)
	cmd.Flags().BoolVar(&alerts, "alert", false, "send a test alert instead, by each way of the settings")
	return cmd
}

func (a *app) printChecks(w io.Writer, list []doctor.Check) {
	for _, c := range list {
		word := fmt.Sprintf("%-5s", c.State)
		switch c.State {
		case doctor.OK:
			word = a.style.good(word)
		case doctor.Warn:
			word = a.style.bad(word)
		}
		text := strings.TrimSpace(wrap(printable(c.Text), "               "))
		fmt.Fprintf(w, "%s %-8s %s\n", word, c.Name, text)
		if c.Remedy != "" {
			fmt.Fprint(w, wrap("-> "+printable(c.Remedy), "               "))
		}
	}
}

// examine looks at everything, or sends test alerts.
func (a *app) examine(ctx context.Context, cfg *config.Config, alerts bool) (*examination, error) {
	if err := checkPower(cfg); err != nil {
		return nil, err
	}
	p, err := a.place(cfg)
	if err != nil {
		return nil, err
	}
	x := &examination{a: a, cfg: cfg, p: p}
	if alerts {
		x.alert(ctx)
		return x, nil
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	x.node(ctx)
	x.clock()
	x.names(ctx)
	x.ports()
	x.network()
	x.card()
	total, left := rig.Memory(rig.Machine{})
	x.add(doctor.Memory(total, left, x.c != nil))
	x.trust()
	x.store(ctx)
	x.power(ctx)
	x.ways()
	return x, nil
}

func (x *examination) add(list ...doctor.Check) { x.list = append(x.list, list...) }

func (x *examination) say(name, state, remedy, format string, args ...any) {
	x.add(doctor.Check{Name: name, State: state, Text: fmt.Sprintf(format, args...), Remedy: remedy})
}

// node asks the node that runs how it is: what it warns of stands here as well.
func (x *examination) node(ctx context.Context) {
	c, err := control.Find(x.cfg.Dir())
	switch {
	case errors.Is(err, control.ErrNoNode):
		x.say("node", doctor.OK, "", "no node runs in %s", x.cfg.Dir())
		return
	case err != nil:
		x.say("node", doctor.Warn, "run this as the node's user: sudo -u taolight taolight doctor", "%v", err)
		return
	}
	x.c = c
	late, cancel := context.WithTimeout(ctx, dialAndAnswer)
	defer cancel()
	st, err := c.Status(late)
	if err != nil {
		x.say("node", doctor.Warn, "look at its log (journalctl -u taolight); systemd starts one that is stuck anew", "it runs and does not answer: %v", err)
		return
	}
	x.status = st
	x.say("node", doctor.OK, "", "%s, up %s, %s", st.State, span(st.Uptime), count(st.Peers.Open, "peer"))
	for _, h := range st.Health {
		state := doctor.Warn
		if h.Severity == health.Note {
			state = doctor.OK
		}
		x.say("node", state, h.Remedy, "%s: %s", h.Code, h.Title)
	}
}

func (x *examination) clock() {
	floor := buildTime()
	if r := x.p.root; r != nil {
		if t, err := time.Parse("2006-01-02", r.Date); err == nil && t.After(floor) {
			floor = t
		}
	}
	rtc, _ := filepath.Glob("/sys/class/rtc/rtc*")
	x.add(doctor.Clock(x.a.now(), floor, rig.KernelSynced(), len(rtc) > 0))
}

// nameWait is how long a name may take to be found.
const nameWait = 5 * time.Second

func (x *examination) names(ctx context.Context) {
	conf, err := readBounded("/etc/resolv.conf", 64<<10)
	var names []string
	for _, addr := range append(x.p.bootnodes, x.cfg.Peers...) {
		if parts := strings.Split(addr, "/"); len(parts) > 2 && strings.HasPrefix(parts[1], "dns") {
			names = append(names, parts[2])
		}
	}
	x.add(doctor.DNS(ctx, string(conf), err, names, func(ctx context.Context, name string) error {
		late, cancel := context.WithTimeout(ctx, nameWait)
		defer cancel()
		_, err := net.DefaultResolver.LookupNetIP(late, "ip", name)
		return err
	})...)
}

func (x *examination) ports() {
	try := func(what, address, setting string) {
		l, err := net.Listen("tcp", address)
		if err == nil {
			l.Close()
		}
		x.add(doctor.Port(what, address, err, errors.Is(err, syscall.EADDRINUSE), x.c != nil, setting))
	}
	if l := x.cfg.RPC.Listen; l != config.None {
		try("JSON-RPC", l, "rpc-listen")
	} else {
		x.say("port", doctor.OK, "", "JSON-RPC: closed, by the settings")
	}
	if x.cfg.Gossip && len(x.cfg.Listen) == 0 && !x.p.demo {
		try("light nodes", net.JoinHostPort("0.0.0.0", strconv.Itoa(config.GossipPort)), "listen")
	}
}

func (x *examination) network() {
	var addrs []netip.Addr
	var links []string
	list, _ := net.Interfaces()
	for _, i := range list {
		if i.Flags&net.FlagUp == 0 {
			continue
		}
		own, _ := i.Addrs()
		for _, a := range own {
			if p, err := netip.ParsePrefix(a.String()); err == nil {
				addrs = append(addrs, p.Addr())
			}
		}
		if i.Flags&net.FlagMulticast != 0 && i.Flags&net.FlagLoopback == 0 && len(own) > 0 {
			links = append(links, i.Name)
		}
	}
	x.add(doctor.NAT(addrs, config.GossipPort), doctor.LAN(x.cfg.LAN && x.cfg.Gossip, links))
}

// place returns the folder of the data, or the nearest above it that is there.
func (x *examination) place() string {
	dir := absolute(x.cfg.Dir())
	for {
		if info, err := os.Stat(dir); err == nil && info.IsDir() || filepath.Dir(dir) == dir {
			return dir
		}
		dir = filepath.Dir(dir)
	}
}

func (x *examination) card() {
	dir := x.place()
	took, err := doctor.Sync(dir)
	free, _ := storage.Space(dir)
	x.add(doctor.Card(dir, took, err, free))
}

func (x *examination) trust() {
	if x.p.root == nil {
		x.say("trust", doctor.OK, "", "a demo chain starts from its own genesis")
		return
	}
	now := x.a.now().UnixMilli()
	days, known := x.p.root.Age(uint64(max(now, 0)))
	x.add(doctor.Checkpoint(block(x.p.root.Number), days, known && now > 0 && !x.p.demo))
}

func (x *examination) store(ctx context.Context) {
	const remedy = "taolight check --read-all tells more; moved away, it is made anew from the checkpoint"
	var r *control.Report
	var err error
	switch {
	case x.c != nil:
		r, err = x.c.Check(ctx, false)
	case x.p.root == nil:
		x.say("store", doctor.OK, "", "a demo network's is new with each")
		return
	default:
		r, err = (&control.Local{Checkpoint: x.p.root, DataDir: x.p.dir, Demo: x.p.demo}).CheckDir(ctx, false)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		x.say("store", doctor.OK, "", "there is none yet in %s", x.p.dir)
	case errors.Is(err, storage.ErrNewer):
		x.say("store", doctor.Warn, "upgrade taolight, or give another --data-dir", "a newer taolight wrote it: %v", err)
	case errors.Is(err, storage.ErrGenesis):
		x.say("store", doctor.Warn, "give another --data-dir, or move it away", "it is another network's: %v", err)
	case err != nil:
		x.say("store", doctor.Warn, remedy, "%v", err)
	case !r.OK:
		x.say("store", doctor.Warn, remedy, "%s: %s", r.Problems[0].Place, r.Problems[0].Text)
	default:
		x.say("store", doctor.OK, "", "%s, head %s, structure sound", size(uint64(r.FileBytes)), block(r.Head))
	}
}

func (x *examination) power(ctx context.Context) {
	var list []control.PowerSource
	if x.c != nil {
		if p, err := x.c.Power(ctx); err == nil {
			list = p.Sources
		}
	} else if p, err := x.a.readPower(ctx, x.cfg); err == nil {
		list = p.Sources
	}
	read := 0
	for _, s := range list {
		switch s.State {
		case "failed":
			x.say("power", doctor.Warn, "look at its cable and at power.sources", "%s: %s", s.Name, s.Error)
		case "read":
			read++
			x.say("power", doctor.OK, "", "%s: %s", s.Name, measured(s.Sample))
		}
	}
	if read == 0 {
		x.say("power", doctor.OK, "", "no battery is seen: the node takes itself to be on mains (power.assume)")
	}
}

// ways tells how the owner is woken.
func (x *examination) ways() {
	var names []string
	for _, o := range outletsOf(&x.cfg.Alerts) {
		names = append(names, o.name)
	}
	if len(names) == 0 {
		x.say("alert", doctor.OK, "", "nobody is woken: alerts.exec and alerts.webhook name no way")
		return
	}
	x.say("alert", doctor.OK, "", "by %s, about %s; --alert tries it", strings.Join(names, " and "), strings.Join(alertTopics(x.cfg), ", "))
}

// alert sends a test by each way.
func (x *examination) alert(ctx context.Context) {
	list := outletsOf(&x.cfg.Alerts)
	if len(list) == 0 {
		x.say("alert", doctor.Warn, "set alerts.exec to a command or alerts.webhook to a web address", "there is no way to the owner in the settings")
	}
	c := health.Change{Warning: health.Warning{Code: "test", Severity: health.Note, Title: "this is a test, all is well", Remedy: "nothing is to be done"}, Topic: "test"}
	for _, o := range list {
		m := message(x.p, c, x.a.now())
		m.Text = m.Line()
		m.Content = m.Text
		if err := o.send(ctx, m); err != nil {
			x.say("alert", doctor.Warn, "run the command by hand as the node's user, or look at the address and what listens there", "%s: %v", o.name, err)
		} else {
			x.say("alert", doctor.OK, "", "%s: sent", o.name)
		}
	}
}
