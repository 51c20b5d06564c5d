// Package certs makes and loads the certificates by which nodes of a cluster
// know each other.
//
// There is one authority per cluster. Its certificate is on every node and its
// key is on none: who holds it lets others in. Both ends of a connection show a
// certificate that the authority has issued, and speak TLS 1.3; what it is
// issued for is the name of all nodes, Peer, and not an address, so a node may
// come back under another.
package certs

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// Peer is the DNS name that the certificate of every node has.
const Peer = "node.muster.internal"

// Files are where a node's certificates are, as PEM.
type Files struct {
	CA   string // the authorities that are trusted
	Cert string // the node's own, with what is between it and the authority
	Key  string // the key of it
}

// Identity is the certificates of a node. It looks at the files again when they
// change, so that a certificate is renewed without a restart. It is safe for
// concurrent use.
type Identity struct {
	files Files

	mu    sync.Mutex
	seen  [3]stamp    // of the files that config is from; guarded by mu
	look  time.Time   // when they were looked at last; guarded by mu
	cfg   *tls.Config // for either end; guarded by mu
	until time.Time   // guarded by mu
}

// stamp tells whether a file has changed.
type stamp struct {
	changed time.Time
	size    int64
}

// lookEvery is how often the files are looked at, at most.
const lookEvery = time.Second

// Open loads certificates.
func Open(files Files) (*Identity, error) {
	id := &Identity{files: files}
	id.mu.Lock()
	defer id.mu.Unlock()
	return id, id.loadLocked()
}

// Until returns when the node's own certificate ends.
func (id *Identity) Until() time.Time {
	id.mu.Lock()
	defer id.mu.Unlock()
	return id.until
}

// Server returns how to meet who dials: it has to show a certificate.
func (id *Identity) Server() *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS13,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return id.current(), nil },
	}
}

// Client returns how to dial now.
func (id *Identity) Client() *tls.Config { return id.current() }

// current returns what the files say. While they can't be read, as between the
// writing of two of them, it is what they said before.
func (id *Identity) current() *tls.Config {
	id.mu.Lock()
	defer id.mu.Unlock()
	if time.Since(id.look) >= lookEvery {
		id.look = time.Now()
		if now, err := id.stamps(); err == nil && now != id.seen {
			_ = id.loadLocked()
		}
	}
	return id.cfg
}

func (id *Identity) stamps() (all [3]stamp, err error) {
	for i, name := range []string{id.files.CA, id.files.Cert, id.files.Key} {
		info, err := os.Stat(name)
		if err != nil {
			return all, err
		}
		all[i] = stamp{info.ModTime(), info.Size()}
	}
	return all, nil
}

func (id *Identity) loadLocked() error {
	seen, err := id.stamps()
	if err != nil {
		return fmt.Errorf("certs: %w", err)
	}
	roots, err := readPool(id.files.CA)
	if err != nil {
		return err
	}
	cert, err := tls.LoadX509KeyPair(id.files.Cert, id.files.Key)
	if err != nil {
		return fmt.Errorf("certs: %s and %s: %w", id.files.Cert, id.files.Key, err)
	}
	for _, use := range []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth} {
		if err := verify(cert.Leaf, cert.Certificate[1:], roots, use); err != nil {
			return fmt.Errorf("certs: %s is not one that the others would take: %w: have it issued by the authority in %s, for the name %s", id.files.Cert, err, id.files.CA, Peer)
		}
	}
	id.seen, id.until = seen, cert.Leaf.NotAfter
	id.cfg = &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{cert}, ServerName: Peer,
		RootCAs: roots, ClientCAs: roots, ClientAuth: tls.RequireAndVerifyClientCert,
	}
	return nil
}

// verify returns why others would refuse a certificate.
func verify(leaf *x509.Certificate, between [][]byte, roots *x509.CertPool, use x509.ExtKeyUsage) error {
	rest := x509.NewCertPool()
	for _, der := range between {
		if c, err := x509.ParseCertificate(der); err == nil {
			rest.AddCert(c)
		}
	}
	_, err := leaf.Verify(x509.VerifyOptions{
		DNSName: Peer, Roots: roots, Intermediates: rest, KeyUsages: []x509.ExtKeyUsage{use},
	})
	return err
}

func readPool(name string) (*x509.CertPool, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("certs: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(b) {
		return nil, fmt.Errorf("certs: %s: want a certificate in PEM", name)
	}
	return pool, nil
}

// readPEM returns the first block of a kind in a file.
func readPEM(name, kind string) ([]byte, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("certs: %w", err)
	}
	for block, rest := pem.Decode(b); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == kind {
			return block.Bytes, nil
		}
	}
	return nil, fmt.Errorf("certs: %s: want a %s in PEM", name, kind)
}

var errExists = errors.New("it exists, and is not overwritten")
