package drand

import (
	"bytes"
	"math/big"
	"testing"

	"github.com/cloudflare/circl/ecc/bls12381"
)

// TestProduct compares with the library's pairings, bit by bit.
func TestProduct(t *testing.T) {
	infinity := new(bls12381.G1)
	infinity.SetIdentity()
	g1s := []*bls12381.G1{infinity, bls12381.G1Generator(), HashToG1(1), HashToG1(2)}
	neg := *g1s[1]
	neg.Neg()
	sum := new(bls12381.G1)
	sum.Add(g1s[2], g1s[3]) // not in affine form
	g1s = append(g1s, &neg, sum)
	key, err := Quicknet().PublicKey.Point()
	if err != nil {
		t.Fatal(err)
	}
	g2s := []*bls12381.G2{bls12381.G2Generator(), key}
	for _, k := range []int64{-1, 2, 3, 0x6900800000008000, 1 << 62} {
		q := new(bls12381.G2)
		q.ScalarMult(scalar(big.NewInt(k)), key)
		g2s = append(g2s, q)
	}
	var all []*lines
	for _, q := range g2s {
		all = append(all, newLines(q))
	}
	for i, p := range g1s {
		for j, q := range g1s {
			k, l := (i*len(g1s)+j)%len(g2s), (i+2*j)%len(g2s)
			want, _ := bls12381.ProdPairFrac([]*bls12381.G1{p, q}, []*bls12381.G2{g2s[k], g2s[l]}, []int{1, 1}).MarshalBinary()
			if got, _ := product(p, all[k], q, all[l]).MarshalBinary(); !bytes.Equal(got, want) {
				t.Errorf("points %d and %d, lines %d and %d: another product", i, j, k, l)
			}
		}
	}
}
