package storage

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

const childEnv = "TAOLIGHT_STORAGE_CHILD"

// TestChild is not a test: it is the process that other tests start and kill.
func TestChild(t *testing.T) {
	dir := os.Getenv(childEnv)
	if dir == "" {
		t.Skip("run by TestKill in a process of its own")
	}
	if os.Getenv(childEnv+"_MODE") == "hold" {
		s, _ := mustOpen(t, testConfig(dir))
		os.Stdout.Write([]byte("."))
		io.Copy(io.Discard, os.Stdin)
		mustClose(t, s)
		return
	}
	from, err := strconv.Atoi(os.Getenv(childEnv + "_FROM"))
	must(t, err)
	s, _, err := Open(testConfig(dir))
	must(t, err)
	number := uint32(from)
	if h, ok := s.Head(); ok {
		number = max(number, h.Number)
	}
	// Each line says what is on disk for certain: "h" a head, "g" a generation of the batch.
	for generation := from; ; generation++ {
		for range 3 {
			number++
			hash, b := testHeader(number)
			must(t, s.PutHeader(number, hash, b))
			must(t, s.WriteHead(testHead(number)))
			fmt.Printf("h %d\n", number)
		}
		putGeneration(t, s, generation)
		must(t, s.Commit())
		fmt.Printf("g %d\n", generation)
		if generation%2 == 0 { // a change of level, with all that is asked of a store that is quiet
			s.Quiet(true)
			must(t, s.WriteHead(testHead(number+1)))
			putGeneration(t, s, generation+1)
			must(t, s.Commit())
			must(t, s.Tick(epoch.Add(time.Duration(generation)*7*time.Hour)))
			s.Quiet(false)
		}
	}
}

// putGeneration changes records in several buckets, all of which name one generation.
func putGeneration(t testing.TB, s *Store, generation int) {
	text := strconv.Itoa(generation)
	for i := range 8 {
		must(t, s.PutPeer(fmt.Sprint("peer", i), []byte(text)))
	}
	must(t, s.Put("generation", "small", []byte(text)))
	must(t, s.Put("generation", "large", bytes.Repeat([]byte(text+" "), 500+generation%1500)))
	must(t, s.PutAuthoritySet(AuthoritySet{ID: uint64(generation % 5), Set: []byte(text)}))
}

// generationOf reads it back; an error if the records do not agree, -1 if there are none.
func generationOf(s *Store) (int, error) {
	small, ok := s.Get("generation", "small")
	if !ok {
		if n := len(s.Peers()); n > 0 {
			return 0, fmt.Errorf("%d peers without a generation", n)
		}
		return -1, nil
	}
	generation, err := strconv.Atoi(string(small))
	if err != nil {
		return 0, err
	}
	text := string(small)
	peers := s.Peers()
	for i := range 8 {
		if string(peers[fmt.Sprint("peer", i)]) != text {
			return 0, fmt.Errorf("peer %d is of %q, not %q", i, peers[fmt.Sprint("peer", i)], text)
		}
	}
	large, _ := s.Get("generation", "large")
	if !bytes.Equal(large, bytes.Repeat([]byte(text+" "), 500+generation%1500)) {
		return 0, fmt.Errorf("large record is not of %s", text)
	}
	if a, ok := s.AuthoritySet(uint64(generation % 5)); !ok || string(a.Set) != text {
		return 0, fmt.Errorf("authority set is of %q, not %q", a.Set, text)
	}
	return generation, nil
}

