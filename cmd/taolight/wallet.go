package main

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/taolight/taolight/internal/control"
	"github.com/taolight/taolight/neuron/wallet"
	"github.com/taolight/taolight/verify"
)

// maxTyped bounds a secret or a password that is read, maxSigned a text that is signed.
const (
	maxTyped  = 4096
	maxSigned = 1 << 20
)

// walletFlags are the names by which a hotkey is found, as users of btcli know them.
type walletFlags struct{ name, hotkey, path string }

// walletNames are the other spellings of these flags.
var walletNames = map[string]string{"wallet-name": "wallet.name", "wallet_name": "wallet.name", "name": "wallet.name",
	"wallet-hotkey": "wallet.hotkey", "wallet_hotkey": "wallet.hotkey", "hotkey": "wallet.hotkey",
	"wallet-path": "wallet.path", "wallet_path": "wallet.path"}

func (w *walletFlags) flags(cmd *cobra.Command, hotkey bool) {
	f := cmd.Flags()
	f.StringVar(&w.path, "wallet.path", "", "folder of wallets (BT_WALLET_PATH; default ~/.bittensor/wallets)")
	f.StringVar(&w.name, "wallet.name", "", "wallet (BT_WALLET_NAME; default default)")
	if hotkey {
		f.StringVarP(&w.hotkey, "wallet.hotkey", "H", "", "hotkey (BT_WALLET_HOTKEY; default default)")
	}
	f.SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		if n, ok := walletNames[name]; ok {
			name = n
		}
		return pflag.NormalizedName(name)
	})
}

// getenv returns a variable of the environment that the program was started with.
func (a *app) getenv(name string) string {
	for _, e := range a.environ {
		if v, ok := strings.CutPrefix(e, name+"="); ok {
			return v
		}
	}
	return ""
}

// wallets fills in what no flag said, and returns the folder.
func (a *app) wallets(w *walletFlags) (wallet.Folder, error) {
	for _, s := range []struct {
		v             *string
		env, standard string
	}{{&w.name, "BT_WALLET_NAME", wallet.DefaultName}, {&w.hotkey, "BT_WALLET_HOTKEY", wallet.DefaultName}, {&w.path, "BT_WALLET_PATH", ""}} {
		if *s.v == "" {
			*s.v = a.getenv(s.env)
		}
		if *s.v == "" {
			*s.v = s.standard
		}
	}
	home := a.getenv("HOME")
	switch {
	case w.path == "" && home == "":
		return "", usage("no home directory to look for wallets in").WithHint("give a folder with --wallet.path")
	case w.path == "":
		return wallet.DefaultFolder(home), nil
	case home != "" && (w.path == "~" || strings.HasPrefix(w.path, "~/")):
		return wallet.Folder(filepath.Join(home, w.path[1:])), nil
	}
	return wallet.Folder(w.path), nil
}

// terminal returns the terminal that stdin is, if it is one.
func (a *app) terminal() (fd int, ok bool) {
	f, ok := a.stdin.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return 0, false
	}
	return int(f.Fd()), true
}

// prompt asks for a secret on the terminal without showing it.
func (a *app) prompt(what string) ([]byte, error) {
	fd, ok := a.terminal()
	if !ok {
		return nil, errors.New("stdin is no terminal")
	}
	fmt.Fprintf(a.stderr, "%s: ", what)
	b, err := term.ReadPassword(fd)
	fmt.Fprintln(a.stderr)
	return b, err
}

// password returns who asks for the password of a keyfile: btwallet's variable, else a person.
func (a *app) password(path string) func() ([]byte, error) {
	return func() ([]byte, error) {
		if abs, err := filepath.Abs(path); err == nil {
			path = abs
		}
		if b, err := wallet.EnvironPassword(a.environ, path); b != nil || err != nil {
			return b, err
		}
		if _, ok := a.terminal(); !ok {
			return nil, fmt.Errorf("%w, stdin is no terminal, and %s is not set", wallet.ErrEncrypted, wallet.PasswordVariable(path))
		}
		return a.prompt("password of " + printable(path))
	}
}

