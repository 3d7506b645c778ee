package rpc

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/taolight/taolight/lightclient"
	"github.com/taolight/taolight/verify"
)

// A method is one row of the table.
type method struct {
	params []string // their names, for clients that send an object
	kind   kind
	f      func(c *call) (any, error)
}

// kind says what answering a method takes.
type kind uint8

const (
	asking  kind = iota // may ask peers
	instant             // answered at once, and in the order in which it is asked
	socket              // instant, and only over WebSocket
)

// register fills the table. Aliases are those of Substrate; the Bittensor SDK asks by some of them.
func (s *Server) register() {
	add := func(k kind, names, params string, f func(*call) (any, error)) {
		m := &method{kind: k, f: f, params: strings.Fields(params)}
		for _, name := range strings.Fields(names) {
			s.methods[name] = m
		}
	}
	add(instant, "rpc_methods", "", func(c *call) (any, error) { return map[string]any{"methods": c.s.names}, nil })

	add(instant, "system_chain chainSpec_v1_chainName", "", func(c *call) (any, error) { return c.s.cfg.Name, nil })
	add(instant, "system_chainType", "", func(c *call) (any, error) { return c.s.cfg.Type, nil })
	add(instant, "system_name", "", func(*call) (any, error) { return "taolight", nil })
	add(instant, "system_version", "", func(c *call) (any, error) { return c.s.cfg.Version, nil })
	add(instant, "system_properties chainSpec_v1_properties", "", func(c *call) (any, error) { return c.s.cfg.Properties, nil })
	add(asking, "system_localPeerId", "", func(c *call) (any, error) { return c.s.cfg.Chain.PeerID(c.ctx) })
	add(instant, "system_localListenAddresses", "", func(*call) (any, error) { return []string{}, nil })
	add(instant, "system_nodeRoles", "", func(*call) (any, error) { return []string{"LightClient"}, nil })
	add(instant, "chainSpec_v1_genesisHash", "", func(c *call) (any, error) { return c.s.cfg.Genesis, nil })
	add(asking, "system_health", "", (*call).health)
	add(asking, "system_peers", "", (*call).peers)
	add(asking, "system_syncState", "", (*call).syncState)
	add(asking, "system_accountNextIndex account_nextIndex", "account", (*call).nextIndex)

	add(asking, "chain_getBlockHash chain_getHead", "hash", (*call).blockHash)
	add(asking, "chain_getFinalizedHead chain_getFinalisedHead", "", (*call).finalizedHead)
	add(asking, "chain_getHeader", "hash", (*call).header)
	add(asking, "chain_getBlock", "hash", (*call).block)
	for _, w := range headWords {
		add(socket, w.subscribe, "", func(c *call) (any, error) { return c.subscribeHeads(w) })
		add(socket, w.unsubscribe, "subscription", (*call).unsubscribe)
	}

	add(asking, "state_getStorage state_getStorageAt", "key hash", (*call).storage)
	add(asking, "state_getStorageHash state_getStorageHashAt", "key hash", (*call).storageHash)
	add(asking, "state_getStorageSize state_getStorageSizeAt", "key hash", (*call).storageSize)
	add(asking, "state_queryStorageAt", "keys at", (*call).queryStorageAt)
	add(asking, "state_getKeysPaged state_getKeysPagedAt", "prefix count start_key hash", (*call).keysPaged)
	add(asking, "state_getKeys", "prefix hash", (*call).keys)
	add(asking, "state_getReadProof", "keys hash", (*call).readProof)
	add(asking, "state_call state_callAt", "name bytes hash", (*call).stateCall)
	add(asking, "state_getMetadata", "hash", (*call).metadata)
	add(asking, "state_getRuntimeVersion chain_getRuntimeVersion", "at", (*call).runtimeVersion)
	add(asking, "payment_queryInfo", "encoded_xt at", (*call).queryInfo)
	add(socket, "state_subscribeStorage", "keys", (*call).subscribeStorage)
	add(socket, "state_unsubscribeStorage", "subscription", (*call).unsubscribe)
	add(socket, "state_subscribeRuntimeVersion chain_subscribeRuntimeVersion", "", (*call).subscribeRuntimeVersion)
	add(socket, "state_unsubscribeRuntimeVersion chain_unsubscribeRuntimeVersion", "subscription", (*call).unsubscribe)

	add(socket, "chainHead_v1_follow", "withRuntime", (*call).follow)
	add(socket, "chainHead_v1_unfollow", "followSubscription", (*call).unfollow)
	add(socket, "chainHead_v1_header", "followSubscription hash", (*call).followHeader)
	add(socket, "chainHead_v1_body", "followSubscription hash", (*call).followBody)
	add(socket, "chainHead_v1_call", "followSubscription hash function callParameters", (*call).followCall)
	add(socket, "chainHead_v1_storage", "followSubscription hash items childTrie", (*call).followStorage)
	add(socket, "chainHead_v1_continue", "followSubscription operationId", (*call).followContinue)
	add(socket, "chainHead_v1_stopOperation", "followSubscription operationId", (*call).followStop)
	add(socket, "chainHead_v1_unpin", "followSubscription hashOrHashes", (*call).followUnpin)

	add(asking, "taolight_status", "", (*call).status)
	add(asking, "taolight_getHeader", "hash", (*call).proveHeader)
	add(asking, "taolight_getStorage", "keys hash", (*call).proveStorage)
	add(asking, "taolight_call", "name bytes hash", (*call).proveCall)

	if s.cfg.Pool != nil {
		add(asking, "author_submitExtrinsic", "extrinsic", (*call).submit)
		add(instant, "author_pendingExtrinsics", "", (*call).pending)
		add(asking, "author_submitAndWatchExtrinsic", "extrinsic", (*call).submitAndWatch)
		add(socket, "author_unwatchExtrinsic", "subscription", (*call).unsubscribe)
		add(asking, "transactionWatch_v1_submitAndWatch", "extrinsic", (*call).watchTransaction)
		add(socket, "transactionWatch_v1_unwatch", "subscription", (*call).unwatchTransaction)
		add(asking, "transaction_v1_broadcast", "extrinsic", (*call).broadcast)
		add(socket, "transaction_v1_stop", "operationId", (*call).stopBroadcast)
	}
	for name := range s.methods {
		s.names = append(s.names, name)
	}
	slices.Sort(s.names)
}

