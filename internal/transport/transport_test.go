package transport_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/musterhq/muster/internal/transport"
	"github.com/musterhq/muster/internal/transport/transporttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTCP(t *testing.T) {
	transporttest.Run(t, func(*testing.T) (a, b transport.Network) {
		return transport.TCP(), transport.TCP()
	})
}

func BenchmarkTCP(b *testing.B) {
	transporttest.Bench(b, func() (x, y transport.Network) { return transport.TCP(), transport.TCP() })
}
