package demonet

import (
	"fmt"

	"github.com/taolight/taolight/verify/scale"
)

// Names of what a runtime says of an extrinsic, in the order of their indices (sp-runtime,
// transaction_validity.rs and lib.rs).
var (
	invalidNames = [...]string{
		"Call", "Payment", "Future", "Stale", "BadProof", "AncientBirthBlock", "ExhaustsResources", "Custom",
		"BadMandatory", "MandatoryValidation", "BadSigner", "IndeterminateImplicit", "UnknownOrigin",
	}
	unknownNames  = [...]string{"CannotLookup", "NoUnsignedValidator", "Custom"}
	dispatchNames = [...]string{
		"Other", "CannotLookup", "BadOrigin", "Module", "ConsumerRemaining", "NoProviders", "TooManyConsumers",
		"Token", "Arithmetic", "Transactional", "Exhausted", "Corruption", "Unavailable", "RootNotAllowed", "Trie",
	}
)

// A ValidityError is a runtime's TransactionValidityError. It wraps ErrInvalid.
type ValidityError struct {
	Unknown bool  // UnknownTransaction, else InvalidTransaction
	Kind    uint8 // its index
	Custom  uint8 // of the kind Custom
}

func (e *ValidityError) Error() string {
	names := invalidNames[:]
	if e.Unknown {
		names = unknownNames[:]
	}
	name := nameOf(names, e.Kind)
	if name == "Custom" {
		name = fmt.Sprintf("Custom(%d)", e.Custom)
	}
	return ErrInvalid.Error() + ": " + name
}

// Unwrap returns ErrInvalid.
func (e *ValidityError) Unwrap() error { return ErrInvalid }

// passes reports whether another block may take the extrinsic: its nonce is ahead, or this one was full.
func (e *ValidityError) passes() bool {
	name := nameOf(invalidNames[:], e.Kind)
	return !e.Unknown && (name == "Future" || name == "ExhaustsResources")
}

// A DispatchError is a runtime's DispatchError. It wraps ErrDispatch.
type DispatchError struct {
	Kind   uint8   // its index
	Pallet uint8   // of the kind Module
	Module [4]byte // the pallet's own error: its index, and what that holds
	Detail uint8   // of the kinds Token, Arithmetic, Transactional and Trie
}

func (e *DispatchError) Error() string {
	text := ErrDispatch.Error() + ": " + nameOf(dispatchNames[:], e.Kind)
	switch nameOf(dispatchNames[:], e.Kind) {
	case "Module":
		return fmt.Sprintf("%s(pallet %d, error %d)", text, e.Pallet, e.Module[0])
	case "Token", "Arithmetic", "Transactional", "Trie":
		return fmt.Sprintf("%s(%d)", text, e.Detail)
	}
	return text
}

// Unwrap returns ErrDispatch.
func (e *DispatchError) Unwrap() error { return ErrDispatch }

func nameOf(names []string, i uint8) string {
	if int(i) < len(names) {
		return names[i]
	}
	return fmt.Sprintf("variant %d", i)
}

// readApplied decodes ApplyExtrinsicResult: Result<Result<(), DispatchError>, TransactionValidityError>.
func readApplied(b []byte) (dispatch error, validity *ValidityError, err error) {
	r := scale.NewReader(b)
	switch {
	case r.Bool():
		validity, err = readValidity(r)
	case r.Bool():
		dispatch, err = readDispatch(r)
	default:
		err = r.Finish()
	}
	return dispatch, validity, err
}

func readValidity(r *scale.Reader) (*ValidityError, error) {
	e := &ValidityError{Unknown: r.Bool(), Kind: r.Byte()}
	if names := unknownNames[:]; e.Unknown && nameOf(names, e.Kind) == "Custom" || !e.Unknown && nameOf(invalidNames[:], e.Kind) == "Custom" {
		e.Custom = r.Byte()
	}
	return e, r.Finish()
}

func readDispatch(r *scale.Reader) (error, error) {
	e := &DispatchError{Kind: r.Byte()}
	switch nameOf(dispatchNames[:], e.Kind) {
	case "Module":
		e.Pallet = r.Byte()
		r.Copy(e.Module[:])
	case "Token", "Arithmetic", "Transactional", "Trie":
		e.Detail = r.Byte()
	}
	return e, r.Finish()
}
