package membership

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"runtime/pprof"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
)

// ErrClosed is what a List returns that has left or was closed.
var ErrClosed = errors.New("membership: closed")

// streamTimeout bounds a stream of gossip from dial to close, and so how long
// an address that swallows packets holds up a join.
const streamTimeout = 5 * time.Second

// A List is the members of the cluster as this node sees them. It is safe for
// concurrent use.
type List struct {
	cfg    Config
	log    *slog.Logger
	bound  string // the host:port that is listened on
	names  names
	known  *known
	gossip *memberlist.Memberlist

	ctx    context.Context // the life of the list
	cancel context.CancelFunc
	wg     sync.WaitGroup
	ending chan struct{} // holds a token while somebody leaves, closes or updates

	company  chan struct{}        // closed when the first other member is here
	noted    chan struct{}        // holds a token when notes is not empty
	moved    chan struct{}        // holds a token when the members changed; the keeper's
	lost     chan struct{}        // holds a token when the members changed; rejoin's
	refused  map[string]*repeated // the keeper's own
	greeting sync.Once            // closes company

	mu       sync.Mutex
	self     Member                // guarded by mu
	meta     []byte                // self as gossip; guarded by mu
	table    table                 // guarded by mu
	watchers map[*watcher]struct{} // guarded by mu
	notes    []func()              // what the keeper shall call; guarded by mu
}

// Start makes this node a member: it listens, dials the seeds and returns when
// one of them has answered or somebody else has joined this node. If nobody
// did when ctx ends (or after 15 s, if ctx has no end) it gives up, with an
// error that says for each seed why, unless cfg.Lonely. Ending ctx later has
// no effect; call Leave or Close.
func Start(ctx context.Context, cfg Config) (*List, error) {
	cfg = cfg.withDefaults()
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("membership: start: %w", context.Cause(ctx))
	}
	l := &List{
		cfg:      cfg,
		log:      cfg.Logger,
		self:     cfg.Self,
		ending:   make(chan struct{}, 1),
		company:  make(chan struct{}),
		noted:    make(chan struct{}, 1),
		moved:    make(chan struct{}, 1),
		lost:     make(chan struct{}, 1),
		refused:  map[string]*repeated{},
		watchers: map[*watcher]struct{}{},
	}
	if err := l.remember(); err != nil {
		return nil, err
	}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	if err := l.listen(ctx); err != nil {
		l.cancel()
		return nil, err
	}
	l.wg.Go(l.keep)
	if err := l.meet(ctx); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	l.wg.Go(l.rejoin)
	return l, nil
}

// remember finds out who this node is and which life this is.
func (l *List) remember() (err error) {
	if l.self.ID == "" && l.cfg.Dir != "" {
		l.self.ID, err = Identity(l.cfg.Dir)
	} else if l.self.ID == "" {
		l.self.ID = newID()
	}
	if err != nil {
		return err
	}
	l.known, err = loadKnown(l.cfg.Dir)
	if err != nil {
		l.log.Warn("starting without the last known members", slog.Any("err", err))
	}
	l.self.Incarnation, err = l.known.begin(time.Now())
	return err
}

// Disown forgets the members that l has met, so that the next life of the node
// does not look for them. It is for a node that finds itself in a pool that it
// does not belong to, before it leaves.
func (l *List) Disown() error { return l.known.disown() }

// listen opens the port and starts to gossip.
func (l *List) listen(ctx context.Context) error {
	ln, pc, err := listen(l.cfg.Network, l.cfg.Bind)
	if err != nil {
		return err
	}
	shut := func(err error) error {
		_, _ = ln.Close(), pc.Close()
		return err
	}
	l.bound = ln.Addr().String()
	if l.self.Addr, err = advertised(ctx, l.cfg, l.bound); err != nil {
		return shut(err)
	}
	l.self.RPC = besides(l.self.RPC, l.self.Addr)
	if l.meta, err = encodeMeta(l.self, l.named()); err != nil {
		return shut(err)
	}
	t, err := newTransport(l.cfg.Network, ln, pc, l.self.Addr, &l.names)
	if err != nil {
		return shut(err)
	}
	gc := l.engine(t)
	// The label marks every goroutine of the library, for Close to wait for.
	// It is put on a goroutine of its own, because the caller's labels are the
	// caller's.
	var wg sync.WaitGroup
	wg.Go(func() {
		pprof.SetGoroutineLabels(pprof.WithLabels(context.Background(), pprof.Labels(gossipLabel, gc.Name)))
		l.gossip, err = memberlist.Create(gc)
	})
	wg.Wait()
	if err != nil {
		_ = t.Shutdown()
		return fmt.Errorf("membership: start: %w", err)
	}
	return nil
}

