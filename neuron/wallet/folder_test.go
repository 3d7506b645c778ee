package wallet

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/taolight/taolight/verify"
)

const alice = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"

// files makes a folder with these files, mode 0600.
func files(t *testing.T, content map[string]string) Folder {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "wallets")
	for name, text := range content {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return Folder(dir)
}

// btwallet's plain file of the development phrase: compact JSON, in the order of a hash map.
const devFile = `{"publicKey":"0x46ebddef8cd9bb167dc30878d7113b7e168e6f0646beffd77d69d39bad76b47a",` +
	`"secretSeed":"0xfac7959dbfe72f052e5a0c3c8d6530f202b02fd8f9f5ca3580ec8deb7797479e",` +
	`"ss58Address":"5DfhGyQdFobKM8NsWvEeAKk5EQQgYe9AydgJ7rMB6E1EqRzV",` +
	`"accountId":"0x46ebddef8cd9bb167dc30878d7113b7e168e6f0646beffd77d69d39bad76b47a",` +
	`"privateKey":"0x05d65584630d16cd4af6d0bec10f34bb504a5dcb62dba2122d49f5a663763d0afd190cce74df356432b410bd64682309d6dedb27c76845daf388557cbac3ca34",` +
	`"secretPhrase":"` + devPhrase + `"}`

func TestKeyfiles(t *testing.T) {
	dev := parse(t, devPhrase).account
	seed := "fac7959dbfe72f052e5a0c3c8d6530f202b02fd8f9f5ca3580ec8deb7797479e"
	private := "05d65584630d16cd4af6d0bec10f34bb504a5dcb62dba2122d49f5a663763d0afd190cce74df356432b410bd64682309d6dedb27c76845daf388557cbac3ca34"
	utf8Seed := "abcdefghijklmnopqrstuvwxyz\\n23456" // 32 bytes once unquoted
	utf8Key, err := fromSeed([]byte("abcdefghijklmnopqrstuvwxyz\n23456")[:32])
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, file string
		err        error // nil: the development key
	}{
		{"btwallet", devFile, nil},
		{"spaces around", " \n" + devFile + "\n", nil},
		{"members of later versions", `{"cryptoType":1,"accountType":"x","signingScheme":null,` + devFile[1:], nil},
		{"cryptoType as text", `{"cryptoType":"1",` + devFile[1:], nil},
		{"nulls", `{"secretPhrase":null,"privateKey":null,"secretSeed":"0x` + seed + `"}`, nil},
		{"without 0x", `{"secretSeed":"` + seed + `"}`, nil},
		{"private key alone", `{"privateKey":"0x` + private + `"}`, nil},
		{"address with a space", `{"privateKey":"0x` + private + `"," ss58Address":"5DfhGyQdFobKM8NsWvEeAKk5EQQgYe9AydgJ7rMB6E1EqRzV"}`, nil},
		{"bare mnemonic", devPhrase + "\n", nil},
		{"bare seed", seed, nil},
		{"bare seed with 0x", "0x" + seed + "\n", nil},
		{"bare private key", private, nil},
		{"another curve", `{"cryptoType":0,` + devFile[1:], ErrKeyfile},
		{"another curve as text", `{"cryptoType":"2",` + devFile[1:], ErrKeyfile},
		{"public", `{"ss58Address":"` + alice + `"}`, ErrPublicOnly},
		{"no member", `{}`, ErrPublicOnly},
		{"another's address", strings.Replace(devFile, "5DfhGyQdFobKM8NsWvEeAKk5EQQgYe9AydgJ7rMB6E1EqRzV", alice, 1), ErrMismatch},
		{"another's public key", strings.Replace(devFile, `"publicKey":"0x46`, `"publicKey":"0x47`, 1), ErrMismatch},
		{"another's legacy address", `{" ss58Address":"` + alice + `",` + devFile[1:], ErrMismatch},
		{"empty", "", ErrKeyfile},
		{"no object", "[1]", ErrKeyfile},
		{"cut", devFile[:100], ErrKeyfile},
		{"twice", devFile + devFile, ErrKeyfile},
		{"a number", `{"secretSeed":5}`, ErrKeyfile},
		{"a list", `{"secretSeed":["` + seed + `"]}`, ErrKeyfile},
		{"a short seed", `{"secretSeed":"0x` + seed[2:] + `"}`, ErrKeyfile},
		{"no hex", `{"secretSeed":"0xzz` + seed[2:] + `"}`, ErrKeyfile},
		{"a broken address", strings.Replace(devFile, "5DfhGyQ", "5Dfh", 1), ErrKeyfile},
		{"a private key that is no scalar", `{"privateKey":"0x` + strings.Repeat("ff", 64) + `"}`, ErrSecret},
		{"a wrong phrase", `{"secretPhrase":"bottom"}`, ErrMnemonic},
		{"an empty phrase and no seed", `{"secretPhrase":""}`, ErrPublicOnly},
		{"encrypted", "$NACL...", ErrEncrypted},
		{"ansible", "$ANSIBLE_VAULT;1.1;AES256", ErrEncrypted},
		{"fernet", "gAAAAABk", ErrEncrypted},
		{"too long", devFile + strings.Repeat(" ", maxKeyfile), ErrKeyfile},
	} {
		k, err := ParseKeyfile([]byte(c.file))
		if !errors.Is(err, c.err) || err == nil && k.account != dev {
			t.Errorf("%s: %v, %v, want %v", c.name, k, err, c.err)
		}
	}
	if k, err := ParseKeyfile([]byte(`{"secretSeed":"` + utf8Seed + `"}`)); err != nil || k.account != utf8Key.account {
		t.Errorf("a seed written as text: %v, %v, want %v", k, err, utf8Key)
	}
}

