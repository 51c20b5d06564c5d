package certs

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// The names of files in the directory of an authority, and in that of a node.
const (
	FileCA   = "ca.pem"
	FileKey  = "ca-key.pem" // of the authority: on no node
	FileNode = "node.pem"
	FileOwn  = "node-key.pem"
)

// InDir returns the files of a node whose directory dir is.
func InDir(dir string) Files {
	return Files{filepath.Join(dir, FileCA), filepath.Join(dir, FileNode), filepath.Join(dir, FileOwn)}
}

const (
	authorityYears = 10
	// early is how long ago a new certificate begins, for nodes whose clock is
	// behind.
	early = time.Hour
)

// Authority issues the certificates of a cluster.
type Authority struct {
	cert *x509.Certificate
	key  crypto.Signer
	pem  []byte // of cert
}

// NewAuthority makes an authority and writes it into dir, which is made if
// there is none. One that is there is not overwritten: all that it has issued
// would count for nothing.
func NewAuthority(dir, cluster string) (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("certs: %w", err)
	}
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	now := time.Now()
	model := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "authority of cluster " + cluster},
		NotBefore: now.Add(-early), NotAfter: now.AddDate(authorityYears, 0, 0),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, model, model, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("certs: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("certs: %w", err)
	}
	if err := writeKey(filepath.Join(dir, FileKey), key); err != nil {
		return nil, err
	}
	if err := writeNew(filepath.Join(dir, FileCA), pemOf("CERTIFICATE", der), 0o644); err != nil {
		return nil, err
	}
	return OpenAuthority(dir)
}

// OpenAuthority reads the authority that is kept in dir.
func OpenAuthority(dir string) (*Authority, error) {
	der, err := readPEM(filepath.Join(dir, FileCA), "CERTIFICATE")
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("certs: %s: %w", filepath.Join(dir, FileCA), err)
	}
	secret, err := readPEM(filepath.Join(dir, FileKey), "PRIVATE KEY")
	if err != nil {
		return nil, err
	}
	key, err := x509.ParsePKCS8PrivateKey(secret)
	signer, ok := key.(crypto.Signer)
	if err != nil || !ok {
		return nil, fmt.Errorf("certs: %s: want a private key: %w", filepath.Join(dir, FileKey), err)
	}
	return &Authority{cert: cert, key: signer, pem: pemOf("CERTIFICATE", der)}, nil
}

// Issue writes what a node needs into dir, which is made if there is none: the
// authority's certificate, and one for the node with its key, good for so long
// as lasts says. Its hosts are the names and addresses by which people reach it
// over HTTP; other nodes need none. A certificate that is there is replaced, as
// is its key.
func (a *Authority) Issue(dir, name string, hosts []string, lasts time.Duration) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("certs: %w", err)
	}
	serial, err := newSerial()
	if err != nil {
		return err
	}
	now := time.Now()
	model := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name}, DNSNames: []string{Peer},
		NotBefore: now.Add(-early), NotAfter: now.Add(lasts), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if model.NotAfter.After(a.cert.NotAfter) {
		model.NotAfter = a.cert.NotAfter
	}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			model.IPAddresses = append(model.IPAddresses, ip)
		} else {
			model.DNSNames = append(model.DNSNames, h)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, model, a.cert, key.Public(), a.key)
	if err != nil {
		return fmt.Errorf("certs: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("certs: %w", err)
	}
	secret, err := pemOfKey(key)
	if err != nil {
		return err
	}
	return errors.Join(
		Replace(filepath.Join(dir, FileCA), a.pem, 0o644),
		Replace(filepath.Join(dir, FileOwn), secret, 0o600),
		Replace(filepath.Join(dir, FileNode), pemOf("CERTIFICATE", der), 0o644),
	)
}

// newSerial draws a serial number that no other certificate has.
func newSerial() (*big.Int, error) {
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("certs: %w", err)
	}
	return n, nil
}

func pemOf(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func pemOfKey(key crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("certs: %w", err)
	}
	return pemOf("PRIVATE KEY", der), nil
}

func writeKey(name string, key crypto.Signer) error {
	secret, err := pemOfKey(key)
	if err != nil {
		return err
	}
	return writeNew(name, secret, 0o600)
}

// writeNew writes a file that must not be there.
func writeNew(name string, b []byte, mode fs.FileMode) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("certs: %s: %w", name, errExists)
	}
	if err != nil {
		return fmt.Errorf("certs: %w", err)
	}
	_, err = f.Write(b)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("certs: %w", err)
	}
	return nil
}

// Replace writes a file as a whole, so that nobody reads half of it.
func Replace(name string, b []byte, mode fs.FileMode) error {
	next := name + ".new"
	err := os.WriteFile(next, b, mode)
	if err == nil {
		err = os.Chmod(next, mode) // it may have been left over with another
	}
	if err == nil {
		err = os.Rename(next, name)
	}
	if err != nil {
		return fmt.Errorf("certs: %w", err)
	}
	return nil
}
