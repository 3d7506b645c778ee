package bundle

import (
	"fmt"
	"strconv"

	"github.com/taolight/taolight/verify/fact"
	"github.com/taolight/taolight/verify/subtensor"
	"github.com/taolight/taolight/verify/trie"
)

// This file judges the claims about blocks, values and subnets; commitment.go those about commitments.

// known returns a block, or an error if its header is missing or it was not linked.
func (j *judge) known(n uint32) (*block, error) {
	b := j.at(n)
	switch {
	case b.header == nil:
		return b, lack("headers", fmt.Errorf("%w: block %s", ErrMissing, number(n)))
	case !b.linked && !j.draft:
		return b, lack("headers", fmt.Errorf("%w: block %s is below the checkpoint, and not linked to the final block", ErrNotReached, number(n)))
	}
	return b, nil
}

func (c HeaderClaim) judge(j *judge) error {
	b, err := j.known(c.Number)
	if err != nil {
		return err
	}
	j.line.Text = fmt.Sprintf("block %s is final: %s", number(b.number), b.hash)
	j.line.add("number", uint64(b.number))
	j.line.add("hash", b.hash.String())
	j.line.add("parent_hash", b.header.ParentHash.String())
	j.line.add("state_root", b.header.StateRoot.String())
	j.line.add("extrinsics_root", b.header.ExtrinsicsRoot.String())
	return nil
}

func (c StorageClaim) judge(j *judge) error {
	b, err := j.known(c.Number)
	if err != nil {
		// What it lacks is all of it, and a draft had better know now.
		_, _ = b.Load(c.Keys...)
		return err
	}
	j.line.add("number", uint64(b.number))
	j.line.add("hash", b.hash.String())
	// One by one, so that the line can say of each key what is proven.
	keys := make([]fact.Key, len(c.Keys))
	present := 0
	var lacking error
	for i, key := range c.Keys {
		keys[i] = fact.Key{Key: fmt.Sprintf("0x%x", key), Outcome: trie.Incomplete.String()}
		values, err := b.Load(key)
		switch {
		case err != nil:
			lacking = first(lacking, err)
		case values[0] == nil:
			keys[i].Outcome = trie.Absent.String()
		default:
			keys[i].Outcome = trie.Present.String()
			keys[i].Value = fmt.Sprintf("0x%x", values[0])
			present++
		}
	}
	j.line.add("keys", keys)
	if lacking != nil {
		return lacking
	}
	j.line.Text = fmt.Sprintf("%s after block %s: %d present, %d absent", count(len(keys), "key"), number(b.number), present, len(keys)-present)
	if len(keys) == 1 && len(keys[0].Value) > 0 && len(keys[0].Value) <= 2+2*40 {
		j.line.Text += ": " + keys[0].Value
	}
	return nil
}

func (c PulseClaim) judge(j *judge) error {
	at := uint32(0)
	if j.final != nil {
		at = j.final.number
	}
	if j.badPulses != nil && j.culprit == c.Round {
		return fail("pulses", j.badPulses)
	}
	p, err := j.pulse(c.Round, at)
	if err != nil {
		return err
	}
	randomness := p.Randomness()
	j.line.add("round", p.Round)
	j.line.add("signature", fmt.Sprintf("0x%x", p.Signature[:]))
	j.line.add("randomness", fmt.Sprintf("0x%x", randomness[:]))
	j.line.Text = fmt.Sprintf("round %s of %s", group(p.Round), name(j.beacon.Name))
	if t, ok := j.beacon.Time(p.Round); ok {
		j.line.add("time", t)
		j.line.Text += ", due " + date(t)
	}
	return nil
}

// rowText writes a row of weights, an entry each.
func rowText(row []subtensor.Weight) []string {
	text := make([]string, len(row))
	for i, w := range row {
		text[i] = fmt.Sprintf("%d:%d", w.UID, w.Value)
	}
	return text
}

