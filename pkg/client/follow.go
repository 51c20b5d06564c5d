package client

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"

	"github.com/musterhq/muster/pkg/api"
	"github.com/musterhq/muster/pkg/job"
)

// WatchRun yields a run at once, whenever it has changed, and a last time when it
// is over. What breaks off is taken up again.
func (c *Client) WatchRun(ctx context.Context, id job.RunID) iter.Seq2[api.Run, error] {
	return func(yield func(api.Run, error) bool) {
		err := c.follow(ctx, get(run(id, "watch")...), func(e *event) (done bool, err error) {
			var r api.Run
			if err := json.Unmarshal(e.data, &r); err != nil {
				return false, fmt.Errorf("client: run %s: %w", id, err)
			}
			return !yield(r, nil) || over(r.State), nil
		})
		if err != nil {
			yield(api.Run{}, err)
		}
	}
}

// LogQuery says which lines of a run are wanted. The zero value is those of level
// info and above.
type LogQuery struct {
	// Level is the least level: all, debug, info, warn or error. Empty means info.
	Level string
	// Node is the name of a node, Task the ID of a task, Attempt the number of one
	// of its attempts. Empty or zero means all.
	Node, Task string
	Attempt    int
	// Text is what a line contains, Regexp an expression that matches it.
	Text, Regexp string

	// Desc is from the last to the first, for ListLogs. Cursor is that of a line,
	// of which those behind it are wanted. Limit is how many at most; for
	// FollowLogs with how many of the latest it begins.
	Desc   bool
	Cursor string
	Limit  int
}

func (q *LogQuery) on(r *request) *request {
	return r.with("level", q.Level).with("node", q.Node).with("task", q.Task).number("attempt", q.Attempt).with("text", q.Text).with("regexp", q.Regexp)
}

// ListLogs returns a page of what a run has logged.
func (c *Client) ListLogs(ctx context.Context, id job.RunID, q LogQuery) (api.LogLines, error) {
	r := q.on(get(run(id, "logs")...)).with("cursor", q.Cursor).number("limit", q.Limit)
	if q.Desc {
		r.with("order", "desc")
	}
	return call[api.LogLines](ctx, c, r)
}

// FollowLogs yields what a run has logged and logs, until it is over. What breaks
// off is taken up again behind the last line that was there.
func (c *Client) FollowLogs(ctx context.Context, id job.RunID, q LogQuery) iter.Seq2[api.LogLine, error] {
	return func(yield func(api.LogLine, error) bool) {
		r := q.on(get(run(id, "logs", "follow")...)).number("last", q.Limit).say("Last-Event-ID", q.Cursor)
		err := c.follow(ctx, r, func(e *event) (done bool, err error) {
			if e.name == "end" {
				return true, nil
			}
			var l api.LogLine
			if err := json.Unmarshal(e.data, &l); err != nil {
				return false, fmt.Errorf("client: lines of run %s: %w", id, err)
			}
			return !yield(l, nil), nil
		})
		if err != nil {
			yield(api.LogLine{}, err)
		}
	}
}

// event is one of a stream of server-sent events.
type event struct {
	id, name string
	data     []byte
}

// follow passes on the events of a stream until one of them is the last. What
// breaks off it takes up again behind the last that was there.
func (c *Client) follow(ctx context.Context, r *request, each func(*event) (done bool, err error)) error {
	for failed := 0; ; {
		resp, err := c.send(ctx, r)
		if err != nil {
			return err
		}
		came := false
		err = events(resp.Body, func(e *event) (bool, error) {
			came = true
			if e.id != "" {
				r.say("Last-Event-ID", e.id)
			}
			if e.name == "" {
				return false, nil // it says how far the stream is
			}
			return each(e)
		})
		_ = resp.Body.Close() // there is nothing more to read
		var broke *brokenOff
		if !errors.As(err, &broke) {
			return err
		}
		if failed++; came {
			failed = 0
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if failed >= c.attempts {
			return fmt.Errorf("client: a stream broke off %d times: %w", failed, err)
		}
		timer := time.NewTimer(c.pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		}
	}
}

// brokenOff is a stream that ended before its last event.
type brokenOff struct{ error }

// maxEvent bounds what one event says, in bytes.
const maxEvent = 8 << 20

// events reads a stream until one of its events is the last.
func events(body io.Reader, each func(*event) (done bool, err error)) error {
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, maxEvent)
	for e := (event{}); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case name == "id":
			e.id = value
		case name == "event":
			e.name = value
		case name == "data":
			e.data = []byte(value)
		case lines.Text() == "":
			if e.name == "" && e.id == "" {
				continue // it shows that somebody is there
			}
			if done, err := each(&e); done || err != nil {
				return err
			}
			e = event{}
		}
	}
	if err := lines.Err(); err != nil {
		return &brokenOff{err}
	}
	return &brokenOff{io.ErrUnexpectedEOF}
}

// ErrDigest says that what was downloaded is not what was sent.
var ErrDigest = errors.New("client: the digest is another: some of it is missing, or was changed")

// DownloadLogs writes all lines of a run to w, and checks that they are all.
func (c *Client) DownloadLogs(ctx context.Context, id job.RunID, w io.Writer) error {
	resp, err := c.send(ctx, get(run(id, "logs", "download")...))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	hash := sha256.New()
	if _, err := io.Copy(io.MultiWriter(w, hash), resp.Body); err != nil {
		return fmt.Errorf("client: lines of run %s: %w", id, err)
	}
	want := resp.Trailer.Get("Repr-Digest") // which some proxies leave out
	if want != "" && want != "sha-256=:"+base64.StdEncoding.EncodeToString(hash.Sum(nil))+":" {
		return ErrDigest
	}
	return nil
}

// DownloadResult yields all that a run returned.
func (c *Client) DownloadResult(ctx context.Context, id job.RunID) iter.Seq2[api.Item, error] {
	return func(yield func(api.Item, error) bool) {
		resp, err := c.send(ctx, get(run(id, "result", "download")...))
		if err != nil {
			yield(api.Item{}, err)
			return
		}
		defer resp.Body.Close()
		for d := json.NewDecoder(resp.Body); ; {
			var item api.Item
			err := d.Decode(&item)
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				err = fmt.Errorf("client: result of run %s: %w", id, err)
			}
			if !yield(item, err) || err != nil {
				return
			}
		}
	}
}
