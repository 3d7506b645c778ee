package fact

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/taolight/taolight/verify/internal/jsonfield"
)

// MaxInput bounds the bytes of an input, of one fact or of many.
const MaxInput = 64 << 20

// MaxFacts bounds the facts in one input.
const MaxFacts = 100_000

// Options are what a record may leave to its caller.
type Options struct {
	// Network is meant where a record names none; empty stands for finney.
	Network string
}

// A Kind says what a kind of fact reads and what it says.
type Kind struct {
	Name  string
	Input string // the fields, in a line of help
	check func(*check) error
}

var kinds = []Kind{
	{"header", "header_scale, network, aura_authorities (a list, or lists by network; else the compiled-in one for that height)", checkHeader},
	{"justification", "authorities (hex ids of weight 1, or {id, weight}), set_id_signed, justification, optional block_hash", checkJustification},
	{"warp", "checkpoint {finalizedBlockHeader, grandpaAuthoritySet}, proof (a warp response)", checkWarp},
	{"proof", "state_root or header_scale, proof (list of nodes), key or keys, optional value", checkProof},
	{"extrinsics", "header_scale, header (JSON-RPC form) or extrinsics_root, and extrinsics", checkExtrinsics},
	{"pulse", "round, signature, optional randomness, optional public_key (else that of quicknet)", checkPulse},
	{"commit", "who, netuid_index (or netuid, mecid), uids, values, salt, version_key, hash; or call (one that commits weights)", checkCommit},
	{"timelock", "Ciphertext, Signature, Round, optional Plaintext, hotkey, Esk, Sigma, Nonce, public_key", checkTimelock},
	{"upscale", "in, out (weights before and after the largest becomes 65535)", checkUpscale},
	{"epoch", "a Yuma epoch: n, block, tempo, factor, lms, last_update, reg, alpha, tao, parents, children, tao_weight, threshold, owner, permits, maxval, weights, bonds, kappa, penalty, bma, yuma3, liquid, alow, ahigh, steep, cr, commit_blocks, rao, optional spec_version (else 425), activity_cutoff (before 423); and out, optional dbg", checkEpoch},
}

// Kinds returns the kinds of fact, in the order of the help.
func Kinds() []Kind { return append([]Kind(nil), kinds...) }

// CheckKind returns ErrUnknownKind, with the kinds there are, unless kind is one.
func CheckKind(kind string) error {
	names := make([]string, len(kinds))
	for i, k := range kinds {
		if k.Name == kind {
			return nil
		}
		names[i] = k.Name
	}
	return fmt.Errorf("%w: %q; there are %s", ErrUnknownKind, kind[:min(len(kind), 64)], strings.Join(names, ", "))
}

// Check judges one fact, a JSON object, by the rule of its kind. It always gives a verdict: a
// record that cannot be read is Failed at the step "input", as is a kind that is unknown, which a
// program had better ask CheckKind first.
func Check(kind string, input json.RawMessage, opts Options) Verdict {
	v := Verdict{Kind: kind}
	if err := CheckKind(kind); err != nil {
		v.Kind = ""
		v.conclude(fail("input", err))
		return v
	}
	v.conclude(run(&v, input, opts))
	return v
}

func run(v *Verdict, input json.RawMessage, opts Options) error {
	if len(input) > MaxInput {
		return fail("input", fmt.Errorf("%w: %d bytes, at most %d allowed", ErrInput, len(input), MaxInput))
	}
	o, err := jsonfield.Parse(input)
	if err != nil {
		return fail("input", err)
	}
	c := &check{Object: o, opts: opts, v: v}
	for i := range kinds {
		if kinds[i].Name == v.Kind {
			return kinds[i].check(c)
		}
	}
	return fail("input", ErrUnknownKind)
}
