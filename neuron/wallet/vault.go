package wallet

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/nacl/secretbox"
)

// Errors of encrypted keyfiles.
var (
	// ErrPassword: the password is wrong, or the file was changed.
	ErrPassword = errors.New("wrong password, or a damaged file")
	// ErrWeak: a password for a new file is too short.
	ErrWeak = errors.New("the password is too short")
	// ErrMemory: there is not enough memory to make a key of a password.
	ErrMemory = errors.New("too little memory is free for an encrypted keyfile")
	// ErrLegacy: a form of encryption that btwallet itself has left.
	ErrLegacy = errors.New("encrypted in an old form; btwallet can update it")
)

// The constants of btwallet (src/keyfile.rs): Argon2i version 1.3 over half a GiB, one salt for all.
const (
	magic      = "$NACL"
	argonTime  = 8
	argonKiB   = 512 << 10
	argonLanes = 1
	argonSalt  = "\x13\x71\x83\xdf\xf1\x5a\x09\xbc\x9c\x90\xb5\x51\x87\x39\xe9\xb1"
)

const (
	// MinPassword is the least number of bytes of a new password. btwallet wants 6.
	MinPassword = 8
	maxPassword = 1024
	// argonRoom is what has to be free before Argon2 begins, in bytes: the kernel kills who takes more.
	argonRoom = 700 << 20
)

// Encrypted reports whether b is an encrypted keyfile, in whatever form.
func Encrypted(b []byte) bool {
	return bytes.HasPrefix(b, []byte(magic)) || bytes.HasPrefix(b, []byte("$ANSIBLE_VAULT")) || bytes.HasPrefix(b, []byte("gAAAAA"))
}

// stretch makes a key of a password. Tests put another cost in its place.
type stretch func(password []byte) (*[32]byte, error)

// argon takes about 512 MiB and several seconds.
func argon(password []byte) (*[32]byte, error) {
	if free, ok := freeMemory(); ok && free < argonRoom {
		return nil, fmt.Errorf("%w: %d MiB, %d are needed", ErrMemory, free>>20, argonRoom>>20)
	}
	key := argon2.Key(password, []byte(argonSalt), argonTime, argonKiB, argonLanes, 32)
	debug.FreeOSMemory()
	out := [32]byte(key)
	clear(key)
	return &out, nil
}

// Encrypt makes a $NACL file of a plain keyfile.
func Encrypt(plain, password []byte) ([]byte, error) { return encrypt(plain, password, argon) }

// Decrypt makes a plain keyfile of a $NACL file. Who is done with it clears it.
func Decrypt(file, password []byte) ([]byte, error) { return decrypt(file, password, argon) }

func encrypt(plain, password []byte, s stretch) ([]byte, error) {
	if len(password) < MinPassword || len(password) > maxPassword {
		return nil, fmt.Errorf("%w or too long: %d bytes, want %d to %d", ErrWeak, len(password), MinPassword, maxPassword)
	}
	key, err := s(password)
	if err != nil {
		return nil, err
	}
	defer clear(key[:])
	var nonce [24]byte
	rand.Read(nonce[:])
	return secretbox.Seal(append([]byte(magic), nonce[:]...), plain, &nonce, key), nil
}

func decrypt(file, password []byte, s stretch) ([]byte, error) {
	box, ok := bytes.CutPrefix(file, []byte(magic))
	switch {
	case !ok && Encrypted(file):
		return nil, ErrLegacy
	case !ok || len(box) < 24+secretbox.Overhead || len(box) > maxKeyfile:
		return nil, fmt.Errorf("%w: no %s file", ErrKeyfile, magic)
	case len(password) > maxPassword:
		return nil, ErrPassword
	}
	key, err := s(password)
	if err != nil {
		return nil, err
	}
	defer clear(key[:])
	plain, ok := secretbox.Open(nil, box[24:], (*[24]byte)(box), key)
	if !ok {
		return nil, ErrPassword
	}
	return plain, nil
}

// freeMemory returns how many bytes can still be taken, if the system says.
func freeMemory() (uint64, bool) {
	b, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, false
	}
	free, ok := memAvailable(string(b))
	limit, err1 := readNumber("/sys/fs/cgroup/memory.max")
	used, err2 := readNumber("/sys/fs/cgroup/memory.current")
	if err1 == nil && err2 == nil {
		free = min(free, limit-min(used, limit))
	}
	return free, ok
}

func memAvailable(meminfo string) (uint64, bool) {
	for line := range strings.Lines(meminfo) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "MemAvailable:" {
			n, err := strconv.ParseUint(f[1], 10, 54)
			return n << 10, err == nil
		}
	}
	return 0, false
}

func readNumber(path string) (uint64, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(strings.TrimSpace(string(b)), 10, 64)
}

// PasswordVariable is the name of the environment variable in which btwallet looks for the password of
// the keyfile at path.
func PasswordVariable(path string) string {
	return "BT_PW_" + strings.ToUpper(strings.NewReplacer("/", "_", ".", "_").Replace(path))
}

// EnvironPassword returns the password that btwallet's variable for path holds: base64 of the password,
// each byte XORed with the variable's name in turn, which hides it from a glance and from nothing else.
// It returns nil if the variable is not set.
func EnvironPassword(environ []string, path string) ([]byte, error) {
	name := PasswordVariable(path)
	for _, e := range environ {
		value, ok := strings.CutPrefix(e, name+"=")
		if !ok {
			continue
		}
		b, err := base64.StdEncoding.DecodeString(value)
		if err != nil {
			return nil, fmt.Errorf("environment %s: not base64", name)
		}
		for i := range b {
			b[i] ^= name[i%len(name)]
		}
		return b, nil
	}
	return nil, nil
}
