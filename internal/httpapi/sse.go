package httpapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

// streamed is an answer that is sent bit by bit. What fails before the first of
// it is a problem as everywhere; what fails later ends it.
type streamed struct {
	Body func(huma.Context)
}

// Resume is where a stream of events goes on.
type Resume struct {
	LastEventID string `header:"Last-Event-ID" maxLength:"500" doc:"The id of the last event that was there, to go on behind it. Browsers send it by themselves."`
}

// stream is a stream of server-sent events on its way to one reader.
type stream struct {
	rc *http.ResponseController
	w  http.ResponseWriter

	mu   sync.Mutex
	err  error // guarded by mu
	stop chan struct{}
	wg   sync.WaitGroup
}

const (
	// beat is how often something is sent when nothing happens, so that nobody
	// in between takes the stream for dead.
	beat = 15 * time.Second
	// slow bounds how long one who reads may not.
	slow = 30 * time.Second
)

// events begins a stream.
func events(ctx huma.Context) *stream {
	_, w := humago.Unwrap(ctx)
	s := &stream{rc: http.NewResponseController(w), w: w, stop: make(chan struct{})}
	ctx.SetHeader("Content-Type", "text/event-stream")
	ctx.SetHeader("X-Accel-Buffering", "no") // as nginx is asked not to wait for more
	ctx.SetStatus(http.StatusOK)
	s.put(": events follow\n\n")
	s.wg.Go(func() {
		tick := time.NewTicker(beat)
		defer tick.Stop()
		for {
			select {
			case <-s.stop:
				return
			case <-tick.C:
				s.put(":\n\n")
			}
		}
	})
	return s
}

// end ends the stream.
func (s *stream) end() {
	close(s.stop)
	s.wg.Wait()
}

// send sends an event, and reports whether there is still somebody who reads.
func (s *stream) send(id, name string, v any) bool {
	text, err := eventText(id, name, v)
	return err == nil && s.put(text)
}

// eventText is an event as it is sent.
func eventText(id, name string, v any) (string, error) {
	b, err := json.Marshal(v)
	if id != "" { // an empty one would have who comes back begin anew
		id = "id: " + id + "\n"
	}
	return fmt.Sprintf("%sevent: %s\ndata: %s\n\n", id, name, b), err
}

func (s *stream) put(text string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		_ = s.rc.SetWriteDeadline(time.Now().Add(slow)) // what can't bound it does not
		_, s.err = s.w.Write([]byte(text))
	}
	if s.err == nil {
		s.err = s.rc.Flush()
	}
	return s.err == nil
}

// eventStream describes the answer of an operation that streams events.
func eventStream(text string) map[string]*huma.Response {
	return answered("text/event-stream", text)
}

func answered(contentType, text string) map[string]*huma.Response {
	return map[string]*huma.Response{"200": {
		Description: strings.TrimSpace(text),
		Content:     map[string]*huma.MediaType{contentType: {Schema: &huma.Schema{Type: huma.TypeString}}},
	}}
}
