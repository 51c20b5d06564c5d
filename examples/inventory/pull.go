package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/musterhq/muster/mapreduce"
)

// pull is the processor: each of its tasks takes over the list of one supplier.
type pull struct {
	client *http.Client
	stock  *stock
}

// taken is what a task returns.
type taken struct{ Items, Units, Attempts int }

// Process takes over the list of the supplier that has the shard's number. An
// attempt that fails half way leaves what it added: the next one adds it again
// under the same key, which changes nothing.
func (p *pull) Process(ctx context.Context, t *mapreduce.Task) (any, error) {
	var suppliers []string
	if err := json.Unmarshal([]byte(t.Params), &suppliers); err != nil {
		return nil, mapreduce.Permanent(fmt.Errorf("inventory: Params: %w", err))
	}
	sum := taken{Attempts: t.Attempt}
	for page, more := 0, true; more; {
		list, err := p.list(ctx, suppliers[t.Shard.Index], page)
		if err != nil {
			return nil, err
		}
		for _, i := range list.Items {
			p.stock.Add(t.IdempotencyKey(), i.SKU, i.Units)
			sum.Items++
			sum.Units += i.Units
		}
		page, more = list.Next, list.Next > page
	}
	return sum, nil
}

// list asks a supplier for a page. Its error says what should follow: nothing,
// another attempt after the time that the supplier asks for, or one after the
// job's back-off.
func (p *pull) list(ctx context.Context, url string, page int) (l listing, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"?page="+strconv.Itoa(page), nil)
	if err != nil {
		return l, mapreduce.Permanent(err)
	}
	resp, err := p.client.Do(req)
	if err != nil {
		return l, err
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusOK {
		err = json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&l)
		return l, err
	}
	err = fmt.Errorf("inventory: page %d: %s", page, resp.Status)
	switch resp.StatusCode {
	case http.StatusNotFound, http.StatusGone:
		return l, mapreduce.Permanent(err)
	}
	if wait := retryAfter(resp.Header.Get("Retry-After")); wait > 0 {
		return l, mapreduce.RetryAfter(err, wait)
	}
	return l, err
}

// retryAfter reads the header of that name, which holds seconds or a date.
func retryAfter(header string) time.Duration {
	if seconds, err := strconv.Atoi(header); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(header); err == nil {
		return time.Until(at)
	}
	return 0
}
