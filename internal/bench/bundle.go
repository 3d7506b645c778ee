package main

import (
	"crypto/ed25519"
	"fmt"
	"runtime"
	"slices"
	"strings"

	"github.com/taolight/taolight/gossip/carrier"
	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/bundle"
	"github.com/taolight/taolight/verify/checkpoint"
	"github.com/taolight/taolight/verify/commit"
	"github.com/taolight/taolight/verify/drand"
	"github.com/taolight/taolight/verify/grandpa"
	"github.com/taolight/taolight/verify/subtensor"
	"github.com/taolight/taolight/verify/tlock"
	"github.com/taolight/taolight/verify/trie"
)

// bundles measures what bundles weigh, beside the evidence in the forms in which peers hand it out, and
// what it takes to verify them.
func bundles() ([]row, error) {
	c, err := newLedger()
	if err != nil {
		return nil, err
	}
	rows := []row{c.figures()}
	votes, err := c.votes()
	if err != nil {
		return nil, err
	}
	rows = append(rows, votes)

	apart := 0
	var made, madeLate, revealed []bundle.Claim
	for _, id := range c.sealed[revealing] {
		made = append(made, bundle.MadeClaim{CommitID: id, At: id.Block})
		madeLate = append(madeLate, bundle.MadeClaim{CommitID: id, At: c.reveal - 1})
		revealed = append(revealed, bundle.RevealedClaim{CommitID: id, At: c.reveal})
		p, err := c.pack(made[len(made)-1], revealed[len(revealed)-1])
		if err != nil {
			return nil, err
		}
		apart += len(p.bytes)
	}
	lost := c.sealed[losing][loser]
	snapshot := bundle.SubnetClaim{Netuid: dense, At: c.head()}
	all := bundle.WeightsClaim{Netuid: dense, At: c.head(), UID: -1}
	packs := make(map[string]*pack)
	for _, b := range []struct {
		name   string
		claims []bundle.Claim
	}{
		{"header", []bundle.Claim{bundle.HeaderClaim{Number: c.head()}}},
		{"storage, one account", []bundle.Claim{bundle.StorageClaim{Number: c.head(), Keys: c.accounts[:1]}}},
		{"commitment, made and revealed", []bundle.Claim{made[committers/2], revealed[committers/2]}},
		{"commitment, made (as shown before its reveal) and revealed", []bundle.Claim{madeLate[committers/2], revealed[committers/2]}},
		{"commitment, made and lost", []bundle.Claim{
			bundle.MadeClaim{CommitID: lost, At: lost.Block}, bundle.LostClaim{CommitID: lost, At: c.reveal, Why: commit.NoPermit},
		}},
		{"weights of one uid", []bundle.Claim{bundle.WeightsClaim{Netuid: dense, At: c.head(), UID: 30}}},
		{"weights of 256 uids", []bundle.Claim{all}},
		{"subnet of 256 uids", []bundle.Claim{snapshot}},
		{"subnet of 256 uids and its weights", []bundle.Claim{snapshot, all}},
		{"Yuma epoch of 64 uids", []bundle.Claim{bundle.EpochClaim{Netuid: part, Block: c.step}}},
		{"Yuma epoch of 256 uids", []bundle.Claim{bundle.EpochClaim{Netuid: whole, Block: c.step}}},
		{"an epoch's 12 commitments, made and revealed", slices.Concat(made, revealed)},
		{"an epoch's 12 commitments, made (as shown before the reveal) and revealed", slices.Concat(madeLate, revealed)},
	} {
		p, err := c.pack(b.claims...)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", b.name, err)
		}
		packs[b.name] = p
		rows = append(rows, p.row(b.name))
	}
	for _, shown := range []string{"made and revealed", "made (as shown before the reveal) and revealed"} {
		kept := len(packs["an epoch's 12 commitments, "+shown].bytes)
		rows = append(rows, row{
			figure: "archive of an epoch, 12 commitments " + shown, budget: "< 12 bundles",
			measured: fmt.Sprintf("%s B, %.2f × %s; %.2f MB/day of 7,200 blocks", digits(kept), float64(kept)/float64(apart), digits(apart), float64(kept)*7200/tempo/1e6),
			ok:       kept < apart,
		})
	}

	// The state is of no use from here on, and collecting it would be measured too.
	e := &evidence{checkpoint: c.checkpoint(), beacon: c.beacon, pulses: c.pulses, final: c.final, packs: packs}
	for _, id := range c.sealed[revealing] {
		e.sealed = append(e.sealed, c.ciphertexts[id.Hash])
	}
	c = nil
	runtime.GC()
	timed, err := e.verifying()
	return append(rows, timed...), err
}