// A call is one request that is being answered.
type call struct {
	ctx    context.Context
	s      *Server
	conn   *conn // nil over HTTP
	params []json.RawMessage
	about  string // the block it is about, for errors
	method string // the runtime's, for errors
	after  func() // to be called when the answer is on its way
}

// call answers a request.
func (s *Server) call(ctx context.Context, conn *conn, q *request, after *[]func()) (any, *Error) {
	m := s.methods[q.Method]
	if m == nil {
		return nil, errMethod
	}
	if m.kind == socket && conn == nil {
		return nil, errSocket
	}
	c := &call{ctx: ctx, s: s, conn: conn}
	var e *Error
	if c.params, e = positions(q.Params, m.params); e != nil {
		return nil, e
	}
	if m.kind == asking {
		var cancel context.CancelFunc
		c.ctx, cancel = context.WithTimeout(ctx, s.cfg.Timeout)
		defer cancel()
		select {
		case s.slots <- struct{}{}:
			defer func() { <-s.slots }()
		case <-c.ctx.Done():
			return nil, errorOf(context.Cause(c.ctx), "", "")
		}
	}
	result, err := m.f(c)
	if err != nil {
		return nil, errorOf(err, c.about, c.method)
	}
	if c.after != nil {
		*after = append(*after, c.after)
	}
	return result, nil
}

// raw returns a parameter; nil if it is not there or null.
func (c *call) raw(i int) json.RawMessage {
	if i >= len(c.params) || string(c.params[i]) == "null" {
		return nil
	}
	return c.params[i]
}

func (c *call) read(i int, what string, into any) error {
	p := c.raw(i)
	if p == nil {
		return invalid("parameter %d: %s is missing", i+1, what)
	}
	if err := json.Unmarshal(p, into); err != nil {
		return invalid("parameter %d: %s: %v", i+1, what, err)
	}
	return nil
}

