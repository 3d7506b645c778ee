package gossip

import (
	"fmt"
	"testing"

	"github.com/taolight/taolight/internal/demonet"
	"github.com/taolight/taolight/verify/bundle"
)

// BenchmarkForged is what an invalid message costs, with the votes of a set of twenty, and what 200 of them
// a second would take of a core if no budget held them back.
func BenchmarkForged(b *testing.B) {
	c := newChain(b, demonet.Config{History: 40, SetChangeEvery: -1, Authorities: 20})
	x, err := bundle.Decode(c.message(38))
	if err != nil {
		b.Fatal(err)
	}
	g := c.gate(30)
	sig := x.Final.Votes.List[3].Signature[:]
	now := start
	for i := 0; b.Loop(); i++ {
		sig[0], sig[1], sig[2] = byte(i), byte(i>>8), byte(i>>16)
		now = now.Add(1e9) // nobody's account is ever used up
		if j := g.Judge(now, fmt.Sprint(i), Finality, x.Encode()); j.Verdict != Reject {
			b.Fatal(j.Verdict, j.Err)
		}
	}
	b.ReportMetric(200*b.Elapsed().Seconds()/float64(b.N)*100, "%core@200/s")
}

// BenchmarkNews is what a true message costs.
func BenchmarkNews(b *testing.B) {
	c := newChain(b, demonet.Config{History: 40, SetChangeEvery: -1, Authorities: 20})
	m, t := c.message(38), c.trust(30)
	b.SetBytes(int64(len(m)))
	for b.Loop() {
		g := NewGate(c.net.Genesis())
		g.SetTrust(t)
		if j := g.Judge(start, "peer", Finality, m); j.Verdict != Accept {
			b.Fatal(j.Err)
		}
	}
}
