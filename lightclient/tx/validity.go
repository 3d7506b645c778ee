package tx

import (
	"errors"
	"fmt"

	"github.com/taolight/taolight/verify/scale"
)

// Errors of what the chain says.
var (
	// ErrRefused: the runtime takes the transaction for invalid. A Refusal says why.
	ErrRefused = errors.New("the chain refuses the transaction")
	// ErrLapsed: its era is over.
	ErrLapsed = errors.New("the transaction's era is over")
)

// maxTags bounds the tags of a transaction.
const maxTags = 64

// A Validity is what the runtime says of a transaction that it would take (sp_runtime::ValidTransaction).
type Validity struct {
	Priority  uint64
	Requires  [][]byte // tags that have to be there before it: a nonce that is not reached yet
	Provides  [][]byte
	Longevity uint64 // blocks
	Propagate bool
}

// A Refusal is why the runtime would not take a transaction (sp_runtime::TransactionValidityError). It is an
// ErrRefused.
type Refusal struct {
	Unknown bool  // UnknownTransaction, else InvalidTransaction
	Kind    uint8 // its index
	Custom  uint8 // of the kind Custom
}

// A reason is a name with what it means.
type reason struct{ name, text string }

// invalid and unknown are in the order of their indices (sp_runtime, transaction_validity.rs).
var (
	invalid = [...]reason{
		{"Call", "the call is not allowed, or not now"},
		{"Payment", "the account cannot pay the fee"},
		{"Future", "its nonce is ahead of the account's"},
		{"Stale", "its nonce is used already, or its era is not one the chain takes"},
		{"BadProof", "the signature is not for this chain, runtime and account"},
		{"AncientBirthBlock", "the block that its era begins with is not in the chain, or too far back"},
		{"ExhaustsResources", "it does not fit a block"},
		{"Custom", ""},
		{"BadMandatory", "only a block's author may put it there"},
		{"MandatoryValidation", "only a block's author may put it there"},
		{"BadSigner", "the signer is none"},
		{"IndeterminateImplicit", "what it signed cannot be told"},
		{"UnknownOrigin", "nobody signed it"},
	}
	unknown = [...]reason{
		{"CannotLookup", "the runtime cannot tell its signer, or was built without the metadata hash that it signed"},
		{"NoUnsignedValidator", "nothing of its kind goes without a signature"},
		{"Custom", ""},
	}
)

// custom are the codes of subtensor's own checks (common/src/transaction_error.rs). Those to 24 have meant the same
// since they are there; of the others three were given to something else after spec 425, and both meanings are told.
var custom = map[uint8]reason{
	0:   {"ColdkeyInSwapSchedule", "a swap of the coldkey is announced"},
	1:   {"StakeAmountTooLow", "too little stake, or not enough of it for weights"},
	2:   {"BalanceTooLow", "the balance is too low"},
	3:   {"SubnetNotExists", "there is no such subnet"},
	4:   {"HotkeyAccountDoesntExist", "the hotkey is not known to the chain"},
	5:   {"NotEnoughStakeToWithdraw", "there is less stake than that"},
	6:   {"RateLimitExceeded", "too soon after the last one of its kind"},
	7:   {"InsufficientLiquidity", "the subnet's pool is too small for it"},
	8:   {"SlippageTooHigh", "the price would move past the limit"},
	9:   {"TransferDisallowed", "the subnet does not allow transfers of stake"},
	10:  {"HotKeyNotRegisteredInNetwork", "the hotkey is not registered on the subnet"},
	11:  {"InvalidIpAddress", "the address is none that can be reached"},
	12:  {"ServingRateLimitExceeded", "too soon after the last announcement of this axon"},
	13:  {"InvalidPort", "the port is none"},
	14:  {"ZeroMaxAmount", "nothing can be moved within the limit"},
	15:  {"InvalidRevealRound", "the round of the reveal is past"},
	16:  {"CommitNotFound", "there is no such commitment to reveal"},
	17:  {"CommitBlockNotInRevealRange", "it is not the time to reveal it"},
	18:  {"InputLengthsUnequal", "lists differ in length"},
	19:  {"UidNotFound", "the hotkey has no uid on the subnet"},
	20:  {"EvmKeyAssociateRateLimitExceeded", "too soon after the last association of a key"},
	21:  {"ColdkeySwapDisputed", "a swap of the coldkey is disputed"},
	22:  {"InvalidRealAccount", "the account it acts for is none"},
	23:  {"FailedShieldedTxParsing", "the shielded transaction cannot be read"},
	24:  {"InvalidShieldedTxPubKeyHash", "it is shielded with a key that is not the next author's"},
	25:  {"NonAssociatedColdKey or CommitRevealEnabled", "to spec 425: the coldkey does not own the hotkey; later: the subnet wants commitments"},
	26:  {"DelegateTakeTooLow or CommitRevealDisabled", "to spec 425: the take is too low; later: the subnet takes no commitments"},
	27:  {"DelegateTakeTooHigh or NonAssociatedColdKey", "to spec 425: the take is too high; later: the coldkey does not own the hotkey"},
	28:  {"InvalidIpType", "the kind of address is neither 4 nor 6"},
	29:  {"IncorrectCommitRevealVersion", "the chain wants another version of the commitment"},
	30:  {"CommittingWeightsTooFast", "too soon after the last commitment"},
	31:  {"TooManyUnrevealedCommits", "as many commitments wait to be revealed as may"},
	32:  {"NewHotKeyIsSameWithOld", "the new hotkey is the old one"},
	33:  {"HotKeyAlreadyRegisteredInSubNet", "the hotkey is on the subnet already"},
	34:  {"NotEnoughBalanceToPaySwapHotKey", "the balance does not pay the swap of a hotkey"},
	35:  {"HotKeySwapOnSubnetIntervalNotPassed", "too soon after the last swap of a hotkey there"},
	36:  {"DelegateTakeTooLow", "the take is too low"},
	37:  {"DelegateTakeTooHigh", "the take is too high"},
	38:  {"InvalidWorkBlock", "the work is for another block"},
	39:  {"InvalidDifficulty", "the work is too little"},
	40:  {"InvalidSeal", "the work's seal does not hold"},
	255: {"BadRequest", "the runtime says no more"},
}

