package commit

import (
	"encoding/hex"
	"fmt"
	"sync"
	"testing"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/drand"
	"github.com/taolight/taolight/verify/rules"
	"github.com/taolight/taolight/verify/scale"
	"github.com/taolight/taolight/verify/subtensor"
	"github.com/taolight/taolight/verify/tlock"
)

// Real quicknet signatures (../fact/testdata/drand_rounds.json).
var (
	round1000 = signature("b44679b9a59af2ec876b1a6b1ad52ea9b1615fc3982b19576350f93447cb1125e342b73a8dd2bacbe47e4b6b63ed5e39")
	round1001 = signature("b33bf3667cbd5a82de3a24b4e0e9fe5513cc1a0e840368c6e31f5fcfa79bea03f73896b25883abf2853d10337fb8fa41")
)

func signature(s string) drand.Signature {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return drand.Signature(b)
}

// store is a State that holds what is in it and proves the rest absent.
type store map[string][]byte

func (s store) Load(keys ...[]byte) ([][]byte, error) {
	out := make([][]byte, len(keys))
	for i, k := range keys {
		out[i] = s[string(k)]
	}
	return out, nil
}

// sparse is a State that knows no more than what it was given and notes what it was asked for.
type sparse struct {
	all, known store
	asked      map[string]bool
}

func (s *sparse) Load(keys ...[]byte) ([][]byte, error) {
	out := make([][]byte, len(keys))
	var err error
	for i, k := range keys {
		s.asked[string(k)] = true
		v, ok := s.known[string(k)]
		if !ok {
			err = fmt.Errorf("%w: %x", subtensor.ErrUnproven, k)
		}
		out[i] = v
	}
	return out, err
}

// A world is one subnet with one commitment that is revealed well, to be spoiled. Fields are what
// stands in the state; build puts them there.
type world struct {
	spec          uint32
	netuid        uint16
	mecid         uint8
	hotkey, owner verify.AccountID
	registered    bool
	uid           uint16
	size          uint16
	exists        bool
	mechanisms    uint8
	permits       []bool
	updates       []uint64
	alpha         uint64
	threshold     uint64
	versionKey    uint64
	commitReveal  bool
	rateLimit     uint64
	minWeights    uint16
	maxWeight     uint16
	period        uint64
	tempo         uint16
	epochIndex    uint64
	lastEpoch     uint64
	parent        bool // bob gives half of his stake to the hotkey

	epoch   uint64 // of the queue
	round   uint64
	payload Payload
	plain   func([]byte) []byte // edits the plaintext
	seal    uint64              // round that it is sealed for
	spoil   func([]byte) []byte // edits the ciphertext
	pulse   []byte              // the signature as stored; nil: no pulse
	before  []subtensor.TimelockedCommit
	after   []subtensor.TimelockedCommit
	block   uint64
}

var (
	alice = verify.AccountID{1, 2, 3}
	bob   = verify.AccountID{4, 5, 6}
)

func newWorld() *world {
	return &world{
		spec: 425, netuid: 7, mecid: 1, hotkey: alice, owner: bob,
		registered: true, uid: 3, size: 8, exists: true, mechanisms: 2,
		permits: []bool{false, false, false, true}, updates: []uint64{0, 0, 0, 900},
		alpha: 1000, threshold: 1000, versionKey: 5, commitReveal: true, rateLimit: 100,
		minWeights: 2, maxWeight: 65535, period: 1, tempo: 100, epochIndex: 41, lastEpoch: 900,
		epoch: 41, round: 1000, seal: 1000, pulse: round1000[:], block: 1000,
		payload: Payload{Hotkey: alice, UIDs: []uint16{0, 2, 7}, Values: []uint16{10, 0, 20}, VersionKey: 5},
	}
}

var wantRow = []subtensor.Weight{{UID: 0, Value: 32768}, {UID: 2, Value: 0}, {UID: 7, Value: 65535}}

var (
	sealed   = map[string][]byte{}
	sealedMu sync.Mutex
)

// sealFor seals for a quicknet round, once for each plaintext.
func sealFor(t testing.TB, round uint64, plain []byte) []byte {
	t.Helper()
	sealedMu.Lock()
	defer sealedMu.Unlock()
	key := fmt.Sprint(round, plain)
	if sealed[key] == nil {
		b, err := tlock.SealWith(drand.Quicknet(), round, plain, [32]byte{1}, [32]byte{2}, [12]byte{3})
		if err != nil {
			t.Fatal(err)
		}
		sealed[key] = b
	}
	return append([]byte(nil), sealed[key]...)
}

