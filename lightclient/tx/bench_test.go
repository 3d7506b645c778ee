package tx_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/taolight/taolight/internal/demonet"
	"github.com/taolight/taolight/lightclient/runtime/metadata"
	"github.com/taolight/taolight/lightclient/tx"
	"github.com/taolight/taolight/verify"
)

// benchTerms are those of the newest runtime whose metadata is at hand.
func benchTerms(b *testing.B) (*tx.Terms, []byte) {
	dir := os.Getenv("TAOLIGHT_VECTORS")
	if dir == "" {
		b.Skip("TAOLIGHT_VECTORS is not set")
	}
	raw, err := os.ReadFile(filepath.Join(dir, "metadata", "metadata-v16-spec424.scale"))
	if err != nil {
		b.Fatal(err)
	}
	parse := metadata.FromAPI
	if bytes.HasPrefix(raw, []byte("meta")) {
		parse = metadata.Parse
	}
	m, err := parse(raw)
	if err != nil {
		b.Fatal(err)
	}
	t, err := tx.NewTerms(m, verify.Hash{1}, 9_000_000, verify.Hash{2})
	if err != nil {
		b.Fatal(err)
	}
	w := &tx.Weights{Netuid: 18}
	for i := range uint16(256) {
		w.Uids, w.Values = append(w.Uids, i), append(w.Values, 255*i)
	}
	call, err := tx.SetWeights(m, w)
	if err != nil {
		b.Fatal(err)
	}
	return t, call
}

// BenchmarkBuild makes the payload of weights for 256 neurons; WithHash also hashes the metadata (RFC-78).
func BenchmarkBuild(b *testing.B) {
	t, call := benchTerms(b)
	for name, o := range map[string]tx.Options{"plain": {Period: 128}, "metadata-hash": {Period: 128, MetadataHash: true}} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := t.Payload(call, o); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkSign signs it, verifies the signature, and puts the extrinsic together.
func BenchmarkSign(b *testing.B) {
	t, call := benchTerms(b)
	k := newKey(b, aliceSeed)
	p, err := t.Payload(call, tx.Options{From: k.Account(), Period: 128})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		sig, err := p.SignWith(k)
		if err != nil {
			b.Fatal(err)
		}
		p.Extrinsic(sig)
	}
}

// BenchmarkOpen takes it apart again and verifies it.
func BenchmarkOpen(b *testing.B) {
	t, call := benchTerms(b)
	k := newKey(b, aliceSeed)
	p, err := t.Payload(call, tx.Options{From: k.Account(), Period: 128})
	if err != nil {
		b.Fatal(err)
	}
	sig, err := p.SignWith(k)
	if err != nil {
		b.Fatal(err)
	}
	x := p.Extrinsic(sig)
	for b.Loop() {
		if _, err := t.Open(x, func(uint32) (verify.Hash, error) { return verify.Hash{2}, nil }); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkValidate has the chain's own runtime judge a transfer, on a call proof from a peer over loopback, which is
// fetched and verified each time: of spec 103 and, with TAOLIGHT_SPEC_293, of that.
func BenchmarkValidate(b *testing.B) {
	specs := map[string]string{"103": spec103(b)}
	if s := os.Getenv("TAOLIGHT_SPEC_293"); s != "" {
		specs["293"] = s
	}
	for name, spec := range specs {
		b.Run(name, func(b *testing.B) {
			_, node := chainFor(b, spec, demonet.Config{})
			pool, err := tx.New(tx.Config{Node: node})
			if err != nil {
				b.Fatal(err)
			}
			k := newKey(b, aliceSeed)
			p, err := pool.Prepare(b.Context(), tx.Draft{From: k.Account()}, func(m *metadata.Metadata) ([]byte, error) {
				return tx.Transfer(m, verify.AccountID{7}, 1_000_000_000)
			})
			if err != nil {
				b.Fatal(err)
			}
			sig, err := p.Payload.SignWith(k)
			if err != nil {
				b.Fatal(err)
			}
			x := p.Payload.Extrinsic(sig)
			at, err := node.Finalized(b.Context())
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if _, err := pool.Validate(b.Context(), x, at); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