// TestWritten: what is written has nothing but strings, all of a plain key's six members, and reads back.
func TestWritten(t *testing.T) {
	for _, c := range []struct {
		suri    string
		members int
	}{
		{devPhrase, 6},
		{"//Alice", 5},      // the phrase alone would give another key
		{"//Alice/soft", 4}, // and a soft child has no seed either
		{"/soft//hard", 5},  // a hard one has
		{"///password", -1}, // no path and no phrase: nothing
		{devPhrase + "///pw", 5},
	} {
		k, err := Parse([]byte(c.suri))
		if c.members < 0 {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		var m map[string]string
		if err := json.Unmarshal(k.keyfile(), &m); err != nil || len(m) != c.members {
			t.Errorf("%s: %d members, %v", c.suri, len(m), err)
		}
		if m["publicKey"] != k.account.Hex() || m["accountId"] != k.account.Hex() || m["ss58Address"] != k.String() || len(m["privateKey"]) != 130 {
			t.Errorf("%s: %v", c.suri, m)
		}
		if back, err := ParseKeyfile(k.keyfile()); err != nil || back.account != k.account || back.secret != k.secret {
			t.Errorf("%s: %v, %v", c.suri, back, err)
		}
		if a, err := ParsePublicKeyfile(k.publicKeyfile()); err != nil || a != k.account || bytes.Contains(k.publicKeyfile(), []byte("secret")) {
			t.Errorf("%s: %v, %v", c.suri, a, err)
		}
	}
}

// cheap stands in for Argon2, which takes half a GiB.
func cheap(password []byte) (*[32]byte, error) {
	var key [32]byte
	copy(key[:], password)
	return &key, nil
}

func TestEncryption(t *testing.T) {
	plain, password := []byte(devFile), []byte("taolight-test")
	box, err := encrypt(plain, password, cheap)
	if err != nil || len(box) != 5+24+16+len(plain) || !Encrypted(box) {
		t.Fatal(err)
	}
	if got, err := decrypt(box, password, cheap); err != nil || !bytes.Equal(got, plain) {
		t.Errorf("%v", err)
	}
	if _, err := decrypt(box, []byte("taolight-tesu"), cheap); !errors.Is(err, ErrPassword) {
		t.Errorf("a wrong password: %v", err)
	}
	for i := 5; i < len(box); i += 7 {
		bad := bytes.Clone(box)
		bad[i] ^= 0x10
		if _, err := decrypt(bad, password, cheap); !errors.Is(err, ErrPassword) {
			t.Errorf("byte %d changed: %v", i, err)
		}
	}
	for _, c := range []struct {
		file string
		err  error
	}{{"", ErrKeyfile}, {"$NACL", ErrKeyfile}, {"$NACL" + strings.Repeat("x", 39), ErrKeyfile}, {devFile, ErrKeyfile},
		{"$NACL" + strings.Repeat("x", maxKeyfile+1), ErrKeyfile}, {"$ANSIBLE_VAULT;", ErrLegacy}, {"gAAAAAB", ErrLegacy}} {
		if _, err := decrypt([]byte(c.file), password, cheap); !errors.Is(err, c.err) {
			t.Errorf("%.20q: %v, want %v", c.file, err, c.err)
		}
	}
	for _, p := range []string{"", "1234567", strings.Repeat("x", maxPassword+1)} {
		if _, err := encrypt(plain, []byte(p), cheap); !errors.Is(err, ErrWeak) {
			t.Errorf("a password of %d bytes: %v", len(p), err)
		}
	}
}

// TestArgon opens a file whose key libsodium made too: Argon2i, 8 passes over 512 MiB.
func TestArgon(t *testing.T) {
	if testing.Short() {
		t.Skip("half a GiB and several seconds; -short was given")
	}
	file, err := hex.DecodeString("244e41434c000102030405060708090a0b0c0d0e0f1011121314151617d7e29804847a315a7e17f6e80bb6748ca149194d6d679c8acc168367a91999dbec18af8a4561a4f5fc46e939f8ef021b2ab6f005146a53600c6c366836f05b2cdd18f06d0420a29744f44e38c07d2e307b52")
	if err != nil {
		t.Fatal(err)
	}
	plain, err := Decrypt(file, []byte("taolight-test"))
	if errors.Is(err, ErrMemory) {
		t.Skip(err)
	}
	if err != nil || string(plain) != `{"ss58Address":"`+alice+`"}` {
		t.Errorf("%q, %v", plain, err)
	}
}

func TestMemory(t *testing.T) {
	if n, ok := memAvailable("MemTotal:  1 kB\nMemAvailable:    512000 kB\n"); !ok || n != 512000<<10 {
		t.Error(n, ok)
	}
	for _, s := range []string{"", "MemAvailable: x kB", "MemAvailable: 99999999999999999999 kB"} {
		if n, ok := memAvailable(s); ok {
			t.Errorf("%q: %d", s, n)
		}
	}
}

func TestEnvironPassword(t *testing.T) {
	const path = "/home/u/.bittensor/wallets/w/hotkeys/h"
	name := PasswordVariable(path)
	if name != "BT_PW__HOME_U__BITTENSOR_WALLETS_W_HOTKEYS_H" {
		t.Error(name)
	}
	p := []byte("a password that is longer than the name of its variable is")
	hidden := bytes.Clone(p)
	for i := range hidden {
		hidden[i] ^= name[i%len(name)]
	}
	got, err := EnvironPassword([]string{"A=b", name + "=" + base64.StdEncoding.EncodeToString(hidden)}, path)
	if err != nil || !bytes.Equal(got, p) {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := EnvironPassword([]string{name + "X=aa"}, path); got != nil || err != nil {
		t.Error(got, err)
	}
	if _, err := EnvironPassword([]string{name + "=hunter2!"}, path); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Error(err)
	}
}

func TestCreateAndRead(t *testing.T) {
	old := syscall.Umask(0)
	defer syscall.Umask(old)
	f := Folder(filepath.Join(t.TempDir(), "a", "wallets"))
	k := parse(t, devPhrase)
	if err := f.Create("w", "h", k, nil, false); err != nil {
		t.Fatal(err)
	}
	for path, mode := range map[string]fs.FileMode{"": 0o700, "w": 0o700, "w/hotkeys": 0o700, "w/hotkeys/h": 0o600, "w/hotkeys/hpub.txt": 0o600} {
		if info, err := os.Stat(filepath.Join(string(f), path)); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
	got, err := f.Hotkey("w", "h", nil)
	if err != nil || got.account != k.account || got.secret != k.secret {
		t.Errorf("%v, %v", got, err)
	}
	if err := f.Create("w", "h", parse(t, "//Alice"), nil, false); !errors.Is(err, ErrExists) {
		t.Errorf("a second key of that name: %v", err)
	}
	if got, err := f.Hotkey("w", "h", nil); err != nil || got.account != k.account {
		t.Errorf("after it: %v, %v", got, err)
	}
	if err := f.Create("w", "h", parse(t, "//Alice"), nil, true); err != nil {
		t.Errorf("replaced: %v", err)
	}
	if got, err := f.Hotkey("w", "h", nil); err != nil || got.String() != alice {
		t.Errorf("replaced: %v, %v", got, err)
	}
	names, err := os.ReadDir(filepath.Join(string(f), "w", hotkeys))
	if err != nil || len(names) != 2 {
		t.Errorf("left over: %v, %v", names, err)
	}
	for _, c := range [][2]string{{"w", "none"}, {"none", "h"}} {
		if _, err := f.Hotkey(c[0], c[1], nil); !errors.Is(err, ErrNone) {
			t.Errorf("%v: %v", c, err)
		}
	}
	k.Wipe()
	if err := f.Create("w", "x", k, nil, false); !errors.Is(err, ErrNone) {
		t.Errorf("a wiped key is written: %v", err)
	}
}

func TestNames(t *testing.T) {
	f := files(t, map[string]string{"w/hotkeys/h": devFile})
	for _, name := range []string{"", ".", "..", "../w", "a/b", "/etc", ".hidden", "-x", "a\x00b", "a\nb", "a\\b", "\xff", strings.Repeat("x", 101)} {
		if _, err := f.Hotkey(name, "h", nil); !errors.Is(err, ErrName) {
			t.Errorf("wallet %q: %v", name, err)
		}
		if _, err := f.Hotkey("w", name, nil); !errors.Is(err, ErrName) {
			t.Errorf("hotkey %q: %v", name, err)
		}
		if err := f.Create(name, "h", parse(t, "//Bob"), nil, true); !errors.Is(err, ErrName) {
			t.Errorf("create in %q: %v", name, err)
		}
	}
	for _, name := range []string{"xpub.txt", "pub.txt", "x.new-ABCDEFGH"} {
		if err := f.Create("w", name, parse(t, "//Bob"), nil, true); !errors.Is(err, ErrName) {
			t.Errorf("hotkey %q: %v", name, err)
		}
	}
}

// TestPrivate: what others can read or exchange is refused, whatever a link calls it.
func TestPrivate(t *testing.T) {
	if os.Getuid() == 0 {
		// The rules look at the file and not at who may pass them by, so they hold for root too.
		t.Log("as root")
	}
	mode := func(path string, m fs.FileMode) func(string) error {
		return func(dir string) error { return os.Chmod(filepath.Join(dir, path), m) }
	}
	link := func(to string) func(string) error {
		return func(dir string) error {
			h := filepath.Join(dir, "w", "hotkeys", "h")
			return errors.Join(os.Remove(h), os.Symlink(to, h))
		}
	}
	for _, c := range []struct {
		name string
		do   func(dir string) error
		err  error
	}{
		{"0600", mode("w/hotkeys/h", 0o600), nil},
		{"0400", mode("w/hotkeys/h", 0o400), nil},
		{"folders that all can read", mode("w", 0o755), nil},
		{"0640", mode("w/hotkeys/h", 0o640), ErrOpen},
		{"0604", mode("w/hotkeys/h", 0o604), ErrOpen},
		{"0620", mode("w/hotkeys/h", 0o620), ErrOpen},
		{"0601", mode("w/hotkeys/h", 0o601), ErrOpen},
		{"a wallet that all can write", mode("w", 0o777), ErrOpen},
		{"hotkeys that all can write", mode("w/hotkeys", 0o777), ErrOpen},
		{"hotkeys that all can write, sticky", mode("w/hotkeys", 0o777|fs.ModeSticky), ErrOpen},
		{"a public half that all can write", mode("w/hotkeys/hpub.txt", 0o606), ErrOpen},
		{"a link beside", link("other"), ErrOpen},
		{"a link to the coldkey", link("../coldkey"), ErrOpen},
		{"a link out", link("/etc/passwd"), ErrOpen},
		{"a folder", func(dir string) error {
			h := filepath.Join(dir, "w", "hotkeys", "h")
			return errors.Join(os.Remove(h), os.Mkdir(h, 0o700))
		}, ErrOpen},
		{"a pipe", func(dir string) error {
			h := filepath.Join(dir, "w", "hotkeys", "h")
			return errors.Join(os.Remove(h), syscall.Mkfifo(h, 0o600))
		}, ErrOpen},
		{"hotkeys is a link out", func(dir string) error {
			h := filepath.Join(dir, "w", "hotkeys")
			return errors.Join(os.Rename(h, filepath.Join(dir, "elsewhere")), os.Symlink(filepath.Join(dir, "elsewhere"), h))
		}, errors.ErrUnsupported},
		{"a hard link to the coldkey", func(dir string) error {
			h := filepath.Join(dir, "w", "hotkeys", "h")
			return errors.Join(os.Remove(h), os.Link(filepath.Join(dir, "w", "coldkey"), h))
		}, ErrColdkey},
		{"the coldkey's own key", func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "w", "coldkeypub.txt"), []byte(`{"ss58Address":"5DfhGyQdFobKM8NsWvEeAKk5EQQgYe9AydgJ7rMB6E1EqRzV"}`), 0o600)
		}, ErrColdkey},
		{"another wallet's coldkey", func(dir string) error {
			return errors.Join(os.Mkdir(filepath.Join(dir, "v"), 0o700),
				os.WriteFile(filepath.Join(dir, "v", "coldkeypub.txt"), []byte(`{"ss58Address":"5DfhGyQdFobKM8NsWvEeAKk5EQQgYe9AydgJ7rMB6E1EqRzV"}`), 0o600))
		}, ErrColdkey},
		{"a public half of another", func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "w", "hotkeys", "hpub.txt"), []byte(`{"ss58Address":"`+alice+`"}`), 0o600)
		}, ErrMismatch},
		{"a big file", func(dir string) error { return os.Truncate(filepath.Join(dir, "w", "hotkeys", "h"), 1<<40) }, ErrKeyfile},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := files(t, map[string]string{"w/hotkeys/h": devFile, "w/hotkeys/other": devFile, "w/coldkey": devFile,
				"w/hotkeys/hpub.txt": `{"ss58Address":"5DfhGyQdFobKM8NsWvEeAKk5EQQgYe9AydgJ7rMB6E1EqRzV"}`})
			if err := c.do(string(f)); err != nil {
				t.Fatal(err)
			}
			k, err := f.Hotkey("w", "h", nil)
			if c.err == errors.ErrUnsupported { // any error: the system's own
				if err == nil {
					t.Error("was read")
				}
			} else if !errors.Is(err, c.err) || err == nil && k == nil {
				t.Errorf("%v, want %v", err, c.err)
			}
			// The list says the same, and reads on.
			w, err := f.Wallet("w")
			if err != nil || c.err != nil && w.Err == nil && !slices.ContainsFunc(w.Hotkeys, func(h HotkeyFile) bool { return h.Name == "h" && h.Err != nil }) &&
				c.name != "another wallet's coldkey" {
				t.Errorf("listed as good: %+v, %v", w, err)
			}
		})
	}
}

