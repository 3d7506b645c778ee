package epoch

import (
	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/rules"
	"github.com/taolight/taolight/verify/scale"
	"github.com/taolight/taolight/verify/subtensor"
)

// pending is what waits for the epoch before its block, and what tells how much the block adds
// (pallets/subtensor/src/coinbase/run_coinbase.rs, emit_to_subnets; subnet_emissions.rs,
// get_subnets_to_emit_to).
type pending struct {
	server, validator, root uint64
	first                   subtensor.Bytes // FirstEmissionBlockNumber
	subtoken, registration  bool
	alphaIn, alphaOut       uint64
	rootTAO                 uint64
	cut                     uint16
	cutEnabled              bool
}

// rootDivs is the first spec whose part of root waits in PendingRootAlphaDivs
// (v3.2.10, pallets/subtensor/src/lib.rs; before it in PendingAlphaSwapped).
const rootDivs = 334

// emissionSwitches is the first spec under which a subnet has to have its token enabled and registration
// allowed to get emission (v3.3.0, pallets/subtensor/src/coinbase/subnet_emissions.rs). What
// SubnetEmissionEnabled switches off later is the TAO alone.
const emissionSwitches = 361

// emits reports whether the block adds anything.
func (p *pending) emits(r rules.Set) bool {
	return p.first != nil && (r.Spec < emissionSwitches || p.subtoken && p.registration)
}

// ask asks for all of it, with the chain's defaults for what is absent.
func (p *pending) ask(q *subtensor.Batch, netuid uint16, r rules.Set) {
	*p = pending{registration: true, cutEnabled: true, cut: 11_796}
	if r.PendingSplit {
		more(q, "PendingServerEmission", netuid, &p.server)
		more(q, "PendingValidatorEmission", netuid, &p.validator)
	} else {
		more(q, "PendingEmission", netuid, &p.server)
	}
	if r.Spec >= rootDivs {
		more(q, "PendingRootAlphaDivs", netuid, &p.root)
	} else {
		more(q, "PendingAlphaSwapped", netuid, &p.root)
	}
	more(q, "FirstEmissionBlockNumber", netuid, &p.first)
	if r.Spec >= emissionSwitches {
		more(q, "SubtokenEnabled", netuid, &p.subtoken)
		more(q, "NetworkRegistrationAllowed", netuid, &p.registration)
	}
	more(q, "SubnetAlphaIn", netuid, &p.alphaIn)
	more(q, "SubnetAlphaOut", netuid, &p.alphaOut)
	more(q, "SubnetTAO", 0, &p.rootTAO)
	if r.OwnerCutSwitch {
		more(q, "OwnerCutEnabled", netuid, &p.cutEnabled)
	}
	q.Key("SubnetOwnerCut", verify.StorageKey("SubtensorModule", "SubnetOwnerCut"), &p.cut)
}

// more adds a read of an item kept by netuid that package subtensor has no default for: into holds it.
func more(q *subtensor.Batch, item string, netuid uint16, into any) {
	q.Key(item, subnetKey(item, netuid), into)
}

func subnetKey(item string, netuid uint16) []byte {
	if k := subtensor.KeySubnet(item, netuid); k != nil {
		return k
	}
	return scale.AppendU16(verify.StorageKey("SubtensorModule", item), netuid)
}
