package metadata

import (
	"encoding/hex"
	"errors"
	"testing"

	"lukechampine.com/blake3"

	"github.com/taolight/taolight/verify"
)

// TestDigest: the expected digest is that of the npm package @polkadot-api/merkleize-metadata 1.3.0, run
// over the sample's V15 and V16 with 9 decimals and the symbol TAO. It does not take V14.
func TestDigest(t *testing.T) {
	const want = "bbfd2ebd952a1f17e921a466b8b9123695a752785789b874e0ca3638e2ecfd08"
	for version := byte(14); version <= 16; version++ {
		m := demo(t, version)
		info, err := m.Info(9, "TAO")
		if err != nil || info != (ChainInfo{7, "demo", 42, 9, "TAO"}) {
			t.Fatalf("%+v, %v", info, err)
		}
		got, err := m.Digest(info)
		if err != nil || hex.EncodeToString(got[:]) != want {
			t.Errorf("V%d: %x, %v, want %s", version, got, err, want)
		}
		for _, other := range []ChainInfo{{8, "demo", 42, 9, "TAO"}, {7, "demu", 42, 9, "TAO"}, {7, "demo", 43, 9, "TAO"}, {7, "demo", 42, 8, "TAO"}, {7, "demo", 42, 9, "DOT"}} {
			if d, err := m.Digest(other); err != nil || d == got {
				t.Errorf("%+v: %x, %v", other, d, err)
			}
		}
	}
}

func TestDigestRefused(t *testing.T) {
	m := demo(t, 16)
	m.Extrinsic.Versions = []uint8{5}
	if _, err := m.Digest(ChainInfo{}); !errors.Is(err, ErrUnknown) {
		t.Error(err)
	}
	m = demo(t, 14)
	m.Extrinsic.Address = NoType
	if _, err := m.Digest(ChainInfo{}); !errors.Is(err, ErrUnknown) {
		t.Error(err)
	}
	m = demo(t, 15)
	for _, name := range []string{"Compact<bool>", "BitVec<bool,Lsb0>", "BitVec<u128,Lsb0>"} {
		m.Extrinsic.Signature = sample().id(name)
		if _, err := m.Digest(ChainInfo{}); !errors.Is(err, ErrUnknown) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestMerkle builds the tree as RFC-78 tells it: from a queue, the last two become one at its front.
func TestMerkle(t *testing.T) {
	for n := range 40 {
		leaves := make([]verify.Hash, n)
		for i := range leaves {
			leaves[i] = verify.Blake2b256([]byte{byte(i)})
		}
		queue := append([]verify.Hash(nil), leaves...)
		for len(queue) > 1 {
			k := len(queue)
			pair := append(queue[k-2][:], queue[k-1][:]...)
			queue = append([]verify.Hash{blake3.Sum256(pair)}, queue[:k-2]...)
		}
		var want verify.Hash
		if n > 0 {
			want = queue[0]
		}
		if got := merkle(leaves); got != want {
			t.Errorf("%d leaves: %v, want %v", n, got, want)
		}
	}
}
