package server

import (
	"context"
	"errors"
	"os/exec"
	"syscall"

	"github.com/redis/go-redis/v9"
)

// FindRedis returns the path of redis-server.
func FindRedis() (string, error) {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return "", errors.New("server: no redis-server in PATH: install the package redis-server")
	}
	return path, nil
}

// Redis starts a Redis in dir, which has to be empty, with an append-only file
// that is synced to the disk as appendfsync says. Everything else that writes
// to the disk is off.
func Redis(ctx context.Context, dir, appendfsync string) (*Server, error) {
	path, err := FindRedis()
	if err != nil {
		return nil, err
	}
	return start(ctx, command{
		path: path,
		args: func(port string) []string {
			return []string{
				"--port", port, "--dir", dir, "--bind", "127.0.0.1", "--appendonly", "yes", "--appendfsync", appendfsync,
				"--save", "", "--auto-aof-rewrite-percentage", "0", "--daemonize", "no",
			}
		},
		show: "redis-server --bind 127.0.0.1 --appendonly yes --appendfsync " + appendfsync + " --save '' --auto-aof-rewrite-percentage 0 --daemonize no",
		dir:  dir,
		quit: syscall.SIGTERM,
		ready: func(ctx context.Context, addr string) error {
			c := redis.NewClient(&redis.Options{Addr: addr, MaxRetries: -1})
			defer c.Close()
			return c.Ping(ctx).Err()
		},
	})
}
