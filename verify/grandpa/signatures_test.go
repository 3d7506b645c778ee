package grandpa

import (
	"bytes"
	stded25519 "crypto/ed25519"
	"crypto/sha512"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/oasisprotocol/curve25519-voi/curve"
	"github.com/oasisprotocol/curve25519-voi/curve/scalar"
	"github.com/oasisprotocol/curve25519-voi/primitives/ed25519"
	"golang.org/x/crypto/chacha20"

	"github.com/taolight/taolight/verify"
)

// order is l, the order of the group that the base point generates (RFC 8032, 5.1).
var order, _ = new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)

// littleEndian returns n as 32 bytes; toInt reads 32 bytes back.
func littleEndian(n *big.Int) (b [32]byte) {
	for i, c := range n.FillBytes(make([]byte, 32)) {
		b[31-i] = c
	}
	return b
}

func toInt(b []byte) *big.Int {
	n := new(big.Int)
	for i := len(b) - 1; i >= 0; i-- {
		n.Or(n.Lsh(n, 8), big.NewInt(int64(b[i])))
	}
	return n
}

// shift adds delta to the scalar half of p's signature, modulo the order.
func shift(p *Precommit, delta *big.Int) {
	s := toInt(p.Signature[32:])
	s.Mod(s.Add(s, delta), order)
	b := littleEndian(s)
	copy(p.Signature[32:], b[:])
}

