package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/taolight/taolight/internal/config"
	"github.com/taolight/taolight/internal/control"
	"github.com/taolight/taolight/neuron/dendrite"
	"github.com/taolight/taolight/neuron/synapse"
	"github.com/taolight/taolight/neuron/wallet"
	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/checkpoint"
)

func (a *app) neuronCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "neuron",
		GroupID: "key",
		Short:   "run a miner or a validator, call axons",
		RunE: a.do(func(cmd *cobra.Command, args []string) error {
			if err := noCommand(cmd, args); err != nil {
				return err
			}
			return usage("neuron what?").WithHint("miner, validator, status or query")
		}),
	}
	cmd.AddCommand(a.minerCommand(), a.validatorCommand(), a.neuronStatusCommand(), a.queryCommand())
	return cmd
}

// notBefore is the gate of a person's own command: a clock that is behind the built-in checkpoint is wrong,
// and more is not known of it.
type notBefore struct{ now func() time.Time }

func (g notBefore) MaySign() error {
	cp, err := checkpoint.Builtin(config.Finney)
	if err != nil {
		return err
	}
	now := g.now()
	if _, ok := cp.Age(uint64(max(now.UnixMilli(), 0))); !ok {
		return fmt.Errorf("the clock says %s, which is before this version's checkpoint", now.UTC().Format(time.DateOnly))
	}
	return nil
}

// A query is the flags of a call to axons.
type query struct {
	walletFlags
	netuid          uint16
	spec, input     string
	path            string
	method          string
	stream, private bool
	wait            time.Duration
}

// maxInput bounds what is sent to an axon, maxSpec a description of a synapse.
const (
	maxInput = 1 << 20
	maxSpec  = 64 << 10
)

func (a *app) queryCommand() *cobra.Command {
	var q query
	cmd := &cobra.Command{
		Use:   "query HOTKEY@URL|UID…",
		Short: "ask axons, as a validator does",
		Long: `Signs a request with a hotkey for each axon and prints what it answers. An axon is the
hotkey that it has and its address, as HOTKEY@http://ADDRESS:PORT; or with --netuid the
uid of a neuron, whose hotkey and address are read from proven state.

The request is a synapse as the Python SDK sends it: the template's Dummy, Synapse (a
ping), or one described in a file of JSON, as {"name": "Talk", "fields": [{"name":
"prompt", "type": "str", "required": true}, …], "hash": ["prompt"]}. With --path it is
a signed HTTP request (btauth/1) instead.

What an axon answers is signed by nobody. Ends with 1 if one does not answer.`,
		Example: `  taolight neuron query 5FHn…94ty@http://192.0.2.1:8091 --input '{"dummy_input": 21}'
  taolight neuron query 3 4 5 --netuid 18 --synapse talk.json --input @question.json`,
		RunE: a.do(func(cmd *cobra.Command, args []string) error { return a.query(cmd, &q, args) }),
	}
	q.flags(cmd)
	a.settings(cmd, readerSettings...)
	a.jsonFlag(cmd)
	return cmd
}

func (q *query) flags(cmd *cobra.Command) {
	q.walletFlags.flags(cmd, true)
	f := cmd.Flags()
	f.Uint16Var(&q.netuid, "netuid", 0, "subnet whose uids are meant")
	f.StringVar(&q.spec, "synapse", "Dummy", "Dummy, Synapse, or a file that describes one")
	f.StringVar(&q.input, "input", "", "the fields as a JSON object, or the body with --path; @FILE reads one, - stdin")
	f.StringVar(&q.path, "path", "", "send a signed HTTP request to this path")
	f.StringVar(&q.method, "method", "POST", "its method")
	f.BoolVar(&q.stream, "stream", false, "print the answer as it comes")
	f.BoolVar(&q.private, "private", false, "also call uids whose address is private or of this machine")
	f.DurationVar(&q.wait, "timeout", synapse.DefaultTimeout, "how long to wait for an axon")
}

// callee is who is asked, by what was typed.
type callee struct {
	typed  string
	uid    *uint16
	target dendrite.Target
	err    error
}

