package wallet

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/taolight/taolight/verify"
)

// Errors of the folder of wallets.
var (
	// ErrColdkey: a coldkey's secret was asked for, or would have been.
	ErrColdkey = errors.New("that is a coldkey: its secret has no place here")
	// ErrOpen: somebody else can read a secret file, or change what leads to it.
	ErrOpen = errors.New("not private")
	// ErrName: a name that cannot be one of a wallet or a hotkey.
	ErrName = errors.New("bad name")
	// ErrExists: there is such a file already.
	ErrExists = errors.New("already there")
	// ErrNone: there is no such wallet or hotkey.
	ErrNone = errors.New("no such key")
)

// What btwallet calls them.
const (
	DefaultName = "default" // of a wallet and of a hotkey

	coldkeyFile = "coldkey"
	coldkeyPub  = "coldkeypub.txt"
	hotkeys     = "hotkeys"
	pubSuffix   = "pub.txt"
)

// maxWallets and maxHotkeys bound what a folder is listed to.
const (
	maxWallets = 1000
	maxHotkeys = 1000
	maxName    = 100
)

// DefaultFolder is where btwallet keeps its wallets, below a home directory.
func DefaultFolder(home string) Folder { return Folder(filepath.Join(home, ".bittensor", "wallets")) }

// A Folder is the path of a folder of wallets.
type Folder string

// A Wallet is one wallet of a folder, as far as it is public.
type Wallet struct {
	Name    string
	Coldkey *verify.AccountID // nil: no readable coldkeypub.txt
	Hotkeys []HotkeyFile      // by name
	Err     error             // why the wallet, or a part of it, cannot be read
}

// A HotkeyFile is what can be told of a hotkey without its secret.
type HotkeyFile struct {
	Name      string
	Path      string
	Account   *verify.AccountID // nil: not known without a password
	Encrypted bool
	Public    bool  // there is an address and no secret
	Err       error // why it cannot be used
}

// List returns the wallets of the folder by name, with what is wrong with each. A folder that is not there
// has none.
func (f Folder) List() ([]Wallet, error) {
	entries, err := os.ReadDir(string(f))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var list []Wallet
	for _, e := range entries {
		if checkName(e.Name()) != nil {
			continue
		}
		if info, err := os.Stat(filepath.Join(string(f), e.Name())); err != nil || !info.IsDir() {
			continue
		}
		if len(list) == maxWallets {
			return list, fmt.Errorf("%s: more than %d wallets", f, maxWallets)
		}
		list = append(list, f.wallet(e.Name()))
	}
	return list, nil
}

// Wallet returns one wallet of the folder.
func (f Folder) Wallet(name string) (Wallet, error) {
	if err := checkName(name); err != nil {
		return Wallet{}, err
	}
	if info, err := os.Stat(filepath.Join(string(f), name)); err != nil || !info.IsDir() {
		return Wallet{}, fmt.Errorf("wallet %q in %s: %w", name, f, ErrNone)
	}
	return f.wallet(name), nil
}

func (f Folder) wallet(name string) Wallet {
	w := Wallet{Name: name}
	root, err := f.open(name)
	if err != nil {
		w.Err = err
		return w
	}
	defer root.Close()
	if a, err := readPublic(root, coldkeyPub); err == nil {
		w.Coldkey = &a
	} else if !errors.Is(err, fs.ErrNotExist) {
		w.Err = fmt.Errorf("%s: %w", coldkeyPub, err)
	}
	entries, err := fs.ReadDir(root.FS(), hotkeys)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			w.Err = err
		}
		return w
	}
	has := map[string]bool{}
	for _, e := range entries {
		has[e.Name()] = true
	}
	for _, e := range entries {
		name, public := strings.CutSuffix(e.Name(), pubSuffix)
		if checkHotkey(name) != nil || public && has[name] || len(w.Hotkeys) == maxHotkeys {
			continue
		}
		h := HotkeyFile{Name: name, Path: f.Path(w.Name, name), Public: public}
		if public {
			h.Account, h.Err = publicOf(root, name)
		} else {
			h.Encrypted, h.Account, h.Err = look(root, name)
		}
		if h.Err == nil && h.Account != nil && w.Coldkey != nil && *h.Account == *w.Coldkey {
			h.Err = ErrColdkey
		}
		w.Hotkeys = append(w.Hotkeys, h)
	}
	slices.SortFunc(w.Hotkeys, func(a, b HotkeyFile) int { return strings.Compare(a.Name, b.Name) })
	return w
}

// look tells of a secret file whether it is encrypted and what its address is.
func look(root *os.Root, name string) (encrypted bool, account *verify.AccountID, err error) {
	b, err := readSecret(root, name)
	if err != nil {
		return false, nil, err
	}
	defer clear(b)
	if account, err = publicOf(root, name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Encrypted(b), nil, err
	}
	if Encrypted(b) {
		return true, account, nil
	}
	key, err := ParseKeyfile(b)
	if err != nil {
		return false, nil, err
	}
	defer key.Wipe()
	if account != nil && *account != key.account {
		return false, nil, fmt.Errorf("%w: %s%s says %v", ErrMismatch, name, pubSuffix, *account)
	}
	a := key.account
	return false, &a, nil
}

