package gossip

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

// Our own limits on contacts.
const (
	maxContacts  = 400
	fewContacts  = 8  // with so many a node in survive asks for no more
	maxAddrs     = 4  // of one contact
	maxTold      = 16 // contacts taken from one answer
	maxNear      = 3  // neighbours from one /16 (IPv4) or /32 (IPv6) of public addresses
	maxNearTold  = 24 // contacts told of one such neighbourhood
	anchors      = 2  // neighbours that are dialled first after a restart
	backoffMin   = 10 * time.Second
	backoffMax   = 30 * time.Minute
	refusedMin   = time.Minute
	refusedMax   = 4 * time.Hour
	forgetFailed = 8
)

// Where a contact is known from. The first are pinned: never forgotten, never refused.
const (
	given = "given" // by the user
	kept  = "kept"  // from before a restart
	lan   = "lan"   // found on the local network
	met   = "met"   // among the peers of the chain's network, or it dialled us
	told  = "told"  // by a neighbour
)

// A Contact is a light node that can be dialled. Its JSON form is for whoever keeps it over a restart;
// like all else that is kept, it is judged again when it comes back.
type Contact struct {
	ID     peer.ID   `json:"id"`
	Addrs  []string  `json:"addrs"`
	Source string    `json:"source"`
	LastOK time.Time `json:"last_ok,omitzero"`
	Anchor bool      `json:"anchor,omitempty"`

	addrs []ma.Multiaddr
	fails int
	next  time.Time
}

// contacts are whom to dial. It dials nobody itself, and is used by one goroutine.
type contacts struct {
	list    map[peer.ID]*Contact
	rand    *rand.Rand
	private bool // told addresses of private networks are dialled too
	self    peer.ID
}

func newContacts(self peer.ID, r *rand.Rand, private bool) *contacts {
	return &contacts{list: make(map[peer.ID]*Contact), rand: r, private: private, self: self}
}

// hood is the /16 of a public IPv4 address, the /32 of an IPv6 one; ok is false for others.
func hood(a ma.Multiaddr) (p netip.Prefix, ok bool) {
	ip, ok := ipOf(a)
	if !ok || isPrivate(ip) {
		return p, false
	}
	bits := 16
	if ip.Is6() {
		bits = 32
	}
	p, err := ip.Prefix(bits)
	return p, err == nil
}

// dialable reports whether an address is TCP, with or without WebSocket, and not of a private network
// unless that is allowed.
func dialable(a ma.Multiaddr, private bool) bool {
	ip, ok := ipOf(a)
	if !ok || ip.IsUnspecified() || ip.IsMulticast() || !private && isPrivate(ip) {
		return false
	}
	var names string
	for _, c := range a {
		names += "/" + c.Protocol().Name
	}
	switch names {
	case "/ip4/tcp", "/ip6/tcp", "/ip4/tcp/ws", "/ip6/tcp/ws":
		return true
	}
	return false
}

// add notes addresses of a light node. Those that are told are hostile: bounded in number, from one
// neighbourhood too.
func (b *contacts) add(id peer.ID, addrs []ma.Multiaddr, source string) {
	if id == b.self || id.Validate() != nil {
		return
	}
	private := b.private || source == given || source == lan || source == met
	var good []ma.Multiaddr
	for _, a := range addrs {
		if rest, last := ma.SplitLast(a); last != nil && last.Protocol().Code == ma.P_P2P {
			a = rest
		}
		if a != nil && (source == given || dialable(a, private)) && len(good) < maxAddrs {
			good = append(good, a)
		}
	}
	c := b.list[id]
	if len(good) == 0 {
		return
	}
	if c == nil {
		if source == told && b.near(good[0]) >= maxNearTold || len(b.list) >= maxContacts && !b.forget() {
			return
		}
		c = &Contact{ID: id, Source: source}
		b.list[id] = c
	}
	if source == given {
		c.Source = given
	}
	for _, a := range good {
		if len(c.addrs) < maxAddrs && !slices.ContainsFunc(c.addrs, a.Equal) {
			c.addrs = append(c.addrs, a)
			c.Addrs = append(c.Addrs, a.String())
		}
	}
}

// near counts contacts of an address's neighbourhood.
func (b *contacts) near(a ma.Multiaddr) int {
	p, ok := hood(a)
	if !ok {
		return 0
	}
	n := 0
	for _, c := range b.list {
		if q, ok := hood(c.addrs[0]); ok && q == p {
			n++
		}
	}
	return n
}

// forget drops the contact that is least worth keeping; false if all are pinned.
func (b *contacts) forget() bool {
	var worst *Contact
	for _, c := range b.list {
		if c.Source != given && (worst == nil || b.compare(worst, c) < 0) {
			worst = c
		}
	}
	if worst == nil {
		return false
	}
	delete(b.list, worst.ID)
	return true
}

// compare puts the contact first that is rather dialled.
func (b *contacts) compare(x, y *Contact) int {
	rank := func(c *Contact) int {
		switch {
		case c.Source == given:
			return 0
		case c.Anchor:
			return 1
		case c.Source == lan:
			return 2
		}
		return 3
	}
	return cmp.Or(cmp.Compare(rank(x), rank(y)), y.LastOK.Compare(x.LastOK), cmp.Compare(x.fails, y.fails), cmp.Compare(x.ID, y.ID))
}

