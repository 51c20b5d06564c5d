// Command embedding is a shop with a node of its own: it takes orders over HTTP,
// has each of them packed once, and writes a report every night, without a
// scheduler or a queue beside it. Start it on several machines, and they share
// the work.
//
//	go run ./examples/embedding
//	curl -d '{"id":"o-1","items":["book","pen"]}' http://127.0.0.1:8081/orders
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/node"
	"github.com/musterhq/muster/trigger"
)

// order is what a customer wants. Its fields travel to whatever node packs it.
type order struct {
	ID    string   `json:"id"`
	Items []string `json:"items"`
}

// config is what the shop's node is. Every instance has the same processors.
func config(dir string, join []string) node.Config {
	return node.Config{
		Dir:     dir,
		Cluster: "shop",
		Join:    join,
		Processors: mapreduce.Registry{
			"pack":   mapreduce.Func(pack),
			"report": mapreduce.ProcessorFunc(report),
		},
		Logger: slog.Default(),
	}
}

func pack(_ context.Context, o order) (string, error) {
	if len(o.Items) == 0 {
		return "", mapreduce.Permanent(fmt.Errorf("order %s has no items", o.ID))
	}
	return "packed " + strings.Join(o.Items, ", "), nil
}

func report(_ context.Context, t *mapreduce.Task) (any, error) {
	t.Log.Info("the report is written", slog.Time("for", t.Fire))
	return nil, nil
}

// declare says what the shop does by itself. Each instance does so when it
// starts: what is saved again unchanged stays as it is.
func declare(ctx context.Context, n *node.Node) error {
	_, err := n.PutJob(ctx, job.Spec{
		Name:      "report",
		Processor: "report",
		Schedule:  trigger.Schedule{When: "30 2 * * *", Zone: "Europe/Berlin"},
	}, 0)
	return err
}

// shop answers customers.
type shop struct{ node *node.Node }

// take accepts an order: when the customer has the answer, the order is on the
// disks of a majority of the servers. One that is sent again is the same run.
func (s shop) take(w http.ResponseWriter, r *http.Request) {
	var o order
	if err := json.NewDecoder(r.Body).Decode(&o); err != nil || o.ID == "" {
		http.Error(w, "want an order, with an id", http.StatusBadRequest)
		return
	}
	spec := job.Spec{Processor: "pack", Input: job.Values(o), Retry: job.Retry{Attempts: 10}}
	run, err := s.node.Submit(r.Context(), spec, node.KeyFor(o.ID, 24*time.Hour))
	switch {
	case errors.Is(err, node.ErrOverloaded):
		w.Header().Set("Retry-After", "60")
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
	case err != nil:
		http.Error(w, err.Error(), http.StatusBadGateway)
	default:
		w.Header().Set("Location", "/orders?run="+string(run.ID()))
		w.WriteHeader(http.StatusAccepted)
	}
}

// show tells what has become of an order, on whatever node it was packed.
func (s shop) show(w http.ResponseWriter, r *http.Request) {
	run := s.node.Run(job.RunID(r.URL.Query().Get("run")))
	switch now, err := run.Get(r.Context()); {
	case err != nil:
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	case !now.State.Done():
		fmt.Fprintln(w, now.State, now.Reason)
		return
	}
	out, err := run.Wait(r.Context())
	if err != nil {
		fmt.Fprintln(w, err)
		return
	}
	packed, err := mapreduce.Value[string](r.Context(), out)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	fmt.Fprintln(w, packed)
}

func (s shop) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /orders", s.take)
	mux.HandleFunc("GET /orders", s.show)
	return mux
}

// serve runs an instance of the shop until ctx ends.
func serve(ctx context.Context, cfg node.Config, addr string) (err error) {
	n, err := node.Start(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() {
		// What is in progress has half a minute; what is not done by then goes on
		// elsewhere, or when the node is back.
		soon, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		defer cancel()
		err = errors.Join(err, n.Stop(soon))
	}()
	if err := declare(ctx, n); err != nil {
		return err
	}
	server := http.Server{Addr: addr, Handler: shop{n}.routes(), ReadHeaderTimeout: 5 * time.Second}
	defer context.AfterFunc(ctx, func() { _ = server.Close() })()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := serve(ctx, config("", os.Args[1:]), "127.0.0.1:8081")
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
