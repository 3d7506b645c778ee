package storage_test

import (
	"fmt"
	"log"
	"os"
	"time"

	"github.com/taolight/taolight/storage"
	"github.com/taolight/taolight/verify"
)

func Example() {
	dir, err := os.MkdirTemp("", "taolight-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	s, recovery, err := storage.Open(storage.Config{Dir: dir, Genesis: verify.Hash{1}})
	if err != nil {
		log.Fatal(err)
	}
	for _, line := range recovery.Lines() {
		log.Print(line)
	}
	// For each finalized block:
	if err := s.SetHead(storage.Head{Number: 8_867_448, Data: []byte("state")}); err != nil {
		log.Print(err)
	}
	// Once a minute:
	if err := s.Tick(time.Now()); err != nil {
		log.Print(err)
	}
	h, _ := s.Head()
	fmt.Println(h.Number, s.Close())
	// Output: 8867448 <nil>
}