func (w *world) rules(t testing.TB) rules.Set {
	t.Helper()
	r, err := rules.For(w.spec)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (w *world) commit(t testing.TB) subtensor.TimelockedCommit {
	plain := w.payload.Append(nil)
	if w.plain != nil {
		plain = w.plain(plain)
	}
	b := sealFor(t, w.seal, plain)
	if w.spoil != nil {
		b = w.spoil(b)
	}
	return subtensor.TimelockedCommit{Hotkey: w.hotkey, Block: 880, Ciphertext: b, Round: w.round}
}

func (w *world) facts(t testing.TB) store {
	t.Helper()
	s := store{}
	r := w.rules(t)
	index, err := subtensor.Index(w.netuid, w.mecid)
	if err != nil {
		t.Fatal(err)
	}
	put := func(key, value []byte) { s[string(key)] = value }
	sub := func(item string, value []byte) { put(subtensor.KeySubnet(item, w.netuid), value) }
	u16, u64, flag := scale.AppendU16, scale.AppendU64, scale.AppendBool
	sub("NetworksAdded", flag(nil, w.exists))
	sub("SubnetworkN", u16(nil, w.size))
	if w.registered {
		put(subtensor.KeyUids(w.netuid, w.hotkey), u16(nil, w.uid))
	}
	b := scale.AppendCompact(nil, uint64(len(w.permits)))
	for _, p := range w.permits {
		b = flag(b, p)
	}
	sub("ValidatorPermit", b)
	b = scale.AppendCompact(nil, uint64(len(w.updates)))
	for _, u := range w.updates {
		b = u64(b, u)
	}
	put(subtensor.KeyLastUpdate(index), b)
	put(subtensor.KeyTotalHotkeyAlpha(w.hotkey, w.netuid), u64(nil, w.alpha))
	if w.parent {
		put(subtensor.KeyTotalHotkeyAlpha(bob, w.netuid), u64(nil, 500))
		put(subtensor.KeyParentKeys(w.hotkey, w.netuid), subtensor.AppendRelations(nil, []subtensor.Relation{{Proportion: 1 << 63, Hotkey: bob}}))
	}
	put(subtensor.KeyValue("StakeThreshold"), u64(nil, w.threshold))
	sub("WeightsVersionKey", u64(nil, w.versionKey))
	sub("CommitRevealWeightsEnabled", flag(nil, w.commitReveal))
	sub("WeightsSetRateLimit", u64(nil, w.rateLimit))
	sub("MinAllowedWeights", u16(nil, w.minWeights))
	sub("MaxWeightsLimit", u16(nil, w.maxWeight))
	sub("RevealPeriodEpochs", u64(nil, w.period))
	sub("MechanismCountCurrent", []byte{w.mechanisms})
	sub("SubnetOwnerHotkey", w.owner[:])
	sub("Tempo", u16(nil, w.tempo))
	if r.StatefulEpochs {
		sub("SubnetEpochIndex", u64(nil, w.epochIndex))
		sub("LastEpochBlock", u64(nil, w.lastEpoch))
	}
	return s
}

func (w *world) build(t testing.TB) (store, subtensor.TimelockedCommit) {
	t.Helper()
	s := w.facts(t)
	c := w.commit(t)
	index, _ := subtensor.Index(w.netuid, w.mecid)
	queue := append(append(append([]subtensor.TimelockedCommit(nil), w.before...), c), w.after...)
	s[string(subtensor.KeyTimelockedWeightCommits(index, w.epoch))] = subtensor.AppendTimelockedCommits(nil, queue)
	if w.pulse != nil {
		s.pulse(w.round, w.pulse)
	}
	return s, c
}

func (s store) pulse(round uint64, sig []byte) {
	s[string(subtensor.KeyPulse(round))] = drand.Stored{Round: round, Randomness: make([]byte, 32), Signature: sig}.Append(nil)
}

func (w *world) fate(t testing.TB, v *drand.Verifier) (*Fate, error) {
	t.Helper()
	s, c := w.build(t)
	return ReadFate(s, w.netuid, w.mecid, w.epoch, c.Hash(), w.hotkey, w.block, v, w.rules(t))
}

var quicknet = func() *drand.Verifier {
	v, err := drand.NewVerifier(drand.Quicknet())
	if err != nil {
		panic(err)
	}
	return v
}()
