package extrinsic

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"testing"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/scale"
)

// parts are those of a transaction, put together by the words of Parcel's comment.
type parts struct {
	spec, version, birth uint32
	genesis, hash        verify.Hash
	era                  []byte
	nonce, tip           uint64
	mode                 byte // of the parcel: 0 to 2
	digest               [32]byte
	call                 []byte
	key                  ed25519.PrivateKey
}

func usual() parts {
	seed := sha256.Sum256([]byte("signer"))
	return parts{
		spec: 425, version: 1, birth: 1000, genesis: verify.Blake2b256([]byte("genesis")), hash: verify.Blake2b256([]byte("1000")),
		era: Mortal(1000, 64).Append(nil), nonce: 7, tip: 3, mode: 1, call: []byte("a call"), key: ed25519.NewKeyFromSeed(seed[:]),
	}
}

func (p *parts) extra() []byte {
	b := scale.AppendCompact(scale.AppendCompact(bytes.Clone(p.era), p.nonce), p.tip)
	if p.mode > 0 {
		b = append(b, p.mode-1)
	}
	return b
}

func (p *parts) extrinsic() []byte {
	signed := append(append([]byte{}, p.call...), p.extra()...)
	signed = scale.AppendU32(scale.AppendU32(signed, p.spec), p.version)
	signed = append(append(signed, p.genesis[:]...), p.hash[:]...)
	switch p.mode {
	case 1:
		signed = append(signed, 0)
	case 2:
		signed = append(append(signed, 1), p.digest[:]...)
	}
	if len(signed) > 256 {
		h := verify.Blake2b256(signed)
		signed = h[:]
	}
	b := append([]byte{0x84, 0}, p.key.Public().(ed25519.PublicKey)...)
	b = append(append(b, 0), ed25519.Sign(p.key, signed)...)
	return scale.AppendBlob(nil, append(append(b, p.extra()...), p.call...))
}

func (p *parts) bytes() []byte {
	b := append([]byte("\x89TLX\r\n\x1a\x01"), p.genesis[:]...)
	b = scale.AppendU32(scale.AppendU32(scale.AppendU32(b, p.spec), p.version), p.birth)
	b = append(append(b, p.hash[:]...), p.mode)
	if p.mode == 2 {
		b = append(b, p.digest[:]...)
	}
	return append(b, p.extrinsic()...)
}

// TestParcel: what is put together by hand is read, verified and written again, short and long, in each mode.
func TestParcel(t *testing.T) {
	for mode := range byte(3) {
		for _, size := range []int{2, 100, 200, 5_000} {
			p := usual()
			p.mode, p.call, p.digest = mode, bytes.Repeat([]byte{9}, size), [32]byte{1, 2}
			b := p.bytes()
			x, err := Decode(b)
			if err != nil {
				t.Fatalf("mode %d, call of %d: %v", mode, size, err)
			}
			if err := x.Verify(); err != nil {
				t.Errorf("mode %d, call of %d: %v", mode, size, err)
			}
			if !bytes.Equal(x.Append(nil), b) {
				t.Errorf("mode %d, call of %d: it is written otherwise", mode, size)
			}
			if x.Nonce != 7 || x.Tip != 3 || x.Last() != 1063 || !bytes.Equal(x.Call, p.call) || x.Hash() != verify.Blake2b256(p.extrinsic()) {
				t.Errorf("mode %d, call of %d: %+v", mode, size, x)
			}
		}
	}
}

// TestParcelRefused: what is not in the form, and what nobody signed.
func TestParcelRefused(t *testing.T) {
	for what, x := range map[string]struct {
		change func(p *parts)
		want   error
	}{
		"immortal":             {func(p *parts) { p.era = []byte{0} }, ErrImmortal},
		"era of other birth":   {func(p *parts) { p.birth++ }, ErrForm},
		"era too long":         {func(p *parts) { p.era = Mortal(1000, 4096).Append(nil) }, ErrForm},
		"nonce over 32 bits":   {func(p *parts) { p.nonce = 1 << 32 }, ErrForm},
		"no call":              {func(p *parts) { p.call = []byte{1} }, ErrForm},
		"too big":              {func(p *parts) { p.call = make([]byte, MaxParcel) }, ErrForm},
		"mode without content": {func(p *parts) { p.mode = 4 }, ErrForm},
	} {
		p := usual()
		x.change(&p)
		if _, err := Decode(p.bytes()); !errors.Is(err, x.want) {
			t.Errorf("%s: %v", what, err)
		}
	}
	good := usual()
	whole := good.bytes()
	for i := range whole {
		b := bytes.Clone(whole)
		b[i] ^= 1
		x, err := Decode(b)
		// The number of the birth block is not signed, only its hash: one a multiple of the period away will do.
		if err == nil && x.Verify() == nil && (i < 48 || i >= 52 || x.Birth%64 != 1000%64) {
			t.Errorf("byte %d may be another", i)
		}
		if x, err := Decode(whole[:i]); err == nil {
			t.Errorf("%d of %d bytes: %+v", i, len(whole), x)
		}
	}
	if _, err := Decode(append(whole, 0)); !errors.Is(err, ErrForm) {
		t.Errorf("a byte too many: %v", err)
	}
}

// FuzzDecode: no panic, and one encoding.
func FuzzDecode(f *testing.F) {
	p := usual()
	f.Add(p.bytes())
	p.mode = 2
	f.Add(p.bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		x, err := Decode(b)
		if err != nil {
			return
		}
		_ = x.Verify()
		if !bytes.Equal(x.Append(nil), b) {
			t.Error("it is written otherwise than it was read")
		}
	})
}
