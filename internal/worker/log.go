package worker

import (
	"context"
	"log/slog"
	"strings"

	"github.com/musterhq/muster/internal/telemetry"
	"github.com/musterhq/muster/pkg/job"
)

// keptLevel is the least level that is kept with the run. Lower ones are kept
// if the node's own log wants them.
const keptLevel = slog.LevelInfo

// lines is what keeps the lines of an attempt, once it has some.
type lines struct{ Lines }

// keeper returns what keeps the attempt's lines, or nil if nobody does.
func (a *attempt) keeper() Lines {
	if a.w.cfg.Lines == nil {
		return nil
	}
	to := a.lines.Load()
	if to == nil {
		a.lines.CompareAndSwap(nil, &lines{a.w.cfg.Lines(a.id())})
		to = a.lines.Load() // perhaps of another goroutine that was first
	}
	return to.Lines
}

// attemptLog is the log of one attempt: what is logged goes to the node's log,
// with the attempt's ID, and to what keeps the lines of the run. It forms
// what it needs only when something is logged, which most attempts never do.
type attemptLog struct {
	a    *attempt
	with *logWith // nil until there are attributes or a group
}

// logWith is what a logger adds to its lines.
type logWith struct {
	node  slog.Handler  // with the attempt's ID
	group string        // before each key, with a dot at its end
	attrs []job.LogAttr // of all lines
}

func (l *attemptLog) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= keptLevel && l.a.w.cfg.Lines != nil || l.a.w.log.Enabled(ctx, level)
}

func (l *attemptLog) Handle(ctx context.Context, r slog.Record) error {
	if to := l.a.keeper(); to != nil {
		to.Add(r.Level, r.Message, l.attrsOf(&r))
	}
	if !l.a.w.log.Enabled(ctx, r.Level) {
		return nil
	}
	return l.now().node.Handle(ctx, r)
}

// attrsOf returns the attributes of a line as text.
func (l *attemptLog) attrsOf(r *slog.Record) []job.LogAttr {
	var with logWith
	if l.with != nil {
		with = *l.with
	}
	n := r.NumAttrs()
	if n == 0 {
		return with.attrs
	}
	attrs := make([]job.LogAttr, len(with.attrs), len(with.attrs)+n)
	copy(attrs, with.attrs)
	r.Attrs(func(a slog.Attr) bool {
		attrs = flat(attrs, with.group, a)
		return true
	})
	return attrs
}

// now returns what the logger adds, which another may add more to.
func (l *attemptLog) now() logWith {
	if l.with != nil {
		return *l.with
	}
	return logWith{node: l.a.w.log.Handler().WithAttrs([]slog.Attr{telemetry.Attempt(l.a.id())})}
}

func (l *attemptLog) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := l.now()
	with.node = with.node.WithAttrs(attrs)
	with.attrs = with.attrs[:len(with.attrs):len(with.attrs)]
	for _, a := range attrs {
		with.attrs = flat(with.attrs, with.group, a)
	}
	return &attemptLog{l.a, &with}
}

func (l *attemptLog) WithGroup(name string) slog.Handler {
	if name == "" {
		return l
	}
	with := l.now()
	with.node, with.group = with.node.WithGroup(name), with.group+name+"."
	return &attemptLog{l.a, &with}
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
