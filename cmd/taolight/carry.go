package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/taolight/taolight/gossip/carrier"
	"github.com/taolight/taolight/internal/control"
)

// loseFlag is how many chunks of how many may be lost, as A/B.
type loseFlag struct{ lose, of int }

func (l *loseFlag) String() string { return "" } // the default is carrier's; the help names it
func (l *loseFlag) Type() string   { return "A/B" }
func (l *loseFlag) Set(s string) error {
	a, b, ok := strings.Cut(s, "/")
	var err, err2 error
	l.lose, err = strconv.Atoi(a)
	l.of, err2 = strconv.Atoi(b)
	if !ok || err != nil || err2 != nil || l.of < 1 || l.lose < 0 {
		return errors.New("want A/B, as 2/7 for any 2 of 7, or 0/1 for none")
	}
	return nil
}

func (a *app) splitCommand() *cobra.Command {
	var dir string
	var o carrier.Options
	var lose loseFlag
	cmd := &cobra.Command{
		Use:   "split FILE",
		Short: "numbered chunks for links that lose some: radio, serial, paper",
		Long: `Cuts a bundle into numbered chunks with parity, small enough for a LoRa packet:
without -o as lines of text, which can be sent, pasted or read out in any order;
with -o as one file each. - is stdin. taolight bundle join puts them together.`,
		Example: `  taolight bundle split sn1.tlb >sn1.txt
  taolight bundle split sn1.tlb --size 200 -o chunks`,
		Args: oneFile,
		RunE: a.do(func(cmd *cobra.Command, args []string) error {
			b, err := a.readBundle(args[0])
			if err != nil {
				return err
			}
			o.Lose, o.Of = lose.lose, lose.of
			chunks, err := carrier.Split(b, o)
			if err != nil {
				return carryError(err)
			}
			if dir == "" {
				for _, c := range chunks {
					line, err := carrier.Text(c)
					if err == nil {
						_, err = fmt.Fprintln(a.stdout, line)
					}
					if err != nil {
						return err
					}
				}
			} else {
				if err := os.MkdirAll(dir, 0o755); err != nil {
					return err
				}
				width := len(strconv.Itoa(len(chunks)))
				for i, c := range chunks {
					name := filepath.Join(dir, fmt.Sprintf("%s.%0*d.chunk", stem(args[0]), width, i+1))
					if err := writeFile(name, c, 0o644); err != nil {
						return err
					}
				}
			}
			fmt.Fprintf(a.stderr, "%s in %s of %d bytes\n", count(len(b), "byte"), count(len(chunks), "chunk"), len(chunks[0]))
			return nil
		}),
	}
	cmd.Flags().StringVarP(&dir, "output", "o", "", "folder for one file per chunk")
	cmd.Flags().IntVar(&o.ChunkSize, "size", carrier.LoRaChunk, "most bytes of a chunk")
	cmd.Flags().Var(&lose, "lose", "chunks that may be lost, of how many (default 2/7)")
	return cmd
}

func (a *app) joinCommand() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "join FILE…",
		Short: "put chunks together, from files or lines of text",
		Long: `Puts a bundle together from chunks in any order, with gaps, repeats and damage, as far
as its parity reaches. A FILE is one chunk, or text in which some lines hold chunks;
- is stdin. Whole and unchanged, the bundle is written; whether it is true is for
taolight verify to say.

Ends with 7, and the numbers that would help, when chunks are missing.`,
		Example: `  taolight bundle join sn1.txt -o sn1.tlb
  cat log | taolight bundle join - -o - | taolight verify -`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage("no file given").WithHint("- reads stdin")
			}
			return nil
		},
		RunE: a.do(func(cmd *cobra.Command, args []string) error {
			if out == "" {
				return usage("-o is missing: where to write the bundle; - is stdout")
			}
			var j carrier.Joiner
			for _, name := range args {
				b, err := a.readBytes(name, maxChunkFile)
				if err != nil {
					return err
				}
				if _, err := j.AddFile(b); err != nil && !errors.Is(err, carrier.ErrContent) && !errors.Is(err, carrier.ErrConflict) {
					return control.Errorf(control.Failure, "%s: %w", printable(name), err)
				}
			}
			if c := j.Counts(); c.Damaged+c.Conflict+c.False+c.Evicted > 0 {
				a.warn("%d damaged and %d contradicting chunks left out, %d messages given up", c.Damaged, c.Conflict, c.False+c.Evicted)
			}
			b, err := j.Bytes()
			if errors.Is(err, carrier.ErrIncomplete) {
				return control.Errorf(control.Undecided, "%w", err).WithHint("add files with chunks that would help")
			}
			if err != nil {
				return err
			}
			if j.Next() {
				if _, err := j.Bytes(); err == nil {
					return control.Errorf(control.Failure, "chunks of several whole messages").WithHint("join those of one at a time")
				}
			}
			if err := a.writeOut(out, b); err != nil {
				return err
			}
			if out != "-" {
				fmt.Fprintf(a.stderr, "%s written to %s; next: taolight verify %s\n", count(len(b), "byte"), out, quote(out))
			}
			return nil
		}),
	}
	cmd.Flags().StringVarP(&out, "output", "o", "", "file to write, - for stdout")
	return cmd
}

