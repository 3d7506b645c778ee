package trie

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/taolight/taolight/verify"
)

// benchState returns a trie shaped as this chain's: a few pallets, maps of 256 to 2,000 keys below them
// under hashed and plain keys, small values and some long ones.
func benchState(n int) (tr *Trie, keys [][]byte) {
	rng := rand.New(rand.NewPCG(1, 8))
	tr = New(V1)
	for i := range n {
		key := verify.StorageKey([]string{"SubtensorModule", "System", "Drand"}[i%3], []string{"Keys", "Account", "Axons", "Uids"}[i%7%4])
		var id [8]byte
		binary.LittleEndian.PutUint64(id[:], uint64(i))
		account := verify.Blake2b256(id[:])
		switch i % 3 {
		case 0:
			key = append(key, byte(i), byte(i>>8), byte(i>>16), 0)
		case 1:
			key = verify.AppendBlake2b128Concat(key, account[:])
		case 2:
			key = verify.AppendTwox64Concat(key, id[:])
		}
		value := make([]byte, []int{1, 2, 8, 32, 48, 80, 120}[rng.IntN(7)])
		for j := range value {
			value[j] = byte(rng.Uint32())
		}
		tr = tr.Put(key, value)
		keys = append(keys, key)
	}
	tr.Root()
	return tr, keys
}

// BenchmarkProof decodes a proof of many keys and looks them all up, beside Blake2b-256 of the same bytes.
// x-blake2b is the ratio of the rates; the budget is 0.4 or more. Blake2b of each entry by itself, which no
// verifier can do without, is slower than of all the bytes in one piece, the more so the smaller they are.
func BenchmarkProof(b *testing.B) {
	tr, keys := benchState(20_000)
	rng := rand.New(rand.NewPCG(1, 9))
	rng.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
	sorted := func(n int) [][]byte { return slices.SortedFunc(slices.Values(keys[:n]), bytes.Compare) }
	auraRoot, auraKey, auraNodes := auraProof(b)
	for _, c := range []struct {
		name string
		root verify.Hash
		enc  []byte
		keys [][]byte
	}{
		{"aura", auraRoot, AppendProof(nil, auraNodes), [][]byte{auraKey}},
		{"keys=1", tr.Root(), AppendProof(nil, tr.Prove(keys[:1]...)), sorted(1)},
		{"keys=16", tr.Root(), AppendProof(nil, tr.Prove(keys[:16]...)), sorted(16)},
		{"keys=256", tr.Root(), AppendProof(nil, tr.Prove(keys[:256]...)), sorted(256)},
		{"keys=4096", tr.Root(), AppendProof(nil, tr.Prove(keys[:4096]...)), sorted(4096)},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(len(c.enc)))
			b.ReportAllocs()
			// The best of each, so that other work on the machine does not enter the ratio.
			plain, each, ours := time.Hour, time.Hour, time.Hour
			for b.Loop() {
				start := time.Now()
				list, err := DecodeProof(c.enc)
				if err != nil {
					b.Fatal(err)
				}
				p, err := NewProof(c.root, list)
				if err != nil {
					b.Fatal(err)
				}
				answers, err := p.GetAll(c.keys)
				if err != nil {
					b.Fatal(err)
				}
				for _, a := range answers {
					if a.Outcome != Present {
						b.Fatal(a.Outcome)
					}
				}
				middle := time.Now()
				sum := verify.Blake2b256(c.enc)
				plain, ours = min(plain, time.Since(middle)), min(ours, middle.Sub(start))
				middle = time.Now()
				for _, n := range list {
					sum[0] ^= verify.Blake2b256(n)[0]
				}
				each = min(each, time.Since(middle))
				runtime.KeepAlive(sum)
			}
			b.ReportMetric(float64(len(c.enc))/float64(ours.Seconds()*1e6), "best-MB/s")
			b.ReportMetric(float64(plain)/float64(ours), "x-blake2b")
			b.ReportMetric(float64(each)/float64(ours), "x-blake2b-of-each")
		})
	}
}

func BenchmarkPutRoot(b *testing.B) {
	for _, n := range []int{2_500, 100_000} {
		b.Run(map[int]string{2_500: "keys=2500", 100_000: "keys=100000"}[n], func(b *testing.B) {
			tr, keys := benchState(n)
			var value [8]byte
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				binary.LittleEndian.PutUint64(value[:], uint64(i)+1)
				next := tr.Put(keys[i%len(keys)], value[:])
				next.Root()
			}
		})
	}
}

func BenchmarkBuild2500(b *testing.B) {
	tr, _ := benchState(2_500)
	kv := map[string][]byte{}
	tr.Range(nil, func(k, v []byte) bool { kv[string(k)] = v; return true })
	b.ReportAllocs()
	for b.Loop() {
		Root(V1, kv)
	}
}

func BenchmarkProve(b *testing.B) {
	tr, keys := benchState(2_500)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		tr.Prove(keys[i%len(keys)])
	}
}
