package lightclient

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

// Our own limits on the address book.
const (
	maxAddresses     = 6    // per peer
	maxBook          = 1000 // peers; beyond it the least useful is forgotten
	maxPerSubnet     = 3    // connections into one /16 (IPv4) or /32 (IPv6), pinned peers aside
	dialBackoffMin   = 10 * time.Second
	dialBackoffMax   = 30 * time.Minute
	refusedBackoff   = 20 * time.Second // the light slots of a full node free up by the minute
	forgetAfterFails = 12
)

// A Contact is a peer in the address book.
type Contact struct {
	ID     peer.ID   `json:"id"`
	Addrs  []string  `json:"addrs"`
	Source string    `json:"source"` // "bootnode", "given", "kad", "inbound"
	LastOK time.Time `json:"last_ok,omitzero"`
	Fails  int       `json:"fails,omitempty"`

	BannedUntil time.Time `json:"banned_until,omitzero"`
	BanReason   string    `json:"ban_reason,omitempty"`

	Light bool `json:"light,omitempty"` // in its last handshake it was a light node itself

	next    time.Time // not before
	lastErr string
	saved   bool // as it stands, the store has it
}

// doubtful reports whether a contact may be a light node itself: the user names those too, where the network
// file and the chain's peers name full nodes.
func (c *Contact) doubtful() bool { return c.Light || c.Source == "given" && c.LastOK.IsZero() }

// pinned contacts were named by the user or the network file and are never forgotten.
func (c *Contact) pinned() bool { return c.Source == "bootnode" || c.Source == "given" }

// Book is the persisted address book: who can be dialled, when again, and who is banned until when
// and for what. It dials nobody itself.
type Book struct {
	contacts map[peer.ID]*Contact
	rand     *rand.Rand
	private  bool // addresses of private networks and of this host are dialled too
}

// NewBook returns an empty book.
func NewBook(r *rand.Rand) *Book {
	return &Book{contacts: make(map[peer.ID]*Contact), rand: r}
}

// AddGiven adds an address that the user or the network file names, with its /p2p part. When it is
// one of this host or of a private network, then addresses of that kind that peers tell are used as
// well: the chain is a local one.
func (b *Book) AddGiven(addr, source string) error {
	m, err := ma.NewMultiaddr(addr)
	if err != nil {
		return fmt.Errorf("peer address %q: %w", addr, err)
	}
	info, err := peer.AddrInfoFromP2pAddr(m)
	if err != nil {
		return fmt.Errorf("peer address %q: %w (it must end in /p2p/12D3Koo…)", addr, err)
	}
	if len(info.Addrs) != 1 || !dialable(info.Addrs[0], true) {
		return fmt.Errorf("peer address %q: only /tcp and /tcp/…/ws addresses can be dialled", addr)
	}
	if !dialable(info.Addrs[0], false) {
		b.private = true
	}
	c := b.contact(info.ID, source)
	if c.Source != "given" {
		c.Source = source
	}
	c.add(info.Addrs[0].String())
	return nil
}

// AddTold adds addresses that a peer told. They are hostile: bounded in number, and only those that
// can be dialled and are not of this host or a private network are kept.
func (b *Book) AddTold(id peer.ID, addrs []ma.Multiaddr) {
	if id.Validate() != nil {
		return
	}
	var good []string
	for _, a := range addrs {
		if len(good) < maxAddresses && dialable(a, b.private) {
			good = append(good, a.String())
		}
	}
	if len(good) == 0 || b.contacts[id] == nil && len(b.contacts) >= maxBook && !b.forgetWorst() {
		return
	}
	c := b.contact(id, "kad")
	for _, a := range good {
		c.add(a)
	}
}

func (b *Book) contact(id peer.ID, source string) *Contact {
	c := b.contacts[id]
	if c == nil {
		c = &Contact{ID: id, Source: source}
		b.contacts[id] = c
	}
	return c
}

func (c *Contact) add(addr string) {
	if !slices.Contains(c.Addrs, addr) && len(c.Addrs) < maxAddresses {
		c.Addrs = append(c.Addrs, addr)
		c.saved = false
	}
}

