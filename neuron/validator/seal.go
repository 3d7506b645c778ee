package validator

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/commit"
	"github.com/taolight/taolight/verify/drand"
	"github.com/taolight/taolight/verify/subtensor"
	"github.com/taolight/taolight/verify/tlock"
)

// ErrSeal: a commitment that was just made does not hold what it should.
var ErrSeal = errors.New("the commitment does not hold the weights")

// saltWords is how many numbers of 16 bits the SDK salts a commitment by hash with.
const saltWords = 8

// conceal makes a commitment of the weights in a call: it fills in the salt and the hash, or the ciphertext. random gives
// secrets. Before it returns, what was made is read back, as far as that can be without the beacon's signature.
func conceal(c *Call, netuid uint16, mecid uint8, who verify.AccountID, beacon drand.Beacon, random io.Reader) error {
	index, err := subtensor.Index(netuid, mecid)
	if err != nil {
		return err
	}
	if c.Kind == CommitHash {
		var b [2 * saltWords]byte
		if _, err := io.ReadFull(random, b[:]); err != nil {
			return err
		}
		c.Salt = make([]uint16, saltWords)
		for i := range c.Salt {
			c.Salt[i] = binary.LittleEndian.Uint16(b[2*i:])
		}
		c.Commitment = commit.HashOf(who, index, c.UIDs, c.Values, c.Salt, c.VersionKey)
		return nil
	}
	var b [76]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return err
	}
	defer clear(b[:])
	payload := commit.Payload{Hotkey: who, UIDs: c.UIDs, Values: c.Values, VersionKey: c.VersionKey}
	plain := payload.Append(nil)
	if c.Ciphertext, err = tlock.Seal(beacon, c.Round, plain, bytes.NewReader(b[:])); err != nil {
		return err
	}
	c.Commitment = verify.Blake2b256(c.Ciphertext)
	return opens(c, who, beacon, b[:])
}

// opens checks a ciphertext with the secrets it was made with: the container reads, a second sealing for the round gives the
// same bytes, and the plaintext is what the chain will read as these weights of this hotkey.
func opens(c *Call, who verify.AccountID, beacon drand.Beacon, secrets []byte) error {
	box, err := tlock.Parse(c.Ciphertext)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrSeal, err)
	}
	want := commit.Payload{Hotkey: who, UIDs: c.UIDs, Values: c.Values, VersionKey: c.VersionKey}
	plain := want.Append(nil)
	if box.Trailing != 0 || len(box.Rest) != 0 || box.PlaintextLen() != len(plain) {
		return fmt.Errorf("%w: a container for %d bytes, want %d", ErrSeal, box.PlaintextLen(), len(plain))
	}
	again, err := tlock.Seal(beacon, c.Round, plain, bytes.NewReader(secrets))
	if err != nil || !bytes.Equal(again, c.Ciphertext) {
		return fmt.Errorf("%w: sealed again it is another (%v)", ErrSeal, err)
	}
	got, why := commit.DecodePayload(plain, who)
	if why != commit.Stored || !slices.Equal(got.UIDs, c.UIDs) || !slices.Equal(got.Values, c.Values) || got.VersionKey != c.VersionKey || got.Trailing != 0 {
		return fmt.Errorf("%w: the chain would read %s", ErrSeal, why.Says())
	}
	return nil
}
