package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/taolight/taolight/internal/demonet"
	"github.com/taolight/taolight/verify"
)

// A said is what tools.mjs prints.
type said struct {
	Tool       string
	Connected  string
	Heads      []uint32
	Sub        string
	Block      uint32
	Hash, Root verify.Hash
	Extrinsics []string

	Read, Number string
	Value        json.RawMessage
	Map          string
	Keys         []string
	Count        int
	Call         string
	Sent         verify.Hash // the block that it is final in
	Statuses     []string
	Moved, Fee   string
	Told         int
	Watched      int
	OK           bool
	Refused      string
	Done         bool
}

// judgeTools points tools at a taolight that has joined the network.
func judgeTools(ctx context.Context, n *demonet.Network, dir, file string) error {
	url, stop, err := startNode(ctx, dir, file)
	if err != nil {
		return err
	}
	defer stop()
	cmd := exec.CommandContext(ctx, "node", "tools.mjs", url)
	cmd.Dir, cmd.Stderr = dir, os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	var did deeds
	readErr := did.read(out, n)
	io.Copy(io.Discard, out)
	if err := errors.Join(readErr, cmd.Wait()); err != nil {
		return fmt.Errorf("tools.mjs: %w", err)
	}
	for _, tool := range []string{"@polkadot/api", "polkadot-api"} {
		for _, deed := range []string{"connected", "heads", "block", "read", "map", "call", "sent"} {
			if !did[tool+" "+deed] {
				return fmt.Errorf("%s: nothing of %q", tool, deed)
			}
		}
	}
	if !did["done"] || !did["@polkadot/api refused"] || !did["polkadot-api watched"] {
		return errors.New("tools.mjs did not finish")
	}
	fmt.Println("ok    tools")
	return nil
}

// startNode builds taolight and has it join the network by its chain spec.
func startNode(ctx context.Context, dir, file string) (url string, stop func(), err error) {
	bin := filepath.Join(dir, "taolight")
	build := exec.CommandContext(ctx, "go", "build", "-o", bin, "github.com/taolight/taolight/cmd/taolight")
	if text, err := build.CombinedOutput(); err != nil {
		return "", nil, fmt.Errorf("go build: %w: %s", err, lastLine(text))
	}
	cmd := exec.CommandContext(ctx, bin, "run", "--network", file, "--data-dir", filepath.Join(dir, "data"),
		"--rpc-listen", "127.0.0.1:0", "--gossip", "off", "--lan", "off")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", nil, err
	}
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	stop = func() {
		cmd.Process.Signal(syscall.SIGTERM)
		cmd.Wait()
	}
	lines := bufio.NewScanner(out)
	for url == "" && lines.Scan() {
		if _, rest, ok := strings.Cut(lines.Text(), "JSON-RPC on "); ok {
			url, _, _ = strings.Cut(rest, " ")
		}
	}
	if url == "" {
		stop()
		return "", nil, errors.New("taolight said no address for JSON-RPC")
	}
	go io.Copy(io.Discard, out)
	return url, stop, nil
}

// deeds are what tools have done, by tool and deed.
type deeds map[string]bool

func (d *deeds) read(r io.Reader, n *demonet.Network) error {
	*d = make(deeds)
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 4<<20)
	for lines.Scan() {
		if !bytes.HasPrefix(lines.Bytes(), []byte("{")) {
			fmt.Println("tools:", lines.Text())
			continue
		}
		var s said
		if err := json.Unmarshal(lines.Bytes(), &s); err != nil {
			return fmt.Errorf("tools.mjs printed %q: %w", lines.Text(), err)
		}
		if s.Done {
			(*d)["done"] = true
			continue
		}
		deed, text, err := s.judge(n)
		if err != nil {
			return fmt.Errorf("%s, %s: %w", s.Tool, deed, err)
		}
		(*d)[s.Tool+" "+deed] = true
		fmt.Printf("%-19s %s %s\n", s.Tool, deed, text)
	}
	return lines.Err()
}

