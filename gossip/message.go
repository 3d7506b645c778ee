package gossip

import (
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/bundle"
	"github.com/taolight/taolight/verify/grandpa"
)

// MaxMessage is the most bytes of a message.
const MaxMessage = 64 << 10

// Every is how many blocks lie between two on the topic for nodes that save power: not more than one of
// each 25 in a row. Which one it is, the voters decide: they do not end a round on every block.
const Every = 25

// maxResults bounds the transactions that one message tells the end of.
const maxResults = 16

// ErrShape: a bundle that is not what the topic it came on is for.
var ErrShape = errors.New("not a message of this topic")

// A Kind is what a topic is for.
type Kind byte

const (
	Finality Kind = iota
	FinalityRare
	Evidence
	Commitments
	Pulses
	Transactions
)

// kinds are the topics' names, by Kind.
var kinds = [...]string{"finality", "finality25", "evidence", "commitments", "pulses", "transactions"}

func (k Kind) String() string {
	if int(k) < len(kinds) {
		return kinds[k]
	}
	return "?"
}

// Kinds returns all kinds.
func Kinds() []Kind {
	return []Kind{Finality, FinalityRare, Evidence, Commitments, Pulses, Transactions}
}

// Topic returns the name of a topic of the chain with that genesis hash. It has the first 8 bytes of it:
// each message and each notice of one repeats the name, which would be a tenth of all traffic with 32. Which
// chain it is, the message says in full.
func Topic(genesis verify.Hash, k Kind) string {
	return "/taolight/" + hex.EncodeToString(genesis[:8]) + "/" + k.String() + "/1"
}

// prefix begins the names of protocols of one chain.
func prefix(genesis verify.Hash) string { return "/taolight/" + hex.EncodeToString(genesis[:]) + "/" }

// ID returns the name of a message: the hash of its bytes. In GossipSub's own notices, the number of its
// kind goes before them, since the same bytes are two messages on two topics, and the name is cut to
// nameBytes: whoever finds two messages of one name has only kept his own from being told.
func ID(message []byte) verify.Hash { return verify.Blake2b256(message) }

const nameBytes = 16

func named(k Kind, message []byte) verify.Hash {
	return verify.Blake2b256(append([]byte{byte(k)}, message...))
}

// FinalityMessage returns the message that says that a block is final. set signed it, from the block
// that root names on. The error is bundle.ErrVotes for votes without a short form, or says that it is
// too long to be a message.
func FinalityMessage(genesis verify.Hash, root bundle.RootRef, set *grandpa.AuthoritySet, f grandpa.Fragment) ([]byte, error) {
	short, err := bundle.NewFragment(f, set)
	if err != nil {
		return nil, fmt.Errorf("finality message: %w", err)
	}
	x := &bundle.Bundle{Genesis: genesis, Root: root, Final: &short, Claims: []bundle.Claim{bundle.HeaderClaim{Number: f.Header.Number}}}
	if err := x.Check(); err != nil {
		return nil, fmt.Errorf("finality message: %w", err)
	}
	b := x.Encode()
	if len(b) > MaxMessage {
		return nil, fmt.Errorf("finality message of block %d: %w: %d bytes", f.Header.Number, ErrShape, len(b))
	}
	return b, nil
}

// KindOf returns the topic that a bundle can be published on.
func KindOf(x *bundle.Bundle) (Kind, error) {
	for _, k := range []Kind{Finality, Commitments, Pulses, Transactions} {
		if checkShape(k, x) == nil {
			return k, nil
		}
	}
	return 0, fmt.Errorf("bundle: %w: neither one header's finality, nor commitments, nor pulses, nor transactions alone", ErrShape)
}

// checkShape returns an error unless the bundle is what the topic is for.
func checkShape(k Kind, x *bundle.Bundle) error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%v message: %w: %s", k, ErrShape, fmt.Sprintf(format, args...))
	}
	switch k {
	case Finality, FinalityRare:
		if x.Final == nil || len(x.Claims) != 1 {
			return bad("%d claims", len(x.Claims))
		}
		n := x.Final.Header.Number
		if c, ok := x.Claims[0].(bundle.HeaderClaim); !ok || c.Number != n {
			return bad("claims %v, and block %d is final", x.Claims[0], n)
		}
		if len(x.Fragments)+len(x.Headers)+len(x.Nodes)+len(x.Pulses) > 0 {
			return bad("more in it than one final block")
		}
	case Commitments:
		for _, c := range x.Claims {
			switch c.(type) {
			case bundle.MadeClaim, bundle.RevealedClaim, bundle.LostClaim, bundle.EqualClaim:
			default:
				return bad("claims %v", c)
			}
		}
	case Pulses:
		for _, c := range x.Claims {
			if _, ok := c.(bundle.PulseClaim); !ok {
				return bad("claims %v", c)
			}
		}
	case Transactions:
		for _, c := range x.Claims {
			if _, ok := c.(bundle.IncludedClaim); !ok || len(x.Claims) > maxResults {
				return bad("%d claims, among them %v", len(x.Claims), c)
			}
		}
	default:
		return bad("no bundle belongs on it")
	}
	return nil
}
