// Package item knows some storage items of the chain by name: how the key of one is made and what its
// value says.
//
// It promises that a value it decodes is read to its last byte by the type that the chain has given
// the item; anything else is an error, and the bytes are the caller's to show. It is a fixed list, for
// use before the chain's own metadata can be had: an item that a runtime upgrade changes is wrong here
// until the list is.
//
// It never asks a network and proves nothing: whether a value is the chain's is the proof's business.
package item

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/scale"
)

// Errors of this package.
var (
	// ErrUnknown: the item is not in the list.
	ErrUnknown = errors.New("unknown storage item")
	// ErrArgument: an argument of a map's key is missing, or is not what the key is made of.
	ErrArgument = errors.New("bad argument")
	// ErrValue: the bytes are no value of the item's type.
	ErrValue = errors.New("value does not have the expected form")
)

// An Item is a storage value, or a map with one key.
type Item struct {
	Pallet, Name string
	Arg          string // what the map's key is called in help; empty for a plain value
	Says         string // in words
	key          func(b []byte, arg string) ([]byte, error)
	decode       func(r *scale.Reader) Decoded
}

// Decoded is a value in words, and as it goes into JSON.
type Decoded struct {
	Text string
	JSON any
}

// items follows reference runtime 425 (pallets' storage declarations); Balance is u64 on this chain.
var items = []Item{
	{Pallet: "System", Name: "Number", Says: "block number", decode: u32},
	{Pallet: "System", Name: "ParentHash", Says: "hash of the parent block", decode: hash},
	{Pallet: "System", Name: "BlockHash", Arg: "NUMBER", Says: "hash of one of the last 2,400 blocks", key: blockKey, decode: hash},
	{Pallet: "System", Name: "Account", Arg: "ADDRESS", Says: "nonce and balance", key: accountKey, decode: account},
	{Pallet: "System", Name: "LastRuntimeUpgrade", Says: "spec version of the runtime", decode: runtimeUpgrade},
	{Pallet: "Timestamp", Name: "Now", Says: "time of the block", decode: moment},
	{Pallet: "Aura", Name: "Authorities", Says: "who seals blocks", decode: auraList},
	{Pallet: "Aura", Name: "CurrentSlot", Says: "slot of the block", decode: u64},
	{Pallet: "Grandpa", Name: "Authorities", Says: "who finalizes blocks", decode: grandpaList},
	{Pallet: "Grandpa", Name: "CurrentSetId", Says: "set id by the chain's own count", decode: u64},
	{Pallet: "Balances", Name: "TotalIssuance", Says: "all TAO there is", decode: balance},
	{Pallet: "Sudo", Name: "Key", Says: "the key that may do anything", decode: accountID},
	{Pallet: "SafeMode", Name: "EnteredUntil", Says: "block until which calls are restricted; absent: they are not", decode: u32},
	{Pallet: "SubtensorModule", Name: "TotalNetworks", Says: "how many subnets there are", decode: u16},
	{Pallet: "SubtensorModule", Name: "Tempo", Arg: "NETUID", Says: "blocks of an epoch of a subnet", key: netuidKey, decode: u16},
	{Pallet: "SubtensorModule", Name: "SubnetworkN", Arg: "NETUID", Says: "neurons of a subnet", key: netuidKey, decode: u16},
	{Pallet: "Drand", Name: "LastStoredRound", Says: "newest drand round on the chain", decode: u64},
}

// All returns the items, in the order of the help.
func All() []Item { return slices.Clone(items) }

// String returns the name as it is typed.
func (it *Item) String() string { return it.Pallet + "." + it.Name }

// Find returns the item of a name like System.Number; small and capital letters are the same.
func Find(name string) (*Item, error) {
	for i := range items {
		if strings.EqualFold(items[i].String(), name) {
			return &items[i], nil
		}
	}
	return nil, fmt.Errorf("%w %q", ErrUnknown, name[:min(len(name), 80)])
}

// Key returns the storage key of the item; arg is the map's key, empty for a plain value.
func (it *Item) Key(arg string) ([]byte, error) {
	key := verify.StorageKey(it.Pallet, it.Name)
	if it.key == nil {
		if arg != "" {
			return nil, fmt.Errorf("%w: %v takes none", ErrArgument, it)
		}
		return key, nil
	}
	if arg == "" {
		return nil, fmt.Errorf("%w: %v wants %s", ErrArgument, it, it.Arg)
	}
	key, err := it.key(key, arg)
	if err != nil {
		return nil, fmt.Errorf("%v %s: %w", it, it.Arg, err)
	}
	return key, nil
}

// Decode reads a value of the item.
func (it *Item) Decode(value []byte) (Decoded, error) {
	r := scale.NewReader(value)
	d := it.decode(r)
	if err := r.Finish(); err != nil {
		return Decoded{}, fmt.Errorf("%v: %w: %w", it, ErrValue, err)
	}
	return d, nil
}

// The keys of maps, with their hashers.

func blockKey(b []byte, arg string) ([]byte, error) {
	n, err := number(arg, 32)
	if err != nil {
		return nil, err
	}
	return verify.AppendTwox64Concat(b, scale.AppendU32(nil, uint32(n))), nil
}

// netuidKey: subnet maps are under Identity.
func netuidKey(b []byte, arg string) ([]byte, error) {
	n, err := number(arg, 16)
	if err != nil {
		return nil, err
	}
	return scale.AppendU16(b, uint16(n)), nil
}

func accountKey(b []byte, arg string) ([]byte, error) {
	id, err := verify.ParseAccount(arg)
	if err != nil {
		return nil, err
	}
	return verify.AppendBlake2b128Concat(b, id[:]), nil
}

func number(arg string, bits int) (uint64, error) {
	n, err := strconv.ParseUint(strings.ReplaceAll(arg, ",", ""), 10, bits)
	if err != nil {
		return 0, fmt.Errorf("%w %q: want a whole number of at most %d bits", ErrArgument, arg[:min(len(arg), 80)], bits)
	}
	return n, nil
}
