package bundle

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"testing"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/fact"
	"github.com/taolight/taolight/verify/subtensor"
)

// A machine executes code of a few words, so that this package's part can be seen without a runtime.
type machine struct{ calls int }

var errMachine = errors.New("machine: trap")

// Execute knows "get" (the value of the key that is the input), "walk" (a byte, how many keys follow the
// input), "trap", and "deaf", which goes on where a read fails.
func (m *machine) Execute(code []byte, method string, input []byte, s Storage) ([]byte, error) {
	m.calls++
	if !bytes.HasPrefix(code, []byte("machine")) {
		return nil, errMachine
	}
	switch method {
	case "get", "deaf":
		value, found, err := s.Get(input)
		if err != nil && method == "get" {
			return nil, err
		}
		if !found {
			return []byte{0}, nil
		}
		return append([]byte{1}, value...), nil
	case "walk":
		n := byte(0)
		for key := input; ; n++ {
			next, found, err := s.Next(key)
			if err != nil || !found {
				return []byte{n}, err
			}
			key = next
		}
	}
	return nil, errMachine
}

func TestCallClaim(t *testing.T) {
	s := newScene(t, "calls")
	s.put(subtensor.KeyCode(), []byte("machine code, long enough that the trie keeps its hash"))
	s.put(subtensor.KeyTimestampNow(), u64(1_700_000_000_000))
	at := s.block().Number
	s.run(2)
	verifyWith := func(x *Bundle, e Executor, codes ...[]byte) *Report {
		return x.Verify(Options{Checkpoint: s.checkpoint(s.first), Beacon: s.beacon, Executor: e, Codes: codes})
	}
	lineOf := func(r *Report) Line { return r.Lines[len(r.Lines)-1] }
	state := s.states[at-s.first]
	code, _ := state.Get(subtensor.KeyCode())
	hash := verify.Blake2b256(code)
	key := subtensor.KeyTimestampNow()
	now, _ := state.Get(key)
	after := byte(len(state.Keys(nil, key, 0)))
	m := new(machine)

	call := func(method string, input, output []byte) CallClaim {
		return CallClaim{at, method, input, hash, output}
	}
	get := call("get", key, append([]byte{1}, now...))
	walk := call("walk", key, []byte{after})
	for _, embed := range []bool{false, true} {
		d, err := s.draftOf(DraftOptions{Beacon: s.beacon, Executor: m, Codes: [][]byte{code}, EmbedCode: embed}, s.first, s.head(), get, walk)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.fill(d); err != nil {
			t.Fatal(err)
		}
		x, err := d.Bundle()
		if err != nil {
			t.Fatal(err)
		}
		y := copyOf(t, x)
		if r := verifyWith(y, m, code); r.Outcome != fact.OK {
			t.Errorf("embed %v:\n%s", embed, r)
		}
		want := fact.Undecided
		if embed {
			want = fact.OK
		}
		if r := verifyWith(y, m); r.Outcome != want {
			t.Errorf("embed %v, no code given:\n%s", embed, r)
		}
		if r := verifyWith(y, m, []byte("machine: another")); r.Outcome != want {
			t.Errorf("embed %v, another code given:\n%s", embed, r)
		}
		if r := verifyWith(y, nil, code); r.Outcome != fact.Undecided || !errors.Is(lineOf(r).Err, ErrNoExecutor) {
			t.Errorf("embed %v, nothing to execute it:\n%s", embed, r)
		}
		for i := range y.Nodes {
			z := copyOf(t, x)
			z.Nodes = slices.Delete(z.Nodes, i, i+1)
			if r := verifyWith(z, m); r.Outcome != fact.Undecided {
				t.Errorf("embed %v, without node %d:\n%s", embed, i, r)
			}
		}
		if has := bytes.Contains(x.Encode(), code); has != embed {
			t.Errorf("embed %v, and the code is there: %v", embed, has)
		}
	}
	if m.calls == 0 {
		t.Error("nothing was executed")
	}

	for _, c := range []struct {
		name  string
		claim CallClaim
		want  fact.Outcome
		err   error
	}{
		{"another answer", call("get", key, []byte{1}), fact.Failed, ErrNotSo},
		{"another code", CallClaim{at, "get", key, verify.Hash{1}, get.Output}, fact.Failed, ErrNotSo},
		{"a trap", call("trap", nil, nil), fact.Undecided, ErrExecution},
		{"a key that is not proven", call("get", []byte("elsewhere"), []byte{0}), fact.Undecided, subtensor.ErrUnproven},
		{"and whoever goes on", call("deaf", []byte("elsewhere"), []byte{0}), fact.Undecided, subtensor.ErrUnproven},
	} {
		x := s.make(s.head(), StorageClaim{at, [][]byte{append(subtensor.KeyCode(), 0), key}})
		x.Claims = []Claim{c.claim}
		r := verifyWith(x, m, code)
		if l := lineOf(r); l.Outcome != c.want || !errors.Is(l.Err, c.err) {
			t.Errorf("%s:\n%s", c.name, r)
		}
	}
}

func TestCallClaimForm(t *testing.T) {
	for name, c := range map[string]CallClaim{
		"no method":         {Number: 1},
		"a long method":     {Number: 1, Method: string(bytes.Repeat([]byte("m"), MaxMethod+1))},
		"a line":            {Number: 1, Method: "Core\nversion"},
		"a word of another": {Number: 1, Method: "Corę_version"},
		"too much input":    {Number: 1, Method: "m", Input: make([]byte, MaxInput+1)},
		"too much output":   {Number: 1, Method: "m", Output: make([]byte, MaxOutput+1)},
	} {
		if err := c.check(); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	good := CallClaim{Number: 70_000, Method: "Core_version", Input: []byte{1, 2}, Code: verify.Hash{3}, Output: binary.LittleEndian.AppendUint64(nil, 9)}
	if err := good.check(); err != nil {
		t.Error(err)
	}
}
