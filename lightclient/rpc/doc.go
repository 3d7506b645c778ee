// Package rpc serves JSON-RPC 2.0 to tools that were made for a full node: HTTP POST and WebSocket on one port,
// with the names, shapes and error texts of Substrate that clients match on.
//
// It promises that what an answer says of the chain is proven: headers by finality, values and absences by a trie
// proof, lists of keys to be whole, bodies by their header, calls by executing the chain's own code on proven
// storage. What cannot be proven is an error that says so, never an empty answer. Where a tool asks for the best
// block it is given the finalized one, unless Config.Best is set; then blocks that may still be replaced are
// shown wherever Substrate shows them. The list of rpc_methods is true: what is not there is not answered.
//
// It promises its host that no client, and no number of them, takes more than the limits in Config allow, that a
// client which does not read what it asked for is dropped, and that no page in a browser reaches it by a name
// that somebody made point here (DNS rebinding) or from an origin that was not allowed.
//
// It does not promise what no light client can: what others have in their pools, what peers know of each other,
// and states that no peer keeps any more. Of these it says that they cannot be had.
//
// It opens the listener that it is given and nothing else, keeps nothing on disk, and knows no key.
//
//	server.go    limits, HTTP, who may connect
//	socket.go    WebSocket connections and subscriptions
//	frame.go     requests and batches as bytes
//	method.go    the table of methods
//	errors.go    the texts that clients match on
//	chain.go, state.go, system.go, extrinsic.go, prove.go
//	             methods
//	subscribe.go subscriptions of the older methods
//	follow.go, operation.go
//	             chainHead_v1
package rpc
