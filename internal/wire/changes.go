package wire

import (
	"time"

	"github.com/musterhq/muster/pkg/job"
)

// ChangesRef asks for changes, and waits up to Wait until there are some.
type ChangesRef struct {
	Query job.ChangeQuery `msgpack:"q"`
	Wait  time.Duration   `msgpack:"w,omitempty"`
}
