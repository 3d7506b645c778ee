package bundle

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/checkpoint"
	"github.com/taolight/taolight/verify/fact"
)

const corpusDir = "testdata/corpus"

// A vector is a file of the corpus; its README says what the lines are.
type vector struct {
	expect     string   // "ok", "failed" or "undecided"
	lines      []string // of the report
	checkpoint string   // a file, without ".json"; empty: none is given
	assume     uint32
	comment    string
	payload    []byte
}

func (v *vector) encode() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "expect: %s\n", v.expect)
	for _, l := range v.lines {
		fmt.Fprintf(&b, "line: %s\n", l)
	}
	if v.checkpoint != "" {
		fmt.Fprintf(&b, "checkpoint: %s.json\n", v.checkpoint)
	}
	if v.assume != 0 {
		fmt.Fprintf(&b, "assume-rules: %d\n", v.assume)
	}
	fmt.Fprintf(&b, "comment: %s\n\n", v.comment)
	for text := base64.StdEncoding.EncodeToString(v.payload); text != ""; {
		n := min(76, len(text))
		fmt.Fprintln(&b, text[:n])
		text = text[n:]
	}
	return b.Bytes()
}

func decodeVector(b []byte) (*vector, error) {
	head, body, ok := strings.Cut(string(b), "\n\n")
	if !ok {
		return nil, errors.New("no empty line")
	}
	v := new(vector)
	for _, line := range strings.Split(head, "\n") {
		name, value, ok := strings.Cut(line, ": ")
		if !ok {
			return nil, fmt.Errorf("line %q", line)
		}
		var err error
		switch name {
		case "expect":
			v.expect = value
		case "line":
			v.lines = append(v.lines, value)
		case "checkpoint":
			v.checkpoint, ok = strings.CutSuffix(value, ".json")
		case "assume-rules":
			var n uint64
			n, err = strconv.ParseUint(value, 10, 32)
			v.assume = uint32(n)
		case "comment":
			v.comment = value
		default:
			return nil, fmt.Errorf("line %q", line)
		}
		if err != nil || !ok {
			return nil, fmt.Errorf("line %q: %v", line, err)
		}
	}
	var err error
	v.payload, err = base64.StdEncoding.DecodeString(strings.ReplaceAll(body, "\n", ""))
	return v, err
}

// judge returns the report on a payload. Bytes that are no bundle have one line too, "form".
func (v *vector) judge(t *testing.T) *Report {
	t.Helper()
	o := Options{AssumeRules: v.assume}
	if v.checkpoint != "" {
		b, err := os.ReadFile(filepath.Join(corpusDir, "checkpoints", v.checkpoint+".json"))
		if err != nil {
			t.Fatal(err)
		}
		if o.Checkpoint, err = checkpoint.Parse(b); err != nil {
			t.Fatal(err)
		}
	}
	x, r := Judge(v.payload, func(verify.Hash) Options { return o })
	if x == nil {
		return r
	}
	if b := x.Encode(); !bytes.Equal(b, v.payload) {
		t.Errorf("decodes, and encodes to something else: %d bytes, %d before", len(b), len(v.payload))
	}
	return r
}

// TestCorpus judges the files as they are.
func TestCorpus(t *testing.T) {
	entries, err := os.ReadDir(corpusDir)
	if err != nil {
		t.Fatal(err)
	}
	files, seen := 0, map[string]int{}
	for _, e := range entries {
		if e.IsDir() || e.Name() == "README.md" {
			continue
		}
		files++
		t.Run(e.Name(), func(t *testing.T) {
			b, err := os.ReadFile(filepath.Join(corpusDir, e.Name()))
			if err != nil {
				t.Fatal(err)
			}
			v, err := decodeVector(b)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(v.encode(), b) {
				t.Error("the file is not in its canonical form")
			}
			if v.comment == "" || len(v.lines) == 0 {
				t.Error("says too little")
			}
			seen[v.expect]++
			compare(t, v, v.judge(t))
		})
	}
	if files < 100 || seen["ok"] < 20 || seen["failed"] < 60 || seen["undecided"] < 10 {
		t.Errorf("%d files: %v", files, seen)
	}
}

// compare holds a report against what a vector expects: the outcome, and the lines. Unless the outcome
// is OK there is one, which is the first that is not OK, or the first failed one if any did.
func compare(t *testing.T, v *vector, r *Report) {
	t.Helper()
	word := map[fact.Outcome]string{fact.OK: "ok", fact.Failed: "failed", fact.Undecided: "undecided"}[r.Outcome]
	var lines []string
	for _, l := range r.Lines {
		switch {
		case l.Outcome == fact.OK && r.Outcome == fact.OK:
			lines = append(lines, l.String())
		case l.Outcome == r.Outcome:
			lines = []string{l.String()}
		default:
			continue
		}
		if r.Outcome != fact.OK {
			break
		}
	}
	ok := word == v.expect
	for _, want := range v.lines {
		i := slices.Index(lines, want)
		if ok = ok && i >= 0; !ok {
			break
		}
		lines = lines[i+1:]
	}
	if r.Outcome != fact.OK && len(v.lines) != 1 {
		ok = false
	}
	if !ok {
		t.Errorf("%s\nwant %s:\n%s\ngot %s:\n%s", v.comment, v.expect, strings.Join(v.lines, "\n"), word, r)
	}
}
