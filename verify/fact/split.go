package fact

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/taolight/taolight/verify/internal/jsonfield"
)

// records are the names under which a file holds a list of facts. What stands beside the list
// holds for each of them.
var records = []string{"headers"}

// maxInherited bounds what facts inherit from what stands beside their list, all together, beyond
// the input's own size.
const maxInherited = 64 << 20

// Split returns the facts in a file: a JSON object, a list of objects, or JSON lines (objects or
// lists one after the other). An object with a list of facts in it (headers: […]) stands for each
// of these, with the members beside the list added to it where it has none of that name.
//
// An input without any fact is refused with ErrInput, like one with too much of something.
func Split(data []byte) ([]json.RawMessage, error) {
	if len(data) > MaxInput {
		return nil, fmt.Errorf("%w: %d bytes, at most %d allowed", ErrInput, len(data), MaxInput)
	}
	s := new(splitter)
	rest := bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")) // some editors begin a file so
	for n := 1; ; n++ {
		value, next, err := jsonfield.Next(rest)
		if err == nil && value == nil {
			break
		}
		if err == nil {
			err = s.value(value)
		}
		if err != nil {
			return nil, fmt.Errorf("%w: value %d: %w", ErrInput, n, err)
		}
		rest = next
	}
	if len(s.facts) == 0 {
		return nil, fmt.Errorf("%w: no fact in it", ErrInput)
	}
	return s.facts, nil
}

type splitter struct {
	facts     []json.RawMessage
	inherited int
}

func (s *splitter) value(raw json.RawMessage) error {
	if raw[0] != '[' {
		return s.object(raw)
	}
	items, err := jsonfield.Elements(raw, MaxFacts)
	if err != nil {
		return err
	}
	for i, item := range items {
		if err := s.object(item); err != nil {
			return fmt.Errorf("element %d: %w", i, err)
		}
	}
	return nil
}

func (s *splitter) add(raw json.RawMessage) error {
	if len(s.facts) == MaxFacts {
		return fmt.Errorf("%w: more than %d facts", jsonfield.ErrLimit, MaxFacts)
	}
	s.facts = append(s.facts, raw)
	return nil
}

func (s *splitter) object(raw json.RawMessage) error {
	if len(raw) == 0 || raw[0] != '{' {
		return fmt.Errorf("%w: want an object", jsonfield.ErrType)
	}
	list := ""
	count := 0
	err := jsonfield.Members(raw, func(name string, value json.RawMessage) error {
		for _, r := range records {
			if name == r && value[0] == '[' {
				list = name
				count++
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	switch count {
	case 0:
		return s.add(raw)
	case 1:
		return s.expand(raw, list)
	}
	return fmt.Errorf("%s: %w", list, jsonfield.ErrDuplicate)
}

// expand adds each element of the list in outer, with the members beside the list.
func (s *splitter) expand(outer json.RawMessage, list string) error {
	o, err := jsonfield.Parse(outer)
	if err != nil {
		return err
	}
	items, _ := o.Elements(list, MaxFacts)
	if err := o.Err(); err != nil {
		return err
	}
	if len(items) == 0 {
		return fmt.Errorf("%s: %w: empty list", list, jsonfield.ErrMissing)
	}
	for i, item := range items {
		merged, err := s.merge(item, o.All(), list)
		if err == nil {
			err = s.add(merged)
		}
		if err != nil {
			return fmt.Errorf("%s: %d: %w", list, i, err)
		}
	}
	return nil
}

func (s *splitter) merge(item json.RawMessage, beside []jsonfield.Member, list string) (json.RawMessage, error) {
	if item[0] != '{' {
		return nil, fmt.Errorf("%w: want an object", jsonfield.ErrType)
	}
	own := make(map[string]bool)
	err := jsonfield.Members(item, func(name string, _ json.RawMessage) error {
		if len(own) == jsonfield.MaxMembers {
			return fmt.Errorf("%w: object of more than %d names", jsonfield.ErrLimit, jsonfield.MaxMembers)
		}
		own[name] = true
		return nil
	})
	if err != nil {
		return nil, err
	}
	out := append(make([]byte, 0, len(item)+256), item[:len(item)-1]...)
	empty := len(own) == 0
	for _, m := range beside {
		if own[m.Name] || m.Name == list {
			continue
		}
		if !empty {
			out = append(out, ',')
		}
		empty = false
		name, err := json.Marshal(m.Name)
		if err != nil {
			return nil, err
		}
		out = append(append(append(out, name...), ':'), m.Value...)
		if s.inherited += len(name) + len(m.Value) + 2; s.inherited > maxInherited {
			return nil, fmt.Errorf("%w: facts inherit more than %d bytes", jsonfield.ErrLimit, maxInherited)
		}
	}
	return append(out, '}'), nil
}
