package checkpoint

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/cloudflare/circl/ecc/bls12381"

	"github.com/taolight/taolight/verify/drand"
	"github.com/taolight/taolight/verify/internal/jsonfield"
)

// otherKey is the public key of the secret 2.
func otherKey() (key drand.PublicKey) {
	var two bls12381.Scalar
	two.SetUint64(2)
	p := new(bls12381.G2)
	p.ScalarMult(&two, bls12381.G2Generator())
	copy(key[:], p.BytesCompressed())
	return key
}

func TestBeacon(t *testing.T) {
	finney, err := Builtin("finney")
	if err != nil {
		t.Fatal(err)
	}
	if finney.Drand != nil || finney.Beacon() != drand.Quicknet() {
		t.Errorf("finney's beacon is %+v", finney.Beacon())
	}
	key := otherKey()
	own := map[string]any{"name": "own", "public_key": hexOf(key[:]), "period": 3, "genesis_time": "1000"}
	s, err := ParseSpec(specJSON(t, func(spec, _ map[string]any) { spec["properties"] = map[string]any{"drand": own} }))
	if err != nil {
		t.Fatal(err)
	}
	want := drand.Beacon{Name: "own", PublicKey: key, Period: 3, GenesisTime: 1000}
	if s.Checkpoint.Beacon() != want {
		t.Errorf("%+v, want %+v", s.Checkpoint.Beacon(), want)
	}
	// It goes into a file and comes back, and on to the checkpoint of a later block.
	file, err := s.Checkpoint.File()
	if err != nil {
		t.Fatal(err)
	}
	back, err := Parse(file)
	if err != nil || !reflect.DeepEqual(back, s.Checkpoint) {
		t.Errorf("%+v, %v", back, err)
	}
	state, err := back.State()
	if err != nil {
		t.Fatal(err)
	}
	if later, err := back.FromState(state, "test"); err != nil || later.Beacon() != want {
		t.Errorf("%+v, %v", later, err)
	}

	// finney under another beacon would have other signatures open its commitments.
	finney.Drand = &want
	if err := finney.Check(); !errors.Is(err, ErrMismatch) || !strings.Contains(err.Error(), "finney") {
		t.Errorf("finney with a beacon of its own: %v", err)
	}
	for name, c := range map[string]struct {
		edit func(m map[string]any)
		err  error
	}{
		"no key":          {func(m map[string]any) { delete(m, "public_key") }, jsonfield.ErrMissing},
		"no period":       {func(m map[string]any) { delete(m, "period") }, jsonfield.ErrMissing},
		"no genesis time": {func(m map[string]any) { delete(m, "genesis_time") }, jsonfield.ErrMissing},
		"period 0":        {func(m map[string]any) { m["period"] = 0 }, ErrMismatch},
		"short key":       {func(m map[string]any) { m["public_key"] = hexOf(key[:95]) }, ErrFormat},
		"long key":        {func(m map[string]any) { m["public_key"] = hexOf(append(key[:], 0)) }, jsonfield.ErrLimit},
		"no point":        {func(m map[string]any) { m["public_key"] = hexOf(make([]byte, 96)) }, drand.ErrPublicKey},
		"infinity":        {func(m map[string]any) { m["public_key"] = "0xc0" + strings.Repeat("00", 95) }, drand.ErrPublicKey},
		"no network":      {func(m map[string]any) { m["genesis"] = true }, ErrMismatch},
	} {
		var f map[string]any
		if err := json.Unmarshal(file, &f); err != nil {
			t.Fatal(err)
		}
		c.edit(f["drand"].(map[string]any))
		if f["drand"].(map[string]any)["genesis"] == true {
			delete(f, "genesis")
		}
		b, err := json.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Parse(b); !errors.Is(err, c.err) || err == nil {
			t.Errorf("%s: %v, want %v", name, err, c.err)
		}
	}
}
