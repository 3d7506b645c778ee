package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is the release this is, or will be.
const version = "0.1.0"

// builtFrom is what make package has the linker write here, since what Go itself stamps depends on the
// clone. Without it that stamp counts.
var builtFrom string

// versionAnswer is what `version --json` prints.
type versionAnswer struct {
	Schema   int    `json:"schema"`
	Version  string `json:"version"`
	Commit   string `json:"commit,omitempty"`
	Modified bool   `json:"modified"` // built from files that no commit holds
	Go       string `json:"go"`
	OS       string `json:"os"`
	Arch     string `json:"arch"`
}

func (a *app) versionCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "version",
		Short: "say which taolight this is",
		Args:  cobra.NoArgs,
		RunE: a.do(func(*cobra.Command, []string) error {
			v := versionAnswer{Schema: 1, Version: version, Commit: builtFrom, Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH}
			if info, ok := debug.ReadBuildInfo(); ok && builtFrom == "" {
				for _, s := range info.Settings {
					switch s.Key {
					case "vcs.revision":
						v.Commit = s.Value
					case "vcs.modified":
						v.Modified = s.Value == "true"
					}
				}
			}
			if a.json {
				return printJSON(a.stdout, v)
			}
			from := ""
			if v.Commit != "" {
				from = ", commit " + v.Commit[:min(len(v.Commit), 12)]
				if v.Modified {
					from += " and changes"
				}
			}
			fmt.Fprintf(a.stdout, "taolight %s (%s %s/%s%s)\n", v.Version, v.Go, v.OS, v.Arch, from)
			return nil
		}),
	}
	a.jsonFlag(cmd)
	return cmd
}

func (a *app) completionCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "completion bash|zsh|fish",
		Short: "print the completion script of a shell",
		Long: `Prints the completion script of a shell, for example:

  taolight completion bash > /etc/bash_completion.d/taolight
  taolight completion zsh  > "${fpath[1]}/_taolight"
  taolight completion fish > ~/.config/fish/completions/taolight.fish`,
		ValidArgs: []string{"bash", "zsh", "fish"},
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		RunE: a.do(func(cmd *cobra.Command, args []string) error {
			switch args[0] {
			case "bash":
				return cmd.Root().GenBashCompletionV2(a.stdout, true)
			case "zsh":
				return cmd.Root().GenZshCompletion(a.stdout)
			}
			return cmd.Root().GenFishCompletion(a.stdout, true)
		}),
	}
	return cmd
}
