// Command taolight joins a Bittensor network as a light client, proves what it learns and answers
// questions about it.
//
// This package parses the command line, wires the packages together and prints. It decides nothing
// about what is true, and it keeps these rules of output:
//
//   - Results go to stdout, everything else to stderr, beginning with "taolight: ".
//   - Errors begin with a small letter and end without a full stop; a hint on what to do follows in
//     a line of its own.
//   - Every figure has its block and how far it can be believed: finalized, best, checkpoint or
//     unproven. Every screen about a demo network says "demo".
//   - A screen fits 80 columns, hashes apart, and is plain text: colour is for terminals, unless
//     NO_COLOR is set.
//   - With --json the answer is JSON alone, with "schema": 1; members are added, never renamed.
//   - Nothing is ever asked but a secret of a key, and that only if stdin is a terminal.
//   - The exit code is one of control.Codes, which --help lists.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/taolight/taolight/internal/control"
	"github.com/taolight/taolight/lightclient/p2p"
)

// An app is one invocation.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	environ        []string
	program        string // as it was called
	style          style
	now            func() time.Time

	configFile string // --config

	reached bool // a command's own code ran: what it returns is no mistake of the command line
	json    bool
	timeout time.Duration
}

func main() {
	os.Exit(realMain())
}

// realMain runs the program and returns its exit code; tests run it as well.
func realMain() int {
	// What libp2p says of itself is neither a result nor a warning with a remedy, such as a listener that
	// was closed twice at the end. Who asks for its log by its own variable gets it.
	if os.Getenv("GOLOG_LOG_LEVEL") == "" {
		p2p.SetLogHandler(slog.DiscardHandler)
		log.SetOutput(io.Discard) // of zeroconf, which says there what mdns returns as an error
	}
	a := &app{
		stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, environ: os.Environ(), program: os.Args[0],
		style: styleOf(os.Stdout), now: time.Now,
	}
	return int(a.run(context.Background(), os.Args[1:]))
}

func (a *app) run(ctx context.Context, args []string) control.Code {
	root := a.root()
	root.SetArgs(args)
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return control.Good
	}
	code := control.CodeOf(err)
	if !a.reached {
		code = control.Usage
	}
	var q quiet
	if errors.As(err, &q) {
		return control.Code(q)
	}
	a.complain(err)
	if hint := control.HintOf(err); code == control.Usage && hint == "" {
		fmt.Fprintf(a.stderr, "  try: %s --help\n", cmd.CommandPath())
	}
	return code
}

// quiet ends the program with a code after everything has been said.
type quiet control.Code

func (q quiet) Error() string { return control.Codes[q] }

// complain prints an error and its hint.
func (a *app) complain(err error) {
	fmt.Fprintf(a.stderr, "taolight: %v\n", err)
	if hint := control.HintOf(err); hint != "" {
		fmt.Fprintf(a.stderr, "  %s\n", hint)
	}
}

// warn prints a line that ends nothing.
func (a *app) warn(format string, args ...any) {
	fmt.Fprintf(a.stderr, "taolight: "+format+"\n", args...)
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "taolight",
		Short: "a light node for Bittensor",
		Long: `taolight joins the Bittensor network as a light client and proves what it learns:
headers, finality and storage, from a checkpoint on, with no server to trust.`,
		Example: `  taolight run --network demo        try it: a small chain in this process
  taolight run                       join finney
  taolight status                    in another terminal
  taolight get Timestamp.Now         a storage value, proven
  taolight verify --kind header h.json`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noCommand,
		RunE:          a.do(a.bare),
	}
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetHelpCommand(a.helpCommand())
	a.settings(root, readerSettings...)
	root.AddGroup(&cobra.Group{ID: "node", Title: "The node:"}, &cobra.Group{ID: "ask", Title: "Asking it:"},
		&cobra.Group{ID: "key", Title: "Keys and neurons:"}, &cobra.Group{ID: "file", Title: "Files:"})
	root.AddCommand(a.runCommand(), a.demoCommand(), a.powerCommand(), a.doctorCommand(), a.benchCommand(), a.bugreportCommand(),
		a.statusCommand(), a.peersCommand(), a.headCommand(), a.getCommand(),
		a.metagraphCommand(), a.yumaCommand(), a.subnetsCommand(), a.accountCommand(),
		a.commitsCommand(), a.weightsCommand(), a.bundleCommand(), a.callCommand(), a.runtimeCommand(), a.gossipCommand(),
		a.governanceCommand(),
		a.walletCommand(), a.txCommand(), a.neuronCommand(),
		a.checkpointCommand(), a.verifyCommand(), a.checkCommand(), a.backupCommand(), a.restoreCommand(),
		a.completionCommand(), a.versionCommand())
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error {
		// That a number is none shows without the function that did not read it.
		what, why, ok := strings.Cut(err.Error(), ": strconv.")
		switch {
		case !ok:
			return err
		case strings.HasSuffix(why, strconv.ErrRange.Error()):
			return fmt.Errorf("%s: it is too large", what)
		}
		return fmt.Errorf("%s: want a number", what)
	})
	help := folding(root.HelpFunc())
	root.SetHelpFunc(func(cmd *cobra.Command, args []string) {
		help(cmd, args)
		if cmd == root {
			fmt.Fprint(cmd.OutOrStdout(), "\nExit codes:\n")
			for code, text := range control.Codes {
				fmt.Fprintf(cmd.OutOrStdout(), "  %d  %s\n", code, text)
			}
		}
	})
	return root
}

// helpCommand is cobra's own, but for a command that there is not.
func (a *app) helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "how to use a command",
		RunE: a.do(func(cmd *cobra.Command, args []string) error {
			of, rest, err := cmd.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return noCommand(cmd.Root(), args)
			}
			of.InitDefaultHelpFlag()
			return of.Help()
		}),
	}
}

// noCommand refuses what is no command of ours.
func noCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	err := control.Errorf(control.Usage, "unknown command %q", args[0])
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		return err.WithHint("did you mean %s?", strings.Join(near, " or "))
	}
	return err
}

// do wraps a command's code: from here on errors are its own.
func (a *app) do(f func(cmd *cobra.Command, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		a.reached = true
		return f(cmd, args)
	}
}

// usage returns an error of the command line.
func usage(format string, args ...any) *control.Error {
	return control.Errorf(control.Usage, format, args...)
}