// TestKill kills a writing process at random moments. What it had said to be on disk is there, a batch is there as a whole
// or not at all, and every other time, with bytes of the files changed as well, the store opens and shows nothing false.
func TestKill(t *testing.T) {
	kills := 30
	if v, err := strconv.Atoi(os.Getenv("TAOLIGHT_CRASHES")); err == nil {
		kills = v
	}
	rng := rand.New(rand.NewPCG(uint64(os.Getpid()), 1))
	dir := filepath.Join(t.TempDir(), "store")
	head, generation := 0, -1 // known to be on disk
	from, damaged, rebuilt := 1, 0, 0
	for kill := range kills {
		attempted := runAndKill(t, dir, from, rng, &head, &generation)
		flipped := kill%2 == 1
		if flipped {
			damaged++
			flipBytes(t, dir, rng)
		}
		s, rec, err := Open(testConfig(dir))
		if err != nil {
			t.Fatalf("kill %d: %v", kill, err)
		}
		must(t, s.Degraded())
		h, ok := s.Head()
		// A write that was under way may have arrived; nothing else may.
		if ok && (!sameHead(h, testHead(h.Number)) || int(h.Number) > attempted) {
			t.Fatalf("kill %d: head %d was never written", kill, h.Number)
		}
		if flipped {
			rebuilt += len(rec.Moved)
			if slotsHit := rec.TornHead || slices.ContainsFunc(rec.Moved, func(m Moved) bool { return m.File == slotsName }); ok && int(h.Number) < head-1 || !ok && !slotsHit {
				t.Fatalf("kill %d: head %d (%v), %d was on disk: back by more than a batch", kill, h.Number, ok, head)
			}
			if rec.Dropped == 0 {
				if _, err := generationOf(s); err != nil {
					t.Fatalf("kill %d, flipped: %v", kill, err)
				}
			}
		} else {
			if len(rec.Moved) > 0 || rec.Dropped > 0 || !rec.Unclean {
				t.Fatalf("kill %d: %+v", kill, rec)
			}
			if int(h.Number) < head {
				t.Fatalf("kill %d: head %d, %d was on disk", kill, h.Number, head)
			}
			g, err := generationOf(s)
			if err != nil || g < generation {
				t.Fatalf("kill %d: generation %d, %d was on disk: %v", kill, g, generation, err)
			}
		}
		s.Headers(0, func(h Header) bool {
			if hash, _ := testHeader(h.Number); h.Hash != hash {
				t.Errorf("kill %d: header %d differs", kill, h.Number)
			}
			return true
		})
		from = max(attempted, from) + 1
		// Generations go on from `from` too, so that an old one is recognized.
		generation = -1
		putGeneration(t, s, from)
		must(t, s.WriteHead(testHead(uint32(from))))
		must(t, s.Commit())
		head, generation = from, from
		mustBeSound(t, s)
		mustClose(t, s)
		from++
	}
	t.Logf("%d kills, %d with bytes changed, %d files rebuilt", kills, damaged, rebuilt)
}

// runAndKill starts a writing child, waits for a random number of its lines and kills it: it dies somewhere in what comes
// next. It returns the highest head it can have tried to write.
func runAndKill(t *testing.T, dir string, from int, rng *rand.Rand, head, generation *int) int {
	t.Helper()
	child := exec.Command(os.Args[0], "-test.run=^TestChild$")
	child.Env = append(os.Environ(), childEnv+"="+dir, childEnv+"_FROM="+strconv.Itoa(from))
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	must(t, err)
	must(t, child.Start())
	lines := bufio.NewScanner(out)
	stop := rng.IntN(60)
	spin := rng.IntN(20_000)
	for n := 0; lines.Scan(); n++ {
		if n == stop {
			for range spin { // to land elsewhere in the write than at its start
				rng.Uint64()
			}
			must(t, child.Process.Kill())
		}
		kind, number, _ := strings.Cut(lines.Text(), " ")
		v, err := strconv.Atoi(number)
		if err != nil {
			break // the line it died in, or what the test framework says of a failure
		}
		if kind == "h" {
			*head = max(*head, v)
		} else {
			*generation = max(*generation, v)
		}
	}
	if err := child.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Fatalf("child: %v", err)
	}
	return *head + 1
}

// flipBytes changes a few bytes of either file.
func flipBytes(t *testing.T, dir string, rng *rand.Rand) {
	t.Helper()
	name := databaseName
	if rng.IntN(3) == 0 {
		name = slotsName
	}
	path := filepath.Join(dir, name)
	b, err := os.ReadFile(path)
	must(t, err)
	for range 1 + rng.IntN(4) {
		at := rng.IntN(min(len(b), 40*pageSize))
		if name == slotsName {
			at = rng.IntN(2)*slotSize + rng.IntN(5000)
		}
		b[at] ^= byte(1 + rng.IntN(255))
	}
	must(t, os.WriteFile(path, b, 0o600))
}
