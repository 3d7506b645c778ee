package rpc

import (
	"context"
	"errors"
	"fmt"

	"github.com/taolight/taolight/lightclient"
	"github.com/taolight/taolight/lightclient/runtime"
)

// Codes of JSON-RPC 2.0, of Substrate (client/rpc-api), of the JSON-RPC interface specification (chainHead_v1)
// and of the server that Substrate uses (jsonrpsee).
const (
	codeParse     = -32700
	codeRequest   = -32600
	codeMethod    = -32601
	codeParams    = -32602
	codeServer    = -32000
	codeBatch     = -32010
	codeTooMany   = -32006 // subscriptions
	codeTooLarge  = -32007
	codeRate      = -32999
	codeState     = 4003 // state_*: an error of the client beneath
	codeCount     = 4002 // state_getKeysPaged: too many asked for
	codeFollows   = -32800
	codeUnpinned  = -32801
	codeDuplicate = -32804
)

// An Error is what a client is answered with when there is no result.
type Error struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	Data    any    `json:"data,omitempty"`
}

func (e *Error) Error() string { return e.Message }

var (
	errParse   = &Error{Code: codeParse, Message: "Parse error"}
	errRequest = &Error{Code: codeRequest, Message: "Invalid Request"}
	errMethod  = &Error{Code: codeMethod, Message: "Method not found"}
	errRate    = &Error{Code: codeRate, Message: "RPC rate limit exceeded"}
	errSocket  = &Error{Code: codeServer, Message: "Subscriptions are not available over HTTP: use WebSocket"}
)

// ErrNotFinal: a block that may still be replaced was asked for, and the node shows none (Config.Best).
var ErrNotFinal = errors.New("the block is not final yet; only finalized blocks are shown here, others with --rpc-best")

func invalid(format string, args ...any) *Error {
	return &Error{Code: codeParams, Message: "Invalid params", Data: fmt.Sprintf(format, args...)}
}

// discarded is the text by which the Bittensor SDK knows that it has to ask an archive node
// (async_substrate_interface, get_block_hash and query_map). The hash is of the block asked for.
func discarded(block string) string {
	return "Client error: Api called for an unknown Block: State already discarded for " + block
}

// noMethod is the text by which the SDK knows that a runtime has no metadata of that version.
func noMethod(method string) string {
	return "Client error: Execution failed: Other: Exported method " + method + " is not found"
}

// errorOf gives an error the form that clients know. block is what was asked about, in words of the client, and
// method the runtime's.
func errorOf(err error, block, method string) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	state := func(text string) *Error { return &Error{Code: codeState, Message: text, Data: err.Error()} }
	switch {
	case errors.Is(err, lightclient.ErrPruned), errors.Is(err, lightclient.ErrTooFar):
		return state(discarded(block))
	case errors.Is(err, runtime.ErrNoMethod):
		return state(noMethod(method))
	case errors.Is(err, runtime.ErrTrap):
		return state("Client error: Execution failed: Execution aborted due to trap: " + err.Error())
	case errors.Is(err, runtime.ErrTimeout), errors.Is(err, runtime.ErrMemory), errors.Is(err, runtime.ErrHeap):
		return state("Client error: Execution failed: " + err.Error())
	case errors.Is(err, lightclient.ErrUnknownBlock), errors.Is(err, lightclient.ErrNotOurs):
		return state("Client error: UnknownBlock: Header was not found in the database: " + block)
	case errors.Is(err, lightclient.ErrNoRuntime), errors.Is(err, lightclient.ErrNoEngine):
		return state("Client error: Execution failed: " + err.Error())
	case errors.Is(err, context.Canceled):
		return &Error{Code: codeServer, Message: "not answered: the node is stopping or the client has left"}
	case errors.Is(err, context.DeadlineExceeded):
		return &Error{Code: codeServer, Message: "not proven in time: peers did not answer"}
	case errors.Is(err, lightclient.ErrNotFinal):
		return &Error{Code: codeServer, Message: "the node has not caught up with the chain yet"}
	case errors.Is(err, lightclient.ErrNoPeers), errors.Is(err, lightclient.ErrIncomplete):
		return &Error{Code: codeServer, Message: "not proven: " + err.Error()}
	}
	return &Error{Code: codeServer, Message: err.Error()}
}
