package demonet

import "fmt"

// An EmissionFault is a rule of the emission that the chain breaks, in every block.
type EmissionFault int

// The faults, by the check that finds them.
const (
	NoEmissionFault EmissionFault = iota
	WrongGrowth
	WrongMint
	WrongIssuance
	WrongBalances
	WrongAlpha
	Recycling
)

var emissionFaults = [...]struct{ name, check, what string }{
	NoEmissionFault: {"none", "", "emits what it should"},
	WrongGrowth:     {"growth", "growth", "issues a rao more than a block emits"},
	WrongMint:       {"mint", "mint", "issues TAO with nothing left to be minted"},
	WrongIssuance:   {"issuance", "issuance", "has issued a rao more than there will ever be"},
	WrongBalances:   {"balances", "balances", "has a rao more in its balances than there will ever be"},
	WrongAlpha:      {"alpha", "alpha", "emits a rao more of alpha than a subnet's issuance calls for"},
	Recycling:       {"recycling", "growth", "recycles more TAO than it issues, which may be right"},
}

func (f EmissionFault) String() string {
	if f < 0 || int(f) >= len(emissionFaults) {
		return fmt.Sprintf("emission fault %d", int(f))
	}
	return emissionFaults[f].name
}

// What says in words what a chain with that fault does.
func (f EmissionFault) What() string { return emissionFaults[f].what }

// Check is the name of the check that finds it.
func (f EmissionFault) Check() string { return emissionFaults[f].check }

// ParseEmissionFault returns the fault of a name, such as "growth".
func ParseEmissionFault(name string) (EmissionFault, error) {
	for f := range emissionFaults {
		if emissionFaults[f].name == name {
			return EmissionFault(f), nil
		}
	}
	return 0, fmt.Errorf("demo network: no emission fault is called %q", name)
}

// EmissionFaults returns every fault, NoEmissionFault left out.
func EmissionFaults() []EmissionFault {
	out := make([]EmissionFault, 0, len(emissionFaults)-1)
	for f := 1; f < len(emissionFaults); f++ {
		out = append(out, EmissionFault(f))
	}
	return out
}
