package validator

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/taolight/taolight/neuron"
	"github.com/taolight/taolight/neuron/synapse"
)

func TestDummy(t *testing.T) {
	q, err := Dummy{}.Question(t.Context(), 21)
	if err != nil || string(q.Get("dummy_input")) != "21" {
		t.Fatalf("%s, %v", q.Object(), err)
	}
	answer := func(ok bool, output string) Answer { return Answer{OK: ok, Output: json.RawMessage(output)} }
	scores, err := Dummy{}.Score(t.Context(), 21, q, []Answer{
		answer(true, `{"dummy_input":21,"dummy_output":42}`), answer(true, `{"dummy_input":21,"dummy_output":43}`), answer(false, `{"dummy_output":42}`),
		answer(true, `{"dummy_input":21,"dummy_output":null}`), answer(true, `[]`), answer(true, ``), answer(true, `{"dummy_output":42.0}`),
	})
	if want := []float64{1, 0, 0, 0, 0, 0, 0}; err != nil || !slices.Equal(scores, want) {
		t.Errorf("%v, %v", scores, err)
	}
}

// A told handler answers what it is told and keeps what it was asked.
type told struct {
	asked []string
	body  string
	err   error
}

func (h *told) Handle(_ context.Context, r *neuron.Request) (*neuron.Reply, error) {
	h.asked = append(h.asked, r.Name+" "+string(r.Input))
	return &neuron.Reply{Body: []byte(h.body)}, h.err
}

func TestCommand(t *testing.T) {
	h := &told{body: `{"dummy_input": 5}`}
	c := &Command{h, synapse.Dummy()}
	q, err := c.Question(t.Context(), 3)
	if err != nil || string(q.Get("dummy_input")) != "5" || h.asked[0] != `question {"round":3}` {
		t.Fatalf("%v, %v", h.asked, err)
	}
	h.body = `{"scores": [0.5, null]}`
	scores, err := c.Score(t.Context(), 3, q, []Answer{{UID: 4, Hotkey: "5H", OK: true, Status: 200, Output: json.RawMessage(`{"dummy_output":1}`)}, {UID: 6, Status: 503, Error: "no"}})
	if err != nil || !slices.Equal(scores, []float64{0.5, 0}) {
		t.Errorf("%v, %v", scores, err)
	}
	want := `score {"answers":[{"uid":4,"hotkey":"5H","ok":true,"status":200,"seconds":0,"output":{"dummy_output":1}},` +
		`{"uid":6,"hotkey":"","ok":false,"status":503,"seconds":0,"error":"no"}],"question":{"dummy_input":5,"dummy_output":null},"round":3}`
	if h.asked[1] != want {
		t.Errorf("%s, want %s", h.asked[1], want)
	}
	for _, bad := range []string{"", "[]", `{"scores":[1]}`, `{"scores":[1,2,3]}`, `{"scores":[1,-1]}`, `{"scores":[1,1e99]}`, `{"scores":["a","b"]}`, `{"scores":null}`} {
		h.body = bad
		if s, err := c.Score(t.Context(), 0, q, make([]Answer, 2)); err == nil {
			t.Errorf("%s: %v", bad, s)
		}
	}
	h.err = errors.New("it died")
	if _, err := c.Question(t.Context(), 0); !errors.Is(err, h.err) {
		t.Error(err)
	}
}

// FuzzScores: what a command writes is scores that can be averaged, or an error.
func FuzzScores(f *testing.F) {
	f.Add([]byte(`{"scores":[0,1,0.5]}`), 3)
	f.Add([]byte(`{"scores":[1e308,null,-0]}`), 3)
	f.Fuzz(func(t *testing.T, b []byte, n int) {
		if n < 0 || n > 1000 {
			return
		}
		scores, err := ParseScores(b, n)
		if err != nil {
			return
		}
		if len(scores) != n {
			t.Fatalf("%d scores for %d", len(scores), n)
		}
		for _, s := range scores {
			if math.IsNaN(s) || s < 0 || s > maxScore {
				t.Fatalf("%v", s)
			}
		}
	})
}

// FuzzDecodeIntent: a record is an intent that can be gone on with, or left out.
func FuzzDecodeIntent(f *testing.F) {
	f.Add((&Intent{ID: 3, State: Signed, Call: Call{Kind: CommitHash, UIDs: []uint16{1}, Values: []uint16{2}}, Extrinsic: []byte{1}, Last: 9}).encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		i, err := DecodeIntent(b)
		if err != nil {
			return
		}
		again, err := DecodeIntent(i.encode())
		if err != nil || again.State != i.State || again.ID != i.ID {
			t.Fatalf("%+v, %v", again, err)
		}
	})
}
