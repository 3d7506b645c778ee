package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	goruntime "runtime"
	"strings"
	"time"

	"github.com/gorilla/websocket"

	"github.com/taolight/taolight/internal/demonet"
	"github.com/taolight/taolight/lightclient"
	"github.com/taolight/taolight/lightclient/rpc"
	"github.com/taolight/taolight/verify"
)

// metagraphKeys is how many values a tool reads that shows a metagraph of 256 neurons from storage.
const metagraphKeys = 800

// served measures JSON-RPC: beside the same answer from a map behind net/http, what proving costs; memory per subscription;
// and the memory of a node with 64 clients, as a process of its own.
func served() ([]row, error) {
	chain, err := demonet.New(demonet.Config{History: 250, Peers: 3, SetChangeEvery: -1, BlockTime: time.Hour})
	if err != nil {
		return nil, err
	}
	defer chain.Stop()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	cfg := lightclient.Config{Checkpoint: chain.Checkpoint(), Version: "bench", Demo: true, BackDated: true, Seed: 1}
	for _, a := range chain.Bootnodes() {
		cfg.Bootnodes = append(cfg.Bootnodes, a.String())
	}
	node, err := lightclient.New(cfg)
	if err != nil {
		return nil, err
	}
	go node.Run(ctx)
	if err := node.WaitFinal(ctx); err != nil {
		return nil, err
	}
	s, err := rpc.New(rpc.Config{Chain: node, Genesis: chain.Genesis(), Limits: rpc.Limits{Subscriptions: 1000}})
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	go s.Serve(ctx, l)
	url := "http://" + l.Addr().String()
	rows, err := requests(ctx, chain, url)
	if err != nil {
		return nil, err
	}
	more, err := subscriptions(l.Addr().String())
	if err != nil {
		return nil, err
	}
	last, err := clients()
	return append(append(rows, more...), last...), err
}

// post asks and returns the answer, which has to have a result.
func post(url, method string, params ...any) ([]byte, error) {
	b, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
	if err != nil {
		return nil, err
	}
	r, err := http.Post(url, "application/json", bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	defer r.Body.Close()
	answer, err := io.ReadAll(r.Body)
	if err == nil && !bytes.Contains(answer, []byte(`"result":`)) {
		err = fmt.Errorf("%s: %s", method, answer)
	}
	return answer, err
}

// requests compares a proven read with one from a bare map.
func requests(ctx context.Context, chain *demonet.Network, url string) ([]row, error) {
	key := "0x" + fmt.Sprintf("%x", verify.StorageKey("Timestamp", "Now"))
	value, _, err := chain.Storage(chain.Finalized().Hash, verify.StorageKey("Timestamp", "Now"))
	if err != nil {
		return nil, err
	}
	values := map[string]string{key: fmt.Sprintf("0x%x", value)}
	bare := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var q struct {
			ID     json.RawMessage
			Params []string
		}
		b, _ := io.ReadAll(r.Body)
		if json.Unmarshal(b, &q) != nil || len(q.Params) == 0 {
			return
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":"%s"}`, q.ID, values[q.Params[0]])
	})}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	go bare.Serve(l)
	defer bare.Close()
	plain := "http://" + l.Addr().String()

	// States that were not read lately: more of them than are kept, in turn.
	var hashes []string
	head := chain.Finalized().Header.Number
	for n := head - 200; n < head-100; n++ {
		answer, err := post(url, "chain_getBlockHash", n)
		if err != nil {
			return nil, err
		}
		var m struct{ Result string }
		if err := json.Unmarshal(answer, &m); err != nil {
			return nil, err
		}
		hashes = append(hashes, m.Result)
	}
	i := 0
	best := race(
		func() { _, err := post(plain, "state_getStorage", key); must(err) },
		func() { _, err := post(url, "state_getStorage", key); must(err) },
		func() { i++; _, err := post(url, "state_getStorage", key, hashes[i%len(hashes)]); must(err) },
	)
	per := func(d time.Duration) string { return fmt.Sprintf("%d requests a second", int(time.Second/d)) }
	rows := []row{
		{"a value from a map behind net/http, one client", "", per(best[0]), true},
		{"proven state_getStorage, known already, beside it: time", "≤ 2 ×", fmt.Sprintf("%.2f × (%s)", float64(best[1])/float64(best[0]), per(best[1])), best[1] <= 2*best[0]},
		{"proven state_getStorage, asked of a peer on loopback, beside it: time", "", fmt.Sprintf("%.1f × (%s)", float64(best[2])/float64(best[0]), per(best[2])), true},
	}

	all, err := chain.StorageKeys(chain.Finalized().Hash, verify.StorageKey("SubtensorModule", "")[:16])
	if err != nil {
		return nil, err
	}
	if len(all) > metagraphKeys {
		all = all[:metagraphKeys]
	}
	keys := make([]string, len(all))
	for i, k := range all {
		keys[i] = fmt.Sprintf("0x%x", k)
	}
	begin := time.Now()
	answer, err := post(url, "state_queryStorageAt", keys)
	first := time.Since(begin)
	if err != nil {
		return nil, err
	}
	again := race(func() { _, err := post(url, "state_queryStorageAt", keys); must(err) })[0]
	rows = append(rows, row{fmt.Sprintf("state_queryStorageAt of %d keys, %d kB of JSON", len(keys), len(answer)/1000), "",
		fmt.Sprintf("%.1f ms the first time, %.1f ms again", first.Seconds()*1e3, again.Seconds()*1e3), true})
	return rows, nil
}

