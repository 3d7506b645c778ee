package demonet

import (
	"context"
	"fmt"
	"strings"
)

// Answer returns what a client that nobody knows would be answered to a request, without a socket:
// for tests of state machines. An error stands for a substream closed without an answer.
func (p *Peer) Answer(ctx context.Context, protocol string, body []byte) ([]byte, error) {
	switch {
	case strings.HasSuffix(protocol, "/sync/2"):
		return p.request("sync/2", 0, p.serveSync)(ctx, "", body)
	case strings.HasSuffix(protocol, "/light/2"):
		return p.request("light/2", lightQueue, p.serveLight)(ctx, "", body)
	case strings.HasSuffix(protocol, "/sync/warp"):
		return p.request("sync/warp", warpQueue, p.serveWarp)(ctx, "", body)
	}
	return nil, fmt.Errorf("demo peer: no request protocol %q", protocol)
}
