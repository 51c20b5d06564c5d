package node

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/musterhq/muster/internal/access"
	"github.com/musterhq/muster/pkg/job"
)

func TestWhatTheLeaderSaidOfATokenIsBelievedForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p proofs
		hash, other := access.Hash{1}, access.Hash{2}
		p.put("a", hash, job.Token{ID: "a"})
		if got, ok := p.get("a", hash); !ok || got.ID != "a" {
			t.Errorf("got %+v, %v, want the token", got, ok)
		}
		if _, ok := p.get("a", other); ok {
			t.Error("another secret is taken for the same")
		}
		<-time.After(believe)
		if _, ok := p.get("a", hash); ok {
			t.Error("it is still believed when it may have been revoked for long")
		}
	})
}

func TestNoMoreTokensAreRememberedThanFit(t *testing.T) {
	var p proofs
	for i := range 3 * maxProofs {
		p.put(fmt.Sprint(i), access.Hash{}, job.Token{})
	}
	if n := len(p.known); n > maxProofs {
		t.Errorf("got %d, want at most %d", n, maxProofs)
	}
}
