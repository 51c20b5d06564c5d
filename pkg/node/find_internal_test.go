package node

import (
	"context"
	"testing"
)

// TestOnlyAnotherLeaderIsNews has one that does not answer doubted and named
// again, as servers do that have not noticed.
func TestOnlyAnotherLeaderIsNews(t *testing.T) {
	l := newLeaders(&Node{ctx: context.Background()})
	defer func() { l.abdicate(nil) }()
	for _, c := range []struct {
		name string
		do   func()
		news bool
	}{
		{"the first", func() { l.learn("a", 1) }, true},
		{"doubted and named again", func() { l.doubt("a"); l.learn("a", 1) }, false},
		{"doubted", func() { l.doubt("a") }, false},
		{"another", func() { l.learn("b", 2) }, true},
		{"nobody in a later term", func() { l.learn("", 3) }, false},
		{"elected again", func() { l.learn("b", 4) }, true},
	} {
		_, _, changed := l.now()
		c.do()
		news := false
		select {
		case <-changed:
			news = true
		default:
		}
		if news != c.news {
			t.Errorf("%s: news is %v, want %v", c.name, news, c.news)
		}
	}
}
