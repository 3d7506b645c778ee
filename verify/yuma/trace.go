package yuma

// A Trace holds what an epoch computes on its way, so that a result can be explained: vectors by uid,
// and matrices with a row for each neuron. Names gives them by the name that upstream's log has for
// them, or its source.
type Trace struct {
	ActivityCutoff uint64 // blocks since the last update after which a neuron is inactive
	Kappa          I32F32 // the stake that a consensus weight needs
	BondsPenalty   I32F32 // how much of the clipping goes into the bonds
	LastTempo      uint64 // a neuron that registered in this block or later is new to the bonds
	Alpha          I32F32 // the share of new bonds in the moving average, without liquid alpha

	Stake          []I32F32 // shares of the stake that counts
	ActiveStake    []I32F32 // the same of those that are active and have a permit
	Consensus      []I32F32 // by uid of whom the weights are for
	ValidatorTrust []I32F32 // the sum of a row of clipped weights
	Preranks       []I32F32 // what a neuron would have as rank, were no weight clipped
	Ranks          []I32F32 // the stake behind a neuron's clipped weights
	Trust          []I32F32 // how much of its rank is left by the clipping
	Incentive      []I32F32 // shares of the ranks
	TotalBonds     []I32F32 // Yuma3: what a validator's bonds are worth, before its stake counts
	Dividends      []I32F32 // shares of what the bonds are worth
	Server         []I32F32 // shares of the emission: of the incentive,
	Validator      []I32F32 // of the dividends, or of the stake where there are neither,
	Combined       []I32F32 // and of both

	Weights         *Matrix // those that count, as shares
	ClippedWeights  *Matrix // none above the consensus
	WeightsForBonds *Matrix // between these two, by the penalty
	OldBonds        *Matrix // those of the last epoch that count; Yuma2: shares by column
	BondsDelta      *Matrix // Yuma2: the new bonds, shares by column
	Alphas          *Matrix // liquid alpha: the share of the new in each bond
	BondShares      *Matrix // the bonds of this epoch, shares by column
	Bonds           *Matrix // the bonds of this epoch as they are stored, but for their quantization
}

// vectors and matrices are what has a name.

var vectors = []struct {
	name string
	of   func(*Trace) []I32F32
}{
	{"stake", func(t *Trace) []I32F32 { return t.Stake }},
	{"active_stake", func(t *Trace) []I32F32 { return t.ActiveStake }},
	{"consensus", func(t *Trace) []I32F32 { return t.Consensus }},
	{"validator_trust", func(t *Trace) []I32F32 { return t.ValidatorTrust }},
	{"preranks", func(t *Trace) []I32F32 { return t.Preranks }},
	{"ranks", func(t *Trace) []I32F32 { return t.Ranks }},
	{"trust", func(t *Trace) []I32F32 { return t.Trust }},
	{"incentive", func(t *Trace) []I32F32 { return t.Incentive }},
	{"total_bonds_per_validator", func(t *Trace) []I32F32 { return t.TotalBonds }},
	{"dividends", func(t *Trace) []I32F32 { return t.Dividends }},
	{"normalized_server_emission", func(t *Trace) []I32F32 { return t.Server }},
	{"normalized_validator_emission", func(t *Trace) []I32F32 { return t.Validator }},
	{"normalized_combined_emission", func(t *Trace) []I32F32 { return t.Combined }},
}

var matrices = []struct {
	name string
	of   func(*Trace) *Matrix
}{
	{"weights", func(t *Trace) *Matrix { return t.Weights }},
	{"clipped_weights", func(t *Trace) *Matrix { return t.ClippedWeights }},
	{"weights_for_bonds", func(t *Trace) *Matrix { return t.WeightsForBonds }},
	{"bonds", func(t *Trace) *Matrix { return t.OldBonds }},
	{"bonds_delta", func(t *Trace) *Matrix { return t.BondsDelta }},
	{"alphas", func(t *Trace) *Matrix { return t.Alphas }},
	{"ema_bonds_norm", func(t *Trace) *Matrix { return t.BondShares }},
	{"ema_bonds", func(t *Trace) *Matrix { return t.Bonds }},
}

// Names returns the names that Vector and Matrix know, each in the order of computation.
func (t *Trace) Names() (vector, matrix []string) {
	for _, v := range vectors {
		vector = append(vector, v.name)
	}
	for _, m := range matrices {
		matrix = append(matrix, m.name)
	}
	return vector, matrix
}

// Vector returns a vector by its name. ok is false if there is none, as there is no
// total_bonds_per_validator without Yuma3.
func (t *Trace) Vector(name string) (v []I32F32, ok bool) {
	for _, x := range vectors {
		if x.name == name {
			v = x.of(t)
		}
	}
	return v, v != nil
}

// Matrix returns a matrix by its name. ok is false if there is none, as there are no alphas without
// liquid alpha.
func (t *Trace) Matrix(name string) (m *Matrix, ok bool) {
	for _, x := range matrices {
		if x.name == name {
			m = x.of(t)
		}
	}
	return m, m != nil
}
