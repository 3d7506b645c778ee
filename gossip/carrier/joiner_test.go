package carrier

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// join adds the chunks and returns the message they give.
func join(t testing.TB, chunks [][]byte) ([]byte, error) {
	t.Helper()
	var j Joiner
	var done bool
	for i, c := range chunks {
		d, err := j.Add(c)
		if err != nil {
			t.Fatalf("chunk %d: %v", i, err)
		}
		if d && done {
			t.Fatal("done twice")
		}
		done = done || d
	}
	b, err := j.Bytes()
	if done != (err == nil) {
		t.Fatalf("done %v, but %v", done, err)
	}
	return b, err
}

// without returns the chunks but those at some indices.
func without(chunks [][]byte, lost ...int) [][]byte {
	var rest [][]byte
	for i, c := range chunks {
		if !slices.Contains(lost, i) {
			rest = append(rest, c)
		}
	}
	return rest
}

func TestEveryTwoOfSeven(t *testing.T) {
	message := random(1000, 1)
	chunks := split(t, message, Options{})
	if len(chunks) != 7 {
		t.Fatal(len(chunks))
	}
	for x := range 7 {
		for y := range 7 { // x == y: only one is lost
			if got, err := join(t, without(chunks, x, y)); err != nil || !bytes.Equal(got, message) {
				t.Errorf("without %d and %d: %v", x+1, y+1, err)
			}
			for z := range min(x, y) {
				if x == y {
					continue
				}
				_, err := join(t, without(chunks, x, y, z))
				if !errors.Is(err, ErrIncomplete) || !strings.Contains(err.Error(), "4 of 7 chunks, 1 more needed of ") {
					t.Errorf("without %d, %d and %d: %v", x+1, y+1, z+1, err)
				}
			}
		}
	}
}

// TestLosses: any share of chunks that is covered may be missing, at random or in a burst, in any
// order.
func TestLosses(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 5))
	for round := range 120 {
		o := Options{ChunkSize: MinChunk + r.IntN(220), Of: 1 + r.IntN(15)}
		o.Lose = r.IntN(o.Of/2 + 1)
		n := 1 + r.IntN(20000)
		message := random(n, uint64(round))
		chunks := split(t, message, o)
		_, l, _, err := parseChunk(chunks[0])
		if err != nil {
			t.Fatal(err)
		}
		// A burst hits the groups in turn.
		burst := l.groups * l.m
		at := r.IntN(len(chunks) - burst + 1)
		rest := slices.Concat(chunks[:at], chunks[at+burst:])
		if l.groups == 1 { // then it is as good as any other loss
			rest = slices.Clone(chunks)
			r.Shuffle(len(rest), func(i, j int) { rest[i], rest[j] = rest[j], rest[i] })
			rest = rest[l.m:]
		}
		if l.groups == 1 && burst*o.Of < o.Lose*len(chunks) {
			t.Errorf("%+v: only %d of %d", o, burst, len(chunks))
		}
		r.Shuffle(len(rest), func(i, j int) { rest[i], rest[j] = rest[j], rest[i] })
		if got, err := join(t, rest); err != nil || !bytes.Equal(got, message) {
			t.Errorf("%d bytes, %+v, %d of %d lost: %v", n, o, burst, len(chunks), err)
		}
	}
}

