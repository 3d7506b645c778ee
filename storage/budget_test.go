package storage

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/scale"
)

// chainHead makes a head as large as the chain's: 20 authorities of 32-byte keys, all of which have voted. Only
// signatures and hashes are random, as they are in truth.
func chainHead(number uint32, rng *rand.Rand) Head {
	random := func(n int) []byte {
		b := make([]byte, 0, n+8)
		for len(b) < n {
			b = scale.AppendU64(b, rng.Uint64())
		}
		return b[:n]
	}
	fixed := rand.New(rand.NewPCG(1, 1))
	keys := make([][]byte, 20)
	for i := range keys {
		keys[i] = make([]byte, 32)
		for k := range keys[i] {
			keys[i][k] = byte(fixed.Uint32())
		}
	}
	hash := random(32)
	data := append(random(300), hash...) // header, hash
	data = append(scale.AppendU64(data, 6), 20<<2)
	for _, k := range keys {
		data = scale.AppendU64(append(data, k...), 1)
	}
	data = append(data, 20<<2)
	for i := range keys {
		data = append(data, keys[19-i][:31]...) // Aura keys are others
		data = append(data, byte(i))
	}
	data = scale.AppendU32(append(scale.AppendU64(data, 1000), hash...), number)
	data = append(data, 20<<2)
	for _, k := range keys {
		data = append(scale.AppendU32(append(data, hash...), number), random(64)...)
		data = append(data, k...)
	}
	data = append(data, 0)
	return Head{Number: number, Hash: verify.Hash(hash), Data: data}
}

// runBlocks lets a chain of 12-second blocks run past a store, as a node on full power would: a head and a header each
// block, 40 peers' records each ten minutes, a proof each hour, a tick each minute.
func runBlocks(t testing.TB, s *Store, from uint32, blocks int, start time.Time) time.Time {
	rng := rand.New(rand.NewPCG(uint64(from), 2))
	now := start
	for i := range blocks {
		n := from + uint32(i)
		must(t, s.SetHead(chainHead(n, rng)))
		hash, b := testHeader(n)
		must(t, s.PutHeader(n, hash, b))
		now = now.Add(12 * time.Second)
		if i%5 == 0 {
			must(t, s.Tick(now))
		}
		if i%50 == 0 {
			for p := range 40 {
				must(t, s.PutPeer(fmt.Sprintf("12D3KooWpeer%032d", p*7919), bytes.Repeat([]byte(strconv.Itoa(i+p)), 60)))
			}
		}
		if i%300 == 0 {
			must(t, s.PutProof(n, hash, bytes.Repeat(hash[:], 60)))
		}
	}
	return now
}

// TestDayBudget: at most 2 MB in whole device blocks and 300 syncs in 7,200 blocks, with a start, an end and one change of
// the authority set among them.
func TestDayBudget(t *testing.T) {
	cfg := testConfig(memoryDir(t))
	s, _ := mustOpen(t, cfg)
	now := runBlocks(t, s, 1, 7200, epoch) // a day to fill the rings
	mustClose(t, s)
	s, _ = mustOpen(t, cfg)
	must(t, s.Tick(now))
	now = runBlocks(t, s, 7201, 3600, now)
	hash, b := testHeader(1)
	must(t, s.PutAuthoritySet(AuthoritySet{7, make([]byte, 800), b, bytes.Repeat(hash[:], 60)}))
	must(t, s.Commit())
	runBlocks(t, s, 10801, 3600, now)
	mustClose(t, s)
	st := s.Stats()
	t.Logf("a day: %d bytes, %d in device blocks, %d syncs: %d heads, %d commits", st.BytesWritten, st.DeviceBytes, st.Syncs, st.HeadWrites, st.Commits)
	if st.DeviceBytes > 2_000_000 {
		t.Errorf("%d bytes a day", st.DeviceBytes)
	}
	if st.Syncs > 300 {
		t.Errorf("%d syncs a day", st.Syncs)
	}
}

