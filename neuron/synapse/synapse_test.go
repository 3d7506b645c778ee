package synapse

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/taolight/taolight/neuron/wallet"
)

type message struct {
	Headers [][2]string
	Body    string
}

// exchange is testdata/exchange.json, which tells where it is from.
func exchange(t testing.TB) (signed string, request, response message) {
	t.Helper()
	b, err := os.ReadFile("testdata/exchange.json")
	if err != nil {
		t.Fatal(err)
	}
	var v struct {
		Message           string `json:"signed_message"`
		Request, Response message
	}
	if err := json.Unmarshal(b, &v); err != nil || len(v.Request.Headers) == 0 {
		t.Fatal(err)
	}
	return v.Message, v.Request, v.Response
}

// arrived is the headers as net/http gives them to a server.
func (m message) arrived() http.Header {
	h := http.Header{}
	for _, kv := range m.Headers {
		h.Add(kv[0], kv[1])
	}
	return h
}

func TestCaptureVerifies(t *testing.T) {
	text, req, _ := exchange(t)
	s, err := ReadSigned(req.arrived())
	if err != nil {
		t.Fatal(err)
	}
	const bob = "5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty"
	m := Message(s.Dendrite.Nonce, s.Sender.String(), bob, s.Dendrite.UUID, s.BodyHash)
	if string(m) != text {
		t.Errorf("message %s, want %s", m, text)
	}
	if !wallet.Verify(s.Sender, m, s.Signature) {
		t.Error("the signature does not verify")
	}
	if s.Timeout != 12*time.Second || s.Dendrite.Version != Version || s.Dendrite.IP != "198.51.100.7" {
		t.Errorf("%+v", s)
	}
	v, err := Dummy().Read([]byte(req.Body))
	if err != nil || string(v.Object()) != `{"dummy_input":21,"dummy_output":null}` {
		t.Errorf("%s, %v", v.Object(), err)
	}
	if h, err := v.BodyHash(); err != nil || h != s.BodyHash {
		t.Errorf("body hash %s, %v", h, err)
	}
	if err := Dummy().CheckInputs(req.arrived()); err != nil {
		t.Error(err)
	}
}

// TestCaptureIsReproduced writes both messages of the capture again. total_size is the size of CPython's
// objects; nothing but that implementation can compute it, and nobody looks.
func TestCaptureIsReproduced(t *testing.T) {
	_, req, resp := exchange(t)
	s, err := ReadSigned(req.arrived())
	if err != nil {
		t.Fatal(err)
	}
	v, err := Dummy().Read([]byte(req.Body))
	if err != nil {
		t.Fatal(err)
	}
	y := &Synapse{Values: v, Timeout: s.Timeout, TotalSize: 2802, Dendrite: s.Dendrite, BodyHash: s.BodyHash,
		Axon: Terminal{IP: "127.0.0.1", Port: 18990, Hotkey: "5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty"}}
	// Those of HTTP itself.
	transport := []string{"Host", "Accept", "Accept-Encoding", "User-Agent", "Content-Length", "Content-Type", "date", "server", "content-length", "content-type"}
	same := func(want message, total string) {
		t.Helper()
		h := Header{}
		y.SetHeaders(h)
		for _, kv := range want.Headers {
			if slices.Contains(transport, kv[0]) {
				continue
			}
			if got := h[kv[0]]; kv[0] != "total_size" && (len(got) != 1 || got[0] != kv[1]) {
				t.Errorf("%s: %q, want %s", kv[0], got, kv[1])
			}
			delete(h, kv[0])
		}
		if len(h) > 0 {
			t.Errorf("besides: %v", h)
		}
	}
	same(req, "2802")
	if got := string(y.Request()); got != req.Body {
		t.Errorf("request\n%s\nwant\n%s", got, req.Body)
	}
	if err := v.Set([]byte(`{"dummy_output": 42}`)); err != nil {
		t.Fatal(err)
	}
	y.Axon.StatusCode, y.Axon.StatusMessage, y.Axon.ProcessTime = 200, "Success", 0.00014972686767578125
	same(resp, "2930")
	if got := string(y.Reply()); got != resp.Body {
		t.Errorf("reply\n%s\nwant\n%s", got, resp.Body)
	}
}

// hashed is the class that the hash vectors were made with on the SDK.
func hashed(hash ...string) *Spec {
	return &Spec{Name: "H", Hash: hash, Fields: []Field{{Name: "s", Kind: Str, Required: true}, {Name: "i", Kind: Int}, {Name: "f", Kind: Float},
		{Name: "l", Kind: List}, {Name: "d", Kind: Dict}, {Name: "n", Kind: Int, Null: true}, {Name: "b", Kind: Bool}}}
}