// sumHolds is the batch equation written down here: whether the sum of the precommits' verification
// equations, each times its coefficient, is the identity (up to the cofactor).
func sumHolds(t *testing.T, c *Commit, round uint64, set *AuthoritySet, coefficient func(i int) *big.Int) bool {
	t.Helper()
	toScalar := func(n *big.Int) *scalar.Scalar {
		b := littleEndian(new(big.Int).Mod(n, order))
		s, err := scalar.NewFromCanonicalBytes(b[:])
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	point := func(b []byte) *curve.EdwardsPoint {
		var y curve.CompressedEdwardsY
		y.SetBytes(b)
		var p curve.EdwardsPoint
		if _, err := p.SetCompressedY(&y); err != nil {
			t.Fatal(err)
		}
		return &p
	}
	sum, base := new(curve.EdwardsPoint).Identity(), new(big.Int)
	for i := range c.Precommits {
		p := &c.Precommits[i]
		payload := PrecommitPayload(p.TargetHash, p.TargetNumber, round, set.ID)
		k := toInt(hash512(p.Signature[:32], p.ID[:], payload[:]))
		z := coefficient(i)
		base.Add(base, new(big.Int).Mul(z, toInt(p.Signature[32:])))
		sum.Add(sum, new(curve.EdwardsPoint).Mul(point(p.Signature[:32]), toScalar(z)))
		sum.Add(sum, new(curve.EdwardsPoint).Mul(point(p.ID[:]), toScalar(k.Mul(k, z))))
	}
	b := new(curve.EdwardsPoint).Mul(curve.ED25519_BASEPOINT_POINT, toScalar(base))
	return sum.Sub(sum, b).IsSmallOrder()
}

func hash512(parts ...[]byte) []byte {
	h := sha512.Sum512(bytes.Join(parts, nil))
	return h[:]
}

// coefficients returns what the verifier makes of a seed: 128-bit words of a ChaCha20 stream.
func coefficients(seed []byte) func(i int) *big.Int {
	return func(i int) *big.Int {
		c, err := chacha20.NewUnauthenticatedCipher(seed, make([]byte, chacha20.NonceSize))
		if err != nil {
			panic(err)
		}
		b := make([]byte, 16*(i+1))
		c.XORKeyStream(b, b)
		return toInt(b[16*i:])
	}
}

// Two bad signatures whose errors cancel pass a batch whose coefficients are equal, or known
// beforehand. They do not pass here.
func TestCancellingSignatures(t *testing.T) {
	const round, id = 5, 6
	all := voters("a", 20)
	set := setOf(id, all)
	target := at(100)
	fresh := func() *Commit { return &justify(target, round, ballot(all, target, round, id)).Commit }
	payloadsOf := func(c *Commit) (list [][PayloadSize]byte) {
		for i := range c.Precommits {
			p := &c.Precommits[i]
			list = append(list, PrecommitPayload(p.TargetHash, p.TargetNumber, round, id))
		}
		return list
	}
	seedOf := func(c *Commit) []byte {
		s := batchSeed(c.Precommits, payloadsOf(c))
		return s[:]
	}
	one := func(int) *big.Int { return big.NewInt(1) }

	// The tools of this test must tell good from bad themselves.
	good := fresh()
	if err := checkSignatures(good, round, set); err != nil {
		t.Fatal(err)
	}
	if !sumHolds(t, good, round, set, one) || !sumHolds(t, good, round, set, coefficients(seedOf(good))) {
		t.Fatal("the sum does not hold for good signatures")
	}
	bad := fresh()
	shift(&bad.Precommits[0], big.NewInt(1))
	if sumHolds(t, bad, round, set, one) || sumHolds(t, bad, round, set, coefficients(seedOf(bad))) {
		t.Fatal("the sum holds for a bad signature")
	}

	// forge makes signatures a and b bad so that their errors cancel under the given coefficients.
	forge := func(c *Commit, a, b int, coefficient func(i int) *big.Int) {
		shift(&c.Precommits[a], coefficient(b))
		shift(&c.Precommits[b], new(big.Int).Neg(coefficient(a)))
	}
	zero := make([]byte, 32)
	noSignatures := func(c *Commit) []byte { // a seed that leaves the signatures out
		blank := *c
		blank.Precommits = append([]Precommit(nil), c.Precommits...)
		for i := range blank.Precommits {
			blank.Precommits[i].Signature = [64]byte{}
		}
		return seedOf(&blank)
	}
	noScalars := func(c *Commit) []byte { // a seed that holds only their first halves
		blank := *c
		blank.Precommits = append([]Precommit(nil), c.Precommits...)
		for i := range blank.Precommits {
			copy(blank.Precommits[i].Signature[32:], zero)
		}
		return seedOf(&blank)
	}
	for _, c := range []struct {
		name        string
		coefficient func(c *Commit) func(i int) *big.Int
	}{
		{"equal", func(*Commit) func(i int) *big.Int { return one }},
		{"counting", func(*Commit) func(i int) *big.Int { return func(i int) *big.Int { return big.NewInt(int64(i + 1)) } }},
		{"of a fixed seed", func(*Commit) func(i int) *big.Int { return coefficients(zero) }},
		{"of a seed without signatures", func(c *Commit) func(i int) *big.Int { return coefficients(noSignatures(c)) }},
		{"of a seed without scalars", func(c *Commit) func(i int) *big.Int { return coefficients(noScalars(c)) }},
		{"of the seed before the change", func(c *Commit) func(i int) *big.Int { return coefficients(seedOf(c)) }},
	} {
		for _, pair := range [][2]int{{0, 1}, {3, 19}, {18, 7}} {
			commit := fresh()
			known := c.coefficient(commit)
			forge(commit, pair[0], pair[1], known)
			if !sumHolds(t, commit, round, set, known) {
				t.Fatalf("%s: the errors do not cancel: this test shows nothing", c.name)
			}
			first := all[min(pair[0], pair[1])].id.String()
			if err := checkSignatures(commit, round, set); !errors.Is(err, ErrSignature) || !strings.Contains(err.Error(), first) {
				t.Errorf("%s, %v: %v", c.name, pair, err)
			}
		}
	}

	// And with the verifier itself: a fixed stream lets a forgery through that ours refuses.
	commit := fresh()
	forge(commit, 0, 1, coefficients(zero))
	batch := ed25519.NewBatchVerifier()
	for i, payload := range payloadsOf(commit) {
		p := &commit.Precommits[i]
		batch.AddWithOptions(p.ID[:], payload[:], p.Signature[:], &ed25519.Options{Verify: ed25519.VerifyOptionsZIP_215})
	}
	if !batch.VerifyBatchOnly(bytes.NewReader(zero)) {
		t.Error("a batch under a fixed stream refuses the forgery: this test shows nothing")
	}
}

// The seed depends on every byte of every input, and on their order.
func TestBatchSeed(t *testing.T) {
	votes := ballot(voters("a", 3), at(100), 5, 6)
	seed := func(votes []Precommit, round, id uint64) [32]byte {
		var payloads [][PayloadSize]byte
		for _, p := range votes {
			payloads = append(payloads, PrecommitPayload(p.TargetHash, p.TargetNumber, round, id))
		}
		return batchSeed(votes, payloads)
	}
	seen := map[[32]byte]string{seed(votes, 5, 6): "the original"}
	differs := func(name string, votes []Precommit, round, id uint64) {
		s := seed(votes, round, id)
		if other, ok := seen[s]; ok {
			t.Errorf("%s has the seed of %s", name, other)
		}
		seen[s] = name
	}
	differs("another round", votes, 4, 6)
	differs("another set", votes, 5, 7)
	differs("one vote fewer", votes[:2], 5, 6)
	differs("one vote twice", append(votes[:3:3], votes[2]), 5, 6)
	differs("another order", []Precommit{votes[1], votes[0], votes[2]}, 5, 6)
	for i := range votes {
		for at := range 32 {
			v := append([]Precommit(nil), votes...)
			v[i].ID[at] ^= 1
			differs("a key", v, 5, 6)
			v = append([]Precommit(nil), votes...)
			v[i].TargetHash[at] ^= 1
			differs("a target", v, 5, 6)
			v = append([]Precommit(nil), votes...)
			v[i].TargetNumber ^= 1 << at
			differs("a number", v, 5, 6)
		}
		for at := range 64 {
			v := append([]Precommit(nil), votes...)
			v[i].Signature[at] ^= 1
			differs("a signature", v, 5, 6)
		}
	}
}

// smallOrder returns the 14 encodings that decode to a point of the torsion subgroup: the eight
// points, and six more forms of four of them, in which y is not reduced or zero has a sign. They
// are computed from the field's definition.
func smallOrder(t testing.TB) [][32]byte {
	t.Helper()
	p := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(19))
	encode := func(y *big.Int, sign byte) [32]byte {
		b := littleEndian(y)
		b[31] |= sign << 7
		return b
	}
	one, minus := big.NewInt(1), new(big.Int).Sub(p, big.NewInt(1))
	list := [][32]byte{
		encode(one, 0), encode(minus, 0), // orders 1 and 2
		encode(new(big.Int), 0), encode(new(big.Int), 1), // order 4
		encode(one, 1), encode(minus, 1), // x = 0 with a sign
		encode(p, 0), encode(p, 1), // y = 0 as p
		encode(new(big.Int).Add(p, one), 0), encode(new(big.Int).Add(p, one), 1), // y = 1 as p + 1
	}
	// Order 8: twice the point has y = 0, which means x² = −y². Then −x² + y² = 1 + d·x²·y² turns
	// into d·y⁴ + 2·y² − 1 = 0, and y² = (−1 ± √(1 + d)) / d, with d = −121665/121666.
	inv := func(n *big.Int) *big.Int { return new(big.Int).ModInverse(n, p) }
	mod := func(n *big.Int) *big.Int { return n.Mod(n, p) }
	d := mod(new(big.Int).Mul(big.NewInt(-121665), inv(big.NewInt(121666))))
	root := new(big.Int).ModSqrt(mod(new(big.Int).Add(d, one)), p)
	if root == nil {
		t.Fatal("1 + d has no root")
	}
	for _, r := range []*big.Int{root, new(big.Int).Neg(root)} {
		y2 := mod(new(big.Int).Mul(new(big.Int).Sub(r, one), inv(d)))
		y := new(big.Int).ModSqrt(y2, p)
		if y == nil {
			continue
		}
		for _, y := range []*big.Int{y, new(big.Int).Sub(p, y)} {
			list = append(list, encode(y, 0), encode(y, 1))
		}
	}
	if len(list) != 14 {
		t.Fatalf("%d encodings", len(list))
	}
	return list
}

