package jsonfield

import (
	"encoding/json"
	"fmt"
)

// Next cuts the first JSON value from the front of b and returns what follows it. No value and no
// error means that only white space was left. The value is checked to be valid JSON.
func Next(b []byte) (value json.RawMessage, rest []byte, err error) {
	i := space(b, 0)
	if i == len(b) {
		return nil, nil, nil
	}
	end := skip(b, i)
	if !json.Valid(b[i:end]) {
		return nil, nil, ErrJSON
	}
	return b[i:end:end], b[end:], nil
}

// Members calls f with each name and value of the object raw, in order, duplicates included, and
// stops at its first error. raw must be valid JSON.
func Members(raw []byte, f func(name string, value json.RawMessage) error) error {
	i := space(raw, 0)
	if i == len(raw) || raw[i] != '{' {
		return fmt.Errorf("%w: want an object", ErrType)
	}
	for i = space(raw, i+1); i < len(raw) && raw[i] != '}'; {
		end := skip(raw, i)
		name, err := Text(raw[i:end])
		if err != nil {
			return err
		}
		i = space(raw, space(raw, end)+1) // past the colon
		if i >= len(raw) {
			return ErrJSON
		}
		end = skip(raw, i)
		if err := f(name, raw[i:end:end]); err != nil {
			return err
		}
		i = comma(raw, end)
	}
	return nil
}

// Elements returns the elements of the list raw. raw must be valid JSON.
func Elements(raw []byte, max int) ([]json.RawMessage, error) {
	n, err := walk(raw, nil)
	if err != nil {
		return nil, err
	}
	if n > max {
		return nil, fmt.Errorf("%w: %d elements, at most %d allowed", ErrLimit, n, max)
	}
	out := make([]json.RawMessage, 0, n)
	_, err = walk(raw, &out)
	return out, err
}

func walk(raw []byte, out *[]json.RawMessage) (n int, err error) {
	i := space(raw, 0)
	if i == len(raw) || raw[i] != '[' {
		return 0, fmt.Errorf("%w: want a list", ErrType)
	}
	for i = space(raw, i+1); i < len(raw) && raw[i] != ']'; n++ {
		end := skip(raw, i)
		if out != nil {
			*out = append(*out, raw[i:end:end])
		}
		i = comma(raw, end)
	}
	return n, nil
}

func space(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\n' || b[i] == '\r') {
		i++
	}
	return i
}

func comma(b []byte, i int) int {
	if i = space(b, i); i < len(b) && b[i] == ',' {
		i = space(b, i+1)
	}
	return i
}

// skip returns the end of the value that starts at b[i]. It always moves on, and finds the right
// end of every valid value; of an invalid one it returns some end, which Valid then refuses.
func skip(b []byte, i int) int {
	depth := 0
	for ; i < len(b); i++ {
		switch b[i] {
		case '"':
			for i++; i < len(b) && b[i] != '"'; i++ {
				if b[i] == '\\' {
					i++
				}
			}
			if i >= len(b) {
				return len(b)
			}
		case '{', '[':
			depth++
			continue
		case '}', ']':
			depth--
		default:
			if depth > 0 {
				continue
			}
			for i+1 < len(b) && !delimiter(b[i+1]) {
				i++
			}
		}
		if depth <= 0 {
			return i + 1
		}
	}
	return len(b)
}

func delimiter(c byte) bool {
	switch c {
	case ' ', '\t', '\n', '\r', ',', ':', '{', '}', '[', ']', '"':
		return true
	}
	return false
}
