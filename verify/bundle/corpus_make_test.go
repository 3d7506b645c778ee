package bundle

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"
)

var updateCorpus = flag.Bool("update-corpus", false, "write testdata/corpus anew")

// vectors returns all files of the corpus but its README: their lines are what the rules say, written down
// here, and never what a report said.
func vectors(t *testing.T) map[string][]byte {
	c := newCorpus(t)
	files := map[string][]byte{}
	add := func(name, expect, checkpoint, line, comment string, payload []byte) {
		if files[name] != nil {
			t.Fatalf("%s: twice", name)
		}
		v := &vector{expect: expect, lines: []string{line}, checkpoint: checkpoint, comment: comment, payload: payload}
		if name == "ok-rules-assumed" || name == "ok-epoch-rules-assumed" {
			v.assume = 425
		}
		files[name] = v.encode()
	}
	formVectors(c, add)
	chainVectors(c, add)
	stateVectors(c, add)
	epochVectors(c, add)
	far := newFar(t)
	farVectors(far, add)
	busy := newBusy(t)
	includedVectors(busy, add)
	checkpoints := c.checkpoints()
	checkpoints["far-100"] = far.trusted(100)
	checkpoints["busy-100"] = busy.trusted(100)
	for name, k := range checkpoints {
		b, err := k.File()
		if err != nil {
			t.Fatalf("checkpoint %s: %v", name, err)
		}
		files[filepath.Join("checkpoints", name+".json")] = b
	}
	return files
}

// TestCorpusIsMade: making the files again gives the same, byte for byte.
func TestCorpusIsMade(t *testing.T) {
	files := vectors(t)
	if *updateCorpus {
		write(t, files)
	}
	err := filepath.WalkDir(corpusDir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == "README.md" {
			return err
		}
		name, err := filepath.Rel(corpusDir, path)
		if err != nil {
			return err
		}
		got, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		want, ok := files[name]
		switch {
		case !ok:
			t.Errorf("%s: nothing makes it any more", name)
		case !bytes.Equal(got, want):
			t.Errorf("%s: would be made otherwise now", name)
		}
		delete(files, name)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name := range files {
		t.Errorf("%s: is not there; -update-corpus writes it", name)
	}
}

func write(t *testing.T, files map[string][]byte) {
	for name, b := range files {
		path := filepath.Join(corpusDir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
