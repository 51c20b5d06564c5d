package node

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/musterhq/muster/internal/state"
	"github.com/musterhq/muster/internal/telemetry"
	"github.com/musterhq/muster/internal/wire"
	"github.com/musterhq/muster/mapreduce"
	"github.com/musterhq/muster/pkg/job"
	"github.com/musterhq/muster/sharding"
)

// Option is something a caller says of one run rather than of its job.
type Option func(*job.Run)

// Key names the run for the caller; tasks see it. While a run of the job has
// the key and has not ended, submitting another one with it returns that run.
func Key(key string) Option { return func(r *job.Run) { r.Key = key } }

// KeyFor is Key for a key that stays taken for d after the submit, or while
// the run lives if that is longer.
func KeyFor(key string, d time.Duration) Option {
	return func(r *job.Run) { r.Key, r.KeyFor = key, d }
}

// NotBefore lets the run wait, on disk, until t.
func NotBefore(t time.Time) Option { return func(r *job.Run) { r.NotBefore = t.UTC() } }

// Extra passes a value along to every task of the run.
func Extra(name, value string) Option {
	return func(r *job.Run) {
		if r.Extra == nil {
			r.Extra = map[string]string{}
		}
		r.Extra[name] = value
	}
}

// Tags adds words by which the run is found to those of its job.
func Tags(tags ...string) Option { return func(r *job.Run) { r.Spec.AddTags(tags...) } }

// Params is the text that every task of the run sees, in place of its job's
// Params. Empty leaves those.
func Params(text string) Option {
	return func(r *job.Run) {
		if text != "" {
			r.Spec.Params = text
		}
	}
}

// Submit accepts a run of spec. When it returns without an error the run is
// durable: it goes on whatever becomes of this node or of ctx. An error names
// the field of spec that can't be, its value and what would be right, or says
// that the state could not be reached; in the latter case the run may have
// been accepted.
func (n *Node) Submit(ctx context.Context, spec job.Spec, options ...Option) (*Run, error) {
	if n.isStopping() {
		return nil, ErrStopped
	}
	run, entries, err := n.prepare(ctx, spec, options)
	if err != nil {
		return nil, err
	}
	id, err := n.record(ctx, run, entries)
	if err != nil {
		return nil, unsubmitted(run.ID, err)
	}
	return &Run{n: n, id: id}, nil
}

// unsubmitted says why a run was not recorded.
func unsubmitted(id job.RunID, err error) error {
	if is(err, state.ErrOverloaded) {
		return fmt.Errorf("%w: submit %s: %w", ErrOverloaded, id, bare(bare(plain(err))))
	}
	return fmt.Errorf("node: submit %s: %w", id, bare(plain(err)))
}

// prepare returns a run of spec, planned, and what its journal begins with.
func (n *Node) prepare(ctx context.Context, spec job.Spec, options []Option) (run job.Run, entries [][]byte, err error) {
	if run, err = n.ask(ctx, spec, options); err == nil {
		entries, err = n.planAnew(ctx, &run)
	}
	return run, entries, err
}

// ask returns a run of spec as its caller wants it.
func (n *Node) ask(ctx context.Context, spec job.Spec, options []Option) (run job.Run, err error) {
	spec = spec.WithDefaults()
	if err := spec.Validate(); err != nil {
		return run, err
	}
	if err := sharding.Strategy(spec.Placement.Strategy).Check(); err != nil {
		return run, fmt.Errorf("node: Placement.Strategy: %w", err)
	}
	now := n.wall().UTC()
	run = job.Run{Spec: spec, Fire: now, Created: now, ID: newID(&spec, now)}
	run.Trace = telemetry.Inject(ctx)
	for _, o := range options {
		o(&run)
	}
	if err := checkExtra(&run); err != nil {
		return run, err
	}
	return run, n.limitKey(&run)
}

// maxExtra bounds what the caller passes to every task, in bytes.
const maxExtra = 64 << 10

func checkExtra(run *job.Run) error {
	if err := job.CheckTags(run.Spec.Tags); err != nil {
		return err
	}
	size := len(run.Key)
	for name, value := range run.Extra {
		size += len(name) + len(value)
	}
	if run.KeyFor < 0 {
		return fmt.Errorf("node: KeyFor %v: want a positive duration, or 0 for as long as the run lives", run.KeyFor)
	}
	if size > maxExtra {
		return fmt.Errorf("node: Key and Extra have %d bytes, over the limit of %d: put what is large into a file or the input", size, maxExtra)
	}
	return nil
}

