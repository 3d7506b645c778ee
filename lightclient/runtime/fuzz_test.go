package runtime

import (
	"context"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
)

// FuzzLoad: whatever the bytes are, loading them and calling what they export ends, in an answer or an
// error, and not in a panic or in more memory than the limits.
func FuzzLoad(f *testing.F) {
	good := program{
		imports: env("ext_allocator_malloc_version_1 i:i", "ext_allocator_free_version_1 i:", "ext_storage_get_version_1 I:I",
			"ext_storage_set_version_1 II:", "ext_storage_next_key_version_1 I:I", "ext_hashing_twox_128_version_1 I:i"),
		pages: 2, heapBase: 64,
		functions: []function{method("test", join(i32(100), callf(0), callf(1), span(0, 4), span(4, 4), callf(3), span(0, 3), callf(4))...)},
		data:      "key value", tail: withVersion(3),
	}.build()
	f.Add(good)
	w, err := zstd.NewWriter(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(w.EncodeAll(good, append([]byte(nil), compressed...)))
	f.Add(answering(1))
	f.Add([]byte("\x00asm\x01\x00\x00\x00"))
	e, err := New(Config{Interpreter: true, MaxPages: 64, Timeout: time.Second})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, code []byte) {
		if len(code) > 1<<16 {
			return
		}
		r, err := e.Load(context.Background(), code, nil)
		if err != nil {
			return
		}
		defer r.Close()
		o := NewOverlay(empty{})
		o.SetLimit(1 << 20)
		for name := range r.mod.main.ExportedFunctions() {
			if _, err := r.Call(context.Background(), name, []byte("input"), o); err != nil && len(o.Changes()) > 0 && o.Depth() > 0 {
				t.Errorf("%s: %v, and a transaction is left open", name, err)
			}
		}
		if o.Depth() != 0 {
			t.Errorf("%d transactions are left open", o.Depth())
		}
	})
}

// FuzzVersion: what decodes encodes to the same bytes, but for fields that an old runtime lacks.
func FuzzVersion(f *testing.F) {
	v := Version{SpecName: "node-subtensor", ImplName: "node-subtensor", Authoring: 1, Spec: 103, Impl: 1, APIs: []API{{[8]byte{1}, 2}}, Transaction: 1, State: 1}
	f.Add(v.Append(nil))
	f.Add(v.Append(nil)[:len(v.Append(nil))-5])
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := readVersion(b)
		if err != nil {
			return
		}
		again := v.Append(nil)
		if len(b) > len(again) || string(again[:len(b)]) != string(b) {
			t.Errorf("%x decodes and encodes to %x", b, again)
		}
	})
}
