package lightclient

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/rules"
	"github.com/taolight/taolight/verify/subtensor"
	"github.com/taolight/taolight/verify/trie"
)

// maxHotkeys bounds the hotkeys of an account that are looked at.
const maxHotkeys = 256

// An Account is what the chain has of an address, as a coldkey and as a hotkey. Fields are added,
// never renamed.
type Account struct {
	Source
	Address  string `json:"address"`
	Exists   bool   `json:"exists"` // it has a balance or a nonce
	Nonce    uint32 `json:"nonce"`
	Free     uint64 `json:"free_rao"`
	Reserved uint64 `json:"reserved_rao"`
	Frozen   uint64 `json:"frozen_rao"` // of what is free
	Coldkey  string `json:"coldkey"`    // that owns it, if it is a hotkey; else empty
	// Hotkeys are the address itself, if it is one, then those that it owns, then those of others that
	// it has staked to.
	Hotkeys []HotkeyStatus `json:"hotkeys"`
	More    int            `json:"more_hotkeys"` // that were not looked at
}

// A HotkeyStatus is a hotkey of an account.
type HotkeyStatus struct {
	Hotkey  string        `json:"hotkey"`
	Itself  bool          `json:"itself"` // it is the address that was asked for
	Owned   bool          `json:"owned"`  // by the address
	Stakes  []StakeStatus `json:"stakes"`
	Neurons []Membership  `json:"neurons"` // left empty for the hotkeys of others
}

// A StakeStatus is stake on a subnet, in rao of its alpha; of TAO on the root.
type StakeStatus struct {
	Netuid uint16 `json:"netuid"`
	Total  uint64 `json:"hotkey_total_rao"` // of all coldkeys together
	// Share is the address's part of it: all of it if Whole, else in the proportion of its shares, to
	// which what the chain pays may differ by its rounding. Null for the address as a hotkey.
	Share *uint64 `json:"share_rao"`
	Whole bool    `json:"whole"`
}

// A Membership is a neuron on a subnet.
type Membership struct {
	Netuid uint16 `json:"netuid"`
	Neuron
}

