package wire

import (
	"fmt"
	"math"
)

// kadFindNode is the only Kademlia message spoken (libp2p's dht.proto, Message.MessageType).
const kadFindNode = 4

// A KadPeer is a node of the DHT, as another node tells of it.
type KadPeer struct {
	ID    []byte   // binary peer id
	Addrs [][]byte // binary multiaddrs
}

// A KadMessage is a FIND_NODE request (Key) or its response (Closer).
type KadMessage struct {
	Key    []byte
	Closer []KadPeer
}

// AppendFindNode appends a request for the nodes closest to key, a binary peer id.
func AppendFindNode(b, key []byte) []byte { return appendBytes(appendUint(b, 1, kadFindNode), 2, key) }

// AppendKadResponse appends the response to a FIND_NODE request.
func AppendKadResponse(b []byte, closer []KadPeer) []byte {
	b = appendUint(b, 1, kadFindNode)
	for i := range closer {
		p := &closer[i]
		n := bytesSize(1, len(p.ID))
		for _, a := range p.Addrs {
			n += bytesSize(2, len(a))
		}
		b = appendMessage(b, 8, n)
		b = appendBytes(b, 1, p.ID)
		for _, a := range p.Addrs {
			b = appendBytes(b, 2, a)
		}
	}
	return b
}

// DecodeKad decodes a FIND_NODE request or response; other messages give ErrUnknown. Peer ids and
// multiaddrs are not looked into.
func DecodeKad(b []byte) (*KadMessage, error) {
	if err := checkSize(b, MaxKad); err != nil {
		return nil, fmt.Errorf("kad: %w", err)
	}
	m := new(KadMessage)
	kind := uint64(0)
	r := fieldReader{b: b}
	for r.next() {
		switch r.num {
		case 1:
			kind = r.uint(math.MaxInt32)
		case 2:
			m.Key = r.bytes(MaxKey)
		case 8:
			v := r.element(MaxKad)
			if r.err == nil && len(m.Closer) >= MaxKadPeers {
				r.fail(fmt.Errorf("%w: more than %d peers", ErrTooMany, MaxKadPeers))
			}
			if r.err != nil {
				break
			}
			var p KadPeer
			if err := p.decode(v); err != nil {
				r.fail(fmt.Errorf("peer %d: %w", len(m.Closer), err))
			}
			m.Closer = append(m.Closer, p)
		default:
			r.skip()
		}
	}
	if r.err != nil {
		return nil, fmt.Errorf("kad: %w", r.err)
	}
	if kind != kadFindNode {
		return nil, fmt.Errorf("kad: %w: message type %d", ErrUnknown, kind)
	}
	return m, nil
}

func (p *KadPeer) decode(b []byte) error {
	r := fieldReader{b: b}
	for r.next() {
		switch r.num {
		case 1:
			p.ID = r.bytes(MaxPeerID)
		case 2:
			a := r.element(MaxMultiaddr)
			if r.err == nil && len(p.Addrs) >= MaxKadAddrs {
				r.fail(fmt.Errorf("%w: more than %d addresses", ErrTooMany, MaxKadAddrs))
			}
			p.Addrs = append(p.Addrs, a)
		default:
			r.skip()
		}
	}
	if r.err == nil && len(p.ID) == 0 {
		return fmt.Errorf("%w: peer id", ErrMissing)
	}
	return r.err
}
