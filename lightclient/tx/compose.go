package tx

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/netip"
	"strings"

	"github.com/taolight/taolight/lightclient/runtime/metadata"
	"github.com/taolight/taolight/verify"
)

// ErrCall: the runtime has no call that says what is meant.
var ErrCall = errors.New("this runtime has no such call")

// An argument is a value with the names that calls have for it.
type argument struct {
	names []string
	value any
	// spare says that a call without it will do: what it would say is what that call means anyhow.
	spare bool
}

func arg(value any, names ...string) argument        { return argument{names, value, false} }
func spare(is bool, value any, name string) argument { return argument{[]string{name}, value, is} }

// compose encodes the first of some calls that the runtime has and that takes exactly these arguments. Names and
// arguments differ from one runtime to the next, so the metadata decides.
func compose(m *metadata.Metadata, calls []string, args ...argument) ([]byte, error) {
	var why []error
	for _, name := range calls {
		_, def, err := m.CallDef(name)
		if err != nil {
			why = append(why, err)
			continue
		}
		values, err := match(def, args)
		if err != nil {
			why = append(why, fmt.Errorf("%s (%s): %w", name, m.Types.Signature(def.Fields), err))
			continue
		}
		text, err := json.Marshal(values)
		if err != nil {
			return nil, err
		}
		return m.EncodeCall(name, text)
	}
	return nil, fmt.Errorf("%w: %w", ErrCall, errors.Join(why...))
}

func match(def *metadata.Variant, args []argument) (map[string]any, error) {
	values := make(map[string]any)
	used := make([]bool, len(args))
	for _, f := range def.Fields {
		found := false
		for i, a := range args {
			for _, n := range a.names {
				if n == f.Name && !used[i] {
					values[f.Name], used[i], found = a.value, true, true
				}
			}
		}
		if !found {
			return nil, fmt.Errorf("it wants %s as well", f.Name)
		}
	}
	for i, a := range args {
		if !used[i] && !a.spare {
			return nil, fmt.Errorf("it takes no %s", a.names[0])
		}
	}
	return values, nil
}

// Transfer moves TAO to an account and keeps the sender's alive.
func Transfer(m *metadata.Metadata, to verify.AccountID, rao uint64) ([]byte, error) {
	return compose(m, []string{"Balances.transfer_keep_alive"}, arg(to.String(), "dest"), arg(rao, "value"))
}

// AddStake stakes TAO on a hotkey in a subnet. Runtimes from before subnets had tokens know no netuid: for them it
// has to be 0.
func AddStake(m *metadata.Metadata, hotkey verify.AccountID, netuid uint16, rao uint64) ([]byte, error) {
	return compose(m, []string{"SubtensorModule.add_stake"}, arg(hotkey.String(), "hotkey"), spare(netuid == 0, netuid, "netuid"),
		arg(rao, "amount_staked", "amount"))
}

// RemoveStake takes stake back: alpha of the subnet, in its smallest unit.
func RemoveStake(m *metadata.Metadata, hotkey verify.AccountID, netuid uint16, amount uint64) ([]byte, error) {
	return compose(m, []string{"SubtensorModule.remove_stake"}, arg(hotkey.String(), "hotkey"), spare(netuid == 0, netuid, "netuid"),
		arg(amount, "amount_unstaked", "amount"))
}

// Register registers a hotkey on a subnet for what that costs; with a limit, only if it costs no more, in rao.
func Register(m *metadata.Metadata, netuid uint16, hotkey verify.AccountID, limit *uint64) ([]byte, error) {
	if limit != nil {
		return compose(m, []string{"SubtensorModule.register_limit"}, arg(netuid, "netuid"), arg(hotkey.String(), "hotkey"), arg(*limit, "limit_price"))
	}
	return compose(m, []string{"SubtensorModule.burned_register"}, arg(netuid, "netuid"), arg(hotkey.String(), "hotkey"))
}

// axonProtocol is what Bittensor's SDK says the axon's protocol is; nothing reads it.
const axonProtocol = 4

// ServeAxon announces where a hotkey's axon is. version is that of the software, as the SDK counts it.
func ServeAxon(m *metadata.Metadata, netuid uint16, at netip.AddrPort, version uint32) ([]byte, error) {
	ip := at.Addr().Unmap()
	kind := 6
	if ip.Is4() {
		kind = 4
	}
	b := ip.AsSlice()
	return compose(m, []string{"SubtensorModule.serve_axon"}, arg(netuid, "netuid"), arg(version, "version"), arg(decimal(b), "ip"),
		arg(at.Port(), "port"), arg(kind, "ip_type"), arg(axonProtocol, "protocol"), arg(0, "placeholder1"), arg(0, "placeholder2"))
}

