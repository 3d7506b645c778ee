package wire

import (
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/taolight/taolight/verify"
)

// Errors of the decoders. They come wrapped with the message and the place in it.
var (
	// ErrMalformed: the bytes are not a message of the kind, or one that is cut off.
	ErrMalformed = errors.New("malformed message")
	// ErrTooMany: a count or a length is above this package's bound.
	ErrTooMany = errors.New("over the limit")
	// ErrMissing: a field that the message cannot do without is absent.
	ErrMissing = errors.New("missing field")
	// ErrUnknown: a kind, version, role or request that this package does not speak.
	ErrUnknown = errors.New("unknown kind")
)

// Bounds that the chain's own nodes apply.
const (
	// MaxResponse is the largest response of any request protocol, in bytes.
	MaxResponse = 16 << 20
	// MaxRequest is the largest request of sync/2 and light/2, in bytes.
	MaxRequest = 1 << 20
	// MaxBlocks is how many blocks a server of sync/2 gives at most.
	MaxBlocks = 128
	// MaxAnnounce is the largest message on block-announces/1, in bytes.
	MaxAnnounce = 1 << 20
	// MaxGrandpa is the largest message on grandpa/1, in bytes.
	MaxGrandpa = 1 << 20
	// MaxTransactionsMessage is the largest message on transactions/1, in bytes.
	MaxTransactionsMessage = 16 << 20
	// MaxHandshake is the largest handshake of a notification substream, in bytes.
	MaxHandshake = 1024
)

// Bounds of our own, far above what an honest peer sends.
const (
	MaxExtrinsics     = 1 << 16   // in one block response or one transactions message
	MaxJustifications = 16        // of one block
	MaxKeys           = 1 << 14   // in one read request
	MaxKey            = 4 << 10   // bytes of a storage key
	MaxMethod         = 256       // bytes of a runtime method's name
	MaxKad            = 128 << 10 // bytes of a Kademlia message
	MaxKadPeers       = 1024      // in one Kademlia message
	MaxKadAddrs       = 1024      // of one peer
	MaxMultiaddr      = 1024      // bytes of a multiaddr
	MaxPeerID         = 128       // bytes of a peer id
)

// checkSize refuses a message of more than max bytes.
func checkSize(b []byte, max int) error {
	if len(b) > max {
		return fmt.Errorf("%w: %d bytes, at most %d", ErrTooMany, len(b), max)
	}
	return nil
}

// Protocols are the names of a chain's protocols on the network.
type Protocols struct {
	BlockAnnounces, Transactions, Grandpa string // notifications
	Sync, Light, Warp, State, Kad         string // requests
}

// Names returns the protocol names of the chain with that genesis hash: /<hash in hex>/<protocol>.
// The older names, /<protocolId>/…, are never used: the main and the test network share theirs.
func Names(genesis verify.Hash) Protocols {
	p := "/" + hex.EncodeToString(genesis[:])
	return Protocols{
		BlockAnnounces: p + "/block-announces/1",
		Transactions:   p + "/transactions/1",
		Grandpa:        p + "/grandpa/1",
		Sync:           p + "/sync/2",
		Light:          p + "/light/2",
		Warp:           p + "/sync/warp",
		State:          p + "/state/2",
		Kad:            p + "/kad",
	}
}
