package state

import (
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"slices"

	"github.com/hashicorp/go-hclog"
)

// raftLogger passes on what raft logs. Raft's view of what is worth a line is
// not an operator's: all of it is Debug, but what it calls an error is a
// warning, unless it comes anew with every message that has no answer: that a
// server is silent the link says, once.
type raftLogger struct {
	log  *slog.Logger
	args []any
}

func newRaftLogger(log *slog.Logger) hclog.Logger { return &raftLogger{log: log} }

func (l *raftLogger) Log(level hclog.Level, msg string, args ...any) {
	to := slog.LevelDebug
	if level >= hclog.Error && !slices.Contains(repeated, msg) {
		to = slog.LevelWarn
	}
	if l.log.Enabled(context.Background(), to) {
		l.log.LogAttrs(context.Background(), to, "raft", append([]slog.Attr{slog.String("says", msg)}, attrs(args)...)...)
	}
}

// repeated are errors that raft logs again and again while one thing is wrong.
var repeated = []string{
	"failed to heartbeat to", "failed to appendEntries to", "failed to make requestVote RPC", "failed to send snapshot to",
	"peer has newer term, stopping replication", "failed to commit logs", "failed to append to logs", "failed to install snapshot",
}

// attrs turns the keys and values that hclog takes into attributes.
func attrs(args []any) []slog.Attr {
	out := make([]slog.Attr, 0, (len(args)+1)/2)
	for i := 0; i < len(args); i += 2 {
		key, value := fmt.Sprint(args[i]), any(nil)
		if i+1 < len(args) {
			value = args[i+1]
		}
		if f, ok := value.(hclog.Format); ok && len(f) > 0 {
			value = f[1:] // what hclog would format
		}
		out = append(out, slog.Any(key, value))
	}
	return out
}

func (l *raftLogger) Trace(string, ...any)          {}
func (l *raftLogger) Debug(msg string, args ...any) { l.Log(hclog.Debug, msg, args...) }
func (l *raftLogger) Info(msg string, args ...any)  { l.Log(hclog.Info, msg, args...) }
func (l *raftLogger) Warn(msg string, args ...any)  { l.Log(hclog.Warn, msg, args...) }
func (l *raftLogger) Error(msg string, args ...any) { l.Log(hclog.Error, msg, args...) }

func (l *raftLogger) IsTrace() bool { return false }
func (l *raftLogger) IsDebug() bool { return l.log.Enabled(context.Background(), slog.LevelDebug) }
func (l *raftLogger) IsInfo() bool  { return l.IsDebug() }
func (l *raftLogger) IsWarn() bool  { return l.IsDebug() }
func (l *raftLogger) IsError() bool { return l.log.Enabled(context.Background(), slog.LevelWarn) }

func (l *raftLogger) ImpliedArgs() []any { return l.args }

func (l *raftLogger) With(args ...any) hclog.Logger {
	return &raftLogger{slog.New(l.log.Handler().WithAttrs(attrs(args))), append(slices.Clip(l.args), args...)}
}

func (l *raftLogger) Name() string                   { return "raft" }
func (l *raftLogger) Named(string) hclog.Logger      { return l }
func (l *raftLogger) ResetNamed(string) hclog.Logger { return l }
func (l *raftLogger) SetLevel(hclog.Level)           {}
func (l *raftLogger) GetLevel() hclog.Level          { return hclog.Debug }
func (l *raftLogger) StandardLogger(*hclog.StandardLoggerOptions) *log.Logger {
	return slog.NewLogLogger(l.log.Handler(), slog.LevelDebug)
}

func (l *raftLogger) StandardWriter(o *hclog.StandardLoggerOptions) io.Writer {
	return l.StandardLogger(o).Writer()
}