func publicOf(root *os.Root, name string) (*verify.AccountID, error) {
	a, err := readPublic(root, hotkeys+"/"+name+pubSuffix)
	if err != nil {
		return nil, err
	}
	return &a, nil
}

// Path returns where a hotkey's secret is.
func (f Folder) Path(wallet, hotkey string) string {
	return filepath.Join(string(f), wallet, hotkeys, hotkey)
}

// Hotkey reads a hotkey with its secret. password is asked if the file is encrypted, and what it returns is
// cleared; nil stands for no password.
func (f Folder) Hotkey(wallet, hotkey string, password func() ([]byte, error)) (*Hotkey, error) {
	if err := errors.Join(checkName(wallet), checkHotkey(hotkey)); err != nil {
		return nil, err
	}
	key, err := f.hotkey(wallet, hotkey, password)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", f.Path(wallet, hotkey), ErrNone)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Path(wallet, hotkey), err)
	}
	return key, nil
}

func (f Folder) hotkey(wallet, hotkey string, password func() ([]byte, error)) (*Hotkey, error) {
	root, err := f.open(wallet)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	b, err := readSecret(root, hotkey)
	if err != nil {
		return nil, err
	}
	defer clear(b)
	key, err := open(b, password)
	if err != nil {
		return nil, err
	}
	a, err := publicOf(root, hotkey)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = nil // btwallet before 3.1 wrote none
	case err == nil && *a != key.account:
		err = fmt.Errorf("%w: %s%s says %v", ErrMismatch, hotkey, pubSuffix, *a)
	}
	if err == nil {
		err = f.notColdkey(key.account)
	}
	if err != nil {
		key.Wipe()
		return nil, err
	}
	return key, nil
}

func open(b []byte, password func() ([]byte, error)) (*Hotkey, error) {
	if !Encrypted(b) {
		return ParseKeyfile(b)
	}
	if password == nil {
		return nil, ErrEncrypted
	}
	p, err := password()
	if err != nil {
		return nil, err
	}
	defer clear(p)
	plain, err := Decrypt(b, p)
	if err != nil {
		return nil, err
	}
	defer clear(plain)
	return ParseKeyfile(plain)
}

// ReadFile reads a keyfile outside of a folder, to take it in. The rules for secret files hold for it as
// well, and a file called coldkey is not opened.
func ReadFile(path string, password func() ([]byte, error)) (*Hotkey, error) {
	dir, name := filepath.Split(path)
	if name == coldkeyFile {
		return nil, fmt.Errorf("%s: %w", path, ErrColdkey)
	}
	root, err := os.OpenRoot(filepath.Clean(dir + "."))
	if err != nil {
		return nil, err
	}
	defer root.Close()
	b, err := read(root, name, true)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	defer clear(b)
	key, err := open(b, password)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return key, nil
}

// Create writes a hotkey and its public half, and makes the wallet's folders if need be. With a password the
// secret is encrypted. A hotkey of that name is an error unless it is to be replaced.
func (f Folder) Create(wallet, hotkey string, key *Hotkey, password []byte, replace bool) error {
	if err := errors.Join(checkName(wallet), checkHotkey(hotkey)); err != nil {
		return err
	}
	if key.pair == nil {
		return fmt.Errorf("%s: %w", f.Path(wallet, hotkey), ErrNone)
	}
	if err := f.notColdkey(key.account); err != nil {
		return err
	}
	b := key.keyfile()
	defer func() { clear(b) }()
	if password != nil {
		box, err := Encrypt(b, password)
		if err != nil {
			return err
		}
		clear(b)
		b = box
	}
	if err := os.MkdirAll(filepath.Join(string(f), wallet), 0o700); err != nil {
		return err
	}
	root, err := f.open(wallet)
	if err != nil {
		return err
	}
	defer root.Close()
	if err := root.Mkdir(hotkeys, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := checkFolder(root, hotkeys); err != nil {
		return err
	}
	name := hotkeys + "/" + hotkey
	if !replace {
		// Somebody's public half of another key is worth keeping too.
		if a, err := publicOf(root, hotkey); err == nil && *a != key.account {
			return fmt.Errorf("%s%s: %w, of %v", f.Path(wallet, hotkey), pubSuffix, ErrExists, *a)
		}
	}
	if err := write(root, name, b, replace); err != nil {
		return fmt.Errorf("%s: %w", f.Path(wallet, hotkey), err)
	}
	if err := write(root, name+pubSuffix, key.publicKeyfile(), true); err != nil {
		return fmt.Errorf("%s%s: %w", f.Path(wallet, hotkey), pubSuffix, err)
	}
	return nil
}

// notColdkey refuses the key of any of the folder's coldkeys.
func (f Folder) notColdkey(account verify.AccountID) error {
	entries, err := os.ReadDir(string(f))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries[:min(len(entries), maxWallets)] {
		root, err := os.OpenRoot(filepath.Join(string(f), e.Name()))
		if err != nil {
			continue
		}
		a, err := readPublic(root, coldkeyPub)
		root.Close()
		if err == nil && a == account {
			return fmt.Errorf("%w (%v is the coldkey of wallet %q)", ErrColdkey, account, e.Name())
		}
	}
	return nil
}

// open opens a wallet's folder. From there on no path leads out of it, whatever links are put in.
func (f Folder) open(wallet string) (*os.Root, error) {
	root, err := os.OpenRoot(filepath.Join(string(f), wallet))
	if err != nil {
		return nil, err
	}
	if err := checkFolder(root, "."); err != nil {
		root.Close()
		return nil, err
	}
	return root, nil
}

// checkFolder refuses a folder in which others can exchange files. Reading its names does no harm, and
// btwallet lets everybody.
func checkFolder(root *os.Root, name string) error {
	info, err := root.Stat(name)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%s: %w", name, syscall.ENOTDIR)
	}
	open := info.Mode().Perm() & 0o022
	// Where each user has a group of the same number, that group is nobody else.
	if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Gid == st.Uid {
		open &^= 0o020
	}
	if open != 0 {
		return fmt.Errorf("%s: %w: others can exchange what is in it; run: chmod go-w %s", root.Name(), ErrOpen, filepath.Join(root.Name(), name))
	}
	return nil
}

