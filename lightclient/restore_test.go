package lightclient_test

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/taolight/taolight/internal/demonet"
	"github.com/taolight/taolight/verify"
)

// memory is a store that keeps everything and judges nothing.
type memory struct {
	mu     sync.Mutex
	head   []byte
	number uint32
	sets   map[uint64][]byte
	peers  map[string][]byte
	other  map[string][]byte
	kept   map[string]memoryBundle
	writes int
	proofs int
	quiet  bool
}

func newMemory() *memory {
	return &memory{sets: make(map[uint64][]byte), peers: make(map[string][]byte), other: make(map[string][]byte), kept: make(map[string]memoryBundle)}
}

func (m *memory) Head() ([]byte, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.head, m.head != nil
}
func (m *memory) WriteHead(number uint32, _ verify.Hash, data []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.head, m.number = bytes.Clone(data), number
	m.writes++
	return nil
}
func (m *memory) Quiet(on bool)          { m.mu.Lock(); defer m.mu.Unlock(); m.quiet = on }
func (m *memory) RejectHead(error) error { m.mu.Lock(); defer m.mu.Unlock(); m.head = nil; return nil }
func (m *memory) AuthoritySets() ([][]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out [][]byte
	for _, id := range slices.Sorted(maps.Keys(m.sets)) {
		out = append(out, m.sets[id])
	}
	return out, nil
}
func (m *memory) PutAuthoritySet(id uint64, record []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sets[id] = bytes.Clone(record)
	return nil
}
func (m *memory) PutHeader(uint32, verify.Hash, []byte) error { return nil }
func (m *memory) PutProof(uint32, verify.Hash, []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.proofs++
	return nil
}
func (m *memory) Peers() (map[string][]byte, error) { return m.peers, nil }
func (m *memory) PutPeer(id string, record []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.peers[id] = record
	return nil
}
func (m *memory) Get(kind, key string) ([]byte, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, ok := m.other[kind+"/"+key]
	return v, ok
}
func (m *memory) Put(kind, key string, value []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.other[kind+"/"+key] = value
	return nil
}

type memoryBundle struct {
	number uint32
	data   []byte
}

func (m *memory) PutBundle(number uint32, name string, data []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.kept[name] = memoryBundle{number, bytes.Clone(data)}
	return nil
}
func (m *memory) Bundle(number uint32, name string) ([]byte, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, ok := m.kept[name]
	return bytes.Clone(b.data), ok && b.number == number
}
func (m *memory) Bundles(prefix string, f func(uint32, string, int) bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	names := slices.Sorted(maps.Keys(m.kept))
	slices.SortStableFunc(names, func(a, b string) int { return int(m.kept[a].number) - int(m.kept[b].number) })
	for _, name := range names {
		if b := m.kept[name]; strings.HasPrefix(name, prefix) && !f(b.number, name, len(b.data)) {
			return
		}
	}
}
func (m *memory) Commit() error        { return nil }
func (m *memory) Degraded() error      { return nil }
func (m *memory) Tick(time.Time) error { return nil }

// grown runs a node over some blocks and set changes, and returns what it kept.
func grown(t *testing.T, net *demonet.Network) *memory {
	m := newMemory()
	n := newNotes(t)
	cfg := config(net, n)
	cfg.Store = m
	_, stop := startNode(t, cfg)
	_, i := n.wait(0, "warp done")
	if err := net.Steps(15); err != nil {
		t.Fatal(err)
	}
	n.wait(i, "authority set")
	stop()
	if m.number == 0 || len(m.sets) < 3 {
		t.Fatalf("kept head %d and %d sets", m.number, len(m.sets))
	}
	return m
}

// TestRestoreAtChange: the head may be the very block that ends its set; it is not thrown away then.
func TestRestoreAtChange(t *testing.T) {
	net := startDemo(t, demonet.Config{History: 30, FirstSetChange: 20, SetChangeEvery: 13, FinalityLag: 1})
	m := newMemory()
	n := newNotes(t)
	cfg := config(net, n)
	cfg.Store = m
	_, stop := startNode(t, cfg)
	_, i := n.wait(0, "warp done")
	for net.Finalized().Header.Number < 33 {
		if err := net.Steps(1); err != nil {
			t.Fatal(err)
		}
	}
	n.wait(i, "final #33")
	stop()
	if m.number != 33 || len(m.sets) != 2 {
		t.Fatalf("kept head %d and %d sets, want the set change's block 33", m.number, len(m.sets))
	}
	n = newNotes(t)
	cfg.Notes, cfg.Bootnodes = n.add, nil
	node, _ := startNode(t, cfg)
	n.wait(0, "store restored #33")
	check(t, net, status(t, node))
	if _, ok := m.Head(); !ok {
		t.Error("a sound head was thrown away")
	}
}

