// Package metadata reads what a Substrate runtime says about itself, V14, V15 and V16, and by it
// encodes and decodes storage keys, values, calls, extrinsics and the arguments and answers of
// runtime APIs. With the chain's own metadata, nothing about its layout has to be known in advance.
//
// It promises that metadata and values, which are bytes from outside, cost a bounded multiple of
// their own size whatever they say: every length is checked before anything is made for it, types
// that hold themselves end, and elements that take no bytes are counted as work. An error names the
// place: the byte, the path inside the value, the type. What is decoded encodes to the same bytes
// again, by Value.MarshalJSON and Registry.EncodeJSON too. Integers are never floats.
//
// It does no I/O, keeps no state and proves nothing: whose metadata it is, and whether a value is the
// chain's, is settled by the proof that they came with.
package metadata
