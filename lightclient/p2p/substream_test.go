package p2p

import (
	"io"
	"testing"
)

// early is a stream that says once, before its data, that it has ended.
type early struct {
	ends int
	data string
}

func (e *early) Read(b []byte) (int, error) {
	if e.ends > 0 {
		e.ends--
		return 0, io.EOF
	}
	if e.data == "" {
		return 0, io.EOF
	}
	n := copy(b, e.data)
	e.data = e.data[n:]
	return n, nil
}

func TestPatient(t *testing.T) {
	for _, ends := range []int{0, 1, 5} {
		got, err := io.ReadAll(patient{&early{ends, "a request"}})
		if err != nil || string(got) != "a request" {
			t.Errorf("after %d early ends: %q, %v", ends, got, err)
		}
	}
	if got, err := io.ReadAll(patient{&early{0, ""}}); err != nil || len(got) != 0 {
		t.Errorf("an empty stream: %q, %v", got, err)
	}
}
