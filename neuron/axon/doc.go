// Package axon is the server of a neuron: it takes the v10 synapses of the Python SDK and the signed HTTP
// requests of btauth/1, checks who sent them, and has handlers answer.
//
// It promises that no handler sees a request that was not signed by a key of the network for this very
// axon, within a window of time on both sides of its clock, or that it has answered before; that the
// caller it names is the one that signed, whatever the body says; that nothing a stranger sends grows
// without bound: connections, headers, bodies, waiting requests, remembered callers and nonces; and that
// what will be refused is refused before anything dearer is done for it, so that a request without a
// signature costs neither a check of one nor a look at its body. An honest client of either protocol sees no
// difference to the SDK's own server, but for statuses: what is malformed gets 400 where that says 500.
//
// It never signs anything, so it needs no secret: nobody checks an axon's signature, and the SDK's axon
// signs texts that a stranger chose. It never dials anybody.
//
// The order in which a synapse is refused: its name (404), its method (405), its length (413), what the signature needs
// (401), the nonce's window (401), the signature (401), the nonce again (401), the standing of the caller
// (403), its rate (429), other headers (400), the body (400, 408, 422), the queue (503). What is left over
// when an axon is stopped without warning is one thing: requests from a clock ahead of ours could be replayed
// to the next one until they are stale.
package axon
