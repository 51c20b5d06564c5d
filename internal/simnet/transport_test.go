package simnet_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/musterhq/muster/internal/simnet"
	"github.com/musterhq/muster/internal/transport"
	"github.com/musterhq/muster/internal/transport/transporttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTransport(t *testing.T) {
	transporttest.Run(t, func(*testing.T) (a, b transport.Network) {
		n := simnet.New(1)
		return n.Host("a"), n.Host("b")
	})
}