// forgetWorst drops the contact that failed most and never worked.
func (b *Book) forgetWorst() bool {
	var worst *Contact
	for _, c := range b.contacts {
		if !c.pinned() && c.BannedUntil.IsZero() && (worst == nil || less(worst, c)) {
			worst = c
		}
	}
	if worst == nil {
		return false
	}
	delete(b.contacts, worst.ID)
	return true
}

// less orders contacts by usefulness: pinned, then seen working lately, then fewer failures.
func less(a, c *Contact) bool {
	if a.pinned() != c.pinned() {
		return a.pinned()
	}
	if n := a.LastOK.Compare(c.LastOK); n != 0 {
		return n > 0
	}
	if a.Fails != c.Fails {
		return a.Fails < c.Fails
	}
	return a.ID < c.ID
}

// Candidates returns up to n contacts to dial now: not connected, not banned, not backing off, not of those to
// be skipped (nil: of none), and not too many of one neighbourhood. Half are
// taken by usefulness and half by chance, so that a peer that once worked, or a flood of told addresses, does
// not decide whom we meet.
func (b *Book) Candidates(now time.Time, n int, connected map[peer.ID]string, skip func(*Contact) bool) []*Contact {
	var list []*Contact
	near := make(map[string]int)
	for _, addr := range connected {
		near[neighbourhood(addr)]++
	}
	for _, c := range b.contacts {
		if _, on := connected[c.ID]; on || now.Before(c.BannedUntil) || now.Before(c.next) || len(c.Addrs) == 0 || skip != nil && skip(c) {
			continue
		}
		list = append(list, c)
	}
	slices.SortFunc(list, func(x, y *Contact) int {
		if less(x, y) {
			return -1
		}
		return 1
	})
	var out []*Contact
	for len(out) < n && len(list) > 0 {
		i := 0
		if len(out)%2 == 1 {
			i = b.rand.IntN(len(list))
		}
		c := list[i]
		list = slices.Delete(list, i, i+1)
		if hood := neighbourhood(c.Addrs[0]); !c.pinned() && !b.private && hood != "" {
			if near[hood] >= maxPerSubnet {
				continue
			}
			near[hood]++
		}
		out = append(out, c)
	}
	return out
}

// Dialling notes that a contact is being tried.
func (b *Book) Dialling(id peer.ID, now time.Time) {
	if c := b.contacts[id]; c != nil {
		c.next = now.Add(dialBackoffMin)
	}
}

// Left notes that we left a contact, for no fault of it: it may be dialled again at once.
func (b *Book) Left(id peer.ID) {
	if c := b.contacts[id]; c != nil {
		c.next = time.Time{}
	}
}

// Worked notes that a contact accepted us, and whether it is a light node.
func (b *Book) Worked(id peer.ID, now time.Time, light bool) {
	if c := b.contacts[id]; c != nil {
		// Saved at most once an hour: when it last worked need not be known to the second.
		c.saved = c.saved && c.Light == light && c.Fails == 0 && now.Sub(c.LastOK) < time.Hour
		if !c.saved {
			c.LastOK = now.Round(0).Truncate(time.Second)
		}
		c.Light, c.Fails, c.lastErr = light, 0, ""
	}
}

// Failed notes that a contact could not be reached, or refused us (which is no fault: its light slots
// are taken), and sets when it may be tried again.
func (b *Book) Failed(id peer.ID, now time.Time, refused bool, err error) {
	c := b.contacts[id]
	if c == nil {
		return
	}
	c.lastErr = err.Error()
	wait := refusedBackoff
	if !refused {
		c.Fails++
		wait = min(dialBackoffMin<<min(c.Fails-1, 10), dialBackoffMax)
		if c.Fails >= forgetAfterFails && !c.pinned() && c.LastOK.IsZero() {
			delete(b.contacts, id)
			return
		}
	}
	c.next = now.Add(wait/2 + time.Duration(b.rand.Int64N(int64(wait))))
}

// Ban keeps a peer away until a time, with the reason.
func (b *Book) Ban(id peer.ID, until time.Time, reason string) {
	c := b.contact(id, "inbound")
	c.BannedUntil, c.BanReason, c.saved = until.Round(0).Truncate(time.Second), reason, false
}