// record hands the run and its input to the state, in one message if they fit,
// else the input first, and returns the ID of the run that there is then: the
// run's own, or that of the one that has its key.
func (n *Node) record(ctx context.Context, run job.Run, entries [][]byte) (job.RunID, error) {
	create := wire.Create{Run: run}
	if size := total(entries); size <= maxDispatch {
		create.Chunks = entries
	} else {
		for at := 0; at < len(entries); {
			j := wire.Journal{Run: run.ID, First: uint64(at)}
			for size := 0; at < len(entries) && (size == 0 || size+len(entries[at]) <= 2*maxDispatch); at++ {
				j.Entries = append(j.Entries, entries[at])
				size += len(entries[at])
			}
			if _, err := lead[wire.Nothing](ctx, n, wire.MethodInput, j); err != nil {
				return "", err
			}
		}
	}
	made, err := lead[job.Run](ctx, n, wire.MethodCreate, create)
	return made.ID, err
}

func total(entries [][]byte) (n int) {
	for _, e := range entries {
		n += len(e)
	}
	return n
}

// newID names a run that was submitted: by when that was, and by chance.
func newID(spec *job.Spec, now time.Time) job.RunID {
	var b [128]byte // which holds most of them
	id := append(b[:0], spec.Namespace...)
	id = append(append(append(id, '/'), spec.Name...), '@')
	id = now.AppendFormat(id, "20060102T150405Z")
	id = append(append(id, '-'), strings.ToLower(rand.Text()[:8])...)
	return job.RunID(id)
}

// processor returns what the pool tells of a processor: this node if it has
// it, else any member.
func (n *Node) processor(ctx context.Context, name string) (wire.Processor, error) {
	if p, ok := n.known(name); ok {
		return p, nil
	}
	ctx, cancel := context.WithTimeout(ctx, describeTimeout)
	defer cancel()
	for {
		n.peers.mu.Lock()
		changed := n.peers.changed
		n.peers.mu.Unlock()
		if p, ok := n.known(name); ok {
			return p, nil
		}
		peers, names := n.peers.list(), map[string]bool{}
		for _, k := range peers {
			for _, p := range k.about.Processors {
				names[p.Name] = true
			}
		}
		unknown := fmt.Errorf("node: Processor %q: no member of the pool has it: register it in Config.Processors%s", name, orOneOf(names))
		if len(peers) >= len(n.members.Members()) {
			return wire.Processor{}, unknown
		}
		select { // some member has not said yet what it has
		case <-changed:
		case <-ctx.Done():
			return wire.Processor{}, unknown
		}
	}
}

// known returns what is known of a processor by now, if anything is.
func (n *Node) known(name string) (wire.Processor, bool) {
	if p, ok := n.cfg.Processors[name]; ok {
		return describe(name, p), true
	}
	for _, k := range n.peers.list() {
		if p, ok := k.processor(name); ok {
			return p, true
		}
	}
	return wire.Processor{}, false
}

// describe says what members tell each other of a processor.
func describe(name string, p mapreduce.Processor) wire.Processor {
	powers := mapreduce.PowersOf(p)
	return wire.Processor{
		Name: name, Version: powers.Version, Prepares: powers.Before != nil, Reduces: powers.Reduce != nil,
		Keyed: powers.Keyed != nil, Combines: powers.Keyed != nil && powers.Keyed.CanCombine(),
	}
}

// orOneOf names the processors there are, or the first of them.
func orOneOf(names map[string]bool) string {
	const most = 20
	all, more := slices.Sorted(maps.Keys(names)), ""
	if n := len(all) - most; n > 0 {
		all, more = all[:most], fmt.Sprintf(" and %d more", n)
	}
	if len(all) == 0 {
		return " of a node"
	}
	return ", or use one of " + strings.Join(all, ", ") + more
}

// eligible returns the members that may work on the run now, or an error that
// says why there are none.
func (n *Node) eligible(run *job.Run) ([]sharding.Member, error) {
	var able []sharding.Member
	var refused []sharding.Refusal
	for _, k := range n.peers.list() {
		c := k.candidate(run.Spec.Processor, run.Plan.Version)
		if c.Unfit != "" {
			refused = append(refused, sharding.Refusal{Member: c.Name, Reason: c.Unfit})
			continue
		}
		able = append(able, c.Member)
	}
	p := run.Spec.Placement
	fit, more := sharding.Eligible(sharding.Constraint{
		Names: p.Nodes, Tags: p.Tags, MinCPU: p.MinCPU, MinMemory: p.MinMemory, MinDisk: p.MinDisk, MaxWorkers: p.MaxWorkers, Key: string(run.ID),
	}, able)
	if len(fit) == 0 {
		return nil, errors.New(sharding.Explain(append(refused, more...)))
	}
	slices.SortFunc(fit, func(a, b sharding.Member) int { return cmp.Compare(a.ID, b.ID) })
	return fit, nil
}
