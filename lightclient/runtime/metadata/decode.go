package metadata

import "fmt"

// Decode reads b, which must be one value of a type, into a tree. An error is a *DecodeError.
func (g *Registry) Decode(id ID, b []byte) (Value, error) {
	r := g.NewReader(b)
	v := r.Value(id)
	if err := r.Finish(); err != nil {
		return Value{}, err
	}
	return v, nil
}

// Value reads a value into a tree, which aliases the input.
func (r *Reader) Value(id ID) Value {
	r.work = min(r.work, MaxValues)
	var v Value
	r.value(id, &v, 0)
	if r.err != nil {
		return Value{}
	}
	return v
}

func (r *Reader) value(id ID, v *Value, depth int) {
	t := r.enter(id, depth)
	if t == nil {
		return
	}
	start := r.r.Offset()
	v.Type, v.shape = &r.reg.types[id], t
	switch t.Kind {
	case Composite, Tuple:
		v.Form = List
		if t.Kind == Composite && (len(t.Fields) == 0 || t.Fields[0].Name != "") {
			v.Form = Record
		}
		v.Items = r.values(t, t.Fields, depth)
	case Enum:
		v.Form = Choice
		if v.Variant = r.variant(t); v.Variant != nil {
			if v.Items = r.values(t, v.Variant.Fields, depth); r.err != nil {
				r.in("." + v.Variant.Name)
			}
		}
	case Sequence, Array:
		switch v.Type.role {
		case roleBytes:
			v.Form, v.data = Octets, r.octets(t)
		case roleAccount:
			v.Form, v.data = Account, r.octets(t)
		case roleU256:
			v.Form, v.data = Uint, r.r.Bytes(32)
			r.check(id)
		default:
			v.Form = List
			r.list(t, v, depth)
		}
	case BitSequence:
		v.Form = Bits
		n, words, _ := r.bitSequence(t)
		v.num, v.data, v.lsb = uint64(n), words, r.reg.lsb(t)
		v.wordSize = uint8(r.reg.types[t.Elem].Prim.Bits() / 8)
	default:
		r.leaf(t, v)
	}
	if r.err == nil {
		v.Raw = r.b[start:r.r.Offset():r.r.Offset()]
	}
}

func (r *Reader) leaf(t *Type, v *Value) {
	switch {
	case isInteger(t):
		v.Form = Uint
		if t.Kind == Primitive && t.Prim.Signed() {
			v.Form = Int
		}
		v.num, v.data = r.integer(t)
		if len(v.data) <= 8 {
			v.data = nil
		}
		if t.Kind == Compact && t.bits == 0 {
			v.Form = List // Compact<()>
		}
	case t.Prim == Bool:
		v.Form = Truth
		v.num, _ = r.scalar(t)
	case t.Prim == Char:
		v.Form = Character
		v.num, _ = r.scalar(t)
	default:
		v.Form = Text
		_, v.data = r.scalar(t)
	}
}

func (r *Reader) values(t *Type, fields []Field, depth int) []Value {
	if len(fields) == 0 || r.err != nil {
		return nil
	}
	if len(fields) > r.work {
		r.fail(t.ID, ErrWork)
		return nil
	}
	items := make([]Value, len(fields))
	for i := range fields {
		if r.value(fields[i].Type, &items[i], depth+1); r.err != nil {
			r.in(stepName(fields, i))
			return nil
		}
	}
	return items
}

func (r *Reader) list(t *Type, v *Value, depth int) {
	n := r.count(t)
	if n > r.work { // elements without a look into them are values here all the same
		r.fail(t.ID, fmt.Errorf("%w: %d elements", ErrWork, n))
	}
	if r.err != nil || n == 0 {
		return
	}
	v.Items = make([]Value, n)
	for i := range v.Items {
		if r.value(t.Elem, &v.Items[i], depth+1); r.err != nil {
			r.in(stepIndex(i))
			v.Items = nil
			return
		}
	}
}
