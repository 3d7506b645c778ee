package runtime

import (
	"github.com/tetratelabs/wazero/api"
)

// A runtime imports its memory beside its functions from one module, "env", and a host module of
// wazero has no memory. So a module is made for each runtime that imports the functions from the
// host module, has the memory, and exports both under the names that the runtime wants.

// An imported is a function that a runtime imports.
type imported struct {
	name            string
	params, results []api.ValueType
}

// A shimMemory is the memory that a runtime imports.
type shimMemory struct {
	name     string
	min, max uint32 // pages
}

// shim returns the module. Function i is function hostName(i) of module "host".
func shim(functions []imported, mem *shimMemory) []byte {
	types := appendLeb(nil, uint32(len(functions)))
	imports := appendLeb(nil, uint32(len(functions)))
	exports := uint32(len(functions))
	if mem != nil {
		exports++
	}
	export := appendLeb(nil, exports)
	for i, f := range functions {
		types = append(types, 0x60)
		types = append(appendLeb(types, uint32(len(f.params))), f.params...)
		types = append(appendLeb(types, uint32(len(f.results))), f.results...)
		imports = appendName(appendName(imports, hostModule), hostName(i))
		imports = appendLeb(append(imports, api.ExternTypeFunc), uint32(i))
		export = appendName(export, f.name)
		export = appendLeb(append(export, api.ExternTypeFunc), uint32(i))
	}
	b := []byte("\x00asm\x01\x00\x00\x00")
	b = appendSection(b, 1, types)
	b = appendSection(b, 2, imports)
	if mem != nil {
		limits := appendLeb(appendLeb([]byte{1, 1}, mem.min), mem.max) // one memory, with a maximum
		b = appendSection(b, 5, limits)
		export = append(appendName(export, mem.name), api.ExternTypeMemory, 0)
	}
	return appendSection(b, 7, export)
}

func appendName(b []byte, s string) []byte {
	return append(appendLeb(b, uint32(len(s))), s...)
}

func appendSection(b []byte, id byte, body []byte) []byte {
	return append(appendLeb(append(b, id), uint32(len(body))), body...)
}