// hotkey reads the hotkey that the flags name.
func (a *app) hotkey(w *walletFlags) (*wallet.Hotkey, error) {
	f, err := a.wallets(w)
	if err != nil {
		return nil, err
	}
	key, err := f.Hotkey(w.name, w.hotkey, a.password(f.Path(w.name, w.hotkey)))
	return key, walletError(err)
}

// walletError gives the errors of a command line their code, and some others a hint.
func walletError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, wallet.ErrName):
		return usage("%w", err)
	case errors.Is(err, wallet.ErrNone):
		return control.Errorf(control.Failure, "%w", err).WithHint("taolight wallet list shows what there is; new-hotkey makes one")
	case errors.Is(err, wallet.ErrExists):
		return control.Errorf(control.Failure, "%w", err).WithHint("--overwrite replaces it, for good")
	}
	return err
}

func (a *app) walletCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "wallet",
		GroupID: "key",
		Short:   "hotkeys, in the files of btwallet",
		Long: `Keeps hotkeys in ~/.bittensor/wallets, as btcli and btwallet do. Of coldkeys it knows
the address alone: it never opens a coldkey's file, and refuses a hotkey that is one.`,
		RunE: a.do(func(cmd *cobra.Command, args []string) error {
			if err := noCommand(cmd, args); err != nil {
				return err
			}
			return usage("wallet what?").WithHint("list, show, new-hotkey, import-hotkey, sign or verify")
		}),
	}
	cmd.AddCommand(a.walletListCommand(), a.walletShowCommand(), a.newHotkeyCommand(), a.importHotkeyCommand(), a.signCommand(), a.verifySignatureCommand())
	return cmd
}

// A hotkeyJSON is what --json says of a hotkey; a walletJSON, of a wallet.
type hotkeyJSON struct {
	Name      string `json:"name"`
	Path      string `json:"path"`
	Address   string `json:"address,omitempty"`
	PublicKey string `json:"public_key,omitempty"`
	Encrypted bool   `json:"encrypted"`
	Public    bool   `json:"public_only"`
	Problem   string `json:"problem,omitempty"`
}

type walletJSON struct {
	Schema  int          `json:"schema,omitempty"`
	Name    string       `json:"name"`
	Coldkey string       `json:"coldkey,omitempty"`
	Hotkeys []hotkeyJSON `json:"hotkeys"`
	Problem string       `json:"problem,omitempty"`
}

func walletOf(w wallet.Wallet) walletJSON {
	out := walletJSON{Name: w.Name, Hotkeys: []hotkeyJSON{}}
	if w.Coldkey != nil {
		out.Coldkey = w.Coldkey.String()
	}
	if w.Err != nil {
		out.Problem = w.Err.Error()
	}
	for _, h := range w.Hotkeys {
		j := hotkeyJSON{Name: h.Name, Path: h.Path, Encrypted: h.Encrypted, Public: h.Public}
		if h.Account != nil {
			j.Address, j.PublicKey = h.Account.String(), h.Account.Hex()
		}
		if h.Err != nil {
			j.Problem = h.Err.Error()
		}
		out.Hotkeys = append(out.Hotkeys, j)
	}
	return out
}

func (a *app) printWallet(w walletJSON) {
	cold := w.Coldkey
	if cold == "" {
		cold = "address unknown: no coldkeypub.txt"
	}
	fmt.Fprintf(a.stdout, "%s   coldkey %s\n", a.style.bold(printable(w.Name)), cold)
	for _, h := range w.Hotkeys {
		address := h.Address
		if address == "" {
			address = "address unknown without the password"
			if h.Problem != "" {
				address = "not usable"
			}
		}
		kind := ""
		switch {
		case h.Public:
			kind = "   address alone"
		case h.Encrypted:
			kind = "   encrypted"
		}
		fmt.Fprintf(a.stdout, "  %-14s %s%s\n", printable(h.Name), address, kind)
		if h.Problem != "" {
			fmt.Fprint(a.stdout, wrap(a.style.bad("! ")+printable(h.Problem), "    "))
		}
	}
	if w.Problem != "" {
		fmt.Fprint(a.stdout, wrap(a.style.bad("! ")+printable(w.Problem), "  "))
	}
}