// maxChunkFile bounds a file of chunks: a bundle of the largest size in base32 with as much parity.
const maxChunkFile = 64 << 20

func (a *app) qrCommand() *cobra.Command {
	var dir string
	var o carrier.QROptions
	var t carrier.TerminalOptions
	var lose loseFlag
	var scale int
	cmd := &cobra.Command{
		Use:   "qr FILE",
		Short: "a set of QR codes, on the terminal or as PNG",
		Long: `Puts a bundle on a set of QR codes, each of which holds one chunk as a line of text:
on the terminal, or with -o as one PNG each. Some codes may be missing. What a reader
of the codes gives, line by line, goes to taolight bundle join.`,
		Example: `  taolight bundle qr head.tlb
  taolight bundle qr head.tlb -o codes`,
		Args: oneFile,
		RunE: a.do(func(cmd *cobra.Command, args []string) error {
			b, err := a.readBundle(args[0])
			if err != nil {
				return err
			}
			o.Lose, o.Of = lose.lose, lose.of
			codes, err := carrier.QR(b, o)
			if err != nil {
				return carryError(err)
			}
			if dir != "" {
				if err := os.MkdirAll(dir, 0o755); err != nil {
					return err
				}
				width := len(strconv.Itoa(len(codes)))
				for i, c := range codes {
					name := filepath.Join(dir, fmt.Sprintf("%s.%0*d.png", stem(args[0]), width, i+1))
					if err := writeFile(name, c.PNG(scale), 0o644); err != nil {
						return err
					}
				}
				fmt.Fprintf(a.stderr, "%s on %s of %d×%d modules in %s\n", count(len(b), "byte"), count(len(codes), "code"), codes[0].Size(), codes[0].Size(), dir)
				return nil
			}
			for _, c := range codes {
				if _, err := fmt.Fprintf(a.stdout, "%d of %d\n%s\n", c.Number, c.Of, c.Terminal(t)); err != nil {
					return err
				}
			}
			return nil
		}),
	}
	f := cmd.Flags()
	f.StringVarP(&dir, "output", "o", "", "folder for one PNG per code")
	f.IntVar(&scale, "scale", 8, "pixels to a module of a PNG, 1 to 32")
	f.IntVar(&o.MaxVersion, "version-max", carrier.DefaultVersion, "largest QR version, up to 40: fewer and denser codes")
	f.StringVar(&o.Level, "level", "L", "error correction within a code: L, M, Q or H")
	f.Var(&lose, "lose", "codes that may be missing, of how many (default 2/7)")
	f.BoolVar(&t.Light, "light", false, "the terminal has a light ground")
	f.BoolVar(&t.ASCII, "ascii", false, "draw with # alone")
	return cmd
}

// carryError gives an error of the carrier its code.
func carryError(err error) error {
	if errors.Is(err, carrier.ErrOptions) {
		return usage("%w", err)
	}
	return err
}

func oneFile(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usage("want one file, not %d", len(args)).WithHint("- reads stdin")
	}
	return nil
}

// stem is what the files made of a file are called.
func stem(name string) string {
	if name == "-" {
		return "bundle"
	}
	base := filepath.Base(name)
	return strings.TrimSuffix(base, filepath.Ext(base))
}

// readBytes reads a file, or stdin, of at most limit bytes.
func (a *app) readBytes(name string, limit int64) ([]byte, error) {
	if name != "-" {
		b, err := readBounded(name, limit)
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("%s: no such file", name)
		}
		return b, err
	}
	b, err := io.ReadAll(io.LimitReader(a.stdin, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = fmt.Errorf("stdin: more than %d bytes", limit)
	}
	return b, err
}

// writeOut writes a result to a file, or to stdout for -.
func (a *app) writeOut(name string, b []byte) error {
	if name == "-" {
		_, err := a.stdout.Write(b)
		return err
	}
	if err := writeFile(name, b, 0o644); err != nil {
		return fmt.Errorf("cannot write %s: %w", name, reason(err))
	}
	return nil
}

// checkOut reports whether a result can be written to that name, as far as that shows before there is one.
func checkOut(name string) error {
	if name == "" || name == "-" {
		return nil
	}
	if i, err := os.Stat(name); err == nil && i.IsDir() {
		return fmt.Errorf("cannot write %s: it is a folder", name)
	}
	if i, err := os.Stat(filepath.Dir(name)); err != nil {
		return fmt.Errorf("cannot write %s: %w", name, reason(err))
	} else if !i.IsDir() {
		return fmt.Errorf("cannot write %s: %s is not a folder", name, filepath.Dir(name))
	}
	return nil
}

// reason is an error of a file without the name that the file has while it is written.
func reason(err error) error {
	var path *os.PathError
	var link *os.LinkError
	switch {
	case errors.As(err, &path):
		return path.Err
	case errors.As(err, &link):
		return link.Err
	}
	return err
}
