package main

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/musterhq/muster/pkg/api"
	"github.com/musterhq/muster/pkg/client"
)

// TestDevHasJobsThatRun starts a cluster to try, and makes runs of its jobs.
func TestDevHasJobsThatRun(t *testing.T) {
	var out bytes.Buffer
	d := dev{web: httpFlags{addr: "127.0.0.1:0"}, log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))}
	ctx, cancel := context.WithCancel(t.Context())
	err := d.run(ctx, &out, func(url string) {
		defer cancel()
		if !strings.Contains(out.String(), url+"/api/v1/namespaces/default/jobs\n") {
			t.Errorf("got %s, want it to say where the jobs are", out.String())
		}
		c, err := client.New(url, client.Config{})
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range demoJobs() {
			r, err := c.RunJob(ctx, "default", spec.Name, api.RunNow{})
			if err == nil {
				r, err = c.WaitRun(ctx, r.ID)
			}
			if err != nil || r.State != "succeeded" {
				t.Errorf("%s: got %s %s, %v", spec.Name, r.State, r.Reason, err)
			}
		}
		r, err := c.RunJob(ctx, "default", "greet", api.RunNow{Params: `{"fail":true}`})
		if err != nil {
			t.Fatal(err)
		}
		if r, err = c.WaitRun(ctx, r.ID); err != nil || r.State != "failed" {
			t.Errorf("got %s, %v, want it to fail as it was told", r.State, err)
		}
	})
	if err != nil {
		t.Error(err)
	}
}
