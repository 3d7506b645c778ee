package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/taolight/taolight/internal/control"
	"github.com/taolight/taolight/lightclient"
	"github.com/taolight/taolight/lightclient/runtime"
	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/bundle"
)

func (a *app) callCommand() *cobra.Command {
	var q control.CallQuestion
	var at uint32
	var file string
	cmd := a.reader(&cobra.Command{
		Use:   "call API_METHOD [ARGUMENT]…",
		Short: "what the chain's own runtime answers, executed here on proofs",
		Long: `Executes a runtime API at a finalized block: the chain's own code, which its state
has, over storage that is proven against the block's state root. No answer of a peer
is believed. Arguments are numbers, addresses, text, hex or JSON, as the method takes
them; taolight runtime show lists the methods.

--bundle keeps the answer with its proof, for taolight verify --code CODE FILE; CODE is
what taolight runtime export writes, unless --with-code puts it into the bundle.

Ends with 7 when it cannot be executed: the chain has no runtime, the state is pruned,
a peer's proof is incomplete, the call traps.`,
		Example: `  taolight call AccountNonceApi_account_nonce 5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY
  taolight call SubnetInfoRuntimeApi_get_subnet_info 18 --json
  taolight call Core_version --bundle version.tlb`,
		RunE: a.do(func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage("call: no method given").WithHint("taolight runtime show lists them")
			}
			q.Method, q.Words, q.Bundle = args[0], args[1:], file != ""
			if q.Embed && !q.Bundle {
				return usage("call: --with-code is for --bundle")
			}
			if cmd.Flags().Changed("at") {
				q.At = &at
			}
			return a.ask(cmd, true, func(ctx context.Context, who control.Answerer) error {
				return a.call(a.telling(ctx), who, q, file)
			})
		}),
	})
	cmd.Flags().Uint32Var(&at, "at", 0, "block to execute it at (default the finalized head)")
	cmd.Flags().BoolVar(&q.Raw, "raw", false, "one argument: all of them encoded, in hex; the answer is not decoded")
	cmd.Flags().StringVar(&file, "bundle", "", "write the answer with its proof to this file")
	cmd.Flags().BoolVar(&q.Embed, "with-code", false, "the bundle has the runtime itself, some megabytes")
	return cmd
}

func (a *app) call(ctx context.Context, who control.Answerer, q control.CallQuestion, file string) error {
	c, err := who.Execute(ctx, q)
	if err != nil {
		return err
	}
	if q.Bundle {
		if _, err := bundle.Decode(c.Bundle); err != nil {
			return fmt.Errorf("the bundle that was made: %w", err)
		}
		if err := a.writeOut(file, c.Bundle); err != nil {
			return err
		}
		a.warn("%s: %s; taolight verify --code CODE judges it", file, size(uint64(len(c.Bundle))))
		c.Bundle = nil
	}
	if a.json {
		return printJSON(a.stdout, c)
	}
	a.printCall(a.stdout, c)
	return nil
}

func (a *app) printCall(w io.Writer, c *control.Called) {
	joined := ""
	if c.Joined {
		joined = ", joined for this question"
	}
	fmt.Fprintf(w, "%s   %s %s %s\n", a.style.bold(networkName(c.Network, c.Demo)), c.Trust, block(c.Number), short(c.Hash))
	fmt.Fprintf(w, "runtime  spec %d, code %s, %s\n", c.Spec, short(c.CodeHash), engineName(c.Compiled))
	from := fmt.Sprintf("a call proof of %s", count(c.Peers, "peer"))
	switch {
	case c.Peers == 0:
		from = "read key by key"
	case c.OnDemand > 0:
		from += fmt.Sprintf(" and %s beside it", count(c.OnDemand, "key"))
	}
	fmt.Fprintf(w, "proof    %s, %s, %s%s\n\n", count(c.Nodes, "node"), size(uint64(c.Proof)), from, joined)
	title := c.Method
	if c.Type != "" {
		title += " → " + c.Type
	}
	fmt.Fprintln(w, a.style.bold(title))
	switch {
	case c.Text != "":
		fmt.Fprintf(w, "  %s\n", printable(c.Text))
	default:
		fmt.Fprintf(w, "  %s\n", c.Output)
	}
	if c.Note != "" {
		fmt.Fprintf(w, "  %s\n", a.style.dim(printable(c.Note)))
	}
}

func engineName(compiled bool) string {
	if compiled {
		return "compiled"
	}
	return "interpreted"
}

func (a *app) runtimeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "runtime",
		GroupID: "ask",
		Short:   "the chain's own code: what it is, and what it says of itself",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.runtimeShowCommand(), a.runtimeFileCommand(false), a.runtimeFileCommand(true))
	return cmd
}

