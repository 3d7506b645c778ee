package synapse

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Errors of reading.
var (
	// ErrSpec: a description of a synapse contradicts itself or has a name that cannot be one.
	ErrSpec = errors.New("bad synapse")
	// ErrBody: a body is not an object with the members that the synapse wants.
	ErrBody = errors.New("bad body")
	// ErrJSON: a body is not JSON.
	ErrJSON = errors.New("not JSON")
	// ErrHeader: a header is missing, given twice or malformed.
	ErrHeader = errors.New("bad header")
	// ErrTensor: an object is no tensor.
	ErrTensor = errors.New("bad tensor")
)

// A Kind is the type of a field, as far as it changes what is accepted and how it is hashed.
type Kind string

// The kinds of field.
const (
	Any    Kind = "any"
	Int    Kind = "int"
	Float  Kind = "float"
	Str    Kind = "str"
	Bool   Kind = "bool"
	List   Kind = "list"
	Dict   Kind = "dict"
	Tensor Kind = "tensor" // an object of buffer, dtype and shape
)

// A Field is one of a synapse's own fields.
type Field struct {
	Name     string          `json:"name"`
	Kind     Kind            `json:"type"`
	Required bool            `json:"required,omitempty"` // the request has to have it
	Null     bool            `json:"null,omitempty"`     // may be null, as Optional[…] is
	Default  json.RawMessage `json:"default,omitempty"`  // of a field that is not required; none: null
}

// A Spec describes a synapse: what a Python subnet writes as a class. It must not be changed once it is in
// use.
type Spec struct {
	Name   string   `json:"name"`   // of the class; the route is /Name
	Fields []Field  `json:"fields"` // its own, in the order of declaration
	Hash   []string `json:"hash,omitempty"`
	// ^ required_hash_fields: what the signature is over. With none, the body is not signed at all.
}

// Limits of a Spec.
const (
	maxFields = 64
	maxName   = 64
)

// base are the members and attributes that every synapse has.
var base = []string{"name", "timeout", "total_size", "header_size", "dendrite", "axon", "computed_body_hash", "required_hash_fields"}

// Dummy returns the synapse of the subnet template: the answer to a number is its double.
func Dummy() *Spec {
	return &Spec{Name: "Dummy", Fields: []Field{{Name: "dummy_input", Kind: Int, Required: true}, {Name: "dummy_output", Kind: Int, Null: true}}}
}

// Ping returns the synapse that every axon answers, with no field of its own.
func Ping() *Spec { return &Spec{Name: "Synapse"} }

// ParseSpec reads a Spec from JSON.
func ParseSpec(b []byte) (*Spec, error) {
	s := new(Spec)
	if err := json.Unmarshal(b, s); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSpec, err)
	}
	return s, s.Check()
}

// Check returns why the Spec cannot be used.
func (s *Spec) Check() error {
	if !identifier(s.Name) {
		return fmt.Errorf("%w: name %q is no class name", ErrSpec, s.Name)
	}
	if len(s.Fields) > maxFields {
		return fmt.Errorf("%w %s: %d fields, at most %d", ErrSpec, s.Name, len(s.Fields), maxFields)
	}
	for i := range s.Fields {
		f := &s.Fields[i]
		if !identifier(f.Name) || slices.Contains(base, f.Name) {
			return fmt.Errorf("%w %s: a field cannot be called %q", ErrSpec, s.Name, f.Name)
		}
		if s.index(f.Name) != i {
			return fmt.Errorf("%w %s: field %s twice", ErrSpec, s.Name, f.Name)
		}
		if zero(f.Kind) == "" {
			return fmt.Errorf("%w %s: field %s has the unknown type %q", ErrSpec, s.Name, f.Name, f.Kind)
		}
		if f.Default != nil && f.Required {
			return fmt.Errorf("%w %s: field %s is required and has a default", ErrSpec, s.Name, f.Name)
		}
		if f.Default != nil {
			if !json.Valid(f.Default) {
				return fmt.Errorf("%w %s: default of field %s is not JSON", ErrSpec, s.Name, f.Name)
			}
			if _, err := f.coerce(f.Default); err != nil {
				return fmt.Errorf("%w %s: default of field %s: %w", ErrSpec, s.Name, f.Name, err)
			}
		}
	}
	for i, name := range s.Hash {
		if s.index(name) < 0 || slices.Index(s.Hash, name) != i {
			return fmt.Errorf("%w %s: hash field %q is no field, or twice", ErrSpec, s.Name, name)
		}
	}
	return nil
}

func (s *Spec) index(name string) int {
	return slices.IndexFunc(s.Fields, func(f Field) bool { return f.Name == name })
}

func (s *Spec) indexBytes(name []byte) int {
	return slices.IndexFunc(s.Fields, func(f Field) bool { return f.Name == string(name) })
}

func identifier(s string) bool {
	if s == "" || len(s) > maxName || s[0] >= '0' && s[0] <= '9' {
		return false
	}
	return !strings.ContainsFunc(s, func(c rune) bool {
		return c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z')
	})
}

// zero returns the JSON of a kind's empty value, or nothing for an unknown kind. Its base64 goes into a
// header for each required field, so that the server can make a synapse of the headers alone.
func zero(k Kind) string {
	switch k {
	case Int:
		return "0"
	case Float:
		return "0.0"
	case Str:
		return `""`
	case Bool:
		return "false"
	case List:
		return "[]"
	case Dict, Tensor, Any:
		return "{}"
	}
	return ""
}
