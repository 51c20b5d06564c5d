package simulation_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/pkg/node"
	"github.com/musterhq/muster/pkg/nodetest/simulation"
	"github.com/musterhq/muster/trigger"
)

// order is somebody who wants a run, and does not give up.
type order struct {
	w    *world
	rng  *rand.Rand
	kind kind
	spec job.Spec
	work simulation.Work
}

// order has somebody ask for a run of some kind, by chance.
func (w *world) order(key string) {
	o := &order{w: w, rng: w.chance(key)}
	name := o.name()
	o.kind = kinds[name]
	o.spec, o.work = o.kind.spec(1 + o.rng.IntN(1+o.rng.IntN(24)))
	o.work.Job, o.work.Key = name, key
	o.work.Doomed = name == "plain" && o.rng.IntN(4) == 0
	o.spec.Name, o.spec.Processor = name, name
	o.spec.Retry = job.Retry{Attempts: 20, Losses: 50, Backoff: trigger.Backoff{Initial: 100 * time.Millisecond, Factor: 1}}
	w.orders.Go(o.place)
}

func (o *order) name() string { return slices.Sorted(maps.Keys(kinds))[o.rng.IntN(len(kinds))] }

// a returns a time below d, by chance.
func (o *order) a(d time.Duration) time.Duration { return time.Duration(o.rng.Int64N(int64(d))) }

// hesitate waits for as long as a run may take, which is a moment for some.
func (o *order) hesitate() {
	d := 5 * time.Second
	if o.rng.IntN(2) == 0 {
		d = 600 * time.Millisecond
	}
	_ = pass(o.w.ctx, o.a(d))
}

// place submits the run, perhaps twice, perhaps changes its mind, and sees to
// what comes of it.
func (o *order) place() {
	id := o.submit()
	if o.rng.IntN(3) == 0 {
		o.submit()
	}
	switch o.rng.IntN(6) {
	case 0:
		o.hesitate()
		o.end(id, simulation.Cancel)
	case 1:
		o.hesitate()
		o.end(id, simulation.Stop)
	case 2:
		for range o.rng.IntN(6) {
			o.look(id)
			_ = pass(o.w.ctx, o.a(5*time.Second))
		}
	}
	if o.wait(id) == job.Failed && o.work.Doomed {
		o.w.save(o.work.Key)
		o.wait(o.retry(id))
	}
}

// try does something at one node after the other until it succeeds.
func (o *order) try(what string, do func(ctx context.Context, n *node.Node) error) {
	log := o.w.log.With(slog.String("what", what), slog.String("key", o.work.Key))
	for o.w.ctx.Err() == nil {
		if n := o.w.node(o.rng); n != nil {
			ctx, cancel := context.WithTimeout(o.w.ctx, 2*time.Second+o.a(20*time.Second))
			err := do(ctx, n)
			cancel()
			if err == nil {
				return
			}
			log.Debug("tried in vain", slog.String("at", n.Name()), slog.Any("err", err))
		}
		_ = pass(o.w.ctx, 100*time.Millisecond+o.a(time.Second))
	}
	log.Error("given up")
}

func (o *order) submit() (id job.RunID) {
	options := []node.Option{node.KeyFor(o.work.Key, 24*time.Hour), node.Extra("id", o.work.Key)}
	if o.work.Doomed {
		options = append(options, node.Extra("doomed", "yes"))
	}
	o.try("submit", func(ctx context.Context, n *node.Node) error {
		u := simulation.Submit{Work: o.work, Asked: o.w.moment()}
		run, err := n.Submit(ctx, o.spec, options...)
		u.Told = o.w.moment()
		if err == nil {
			id = run.ID()
			u.ID = id
		}
		u.Nothing = err != nil && strings.Contains(err.Error(), "nothing was recorded")
		o.w.tell(func(s *simulation.Story) { s.Submits = append(s.Submits, u) })
		return err
	})
	return id
}

// ask asks something about a run, by itself or as one of many.
func (o *order) ask(kind simulation.AskKind, id job.RunID, do func(ctx context.Context, n *node.Node) (*node.Run, error)) (made job.RunID) {
	if id == "" {
		return ""
	}
	o.try(string(kind), func(ctx context.Context, n *node.Node) error {
		a := simulation.Ask{Kind: kind, Run: id, Asked: o.w.moment()}
		r, err := do(ctx, n)
		if r != nil {
			a.Made = r.ID()
		}
		a.Told, a.Done, made = o.w.moment(), err == nil, a.Made
		o.w.tell(func(s *simulation.Story) { s.Asks = append(s.Asks, a) })
		return err
	})
	return made
}

