package metadata

import (
	"strconv"
	"strings"
)

// Encoding returns a type as it is encoded, in which names count for nothing: u16, Vec<u8>, [u8;32],
// (u64,u32) for a struct or tuple, what is in it for one with a single field, Option<T>, Compact<T>,
// and {0:(),3:(u16,bool)} for any other enum. Two types of the same encoding read each other's values.
func (g *Registry) Encoding(id ID) string {
	var b strings.Builder
	g.encoding(&b, id, 0)
	return b.String()
}

// maxEncoding bounds what Encoding writes. Types can hold themselves; the calls of a runtime take a
// megabyte.
const maxEncoding = 4096

func (g *Registry) encoding(b *strings.Builder, id ID, depth int) {
	t := g.Type(id)
	if t == nil || depth > maxDepth || b.Len() > maxEncoding {
		b.WriteString("…")
		return
	}
	around := func(open, end string) {
		b.WriteString(open)
		g.encoding(b, t.Elem, depth+1)
		b.WriteString(end)
	}
	switch t.Kind {
	case Composite, Tuple:
		g.fieldEncodings(b, t.Fields, depth)
	case Sequence:
		around("Vec<", ">")
	case Array:
		around("[", ";"+strconv.FormatUint(uint64(t.Len), 10)+"]")
	case Compact:
		around("Compact<", ">")
	case Primitive:
		b.WriteString(t.Prim.String())
	case BitSequence:
		b.WriteString("BitVec<")
		g.encoding(b, t.Elem, depth+1)
		b.WriteByte(',')
		b.WriteString(g.types[t.Order].Last() + ">")
	case Enum:
		if (t.role == roleOption || t.role == roleNested) && len(t.Variants) == 2 {
			b.WriteString("Option<")
			g.fieldEncodings(b, t.Variants[1].Fields, depth)
			b.WriteByte('>')
			return
		}
		b.WriteByte('{')
		for i := range t.Variants {
			v := &t.Variants[i]
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(strconv.Itoa(int(v.Index)) + ":")
			g.fieldEncodings(b, v.Fields, depth)
		}
		b.WriteByte('}')
	}
}

func (g *Registry) fieldEncodings(b *strings.Builder, fields []Field, depth int) {
	if len(fields) == 1 {
		g.encoding(b, fields[0].Type, depth+1)
		return
	}
	b.WriteByte('(')
	for i, f := range fields {
		if i > 0 {
			b.WriteByte(',')
		}
		g.encoding(b, f.Type, depth+1)
	}
	b.WriteByte(')')
}