func TestColdkeyIsNeverTouched(t *testing.T) {
	f := files(t, map[string]string{"w/coldkey": devFile, "w/coldkeypub.txt": `{"ss58Address":"5DfhGyQdFobKM8NsWvEeAKk5EQQgYe9AydgJ7rMB6E1EqRzV"}`})
	cold := filepath.Join(string(f), "w", "coldkey")
	if _, err := ReadFile(cold, nil); !errors.Is(err, ErrColdkey) {
		t.Errorf("read: %v", err)
	}
	if _, err := ReadFile(filepath.Join(string(f), "w", "hotkeys", "..", "coldkey"), nil); !errors.Is(err, ErrColdkey) {
		t.Errorf("read by another way: %v", err)
	}
	if err := f.Create("w", "h", parse(t, devPhrase), nil, false); !errors.Is(err, ErrColdkey) {
		t.Errorf("written as a hotkey: %v", err)
	}
	if _, err := os.Stat(f.Path("w", "h")); err == nil {
		t.Error("and it is there")
	}
	root, err := f.open("w")
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if err := write(root, "coldkey", []byte("x"), true); !errors.Is(err, ErrColdkey) {
		t.Errorf("written: %v", err)
	}
	w, err := f.Wallet("w")
	if err != nil || w.Coldkey == nil || w.Coldkey.String() != "5DfhGyQdFobKM8NsWvEeAKk5EQQgYe9AydgJ7rMB6E1EqRzV" {
		t.Errorf("%+v, %v", w, err)
	}
	// A hotkey called coldkey is a hotkey.
	if err := f.Create("w", "coldkey", parse(t, "//Bob"), nil, false); err != nil {
		t.Error(err)
	}
	if b, _ := os.ReadFile(cold); string(b) != devFile {
		t.Error("the coldkey was changed")
	}
}