func (a *app) runtimeShowCommand() *cobra.Command {
	var at uint32
	cmd := a.reader(&cobra.Command{
		Use:   "show",
		Short: "version, APIs, code hash, metadata hash",
		Long: `Shows the runtime in the state of a finalized block. Its code is proven by the state
root, and is executed here for its metadata; nothing else is asked of anybody.

The metadata hash is the digest of RFC-78, as CheckMetadataHash wants it.`,
		Args: cobra.NoArgs,
		RunE: a.do(func(cmd *cobra.Command, _ []string) error {
			q := control.CodeQuestion{}
			if cmd.Flags().Changed("at") {
				q.At = &at
			}
			return a.ask(cmd, true, func(ctx context.Context, who control.Answerer) error {
				r, err := who.Runtime(a.telling(ctx), q)
				if err != nil {
					return err
				}
				if a.json {
					return printJSON(a.stdout, r)
				}
				a.printRuntime(a.stdout, r)
				return nil
			})
		}),
	})
	cmd.GroupID = ""
	cmd.Flags().Uint32Var(&at, "at", 0, "block in whose state it is (default the finalized head)")
	return cmd
}

func (a *app) printRuntime(w io.Writer, r *control.Runtime) {
	joined := ""
	if r.Joined {
		joined = ", joined for this question"
	}
	row := func(name, format string, args ...any) {
		fmt.Fprintf(w, "%-10s %s\n", name, fmt.Sprintf(format, args...))
	}
	fmt.Fprintf(w, "%s   %s %s %s%s\n", a.style.bold(networkName(r.Network, r.Demo)), r.Trust, block(r.Number), short(r.Hash), joined)
	row("runtime", "%s %d (implementation %s %d, authoring %d)", printable(r.SpecName), r.Spec, printable(r.ImplName), r.Impl, r.Authoring)
	row("formats", "transactions %d, state %d", r.Transaction, r.State)
	row("code", "%s, %s, %s", r.CodeHash, size(uint64(r.CodeBytes)), r.Engine)
	if r.Interprets != "" {
		row("", "interpreted here: %s", printable(r.Interprets))
	}
	audited := fmt.Sprintf("audited (to spec %d)", r.Ceiling)
	if !r.Audited {
		audited = fmt.Sprintf("not audited (those to spec %d were): claims that rest on rules are undecided", r.Ceiling)
	}
	row("rules", "%s", audited)
	row("metadata", "V%d: %s, %s, %s", r.Metadata, count(len(r.Pallets), "pallet"), count(r.Items, "storage item"), count(r.Types, "type"))
	if r.Digest != "" {
		row("", "hash %s (RFC-78)", r.Digest)
	} else {
		row("", "no RFC-78 hash: %s", printable(r.NoDigest))
	}
	fmt.Fprint(w, wrap(strings.Join(r.Pallets, ", "), "           "))
	if len(r.Differs) > 0 {
		row("layout", "otherwise than built in, and read by the metadata:")
		for _, d := range r.Differs {
			fmt.Fprintf(w, "           %s\n", printable(d))
		}
	}
	for i, api := range r.APIs {
		name := ""
		if i == 0 {
			name = "APIs"
		}
		title := api.ID
		if api.Name != "" {
			title = api.Name
		}
		row(name, "%s, version %d", printable(title), api.Version)
		for _, m := range api.Methods {
			fmt.Fprintf(w, "             %s\n", printable(m))
		}
	}
}

func (a *app) runtimeFileCommand(meta bool) *cobra.Command {
	var at uint32
	cmd := a.reader(&cobra.Command{
		Use:   "export FILE",
		Short: "write the code, as :code has it, for taolight verify --code",
		Args:  oneFile,
		RunE: a.do(func(cmd *cobra.Command, args []string) error {
			q := control.CodeQuestion{Metadata: meta}
			if cmd.Flags().Changed("at") {
				q.At = &at
			}
			return a.ask(cmd, true, func(ctx context.Context, who control.Answerer) error {
				c, err := who.Code(a.telling(ctx), q)
				if err != nil {
					return err
				}
				if err := a.writeOut(args[0], c.File); err != nil {
					return err
				}
				hash := verify.Blake2b256(c.File)
				a.warn("%s: %s, Blake2b-256 %s, from the state of %s", printable(args[0]), size(uint64(len(c.File))), hash, block(c.Number))
				return nil
			})
		}),
	})
	if meta {
		cmd.Use, cmd.Short = "metadata FILE", "write what the code says of itself, as state_getMetadata has it"
	}
	cmd.GroupID = ""
	cmd.Flags().Uint32Var(&at, "at", 0, "block in whose state it is (default the finalized head)")
	return cmd
}

// executor returns what executes the calls that bundles claim: by the interpreter, which keeps nothing and writes
// nothing.
func executor(ctx context.Context) (bundle.Executor, error) {
	e, err := runtime.New(runtime.Config{Interpreter: true})
	if err != nil {
		return nil, err
	}
	return lightclient.Executor{Engine: e, Context: ctx}, nil
}