// evidence is what is left to verify once the chain is gone.
type evidence struct {
	checkpoint *checkpoint.Checkpoint
	beacon     drand.Beacon
	pulses     []drand.Pulse
	sealed     [][]byte // of the committers, each in turn to the next round
	final      grandpa.Fragment
	packs      map[string]*pack
}

// verifying measures what reading and judging a bundle takes.
func (e *evidence) verifying() ([]row, error) {
	v, err := drand.NewVerifier(e.beacon)
	if err != nil {
		return nil, err
	}
	judge := func(name string) func() {
		b := e.packs[name].bytes
		return func() {
			x, err := bundle.Decode(b)
			must(err)
			if r := x.Verify(bundle.Options{Checkpoint: e.checkpoint}); r.Verdict() != "proven" {
				panic(r.String())
			}
		}
	}
	// What nobody who checks the votes can do without.
	j := e.final.Justification
	var payloads [][grandpa.PayloadSize]byte
	for _, p := range j.Commit.Precommits {
		payloads = append(payloads, grandpa.PrecommitPayload(p.TargetHash, p.TargetNumber, j.Round, e.checkpoint.Set.ID))
	}
	plain := func(name string) func() {
		b := e.packs[name].bytes
		return func() {
			verify.Blake2b256(b)
			for i, p := range j.Commit.Precommits {
				if !ed25519.Verify(p.ID[:], payloads[i][:], p.Signature[:]) {
					panic("a vote is not signed")
				}
			}
		}
	}
	const commitment, epoch = "commitment, made and revealed", "an epoch's 12 commitments, made and revealed"
	hashes := func(name string) func() {
		x, err := bundle.Decode(e.packs[name].bytes)
		must(err)
		return func() {
			for _, n := range x.Nodes {
				verify.Blake2b256(n)
			}
		}
	}
	epochs := []string{"Yuma epoch of 64 uids", "Yuma epoch of 256 uids"}
	const subnet, both = "subnet of 256 uids", "subnet of 256 uids and its weights"
	const one = committers / 2
	t := race(
		judge(commitment),
		func() {
			p := e.pulses[one%rounds]
			must(v.Verify(p))
			c, err := tlock.Parse(e.sealed[one])
			must(err)
			_, err = c.Open(p.Signature)
			must(err)
		},
		func() { _, err := drand.NewVerifier(e.beacon); must(err) },
		plain(commitment),
		judge(epoch),
		func() {
			must(v.VerifyAll(e.pulses))
			o, err := tlock.NewOpener(e.pulses[0].Signature)
			must(err)
			for round, p := range e.pulses {
				o, err := o.With(p.Signature)
				must(err)
				for i := round; i < len(e.sealed); i += rounds {
					c, err := tlock.Parse(e.sealed[i])
					must(err)
					_, err = o.Open(c)
					must(err)
				}
			}
		},
		judge(subnet), plain(subnet),
		judge(both), plain(both),
		judge(epochs[0]), hashes(epochs[0]),
		judge(epochs[1]), hashes(epochs[1]),
	)
	first := ratio("verifying a commitment bundle / its pulse and its ciphertext alone", "≤ 1.50", 1.5, t[0], t[1])
	first.measured += fmt.Sprintf(", so %.0f %% is pairings; %v is the beacon's key, %v its hash and %d ed25519 checks",
		100*float64(t[1])/float64(t[0]), t[2], t[3], len(payloads))
	rows := []row{
		first,
		ratio("verifying an epoch's 12 commitments / their 3 pulses and 12 ciphertexts with one opener", "≤ 1.50", 1.5, t[4], t[5]),
	}
	for i, name := range []string{"subnet", "subnet and weights"} {
		ours, other := t[6+2*i], t[7+2*i]
		ms := ours.Seconds() * 1e3
		rows = append(rows, row{
			figure: "verifying a 256-neuron bundle: " + name, budget: "≤ 150 ms",
			measured: fmt.Sprintf("%.1f ms, %.1f × its hash and %d ed25519 checks (%v)", ms, float64(ours)/float64(other), len(payloads), other),
			ok:       ms <= 150,
		})
	}
	for i, name := range epochs {
		p, ours, hashing := e.packs[name], t[10+2*i], t[11+2*i]
		ms := ours.Seconds() * 1e3
		_, size := allocated(judge(name))
		rows = append(rows, row{
			figure: "verifying a bundle: " + name, budget: "≤ 150 ms, 16 MB",
			measured: fmt.Sprintf("%.1f ms, of which hashing %s B of nodes is %.0f %% (%v); allocates %.1f MB, all together", ms, digits(p.nodes), 100*float64(hashing)/float64(ours), hashing, float64(size)/1e6),
			ok:       ms <= 150 && size <= 16e6,
		})
	}
	return rows, nil
}