func readSecret(root *os.Root, hotkey string) ([]byte, error) {
	if err := checkFolder(root, hotkeys); err != nil {
		return nil, err
	}
	return read(root, hotkeys+"/"+hotkey, true)
}

func readPublic(root *os.Root, name string) (verify.AccountID, error) {
	b, err := read(root, name, false)
	if err != nil {
		return verify.AccountID{}, err
	}
	return ParsePublicKeyfile(b)
}

// read reads a file that is no link, and if it is secret, nobody else's to read. What is checked is the
// file that was opened, so that nobody can exchange it in between.
func read(root *os.Root, name string, secret bool) ([]byte, error) {
	named, err := root.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !named.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: no plain file", ErrOpen)
	}
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !os.SameFile(named, info) {
		return nil, fmt.Errorf("%w: exchanged while it was opened", ErrOpen)
	}
	if secret {
		if err := checkSecret(root, info); err != nil {
			return nil, err
		}
	} else if info.Mode().Perm()&0o002 != 0 {
		return nil, fmt.Errorf("%w: everybody can write it", ErrOpen)
	}
	if info.Size() > maxKeyfile {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrKeyfile, info.Size(), maxKeyfile)
	}
	b := make([]byte, maxKeyfile+1) // not grown while reading: that would leave copies of a secret
	n, err := io.ReadFull(f, b)
	switch {
	case err == nil:
		err = fmt.Errorf("%w: more than %d bytes", ErrKeyfile, maxKeyfile)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return b[:n], nil
	}
	clear(b)
	return nil, err
}

func checkSecret(root *os.Root, info fs.FileInfo) error {
	if info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("%w: others can read it (mode %04o); run chmod 600 on it, and if the machine is not yours alone, change the key", ErrOpen, info.Mode().Perm())
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		if uid := uint32(os.Geteuid()); uid != 0 && st.Uid != uid && st.Uid != 0 {
			return fmt.Errorf("%w: it belongs to user %d", ErrOpen, st.Uid)
		}
	}
	// The coldkey by another name is the coldkey.
	if cold, err := root.Lstat(coldkeyFile); err == nil && os.SameFile(cold, info) {
		return ErrColdkey
	}
	return nil
}

// write puts a file in its place whole: it is written beside, synced, and given its name. Without replace a
// file of that name stays, whoever made it and when.
func write(root *os.Root, name string, b []byte, replace bool) (err error) {
	if filepath.Base(name) == coldkeyFile && filepath.Dir(name) == "." {
		return ErrColdkey
	}
	beside := name + ".new-" + rand.Text()[:8]
	f, err := root.OpenFile(beside, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			root.Remove(beside)
		}
	}()
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return err
	}
	if replace {
		err = root.Rename(beside, name)
	} else if err = root.Link(beside, name); err == nil {
		err = root.Remove(beside)
	} else if errors.Is(err, fs.ErrExist) {
		err = ErrExists
	}
	if err != nil {
		return err
	}
	dir, err := root.Open(filepath.Dir(name))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

// checkName refuses what could lead elsewhere, and what no shell or listing shows as it is.
func checkName(name string) error {
	bad := name == "" || len(name) > maxName || name[0] == '.' || name[0] == '-'
	for _, c := range name {
		bad = bad || c < ' ' || c == 0x7f || c == '/' || c == '\\' || c == 0xfffd
	}
	if bad {
		return fmt.Errorf("%w %q", ErrName, name)
	}
	return nil
}

// checkHotkey refuses too what is the public half of another name, or was left by a write that did not
// end.
func checkHotkey(name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	if strings.HasSuffix(name, pubSuffix) || strings.Contains(name, ".new-") {
		return fmt.Errorf("%w %q of a hotkey: it means another file", ErrName, name)
	}
	return nil
}
