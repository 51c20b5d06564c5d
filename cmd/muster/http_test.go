package main

import (
	"errors"
	"strings"
	"testing"
)

// TestHTTPIsOpenOnLoopbackAlone settles who is let in where.
func TestHTTPIsOpenOnLoopbackAlone(t *testing.T) {
	const local, far = "127.0.0.1:8080", "10.0.0.1:8080"
	for _, c := range []struct {
		addr, access, cert string
		secured, insecure  bool
		want               string // who is let in, or what is wrong
	}{
		{local, accessAuto, "", false, false, accessOpen},
		{"localhost:0", accessAuto, "", false, false, accessOpen},
		{"[::1]:8080", accessAuto, "", false, false, accessOpen},
		{local, accessAuto, "", true, false, accessTokens},
		{local, accessTokens, "", false, false, accessTokens},
		{local, accessOpen, "", true, false, accessOpen},
		{far, accessAuto, "c", true, false, accessTokens},
		{far, accessAuto, "", true, false, "--http-cert"},
		{far, accessAuto, "", true, true, accessTokens},
		{far, accessOpen, "c", true, false, "--http-access tokens"},
		{far, accessOpen, "", false, true, accessOpen},
		{":8080", accessAuto, "", false, false, "--http-cert"},
		{"8080", accessAuto, "", false, false, "want HOST:PORT"},
		{local, "nobody", "", false, false, "want auto, tokens or open"},
		{none, "", "", false, false, ""},
	} {
		f := httpFlags{addr: c.addr, access: c.access, cert: c.cert, key: c.cert}
		err := f.check(c.secured, c.insecure)
		if err == nil && f.access != c.want || err != nil && (!strings.Contains(err.Error(), c.want) || !errors.Is(err, errUsage)) {
			t.Errorf("%+v: got %q, %v", c, f.access, err)
		}
	}
	f := httpFlags{addr: local, access: accessAuto, cert: "c"}
	if err := f.check(false, false); !errors.Is(err, errUsage) || !strings.Contains(err.Error(), "want both") {
		t.Errorf("got %v of a certificate without a key", err)
	}
}
