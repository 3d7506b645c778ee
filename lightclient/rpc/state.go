package rpc

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/taolight/taolight/lightclient"
	"github.com/taolight/taolight/lightclient/runtime"
	"github.com/taolight/taolight/lightclient/runtime/metadata"
	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/scale"
	"github.com/taolight/taolight/verify/subtensor"
	"github.com/taolight/taolight/verify/trie"
)

// Bounds of one request. maxPage is Substrate's.
const (
	maxKeys    = 4096
	maxKeySize = 1024
	maxPage    = 1000
	maxAllKeys = 16384 // state_getKeys
)

// value reads one key; nil if it is proven to be absent.
func (c *call) value() ([]byte, error) {
	key, err := c.key(0)
	if err != nil {
		return nil, err
	}
	at, err := c.at(1)
	if err != nil {
		return nil, err
	}
	list, err := c.s.cfg.Chain.ReadIn(c.ctx, at, key)
	if err != nil {
		return nil, err
	}
	return valueOf(list[0]), nil
}

func valueOf(v lightclient.Value) []byte {
	if v.Outcome != trie.Present {
		return nil
	}
	if v.Value == nil {
		return []byte{}
	}
	return v.Value
}

// orNull is bytes in hex, or null if there are none.
func orNull(b []byte) any {
	if b == nil {
		return nil
	}
	return data(b)
}

func (c *call) storage() (any, error) {
	v, err := c.value()
	return orNull(v), err
}

func (c *call) storageHash() (any, error) {
	v, err := c.value()
	if v == nil || err != nil {
		return nil, err
	}
	return verify.Blake2b256(v), nil
}

func (c *call) storageSize() (any, error) {
	v, err := c.value()
	if v == nil || err != nil {
		return nil, err
	}
	return len(v), nil
}

// changeSet is what state_queryStorageAt and state_subscribeStorage tell.
type changeSet struct {
	Block   verify.Hash `json:"block"`
	Changes [][2]any    `json:"changes"`
}

func changesOf(at verify.Hash, values []lightclient.Value) *changeSet {
	s := &changeSet{Block: at, Changes: make([][2]any, len(values))}
	for i, v := range values {
		s.Changes[i] = [2]any{data(v.Key), orNull(valueOf(v))}
	}
	return s
}

// keysAt reads a list of keys and a block.
func (c *call) keysAt() (keys [][]byte, at lightclient.Located, err error) {
	if keys, err = c.keyList(0); err == nil {
		at, err = c.at(1)
	}
	return keys, at, err
}

func (c *call) queryStorageAt() (any, error) {
	keys, at, err := c.keysAt()
	if err != nil {
		return nil, err
	}
	var values []lightclient.Value
	if len(keys) > 0 {
		if values, err = c.s.cfg.Chain.ReadIn(c.ctx, at, keys...); err != nil {
			return nil, err
		}
	}
	return []*changeSet{changesOf(at.Hash, values)}, nil
}

// keysPaged is state_getKeysPaged: the page is proven to have no gap, and if it is short to be the last.
func (c *call) keysPaged() (any, error) {
	prefix := []byte{}
	var err error
	if c.raw(0) != nil {
		if prefix, err = c.bytes(0, "prefix"); err != nil {
			return nil, err
		}
	}
	var count uint64
	if err := c.read(1, "count", &count); err != nil {
		return nil, err
	}
	if count > maxPage {
		return nil, &Error{Code: codeCount, Message: fmt.Sprintf("count exceeds maximum value. value: %d, max: %d", count, maxPage)}
	}
	var start []byte
	if c.raw(2) != nil {
		if start, err = c.bytes(2, "start key"); err != nil {
			return nil, err
		}
		if len(start) == 0 {
			start = nil
		}
	}
	if len(prefix) > maxKeySize || len(start) > maxKeySize {
		return nil, invalid("a key of more than %d bytes", maxKeySize)
	}
	at, err := c.at(3)
	if err != nil {
		return nil, err
	}
	if count == 0 {
		return []data{}, nil
	}
	keys, err := c.s.cfg.Chain.KeysIn(c.ctx, at, prefix, start, int(count))
	return hexList(keys), err
}

func hexList(list [][]byte) []data {
	out := make([]data, len(list))
	for i := range list {
		out[i] = list[i]
	}
	return out
}