func (r *Refusal) reason() reason {
	list := invalid[:]
	if r.Unknown {
		list = unknown[:]
	}
	if int(r.Kind) >= len(list) {
		return reason{fmt.Sprintf("variant %d", r.Kind), "a reason that is not known here"}
	}
	return list[r.Kind]
}

// Name returns what the refusal is called: Stale, Payment, or of the chain's own RateLimitExceeded.
func (r *Refusal) Name() string {
	x := r.reason()
	if x.name != "Custom" {
		return x.name
	}
	if c, ok := custom[r.Custom]; ok && !r.Unknown {
		return c.name
	}
	return fmt.Sprintf("Custom(%d)", r.Custom)
}

// Error returns the name, with the number that other tools show, and what it means.
func (r *Refusal) Error() string {
	x, number := r.reason(), ""
	if x.name == "Custom" {
		number = fmt.Sprintf(" (custom error %d)", r.Custom)
		if c, ok := custom[r.Custom]; ok && !r.Unknown {
			x = c
		} else {
			x.text = "a reason of the chain's own that is not known here"
		}
	}
	return fmt.Sprintf("%v: %s%s: %s", ErrRefused, r.Name(), number, x.text)
}

// Unwrap returns ErrRefused.
func (r *Refusal) Unwrap() error { return ErrRefused }

// DecodeValidity decodes the answer of TaggedTransactionQueue_validate_transaction. A *Refusal is the runtime's own
// no; any other error says that the bytes are no answer.
func DecodeValidity(b []byte) (*Validity, error) {
	r := scale.NewReader(b)
	if r.Bool() {
		x := &Refusal{Unknown: r.Bool(), Kind: r.Byte()}
		if x.reason().name == "Custom" {
			x.Custom = r.Byte()
		}
		if err := r.Finish(); err != nil {
			return nil, fmt.Errorf("TransactionValidityError: %w", err)
		}
		return nil, x
	}
	v := &Validity{Priority: r.U64()}
	tags := func() (out [][]byte) {
		for range r.Count(1, maxTags) {
			out = append(out, append([]byte(nil), r.Blob(-1)...))
		}
		return out
	}
	v.Requires, v.Provides = tags(), tags()
	v.Longevity, v.Propagate = r.U64(), r.Bool()
	if err := r.Finish(); err != nil {
		return nil, fmt.Errorf("ValidTransaction: %w", err)
	}
	return v, nil
}
