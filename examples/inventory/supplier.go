package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"time"
)

// A supplier is a web server that lists what it holds, page by page. Its
// trouble strikes when a page is asked for that is not the first one, so that
// an attempt has had some effect when it fails.
type supplier struct {
	*httptest.Server
	items   []item
	trouble trouble
	page    int // that the trouble strikes

	mu    sync.Mutex
	times int       // that it will strike; guarded by mu
	again time.Time // when a busy supplier wants to be asked again; guarded by mu
	early int       // requests before that; guarded by mu
}

// item is a line of a supplier's list.
type item struct {
	SKU   string `json:"sku"`
	Units int    `json:"units"`
}

// listing is a page of the list. Next is the page that follows, or 0.
type listing struct {
	Items []item `json:"items"`
	Next  int    `json:"next"`
}

const perPage = 10

// trouble is what is wrong with a supplier.
type trouble string

const (
	none  trouble = "in order"
	fault trouble = "fails"           // answers 500
	busy  trouble = "is busy"         // answers 503, and when to come back
	rude  trouble = "hangs up"        // in the middle of an answer
	slow  trouble = "does not answer" // until one gives up
	gone  trouble = "has closed"      // answers 410, for good
)

// market opens n suppliers. All but the last, which is gone, recover from
// their trouble. The caller closes them.
func market(seed uint64, n int) []*supplier {
	rnd := rand.New(rand.NewPCG(seed, 0))
	passing := []trouble{none, fault, busy, rude, slow}
	all := make([]*supplier, n)
	for i := range all {
		s := &supplier{trouble: passing[i%len(passing)], times: 1 + rnd.IntN(2)}
		for k := range 2*perPage + rnd.IntN(3*perPage) {
			s.items = append(s.items, item{fmt.Sprintf("%02d-%03d", i, k), rnd.IntN(100)})
		}
		s.page = 1 + rnd.IntN(len(s.items)/perPage-1)
		s.Server = httptest.NewServer(s)
		all[i] = s
	}
	all[n-1].trouble = gone
	return all
}

func closeAll(suppliers []*supplier) {
	for _, s := range suppliers {
		s.Close()
	}
}

// ServeHTTP answers with a page of the list, or does not.
func (s *supplier) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	page, err := strconv.Atoi(r.FormValue("page"))
	if at := page * perPage; err != nil || at < 0 || at > len(s.items) {
		http.Error(w, "no such page", http.StatusBadRequest)
		return
	}
	switch s.strikes(page) {
	case fault:
		http.Error(w, "out of order", http.StatusInternalServerError)
	case busy:
		w.Header().Set("Retry-After", "1")
		http.Error(w, "come back later", http.StatusServiceUnavailable)
	case rude:
		w.Header().Set("Content-Length", "1000")
		fmt.Fprint(w, `{"items":[{"sku":`)
		_ = http.NewResponseController(w).Flush() // or the client would not know that there was an answer
		panic(http.ErrAbortHandler)               // which is how a handler hangs up
	case slow:
		<-r.Context().Done()
	case gone:
		http.Error(w, "we have closed", http.StatusGone)
	default:
		l := listing{Items: s.items[page*perPage:]}
		if len(l.Items) > perPage {
			l.Items, l.Next = l.Items[:perPage], page+1
		}
		_ = json.NewEncoder(w).Encode(l) // whoever does not read it asks again
	}
}

// strikes returns the trouble that a request for the page gets into.
func (s *supplier) strikes(page int) trouble {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if now.Before(s.again) {
		s.early++
	}
	switch {
	case s.trouble == gone:
		return gone
	case page != s.page || s.times == 0:
		return none
	case s.trouble == busy:
		s.again = now.Add(time.Second)
	}
	s.times--
	return s.trouble
}