// ZIP-215 decides where implementations of ed25519 differ: a signature (R, 0) by a key A, both any
// encoding of points of small order, is valid for every message. So it is with the chain's host.
// The standard library takes few of them.
func TestZIP215SmallOrder(t *testing.T) {
	target := at(100)
	encodings := smallOrder(t)
	standard := 0
	for i, key := range encodings {
		set := &AuthoritySet{ID: 6, Authorities: []Authority{{AuthorityID(key), 1}}}
		for k, r := range encodings {
			p := Precommit{TargetHash: target.Hash(), TargetNumber: 100, ID: AuthorityID(key)}
			copy(p.Signature[:], r[:])
			if err := justify(target, 5, []Precommit{p}).Verify(set); err != nil {
				t.Errorf("key %d, signature %d: %v", i, k, err)
			}
			payload := PrecommitPayload(p.TargetHash, 100, 5, 6)
			if stded25519.Verify(key[:], payload[:], p.Signature[:]) {
				standard++
			}
			// With any other scalar it is not valid.
			p.Signature[32] = 1
			if err := justify(target, 5, []Precommit{p}).Verify(set); !errors.Is(err, ErrSignature) {
				t.Errorf("key %d, signature %d with scalar 1: %v", i, k, err)
			}
		}
	}
	if standard >= len(encodings)*len(encodings)/2 {
		t.Errorf("the standard library takes %d of %d: these vectors do not tell the rules apart", standard, len(encodings)*len(encodings))
	}
}