// judge compares what a tool was told with the chain.
func (s *said) judge(n *demonet.Network) (deed, text string, err error) {
	switch {
	case s.Connected != "":
		return "connected", "to " + s.Connected, nil
	case s.Sub != "":
		for i, h := range s.Heads {
			if i > 0 && h != s.Heads[0]+uint32(i) {
				return "heads", "", fmt.Errorf("%s told of %v, not in a row", s.Sub, s.Heads)
			}
		}
		return "heads", fmt.Sprintf("%v by %s", s.Heads, s.Sub), nil
	case s.Block != 0:
		h := n.Header(s.Block)
		if h == nil || h.Hash() != s.Hash || h.StateRoot != s.Root {
			return "block", "", fmt.Errorf("block %d is not %v", s.Block, s.Hash)
		}
		var want []string
		for _, x := range n.Body(s.Hash) {
			want = append(want, fmt.Sprintf("0x%x", x))
		}
		if !slices.Equal(s.Extrinsics, want) {
			return "block", "", fmt.Errorf("block %d has the extrinsics %v, not %v", s.Block, want, s.Extrinsics)
		}
		return "block", fmt.Sprintf("%d with %d extrinsics", s.Block, len(want)), nil
	case s.Read != "":
		want, _, err := n.Storage(s.Hash, verify.StorageKey("Timestamp", "Now"))
		if err != nil || len(want) != 8 {
			return "read", "", fmt.Errorf("the chain has %x, %v", want, err)
		}
		number := uint64(0)
		for i := range want {
			number |= uint64(want[i]) << (8 * i)
		}
		if s.Number != strconv.FormatUint(number, 10) && string(s.Value) != fmt.Sprintf(`"0x%x"`, want) {
			return "read", "", fmt.Errorf("%s%s, the chain has %d", s.Number, s.Value, number)
		}
		return "read", fmt.Sprintf("%s = %d", s.Read, number), nil
	case s.Map != "":
		want, err := n.StorageKeys(s.Hash, verify.StorageKey("System", "Account"))
		if err != nil {
			return "map", "", err
		}
		if s.Keys != nil {
			s.Count = len(s.Keys)
			for i, k := range want {
				if i < len(s.Keys) && s.Keys[i] != fmt.Sprintf("0x%x", k) {
					return "map", "", fmt.Errorf("key %s, the chain has %x", s.Keys[i], k)
				}
			}
		}
		if s.Count != len(want) {
			return "map", "", fmt.Errorf("%d entries, the chain has %d", s.Count, len(want))
		}
		return "map", fmt.Sprintf("%s of %d entries", s.Map, len(want)), nil
	case s.Call != "":
		who, err := verify.ParseAccount("5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY")
		if err != nil {
			return "call", "", err
		}
		want, err := n.Call(context.Background(), s.Hash, s.Call, who[:])
		if err != nil || len(want) != 4 || string(s.Value) != strconv.Itoa(int(want[0])) {
			return "call", "", fmt.Errorf("%s, the chain says %x, %v", s.Value, want, err)
		}
		return "call", fmt.Sprintf("%s = %s", s.Call, s.Value), nil
	case s.Watched != 0:
		if !s.OK {
			return "watched", "", errors.New("what a transfer changed was not told")
		}
		return "watched", fmt.Sprintf("a map of %d entries, and saw it change", s.Watched), nil
	case s.Refused != "":
		if !strings.Contains(s.Refused, "1010: Invalid Transaction: Transaction is outdated") {
			return "refused", "", errors.New(s.Refused)
		}
		return "refused", s.Refused, nil
	case !s.Sent.IsZero():
		if n.Body(s.Sent) == nil || len(n.Body(s.Sent)) < 2 {
			return "sent", "", fmt.Errorf("block %v has no extrinsic beside the inherent one", s.Sent)
		}
		if s.Tool == "@polkadot/api" && (s.Moved != "1000000000" || s.Told < 2 || s.Fee == "0") || s.Tool == "polkadot-api" && !s.OK {
			return "sent", "", fmt.Errorf("%+v", *s)
		}
		return "sent", fmt.Sprintf("a transfer: %s", strings.Join(s.Statuses, ", ")), nil
	}
	return "?", "", errors.New("nothing known was said")
}
