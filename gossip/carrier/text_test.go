package carrier

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestText(t *testing.T) {
	message := random(1000, 1)
	var lines []string
	for i, c := range split(t, message, Options{}) {
		line, err := Text(c)
		if err != nil || !strings.HasPrefix(line, fmt.Sprintf("TLC1:%d/7:W", i+1)) {
			t.Fatalf("%q, %v", line, err)
		}
		// Eight characters for five bytes.
		if want := len("TLC1:1/7:") + (len(c)*8+4)/5; len(line) != want {
			t.Errorf("%d characters, want %d", len(line), want)
		}
		for _, form := range []string{line, strings.ToLower(line), "12:30:07 rx> " + line + " rssi -98", line + "\r\n", "> " + line + "\t"} {
			if got, err := ParseText(form); err != nil || !bytes.Equal(got, c) {
				t.Errorf("%q: %v", form, err)
			}
		}
		lines = append(lines, line)
	}
	var j Joiner
	for i, line := range lines[2:] {
		if done, err := j.AddText(line); err != nil || done != (i == 4) {
			t.Errorf("line %d: %v, %v", i+3, done, err)
		}
	}
	if got, err := j.Bytes(); err != nil || !bytes.Equal(got, message) {
		t.Error(err)
	}
	if _, err := Text(message); !errors.Is(err, ErrChunk) {
		t.Error(err)
	}
}

func TestParseTextRefuses(t *testing.T) {
	chunk := split(t, random(1, 1), Options{})[0] // 49 bytes: 79 characters, the last with three unused bits
	line, err := Text(chunk)
	if err != nil {
		t.Fatal(err)
	}
	code := line[len("TLC1:1/2:"):]
	last := code[len(code)-1]
	next := "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[strings.IndexByte("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", last)+1]
	for name, in := range map[string]string{
		"nothing":           "",
		"no prefix":         code,
		"prefix alone":      "TLC1:",
		"no code":           "TLC1:1/2:",
		"other number":      "TLC1:2/2:" + code,
		"other count":       "TLC1:1/3:" + code,
		"leading zero":      "TLC1:01/2:" + code,
		"plus":              "TLC1:+1/2:" + code,
		"no numbers":        "TLC1:" + code,
		"more colons":       "TLC1:1/2:1/2:" + code,
		"another version":   "TLC2:1/2:" + code,
		"a character less":  line[:len(line)-1],
		"eight less":        line[:len(line)-8],
		"a character more":  line + "A",
		"padding":           line + "=",
		"an unused bit":     line[:len(line)-1] + string(next),
		"a blank within":    line[:20] + " " + line[20:],
		"a digit of no use": line[:30] + "1" + line[31:],
		"binary":            string(chunk),
		"a long line":       "TLC1:1/2:" + strings.Repeat("A", 100000),
		"long s":            "TLC1:1/2:" + strings.Replace(code, "S", "ſ", 1) + "ſ", // upper-cases to S
	} {
		if got, err := ParseText(in); !errors.Is(err, ErrChunk) {
			t.Errorf("%s: %x, %v", name, got, err)
		}
	}
	for i := len("TLC1:"); i < len(line); i++ {
		for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") {
			in := line[:i] + string(c) + line[i+1:]
			if got, err := ParseText(in); in != line && !errors.Is(err, ErrChunk) {
				t.Fatalf("character %d is %c: %x, %v", i, c, got, err)
			}
		}
	}
}

func TestAddFile(t *testing.T) {
	message := random(1000, 1)
	chunks := split(t, message, Options{})
	lines := []string{"# seven lines; two may be lost", ""}
	for _, c := range chunks {
		line, _ := Text(c)
		lines = append(lines, line)
	}
	lines[3] = lines[3][:40] + "2" + lines[3][41:]
	if lines[3][40] == lines[3][39] {
		t.Log("the line may be as it was")
	}
	for _, end := range []string{"\n", "\r\n"} {
		var j Joiner
		if found, err := j.AddFile([]byte(strings.Join(lines, end))); found != 7 || err != nil {
			t.Errorf("found %d, %v", found, err)
		}
		if got, err := j.Bytes(); err != nil || !bytes.Equal(got, message) {
			t.Error(err)
		}
	}
	var j Joiner
	for _, c := range chunks[2:] {
		if found, err := j.AddFile(c); found != 1 || err != nil {
			t.Error(found, err)
		}
	}
	if got, err := j.Bytes(); err != nil || !bytes.Equal(got, message) {
		t.Error(err)
	}
	for _, in := range []string{"", "\n", "no chunk\nhere\n", "\xb1", "\x00\x01"} {
		if _, err := j.AddFile([]byte(in)); !errors.Is(err, ErrChunk) {
			t.Errorf("%q: %v", in, err)
		}
	}
}

func FuzzText(f *testing.F) {
	for _, n := range []int{1, 100, 1000} {
		for _, c := range split(f, random(n, 1), Options{}) {
			line, _ := Text(c)
			f.Add(line)
			f.Add("12:00 " + strings.ToLower(line) + " ok")
		}
	}
	f.Add("TLC1:1/1:")
	f.Fuzz(func(t *testing.T, in string) {
		chunk, err := ParseText(in)
		if err != nil {
			if !errors.Is(err, ErrChunk) {
				t.Fatal(err)
			}
		} else if line, err := Text(chunk); err != nil || !strings.Contains(strings.ToUpper(in), line) {
			t.Fatalf("%q gives %q, %v", in, line, err)
		}
		var j Joiner
		if found, _ := j.AddFile([]byte(in)); err == nil && found == 0 {
			t.Fatal("not found in a file")
		}
	})
}
