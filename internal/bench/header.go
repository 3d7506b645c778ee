package main

import (
	"fmt"
	"testing"

	"github.com/taolight/taolight/verify"
)

// headers counts what decoding one header leaves to the garbage collector; a node decodes one for
// every block of every peer that announces it.
func headers() ([]row, error) {
	h, _, err := sealed()
	if err != nil {
		return nil, err
	}
	text := h.Encode()
	n := testing.AllocsPerRun(1000, func() { _, err := verify.DecodeHeader(text); must(err) })
	return []row{{
		figure: "allocations to decode a header", budget: "≤ 4",
		measured: fmt.Sprintf("%.0f  (%d digest items, %d bytes)", n, len(h.Digest), len(text)), ok: n <= 4,
	}}, nil
}