func TestList(t *testing.T) {
	bob := parse(t, "//Bob")
	box, err := encrypt(bob.keyfile(), []byte("password"), cheap)
	if err != nil {
		t.Fatal(err)
	}
	f := files(t, map[string]string{
		"a/coldkeypub.txt": `{"ss58Address":"` + alice + `"}`, "a/hotkeys/two": devFile, "a/hotkeys/one": "rubbish",
		"a/hotkeys/threepub.txt": `{"ss58Address":"` + alice + `"}`, "a/hotkeys/four": string(box), "a/hotkeys/five": string(box),
		"a/hotkeys/fourpub.txt": string(bob.publicKeyfile()), "a/hotkeys/x.new-AAAAAAAA": "torn", "b/coldkey": "x", "file": "no wallet",
	})
	list, err := f.List()
	if err != nil || len(list) != 2 || list[0].Name != "a" || list[1].Name != "b" || list[1].Coldkey != nil {
		t.Fatalf("%+v, %v", list, err)
	}
	var got []string
	for _, h := range list[0].Hotkeys {
		s := h.Name
		if h.Account != nil {
			s += " " + h.Account.String()[:4]
		}
		if h.Encrypted {
			s += " encrypted"
		}
		if h.Public {
			s += " public"
		}
		if h.Err != nil {
			s += " bad"
		}
		got = append(got, s)
	}
	want := []string{"five encrypted", "four 5FHn encrypted", "one bad", "three 5Grw public bad", "two 5Dfh"} // three is the coldkey
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if list, err := Folder(filepath.Join(t.TempDir(), "none")).List(); list != nil || err != nil {
		t.Error(list, err)
	}
	if _, err := f.Wallet("none"); !errors.Is(err, ErrNone) {
		t.Error(err)
	}
}

