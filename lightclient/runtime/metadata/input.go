package metadata

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// A node is a JSON value as it was typed: no number has become a float, no name was lost to another
// of the same spelling.
type node struct {
	kind byte   // { [ " as in JSON; 0 a number, t true, f false, n null; w a bare word
	text string // of a string, number or word
	list []node // of a list; of an object, the values
	keys []string
}

func (n *node) isText() bool { return n.kind == '"' || n.kind == 'w' }

// isUnit reports whether n may stand for a value that holds nothing.
func (n *node) isUnit() bool {
	return n.kind == 'n' || (n.kind == '[' || n.kind == '{') && len(n.list) == 0
}

// field returns the value under a name; small and capital letters are the same if no name fits as it
// is.
func (n *node) field(name string) *node {
	for i, k := range n.keys {
		if k == name {
			return &n.list[i]
		}
	}
	for i, k := range n.keys {
		if strings.EqualFold(k, name) {
			return &n.list[i]
		}
	}
	return nil
}

func parseWord(word string) (*node, error) {
	if word == "null" || word != "" && strings.IndexByte(`{["`, word[0]) >= 0 {
		return parseJSON([]byte(word))
	}
	return &node{kind: 'w', text: word}, nil
}

// parseJSON reads one JSON value.
func parseJSON(text []byte) (*node, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	n := new(node)
	if err := readNode(d, n, 0); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, fmt.Errorf("%w: not valid JSON: %w", ErrInput, err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("%w: not valid JSON: more after its end", ErrInput)
	}
	return n, nil
}

func readNode(d *json.Decoder, n *node, depth int) error {
	t, err := d.Token()
	if err != nil {
		return err
	}
	return readToken(d, t, n, depth)
}

func readToken(d *json.Decoder, t json.Token, n *node, depth int) error {
	if depth > 2*maxDepth+2 { // a variant with fields is two deep: {"Name": {…}}
		return ErrWork
	}
	switch t := t.(type) {
	case nil:
		n.kind, n.text = 'n', "null"
	case bool:
		n.kind, n.text = 'f', "false"
		if t {
			n.kind, n.text = 't', "true"
		}
	case json.Number:
		n.kind, n.text = '0', t.String()
	case string:
		n.kind, n.text = '"', t
	case json.Delim:
		n.kind = byte(t)
		var seen map[string]bool
		for d.More() {
			if t == '{' {
				k, err := d.Token()
				if err != nil {
					return err
				}
				key, ok := k.(string)
				if !ok {
					return fmt.Errorf("a name is %v", k)
				}
				if seen == nil {
					seen = map[string]bool{}
				}
				if seen[key] {
					return fmt.Errorf("%q stands twice", clip(key))
				}
				seen[key] = true
				n.keys = append(n.keys, key)
			}
			var item node
			if err := readNode(d, &item, depth+1); err != nil {
				return err
			}
			n.list = append(n.list, item)
		}
		_, err := d.Token() // the end
		return err
	}
	return nil
}
