package subtensor

import (
	"math/big"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/scale"
)

// MaxHotkeys bounds the hotkeys of a coldkey, which the chain does not.
const MaxHotkeys = 1 << 16

// KeyOwner is the key of the coldkey that owns a hotkey.
func KeyOwner(hotkey verify.AccountID) []byte { return key("Owner", hotkey[:]) }

// KeyAccount is the key of an account's balance (System.Account).
func KeyAccount(who verify.AccountID) []byte { return key("Account", who[:]) }

// PrefixIsNetworkMember is what the keys of a hotkey's memberships begin with; a netuid follows.
func PrefixIsNetworkMember(hotkey verify.AccountID) []byte {
	return key("IsNetworkMember", hotkey[:])
}

// PrefixTotalHotkeyAlpha is what the keys of a hotkey's stakes begin with; a netuid follows.
func PrefixTotalHotkeyAlpha(hotkey verify.AccountID) []byte {
	return key("TotalHotkeyAlpha", hotkey[:])
}

// PrefixShares are what the keys of a coldkey's shares in a hotkey's stake begin with, in Alpha and in
// AlphaV2; a netuid follows.
func PrefixShares(hotkey, coldkey verify.AccountID) [2][]byte {
	return [2][]byte{key("Alpha", hotkey[:], coldkey[:]), key("AlphaV2", hotkey[:], coldkey[:])}
}

// NetuidsOf returns the netuids of keys that have nothing else behind a prefix, such as those of
// PrefixIsNetworkMember. ErrLayout for any other key.
func NetuidsOf(prefix []byte, keys [][]byte) ([]uint16, error) {
	out := make([]uint16, len(keys))
	for i, k := range keys {
		var err error
		if out[i], err = netuidBehind(prefix, k); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// An Account is what the chain has of an account: its balance and, as that of a coldkey, its hotkeys,
// as that of a hotkey, its coldkey. An account can be both.
type Account struct {
	Exists   bool // it has an entry in System.Account
	Nonce    uint32
	Free     uint64             // rao
	Reserved uint64             // rao
	Frozen   uint64             // rao of Free that cannot be spent
	Coldkey  verify.AccountID   // Owner; zero if it is no hotkey
	Owned    []verify.AccountID // OwnedHotkeys
	Staking  []verify.AccountID // StakingHotkeys: those that it has staked to, once at least
}

// ReadAccount reads an Account, in one Load.
func ReadAccount(s State, who verify.AccountID) (*Account, error) {
	a := new(Account)
	var q Batch
	q.Key("Account", KeyAccount(who), func(present bool, r *scale.Reader) {
		// frame_system::AccountInfo of pallet_balances::AccountData, balances being u64.
		a.Exists, a.Nonce = present, r.U32()
		r.Bytes(12) // consumers, providers, sufficients
		a.Free, a.Reserved, a.Frozen = r.U64(), r.U64(), r.U64()
		r.Bytes(16) // flags
	})
	q.Key("Owner", KeyOwner(who), &a.Coldkey)
	q.Key("OwnedHotkeys", key("OwnedHotkeys", who[:]), hotkeys(&a.Owned))
	q.Key("StakingHotkeys", key("StakingHotkeys", who[:]), hotkeys(&a.Staking))
	if err := q.Load(s); err != nil {
		return nil, err
	}
	return a, nil
}

func hotkeys(into *[]verify.AccountID) func(bool, *scale.Reader) {
	return func(present bool, r *scale.Reader) {
		if present {
			*into = sequence(r, 32, MaxHotkeys, func(r *scale.Reader) (a verify.AccountID) {
				r.Copy(a[:])
				return a
			})
		}
	}
}

// A Share is what a coldkey has of the stake of a hotkey on a subnet.
type Share struct {
	Total uint64 // TotalHotkeyAlpha: rao of alpha (of TAO on the root), of all coldkeys together
	// Whole: all of Total is this coldkey's, because its shares are all there are.
	Whole bool
	// About is the part of Total that is in the proportion of the shares, rounded down. What the chain
	// pays out may differ from it by the rounding of the chain's own types. It is Total if Whole.
	About uint64
}

// ReadShare reads what a coldkey has of a hotkey's stake on a subnet, in one Load. Shares are kept in
// AlphaV2 from spec 401 on, and what has not been moved there yet in Alpha.
func ReadShare(s State, hotkey, coldkey verify.AccountID, netuid uint16) (Share, error) {
	var out Share
	var old, oldAll, mine, all fraction
	var q Batch
	q.Key("TotalHotkeyAlpha", KeyTotalHotkeyAlpha(hotkey, netuid), &out.Total)
	q.Key("Alpha", key("Alpha", hotkey[:], coldkey[:], u16(netuid)), fixed(&old))
	q.Key("TotalHotkeyShares", key("TotalHotkeyShares", hotkey[:], u16(netuid)), fixed(&oldAll))
	q.Key("AlphaV2", key("AlphaV2", hotkey[:], coldkey[:], u16(netuid)), floating(&mine))
	q.Key("TotalHotkeySharesV2", key("TotalHotkeySharesV2", hotkey[:], u16(netuid)), floating(&all))
	if err := q.Load(s); err != nil {
		return Share{}, err
	}
	if mine.sign() == 0 {
		mine = old
	}
	if all.sign() == 0 {
		all = oldAll
	}
	out.About, out.Whole = portion(out.Total, mine, all)
	return out, nil
}

// A fraction is mantissa·base^exponent, with base 10 (SafeFloat of primitives/share-pool) or 2 (U64F64).
type fraction struct {
	mantissa *big.Int
	base     int64
	exponent int64
}

func (f fraction) sign() int {
	if f.mantissa == nil {
		return 0
	}
	return f.mantissa.Sign()
}

func fixed(into *fraction) func(bool, *scale.Reader) {
	return func(_ bool, r *scale.Reader) { *into = fraction{u128(r), 2, -64} }
}

func floating(into *fraction) func(bool, *scale.Reader) {
	return func(_ bool, r *scale.Reader) { *into = fraction{u128(r), 10, int64(r.U64())} }
}

func u128(r *scale.Reader) *big.Int {
	low, high := r.U64(), r.U64()
	v := new(big.Int).SetUint64(high)
	return v.Add(v.Lsh(v, 64), new(big.Int).SetUint64(low))
}

// maxExponent bounds the exponents that are reckoned with. Those of the chain stay far below it: a
// mantissa has 21 digits.
const maxExponent = 200

// portion returns total·mine/all rounded down, and whether mine is all.
func portion(total uint64, mine, all fraction) (part uint64, whole bool) {
	for _, f := range []fraction{mine, all} {
		if f.sign() == 0 || f.exponent > maxExponent || f.exponent < -maxExponent {
			return 0, false
		}
	}
	over := func(f fraction, sign int64) *big.Int { // the power of f that stands above the line
		if f.exponent*sign <= 0 {
			return big.NewInt(1)
		}
		return new(big.Int).Exp(big.NewInt(f.base), big.NewInt(f.exponent*sign), nil)
	}
	n := new(big.Int).Mul(mine.mantissa, over(mine, 1))
	n.Mul(n, over(all, -1))
	d := new(big.Int).Mul(all.mantissa, over(all, 1))
	d.Mul(d, over(mine, -1))
	if n.Cmp(d) >= 0 {
		return total, n.Cmp(d) == 0
	}
	n.Mul(n, new(big.Int).SetUint64(total))
	return n.Div(n, d).Uint64(), false
}
