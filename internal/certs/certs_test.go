package certs

import (
	"bytes"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// member has a certificate issued in a directory of its own.
func member(t *testing.T, a *Authority, name string, lasts time.Duration) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	if err := a.Issue(dir, name, []string{"127.0.0.1", name + ".example"}, lasts); err != nil {
		t.Fatal(err)
	}
	return dir
}

func authority(t *testing.T) *Authority {
	t.Helper()
	a, err := NewAuthority(t.TempDir(), "test")
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func identity(t *testing.T, dir string) *Identity {
	t.Helper()
	id, err := Open(InDir(dir))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// meet has client dial server, and returns what each says of the handshake and
// the name that the client showed.
func meet(client, server *tls.Config) (name string, dialled, accepted error) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	done := make(chan error, 1)
	s := tls.Server(b, server)
	go func() {
		err := s.Handshake()
		if err != nil {
			_ = b.Close()
		}
		done <- err
	}()
	c := tls.Client(a, client)
	dialled = c.Handshake()
	if dialled != nil {
		_ = a.Close()
	}
	go func() { _, _ = c.Read(make([]byte, 1)) }() // what the server has to say
	accepted = <-done
	if peers := s.ConnectionState().PeerCertificates; len(peers) > 0 {
		name = peers[0].Subject.CommonName
	}
	return name, dialled, accepted
}

func TestMembersOfAClusterMeetAndOthersDoNot(t *testing.T) {
	ours, theirs := authority(t), authority(t)
	a, b := identity(t, member(t, ours, "a", time.Hour)), identity(t, member(t, ours, "b", time.Hour))
	stranger := identity(t, member(t, theirs, "stranger", time.Hour))
	if name, dialled, accepted := meet(a.Client(), b.Server()); dialled != nil || accepted != nil || name != "a" {
		t.Errorf("a met b as %q: %v, %v", name, dialled, accepted)
	}
	if _, dialled, _ := meet(a.Client(), stranger.Server()); dialled == nil {
		t.Error("a took the certificate of another authority")
	}
	if _, _, accepted := meet(stranger.Client(), b.Server()); accepted == nil {
		t.Error("b took the certificate of another authority")
	}
	bare := a.Client().Clone()
	bare.Certificates = nil
	if _, _, accepted := meet(bare, b.Server()); accepted == nil {
		t.Error("b let somebody in without a certificate")
	}
	old := a.Client().Clone()
	old.MinVersion, old.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	if _, dialled, _ := meet(old, b.Server()); dialled == nil {
		t.Error("b speaks TLS 1.2")
	}
}

func TestCertificateIsRenewedWithoutARestart(t *testing.T) {
	a := authority(t)
	dir := member(t, a, "old", time.Hour)
	id, peer := identity(t, dir), identity(t, member(t, a, "peer", time.Hour))
	if err := a.Issue(dir, "new", nil, 2*time.Hour); err != nil {
		t.Fatal(err)
	}
	id.look = time.Time{} // as if it had looked long ago
	if name, dialled, accepted := meet(id.Client(), peer.Server()); dialled != nil || accepted != nil || name != "new" {
		t.Errorf("it shows the certificate of %q: %v, %v", name, dialled, accepted)
	}
	if left := time.Until(id.Until()); left < 90*time.Minute {
		t.Errorf("it ends in %v", left)
	}
	if err := os.WriteFile(filepath.Join(dir, FileNode), []byte("half of it"), 0o600); err != nil {
		t.Fatal(err)
	}
	id.look = time.Time{}
	if name, dialled, accepted := meet(id.Client(), peer.Server()); dialled != nil || accepted != nil || name != "new" {
		t.Errorf("after a bad write it shows the certificate of %q: %v, %v", name, dialled, accepted)
	}
}

func TestWhatOthersWouldRefuseIsRefusedAtOpen(t *testing.T) {
	ours, theirs := authority(t), authority(t)
	for _, test := range []struct {
		name  string
		spoil func(f *Files)
		want  string
	}{
		{"no file", func(f *Files) { f.Cert += ".gone" }, "node.pem.gone"},
		{"no certificate", func(f *Files) { f.CA = f.Key }, "want a certificate in PEM"},
		{"another's key", func(f *Files) { f.Key = InDir(member(t, ours, "x", time.Hour)).Key }, "private key does not match"},
		{"another authority", func(f *Files) { f.CA = InDir(member(t, theirs, "x", time.Hour)).CA }, "issued by the authority"},
		{"over", func(f *Files) { *f = InDir(member(t, ours, "x", -time.Minute)) }, "expired"},
	} {
		t.Run(test.name, func(t *testing.T) {
			files := InDir(member(t, ours, "a", time.Hour))
			test.spoil(&files)
			if _, err := Open(files); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want something with %q", err, test.want)
			}
		})
	}
}

func TestAuthorityIsNotOverwritten(t *testing.T) {
	dir := t.TempDir()
	if _, err := NewAuthority(dir, "one"); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(filepath.Join(dir, FileKey))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := NewAuthority(dir, "two"); !errors.Is(err, errExists) {
		t.Errorf("got %v", err)
	}
	if after, err := os.ReadFile(filepath.Join(dir, FileKey)); err != nil || !bytes.Equal(after, before) {
		t.Errorf("the key has changed: %v", err)
	}
	for _, name := range []string{FileKey} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v: want it for its owner alone", name, info.Mode(), err)
		}
	}
}
