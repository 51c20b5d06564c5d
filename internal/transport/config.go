package transport

import (
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// The versions of the protocol that this build speaks.
const (
	MinVersion uint32 = 1
	MaxVersion uint32 = 1
)

// Config says who a transport is and whom it talks to. Only ID is required.
type Config struct {
	// ID is this node's ID, at most 255 bytes. No two nodes have the same.
	ID string
	// Cluster is a label that all peers share, at most 255 bytes. A peer with
	// another one is refused.
	Cluster string
	// MinVersion and MaxVersion bound the protocol versions to speak. The
	// highest that both ends know is used. Zero means the package's constants.
	MinVersion, MaxVersion uint32

	// Network is where to listen and dial. Nil means TCP.
	Network Network
	// Addr is the host:port to listen on; port 0 picks a free one. Empty means
	// a free port on loopback.
	Addr string
	// Resolve returns the address to dial a peer at. It must be fast, and safe
	// for concurrent use. Nil means that no peer can be dialled, and that only
	// those are reached that dialled this node.
	Resolve func(id string) (addr string, ok bool)
	// Lost is called when the last session with a peer has ended, and when a
	// peer turns out to have been restarted. It must not block, nor call Close.
	// It is not called for sessions that Close ends. Nil means nobody needs to know.
	Lost func(id string)
	// Logger is where to log. Nil means slog.Default().
	Logger *slog.Logger

	// MaxRequest bounds a request and an answer, in bytes. What is larger
	// belongs in a stream. Zero means 8 MiB.
	MaxRequest int
	// MaxStreams bounds the calls in flight to one peer, and the streams, and
	// the handlers of each that run for one peer. Callers beyond it wait.
	// Zero means 256, and more than 1024 is refused.
	MaxStreams int
	// DialTimeout bounds the dialling of a peer including the handshake, and
	// the handshake of one who dials us. Zero means 5 s.
	DialTimeout time.Duration
	// KeepAlive is how often an idle session is probed. A peer that is silent
	// for three times as long is given up. Zero means 10 s.
	KeepAlive time.Duration
	// WriteTimeout bounds one write to a connection; when it is over the
	// session is closed. Zero means 10 s.
	WriteTimeout time.Duration
}

// maxStreams is the largest MaxStreams. It is also the backlog of streams not
// yet accepted, which has to be the same at both ends of a session.
const maxStreams = 1024

func (c Config) withDefaults() Config {
	if c.MinVersion == 0 {
		c.MinVersion = MinVersion
	}
	if c.MaxVersion == 0 {
		c.MaxVersion = MaxVersion
	}
	if c.Network == nil {
		c.Network = TCP()
	}
	if c.Addr == "" {
		c.Addr = "127.0.0.1:0"
	}
	if c.Resolve == nil {
		c.Resolve = func(string) (string, bool) { return "", false }
	}
	if c.Lost == nil {
		c.Lost = func(string) {}
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.MaxRequest == 0 {
		c.MaxRequest = 8 << 20
	}
	if c.MaxStreams == 0 {
		c.MaxStreams = 256
	}
	if c.DialTimeout == 0 {
		c.DialTimeout = 5 * time.Second
	}
	if c.KeepAlive == 0 {
		c.KeepAlive = 10 * time.Second
	}
	if c.WriteTimeout == 0 {
		c.WriteTimeout = 10 * time.Second
	}
	return c
}

func (c Config) validate() error {
	switch {
	case c.ID == "":
		return errors.New("transport: Config.ID is empty: give the node an ID that no other has")
	case len(c.ID) > maxName:
		return fmt.Errorf("transport: Config.ID has %d bytes: use at most %d", len(c.ID), maxName)
	case len(c.Cluster) > maxName:
		return fmt.Errorf("transport: Config.Cluster has %d bytes: use at most %d", len(c.Cluster), maxName)
	case c.MinVersion > c.MaxVersion:
		return fmt.Errorf("transport: Config.MinVersion %d is above MaxVersion %d: swap them", c.MinVersion, c.MaxVersion)
	case c.MaxRequest < 0 || c.MaxRequest > 1<<30:
		return fmt.Errorf("transport: Config.MaxRequest is %d: use at most 1 GiB, and streams for what is larger", c.MaxRequest)
	case c.MaxStreams < 0 || c.MaxStreams > maxStreams:
		return fmt.Errorf("transport: Config.MaxStreams is %d: use 1 to %d", c.MaxStreams, maxStreams)
	case c.DialTimeout < 0 || c.KeepAlive < 0 || c.WriteTimeout < 0:
		return errors.New("transport: a timeout in Config is negative: use zero for the default")
	}
	return nil
}