// keys is state_getKeys, for those who do not ask by the page: all there are, or an error.
func (c *call) keys() (any, error) {
	prefix, err := c.bytes(0, "prefix")
	if err != nil {
		return nil, err
	}
	at, err := c.at(1)
	if err != nil {
		return nil, err
	}
	keys, err := c.s.cfg.Chain.KeysIn(c.ctx, at, prefix, nil, maxAllKeys)
	if err == nil && len(keys) == maxAllKeys {
		err = &Error{Code: codeServer, Message: fmt.Sprintf("more than %d keys: ask by the page (state_getKeysPaged)", maxAllKeys-1)}
	}
	return hexList(keys), err
}

func (c *call) readProof() (any, error) {
	keys, at, err := c.keysAt()
	if err != nil {
		return nil, err
	}
	var nodes [][]byte
	if len(keys) > 0 {
		if nodes, err = c.s.cfg.Chain.ProofIn(c.ctx, at, keys...); err != nil {
			return nil, err
		}
	}
	return map[string]any{"at": at.Hash, "proof": hexList(nodes)}, nil
}

// maxMethod bounds the name of a runtime's method.
const maxMethod = 128

// runtimeCall reads a method and its arguments: the parameters from i on; no arguments are none.
func (c *call) runtimeCall(i int) (method string, input []byte, err error) {
	if method, err = c.text(i, "name of a runtime method"); err == nil && c.raw(i+1) != nil {
		input, err = c.bytes(i+1, "arguments")
	}
	if err == nil && (method == "" || len(method) > maxMethod) {
		err = invalid("name of a runtime method: want 1 to %d bytes", maxMethod)
	}
	return method, input, err
}

func (c *call) stateCall() (any, error) {
	method, input, err := c.runtimeCall(0)
	if err != nil {
		return nil, err
	}
	at, err := c.at(2)
	if err != nil {
		return nil, err
	}
	out, err := c.execute(at, method, input)
	return data(out), err
}

// execute calls the runtime after a block, or remembers what it answered there.
func (c *call) execute(at lightclient.Located, method string, input []byte) ([]byte, error) {
	c.method = method
	where := at.Hash
	if strings.HasPrefix(method, "Metadata_") { // it is the same as long as the code is
		_, code, err := c.s.cfg.Chain.VersionIn(c.ctx, at)
		if err != nil {
			return nil, err
		}
		where = code
	}
	key := answerKey(method, where, input)
	if v := c.s.answers.get(key); v != nil {
		return v.list[0], nil
	}
	select {
	case c.s.calls <- struct{}{}:
		defer func() { <-c.s.calls }()
	case <-c.ctx.Done():
		return nil, c.ctx.Err()
	}
	if v := c.s.answers.get(key); v != nil { // whoever was before us asked the same
		return v.list[0], nil
	}
	r, err := c.s.cfg.Chain.CallIn(c.ctx, at, method, input)
	if err != nil {
		return nil, err
	}
	c.s.answers.put(key, &answer{list: [][]byte{r.Output}})
	return r.Output, nil
}

func (c *call) metadata() (any, error) {
	at, err := c.at(0)
	if err != nil {
		return nil, err
	}
	out, err := c.execute(at, "Metadata_metadata", nil)
	if err != nil {
		return nil, err
	}
	raw, err := metadata.Unwrap(out)
	return data(raw), err
}

// versionJSON is a runtime's version as the older methods write it: apis is a list of pairs.
type versionJSON struct {
	SpecName           string   `json:"specName"`
	ImplName           string   `json:"implName"`
	AuthoringVersion   uint32   `json:"authoringVersion"`
	SpecVersion        uint32   `json:"specVersion"`
	ImplVersion        uint32   `json:"implVersion"`
	APIs               [][2]any `json:"apis"`
	TransactionVersion uint32   `json:"transactionVersion"`
	SystemVersion      uint8    `json:"systemVersion"`
	StateVersion       uint8    `json:"stateVersion"`
}

func versionOf(v *runtime.Version) *versionJSON {
	j := &versionJSON{SpecName: v.SpecName, ImplName: v.ImplName, AuthoringVersion: v.Authoring, SpecVersion: v.Spec, ImplVersion: v.Impl,
		APIs: make([][2]any, len(v.APIs)), TransactionVersion: v.Transaction, SystemVersion: v.State, StateVersion: v.State}
	for i, a := range v.APIs {
		j.APIs[i] = [2]any{data(a.ID[:]), a.Version}
	}
	return j
}