func (c *call) text(i int, what string) (string, error) {
	var s string
	err := c.read(i, what, &s)
	return s, err
}

// bytes reads hex; the Bittensor SDK leaves the 0x away.
func (c *call) bytes(i int, what string) ([]byte, error) {
	s, err := c.text(i, what)
	if err != nil {
		return nil, err
	}
	b, err := parseBytes(s)
	if err != nil {
		return nil, invalid("parameter %d: %s: %v", i+1, what, err)
	}
	return b, nil
}

func parseBytes(s string) ([]byte, error) {
	if len(s) >= 2 && s[0] == '0' && (s[1] == 'x' || s[1] == 'X') {
		s = s[2:]
	}
	if s == "" {
		return []byte{}, nil
	}
	return verify.ParseHex(s)
}

// keyList reads a list of storage keys.
func (c *call) keyList(i int) ([][]byte, error) {
	var list []string
	if err := c.read(i, "keys", &list); err != nil {
		return nil, err
	}
	if len(list) > maxKeys {
		return nil, invalid("%d keys, at most %d", len(list), maxKeys)
	}
	keys := make([][]byte, len(list))
	for k, s := range list {
		b, err := parseBytes(s)
		if err != nil || len(b) == 0 || len(b) > maxKeySize {
			return nil, invalid("key %d: want 1 to %d bytes in hex", k+1, maxKeySize)
		}
		keys[k] = b
	}
	return keys, nil
}

// key reads a storage key.
func (c *call) key(i int) ([]byte, error) {
	b, err := c.bytes(i, "key")
	if err == nil && (len(b) == 0 || len(b) > maxKeySize) {
		err = invalid("key: want 1 to %d bytes in hex", maxKeySize)
	}
	return b, err
}

func parseHash(s string) (verify.Hash, error) {
	b, err := parseBytes(s)
	if err != nil || len(b) != len(verify.Hash{}) {
		return verify.Hash{}, invalid("%s is no block hash: want 32 bytes in hex", strconv.Quote(s[:min(len(s), 80)]))
	}
	return verify.Hash(b), nil
}

// hash reads a block hash; nil if there is none.
func (c *call) hash(i int) (*verify.Hash, error) {
	if c.raw(i) == nil {
		return nil, nil
	}
	s, err := c.text(i, "hash")
	if err != nil {
		return nil, err
	}
	h, err := parseHash(s)
	return &h, err
}

// heads returns the heads of now, and waits for the first ones.
func (c *call) heads() (*lightclient.Heads, error) {
	h, err := c.s.cfg.Chain.Heads(c.ctx)
	if err == nil {
		return h, nil
	}
	if err := c.s.cfg.Chain.WaitFinal(c.ctx); err != nil {
		return nil, fmt.Errorf("%w (%w)", lightclient.ErrNotFinal, err)
	}
	return c.s.cfg.Chain.Heads(c.ctx)
}

// head is the block that is meant where none is named.
func (c *call) head(h *lightclient.Heads) lightclient.Located {
	if c.s.cfg.Best {
		return lightclient.Located{FinalBlock: h.Best, Final: h.Best.Hash == h.Final.Hash}
	}
	return lightclient.Located{FinalBlock: h.Final, Final: true}
}

// at returns the block that a parameter names, the head if it is not there.
func (c *call) at(i int) (lightclient.Located, error) {
	hash, err := c.hash(i)
	if err != nil {
		return lightclient.Located{}, err
	}
	h, err := c.heads()
	if err != nil {
		return lightclient.Located{}, err
	}
	if hash == nil {
		at := c.head(h)
		c.about = at.Hash.String()
		return at, nil
	}
	c.about = hash.String()
	return c.locate(h, *hash)
}

func (c *call) locate(h *lightclient.Heads, hash verify.Hash) (lightclient.Located, error) {
	if hash == h.Final.Hash {
		return lightclient.Located{FinalBlock: h.Final, Final: true}, nil
	}
	at, err := c.s.cfg.Chain.Locate(c.ctx, hash)
	if err == nil && !at.Final && !c.s.cfg.Best {
		err = ErrNotFinal
	}
	return at, err
}