func (a *app) walletListCommand() *cobra.Command {
	var w walletFlags
	cmd := &cobra.Command{
		Use:   "list",
		Short: "the wallets and their hotkeys",
		Args:  cobra.NoArgs,
		RunE: a.do(func(*cobra.Command, []string) error {
			f, err := a.wallets(&w)
			if err != nil {
				return err
			}
			list, err := f.List()
			if err != nil {
				return err
			}
			out := []walletJSON{}
			for _, x := range list {
				out = append(out, walletOf(x))
			}
			if a.json {
				return printJSON(a.stdout, struct {
					Schema  int          `json:"schema"`
					Path    string       `json:"path"`
					Wallets []walletJSON `json:"wallets"`
				}{1, string(f), out})
			}
			if len(out) == 0 {
				a.warn("no wallet in %s", printable(string(f)))
			}
			for _, x := range out {
				a.printWallet(x)
			}
			return nil
		}),
	}
	w.flags(cmd, false)
	a.jsonFlag(cmd)
	return cmd
}

func (a *app) walletShowCommand() *cobra.Command {
	var w walletFlags
	cmd := &cobra.Command{
		Use:   "show",
		Short: "one wallet, and whether its keys can be used",
		Long:  "Shows a wallet's addresses. Ends with 1 if a hotkey of it cannot be used as it is.",
		Args:  cobra.NoArgs,
		RunE: a.do(func(*cobra.Command, []string) error {
			f, err := a.wallets(&w)
			if err != nil {
				return err
			}
			x, err := f.Wallet(w.name)
			if err != nil {
				return walletError(err)
			}
			out := walletOf(x)
			bad := out.Problem != ""
			for _, h := range out.Hotkeys {
				bad = bad || h.Problem != ""
			}
			if a.json {
				out.Schema = 1
				err = printJSON(a.stdout, out)
			} else {
				a.printWallet(out)
			}
			if err == nil && bad {
				err = quiet(control.Failure)
			}
			return err
		}),
	}
	w.flags(cmd, false)
	a.jsonFlag(cmd)
	return cmd
}

// made are the flags of what writes a hotkey.
type made struct {
	walletFlags
	encrypt, overwrite bool
}

func (m *made) flags(cmd *cobra.Command) {
	m.walletFlags.flags(cmd, true)
	cmd.Flags().BoolVar(&m.encrypt, "encrypt", false, "encrypt the file with a password; a miner that starts by itself needs it plain")
	cmd.Flags().BoolVar(&m.overwrite, "overwrite", false, "replace a hotkey of that name, for good")
}

// store writes a new hotkey and says where.
func (a *app) store(m *made, key *wallet.Hotkey, mnemonic bool) error {
	f, err := a.wallets(&m.walletFlags)
	if err != nil {
		return err
	}
	path := f.Path(m.name, m.hotkey)
	var password []byte
	if m.encrypt {
		if password, err = a.newPassword(path); err != nil {
			return err
		}
		defer clear(password)
	}
	if err := f.Create(m.name, m.hotkey, key, password, m.overwrite); err != nil {
		return walletError(err)
	}
	var words []byte
	if mnemonic {
		words = key.Mnemonic()
		defer clear(words)
	}
	if a.json {
		return printJSON(a.stdout, struct {
			Schema    int    `json:"schema"`
			Address   string `json:"address"`
			PublicKey string `json:"public_key"`
			Path      string `json:"path"`
			Mnemonic  string `json:"mnemonic,omitempty"`
		}{1, key.Account().String(), key.Account().Hex(), path, string(words)})
	}
	fmt.Fprintf(a.stdout, "%s\n%s\n", key.Account(), printable(path))
	if words != nil {
		fmt.Fprintf(a.stdout, "%s\n", words)
	} else {
		fmt.Fprintln(a.stderr, "that file is the only copy of the key: keep another one where nobody reads it")
	}
	return nil
}

