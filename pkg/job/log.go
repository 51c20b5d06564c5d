package job

import (
	"cmp"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// LogLine is a line that an attempt wrote, or that stands where lines were
// dropped.
type LogLine struct {
	Run     RunID
	Task    TaskID
	Epoch   uint64
	Attempt int
	// Node is the name of the node that executed the attempt.
	Node  string
	Level slog.Level
	// Time is the node's wall clock. Within an attempt it never goes back.
	Time time.Time
	// Seq counts the lines of the attempt from 1, those that were dropped
	// included.
	Seq   uint64
	Text  string
	Attrs []LogAttr
	// Dropped is how many lines this one stands for. Text says why they are
	// missing. If it has an attempt, they are those up to Seq.
	Dropped uint64
}

// LogAttr is an attribute of a line. The keys of groups are joined by dots.
type LogAttr struct{ Key, Value string }

// The limits of a line. What is longer is cut, and says so.
const (
	MaxLogText  = 16 << 10
	MaxLogAttrs = 8 << 10 // all keys and values together
)

// String returns the line as people read it, without its end: time, level, node,
// attempt, text and attributes.
func (l *LogLine) String() string {
	b := make([]byte, 0, 96+len(l.Text))
	b = l.Time.UTC().AppendFormat(b, "2006-01-02T15:04:05.000000Z")
	b = fmt.Appendf(b, " %-5s ", l.Level)
	if l.Node != "" {
		b = append(append(b, l.Node...), ' ')
	}
	if l.Attempt > 0 {
		b = fmt.Appendf(b, "%v#%d ", l.Task, l.Attempt)
	}
	b = append(b, oneLine.Replace(l.Text)...)
	for _, a := range l.Attrs {
		v := a.Value
		if v == "" || strings.ContainsAny(v, " \"=\n\r\t") {
			v = strconv.Quote(v)
		}
		b = append(append(append(append(b, ' '), a.Key...), '='), v...)
	}
	return string(b)
}

// oneLine keeps a line with ends in it on one line.
var oneLine = strings.NewReplacer("\r\n", `\n`, "\n", `\n`, "\r", `\r`)

// Compare orders lines: by time, and those of the same instant by attempt and
// sequence. Lines that compare as equal are the same line.
func (l *LogLine) Compare(o *LogLine) int {
	return cmp.Or(
		cmp.Compare(l.Time.UnixNano(), o.Time.UnixNano()),
		cmp.Compare(l.Task.Kind, o.Task.Kind), cmp.Compare(l.Task.N, o.Task.N),
		cmp.Compare(l.Epoch, o.Epoch), cmp.Compare(l.Attempt, o.Attempt),
		cmp.Compare(l.Seq, o.Seq),
	)
}

// Cursor returns the place of the line among those of its run, for a query that
// goes on from there.
func (l *LogLine) Cursor() string {
	b := []byte{1}
	b = binary.AppendVarint(b, l.Time.UnixNano())
	b = append(b, byte(l.Task.Kind))
	for _, v := range []uint64{uint64(l.Task.N), l.Epoch, uint64(l.Attempt), l.Seq} {
		b = binary.AppendUvarint(b, v)
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

var errLogCursor = errors.New("job: Cursor: want what LogLine.Cursor returned, or nothing")

// LogPlace returns a line that compares as equal to the one whose cursor it is
// given.
func LogPlace(cursor string) (LogLine, error) {
	b, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || len(b) < 2 || b[0] != 1 {
		return LogLine{}, errLogCursor
	}
	at, n := binary.Varint(b[1:])
	if n <= 0 || len(b) < 2+n {
		return LogLine{}, errLogCursor
	}
	l := LogLine{Time: time.Unix(0, at), Task: TaskID{Kind: Kind(b[1+n])}}
	b = b[2+n:]
	var v [4]uint64
	for i := range v {
		if v[i], n = binary.Uvarint(b); n <= 0 {
			return LogLine{}, errLogCursor
		}
		b = b[n:]
	}
	if len(b) > 0 || v[0] > MaxTasks || v[2] > 1<<31-1 {
		return LogLine{}, errLogCursor
	}
	l.Task.N, l.Epoch, l.Attempt, l.Seq = int(v[0]), v[1], int(v[2]), v[3]
	return l, nil
}

// LogAll is a LogQuery.Level that leaves nothing out.
const LogAll slog.Level = math.MinInt32

// LogQuery says which lines of a run are wanted. The zero value is all of level
// Info and above, from the first to the last that there is now. Lines that
// stand for dropped ones count as lines of their task and node, and are not
// held against Text and Regexp.
type LogQuery struct {
	// Level is the least level. Zero is slog.LevelInfo.
	Level slog.Level `msgpack:"l,omitempty"`
	// Node is the name of a node, Task the ID of a task as in "m12", Attempt the
	// number of one of its attempts. Empty or zero means all.
	Node    string `msgpack:"n,omitempty"`
	Task    string `msgpack:"t,omitempty"`
	Attempt int    `msgpack:"a,omitempty"`
	// Text is what the line, with its attributes, contains.
	Text string `msgpack:"x,omitempty"`
	// Regexp is an expression, in the syntax of package regexp, that matches it.
	Regexp string `msgpack:"r,omitempty"`

	// Cursor is that of a line, of which those after it are wanted, or those
	// before it with Backward. Empty is the beginning, or the end.
	Cursor string `msgpack:"c,omitempty"`
	// Backward is from the latest to the earliest.
	Backward bool `msgpack:"b,omitempty"`
	// Limit is how many lines at most. Zero means all. With Follow it is how
	// many of the latest that there are already it begins with.
	Limit int `msgpack:"m,omitempty"`
	// Follow goes on with lines as they come, until the run is over and its
	// last line was there.
	Follow bool `msgpack:"-"`
}

const maxLogPattern = 1 << 10

// Validate returns an error that names the field which makes no sense.
func (q *LogQuery) Validate() error {
	_, err := q.Filter()
	switch {
	case err != nil:
		return err
	case q.Limit < 0:
		return fmt.Errorf("job: Limit %d: want a number of lines, or 0 for all", q.Limit)
	case q.Follow && (q.Backward || q.Cursor != ""):
		return errors.New("job: Follow: want neither Backward nor a Cursor with it: it begins with the last Limit lines")
	}
	if q.Cursor != "" {
		_, err = LogPlace(q.Cursor)
	}
	return err
}

// LogFilter tells which lines a query wants.
type LogFilter struct {
	level      slog.Level
	node, text string
	task       TaskID
	attempt    int
	pattern    *regexp.Regexp
}

// Filter returns the filter of q, or an error that names the field which makes
// no sense.
func (q *LogQuery) Filter() (*LogFilter, error) {
	f := &LogFilter{level: q.Level, node: q.Node, text: q.Text, attempt: q.Attempt}
	if q.Task != "" {
		n, err := strconv.ParseUint(q.Task[1:], 10, 31)
		f.task = TaskID{Kind(q.Task[0]), int(n)}
		if err != nil || f.task.String() != q.Task || !strings.ContainsRune("bmr", rune(q.Task[0])) {
			return nil, fmt.Errorf("job: Task %.40q: want the ID of a task, as in m12", q.Task)
		}
	}
	if q.Attempt < 0 {
		return nil, fmt.Errorf("job: Attempt %d: want 1 or more, or 0 for all", q.Attempt)
	}
	if len(q.Regexp) > maxLogPattern {
		return nil, fmt.Errorf("job: Regexp has %d bytes: want at most %d", len(q.Regexp), maxLogPattern)
	}
	if q.Regexp != "" {
		var err error
		if f.pattern, err = regexp.Compile(q.Regexp); err != nil {
			return nil, fmt.Errorf("job: Regexp: %w: see package regexp for the syntax", err)
		}
	}
	return f, nil
}

// Wants reports whether the line is one that the query wants, wherever it
// begins.
func (f *LogFilter) Wants(l *LogLine) bool {
	switch {
	case l.Dropped > 0 && l.Attempt == 0:
		return true // lines of anybody
	case l.Level < f.level && l.Dropped == 0,
		f.node != "" && l.Node != f.node,
		f.task != (TaskID{}) && l.Task != f.task,
		f.attempt > 0 && l.Attempt != f.attempt:
		return false
	}
	return l.Dropped > 0 || f.matches(l)
}

func (f *LogFilter) matches(l *LogLine) bool {
	if f.text == "" && f.pattern == nil {
		return true
	}
	text := l.Text
	if len(l.Attrs) > 0 {
		b := append(make([]byte, 0, len(text)+64), text...)
		for _, a := range l.Attrs {
			b = append(append(append(append(b, ' '), a.Key...), '='), a.Value...)
		}
		text = string(b)
	}
	return strings.Contains(text, f.text) && (f.pattern == nil || f.pattern.MatchString(text))
}