func TestBodyHash(t *testing.T) {
	all := []string{"s", "i", "f", "l", "d", "n", "b"}
	for _, c := range []struct {
		hash       []string
		body, want string
	}{
		{nil, `{"s":"x"}`, EmptyHash},
		{[]string{"s"}, `{"s":"hello"}`, "cd1ba9b9d9fae7c1e56ddf6aa2947ad2e0b83b96bd91dd4b67fc560e83589bad"},
		{all, `{"s":"","i":0,"f":0.0,"l":[],"d":{},"n":null,"b":false}`, "f4f8ecca841dd3ddb7579b4cccec60686f0ee8075799ac0671b1e10ad5fcee96"},
		{all, `{"s":"h\u00e9llo","i":-5,"f":1e-7,"l":[1,"a'b\"c",2.5,null,true,"x\n"],"d":{"k":[1.0,{"z":"é"}]},"n":7,"b":true}`,
			"1de40e3b2eae8d79b3a7c08a77a04e1c007b7a12559ffc4444c5168d63eec2ab"},
		{all, `{"s":"","i":0,"f":10000000000000000,"l":[],"d":{},"n":null,"b":false}`, "e110bb6cdf9c1d00334552925f92f60bd523e6b6b34700caeb39dc6275ff2dba"},
	} {
		spec := hashed(c.hash...)
		if err := spec.Check(); err != nil {
			t.Fatal(err)
		}
		v, err := spec.Read([]byte(c.body))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := v.BodyHash(); got != c.want || err != nil {
			t.Errorf("%s: %s, %v, want %s", c.body, got, err, c.want)
		}
	}
}

// TestPythonStr compares with what CPython wrote.
func TestPythonStr(t *testing.T) {
	b, err := os.ReadFile("testdata/repr.json")
	if err != nil {
		t.Fatal(err)
	}
	var v struct{ Values []struct{ JSON, Str string } }
	if err := json.Unmarshal(b, &v); err != nil || len(v.Values) < 100 {
		t.Fatal(err)
	}
	for _, c := range v.Values {
		if got, err := pythonStr(json.RawMessage(c.JSON)); err != nil || string(got) != c.Str {
			t.Errorf("%s: %q, %v, want %q", c.JSON, got, err, c.Str)
		}
	}
	for _, c := range []struct{ json, want string }{
		{`{"a":1,"b":2,"a":3}`, "{'a': 3, 'b': 2}"}, // json.loads keeps the first place and the last value
		{`-0`, "0"}, {`-0.0`, "-0.0"}, {`1E2`, "100.0"}, {`[1e16,1e15]`, "[1e+16, 1000000000000000.0]"},
	} {
		if got, err := pythonStr(json.RawMessage(c.json)); err != nil || string(got) != c.want {
			t.Errorf("%s: %q, %v, want %q", c.json, got, err, c.want)
		}
	}
	for _, bad := range []string{strings.Repeat("[", 70) + strings.Repeat("]", 70), "1e999", strings.Repeat("9", 4301), "", "{", "[1,", `{"a"}`, "1 2"} {
		if got, err := pythonStr(json.RawMessage(bad)); err == nil {
			t.Errorf("%.20s: %q", bad, got)
		}
	}
}