// newPassword returns a password for a new file: btwallet's variable, else what a person types twice.
func (a *app) newPassword(path string) ([]byte, error) {
	ask := a.password(path)
	b, err := ask()
	if err != nil {
		return nil, err
	}
	if _, ok := a.terminal(); !ok {
		return b, nil
	}
	again, err := a.prompt("once more")
	defer clear(again)
	if err == nil && !bytes.Equal(b, again) {
		err = errors.New("the two passwords differ")
	}
	if err != nil {
		clear(b)
		return nil, err
	}
	return b, nil
}

func (a *app) newHotkeyCommand() *cobra.Command {
	var m made
	var words int
	var mnemonic bool
	cmd := &cobra.Command{
		Use:   "new-hotkey",
		Short: "make a hotkey",
		Long: `Makes a hotkey from a new mnemonic and writes it for this user alone to read, as btcli
does and readable by it. The mnemonic stands in the file; --mnemonic prints it too.`,
		Example: `  taolight wallet new-hotkey --wallet.name mine --wallet.hotkey miner1`,
		Args:    cobra.NoArgs,
		RunE: a.do(func(*cobra.Command, []string) error {
			key, err := wallet.New(words)
			if err != nil {
				return usage("--words: %w", err)
			}
			defer key.Wipe()
			return a.store(&m, key, mnemonic)
		}),
	}
	m.flags(cmd)
	cmd.Flags().IntVar(&words, "words", 12, "words of the mnemonic: 12, 15, 18, 21 or 24")
	cmd.Flags().BoolVar(&mnemonic, "mnemonic", false, "print the mnemonic")
	a.jsonFlag(cmd)
	return cmd
}

func (a *app) importHotkeyCommand() *cobra.Command {
	var m made
	var file string
	cmd := &cobra.Command{
		Use:   "import-hotkey",
		Short: "take in a hotkey: a mnemonic, a seed or a keyfile",
		Long: `Reads a secret from stdin, or from a terminal without showing it: a mnemonic or 0x and a
seed in hex, with Substrate's //hard/soft///password behind it if need be; or with
--file a keyfile, plain or encrypted. A secret is never taken from the command line,
where every process can read it.`,
		Example: `  taolight wallet import-hotkey --wallet.hotkey miner1
  taolight wallet import-hotkey --file /media/usb/hotkeys/miner1`,
		Args: cobra.NoArgs,
		RunE: a.do(func(*cobra.Command, []string) error {
			var key *wallet.Hotkey
			var err error
			if file != "" {
				key, err = wallet.ReadFile(file, a.password(file))
			} else {
				key, err = a.typedKey()
			}
			if err != nil {
				return walletError(err)
			}
			defer key.Wipe()
			return a.store(&m, key, false)
		}),
	}
	m.flags(cmd)
	cmd.Flags().StringVar(&file, "file", "", "keyfile to read instead of stdin")
	a.jsonFlag(cmd)
	return cmd
}

// typedKey reads a secret from a person or from stdin.
func (a *app) typedKey() (*wallet.Hotkey, error) {
	var b []byte
	var err error
	if _, ok := a.terminal(); ok {
		b, err = a.prompt("mnemonic or seed")
	} else {
		b = make([]byte, maxTyped+1)
		var n int
		if n, err = io.ReadFull(a.stdin, b); errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = nil
		} else if err == nil {
			err = fmt.Errorf("stdin: more than %d bytes", maxTyped)
		}
		b = b[:n]
	}
	defer clear(b)
	if err != nil {
		return nil, err
	}
	if bytes.HasPrefix(bytes.TrimSpace(b), []byte("{")) {
		return wallet.ParseKeyfile(b)
	}
	return wallet.Parse(b)
}

