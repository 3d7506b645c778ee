package carrier

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

func TestQuick(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{1, 2, 100, 1000, 4000, 30000, 300000} {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		cs, err := Split(b, Options{})
		if err != nil {
			t.Fatal(err)
		}
		q, err := QR(b, QROptions{})
		v := 0
		if err == nil {
			v = (q[0].Size() - 17) / 4
		}
		t.Log(n, len(cs), len(cs[0]), len(q), v, err)
		r.Shuffle(len(cs), func(i, j int) { cs[i], cs[j] = cs[j], cs[i] })
		var j Joiner
		for _, c := range cs {
			if done, err := j.Add(c); err != nil {
				t.Fatal(err)
			} else if done {
				break
			}
		}
		got, err := j.Bytes()
		if err != nil || !bytes.Equal(got, b) {
			t.Fatal(err)
		}
		if n == 100 {
			t.Log("\n" + q[0].Terminal(TerminalOptions{}))
		}
	}
}