func (c WeightsClaim) judge(j *judge) error {
	b, errBlock := j.known(c.At)
	set, errRules := j.rulesAt(b)
	index, err := subtensor.Index(c.Netuid, c.Mecid)
	if err != nil {
		return fail("weights", err)
	}
	uids := []uint16{uint16(c.UID)}
	if c.UID < 0 {
		var n uint16
		var q subtensor.Batch
		q.Subnet("SubnetworkN", c.Netuid, &n)
		if err := first(errBlock, errRules, q.Load(b)); err != nil {
			return err
		}
		uids = make([]uint16, n)
		for uid := range uids {
			uids[uid] = uint16(uid)
		}
	}
	rows := make([]subtensor.Bytes, len(uids))
	var q subtensor.Batch
	for i, uid := range uids {
		q.Key("Weights", subtensor.KeyWeights(index, uid), &rows[i])
	}
	if err := first(errBlock, errRules, q.Load(b)); err != nil {
		return err
	}
	j.line.add("number", uint64(b.number))
	j.line.add("hash", b.hash.String())
	j.line.add("netuid", uint64(c.Netuid))
	j.line.add("mecid", uint64(c.Mecid))
	given, entries := 0, 0
	decoded := make([][]subtensor.Weight, len(uids))
	for i, raw := range rows {
		if raw == nil {
			continue
		}
		if decoded[i], err = subtensor.DecodeWeights(raw); err != nil {
			return fmt.Errorf("weights of uid %d: %w", uids[i], err)
		}
		given++
		entries += len(decoded[i])
	}
	where := subnet(c.Netuid, c.Mecid) + " after block " + number(c.At)
	if c.UID >= 0 {
		j.line.add("uid", uint64(c.UID))
		j.line.add("present", rows[0] != nil)
		j.line.add("weights", rowText(decoded[0]))
		j.line.Text = fmt.Sprintf("uid %d on %s: %s", c.UID, where, count(entries, "weight"))
		if rows[0] == nil {
			j.line.Text = fmt.Sprintf("uid %d on %s has set none", c.UID, where)
		}
	} else {
		all := make([]string, 0, given)
		for i, row := range decoded {
			if rows[i] == nil {
				continue
			}
			text := strconv.Itoa(i)
			for _, w := range rowText(row) {
				text += " " + w
			}
			all = append(all, text)
		}
		j.line.add("uids", uint64(len(uids)))
		j.line.add("rows", all)
		j.line.Text = fmt.Sprintf("%s: %d of %s have set weights, %s", where, given, count(len(uids), "uid"), count(entries, "weight"))
	}
	j.label(set)
	return nil
}

func (c SubnetClaim) judge(j *judge) error {
	b, errBlock := j.known(c.At)
	set, errRules := j.rulesAt(b)
	s, err := subtensor.ReadSnapshot(b, c.Netuid)
	if err := first(errBlock, errRules, err); err != nil {
		return err
	}
	add := j.line.add
	add("number", uint64(b.number))
	add("hash", b.hash.String())
	add("netuid", uint64(c.Netuid))
	add("exists", s.Exists)
	add("uids", uint64(s.N))
	add("tempo", uint64(s.Tempo))
	add("mechanisms", uint64(s.Mechanisms))
	add("last_step", s.LastStep)
	hotkeys := make([]string, len(s.Hotkeys))
	for i := range s.Hotkeys {
		hotkeys[i] = s.Hotkeys[i].String()
	}
	add("hotkeys", hotkeys)
	permits := 0
	for _, p := range s.ValidatorPermit {
		if p {
			permits++
		}
	}
	add("permits", uint64(permits))
	for _, v := range []struct {
		name   string
		vector []string
	}{
		{"validator_permit", texts(s.ValidatorPermit)}, {"active", texts(s.Active)},
		{"consensus", texts(s.Consensus)}, {"incentive", texts(s.Incentive)}, {"dividends", texts(s.Dividends)},
		{"validator_trust", texts(s.ValidatorTrust)}, {"stake_weight", texts(s.StakeWeight)}, {"emission", texts(s.Emission)},
		{"last_update", texts(s.LastUpdate)}, {"block_at_registration", texts(s.BlockAtRegistration)},
	} {
		add(v.name, v.vector)
	}
	j.line.Text = fmt.Sprintf("subnet %d after block %s: %s, %s, tempo %d, last epoch in %s", c.Netuid, number(c.At), count(int(s.N), "uid"), count(permits, "permit"), s.Tempo, "#"+group(s.LastStep))
	if !s.Exists {
		j.line.Text = fmt.Sprintf("subnet %d does not exist after block %s", c.Netuid, number(c.At))
	}
	j.label(set)
	return nil
}

func texts[T any](vector []T) []string {
	list := make([]string, len(vector))
	for i, v := range vector {
		list[i] = fmt.Sprint(v)
	}
	return list
}