// TestCountersAreTrue compares the bytes counted with those the kernel saw in write calls.
func TestCountersAreTrue(t *testing.T) {
	if _, err := os.Stat("/proc/self/io"); err != nil {
		t.Skip(err)
	}
	if os.Getenv(childEnv) == "" {
		// In a process of its own, since the test framework writes a log of its own in this one.
		child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestCountersAreTrue$")
		child.Env = append(os.Environ(), childEnv+"=count")
		if out, err := child.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	cfg := testConfig(memoryDir(t))
	written := func() uint64 {
		b, err := os.ReadFile("/proc/self/io")
		must(t, err)
		_, rest, _ := strings.Cut(string(b), "wchar: ")
		line, _, _ := strings.Cut(rest, "\n")
		n, err := strconv.ParseUint(line, 10, 64)
		must(t, err)
		return n
	}
	before := written()
	s, _ := mustOpen(t, cfg)
	runBlocks(t, s, 1, 2000, epoch)
	must(t, s.Commit())
	// More than a MiB, so that the file grows.
	for i := range uint32(6) {
		must(t, s.PutProof(i, genesis, bytes.Repeat([]byte{byte(i)}, 500_000)))
	}
	mustClose(t, s)
	seen := written() - before
	// The runtime wakes its own poller with writes of 8 bytes, which the kernel counts too.
	if got := s.Stats().BytesWritten; got > seen || (seen-got)%8 != 0 || seen-got >= 2048 {
		t.Errorf("%d bytes counted, the kernel saw %d", got, seen)
	}
}

// TestSyncsAreTrue counts the syncs of the slot file where they happen. Those of bbolt are known from its source (tx.write,
// tx.writeMeta, db.grow): two per commit, and one more when the file grows.
func TestSyncsAreTrue(t *testing.T) {
	cfg := testConfig(memoryDir(t))
	plain, err := cfg.withDefaults()
	must(t, err)
	var syncs uint64
	cfg.openSlots = func(path string, flag int) (slotFile, error) {
		f, err := plain.openSlots(path, flag)
		return countingFile{f, &syncs}, err
	}
	s, _ := mustOpen(t, cfg)
	first := s.Stats().Syncs - syncs
	runBlocks(t, s, 1, 500, epoch)
	if got := s.Stats().Syncs - first; got != syncs {
		t.Errorf("%d counted, %d made", got, syncs)
	}
	mustClose(t, s)
	if got := s.Stats().Syncs - first; got != syncs+2 {
		t.Errorf("%d counted, %d made and one commit", got, syncs)
	}
	s, _ = mustOpen(t, cfg)
	for i, grows := range []uint64{1, 0} {
		before := s.Stats()
		must(t, s.PutPeer("peer", []byte{byte(i)}))
		if grows > 0 {
			must(t, s.PutProof(1, genesis, make([]byte, MaxValue)))
		}
		must(t, s.Commit())
		after := s.Stats()
		if got := after.Syncs - before.Syncs; got != 2+grows || (after.FileBytes > before.FileBytes) != (grows > 0) {
			t.Errorf("commit %d: %d syncs, from %d to %d bytes", i, got, before.FileBytes, after.FileBytes)
		}
	}
	mustClose(t, s)
}

type countingFile struct {
	slotFile
	n *uint64
}

func (f countingFile) Datasync() error { *f.n++; return f.slotFile.Datasync() }

// BenchmarkBlocks1000 reports what 1,000 blocks cost the disk.
func BenchmarkBlocks1000(b *testing.B) {
	cfg := testConfig(b.TempDir())
	s, _ := mustOpen(b, cfg)
	now := runBlocks(b, s, 1, 5000, epoch)
	before := s.Stats()
	from := uint32(5001)
	for b.Loop() {
		now = runBlocks(b, s, from, 1000, now)
		from += 1000
	}
	st := s.Stats()
	n := float64(b.N)
	b.ReportMetric(float64(st.BytesWritten-before.BytesWritten)/n, "bytes/1000blocks")
	b.ReportMetric(float64(st.DeviceBytes-before.DeviceBytes)/n, "device-bytes/1000blocks")
	b.ReportMetric(float64(st.Syncs-before.Syncs)/n, "fsyncs/1000blocks")
	mustClose(b, s)
}

// TestPartsBudget: a large record in parts of 16 kB costs little more than its own bytes, also while the oldest
// go. In one piece bbolt would write its neighbours anew as well.
func TestPartsBudget(t *testing.T) {
	const record, part, epochs = 820_000, 16 << 10, 40
	s, _ := mustOpen(t, testConfig(memoryDir(t)))
	rng := rand.New(rand.NewPCG(3, 4))
	var before Stats
	for e := range uint32(2 * epochs) {
		if e == epochs { // what is kept is at its limit
			before = s.Stats()
		}
		for i := range (record + part - 1) / part {
			b := make([]byte, min(part, record-i*part))
			for k := range b {
				b[k] = byte(rng.Uint32())
			}
			must(t, s.PutBundle(1000+360*e, fmt.Sprintf("epochs/0018/%010d/%04d", 1000+360*e, i), b))
		}
		must(t, s.Commit())
	}
	st := s.Stats()
	per := (st.BytesWritten - before.BytesWritten) / epochs
	t.Logf("%d bytes written for a record of %d", per, record)
	if st.BundleBytes > st.BundleLimit || per > record*135/100 {
		t.Errorf("%d bytes written for a record of %d; %d kept of %d", per, record, st.BundleBytes, st.BundleLimit)
	}
	mustClose(t, s)
}

// BenchmarkWriteHead is one head to the disk, sync and all.
func BenchmarkWriteHead(b *testing.B) {
	s, _ := mustOpen(b, testConfig(b.TempDir()))
	rng := rand.New(rand.NewPCG(1, 2))
	number := uint32(0)
	for b.Loop() {
		number++
		must(b, s.WriteHead(chainHead(number, rng)))
	}
	mustClose(b, s)
}

// BenchmarkOpen is a start with a full ring of headers, an address book and 16 MiB of proofs to check.
func BenchmarkOpen(b *testing.B) {
	cfg := testConfig(b.TempDir())
	s, _ := mustOpen(b, cfg)
	for i := range uint32(1600) {
		must(b, s.PutProof(i, genesis, bytes.Repeat([]byte{byte(i)}, 10_000)))
		if i%200 == 0 {
			must(b, s.Commit())
		}
	}
	runBlocks(b, s, 1, 5000, epoch)
	mustClose(b, s)
	b.SetBytes(s.Stats().FileBytes)
	for b.Loop() {
		s, _ := mustOpen(b, cfg)
		b.StopTimer()
		b.SetBytes(s.Stats().FileBytes)
		mustClose(b, s)
		b.StartTimer()
	}
}
