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
		if err != nil {
			return "", err
		}
		text := st.State + ", " + count(st.Peers.Open, "peer")
		if st.Finalized != nil {
			text += ", finalized " + block(st.Finalized.Number)
		}
		return text, nil
	})
}
