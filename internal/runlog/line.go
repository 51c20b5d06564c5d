package runlog

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/musterhq/muster/pkg/job"
)

// cut makes text valid and no longer than limit, and a little that says how
// much is missing.
func cut(text string, limit int) string {
	if len(text) > limit {
		at := limit
		for at > limit-utf8.UTFMax && !utf8.RuneStart(text[at]) {
			at--
		}
		text = fmt.Sprintf("%s… (%d bytes more)", text[:at], len(text)-at)
	}
	if !utf8.ValidString(text) {
		text = strings.ToValidUTF8(text, "\uFFFD")
		if len(text) > limit+64 {
			text = cut(text, limit)
		}
	}
	return text
}

const (
	maxAttrs = 128
	maxKey   = 256
)

// modest returns those of attrs that a line has room for.
func modest(attrs []job.LogAttr) []job.LogAttr {
	room, fits := job.MaxLogAttrs, len(attrs) <= maxAttrs
	for i := range attrs {
		a := &attrs[i]
		room -= len(a.Key) + len(a.Value)
		fits = fits && len(a.Key) <= maxKey && utf8.ValidString(a.Key) && utf8.ValidString(a.Value)
	}
	if fits && room >= 0 {
		return attrs
	}
	room = job.MaxLogAttrs
	out := make([]job.LogAttr, 0, min(len(attrs), maxAttrs))
	for i, a := range attrs {
		if i == maxAttrs-1 || room < 2*maxKey {
			return append(out, job.LogAttr{Key: "…", Value: fmt.Sprintf("%d attributes more", len(attrs)-i)})
		}
		a = job.LogAttr{Key: cut(a.Key, maxKey), Value: cut(a.Value, room-2*maxKey)}
		room -= len(a.Key) + len(a.Value)
		out = append(out, a)
	}
	return out
}
