package control

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/taolight/taolight/internal/demonet"
	"github.com/taolight/taolight/lightclient"
	"github.com/taolight/taolight/storage"
	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/checkpoint"
	"github.com/taolight/taolight/verify/grandpa"
)

// network is a demo network of 30 blocks with set changes at 8, 16 and 24, that stands still.
func network(t *testing.T) *demonet.Network {
	t.Helper()
	net, err := demonet.New(demonet.Config{History: 30, FirstSetChange: 8, SetChangeEvery: 8, BlockTime: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(net.Stop)
	return net
}

// fill stores what a node would have: every set change, and the head.
func fill(t *testing.T, net *demonet.Network, st *storage.Store) {
	t.Helper()
	head := net.Finalized()
	for n := uint32(1); n < head.Header.Number; n++ {
		h := net.Header(n)
		change, err := grandpa.ScheduledChange(h)
		if err != nil {
			t.Fatal(err)
		}
		if change == nil {
			continue
		}
		j, err := net.Justification(n)
		if err != nil {
			t.Fatal(err)
		}
		if err := st.PutAuthoritySet(storage.AuthoritySet{
			ID: uint64(n / 8), Set: grandpa.AppendAuthorities(nil, change.Next), Header: h.Encode(), Justification: j.Append(nil),
		}); err != nil {
			t.Fatal(err)
		}
	}
	j, err := net.Justification(head.Header.Number)
	if err != nil {
		t.Fatal(err)
	}
	state := checkpoint.State{Header: head.Header, Hash: head.Hash, Set: head.Set, Justification: j.Append(nil)}
	if err := st.WriteHead(storage.Head{Number: head.Header.Number, Hash: head.Hash, Data: state.Append(nil)}); err != nil {
		t.Fatal(err)
	}
	if err := st.Commit(); err != nil {
		t.Fatal(err)
	}
}

func openStore(t *testing.T, dir string, genesis verify.Hash) *storage.Store {
	t.Helper()
	st, _, err := storage.Open(storage.Config{Dir: dir, Genesis: genesis})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	return st
}

// local runs a node on the network, with a filled store beside it.
func local(t *testing.T, net *demonet.Network) *Local {
	t.Helper()
	var bootnodes []string
	for _, b := range net.Bootnodes() {
		bootnodes = append(bootnodes, b.String())
	}
	cp := net.Checkpoint()
	node, err := lightclient.New(lightclient.Config{Checkpoint: cp, Bootnodes: bootnodes, Version: "test", Demo: true, BackDated: true})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- node.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	dir := filepath.Join(shortDir(t), "demo")
	st := openStore(t, dir, cp.Genesis)
	fill(t, net, st)
	return &Local{Node: node, Checkpoint: cp, Root: "genesis of this demo chain", Store: st, DataDir: dir, Version: "test", Demo: true}
}

// settled waits until a node has met everybody on a network that stands still.
func settled(t *testing.T, ctx context.Context, l *Local, net *demonet.Network) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		s, err := l.Status(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if s.Peers.Open == len(net.Peers()) {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%d peers are open", s.Peers.Open)
		}
	}
}

// TestAnswers asks a node in this process and, over the socket, the same node: the answers are equal.
func TestAnswers(t *testing.T) {
	net := network(t)
	l := local(t, net)
	c := serveDir(t, l.DataDir, l.Handle)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := l.Node.WaitFinal(ctx); err != nil {
		t.Fatal(err)
	}
	settled(t, ctx, l, net)
	want := net.Finalized()
	var heads [2]*Head
	var exports [2][]byte
	for i, who := range []Answerer{l, c} {
		s, err := who.Status(ctx)
		if err != nil || s.State != "following" || s.Finalized == nil || s.Finalized.Number != want.Header.Number {
			t.Errorf("status: %+v, %v", s, err)
		} else if !s.Demo || s.Network != "demo" || s.Root != l.Root || s.DataDir != l.DataDir || s.Disk == nil || s.PID == 0 {
			t.Errorf("status: %+v", s)
		}
		p, err := who.Peers(ctx)
		if err != nil || len(p.Open) == 0 || p.Banned == nil || !p.Demo {
			t.Errorf("peers: %+v, %v", p, err)
		}
		if heads[i], err = who.Head(ctx); err != nil {
			t.Fatal(err)
		}
		heads[i].Age, heads[i].Best = 0, nil // these may still move
		if heads[i].Hash != want.Hash.String() || heads[i].Number != want.Header.Number || heads[i].Trust != "finalized" || heads[i].SetID != want.Set.ID {
			t.Errorf("head: %+v", heads[i])
		}
		if exports[i], err = who.Export(ctx); err != nil {
			t.Fatal(err)
		}
		r, err := who.Check(ctx, true)
		if err != nil || !r.OK || !r.Running || r.Head != want.Header.Number || r.Records["authority-sets"] != 3 {
			t.Errorf("check: %+v, %v", r, err)
		}
		var b bytes.Buffer
		if err := who.Backup(ctx, &b); err != nil {
			t.Error(err)
		}
		if h, err := tar.NewReader(&b).Next(); err != nil || h.Name != "taolight-backup.json" {
			t.Errorf("backup: %+v, %v", h, err)
		}
		now, missing := verify.StorageKey("Timestamp", "Now"), verify.StorageKey("No", "Such")
		v, err := who.Read(ctx, [][]byte{now, missing})
		if err != nil || len(v.Values) != 2 || v.Values[0] == nil || v.Values[1] != nil || v.Items[0].Outcome != "present" || v.Items[1].Outcome != "absent" || v.Items[1].Value != "" ||
			v.Number != want.Header.Number || v.StateRoot != want.Header.StateRoot.String() || len(v.Proof) == 0 || len(v.Keys) != 2 {
			t.Errorf("read: %+v, %v", v, err)
		} else if stored, ok, err := net.Storage(want.Hash, now); err != nil || !ok || v.Items[0].Value != hexText(stored) {
			t.Errorf("read: %s, the network has %x", v.Items[0].Value, stored)
		}
	}
	if !reflect.DeepEqual(heads[0], heads[1]) {
		t.Errorf("head here  %+v\nhead there %+v", heads[0], heads[1])
	}
	if !bytes.Equal(exports[0], exports[1]) {
		t.Error("two exports of one head differ")
	}
	cp, err := checkpoint.Parse(exports[0])
	if err != nil || cp.Hash != want.Hash || cp.Set.ID != want.Set.ID || cp.Network != "demo" || cp.Aura == nil {
		t.Errorf("export: %+v, %v", cp, err)
	}
	root, err := c.Root(ctx)
	if err != nil || root.Checkpoint.Hash != net.Genesis() || root.From != l.Root || !root.Demo {
		t.Errorf("root: %+v, %v", root, err)
	}
	if _, err := c.Read(ctx, nil); err == nil {
		t.Error("a read of nothing is answered")
	}
	if err := c.Call(ctx, "read", readParams{[]string{"0xzz"}}, nil); CodeOf(err) != Usage {
		t.Errorf("a key that is no hex: %v", err)
	}
	if err := c.Call(ctx, "reboot", nil, nil); CodeOf(err) != Usage || !strings.Contains(err.Error(), "reboot") {
		t.Errorf("an unknown method: %v", err)
	}
}

// TestNotFinal: with nobody to ask, an answer names the cause and the remedy.
func TestNotFinal(t *testing.T) {
	net := network(t)
	net.StopAll()
	l := local(t, net)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_, err := l.Head(ctx)
	if CodeOf(err) != NoPeers || HintOf(err) == "" || !errors.Is(err, lightclient.ErrNotFinal) {
		t.Errorf("head: %v, code %d, hint %q", err, CodeOf(err), HintOf(err))
	}
	if _, err := l.Read(ctx, [][]byte{{1}}); CodeOf(err) != NoPeers {
		t.Errorf("read: %v", err)
	}
	if _, err := l.Export(ctx); CodeOf(err) != NoPeers {
		t.Errorf("export: %v", err)
	}
}

func TestNoStore(t *testing.T) {
	l := &Local{}
	for _, method := range []string{methodCheck, methodBackup} {
		if _, err := l.Handle(context.Background(), method, json.RawMessage(`{}`)); !errors.Is(err, errNoStore) {
			t.Errorf("%s: %v", method, err)
		}
	}
	if err := l.Backup(context.Background(), io.Discard); !errors.Is(err, errNoStore) {
		t.Error(err)
	}
}

// TestCheckRecords: records that are sound in form and prove nothing are found.
func TestCheckRecords(t *testing.T) {
	net := network(t)
	cp := net.Checkpoint()
	head := net.Finalized()
	at := func(n uint32) *grandpa.Justification {
		j, err := net.Justification(n)
		if err != nil {
			t.Fatal(err)
		}
		return j
	}
	for _, c := range []struct {
		name  string
		spoil func(st *storage.Store)
		want  string // in a problem; empty: none
	}{
		{"nothing", func(*storage.Store) {}, ""},
		{"a signature of a set change", func(st *storage.Store) {
			j := at(16)
			j.Commit.Precommits[0].Signature[7] ^= 1
			a, _ := st.AuthoritySet(2)
			a.Justification = j.Append(nil)
			st.PutAuthoritySet(a)
		}, "authority-sets"},
		{"another block's justification", func(st *storage.Store) {
			a, _ := st.AuthoritySet(2)
			a.Justification = at(24).Append(nil)
			st.PutAuthoritySet(a)
		}, "authority-sets"},
		{"a signature of the head", func(st *storage.Store) {
			j := at(head.Header.Number)
			j.Commit.Precommits[1].Signature[0] ^= 1
			s := checkpoint.State{Header: head.Header, Hash: head.Hash, Set: head.Set, Justification: j.Append(nil)}
			st.WriteHead(storage.Head{Number: head.Header.Number, Hash: head.Hash, Data: s.Append(nil)})
		}, "head #"},
		{"a head of junk", func(st *storage.Store) {
			st.WriteHead(storage.Head{Number: head.Header.Number, Hash: head.Hash, Data: []byte("junk")})
		}, "state"},
		{"a header of junk", func(st *storage.Store) {
			junk := []byte("no header")
			st.PutHeader(3, verify.Blake2b256(junk), junk)
		}, "headers"},
		{"a proof of junk", func(st *storage.Store) { st.PutProof(3, head.Hash, []byte("\xff")) }, "proofs"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "demo")
			st := openStore(t, dir, cp.Genesis)
			fill(t, net, st)
			c.spoil(st)
			if err := st.Close(); err != nil {
				t.Fatal(err)
			}
			l := &Local{Checkpoint: cp, DataDir: dir}
			r, err := l.CheckDir(context.Background(), true)
			if err != nil {
				t.Fatal(err)
			}
			text := ""
			for _, p := range r.Problems {
				text += p.Place + ": " + p.Text + "\n"
			}
			if r.OK != (c.want == "") || !strings.Contains(text, c.want) || r.OK != (text == "") {
				t.Errorf("ok %v, problems %q, want %q", r.OK, text, c.want)
			}
			// Without --read-all only the files' structure is looked at, and that is sound.
			if r, err := l.CheckDir(context.Background(), false); err != nil || !r.OK {
				t.Errorf("structure: %+v, %v", r, err)
			}
		})
	}
}