// An answered is what --json says of one axon.
type answered struct {
	Asked   string          `json:"asked"`
	Hotkey  string          `json:"hotkey,omitempty"`
	URL     string          `json:"url,omitempty"`
	Status  int             `json:"status"`
	Seconds float64         `json:"seconds"`
	Output  json.RawMessage `json:"output,omitempty"`
	Text    string          `json:"text,omitempty"` // an answer that is no JSON
	Error   string          `json:"error,omitempty"`
}

func (a *app) query(cmd *cobra.Command, q *query, args []string) error {
	if len(args) == 0 {
		return usage("nobody to ask").WithHint("give HOTKEY@http://ADDRESS:PORT, or uids with --netuid")
	}
	if q.stream && len(args) > 1 {
		return usage("--stream prints one answer, and %d axons are asked", len(args))
	}
	if q.wait <= 0 || q.wait > synapse.MaxTimeout {
		return usage("--timeout %v: want more than nothing and at most %v", q.wait, synapse.MaxTimeout)
	}
	list, uids, err := callees(args)
	if err != nil {
		return err
	}
	if uids && !cmd.Flags().Changed("netuid") {
		return usage("--netuid is missing: of which subnet are these uids?")
	}
	values, body, err := a.questionOf(q)
	if err != nil {
		return err
	}
	key, err := a.hotkey(&q.walletFlags)
	if err != nil {
		return err
	}
	defer key.Wipe()
	signer, err := wallet.NewSigner(key, notBefore{a.now})
	if err != nil {
		return err
	}
	if uids {
		if err := a.resolve(cmd, q, list); err != nil {
			return err
		}
	}
	d, err := dendrite.New(dendrite.Config{Signer: signer, Private: !uids || q.private, Agent: "taolight/" + version})
	if err != nil {
		return err
	}
	defer d.Close()
	if q.stream {
		return a.streamed(cmd.Context(), d, q, &list[0], values, body)
	}
	out := make([]answered, len(list))
	var wg sync.WaitGroup
	for i := range list {
		wg.Go(func() { out[i] = call(cmd.Context(), d, q, &list[i], values, body) })
	}
	wg.Wait()
	return a.printAnswers(out)
}

// callees reads who is asked; uids have no target yet.
func callees(args []string) (list []callee, uids bool, err error) {
	for _, arg := range args {
		if n, err := strconv.ParseUint(arg, 10, 16); err == nil {
			uid := uint16(n)
			list, uids = append(list, callee{typed: arg, uid: &uid}), true
			continue
		}
		hotkey, u, ok := strings.Cut(arg, "@")
		if !ok {
			return nil, false, usage("%s: want HOTKEY@http://ADDRESS:PORT or a uid", printable(arg)).WithHint("a request is signed for the axon's hotkey, so that has to be known")
		}
		account, err := verify.ParseAccount(hotkey)
		if err != nil {
			return nil, false, usage("%s: %w", printable(arg), err)
		}
		if !strings.Contains(u, "://") {
			u = "http://" + u
		}
		list = append(list, callee{typed: arg, target: dendrite.Target{Hotkey: account, URL: strings.TrimSuffix(u, "/")}})
	}
	return list, uids, nil
}

// questionOf reads what is asked: a synapse's values, or a body.
func (a *app) questionOf(q *query) (*synapse.Values, []byte, error) {
	input := []byte(q.input)
	var err error
	if name, isFile := strings.CutPrefix(q.input, "@"); isFile || q.input == "-" {
		if input, err = a.readBytes(name, maxInput); err != nil {
			return nil, nil, err
		}
	}
	if q.path != "" {
		return nil, input, nil
	}
	var spec *synapse.Spec
	switch q.spec {
	case "Dummy":
		spec = synapse.Dummy()
		if len(input) == 0 {
			input = []byte(`{"dummy_input": 1}`)
		}
	case "Synapse":
		spec = synapse.Ping()
	default:
		b, err := a.readBytes(q.spec, maxSpec)
		if err != nil {
			return nil, nil, usage("--synapse: %w", err)
		}
		if spec, err = synapse.ParseSpec(b); err != nil {
			return nil, nil, usage("%s: %w", printable(q.spec), err)
		}
	}
	if len(input) == 0 {
		input = []byte("{}")
	}
	v, err := spec.Read(input)
	if err != nil {
		return nil, nil, usage("--input: %w", err)
	}
	return v, nil, nil
}

