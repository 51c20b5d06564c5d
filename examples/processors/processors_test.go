package processors

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/musterhq/muster/mapreduce"
)

// bank keeps transfers by their keys.
type bank struct {
	made  map[string]int
	fails int // how often it does what it is asked and then says that it failed
}

func (b *bank) Transfer(_ context.Context, key, _ string, cents int) error {
	b.made[key] = cents
	if b.fails > 0 {
		b.fails--
		return errors.New("connection reset")
	}
	return nil
}

func TestAPaymentIsMadeOnceThoughItIsTriedTwice(t *testing.T) {
	b := &bank{made: map[string]int{}, fails: 1}
	_, err := mapreduce.LocalRun(t.Context(), Payer{b}, mapreduce.LocalOptions{
		Values: []any{Payment{"a", 100}, Payment{"b", 200}}, Attempts: 2,
	})
	if err != nil || len(b.made) != 2 {
		t.Errorf("got %v, %v, want two transfers", b.made, err)
	}
}

func TestAFetchSaysWhetherToTryAgain(t *testing.T) {
	for code, want := range map[int]func(error) bool{
		http.StatusOK:                  func(err error) bool { return err == nil },
		http.StatusNotFound:            mapreduce.IsPermanent,
		http.StatusBadGateway:          func(err error) bool { return err != nil && !mapreduce.IsPermanent(err) },
		http.StatusTooManyRequests:     func(err error) bool { d, ok := mapreduce.RetryDelay(err); return ok && d == 7*time.Second },
		http.StatusInternalServerError: func(err error) bool { return err != nil },
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(code)
		}))
		payload, err := mapreduce.Encode(s.URL)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := (Fetcher{s.Client()}).Process(t.Context(), &mapreduce.Task{Payload: payload}); !want(err) {
			t.Errorf("%d: got %v", code, err)
		}
		s.Close()
	}
}

func TestACountStopsWhenItIsTo(t *testing.T) {
	if n, err := Count(t.Context(), 100); n != 25 || err != nil {
		t.Errorf("got %d, %v, want 25", n, err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(mapreduce.ErrFenced)
	if _, err := Count(ctx, 1<<40); !errors.Is(err, mapreduce.ErrFenced) {
		t.Errorf("got %v, want why it was stopped", err)
	}
}

func TestAProgramThatFailsFailsTheAttempt(t *testing.T) {
	if _, err := exec.LookPath("sort"); err != nil {
		t.Skip("there is no sort here")
	}
	missing := filepath.Join(t.TempDir(), "missing")
	_, err := mapreduce.LocalRun(t.Context(), mapreduce.ProcessorFunc(Convert), mapreduce.LocalOptions{Params: missing})
	if err == nil || !strings.Contains(err.Error(), missing) {
		t.Errorf("got %v, want an error about %s", err, missing)
	}
}

func TestAWalkCountsEveryPlace(t *testing.T) {
	tree := map[string][]string{"/": {"/a", "/b"}, "/a": {"/a/x", "/a/y"}}
	out, err := mapreduce.LocalRun(t.Context(), Walker{func(place string) []string { return tree[place] }}, mapreduce.LocalOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if n, err := mapreduce.Value[int](t.Context(), out); n != 5 || err != nil {
		t.Errorf("got %d places, %v, want 5", n, err)
	}
}

func TestTagsAreTheSameInWhateverOrderTextsCome(t *testing.T) {
	x, y := Text{"x", "go go map"}, Text{"y", "map"}
	for _, in := range [][]Text{{x, y}, {y, x}} {
		pairs, err := mapreduce.Local(t.Context(), Tags{}, in...)
		if err != nil || len(pairs) != 2 || strings.Join(pairs[0].Value, "") != "x" || strings.Join(pairs[1].Value, "") != "xy" {
			t.Errorf("got %v, %v", pairs, err)
		}
	}
}