// TestCoerce holds what pydantic takes for each type, measured with pydantic 2.10 for the whole numbers.
func TestCoerce(t *testing.T) {
	for _, c := range []struct {
		kind      Kind
		raw, want string // want empty: refused
	}{
		{Int, "5", "5"}, {Int, `"7"`, "7"}, {Int, "5.0", "5"}, {Int, "-0", "0"}, {Int, "1e3", "1000"}, {Int, "true", "1"}, {Int, `" 8 "`, "8"},
		{Int, "9007199254740993", "9007199254740993"}, {Int, "123456789012345678901234567890", "123456789012345678901234567890"},
		{Int, "5.5", ""}, {Int, `"x"`, ""}, {Int, `""`, ""}, {Int, "[]", ""}, {Int, "{}", ""}, {Int, "null", ""}, {Int, `"1e3"`, ""}, {Int, "1e300", ""},
		{Int, `"+-5"`, ""}, {Int, `"0x10"`, ""}, {Int, `"."`, ""}, {Int, strings.Repeat("9", 4301), ""},
		{Float, "5", "5.0"}, {Float, "1e-7", "1e-07"}, {Float, `"2.50"`, "2.5"}, {Float, "false", "0.0"}, {Float, `"inf"`, ""}, {Float, `"nan"`, ""},
		{Float, "1e999", ""}, {Float, `"0x1p2"`, ""}, {Float, "[]", ""},
		{Str, `"a"`, `"a"`}, {Str, "5", ""}, {Str, "null", ""},
		{Bool, "true", "true"}, {Bool, "0", "false"}, {Bool, `"yes"`, "true"}, {Bool, "2", ""}, {Bool, `"maybe"`, ""},
		{List, "[1]", "[1]"}, {List, "{}", ""}, {List, `"a"`, ""}, {Dict, "{}", "{}"}, {Dict, "[]", ""},
		{Any, "null", "null"}, {Any, " [1] ", "[1]"}, {Tensor, "{}", ""}, {Tensor, "[]", ""},
	} {
		f := &Field{Name: "x", Kind: c.kind, Required: true}
		got, err := f.coerce(json.RawMessage(c.raw))
		if string(got) != c.want || (err == nil) != (c.want != "") || err != nil && !errors.Is(err, ErrBody) {
			t.Errorf("%s %.30s: %s, %v, want %q", c.kind, c.raw, got, err, c.want)
		}
	}
}