// Banned returns the contacts banned now.
func (b *Book) Banned(now time.Time) []Contact {
	var out []Contact
	for _, c := range b.contacts {
		if now.Before(c.BannedUntil) {
			out = append(out, *c)
		}
	}
	slices.SortFunc(out, func(x, y Contact) int { return cmp.Compare(x.ID, y.ID) })
	return out
}

// IsBanned reports whether a peer is banned now.
func (b *Book) IsBanned(id peer.ID, now time.Time) bool {
	c := b.contacts[id]
	return c != nil && now.Before(c.BannedUntil)
}

// Given returns the contacts that the user named.
func (b *Book) Given() map[peer.ID]bool {
	ids := make(map[peer.ID]bool)
	for id, c := range b.contacts {
		if c.Source == "given" {
			ids[id] = true
		}
	}
	return ids
}

// Len returns the number of contacts.
func (b *Book) Len() int { return len(b.contacts) }

// Errors returns the last error of each pinned contact that was tried without success, for the line
// that says what was tried.
func (b *Book) Errors() []string {
	var out []string
	for _, c := range b.contacts {
		if c.lastErr == "" || len(c.Addrs) == 0 || !c.pinned() && len(b.contacts) > 8 {
			continue
		}
		text := c.lastErr
		if !strings.Contains(text, c.Addrs[0]) {
			text = c.Addrs[0] + ": " + text
		}
		out = append(out, text)
	}
	slices.Sort(out)
	return out
}

// Unsaved returns, as JSON, the contacts worth keeping that changed since the last call.
func (b *Book) Unsaved(now time.Time) map[string][]byte {
	out := make(map[string][]byte)
	for id, c := range b.contacts {
		if c.saved || c.LastOK.IsZero() && !now.Before(c.BannedUntil) {
			continue
		}
		if data, err := json.Marshal(c); err == nil {
			out[string(id)] = data
			c.saved = true
		}
	}
	return out
}

// Load takes a contact that was saved. It is judged like one that a peer told.
func (b *Book) Load(data []byte) error {
	var c Contact
	if err := json.Unmarshal(data, &c); err != nil {
		return err
	}
	if err := c.ID.Validate(); err != nil {
		return err
	}
	var addrs []ma.Multiaddr
	for _, s := range c.Addrs {
		if m, err := ma.NewMultiaddr(s); err == nil {
			addrs = append(addrs, m)
		}
	}
	b.AddTold(c.ID, addrs)
	if !c.BannedUntil.IsZero() {
		b.contact(c.ID, "inbound")
	}
	if have := b.contacts[c.ID]; have != nil {
		have.Light, have.LastOK, have.Fails, have.BannedUntil, have.BanReason, have.saved = c.Light, c.LastOK, c.Fails, c.BannedUntil, c.BanReason, true
	}
	return nil
}

// dialable reports whether we speak an address's transports (/tcp, /tcp/ws) and, unless private
// addresses are allowed, whether it is a public one.
func dialable(a ma.Multiaddr, private bool) bool {
	var names []string
	var ip string
	for _, c := range a {
		switch name := c.Protocol().Name; name {
		case "ip4", "ip6":
			ip = c.Value()
			names = append(names, "host")
		case "dns", "dns4", "dns6":
			names = append(names, "host")
		case "p2p":
		default:
			names = append(names, name)
		}
	}
	if s := strings.Join(names, " "); s != "host tcp" && s != "host tcp ws" {
		return false
	}
	if ip == "" || private {
		return true
	}
	addr, err := netip.ParseAddr(ip)
	if err != nil {
		return false
	}
	addr = addr.Unmap()
	shared := netip.PrefixFrom(netip.AddrFrom4([4]byte{100, 64}), 10) // carrier NAT, RFC 6598
	return addr.IsGlobalUnicast() && !addr.IsPrivate() && !shared.Contains(addr)
}

// neighbourhood is the /16 of an IPv4 and the /32 of an IPv6 address; "" for names.
func neighbourhood(addr string) string {
	part := strings.Split(addr, "/")
	if len(part) < 3 || part[1] != "ip4" && part[1] != "ip6" {
		return ""
	}
	ip, err := netip.ParseAddr(part[2])
	if err != nil {
		return ""
	}
	bits := 16
	if ip.Is6() {
		bits = 32
	}
	p, err := ip.Prefix(bits)
	if err != nil {
		return ""
	}
	return strconv.Itoa(bits) + p.String()
}
