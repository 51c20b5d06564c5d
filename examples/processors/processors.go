// Package processors is processors as docs/PROCESSORS.md explains them: each shows
// one thing that a processor should mind.
package processors

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/musterhq/muster/mapreduce"
)

// Bank is another system, where a second attempt must be no second effect.
type Bank interface {
	// Transfer makes a transfer, unless there was one of that key.
	Transfer(ctx context.Context, key, account string, cents int) error
}

// Payment is what a task of a payer is about.
type Payment struct {
	Account string
	Cents   int
}

// Payer makes payments.
type Payer struct{ Bank Bank }

// Process makes one payment, once, however often it is called for the task.
func (p Payer) Process(ctx context.Context, t *mapreduce.Task) (any, error) {
	var what Payment
	if err := t.Decode(&what); err != nil {
		return nil, err
	}
	return nil, p.Bank.Transfer(ctx, t.IdempotencyKey(), what.Account, what.Cents)
}

// Fetcher asks a web service for what is at the URL of a task.
type Fetcher struct{ Client *http.Client }

// Process returns how many bytes there are.
func (f Fetcher) Process(ctx context.Context, t *mapreduce.Task) (any, error) {
	var url string
	if err := t.Decode(&url); err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, mapreduce.Permanent(err) // it will be no better URL next time
	}
	resp, err := f.Client.Do(req)
	if err != nil {
		return nil, err // tried again, after the back-off of the job
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode == http.StatusTooManyRequests:
		wait, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
		return nil, mapreduce.RetryAfter(errors.New(resp.Status), time.Duration(max(wait, 1))*time.Second)
	case resp.StatusCode >= 400 && resp.StatusCode < 500:
		return nil, mapreduce.Permanent(errors.New(resp.Status))
	case resp.StatusCode >= 500:
		return nil, errors.New(resp.Status)
	}
	return resp.ContentLength, nil
}

// Count counts primes, and stops when it is to.
func Count(ctx context.Context, below int) (primes int, err error) {
	for n := 2; n < below; n++ {
		if n%1000 == 0 && ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
		if isPrime(n) {
			primes++
		}
	}
	return primes, nil
}

func isPrime(n int) bool {
	for d := 2; d*d <= n; d++ {
		if n%d == 0 {
			return false
		}
	}
	return true
}

// Convert has a program do the work. It is killed when the attempt is cancelled,
// and what it prints is in the log of the run.
func Convert(ctx context.Context, t *mapreduce.Task) (any, error) {
	cmd := exec.CommandContext(ctx, "sort", "--unique", "--output", "/dev/null", t.Params)
	cmd.Stdout, cmd.Stderr = t.Stdout(), t.Stderr()
	if err := cmd.Run(); ctx.Err() != nil {
		return nil, context.Cause(ctx)
	} else if err != nil {
		return nil, fmt.Errorf("sort %s: %w", t.Params, err)
	}
	return nil, nil
}

// Walker visits a tree of which nobody knows beforehand how large it is.
type Walker struct {
	// Children returns the places below a place.
	Children func(place string) []string
}

// Process emits a task for each place below the task's own.
func (w Walker) Process(_ context.Context, t *mapreduce.Task) (any, error) {
	place := "/"
	if err := t.Decode(&place); err != nil {
		return nil, err
	}
	for _, child := range w.Children(place) {
		if err := t.Emit("place", child); err != nil {
			return nil, err
		}
	}
	return 1, nil
}

// Reduce counts the places. It sees one result after the other, and holds none.
func (w Walker) Reduce(_ context.Context, _ *mapreduce.Task, results iter.Seq[mapreduce.Result]) (any, error) {
	places := 0
	for r := range results {
		var n int
		if err := r.Decode(&n); err != nil {
			return nil, err
		}
		places += n
	}
	return places, nil
}

// Tags lists, for each word, the texts that have it.
type Tags struct{}

// Text is one record.
type Text struct{ Name, Words string }

// Map emits each word once for a text, so that a second attempt emits the same.
func (Tags) Map(_ context.Context, text Text, emit func(word, name string)) error {
	words := slices.Collect(strings.FieldsSeq(text.Words))
	slices.Sort(words)
	for _, word := range slices.Compact(words) {
		emit(word, text.Name)
	}
	return nil
}

// Reduce sorts the names: values come in no particular order.
func (Tags) Reduce(_ context.Context, _ string, names iter.Seq[string]) ([]string, error) {
	return slices.Sorted(names), nil
}