// TestCreateRaces: of many that make the same name at once, one wins, and the file is whole.
func TestCreateRaces(t *testing.T) {
	f := Folder(t.TempDir())
	var wg sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		k, err := New(12)
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() { errs[i] = f.Create("w", "h", k, nil, false) })
	}
	wg.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		} else if !errors.Is(err, ErrExists) {
			t.Error(err)
		}
	}
	if _, err := f.Hotkey("w", "h", nil); won != 1 || err != nil {
		t.Errorf("%d won, %v", won, err)
	}
}

func FuzzKeyfile(f *testing.F) {
	f.Add([]byte(devFile))
	f.Add([]byte(`{"secretSeed":"\u0000","ss58Address":null}`))
	f.Add([]byte("$NACL" + strings.Repeat("\x00", 60)))
	f.Add([]byte(devPhrase))
	f.Fuzz(func(t *testing.T, b []byte) {
		k, err := ParseKeyfile(b)
		if (err == nil) != (k != nil) {
			t.Fatal(k, err)
		}
		a, err2 := ParsePublicKeyfile(b)
		if err == nil && err2 == nil && a != k.account {
			t.Fatalf("%v and %v", a, k.account)
		}
		if _, err := decrypt(b, []byte("password"), cheap); err == nil && !Encrypted(b) {
			t.Fatal("decrypted what is not encrypted")
		}
		_ = verify.AccountID(a)
	})
}
