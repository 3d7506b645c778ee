package commit

// A Kind is the way in which weights are hidden.
type Kind uint8

const (
	// Hash: only the hash of the weights is stored, and an extrinsic reveals them.
	Hash Kind = iota
	// Timelocked: the weights are stored encrypted to a round of the beacon, and the chain reveals
	// them by itself.
	Timelocked
)

// String returns "hash" or "timelocked".
func (k Kind) String() string {
	switch k {
	case Hash:
		return "hash"
	case Timelocked:
		return "timelocked"
	}
	return "unknown"
}

// A Reason is what became of a commitment or would become of it: Stored, or why not. The zero value
// says nothing. The numbers stand in bundles and never change.
type Reason uint8

const (
	Unknown Reason = iota
	Stored
	PulseMissing
	PulseBad
	CiphertextBad
	Undecryptable
	PayloadBad
	WrongHotkey
	RootSubnet
	NoMechanism
	LengthsDiffer
	TooManyUIDs
	NotRegistered
	StakeTooLow
	VersionKeyOld
	RateLimited
	NoPermit
	DuplicateUID
	UnknownUID
	TooFewWeights
	WeightTooLarge
	Superseded
	Expired
	Overtaken
	TooEarly
	RevealsOff
)

// reasons holds a word and a sentence for each Reason. The comments name the chain's error, or the
// file where it drops an entry without one (pallets/subtensor/src/).
var reasons = [...]struct{ word, says string }{
	Unknown: {"unknown", "what became of it is not known"},
	Stored:  {"stored", "the weights were stored"},

	// coinbase/reveal_commits.rs
	PulseMissing:  {"pulse-missing", "the drand pulse of its round was not on the chain"},
	PulseBad:      {"pulse-bad", "what the chain holds as the drand pulse of its round is no signature of that round"},
	CiphertextBad: {"ciphertext-bad", "what was committed is no ciphertext"},
	Undecryptable: {"undecryptable", "the signature of its round does not open the ciphertext"},
	PayloadBad:    {"payload-bad", "the ciphertext holds no weights payload"},
	WrongHotkey:   {"wrong-hotkey", "the payload was made for another hotkey than the one that committed it"},

	// subnets/weights.rs, internal_set_weights
	RootSubnet:     {"root-subnet", "the root subnet takes no weights"},                                           // CanNotSetRootNetworkWeights
	NoMechanism:    {"no-mechanism", "the subnet or its mechanism does not exist"},                                // MechanismDoesNotExist
	LengthsDiffer:  {"lengths-differ", "there are not as many values as uids"},                                    // WeightVecNotEqualSize
	TooManyUIDs:    {"too-many-uids", "there are more weights than the subnet has uids"},                          // UidsLengthExceedUidsInSubNet
	NotRegistered:  {"not-registered", "the hotkey is not registered on the subnet"},                              // HotKeyNotRegisteredInSubNet
	StakeTooLow:    {"stake-too-low", "the hotkey's stake is below the threshold for setting weights"},            // NotEnoughStakeToSetWeights
	VersionKeyOld:  {"version-key-old", "the version key is below the one the subnet asks for"},                   // IncorrectWeightVersionKey
	RateLimited:    {"rate-limited", "commit-reveal is off, and the last weights were set too few blocks before"}, // SettingWeightsTooFast
	NoPermit:       {"no-permit", "the hotkey has no validator permit, and this is no single weight on itself"},   // NeuronNoValidatorPermit
	DuplicateUID:   {"duplicate-uid", "a uid stands there twice"},                                                 // DuplicateUids
	UnknownUID:     {"unknown-uid", "there is a uid that the subnet has not"},                                     // UidVecContainInvalidOne
	TooFewWeights:  {"too-few-weights", "there are fewer weights than the subnet asks for"},                       // WeightVecLengthIsLow
	WeightTooLarge: {"weight-too-large", "one weight's share of the sum is above the subnet's limit"},             // MaxWeightExceeded

	Superseded: {"superseded", "the weights of a later commitment of the same hotkey were stored over it in the same block"},
	Expired:    {"expired", "its time to be revealed passed"},                                       // ExpiredWeightCommit
	Overtaken:  {"overtaken", "the reveal of a later commitment of the same hotkey threw it away"},  // subnets/weights.rs, internal_reveal_weights
	TooEarly:   {"too-early", "its time to be revealed has not come"},                               // RevealTooEarly
	RevealsOff: {"reveals-off", "commit-reveal is off on the subnet, so that nobody can reveal it"}, // CommitRevealDisabled
}

// String returns the reason as a hyphenated word, "unknown" for what is none.
func (r Reason) String() string {
	if int(r) >= len(reasons) {
		r = Unknown
	}
	return reasons[r].word
}

// Says returns the reason as a sentence.
func (r Reason) Says() string {
	if int(r) >= len(reasons) {
		r = Unknown
	}
	return reasons[r].says
}

// ParseReason returns the reason of a word, and false if there is none.
func ParseReason(word string) (Reason, bool) {
	for r := range reasons {
		if reasons[r].word == word {
			return Reason(r), true
		}
	}
	return Unknown, false
}
