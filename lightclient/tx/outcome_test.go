package tx

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// TestFailures names each failure that a runtime can return: every error of every pallet, with the docs that the
// metadata has of it, and what sp_runtime knows besides.
func TestFailures(t *testing.T) {
	for _, name := range []string{"metadata-v14-spec343.scale", "metadata-v15-spec293.scale", "metadata-v16-spec424.scale"} {
		m := vectorMetadata(t, name)
		n := 0
		for i := range m.Pallets {
			p := &m.Pallets[i]
			errs := m.Types.Type(p.Errors)
			if errs == nil {
				continue
			}
			for j := range errs.Variants {
				v := &errs.Variants[j]
				n++
				o, err := OutcomeOf(m, failed(t, m, 3, fmt.Sprintf(`{"Module": {"index": %d, "error": "0x%02x000000"}}`, p.Index, v.Index)), 3)
				if err != nil || o.OK || o.Failure == nil || o.Failure.Name != p.Name+"."+v.Name || o.Failure.Docs != v.Docs.String() {
					t.Errorf("%s: %s.%s: %+v, %v", name, p.Name, v.Name, o, err)
				}
			}
		}
		if n < 200 {
			t.Errorf("%s: %d errors", name, n)
		}
		for text, want := range map[string]string{
			`"BadOrigin"`: "BadOrigin", `{"Token": "FundsUnavailable"}`: "Token.FundsUnavailable", `{"Arithmetic": "Overflow"}`: "Arithmetic.Overflow",
			`{"Module": {"index": 250, "error": "0x00000000"}}`: "Module ", `"CannotLookup"`: "CannotLookup",
		} {
			o, err := OutcomeOf(m, failed(t, m, 3, text), 3)
			if err != nil || o.Failure == nil || !strings.HasPrefix(o.Failure.Name, want) {
				t.Errorf("%s: %s: %+v, %v", name, text, o, err)
			}
		}
		if _, err := OutcomeOf(m, failed(t, m, 3, `"BadOrigin"`), 2); !errors.Is(err, ErrEvents) {
			t.Errorf("%s: another extrinsic: %v", name, err)
		}
		if _, err := OutcomeOf(m, []byte{4, 0}, 0); err == nil {
			t.Errorf("%s: cut events", name)
		}
	}
}

// TestInner: a call that succeeded has a call in it that failed.
func TestInner(t *testing.T) {
	m := vectorMetadata(t, "metadata-v16-spec424.scale")
	phase := `{"ApplyExtrinsic": 0}`
	for _, event := range []string{
		`{"Sudo": {"Sudid": {"sudo_result": {"Err": "BadOrigin"}}}}`,
		`{"Utility": {"BatchInterrupted": {"index": 1, "error": "BadOrigin"}}}`,
		`{"Proxy": {"ProxyExecuted": {"result": {"Err": "BadOrigin"}}}}`,
	} {
		b := record(t, m, phase, event)
		success := record(t, m, phase, `{"System": {"ExtrinsicSuccess": {"dispatch_info": {"weight": {"ref_time": 1, "proof_size": 2}, "class": "Normal", "pays_fee": "Yes"}}}}`)
		both := append(append([]byte{8}, b[1:]...), success[1:]...)
		o, err := OutcomeOf(m, both, 0)
		if err != nil || !o.OK || o.Failure != nil || o.Failed() == nil || o.Failed().Name != "BadOrigin" {
			t.Errorf("%s: %+v, %v", event, o, err)
		}
	}
}

// TestRefusals: what a runtime says no with is named.
func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		b    []byte
		name string
		text string
	}{
		{[]byte{1, 0, 3}, "Stale", "nonce"},
		{[]byte{1, 0, 1}, "Payment", "fee"},
		{[]byte{1, 0, 7, 6}, "RateLimitExceeded", "(custom error 6)"},
		{[]byte{1, 0, 7, 19}, "UidNotFound", "(custom error 19)"},
		{[]byte{1, 0, 7, 27}, "DelegateTakeTooHigh or NonAssociatedColdKey", "to spec 425"},
		{[]byte{1, 0, 7, 200}, "Custom(200)", "not known here"},
		{[]byte{1, 0, 99}, "variant 99", "not known here"},
		{[]byte{1, 1, 0}, "CannotLookup", "signer"},
		{[]byte{1, 1, 2, 6}, "Custom(6)", "custom error 6"},
	} {
		_, err := DecodeValidity(c.b)
		var r *Refusal
		if !errors.As(err, &r) || !errors.Is(err, ErrRefused) || r.Name() != c.name || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%x: %v", c.b, err)
		}
	}
	good := binary.LittleEndian.AppendUint64([]byte{0}, 7)
	good = append(good, 0, 4, 8, 1, 2, 64, 0, 0, 0, 0, 0, 0, 0, 1)
	v, err := DecodeValidity(good)
	if err != nil || v.Priority != 7 || len(v.Provides) != 1 || len(v.Requires) != 0 || v.Longevity != 64 || !v.Propagate {
		t.Errorf("%+v, %v", v, err)
	}
	for _, b := range [][]byte{nil, {2}, {0}, {1}, {1, 0}, {1, 0, 7}, {1, 0, 3, 3}, append(good, 0), good[:len(good)-1]} {
		if _, err := DecodeValidity(b); err == nil || errors.Is(err, ErrRefused) {
			t.Errorf("%x: %v", b, err)
		}
	}
}