func (c *call) runtimeVersion() (any, error) {
	at, err := c.at(0)
	if err != nil {
		return nil, err
	}
	v, _, err := c.s.cfg.Chain.VersionIn(c.ctx, at)
	if err != nil {
		return nil, err
	}
	return versionOf(&v), nil
}

// queryInfo is payment_queryInfo: what the runtime says of it, with the fee as a decimal string.
func (c *call) queryInfo() (any, error) {
	x, err := c.bytes(0, "extrinsic")
	if err != nil {
		return nil, err
	}
	at, err := c.at(1)
	if err != nil {
		return nil, err
	}
	out, err := c.execute(at, "TransactionPaymentApi_query_info", binary.LittleEndian.AppendUint32(slices.Clone(x), uint32(len(x))))
	if err != nil {
		return nil, err
	}
	// RuntimeDispatchInfo: weight in two compact numbers, class, fee of 8 or 16 bytes.
	r := scale.NewReader(out)
	refTime, proofSize, class := r.Compact(), r.Compact(), r.Byte()
	fee := r.U64()
	if r.Len() == 8 && r.U64() != 0 {
		return nil, fmt.Errorf("TransactionPaymentApi_query_info: a fee of more than 64 bits: 0x%s", hex.EncodeToString(out))
	}
	classes := []string{"normal", "operational", "mandatory"}
	if err := r.Finish(); err != nil || int(class) >= len(classes) {
		return nil, fmt.Errorf("TransactionPaymentApi_query_info answered 0x%s, which is laid out otherwise than known", hex.EncodeToString(out))
	}
	return map[string]any{
		"weight": map[string]any{"ref_time": refTime, "proof_size": proofSize}, "class": classes[class], "partialFee": strconv.FormatUint(fee, 10),
	}, nil
}

// nextIndex is the nonce of an account: what is proven of it and, above that, what was sent from here.
func (c *call) nextIndex() (any, error) {
	s, err := c.text(0, "account")
	if err != nil {
		return nil, err
	}
	who, err := verify.ParseAccount(s)
	if err != nil {
		return nil, invalid("account: %v", err)
	}
	at, err := c.at(1)
	if err != nil {
		return nil, err
	}
	list, err := c.s.cfg.Chain.ReadIn(c.ctx, at, subtensor.KeyAccount(who))
	if err != nil {
		return nil, err
	}
	// frame_system::AccountInfo begins with the nonce, a u32.
	nonce := uint32(0)
	if v := valueOf(list[0]); len(v) >= 4 {
		nonce = binary.LittleEndian.Uint32(v)
	} else if v != nil {
		return nil, fmt.Errorf("System.Account has %d bytes", len(v))
	}
	if c.s.cfg.Pool != nil {
		taken := make(map[uint32]bool)
		for _, t := range c.s.cfg.Pool.List() {
			if !t.Done() && t.From == who.String() {
				taken[t.Nonce] = true
			}
		}
		for taken[nonce] {
			nonce++
		}
	}
	return nonce, nil
}

// An answer is what a call or a block gave.
type answer struct {
	key  verify.Hash
	list [][]byte
	size int
}

// answers keeps the last ones. They are few, so they are looked through.
type answers struct {
	mu   sync.Mutex
	list []*answer // the last used one first
}

// Bounds of what is kept.
const (
	maxAnswers     = 64
	maxAnswerBytes = 4 << 20
)

func answerKey(method string, at verify.Hash, input []byte) verify.Hash {
	b := append([]byte(method), 0)
	return verify.Blake2b256(append(append(b, at[:]...), input...))
}

func (a *answers) get(key verify.Hash) *answer {
	a.mu.Lock()
	defer a.mu.Unlock()
	i := slices.IndexFunc(a.list, func(v *answer) bool { return v.key == key })
	if i < 0 {
		return nil
	}
	v := a.list[i]
	copy(a.list[1:i+1], a.list[:i])
	a.list[0] = v
	return v
}

func (a *answers) put(key verify.Hash, v *answer) {
	v.key = key
	for _, b := range v.list {
		v.size += len(b) + 32
	}
	if v.size > maxAnswerBytes/2 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.list = slices.Insert(a.list, 0, v)
	size := 0
	for i, v := range a.list {
		if size += v.size; i == maxAnswers || size > maxAnswerBytes {
			clear(a.list[i:])
			a.list = a.list[:i]
			break
		}
	}
}
