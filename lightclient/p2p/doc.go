// Package p2p carries the Substrate network protocols over libp2p: TCP and WebSocket, Noise, Yamux,
// identify and ping, with request substreams and notification substreams on top.
//
// It promises that it dials only the addresses it is given; that every length is checked before
// memory is taken, and memory taken only as the bytes come in; that connections, substreams and
// memory are limited per peer and in all by fixed numbers; that nothing sent to a slow peer blocks
// its caller; that "not connected", "does not speak it", "refused", "closed without an answer",
// "too large" and "took too long" are different errors; and that Close leaves no goroutine behind.
//
// It does not know what the messages mean (package wire does), keeps no address book, never retries
// and never judges a peer: the sync driver does. Names of protocols come from wire.Names.
//
// It never imports the libp2p root package, which links QUIC and WebRTC into the binary.
//
// # Use
//
// A client registers its handlers before it dials, since a peer opens its own substream of each
// notification protocol as soon as it has accepted ours, and gives the whole peer up if it cannot:
//
//	h, err := p2p.New(p2p.Config{UserAgent: "taolight/0.1.0"})
//	…
//	names := wire.Names(genesis)
//	announces := h.Notifications(p2p.NotificationsConfig{
//		Protocol:  names.BlockAnnounces,
//		Handshake: func() []byte { return handshake.Append(nil) },
//		Accept:    func(id peer.ID, theirs []byte) bool { return sameGenesis(theirs) },
//		Message:   func(id peer.ID, msg []byte) { … },
//	})
//	err = h.Connect(ctx, peer.AddrInfo{ID: id, Addrs: addrs})
//	theirs, err := announces.Open(ctx, id)
//	proof, err := h.Request(ctx, id, names.Warp, finalized[:], wire.MaxResponse)
//
// A server listens, answers requests, and opens its substream back once a peer has opened one:
//
//	h, err := p2p.New(p2p.Config{Listen: []multiaddr.Multiaddr{ws}})
//	h.HandleRequests(names.Warp, 32, func(ctx context.Context, from peer.ID, body []byte) ([]byte, error) { … })
//	announces = h.Notifications(p2p.NotificationsConfig{ …
//		Accept: func(id peer.ID, theirs []byte) bool { go announces.Open(ctx, id); return true },
//	})
package p2p
