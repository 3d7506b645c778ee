package metadata

import (
	"bytes"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"
)

// vectorFiles are the metadata of the reference vectors.
var vectorFiles = []string{
	"metadata-v14-spec343.scale", "metadata-v15-spec293.scale", "metadata-v15-spec343.scale",
	"metadata-v16-spec393.scale", "metadata-v16-spec424.scale",
}

// vector reads a file of the folder that TAOLIGHT_VECTORS names, and skips the test without it.
func vector(t testing.TB, elem ...string) []byte {
	t.Helper()
	dir := os.Getenv("TAOLIGHT_VECTORS")
	if dir == "" {
		t.Skip("TAOLIGHT_VECTORS is not set")
	}
	b, err := os.ReadFile(filepath.Join(append([]string{dir}, elem...)...))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// vectorMetadata parses one of them. One is still wrapped as the runtime API answers it.
func vectorMetadata(t testing.TB, name string) *Metadata {
	t.Helper()
	b := vector(t, "metadata", name)
	parse := Parse
	if !bytes.HasPrefix(b, []byte(magic)) {
		parse = FromAPI
	}
	m, err := parse(b)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestVectors parses real metadata and decodes, prints and encodes every constant and every default
// in it, which the runtime's own codec wrote.
func TestVectors(t *testing.T) {
	for _, name := range vectorFiles {
		t.Run(name, func(t *testing.T) {
			m := vectorMetadata(t, name)
			n := 0
			again := func(what string, id ID, b []byte) {
				t.Helper()
				n++
				v, err := m.Types.Decode(id, b)
				if err != nil {
					t.Errorf("%s: %v", what, err)
					return
				}
				r := m.Types.NewReader(b)
				if r.Skip(id); r.Finish() != nil {
					t.Errorf("%s: skip: %v", what, r.Finish())
				}
				j, _ := v.MarshalJSON()
				back, err := m.Types.EncodeJSON(id, j)
				if err != nil || !bytes.Equal(back, b) {
					t.Errorf("%s: %s of %x encodes to %x: %v", what, j, b, back, err)
				}
			}
			for i := range m.Pallets {
				p := &m.Pallets[i]
				for _, c := range p.Constants {
					again(p.Name+"."+c.Name, c.Type, c.Bytes)
				}
				for j := range p.Items {
					it := &p.Items[j]
					if it.Optional {
						if len(it.Default) != 1 || it.Default[0] != 0 {
							t.Errorf("%v: default of an optional item: %x", it, it.Default)
						}
						continue
					}
					again(it.String(), it.Value, it.Default)
				}
			}
			t.Logf("V%d: %d types, %d pallets, %d values", m.Version, m.Types.Len(), len(m.Pallets), n)
		})
	}
}

// TestDigestVectors: the expected digests are those of the npm package @polkadot-api/merkleize-metadata
// 1.3.0, run over the same files with 9 decimals and the symbol TAO. It does not take V14; that of spec
// 343 describes the same extrinsics as the V15 of it.
func TestDigestVectors(t *testing.T) {
	for name, want := range map[string]string{
		"metadata-v14-spec343.scale": "2997a609077b925b96b81a1f3a52f02bf1530e793d08be1c7023e710fbf439a4",
		"metadata-v15-spec293.scale": "e2104e80b86fb46f899dd96801e2e2e00cbff999067c0ef9ca65ab4ca65a0e9d",
		"metadata-v15-spec343.scale": "2997a609077b925b96b81a1f3a52f02bf1530e793d08be1c7023e710fbf439a4",
		"metadata-v16-spec393.scale": "e3c6377b3b53dcc95b7e6d3807343c1e151f050375aef79f1d8ea4f30eeb6f7f",
		"metadata-v16-spec424.scale": "80de37ca8c53ddbf9835d5123af60e0ef5015b3d039a6ffee0ccbb41966c864f",
	} {
		m := vectorMetadata(t, name)
		info, err := m.Info(9, "TAO")
		if err != nil {
			t.Fatal(err)
		}
		got, err := m.Digest(info)
		if err != nil || hex.EncodeToString(got[:]) != want {
			t.Errorf("%s: %x, %v, want %s", name, got, err, want)
		}
	}
}