// account is Node.Account.
func (l *look) account(who verify.AccountID, o StateOptions) (*Account, error) {
	number := l.head.Header.Number
	if o.At != nil {
		number = *o.At
	}
	out := &Account{Address: who.String(), Hotkeys: []HotkeyStatus{}}
	var a *subtensor.Account
	_, set, err := l.table(o, &out.Source, func(s subtensor.State, _ rules.Set) (err error) {
		a, err = subtensor.ReadAccount(s, who)
		return err
	})
	if err != nil {
		return nil, err
	}
	out.Exists, out.Nonce, out.Free, out.Reserved, out.Frozen, out.Coldkey = a.Exists, a.Nonce, a.Free, a.Reserved, a.Frozen, accountText(a.Coldkey)

	var list []*hotkeyLook
	add := func(h verify.AccountID, owned bool) {
		if !slices.ContainsFunc(list, func(x *hotkeyLook) bool { return x.id == h && !x.itself }) {
			list = append(list, &hotkeyLook{id: h, owned: owned})
		}
	}
	if a.Coldkey != (verify.AccountID{}) {
		list = append(list, &hotkeyLook{id: who, itself: true})
	}
	for _, h := range a.Owned {
		if len(list) < maxHotkeys {
			add(h, true)
		}
	}
	for _, h := range a.Staking {
		if len(list) < maxHotkeys {
			add(h, false)
		}
	}
	if all := len(a.Owned) + len(a.Staking); len(list) == maxHotkeys && all > maxHotkeys {
		out.More = all - maxHotkeys
	}
	if len(list) == 0 {
		return out, nil
	}
	o.note("reading %d hotkey%s of %s", len(list), plural(len(list)), out.Address)
	if err := l.places(number, who, list); err != nil {
		return nil, err
	}
	_, _, err = l.table(o, &out.Source, func(s subtensor.State, _ rules.Set) error {
		out.Hotkeys = out.Hotkeys[:0]
		var short error
		for _, h := range list {
			status, err := h.read(s, who, uint64(number), set)
			if err := unprovenOr(&short, err); err != nil {
				return err
			}
			out.Hotkeys = append(out.Hotkeys, status)
		}
		return short
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// A hotkeyLook is a hotkey of an account while it is being read.
type hotkeyLook struct {
	id            verify.AccountID
	itself, owned bool
	stakes        []uint16 // netuids with stake
	member        []uint16 // netuids it is registered on
}

// unprovenOr returns an error, unless it says that something is missing: then it is kept in short, so
// that all of it is asked for at once.
func unprovenOr(short *error, err error) error {
	if errors.Is(err, subtensor.ErrUnproven) {
		*short = unproven(*short, err)
		return nil
	}
	return err
}

// places finds the subnets that hotkeys have stake or neurons on.
func (l *look) places(number uint32, who verify.AccountID, list []*hotkeyLook) error {
	type place struct {
		into   *[]uint16
		prefix []byte
	}
	var places []place
	for _, h := range list {
		if h.itself {
			places = append(places, place{&h.stakes, subtensor.PrefixTotalHotkeyAlpha(h.id)})
		} else {
			for _, prefix := range subtensor.PrefixShares(h.id, who) {
				places = append(places, place{&h.stakes, prefix})
			}
		}
		if h.itself || h.owned {
			places = append(places, place{&h.member, subtensor.PrefixIsNetworkMember(h.id)})
		}
	}
	prefixes := make([][]byte, len(places))
	for i, p := range places {
		prefixes[i] = p.prefix
	}
	keys, err := l.keysOf(number, prefixes, subtensor.MaxSubnets)
	if err != nil {
		return err
	}
	for i, p := range places {
		netuids, err := subtensor.NetuidsOf(p.prefix, keys[i])
		if err != nil {
			return err
		}
		*p.into = append(*p.into, netuids...)
		slices.Sort(*p.into)
		*p.into = slices.Compact(*p.into)
	}
	return nil
}

// keysOf is keysAt for many prefixes, in as many requests as one would take.
func (l *look) keysOf(number uint32, prefixes [][]byte, limit int) ([][][]byte, error) {
	at, err := l.block(number)
	if err != nil {
		return nil, err
	}
	out, done := make([][][]byte, len(prefixes)), make([]bool, len(prefixes))
	for range 4 * maxRounds {
		p, err := l.proof(at)
		if err != nil {
			return nil, err
		}
		var missing [][]byte
		for i, prefix := range prefixes {
			if done[i] {
				continue
			}
			keys, outcome, err := p.Prefix(prefix, nil, limit+1)
			switch {
			case err != nil:
				return nil, err
			case len(keys) > limit:
				return nil, fmt.Errorf("%w: more than %d keys with that prefix at #%d", ErrTooMuch, limit, number)
			case outcome != trie.Incomplete:
				out[i], done[i] = keys, true
				continue
			}
			more, err := p.MissingKeys(prefix, nil, keysPerBatch)
			if err != nil {
				return nil, err
			}
			missing = append(missing, more...)
		}
		if len(missing) == 0 {
			return out, nil
		}
		if err := l.extend(at, missing); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("%w: the keys at #%d have no end", ErrTooMuch, number)
}

// read reads a hotkey: its stakes on the subnets that places found, and its neurons.
func (h *hotkeyLook) read(s subtensor.State, who verify.AccountID, number uint64, set rules.Set) (HotkeyStatus, error) {
	out := HotkeyStatus{Hotkey: h.id.String(), Itself: h.itself, Owned: h.owned, Stakes: []StakeStatus{}, Neurons: []Membership{}}
	var short error
	for _, netuid := range h.stakes {
		share, err := subtensor.ReadShare(s, h.id, who, netuid)
		if err := unprovenOr(&short, err); err != nil {
			return out, err
		}
		status := StakeStatus{Netuid: netuid, Total: share.Total}
		if !h.itself {
			status.Share, status.Whole = &share.About, share.Whole
		}
		if share.Total > 0 {
			out.Stakes = append(out.Stakes, status)
		}
	}
	for _, netuid := range h.member {
		m, ok, err := h.neuron(s, netuid, number, set)
		if err := unprovenOr(&short, err); err != nil {
			return out, err
		}
		if ok {
			out.Neurons = append(out.Neurons, Membership{netuid, m})
		}
	}
	return out, short
}

// neuron reads the row of a hotkey in the metagraph of a subnet.
func (h *hotkeyLook) neuron(s subtensor.State, netuid uint16, number uint64, set rules.Set) (r Neuron, ok bool, err error) {
	uid, ok, err := subtensor.ReadUID(s, netuid, h.id)
	var coldkey verify.AccountID
	var updates, emission []uint64
	var incentive, consensus, dividends, trust, stake, ranks, trusts []uint16
	var active, permit []bool
	var axon subtensor.Bytes
	var q subtensor.Batch
	for _, v := range []struct {
		item string
		into any
	}{
		{"LastUpdate", &updates}, {"Incentive", &incentive}, {"Consensus", &consensus}, {"Dividends", &dividends}, {"ValidatorTrust", &trust},
		{"StakeWeight", &stake}, {"Emission", &emission}, {"Active", &active}, {"ValidatorPermit", &permit},
	} {
		q.Subnet(v.item, netuid, v.into)
	}
	if !set.NoRanks {
		q.Subnet("Rank", netuid, &ranks)
		q.Subnet("Trust", netuid, &trusts)
	}
	q.Key("Owner", subtensor.KeyOwner(h.id), &coldkey)
	q.Key("Axons", subtensor.KeyAxons(netuid, h.id), &axon)
	q.Key("TotalHotkeyAlpha", subtensor.KeyTotalHotkeyAlpha(h.id, netuid), &r.Alpha)
	q.Key("TotalHotkeyAlpha", subtensor.KeyTotalHotkeyAlpha(h.id, 0), &r.Root)
	if ok && err == nil {
		q.Key("BlockAtRegistration", subtensor.KeyBlockAtRegistration(netuid, uid), &r.Registered)
	}
	errLoad := q.Load(s)
	weight, errStake := subtensor.ReadStake(s, netuid, h.id)
	if err := cmp.Or(err, errLoad, errStake); err != nil || !ok {
		return Neuron{}, false, err
	}
	if axon != nil {
		a, err := subtensor.DecodeAxon(axon)
		if err != nil {
			return Neuron{}, false, err
		}
		r.Axon = axonOf(&a)
	}
	r.UID, r.Hotkey, r.Coldkey, r.Stake = uid, h.id.String(), accountText(coldkey), weight.U64()
	r.StakeWeight, r.VTrust, r.Consensus = entry(stake, uid), entry(trust, uid), entry(consensus, uid)
	r.Incentive, r.Dividends, r.Emission = entry(incentive, uid), entry(dividends, uid), entry(emission, uid)
	r.LastUpdate, r.Active, r.Permit = entry(updates, uid), entry(active, uid), entry(permit, uid)
	r.Updated = number - min(r.LastUpdate, number)
	if !set.NoRanks {
		rank, t := entry(ranks, uid), entry(trusts, uid)
		r.Rank, r.Trust = &rank, &t
	}
	return r, true, nil
}

// entry is the entry of a uid in a vector; the chain reads what is missing as 0.
func entry[T any](v []T, uid uint16) (x T) {
	if int(uid) < len(v) {
		x = v[uid]
	}
	return x
}
