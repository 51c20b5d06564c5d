package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5"
)

// superuser is the superuser and the database of a PostgreSQL that was started
// here.
const superuser = "postgres"

// FindPostgres returns the directory with the newest postgres and initdb.
func FindPostgres() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if err != nil {
		return "", err
	}
	if len(found) > 0 { // 9 is before 15
		newest := slices.MaxFunc(found, func(a, b string) int { return cmp.Or(len(a)-len(b), strings.Compare(a, b)) })
		return filepath.Dir(newest), nil
	}
	if path, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(path), nil
	}
	return "", errors.New("server: no postgres in /usr/lib/postgresql nor initdb in PATH: install the package postgresql")
}

// Postgres starts a PostgreSQL with a cluster of its own in dir, which has to
// be empty. Its configuration is what initdb makes, which is durable.
func Postgres(ctx context.Context, dir string) (*Server, error) {
	bin, err := FindPostgres()
	if err != nil {
		return nil, err
	}
	as, err := unprivileged("postgres", "nobody")
	if err != nil {
		return nil, err
	}
	if as != nil {
		if err := os.Chown(dir, int(as.Uid), int(as.Gid)); err != nil {
			return nil, err
		}
	}
	data := filepath.Join(dir, "data")
	c := exec.CommandContext(ctx, filepath.Join(bin, "initdb"), "-D", data, "-U", superuser, "-A", "trust", "-E", "UTF8", "--locale", "C", "--no-sync")
	c.Dir, c.SysProcAttr = dir, &syscall.SysProcAttr{Credential: as}
	if out, err := c.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("server: initdb: %w: %s", err, out)
	}
	return start(ctx, command{
		path: filepath.Join(bin, "postgres"),
		args: func(port string) []string {
			return []string{"-D", data, "-c", "listen_addresses=127.0.0.1", "-c", "port=" + port, "-c", "unix_socket_directories="}
		},
		show: "postgres -c listen_addresses=127.0.0.1 -c unix_socket_directories= (all else as initdb makes it: fsync and synchronous_commit on, shared_buffers 128MB)",
		dir:  dir,
		as:   as,
		quit: syscall.SIGINT,
		ready: func(ctx context.Context, addr string) error {
			conn, err := pgx.Connect(ctx, URL(addr))
			if err != nil {
				return err
			}
			return conn.Close(ctx)
		},
	})
}

// URL is how to reach a PostgreSQL that was started here.
func URL(addr string) string {
	return fmt.Sprintf("postgres://%s@%s/%s?sslmode=disable", superuser, addr, superuser)
}
