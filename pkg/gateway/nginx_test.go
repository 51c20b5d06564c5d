package gateway_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/musterhq/muster/pkg/api"
	"github.com/musterhq/muster/pkg/gateway"
)

// TestEverythingWorksBehindNginx is TestEverythingWorksBelowAPath with a real
// proxy, configured as most are. It is skipped where there is no nginx.
func TestEverythingWorksBehindNginx(t *testing.T) {
	nginx, err := exec.LookPath("nginx")
	if err != nil {
		t.Skip("there is no nginx")
	}
	for name, strip := range map[string]string{"stripped": "/", "not stripped": ""} {
		t.Run(name, func(t *testing.T) {
			cfg := gateway.Config{TrustProxy: true}
			if strip == "" {
				cfg = gateway.Config{BasePath: "/some/prefix"}
			}
			s := serve(t, cfg)
			addr := front(t, nginx, strings.TrimSuffix(s.url, api.Prefix)+strip)
			s.url = "http://" + addr + "/some/prefix" + api.Prefix
			walk(t, s, "/some/prefix"+api.Prefix)
		})
	}
}

// front has nginx put what is at upstream below a path, and returns where it
// listens.
func front(t *testing.T, nginx, upstream string) (addr string) {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr = l.Addr().String()
	_ = l.Close() // the port is nginx's from now on
	dir := t.TempDir()
	conf := fmt.Sprintf(`
daemon off; master_process off; pid %[1]s/pid; error_log stderr notice;
events {}
http {
  access_log off; client_body_temp_path %[1]s/b; proxy_temp_path %[1]s/p; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
  server {
    listen %[2]s;
    location /some/prefix/ {
      proxy_pass %[3]s;
      proxy_http_version 1.1;
      proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Forwarded-Prefix /some/prefix;
    }
  }
}`, dir, addr, upstream)
	path := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(path, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, nginx, "-p", dir, "-c", path)
	said, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	lines := bufio.NewScanner(said)
	for lines.Scan() && !strings.Contains(lines.Text(), "event method") { // by then it listens
		t.Log(lines.Text())
	}
	rest := make(chan struct{})
	go func() {
		defer close(rest)
		for lines.Scan() { // so that it can go on to speak
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-rest
		_ = cmd.Wait() // it was killed
	})
	return addr
}