// addGiven adds an address with its /p2p part.
func (b *contacts) addGiven(addr string) error {
	m, err := ma.NewMultiaddr(addr)
	if err != nil {
		return fmt.Errorf("address %q: %w", addr, err)
	}
	info, err := peer.AddrInfoFromP2pAddr(m)
	if err != nil {
		return fmt.Errorf("address %q: %w", addr, err)
	}
	b.add(info.ID, info.Addrs, given)
	return nil
}

// load takes a contact that was kept.
func (b *contacts) load(record []byte) error {
	var c Contact
	if err := json.Unmarshal(record, &c); err != nil {
		return fmt.Errorf("kept contact: %w", err)
	}
	if err := c.ID.Validate(); err != nil {
		return fmt.Errorf("kept contact: %w", err)
	}
	var addrs []ma.Multiaddr
	for _, s := range c.Addrs {
		if a, err := ma.NewMultiaddr(s); err == nil {
			addrs = append(addrs, a)
		}
	}
	source := kept
	if c.Source == lan || c.Source == met {
		source = c.Source // its addresses may be of a private network
	}
	b.add(c.ID, addrs, source)
	have := b.list[c.ID]
	if have == nil {
		return errors.New("kept contact: no address that can be dialled")
	}
	have.LastOK, have.Anchor = c.LastOK, c.Anchor
	return nil
}

// save returns the records worth keeping: those that once worked, the best first, the oldest of the
// present neighbours as anchors.
func (b *contacts) save(most int, oldest []peer.ID) [][]byte {
	for _, c := range b.list {
		c.Anchor = slices.Contains(oldest[:min(anchors, len(oldest))], c.ID)
	}
	list := b.sorted(func(c *Contact) bool { return !c.LastOK.IsZero() && c.Source != given || c.Anchor })
	var out [][]byte
	for _, c := range list[:min(most, len(list))] {
		if r, err := json.Marshal(c); err == nil {
			out = append(out, r)
		}
	}
	return out
}

func (b *contacts) sorted(ok func(*Contact) bool) []*Contact {
	var list []*Contact
	for _, c := range b.list {
		if ok(c) {
			list = append(list, c)
		}
	}
	slices.SortFunc(list, b.compare)
	return list
}

// candidates returns up to n contacts to dial. on are the connected ones with their addresses. Half are
// taken by chance, so that whoever tells us many addresses does not decide whom we meet. only: no others than
// the user's.
func (b *contacts) candidates(now time.Time, n int, on map[peer.ID]ma.Multiaddr, only bool) []*Contact {
	near := make(map[netip.Prefix]int)
	for _, a := range on {
		if p, ok := hood(a); ok {
			near[p]++
		}
	}
	list := b.sorted(func(c *Contact) bool { return on[c.ID] == nil && !now.Before(c.next) && (!only || c.Source == given) })
	var out []*Contact
	for len(out) < n && len(list) > 0 {
		i := 0
		if len(out)%2 == 1 && list[0].Source != given {
			i = b.rand.IntN(len(list))
		}
		c := list[i]
		list = slices.Delete(list, i, i+1)
		if p, ok := hood(c.addrs[0]); ok && c.Source != given {
			if near[p] >= maxNear {
				continue
			}
			near[p]++
		}
		out = append(out, c)
	}
	return out
}

// crowded reports whether there are as many neighbours from an address's neighbourhood as there may be.
func (b *contacts) crowded(a ma.Multiaddr, on map[peer.ID]ma.Multiaddr) bool {
	p, ok := hood(a)
	if !ok {
		return false
	}
	n := 0
	for _, other := range on {
		if q, ok := hood(other); ok && q == p {
			n++
		}
	}
	return n >= maxNear
}

// worked notes that a contact is a light node of our chain; that it has a place for us only time tells.
func (b *contacts) worked(id peer.ID, now time.Time) {
	if c := b.list[id]; c != nil {
		c.LastOK = now.Round(0).Truncate(time.Second)
	}
}

// stayed notes that a contact has been a neighbour for a while.
func (b *contacts) stayed(id peer.ID) {
	if c := b.list[id]; c != nil {
		c.fails = 0
	}
}

// failed notes that a contact was not reached, or refused: that it has no place, which is seldom over soon, and
// costs a handshake to learn.
func (b *contacts) failed(id peer.ID, now time.Time, refused bool) {
	c := b.list[id]
	if c == nil {
		return
	}
	c.fails++
	if c.fails >= forgetFailed && c.Source != given && !c.Anchor {
		delete(b.list, id)
		return
	}
	wait := min(backoffMin<<min(c.fails-1, 10), backoffMax)
	if refused {
		wait = min(refusedMin<<min(c.fails-1, 10), refusedMax)
	}
	c.next = now.Add(wait/2 + time.Duration(b.rand.Int64N(int64(wait))))
}

// sample returns addresses for a neighbour that asks: of contacts that worked, drawn by chance. Those of
// private networks are for neighbours on one.
func (b *contacts) sample(n int, private bool, not peer.ID) []ma.Multiaddr {
	list := b.sorted(func(c *Contact) bool {
		return c.ID != not && !c.LastOK.IsZero() && c.fails == 0 && dialable(c.addrs[0], private)
	})
	b.rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	var out []ma.Multiaddr
	for _, c := range list[:min(n, len(list))] {
		if id, err := ma.NewComponent("p2p", c.ID.String()); err == nil {
			out = append(out, c.addrs[0].AppendComponent(id))
		}
	}
	return out
}

func (b *contacts) pinned(id peer.ID) bool {
	c := b.list[id]
	return c != nil && c.Source == given
}
