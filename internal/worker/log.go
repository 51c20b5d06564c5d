package worker

import (
	"context"
	"log/slog"
	"strings"
	"sync"

	"github.com/musterhq/muster/internal/telemetry"
	"github.com/musterhq/muster/pkg/job"
)

// keptLevel is the least level that is kept with the run. Lower ones are kept
// if the node's own log wants them.
const keptLevel = slog.LevelInfo

// lines is what keeps the lines of an attempt, once it has some.
type lines struct {
	once sync.Once
	to   Lines // nil if nobody does
}

// keeper returns what keeps the attempt's lines, or nil.
func (a *attempt) keeper() Lines {
	if a.w.cfg.Lines == nil {
		return nil
	}
	a.lines.once.Do(func() { a.lines.to = a.w.cfg.Lines(a.id()) })
	return a.lines.to
}

// attemptLog is the log of one attempt: what is logged goes to the node's log,
// with the attempt's ID, and to what keeps the lines of the run. It forms
// what it needs only when something is logged, which most attempts never do.
type attemptLog struct {
	a     *attempt
	node  slog.Handler
	named bool          // node has the attempt's ID
	group string        // before each key, with a dot at its end
	attrs []job.LogAttr // of all lines
}

func (l *attemptLog) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= keptLevel && l.a.w.cfg.Lines != nil || l.node.Enabled(ctx, level)
}

func (l *attemptLog) Handle(ctx context.Context, r slog.Record) error {
	if to := l.a.keeper(); to != nil {
		attrs := l.attrs[:len(l.attrs):len(l.attrs)]
		if n := r.NumAttrs(); n > 0 {
			attrs = make([]job.LogAttr, len(l.attrs), len(l.attrs)+n)
			copy(attrs, l.attrs)
			r.Attrs(func(a slog.Attr) bool {
				attrs = flat(attrs, l.group, a)
				return true
			})
		}
		to.Add(r.Level, r.Message, attrs)
	}
	if !l.node.Enabled(ctx, r.Level) {
		return nil
	}
	return l.full().Handle(ctx, r)
}

// full returns the node's handler with the attempt's ID.
func (l *attemptLog) full() slog.Handler {
	if l.named {
		return l.node
	}
	return l.node.WithAttrs([]slog.Attr{telemetry.Attempt(l.a.id())})
}

func (l *attemptLog) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := *l
	with.node, with.named = l.full().WithAttrs(attrs), true
	with.attrs = l.attrs[:len(l.attrs):len(l.attrs)]
	for _, a := range attrs {
		with.attrs = flat(with.attrs, l.group, a)
	}
	return &with
}

func (l *attemptLog) WithGroup(name string) slog.Handler {
	if name == "" {
		return l
	}
	with := *l
	with.node, with.named, with.group = l.full().WithGroup(name), true, l.group+name+"."
	return &with
}

// flat appends an attribute as text, and those of a group one by one.
func flat(dst []job.LogAttr, group string, a slog.Attr) []job.LogAttr {
	v := a.Value.Resolve()
	switch {
	case v.Kind() == slog.KindGroup:
		if a.Key != "" {
			group += a.Key + "."
		}
		for _, in := range v.Group() {
			dst = flat(dst, group, in)
		}
		return dst
	case a.Key == "" && v.Any() == nil:
		return dst
	}
	// What is formatted may share memory with the user's code.
	return append(dst, job.LogAttr{Key: group + a.Key, Value: strings.Clone(v.String())})
}