// text returns what is signed: an argument, a file, or stdin.
func (a *app) text(args []string, file string, isHex bool) ([]byte, error) {
	var b []byte
	var err error
	switch {
	case len(args) == 1 && file == "":
		b = []byte(args[0])
	case len(args) == 0 && file != "":
		b, err = a.readBytes(file, maxSigned)
	default:
		return nil, usage("want a message, or --file with one; - is stdin")
	}
	if err != nil || !isHex {
		return b, err
	}
	b, err = verify.ParseHex(strings.TrimSpace(string(b)))
	if err != nil {
		return nil, usage("message: %w", err)
	}
	return b, nil
}

func (a *app) signCommand() *cobra.Command {
	var w walletFlags
	var file string
	var isHex, raw bool
	cmd := &cobra.Command{
		Use:   "sign [MESSAGE]",
		Short: "sign a text with a hotkey",
		Long: `Signs a text and prints the signature. The text is put between <Bytes> and </Bytes>, so
that what is signed can be no transaction and no request to an axon; btcli, btwallet
and polkadot-js verify it as the text itself. --raw signs it as it is: only what you
made yourself.`,
		Example: `  taolight wallet sign "I am uid 12" --wallet.hotkey miner1`,
		RunE: a.do(func(_ *cobra.Command, args []string) error {
			b, err := a.text(args, file, isHex)
			if err != nil {
				return err
			}
			key, err := a.hotkey(&w)
			if err != nil {
				return err
			}
			defer key.Wipe()
			message := b
			if !raw {
				message = wallet.Wrap(b)
			}
			sig, err := key.Sign(message)
			if err != nil {
				return err
			}
			if a.json {
				return printJSON(a.stdout, struct {
					Schema    int    `json:"schema"`
					Address   string `json:"address"`
					Message   string `json:"message"` // in hex, without the wrapping
					Wrapped   bool   `json:"wrapped"`
					Signature string `json:"signature"`
				}{1, key.Account().String(), "0x" + hex.EncodeToString(b), !raw, "0x" + hex.EncodeToString(sig[:])})
			}
			_, err = fmt.Fprintf(a.stdout, "0x%x\n", sig)
			return err
		}),
	}
	w.flags(cmd, true)
	cmd.Flags().StringVar(&file, "file", "", "file to sign instead; - is stdin")
	cmd.Flags().BoolVar(&isHex, "hex", false, "the message is hex")
	cmd.Flags().BoolVar(&raw, "raw", false, "sign the bytes as they are")
	a.jsonFlag(cmd)
	return cmd
}

func (a *app) verifySignatureCommand() *cobra.Command {
	var address, signature, file string
	var isHex bool
	cmd := &cobra.Command{
		Use:   "verify [MESSAGE] --address ADDRESS --signature 0x…",
		Short: "check a signature",
		Long: `Checks an sr25519 signature over a text, as it is or between <Bytes> and </Bytes>. Ends
with 3 if it is not of that address over that text.`,
		RunE: a.do(func(_ *cobra.Command, args []string) error {
			b, err := a.text(args, file, isHex)
			if err != nil {
				return err
			}
			account, err := verify.ParseAccount(address)
			if err != nil {
				return usage("--address: %w", err)
			}
			sig, err := verify.ParseHex(signature)
			if err != nil || len(sig) != 64 {
				return usage("--signature: want 64 bytes of hex")
			}
			good := wallet.Verify(account, b, [64]byte(sig))
			if a.json {
				err = printJSON(a.stdout, struct {
					Schema  int    `json:"schema"`
					Address string `json:"address"`
					Good    bool   `json:"good"`
				}{1, account.String(), good})
			} else if good {
				_, err = fmt.Fprintf(a.stdout, "good: signed by %v\n", account)
			} else {
				_, err = fmt.Fprintf(a.stdout, "false: not signed by %v, or another message\n", account)
			}
			if err == nil && !good {
				err = quiet(control.Unproven)
			}
			return err
		}),
	}
	f := cmd.Flags()
	f.StringVar(&address, "address", "", "who is said to have signed: SS58 or hex")
	f.StringVar(&signature, "signature", "", "the signature in hex")
	f.StringVar(&file, "file", "", "file with the message; - is stdin")
	f.BoolVar(&isHex, "hex", false, "the message is hex")
	a.jsonFlag(cmd)
	return cmd
}
