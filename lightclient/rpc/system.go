package rpc

import "strings"

// health is what clients ask every few seconds. A node that has peers and a fresh finalized head is not syncing.
func (c *call) health() (any, error) {
	s, err := c.s.cfg.Chain.Status(c.ctx)
	if err != nil {
		return nil, err
	}
	return map[string]any{"peers": s.Peers.Open, "isSyncing": s.State != "following", "shouldHavePeers": true}, nil
}

// peers lists who is connected. The number is what the peer says of itself; which block that is it proves only when
// it is asked, so there is no hash.
func (c *call) peers() (any, error) {
	open, _, err := c.s.cfg.Chain.Peers(c.ctx)
	if err != nil {
		return nil, err
	}
	list := make([]any, len(open))
	for i, p := range open {
		list[i] = map[string]any{"peerId": p.ID, "roles": strings.ToUpper(p.Role), "bestNumber": p.Best}
	}
	return list, nil
}

func (c *call) syncState() (any, error) {
	h, err := c.heads()
	if err != nil {
		return nil, err
	}
	at := c.head(h).Header.Number
	return map[string]any{"startingBlock": at, "currentBlock": at, "highestBlock": h.Best.Header.Number}, nil
}

func (c *call) status() (any, error) { return c.s.cfg.Chain.Status(c.ctx) }
