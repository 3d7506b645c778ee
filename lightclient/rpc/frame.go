package rpc

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
)

// A request is one call of a client. A request without an id is a notification, and is not answered.
type request struct {
	ID      json.RawMessage `json:"id"`
	Version string          `json:"jsonrpc"`
	Method  string          `json:"method"`
	Params  json.RawMessage `json:"params"`
}

var null = json.RawMessage("null")

// A frame is what a client sends at once. Each of its requests has either a method or an error to be answered
// with; err is for the frame as a whole.
type frame struct {
	list  []request
	bad   []*Error
	batch bool
	err   *Error
}

// parseFrame splits a frame into requests, at most maxBatch.
func parseFrame(b []byte, maxBatch int) (f frame) {
	b = bytes.TrimLeft(b, " \t\r\n")
	if len(b) == 0 {
		return frame{err: errParse}
	}
	if b[0] != '[' {
		q, e := parse(b)
		return frame{list: []request{q}, bad: []*Error{e}}
	}
	f.batch = true
	d := json.NewDecoder(bytes.NewReader(b))
	d.Token()
	for d.More() {
		if len(f.list) == maxBatch {
			return frame{err: &Error{codeBatch, "The batch request was too large", fmt.Sprintf("Exceeded max limit of %d", maxBatch)}}
		}
		var raw json.RawMessage
		if d.Decode(&raw) != nil {
			return frame{err: errParse}
		}
		q, e := parse(raw)
		f.list, f.bad = append(f.list, q), append(f.bad, e)
	}
	if _, err := d.Token(); err != nil {
		return frame{err: errParse}
	}
	if rest := bytes.TrimSpace(b[d.InputOffset():]); len(rest) > 0 {
		return frame{err: errParse}
	}
	if len(f.list) == 0 {
		f.err = errRequest
	}
	return f
}

// parse reads one request. Its id is null if it cannot be told, and nil if there is none.
func parse(b []byte) (q request, e *Error) {
	if !json.Valid(b) {
		return request{ID: null}, errParse
	}
	if err := json.Unmarshal(b, &q); err != nil {
		return request{ID: null}, errRequest
	}
	switch id := q.ID; {
	case id == nil || string(id) == "null":
	case len(id) > 256 || id[0] != '"' && id[0] != '-' && (id[0] < '0' || id[0] > '9'):
		return request{ID: null}, errRequest
	}
	if q.Version != "2.0" || q.Method == "" {
		if q.ID == nil {
			q.ID = null
		}
		return q, errRequest
	}
	return q, nil
}

// positions returns parameters in their order; names are those of the method. Nulls at the end are as if they
// were not there.
func positions(raw json.RawMessage, names []string) ([]json.RawMessage, *Error) {
	if len(raw) == 0 || string(raw) == "null" {
		return nil, nil
	}
	var list []json.RawMessage
	switch raw[0] {
	case '[':
		if json.Unmarshal(raw, &list) != nil {
			return nil, errParse
		}
	case '{':
		var named map[string]json.RawMessage
		if json.Unmarshal(raw, &named) != nil {
			return nil, errParse
		}
		list = make([]json.RawMessage, len(names))
		for i, name := range names {
			list[i] = named[name]
			delete(named, name)
		}
		for name := range named {
			return nil, invalid("no parameter %s", strconv.Quote(name))
		}
	default:
		return nil, errRequest
	}
	for len(list) > 0 && (list[len(list)-1] == nil || string(list[len(list)-1]) == "null") {
		list = list[:len(list)-1]
	}
	return list, nil
}

// A response is what one request is answered with, encoded.
func response(id json.RawMessage, result any, e *Error) []byte {
	b := append(make([]byte, 0, 256), `{"jsonrpc":"2.0","id":`...)
	b = append(b, id...)
	if e == nil {
		value, err := encode(result)
		if err == nil {
			b = append(append(b, `,"result":`...), value...)
			return append(b, '}')
		}
		e = &Error{Code: codeServer, Message: err.Error()}
	}
	value, _ := json.Marshal(e)
	return append(append(append(b, `,"error":`...), value...), '}')
}

// notification is what a subscription tells, encoded.
func notification(method, id string, result any) ([]byte, error) {
	value, err := encode(result)
	if err != nil {
		return nil, err
	}
	b := append(make([]byte, 0, 128+len(value)), `{"jsonrpc":"2.0","method":`...)
	b = strconv.AppendQuote(b, method)
	b = append(b, `,"params":{"subscription":`...)
	b = strconv.AppendQuote(b, id)
	b = append(append(b, `,"result":`...), value...)
	return append(b, "}}"...), nil
}

func encode(v any) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return null, nil
	case json.RawMessage:
		return v, nil
	case data: // the bulk of what is sent: json.Marshal would check it byte by byte
		return v.MarshalJSON()
	}
	return json.Marshal(v)
}

// data is bytes, as hex with 0x before it.
type data []byte

// MarshalJSON implements json.Marshaler.
func (d data) MarshalJSON() ([]byte, error) {
	b := make([]byte, 0, 2*len(d)+4)
	b = append(b, `"0x`...)
	b = hex.AppendEncode(b, d)
	return append(b, '"'), nil
}
