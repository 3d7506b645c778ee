package doctor

import (
	"crypto/ed25519"
	"fmt"
	"os"
	"runtime"
	"slices"
	"time"

	"github.com/taolight/taolight/verify"
	"github.com/taolight/taolight/verify/drand"
	"github.com/taolight/taolight/verify/grandpa"
)

// Speed is what a board can do.
type Speed struct {
	Cores         int     `json:"cores"`
	Justification float64 `json:"justification_ms"` // of 20 authorities, 14 of which signed
	Signatures    float64 `json:"signatures_per_second"`
	Pulse         float64 `json:"pulse_ms"` // of drand, two pairings
	Hash          float64 `json:"hash_mb_per_second"`
	Sync          float64 `json:"sync_ms"` // of a small write, until it is safe; 0: not tried
	Share         float64 `json:"cpu_share_full"`
}

// Voters and votes of the justification that is measured: the sizes of finney's.
const (
	voters = 20
	votes  = 14
	slot   = 12 * time.Second
)

// Measure finds out what this board can do, in about a second on a slow one. dir is where writes are tried; empty: nowhere.
func Measure(dir string) (*Speed, error) {
	s := &Speed{Cores: runtime.GOMAXPROCS(0)}
	set, j := example()
	var err error
	took := repeat(300*time.Millisecond, func() { err = j.Verify(set) })
	if err != nil {
		return nil, err
	}
	s.Justification = took.Seconds() * 1e3
	s.Signatures = votes / took.Seconds()

	v, err := drand.NewVerifier(drand.Quicknet())
	if err != nil {
		return nil, err
	}
	// A point that is no signature of that round: it costs what a right one costs.
	pulse := drand.Pulse{Round: 1, Signature: drand.Signature(drand.HashToG1(2).BytesCompressed())}
	s.Pulse = repeat(300*time.Millisecond, func() { v.Verify(pulse) }).Seconds() * 1e3

	block := make([]byte, 64<<10)
	s.Hash = float64(len(block)) / 1e6 / repeat(100*time.Millisecond, func() { verify.Blake2b256(block) }).Seconds()

	if dir != "" {
		times, err := Sync(dir)
		if err != nil {
			return nil, err
		}
		slices.Sort(times)
		s.Sync = times[len(times)/2].Seconds() * 1e3
	}
	// At full two peers' commits come for each block, and a block's header has a seal that costs three votes.
	s.Share = (2*s.Justification + 3*s.Justification/votes) / 1e3 / slot.Seconds()
	return s, nil
}

// repeat returns the least time that f takes, of those within a while.
func repeat(while time.Duration, f func()) time.Duration {
	least := time.Hour
	for begin := time.Now(); ; {
		at := time.Now()
		f()
		least = min(least, max(time.Since(at), 1))
		if time.Since(begin) > while {
			return least
		}
	}
}

// example makes a set of authorities and a justification by two thirds of it.
func example() (*grandpa.AuthoritySet, *grandpa.Justification) {
	set := &grandpa.AuthoritySet{ID: 6}
	target := verify.Hash{1}
	j := &grandpa.Justification{Round: 7, Commit: grandpa.Commit{TargetHash: target, TargetNumber: 9}}
	for i := range voters {
		key := ed25519.NewKeyFromSeed([]byte(fmt.Sprintf("taolight bench authority %07d", i)))
		id := grandpa.AuthorityID(key.Public().(ed25519.PublicKey))
		set.Authorities = append(set.Authorities, grandpa.Authority{ID: id, Weight: 1})
		if i < votes {
			payload := grandpa.PrecommitPayload(target, 9, j.Round, set.ID)
			j.Commit.Precommits = append(j.Commit.Precommits, grandpa.Precommit{TargetHash: target, TargetNumber: 9, ID: id, Signature: [64]byte(ed25519.Sign(key, payload[:]))})
		}
	}
	return set, j
}

// Sync writes 4 KiB eight times to a file in dir that it removes again, and returns how long each took until it was safe.
func Sync(dir string) (took []time.Duration, err error) {
	f, err := os.CreateTemp(dir, ".taolight-doctor-*")
	if err != nil {
		return nil, err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	block := make([]byte, 4096)
	for range 8 {
		at := time.Now()
		if _, err := f.WriteAt(block, 0); err != nil {
			return nil, err
		}
		if err := f.Sync(); err != nil {
			return nil, err
		}
		took = append(took, time.Since(at))
	}
	return took, nil
}

// Suggest says at which power level a board like this can be held, and why. total is its memory in bytes; 0: unknown.
func Suggest(s *Speed, total uint64) (level, why string) {
	switch {
	case total > 0 && total < 192<<20:
		return "eco", fmt.Sprintf("%d MB of memory are little beside other programs; power.assume = \"eco\" keeps two peers", total>>20)
	case s.Share > 0.10:
		return "eco", fmt.Sprintf("following every block would take %.0f %% of a core; power.assume = \"eco\" asks for one proof in five minutes", 100*s.Share)
	}
	if s.Share < 0.001 {
		return "full", "following every block takes less than a thousandth of a core"
	}
	return "full", fmt.Sprintf("following every block takes %.1f %% of a core", 100*s.Share)
}