func (o *order) end(id job.RunID, kind simulation.AskKind) {
	of := o.rng.IntN(2) == 0 // many
	o.ask(kind, id, func(ctx context.Context, n *node.Node) (*node.Run, error) {
		switch {
		case of:
			return nil, asMany(ctx, n, job.Verb(kind), id)
		case kind == simulation.Stop:
			return nil, n.Run(id).Stop(ctx, "it is in the way")
		}
		return nil, n.Run(id).Cancel(ctx, "nobody needs it")
	})
	o.look(id)
}

// retry makes the next attempt of a run that is the first.
func (o *order) retry(id job.RunID) job.RunID {
	of := o.rng.IntN(2) == 0
	return o.ask(simulation.Retry, id, func(ctx context.Context, n *node.Node) (*node.Run, error) {
		if !of {
			return n.Run(id).Retry(ctx)
		}
		if err := asMany(ctx, n, job.BulkRetry, id); err != nil {
			return nil, err
		}
		return n.Run(job.Again(id, 2)), nil
	})
}

// asMany does to a run what a bulk operation does to each.
func asMany(ctx context.Context, n *node.Node, verb job.Verb, id job.RunID) error {
	o, err := n.Bulk(ctx, job.Bulk{Namespace: id.Namespace(), Verb: verb, Runs: []job.RunID{id}, Reason: "there are too many"})
	if err == nil {
		o, err = n.WaitOperation(ctx, id.Namespace(), o.ID)
	}
	if err == nil && o.Refused > 0 {
		err = fmt.Errorf("operation %s: %s", o.ID, o.Refusals[0].Why)
	}
	return err
}

// look writes down what is known of a run.
func (o *order) look(id job.RunID) {
	if id == "" {
		return
	}
	o.try("get", func(ctx context.Context, n *node.Node) error {
		s := simulation.Sight{Asked: o.w.moment()}
		run, err := n.Run(id).Get(ctx)
		if err == nil {
			s.Run, s.Told = run, o.w.moment()
			o.w.tell(func(story *simulation.Story) { story.Sights = append(story.Sights, s) })
		}
		return err
	})
}

// wait waits for the end of a run and reads what it returned.
func (o *order) wait(id job.RunID) (state job.State) {
	if id == "" {
		return 0
	}
	o.try("wait", func(ctx context.Context, n *node.Node) error {
		e, err := o.outcome(ctx, n.Run(id))
		if e.State.Done() {
			state = e.State
			o.w.tell(func(s *simulation.Story) { s.Ends[id] = e })
		}
		return err
	})
	o.look(id)
	return state
}

func (o *order) outcome(ctx context.Context, r *node.Run) (e simulation.End, err error) {
	out, err := r.Wait(ctx)
	if failed := (*node.RunError)(nil); errors.As(err, &failed) {
		return simulation.End{State: failed.State}, nil
	}
	if err != nil {
		return e, err
	}
	e.State = job.Succeeded
	if e.Value, err = o.kind.read(ctx, out); err != nil {
		e.Err = err.Error()
	}
	return e, err
}

// pauses pauses one job after the other for a while, until ctx ends.
func (w *world) pauses(ctx context.Context) {
	o := &order{w: w, rng: w.chance("pauses")}
	for pass(ctx, o.a(20*time.Second)) == nil {
		name := o.name()
		o.work.Key = name
		o.try("pause", func(ctx context.Context, n *node.Node) error {
			return n.PauseJob(ctx, "", name, "somebody looks at it")
		})
		p := simulation.Pause{Job: name, From: w.moment()}
		_ = pass(ctx, o.a(8*time.Second))
		p.To = w.moment()
		if w.ctx.Err() == nil {
			w.tell(func(s *simulation.Story) { s.Pauses = append(s.Pauses, p) })
		}
		o.try("resume", func(ctx context.Context, n *node.Node) error { return n.ResumeJob(ctx, "", name) })
	}
}

// orderly places orders until ctx ends.
func (w *world) orderly(ctx context.Context) {
	rng := w.chance("orders")
	for n := 0; pass(ctx, time.Duration(rng.IntN(4000))*time.Millisecond) == nil; n++ {
		w.order(fmt.Sprint("order ", n))
	}
}

// sends tells the cluster of events until ctx ends, each until it is
// acknowledged, and some once more.
func (w *world) sends(ctx context.Context) {
	o := &order{w: w, rng: w.chance("events")}
	for n := 0; pass(ctx, o.a(3*time.Second)) == nil; n++ {
		e := job.Event{Name: "e", ID: fmt.Sprint("event ", n)}
		for range 1 + o.rng.IntN(2) {
			o.try("send", func(ctx context.Context, n *node.Node) error {
				_, err := n.Send(ctx, e)
				w.tell(func(s *simulation.Story) { s.Events = append(s.Events, simulation.Event{ID: e.ID, Done: err == nil}) })
				return err
			})
		}
	}
}