func TestSizes(t *testing.T) {
	for _, n := range []int{1, 2, 184, 185, 186, 217*5 - 32, 217*182 - 32, 217*182 - 31, 65536, MaxMessage} {
		message := random(n, 9)
		chunks := split(t, message, Options{})
		_, l, _, _ := parseChunk(chunks[0])
		// The first m·G data chunks are lost, as far as there are so many; of the largest message fewer,
		// as its 425 matrices would take seconds.
		lost := min(l.groups*l.m, l.data)
		if n == MaxMessage {
			lost = 100
		}
		if got, err := join(t, chunks[lost:]); err != nil || !bytes.Equal(got, message) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

func TestMissing(t *testing.T) {
	var j Joiner
	if _, err := j.Bytes(); !errors.Is(err, ErrIncomplete) || j.Missing() != nil || len(j.Progress()) != 0 || j.Next() {
		t.Errorf("before the first chunk: %v, %v", err, j.Missing())
	}
	message := random(1000, 1)
	chunks := split(t, message, Options{})
	for _, i := range []int{2, 0, 6} {
		if done, err := j.Add(chunks[i]); done || err != nil {
			t.Fatal(done, err)
		}
	}
	if got, want := j.Missing(), []int{2, 4, 5, 6}; !slices.Equal(got, want) {
		t.Errorf("missing %v, want %v", got, want)
	}
	p := j.Progress()
	want := []Progress{{ID: [4]byte(chunks[0][1:5]), Size: 1000, Chunks: 7, Taken: 3, Need: 2, Missing: "2, 4-6"}}
	if !slices.Equal(p, want) {
		t.Errorf("progress %+v, want %+v", p, want)
	}
	if s := p[0].String(); !strings.HasSuffix(s, ": 3 of 7 chunks, 2 more needed of 2, 4-6") {
		t.Error(s)
	}
	for _, i := range []int{5, 3} {
		if _, err := j.Add(chunks[i]); err != nil {
			t.Fatal(err)
		}
	}
	if j.Missing() != nil || j.Progress()[0].Need != 0 || !strings.HasSuffix(j.Progress()[0].String(), ": 5 of 7 chunks, whole") {
		t.Errorf("whole: %v, %v", j.Missing(), j.Progress()[0])
	}

	// Groups that have enough are not asked for any more.
	message = random(2890, 1)
	chunks = split(t, message, Options{ChunkSize: MinChunk})
	_, l, _, _ := parseChunk(chunks[0])
	if l.data != 183 || l.groups != 2 || l.members(0) != 92 || l.members(1) != 91 {
		t.Fatal(l)
	}
	j = Joiner{}
	for i, c := range chunks {
		if g, _ := l.group(i); g == 1 || i == 4 {
			if _, err := j.Add(c); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, n := range j.Missing() {
		if g, _ := l.group(n - 1); g == 1 || n == 5 {
			t.Errorf("asks for chunk %d, of group %d", n, g)
		}
	}
	if n := j.Progress()[0].Need; n != l.members(0)-1 || len(j.Missing()) != l.members(0)+l.m-1 {
		t.Errorf("%d needed of %d", n, len(j.Missing()))
	}
	done := false
	for i, c := range chunks[l.groups*l.m:] {
		d, err := j.Add(c)
		if err != nil {
			t.Fatal(i, err)
		}
		done = done || d
	}
	if got, err := j.Bytes(); !done || err != nil || !bytes.Equal(got, message) {
		t.Error(done, err)
	}
}

// TestPast: a message that was taken out is remembered for a while, so that its late chunks do not
// give it again.
func TestPast(t *testing.T) {
	var j Joiner
	for i := range MaxMessages + 1 {
		chunks := split(t, []byte{byte(i)}, Options{})
		if done, err := j.Add(chunks[0]); !done || err != nil {
			t.Fatal(done, err)
		}
		j.Next()
		if done, err := j.Add(chunks[1]); done || err != nil {
			t.Fatal("given twice", err)
		}
	}
	if done, err := j.Add(split(t, []byte{0}, Options{})[1]); !done || err != nil || len(j.past) != MaxMessages {
		t.Errorf("%v, %v: %d are remembered", done, err, len(j.past))
	}
}

func TestRuns(t *testing.T) {
	for want, in := range map[string][]int{
		"": nil, "1": {1}, "1-2": {1, 2}, "1, 3": {1, 3}, "1-3, 9": {1, 2, 3, 9},
		"1, 3, 5, 7, 9, 11, 13, 15, …": {1, 3, 5, 7, 9, 11, 13, 15, 17, 19},
	} {
		if got := runs(in); got != want {
			t.Errorf("%v: %q", in, got)
		}
	}
}

// TestMess: everything at once: three messages mixed, chunks twice, damaged and cut.
func TestMess(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	var all [][]byte
	var messages [][]byte
	var want Counts
	for i, n := range []int{1000, 4000, 1000} {
		messages = append(messages, random(n, uint64(i)))
		chunks := split(t, messages[i], Options{})
		all = append(all, chunks...)
		_, l, _, _ := parseChunk(chunks[0])
		want.Taken += l.data
		for range 5 {
			c := bytes.Clone(chunks[r.IntN(len(chunks))])
			c[r.IntN(len(c))] ^= byte(1 + r.IntN(255))
			all = append(all, c, c[:r.IntN(len(c))])
			want.Damaged += 2
		}
	}
	// The same message split otherwise is another one.
	messages = append(messages, messages[0])
	other := split(t, messages[0], Options{ChunkSize: 100})
	all = append(all, other...)
	_, l, _, _ := parseChunk(other[0])
	want.Taken += l.data

	all = append(all, other[:15]...)
	r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	var j Joiner
	done := 0
	for _, c := range all {
		d, err := j.Add(c)
		if err != nil && !errors.Is(err, ErrChunk) {
			t.Fatal(err)
		}
		if d {
			done++
		}
	}
	got := j.Counts()
	if got.Duplicate+got.Surplus != len(all)-want.Taken-want.Damaged {
		t.Errorf("%+v of %d", got, len(all))
	}
	got.Duplicate, got.Surplus = 0, 0
	if got != want || done != 4 {
		t.Errorf("counts %+v, want %+v; %d done", got, want, done)
	}
	for i := range 4 {
		b, err := j.Bytes()
		if at := slices.IndexFunc(messages, func(m []byte) bool { return bytes.Equal(b, m) }); err != nil || at < 0 {
			t.Errorf("message %d: %v", i, err)
		} else {
			messages = slices.Delete(messages, at, at+1)
		}
		if again, _ := j.Bytes(); !bytes.Equal(again, b) {
			t.Error("another one without Next")
		}
		if more := j.Next(); more != (i < 3) {
			t.Errorf("message %d: more: %v", i, more)
		}
	}
	// Late chunks start nothing again.
	for _, c := range all {
		if done, _ := j.Add(c); done {
			t.Error("done again")
		}
	}
	if len(j.Progress()) != 0 || j.cost != 0 {
		t.Errorf("left: %v, %d bytes", j.Progress(), j.cost)
	}
}

// TestMisled: whoever knows a message's id can stop it, until it is sent again, and no more.
func TestMisled(t *testing.T) {
	message := random(1000, 1)
	chunks := split(t, message, Options{})
	h, _, shard, _ := parseChunk(chunks[1])
	shard = bytes.Clone(shard)
	shard[5] ^= 1
	forged := appendChunk(nil, h, shard)

	var j Joiner
	add := func(c []byte, want error) bool {
		t.Helper()
		done, err := j.Add(c)
		if !errors.Is(err, want) || want == nil && err != nil {
			t.Fatalf("%v, want %v", err, want)
		}
		return done
	}
	add(forged, nil)
	add(chunks[1], ErrConflict)
	add(chunks[0], nil)
	add(chunks[2], nil)
	add(chunks[3], nil)
	if add(chunks[4], ErrContent) {
		t.Error("done")
	}
	if _, err := j.Bytes(); !errors.Is(err, ErrIncomplete) || j.cost != 0 {
		t.Errorf("%v, %d bytes held", err, j.cost)
	}
	for i, c := range chunks[:5] {
		if done := add(c, nil); done != (i == 4) {
			t.Errorf("chunk %d: done %v", i+1, done)
		}
	}
	if got, err := j.Bytes(); err != nil || !bytes.Equal(got, message) {
		t.Error(err)
	}
	if got, want := j.Counts(), (Counts{Taken: 10, Conflict: 1, False: 1}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}

	// Zeros at the end that are none, and an id that is not the hash's.
	for name, c := range map[string][]byte{
		"filling": func() []byte {
			l, _ := newLayout(1, 40, 0, 1)
			body := make([]byte, l.data*l.shard)
			copy(body, []byte{7})
			one := split(t, []byte{7}, Options{Lose: 0, Of: 1})[0]
			copy(body, one[headSize:headSize+33])
			body[39] = 1
			return appendChunk(nil, head{[4]byte(one[1:5]), 1, 0x01, 1}, body)
		}(),
		"hash": func() []byte {
			one := split(t, []byte{7}, Options{Lose: 0, Of: 1})[0]
			h, _, shard, _ := parseChunk(one)
			shard[32] ^= 1
			return appendChunk(nil, h, shard)
		}(),
		"id": func() []byte {
			one := split(t, []byte{7}, Options{Lose: 0, Of: 1})[0]
			return appendChunk(nil, head{[4]byte{1, 2, 3, 4}, 1, 0x01, 1}, one[headSize:headSize+33])
		}(),
	} {
		if done, err := j.Add(c); done || !errors.Is(err, ErrContent) {
			t.Errorf("%s: %v, %v", name, done, err)
		}
	}
}

// TestFakes: chunks of messages that do not exist take each other's place.
func TestFakes(t *testing.T) {
	message := random(4000, 1)
	chunks := split(t, message, Options{})
	var j Joiner
	fake := func(i int) []byte {
		h := head{id: [4]byte{byte(i), byte(i >> 8), byte(i >> 16), 0xff}, size: MaxMessage, parity: 0x17, number: 1 + i%1000}
		return appendChunk(nil, h, make([]byte, 217))
	}
	for i, c := range chunks[:19] {
		if done, err := j.Add(c); err != nil || done != (i == 18) {
			t.Fatal(done, err)
		}
		for n := range 200 {
			if i == 0 && n >= MaxMessages-1 {
				break // with one chunk there, the message is as good as a fake one
			}
			if _, err := j.Add(fake(i*200 + n)); err != nil {
				t.Fatal(err)
			}
		}
		if len(j.parts) > MaxMessages || j.cost > MaxMessages*(8192+len(chunks[0])) {
			t.Fatalf("%d messages, %d bytes", len(j.parts), j.cost)
		}
	}
	if got, err := j.Bytes(); err != nil || !bytes.Equal(got, message) {
		t.Error(err)
	}
	if n := j.Counts().Evicted; n < 3000 {
		t.Errorf("only %d forgotten", n)
	}
}

// TestFull: whole messages stay, in number and in bytes.
func TestFull(t *testing.T) {
	var j Joiner
	for i := range MaxMessages {
		if done, err := j.Add(split(t, []byte{byte(i)}, Options{})[0]); !done || err != nil {
			t.Fatal(done, err)
		}
	}
	next := split(t, []byte("next"), Options{})[1]
	if _, err := j.Add(next); !errors.Is(err, ErrFull) || j.Counts().Refused != 1 {
		t.Error(err)
	}
	j.Next()
	if done, err := j.Add(next); !done || err != nil {
		t.Error(done, err)
	}
	if b, _ := j.Bytes(); !bytes.Equal(b, []byte{1}) {
		t.Errorf("%x is next", b)
	}

	j = Joiner{}
	whole, part := 0, 0
	for i := range 5 {
		for _, c := range split(t, random(MaxMessage, uint64(i)), Options{ChunkSize: MaxChunk, Lose: 0, Of: 1}) {
			done, err := j.Add(c)
			if done {
				whole++
			}
			if errors.Is(err, ErrFull) {
				part++
			} else if err != nil {
				t.Fatal(err)
			}
			if j.cost > MaxHeld {
				t.Fatalf("holds %d bytes", j.cost)
			}
		}
	}
	if whole != 3 || part == 0 {
		t.Errorf("%d whole, %d chunks refused", whole, part)
	}
	sum := 0
	for _, p := range j.parts {
		sum += p.cost
	}
	if sum != j.cost {
		t.Errorf("%d bytes are accounted for, %d held", j.cost, sum)
	}
}

// TestPromises: the numbers in a head reserve nothing.
func TestPromises(t *testing.T) {
	var j Joiner
	c := appendChunk(nil, head{size: MaxMessage, parity: 0x17, number: 200000}, make([]byte, 80))
	if _, _, _, err := parseChunk(c); err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for i := range 100 {
		c = appendChunk(nil, head{id: [4]byte{byte(i)}, size: MaxMessage, parity: 0x17, number: 200000}, make([]byte, 80))
		if done, err := j.Add(c); done || err != nil {
			t.Fatal(done, err)
		}
	}
	runtime.ReadMemStats(&after)
	if n := (after.TotalAlloc - before.TotalAlloc) / 100; n > 8192 {
		t.Errorf("%d bytes for a chunk", n)
	}
}

func TestChunksAreCopied(t *testing.T) {
	message := random(1000, 1)
	var j Joiner
	for _, c := range split(t, message, Options{}) {
		if _, err := j.Add(c); err != nil {
			t.Fatal(err)
		}
		clear(c)
	}
	if got, err := j.Bytes(); err != nil || !bytes.Equal(got, message) {
		t.Error(err)
	}
}

// TestZeroJoiner: reading a Joiner that was given nothing but nonsense.
func TestZeroJoiner(t *testing.T) {
	var j Joiner
	if _, err := j.Add([]byte("nonsense")); !errors.Is(err, ErrChunk) {
		t.Error(err)
	}
	if !reflect.DeepEqual(j.Counts(), Counts{Damaged: 1}) || len(j.Progress()) != 0 {
		t.Errorf("%+v", j)
	}
}
