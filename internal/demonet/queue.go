package demonet

import (
	"math"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/scale"
)

// A timelocked is an entry of TimelockedWeightCommits.
type timelocked struct {
	who        verify.AccountID
	block      uint64
	ciphertext []byte
	round      uint64
}

func (c timelocked) hash() verify.Hash { return verify.Blake2b256(c.ciphertext) }

// A hashed is an entry of WeightCommits: since spec 423 epoch, block, 0; before it block and the
// first and last block of the reveal.
type hashed struct {
	hash    verify.Hash
	a, b, c uint64
}

func (p *pallet) timelockedQueue(key []byte) []timelocked {
	b, _ := p.t.Get(key)
	if len(b) == 0 {
		return nil
	}
	r := scale.NewReader(b)
	out := make([]timelocked, r.Count(49, math.MaxInt32))
	for i := range out {
		r.Copy(out[i].who[:])
		out[i].block = r.U64()
		out[i].ciphertext = r.Blob(-1)
		out[i].round = r.U64()
	}
	return out
}

func (p *pallet) putTimelocked(key []byte, queue []timelocked) {
	b := scale.AppendCompact(nil, uint64(len(queue)))
	for _, c := range queue {
		b = scale.AppendU64(append(b, c.who[:]...), c.block)
		b = scale.AppendU64(scale.AppendBlob(b, c.ciphertext), c.round)
	}
	p.put(key, b)
}

func (p *pallet) hashedQueue(key []byte) []hashed {
	b, _ := p.t.Get(key)
	if len(b) == 0 {
		return nil
	}
	r := scale.NewReader(b)
	out := make([]hashed, r.Count(56, math.MaxInt32))
	for i := range out {
		r.Copy(out[i].hash[:])
		out[i].a, out[i].b, out[i].c = r.U64(), r.U64(), r.U64()
	}
	return out
}

// putHashed stores a queue; an empty one is no entry (OptionQuery).
func (p *pallet) putHashed(key []byte, queue []hashed) {
	if len(queue) == 0 {
		p.remove(key)
		return
	}
	b := scale.AppendCompact(nil, uint64(len(queue)))
	for _, c := range queue {
		b = append(b, c.hash[:]...)
		b = scale.AppendU64(scale.AppendU64(scale.AppendU64(b, c.a), c.b), c.c)
	}
	p.put(key, b)
}