// used is what this process holds for live objects and stacks.
func used() uint64 {
	goruntime.GC()
	goruntime.GC()
	var m goruntime.MemStats
	goruntime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}

// subscriptions measures what a thousand of them take, on one connection.
func subscriptions(addr string) ([]row, error) {
	ws, _, err := websocket.DefaultDialer.Dial("ws://"+addr, nil)
	if err != nil {
		return nil, err
	}
	defer ws.Close()
	const count = 1000
	subscribe := func() error {
		if err := ws.WriteJSON(map[string]any{"jsonrpc": "2.0", "id": 1, "method": "chain_subscribeFinalizedHeads", "params": []any{}}); err != nil {
			return err
		}
		for answered, told := false, false; !answered || !told; {
			_, b, err := ws.ReadMessage()
			if err != nil {
				return err
			}
			if bytes.Contains(b, []byte(`"error"`)) {
				return fmt.Errorf("%s", b)
			}
			if bytes.Contains(b, []byte(`"id":1,`)) {
				answered = true
			} else {
				told = true
			}
		}
		return nil
	}
	if err := subscribe(); err != nil {
		return nil, err
	}
	before := used()
	for range count - 1 {
		if err := subscribe(); err != nil {
			return nil, err
		}
	}
	per := float64(used()-before) / (count - 1)
	return []row{{"memory of a subscription, of 1,000", "≤ 8 kB", fmt.Sprintf("%.1f kB", per/1e3), per <= 8000}}, nil
}

// clients measures the memory of a node with 64 of them, each on a WebSocket with two subscriptions and a read at every head.
func clients() ([]row, error) {
	if _, err := os.Stat("/proc/self/status"); err != nil {
		return []row{{"node with 64 clients", "", "skipped: needs Linux's /proc", true}}, nil
	}
	dir, bin, err := built()
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	chain, err := demonet.New(demonet.Config{History: 30, Peers: 3, Quiet: true, BlockTime: 250 * time.Millisecond})
	if err != nil {
		return nil, err
	}
	defer chain.Stop()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go chain.Run(ctx)
	p, err := join(bin, dir, chain, "--rpc-listen", "127.0.0.1:0", "--gossip", "off", "--lan", "off")
	if err != nil {
		return nil, err
	}
	defer p.kill()
	if err := p.wait("proven final"); err != nil {
		return nil, err
	}
	url := ""
	p.mu.Lock()
	for _, l := range p.lines {
		if _, rest, ok := strings.Cut(l, "JSON-RPC on "); ok {
			url, _, _ = strings.Cut(rest, " ")
		}
	}
	p.mu.Unlock()
	alone, err := residentKB(p.cmd.Process.Pid)
	if err != nil {
		return nil, err
	}
	const count, heads = 64, 40
	key := fmt.Sprintf("0x%x", verify.StorageKey("Timestamp", "Now"))
	ended := make(chan error, count)
	for range count {
		go func() { ended <- rpcClient(url, key, heads) }()
	}
	var failed error
	most := 0
	for left := count; left > 0; {
		select {
		case err := <-ended:
			if left--; err != nil {
				failed = err
			}
		case <-time.After(50 * time.Millisecond):
		}
		kb, err := residentKB(p.cmd.Process.Pid)
		if err != nil {
			return nil, err
		}
		most = max(most, kb)
	}
	if failed != nil {
		return nil, failed
	}
	return []row{{fmt.Sprintf("memory (RSS) with %d clients, two subscriptions and a read a block each; alone", count), "≤ 64 MiB",
		fmt.Sprintf("%.1f MiB; %.1f MiB", float64(most)/1024, float64(alone)/1024), most <= 64<<10}}, nil
}

// rpcClient hears of so many heads, and reads a value at each.
func rpcClient(url, key string, heads int) error {
	ws, _, err := websocket.DefaultDialer.Dial(url, nil)
	if err != nil {
		return err
	}
	defer ws.Close()
	send := func(method string, params ...any) error {
		return ws.WriteJSON(map[string]any{"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
	}
	if err := send("chain_subscribeFinalizedHeads"); err != nil {
		return err
	}
	if err := send("state_subscribeStorage", []string{key}); err != nil {
		return err
	}
	for n := 0; n < heads; {
		_, b, err := ws.ReadMessage()
		if err != nil {
			return err
		}
		if bytes.Contains(b, []byte(`"error"`)) {
			return fmt.Errorf("%s", b)
		}
		if bytes.Contains(b, []byte(`"chain_finalizedHead"`)) {
			n++
			if err := send("state_getStorage", key); err != nil {
				return err
			}
		}
	}
	return nil
}
