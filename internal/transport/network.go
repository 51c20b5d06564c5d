package transport

import (
	"context"
	"net"
)

// Network is where a transport listens and dials. Its methods use types of the
// standard library only, so that anything can be one without knowing us.
type Network interface {
	// Listen returns a listener on addr, host:port; port 0 picks a free one.
	Listen(addr string) (net.Listener, error)
	// Dial returns a connection to addr, or an error when ctx is over.
	Dial(ctx context.Context, addr string) (net.Conn, error)
}

// TCP returns the network of the machine, with small packets sent at once.
func TCP() Network { return tcp{} }

type tcp struct{}

func (tcp) Listen(addr string) (net.Listener, error) {
	return net.Listen("tcp", addr)
}

func (tcp) Dial(ctx context.Context, addr string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "tcp", addr)
}