// resolve finds the axons of uids in the proven metagraph.
func (a *app) resolve(cmd *cobra.Command, q *query, list []callee) error {
	a.timeout = time.Minute
	return a.ask(cmd, true, func(ctx context.Context, who control.Answerer) error {
		m, err := who.Metagraph(a.telling(ctx), control.TableQuestion{Netuid: &q.netuid})
		if err != nil {
			return err
		}
		for i := range list {
			c := &list[i]
			if c.uid == nil {
				continue
			}
			c.err = fmt.Errorf("subnet %d has no uid %d", q.netuid, *c.uid)
			for k := range m.Neurons {
				n := &m.Neurons[k]
				if n.UID != *c.uid {
					continue
				}
				hotkey, err := verify.ParseAccount(n.Hotkey)
				if c.err = err; err == nil && (n.Axon == nil || n.Axon.Address == "") {
					c.err = fmt.Errorf("uid %d serves nothing", n.UID)
				}
				if c.target.Hotkey = hotkey; c.err == nil {
					c.target.URL = "http://" + n.Axon.Address
				}
			}
		}
		return nil
	})
}

func call(ctx context.Context, d *dendrite.Dendrite, q *query, c *callee, values *synapse.Values, body []byte) answered {
	out := answered{Asked: c.typed, URL: c.target.URL}
	if c.target.Hotkey != (verify.AccountID{}) {
		out.Hotkey = c.target.Hotkey.String()
	}
	if c.err != nil {
		out.Error = c.err.Error()
		return out
	}
	begin := time.Now()
	err := func() error {
		if values != nil {
			r, err := d.Call(ctx, c.target, values, q.wait)
			if err == nil {
				out.Status, out.Output = 200, r.Values.Object()
			}
			return err
		}
		s, err := d.Send(ctx, c.target, dendrite.Message{Method: q.method, Path: q.path, Body: body}, q.wait)
		if err != nil {
			return err
		}
		defer s.Close()
		b, err := io.ReadAll(s)
		out.Status = s.Status
		if json.Valid(b) {
			out.Output = b
		} else {
			out.Text = string(b)
		}
		if err == nil && s.Status != 200 {
			err = fmt.Errorf("status %d", s.Status)
		}
		return err
	}()
	out.Seconds = time.Since(begin).Seconds()
	if err != nil {
		out.Error = err.Error()
		var e *dendrite.Error
		if errors.As(err, &e) {
			out.Status = e.Status
		}
	}
	return out
}

func (a *app) printAnswers(out []answered) error {
	failed := 0
	for _, o := range out {
		if o.Error != "" {
			failed++
		}
	}
	if a.json {
		if err := printJSON(a.stdout, struct {
			Schema  int        `json:"schema"`
			Answers []answered `json:"answers"`
		}{1, out}); err != nil {
			return err
		}
	} else {
		for _, o := range out {
			text := string(o.Output) + o.Text
			if o.Error != "" {
				text = o.Error + " " + text
			}
			fmt.Fprintf(a.stdout, "%s   %d   %.0f ms   %s\n", a.style.bold(printable(o.Asked)), o.Status, o.Seconds*1000, printable(strings.TrimSpace(text)))
		}
	}
	if failed > 0 {
		return quiet(control.Failure)
	}
	return nil
}

// streamed prints one answer as it comes; on a terminal, what could steer it is not let through.
func (a *app) streamed(ctx context.Context, d *dendrite.Dendrite, q *query, c *callee, values *synapse.Values, body []byte) error {
	if c.err != nil {
		return c.err
	}
	var s *dendrite.Stream
	var err error
	if values != nil {
		s, err = d.Stream(ctx, c.target, values, q.wait)
	} else {
		s, err = d.Send(ctx, c.target, dendrite.Message{Method: q.method, Path: q.path, Body: body}, q.wait)
	}
	if err != nil {
		return err
	}
	defer s.Close()
	b := make([]byte, 32<<10)
	for {
		n, err := s.Read(b)
		for i, c := range b[:n] {
			if c < ' ' && c != '\n' && c != '\t' || c == 0x7f {
				b[i] = '?'
			}
		}
		if _, err := a.stdout.Write(b[:n]); err != nil {
			return err
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
	}
	if s.Status != 200 {
		return fmt.Errorf("status %d", s.Status)
	}
	return nil
}