// named returns self's address if gossip cannot carry it.
func (l *List) named() string {
	if l.names.alias(l.self.Addr) == l.self.Addr {
		return ""
	}
	return l.self.Addr
}

// engine returns the configuration of the gossip library.
func (l *List) engine(t *transport) *memberlist.Config {
	c := memberlist.DefaultLANConfig()
	c.Name = lifeName(l.self)
	c.Label = "muster/" + l.cfg.Cluster
	c.Transport = t
	c.BindAddr, c.BindPort = t.ip.String(), t.port
	c.AdvertiseAddr, c.AdvertisePort = t.ip.String(), t.port
	if len(l.cfg.Keys) > 0 {
		// The lengths were checked, so this cannot fail.
		c.Keyring, _ = memberlist.NewKeyring(l.cfg.Keys, l.cfg.Keys[0])
	}
	c.ProbeInterval, c.ProbeTimeout = l.cfg.ProbeInterval, l.cfg.ProbeTimeout
	c.GossipInterval = l.cfg.GossipInterval
	c.SuspicionMult = l.cfg.SuspicionMult
	c.PushPullInterval = 30 * l.cfg.ProbeInterval
	c.GossipToTheDeadTime = 30 * l.cfg.ProbeInterval
	c.TCPTimeout = streamTimeout
	// What we gossip is short, and compressing it costs more than it saves.
	c.EnableCompression = false
	c.DelegateProtocolMin, c.DelegateProtocolMax, c.DelegateProtocolVersion = protocol, protocol, protocol
	d := delegate{l}
	c.Delegate, c.Events, c.Alive, c.Conflict = d, d, d, d
	c.Logger = log.New(engineLog{l}, "", 0)
	return c
}

// Self returns this node as the others see it.
func (l *List) Self() Member {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.self
}

// Members returns the members that are believed alive, this node included, by
// ID. If two living nodes have one ID, which is an error of whoever copied a
// data directory and is logged as such, the one that started later is the
// member, on every node.
func (l *List) Members() []Member {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.table.members())
}

// Member returns the member with id, if it is believed alive.
func (l *List) Member(id string) (Member, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.table.member(id)
}

// Update changes what this node says about itself: f is given a copy of Self
// and may change all of it but ID, Addr and Incarnation. The others learn it
// by gossip, within a second as a rule. If what f leaves does not fit in
// gossip, nothing changes and the error says what to shorten.
func (l *List) Update(f func(*Member)) error {
	l.ending <- struct{}{}
	defer func() { <-l.ending }()
	if l.ctx.Err() != nil {
		return ErrClosed
	}
	old := l.Self()
	m := old.clone()
	f(&m)
	m = m.clone()
	m.ID, m.Addr, m.Incarnation = old.ID, old.Addr, old.Incarnation
	if m.same(old) {
		return nil
	}
	meta, err := encodeMeta(m, l.named())
	if err != nil {
		return err
	}
	l.mu.Lock()
	l.self, l.meta = m, meta
	l.mu.Unlock()
	// The library would wait until the news is out. Its only error is that the
	// time it was given for that is over, and the news goes out all the same.
	_ = l.gossip.UpdateNode(time.Nanosecond)
	return nil
}

// alive records that life m is there.
func (l *List) alive(m Member) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ctx.Err() != nil {
		return
	}
	l.tellLocked(l.table.put(m))
	if m.ID != l.self.ID {
		l.greeting.Do(func() { close(l.company) })
	}
	if len(l.table.lives[m.ID]) > 1 {
		l.noteLocked(func() { l.doubt(m) })
	}
}

// dead records that a life is over.
func (l *List) dead(id string, incarnation uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ctx.Err() == nil {
		l.tellLocked(l.table.drop(id, incarnation))
	}
}

// tellLocked passes events on to all who want to know.
func (l *List) tellLocked(events []Event) {
	for _, e := range events {
		for w := range l.watchers {
			w.tellLocked(e)
		}
		self := l.self.ID
		l.noteLocked(func() { l.logEvent(e, self) })
	}
	if len(events) == 0 {
		return
	}
	for _, c := range []chan struct{}{l.moved, l.lost} {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}