// A key with a part of small order, and a signature that holds up to that part only: valid by the
// equation with the cofactor (ZIP-215), not by the one without.
func TestZIP215Cofactor(t *testing.T) {
	const round, id = 5, 6
	secret, nonce := big.NewInt(123456789), big.NewInt(987654321)
	scalarOf := func(n *big.Int) *scalar.Scalar {
		b := littleEndian(new(big.Int).Mod(n, order))
		s, err := scalar.NewFromCanonicalBytes(b[:])
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	compress := func(p *curve.EdwardsPoint) []byte {
		var y curve.CompressedEdwardsY
		y.SetEdwardsPoint(p)
		return y[:]
	}
	base := curve.ED25519_BASEPOINT_POINT
	torsion := smallOrder(t)
	var y curve.CompressedEdwardsY
	y.SetBytes(torsion[10][:])
	var eighth curve.EdwardsPoint
	if _, err := eighth.SetCompressedY(&y); err != nil {
		t.Fatal(err)
	}
	key := new(curve.EdwardsPoint).Mul(base, scalarOf(secret))
	key.Add(key, &eighth)
	made := 0
	for n := range 8 {
		hash := verify.Hash{byte(n)}
		payload := PrecommitPayload(hash, 100, round, id)
		p := Precommit{TargetHash: hash, TargetNumber: 100, ID: AuthorityID(compress(key))}
		copy(p.Signature[:], compress(new(curve.EdwardsPoint).Mul(base, scalarOf(nonce))))
		k := toInt(hash512(p.Signature[:32], p.ID[:], payload[:]))
		s := littleEndian(new(big.Int).Mod(new(big.Int).Add(nonce, new(big.Int).Mul(k, secret)), order))
		copy(p.Signature[32:], s[:])
		if !stded25519.Verify(p.ID[:], payload[:], p.Signature[:]) {
			made++
		}
		// Alone, and in a batch with good ones.
		others := voters("a", 3)
		set := setOf(id, others)
		set.Authorities = append(set.Authorities, Authority{p.ID, 1})
		c := Commit{TargetHash: hash, TargetNumber: 100, Precommits: []Precommit{p}}
		for _, v := range others {
			c.Precommits = append(c.Precommits, v.sign(hash, 100, round, id))
		}
		if err := (&Justification{Round: round, Commit: c}).Verify(set); err != nil {
			t.Errorf("message %d: %v", n, err)
		}
		// The fallback has the same answer for it: another vote is bad, and is the one named.
		c.Precommits[2].Signature[0] ^= 1
		if err := (&Justification{Round: round, Commit: c}).Verify(set); !errors.Is(err, ErrSignature) || !strings.Contains(err.Error(), "precommit 2: ") {
			t.Errorf("message %d: %v", n, err)
		}
	}
	if made == 0 {
		t.Error("the standard library takes them all: these vectors do not tell the rules apart")
	}
}

// What ZIP-215 refuses: a scalar that is not reduced, and bytes that are no point.
func TestZIP215Refuses(t *testing.T) {
	const round, id = 5, 6
	all := voters("a", 1)
	target := at(100)
	good := all[0].vote(target, round, id)
	noPoint := [32]byte{2} // y = 2: (y² − 1) / (d·y² + 1) is not a square
	for _, c := range []struct {
		name   string
		change func(p *Precommit, set *AuthoritySet)
	}{
		{"scalar plus the order", func(p *Precommit, _ *AuthoritySet) {
			b := littleEndian(new(big.Int).Add(toInt(p.Signature[32:]), order))
			copy(p.Signature[32:], b[:])
		}},
		{"largest scalar", func(p *Precommit, _ *AuthoritySet) { copy(p.Signature[32:], bytes.Repeat([]byte{0xff}, 32)) }},
		{"first half no point", func(p *Precommit, _ *AuthoritySet) { copy(p.Signature[:], noPoint[:]) }},
		{"key no point", func(p *Precommit, set *AuthoritySet) { p.ID = noPoint; set.Authorities[0].ID = noPoint }},
	} {
		p, set := good, setOf(id, all)
		c.change(&p, set)
		if err := justify(target, round, []Precommit{p}).Verify(set); !errors.Is(err, ErrSignature) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// The first bad signature is named, wherever it stands, in batches of all sizes that the verifier
// treats differently.
func TestCulprit(t *testing.T) {
	const round, id = 5, 6
	for _, n := range []int{1, 2, 20, 93, 94, 95, 200} {
		all := voters("many", n)
		set := setOf(id, all)
		target := at(100)
		votes := ballot(all, target, round, id)
		if err := justify(target, round, votes).Verify(set); err != nil {
			t.Errorf("%d voters: %v", n, err)
		}
		for _, i := range []int{0, n / 2, n - 1} {
			bad := append([]Precommit(nil), votes...)
			bad[i].Signature[7] ^= 0x10
			if err := justify(target, round, bad).Verify(set); !errors.Is(err, ErrSignature) || !strings.Contains(err.Error(), all[i].id.String()) {
				t.Errorf("%d voters, signature %d: %v", n, i, err)
			}
		}
	}
}

// BenchmarkJustification20 measures a justification by 20 authorities, and 20 verifications by the
// standard library beside it. The ratio is the figure: at most 0.6 is wanted.
func BenchmarkJustification20(b *testing.B) {
	const round, id = 5, 6
	all := voters("a", 20)
	set := setOf(id, all)
	target := at(100)
	j := justify(target, round, ballot(all, target, round, id))
	payload := PrecommitPayload(target.Hash(), 100, round, id)
	var ours, theirs time.Duration
	b.ReportAllocs()
	for b.Loop() {
		start := time.Now()
		if err := j.Verify(set); err != nil {
			b.Fatal(err)
		}
		middle := time.Now()
		for i := range j.Commit.Precommits {
			p := &j.Commit.Precommits[i]
			if !stded25519.Verify(p.ID[:], payload[:], p.Signature[:]) {
				b.Fatal("bad signature")
			}
		}
		ours += middle.Sub(start)
		theirs += time.Since(middle)
	}
	b.ReportMetric(float64(ours.Nanoseconds())/float64(b.N), "justification-ns")
	b.ReportMetric(float64(theirs.Nanoseconds())/float64(b.N), "20-stdlib-ns")
	b.ReportMetric(float64(ours)/float64(theirs), "ratio")
}

// BenchmarkBadJustification20 is the same with the last signature bad: what a liar can cost.
func BenchmarkBadJustification20(b *testing.B) {
	all := voters("a", 20)
	set := setOf(6, all)
	target := at(100)
	j := justify(target, 5, ballot(all, target, 5, 6))
	j.Commit.Precommits[19].Signature[0] ^= 1
	b.ReportAllocs()
	for b.Loop() {
		if err := j.Verify(set); err == nil {
			b.Fatal("accepted")
		}
	}
}
