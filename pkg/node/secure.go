package node

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"time"

	"github.com/musterhq/muster/internal/certs"
	"github.com/musterhq/muster/internal/transport"
)

// secured is a network on which both ends of a connection show a certificate.
type secured struct {
	transport.Network
	id *certs.Identity
}

// secured returns the network that the node's RPC uses.
func (n *Node) secured() (transport.Network, error) {
	network := transport.TCP()
	if n.cfg.Network != nil {
		network = n.cfg.Network
	}
	if n.cfg.TLS == (TLS{}) {
		return network, nil
	}
	id, err := certs.Open(certs.Files(n.cfg.TLS))
	if err != nil {
		return nil, err
	}
	if left := time.Until(id.Until()); left < soon {
		n.log.Warn("the node's certificate ends soon: have another issued", slog.Time("at", id.Until()), slog.String("file", n.cfg.TLS.Cert))
	}
	return secured{network, id}, nil
}

// soon is how long before its end a certificate is worth a warning.
const soon = 14 * 24 * time.Hour

// Listen returns a listener whose connections shake hands when they are read
// first, which the transport bounds.
func (s secured) Listen(addr string) (net.Listener, error) {
	l, err := s.Network.Listen(addr)
	if err != nil {
		return nil, err
	}
	return tls.NewListener(l, s.id.Server()), nil
}

// Dial returns when the other end has shown its certificate.
func (s secured) Dial(ctx context.Context, addr string) (net.Conn, error) {
	c, err := s.Network.Dial(ctx, addr)
	if err != nil {
		return nil, err
	}
	t := tls.Client(c, s.id.Client())
	if err := t.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return t, nil
}
