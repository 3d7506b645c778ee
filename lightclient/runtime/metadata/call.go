package metadata

import "fmt"

// A Call is a dispatchable call, decoded.
type Call struct {
	Pallet *Pallet
	Def    *Variant // the call's name, arguments and docs
	Args   []Value  // as Def.Fields names them
}

// String returns PALLET.NAME.
func (c *Call) String() string { return c.Pallet.Name + "." + c.Def.Name }

// AppendJSON appends {"pallet", "call", "args": {…}}.
func (c *Call) AppendJSON(b []byte) []byte {
	b = appendString(append(b, `{"pallet":`...), c.Pallet.Name)
	b = appendString(append(b, `,"call":`...), c.Def.Name)
	args := Value{Form: Record, Items: c.Args}
	b = args.jsonRecord(append(b, `,"args":`...), c.Def.Fields)
	return append(b, '}')
}

// MarshalJSON returns what AppendJSON appends.
func (c *Call) MarshalJSON() ([]byte, error) { return c.AppendJSON(nil), nil }

// AppendText appends the call as one line: PALLET.NAME {netuid: 7, …}.
func (c *Call) AppendText(b []byte) []byte {
	b = append(append(b, c.String()...), ' ')
	args := Value{Form: Record, Items: c.Args}
	return args.textRecord(b, c.Def.Fields)
}

// CallDef returns the call of a name like SubtensorModule.set_weights.
func (m *Metadata) CallDef(name string) (*Pallet, *Variant, error) {
	p, rest, err := m.split(name)
	if err != nil {
		return nil, nil, err
	}
	t := m.Types.Type(p.Calls)
	if t == nil {
		return nil, nil, fmt.Errorf("%w: pallet %s has no calls", ErrUnknown, p.Name)
	}
	i, err := find("call of "+p.Name, rest, len(t.Variants), func(i int) string { return t.Variants[i].Name })
	if err != nil {
		return nil, nil, err
	}
	return p, &t.Variants[i], nil
}

// EncodeCall encodes a call from its arguments as JSON: an object by their names, or a list in their
// order (see Registry.EncodeJSON); empty for a call without any.
func (m *Metadata) EncodeCall(name string, args []byte) ([]byte, error) {
	return m.encodeCall(name, func(fields []Field) ([]byte, error) { return m.Types.EncodeFieldsJSON(fields, args) })
}

// EncodeCallWords encodes a call from its arguments as words of a command line, in their order.
func (m *Metadata) EncodeCallWords(name string, words ...string) ([]byte, error) {
	return m.encodeCall(name, func(fields []Field) ([]byte, error) { return m.Types.EncodeFieldWords(fields, words) })
}

func (m *Metadata) encodeCall(name string, encode func([]Field) ([]byte, error)) ([]byte, error) {
	p, v, err := m.CallDef(name)
	if err != nil {
		return nil, err
	}
	args, err := encode(v.Fields)
	if err != nil {
		return nil, fmt.Errorf("%s.%s: %w", p.Name, v.Name, err)
	}
	return append([]byte{p.Index, v.Index}, args...), nil
}

// DecodeCall decodes a call, which b must hold to its end.
func (m *Metadata) DecodeCall(b []byte) (*Call, error) {
	r := m.Types.NewReader(b)
	c := m.readCall(r)
	if err := r.Finish(); err != nil {
		return nil, err
	}
	return c, nil
}

// readCall reads a call. Like every outer enum, that of all calls has a variant for each pallet, of its
// name and index, around its calls.
func (m *Metadata) readCall(r *Reader) *Call {
	outer := r.Variant(m.Call)
	if r.err != nil {
		return nil
	}
	p := m.PalletAt(outer.Index)
	if p == nil || len(outer.Fields) != 1 || p.Calls != outer.Fields[0].Type {
		r.fail(m.Call, fmt.Errorf("%w: no pallet of that index has these calls: %d", ErrUnknown, outer.Index))
		return nil
	}
	c := &Call{Pallet: p}
	if c.Def = r.Variant(p.Calls); r.err == nil {
		r.work = min(r.work, MaxValues)
		c.Args = r.values(m.Types.Type(p.Calls), c.Def.Fields, 1)
	}
	if r.err != nil {
		step := "." + p.Name
		if c.Def.Name != "" {
			step += "." + c.Def.Name
		}
		r.in(step)
		return nil
	}
	return c
}

// A ModuleError is the error of a pallet that a call failed with.
type ModuleError struct {
	Pallet *Pallet
	Def    *Variant // its name and docs
}

// Error returns PALLET.NAME and the docs.
func (e *ModuleError) Error() string {
	if d := e.Def.Docs.String(); d != "" {
		return e.Pallet.Name + "." + e.Def.Name + ": " + d
	}
	return e.Pallet.Name + "." + e.Def.Name
}

// ModuleError names an error as a dispatch error holds it (sp_runtime::ModuleError): the pallet's index
// and the error's bytes, of which the first is its own index.
func (m *Metadata) ModuleError(pallet uint8, code []byte) (*ModuleError, error) {
	p := m.PalletAt(pallet)
	if p == nil {
		return nil, fmt.Errorf("%w: pallet %d", ErrUnknown, pallet)
	}
	if len(code) > 0 {
		if t := m.Types.Type(p.Errors); t != nil {
			if v := t.Variant(code[0]); v != nil {
				return &ModuleError{p, v}, nil
			}
		}
	}
	return nil, fmt.Errorf("%w: error %x of pallet %s", ErrUnknown, code, p.Name)
}

// DispatchError names the pallet's error in a decoded sp_runtime::DispatchError; nil if it is none of
// a pallet, or of none that the metadata knows.
func (m *Metadata) DispatchError(v *Value) *ModuleError {
	if v.Form != Choice || v.Variant == nil || v.Variant.Name != "Module" || len(v.Items) != 1 {
		return nil
	}
	at, code := v.Items[0].Field("index"), v.Items[0].Field("error")
	if at == nil || code == nil {
		return nil
	}
	index, ok := at.Uint64()
	if !ok || index > 255 {
		return nil
	}
	e, err := m.ModuleError(uint8(index), code.Bytes())
	if err != nil {
		return nil
	}
	return e
}