// A pack is a bundle, and what its evidence would be as peers hand it out.
type pack struct {
	bytes                          []byte
	votes, headers, nodes, pulses  int // bytes of the parts
	rawVotes, rawHeaders, rawNodes int
}

func (p *pack) row(name string) row {
	chunks, err := carrier.Split(p.bytes, carrier.Options{})
	must(err)
	raw := p.rawVotes + p.rawHeaders + p.rawNodes + p.pulses
	return row{
		figure: "bundle: " + name, budget: "< raw",
		measured: fmt.Sprintf("%s B, %d LoRa chunks, %.2f × raw %s: votes %s of %s, headers %s of %s, nodes with links %s of %s",
			digits(len(p.bytes)), len(chunks), float64(len(p.bytes))/float64(raw), digits(raw), digits(p.votes), digits(p.rawVotes),
			digits(p.headers), digits(p.rawHeaders), digits(p.nodes), digits(p.rawNodes)),
		ok: len(p.bytes) < raw,
	}
}

// pack makes a bundle of claims and verifies it, and adds up the same evidence without its devices: the
// justification as it is gossiped, each header down to the lowest block in question, and a minimal proof for
// each block, as one response would hold it.
func (c *ledger) pack(claims ...bundle.Claim) (*pack, error) {
	d, err := bundle.NewDraft(c.genesis, c.root(), c.start(), nil, c.final, claims, bundle.DraftOptions{Beacon: c.beacon})
	if err != nil {
		return nil, err
	}
	asked := make(map[uint32][][]byte)
	for {
		wants, err := d.Missing()
		if err != nil {
			return nil, err
		}
		if len(wants) == 0 {
			break
		}
		for _, w := range wants {
			if w.Header {
				if err := d.AddHeader(c.headers[w.Number-c.first]); err != nil {
					return nil, err
				}
			}
			if len(w.Keys) > 0 {
				state := c.states[w.Number]
				if state == nil {
					return nil, fmt.Errorf("the state of block %d was not kept", w.Number)
				}
				if err := d.AddProof(w.Number, state.Prove(w.Keys...)); err != nil {
					return nil, err
				}
				asked[w.Number] = append(asked[w.Number], w.Keys...)
			}
			for _, round := range w.Pulses {
				if err := d.AddPulse(c.pulses[round-1]); err != nil {
					return nil, err
				}
			}
		}
	}
	x, err := d.Bundle()
	if err != nil {
		return nil, err
	}
	p := &pack{
		bytes: x.Encode(), votes: len(x.Final.Votes.Append(nil)), headers: len(x.Final.Header.Append(nil)),
		rawVotes: len(c.final.Justification.Append(nil)), pulses: 56 * len(x.Pulses),
	}
	if len(x.Nodes) > 0 {
		p.nodes = len(trie.AppendProof(nil, x.Nodes))
	}
	lowest := x.Final.Header.Number
	for _, h := range x.Headers {
		p.headers += len(h.Append(nil))
		lowest = min(lowest, h.Number)
	}
	for _, h := range c.headers[lowest-c.first:] {
		p.rawHeaders += len(h.Append(nil))
	}
	for n, keys := range asked {
		keys = slices.DeleteFunc(keys, func(k []byte) bool { return strings.HasPrefix(string(k), string(subtensor.Prefix("BlockHash"))) })
		if len(keys) > 0 {
			p.rawNodes += len(trie.AppendProof(nil, c.states[n].Prove(keys...)))
		}
	}
	return p, nil
}

// digits writes a number of bytes.
func digits(n int) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%s,%03d", digits(n/1000), n%1000)
}

// figures says what the sizes are of.
func (c *ledger) figures() row {
	account, uid := c.state.Prove(c.accounts[0]), c.state.Prove(subtensor.KeyKeys(dense, 30))
	return row{
		figure: "state that bundles are cut from", budget: "—",
		measured: fmt.Sprintf("%s keys under the chain's own prefixes; an account is proven by %d nodes, a uid's hotkey by %d; %d committers, %d weights each; no change of authorities on the way",
			digits(c.state.Len()), len(account), len(uid), committers, miners),
		ok: true,
	}
}

// votes compares the two forms of a justification.
func (c *ledger) votes() (row, error) {
	f, err := bundle.NewFragment(c.final, &c.set)
	if err != nil {
		return row{}, err
	}
	short, raw := len(f.Votes.Append(nil)), len(c.final.Justification.Append(nil))
	return row{
		figure: fmt.Sprintf("justification in a bundle, %d of %d votes / raw", len(f.Votes.List), authorities), budget: "≤ 1,000 B",
		measured: fmt.Sprintf("%s B, %.2f × %s", digits(short), float64(short)/float64(raw), digits(raw)), ok: short <= 1000 && len(f.Votes.List) == 14,
	}, nil
}