func TestRead(t *testing.T) {
	for _, c := range []struct {
		body, want string
		err        error
	}{
		{`{"dummy_input": 5}`, `{"dummy_input":5,"dummy_output":null}`, nil},
		{` {"x":1,"dummy_input":"7","dummy_output":3.0,"axon":null,"name":"Other"} `, `{"dummy_input":7,"dummy_output":3}`, nil},
		{`{"dummy_input":1,"dummy_input":2}`, `{"dummy_input":2,"dummy_output":null}`, nil},
		{`{}`, "", ErrBody}, {`{"dummy_input":null}`, "", ErrBody}, {`{"dummy_input":"x"}`, "", ErrBody}, {`{"Dummy_Input":1}`, "", ErrBody},
		{`{"dummy_input":1,"dummy_output":"x"}`, "", ErrBody}, {`[]`, "", ErrBody}, {`5`, "", ErrBody}, {`null`, "", ErrBody},
		{``, "", ErrJSON}, {`{`, "", ErrJSON}, {`{"dummy_input":NaN}`, "", ErrJSON}, {`{"dummy_input":5}}`, "", ErrJSON}, {"{\"dummy_input\":\"\xff\"}", "", ErrJSON},
	} {
		v, err := Dummy().Read([]byte(c.body))
		if !errors.Is(err, c.err) || err == nil && string(v.Object()) != c.want {
			t.Errorf("%s: %v, want %s %v", c.body, err, c.want, c.err)
		}
	}
	v, err := Dummy().Read([]byte(`{"dummy_input":1}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{`{"dummy_outptu":1}`, `{"dummy_output":[]}`, `[]`, ``} {
		if err := v.Set([]byte(bad)); err == nil {
			t.Errorf("set to %s", bad)
		}
	}
	if err := v.Set([]byte(`{"dummy_output":"4"}`)); err != nil || string(v.Get("dummy_output")) != "4" || v.Get("none") != nil {
		t.Error(err)
	}
}

func TestSpec(t *testing.T) {
	s, err := ParseSpec([]byte(`{"name":"Dummy","fields":[{"name":"dummy_input","type":"int","required":true},{"name":"dummy_output","type":"int","null":true}]}`))
	if err != nil || !slices.EqualFunc(s.Fields, Dummy().Fields, func(a, b Field) bool {
		return a.Name == b.Name && a.Kind == b.Kind && a.Required == b.Required && a.Null == b.Null
	}) {
		t.Errorf("%+v, %v", s, err)
	}
	for _, s := range []*Spec{Dummy(), Ping(), hashed("s")} {
		if err := s.Check(); err != nil {
			t.Error(err)
		}
	}
	for _, bad := range []string{
		``, `{}`, `{"name":"a-b"}`, `{"name":"1a"}`, `{"name":"` + strings.Repeat("a", 65) + `"}`,
		`{"name":"A","fields":[{"name":"x","type":"what"}]}`, `{"name":"A","fields":[{"name":"timeout","type":"int"}]}`,
		`{"name":"A","fields":[{"name":"x","type":"int"},{"name":"x","type":"int"}]}`, `{"name":"A","fields":[{"name":"","type":"int"}]}`,
		`{"name":"A","fields":[{"name":"x","type":"int","default":"no"}]}`, `{"name":"A","fields":[{"name":"x","type":"int","required":true,"default":1}]}`,
		`{"name":"A","hash":["x"]}`, `{"name":"A","fields":[{"name":"x","type":"int"}],"hash":["x","x"]}`,
		`{"name":"A","fields":[` + strings.Repeat(`{"name":"x","type":"int"},`, 64) + `{"name":"x","type":"int"}]}`,
	} {
		if _, err := ParseSpec([]byte(bad)); !errors.Is(err, ErrSpec) {
			t.Errorf("%.60s: %v", bad, err)
		}
	}
	d := &Spec{Name: "D", Fields: []Field{{Name: "t", Kind: Float, Default: json.RawMessage("1")}}}
	if v, err := d.Read([]byte("{}")); err != nil || string(v.Object()) != `{"t":1.0}` {
		t.Error(err)
	}
}

func TestInputHeaders(t *testing.T) {
	s := &Spec{Name: "Z", Fields: []Field{{Name: "i", Kind: Int, Required: true}, {Name: "f", Kind: Float, Required: true}, {Name: "s", Kind: Str, Required: true},
		{Name: "l", Kind: List, Required: true}, {Name: "d", Kind: Dict, Required: true}, {Name: "b", Kind: Bool, Required: true}, {Name: "a", Kind: Any, Required: true}, {Name: "o", Kind: Int}}}
	v, err := s.Read([]byte(`{"i":5,"f":5,"s":"x","l":[1],"d":{"a":1},"b":true,"a":[2]}`))
	if err != nil {
		t.Fatal(err)
	}
	h := Header{}
	(&Synapse{Values: v}).SetHeaders(h)
	want := map[string]string{"i": "MA==", "f": "MC4w", "s": "IiI=", "l": "W10=", "d": "e30=", "b": "ZmFsc2U=", "a": "W10="}
	for name, value := range want {
		if got := h[hInput+name]; len(got) != 1 || got[0] != value {
			t.Errorf("%s: %q, want %s", name, got, value)
		}
	}
	if h[hInput+"o"] != nil {
		t.Error("a header for a field that is not required")
	}
	in := http.Header{}
	for k, v := range h {
		in.Set(k, v[0])
	}
	if err := s.CheckInputs(in); err != nil {
		t.Error(err)
	}
	in.Del(hInput + "d")
	if err := s.CheckInputs(in); !errors.Is(err, ErrHeader) {
		t.Error(err)
	}
	// The sizes that CPython 3.11 gives for dicts of text keys.
	for n, size := range map[int]int{1: 184, 5: 184, 6: 272, 10: 272, 11: 464, 21: 464, 22: 832, 42: 832, 43: 1584} {
		if got := dictSize(n); got != size {
			t.Errorf("%d entries: %d, want %d", n, got, size)
		}
	}
}

func TestReadSignedRefuses(t *testing.T) {
	_, req, _ := exchange(t)
	for _, c := range []struct {
		name, header string
		values       []string
		err          error
	}{
		{"no signature", "bt_header_dendrite_signature", nil, ErrUnsigned},
		{"an empty signature", "bt_header_dendrite_signature", []string{""}, ErrUnsigned},
		{"a signature without 0x", "bt_header_dendrite_signature", []string{strings.Repeat("0", 128)}, ErrUnsigned},
		{"a short signature", "bt_header_dendrite_signature", []string{"0x" + strings.Repeat("0", 126)}, ErrUnsigned},
		{"a signature that is no hex", "bt_header_dendrite_signature", []string{"0x" + strings.Repeat("g", 128)}, ErrUnsigned},
		{"two signatures", "bt_header_dendrite_signature", []string{"0x" + strings.Repeat("0", 128), "0x" + strings.Repeat("0", 128)}, ErrHeader},
		{"no hotkey", "bt_header_dendrite_hotkey", nil, ErrUnsigned},
		{"a hotkey that is none", "bt_header_dendrite_hotkey", []string{"5Grw"}, ErrUnsigned},
		{"a hotkey in hex", "bt_header_dendrite_hotkey", []string{"0x" + strings.Repeat("0", 64)}, ErrUnsigned},
		{"no nonce", "bt_header_dendrite_nonce", nil, ErrUnsigned},
		{"a nonce that is none", "bt_header_dendrite_nonce", []string{"soon"}, ErrUnsigned},
		{"a negative nonce", "bt_header_dendrite_nonce", []string{"-1"}, ErrUnsigned},
		{"a signed nonce", "bt_header_dendrite_nonce", []string{"+1"}, ErrUnsigned},
		{"a nonce of 20 digits", "bt_header_dendrite_nonce", []string{"99999999999999999999"}, ErrUnsigned},
		{"no uuid", "bt_header_dendrite_uuid", nil, ErrUnsigned},
		{"a long uuid", "bt_header_dendrite_uuid", []string{strings.Repeat("u", 129)}, ErrHeader},
		{"a uuid with a quote", "bt_header_dendrite_uuid", []string{`a"b`}, ErrHeader},
		{"no body hash", "computed_body_hash", nil, ErrUnsigned},
		{"a long body hash", "computed_body_hash", []string{strings.Repeat("a", 300)}, ErrHeader},
		{"a version that is none", "bt_header_dendrite_version", []string{"v10"}, ErrHeader},
		{"a timeout that is none", "timeout", []string{"soon"}, ErrHeader},
		{"no end", "timeout", []string{"inf"}, ErrHeader},
		{"nan", "timeout", []string{"nan"}, ErrHeader},
		{"an overflow", "timeout", []string{"1e999"}, ErrHeader},
	} {
		h := req.arrived()
		h.Del(c.header)
		for _, v := range c.values {
			h.Add(c.header, v)
		}
		if _, err := ReadSigned(h); !errors.Is(err, c.err) {
			t.Errorf("%s: %v, want %v", c.name, err, c.err)
		}
	}
	for text, want := range map[string]time.Duration{"1e9": MaxTimeout, "-5": 0, " 3.5 ": 3500 * time.Millisecond, "0": 0} {
		h := req.arrived()
		h.Set("timeout", text)
		if s, err := ReadSigned(h); err != nil || s.Timeout != want || s.NoTimeout {
			t.Errorf("timeout %s: %v", text, err)
		}
	}
	h := req.arrived()
	h.Del("timeout")
	if s, err := ReadSigned(h); err != nil || !s.NoTimeout || s.Timeout != 0 {
		t.Errorf("no timeout: %v", err)
	}
}

func TestTensor(t *testing.T) {
	// float32 [[1.5, 2], [3, 4]], as msgpack-numpy packed it.
	packed, err := hex.DecodeString("85c4026e64c3c40474797065a33c6634c4046b696e64c400c4057368617065920202c40464617461c4100000c03f000000400000404000008040")
	if err != nil {
		t.Fatal(err)
	}
	a := &Array{DType: "float32", Shape: []int{2, 2}, Data: packed[len(packed)-16:]}
	raw, err := a.JSON()
	var got struct{ Buffer string }
	if err != nil || json.Unmarshal(raw, &got) != nil || got.Buffer != base64.StdEncoding.EncodeToString(packed) {
		t.Errorf("%s, %v", raw, err)
	}
	for _, a := range []*Array{
		a, {"bool", []int{3}, []byte{1, 0, 1}}, {"int64", []int{0}, make([]byte, 8)}, {"int64", []int{}, make([]byte, 8)}, {"uint8", []int{300, 300}, make([]byte, 90000)},
		{"int8", []int{70000}, make([]byte, 70000)}, {"float16", []int{1, 200, 2}, make([]byte, 800)}, {"float64", []int{5, 0}, nil},
		{"int16", slices.Repeat([]int{1}, 20), make([]byte, 2)},
	} {
		raw, err := a.JSON()
		if err != nil {
			t.Fatal(a.DType, a.Shape, err)
		}
		back, err := ParseTensor(raw)
		if err != nil || back.DType != a.DType || !slices.Equal(back.Shape, a.Shape) || !bytes.Equal(back.Data, a.Data) {
			t.Errorf("%s %v: %v, %v", a.DType, a.Shape, back, err)
		}
		if _, err := ParseTensor(json.RawMessage(strings.Replace(string(raw), `"dtype":"`, `"dtype":"torch.`, 1))); err != nil {
			t.Error(err)
		}
	}
	for _, a := range []*Array{{"float32", []int{2}, make([]byte, 4)}, {"complex", nil, nil}, {"int8", []int{-1}, nil}, {"int8", []int{1 << 30, 1 << 30, 1 << 30}, nil}, {"int8", make([]int, 33), nil}} {
		if _, err := a.JSON(); !errors.Is(err, ErrTensor) {
			t.Errorf("%s %v is written: %v", a.DType, a.Shape, err)
		}
	}
	for i := range packed[:len(packed)-16] {
		bad := bytes.Clone(packed)
		bad[i] ^= 0x40
		j, _ := json.Marshal(tensorJSON{base64.StdEncoding.EncodeToString(bad), "float32", []int{2, 2}})
		if _, err := ParseTensor(j); !errors.Is(err, ErrTensor) {
			t.Errorf("byte %d of the packed array does not matter: %v", i, err)
		}
	}
}

func FuzzBody(f *testing.F) {
	_, req, resp := exchange(f)
	f.Add([]byte(req.Body))
	f.Add([]byte(resp.Body))
	f.Add([]byte(`{"s":"é'\"","i":"7","f":1e16,"l":[[1.0,null]],"d":{"a":{}},"b":"on"}`))
	h := hashed("s", "i", "f", "l", "d", "n", "b")
	f.Add([]byte(" { \"\\u0073\" : \"a}]\\\\\\\"\" , \"l\":[ {} , \"]\" ] ,\"d\":{\"x\":[1,{}]}} "))
	f.Fuzz(func(t *testing.T, b []byte) {
		// The members are those that the standard library finds.
		var std map[string]json.RawMessage
		got := map[string]json.RawMessage{}
		err := members(b, func(name, raw []byte) error { got[string(name)] = raw; return nil })
		if good := json.Unmarshal(b, &std) == nil && std != nil && utf8.Valid(b); good != (err == nil) || good && !maps.EqualFunc(std, got, func(a, b json.RawMessage) bool { return bytes.Equal(a, b) }) {
			t.Fatalf("%q: members %q, %v, want %q", b, got, err, std)
		}
		for _, spec := range []*Spec{Dummy(), h} {
			v, err := spec.Read(b)
			if err != nil {
				continue
			}
			hash, err := v.BodyHash()
			again, err2 := spec.Read(v.Object())
			if err2 != nil {
				t.Fatalf("%s does not read again: %v", v.Object(), err2)
			}
			hash2, err3 := again.BodyHash()
			if (err == nil) != (err3 == nil) || hash != hash2 || !bytes.Equal(v.Object(), again.Object()) {
				t.Fatalf("%s and %s", v.Object(), again.Object())
			}
			if y := (&Synapse{Values: v, Dendrite: Terminal{UUID: "x"}}); !json.Valid(y.Reply()) || !json.Valid(y.Request()) {
				t.Fatalf("%s", y.Reply())
			}
		}
	})
}

func FuzzHeaders(f *testing.F) {
	_, req, _ := exchange(f)
	h := req.arrived()
	f.Add(h.Get("bt_header_dendrite_signature"), h.Get("bt_header_dendrite_hotkey"), h.Get("bt_header_dendrite_nonce"), h.Get("bt_header_dendrite_uuid"), "12.0")
	f.Fuzz(func(t *testing.T, sig, hotkey, nonce, uuid, timeout string) {
		in := maps.Clone(h)
		for k, v := range map[string]string{"bt_header_dendrite_signature": sig, "bt_header_dendrite_hotkey": hotkey, "bt_header_dendrite_nonce": nonce, "bt_header_dendrite_uuid": uuid, "timeout": timeout} {
			in.Set(k, v)
		}
		s, err := ReadSigned(in)
		if err != nil {
			if !errors.Is(err, ErrUnsigned) && !errors.Is(err, ErrHeader) {
				t.Fatal(err)
			}
			return
		}
		if s.Timeout < 0 || s.Timeout > MaxTimeout || s.Dendrite.Nonce < 0 || s.Sender.String() != hotkey {
			t.Fatalf("%+v", s)
		}
		v, _ := Dummy().Read([]byte(`{"dummy_input":1}`))
		if y := (&Synapse{Values: v, Dendrite: s.Dendrite}); !json.Valid(y.Reply()) {
			t.Fatalf("%s", y.Reply())
		}
	})
}

func FuzzTensor(f *testing.F) {
	raw, err := (&Array{"int16", []int{2, 3}, make([]byte, 12)}).JSON()
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(raw))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := ParseTensor(b)
		if err != nil {
			return
		}
		raw, err := a.JSON()
		if err != nil {
			t.Fatal(err)
		}
		if back, err := ParseTensor(raw); err != nil || !bytes.Equal(back.Data, a.Data) || !slices.Equal(back.Shape, a.Shape) {
			t.Fatalf("%v, %v", back, err)
		}
	})
}
