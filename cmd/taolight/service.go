package main

import (
	"context"
	"os"

	"github.com/taolight/taolight/internal/service"
)

// tellManager tells the service manager, if one started this process, that the node serves, and from
// then on that it still answers. A node serves before it has caught up: that may take until there is a
// network.
func (a *app) tellManager(ctx context.Context, s *instance, j *journal) {
	m, err := service.FromEnviron(a.environ, os.Getpid())
	if err != nil {
		j.warn("service", "%v", err)
	}
	if err := m.Ready("joining"); err != nil {
		j.warn("service", "%v", err)
	}
	go m.Watch(ctx, func(ctx context.Context) (string, error) {
		st, err := s.node.Status(ctx)
		switch {
		case err != nil:
			return "", err
		case st.Finalized == nil:
			return "not synced yet, " + count(st.Peers.Open, "peer"), nil
		}
		return "finalized " + block(st.Finalized.Number) + ", " + count(st.Peers.Open, "peer"), nil
	})
}