func TestRestore(t *testing.T) {
	net := startDemo(t, demonet.Config{History: 30, SetChangeEvery: 12})
	m := grown(t, net)

	t.Run("whole", func(t *testing.T) {
		n := newNotes(t)
		cfg := config(net, n)
		cfg.Store, cfg.Bootnodes = m, nil // nobody to ask: what is shown comes from the store alone
		node, stop := startNode(t, cfg)
		n.wait(0, "store restored")
		s := status(t, node)
		check(t, net, s)
		if s.Finalized.Number != m.number || s.State != "no peers" {
			t.Errorf("finalized %d, kept was %d, state %q", s.Finalized.Number, m.number, s.State)
		}
		stop()
	})

	// Whatever is changed in what was kept, nothing false is shown, and with peers to ask the node is
	// soon where it was.
	damage := map[string]func(m *memory){
		"head byte": func(m *memory) { m.head = bytes.Clone(m.head); m.head[len(m.head)/2] ^= 1 },
		"head end":  func(m *memory) { m.head = m.head[:len(m.head)-9] },
		"no head":   func(m *memory) { m.head = nil },
		"set byte": func(m *memory) {
			b := bytes.Clone(m.sets[1])
			b[len(b)-40] ^= 1
			m.sets[1] = b
		},
		"no sets":    func(m *memory) { m.sets = make(map[uint64][]byte) },
		"first gone": func(m *memory) { delete(m.sets, 1) },
		"peers":      func(m *memory) { m.peers = map[string][]byte{"x": []byte("{}"), "y": []byte("junk")} },
		"root":       func(m *memory) { m.other["node/root"] = []byte("junk"); m.other["node/key"] = []byte("junk") },
		"evidence":   func(m *memory) { m.other["evidence/conflict"] = []byte("junk") },
	}
	for _, name := range slices.Sorted(maps.Keys(damage)) {
		t.Run(name, func(t *testing.T) {
			d := &memory{head: m.head, number: m.number, sets: maps.Clone(m.sets), peers: maps.Clone(m.peers), other: maps.Clone(m.other)}
			damage[name](d)
			n := newNotes(t)
			cfg := config(net, n)
			cfg.Store = d
			node, _ := startNode(t, cfg)
			n.wait(0, "warp done")
			s := status(t, node)
			check(t, net, s)
			if s.Finalized.Number < m.number {
				t.Errorf("finalized %d, before it was %d", s.Finalized.Number, m.number)
			}
		})
	}
}

// TestConflictKept: a restart does not forget a conflict.
func TestConflictKept(t *testing.T) {
	net := startDemo(t, demonet.Config{Peers: 2})
	m := newMemory()
	n := newNotes(t)
	cfg := config(net, n)
	cfg.Store = m
	_, stop := startNode(t, cfg)
	_, i := n.wait(0, "warp done")
	if err := net.Steps(2); err != nil {
		t.Fatal(err)
	}
	_, i = n.wait(i, fmt.Sprintf("final #%d", net.Finalized().Header.Number))
	if _, _, _, err := net.Conflict(); err != nil {
		t.Fatal(err)
	}
	n.wait(i, "ALARM")
	stop()

	n = newNotes(t)
	cfg.Notes = n.add
	node, _ := startNode(t, cfg)
	n.wait(0, "peers joined")
	if s := status(t, node); s.State != "conflict" || !strings.Contains(s.Health[0].Code, "conflict") {
		t.Errorf("state %q after a restart", s.State)
	}
}

// TestWrites: a head in headEvery blocks is written, and no more.
func TestWrites(t *testing.T) {
	net := startDemo(t, demonet.Config{History: 5, SetChangeEvery: -1, Slack: 2000})
	m := newMemory()
	n := newNotes(t)
	cfg := config(net, n)
	cfg.Store = m
	node, stop := startNode(t, cfg)
	_, i := n.wait(0, "warp done")
	for range 320 {
		if err := net.Steps(1); err != nil {
			t.Fatal(err)
		}
		_, i = n.wait(i, "final #")
	}
	final := status(t, node).Finalized.Number
	stop()
	// Besides, the first that is proven and one at the end.
	if least, most := int(final)/150, int(final)/150+2; m.writes < least || m.writes > most {
		t.Errorf("head written %d times over %d blocks, %d to %d allowed", m.writes, final, least, most)
	}
}
