package runtime

import (
	"fmt"

	"github.com/taolight/taolight/verify/scale"
)

// A Version is what a runtime says of itself (sp_version::RuntimeVersion).
type Version struct {
	SpecName, ImplName string
	Authoring          uint32
	Spec               uint32
	Impl               uint32
	APIs               []API
	Transaction        uint32
	// State is the version of the trie's values: 0 or 1. Upstream calls it system_version by now.
	State uint8
}

// An API is a runtime API that a runtime implements: Blake2b-64 of its name, and its version.
type API struct {
	ID      [8]byte
	Version uint32
}

// API returns the version of the runtime API with the given name, 0 if there is none.
func (v *Version) API(name string) uint32 {
	id := apiID(name)
	for _, a := range v.APIs {
		if a.ID == id {
			return a.Version
		}
	}
	return 0
}

// maxAPIs bounds the list of APIs; runtimes have some thirty.
const maxAPIs = 4096

// readVersion decodes a RuntimeVersion. The last two fields are of Core versions 3 and 4; what a
// runtime is too old to have, has the value that was the rule then.
func readVersion(b []byte) (Version, error) {
	r := scale.NewReader(b)
	v := Version{Transaction: 1}
	v.SpecName = string(r.Blob(256))
	v.ImplName = string(r.Blob(256))
	v.Authoring, v.Spec, v.Impl = r.U32(), r.U32(), r.U32()
	v.APIs = make([]API, r.Count(12, maxAPIs))
	for i := range v.APIs {
		r.Copy(v.APIs[i].ID[:])
		v.APIs[i].Version = r.U32()
	}
	if r.Err() == nil && r.Len() > 0 {
		v.Transaction = r.U32()
	}
	if r.Err() == nil && r.Len() > 0 {
		v.State = r.Byte()
	}
	if err := r.Finish(); err != nil {
		return Version{}, fmt.Errorf("runtime version: %w", err)
	}
	return v, nil
}

// sectionVersion returns the version that stands in the custom sections. ok is false if one of the
// two is missing; then Core_version has to be asked.
func sectionVersion(s *sections) (v Version, ok bool, err error) {
	if s.version == nil || s.apis == nil {
		return Version{}, false, nil
	}
	if v, err = readVersion(s.version); err != nil {
		return Version{}, false, fmt.Errorf("section runtime_version: %w", err)
	}
	if len(s.apis)%12 != 0 || len(s.apis) > 12*maxAPIs {
		return Version{}, false, fmt.Errorf("section runtime_apis: %w: %d bytes are no list of APIs", ErrCode, len(s.apis))
	}
	r := scale.NewReader(s.apis)
	v.APIs = make([]API, len(s.apis)/12)
	for i := range v.APIs {
		r.Copy(v.APIs[i].ID[:])
		v.APIs[i].Version = r.U32()
	}
	return v, true, nil
}

// Append appends the SCALE encoding of v.
func (v *Version) Append(b []byte) []byte {
	b = scale.AppendBlob(b, []byte(v.SpecName))
	b = scale.AppendBlob(b, []byte(v.ImplName))
	b = scale.AppendU32(scale.AppendU32(scale.AppendU32(b, v.Authoring), v.Spec), v.Impl)
	b = scale.AppendCompact(b, uint64(len(v.APIs)))
	for _, a := range v.APIs {
		b = scale.AppendU32(append(b, a.ID[:]...), a.Version)
	}
	return append(scale.AppendU32(b, v.Transaction), v.State)
}
