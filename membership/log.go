package membership

import (
	"context"
	"io"
	"log/slog"
	"strings"
	"time"
)

// A refusal is why something that arrived was not let in.
type refusal struct {
	reason string
	detail string
}

// maxNotes bounds the queue of what is to be logged; beyond it log lines are
// lost and nothing else.
const maxNotes = 4096

// note has the keeper call f, which may block.
func (l *List) note(f func()) {
	l.mu.Lock()
	l.noteLocked(f)
	l.mu.Unlock()
}

func (l *List) noteLocked(f func()) {
	if len(l.notes) < maxNotes && l.ctx.Err() == nil {
		l.notes = append(l.notes, f)
	}
	select {
	case l.noted <- struct{}{}:
	default:
	}
}

// refuse logs r, at most once a minute for each reason: what knocks on a port
// may knock often.
func (l *List) refuse(r refusal) {
	l.note(func() {
		now := time.Now()
		seen := l.refused[r.reason]
		if seen == nil {
			seen = &repeated{}
			l.refused[r.reason] = seen
		}
		if seen.n++; seen.n > 1 && now.Sub(seen.last) < time.Minute {
			return
		}
		l.log.Warn("gossip refused",
			slog.String("reason", r.reason), slog.String("detail", r.detail), slog.Int("times", seen.n))
		*seen = repeated{last: now, n: 1}
	})
}

// repeated is when a refusal was logged, and how often it came up since.
type repeated struct {
	last time.Time
	n    int
}

// refusals are the log lines of the gossip library that an operator should
// see, because they say that somebody was turned away.
var refusals = []struct{ text, reason string }{
	{"unacceptable label", "it is of another cluster, or no muster node"},
	{"no installed keys", "it is encrypted with a key that this node does not have"},
	{"Decrypt packet failed", "it is encrypted with a key that this node does not have"},
	{"remote state is not encrypted", "it is not encrypted and this node has keys: give all nodes the same Keys"},
	{"encryption is not configured", "it is encrypted and this node has no keys: give all nodes the same Keys"},
	{"is incompatible", "it speaks another version of the protocol: run releases that fit together"},
}

// reasonOf returns why the gossip library refused something, if text says so.
func reasonOf(text string) string {
	for _, r := range refusals {
		if strings.Contains(text, r.text) {
			return r.reason
		}
	}
	return ""
}

// engineLog takes the log lines of the gossip library, "[LEVEL] memberlist:
// text", and passes them on at debug level; what it cannot do, our own lines
// say in our own words.
type engineLog struct{ l *List }

var _ io.Writer = engineLog{}

func (e engineLog) Write(p []byte) (int, error) {
	text := strings.TrimSpace(string(p))
	severity := "INFO"
	if rest, ok := strings.CutPrefix(text, "["); ok {
		if s, t, ok := strings.Cut(rest, "] "); ok {
			severity, text = s, t
		}
	}
	text = strings.TrimPrefix(text, "memberlist: ")
	if reason := reasonOf(text); reason != "" {
		e.l.refuse(refusal{reason, text})
	}
	if e.l.log.Enabled(context.Background(), slog.LevelDebug) {
		e.l.note(func() {
			e.l.log.Debug("gossip", slog.String("severity", severity), slog.String("text", text))
		})
	}
	return len(p), nil
}
