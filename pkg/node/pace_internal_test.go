package node

import (
	"testing"
	"time"
)

// TestAPaceIsWhatTheLatestRunsTook lets runs end and asks how long others take.
func TestAPaceIsWhatTheLatestRunsTook(t *testing.T) {
	now := time.Unix(1e9, 0)
	var p *pace
	if d, ok := p.take(1, now); ok {
		t.Errorf("got %v though nothing has ended", d)
	}
	p = new(pace)
	for range 1000 { // long ago these were slow
		now = now.Add(time.Minute)
		p.ended(1, now)
	}
	for range paced {
		now = now.Add(2 * time.Second)
		p.ended(1, now)
	}
	if got, ok := p.take(100, now); !ok || got < 190*time.Second || got > 200*time.Second {
		t.Errorf("got %v, %v, want about 200s for 100 runs at one in 2s", got, ok)
	}
	if got, ok := p.take(1<<62, now); !ok || got <= 0 {
		t.Errorf("got %v, %v for very many", got, ok)
	}
	if d, ok := p.take(1, now.Add(paceFor+time.Second)); ok {
		t.Errorf("got %v though nothing has ended for long", d)
	}
}