// Weights are what a validator gives neurons: to each uid a value, and the version that the subnet asks for.
type Weights struct {
	Netuid  uint16
	Mecid   uint8
	Uids    []uint16
	Values  []uint16
	Salt    []uint16 // of a commitment by hash
	Version uint64
}

func (w *Weights) check() error {
	if len(w.Uids) != len(w.Values) {
		return fmt.Errorf("%d uids and %d values", len(w.Uids), len(w.Values))
	}
	return nil
}

// SetWeights sets weights.
func SetWeights(m *metadata.Metadata, w *Weights) ([]byte, error) {
	if err := w.check(); err != nil {
		return nil, err
	}
	return compose(m, []string{"SubtensorModule.set_mechanism_weights", "SubtensorModule.set_weights"},
		arg(w.Netuid, "netuid"), spare(w.Mecid == 0, w.Mecid, "mecid"), arg(list(w.Uids), "dests"), arg(list(w.Values), "weights"), arg(w.Version, "version_key"))
}

// CommitWeights commits to weights by a hash of them, as verify/commit.HashOf makes it.
func CommitWeights(m *metadata.Metadata, netuid uint16, mecid uint8, hash verify.Hash) ([]byte, error) {
	return compose(m, []string{"SubtensorModule.commit_mechanism_weights", "SubtensorModule.commit_weights"},
		arg(netuid, "netuid"), spare(mecid == 0, mecid, "mecid"), arg(hash.String(), "commit_hash"))
}

// CommitTimelocked commits to weights that are encrypted to a round of drand, by the version of that scheme.
func CommitTimelocked(m *metadata.Metadata, netuid uint16, mecid uint8, ciphertext []byte, round uint64, version uint16) ([]byte, error) {
	const implied = 4 // what calls stand for that do not say which version
	return compose(m, []string{
		"SubtensorModule.commit_timelocked_mechanism_weights", "SubtensorModule.commit_timelocked_weights",
		"SubtensorModule.commit_crv3_mechanism_weights", "SubtensorModule.commit_crv3_weights",
	}, arg(netuid, "netuid"), spare(mecid == 0, mecid, "mecid"), arg(fmt.Sprintf("0x%x", ciphertext), "commit"), arg(round, "reveal_round"),
		spare(version == implied, version, "commit_reveal_version"))
}

// RevealWeights reveals what was committed to by a hash.
func RevealWeights(m *metadata.Metadata, w *Weights) ([]byte, error) {
	if err := w.check(); err != nil {
		return nil, err
	}
	return compose(m, []string{"SubtensorModule.reveal_mechanism_weights", "SubtensorModule.reveal_weights"},
		arg(w.Netuid, "netuid"), spare(w.Mecid == 0, w.Mecid, "mecid"), arg(list(w.Uids), "uids"), arg(list(w.Values), "values"),
		arg(list(w.Salt), "salt"), arg(w.Version, "version_key"))
}

// Raw encodes any call: PALLET.CALL with its arguments as words, or as one JSON text; or the call's bytes in hex.
func Raw(m *metadata.Metadata, words []string, text []byte) ([]byte, error) {
	if len(words) == 0 {
		return nil, fmt.Errorf("%w: no call", metadata.ErrInput)
	}
	name := words[0]
	if !strings.Contains(name, ".") {
		b, err := verify.ParseHex(name)
		if err != nil || len(words) > 1 || len(text) > 0 {
			return nil, fmt.Errorf("%w: %q is neither PALLET.CALL nor a call in hex", metadata.ErrInput, name[:min(len(name), 80)])
		}
		if _, err := m.DecodeCall(b); err != nil {
			return nil, err
		}
		return b, nil
	}
	if len(text) > 0 {
		if len(words) > 1 {
			return nil, fmt.Errorf("%w: arguments as words and as JSON", metadata.ErrInput)
		}
		return m.EncodeCall(name, text)
	}
	return m.EncodeCallWords(name, words[1:]...)
}

// list is a list of numbers, which JSON would else have as null if it is empty.
func list(v []uint16) []uint16 {
	if v == nil {
		return []uint16{}
	}
	return v
}

// decimal writes the number that big-endian bytes are, which JSON has no other way to hold.
func decimal(b []byte) json.Number { return json.Number(new(big.Int).SetBytes(b).String()) }
